//! Access token for refresh token: `POST /oauth2/exchange` at the registry, and what its refusals mean.
//!
//! The address is made from the [`Registry`] alone; no challenge is asked for it. Request and answer are documented in Azure/acr,
//! `docs/AAD-OAuth.md`. The shape of refusals changed over the years (a `DENIED` body, an empty 401, an `UNAUTHORIZED` body), so
//! that the status decides and the body only adds words.

use crate::deadline::Clock;
use crate::error::{Error, Refusal, printable};
use crate::http::{HttpResponse, Network};
use crate::registry::Registry;
use crate::text::Redactor;
use crate::token::{AccessToken, RefreshToken, is_guid};
use reqwest::{Client, RequestBuilder, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use std::net::IpAddr;
use std::time::SystemTime;

#[derive(Deserialize)]
struct TokenResponse {
    refresh_token: SecretString,
}

/// Sends the access token to its registry by `client` and returns the refresh token. No redirect is followed.
///
/// # Errors
///
/// The registry cannot be reached, or answers with anything but a refresh token.
pub async fn refresh_token(
    network: &Network,
    client: &Client,
    registry: &Registry,
    access_token: &AccessToken,
    clock: Clock,
) -> Result<RefreshToken, Error> {
    let secret = access_token.secret();
    let mut form = vec![
        ("grant_type", "access_token"),
        ("service", registry.login_server()),
        ("access_token", secret.expose_secret()),
    ];
    form.extend(access_token.tenant().map(|tenant| ("tenant", tenant)));
    let request = client.post(address(registry)).form(&form);
    let response = fetch(network, client, registry, request).await?;
    let mut refusal = match read_token(&response, clock()) {
        Ok(token) => return Ok(token),
        Err(refusal) => refusal,
    };
    if let Refusal::Denied { object_id, .. } = &mut refusal {
        *object_id = access_token.object_id().map(str::to_owned);
    }
    // A GUID has room for a piece of the token.
    let redactor = Redactor::new([secret.expose_secret()]);
    let correlation = correlation(&response).map(|line| redactor.redact(&line));
    Err(refused(registry, refusal.without(secret), correlation))
}

/// Returns the address of a registry's exchange.
pub fn address(registry: &Registry) -> String {
    format!("https://{}/oauth2/exchange", registry.login_server())
}

/// Sends a request to a registry and reads the answer, whatever its status.
pub(crate) async fn fetch(
    network: &Network,
    client: &Client,
    registry: &Registry,
    request: RequestBuilder,
) -> Result<HttpResponse, Error> {
    let unreadable = || refused(registry, Refusal::Malformed("something unreadable"), None);
    let request = request.build().map_err(|_| unreadable())?;
    let host = request.url().host_str().unwrap_or_default().to_owned();
    network.fetch(client, request).await.map_err(|error| {
        network
            .unreachable(&host, &*error)
            .unwrap_or_else(unreadable)
    })
}

fn refused(registry: &Registry, refusal: Refusal, correlation: Option<String>) -> Error {
    let details = refusal.notes().into_iter().chain(correlation).collect();
    Error::Exchange {
        registry: Box::new(registry.clone()),
        refusal,
        details,
    }
}

/// Returns the refresh token in an answer, or what is in its place.
fn read_token(response: &HttpResponse, now: SystemTime) -> Result<RefreshToken, Refusal> {
    if response.status != StatusCode::OK || response.is_web_page() {
        return Err(refusal(response));
    }
    let response: TokenResponse = serde_json::from_slice(&response.body)
        .map_err(|_| Refusal::Malformed("something other than a refresh token"))?;
    RefreshToken::received(response.refresh_token, now)
        .ok_or(Refusal::Malformed("a refresh token that cannot be one"))
}

/// Returns what a registry's answer means that is not the expected one.
pub(crate) fn refusal(response: &HttpResponse) -> Refusal {
    if let Some(location) = response.redirect_location() {
        return Refusal::Redirected { location };
    }
    let status = response.status.as_u16();
    let (message, _) = message(response).unwrap_or_default();
    let said = Some(message.clone()).filter(|message| !message.is_empty());
    match status {
        429 => Refusal::Throttled {
            retry_after: response.retry_after(),
        },
        400 if is_header_too_large(&response.body) => Refusal::HeaderTooLarge,
        404 => Refusal::NoExchange,
        _ if response.is_intercepted() => Refusal::WebPage { status },
        403 if message.contains("client with IP") => Refusal::Firewall {
            address: quoted_address(&message),
        },
        401 if is_about_the_token(&message) => Refusal::InvalidToken {
            status,
            said: message,
        },
        401 | 403 => Refusal::Denied {
            status,
            said,
            object_id: None,
        },
        _ => Refusal::Unexpected { status, said },
    }
}

/// Returns whether a body is the page that nginx, the web server of registries, has for a header that is too long (Azure/acr#797).
fn is_header_too_large(body: &[u8]) -> bool {
    const TITLE: &[u8] = b"Request Header Or Cookie Too Large";
    body.windows(TITLE.len()).any(|text| text == TITLE)
}

/// Returns whether the message of a 401 is about the token, and not about roles, as recorded in 2023, 2024 and 2026. The message
/// chooses the hint alone.
fn is_about_the_token(message: &str) -> bool {
    [
        "retrieving permissions failed",
        "token invalid audience",
        "token validation failed",
    ]
    .iter()
    .any(|text| message.starts_with(text))
}

/// Returns a line with the id that Azure's support asks for, from the header or, where that has none, from the message.
pub(crate) fn correlation(response: &HttpResponse) -> Option<String> {
    let id = response
        .header("x-ms-correlation-request-id")
        .filter(|id| is_guid(id))
        .or_else(|| message(response)?.1)?;
    Some(format!("correlation id: {id}"))
}

/// Returns the first message of a body in the registry's error shape (Docker registry API, "errors"), and the correlation id at its
/// end.
fn message(response: &HttpResponse) -> Option<(String, Option<String>)> {
    let json = response.json();
    let whole = json["errors"][0]["message"].as_str()?.trim_end();
    let (text, id) = match whole.rsplit_once("CorrelationId:") {
        Some((text, id)) if is_guid(id.trim()) => (text, Some(id.trim().to_owned())),
        _ => (whole, None),
    };
    Some((printable(text), id))
}

/// Returns the address in `client with IP '203.0.113.9' is not allowed access`. Only a real address becomes part of a command to
/// paste.
fn quoted_address(message: &str) -> Option<String> {
    let address: IpAddr = message.split(['\'', '"']).nth(1)?.parse().ok()?;
    Some(address.to_canonical().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(status: u16, headers: &[(&'static str, &str)], body: &str) -> HttpResponse {
        let headers = headers
            .iter()
            .map(|(name, value)| ((*name).parse().unwrap(), value.parse().unwrap()));
        HttpResponse {
            status: StatusCode::from_u16(status).unwrap(),
            headers: headers.collect(),
            body: body.into(),
        }
    }

    fn sentence(status: u16, headers: &[(&'static str, &str)], body: &str) -> String {
        let registry = Registry::parse("contoso.azurecr.io", &[]).unwrap();
        match read_token(&response(status, headers, body), SystemTime::UNIX_EPOCH) {
            Ok(_) => "granted".into(),
            Err(refusal) => refused(&registry, refusal, None)
                .to_string()
                .replace("contoso.azurecr.io", "R"),
        }
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
            let headers = header.map(|id| ("x-ms-correlation-request-id", id));
            let response = response(401, headers.as_slice(), body);
            assert_eq!(
                correlation(&response),
                expected.map(|id| format!("correlation id: {id}")),
                "{header:?} {body}"
            );
        }
    }

    #[test]
    fn a_web_page_is_something_in_the_way_unless_it_is_a_404_or_a_5xx() {
        let page = "\n <!DOCTYPE html><html><body>Sign in</body></html>";
        for (status, expected) in [
            (200, "a web page came in place of the answer of R: 200"),
            (400, "a web page came in place of the answer of R: 400"),
            (
                404,
                "R has no `/oauth2/exchange`: it does not answer as an Azure Container Registry",
            ),
            (502, "R answered the exchange with 502"),
            (511, "a web page came in place of the answer of R: 511"),
        ] {
            assert_eq!(sentence(status, &[], page), expected, "{status}");
        }
    }

    #[test]
    fn every_answer_of_an_exchange_has_its_sentence() {
        let unauthorized = r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required, visit https://aka.ms/acr/authorization for more information. CorrelationId: 0a3728f5-aee8-4ea1-9b84-4dc6e1aef664"}]}"#;
        for (status, headers, body, expected) in [
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
            assert_eq!(
                sentence(status, &headers, body),
                expected,
                "{status} {body}"
            );
        }
    }
}
