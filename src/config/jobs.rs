//! What jobs of CI systems find in their environment.

use super::environment::{Variables, checked, is_loopback, text, wrong};
use super::values;
use crate::error::Error;
use crate::text::is_within;
use secrecy::SecretString;
use url::Url;

/// Where assertions of a CI job are asked for.
#[derive(Clone, Debug)]
pub struct Requests {
    /// The address.
    pub url: Url,
    /// What proves that the job asks.
    pub token: SecretString,
}

/// What a job of Azure Pipelines finds; which parts are there depends on the task.
#[derive(Debug, Default)]
pub struct PipelinesSettings {
    /// `SYSTEM_OIDCREQUESTURI`.
    pub url: Option<Url>,
    /// `SYSTEM_ACCESSTOKEN`, which a pipeline must map by itself.
    pub token: Option<SecretString>,
    /// `AZURESUBSCRIPTION_TENANT_ID` of the task, unless the user named another for this.
    pub tenant: Option<String>,
    /// `AZURESUBSCRIPTION_CLIENT_ID` of the task, unless the user named another for this.
    pub client: Option<String>,
}

/// Hosts that issue tokens to the jobs of GitHub Actions and Azure Pipelines (GitHub, "`OpenID` Connect reference"; GitHub Enterprise
/// Cloud with data residency is below `ghe.com`). A name that begins with a dot stands for all below it.
const ISSUERS: &[&str] = &[
    ".actions.githubusercontent.com",
    ".ghe.com",
    "dev.azure.com",
    ".visualstudio.com",
];

/// Whether a URL names a host that issues tokens to jobs: a known one, this machine, or the one that the config file names. Only these get
/// the token by which a job proves who it is.
pub(super) fn is_issuer(url: &Url, own: Option<&str>) -> bool {
    let host = url.host_str().unwrap_or_default();
    let is_known = |known: &&str| match known.strip_prefix('.') {
        Some(domain) => host != domain && is_within(host, domain),
        None => host == *known,
    };
    is_loopback(url) || own == Some(host) || ISSUERS.iter().any(is_known)
}

/// An address that a platform's token is sent to: never in the clear.
fn https_url(name: &str, value: &str, example: &str) -> Result<Url, Error> {
    let url = Url::parse(value)
        .ok()
        .filter(|url| url.scheme() == "https" && url.has_host());
    url.ok_or_else(|| wrong(name, &format!("is not an https URL such as `{example}`")))
}

impl Requests {
    /// GitHub, "`OpenID` Connect reference": both variables are there in jobs with the permission `id-token: write`.
    pub(super) fn of_github(variables: &Variables) -> Result<Option<Self>, Error> {
        const URL: &str = "ACTIONS_ID_TOKEN_REQUEST_URL";
        const TOKEN: &str = "ACTIONS_ID_TOKEN_REQUEST_TOKEN";
        let Some(url) = text(variables, URL)? else {
            return Ok(None);
        };
        let token = text(variables, TOKEN)?.ok_or_else(|| wrong(TOKEN, "is not set"))?;
        let url = https_url(
            URL,
            &url,
            "https://pipelines.actions.githubusercontent.com/…",
        )?;
        Ok(Some(Self {
            url,
            token: token.into(),
        }))
    }
}

impl PipelinesSettings {
    pub(super) fn read(variables: &Variables) -> Result<Self, Error> {
        const URL: &str = "SYSTEM_OIDCREQUESTURI";
        // What is not mapped in the step stays there as it was written: `$(System.AccessToken)`.
        const TOKEN: &str = "SYSTEM_ACCESSTOKEN";
        let url = text(variables, URL)?
            .map(|url| https_url(URL, &url, "https://dev.azure.com/…"))
            .transpose()?;
        Ok(Self {
            url,
            token: text(variables, TOKEN)?
                .filter(|token| !token.starts_with("$("))
                .map(SecretString::from),
            tenant: checked(variables, "AZURESUBSCRIPTION_TENANT_ID", values::tenant)?,
            client: checked(variables, "AZURESUBSCRIPTION_CLIENT_ID", values::id)?,
        })
    }
}
