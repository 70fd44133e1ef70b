//! What jobs of CI systems find in their environment.

use super::environment::{Result, SettingError, Variables, https_url, is_loopback, parsed, text};
use super::values;
use crate::text::is_within;
use secrecy::SecretString;
use url::Url;

/// Where a CI job requests assertions.
#[derive(Clone, Debug)]
pub struct OidcRequestEnv {
    /// The address.
    pub url: Url,
    /// Proves that the request comes from the job.
    pub token: SecretString,
}

/// What a job of Azure Pipelines finds. Which parts are set depends on the task.
#[derive(Debug, Default)]
pub struct PipelinesSettings {
    /// `SYSTEM_OIDCREQUESTURI`.
    pub url: Option<Url>,
    /// `SYSTEM_ACCESSTOKEN`, which a pipeline must map itself.
    pub token: Option<SecretString>,
    /// `AZURESUBSCRIPTION_TENANT_ID` of the task. A tenant that the user names for this helper takes precedence.
    pub tenant: Option<String>,
    /// `AZURESUBSCRIPTION_CLIENT_ID` of the task. A client id that the user names for this helper takes precedence.
    pub client: Option<String>,
}

/// Hosts that issue tokens to the jobs of GitHub Actions and Azure Pipelines (GitHub, "`OpenID` Connect reference"; GitHub Enterprise
/// Cloud with data residency is below `ghe.com`). A name with a leading dot means every host below it.
const ISSUERS: &[&str] = &[
    ".actions.githubusercontent.com",
    ".ghe.com",
    "dev.azure.com",
    ".visualstudio.com",
];

/// Returns whether a URL names a host that issues tokens to jobs: a known one, this machine, or `oidc_host` of the config file. Only these
/// get the token that proves the job's identity.
pub(super) fn is_issuer(url: &Url, oidc_host: Option<&str>) -> bool {
    let host = url.host_str().unwrap_or_default();
    let is_known = |known: &&str| match known.strip_prefix('.') {
        Some(domain) => host != domain && is_within(host, domain),
        None => host == *known,
    };
    is_loopback(url) || oidc_host == Some(host) || ISSUERS.iter().any(is_known)
}

impl OidcRequestEnv {
    /// Reads what GitHub sets in jobs with the permission `id-token: write` (GitHub, "`OpenID` Connect reference").
    pub(super) fn of_github(variables: &Variables) -> Result<Option<Self>> {
        const TOKEN: &str = "ACTIONS_ID_TOKEN_REQUEST_TOKEN";
        let url = parsed(variables, "ACTIONS_ID_TOKEN_REQUEST_URL", |url| {
            https_url(url, "https://pipelines.actions.githubusercontent.com/…")
        })?;
        let Some(url) = url else { return Ok(None) };
        let token = text(variables, TOKEN)?;
        let token = token.ok_or_else(|| SettingError::new(TOKEN, "is not set"))?;
        Ok(Some(Self {
            url,
            token: token.into(),
        }))
    }
}

impl PipelinesSettings {
    pub(super) fn read(variables: &Variables) -> Result<Self> {
        // A variable that the step does not map stays as it is written: `$(System.AccessToken)`.
        let token = text(variables, "SYSTEM_ACCESSTOKEN")?.filter(|token| !token.starts_with("$("));
        Ok(Self {
            url: parsed(variables, "SYSTEM_OIDCREQUESTURI", |url| {
                https_url(url, "https://dev.azure.com/…")
            })?,
            token: token.map(SecretString::from),
            tenant: parsed(variables, "AZURESUBSCRIPTION_TENANT_ID", values::tenant)?,
            client: parsed(variables, "AZURESUBSCRIPTION_CLIENT_ID", values::id)?,
        })
    }
}
