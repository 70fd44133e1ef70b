//! The identity that signs in: its sources, their order, and the Entra access token.
//!
//! Sources are tried in the order of `SourceName::ALL`. The first one that is configured signs in, and if it fails, the sign-in fails:
//! another source would be another identity than the user meant.
//!
//! # Files
//!
//! | file | what is in it |
//! | --- | --- |
//! | `select` | which source signs in, and the error if none can |
//! | `service_principal`, with `workload_identity` and `ci_oidc` | applications, by a secret, a certificate or an assertion |
//! | `managed_identity`, with `arc` | what Azure's platforms give to the programs on them |
//! | `login` | accounts that signed in with `login` |
//! | `command_line`, with `azure_cli` and `azure_developer_cli` | accounts of `az` and `azd` |
//! | `advice` | what to do about a failed sign-in |
//! | `certificate` | reads certificates and their keys, and signs with them |

mod advice;
mod arc;
mod azure_cli;
mod azure_developer_cli;
pub mod certificate;
mod ci_oidc;
mod command_line;
mod login;
mod managed_identity;
mod select;
mod service_principal;
mod workload_identity;

pub(crate) use login::{Account, OWN_KEYRING, account, accounts};

use crate::cache::Cache;
use crate::config::{Config, Origin, Value, is_tenant};
use crate::error::{Error, ErrorKind, config_file};
use crate::files::read_limited;
use crate::http::{HttpResponse, Network};
use crate::registry::{CLOUDS, Cloud, Registry};
use crate::text::{Secrets, digest16};
use crate::token::{AccessToken, Audience, NotSent};
use advice::Failure;
use azure_core::credentials::TokenCredential;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use std::path::Path;
use std::sync::Arc;
use std::{fmt, io};
use url::Url;
use zeroize::Zeroizing;

/// The annotation with the client ID of a service account's application (cloud-provider-azure, `pkg/credentialprovider/consts.go`).
pub const CLIENT_ANNOTATION: &str = "kubernetes.azure.com/acr-client-id";

/// The annotation with its tenant.
pub const TENANT_ANNOTATION: &str = "kubernetes.azure.com/acr-tenant-id";

/// A pod's service account, which signs in as an application with an assertion that kubelet hands over.
#[derive(Debug)]
pub struct ServiceAccount {
    /// The client ID of the application, a GUID.
    pub client: String,
    /// Its tenant, a GUID.
    pub tenant: String,
    /// What the cluster's issuer states about the service account, a JWT.
    pub assertion: SecretString,
}

/// Where an identity comes from.
#[async_trait::async_trait]
trait IdentitySource: fmt::Debug + Send + Sync {
    /// Returns what messages call the identity.
    fn name(&self) -> String;

    /// Returns a text that differs for each identity, and begins with the kind of the source.
    fn cache_key(&self) -> String;

    /// Returns the tenant that it signs in to.
    fn tenant(&self) -> Tenant {
        Tenant::default()
    }

    /// Returns the host or program that issues the token, if that is not the authority.
    fn host(&self) -> Option<String> {
        self.is_command_line().then(|| self.name())
    }

    /// Returns the secret known before sign-in. Signing in can add more.
    fn secret(&self) -> Option<&SecretString> {
        None
    }

    /// Returns the account of a saved sign-in.
    fn login(&self) -> Option<&Account> {
        None
    }

    /// Returns whether it is a program, which reads its own account when it runs.
    fn is_command_line(&self) -> bool {
        false
    }

    /// Returns other tenants that can be meant, a sentence each.
    fn other_tenants(&self) -> Vec<String> {
        vec![]
    }

    /// Returns the command that signs a person in again: to this tenant, or to the same as before.
    fn login_command(&self, _tenant: Option<&str>, _identity: &Identity) -> Option<String> {
        None
    }

    /// Returns what to do about a failure. [`advice`] has a table for the codes of Entra (`AADSTS…`) that the
    /// source returns nothing for: `service_principal` and `login` have some of their own.
    fn hint(&self, failure: &Failure<'_>) -> Option<String>;

    /// Returns what to do if the host cannot be reached, where neither proxy nor certificate can be the reason.
    fn unreachable_hint(&self) -> Option<&'static str> {
        None
    }

    /// Signs in and returns an access token, which is not yet checked. If the error holds an [`Error`], that is shown as it is.
    async fn token(&self, context: &TokenContext<'_>) -> anyhow::Result<SecretString>;
}

/// What a source signs in with.
struct TokenContext<'a> {
    identity: &'a Identity,
    network: &'a Arc<Network>,
    /// Where the tokens of saved sign-ins are.
    cache: &'a Cache,
}

