//! The Secret Service of the desktop session as a store (GNOME Keyring, KWallet, KeePassXC;
//! specifications.freedesktop.org/secret-service, draft 0.2).
//!
//! It never prompts: a locked collection is an error, and nothing here calls a method that unlocks or prompts. The session is a plain one,
//! because a program that can read the user's own bus can ask for the secret itself.
//!
//! Wrap it in [`super::timeout::Timeout`]: a daemon that is stopped, or that shows a dialog on no screen, never answers.
//!
//! Our own copies of a secret are wiped. Those in the message buffers of zbus cannot be, and are freed with the message.
//!
//! KeePassXC 2.7.4 prompts for every item that is created or deleted, so that it can only be read.

use super::SERVICE;
use super::session_bus::{self, MAX_MESSAGE_BYTES};
use super::store::{Lasts, Store, StoreError};
use crate::config::SessionBus;
use crate::error::printable;
use serde::{Serialize, de::DeserializeOwned};
use std::cell::Cell;
use std::collections::HashMap;
use std::fmt::Display;
use std::io;
use std::sync::{LazyLock, Mutex};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use zbus::{Connection, DBusError, DynamicType, OwnedObjectPath, OwnedVariant, Type, Variant};
use zeroize::Zeroizing;

/// The attribute for the name of the program.
const SERVICE_ATTRIBUTE: &str = "service";

/// The attribute for the key.
const KEY_ATTRIBUTE: &str = "username";

const BUS_NAME: &str = "org.freedesktop.secrets";

const SERVICE_PATH: &str = "/org/freedesktop/secrets";

const SERVICE_INTERFACE: &str = "org.freedesktop.Secret.Service";

const COLLECTION_INTERFACE: &str = "org.freedesktop.Secret.Collection";

const ITEM_INTERFACE: &str = "org.freedesktop.Secret.Item";

/// The path that stands for no object.
const NO_OBJECT: &str = "/";

/// The path of an object.
type Path = OwnedObjectPath;

/// Names and values by which items are found.
type Attributes<'a> = HashMap<&'a str, &'a str>;

/// A secret as the service sends it: session, parameters, bytes, content type.
type Secret = (Path, Vec<u8>, Vec<u8>, String);

/// Drives all connections, on the thread that runs an operation. It is never dropped: Tokio panics when a runtime is dropped inside another
/// one.
static RUNTIME: LazyLock<io::Result<Runtime>> =
    LazyLock::new(|| Builder::new_current_thread().enable_io().build());

/// The store. It keeps one connection: GNOME Keyring 42 crashes when a client connects while another disconnects.
#[derive(Debug)]
pub(super) struct SecretService {
    bus: SessionBus,
    connection: Mutex<Option<Service>>,
}

impl SecretService {
    /// Returns the store on this bus. It connects when it is first used.
    pub(super) fn new(bus: SessionBus) -> Self {
        Self {
            bus,
            connection: Mutex::new(None),
        }
    }

    /// Runs an operation. If the connection of an earlier operation has ended, it runs once more on a new one.
    fn run<T>(
        &self,
        operation: impl AsyncFn(&Service) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let runtime = RUNTIME.as_ref().map_err(failed)?;
        let mut connected = self.connection.lock().map_err(failed)?;
        runtime.block_on(async {
            if let Some(service) = connected.as_ref() {
                let result = service.run(&operation).await;
                if !service.is_broken.get() {
                    return result;
                }
                *connected = None;
            }
            let connection = session_bus::connect(&self.bus).await?;
            let service = connected.insert(Service {
                connection,
                has_answered: Cell::new(false),
                is_broken: Cell::new(false),
            });
            service.run(&operation).await
        })
    }
}

