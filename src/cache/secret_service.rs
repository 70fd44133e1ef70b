//! The Secret Service of the desktop session as a store (GNOME Keyring, KWallet, KeePassXC).
//!
//! It never prompts: what is locked is missing. It is asked in a thread of its own and given up after [`PATIENCE`], since a
//! daemon that is stopped, or one that shows a dialog nobody sees, answers never. The session is a plain one: whoever can listen
//! on the user's own bus can as well ask for the secret, and the encrypted session costs three times the rest.

use super::SERVICE;
use dbus_secret_service::{EncryptionType, Item, SecretService};
use keyring_core::api::{Credential, CredentialApi, CredentialStoreApi};
use keyring_core::{Entry, Error, Result};
use std::any::Any;
use std::collections::HashMap;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How long all calls of one process together wait for the service.
const PATIENCE: Duration = Duration::from_secs(2);

/// The attribute that names the program, as other users of the service call it.
const APPLICATION: &str = "service";

/// The attribute that holds registry host and identity.
const USER: &str = "username";

/// The store. What is left of the patience is shared by all its entries.
#[derive(Clone, Debug)]
pub(super) struct Store {
    patience: Arc<Mutex<Duration>>,
}

impl Store {
    /// A store that keeps its caller waiting for [`PATIENCE`], or for as long as the caller has.
    pub(super) fn new(patience: Duration) -> Self {
        Self { patience: Arc::new(Mutex::new(patience.min(PATIENCE))) }
    }

    /// Runs `question` in a thread for as long as patience is left. The thread of a question that is never answered ends
    /// with the process.
    fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&SecretService) -> std::result::Result<T, dbus_secret_service::Error> + Send + 'static,
    ) -> Result<T> {
        let mut patience = self.patience.lock().map_err(|_| unanswered())?;
        if patience.is_zero() {
            return Err(unanswered());
        }
        let (answer, answered) = mpsc::channel();
        let started = Instant::now();
        std::thread::Builder::new()
            .name("secret-service".into())
            .spawn(move || {
                let service = SecretService::connect_with_max_prompt_timeout(EncryptionType::Plain, 0).map_err(unconnected);
                let result = service.and_then(|service| question(&service).map_err(failure));
                // Nobody listens any more when the patience was used up.
                drop(answer.send(result));
            })
            .map_err(|error| Error::PlatformFailure(error.into()))?;
        let result = answered.recv_timeout(*patience);
        *patience = patience.saturating_sub(started.elapsed());
        match result {
            Ok(result) => result,
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                *patience = Duration::ZERO;
                Err(unanswered())
            }
        }
    }
}

impl CredentialStoreApi for Store {
    fn vendor(&self) -> String {
        "Secret Service".into()
    }

    fn id(&self) -> String {
        "default collection".into()
    }

    fn build(&self, service: &str, user: &str, _: Option<&HashMap<&str, &str>>) -> Result<Entry> {
        Ok(ServiceItem::entry(self, service, user))
    }

    fn search(&self, spec: &HashMap<&str, &str>) -> Result<Vec<Entry>> {
        let name = spec.get("service").copied().unwrap_or(SERVICE).to_owned();
        let wanted = name.clone();
        let users: Vec<String> = self.ask(move |service| {
            let found = service.search_items(HashMap::from([(APPLICATION, wanted.as_str())]))?;
            // What lies in a locked collection need not be found at all.
            if service.get_any_collection().is_ok_and(|collection| collection.is_locked().unwrap_or(true)) {
                return Err(dbus_secret_service::Error::Locked);
            }
            found
                .unlocked
                .iter()
                .chain(&found.locked)
                .map(|item| Ok(item.get_attributes()?.remove(USER).unwrap_or_default()))
                .collect()
        })?;
        Ok(users.iter().map(|user| ServiceItem::entry(self, &name, user)).collect())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// One item, found by its attributes when it is needed.
#[derive(Clone, Debug)]
struct ServiceItem {
    store: Store,
    service: String,
    user: String,
}

impl ServiceItem {
    fn entry(store: &Store, service: &str, user: &str) -> Entry {
        Entry::new_with_credential(Arc::new(Self { store: store.clone(), service: service.to_owned(), user: user.to_owned() }))
    }

    fn attributes(&self) -> HashMap<&str, &str> {
        HashMap::from([(APPLICATION, self.service.as_str()), (USER, self.user.as_str())])
    }

    /// Runs `question` on the item if it is there and unlocked.
    fn with_item<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Item<'_>) -> std::result::Result<T, dbus_secret_service::Error> + Send + 'static,
    ) -> Result<T> {
        let this = self.clone();
        self.store.ask(move |service| {
            let found = service.search_items(this.attributes())?;
            match (found.unlocked.first(), found.locked.is_empty()) {
                (Some(item), _) => question(item),
                (None, true) => Err(dbus_secret_service::Error::NoResult),
                (None, false) => Err(dbus_secret_service::Error::Locked),
            }
        })
    }
}

impl CredentialApi for ServiceItem {
    fn set_secret(&self, secret: &[u8]) -> Result<()> {
        let this = self.clone();
        let secret = zeroize::Zeroizing::new(secret.to_vec());
        self.store.ask(move |service| {
            let host = this.user.split(' ').next().unwrap_or_default();
            let collection = service.get_any_collection()?;
            if collection.is_locked()? {
                return Err(dbus_secret_service::Error::Locked);
            }
            let label = format!("ACR refresh token for {host}");
            collection.create_item(&label, this.attributes(), &secret, true, "text/plain").map(drop)
        })
    }

    fn get_secret(&self) -> Result<Vec<u8>> {
        self.with_item(|item| item.get_secret())
    }

    fn delete_credential(&self) -> Result<()> {
        self.with_item(|item| item.delete())
    }

    fn get_credential(&self) -> Result<Option<Arc<Credential>>> {
        self.with_item(|_| Ok(None))
    }

    fn get_specifiers(&self) -> Option<(String, String)> {
        Some((self.service.clone(), self.user.clone()))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn unanswered() -> Error {
    Error::NoStorageAccess("the Secret Service does not answer".into())
}

/// No bus, or no service on it, is no store; a service that does not answer is one that failed.
fn unconnected(error: dbus_secret_service::Error) -> Error {
    match error {
        dbus_secret_service::Error::Dbus(error) if error.name() == Some("org.freedesktop.DBus.Error.NoReply") => {
            Error::NoStorageAccess(error.into())
        }
        error => Error::NotSupportedByStore(error.to_string()),
    }
}

fn failure(error: dbus_secret_service::Error) -> Error {
    use dbus_secret_service::Error as Service;
    match error {
        Service::NoResult => Error::NoEntry,
        Service::Locked | Service::Prompt | Service::Unavailable => Error::NoStorageAccess(error.into()),
        other => Error::PlatformFailure(other.into()),
    }
}
