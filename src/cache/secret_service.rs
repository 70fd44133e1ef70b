//! The Secret Service of the desktop session as a store (GNOME Keyring, KWallet, KeePassXC;
//! specifications.freedesktop.org/secret-service, draft 0.2).
//!
//! It never prompts: what is locked counts as missing, and the methods that unlock or prompt are not even declared here. The session is a
//! plain one: a program that can listen on the user's own bus can as well ask for the secret.
//!
//! Wrap it in [`super::timeout::Timeout`]: a daemon that is stopped, or one that shows a dialog that nobody sees, never answers.
//!
//! KeePassXC 2.7.4 prompts for every item that is created or deleted, so that it is read only.

use super::SERVICE;
use super::session_bus::{Client, MAX_MESSAGE_BYTES};
use super::store::{Lasts, Store, StoreError};
use crate::config::SessionBus;
use crate::error::printable;
use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;
use zbus::proxy::CacheProperties;
use zbus::{Connection, DBusError, ObjectPath, OwnedObjectPath, OwnedVariant, Variant};
use zeroize::Zeroizing;

/// More items than this cannot be ours.
const MAX_ITEMS: usize = 1000;

/// The attribute that names the program, as other users of the service call it.
const SERVICE_ATTRIBUTE: &str = "service";

/// The attribute that holds the key.
const KEY_ATTRIBUTE: &str = "username";

/// The path that stands for no object.
const NO_OBJECT: &str = "/";

/// A secret as the service sends it: session, parameters, bytes, content type.
type Secret = (OwnedObjectPath, Vec<u8>, Vec<u8>, String);

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
    ) -> zbus::Result<(OwnedVariant, OwnedObjectPath)>;

    fn search_items(
        &self,
        attributes: HashMap<&str, &str>,
    ) -> zbus::Result<(Vec<OwnedObjectPath>, Vec<OwnedObjectPath>)>;

    fn read_alias(&self, name: &str) -> zbus::Result<OwnedObjectPath>;
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
    ) -> zbus::Result<(OwnedObjectPath, OwnedObjectPath)>;

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

    fn delete(&self) -> zbus::Result<OwnedObjectPath>;

    #[zbus(property)]
    fn attributes(&self) -> zbus::Result<HashMap<String, String>>;
}

/// The store. It keeps one connection: GNOME Keyring 42 crashes when a client connects while another disconnects.
#[derive(Debug)]
pub(super) struct SecretService {
    bus: SessionBus,
    client: Mutex<Option<Client>>,
}

impl SecretService {
    /// Returns the store on this bus. It connects when it is first used.
    pub(super) fn new(bus: SessionBus) -> Self {
        Self {
            bus,
            client: Mutex::new(None),
        }
    }

    /// Runs an operation on the connection. After a failure the next operation connects again.
    fn run<T>(
        &self,
        operation: impl AsyncFnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut slot = self.client.lock().map_err(|_| broken("poisoned"))?;
        let client = match slot.take() {
            Some(client) => client,
            None => Client::connect(&self.bus)?,
        };
        let result = client.run(operation);
        if !matches!(result, Err(StoreError::Failed(_))) {
            *slot = Some(client);
        }
        result
    }
}