impl Store for SecretService {
    fn name(&self) -> &'static str {
        "Secret Service"
    }

    /// Asks the service. If the user has no collection, entries go to one that is only in memory.
    fn lasts(&self) -> Lasts {
        let is_permanent = self.run(async |service| {
            let default = service.alias("default").await?;
            Ok(default.is_some() && default != service.alias("session").await?)
        });
        match is_permanent {
            Ok(true) => Lasts::UntilDeleted,
            Ok(false) | Err(_) => Lasts::UntilSessionEnds,
        }
    }

    fn get(&self, key: &str) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        self.run(async |service| {
            let (session, items) =
                tokio::try_join!(service.open_session(), service.unlocked_items(key))?;
            let Some(item) = items.first() else {
                return Ok(None);
            };
            let answer = service
                .call(item, ITEM_INTERFACE, "GetSecret", &session)
                .await;
            let secret = if_exists(answer)?;
            Ok(secret.map(|(_, _, secret, _): Secret| Zeroizing::new(secret)))
        })
    }

    fn set(&self, key: &str, secret: &[u8], _: Duration) -> Result<(), StoreError> {
        if secret.len() > MAX_MESSAGE_BYTES {
            return Err(StoreError::TooLong);
        }
        self.run(async |service| {
            let session = service.open_session().await?;
            let collection = service
                .collection()
                .await?
                .ok_or_else(|| unavailable("the Secret Service has no collection to write to"))?;
            let properties: HashMap<&str, Variant<'_>> = HashMap::from([
                ("org.freedesktop.Secret.Item.Label", label(key).into()),
                (
                    "org.freedesktop.Secret.Item.Attributes",
                    attributes(key).into(),
                ),
            ]);
            let parameters: &[u8] = &[];
            let secret = (&session, parameters, secret, "text/plain");
            let replace = true;
            let (_, prompt): (Path, Path) = service
                .call(
                    &collection,
                    COLLECTION_INTERFACE,
                    "CreateItem",
                    &(properties, secret, replace),
                )
                .await?;
            check_done(&prompt)
        })
    }

    fn delete(&self, key: &str) -> Result<bool, StoreError> {
        self.run(async |service| {
            let mut existed = false;
            for item in service.unlocked_items(key).await? {
                let answer = service.call(&item, ITEM_INTERFACE, "Delete", &()).await;
                if let Some(prompt) = if_exists(answer)? {
                    check_done(&prompt)?;
                    existed = true;
                }
            }
            Ok(existed)
        })
    }

    /// Returns the keys of all items, also of locked ones.
    fn list(&self) -> Result<Vec<String>, StoreError> {
        self.run(async |service| {
            let ours = HashMap::from([(SERVICE_ATTRIBUTE, SERVICE)]);
            let (unlocked, locked) = service.search(ours).await?;
            // A search may miss the items of a locked collection.
            service.collection().await?;
            let mut keys = vec![];
            for item in unlocked.iter().chain(&locked) {
                let attributes = service.property(item, ITEM_INTERFACE, "Attributes").await;
                let attributes: Option<HashMap<String, String>> = if_exists(attributes)?;
                keys.extend(attributes.and_then(|mut found| found.remove(KEY_ATTRIBUTE)));
            }
            Ok(keys)
        })
    }
}

/// The service, by a connection to its bus.
#[derive(Debug)]
struct Service {
    connection: Connection,
    /// Whether it has answered a call. Until then, an error may mean that this bus has no such service.
    has_answered: Cell<bool>,
    /// Whether the connection has ended.
    is_broken: Cell<bool>,
}

