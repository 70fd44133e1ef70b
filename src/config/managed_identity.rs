//! The managed identity that a platform announces in the environment.

use super::environment::{
    Result, SettingError, Variables, http_url, is_loopback, parsed, raw, text,
};
use super::values;
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
const ARC_ENDPOINT: &str = "http://localhost:40342/metadata/identity/oauth2/token";

impl ManagedIdentityEnv {
    /// Distinguishes platforms as the Azure SDKs do.
    pub(super) fn read(variables: &Variables) -> Result<Self> {
        const ENDPOINT: &str = "IDENTITY_ENDPOINT";
        let is_set = |name| raw(variables, name).is_some();
        let wrong = |problem: String| SettingError::new(ENDPOINT, problem);
        let Some(endpoint) = text(variables, ENDPOINT)? else {
            return Self::read_msi(variables);
        };
        match text(variables, "IDENTITY_HEADER")? {
            Some(_) if is_set("IDENTITY_SERVER_THUMBPRINT") => {
                Ok(Self::Unsupported("Service Fabric"))
            }
            Some(header) => Ok(Self::AppService {
                url: http_url(&endpoint, "http://127.0.0.1:8081/msi/token").map_err(wrong)?,
                header: header.into(),
            }),
            None if is_set("IMDS_ENDPOINT") => {
                let url = http_url(&endpoint, ARC_ENDPOINT).map_err(wrong)?;
                // It gets a key that comes from a file of the agent, not from the environment.
                if !is_loopback(&url) {
                    let problem =
                        format!("must point to this machine, for example `{ARC_ENDPOINT}`");
                    return Err(wrong(problem));
                }
                Ok(Self::Arc { url })
            }
            None => Err(SettingError::incomplete(
                ENDPOINT,
                "`IDENTITY_HEADER` is not",
            )),
        }
    }

    /// Reads the variables of platforms that set `MSI_ENDPOINT`.
    fn read_msi(variables: &Variables) -> Result<Self> {
        let url = parsed(variables, "MSI_ENDPOINT", |url| {
            http_url(url, "http://localhost:50342/oauth2/token")
        })?;
        let Some(url) = url else {
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
