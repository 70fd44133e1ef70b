//! What is asked of the Secret Service (specifications.freedesktop.org/secret-service, draft 0.2).
//!
//! Functions that begin with `ask` only make a call ready; what was asked together is answered in one round trip. Prompts, which
//! the service offers where something is locked, are never shown: they stay unless they are asked for.

use super::address::Address;
use super::connection::{Connection, Pending, garbled};
use super::message::{Call, Reply};
use super::wire::{Reader, Writer};
use keyring_core::{Error, Result};
use std::time::Instant;

/// The service's name on the bus and its own path there.
const DESTINATION: &str = "org.freedesktop.secrets";
const ROOT: &str = "/org/freedesktop/secrets";

// Interfaces.
const SERVICE: &str = "org.freedesktop.Secret.Service";
const COLLECTION: &str = "org.freedesktop.Secret.Collection";
const ITEM: &str = "org.freedesktop.Secret.Item";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

/// The path that stands for none.
const NONE: &str = "/";

/// Collections that entries may go to, by their aliases: the user's own one, else one that ends with the session.
const ALIASES: [&str; 2] = ["default", "session"];

/// More items than this are not ours.
const MOST_ITEMS: usize = 1000;

/// Names and values by which an item is found.
pub(super) type Attributes<'a> = [(&'a str, &'a str)];

/// Paths of the items that were found.
pub(super) struct Found {
    pub(super) unlocked: Vec<String>,
    pub(super) locked: Vec<String>,
}

/// An item to be made.
pub(super) struct NewItem<'a> {
    pub(super) label: &'a str,
    pub(super) attributes: &'a Attributes<'a>,
    pub(super) secret: &'a [u8],
}

/// The service on one connection.
pub(super) struct Service(Connection);

impl Service {
    /// Connects to the bus; whether the service is there is seen at the first answer.
    pub(super) fn connect(addresses: &[Address], deadline: Instant) -> Result<Self> {
        Connection::open(addresses, deadline).map(Self)
    }

    /// Everything from now on takes no longer than until `deadline`.
    pub(super) fn give_until(&mut self, deadline: Instant) {
        self.0.give_until(deadline);
    }

    /// Asks for a session in which secrets are sent as they are.
    pub(super) fn ask_session(&mut self) -> Result<Pending> {
        let mut body = Writer::default();
        body.string("plain");
        body.signature("s");
        body.string("");
        self.call(ROOT, SERVICE, "OpenSession", "sv", body)
    }

    /// The path of the session.
    pub(super) fn session(&mut self, asked: Pending) -> Result<String> {
        self.answer(asked, "vo", |body| {
            let output = body.signature()?;
            body.skip(output)?;
            body.path().map(str::to_owned)
        })
        .map_err(unsupported)
    }

    /// Finds the items that have these attributes.
    pub(super) fn find(&mut self, attributes: &Attributes<'_>) -> Result<Found> {
        let mut body = Writer::default();
        body.strings(attributes);
        let pending = self.call(ROOT, SERVICE, "SearchItems", "a{ss}", body)?;
        let found = self.answer(pending, "aoao", |body| {
            let mut paths = || body.array(4, |body| body.path().map(str::to_owned));
            Some(Found {
                unlocked: paths()?,
                locked: paths()?,
            })
        });
        let found = found.map_err(unsupported)?;
        if found.unlocked.len() + found.locked.len() > MOST_ITEMS {
            return Err(Error::PlatformFailure(
                "the Secret Service finds more items than can be ours".into(),
            ));
        }
        Ok(found)
    }

    /// The secret of an item.
    pub(super) fn secret(&mut self, session: &str, item: &str) -> Result<Vec<u8>> {
        let mut body = Writer::default();
        body.string(session);
        let pending = self.call(item, ITEM, "GetSecret", "o", body)?;
        self.answer(pending, "(oayays)", |body| {
            let (_session, _parameters, secret) = (body.path()?, body.bytes()?, body.bytes()?);
            Some(secret.to_vec())
        })
    }

    /// Deletes items.
    pub(super) fn delete(&mut self, items: &[String]) -> Result<()> {
        let asked: Vec<_> = items
            .iter()
            .map(|item| self.call(item, ITEM, "Delete", "", Writer::default()))
            .collect::<Result<_>>()?;
        for pending in asked {
            let prompt = self.answer(pending, "o", |body| body.path().map(str::to_owned))?;
            unprompted(&prompt)?;
        }
        Ok(())
    }

    /// Asks for the collection that entries go to.
    pub(super) fn ask_collection(&mut self) -> Result<[Pending; 2]> {
        let mut ask = |alias| {
            let mut body = Writer::default();
            body.string(alias);
            self.call(ROOT, SERVICE, "ReadAlias", "s", body)
        };
        Ok([ask(ALIASES[0])?, ask(ALIASES[1])?])
    }

    /// The collection that entries go to, if there is one.
    pub(super) fn collection(&mut self, asked: [Pending; 2]) -> Result<Option<String>> {
        for pending in asked {
            let reply = self.0.answer(pending)?;
            let path = reply
                .body("o")
                .and_then(|mut body| body.path().map(str::to_owned));
            if let Some(path) = path.filter(|path| path != NONE) {
                return Ok(Some(path));
            }
        }
        Ok(None)
    }

