//! Access token for refresh token: `POST /oauth2/exchange` at the registry.
//!
//! The address is made from the [`Registry`] alone; no challenge names it. Request and answer are documented in Azure/acr,
//! `docs/AAD-OAuth.md`.

use crate::deadline::Clock;
use crate::error::Error;
use crate::network::{self, Network, answer};
use crate::refusal::Asked;
use crate::registry::Registry;
use crate::token::{AccessToken, RefreshToken};
use reqwest::header::HeaderMap;
use reqwest::{Client, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use std::time::SystemTime;

/// The answer of an exchange that succeeded.
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
    let host = registry.login_server();
    let mut form = vec![
        ("grant_type", "access_token"),
        ("service", host),
        ("access_token", access_token.secret().expose_secret()),
    ];
    form.extend(access_token.tenant().map(|tenant| ("tenant", tenant)));
    let asked = Asked::exchange(registry, access_token);
    let lost = |error: &(dyn std::error::Error + 'static)| {
        let unreachable = network.unreachable(host, error);
        unreachable.unwrap_or_else(|| asked.unexpected("something unreadable"))
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
    read_token(&asked, status, &headers, &body, clock())
}

/// Returns the address of a registry's exchange.
pub fn address(registry: &Registry) -> String {
    format!("https://{}/oauth2/exchange", registry.login_server())
}

fn read_token(
    asked: &Asked<'_>,
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    now: SystemTime,
) -> Result<RefreshToken, Error> {
    if status != StatusCode::OK || answer::is_web_page(body) {
        return Err(asked.refusal(status, headers, body));
    }
    let malformed = |what| {
        asked
            .unexpected(what)
            .with_details(asked.correlation(headers, body))
    };
    let response: TokenResponse = serde_json::from_slice(body)
        .map_err(|_| malformed("something other than a refresh token"))?;
    RefreshToken::received(response.refresh_token, now)
        .ok_or_else(|| malformed("a refresh token that cannot be one"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::{Audience, REGISTRY_AUDIENCE};

    #[test]
    fn only_a_200_with_a_refresh_token_is_a_success() {
        let registry = Registry::parse("contoso.azurecr.io", &[]).unwrap();
        let audience = Audience::parse(REGISTRY_AUDIENCE).unwrap();
        let token = AccessToken::new("canary".into(), &audience).unwrap();
        let asked = Asked::exchange(&registry, &token);
        let not_one =
            "contoso.azurecr.io answered the exchange with a refresh token that cannot be one";
        let other =
            "contoso.azurecr.io answered the exchange with something other than a refresh token";
        for (status, body, expected) in [
            (200, r#"{"refresh_token":"a.b.c"}"#, Ok("a.b.c")),
            (200, r#"{"refresh_token":"a","more":[1]}"#, Ok("a")),
            (200, r#"{"refresh_token":""}"#, Err(not_one)),
            (200, r#"{"refresh_token":"a\nb"}"#, Err(not_one)),
            (200, "{}", Err(other)),
            (200, "", Err(other)),
            (
                201,
                r#"{"refresh_token":"a"}"#,
                Err("contoso.azurecr.io answered the exchange with 201"),
            ),
            (
                200,
                "<html></html>",
                Err("a web page came in place of the answer of contoso.azurecr.io: 200"),
            ),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let headers = HeaderMap::new();
            let read = read_token(
                &asked,
                status,
                &headers,
                body.as_bytes(),
                SystemTime::UNIX_EPOCH,
            );
            let read = read.map_err(|error| error.to_string());
            let read = read.as_ref().map(|token| token.secret().expose_secret());
            assert_eq!(read.map_err(|error| &**error), expected, "{body}");
        }
    }
}
