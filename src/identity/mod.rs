//! Who signs in: the sources of an identity, their order, and the access token they give.
//!
//! Sources are asked in the order of [`SourceName::ALL`](crate::config::SourceName::ALL); the first that is configured is the one, and
//! its failure is the answer. Trying the next after a failure would sign in as somebody else than was meant.

mod application;
mod arc;
mod azure_cli;
mod certificate;
mod chain;
mod developer_cli;
mod login;
mod managed;
mod oidc;
mod refusal;

pub(crate) use login::{Account, OWN_KEYRING, account};

use crate::cache::Cache;
use crate::config::{Config, ManagedId, Origin, SourceName, SourceSettings, Value};
use crate::error::{Error, ErrorKind, config_file};
use crate::network::{Network, Transport};
use crate::registry::{CLOUDS, Cloud, Registry};
use crate::text::Secrets;
use crate::token::{AccessToken, Audience, NotSent};
pub(crate) use azure_cli::names as azure_cli_names;

use application::{Application, Proof};
use azure_core::cloud::{CloudConfiguration, CustomConfiguration};
use azure_core::credentials::TokenCredential;
use azure_core::http::{ClientOptions, RetryOptions};
use managed::{Endpoint, ManagedIdentity};
use oidc::Issuer;
use secrecy::{ExposeSecret, SecretString};
use std::fmt;
use std::sync::Arc;
use url::Url;

/// Where an identity comes from, with all it needs to sign in.
#[derive(Debug)]
enum Source {
    /// A client id in a tenant, and a secret, certificate or assertion.
    Application(Application),
    /// A managed identity: one that the environment announces, or last of all that of a virtual machine.
    ManagedIdentity {
        id: Option<ManagedId>,
        endpoint: Arc<Endpoint>,
    },
    /// Whoever signed in with `login`.
    Login(login::Account),
    /// Whoever is signed in to the Azure CLI.
    AzureCli(azure_cli::Account),
    /// Whoever is signed in to the Azure Developer CLI.
    DeveloperCli(developer_cli::Account),
}

/// Which application a service account signs in as (cloud-provider-azure, `pkg/credentialprovider/consts.go`).
pub const CLIENT_ANNOTATION: &str = "kubernetes.azure.com/acr-client-id";

/// In which tenant.
pub const TENANT_ANNOTATION: &str = "kubernetes.azure.com/acr-tenant-id";

/// Somebody who is to sign in as an application, and proves by an assertion that they may: a pod's service account.
#[derive(Debug)]
pub struct Workload {
    /// The application, by its client id, a GUID.
    pub client: String,
    /// Its tenant, a GUID.
    pub tenant: String,
    /// What the workload's own issuer states of it, a JWT.
    pub assertion: SecretString,
}

/// Who signs in to a registry, and at which authority.
#[derive(Debug)]
pub struct Identity {
    source: Source,
    authority: Url,
    /// Where the authority was set, if it is not that of the cloud.
    authority_origin: Option<Origin>,
    audience: Audience,
    /// The cloud of the registries that it is for.
    cloud: Cloud,
    /// The cloud that it belongs to.
    own_cloud: Cloud,
    /// Where the tenant was set, if it was.
    tenant_origin: Option<Origin>,
    /// Whether the tenant was typed beside `login`, and set nowhere.
    is_tenant_typed: bool,
    /// What to write, and where, to sign in to another tenant, in words.
    tenant_setting: String,
    /// The config file, in words.
    file: String,
    /// The registry that it is for, if it is for one.
    registry: Option<String>,
    /// Why each source before this one was passed over.
    skipped: Vec<String>,
    /// The only source that may be used, if it is set.
    only: Option<SourceName>,
    /// What it proves itself with, which must not be shown even when a server repeats it.
    secrets: Secrets,
}

