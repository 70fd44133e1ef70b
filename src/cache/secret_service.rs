//! The Secret Service of the desktop session as a store (GNOME Keyring, KWallet, KeePassXC;
//! specifications.freedesktop.org/secret-service, draft 0.2).
//!
//! It never prompts: a locked collection is an error, and the methods that unlock or prompt are not declared here. The session is a plain
//! one, because a program that can read the user's own bus can ask for the secret itself.
//!
//! Wrap it in [`super::timeout::Timeout`]: a daemon that is stopped, or that shows a dialog on no screen, never answers.
//!
//! KeePassXC 2.7.4 prompts for every item that is created or deleted, so that it can only be read.

use super::SERVICE;
use super::session_bus::{self, MAX_MESSAGE_BYTES};
use super::store::{Lasts, Store, StoreError};
use crate::config::SessionBus;
use crate::error::printable;
use std::collections::HashMap;
use std::fmt::Display;
use std::io;
use std::sync::{LazyLock, Mutex};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use zbus::proxy::CacheProperties;
use zbus::{Connection, DBusError, ObjectPath, OwnedObjectPath, OwnedVariant, Variant};
use zeroize::Zeroizing;

/// The attribute for the name of the program.
const SERVICE_ATTRIBUTE: &str = "service";

/// The attribute for the key.
const KEY_ATTRIBUTE: &str = "username";

/// The errors of a bus without the service, besides those that begin with `Spawn.`.
const NO_SERVICE: [&str; 5] = [
    "ServiceUnknown",
    "NameHasNoOwner",
    "UnknownObject",
    "UnknownInterface",
    "UnknownMethod",
];

/// The path that stands for no object.
const NO_OBJECT: &str = "/";

/// The path of an object.
type Path = OwnedObjectPath;

/// Names and values by which items are found.
type Attributes<'a> = HashMap<&'a str, &'a str>;

/// A secret as the service sends it: session, parameters, bytes, content type.
type Secret = (Path, Vec<u8>, Vec<u8>, String);

#[zbus::proxy(
    interface = "org.freedesktop.Secret.Service",
    default_service = "org.freedesktop.secrets",
    default_path = "/org/freedesktop/secrets"
)]
trait Service {
    fn open_session(
        &self,
        algorithm: &str,
        input: &Variant<'_>,
    ) -> zbus::Result<(OwnedVariant, Path)>;

    fn search_items(&self, attributes: Attributes<'_>) -> zbus::Result<(Vec<Path>, Vec<Path>)>;

    fn read_alias(&self, name: &str) -> zbus::Result<Path>;
}

#[zbus::proxy(
    interface = "org.freedesktop.Secret.Collection",
    default_service = "org.freedesktop.secrets",
    default_path = "/"
)]
trait Collection {
    fn create_item(
        &self,
        properties: HashMap<&str, Variant<'_>>,
        secret: &Secret,
        replace: bool,
    ) -> zbus::Result<(Path, Path)>;

    #[zbus(property)]
    fn locked(&self) -> zbus::Result<bool>;
}

#[zbus::proxy(
    interface = "org.freedesktop.Secret.Item",
    default_service = "org.freedesktop.secrets",
    default_path = "/"
)]
trait Item {
    fn get_secret(&self, session: &ObjectPath<'_>) -> zbus::Result<Secret>;

    fn delete(&self) -> zbus::Result<Path>;

    #[zbus(property)]
    fn attributes(&self) -> zbus::Result<HashMap<String, String>>;
}

/// Drives all connections, on the thread that runs an operation. It is never dropped: Tokio panics when a runtime is dropped inside another
/// one.
static RUNTIME: LazyLock<io::Result<Runtime>> =
    LazyLock::new(|| Builder::new_current_thread().enable_io().build());

/// The store. It keeps one connection: GNOME Keyring 42 crashes when a client connects while another disconnects.
#[derive(Debug)]
pub(super) struct SecretService {
    bus: SessionBus,
    connection: Mutex<Option<Connection>>,
}

impl SecretService {
    /// Returns the store on this bus. It connects when it is first used.
    pub(super) fn new(bus: SessionBus) -> Self {
        Self {
            bus,
            connection: Mutex::new(None),
        }
    }