    /// Whether the collection that entries go to is kept in memory, and ends with the user's session. The default one may be that one.
    pub(super) fn ends_with_session(&mut self, asked: [Pending; 2]) -> Result<bool> {
        let [default, session] = asked;
        let default = self.0.answer(default)?;
        let session = self.0.answer(session)?;
        let path = |reply: &Reply| {
            reply
                .body("o")
                .and_then(|mut body| body.path().map(str::to_owned))
        };
        let default = path(&default).filter(|path| path != NONE);
        Ok(default.is_none() || default == path(&session))
    }

    /// Asks whether a collection is locked.
    pub(super) fn ask_locked(&mut self, collection: &str) -> Result<Pending> {
        self.ask_property(collection, COLLECTION, "Locked")
    }

    /// Errors unless the collection is said to be unlocked.
    pub(super) fn unlocked(&mut self, asked: Pending) -> Result<()> {
        let is_locked = self.property(asked, "b", |value| value.boolean())?;
        if is_locked { Err(locked()) } else { Ok(()) }
    }

    /// Asks for the attributes of an item.
    pub(super) fn ask_attributes(&mut self, item: &str) -> Result<Pending> {
        self.ask_property(item, ITEM, "Attributes")
    }

    /// One attribute of an item, empty if it has none of that name.
    pub(super) fn attribute(&mut self, asked: Pending, name: &str) -> Result<String> {
        self.property(asked, "a{ss}", |value| {
            let found = value
                .strings()?
                .into_iter()
                .find(|(found, _)| *found == name);
            Some(found.map_or_else(String::new, |(_, value)| value.to_owned()))
        })
    }

    /// Makes an item, in place of one with the same attributes.
    pub(super) fn create(
        &mut self,
        session: &str,
        collection: &str,
        item: &NewItem<'_>,
    ) -> Result<()> {
        let mut body = Writer::default();
        body.array(8, |properties| {
            properties.align(8);
            properties.string("org.freedesktop.Secret.Item.Label");
            properties.signature("s");
            properties.string(item.label);
            properties.align(8);
            properties.string("org.freedesktop.Secret.Item.Attributes");
            properties.signature("a{ss}");
            properties.strings(item.attributes);
        });
        body.align(8);
        body.string(session);
        body.bytes(&[]);
        body.bytes(item.secret);
        body.string("text/plain");
        let replace = 1;
        body.u32(replace);
        let pending = self.call(collection, COLLECTION, "CreateItem", "a{sv}(oayays)b", body)?;
        let prompt = self.answer(pending, "oo", |body| {
            body.path()?;
            body.path().map(str::to_owned)
        })?;
        unprompted(&prompt)
    }

    fn ask_property(&mut self, path: &str, interface: &str, name: &str) -> Result<Pending> {
        let mut body = Writer::default();
        body.string(interface);
        body.string(name);
        self.call(path, PROPERTIES, "Get", "ss", body)
    }

    fn property<T>(
        &mut self,
        asked: Pending,
        signature: &str,
        read: impl FnOnce(&mut Reader<'_>) -> Option<T>,
    ) -> Result<T> {
        self.answer(asked, "v", |body| {
            (body.signature()? == signature).then(|| read(body))?
        })
    }

    fn call(
        &mut self,
        path: &str,
        interface: &str,
        member: &str,
        signature: &str,
        body: Writer,
    ) -> Result<Pending> {
        self.0.call(Call {
            destination: DESTINATION,
            path,
            interface,
            member,
            signature,
            body,
        })
    }

    fn answer<T>(
        &mut self,
        pending: Pending,
        signature: &str,
        read: impl FnOnce(&mut Reader<'_>) -> Option<T>,
    ) -> Result<T> {
        let reply = self.0.answer(pending)?;
        if let Some(name) = &reply.error {
            return Err(failure(name, &reply));
        }
        reply
            .body(signature)
            .and_then(|mut body| read(&mut body))
            .ok_or_else(garbled)
    }
}

/// What is done only after a prompt is not done.
fn unprompted(prompt: &str) -> Result<()> {
    if prompt == NONE {
        Ok(())
    } else {
        Err(Error::NoStorageAccess(
            "the Secret Service wants to ask its user".into(),
        ))
    }
}

/// What has no such method at the service's own path is no Secret Service.
fn unsupported(error: Error) -> Error {
    match error {
        Error::NoEntry => {
            Error::NotSupportedByStore("there is no Secret Service at its path".into())
        }
        other => other,
    }
}

pub(super) fn locked() -> Error {
    Error::NoStorageAccess("the Secret Service is locked".into())
}

/// An error in the terms of keyring-core. The names are those of the Secret Service specification, "Errors", and of libdbus,
/// `dbus-protocol.h`; an object that is gone has none of the methods that it had (`GDBus`).
fn failure(name: &str, reply: &Reply) -> Error {
    let text: String = format!("{name}: {}", reply.text())
        .chars()
        .take(300)
        .collect();
    let (domain, word) = name.rsplit_once('.').unwrap_or(("", name));
    match (domain, word) {
        ("org.freedesktop.Secret.Error", "IsLocked") => locked(),
        ("org.freedesktop.Secret.Error", "NoSuchObject")
        | ("org.freedesktop.DBus.Error", "UnknownObject" | "UnknownInterface" | "UnknownMethod") => {
            Error::NoEntry
        }
        ("org.freedesktop.DBus.Error", "ServiceUnknown" | "NameHasNoOwner")
        | ("org.freedesktop.DBus.Error.Spawn", _) => Error::NotSupportedByStore(text),
        ("org.freedesktop.DBus.Error", "NoReply" | "Timeout" | "TimedOut" | "AccessDenied") => {
            Error::NoStorageAccess(text.into())
        }
        _ => Error::PlatformFailure(text.into()),
    }
}
