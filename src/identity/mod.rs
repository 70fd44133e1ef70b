//! Who signs in: the sources of an identity, their order, and the access token they give.
//!
//! Sources are asked in the order of [`Identity::choose`]; the first that is configured is the one, and its failure is the answer.
//! Trying the next after a failure would sign in as somebody else than was meant.

mod azure_cli;
#[allow(dead_code, unused_imports, reason = "not yet a source")]
mod certificate;
mod managed;
mod refusal;

use crate::config::{Announced, Config, SourceSettings};
use crate::error::Error;
use crate::files::read_small;
use crate::network::{Network, Transport};
use crate::registry::Registry;
use crate::token::{AccessToken, REGISTRY_AUDIENCE};
use azure_cli::Account;
use azure_core::cloud::{CloudConfiguration, CustomConfiguration};
use azure_core::credentials::{Secret, TokenCredential};
use azure_core::http::{ClientMethodOptions, ClientOptions, RetryOptions};
use azure_identity::{
    AzureCliCredential, AzureCliCredentialOptions, ClientAssertion, ClientAssertionCredential, ClientAssertionCredentialOptions,
    ClientSecretCredential, ClientSecretCredentialOptions,
};
use managed::{Endpoint, ManagedIdentity};
use secrecy::{ExposeSecret, SecretString};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use url::Url;

/// Where an identity comes from, with all it needs to sign in.
#[derive(Debug)]
enum Source {
    /// A federated token in a file, as AKS workload identity mounts it.
    WorkloadIdentity { tenant: String, client: String, token_file: PathBuf },
    /// A service principal with a secret.
    ClientSecret { tenant: String, client: String, secret: SecretString },
    /// A managed identity: one that the environment announces, or last of all that of a virtual machine.
    ManagedIdentity { client: Option<String>, endpoint: Arc<Endpoint> },
    /// Whoever is signed in to the Azure CLI.
    AzureCli { account: Account, path: Vec<PathBuf> },
}

/// Who signs in to a registry, and at which authority.
#[derive(Debug)]
pub struct Identity {
    source: Source,
    authority: Url,
    /// Why each source before this one was passed over.
    skipped: Vec<String>,
}

impl Identity {
    /// The first source that is configured: workload identity, client secret, a managed identity that the environment
    /// announces, the Azure CLI, and last the managed identity of a virtual machine. Reads at most the profile of the Azure CLI.
    ///
    /// Errors: [`Error::Setting`] when a source is configured by half.
    pub fn choose(config: &Config, registry: &Registry) -> Result<Self, Error> {
        let mut skipped = Vec::new();
        let source = Source::choose(&config.sources, &mut skipped)?;
        Ok(Self { source, authority: authority(config, registry)?, skipped })
    }

    /// A short text that differs whenever somebody else would sign in: source, authority, tenant, client, and for the
    /// Azure CLI its account. It is part of cache keys, holds no secret and, being a digest, names nobody.
    pub fn fingerprint(&self) -> String {
        let parts = match &self.source {
            Source::WorkloadIdentity { tenant, client, .. } => {
                ["workload", self.authority.as_str(), tenant, client].map(str::to_owned)
            }
            Source::ClientSecret { tenant, client, .. } => ["secret", self.authority.as_str(), tenant, client].map(str::to_owned),
            Source::ManagedIdentity { client, endpoint } => {
                let kind = match **endpoint {
                    Endpoint::AppService { .. } => "app service",
                    Endpoint::VirtualMachine { .. } => "virtual machine",
                };
                [kind, &endpoint.place(), "", client.as_deref().unwrap_or("")].map(str::to_owned)
            }
            Source::AzureCli { account, .. } => ["az", "", "", &account.who].map(str::to_owned),
        };
        let digest = ring::digest::digest(&ring::digest::SHA256, parts.join("\0").as_bytes());
        digest.as_ref()[..16].iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
    }

    /// Signs in and returns an access token for the registry audience.
    pub async fn access_token(&self, network: &Arc<Network>) -> Result<AccessToken, Error> {
        if let Source::ManagedIdentity { endpoint, .. } = &self.source
            && let Endpoint::VirtualMachine { .. } = **endpoint
        {
            endpoint.probe().await.map_err(|why| {
                let mut skipped = self.skipped.clone();
                skipped.push(why);
                Error::NoIdentity(skipped)
            })?;
        }
        let scope = format!("{REGISTRY_AUDIENCE}/.default");
        let refused = |error| refusal::refused(self, &error, network);
        let credential = self.credential(network)?.map_err(refused)?;
        let token = credential.get_token(&[&scope], None).await.map_err(refused)?;
        AccessToken::new(token.token.secret().into())
            .map_err(|audience| Error::WrongAudience { source: self.to_string(), audience: crate::error::printable(&audience) })
    }

