//! Managed identities: tokens that Azure's platforms give to the programs that run on them.
//!
//! The credential of `azure_identity` reads the environment by other rules than ours, knows App Service and virtual machines only, and
//! retries a missing metadata service for 72 s. So the one request is made here. Sources: Microsoft, "How to use managed identities" for
//! App Service, for virtual machines and for Azure Arc; for Cloud Shell and Azure Machine Learning the Azure SDK for Python,
//! `azure/identity/_credentials`.

use super::advice::Failure;
use super::select::{Offer, skip};
use super::{Identity, IdentitySource, TokenContext, arc, token_in};
use crate::config::{Config, ManagedId, ManagedIdentityEnv, Platform, SourceSettings, Value};
use crate::error::Error;
use crate::http::{HttpResponse, Network};
use crate::registry::{CLOUDS, Registry, cloud_of_environment, host_and_port};
use anyhow::{Context as _, ensure};
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Client, Request};
use secrecy::{ExposeSecret, SecretString};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use tracing::debug;
use url::Url;

pub(super) const HINT: &str =
    "run it where a managed identity is assigned, or set `source` to another identity source";

/// How long to wait for the metadata service, which most machines do not have.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// The address of the Azure Instance Metadata Service, the same on every virtual machine.
const IMDS: &str = "http://169.254.169.254";

impl Platform {
    /// Returns the version of its API and the header that each request must have.
    fn protocol(self) -> (&'static str, &'static str) {
        match self {
            Self::AppService => ("2019-08-01", "x-identity-header"),
            Self::MachineLearning => ("2017-09-01", "secret"),
            Self::Arc => ("2021-02-01", "metadata"),
            Self::VirtualMachine | Self::CloudShell => ("2018-02-01", "metadata"),
        }
    }

    /// Returns the query parameter that names a user-assigned identity, if the platform has one for this kind of ID.
    fn id_parameter(self, id: &ManagedId) -> Option<&'static str> {
        match (self, id) {
            (Self::AppService | Self::VirtualMachine, ManagedId::Client(_)) => Some("client_id"),
            (Self::AppService, ManagedId::Object(_)) => Some("principal_id"),
            (Self::AppService, ManagedId::Resource(_)) => Some("mi_res_id"),
            (Self::VirtualMachine, ManagedId::Object(_)) => Some("object_id"),
            (Self::VirtualMachine, ManagedId::Resource(_)) => Some("msi_res_id"),
            (Self::MachineLearning, ManagedId::Client(_)) => Some("clientid"),
            (Self::MachineLearning | Self::Arc | Self::CloudShell, _) => None,
        }
    }
}

/// The identity that a platform gives: the user-assigned one with this ID, else the system-assigned one.
#[derive(Debug)]
struct ManagedIdentity {
    env: ManagedIdentityEnv,
    id: Option<ManagedId>,
}

/// Offers the managed identity that the platform announces.
pub(super) fn offer(config: &Config, _: &Registry) -> Offer {
    const NONE: &str = "neither `IDENTITY_ENDPOINT` nor `MSI_ENDPOINT` is set";
    let settings = &config.sources;
    let env = settings.managed_identity_env.clone()?;
    let arc = || {
        Some(ManagedIdentityEnv::new(
            Platform::Arc,
            arc::installed_endpoint()?,
        ))
    };
    let env = env.or_else(arc).ok_or_else(|| skip(NONE))?;
    ManagedIdentity::offer(env, settings)
}

/// Returns the managed identity of a virtual machine. Only a request shows whether this is one.
pub(super) fn of_virtual_machine(settings: &SourceSettings) -> Offer {
    let address = settings.imds.as_ref().map_or(IMDS, Url::as_str);
    let address = address.trim_end_matches('/');
    let url = Url::parse(&format!("{address}/metadata/identity/oauth2/token"));
    let url = url.map_err(|error| Error::setting("AZURE_POD_IDENTITY_AUTHORITY_HOST", error))?;
    let env = ManagedIdentityEnv::new(Platform::VirtualMachine, url);
    ManagedIdentity::offer(env, settings)
}

