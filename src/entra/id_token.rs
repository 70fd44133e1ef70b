//! Who has signed in, as Entra says it beside a token.

use crate::config::is_tenant;
use crate::text::{Redactor, printable};
use azure_core::base64::decode_url_safe;
use serde::Deserialize;

/// Who has signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Who {
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
struct Claims {
    oid: Option<String>,
    sub: String,
    tid: String,
    preferred_username: Option<String>,
    name: Option<String>,
}

/// `client_info`: the account at home, who is somebody else to a tenant that invited it.
#[derive(Deserialize)]
struct Home {
    uid: String,
    utid: String,
}

impl Who {
    /// Reads an id token and what came beside it. A name that holds a secret is none, and an account whose home does is no account.
    pub(super) fn read(
        id_token: &str,
        client_info: Option<&str>,
        secrets: &Redactor,
    ) -> Option<Self> {
        let shown = |text: &str| {
            Some(secrets.redact(&printable(text))).filter(|shown| !shown.contains('…'))
        };
        let claims: Claims =
            json(id_token.split('.').nth(1)?).filter(|claims: &Claims| is_tenant(&claims.tid))?;
        let home: Option<Home> = client_info.and_then(json);
        let home = match home {
            Some(Home { uid, utid }) => format!("{uid}.{utid}"),
            None => format!("{}.{}", claims.oid.unwrap_or(claims.sub), claims.tid),
        };
        let username = claims
            .preferred_username
            .or(claims.name)
            .and_then(|name| shown(&name));
        let username = username.unwrap_or_else(|| "an account without a name".into());
        Some(Self {
            home: shown(&home)?,
            username,
            tenant: shown(&claims.tid)?,
        })
    }
}

fn json<T: for<'a> Deserialize<'a>>(text: &str) -> Option<T> {
    serde_json::from_slice(&decode_url_safe(text).ok()?).ok()
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
        let who = |home: &str| Who {
            home: home.into(),
            username: "alice@contoso.example".into(),
            tenant: "abroad".into(),
        };
        let read = |token: &str, client_info: Option<&str>| {
            Who::read(token, client_info, &Redactor::new([]))
        };
        assert_eq!(
            read(&token, Some(&encoded(r#"{"uid":"alice","utid":"home"}"#))),
            Some(who("alice.home"))
        );
        assert_eq!(read(&token, None), Some(who("guest.abroad")));
        assert_eq!(read("canary", None), None);
        let astray = format!(
            "e30.{}.c2ln",
            encoded(r#"{"sub":"s","tid":"//evil.example/x"}"#)
        );
        assert_eq!(read(&astray, None), None);
    }
}