impl Identity {
    /// Who signs in to this registry. Reads at most the files that say who is signed in to a command line.
    ///
    /// Errors: [`ErrorKind::Setting`] when a source is configured by half, [`ErrorKind::NoIdentity`] when no source may be tried.
    pub fn choose(config: &Config, registry: &Registry) -> Result<Self, Error> {
        let mut skipped = Vec::new();
        let source = chain::choose(config, registry, &mut skipped)?;
        Ok(Self::of(
            source,
            config,
            registry.cloud(),
            Some(registry),
            skipped,
        ))
    }

    /// A workload that brought its assertion along, whatever source comes first: it is the only one that can be meant.
    pub(crate) fn of_workload(workload: Workload, config: &Config, registry: &Registry) -> Self {
        let source = Source::Application(Application::of_workload(workload));
        Self::of(source, config, registry.cloud(), Some(registry), vec![])
    }

    /// Whoever is about to sign in, or has, whatever source comes first: what goes wrong then is told as for the source of this name.
    pub(crate) fn of_login(
        account: Account,
        config: &Config,
        cloud: &Cloud,
        registry: Option<&Registry>,
    ) -> Self {
        Self::of(Source::Login(account), config, cloud, registry, vec![])
    }

    fn of(
        source: Source,
        config: &Config,
        cloud: &Cloud,
        registry: Option<&Registry>,
        skipped: Vec<String>,
    ) -> Self {
        let sources = &config.sources;
        let is_tenant_typed = match &source {
            Source::Login(account) => {
                account.login.username.is_empty()
                    && account.tenant().is_some_and(|tenant| {
                        sources
                            .named_tenant
                            .as_ref()
                            .is_none_or(|named| named.value != tenant)
                    })
            }
            Source::Application(_)
            | Source::ManagedIdentity { .. }
            | Source::AzureCli(_)
            | Source::DeveloperCli(_) => false,
        };
        let tenant_origin = match &source {
            Source::Login(_) if is_tenant_typed => None,
            Source::Application(application) => Some(application.tenant.origin.clone()),
            Source::AzureCli(_) => sources
                .subscription
                .as_ref()
                .or(sources.named_tenant.as_ref())
                .map(|it| it.origin.clone()),
            Source::DeveloperCli(_) | Source::Login(_) => sources
                .named_tenant
                .as_ref()
                .map(|tenant| tenant.origin.clone()),
            Source::ManagedIdentity { .. } => None,
        };
        let tenant_setting = if is_tenant_typed {
            "`--tenant`".to_owned()
        } else {
            tenant_setting(sources, registry, tenant_origin.as_ref())
        };
        let registry = registry.map(|registry| registry.host().to_owned());
        let only = sources.only.as_ref().map(|only| only.value);
        let (authority, audience) = (config.authority.clone(), config.audience.clone());
        let authority_origin = config.authority_origin.clone();
        let (cloud, own_cloud) = (cloud.clone(), config.identity_cloud.clone());
        let file = config_file(&sources.config_file);
        let secrets = source.secrets();
        Self {
            source,
            authority,
            authority_origin,
            audience,
            cloud,
            own_cloud,
            tenant_origin,
            is_tenant_typed,
            tenant_setting,
            file,
            registry,
            skipped,
            only,
            secrets,
        }
    }

    /// A short text that differs whenever somebody else would sign in, in another cloud, or for another audience: source, authority,
    /// tenant, client, and for a command line its account. It is part of cache keys and, being a digest, shows no secret and names
    /// nobody.
    pub fn fingerprint(&self) -> String {
        let who = match &self.source {
            Source::Application(application) => {
                format!("{}\0{}", application.tenant.value, application.client.value)
            }
            Source::ManagedIdentity { id, endpoint } => {
                // Which identity an endpoint gives depends on all of its address and on what proves that we run there.
                let proof = endpoint
                    .proof()
                    .map(|proof| proof.expose_secret())
                    .unwrap_or_default();
                format!("{}\0{proof}\0{id:?}", endpoint.address())
            }
            Source::Login(account) => account.who(),
            Source::AzureCli(account) => account.who(),
            Source::DeveloperCli(account) => account.who(),
        };
        let text = [
            self.kind(),
            self.authority.as_str(),
            &self.cloud.suffix,
            &self.own_cloud.cli_name,
            self.audience.as_str(),
            &who,
        ]
        .join("\0");
        let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
        digest.as_ref()[..16]
            .iter()
            .fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
    }

