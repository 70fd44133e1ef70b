//! What platforms set in the environment of the programs that run on them: managed identities and CI jobs.

use super::environment::{
    HTTP, HTTPS, Result, Variables, is_loopback, parsed, parsed_url, raw, text,
};
use super::values;
use crate::error::{Error, ErrorKind};
use crate::text::is_within;
use secrecy::SecretString;
use url::Url;

/// A platform that gives managed identities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Platform {
    /// App Service or Container Apps: `IDENTITY_ENDPOINT` and `IDENTITY_HEADER`.
    AppService,
    /// A server that Azure Arc manages: `IDENTITY_ENDPOINT` and `IMDS_ENDPOINT`, or neither.
    Arc,
    /// Cloud Shell, whose identity is the user who opened it: `MSI_ENDPOINT` alone.
    CloudShell,
    /// Azure Machine Learning: `MSI_ENDPOINT` and `MSI_SECRET`.
    MachineLearning,
    /// A virtual machine with a metadata service, which no variable announces.
    VirtualMachine,
}

/// Where a platform gives tokens of managed identities.
#[derive(Clone, Debug)]
pub struct ManagedIdentityEnv {
    /// The platform.
    pub platform: Platform,
    /// The token endpoint.
    pub url: Url,
    /// Proves to the endpoint that the request comes from a program of the platform.
    pub secret: Option<SecretString>,
    /// `DEFAULT_IDENTITY_CLIENT_ID` of Azure Machine Learning, for when no identity is named.
    pub default_client: Option<String>,
}

/// Where the agent of Azure Arc listens by default.
pub(crate) const ARC_ENDPOINT: &str = "http://localhost:40342/metadata/identity/oauth2/token";

impl ManagedIdentityEnv {
    /// Returns an endpoint that needs no secret.
    pub(crate) fn new(platform: Platform, url: Url) -> Self {
        Self {
            platform,
            url,
            secret: None,
            default_client: None,
        }
    }

    /// Reads the endpoint that the environment announces. Distinguishes platforms as the Azure SDKs do.
    pub(super) fn read(variables: &Variables) -> Result<Option<Self>> {
        const ENDPOINT: &str = "IDENTITY_ENDPOINT";
        let is_set = |name| raw(variables, name).is_some();
        let is_arc = is_set("IMDS_ENDPOINT");
        let Some(url) = parsed_url(variables, ENDPOINT, HTTP, ARC_ENDPOINT)? else {
            return Self::read_msi(variables);
        };
        match text(variables, "IDENTITY_HEADER")? {
            Some(_) if is_set("IDENTITY_SERVER_THUMBPRINT") => {
                let problem = "that of Service Fabric is not supported";
                Err(Error::new(ErrorKind::NoIdentity, problem))
            }
            Some(header) => Ok(Some(Self {
                secret: Some(header.into()),
                ..Self::new(Platform::AppService, url)
            })),
            // Arc gets a key that comes from a file of the agent, not from the environment.
            None if is_arc && !is_loopback(&url) => {
                let problem = format!("must point to this machine, for example `{ARC_ENDPOINT}`");
                Err(Error::setting(ENDPOINT, problem))
            }
            None if is_arc => Ok(Some(Self::new(Platform::Arc, url))),
            None => Err(Error::incomplete_setting(
                ENDPOINT,
                "`IDENTITY_HEADER` is not",
            )),
        }
    }

    /// Reads the variables of platforms that set `MSI_ENDPOINT`.
    fn read_msi(variables: &Variables) -> Result<Option<Self>> {
        let example = "http://localhost:50342/oauth2/token";
        let Some(url) = parsed_url(variables, "MSI_ENDPOINT", HTTP, example)? else {
            return Ok(None);
        };
        let Some(secret) = text(variables, "MSI_SECRET")? else {
            return Ok(Some(Self::new(Platform::CloudShell, url)));
        };
        Ok(Some(Self {
            platform: Platform::MachineLearning,
            url,
            secret: Some(secret.into()),
            default_client: parsed(variables, "DEFAULT_IDENTITY_CLIENT_ID", values::id)?,
        }))
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
