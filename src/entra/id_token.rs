//! The account that has signed in: the id token and `client_info` of a token response.

use crate::config::is_tenant;
use crate::text::{Redactor, sanitize_line};
use crate::token::{decode, payload};
use serde::Deserialize;

/// An account that has signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AccountInfo {
    /// The home account id: object id and home tenant.
    pub(crate) home: String,
    /// The name to show.
    pub(crate) username: String,
    /// The tenant that was signed in to.
    pub(crate) tenant: String,
}

/// The claims of an id token (Microsoft, "ID token claims reference"). The signature is not checked, because the token came from the authority
/// itself over TLS (`OpenID` Connect Core, section 3.1.3.7).
#[derive(Deserialize)]
struct IdTokenClaims {
    oid: Option<String>,
    sub: String,
    tid: String,
    preferred_username: Option<String>,
    name: Option<String>,
}

/// The home account id. A guest has another object id in each tenant that invited it.
#[derive(Deserialize)]
struct ClientInfo {
    uid: String,
    utid: String,
}

impl AccountInfo {
    /// Reads an id token and `client_info`. Returns `None` if a part of the home account id holds a secret. Leaves out such a name.
    pub(super) fn read(
        id_token: &str,
        client_info: Option<&str>,
        secrets: &Redactor,
    ) -> Option<Self> {
        let shown = |text: &str| {
            Some(secrets.redact(&sanitize_line(text))).filter(|shown| !shown.contains('…'))
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
    fn a_guest_is_identified_by_its_home_account() {
        let encoded = |json: &str| encode_url_safe(json);
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
