//! The Secret Service of the desktop session as a store (GNOME Keyring, KWallet, KeePassXC).
//!
//! It never prompts: what is locked is missing. It is given up after [`PATIENCE`], since a daemon that is stopped, or one that shows
//! a dialog nobody sees, answers never. The session is a plain one: whoever can listen on the user's own bus can as well ask for the
//! secret, and the encrypted session costs three times the rest.
//!
//! The bus is spoken to by the few messages that this needs, and not by a library. libdbus signs in with the uid that it has in a
//! user namespace, which the bus rejects, so that rootless podman and buildah had no keyring; zbus can be told another, but
//! brings sixty crates and threads. Both send one message after the other, where two round trips are enough.
//!
//! KeePassXC 2.7.4 offers a prompt for every item that is made or deleted, so it is read only.

mod address;
mod connection;
mod message;
mod service;
#[cfg(test)]
mod tests;
mod wire;

use super::{PATIENCE, SERVICE};
use crate::config::SessionBus;
use connection::unanswered;
use keyring_core::api::{Credential, CredentialApi, CredentialPersistence, CredentialStoreApi};
use keyring_core::{Entry, Error, Result};
use service::{NewItem, Service, locked};
use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// The attribute that names the program, as other users of the service call it.
const APPLICATION: &str = "service";

/// The attribute that holds registry host and identity.
const USER: &str = "username";

/// The store. What is left of the patience, and the connection, are shared by all its entries.
#[derive(Clone, Debug)]
pub(super) struct Store {
    bus: SessionBus,
    line: Arc<Mutex<Line>>,
}

/// One process is one client of the service. GNOME Keyring 42 ends itself (`gkd_secret_service_get_pkcs11_session: assertion 'client'
/// failed`) when a client comes at the moment at which another leaves, so nothing here comes and goes.
struct Line {
    patience: Duration,
    service: Option<Service>,
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line")
            .field("patience", &self.patience)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// A store on this bus that keeps its caller waiting for [`PATIENCE`], or for as long as the caller has.
    pub(super) fn new(bus: SessionBus, patience: Duration) -> Self {
        Self {
            bus,
            line: Arc::new(Mutex::new(Line {
                patience: patience.min(PATIENCE),
                service: None,
            })),
        }
    }

    /// Puts a question to the service for as long as patience is left. The connection of an earlier question may be dead by now; then
    /// it is put on another one.
    fn ask<T>(&self, question: impl Fn(&mut Service) -> Result<T>) -> Result<T> {
        let mut line = self.line.lock().map_err(|_| unanswered())?;
        let started = Instant::now();
        let deadline = started + line.patience;
        let earlier = line.service.take();
        let answered = earlier.map(|service| put(service, deadline, &question));
        let (service, result) = match answered {
            Some(answered @ ((Some(_), _) | (None, Err(Error::NoStorageAccess(_))))) => answered,
            Some(_) | None => match Service::connect(&address::addresses(&self.bus), deadline) {
                Ok(service) => put(service, deadline, &question),
                Err(error) => (None, Err(error)),
            },
        };
        line.service = service;
        line.patience = line.patience.saturating_sub(started.elapsed());
        result
    }
}

/// The answer, and the connection if it can be used again.
fn put<T>(
    mut service: Service,
    deadline: Instant,
    question: impl Fn(&mut Service) -> Result<T>,
) -> (Option<Service>, Result<T>) {
    service.give_until(deadline);
    let result = question(&mut service);
    (
        matches!(result, Ok(_) | Err(Error::NoEntry)).then_some(service),
        result,
    )
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
        let name = spec.get("service").copied().unwrap_or(SERVICE);
        let users = self.ask(|service| users(service, name))?;
        Ok(users
            .iter()
            .map(|user| ServiceItem::entry(self, name, user))
            .collect())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    /// As long as the collection that entries go to. Nothing is promised when the service does not answer.
    fn persistence(&self) -> CredentialPersistence {
        let asked = self.ask(|service| {
            let asked = service.ask_collection()?;
            service.ends_with_session(asked)
        });
        match asked {
            Ok(true) => CredentialPersistence::UntilLogout,
            Ok(false) => CredentialPersistence::UntilDelete,
            Err(_) => CredentialPersistence::Unspecified,
        }
    }
}

/// The users of all items of a program, of locked ones too.
fn users(service: &mut Service, name: &str) -> Result<Vec<String>> {
    let asked = service.ask_collection()?;
    let found = service.find(&[(APPLICATION, name)])?;
    let collection = service.collection(asked)?;
    let locked = collection
        .map(|collection| service.ask_locked(&collection))
        .transpose()?;
    let items = found.unlocked.iter().chain(&found.locked);
    let attributes: Vec<_> = items
        .map(|item| service.ask_attributes(item))
        .collect::<Result<_>>()?;
    // What lies in a locked collection need not be found at all.
    locked.map_or(Ok(()), |locked| service.unlocked(locked))?;
    let mut users = Vec::new();
    for asked in attributes {
        match service.attribute(asked, USER) {
            // Another process has deleted it since.
            Err(Error::NoEntry) => (),
            user => users.push(user?),
        }
    }
    Ok(users)
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
        Entry::new_with_credential(Arc::new(Self {
            store: store.clone(),
            service: service.to_owned(),
            user: user.to_owned(),
        }))
    }

    fn attributes(&self) -> [(&str, &str); 2] {
        [(APPLICATION, &self.service), (USER, &self.user)]
    }

    /// What people see in their keyring.
    fn label(&self) -> String {
        match self.user.split(' ').next().unwrap_or_default() {
            "entra" => "Entra access token".into(),
            "login" => "Entra refresh token of a login".into(),
            host => format!("ACR refresh token for {host}"),
        }
    }

    /// The items that are unlocked, at least one.
    fn find(&self, service: &mut Service) -> Result<Vec<String>> {
        let found = service.find(&self.attributes())?;
        match (found.unlocked.is_empty(), found.locked.is_empty()) {
            (false, _) => Ok(found.unlocked),
            (true, true) => Err(Error::NoEntry),
            (true, false) => Err(locked()),
        }
    }
}

impl CredentialApi for ServiceItem {
    fn set_secret(&self, secret: &[u8]) -> Result<()> {
        self.store.ask(|service| {
            let session = service.ask_session()?;
            let asked = service.ask_collection()?;
            let session = service.session(session)?;
            let collection = service.collection(asked)?.ok_or_else(nowhere)?;
            let locked = service.ask_locked(&collection)?;
            service.unlocked(locked)?;
            let item = NewItem {
                label: &self.label(),
                attributes: &self.attributes(),
                secret,
            };
            service.create(&session, &collection, &item)
        })
    }

    fn get_secret(&self) -> Result<Vec<u8>> {
        self.store.ask(|service| {
            let session = service.ask_session()?;
            let items = self.find(service)?;
            let session = service.session(session)?;
            service.secret(&session, &items[0])
        })
    }

    fn delete_credential(&self) -> Result<()> {
        self.store.ask(|service| {
            let items = self.find(service)?;
            service.delete(&items)
        })
    }

    fn get_credential(&self) -> Result<Option<Arc<Credential>>> {
        self.store.ask(|service| self.find(service).map(|_| None))
    }

    fn get_specifiers(&self) -> Option<(String, String)> {
        Some((self.service.clone(), self.user.clone()))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn nowhere() -> Error {
    Error::NoStorageAccess("the Secret Service has no collection to write to".into())
}