impl ManagedIdentity {
    /// Offers the user-assigned identity that is named, else the platform's default, else the system-assigned one. Errors if the
    /// platform cannot select the named identity, instead of using another one.
    fn offer(env: ManagedIdentityEnv, settings: &SourceSettings) -> Offer {
        let named = settings.managed.clone()?;
        if let Some(Value { value: id, origin }) = &named
            && env.platform.id_parameter(id).is_none()
        {
            let platform = env.platform;
            let problem = format!("from {origin} cannot select a managed identity on {platform:?}");
            return Err(Error::setting(id.as_str(), problem));
        }
        let default = env.default_client.clone().map(ManagedId::Client);
        let id = named.map(|id| id.value).or(default);
        Ok(Box::new(Self { env, id }))
    }

    fn token_request(&self, client: &Client, resource: &str) -> anyhow::Result<Request> {
        let (version, header) = self.env.platform.protocol();
        let secret = self.env.secret.as_ref().map(ExposeSecret::expose_secret);
        let mut value = HeaderValue::from_str(secret.unwrap_or("true"))?;
        value.set_sensitive(true);
        let request = if self.env.platform == Platform::CloudShell {
            let form = [("resource", resource)];
            client.post(self.env.url.clone()).form(&form)
        } else {
            let id = self.id.as_ref();
            let id = id.and_then(|id| Some((self.env.platform.id_parameter(id)?, id.as_str())));
            let query = [("api-version", version), ("resource", resource)];
            let query = query.into_iter().chain(id);
            client.get(Url::parse_with_params(self.env.url.as_str(), query)?)
        };
        Ok(request.header(header, value).build()?)
    }

    /// Checks that this is a virtual machine of Azure, in the cloud that the identity must belong to. A registry's name must not decide
    /// which cloud's token is sent. The cloud is requested only where it can matter. If the machine does not say, its cloud is accepted.
    async fn check_machine(&self, identity: &Identity) -> Result<(), Error> {
        let registry = identity.registry.as_ref().map_or("", Registry::host);
        let no_identity = |why: String| {
            let error = identity.unavailable.clone();
            error.with_detail(format!("managed identity of a virtual machine: {why}"))
        };
        let (public, own) = (&CLOUDS[0].cli_name, &identity.home_cloud.cli_name);
        let cloud_matters = identity.cloud().cli_name != *public || own != public;
        let machine = self.probe(cloud_matters).await;
        let machine = machine.map_err(|why| no_identity(why.to_string()))?;
        let Some(machine) = machine.filter(|machine| machine != own) else {
            return Ok(());
        };
        let why = format!(
            "this machine is in {machine}, and the identity of {registry} must be in {own}"
        );
        Err(no_identity(why).with_hint(format!(
            "to use this identity there, set `identity_cloud = \"{machine}\"` under `[registry.\"{registry}\"]` in {}",
            identity.config_file
        )))
    }

