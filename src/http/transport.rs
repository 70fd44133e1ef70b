//! Adapts our HTTP client to the credentials of `azure_identity`, with our retries and our limit on bodies.

use super::{HttpResponse, Network};
use anyhow::{bail, ensure};
use azure_core::error::{Error, ErrorKind};
use azure_core::http::headers::Headers;
use azure_core::http::request::Body;
use azure_core::http::{AsyncRawResponse, HttpClient, Request};
use reqwest::{Client, Method};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use std::sync::Arc;

/// The longest lifetime that is passed on. The SDK adds it to the time of day, and panics if the sum is out of range.
const MAX_LIFETIME_SECONDS: u64 = 365 * 24 * 60 * 60;

/// A client as the SDK sees it.
#[derive(Debug)]
pub struct Transport {
    client: Client,
    network: Arc<Network>,
}

#[derive(Deserialize)]
struct TokenResponse {
    access_token: SecretString,
    #[serde(default)]
    expires_in: u64,
    #[serde(default)]
    ext_expires_in: u64,
}

impl Transport {
    /// Creates a transport that sends by `client`, with the retries of `network`. A response without a token is a
    /// [`super::ResponseError`].
    pub fn over(client: Client, network: Arc<Network>) -> azure_core::http::Transport {
        azure_core::http::Transport::new(Arc::new(Self { client, network }))
    }

    async fn send(&self, request: &Request) -> anyhow::Result<HttpResponse> {
        let Body::Bytes(body) = request.body() else {
            bail!("the length of the request body is unknown")
        };
        let method = Method::from_bytes(request.method().as_str().as_bytes())?;
        let mut builder = self.client.request(method, request.url().clone());
        for (name, value) in request.headers().iter() {
            builder = builder.header(name.as_str(), value.as_str());
        }
        let request = builder.body(body.clone()).build()?;
        let response = self.network.fetch(&self.client, request).await?;
        let is_token = serde_json::from_slice(&response.body).is_ok_and(|token: TokenResponse| {
            !token.access_token.expose_secret().is_empty()
                && token.expires_in.max(token.ext_expires_in) <= MAX_LIFETIME_SECONDS
        });
        ensure!(response.status.is_success() && is_token, response.error());
        Ok(response)
    }
}

#[async_trait::async_trait]
impl HttpClient for Transport {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let mut response = self.send(request).await.map_err(|error| {
            // The SDK does not retry this kind: `fetch` has done that, within the deadline.
            let error = error.reallocate_into_boxed_dyn_error_without_backtrace();
            Error::new(ErrorKind::Other, error)
        })?;
        let status = response.status.as_u16().into();
        Ok(AsyncRawResponse::from_bytes(
            status,
            Headers::new(),
            std::mem::take(&mut response.body),
        ))
    }
}