    /// The credential of the source; the outer error is that of the HTTP client, the inner one the credential's own.
    fn credential(&self, network: &Arc<Network>) -> Result<azure_core::Result<Arc<dyn TokenCredential>>, Error> {
        Ok(match &self.source {
            Source::WorkloadIdentity { tenant, client, token_file } => {
                let options = ClientAssertionCredentialOptions { client_options: self.entra_options(network)? };
                let assertion = TokenFile(token_file.clone());
                ClientAssertionCredential::new(tenant.clone(), client.clone(), assertion, Some(options)).map(|it| it as _)
            }
            Source::ClientSecret { tenant, client, secret } => {
                let options = ClientSecretCredentialOptions { client_options: self.entra_options(network)? };
                let secret = Secret::new(secret.expose_secret().to_owned());
                ClientSecretCredential::new(tenant, client.clone(), secret, Some(options)).map(|it| it as _)
            }
            Source::ManagedIdentity { client, endpoint } => {
                Ok(Arc::new(ManagedIdentity::new(endpoint.clone(), client.clone(), network.clone())) as _)
            }
            Source::AzureCli { path, .. } => {
                let executor = Arc::new(azure_cli::Runner::new(path.clone()));
                AzureCliCredential::new(Some(AzureCliCredentialOptions { executor: Some(executor), ..Default::default() }))
                    .map(|it| it as _)
            }
        })
    }

    fn entra_options(&self, network: &Arc<Network>) -> Result<ClientOptions, Error> {
        let client = network.internet(&self.asked_host())?;
        let mut cloud = CustomConfiguration::default();
        cloud.authority_host = self.authority.to_string();
        Ok(ClientOptions {
            cloud: Some(Arc::new(CloudConfiguration::Custom(cloud))),
            transport: Some(Transport::over(client, network.clone())),
            // The transport does that, within the deadline.
            retry: RetryOptions::none(),
            ..Default::default()
        })
    }

    /// The host that is asked for the access token, where it is asked by us.
    fn asked_host(&self) -> String {
        match &self.source {
            Source::WorkloadIdentity { .. } | Source::ClientSecret { .. } => {
                self.authority.host_str().unwrap_or_default().to_owned()
            }
            Source::ManagedIdentity { endpoint, .. } => endpoint.host(),
            Source::AzureCli { .. } => "the Azure CLI".to_owned(),
        }
    }

    /// The secret of the source, which must not be shown even when a server repeats it.
    fn secret(&self) -> Option<&str> {
        match &self.source {
            Source::ClientSecret { secret, .. } => Some(secret.expose_secret()),
            Source::WorkloadIdentity { .. } | Source::ManagedIdentity { .. } | Source::AzureCli { .. } => None,
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Source::WorkloadIdentity { client, .. } => write!(f, "workload identity {client}"),
            Source::ClientSecret { client, .. } => write!(f, "service principal {client}"),
            Source::ManagedIdentity { client: Some(client), .. } => write!(f, "managed identity {client}"),
            Source::ManagedIdentity { client: None, .. } => f.write_str("the system-assigned managed identity"),
            Source::AzureCli { .. } => f.write_str("the Azure CLI"),
        }
    }
}

impl Source {
    fn choose(settings: &SourceSettings, skipped: &mut Vec<String>) -> Result<Self, Error> {
        if let Some(token_file) = &settings.federated_token_file {
            let (tenant, client) = application(settings, "AZURE_FEDERATED_TOKEN_FILE")?;
            return Ok(Self::WorkloadIdentity { tenant, client, token_file: token_file.clone() });
        }
        skipped.push("workload identity: `AZURE_FEDERATED_TOKEN_FILE` is not set".into());
        if let Some(secret) = &settings.client_secret {
            let (tenant, client) = application(settings, "AZURE_CLIENT_SECRET")?;
            return Ok(Self::ClientSecret { tenant, client, secret: secret.clone() });
        }
        skipped.push("service principal: `AZURE_CLIENT_SECRET` is not set".into());
        if settings.client_certificate {
            return Err(Error::Setting {
                name: "AZURE_CLIENT_CERTIFICATE_PATH".into(),
                problem: "is set, but certificates are not supported yet".into(),
            });
        }
        match &settings.announced {
            Announced::AppService { url, header } => {
                let endpoint = Arc::new(Endpoint::AppService { url: url.clone(), header: header.clone() });
                return Ok(Self::ManagedIdentity { client: settings.client.clone(), endpoint });
            }
            Announced::Unsupported(platform) => skipped.push(format!("managed identity of {platform}: not supported yet")),
            Announced::Nothing => {
                skipped.push("managed identity of App Service or Container Apps: `IDENTITY_ENDPOINT` is not set".into());
            }
        }
        match azure_cli::account(settings.azure_cli_folder.as_deref(), &settings.path)? {
            Ok(account) => return Ok(Self::AzureCli { account, path: settings.path.clone() }),
            Err(why) => skipped.push(format!("Azure CLI: {why}")),
        }
        let endpoint = Arc::new(Endpoint::VirtualMachine { host: settings.imds.clone() });
        Ok(Self::ManagedIdentity { client: settings.client.clone(), endpoint })
    }
}

