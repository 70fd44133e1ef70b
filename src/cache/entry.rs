//! The keys of entries, and the tokens in them.

use super::store::StoreError;
use crate::registry::Registry;
use crate::text::digest16;
use crate::token::moment;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use std::time::SystemTime;
use zeroize::Zeroizing;

/// The first part of an access token's key, since the token is valid at all registries. No registry has this name.
const SIGN_IN: &str = "entra";

/// The first part of a login's key, whose token is valid at the authority.
const LOGIN: &str = "login";

/// Identifies a token by its registry host and the fingerprint of its identity, so that an identity never gets another identity's token.
/// Neither part can hold a space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key(String);

impl Key {
    /// Returns the key of a registry and the fingerprint of an identity ([`crate::identity::Identity::fingerprint`]).
    pub fn new(registry: &Registry, identity: &str) -> Self {
        Self(format!("{} {identity}", registry.host()))
    }

    /// Returns the key of an identity's access token.
    pub fn of_sign_in(identity: &str) -> Self {
        Self(format!("{SIGN_IN} {identity}"))
    }

    /// Returns the key of a login; `account` identifies it.
    pub fn of_login(account: &str) -> Self {
        Self(format!("{LOGIN} {}", digest16(account.as_bytes())))
    }

    /// Parses the key of an entry.
    pub(super) fn parse(text: String) -> Option<Self> {
        text.contains(' ').then_some(Self(text))
    }

    /// Returns the key of the entry.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    fn parts(&self) -> (&str, &str) {
        self.0.split_once(' ').unwrap_or_default()
    }

    /// Returns the registry host.
    pub fn host(&self) -> &str {
        self.parts().0
    }

    /// Returns a file name for the key. Neither part can hold a slash.
    pub fn file_name(&self) -> String {
        self.0.clone()
    }

    /// Returns whether it is the key of an access token.
    pub(super) fn is_of_sign_in(&self) -> bool {
        self.host() == SIGN_IN
    }

    /// Returns whether it is the key of a registry's refresh token.
    pub(super) fn is_of_registry(&self) -> bool {
        self.host().contains('.')
    }

    /// Returns whether it is a key of the identity with this fingerprint.
    pub(crate) fn is_of(&self, identity: &str) -> bool {
        self.parts().1 == identity
    }

    pub(super) fn is_of_same_identity(&self, other: &Self) -> bool {
        other.is_of(self.parts().1)
    }
}

/// The bytes of an entry, as JSON.
#[derive(Serialize, Deserialize)]
struct StoredToken<'a> {
    /// When a refresh token is renewed, or when an access token or a login is no longer used, in seconds since 1970.
    renew: u64,
    token: &'a str,
}

/// Encodes a token and its time.
pub(super) fn encode(
    token: &SecretString,
    time: SystemTime,
) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    let renew = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let stored = StoredToken {
        renew,
        token: token.expose_secret(),
    };
    let bytes = serde_json::to_vec(&stored).map_err(|_| StoreError::Unreadable)?;
    Ok(Zeroizing::new(bytes))
}

/// Decodes a token and its time.
pub(super) fn decode(bytes: &[u8]) -> Result<(SecretString, SystemTime), StoreError> {
    let stored: StoredToken<'_> =
        serde_json::from_slice(bytes).map_err(|_| StoreError::Unreadable)?;
    let time = moment(stored.renew).ok_or(StoreError::Unreadable)?;
    Ok((SecretString::from(stored.token), time))
}
