//! A store that is given up when it does not answer: what the system asks meanwhile, it asks of nobody who waits for us.
//!
//! Keychain and Credential Manager are answered by a service of the system and take no time limit, so that each question is put in a
//! thread of its own. One that is never answered ends with this process.

use keyring_core::api::{
    Credential, CredentialApi, CredentialPersistence, CredentialStore, CredentialStoreApi,
};
use keyring_core::{Entry, Error, Result};
use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

/// See the module. All entries share what is left of the patience.
#[derive(Clone, Debug)]
pub(super) struct Store {
    below: Arc<CredentialStore>,
    left: Arc<Mutex<Duration>>,
}

impl Store {
    /// A store that keeps its caller waiting for `patience` at most, all questions together.
    pub(super) fn new(below: Arc<CredentialStore>, patience: Duration) -> Self {
        Self {
            below,
            left: Arc::new(Mutex::new(patience)),
        }
    }

    fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let mut left = self.left.lock().map_err(|_| unanswered())?;
        if left.is_zero() {
            return Err(unanswered());
        }
        let started = Instant::now();
        let (teller, answer) = mpsc::channel();
        let asked = std::thread::Builder::new().spawn(move || drop(teller.send(question())));
        asked.map_err(|error| Error::PlatformFailure(error.into()))?;
        let answered = answer.recv_timeout(*left);
        *left = left.saturating_sub(started.elapsed());
        answered.unwrap_or_else(|_| Err(unanswered()))
    }

    fn entry(&self, below: Entry) -> Entry {
        Entry::new_with_credential(Arc::new(Asked {
            store: self.clone(),
            below: Arc::new(below),
        }))
    }
}

fn unanswered() -> Error {
    Error::NoStorageAccess("it does not answer".into())
}

impl CredentialStoreApi for Store {
    fn vendor(&self) -> String {
        self.below.vendor()
    }

    fn id(&self) -> String {
        self.below.id()
    }

    fn build(
        &self,
        service: &str,
        user: &str,
        modifiers: Option<&HashMap<&str, &str>>,
    ) -> Result<Entry> {
        // A name; nobody is asked.
        self.below
            .build(service, user, modifiers)
            .map(|below| self.entry(below))
    }

    fn search(&self, spec: &HashMap<&str, &str>) -> Result<Vec<Entry>> {
        let below = self.below.clone();
        let spec: HashMap<String, String> = spec
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect();
        let found = self.ask(move || {
            below.search(
                &spec
                    .iter()
                    .map(|(name, value)| (name.as_str(), value.as_str()))
                    .collect(),
            )
        })?;
        Ok(found.into_iter().map(|below| self.entry(below)).collect())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn persistence(&self) -> CredentialPersistence {
        self.below.persistence()
    }
}

/// An entry of the store below.
#[derive(Debug)]
struct Asked {
    store: Store,
    below: Arc<Entry>,
}

impl Asked {
    fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Entry) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let below = self.below.clone();
        self.store.ask(move || question(&below))
    }
}

impl CredentialApi for Asked {
    fn set_secret(&self, secret: &[u8]) -> Result<()> {
        let secret = zeroize::Zeroizing::new(secret.to_owned());
        self.ask(move |below| below.set_secret(&secret))
    }

    fn get_secret(&self) -> Result<Vec<u8>> {
        self.ask(|below| below.get_secret())
    }

    fn delete_credential(&self) -> Result<()> {
        self.ask(|below| below.delete_credential())
    }

    fn get_credential(&self) -> Result<Option<Arc<Credential>>> {
        self.ask(|below| below.get_credential().map(drop))
            .map(|()| None)
    }

    fn get_specifiers(&self) -> Option<(String, String)> {
        self.below.get_specifiers()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keyring_core::mock;

    /// A store whose entries answer when they are released.
    struct Stuck(Arc<CredentialStore>, Arc<Mutex<()>>);

    impl CredentialStoreApi for Stuck {
        fn vendor(&self) -> String {
            "stuck".into()
        }

        fn id(&self) -> String {
            String::new()
        }

        fn build(
            &self,
            service: &str,
            user: &str,
            _: Option<&HashMap<&str, &str>>,
        ) -> Result<Entry> {
            self.0.build(service, user, None)
        }

        fn search(&self, spec: &HashMap<&str, &str>) -> Result<Vec<Entry>> {
            drop(self.1.lock());
            self.0.search(spec)
        }

        fn as_any(&self) -> &dyn Any {
            self
        }

        fn debug_fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("Stuck")
        }
    }

    #[test]
    fn what_answers_is_passed_on_as_it_is() {
        let store = Store::new(mock::Store::new().unwrap(), Duration::from_secs(60));
        let entry = store.build("s", "u", None).unwrap();
        assert!(matches!(entry.get_secret(), Err(Error::NoEntry)));
        entry.set_secret(b"x").unwrap();
        assert_eq!(
            store.search(&HashMap::from([("service", "s")])).unwrap()[0]
                .get_secret()
                .unwrap(),
            b"x"
        );
        assert_eq!(entry.get_specifiers().unwrap(), ("s".into(), "u".into()));
        assert_eq!(store.vendor(), store.below.vendor());
        entry.delete_credential().unwrap();
        assert!(matches!(entry.get_secret(), Err(Error::NoEntry)));
        assert!(
            matches!(entry.get_credential(), Err(Error::NoEntry)),
            "it is there no more"
        );
    }

    #[test]
    fn a_store_that_does_not_answer_is_given_up_once_for_all() {
        let gate = Arc::new(Mutex::new(()));
        let store = Store::new(
            Arc::new(Stuck(mock::Store::new().unwrap(), gate.clone())),
            Duration::from_millis(50),
        );
        let closed = gate.lock().unwrap();
        let started = Instant::now();
        for _ in 0..50 {
            let error = store.search(&HashMap::new()).unwrap_err();
            assert!(matches!(error, Error::NoStorageAccess(_)), "{error}");
        }
        assert!(
            started.elapsed() < Duration::from_secs(2),
            "each would have been waited for"
        );
        drop(closed);
        assert!(
            store.build("s", "u", None).unwrap().get_secret().is_err(),
            "no patience is left"
        );
    }
}