/// A federated token is a JWT; the longest seen have a few KB.
const TOKEN_FILE_LIMIT: usize = 64 * 1024;

/// A federated token in a file. `WorkloadIdentityCredential` would send the newline at the end of the file along.
#[derive(Debug)]
struct TokenFile(PathBuf);

#[async_trait::async_trait]
impl ClientAssertion for TokenFile {
    async fn secret(&self, _: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        use azure_core::error::{Error, ErrorKind};
        let wrong = |problem: String| Error::with_message(ErrorKind::Credential, format!("{} {problem}", self.0.display()));
        let token = read_small(&self.0, TOKEN_FILE_LIMIT).map_err(|error| wrong(format!("cannot be read: {error}")))?;
        match std::str::from_utf8(&token).map(str::trim) {
            Ok(token) if !token.is_empty() => Ok(token.to_owned()),
            _ => Err(wrong("holds no token".into())),
        }
    }
}

/// Tenant and client of an application, both of which must be set beside the variable `beside`.
fn application(settings: &SourceSettings, beside: &str) -> Result<(String, String), Error> {
    let missing = match (&settings.tenant, &settings.client) {
        (Some(tenant), Some(client)) => return Ok((tenant.clone(), client.clone())),
        (None, None) => "`AZURE_TENANT_ID` and `AZURE_CLIENT_ID` are not",
        (None, Some(_)) => "`AZURE_TENANT_ID` is not",
        (Some(_), None) => "`AZURE_CLIENT_ID` is not",
    };
    Err(Error::Setting { name: beside.into(), problem: format!("is set, but {missing}") })
}

