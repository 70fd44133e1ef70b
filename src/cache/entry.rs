//! What an entry of a store is called, and the bytes in it.

use super::SERVICE;
use crate::registry::Registry;
use crate::text::digest16;
use crate::token::moment;
use keyring_core::{Entry, Error};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use std::time::SystemTime;
use zeroize::Zeroizing;

/// What stands in place of a registry in the key of an access token, which is good at all of them. No registry is called so.
const SIGN_IN: &str = "entra";

/// What stands in place of a registry in the key of a login, whose token is good at the authority.
const LOGIN: &str = "login";

/// Whose token for which registry: an identity can never be given another one's token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    host: String,
    identity: String,
}

impl Key {
    /// The key of a registry and the fingerprint of an identity ([`crate::identity::Identity::fingerprint`]).
    pub fn new(registry: &Registry, identity: &str) -> Self {
        Self {
            host: registry.host().to_owned(),
            identity: identity.to_owned(),
        }
    }

    /// The key of an identity's access token.
    pub fn of_sign_in(identity: &str) -> Self {
        Self {
            host: SIGN_IN.to_owned(),
            identity: identity.to_owned(),
        }
    }

    /// The key of the Entra refresh token of a login, which differs whenever `who` does.
    pub fn of_login(who: &str) -> Self {
        Self {
            host: LOGIN.to_owned(),
            identity: digest16(who.as_bytes()),
        }
    }

    /// The registry host.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// A file name for what belongs to the key: neither part can hold a slash.
    pub fn file_name(&self) -> String {
        self.user()
    }

    /// Whether it is the key of an access token.
    pub(super) fn is_of_sign_in(&self) -> bool {
        self.host == SIGN_IN
    }

    /// Whether it is the key of a login.
    pub(super) fn is_of_login(&self) -> bool {
        self.host == LOGIN
    }

    /// Whether it is the key of a registry's refresh token.
    pub(super) fn is_of_registry(&self) -> bool {
        !self.is_of_sign_in() && !self.is_of_login()
    }

    /// Whether it is that of an identity by its fingerprint.
    pub(crate) fn is_of(&self, identity: &str) -> bool {
        self.identity == identity
    }

    pub(super) fn is_of_same_identity(&self, other: &Self) -> bool {
        self.identity == other.identity
    }

    /// The user part of an entry: host and fingerprint. Neither can hold a space.
    pub(super) fn user(&self) -> String {
        format!("{} {}", self.host, self.identity)
    }

    pub(super) fn of(entry: &Entry) -> Option<Self> {
        let (service, user) = entry.get_specifiers()?;
        let (host, identity) = user.split_once(' ')?;
        (service == SERVICE).then(|| Self {
            host: host.to_owned(),
            identity: identity.to_owned(),
        })
    }
}

/// The bytes of an entry, as JSON.
#[derive(Serialize, Deserialize)]
pub(super) struct Stored<'a> {
    /// Seconds since 1970 from which on a refresh token is renewed, or an access token or a login no longer used.
    renew: u64,
    token: &'a str,
}

impl<'a> Stored<'a> {
    pub(super) fn new(token: &'a SecretString, renew: SystemTime) -> Self {
        let renew = renew
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        Self {
            renew,
            token: token.expose_secret(),
        }
    }

    pub(super) fn bytes(&self) -> keyring_core::Result<Zeroizing<Vec<u8>>> {
        serde_json::to_vec(self)
            .map(Zeroizing::new)
            .map_err(|error| Error::PlatformFailure(error.into()))
    }
}

/// The token of an entry, and the time stored beside it.
pub(super) fn parse(bytes: &[u8]) -> keyring_core::Result<(SecretString, SystemTime)> {
    let malformed = || Error::BadStoreFormat("the entry is not one of ours".into());
    let stored: Stored<'_> = serde_json::from_slice(bytes).map_err(|_| malformed())?;
    let time = moment(stored.renew).ok_or_else(malformed)?;
    Ok((SecretString::from(stored.token), time))
}
