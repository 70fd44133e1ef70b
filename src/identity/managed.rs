//! Managed identities: what platforms give to the programs that run there.
//!
//! `azure_identity`'s own credential reads the environment again, by other rules than ours, knows App Service and virtual machines
//! only, and turns to the virtual machine's endpoint when it is not satisfied with what it finds; there it tries for 72 s, without a proxy
//! setting or address of ours. So the one request is made here. Sources: Microsoft, "How to use managed identities" for App Service, for
//! virtual machines and for Azure Arc; for Cloud Shell and Azure Machine Learning the Azure SDK for Python, `azure/identity/_credentials`.

use super::arc;
use crate::config::ManagedId;
use crate::http::{HttpResponse, Network};
use crate::registry::cloud_of_environment;
use crate::text::Secrets;
use azure_core::credentials::{AccessToken, Secret, TokenCredential, TokenRequestOptions};
use azure_core::error::{Error, ErrorKind};
use azure_core::time::OffsetDateTime;
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Client, Request, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use tracing::debug;
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
    /// A server connected by Azure Arc. Who can read a file that its agent makes runs there.
    Arc { url: Url },
    /// Cloud Shell: whoever opened it.
    CloudShell { url: Url },
    /// Azure Machine Learning: `MSI_ENDPOINT`, and `MSI_SECRET`, which proves that we run there.
    MachineLearning { url: Url, secret: SecretString },
    /// A virtual machine's metadata service, at this address or at the well-known one.
    VirtualMachine { host: Option<Url> },
}

impl Endpoint {
    /// The word for the platform, in fingerprints and in messages.
    pub(super) fn platform(&self) -> &'static str {
        match self {
            Self::AppService { .. } => "App Service",
            Self::Arc { .. } => "Azure Arc",
            Self::CloudShell { .. } => "Cloud Shell",
            Self::MachineLearning { .. } => "Azure Machine Learning",
            Self::VirtualMachine { .. } => "a virtual machine",
        }
    }

    /// The address without user and password, for messages and fingerprints.
    pub(super) fn host(&self) -> String {
        let Some(url) = self.given() else {
            return IMDS.trim_start_matches("http://").to_owned();
        };
        let port = url.port().map(|port| format!(":{port}"));
        format!(
            "{}{}",
            url.host_str().unwrap_or_default(),
            port.unwrap_or_default()
        )
    }

    /// The whole address: what tells two endpoints apart.
    pub(super) fn address(&self) -> &str {
        self.given().map_or(IMDS, Url::as_str)
    }

    /// The query parameter that names a user-assigned identity; none where the platform has only one identity.
    pub(super) fn parameter(&self, id: &ManagedId) -> Option<&'static str> {
        match (self, id) {
            (Self::AppService { .. } | Self::VirtualMachine { .. }, ManagedId::Client(_)) => {
                Some("client_id")
            }
            (Self::AppService { .. }, ManagedId::Object(_)) => Some("principal_id"),
            (Self::AppService { .. }, ManagedId::Resource(_)) => Some("mi_res_id"),
            (Self::VirtualMachine { .. }, ManagedId::Object(_)) => Some("object_id"),
            (Self::VirtualMachine { .. }, ManagedId::Resource(_)) => Some("msi_res_id"),
            (Self::MachineLearning { .. }, ManagedId::Client(_)) => Some("clientid"),
            (Self::MachineLearning { .. } | Self::Arc { .. } | Self::CloudShell { .. }, _) => None,
        }
    }

    /// What proves to the endpoint that we run there.
    pub(super) fn proof(&self) -> Option<&SecretString> {
        match self {
            Self::AppService { header, .. } => Some(header),
            Self::MachineLearning { secret, .. } => Some(secret),
            Self::Arc { .. } | Self::CloudShell { .. } | Self::VirtualMachine { .. } => None,
        }
    }

    fn given(&self) -> Option<&Url> {
        match self {
            Self::AppService { url, .. }
            | Self::Arc { url }
            | Self::CloudShell { url }
            | Self::MachineLearning { url, .. } => Some(url),
            Self::VirtualMachine { host } => host.as_ref(),
        }
    }

    fn url(&self) -> Result<Url, url::ParseError> {
        match self.given() {
            Some(url) if !matches!(self, Self::VirtualMachine { .. }) => Ok(url.clone()),
            _ => self.metadata("identity/oauth2/token"),
        }
    }

    /// A page of the metadata service.
    fn metadata(&self, page: &str) -> Result<Url, url::ParseError> {
        let host = self.address().trim_end_matches('/');
        Url::parse(&format!("{host}/metadata/{page}"))
    }

    /// The request for a token for a resource.
    fn request(
        &self,
        client: &Client,
        resource: &str,
        id: Option<&ManagedId>,
    ) -> anyhow::Result<Request> {
        let mut url = self.url()?;
        let named = id.and_then(|id| Some((self.parameter(id)?, id.as_str())));
        if let Self::CloudShell { .. } = self {
            return Ok(client
                .post(url)
                .header("metadata", "true")
                .form(&[("resource", resource)])
                .build()?);
        }
        let (version, header, value) = match self {
            Self::AppService { header, .. } => {
                ("2019-08-01", "x-identity-header", header.expose_secret())
            }
            Self::MachineLearning { secret, .. } => {
                ("2017-09-01", "secret", secret.expose_secret())
            }
            Self::Arc { .. } => ("2021-02-01", "metadata", "true"),
            Self::VirtualMachine { .. } | Self::CloudShell { .. } => {
                ("2018-02-01", "metadata", "true")
            }
        };
        url.query_pairs_mut()
            .append_pair("api-version", version)
            .append_pair("resource", resource)
            .extend_pairs(named);
        let mut value = HeaderValue::from_str(value)?;
        value.set_sensitive(true);
        Ok(client
            .get(url)
            .header(HeaderName::from_static(header), value)
            .build()?)
    }

    /// Whether this machine has a metadata service at all. The address is link-local: off Azure nobody answers there, or
    /// somebody else does. Asked without the header `Metadata`, the service answers 400 and no token (error `bad_request_102`).
    /// On failure the sentence says what happened. If `asks_cloud`, the answer is the machine's cloud as the Azure CLI calls it, if it
    /// says one that is known: all within the same second.
    pub(super) async fn probe(&self, asks_cloud: bool) -> Result<Option<&'static str>, String> {
        let (host, end) = (self.host(), Instant::now() + PATIENCE);
        let url = self.url().map_err(|error| error.to_string())?;
        let client = Network::link_local().map_err(|error| error.to_string())?;
        let answer = timeout_at(end, client.get(url).send()).await;
        let answer =
            answer.map_err(|_| format!("{host} did not answer within {} s", PATIENCE.as_secs()))?;
        let status = answer
            .map_err(|_| format!("no connection to {host}"))?
            .status();
        // Docker Desktop's 403, Google's 403 and Amazon's 401 and 404 come from the same address.
        if let StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND = status {
            return Err(format!(
                "{host} is not the service of Azure, it answered {}",
                status.as_u16()
            ));
        }
        if !asks_cloud {
            return Ok(None);
        }
        let cloud = timeout_at(end, self.cloud(&client))
            .await
            .map_err(anyhow::Error::from)
            .flatten();
        Ok(cloud.unwrap_or_else(|error| {
            debug!("the metadata service did not say which cloud this machine is in: {error}");
            None
        }))
    }

    /// The cloud of the machine (Microsoft, "Azure Instance Metadata Service").
    async fn cloud(&self, client: &Client) -> anyhow::Result<Option<&'static str>> {
        let url =
            self.metadata("instance/compute/azEnvironment?api-version=2021-02-01&format=text")?;
        let answer = client
            .get(url)
            .header("metadata", "true")
            .send()
            .await?
            .error_for_status()?;
        let said = HttpResponse::read(answer).await?.body;
        Ok(std::str::from_utf8(&said)
            .ok()
            .and_then(|said| cloud_of_environment(said.trim())))
    }
}