/// The authority of the registry's cloud, unless the user names another.
fn authority(config: &Config, registry: &Registry) -> Result<Url, Error> {
    if let Some(authority) = &config.authority {
        return Ok(authority.clone());
    }
    let host = registry.cloud().authority;
    Url::parse(&format!("https://{host}")).map_err(|_| Error::Input(format!("the authority {host} is no host name")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(rows: &[(&str, &str)]) -> Config {
        let variables = rows.iter().map(|(name, value)| ((*name).into(), value.into())).collect();
        Config::read(&variables, None).unwrap()
    }

    fn choose(rows: &[(&str, &str)], host: &str) -> Result<Identity, Error> {
        Identity::choose(&config(rows), &Registry::parse(host).unwrap())
    }

    const SECRET: [(&str, &str); 3] = [("AZURE_TENANT_ID", "t"), ("AZURE_CLIENT_ID", "c"), ("AZURE_CLIENT_SECRET", "s")];

    #[test]
    fn the_first_configured_source_is_chosen() {
        let rows = [
            ("AZURE_FEDERATED_TOKEN_FILE", "/token"),
            ("AZURE_TENANT_ID", "t"),
            ("AZURE_CLIENT_ID", "c"),
            ("AZURE_CLIENT_SECRET", "s"),
            ("IDENTITY_ENDPOINT", "http://127.0.0.1/msi"),
            ("IDENTITY_HEADER", "h"),
        ];
        for (rows, chosen) in [
            (&rows[..], "workload identity c"),
            (&rows[1..], "service principal c"),
            (&rows[4..], "the system-assigned managed identity"),
            (&[rows[4], rows[5], ("AZURE_CLIENT_ID", "m")], "managed identity m"),
            (&[("MSI_ENDPOINT", "http://127.0.0.1")], "the system-assigned managed identity"),
            (&[], "the system-assigned managed identity"),
        ] {
            assert_eq!(choose(rows, "contoso.azurecr.io").unwrap().to_string(), chosen);
        }
    }

    #[test]
    fn a_source_configured_by_half_is_an_error_not_a_reason_to_try_the_next() {
        for (rows, sentence) in [
            (
                &[("AZURE_CLIENT_SECRET", "s")][..],
                "`AZURE_CLIENT_SECRET` is set, but `AZURE_TENANT_ID` and `AZURE_CLIENT_ID` are not",
            ),
            (
                &[("AZURE_CLIENT_SECRET", "s"), ("AZURE_TENANT_ID", "t")],
                "`AZURE_CLIENT_SECRET` is set, but `AZURE_CLIENT_ID` is not",
            ),
            (
                &[("AZURE_FEDERATED_TOKEN_FILE", "/token"), ("AZURE_CLIENT_ID", "c")],
                "`AZURE_FEDERATED_TOKEN_FILE` is set, but `AZURE_TENANT_ID` is not",
            ),
        ] {
            assert_eq!(choose(rows, "contoso.azurecr.io").unwrap_err().to_string(), sentence);
        }
    }

    #[test]
    fn the_authority_follows_the_cloud_of_the_registry_unless_one_is_named() {
        for (host, authority) in [
            ("contoso.azurecr.io", "https://login.microsoftonline.com/"),
            ("contoso.azurecr.us", "https://login.microsoftonline.us/"),
            ("contoso.azurecr.cn", "https://login.chinacloudapi.cn/"),
            ("contoso.azurecr.de", "https://login.microsoftonline.de/"),
            ("contoso.azurecr.sovcloud-azure.fr", "https://login.sovcloud-identity.fr/"),
        ] {
            assert_eq!(choose(&SECRET, host).unwrap().authority.as_str(), authority);
        }
        let named = [&SECRET[..], &[("AZURE_AUTHORITY_HOST", "login.example")]].concat();
        assert_eq!(choose(&named, "contoso.azurecr.us").unwrap().authority.as_str(), "https://login.example/");
    }

    /// The fingerprint of whoever is signed in to an Azure CLI with this account.
    fn signed_in_to_az(user: &str, tenant: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let profile = format!(r#"{{"subscriptions":[{{"isDefault":true,"tenantId":"{tenant}","user":{{"name":"{user}"}}}}]}}"#);
        std::fs::write(folder.path().join("azureProfile.json"), profile).unwrap();
        std::fs::write(folder.path().join("az"), "").unwrap();
        let folder = folder.path().to_str().unwrap();
        let identity = choose(&[("AZURE_CONFIG_DIR", folder), ("PATH", folder)], "contoso.azurecr.io").unwrap();
        assert_eq!(identity.to_string(), "the Azure CLI");
        identity.fingerprint()
    }

    #[test]
    fn a_certificate_that_cannot_be_used_yet_is_not_passed_over() {
        let error =
            choose(&[SECRET[0], SECRET[1], ("AZURE_CLIENT_CERTIFICATE_PATH", "/c.pem")], "contoso.azurecr.io").unwrap_err();
        assert_eq!(error.to_string(), "`AZURE_CLIENT_CERTIFICATE_PATH` is set, but certificates are not supported yet");
    }

    #[test]
    fn the_fingerprint_changes_with_who_signs_in_and_with_nothing_else() {
        let of = |rows: &[(&str, &str)], host: &str| choose(rows, host).unwrap().fingerprint();
        let mine = of(&SECRET, "contoso.azurecr.io");
        assert_eq!(mine, of(&SECRET, "fabrikam.azurecr.io"));
        let other_secret = [SECRET[0], SECRET[1], ("AZURE_CLIENT_SECRET", "rotated")];
        assert_eq!(mine, of(&other_secret, "contoso.azurecr.io"));
        let others = [
            of(&[("AZURE_TENANT_ID", "t2"), SECRET[1], SECRET[2]], "contoso.azurecr.io"),
            of(&[SECRET[0], ("AZURE_CLIENT_ID", "c2"), SECRET[2]], "contoso.azurecr.io"),
            of(&[SECRET[0], SECRET[1], ("AZURE_FEDERATED_TOKEN_FILE", "/t")], "contoso.azurecr.io"),
            of(&SECRET, "contoso.azurecr.us"),
            of(&[("AZURE_CLIENT_ID", "c")], "contoso.azurecr.io"),
            of(&[], "contoso.azurecr.io"),
            of(&[("IDENTITY_ENDPOINT", "http://127.0.0.1:1"), ("IDENTITY_HEADER", "h")], "contoso.azurecr.io"),
            of(&[("IDENTITY_ENDPOINT", "http://127.0.0.1:2"), ("IDENTITY_HEADER", "h")], "contoso.azurecr.io"),
            signed_in_to_az("alice", "t"),
            signed_in_to_az("bob", "t"),
            signed_in_to_az("alice", "t2"),
        ];
        for (at, other) in others.iter().enumerate() {
            assert_ne!(mine, *other);
            assert!(!others[at + 1..].contains(other));
        }
    }
}