/// Requests a token by a credential of `azure_identity`.
async fn request_token(
    credential: &dyn TokenCredential,
    identity: &Identity,
) -> anyhow::Result<SecretString> {
    let scope = identity.audience.scope();
    let token = credential.get_token(&[&scope], None).await?;
    Ok(token.token.secret().into())
}

/// Reads a secret in a small file, without the white space around it. It is empty if the file holds no text.
fn read_secret(file: &Path, max_bytes: usize) -> io::Result<SecretString> {
    let bytes = Zeroizing::new(read_limited(file, max_bytes)?);
    let text = std::str::from_utf8(&bytes).unwrap_or_default();
    Ok(text.trim().into())
}

/// The response of a managed identity's endpoint or a CI system. Other fields are ignored: their types differ by platform.
#[derive(Deserialize)]
struct TokenResponse {
    #[serde(alias = "access_token", alias = "oidcToken")]
    value: SecretString,
}

/// Returns the token in a response, if it holds one.
fn token_in(response: &HttpResponse) -> Option<SecretString> {
    let token: TokenResponse = serde_json::from_slice(&response.body).ok()?;
    let is_token = response.status.is_success() && !token.value.expose_secret().is_empty();
    is_token.then_some(token.value)
}

/// The tenant that a source signs in to, if it names one.
#[derive(Clone, Debug, Default)]
struct Tenant {
    name: Option<String>,
    origin: TenantOrigin,
}

/// What chose a tenant.
#[derive(Clone, Debug, Default)]
enum TenantOrigin {
    /// The account, which has one of its own.
    #[default]
    Account,
    /// The argument `--tenant` of `login`.
    Argument,
    /// This setting.
    Setting(&'static str, Origin),
}

impl Tenant {
    fn from_setting(setting: &'static str, value: Option<&Value<String>>) -> Self {
        value.map_or_else(Self::default, |value| Self {
            name: Some(value.value.clone()),
            origin: TenantOrigin::Setting(setting, value.origin.clone()),
        })
    }

    fn or(self, other: Self) -> Self {
        if self.name.is_some() { self } else { other }
    }

    /// Returns the option of a command that selects `other`, else this tenant. A name that a shell could run is left out.
    fn option(&self, option: &str, other: Option<&str>) -> String {
        let own = self.name.as_deref().filter(|name| is_tenant(name));
        let tenant = other.or(own);
        tenant.map_or_else(String::new, |tenant| format!(" {option} {tenant}"))
    }
}

/// Returns whether a setting was made for this helper or a registry, and not for all programs of the machine.
fn is_specific(origin: &Origin) -> bool {
    match origin {
        Origin::Variable(variable) => variable.starts_with("ACRSCOPED_"),
        Origin::File { profile, .. } => profile.is_some(),
        Origin::Annotation(_) => true,
    }
}

/// The identity that signs in to a registry, and at which authority.
#[derive(Debug)]
pub struct Identity {
    source: Box<dyn IdentitySource>,
    authority: Url,
    /// Where the authority was set, if it is not that of the cloud.
    authority_origin: Option<Origin>,
    audience: Audience,
    /// The cloud that it belongs to.
    home_cloud: Cloud,
    /// The config file, for messages.
    config_file: String,
    registry: Option<Registry>,
    /// The error to report if there is no such identity. Its details say why each source before this one was skipped.
    unavailable: Error,
    /// What it sent or received. It must not be shown even when a server repeats it.
    secrets: Secrets,
}

impl Identity {
    /// Returns the identity that signs in to a registry. Reads at most the files of accounts and saved sign-ins.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Setting`] if a source is only partly configured, [`ErrorKind::NoIdentity`] if no source can be tried.
    pub fn choose(config: &Config, registry: &Registry) -> Result<Self, Error> {
        let (source, unavailable) = select::select(config, registry)?;
        Ok(Self {
            unavailable,
            ..Self::new(source, config, Some(registry))
        })
    }

    /// Returns the identity of a service account. Kubelet handed over its assertion, so no other source can be meant.
    pub(crate) fn of_service_account(
        account: ServiceAccount,
        config: &Config,
        registry: &Registry,
    ) -> Self {
        let source = Box::new(workload_identity::from_service_account(account));
        Self::new(source, config, Some(registry))
    }

    /// Returns the identity of an account that signs in with `login`, whatever source comes first for a registry. Without a registry it is
    /// one of the public cloud.
    pub(crate) fn of_login(account: Account, config: &Config, registry: Option<&Registry>) -> Self {
        Self::new(Box::new(account), config, registry)
    }