    fn run<T>(
        &self,
        operation: impl AsyncFnOnce(ServiceProxy<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let runtime = RUNTIME.as_ref().map_err(failed)?;
        let mut slot = self.connection.lock().map_err(failed)?;
        runtime.block_on(async {
            let connection = match slot.take() {
                Some(connection) => connection,
                None => session_bus::connect(&self.bus).await?,
            };
            operation(ServiceProxy::new(slot.insert(connection)).await?).await
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
            let default = alias(&service, "default").await;
            Ok(default.is_some() && default != alias(&service, "session").await)
        });
        match is_permanent {
            Ok(true) => Lasts::UntilDeleted,
            Ok(false) | Err(_) => Lasts::UntilSessionEnds,
        }
    }

    fn get(&self, key: &str) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        self.run(async |service| {
            let (session, items) =
                tokio::try_join!(open_session(&service), unlocked_items(&service, key))?;
            let Some(path) = items.first() else {
                return Ok(None);
            };
            let item: ItemProxy<'_> = object(&service, path).await?;
            let secret = if_exists(item.get_secret(&session).await)?;
            Ok(secret.map(|(_, _, secret, _)| Zeroizing::new(secret)))
        })
    }

    fn set(&self, key: &str, secret: &[u8], _: Duration) -> Result<(), StoreError> {
        if secret.len() > MAX_MESSAGE_BYTES {
            return Err(StoreError::TooLong);
        }
        self.run(async |service| {
            let session = open_session(&service).await?;
            let collection = collection(&service)
                .await?
                .ok_or_else(|| unavailable("the Secret Service has no collection to write to"))?;
            let properties = HashMap::from([
                ("org.freedesktop.Secret.Item.Label", label(key).into()),
                (
                    "org.freedesktop.Secret.Item.Attributes",
                    attributes(key).into(),
                ),
            ]);
            let secret = (session, vec![], secret.to_owned(), "text/plain".to_owned());
            let (_, prompt) = collection.create_item(properties, &secret, true).await?;
            check_done(&prompt)
        })
    }

    fn delete(&self, key: &str) -> Result<bool, StoreError> {
        self.run(async |service| {
            let mut existed = false;
            for path in unlocked_items(&service, key).await? {
                let item: ItemProxy<'_> = object(&service, &path).await?;
                if let Some(prompt) = if_exists(item.delete().await)? {
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
            let attributes = HashMap::from([(SERVICE_ATTRIBUTE, SERVICE)]);
            let (unlocked, locked) = service.search_items(attributes).await?;
            // A search may miss the items of a locked collection.
            collection(&service).await?;
            let mut keys = vec![];
            for path in unlocked.iter().chain(&locked) {
                let item: ItemProxy<'_> = object(&service, path).await?;
                let attributes = if_exists(item.attributes().await)?;
                keys.extend(attributes.and_then(|mut found| found.remove(KEY_ATTRIBUTE)));
            }
            Ok(keys)
        })
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

/// Opens a session in which secrets are sent as they are.
async fn open_session(service: &ServiceProxy<'_>) -> Result<Path, StoreError> {
    let (_, session) = service.open_session("plain", &Variant::from("")).await?;
    Ok(session)
}

/// Returns the unlocked items of a key. Errors if all of them are locked.
async fn unlocked_items(service: &ServiceProxy<'_>, key: &str) -> Result<Vec<Path>, StoreError> {
    let (unlocked, locked) = service.search_items(attributes(key)).await?;
    if unlocked.is_empty() && !locked.is_empty() {
        return Err(is_locked());
    }
    Ok(unlocked)
}

/// Returns the collection that entries go to: the user's own, else the one that ends with the session. Errors if it is locked.
async fn collection<'a>(
    service: &ServiceProxy<'a>,
) -> Result<Option<CollectionProxy<'a>>, StoreError> {
    for name in ["default", "session"] {
        if let Some(path) = alias(service, name).await {
            let collection: CollectionProxy<'_> = object(service, &path).await?;
            if collection.locked().await? {
                return Err(is_locked());
            }
            return Ok(Some(collection));
        }
    }
    Ok(None)
}

async fn alias(service: &ServiceProxy<'_>, name: &str) -> Option<Path> {
    let path = service.read_alias(name).await.ok();
    path.filter(|path| path.as_str() != NO_OBJECT)
}

/// Returns a proxy that does not cache properties: caching would subscribe to signals.
async fn object<'a, T>(service: &ServiceProxy<'_>, path: &Path) -> zbus::Result<T>
where
    T: zbus::proxy::Defaults + From<zbus::Proxy<'a>>,
{
    let builder = zbus::proxy::Builder::new(service.inner().connection()).path(path.clone());
    builder.cache_properties(CacheProperties::No).build().await
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
        let name = name.strip_prefix("org.freedesktop.DBus.Error.");
        if name.is_some_and(|name| name.starts_with("Spawn.") || NO_SERVICE.contains(&name)) {
            return Self::Missing(printable(&error.to_string()));
        }
        failed(error)
    }
}

#[cfg(test)]
mod tests;