    fn kind(&self) -> &'static str {
        match &self.source {
            Source::Application(application) => application.kind(),
            Source::ManagedIdentity { endpoint, .. } => endpoint.platform(),
            Source::Login(_) => "login",
            Source::AzureCli(_) => "az",
            Source::DeveloperCli(_) => "azd",
        }
    }

    /// Whether it is whoever is signed in to a command line, which reads by itself who that is.
    pub fn is_of_command_line(&self) -> bool {
        match self.source {
            Source::AzureCli(_) | Source::DeveloperCli(_) => true,
            Source::Application(_) | Source::ManagedIdentity { .. } | Source::Login(_) => false,
        }
    }

    /// The account, if it is somebody who signed in with `login`.
    pub(crate) fn login(&self) -> Option<&Account> {
        match &self.source {
            Source::Login(account) => Some(account),
            Source::Application(_)
            | Source::ManagedIdentity { .. }
            | Source::AzureCli(_)
            | Source::DeveloperCli(_) => None,
        }
    }

    /// Why each source before this one was passed over, in their order.
    pub fn skipped(&self) -> &[String] {
        &self.skipped
    }

    /// The authority that signs it in, and where that was set unless it is that of the cloud.
    pub fn authority(&self) -> (&Url, Option<&Origin>) {
        (&self.authority, self.authority_origin.as_ref())
    }

    /// What the access token is asked for.
    pub fn audience(&self) -> &Audience {
        &self.audience
    }

    /// Signs in and returns an access token for the registry audience. The token of a login is kept in `cache`.
    pub async fn access_token(
        &self,
        network: &Arc<Network>,
        cache: &Cache,
    ) -> Result<AccessToken, Error> {
        if let Source::ManagedIdentity { endpoint, .. } = &self.source
            && let Endpoint::VirtualMachine { .. } = **endpoint
        {
            self.find_machine(endpoint).await?;
        }
        let refused = |error| {
            let refused = refusal::refused(self, &error, network);
            match self.login() {
                Some(account) => account.hinted(refused, &error),
                None => refused,
            }
        };
        let credential = self.credential(network, cache).await?.map_err(refused)?;
        let token = credential
            .get_token(&[&self.audience.scope()], None)
            .await
            .map_err(refused)?;
        self.judge(token.token.secret().into())
    }

    /// Whether this is a virtual machine of Azure, and in the cloud that the identity is to belong to: a token of another must not follow
    /// the name of a registry. Which cloud it is in is asked only where it may matter; one that does not say is in the right one.
    async fn find_machine(&self, endpoint: &Endpoint) -> Result<(), Error> {
        let nobody = |why: String, hint: Option<String>| {
            let skipped = [
                &self.skipped[..],
                &[format!("managed identity of a virtual machine: {why}")],
            ]
            .concat();
            let error = chain::nobody(skipped, self.only, self.registry.as_deref());
            match hint {
                Some(hint) => error.with_hint(hint),
                None => error,
            }
        };
        let public = &CLOUDS[0].cli_name;
        let is_asked = [&self.cloud, &self.own_cloud]
            .into_iter()
            .any(|cloud| cloud.cli_name != *public);
        let machine = endpoint
            .probe(is_asked)
            .await
            .map_err(|why| nobody(why, None))?;
        let Some(machine) = machine.filter(|machine| *machine != self.own_cloud.cli_name) else {
            return Ok(());
        };
        let registry = self.registry.as_deref().unwrap_or("the registry");
        let own = &self.own_cloud.cli_name;
        let why = if *own == self.cloud.cli_name {
            format!("this machine is in {machine}, and {registry} is in {own}")
        } else {
            format!(
                "this machine is in {machine}, and the identity of {registry} is in {own} by `identity_cloud`"
            )
        };
        let hint = format!(
            "to use this identity there, set `identity_cloud = \"{machine}\"` under `[registry.\"{registry}\"]` in {}",
            self.file
        );
        Err(nobody(why, Some(hint)))
    }

    /// An access token that this identity was given, if it is for registries.
    pub(crate) fn judge(&self, token: SecretString) -> Result<AccessToken, Error> {
        AccessToken::new(token, &self.audience).map_err(|reason| match reason {
            NotSent::Malformed => Error::sign_in(self, "the token in the answer is malformed").with_hint("check the program or endpoint of this identity source: its answer holds no token of Entra"),
            NotSent::Audience(audience) => {
                let audience = self.secrets.redactor().redact(&audience);
                let message = format!(
                    "{self} gave an access token for {audience}, not for `{}`: the helper did not send it",
                    self.audience.as_str()
                );
                Error::new(ErrorKind::WrongAudience, message)
                    .with_hint("the source ignores the scope it was asked for; choose another one")
            }
        })
    }

    /// What went wrong in a sign-in as this identity, in words.
    pub(crate) fn refused(&self, error: anyhow::Error, network: &Network) -> Error {
        refusal::refused(self, &login::failure(error), network)
    }

    /// Whose token a registry refused, and which tenant it may have wanted, a line each.
    pub fn notes(&self, token: &AccessToken) -> Vec<String> {
        let mut lines: Vec<String> = token
            .tenant()
            .map(|tenant| format!("signed in: {self}, in tenant {tenant}"))
            .into_iter()
            .collect();
        if let (Source::Application(_), Some(origin)) = (&self.source, &self.authority_origin) {
            lines.push(format!(
                "the authority {} was set by {origin}",
                self.asked_host()
            ));
        }
        if let Source::AzureCli(account) = &self.source {
            let others = account.others();
            if !others.is_empty() {
                lines.extend(others);
                lines.push(format!(
                    "to sign in to another tenant, set {}",
                    self.tenant_setting
                ));
            }
        }
        let redactor = self.secrets.redactor();
        lines.iter().map(|line| redactor.redact(line)).collect()
    }

    /// The credential of the source; the outer error is one of settings or of the HTTP client, the inner one the credential's own.
    async fn credential(
        &self,
        network: &Arc<Network>,
        cache: &Cache,
    ) -> Result<azure_core::Result<Arc<dyn TokenCredential>>, Error> {
        Ok(match &self.source {
            Source::Application(application) => {
                return application
                    .credential(
                        &self.authority,
                        self.entra_options(network)?,
                        network,
                        &self.secrets,
                    )
                    .await;
            }
            Source::ManagedIdentity { id, endpoint } => Ok(Arc::new(ManagedIdentity::new(
                endpoint.clone(),
                id.clone(),
                network.clone(),
                self.secrets.clone(),
            )) as _),
            Source::Login(account) => {
                let client = account.client(&self.authority, &self.audience, network)?;
                client
                    .map_err(login::failure)
                    .map(|client| account.credential(client, cache.clone(), network.clock()))
            }
            Source::AzureCli(account) => account.credential(),
            Source::DeveloperCli(account) => account.credential(),
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
            Source::Application(_) | Source::Login(_) => {
                self.authority.host_str().unwrap_or_default().to_owned()
            }
            Source::ManagedIdentity { endpoint, .. } => endpoint.host(),
            Source::AzureCli(_) | Source::DeveloperCli(_) => self.to_string(),
        }
    }

    /// What it has proved itself with by now, and the tokens that it got.
    pub(crate) fn secrets(&self) -> &Secrets {
        &self.secrets
    }
}

