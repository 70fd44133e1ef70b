//! Reads the claims of a JWT. [`Claims`] are shown, and their expiry also decides how long a token is cached. They never contain the token
//! itself.
//!
//! Registries changed the case of some names over the years (`Actions`, `actions`), and leave others out. So every claim is optional, and its
//! name may be in any case.

use super::from_unix_seconds;
use crate::text::sanitize_line;
use azure_core::base64::decode_url_safe;
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::time::SystemTime;

/// Returns the payload of a JWT; none if the token is opaque, or encrypted (five parts, RFC 7516).
pub(crate) fn payload(token: &str) -> Option<&str> {
    let parts = token.split('.').count();
    token.split('.').nth(1).filter(|_| parts != 5)
}

/// Reads JSON in base64url, as the parts of a JWT are, unless it is nested more than 128 deep.
pub(crate) fn decode<T: DeserializeOwned>(part: &str) -> Option<T> {
    // Other alphabets are accepted, so that a JWT in one of them is not treated as a token without claims.
    let part = part
        .trim_end_matches('=')
        .replace('+', "-")
        .replace('/', "_");
    serde_json::from_slice(&decode_url_safe(part).ok()?).ok()
}

/// The claims of an access token, a refresh token or a registry access token.
#[derive(Clone, Debug, Default)]
pub struct Claims(Value);

impl Claims {
    /// Reads a token. Returns `None` if it is opaque or encrypted.
    pub fn from_token(token: &SecretString) -> Option<Self> {
        let claims: Value = decode(payload(token.expose_secret())?)?;
        claims.is_object().then_some(Self(claims))
    }

    /// Returns the audience (`aud`).
    pub fn audience(&self) -> Option<String> {
        text(&self.0, "aud")
    }

    /// Returns the tenant it was issued in (`tid`, or `tenant` in those of registries).
    pub fn tenant(&self) -> Option<String> {
        self.texts("tid tenant").next()
    }

    /// Returns the person, else the application, else the subject.
    pub fn identity(&self) -> Option<String> {
        self.texts("upn preferred_username appid azp sub").next()
    }

    /// Returns when the token expires (`exp`).
    pub fn expires(&self) -> Option<SystemTime> {
        from_unix_seconds(field(&self.0, "exp")?.as_u64()?)
    }

    /// Returns what a refresh token permits in the whole registry (`permissions`).
    pub fn permissions(&self) -> Vec<String> {
        let permissions = field(&self.0, "permissions");
        permissions.map(actions).unwrap_or_default()
    }

    /// Returns what a registry access token permits in a repository (`access`), such as `pull`.
    pub fn access(&self, repository: &str) -> Vec<String> {
        let entries = list(field(&self.0, "access"));
        let is_here = |name: &str| name == repository || name == "*";
        let here = entries.filter(|entry| text(entry, "name").is_some_and(|name| is_here(&name)));
        here.flat_map(actions).collect()
    }

    fn texts(&self, names: &str) -> impl Iterator<Item = String> {
        names.split(' ').filter_map(|name| text(&self.0, name))
    }
}

/// Returns a field of an object, its name in any case.
fn field<'a>(object: &'a Value, name: &str) -> Option<&'a Value> {
    let mut fields = object.as_object()?.iter();
    let (_, value) = fields.find(|(own, _)| own.eq_ignore_ascii_case(name))?;
    Some(value)
}

fn text(object: &Value, name: &str) -> Option<String> {
    let text = sanitize_line(field(object, name)?.as_str()?);
    (!text.is_empty()).then_some(text)
}

fn list(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    value.and_then(Value::as_array).into_iter().flatten()
}

fn actions(object: &Value) -> Vec<String> {
    list(field(object, "actions"))
        .filter_map(Value::as_str)
        .map(sanitize_line)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use azure_core::base64::encode_url_safe;
    use std::time::Duration;

    fn claims(payload: &str) -> Option<Claims> {
        let payload = encode_url_safe(payload);
        Claims::from_token(&format!("e30.{payload}.c2ln").into())
    }

    #[test]
    fn permissions_and_access_are_read_in_any_case() {
        for (permissions, actions) in [("permissions", "Actions"), ("Permissions", "actions")] {
            let read = claims(&format!(
                r#"{{"{permissions}":{{"{actions}":["read","write"],"NotActions":null}}}}"#
            ))
            .unwrap();
            assert_eq!(read.permissions(), ["read", "write"]);
        }
        let read = claims(r#"{"access":[{"Type":"repository","Name":"app","Actions":["pull"]}]}"#)
            .unwrap();
        assert_eq!(read.access("app"), ["pull"]);
        assert!(read.access("other").is_empty());
    }

    #[test]
    fn the_person_is_shown_instead_of_the_application() {
        let read =
            claims(r#"{"upn":"alice@contoso.example","appid":"1","sub":"2","tid":"t","exp":60}"#)
                .unwrap();
        assert_eq!(read.identity().as_deref(), Some("alice@contoso.example"));
        assert_eq!(
            (read.tenant().as_deref(), read.expires()),
            (
                Some("t"),
                Some(SystemTime::UNIX_EPOCH + Duration::from_secs(60))
            )
        );
        assert_eq!(
            claims(r#"{"appid":"1","sub":"2","tenant":"t"}"#)
                .unwrap()
                .identity()
                .as_deref(),
            Some("1")
        );
    }

    #[test]
    fn claims_of_other_types_and_control_characters_are_left_out() {
        let odd = claims(r#"{"aud":7,"exp":"x","permissions":[],"access":{"name":1}}"#).unwrap();
        assert_eq!((odd.audience(), odd.expires()), (None, None));
        assert!(odd.permissions().is_empty() && odd.access("1").is_empty());
        assert!(claims("[]").is_none());
        assert!(Claims::from_token(&"opaque".into()).is_none());
        assert_eq!(
            claims(r#"{"aud":"a\u001b[2Jb"}"#)
                .unwrap()
                .audience()
                .as_deref(),
            Some("a[2Jb")
        );
    }
}
