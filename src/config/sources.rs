//! What the sources of an identity are made from, as the Azure SDKs name it.

use super::{Variables, http_url, raw, text, wrong};
use crate::error::Error;
use secrecy::SecretString;
use std::path::PathBuf;
use url::Url;

/// What the sources of an identity are made from. Missing parts are missing here too: whether a source is complete is for the
/// source to say.
#[derive(Debug, Default)]
pub struct SourceSettings {
    /// `AZURE_TENANT_ID`.
    pub tenant: Option<String>,
    /// `AZURE_CLIENT_ID`.
    pub client: Option<String>,
    /// `AZURE_CLIENT_SECRET`.
    pub client_secret: Option<SecretString>,
    /// `AZURE_FEDERATED_TOKEN_FILE`.
    pub federated_token_file: Option<PathBuf>,
    /// Whether `AZURE_CLIENT_CERTIFICATE_PATH` is set.
    pub client_certificate: bool,
    /// The managed identity that the environment announces.
    pub announced: Announced,
    /// `AZURE_POD_IDENTITY_AUTHORITY_HOST`: in place of `http://169.254.169.254`.
    pub imds: Option<Url>,
    /// Folder of the Azure CLI's profile: `AZURE_CONFIG_DIR` or `~/.azure`.
    pub azure_cli_folder: Option<PathBuf>,
    /// The absolute folders of `PATH`: only there `az` is looked for.
    pub path: Vec<PathBuf>,
}

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
    /// One of another platform, by its name.
    Unsupported(&'static str),
}

impl SourceSettings {
    pub(super) fn read(variables: &Variables, home: Option<PathBuf>) -> Result<Self, Error> {
        Ok(Self {
            tenant: tenant(variables)?,
            client: text(variables, "AZURE_CLIENT_ID")?,
            client_secret: text(variables, "AZURE_CLIENT_SECRET")?.map(SecretString::from),
            client_certificate: raw(variables, "AZURE_CLIENT_CERTIFICATE_PATH").is_some(),
            federated_token_file: raw(variables, "AZURE_FEDERATED_TOKEN_FILE").map(PathBuf::from),
            announced: Announced::read(variables)?,
            imds: text(variables, "AZURE_POD_IDENTITY_AUTHORITY_HOST")?
                .map(|value| http_url("AZURE_POD_IDENTITY_AUTHORITY_HOST", &value, "http://127.0.0.1:40342"))
                .transpose()?,
            azure_cli_folder: raw(variables, "AZURE_CONFIG_DIR")
                .map(PathBuf::from)
                .or_else(|| home.map(|home| home.join(".azure"))),
            path: raw(variables, "PATH")
                .map(|path| std::env::split_paths(&path).filter(|folder| folder.is_absolute()).collect())
                .unwrap_or_default(),
        })
    }
}

impl Announced {
    /// Tells platforms apart as the Azure SDKs do.
    fn read(variables: &Variables) -> Result<Self, Error> {
        const ENDPOINT: &str = "IDENTITY_ENDPOINT";
        let is_set = |name| raw(variables, name).is_some();
        let Some(endpoint) = text(variables, ENDPOINT)? else {
            return Ok(match (is_set("MSI_ENDPOINT"), is_set("MSI_SECRET")) {
                (true, true) => Self::Unsupported("Azure Machine Learning"),
                (true, false) => Self::Unsupported("Cloud Shell"),
                (false, _) => Self::Nothing,
            });
        };
        match text(variables, "IDENTITY_HEADER")? {
            Some(_) if is_set("IDENTITY_SERVER_THUMBPRINT") => Ok(Self::Unsupported("Service Fabric")),
            Some(header) => {
                let url = http_url(ENDPOINT, &endpoint, "http://127.0.0.1:8081/msi/token")?;
                Ok(Self::AppService { url, header: header.into() })
            }
            None if is_set("IMDS_ENDPOINT") => Ok(Self::Unsupported("Azure Arc")),
            None => Err(wrong(ENDPOINT, "is set, but `IDENTITY_HEADER` is not")),
        }
    }
}

/// A directory's id or one of its domain names: it becomes part of the authority's address.
fn tenant(variables: &Variables) -> Result<Option<String>, Error> {
    const NAME: &str = "AZURE_TENANT_ID";
    let tenant = text(variables, NAME)?;
    let is_tenant = |tenant: &String| tenant.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.');
    match tenant {
        Some(tenant) if !is_tenant(&tenant) => Err(wrong(NAME, &format!("is {tenant:?}, expected a tenant's id or domain name"))),
        tenant => Ok(tenant),
    }
}
