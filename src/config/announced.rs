//! The managed identity that a platform announces in the environment.

use super::environment::{Variables, checked, http_url, is_loopback, raw, text, wrong};
use super::values;
use crate::error::Error;
use secrecy::SecretString;
use url::Url;

/// A managed identity as platforms announce it in the environment.
#[derive(Debug, Default)]
pub enum Announced {
    /// None.
    #[default]
    Nothing,
    /// App Service or Container Apps: `IDENTITY_ENDPOINT` and `IDENTITY_HEADER`.
    AppService {
        /// Where tokens are asked for.
        url: Url,
        /// What proves that we run there.
        header: SecretString,
    },
    /// A server that is connected by Azure Arc: `IDENTITY_ENDPOINT` and `IMDS_ENDPOINT`.
    Arc {
        /// Where tokens are asked for.
        url: Url,
    },
    /// Cloud Shell: `MSI_ENDPOINT` alone.
    CloudShell {
        /// Where tokens are asked for.
        url: Url,
    },
    /// Azure Machine Learning: `MSI_ENDPOINT` and `MSI_SECRET`.
    MachineLearning {
        /// Where tokens are asked for.
        url: Url,
        /// What proves that we run there.
        secret: SecretString,
        /// `DEFAULT_IDENTITY_CLIENT_ID`, where no identity is named.
        client: Option<String>,
    },
    /// One of another platform, by its name.
    Unsupported(&'static str),
}

/// Where the agent of Azure Arc listens if nothing else is said.
const ARC_ENDPOINT: &str = "http://localhost:40342/metadata/identity/oauth2/token";

impl Announced {
    /// Tells platforms apart as the Azure SDKs do.
    pub(super) fn read(variables: &Variables) -> Result<Self, Error> {
        const ENDPOINT: &str = "IDENTITY_ENDPOINT";
        let is_set = |name| raw(variables, name).is_some();
        let Some(endpoint) = text(variables, ENDPOINT)? else {
            return Self::older(variables);
        };
        match text(variables, "IDENTITY_HEADER")? {
            Some(_) if is_set("IDENTITY_SERVER_THUMBPRINT") => {
                Ok(Self::Unsupported("Service Fabric"))
            }
            Some(header) => {
                let url = http_url(ENDPOINT, &endpoint, "http://127.0.0.1:8081/msi/token")?;
                Ok(Self::AppService {
                    url,
                    header: header.into(),
                })
            }
            None if is_set("IMDS_ENDPOINT") => {
                let url = http_url(ENDPOINT, &endpoint, ARC_ENDPOINT)?;
                // It gets a key that is not from the environment but from a file of the agent's.
                let elsewhere =
                    || format!("must point to this machine, for example `{ARC_ENDPOINT}`");
                if is_loopback(&url) {
                    Ok(Self::Arc { url })
                } else {
                    Err(wrong(ENDPOINT, &elsewhere()))
                }
            }
            None => Err(Error::incomplete_setting(
                ENDPOINT,
                "`IDENTITY_HEADER` is not",
            )),
        }
    }

    /// The platforms whose variable is `MSI_ENDPOINT`.
    fn older(variables: &Variables) -> Result<Self, Error> {
        const ENDPOINT: &str = "MSI_ENDPOINT";
        let Some(endpoint) = text(variables, ENDPOINT)? else {
            return Ok(Self::Nothing);
        };
        let url = http_url(ENDPOINT, &endpoint, "http://localhost:50342/oauth2/token")?;
        Ok(match text(variables, "MSI_SECRET")? {
            Some(secret) => Self::MachineLearning {
                url,
                secret: secret.into(),
                client: checked(variables, "DEFAULT_IDENTITY_CLIENT_ID", values::id)?,
            },
            None => Self::CloudShell { url },
        })
    }
}