impl Service {
    async fn run<T>(
        &self,
        operation: impl AsyncFn(&Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        operation(self).await.map_err(|error| match error {
            StoreError::Missing(text) if self.has_answered.get() => StoreError::Failed(text),
            error => error,
        })
    }

    /// Calls a method of an object.
    async fn call<T: DeserializeOwned + Type>(
        &self,
        path: &str,
        interface: &str,
        method: &str,
        arguments: &(impl Serialize + DynamicType),
    ) -> zbus::Result<T> {
        let call =
            self.connection
                .call_method(Some(BUS_NAME), path, Some(interface), method, arguments);
        let answer = call.await;
        match &answer {
            Ok(_) => self.has_answered.set(true),
            Err(zbus::Error::InputOutput(_)) => self.is_broken.set(true),
            Err(_) => {}
        }
        answer?.body().deserialize()
    }

    async fn property<T>(&self, path: &str, interface: &str, name: &str) -> zbus::Result<T>
    where
        T: TryFrom<OwnedVariant>,
        zbus::Error: From<T::Error>,
    {
        let properties = "org.freedesktop.DBus.Properties";
        let value: OwnedVariant = self
            .call(path, properties, "Get", &(interface, name))
            .await?;
        Ok(value.try_into()?)
    }

    /// Opens a session in which secrets are sent as they are.
    async fn open_session(&self) -> Result<Path, StoreError> {
        let arguments = ("plain", Variant::from(""));
        let (_, session): (OwnedVariant, Path) = self
            .call(SERVICE_PATH, SERVICE_INTERFACE, "OpenSession", &arguments)
            .await?;
        Ok(session)
    }

    /// Returns the unlocked items and the locked ones.
    async fn search(&self, attributes: Attributes<'_>) -> zbus::Result<(Vec<Path>, Vec<Path>)> {
        self.call(SERVICE_PATH, SERVICE_INTERFACE, "SearchItems", &attributes)
            .await
    }

    /// Returns the unlocked items of a key. Errors if all of them are locked.
    async fn unlocked_items(&self, key: &str) -> Result<Vec<Path>, StoreError> {
        let (unlocked, locked) = self.search(attributes(key)).await?;
        if unlocked.is_empty() && !locked.is_empty() {
            return Err(is_locked());
        }
        Ok(unlocked)
    }

    /// Returns the collection that entries go to: the user's own, else the one that ends with the session. Errors if it is locked.
    async fn collection(&self) -> Result<Option<Path>, StoreError> {
        let mut collection = self.alias("default").await?;
        if collection.is_none() {
            collection = self.alias("session").await?;
        }
        if let Some(path) = &collection
            && self.property(path, COLLECTION_INTERFACE, "Locked").await?
        {
            return Err(is_locked());
        }
        Ok(collection)
    }

    async fn alias(&self, name: &str) -> Result<Option<Path>, StoreError> {
        let path: Path = self
            .call(SERVICE_PATH, SERVICE_INTERFACE, "ReadAlias", &name)
            .await?;
        Ok(Some(path).filter(|path| path.as_str() != NO_OBJECT))
    }
}

fn attributes(key: &str) -> Attributes<'_> {
    HashMap::from([(SERVICE_ATTRIBUTE, SERVICE), (KEY_ATTRIBUTE, key)])
}

/// Returns what users see in their keyring.
fn label(key: &str) -> String {
    match key.split(' ').next().unwrap_or_default() {
        "entra" => "Entra access token".into(),
        "login" => "Entra refresh token of a login".into(),
        "self-test" => "Test of the keyring".into(),
        host => format!("ACR refresh token for {host}"),
    }
}

/// Errors if the service did nothing because it would have to prompt.
fn check_done(prompt: &Path) -> Result<(), StoreError> {
    if prompt.as_str() == NO_OBJECT {
        return Ok(());
    }
    Err(unavailable("the Secret Service wants to prompt"))
}

fn is_locked() -> StoreError {
    unavailable("the Secret Service is locked")
}

fn unavailable(text: &str) -> StoreError {
    StoreError::Unavailable(text.to_owned())
}

fn failed(error: impl Display) -> StoreError {
    StoreError::Failed(printable(&error.to_string()))
}

/// Returns `None` for an object that another process has just deleted.
fn if_exists<T>(result: zbus::Result<T>) -> Result<Option<T>, StoreError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) => match error_name(&error).as_str() {
            "org.freedesktop.Secret.Error.NoSuchObject"
            | "org.freedesktop.DBus.Error.UnknownObject"
            | "org.freedesktop.DBus.Error.UnknownInterface"
            | "org.freedesktop.DBus.Error.UnknownMethod" => Ok(None),
            _ => Err(error.into()),
        },
    }
}

/// Returns the name of a D-Bus error (libdbus, `dbus-protocol.h`), or nothing for another failure.
fn error_name(error: &zbus::Error) -> String {
    match error {
        zbus::Error::FDO(error) => error.name().to_string(),
        zbus::Error::MethodError(name, ..) => name.to_string(),
        _ => String::new(),
    }
}

impl From<zbus::Error> for StoreError {
    fn from(error: zbus::Error) -> Self {
        let name = error_name(&error);
        match name.strip_prefix("org.freedesktop.DBus.Error.") {
            // A bus without the service, or another program under its name.
            Some(
                "ServiceUnknown" | "NameHasNoOwner" | "UnknownObject" | "UnknownInterface"
                | "UnknownMethod",
            ) => Self::Missing(printable(&error.to_string())),
            Some(name) if name.starts_with("Spawn.") => {
                Self::Missing(printable(&error.to_string()))
            }
            _ => failed(error),
        }
    }
}

#[cfg(test)]
mod tests;
