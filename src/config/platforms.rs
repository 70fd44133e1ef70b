//! What platforms set in the environment of the programs that run on them: managed identities and CI jobs.

use super::environment::{
    HTTP, HTTPS, Result, Variables, is_loopback, parsed, parsed_url, raw, text,
};
use super::values;
use crate::error::Error;
use crate::text::is_within;
use secrecy::SecretString;
use url::Url;

/// A managed identity as platforms announce it in the environment.
#[derive(Debug, Default)]
pub enum ManagedIdentityEnv {
    /// None.
    #[default]
    Nothing,
    /// App Service or Container Apps: `IDENTITY_ENDPOINT` and `IDENTITY_HEADER`.
    AppService {
        /// Where to request tokens.
        url: Url,
        /// Proves that the request comes from the app.
        header: SecretString,
    },
    /// A server that Azure Arc manages: `IDENTITY_ENDPOINT` and `IMDS_ENDPOINT`.
    Arc {
        /// Where to request tokens.
        url: Url,
    },
    /// Cloud Shell: `MSI_ENDPOINT` alone.
    CloudShell {
        /// Where to request tokens.
        url: Url,
    },
    /// Azure Machine Learning: `MSI_ENDPOINT` and `MSI_SECRET`.
    MachineLearning {
        /// Where to request tokens.
        url: Url,
        /// Proves that the request comes from the job.
        secret: SecretString,
        /// `DEFAULT_IDENTITY_CLIENT_ID`, for when no identity is named.
        client: Option<String>,
    },
    /// One of another platform, by the platform's name.
    Unsupported(&'static str),
}

/// Where the agent of Azure Arc listens by default.
pub(crate) const ARC_ENDPOINT: &str = "http://localhost:40342/metadata/identity/oauth2/token";

impl ManagedIdentityEnv {
    /// Distinguishes platforms as the Azure SDKs do.
    pub(super) fn read(variables: &Variables) -> Result<Self> {
        const ENDPOINT: &str = "IDENTITY_ENDPOINT";
        let is_set = |name| raw(variables, name).is_some();
        let is_arc = is_set("IMDS_ENDPOINT");
        let Some(url) = parsed_url(variables, ENDPOINT, HTTP, ARC_ENDPOINT)? else {
            return Self::read_msi(variables);
        };
        match text(variables, "IDENTITY_HEADER")?.map(SecretString::from) {
            Some(_) if is_set("IDENTITY_SERVER_THUMBPRINT") => {
                Ok(Self::Unsupported("Service Fabric"))
            }
            Some(header) => Ok(Self::AppService { url, header }),
            // Arc gets a key that comes from a file of the agent, not from the environment.
            None if is_arc && !is_loopback(&url) => {
                let problem = format!("must point to this machine, for example `{ARC_ENDPOINT}`");
                Err(Error::setting(ENDPOINT, problem))
            }
            None if is_arc => Ok(Self::Arc { url }),
            None => Err(Error::incomplete_setting(
                ENDPOINT,
                "`IDENTITY_HEADER` is not",
            )),
        }
    }

    /// Reads the variables of platforms that set `MSI_ENDPOINT`.
    fn read_msi(variables: &Variables) -> Result<Self> {
        let example = "http://localhost:50342/oauth2/token";
        let Some(url) = parsed_url(variables, "MSI_ENDPOINT", HTTP, example)? else {
            return Ok(Self::Nothing);
        };
        Ok(match text(variables, "MSI_SECRET")? {
            Some(secret) => Self::MachineLearning {
                url,
                secret: secret.into(),
                client: parsed(variables, "DEFAULT_IDENTITY_CLIENT_ID", values::id)?,
            },
            None => Self::CloudShell { url },
        })
    }
}

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

/// Hosts that issue tokens to the jobs of GitHub Actions and Azure Pipelines (GitHub, "`OpenID` Connect reference"). GitHub Enterprise Cloud
/// with data residency is below `ghe.com`. A name with a leading dot means every host below it.
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
    pub(super) fn from_github(variables: &Variables) -> Result<Option<Self>> {
        const TOKEN: &str = "ACTIONS_ID_TOKEN_REQUEST_TOKEN";
        let example = "https://pipelines.actions.githubusercontent.com/…";
        let name = "ACTIONS_ID_TOKEN_REQUEST_URL";
        let Some(url) = parsed_url(variables, name, HTTPS, example)? else {
            return Ok(None);
        };
        let token = text(variables, TOKEN)?.ok_or_else(|| Error::setting(TOKEN, "is not set"))?;
        let token = token.into();
        Ok(Some(Self { url, token }))
    }
}

impl PipelinesSettings {
    pub(super) fn read(variables: &Variables) -> Result<Self> {
        // A variable that the step does not map stays as it is written: `$(System.AccessToken)`.
        let token = text(variables, "SYSTEM_ACCESSTOKEN")?.filter(|token| !token.starts_with("$("));
        let example = "https://dev.azure.com/…";
        Ok(Self {
            url: parsed_url(variables, "SYSTEM_OIDCREQUESTURI", HTTPS, example)?,
            token: token.map(SecretString::from),
            tenant: parsed(variables, "AZURESUBSCRIPTION_TENANT_ID", values::tenant)?,
            client: parsed(variables, "AZURESUBSCRIPTION_CLIENT_ID", values::id)?,
        })
    }
}
