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
use super::store::{Persistence, Store, StoreError};
use crate::config::SessionBus;
use crate::error::sanitize_line;
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

const ITEM: &str = "org.freedesktop.Secret.Item";

const COLLECTION: &str = "org.freedesktop.Secret.Collection";

const IS_LOCKED: &str = "the Secret Service is locked";

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

    /// Runs an operation. If it fails on the connection of an earlier one, which may have ended, it runs once more on a new connection.
    fn run<T>(
        &self,
        operation: &impl AsyncFn(&Service) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let runtime = RUNTIME.as_ref().map_err(failed)?;
        let mut connection = self.connection.lock().map_err(failed)?;
        runtime.block_on(async {
            let mut has_answered = Cell::new(false);
            if let Some(service) = connection.take() {
                let result = operation(&service).await;
                if !matches!(result, Err(StoreError::Failed(_))) {
                    *connection = Some(service);
                    return result;
                }
                has_answered = service.has_answered;
            }
            let service = Service {
                connection: session_bus::connect(&self.bus).await?,
                has_answered,
            };
            operation(connection.insert(service)).await
        })
    }
}

impl Store for SecretService {
    fn name(&self) -> &'static str {
        "Secret Service"
    }

    /// Asks the service. If the user has no collection, entries go to one that is only in memory.
    fn persistence(&self) -> Persistence {
        let is_permanent = self.run(&async |service| {
            let default = service.alias("default").await?;
            Ok(default.is_some() && default != service.alias("session").await?)
        });
        if is_permanent == Ok(true) {
            Persistence::UntilDeleted
        } else {
            Persistence::UntilSessionEnds
        }
    }

    fn get(&self, key: &str) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        self.run(&async |service| {
            let (session, items) =
                tokio::try_join!(service.open_session(), service.unlocked_items(key))?;
            let Some(item) = items.first() else {
                return Ok(None);
            };
            let secret = service.call(item, ITEM, "GetSecret", &session).await?;
            Ok(secret.map(|(_, _, secret, _): Secret| Zeroizing::new(secret)))
        })
    }

    fn set(&self, key: &str, secret: &[u8], _: Duration) -> Result<(), StoreError> {
        if secret.len() > MAX_MESSAGE_BYTES {
            return Err(StoreError::TooLong);
        }
        self.run(&async |service| {
            let session = service.open_session().await?;
            let properties = HashMap::from([
                (format!("{ITEM}.Label"), Variant::from(label(key))),
                (format!("{ITEM}.Attributes"), Variant::from(attributes(key))),
            ]);
            let parameters: &[u8] = &[];
            let secret = (&session, parameters, secret, "text/plain");
            let no_collection = || unavailable("the Secret Service has no collection to write to");
            let collection = service.collection().await?.ok_or_else(no_collection)?;
            let arguments = (properties, secret, true);
            let created = service.call(&collection, COLLECTION, "CreateItem", &arguments);
            let (_, prompt): (Path, Path) = created.await?.ok_or_else(no_collection)?;
            check_done(&prompt)
        })
    }

    fn delete(&self, key: &str) -> Result<bool, StoreError> {
        self.run(&async |service| {
            let mut existed = false;
            for item in service.unlocked_items(key).await? {
                if let Some(prompt) = service.call(&item, ITEM, "Delete", &()).await? {
                    check_done(&prompt)?;
                    existed = true;
                }
            }
            Ok(existed)
        })
    }

    /// Returns the keys of all items, also of locked ones.
    fn list(&self) -> Result<Vec<String>, StoreError> {
        self.run(&async |service| {
            let ours = HashMap::from([(SERVICE_ATTRIBUTE, SERVICE)]);
            let (unlocked, locked) = service.search(&ours).await?;
            // A search may miss the items of a locked collection.
            service.collection().await?;
            let mut keys = vec![];
            for item in unlocked.iter().chain(&locked) {
                let attributes = service.property(item, ITEM, "Attributes").await?;
                let key = |mut found: HashMap<String, String>| found.remove(KEY_ATTRIBUTE);
                keys.extend(attributes.and_then(key));
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
}

impl Service {
    /// Calls a method of an object. Returns `None` if there is no such object: another process may have just deleted it.
    async fn call<T: DeserializeOwned + Type>(
        &self,
        path: &str,
        interface: &str,
        method: &str,
        arguments: &(impl Serialize + DynamicType),
    ) -> Result<Option<T>, StoreError> {
        let call =
            self.connection
                .call_method(Some(BUS_NAME), path, Some(interface), method, arguments);
        let error = match call.await {
            Ok(answer) => {
                self.has_answered.set(true);
                return answer.body().deserialize().map(Some).map_err(failed);
            }
            Err(error) => error,
        };
        // The names of errors are those of the specification and of libdbus (`dbus-protocol.h`).
        let name = match &error {
            zbus::Error::FDO(error) => error.name().to_string(),
            zbus::Error::MethodError(name, ..) => name.to_string(),
            _ => String::new(),
        };
        let is_of_bus = |name: &str| {
            ["ServiceUnknown", "NameHasNoOwner"].contains(&name) || name.starts_with("Spawn.")
        };
        match name.trim_start_matches("org.freedesktop.") {
            "Secret.Error.NoSuchObject"
            | "DBus.Error.UnknownObject"
            | "DBus.Error.UnknownInterface"
            | "DBus.Error.UnknownMethod" => Ok(None),
            name if name.strip_prefix("DBus.Error.").is_some_and(is_of_bus)
                && !self.has_answered.get() =>
            {
                Err(StoreError::Missing(sanitize_line(&error.to_string())))
            }
            _ => Err(failed(error)),
        }
    }

    /// Calls a method of the service itself.
    async fn call_service<T: DeserializeOwned + Type>(
        &self,
        method: &str,
        arguments: &(impl Serialize + DynamicType),
    ) -> Result<T, StoreError> {
        let interface = "org.freedesktop.Secret.Service";
        let answer = self.call("/org/freedesktop/secrets", interface, method, arguments);
        let not_one =
            || failed("the program that owns its name on the bus is not a Secret Service");
        answer.await?.ok_or_else(not_one)
    }

    async fn property<T: TryFrom<OwnedVariant, Error: Display>>(
        &self,
        path: &str,
        interface: &str,
        name: &str,
    ) -> Result<Option<T>, StoreError> {
        let (properties, property) = ("org.freedesktop.DBus.Properties", (interface, name));
        let value: Option<OwnedVariant> = self.call(path, properties, "Get", &property).await?;
        value.map(T::try_from).transpose().map_err(failed)
    }

    /// Opens a session in which secrets are sent as they are.
    async fn open_session(&self) -> Result<Path, StoreError> {
        let arguments = ("plain", Variant::from(""));
        let opened: (OwnedVariant, Path) = self.call_service("OpenSession", &arguments).await?;
        Ok(opened.1)
    }

    /// Returns the unlocked items and the locked ones.
    async fn search(&self, by: &Attributes<'_>) -> Result<(Vec<Path>, Vec<Path>), StoreError> {
        self.call_service("SearchItems", by).await
    }

    /// Returns the unlocked items of a key. Errors if all of them are locked.
    async fn unlocked_items(&self, key: &str) -> Result<Vec<Path>, StoreError> {
        let (unlocked, locked) = self.search(&attributes(key)).await?;
        if unlocked.is_empty() && !locked.is_empty() {
            return Err(unavailable(IS_LOCKED));
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
            && self.property(path, COLLECTION, "Locked").await? == Some(true)
        {
            return Err(unavailable(IS_LOCKED));
        }
        Ok(collection)
    }

    async fn alias(&self, name: &str) -> Result<Option<Path>, StoreError> {
        let path: Path = self.call_service("ReadAlias", &name).await?;
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

fn unavailable(text: &str) -> StoreError {
    StoreError::Unavailable(text.to_owned())
}

pub(super) fn failed(error: impl Display) -> StoreError {
    StoreError::Failed(sanitize_line(&error.to_string()))
}

#[cfg(test)]
mod tests;