    fn new(source: Box<dyn IdentitySource>, config: &Config, registry: Option<&Registry>) -> Self {
        let secrets = source.login().map(Account::secrets).unwrap_or_default();
        if let Some(secret) = source.secret() {
            secrets.add(secret.expose_secret());
        }
        Self {
            authority: config.authority.clone(),
            authority_origin: config.authority_origin.clone(),
            audience: config.audience.clone(),
            home_cloud: config.identity_cloud.clone(),
            config_file: config_file(&config.sources.config_file),
            registry: registry.cloned(),
            unavailable: select::no_identity(),
            secrets,
            source,
        }
    }

    /// Returns a short text that differs whenever another identity would sign in, in another cloud, or for another audience. It is part
    /// of cache keys. Being a digest, it shows no secret and no name.
    pub fn fingerprint(&self) -> String {
        let parts = [
            self.authority.as_str(),
            &self.cloud().suffix,
            &self.home_cloud.cli_name,
            self.audience.as_str(),
            &self.source.cache_key(),
        ];
        digest16(parts.join("\0").as_bytes())
    }

    /// Returns whether it is an account of a command line, which reads its own account when it runs.
    pub fn is_command_line(&self) -> bool {
        self.source.is_command_line()
    }

    /// Returns the account, if it is one that signed in with `login`.
    pub(crate) fn login(&self) -> Option<&Account> {
        self.source.login()
    }

    /// Returns why each source before this one was skipped: first what the user most likely meant.
    pub fn skipped(&self) -> &[String] {
        self.unavailable.details()
    }

    /// Returns the authority that signs it in, and where that was set unless it is that of the cloud.
    pub fn authority(&self) -> (&Url, Option<&Origin>) {
        (&self.authority, self.authority_origin.as_ref())
    }

    /// Returns the audience of the access token.
    pub fn audience(&self) -> &Audience {
        &self.audience
    }

    /// Returns the secrets that were sent or received by now.
    pub(crate) fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// Signs in and returns an access token for the registry audience. `cache` has the tokens of saved sign-ins.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::SignIn`] with what the source reported, [`ErrorKind::WrongAudience`], and those of the network and of settings that are read
    /// only now.
    pub async fn access_token(
        &self,
        network: &Arc<Network>,
        cache: &Cache,
    ) -> Result<AccessToken, Error> {
        let context = TokenContext {
            identity: self,
            network,
            cache,
        };
        let token = self.source.token(&context).await;
        self.check_token(token.map_err(|error| self.sign_in_error(error, network))?)
    }

    /// Returns an access token that this identity received, if it is for registries.
    pub(crate) fn check_token(&self, token: SecretString) -> Result<AccessToken, Error> {
        AccessToken::new(token, &self.audience).map_err(|reason| match reason {
            NotSent::Malformed => Error::sign_in(self, "the token in the answer is malformed").with_hint("check the program or endpoint of this identity source: its answer holds no token of Entra"),
            NotSent::Audience(audience) => {
                let audience = self.secrets.redactor().redact(&audience);
                let message = format!(
                    "{self} gave an access token for {audience}, not for `{}`: the helper did not send it",
                    self.audience.as_str()
                );
                Error::new(ErrorKind::WrongAudience, message)
                    .with_hint("the identity source ignores the requested scope: set `source` to another one")
            }
        })
    }

    /// Returns the error to show when signing in as this identity fails.
    pub(crate) fn sign_in_error(&self, error: anyhow::Error, network: &Network) -> Error {
        error
            .downcast()
            .unwrap_or_else(|cause| advice::sign_in_error(self, &cause, network))
    }

    /// Returns lines for a token that a registry refused: the identity of the token, how to choose its tenant, and which others are known.
    pub fn notes(&self, token: &AccessToken) -> Vec<String> {
        let mut lines = vec![];
        if let Some(tenant) = token.tenant() {
            lines.push(format!("signed in: {self}, in tenant {tenant}"));
        }
        if let (None, Some(origin)) = (self.source.host(), &self.authority_origin) {
            let host = self.host();
            lines.push(format!("the authority {host} was set by {origin}"));
        }
        if self.source.tenant().name.is_some() {
            lines.push("a registry in another tenant refuses in the same words".to_owned());
            lines.extend(self.source.other_tenants());
            let setting = self.tenant_setting();
            lines.push(format!("to sign in to another tenant, set {setting}"));
        }
        let redactor = self.secrets.redactor();
        lines.iter().map(|line| redactor.redact(line)).collect()
    }

