//! Exchanges an access token for a refresh token: `POST /oauth2/exchange` at the registry.
//!
//! The address is made from the [`Registry`] alone; no challenge names it. Request and answer are documented in Azure/acr,
//! `docs/AAD-OAuth.md`.

use crate::deadline::Clock;
use crate::error::Error;
use crate::http::{HttpResponse, Network};
use crate::refusal::RegistryRequest;
use crate::registry::Registry;
use crate::token::{AccessToken, RefreshToken};
use reqwest::{Client, RequestBuilder, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use std::time::SystemTime;

/// The answer of a successful exchange.
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
    let mut form = vec![
        ("grant_type", "access_token"),
        ("service", registry.login_server()),
        ("access_token", access_token.secret().expose_secret()),
    ];
    form.extend(access_token.tenant().map(|tenant| ("tenant", tenant)));
    let registry_request = RegistryRequest::exchange(registry, access_token);
    let request = client.post(address(registry)).form(&form);
    let response = fetch(network, client, &registry_request, request).await?;
    read_token(&registry_request, &response, clock())
}

/// Returns the address of a registry's exchange.
pub fn address(registry: &Registry) -> String {
    format!("https://{}/oauth2/exchange", registry.login_server())
}

/// Sends a request to a registry and reads the answer, whatever its status.
pub(crate) async fn fetch(
    network: &Network,
    client: &Client,
    registry_request: &RegistryRequest<'_>,
    request: RequestBuilder,
) -> Result<HttpResponse, Error> {
    let unreadable = || registry_request.unexpected("something unreadable");
    let request = request.build().map_err(|_| unreadable())?;
    let host = request.url().host_str().unwrap_or_default().to_owned();
    network.fetch(client, request).await.map_err(|error| {
        network
            .unreachable(&host, &*error)
            .unwrap_or_else(unreadable)
    })
}

fn read_token(
    registry_request: &RegistryRequest<'_>,
    response: &HttpResponse,
    now: SystemTime,
) -> Result<RefreshToken, Error> {
    if response.status != StatusCode::OK || response.is_web_page() {
        return Err(registry_request.refusal(response));
    }
    let malformed = |what| {
        registry_request
            .unexpected(what)
            .with_details(registry_request.correlation(response))
    };
    let token: TokenResponse = serde_json::from_slice(&response.body)
        .map_err(|_| malformed("something other than a refresh token"))?;
    RefreshToken::received(token.refresh_token, now)
        .ok_or_else(|| malformed("a malformed refresh token"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::{Audience, REGISTRY_AUDIENCE};
    use reqwest::header::HeaderMap;

    #[test]
    fn only_a_200_with_a_refresh_token_is_a_success() {
        let registry = Registry::parse("contoso.azurecr.io", &[]).unwrap();
        let audience = Audience::parse(REGISTRY_AUDIENCE).unwrap();
        let token = AccessToken::new("canary".into(), &audience).unwrap();
        let registry_request = RegistryRequest::exchange(&registry, &token);
        let not_one = "contoso.azurecr.io answered the exchange with a malformed refresh token";
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
                Err("contoso.azurecr.io answered the exchange with a web page: 200"),
            ),
        ] {
            let response = HttpResponse {
                status: StatusCode::from_u16(status).unwrap(),
                headers: HeaderMap::new(),
                body: body.into(),
            };
            let read = read_token(&registry_request, &response, SystemTime::UNIX_EPOCH);
            let read = read.map_err(|error| error.to_string());
            let read = read.as_ref().map(|token| token.secret().expose_secret());
            assert_eq!(read.map_err(|error| &**error), expected, "{body}");
        }
    }
}
