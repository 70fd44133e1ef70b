//! The account that has signed in, as Entra names it beside a token.

use crate::config::is_tenant;
use crate::text::{Redactor, printable};
use crate::token::{decode, payload};
use serde::Deserialize;

/// An account that has signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AccountInfo {
    /// The account wherever it signs in: object id and tenant of its home.
    pub(crate) home: String,
    /// The name to show.
    pub(crate) username: String,
    /// The tenant that was signed in to.
    pub(crate) tenant: String,
}

/// The claims of an id token (Microsoft, "ID token claims reference"). It came from the authority itself over TLS, so that its
/// signature need not be checked (`OpenID` Connect Core, section 3.1.3.7).
#[derive(Deserialize)]
struct IdTokenClaims {
    oid: Option<String>,
    sub: String,
    tid: String,
    preferred_username: Option<String>,
    name: Option<String>,
}

/// `client_info`: the account at home, which has another id in a tenant that invited it.
#[derive(Deserialize)]
struct ClientInfo {
    uid: String,
    utid: String,
}

impl AccountInfo {
    /// Reads an id token and the `client_info` beside it. A name that holds a secret is left out, and so is an account whose home does.
    pub(super) fn read(
        id_token: &str,
        client_info: Option<&str>,
        secrets: &Redactor,
    ) -> Option<Self> {
        let shown = |text: &str| {
            Some(secrets.redact(&printable(text))).filter(|shown| !shown.contains('…'))
        };
        let claims: IdTokenClaims = decode(payload(id_token)?)?;
        if !is_tenant(&claims.tid) {
            return None;
        }
        let home = match client_info.and_then(decode) {
            Some(ClientInfo { uid, utid }) => format!("{uid}.{utid}"),
            None => format!("{}.{}", claims.oid.unwrap_or(claims.sub), claims.tid),
        };
        let name = claims.preferred_username.or(claims.name);
        let username = name.and_then(|name| shown(&name));
        Some(Self {
            home: shown(&home)?,
            username: username.unwrap_or_else(|| "an account without a name".into()),
            tenant: shown(&claims.tid)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use azure_core::base64::encode_url_safe;

    #[test]
    fn a_guest_is_known_by_the_account_at_home() {
        let encoded = |json: &str| encode_url_safe(json).trim_end_matches('=').to_owned();
        let claims = r#"{"oid":"guest","sub":"s","tid":"abroad","preferred_username":"alice@contoso.example"}"#;
        let token = format!("e30.{}.c2ln", encoded(claims));
        let account = |home: &str| AccountInfo {
            home: home.into(),
            username: "alice@contoso.example".into(),
            tenant: "abroad".into(),
        };
        let read = |token: &str, client_info: Option<&str>| {
            AccountInfo::read(token, client_info, &Redactor::new([]))
        };
        assert_eq!(
            read(&token, Some(&encoded(r#"{"uid":"alice","utid":"home"}"#))),
            Some(account("alice.home"))
        );
        assert_eq!(read(&token, None), Some(account("guest.abroad")));
        assert_eq!(read("canary", None), None);
        let astray = format!(
            "e30.{}.c2ln",
            encoded(r#"{"sub":"s","tid":"//evil.example/x"}"#)
        );
        assert_eq!(read(&astray, None), None);
    }
}