impl Store for SecretService {
    fn name(&self) -> &'static str {
        "Secret Service"
    }

    /// Asks the service: without a collection of the user, entries go to one that is kept in memory.
    fn lasts(&self) -> Lasts {
        let is_permanent = self.run(async |connection| {
            let service = ServiceProxy::new(connection).await?;
            let default = alias(&service, "default").await;
            Ok(default.is_some() && default != alias(&service, "session").await)
        });
        match is_permanent {
            Ok(true) => Lasts::UntilDeleted,
            Ok(false) | Err(_) => Lasts::UntilSessionEnds,
        }
    }

    fn get(&self, key: &str) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        self.run(async |connection| {
            let (session, items) =
                tokio::try_join!(open_session(connection), unlocked_items(connection, key))?;
            let Some(item) = items.first() else {
                return Ok(None);
            };
            let item = object::<ItemProxy<'_>>(connection, item).await?;
            let secret = if_exists(item.get_secret(&session).await)?;
            Ok(secret.map(|(_, _, secret, _)| Zeroizing::new(secret)))
        })
    }

    fn set(&self, key: &str, secret: &[u8], _: Duration) -> Result<(), StoreError> {
        if secret.len() > MAX_MESSAGE_BYTES {
            return Err(StoreError::TooLong);
        }
        self.run(async |connection| {
            let session = open_session(connection).await?;
            let collection = collection(connection).await?;
            let collection = collection.ok_or_else(|| {
                StoreError::Unavailable("the Secret Service has no collection to write to".into())
            })?;
            let properties = HashMap::from([
                (
                    "org.freedesktop.Secret.Item.Label",
                    Variant::from(label(key)),
                ),
                (
                    "org.freedesktop.Secret.Item.Attributes",
                    Variant::from(attributes(key)),
                ),
            ]);
            let secret = (session, vec![], secret.to_owned(), "text/plain".to_owned());
            let (_, prompt) = collection.create_item(properties, &secret, true).await?;
            check_done(&prompt)
        })
    }

    fn delete(&self, key: &str) -> Result<bool, StoreError> {
        self.run(async |connection| {
            let mut existed = false;
            for item in unlocked_items(connection, key).await? {
                let item = object::<ItemProxy<'_>>(connection, &item).await?;
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
        self.run(async |connection| {
            let (unlocked, locked) =
                search(connection, HashMap::from([(SERVICE_ATTRIBUTE, SERVICE)])).await?;
            // Items of a locked collection need not be found at all.
            collection(connection).await?;
            let mut keys = vec![];
            for item in unlocked.iter().chain(&locked) {
                let item = object::<ItemProxy<'_>>(connection, item).await?;
                let attributes = if_exists(item.attributes().await)?;
                keys.extend(attributes.and_then(|mut found| found.remove(KEY_ATTRIBUTE)));
            }
            Ok(keys)
        })
    }
}

fn attributes(key: &str) -> HashMap<&str, &str> {
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
async fn open_session(connection: &Connection) -> Result<OwnedObjectPath, StoreError> {
    let service = ServiceProxy::new(connection).await?;
    let (_, session) = service.open_session("plain", &Variant::from("")).await?;
    Ok(session)
}

/// Finds the items with these attributes: the unlocked and the locked ones.
async fn search(
    connection: &Connection,
    attributes: HashMap<&str, &str>,
) -> Result<(Vec<OwnedObjectPath>, Vec<OwnedObjectPath>), StoreError> {
    let service = ServiceProxy::new(connection).await?;
    let (unlocked, locked) = service.search_items(attributes).await?;
    if unlocked.len() + locked.len() > MAX_ITEMS {
        return Err(broken(
            "the Secret Service finds more items than can be ours",
        ));
    }
    Ok((unlocked, locked))
}

/// Finds the unlocked items of a key. Errors if there are only locked ones.
async fn unlocked_items(
    connection: &Connection,
    key: &str,
) -> Result<Vec<OwnedObjectPath>, StoreError> {
    let (unlocked, locked) = search(connection, attributes(key)).await?;
    if unlocked.is_empty() && !locked.is_empty() {
        return Err(is_locked());
    }
    Ok(unlocked)
}

/// Returns the collection that entries go to: the user's own, else the one that ends with the session. Errors if it is locked.
async fn collection(connection: &Connection) -> Result<Option<CollectionProxy<'_>>, StoreError> {
    let service = ServiceProxy::new(connection).await?;
    let mut path = alias(&service, "default").await;
    if path.is_none() {
        path = alias(&service, "session").await;
    }
    let Some(path) = path else { return Ok(None) };
    let collection = object::<CollectionProxy<'_>>(connection, &path).await?;
    if collection.locked().await? {
        return Err(is_locked());
    }
    Ok(Some(collection))
}

async fn alias(service: &ServiceProxy<'_>, name: &str) -> Option<OwnedObjectPath> {
    let path = service.read_alias(name).await.ok();
    path.filter(|path| path.as_str() != NO_OBJECT)
}

/// Returns a proxy that does not cache properties: caching would subscribe to signals.
async fn object<'a, T>(connection: &'a Connection, path: &OwnedObjectPath) -> Result<T, StoreError>
where
    T: zbus::proxy::Defaults + From<zbus::Proxy<'a>>,
{
    let builder = zbus::proxy::Builder::new(connection).path(path.clone());
    Ok(builder
        .cache_properties(CacheProperties::No)
        .build()
        .await?)
}

/// Errors if the service did nothing because it wants to prompt first.
fn check_done(prompt: &OwnedObjectPath) -> Result<(), StoreError> {
    if prompt.as_str() == NO_OBJECT {
        return Ok(());
    }
    Err(StoreError::Unavailable(
        "the Secret Service wants to prompt".into(),
    ))
}

fn is_locked() -> StoreError {
    StoreError::Unavailable("the Secret Service is locked".into())
}

fn broken(text: &str) -> StoreError {
    StoreError::Failed(text.to_owned())
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

/// Returns the name of a D-Bus error, or nothing for another failure.
fn error_name(error: &zbus::Error) -> String {
    match error {
        zbus::Error::FDO(error) => error.name().to_string(),
        zbus::Error::MethodError(name, ..) => name.to_string(),
        _ => String::new(),
    }
}

/// The names are those of the Secret Service specification, "Errors", and of libdbus, `dbus-protocol.h`.
impl From<zbus::Error> for StoreError {
    fn from(error: zbus::Error) -> Self {
        let text = printable(&error.to_string());
        let name = error_name(&error);
        match name.rsplit_once('.').unwrap_or_default() {
            ("org.freedesktop.Secret.Error", "IsLocked") => is_locked(),
            (
                "org.freedesktop.DBus.Error",
                "ServiceUnknown" | "NameHasNoOwner" | "UnknownObject" | "UnknownInterface"
                | "UnknownMethod",
            )
            | ("org.freedesktop.DBus.Error.Spawn", _) => Self::Missing(text),
            ("org.freedesktop.DBus.Error", "NoReply" | "Timeout" | "TimedOut" | "AccessDenied") => {
                Self::Unavailable(text)
            }
            _ => Self::Failed(text),
        }
    }
}