/// A managed identity as a credential.
#[derive(Debug)]
pub(super) struct ManagedIdentity {
    endpoint: Arc<Endpoint>,
    id: Option<ManagedId>,
    network: Arc<Network>,
    secrets: Secrets,
}

/// The answer with a token. Its times are strings or numbers, by platform; they are not needed here.
#[derive(Deserialize)]
struct Granted {
    access_token: SecretString,
}

impl ManagedIdentity {
    /// The user-assigned identity of this name, or the system-assigned one. The key of Azure Arc is added to `secrets`.
    pub(super) fn new(
        endpoint: Arc<Endpoint>,
        id: Option<ManagedId>,
        network: Arc<Network>,
        secrets: Secrets,
    ) -> Self {
        Self {
            endpoint,
            id,
            network,
            secrets,
        }
    }

    async fn ask(&self, resource: &str) -> anyhow::Result<SecretString> {
        let client = Network::link_local()?;
        let mut request = self.endpoint.request(&client, resource, self.id.as_ref())?;
        if let Endpoint::Arc { .. } = *self.endpoint {
            let again = request.try_clone();
            let challenge = self.network.fetch(&client, request).await?;
            // An agent that is busy or has a reason says so as others do.
            if challenge.status != StatusCode::UNAUTHORIZED && !challenge.status.is_success() {
                anyhow::bail!(challenge.error_message());
            }
            request = again.ok_or_else(|| anyhow::anyhow!("the request cannot be repeated"))?;
            request.headers_mut().insert(
                reqwest::header::AUTHORIZATION,
                arc::answer(&challenge, &self.secrets)?,
            );
        }
        let answer = self.network.fetch(&client, request).await?;
        match serde_json::from_slice::<Granted>(&answer.body) {
            Ok(granted)
                if answer.status.is_success()
                    && !granted.access_token.expose_secret().is_empty() =>
            {
                Ok(granted.access_token)
            }
            _ => anyhow::bail!(answer.error_message()),
        }
    }
}

#[async_trait::async_trait]
impl TokenCredential for ManagedIdentity {
    async fn get_token(
        &self,
        scopes: &[&str],
        _: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        // A resource is a scope without its last part.
        let scope = scopes.first().copied().unwrap_or_default();
        let resource = scope.strip_suffix("/.default").unwrap_or(scope);
        let token = self.ask(resource).await.map_err(|error| {
            Error::new(
                ErrorKind::Credential,
                error.reallocate_into_boxed_dyn_error_without_backtrace(),
            )
        })?;
        // The token is used once and not kept, so that its end does not matter.
        Ok(AccessToken::new(
            Secret::new(token.expose_secret().to_owned()),
            OffsetDateTime::now_utc(),
        ))
    }
}