impl Source {
    /// The secrets that are known before a sign-in adds more.
    fn secrets(&self) -> Secrets {
        let secret = match self {
            Self::Application(application) => application.secret(),
            Self::ManagedIdentity { endpoint, .. } => endpoint.proof(),
            Self::Login(account) => return account.secrets.clone(),
            Self::AzureCli(_) | Self::DeveloperCli(_) => None,
        };
        let secrets = Secrets::default();
        if let Some(secret) = secret {
            secrets.add(secret.expose_secret());
        }
        secrets
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Source::Application(Application {
                client: Value { value: client, .. },
                proof,
                ..
            }) => match proof {
                Proof::Secret(_) | Proof::Certificate(_) => write!(f, "service principal {client}"),
                Proof::TokenFile(_) => write!(f, "workload identity {client}"),
                Proof::Given(_) => write!(f, "the service account as {client}"),
                Proof::Job(Issuer::GitHub { .. }) => write!(f, "GitHub Actions as {client}"),
                Proof::Job(Issuer::Pipelines { .. }) => write!(f, "Azure Pipelines as {client}"),
            },
            Source::ManagedIdentity { endpoint, .. }
                if matches!(**endpoint, Endpoint::CloudShell { .. }) =>
            {
                f.write_str("the user of Cloud Shell")
            }
            Source::ManagedIdentity { id: Some(id), .. } => {
                write!(f, "managed identity {}", id.as_str())
            }
            Source::ManagedIdentity { id: None, .. } => {
                f.write_str("the system-assigned managed identity")
            }
            Source::Login(account) => account.fmt(f),
            Source::AzureCli(_) => f.write_str("the Azure CLI"),
            Source::DeveloperCli(_) => f.write_str("the Azure Developer CLI"),
        }
    }
}

