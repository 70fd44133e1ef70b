//! GitHub Actions and Azure Pipelines: assertions that the CI system issues to a job.
//!
//! An assertion lives for five to ten minutes, so each sign-in requests a new one: one that was fetched when the job began would be
//! expired later (AADSTS700024).

use super::TokenContext;
use super::advice::Failure;
use super::select::Offer;
use super::service_principal::{Application, ClientCredential, Proof, ServicePrincipal};
use crate::config::{Config, Origin, Requests, SourceSettings, Value};
use crate::error::{Error, printable};
use crate::network::answer;
use crate::registry::{Cloud, Registry};
use reqwest::{Client, RequestBuilder};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use std::fmt;
use url::Url;

pub(super) const GITHUB_HINT: &str =
    "give the job `permissions: id-token: write`, and set `AZURE_TENANT_ID` and `AZURE_CLIENT_ID`";
pub(super) const PIPELINES_HINT: &str = "map it in the step: `env: SYSTEM_ACCESSTOKEN: $(System.AccessToken)`, and name a service connection";

/// The version of the Azure Pipelines API (`azure_identity` 1.0, `azure_pipelines_credential.rs`).
const PIPELINES_API_VERSION: &str = "7.1";

/// Requests assertions for an audience of the job's choice (GitHub, "`OpenID` Connect reference").
#[derive(Debug)]
struct GitHubActions {
    requests: Requests,
    audience: String,
}

/// Requests assertions for a service connection (Microsoft, "Oidctoken - Create").
#[derive(Debug)]
struct AzurePipelines {
    requests: Requests,
    service_connection: String,
}

pub(super) fn offer_github(config: &Config, _: &Registry) -> Result<Offer, Error> {
    let settings = &config.sources;
    let job = match github(settings, &config.identity_cloud) {
        Ok(job) => job,
        Err(reason) => return Ok(Offer::Skipped(reason)),
    };
    let url = &job.credential.requests.url;
    settings.check_issuer("ACTIONS_ID_TOKEN_REQUEST_URL", url)?;
    Ok(Offer::ready(job))
}

pub(super) fn offer_pipelines(config: &Config, _: &Registry) -> Result<Offer, Error> {
    let job = match pipelines(&config.sources) {
        Ok(job) => job,
        Err(reason) => return Ok(Offer::Skipped(reason)),
    };
    let url = &job.credential.requests.url;
    config.sources.check_issuer("SYSTEM_OIDCREQUESTURI", url)?;
    Ok(Offer::ready(job))
}

/// Returns the application of a GitHub job. A CI system sets its variables in every job, so anything missing or wrong is a reason to skip
/// the source, not an error.
fn github(
    settings: &SourceSettings,
    cloud: &Cloud,
) -> Result<ServicePrincipal<GitHubActions>, String> {
    let requests = settings.github.get().map_err(|error| error.to_string())?;
    let requests = requests
        .clone()
        .ok_or("`ACTIONS_ID_TOKEN_REQUEST_URL` is not set")?;
    let application = Application::from_settings(settings).map_err(not_set)?;
    let audience = cloud.federation.to_string();
    Ok(ServicePrincipal {
        application,
        credential: GitHubActions { requests, audience },
    })
}

/// Returns the application of an Azure Pipelines job, or why there is none.
fn pipelines(settings: &SourceSettings) -> Result<ServicePrincipal<AzurePipelines>, String> {
    let job = settings
        .pipelines
        .get()
        .map_err(|error| error.to_string())?;
    let url = job
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
    let is_of_task =
        connection.origin == Origin::Variable("AZURESUBSCRIPTION_SERVICE_CONNECTION_ID");
    let choose = |setting: &Option<Value<String>>, of_task: &Option<String>, variable| {
        let set_for_this = setting.clone().filter(|it| is_specific(&it.origin));
        let of_task = of_task.clone().filter(|_| is_of_task).map(|value| Value {
            value,
            origin: Origin::Variable(variable),
        });
        set_for_this.or(of_task).or_else(|| setting.clone())
    };
    let tenant = choose(&settings.tenant, &job.tenant, "AZURESUBSCRIPTION_TENANT_ID");
    let client = choose(&settings.client, &job.client, "AZURESUBSCRIPTION_CLIENT_ID");
    Ok(ServicePrincipal {
        application: Application::new(tenant, client).map_err(not_set)?,
        credential: AzurePipelines {
            requests: Requests { url, token },
            service_connection: connection.value.clone(),
        },
    })
}

