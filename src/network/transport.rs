//! Our clients as the transport of the credentials of `azure_identity`, with our bound on bodies and our retries.

use super::{Network, answer, body};
use azure_core::error::{Error, ErrorKind};
use azure_core::http::headers::Headers;
use azure_core::http::request::Body;
use azure_core::http::{AsyncRawResponse, HttpClient, Request};
use reqwest::{Client, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use std::sync::Arc;

/// Lifetimes of tokens are hours. The SDK adds them to the time of day and panics on the largest numbers.
const LONGEST_LIFE: u64 = 365 * 24 * 60 * 60;

/// See [`Transport::over`].
#[derive(Debug)]
pub struct Transport {
    client: Client,
    network: Arc<Network>,
}

/// An answer with a token.
#[derive(Deserialize)]
struct Granted {
    access_token: SecretString,
    #[serde(default)]
    expires_in: u64,
    #[serde(default)]
    ext_expires_in: u64,
}

impl Transport {
    /// Over `client`, with the retries of `network`. An answer that is no token is an error in the words of [`answer::words`].
    pub fn over(client: Client, network: Arc<Network>) -> azure_core::http::Transport {
        azure_core::http::Transport::new(Arc::new(Self { client, network }))
    }

    fn translate(&self, request: &Request) -> anyhow::Result<reqwest::Request> {
        let Body::Bytes(bytes) = request.body() else {
            anyhow::bail!("a body of no known length")
        };
        let method = reqwest::Method::from_bytes(request.method().as_str().as_bytes())?;
        let mut builder = self
            .client
            .request(method, request.url().clone())
            .body(bytes.clone());
        for (name, value) in request.headers().iter() {
            builder = builder.header(name.as_str(), value.as_str());
        }
        Ok(builder.build()?)
    }

    async fn send(&self, request: &Request) -> anyhow::Result<(StatusCode, Vec<u8>)> {
        let request = self.translate(request)?;
        let response = self
            .network
            .send(&self.client, request)
            .await
            .map_err(reqwest::Error::without_url)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = body(response).await?;
        let granted: Option<Granted> = serde_json::from_slice(&bytes)
            .ok()
            .filter(|_| status.is_success());
        let is_sane = |it: &Granted| {
            !it.access_token.expose_secret().is_empty()
                && it.expires_in <= LONGEST_LIFE
                && it.ext_expires_in <= LONGEST_LIFE
        };
        match granted.filter(is_sane) {
            Some(_) => Ok((status, bytes)),
            _ => Err(anyhow::Error::msg(answer::words(status, &headers, &bytes))),
        }
    }
}

#[async_trait::async_trait]
impl HttpClient for Transport {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let answer = self.send(request).await;
        // A kind that the SDK does not try again: that was done here, within the deadline.
        let (status, bytes) = answer.map_err(|error| {
            Error::new(
                ErrorKind::Other,
                error.reallocate_into_boxed_dyn_error_without_backtrace(),
            )
        })?;
        Ok(AsyncRawResponse::from_bytes(
            status.as_u16().into(),
            Headers::new(),
            bytes,
        ))
    }
}