/// What to change, and where, to sign in to another tenant: what is set now if nothing in a profile would beat it, else the profile of
/// the registry.
fn tenant_setting(
    sources: &SourceSettings,
    registry: Option<&Registry>,
    origin: Option<&Origin>,
) -> String {
    let is_subscription =
        origin.is_some() && sources.subscription.as_ref().map(|it| &it.origin) == origin;
    let name = if is_subscription {
        "subscription"
    } else {
        "tenant"
    };
    let file = config_file(&sources.config_file);
    match origin {
        Some(Origin::Variable(variable)) if variable.starts_with("ACRSCOPED_") => {
            format!("`{variable}`")
        }
        Some(Origin::Profile { file, line, .. }) => {
            format!("`{name}` in {}:{line}", file.display())
        }
        Some(origin @ Origin::Annotation(_)) => origin.to_string(),
        _ => match registry {
            Some(registry) => format!(
                "`{name}` under `[registry.\"{}\"]` in {file}",
                registry.host()
            ),
            None => format!("`{name}` in {file}"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;

    fn choose(rows: &[(&str, &str)], host: &str) -> Result<Identity, Error> {
        let variables = rows
            .iter()
            .map(|(name, value)| ((*name).into(), value.into()))
            .collect();
        let registry = Registry::parse(host, &[]).unwrap();
        Identity::choose(
            &Settings::of(variables, None).for_registry(&registry)?,
            &registry,
        )
    }

    /// The same with this text in the config file.
    fn choose_with(text: &str, rows: &[(&str, &str)], host: &str) -> Result<Identity, Error> {
        let variables = rows
            .iter()
            .map(|(name, value)| ((*name).into(), value.into()))
            .collect();
        let registry = Registry::parse(host, &[]).unwrap();
        let settings = Settings::of(variables, None).with_text(text)?;
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

    /// The fingerprint of whoever is signed in to an Azure CLI with this account.
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
        assert_eq!(error.hint(), Some("az login"));
    }

    #[test]
    fn what_is_wrong_with_a_source_matters_only_when_it_has_its_turn() {
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
            // What a CI system sets in every job is passed over; the rest was meant.
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
                .tenant_setting
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
            error.starts_with("`AZURE_TOKEN_CREDENTIALS` is \"AzurePowerShellCredential\", expected one of prod, dev, "),
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
            "`c` from `AZURE_CLIENT_ID` names a managed identity in a way that Azure Arc does not know"
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
    fn the_fingerprint_changes_with_who_signs_in_and_with_nothing_else() {
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
        format!("e30.{}.c2ln", payload.trim_end_matches('=')).into()
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
                    .judge(token(&serde_json::json!({"aud": audience})))
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
            let token = identity.judge(token(&claims)).unwrap();
            assert_eq!(
                identity.notes(&token),
                [format!("signed in: {identity}, in tenant …")]
            );
        }
    }
}
