//! GitHub Actions and Azure Pipelines: assertions that the CI system issues to a job.
//!
//! An assertion lives for five to ten minutes, so each sign-in requests a new one: one that was fetched when the job began would be
//! expired later (AADSTS700024).

use super::select::{Offer, skip};
use super::service_principal::{Credential, ServicePrincipal};
use super::{is_specific, token_in};
use crate::config::{Config, OidcRequestEnv, Origin, SourceSettings, Value};
use crate::error::sanitize_line;
use crate::http::Network;
use crate::registry::Registry;
use reqwest::Method;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

pub(super) const GITHUB_HINT: &str =
    "give the job `permissions: id-token: write`, and set `AZURE_TENANT_ID` and `AZURE_CLIENT_ID`";
pub(super) const PIPELINES_HINT: &str = "map it in the step: `env: SYSTEM_ACCESSTOKEN: $(System.AccessToken)`, and name a service connection";
const IDS_HINT: &str =
    "set `AZURE_TENANT_ID` and `AZURE_CLIENT_ID` of the application that trusts this job";
pub(super) const DENIED_HINT: &str = "the job must be allowed to ask for a token: `permissions: id-token: write`, or `SYSTEM_ACCESSTOKEN` mapped";

/// The version of the Azure Pipelines API (`azure_identity` 1.0, `azure_pipelines_credential.rs`).
const PIPELINES_API_VERSION: &str = "7.1";

/// A request for an assertion.
#[derive(Debug)]
pub(super) struct AssertionRequest {
    /// What messages call the identity, before its client ID.
    pub(super) label: &'static str,
    method: Method,
    url: Url,
    /// Proves to the CI system that the request comes from the job.
    pub(super) token: SecretString,
}

/// Offers the job of GitHub Actions, whose assertions are for an audience of its choice (GitHub, "`OpenID` Connect reference"). A CI system
/// sets its variables in every job, so anything missing or wrong is a reason to skip the source, not an error.
pub(super) fn offer_github(config: &Config, _: &Registry) -> Offer {
    let settings = &config.sources;
    let job = settings.github.as_ref();
    let job = job.map_err(|error| skip(error.to_string()))?.clone();
    let OidcRequestEnv { mut url, token } =
        job.ok_or_else(|| skip("`ACTIONS_ID_TOKEN_REQUEST_URL` is not set"))?;
    url.query_pairs_mut()
        .append_pair("audience", &config.identity_cloud.federation);
    let request = AssertionRequest {
        label: "GitHub Actions as",
        method: Method::GET,
        url,
        token,
    };
    let (tenant, client) = (settings.tenant.clone(), settings.client.clone());
    offer(
        "ACTIONS_ID_TOKEN_REQUEST_URL",
        request,
        tenant,
        client,
        settings,
    )
}

/// Offers the job of Azure Pipelines, whose assertions are for a service connection (Microsoft, "Oidctoken - Create").
pub(super) fn offer_pipelines(config: &Config, _: &Registry) -> Offer {
    const CONNECTION: &str = "AZURESUBSCRIPTION_SERVICE_CONNECTION_ID";
    const NO_CONNECTION: &str =
        "`AZURESUBSCRIPTION_SERVICE_CONNECTION_ID` is not set, nor is `service_connection`";
    let incomplete = |reason: &str| skip(reason).with_hint(PIPELINES_HINT);
    let settings = &config.sources;
    let job = settings.pipelines.as_ref();
    let job = job.map_err(|error| skip(error.to_string()))?;
    let url = job.url.clone();
    let mut url = url.ok_or_else(|| skip("`SYSTEM_OIDCREQUESTURI` is not set"))?;
    let token = job.token.clone();
    let token = token.ok_or_else(|| incomplete("`SYSTEM_ACCESSTOKEN` is not mapped"))?;
    let connection = settings.service_connection.as_ref();
    let connection = connection.ok_or_else(|| incomplete(NO_CONNECTION))?;
    // The task's service connection and its IDs belong together, and take precedence over settings for all programs of the machine.
    let is_of_task = connection.origin == Origin::Variable(CONNECTION);
    let choose = |setting: &Option<Value<String>>, of_task: &Option<String>, variable| {
        let specific = setting.clone().filter(|it| is_specific(&it.origin));
        let of_task = of_task.clone().filter(|_| is_of_task);
        let origin = Origin::Variable(variable);
        let of_task = of_task.map(|value| Value { value, origin });
        specific.or(of_task).or_else(|| setting.clone())
    };
    let tenant = choose(&settings.tenant, &job.tenant, "AZURESUBSCRIPTION_TENANT_ID");
    let client = choose(&settings.client, &job.client, "AZURESUBSCRIPTION_CLIENT_ID");
    url.query_pairs_mut()
        .append_pair("api-version", PIPELINES_API_VERSION)
        .append_pair("serviceConnectionId", &connection.value);
    let request = AssertionRequest {
        label: "Azure Pipelines as",
        method: Method::POST,
        url,
        token,
    };
    offer("SYSTEM_OIDCREQUESTURI", request, tenant, client, settings)
}

/// Offers a job whose tenant and client ID are known. Then a URL of an unknown host is an error, because the job would send its token there.
fn offer(
    variable: &str,
    request: AssertionRequest,
    tenant: Option<Value<String>>,
    client: Option<Value<String>>,
    settings: &SourceSettings,
) -> Offer {
    let url = request.url.clone();
    let job = ServicePrincipal::new(tenant, client, Credential::CiJob(request));
    let job = job.map_err(|missing| skip(format!("{missing} set")).with_hint(IDS_HINT))?;
    settings.check_issuer(variable, &url)?;
    Ok(Box::new(job))
}

impl AssertionRequest {
    pub(super) async fn send(&self, network: &Network) -> anyhow::Result<SecretString> {
        let host = self.url.host_str().unwrap_or_default();
        let client = network.client(host)?;
        let mut request = client
            .request(self.method.clone(), self.url.clone())
            .bearer_auth(self.token.expose_secret());
        if self.method == Method::POST {
            // Without `x-tfs-fedauthredirect`, Azure DevOps answers a wrong token with a sign-in page for browsers.
            request = request
                .header("content-length", "0")
                .header("x-tfs-fedauthredirect", "Suppress");
        }
        let response = network.fetch(&client, request.build()?).await;
        // Connection failures of a sign-in are reported for the authority, which is another host.
        let response = response.map_err(|error| {
            let unreachable = network.unreachable(host, error.as_ref());
            unreachable.map_or(error, Into::into)
        })?;
        token_in(&response).ok_or_else(|| {
            let mut error = response.error();
            let message = sanitize_line(&error.message);
            error.message = format!("{host} gave no assertion: {message}");
            error.into()
        })
    }
}
