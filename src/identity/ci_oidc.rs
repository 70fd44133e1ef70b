//! GitHub Actions and Azure Pipelines: assertions that the CI system issues to a job.
//!
//! An assertion lives for five to ten minutes, so each sign-in requests a new one: one that was fetched when the job began would be
//! expired later (AADSTS700024).

use super::select::{Offer, Unavailable::Skipped};
use super::service_principal::{Credential, ServicePrincipal};
use super::token_in;
use crate::config::{Config, OidcRequestEnv, Origin, SourceSettings, Value};
use crate::error::printable;
use crate::http::{Network, ResponseError};
use crate::registry::Registry;
use reqwest::Method;
use secrecy::{ExposeSecret, SecretString};
use std::fmt;
use url::Url;

pub(super) const GITHUB_HINT: &str =
    "give the job `permissions: id-token: write`, and set `AZURE_TENANT_ID` and `AZURE_CLIENT_ID`";
pub(super) const PIPELINES_HINT: &str = "map it in the step: `env: SYSTEM_ACCESSTOKEN: $(System.AccessToken)`, and name a service connection";

const GITHUB_URL: &str = "ACTIONS_ID_TOKEN_REQUEST_URL";
const PIPELINES_URL: &str = "SYSTEM_OIDCREQUESTURI";

/// The version of the Azure Pipelines API (`azure_identity` 1.0, `azure_pipelines_credential.rs`).
const PIPELINES_API_VERSION: &str = "7.1";

/// A request for an assertion.
#[derive(Debug)]
pub(super) struct AssertionRequest {
    /// What messages call the identity, before its client ID.
    pub(super) label: &'static str,
    method: Method,
    url: Url,
    /// What shows the CI system that the job sends it.
    pub(super) token: SecretString,
}

/// Offers the job of GitHub Actions, whose assertions are for an audience of its choice (GitHub, "`OpenID` Connect reference"). A CI system
/// sets its variables in every job, so anything missing or wrong is a reason to skip the source, not an error.
pub(super) fn offer_github(config: &Config, _: &Registry) -> Offer {
    let settings = &config.sources;
    let requests = settings.github.get();
    let requests = requests
        .map_err(|error| Skipped(error.to_string()))?
        .clone();
    let OidcRequestEnv { mut url, token } =
        requests.ok_or("`ACTIONS_ID_TOKEN_REQUEST_URL` is not set")?;
    let audience = &config.identity_cloud.federation;
    url.query_pairs_mut().append_pair("audience", audience);
    let request = AssertionRequest {
        label: "GitHub Actions as",
        method: Method::GET,
        url,
        token,
    };
    let (tenant, client) = (settings.tenant.clone(), settings.client.clone());
    let job = ServicePrincipal::new(tenant, client, Credential::CiJob(request));
    offer(job, GITHUB_URL, settings)
}

/// Offers the job of Azure Pipelines, whose assertions are for a service connection (Microsoft, "Oidctoken - Create").
pub(super) fn offer_pipelines(config: &Config, _: &Registry) -> Offer {
    const CONNECTION: &str = "AZURESUBSCRIPTION_SERVICE_CONNECTION_ID";
    let settings = &config.sources;
    let job = settings.pipelines.get();
    let job = job.map_err(|error| Skipped(error.to_string()))?;
    let mut url = job
        .url
        .clone()
        .ok_or("`SYSTEM_OIDCREQUESTURI` is not set")?;
    let token = job
        .token
        .clone()
        .ok_or("`SYSTEM_ACCESSTOKEN` is not mapped")?;
    let connection = settings.service_connection.as_ref().ok_or(
        "`AZURESUBSCRIPTION_SERVICE_CONNECTION_ID` is not set, nor is `service_connection`",
    )?;
    // The task's service connection and its ids belong together, and beat what is set for everything that runs on the machine.
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
    let job = ServicePrincipal::new(tenant, client, Credential::CiJob(request));
    offer(job, PIPELINES_URL, settings)
}

/// Returns whether a setting was made for this helper or a registry, and not for all programs.
fn is_specific(origin: &Origin) -> bool {
    match origin {
        Origin::Variable(variable) => variable.starts_with("ACRSCOPED_"),
        Origin::File { profile, .. } => profile.is_some(),
        Origin::Annotation(_) => false,
    }
}

/// Offers a job whose tenant and client ID are known. A URL of an unknown host is an error then, for the job would send its token there.
fn offer(job: Result<ServicePrincipal, &str>, variable: &str, settings: &SourceSettings) -> Offer {
    let job = job.map_err(|missing| Skipped(format!("{missing} set")))?;
    if let Credential::CiJob(request) = &job.credential {
        settings.check_issuer(variable, &request.url)?;
    }
    Ok(Box::new(job))
}

/// Returns what to do if the CI system issued no assertion.
pub(super) fn hint(cause: &anyhow::Error) -> &'static str {
    let no_assertion = cause.downcast_ref::<NoAssertion>();
    no_assertion.and_then(|error| error.answer.hint).unwrap_or(
        "the job must be allowed to ask for a token: `permissions: id-token: write`, or `SYSTEM_ACCESSTOKEN` mapped",
    )
}

/// The CI system answered without an assertion.
#[derive(Debug)]
struct NoAssertion {
    host: String,
    answer: ResponseError,
}

impl fmt::Display for NoAssertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = printable(&self.answer.message);
        write!(f, "{} gave no assertion: {message}", self.host)
    }
}

impl std::error::Error for NoAssertion {}

impl AssertionRequest {
    pub(super) async fn send(&self, network: &Network) -> anyhow::Result<SecretString> {
        let host = self.url.host_str().unwrap_or_default();
        let client = network.internet(host)?;
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
        // This host is not the authority, which other failures of a sign-in are about.
        let unreachable = |error: anyhow::Error| {
            network
                .unreachable(host, error.as_ref())
                .map_or(error, Into::into)
        };
        let response = response.map_err(unreachable)?;
        token_in(&response).ok_or_else(|| {
            let (host, answer) = (host.to_owned(), response.error());
            NoAssertion { host, answer }.into()
        })
    }
}
