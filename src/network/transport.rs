//! Our clients as the transport of the credentials of `azure_identity`, with our bound on bodies and our retries.

use super::{Network, body};
use azure_core::error::{Error, ErrorKind};
use azure_core::http::headers::Headers;
use azure_core::http::request::Body;
use azure_core::http::{AsyncRawResponse, HttpClient, Request, Url};
use reqwest::Client;
use std::sync::Arc;

/// The address of the Azure Instance Metadata Service, the same on every virtual machine (Microsoft, "IMDS").
pub const IMDS_ADDRESS: &str = "169.254.169.254";

/// See [`Transport::over`].
#[derive(Debug)]
pub struct Transport {
    client: Client,
    network: Arc<Network>,
    imds: Option<Url>,
}

impl Transport {
    /// Over `client`; requests to the well-known address of IMDS go to `imds` if that is given.
    pub fn over(client: Client, network: Arc<Network>, imds: Option<Url>) -> azure_core::http::Transport {
        azure_core::http::Transport::new(Arc::new(Self { client, network, imds }))
    }

    fn address(&self, asked: &Url) -> Url {
        let Some(imds) = self.imds.as_ref().filter(|_| asked.host_str() == Some(IMDS_ADDRESS)) else {
            return asked.clone();
        };
        let mut url = imds.clone();
        url.set_path(asked.path());
        url.set_query(asked.query());
        url
    }

    fn translate(&self, request: &Request) -> Result<reqwest::Request, Box<dyn std::error::Error + Send + Sync>> {
        let Body::Bytes(bytes) = request.body() else {
            return Err("a body of no known length".into());
        };
        let method = reqwest::Method::from_bytes(request.method().as_str().as_bytes())?;
        let mut builder = self.client.request(method, self.address(request.url())).body(bytes.clone());
        for (name, value) in request.headers().iter() {
            builder = builder.header(name.as_str(), value.as_str());
        }
        Ok(builder.build()?)
    }
}

#[async_trait::async_trait]
impl HttpClient for Transport {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        // Kinds that the SDK does not try again: that is done here, and within the deadline.
        let request = self.translate(request).map_err(|error| Error::new(ErrorKind::Other, error))?;
        let sent = self.network.send(&self.client, request).await;
        let response = sent.map_err(|error| Error::new(ErrorKind::Other, error.without_url()))?;
        let status = response.status().as_u16();
        let headers = response
            .headers()
            .iter()
            .filter_map(|(name, value)| Some((name.as_str().to_owned().into(), value.to_str().ok()?.to_owned().into())));
        let headers = Headers::from(headers.collect::<std::collections::HashMap<_, _>>());
        let bytes = body(response).await.map_err(|error| Error::new(ErrorKind::Other, error))?;
        Ok(AsyncRawResponse::from_bytes(status.into(), headers, bytes))
    }
}
