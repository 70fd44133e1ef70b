//! Access token for refresh token: `POST /oauth2/exchange` at the registry, and what its refusals mean.
//!
//! The address is made from the [`Registry`] alone; no challenge is asked for it. Request and answer are documented in Azure/acr,
//! `docs/AAD-OAuth.md`. The shape of refusals changed over the years (a `DENIED` body, an empty 401, an `UNAUTHORIZED` body), so
//! that the status decides and the body only adds words.

use crate::deadline::Clock;
use crate::error::{Error, printable};
use crate::network::{self, Network, answer};
use crate::refusal::Refusal;
use crate::registry::Registry;
use crate::text::Redactor;
use crate::token::{AccessToken, RefreshToken, is_guid};
use reqwest::header::HeaderMap;
use reqwest::{Client, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use std::net::IpAddr;
use std::time::SystemTime;

/// The answer of an exchange that went well.
#[derive(Deserialize)]
struct Granted {
    refresh_token: SecretString,
}

/// The answer of the registry when it says why not.
#[derive(Deserialize)]
struct Errors {
    errors: Vec<Reason>,
}

#[derive(Deserialize)]
struct Reason {
    #[serde(default)]
    message: String,
}

/// Sends the access token to its registry by `client` and returns the refresh token. No redirect is followed.
pub async fn refresh_token(
    network: &Network,
    client: &Client,
    registry: &Registry,
    access_token: &AccessToken,
    clock: Clock,
) -> Result<RefreshToken, Error> {
    let host = registry.login_server();
    let mut form = vec![
        ("grant_type", "access_token"),
        ("service", host),
        ("access_token", access_token.secret().expose_secret()),
    ];
    form.extend(access_token.tenant().map(|tenant| ("tenant", tenant)));
    let lost = |error: &(dyn std::error::Error + 'static)| {
        let unreadable = || refused(registry, Refusal::Malformed("something unreadable"), None);
        network.unreachable(host, error).unwrap_or_else(unreadable)
    };
    let request = client
        .post(address(registry))
        .form(&form)
        .build()
        .map_err(|error| lost(&error))?;
    let response = network
        .send(client, request)
        .await
        .map_err(|error| lost(&error.without_url()))?;
    let (status, headers) = (response.status(), response.headers().clone());
    let body = network::body(response)
        .await
        .map_err(|error| lost(&*error))?;
    let refusal = match granted(status, &body, clock()) {
        Ok(token) => return Ok(token),
        Err(refusal) => refusal,
    };
    let refusal = match refusal.unwrap_or_else(|| refusal_of(status, &headers, &body)) {
        Refusal::Denied { status, said, .. } => Refusal::Denied {
            status,
            said,
            object_id: access_token.object_id().map(str::to_owned),
        },
        other => other,
    };
    // A GUID has room for a piece of the token.
    let redactor = Redactor::new([access_token.secret().expose_secret()]);
    let correlation = correlation(&headers, &body).map(|id| redactor.redact(&id));
    Err(refused(
        registry,
        refusal.without(access_token.secret()),
        correlation,
    ))
}

/// Where the exchange of a registry is.
pub fn address(registry: &Registry) -> String {
    format!("https://{}/oauth2/exchange", registry.login_server())
}

fn refused(registry: &Registry, refusal: Refusal, correlation: Option<String>) -> Error {
    let correlation = correlation.map(|id| format!("correlation id: {id}"));
    refusal.into_error(registry, correlation)
}

/// The refresh token of a 200; `Err(None)` for every other status.
fn granted(
    status: StatusCode,
    body: &[u8],
    now: SystemTime,
) -> Result<RefreshToken, Option<Refusal>> {
    if status != StatusCode::OK {
        return Err(None);
    }
    if answer::is_web_page(body) {
        return Err(Some(Refusal::WebPage { status: 200 }));
    }
    let granted: Granted = serde_json::from_slice(body)
        .map_err(|_| Some(Refusal::Malformed("something other than a refresh token")))?;
    let malformed = Refusal::Malformed("a refresh token that cannot be one");
    RefreshToken::received(granted.refresh_token, now).ok_or(Some(malformed))
}

/// What an answer of a registry that is no 200 means.
pub(crate) fn refusal_of(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Refusal {
    let said = message(body)
        .map(|(said, _)| said)
        .filter(|said| !said.is_empty());
    let status_code = status.as_u16();
    if let Some(location) = answer::location(status, headers) {
        return Refusal::Redirected { location };
    }
    match status {
        StatusCode::TOO_MANY_REQUESTS => Refusal::Throttled {
            retry_after: answer::retry_after(headers),
        },
        StatusCode::BAD_REQUEST if is_header_too_large(body) => Refusal::HeaderTooLarge,
        _ if answer::is_in_the_way(status, body) && status != StatusCode::NOT_FOUND => {
            Refusal::WebPage {
                status: status_code,
            }
        }
        StatusCode::FORBIDDEN
            if said
                .as_ref()
                .is_some_and(|said| said.contains("client with IP")) =>
        {
            Refusal::Firewall {
                address: said.as_deref().and_then(quoted_address),
            }
        }
        StatusCode::UNAUTHORIZED if said.as_deref().is_some_and(is_about_the_token) => {
            Refusal::InvalidToken {
                status: status_code,
                said: said.unwrap_or_default(),
            }
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Refusal::Denied {
            status: status_code,
            said,
            object_id: None,
        },
        StatusCode::NOT_FOUND => Refusal::NoExchange,
        _ => Refusal::Unexpected {
            status: status_code,
            said,
        },
    }
}

/// Whether a body is the page that nginx, the web server of registries, has for a header that is too long (Azure/acr#797).
fn is_header_too_large(body: &[u8]) -> bool {
    const TITLE: &[u8] = b"Request Header Or Cookie Too Large";
    body.windows(TITLE.len()).any(|text| text == TITLE)
}

/// Whether the message of a 401 is about the token, and not about roles, as recorded in 2023, 2024 and 2026. The words choose the hint alone.
fn is_about_the_token(said: &str) -> bool {
    [
        "retrieving permissions failed",
        "token invalid audience",
        "token validation failed",
    ]
    .iter()
    .any(|text| said.starts_with(text))
}

/// The id that Azure's support asks for, from the header or, where that has none, from the message.
pub(crate) fn correlation(headers: &HeaderMap, body: &[u8]) -> Option<String> {
    let of_header = answer::header(headers, "x-ms-correlation-request-id").filter(|id| is_guid(id));
    of_header.or_else(|| message(body)?.1)
}

/// The first message of a body in the registry's error shape (Docker registry API, "errors"), and the correlation id that stands at its end.
fn message(body: &[u8]) -> Option<(String, Option<String>)> {
    let errors: Errors = serde_json::from_slice(body).ok()?;
    let whole = errors.errors.first()?.message.trim_end();
    let (text, id) = match whole.rsplit_once("CorrelationId:") {
        Some((text, id)) if is_guid(id.trim()) => (text, Some(id.trim().to_owned())),
        _ => (whole, None),
    };
    Some((printable(text), id))
}

/// The address in `client with IP '203.0.113.9' is not allowed access`. Only a real address becomes part of a command to paste.
fn quoted_address(said: &str) -> Option<String> {
    let address: IpAddr = said.split(['\'', '"']).nth(1)?.parse().ok()?;
    Some(address.to_canonical().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, headers: &[(&'static str, &str)], body: &str) -> String {
        let headers = headers
            .iter()
            .map(|(name, value)| ((*name).parse().unwrap(), value.parse().unwrap()))
            .collect();
        let registry = Registry::parse("contoso.azurecr.io", &[]).unwrap();
        let status = StatusCode::from_u16(status).unwrap();
        let refusal = match granted(status, body.as_bytes(), SystemTime::UNIX_EPOCH) {
            Err(None) => refusal_of(status, &headers, body.as_bytes()),
            Err(Some(refusal)) => refusal,
            Ok(_) => return "granted".into(),
        };
        refused(&registry, refusal, None)
            .to_string()
            .replace("contoso.azurecr.io", "R")
    }

    #[test]
    fn the_correlation_id_is_that_of_the_header_or_else_of_the_message() {
        let body =
            r#"{"errors":[{"message":"no. CorrelationId: 0a3728f5-aee8-4ea1-9b84-4dc6e1aef664"}]}"#;
        for (header, body, expected) in [
            (
                Some("d0359bee-b9d7-4a44-9b6b-9c5d0d7f8e21"),
                body,
                Some("d0359bee-b9d7-4a44-9b6b-9c5d0d7f8e21"),
            ),
            // Hexadecimal digits of half a token.
            (Some("d0359bee"), "", None),
            (
                None,
                r#"{"errors":[{"message":"no. CorrelationId: 68756e7465723268756e746572320000"}]}"#,
                None,
            ),
            (
                Some("not an id"),
                body,
                Some("0a3728f5-aee8-4ea1-9b84-4dc6e1aef664"),
            ),
            (None, body, Some("0a3728f5-aee8-4ea1-9b84-4dc6e1aef664")),
            (
                None,
                r#"{"errors":[{"message":"CorrelationId: $(reboot)"}]}"#,
                None,
            ),
            (None, "", None),
        ] {
            let headers = header
                .map(|id| {
                    (
                        "x-ms-correlation-request-id".parse().unwrap(),
                        id.parse().unwrap(),
                    )
                })
                .into_iter()
                .collect();
            assert_eq!(
                correlation(&headers, body.as_bytes()).as_deref(),
                expected,
                "{header:?} {body}"
            );
        }
    }

    #[test]
    fn a_web_page_is_something_in_the_way_unless_it_is_a_404_or_a_5xx() {
        let page = "\n <!DOCTYPE html><html><body>Sign in</body></html>";
        for (status, sentence) in [
            (200, "a web page came in place of the answer of R: 200"),
            (400, "a web page came in place of the answer of R: 400"),
            (
                404,
                "R has no `/oauth2/exchange`: it does not answer as an Azure Container Registry",
            ),
            (502, "R answered the exchange with 502"),
            (511, "a web page came in place of the answer of R: 511"),
        ] {
            assert_eq!(refusal(status, &[], page), sentence, "{status}");
        }
    }

    #[test]
    fn every_answer_of_an_exchange_has_its_sentence() {
        let unauthorized = r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required, visit https://aka.ms/acr/authorization for more information. CorrelationId: 0a3728f5-aee8-4ea1-9b84-4dc6e1aef664"}]}"#;
        for (status, headers, body, sentence) in [
            (200, vec![], r#"{"refresh_token":"a.b.c"}"#, "granted"),
            (
                200,
                vec![],
                r#"{"refresh_token":"a","more":[1]}"#,
                "granted",
            ),
            (
                200,
                vec![],
                r#"{"refresh_token":""}"#,
                "R answered the exchange with a refresh token that cannot be one",
            ),
            (
                200,
                vec![],
                r#"{"refresh_token":"a\nb"}"#,
                "R answered the exchange with a refresh token that cannot be one",
            ),
            (
                200,
                vec![],
                "{}",
                "R answered the exchange with something other than a refresh token",
            ),
            (
                200,
                vec![],
                "",
                "R answered the exchange with something other than a refresh token",
            ),
            // 2021
            (
                403,
                vec![],
                r#"{"errors":[{"code":"DENIED","message":"retrieving permissions failed"}]}"#,
                "R refused the access token: 403, retrieving permissions failed",
            ),
            // 2022, 2024
            (403, vec![], "", "R refused the access token: 403"),
            (401, vec![], "", "R refused the access token: 401"),
            // 2026
            (
                401,
                vec![],
                unauthorized,
                "R refused the access token: 401, authentication required, visit https://aka.ms/acr/authorization for more information.",
            ),
            (
                401,
                vec![],
                r#"{"errors":[{"message":"CorrelationId: no id at all"}]}"#,
                "R refused the access token: 401, CorrelationId: no id at all",
            ),
            (
                403,
                vec![],
                r#"{"errors":[{"code":"DENIED","message":"client with IP \u0027203.0.113.9\u0027 is not allowed access. Refer https://aka.ms/acr/firewall to grant access."}]}"#,
                "the firewall of R does not let 203.0.113.9 in",
            ),
            (
                403,
                vec![],
                r#"{"errors":[{"message":"client with IP '$(reboot)' is not allowed access"}]}"#,
                "the firewall of R does not let this address in",
            ),
            (
                403,
                vec![],
                r#"{"errors":[{"message":"client with IP '::ffff:203.0.113.9' is not allowed access"}]}"#,
                "the firewall of R does not let 203.0.113.9 in",
            ),
            (
                400,
                vec![],
                "<html>\r\n<head><title>400 Request Header Or Cookie Too Large</title></head>\r\n<body></body>\r\n</html>\r\n",
                "R answered the exchange with 400: the request's header is too large",
            ),
            (
                429,
                vec![("retry-after", "17")],
                "",
                "R gets too many requests and asks to wait 17 s",
            ),
            (429, vec![], "", "R gets too many requests"),
            (
                302,
                vec![("location", "http://evil.example/")],
                "",
                "R answered the exchange with a redirect to `http://evil.example/`, which is not followed",
            ),
            (500, vec![], "", "R answered the exchange with 500"),
            (
                400,
                vec![],
                r#"{"errors":[{"message":"bad\u001b[31m service"}]}"#,
                "R answered the exchange with 400, bad[31m service",
            ),
        ] {
            assert_eq!(refusal(status, &headers, body), sentence, "{status} {body}");
        }
    }
}