fn not_set(missing: &str) -> String {
    format!("{missing} set")
}

/// Returns whether a setting was made for this helper or registry, and not for all programs.
fn is_specific(origin: &Origin) -> bool {
    match origin {
        Origin::Variable(variable) => variable.starts_with("ACRSCOPED_"),
        Origin::Profile { .. } => true,
        Origin::Top { .. } | Origin::Annotation(_) => false,
    }
}

#[async_trait::async_trait]
impl ClientCredential for GitHubActions {
    const KIND: &str = "github";
    const LABEL: &str = "GitHub Actions as";

    fn secret(&self) -> Option<&SecretString> {
        Some(&self.requests.token)
    }

    fn hint(&self, failure: &Failure<'_>, _: &Application) -> Option<String> {
        hint(failure)
    }

    async fn proof(&self, _: &Application, context: &TokenContext<'_>) -> anyhow::Result<Proof> {
        let build = |client: &Client, mut url: Url| {
            url.query_pairs_mut()
                .append_pair("audience", &self.audience);
            client.get(url)
        };
        request_assertion(&self.requests, build, context).await
    }
}

#[async_trait::async_trait]
impl ClientCredential for AzurePipelines {
    const KIND: &str = "pipelines";
    const LABEL: &str = "Azure Pipelines as";

    fn secret(&self) -> Option<&SecretString> {
        Some(&self.requests.token)
    }

    fn hint(&self, failure: &Failure<'_>, _: &Application) -> Option<String> {
        hint(failure)
    }

    async fn proof(&self, _: &Application, context: &TokenContext<'_>) -> anyhow::Result<Proof> {
        let build = |client: &Client, mut url: Url| {
            url.query_pairs_mut()
                .append_pair("api-version", PIPELINES_API_VERSION)
                .append_pair("serviceConnectionId", &self.service_connection);
            // Without `x-tfs-fedauthredirect` a wrong token is answered with a sign-in page for browsers.
            client
                .post(url)
                .header("content-length", "0")
                .header("x-tfs-fedauthredirect", "Suppress")
        };
        request_assertion(&self.requests, build, context).await
    }
}

fn hint(failure: &Failure<'_>) -> Option<String> {
    if let Some(error) = failure.cause.downcast_ref::<NoAssertion>()
        && let Some(hint) = answer::hint(&error.message)
    {
        return Some(hint.to_owned());
    }
    let has_code = failure.code.is_some();
    (!has_code).then(|| {
        "the job must be allowed to ask for a token: `permissions: id-token: write`, or `SYSTEM_ACCESSTOKEN` mapped".into()
    })
}

/// The response of either system; other fields may come along.
#[derive(Deserialize)]
struct AssertionResponse {
    #[serde(alias = "oidcToken")]
    value: SecretString,
}

/// The CI system answered without an assertion.
#[derive(Debug)]
struct NoAssertion {
    host: String,
    /// What it answered, not yet printable.
    message: String,
}

impl fmt::Display for NoAssertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = printable(&self.message);
        write!(f, "{} gave no assertion: {message}", self.host)
    }
}

impl std::error::Error for NoAssertion {}

async fn request_assertion(
    requests: &Requests,
    build: impl FnOnce(&Client, Url) -> RequestBuilder,
    context: &TokenContext<'_>,
) -> anyhow::Result<Proof> {
    let (host, network) = (requests.url.host_str().unwrap_or_default(), context.network);
    let client = network.internet(host)?;
    let request = build(&client, requests.url.clone())
        .bearer_auth(requests.token.expose_secret())
        .build()?;
    let response = network.fetch(&client, request).await;
    // This host is not the authority, which other failures of a sign-in are about.
    let response = response.map_err(|error| match network.unreachable(host, error.as_ref()) {
        Some(unreachable) => unreachable.into(),
        None => error,
    })?;
    match serde_json::from_slice::<AssertionResponse>(&response.body) {
        Ok(granted)
            if response.status.is_success() && !granted.value.expose_secret().is_empty() =>
        {
            Ok(Proof::Assertion(granted.value))
        }
        _ => Err(NoAssertion {
            host: host.to_owned(),
            message: response.words(),
        }
        .into()),
    }
}
