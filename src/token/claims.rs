//! What a token says of itself, for people to read. Nothing is decided by it, and the token itself is never part of it.
//!
//! Registries changed the case of some names over the years (`Actions`, `actions`), and leave others out, so that every claim is
//! optional and found in any case.

use super::{Payload, moment, payload};
use crate::text::printable;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use std::time::SystemTime;

/// The claims of an access token, a refresh token or a registry access token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    /// Whom it is for (`aud`).
    pub audience: Option<String>,
    /// The tenant it was issued in (`tid`, or `tenant` in those of registries).
    pub tenant: Option<String>,
    /// The person (`upn`), else the application (`appid`), else the subject (`sub`).
    pub identity: Option<String>,
    /// When it ends (`exp`).
    pub expires: Option<SystemTime>,
    /// What a refresh token permits in the whole registry (`permissions`).
    pub permissions: Vec<String>,
    /// What a registry access token permits (`access`).
    pub access: Vec<Access>,
}

/// What may be done with one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// Its name, such as that of a repository.
    pub name: String,
    /// What may be done, such as `pull`.
    pub actions: Vec<String>,
}

impl Claims {
    /// Reads a token; `None` when it is opaque or encrypted.
    pub fn of(token: &SecretString) -> Option<Self> {
        let claims = read(token.expose_secret())?;
        claims.is_object().then(|| Self {
            audience: text(&claims, "aud"),
            tenant: text(&claims, "tid").or_else(|| text(&claims, "tenant")),
            identity: ["upn", "preferred_username", "appid", "azp", "sub"]
                .iter()
                .find_map(|name| text(&claims, name)),
            expires: field(&claims, "exp")
                .and_then(Value::as_u64)
                .and_then(moment),
            permissions: field(&claims, "permissions")
                .map(|it| texts(it, "actions"))
                .unwrap_or_default(),
            access: field(&claims, "access").map(access).unwrap_or_default(),
        })
    }
}

impl Claims {
    /// Everyone and everything that a token names for people to read.
    pub fn names(token: &SecretString) -> Vec<String> {
        let claims = read(token.expose_secret()).unwrap_or_default();
        let names = [
            "name",
            "unique_name",
            "upn",
            "preferred_username",
            "given_name",
            "family_name",
            "email",
            "app_displayname",
            "sub",
        ];
        names
            .iter()
            .filter_map(|name| text(&claims, name))
            .collect()
    }
}

/// The claims of a JWT as JSON, unless they cannot be read or are nested more than 128 deep.
pub(super) fn read(token: &str) -> Option<Value> {
    let Payload::Json(json) = payload(token) else {
        return None;
    };
    serde_json::from_slice(&json).ok()
}

fn access(claim: &Value) -> Vec<Access> {
    let entries = claim.as_array().map(Vec::as_slice).unwrap_or_default();
    entries
        .iter()
        .filter_map(|entry| {
            Some(Access {
                name: text(entry, "name")?,
                actions: texts(entry, "actions"),
            })
        })
        .collect()
}

/// A field of an object, its name in any case.
fn field<'a>(object: &'a Value, name: &str) -> Option<&'a Value> {
    object
        .as_object()?
        .iter()
        .find(|(own, _)| own.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
}

fn text(object: &Value, name: &str) -> Option<String> {
    field(object, name)?
        .as_str()
        .map(printable)
        .filter(|text| !text.is_empty())
}

fn texts(object: &Value, name: &str) -> Vec<String> {
    let list = field(object, name)
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    list.iter()
        .filter_map(Value::as_str)
        .map(printable)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use azure_core::base64::encode_url_safe;
    use std::time::Duration;

    fn claims(payload: &str) -> Option<Claims> {
        let payload = encode_url_safe(payload);
        Claims::of(&format!("e30.{}.c2ln", payload.trim_end_matches('=')).into())
    }

    #[test]
    fn permissions_and_access_are_read_in_the_case_of_every_year() {
        for (permissions, actions) in [("permissions", "Actions"), ("Permissions", "actions")] {
            let read = claims(&format!(
                r#"{{"{permissions}":{{"{actions}":["read","write"],"NotActions":null}}}}"#
            ))
            .unwrap();
            assert_eq!(read.permissions, ["read", "write"]);
        }
        let read = claims(r#"{"access":[{"Type":"repository","Name":"app","Actions":["pull"]}]}"#)
            .unwrap();
        assert_eq!(
            read.access,
            [Access {
                name: "app".into(),
                actions: vec!["pull".into()]
            }]
        );
    }

    #[test]
    fn a_person_is_named_before_the_application_that_they_used() {
        let read =
            claims(r#"{"upn":"alice@contoso.example","appid":"1","sub":"2","tid":"t","exp":60}"#)
                .unwrap();
        assert_eq!(read.identity.as_deref(), Some("alice@contoso.example"));
        assert_eq!(
            (read.tenant.as_deref(), read.expires),
            (
                Some("t"),
                Some(SystemTime::UNIX_EPOCH + Duration::from_secs(60))
            )
        );
        assert_eq!(
            claims(r#"{"appid":"1","sub":"2","tenant":"t"}"#)
                .unwrap()
                .identity
                .as_deref(),
            Some("1")
        );
    }

    #[test]
    fn claims_of_other_types_are_left_out_and_no_escape_gets_through() {
        assert_eq!(
            claims(r#"{"aud":7,"exp":"x","permissions":[],"access":{"name":1}}"#).unwrap(),
            Claims::default()
        );
        assert_eq!(claims("[]"), None);
        assert_eq!(Claims::of(&"opaque".into()), None);
        assert_eq!(
            claims(r#"{"aud":"a\u001b[2Jb"}"#)
                .unwrap()
                .audience
                .as_deref(),
            Some("a[2Jb")
        );
    }
}