    /// Returns the cloud of the registries that it is for.
    fn cloud(&self) -> &Cloud {
        self.registry.as_ref().map_or(&CLOUDS[0], Registry::cloud)
    }

    /// Returns the host or program that issues the access token.
    fn host(&self) -> String {
        let authority = || self.authority.host_str().unwrap_or_default().to_owned();
        self.source.host().unwrap_or_else(authority)
    }

    /// Returns the setting to change to sign in to another tenant: the one that chose this tenant, or the profile of the registry if that
    /// takes precedence.
    fn tenant_setting(&self) -> String {
        let name = match self.source.tenant().origin {
            TenantOrigin::Argument => return "`--tenant`".into(),
            TenantOrigin::Setting(name, origin) if is_specific(&origin) => {
                return format!("`{}`", origin.setting(name));
            }
            TenantOrigin::Setting(name, _) => name,
            TenantOrigin::Account => "tenant",
        };
        let file = &self.config_file;
        match &self.registry {
            Some(registry) => {
                let host = registry.host();
                format!("`{name}` under `[registry.\"{host}\"]` in {file}")
            }
            None => format!("`{name}` in {file}"),
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source.name())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::config::Settings;

    fn settings(rows: &[(&str, &str)]) -> Settings {
        let variables = rows
            .iter()
            .map(|(name, value)| ((*name).into(), value.into()));
        Settings::from_variables(variables.collect(), None)
    }

    /// Returns the settings of these variables for a registry.
    pub(in crate::identity) fn config(rows: &[(&str, &str)], host: &str) -> (Config, Registry) {
        let registry = Registry::parse(host, &[]).unwrap();
        (settings(rows).for_registry(&registry).unwrap(), registry)
    }

    fn choose(rows: &[(&str, &str)], host: &str) -> Result<Identity, Error> {
        choose_with("", rows, host)
    }

    /// The same with this text in the config file.
    fn choose_with(text: &str, rows: &[(&str, &str)], host: &str) -> Result<Identity, Error> {
        let registry = Registry::parse(host, &[]).unwrap();
        let settings = settings(rows).with_text(text)?;
        Identity::choose(&settings.for_registry(&registry)?, &registry)
    }

    const GITHUB: [(&str, &str); 2] = [
        (
            "ACTIONS_ID_TOKEN_REQUEST_URL",
            "https://pipelines.actions.githubusercontent.com/x?y=z",
        ),
        ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "r"),
    ];
    const PIPELINES: [(&str, &str); 5] = [
        ("SYSTEM_ACCESSTOKEN", "r"),
        (
            "SYSTEM_OIDCREQUESTURI",
            "https://dev.azure.com/contoso/oidc",
        ),
        ("AZURESUBSCRIPTION_SERVICE_CONNECTION_ID", "connection"),
        ("AZURESUBSCRIPTION_CLIENT_ID", "task"),
        ("AZURESUBSCRIPTION_TENANT_ID", "t"),
    ];
    const SECRET: [(&str, &str); 3] = [
        ("AZURE_TENANT_ID", "t"),
        ("AZURE_CLIENT_ID", "c"),
        ("AZURE_CLIENT_SECRET", "s"),
    ];

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
            (
                &[rows[4], rows[5], ("AZURE_CLIENT_ID", "m")],
                "managed identity m",
            ),
            (
                &[("MSI_ENDPOINT", "http://127.0.0.1")],
                "the user of Cloud Shell",
            ),
            (
                &[
                    ("MSI_ENDPOINT", "http://127.0.0.1"),
                    ("MSI_SECRET", "s"),
                    ("DEFAULT_IDENTITY_CLIENT_ID", "m"),
                ],
                "managed identity m",
            ),
            (
                &[
                    ("IDENTITY_ENDPOINT", "http://127.0.0.1"),
                    ("IMDS_ENDPOINT", "x"),
                ],
                "the system-assigned managed identity",
            ),
            (&[&GITHUB[..], &rows[1..3]].concat(), "GitHub Actions as c"),
            (&GITHUB, "the system-assigned managed identity"),
            (&[&GITHUB[..], &rows[..]].concat(), "workload identity c"),
            (
                &[&PIPELINES[..], &rows[1..3]].concat(),
                "Azure Pipelines as task",
            ),
            (
                &[&PIPELINES[..], &[("ACRSCOPED_CLIENT_ID", "c")]].concat(),
                "Azure Pipelines as c",
            ),
            (&PIPELINES, "Azure Pipelines as task"),
            (&PIPELINES[1..], "the system-assigned managed identity"),
            (
                &[
                    &PIPELINES[..],
                    &rows[1..3],
                    &[("ACRSCOPED_SERVICE_CONNECTION", "mine")],
                ]
                .concat(),
                "Azure Pipelines as c",
            ),
            (
                &[
                    rows[1],
                    rows[2],
                    ("AZURE_CLIENT_CERTIFICATE_PATH", "/c.pem"),
                ],
                "service principal c",
            ),
            (&[], "the system-assigned managed identity"),
        ] {
            assert_eq!(
                choose(rows, "contoso.azurecr.io").unwrap().to_string(),
                chosen
            );
        }
    }

    #[test]
    fn a_partly_configured_source_is_an_error_and_the_next_is_not_tried() {
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
                &[
                    ("AZURE_FEDERATED_TOKEN_FILE", "/token"),
                    ("AZURE_CLIENT_ID", "c"),
                ],
                "`AZURE_FEDERATED_TOKEN_FILE` is set, but `AZURE_TENANT_ID` is not",
            ),
        ] {
            assert_eq!(
                choose(rows, "contoso.azurecr.io").unwrap_err().to_string(),
                sentence
            );
        }
    }

    #[test]
    fn the_authority_follows_the_cloud_of_the_registry_unless_one_is_named() {
        for (host, authority) in [
            ("contoso.azurecr.io", "https://login.microsoftonline.com/"),
            ("contoso.azurecr.us", "https://login.microsoftonline.us/"),
            ("contoso.azurecr.cn", "https://login.chinacloudapi.cn/"),
            (
                "contoso.azurecr.sovcloud-azure.fr",
                "https://login.sovcloud-identity.fr/",
            ),
        ] {
            assert_eq!(choose(&SECRET, host).unwrap().authority.as_str(), authority);
        }
        let named = [&SECRET[..], &[("ACRSCOPED_AUTHORITY", "login.windows.net")]].concat();
        assert_eq!(
            choose(&named, "contoso.azurecr.us")
                .unwrap()
                .authority
                .as_str(),
            "https://login.windows.net/"
        );
        // As AKS sets it in every pod of the public cloud.
        let ambient = [
            &SECRET[..],
            &[("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.com/")],
        ]
        .concat();
        for (host, authority) in [
            ("contoso.azurecr.io", "https://login.microsoftonline.com/"),
            ("contoso.azurecr.us", "https://login.microsoftonline.us/"),
        ] {
            assert_eq!(
                choose(&ambient, host).unwrap().authority.as_str(),
                authority
            );
        }
    }

    /// Returns the fingerprint of an identity of the Azure CLI with this account.
    fn signed_in_to_az(user: &str, tenant: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let profile = format!(
            r#"{{"subscriptions":[{{"isDefault":true,"tenantId":"{tenant}","user":{{"name":"{user}"}}}}]}}"#
        );
        std::fs::write(folder.path().join("azureProfile.json"), profile).unwrap();
        std::fs::write(folder.path().join("az"), "").unwrap();
        let folder = folder.path().to_str().unwrap();
        let identity = choose(
            &[("AZURE_CONFIG_DIR", folder), ("PATH", folder)],
            "contoso.azurecr.io",
        )
        .unwrap();
        assert_eq!(identity.to_string(), "the Azure CLI");
        identity.fingerprint()
    }

    #[test]
    fn the_token_of_a_job_goes_to_known_issuers_only() {
        let job = |url: &str| {
            let github = [("ACTIONS_ID_TOKEN_REQUEST_URL", url), GITHUB[1]];
            let pipelines = [
                PIPELINES[0],
                ("SYSTEM_OIDCREQUESTURI", url),
                PIPELINES[2],
                PIPELINES[3],
                PIPELINES[4],
            ];
            let own = "oidc_host = 'github.fabrikam.example'";
            [
                choose(&[&github[..], &SECRET[..2]].concat(), "contoso.azurecr.io"),
                choose(&pipelines, "contoso.azurecr.io"),
                choose_with(
                    own,
                    &[&github[..], &SECRET[..2]].concat(),
                    "contoso.azurecr.io",
                ),
                choose_with(own, &pipelines, "contoso.azurecr.io"),
            ]
        };
        for url in [
            "https://localhost:8443/x",
            "https://127.0.0.1/x",
            "https://127.8.8.8:1/x",
            "https://[::1]:8443/x",
            "https://pipelines.actions.githubusercontent.com/x",
            "https://run.ACTIONS.githubusercontent.com:443/x?y=z",
            "https://contoso.ghe.com/x",
            "https://dev.azure.com/contoso/x",
            "https://contoso.visualstudio.com/x",
        ] {
            for chosen in job(url) {
                let chosen = chosen.unwrap().to_string();
                assert!(
                    chosen.starts_with("GitHub Actions") || chosen.starts_with("Azure Pipelines"),
                    "{url}: {chosen}"
                );
            }
        }
        for url in [
            "https://evil.example/x",
            "https://actions.githubusercontent.com.evil.example/x",
            "https://evilactions.githubusercontent.com/x",
            "https://actions.githubusercontent.com/x",
            "https://raw.githubusercontent.com/x",
            "https://evilghe.com/x",
            "https://ghe.com/x",
            "https://dev.azure.com.evil.example/x",
            "https://evildev.azure.com/x",
            "https://x.dev.azure.com/x",
            "https://evil.azurewebsites.net/x",
            "https://dev.azure.com@evil.example/x",
            "https://localhost.evil.example/x",
            "https://10.0.0.1/x",
            "https://sub.github.fabrikam.example/x",
        ] {
            for chosen in job(url) {
                let error = chosen.unwrap_err();
                assert!(
                    error
                        .to_string()
                        .contains("`, which is not known to issue tokens to jobs"),
                    "{url}: {error}"
                );
                assert!(
                    error
                        .hint()
                        .unwrap()
                        .starts_with("if you trust it, make this the first line of "),
                    "{url}"
                );
            }
        }
        let [github, pipelines, own_github, own_pipelines] =
            job("https://github.fabrikam.example/_services/x");
        assert_eq!(
            github.unwrap_err().hint(),
            Some(
                "if you trust it, make this the first line of the config file: `oidc_host = \"github.fabrikam.example\"`"
            )
        );
        assert!(pipelines.is_err() && own_github.is_ok() && own_pipelines.is_ok());
        // Where no application is named, a job does not mean this source.
        let unnamed = [
            (
                "ACTIONS_ID_TOKEN_REQUEST_URL",
                "https://github.fabrikam.example/x",
            ),
            GITHUB[1],
        ];
        assert_eq!(
            choose(&unnamed, "contoso.azurecr.io").unwrap().to_string(),
            "the system-assigned managed identity"
        );
    }

    #[test]
    fn a_source_that_is_set_is_the_only_one() {
        let github = [
            &GITHUB[..],
            &SECRET[..],
            &[("ACRSCOPED_SOURCE", "github-actions")],
        ]
        .concat();
        assert_eq!(
            choose(&github, "contoso.azurecr.io").unwrap().to_string(),
            "GitHub Actions as c"
        );
        let machine = [&SECRET[..], &[("ACRSCOPED_SOURCE", "managed-identity")]].concat();
        assert_eq!(
            choose(&machine, "contoso.azurecr.io").unwrap().to_string(),
            "managed identity c"
        );
        let error = choose(
            &[&SECRET[..], &[("ACRSCOPED_SOURCE", "azure-cli")]].concat(),
            "contoso.azurecr.io",
        )
        .unwrap_err();
        assert_eq!(error.to_string(), "no Azure identity to sign in with");
        assert_eq!(
            error.details(),
            [
                "azure-cli: there is no home folder and `AZURE_CONFIG_DIR` is not set",
                "no other was tried: `source` is azure-cli by `ACRSCOPED_SOURCE`"
            ]
        );
        assert_eq!(
            error.hint(),
            Some("install the Azure CLI, then sign in\n  az login")
        );
    }

    #[test]
    fn a_wrong_setting_of_a_source_is_an_error_only_if_the_source_is_tried() {
        for broken in [
            ("IDENTITY_ENDPOINT", "http://127.0.0.1/msi"),
            ("MSI_ENDPOINT", "nonsense"),
            ("SYSTEM_OIDCREQUESTURI", "http://dev.azure.com"),
            ("AZURE_TOKEN_CREDENTIALS", "VisualStudioCredential"),
        ] {
            let rows = [
                &SECRET[..],
                &[broken, ("ACRSCOPED_SOURCE", "client-secret")],
            ]
            .concat();
            assert_eq!(
                choose(&rows, "contoso.azurecr.io").unwrap().to_string(),
                "service principal c",
                "{broken:?}"
            );
            // What a CI system sets in every job is skipped; the rest was set on purpose.
            assert_eq!(
                choose(&[broken], "contoso.azurecr.io").is_ok(),
                broken.0 == "SYSTEM_OIDCREQUESTURI",
                "{broken:?}"
            );
        }
    }

    #[test]
    fn a_hint_names_what_has_to_change() {
        let setting = |rows: &[(&str, &str)]| {
            choose(&[&SECRET[..], rows].concat(), "contoso.azurecr.io")
                .unwrap()
                .tenant_setting()
        };
        assert_eq!(
            setting(&[]),
            "`tenant` under `[registry.\"contoso.azurecr.io\"]` in the config file"
        );
        assert_eq!(setting(&[("ACRSCOPED_TENANT", "t")]), "`ACRSCOPED_TENANT`");
    }

    #[test]
    fn the_chain_is_narrowed_as_in_the_azure_sdks() {
        let narrowed = |word: &str| {
            choose(
                &[
                    &GITHUB[..],
                    &SECRET[..],
                    &[("AZURE_TOKEN_CREDENTIALS", word)],
                ]
                .concat(),
                "contoso.azurecr.io",
            )
        };
        for (word, chosen) in [
            ("prod", "service principal c"),
            ("environmentcredential", "service principal c"),
            ("ManagedIdentityCredential", "managed identity c"),
        ] {
            assert_eq!(narrowed(word).unwrap().to_string(), chosen, "{word}");
        }
        for word in [
            "dev",
            "AzureCliCredential",
            "AzureDeveloperCliCredential",
            "WorkloadIdentityCredential",
        ] {
            let error = narrowed(word).unwrap_err();
            let reasons = error.details();
            assert_eq!(error.kind(), ErrorKind::NoIdentity);
            assert!(
                reasons.contains(&"client-secret: `AZURE_TOKEN_CREDENTIALS` leaves it out".into()),
                "{reasons:?}"
            );
        }
        let error = narrowed("AzurePowerShellCredential")
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("`AZURE_TOKEN_CREDENTIALS` cannot be \"AzurePowerShellCredential\": allowed values are prod, dev, "),
            "{error}"
        );
    }

    #[test]
    fn an_identity_that_the_platform_cannot_be_asked_for_is_an_error() {
        let arc = [
            ("IDENTITY_ENDPOINT", "http://127.0.0.1"),
            ("IMDS_ENDPOINT", "x"),
            ("AZURE_CLIENT_ID", "c"),
        ];
        assert_eq!(
            choose(&arc, "contoso.azurecr.io").unwrap_err().to_string(),
            "`c` from `AZURE_CLIENT_ID` cannot select a managed identity on Arc"
        );
        let twice = [("ACRSCOPED_CLIENT_ID", "c"), ("ACRSCOPED_OBJECT_ID", "o")];
        assert_eq!(
            choose(&twice, "contoso.azurecr.io")
                .unwrap_err()
                .to_string(),
            "`object_id` and `client_id` name a managed identity twice, the one by `ACRSCOPED_OBJECT_ID`: one is enough"
        );
        let application = [&SECRET[..], &twice].concat();
        assert!(
            choose(&application, "contoso.azurecr.io").is_ok(),
            "no managed identity is in play"
        );
        let stronger = [("AZURE_CLIENT_ID", "c"), ("ACRSCOPED_OBJECT_ID", "o")];
        assert_eq!(
            choose(&stronger, "contoso.azurecr.io").unwrap().to_string(),
            "managed identity o"
        );
    }

    #[test]
    fn the_fingerprint_changes_with_the_identity_and_with_nothing_else() {
        let of = |rows: &[(&str, &str)], host: &str| choose(rows, host).unwrap().fingerprint();
        let of_file = |text: &str, rows: &[(&str, &str)], host: &str| {
            choose_with(text, rows, host).unwrap().fingerprint()
        };
        let mine = of(&SECRET, "contoso.azurecr.io");
        assert_eq!(mine, of(&SECRET, "fabrikam.azurecr.io"));
        let other_secret = [SECRET[0], SECRET[1], ("AZURE_CLIENT_SECRET", "rotated")];
        assert_eq!(mine, of(&other_secret, "contoso.azurecr.io"));
        let others = [
            of(
                &[("AZURE_TENANT_ID", "t2"), SECRET[1], SECRET[2]],
                "contoso.azurecr.io",
            ),
            of(
                &[SECRET[0], ("AZURE_CLIENT_ID", "c2"), SECRET[2]],
                "contoso.azurecr.io",
            ),
            of(
                &[SECRET[0], SECRET[1], ("AZURE_FEDERATED_TOKEN_FILE", "/t")],
                "contoso.azurecr.io",
            ),
            of(&SECRET, "contoso.azurecr.us"),
            of(&[("AZURE_CLIENT_ID", "c")], "contoso.azurecr.io"),
            of(&[], "contoso.azurecr.io"),
            of(
                &[
                    ("IDENTITY_ENDPOINT", "http://127.0.0.1:1"),
                    ("IDENTITY_HEADER", "h"),
                ],
                "contoso.azurecr.io",
            ),
            of(
                &[
                    ("IDENTITY_ENDPOINT", "http://127.0.0.1:2"),
                    ("IDENTITY_HEADER", "h"),
                ],
                "contoso.azurecr.io",
            ),
            of(&[("ACRSCOPED_OBJECT_ID", "c")], "contoso.azurecr.io"),
            of(
                &[
                    ("IDENTITY_ENDPOINT", "http://127.0.0.1:1"),
                    ("IDENTITY_HEADER", "of another app"),
                ],
                "contoso.azurecr.io",
            ),
            of(
                &[("MSI_ENDPOINT", "http://127.0.0.1:1"), ("MSI_SECRET", "h")],
                "contoso.azurecr.io",
            ),
            of(
                &[("MSI_ENDPOINT", "http://127.0.0.1:1"), ("MSI_SECRET", "i")],
                "contoso.azurecr.io",
            ),
            of(
                &[(
                    "AZURE_POD_IDENTITY_AUTHORITY_HOST",
                    "http://127.0.0.1:1/podA",
                )],
                "contoso.azurecr.io",
            ),
            of(
                &[(
                    "AZURE_POD_IDENTITY_AUTHORITY_HOST",
                    "http://127.0.0.1:1/podB",
                )],
                "contoso.azurecr.io",
            ),
            of(&[], "contoso.azurecr.us"),
            of_file(
                "audience = 'https://registries.example'",
                &SECRET,
                "contoso.azurecr.io",
            ),
            of_file(
                "identity_cloud = 'AzureChinaCloud'",
                &[],
                "contoso.azurecr.io",
            ),
            of_file(
                "identity_cloud = 'AzureChinaCloud'",
                &SECRET,
                "contoso.azurecr.io",
            ),
            of_file(
                "identity_cloud = 'AzureChinaCloud'",
                &[],
                "contoso.azurecr.us",
            ),
            of_file(
                "identity_cloud = 'AzureChinaCloud'\nauthority = 'login.microsoftonline.com'",
                &[],
                "contoso.azurecr.io",
            ),
            of(&[&GITHUB[..], &SECRET[..2]].concat(), "contoso.azurecr.io"),
            of(
                &[&PIPELINES[..], &SECRET[..2]].concat(),
                "contoso.azurecr.io",
            ),
            of(
                &[
                    SECRET[0],
                    SECRET[1],
                    ("AZURE_CLIENT_CERTIFICATE_PATH", "/c.pem"),
                ],
                "contoso.azurecr.io",
            ),
            signed_in_to_az("alice", "t"),
            signed_in_to_az("bob", "t"),
            signed_in_to_az("alice", "t2"),
        ];
        for (at, other) in others.iter().enumerate() {
            assert_ne!(mine, *other);
            assert!(!others[at + 1..].contains(other));
        }
    }

    /// A token of Entra with these claims.
    fn token(claims: &serde_json::Value) -> SecretString {
        let payload = azure_core::base64::encode_url_safe(claims.to_string());
        format!("e30.{payload}.c2ln").into()
    }

    #[test]
    fn a_claim_that_repeats_the_secret_of_its_identity_is_not_shown() {
        let secret = "n5~8Q.hunter2-Sesame_oPen";
        let hex = secret
            .bytes()
            .fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
        let principal = [SECRET[0], SECRET[1], ("AZURE_CLIENT_SECRET", secret)];
        let app_service = [
            ("IDENTITY_ENDPOINT", "http://127.0.0.1/msi"),
            ("IDENTITY_HEADER", secret),
        ];
        for rows in [&principal[..], &app_service] {
            let identity = choose(rows, "contoso.azurecr.io").unwrap();
            for audience in [secret, &hex] {
                let error = identity
                    .check_token(token(&serde_json::json!({"aud": audience})))
                    .unwrap_err();
                assert!(
                    error.kind() == ErrorKind::WrongAudience
                        && error.to_string().contains(" for `…`, not for ")
                );
            }
            let tenant = [
                &hex[..8],
                &hex[8..12],
                &hex[12..16],
                &hex[16..20],
                &hex[20..32],
            ]
            .join("-");
            let claims = serde_json::json!({"aud": crate::token::REGISTRY_AUDIENCE, "tid": tenant});
            let token = identity.check_token(token(&claims)).unwrap();
            assert_eq!(
                identity.notes(&token)[0],
                format!("signed in: {identity}, in tenant …")
            );
        }
    }
}
