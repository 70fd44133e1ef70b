//! Managed identities: the token endpoint of App Service and Container Apps, and that of a virtual machine (IMDS).
//!
//! `azure_identity`'s own credential reads the environment again, by other rules than ours, and turns to the virtual machine's
//! endpoint when it is not satisfied with what it finds; there it tries for 72 s, without a proxy setting or address of ours. So
//! the one request is made here. Source: Microsoft, "How to use managed identities", for App Service and for virtual machines.

use crate::network::answer::words;
use crate::network::{Network, body};
use azure_core::credentials::{AccessToken, Secret, TokenCredential, TokenRequestOptions};
use azure_core::error::{Error, ErrorKind};
use azure_core::time::OffsetDateTime;
use reqwest::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// How long a machine without a metadata service may keep us.
const PATIENCE: Duration = Duration::from_secs(1);

/// The address of the Azure Instance Metadata Service, the same on every virtual machine.
const IMDS: &str = "http://169.254.169.254";

/// Where a managed identity's tokens come from.
#[derive(Debug)]
pub(super) enum Endpoint {
    /// App Service or Container Apps: `IDENTITY_ENDPOINT`, and `IDENTITY_HEADER`, which proves that we run there.
    AppService { url: Url, header: SecretString },
    /// A virtual machine's metadata service, at this address or at the well-known one.
    VirtualMachine { host: Option<Url> },
}

impl Endpoint {
    /// The address without user and password, for messages and fingerprints.
    pub(super) fn host(&self) -> String {
        let url = match self {
            Self::AppService { url, .. } => url,
            Self::VirtualMachine { host: Some(host) } => host,
            Self::VirtualMachine { host: None } => return IMDS.trim_start_matches("http://").to_owned(),
        };
        let port = url.port().map(|port| format!(":{port}"));
        format!("{}{}", url.host_str().unwrap_or_default(), port.unwrap_or_default())
    }

    /// What tells two endpoints apart: host and path.
    pub(super) fn place(&self) -> String {
        match self {
            Self::AppService { url, .. } => self.host() + url.path(),
            Self::VirtualMachine { .. } => self.host(),
        }
    }

    fn url(&self) -> Result<Url, url::ParseError> {
        match self {
            Self::AppService { url, .. } => Ok(url.clone()),
            Self::VirtualMachine { host } => {
                let host = host.as_ref().map_or(IMDS, Url::as_str).trim_end_matches('/');
                Url::parse(&format!("{host}/metadata/identity/oauth2/token"))
            }
        }
    }

    /// Whether this machine has a metadata service at all. The address is link-local: off Azure nobody answers there, or
    /// somebody else does. Asked without the header `Metadata`, the service answers 400 and no token (error `bad_request_102`).
    /// On failure the sentence says what happened.
    pub(super) async fn probe(&self) -> Result<(), String> {
        let host = self.host();
        let failed = |what: &str| format!("managed identity of a virtual machine: {what}");
        let url = self.url().map_err(|error| failed(&error.to_string()))?;
        let client = Network::link_local().map_err(|error| failed(&error.to_string()))?;
        match tokio::time::timeout(PATIENCE, client.get(url).send()).await {
            Err(_) => Err(failed(&format!("{host} did not answer within {} s", PATIENCE.as_secs()))),
            Ok(Err(_)) => Err(failed(&format!("no connection to {host}"))),
            Ok(Ok(answer)) => match answer.status() {
                // Docker Desktop's 403, Google's 403 and Amazon's 401 and 404 come from the same address.
                status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND) => {
                    Err(failed(&format!("{host} is not the service of Azure, it answered {}", status.as_u16())))
                }
                _ => Ok(()),
            },
        }
    }
}

/// A managed identity as a credential.
#[derive(Debug)]
pub(super) struct ManagedIdentity {
    endpoint: Arc<Endpoint>,
    client_id: Option<String>,
    network: Arc<Network>,
}

/// The answer with a token. Its times are strings or numbers, by platform; they are not needed here.
#[derive(Deserialize)]
struct Granted {
    access_token: SecretString,
}

impl ManagedIdentity {
    /// The user-assigned identity of this client id, or the system-assigned one.
    pub(super) fn new(endpoint: Arc<Endpoint>, client_id: Option<String>, network: Arc<Network>) -> Self {
        Self { endpoint, client_id, network }
    }

    async fn ask(&self, resource: &str) -> anyhow::Result<SecretString> {
        let mut url = self.endpoint.url()?;
        let version = match *self.endpoint {
            Endpoint::AppService { .. } => "2019-08-01",
            Endpoint::VirtualMachine { .. } => "2018-02-01",
        };
        url.query_pairs_mut().append_pair("api-version", version).append_pair("resource", resource);
        if let Some(client_id) = &self.client_id {
            url.query_pairs_mut().append_pair("client_id", client_id);
        }
        let client = Network::link_local()?;
        let request = match &*self.endpoint {
            Endpoint::AppService { header, .. } => client.get(url).header("x-identity-header", header.expose_secret()),
            Endpoint::VirtualMachine { .. } => client.get(url).header("metadata", "true"),
        };
        let answer = self.network.send(&client, request.build()?).await.map_err(reqwest::Error::without_url)?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = body(answer).await?;
        match serde_json::from_slice::<Granted>(&body) {
            Ok(granted) if status.is_success() && !granted.access_token.expose_secret().is_empty() => Ok(granted.access_token),
            _ => anyhow::bail!(words(status, &headers, &body)),
        }
    }
}

#[async_trait::async_trait]
impl TokenCredential for ManagedIdentity {
    async fn get_token(&self, scopes: &[&str], _: Option<TokenRequestOptions<'_>>) -> azure_core::Result<AccessToken> {
        // A resource is a scope without its last part.
        let scope = scopes.first().copied().unwrap_or_default();
        let resource = scope.strip_suffix("/.default").unwrap_or(scope);
        let token = self
            .ask(resource)
            .await
            .map_err(|error| Error::new(ErrorKind::Credential, error.reallocate_into_boxed_dyn_error_without_backtrace()))?;
        // The token is used once and not kept, so that its end does not matter.
        Ok(AccessToken::new(Secret::new(token.expose_secret().to_owned()), OffsetDateTime::now_utc()))
    }
}
