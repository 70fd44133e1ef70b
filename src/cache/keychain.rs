//! The login keychain of macOS as a store, which never asks anybody for anything.
//!
//! An item belongs to the program that made it, by its code signature: that of a developer, or, without one, the very bytes of the
//! program (`cdhash:` in the item's partition list). Another build of this program that is not signed by a developer would make macOS ask
//! the user for the keychain's password. Questions are switched off, so that such an item, and a keychain that is locked, is an error
//! (`errSecAuthFailed`, `errSecInteractionNotAllowed`) and thus a miss. What cannot be replaced, because another build made it, is deleted
//! and made anew, which macOS allows, as docker's own `docker-credential-osxkeychain` does with everything.

use keyring_core::api::{
    Credential, CredentialApi, CredentialPersistence, CredentialStore, CredentialStoreApi,
};
use keyring_core::{Entry, Error, Result};
use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;
use zeroize::Zeroizing;

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Store(Arc<CredentialStore>);

#[cfg(target_os = "macos")]
impl Store {
    /// The login keychain. Errors where questions cannot be switched off.
    pub(super) fn new() -> Result<Self> {
        use security_framework::os::macos::keychain::SecKeychain;
        let quiet = SecKeychain::disable_user_interaction()
            .map_err(|error| Error::PlatformFailure(error.into()))?;
        // Dropping it would switch them on again.
        std::mem::forget(quiet);
        Ok(Self(apple_native_keyring_store::keychain::Store::new()?))
    }
}

impl CredentialStoreApi for Store {
    fn vendor(&self) -> String {
        "Keychain".into()
    }

    fn id(&self) -> String {
        self.0.id()
    }

    fn build(
        &self,
        service: &str,
        user: &str,
        modifiers: Option<&HashMap<&str, &str>>,
    ) -> Result<Entry> {
        Ok(item(self.0.build(service, user, modifiers)?))
    }

    fn search(&self, spec: &HashMap<&str, &str>) -> Result<Vec<Entry>> {
        Ok(self.0.search(spec)?.into_iter().map(item).collect())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn persistence(&self) -> CredentialPersistence {
        self.0.persistence()
    }
}

/// An item, which may be another build's.
#[derive(Debug)]
struct Item(Entry);

fn item(below: Entry) -> Entry {
    Entry::new_with_credential(Arc::new(Item(below)))
}

impl CredentialApi for Item {
    fn set_secret(&self, secret: &[u8]) -> Result<()> {
        let Err(error) = self.0.set_secret(secret) else {
            return Ok(());
        };
        match self.0.get_secret().map(Zeroizing::new) {
            // It is not for want of access, and what was there before may still be good.
            Ok(_) | Err(Error::NoEntry) => Err(error),
            // A keychain that is locked gives up nothing, and the first failure says so.
            Err(_) => self
                .0
                .delete_credential()
                .map_err(|_| error)
                .and_then(|()| self.0.set_secret(secret)),
        }
    }

    fn get_secret(&self) -> Result<Vec<u8>> {
        self.0.get_secret()
    }

    fn delete_credential(&self) -> Result<()> {
        self.0.delete_credential()
    }

    fn get_credential(&self) -> Result<Option<Arc<Credential>>> {
        self.0.get_credential().map(|_| None)
    }

    fn get_specifiers(&self) -> Option<(String, String)> {
        self.0.get_specifiers()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    /// A keychain with room for one item: who made it, and what is in it.
    #[derive(Debug, Default)]
    struct Chain {
        item: Mutex<Option<(&'static str, Vec<u8>)>>,
        is_locked: Mutex<bool>,
    }

    /// That keychain as a build of this program sees it.
    #[derive(Debug)]
    struct Build(Arc<Chain>, &'static str);

    impl Build {
        fn may(&self, is_delete: bool) -> Result<()> {
            let item = self.0.item.lock().unwrap();
            let is_own = item.as_ref().is_none_or(|(build, _)| *build == self.1);
            let refused = |name: &str| Err(Error::PlatformFailure(name.into()));
            match *self.0.is_locked.lock().unwrap() {
                true => refused("errSecInteractionNotAllowed"),
                false if is_own || is_delete => Ok(()),
                false => refused("errSecAuthFailed"),
            }
        }
    }

    impl CredentialApi for Build {
        fn set_secret(&self, secret: &[u8]) -> Result<()> {
            self.may(false)?;
            *self.0.item.lock().unwrap() = Some((self.1, secret.to_owned()));
            Ok(())
        }

        fn get_secret(&self) -> Result<Vec<u8>> {
            self.may(false)?;
            self.0
                .item
                .lock()
                .unwrap()
                .as_ref()
                .map(|(_, secret)| secret.clone())
                .ok_or(Error::NoEntry)
        }

        fn delete_credential(&self) -> Result<()> {
            self.may(true)?;
            self.0
                .item
                .lock()
                .unwrap()
                .take()
                .map(drop)
                .ok_or(Error::NoEntry)
        }

        fn get_credential(&self) -> Result<Option<Arc<Credential>>> {
            Ok(None)
        }

        fn get_specifiers(&self) -> Option<(String, String)> {
            None
        }

        fn as_any(&self) -> &dyn Any {
            self
        }
    }

    #[test]
    fn what_another_build_made_is_a_miss_and_made_anew() {
        let chain = Arc::new(Chain::default());
        let of = |build| {
            item(Entry::new_with_credential(Arc::new(Build(
                chain.clone(),
                build,
            ))))
        };
        of("old").set_secret(b"one").unwrap();
        assert!(of("new").get_secret().is_err());
        of("new").set_secret(b"two").unwrap();
        assert_eq!(of("new").get_secret().unwrap(), b"two");
        of("old").delete_credential().unwrap();
    }

    #[test]
    fn what_is_written_is_found_by_search() {
        let store = Store(keyring_core::mock::Store::new().unwrap());
        store
            .build("s", "u", None)
            .unwrap()
            .set_secret(b"x")
            .unwrap();
        let found = store.search(&HashMap::from([("service", "s")])).unwrap();
        assert_eq!(
            (
                found[0].get_secret().unwrap(),
                found[0].get_specifiers().unwrap().1
            ),
            (b"x".to_vec(), "u".to_owned())
        );
    }

    #[test]
    fn a_locked_keychain_keeps_what_it_has() {
        let chain = Arc::new(Chain::default());
        let entry = item(Entry::new_with_credential(Arc::new(Build(
            chain.clone(),
            "one",
        ))));
        entry.set_secret(b"one").unwrap();
        *chain.is_locked.lock().unwrap() = true;
        assert!(
            entry
                .set_secret(b"two")
                .unwrap_err()
                .to_string()
                .contains("errSecInteractionNotAllowed")
        );
        *chain.is_locked.lock().unwrap() = false;
        assert_eq!(entry.get_secret().unwrap(), b"one");
    }
}
