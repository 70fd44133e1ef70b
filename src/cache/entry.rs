//! The keys of entries, and the tokens in them.

use crate::registry::Registry;
use crate::text::digest16;
use crate::token::from_unix_seconds;
use secrecy::{ExposeSecret, SecretString};
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
    pub fn access_token(identity: &str) -> Self {
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

    /// Returns the key of the entry, which is also a file name: neither part can hold a slash.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the registry host.
    pub fn host(&self) -> &str {
        self.0.split_once(' ').unwrap_or_default().0
    }

    /// Returns the fingerprint of the identity.
    pub(super) fn identity(&self) -> &str {
        self.0.split_once(' ').unwrap_or_default().1
    }

    /// Returns whether it is the key of an access token.
    pub(super) fn is_access_token(&self) -> bool {
        self.host() == SIGN_IN
    }

    /// Returns whether it is the key of a registry's refresh token.
    pub(super) fn is_of_registry(&self) -> bool {
        self.host().contains('.')
    }

    /// Returns whether it is a key of the identity with this fingerprint.
    pub(crate) fn is_of(&self, identity: &str) -> bool {
        self.identity() == identity
    }
}

/// Encodes a token and its time: when a refresh token is renewed, or when an access token or a login is no longer used. An entry is the
/// seconds since 1970, a space and the token.
pub(super) fn encode(token: &SecretString, time: SystemTime) -> Zeroizing<Vec<u8>> {
    let since_1970 = time.duration_since(SystemTime::UNIX_EPOCH);
    let seconds = since_1970.unwrap_or_default().as_secs().to_string();
    Zeroizing::new([&seconds, " ", token.expose_secret()].concat().into_bytes())
}

/// Decodes a token and its time.
pub(super) fn decode(entry: &[u8]) -> Option<(SecretString, SystemTime)> {
    let (seconds, token) = std::str::from_utf8(entry).ok()?.split_once(' ')?;
    let time = from_unix_seconds(seconds.parse().ok()?)?;
    Some((SecretString::from(token), time))
}