    /// Checks that there is a metadata service of Azure: its address is link-local, and off Azure nothing answers there, or another
    /// cloud's service. Without the header `Metadata` it answers 400 and no token (error `bad_request_102`).
    ///
    /// If `asks_cloud`, returns the machine's cloud as the Azure CLI calls it, if the service names a known one. All of it takes at most
    /// [`PROBE_TIMEOUT`]. The error says what happened.
    async fn probe(&self, asks_cloud: bool) -> anyhow::Result<Option<&'static str>> {
        let (host, end) = (host_and_port(&self.env.url), Instant::now() + PROBE_TIMEOUT);
        let client = Network::local_client()?;
        let response = timeout_at(end, client.get(self.env.url.clone()).send()).await;
        let seconds = PROBE_TIMEOUT.as_secs();
        let response = response
            .with_context(|| format!("{host} did not answer within {seconds} s"))?
            .with_context(|| format!("no connection to {host}"))?;
        let status = response.status().as_u16();
        // Docker Desktop's 403, Google's 403 and Amazon's 401 and 404 come from the same address.
        ensure!(
            ![401, 403, 404].contains(&status),
            "{host} answered {status}: this is not an Azure virtual machine"
        );
        if !asks_cloud {
            return Ok(None);
        }
        let cloud = timeout_at(end, self.machine_cloud(&client)).await;
        let cloud = cloud.map_err(anyhow::Error::from).flatten();
        if let Err(error) = &cloud {
            debug!("the metadata service did not say which cloud this machine is in: {error}");
        }
        Ok(cloud.unwrap_or_default())
    }

    /// Returns the cloud of the machine (Microsoft, "Azure Instance Metadata Service").
    async fn machine_cloud(&self, client: &Client) -> anyhow::Result<Option<&'static str>> {
        let path = "../../instance/compute/azEnvironment?api-version=2021-02-01&format=text";
        let request = client
            .get(self.env.url.join(path)?)
            .header("metadata", "true");
        let response = request.send().await?.error_for_status()?;
        let response = HttpResponse::read(response).await?;
        let name = std::str::from_utf8(&response.body).ok();
        Ok(name.and_then(|name| cloud_of_environment(name.trim())))
    }
}

#[async_trait::async_trait]
impl IdentitySource for ManagedIdentity {
    fn name(&self) -> String {
        match &self.id {
            _ if self.env.platform == Platform::CloudShell => "the user of Cloud Shell".into(),
            Some(id) => format!("managed identity {}", id.as_str()),
            None => "the system-assigned managed identity".into(),
        }
    }

    fn cache_key(&self) -> String {
        // Which identity an endpoint gives depends on its whole address and on the secret.
        let secret = self.env.secret.as_ref().map(ExposeSecret::expose_secret);
        let secret = secret.unwrap_or_default();
        format!(
            "{:?}\0{}\0{secret}\0{:?}",
            self.env.platform, self.env.url, self.id
        )
    }

    fn host(&self) -> Option<String> {
        Some(host_and_port(&self.env.url).to_owned())
    }

    fn secret(&self) -> Option<&SecretString> {
        self.env.secret.as_ref()
    }

    fn hint(&self, failure: &Failure<'_>) -> Option<String> {
        match (&self.id, self.env.platform) {
            _ if failure.code.is_some() => None,
            (Some(id), _) => Some(format!(
                "check that {} is a managed identity assigned to this machine",
                id.as_str()
            )),
            (None, Platform::Arc | Platform::CloudShell) => None,
            (None, _) => Some("check that a managed identity is assigned; a user-assigned one needs `AZURE_CLIENT_ID`".into()),
        }
    }

    fn unreachable_hint(&self) -> Option<&'static str> {
        Some(match self.env.platform {
            Platform::AppService => {
                "`IDENTITY_ENDPOINT` and `IDENTITY_HEADER` are set by App Service and Container Apps; elsewhere unset both"
            }
            Platform::CloudShell | Platform::MachineLearning => {
                "`MSI_ENDPOINT` is set by Cloud Shell and Azure Machine Learning; elsewhere unset it"
            }
            Platform::Arc => "the agent of Azure Arc may be stopped\n  systemctl status himdsd",
            Platform::VirtualMachine => {
                "try again; the metadata service of the machine may be starting"
            }
        })
    }

    async fn token(&self, context: &TokenContext<'_>) -> anyhow::Result<SecretString> {
        let (identity, network) = (context.identity, context.network);
        if self.env.platform == Platform::VirtualMachine {
            self.check_machine(identity).await?;
        }
        let client = Network::local_client()?;
        let request = || self.token_request(&client, identity.audience.as_str());
        let mut response = network.fetch(&client, request()?).await?;
        if self.env.platform == Platform::Arc {
            let key = arc::authorization(&response, &identity.secrets)?;
            let mut request = request()?;
            request.headers_mut().insert(AUTHORIZATION, key);
            response = network.fetch(&client, request).await?;
        }
        token_in(&response).ok_or_else(|| response.error().into())
    }
}
