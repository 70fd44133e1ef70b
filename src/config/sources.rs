//! What the sources of an identity are made from, as the Azure SDKs name it.

use super::environment::{
    HTTP, Result, Variables, absolute, parsed, parsed_url, program_folders, raw, raw_text,
    state_dir, text,
};
use super::keys;
use super::platforms::{ManagedIdentityEnv, OidcRequestEnv, PipelinesSettings, is_issuer};
use super::precedence::{Ranked, Resolver, Value};
use super::values::{SourceName, not_one_of};
use crate::error::Error;
use secrecy::SecretString;
use std::path::{Path, PathBuf};
use url::Url;

/// What the sources of an identity are made from. Parts may be missing: each source decides whether it is complete. A part that is an error
/// matters only if its source is tried.
#[derive(Debug)]
pub struct SourceSettings {
    /// `source`: only this source.
    pub only: Option<Value<SourceName>>,
    /// `AZURE_TOKEN_CREDENTIALS`, unless `source` is set.
    pub filter: Option<SourceFilter>,
    /// `tenant` or `AZURE_TENANT_ID`, of service principals.
    pub tenant: Option<Value<String>>,
    /// `tenant` without `AZURE_TENANT_ID`, which the SDKs ignore for accounts of command lines.
    pub named_tenant: Option<Value<String>>,
    /// `client_id` or `AZURE_CLIENT_ID`, of service principals.
    pub client: Option<Value<String>>,
    /// `client_id` without `AZURE_CLIENT_ID`: the application that people sign in with in place of the Azure CLI's.
    pub own_client: Option<Value<String>>,
    /// The user-assigned managed identity, if one is named.
    pub managed: Result<Option<Value<ManagedId>>>,
    /// `subscription` of the Azure CLI.
    pub subscription: Option<Value<String>>,
    /// `AZURE_CLIENT_SECRET`.
    pub client_secret: Option<SecretString>,
    /// `AZURE_FEDERATED_TOKEN_FILE`.
    pub federated_token_file: Option<PathBuf>,
    /// `AZURE_CLIENT_CERTIFICATE_PATH` and what goes with it.
    pub certificate: Option<CertificateSettings>,
    /// What a job of GitHub Actions with `id-token: write` finds.
    pub github: Result<Option<OidcRequestEnv>>,
    /// `service_connection`, or what the task AzureCLI@2 of Azure Pipelines sets.
    pub service_connection: Option<Value<String>>,
    /// `oidc_host`: a further host that issues tokens to jobs.
    pub oidc_host: Option<String>,
    /// What a job of Azure Pipelines finds.
    pub pipelines: Result<PipelinesSettings>,
    /// The managed identity that the platform announces.
    pub managed_identity_env: Result<Option<ManagedIdentityEnv>>,
    /// `AZURE_POD_IDENTITY_AUTHORITY_HOST`, which replaces `http://169.254.169.254`.
    pub imds: Option<Url>,
    /// Folder of the Azure CLI's profile: `AZURE_CONFIG_DIR` or `~/.azure`.
    pub azure_cli_folder: Option<PathBuf>,
    /// Folder of the Azure Developer CLI's settings: `AZD_CONFIG_DIR` or `~/.azd`.
    pub developer_cli_folder: Option<PathBuf>,
    /// The index of accounts that signed in with `login`.
    pub logins: Option<PathBuf>,
    /// The absolute folders of `PATH`: programs are looked for only there.
    pub path: Vec<PathBuf>,
    /// The config file, which hints name even if it is missing.
    pub config_file: PathBuf,
}

/// The value of `AZURE_TOKEN_CREDENTIALS`: which sources may be tried (Microsoft, "Credential chains in the Azure Identity library").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFilter(&'static str);

impl SourceFilter {
    /// The words of the Azure SDKs for sources that we have too.
    const WORDS: [&'static str; 7] = [
        "prod",
        "dev",
        "EnvironmentCredential",
        "WorkloadIdentityCredential",
        "ManagedIdentityCredential",
        "AzureCliCredential",
        "AzureDeveloperCliCredential",
    ];

    fn parse(text: &str) -> Result<Self, String> {
        let mut words = Self::WORDS.into_iter();
        let word = words.find(|word| word.eq_ignore_ascii_case(text));
        let word = word.ok_or_else(|| not_one_of(text, Self::WORDS.into_iter()));
        word.map(Self)
    }

    /// Returns whether this source may be tried. The SDKs have neither our sources of CI jobs, which count as `prod`, nor our `login`, which
    /// counts as `dev`.
    pub fn allows(&self, source: SourceName) -> bool {
        let (group, credential) = match source {
            SourceName::WorkloadIdentity => ("prod", "WorkloadIdentityCredential"),
            SourceName::ClientSecret | SourceName::ClientCertificate => {
                ("prod", "EnvironmentCredential")
            }
            SourceName::GitHubActions | SourceName::AzurePipelines => ("prod", "prod"),
            SourceName::ManagedIdentity => ("prod", "ManagedIdentityCredential"),
            SourceName::Login => ("dev", "dev"),
            SourceName::AzureCli => ("dev", "AzureCliCredential"),
            SourceName::AzureDeveloperCli => ("dev", "AzureDeveloperCliCredential"),
        };
        [group, credential].contains(&self.0)
    }
}

/// A client certificate that is not read yet.
#[derive(Clone, Debug)]
pub struct CertificateSettings {
    /// `AZURE_CLIENT_CERTIFICATE_PATH`: PEM or PKCS#12, with the private key.
    pub path: PathBuf,
    /// `AZURE_CLIENT_CERTIFICATE_PASSWORD`.
    pub password: Option<SecretString>,
    /// `AZURE_CLIENT_SEND_CERTIFICATE_CHAIN`: sends the chain, for applications that trust an issuer and a subject name.
    pub send_chain: bool,
}

/// A user-assigned managed identity by one of its three ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ManagedId {
    /// By its client id.
    Client(String),
    /// By its object id, also called principal id.
    Object(String),
    /// By its Azure resource id.
    Resource(String),
}

impl ManagedId {
    /// Returns the id itself.
    pub fn as_str(&self) -> &str {
        let (Self::Client(id) | Self::Object(id) | Self::Resource(id)) = self;
        id
    }
}

impl SourceSettings {
    pub(super) fn read(
        variables: &Variables,
        resolver: &Resolver<'_>,
        home: Option<&Path>,
        config_file: &Path,
    ) -> Result<Self> {
        const IMDS: &str = "AZURE_POD_IDENTITY_AUTHORITY_HOST";
        let own = resolver.without_azure_variables();
        let only = resolver.get(&keys::SOURCE)?;
        let filter = || parsed(variables, "AZURE_TOKEN_CREDENTIALS", SourceFilter::parse);
        let in_home = |folder: &str| Some(home?.join(folder));
        let path = |name: &str| raw(variables, name).map(PathBuf::from);
        Ok(Self {
            filter: if only.is_some() { None } else { filter()? },
            only,
            tenant: resolver.get(&keys::TENANT)?,
            named_tenant: own.get(&keys::TENANT)?,
            client: resolver.get(&keys::CLIENT_ID)?,
            own_client: own.get(&keys::CLIENT_ID)?,
            managed: managed_id(resolver),
            subscription: subscription(&own)?,
            client_secret: text(variables, "AZURE_CLIENT_SECRET")?.map(SecretString::from),
            federated_token_file: path("AZURE_FEDERATED_TOKEN_FILE"),
            certificate: CertificateSettings::read(variables)?,
            github: OidcRequestEnv::from_github(variables),
            service_connection: resolver.get(&keys::SERVICE_CONNECTION)?,
            oidc_host: resolver.get(&keys::OIDC_HOST)?.map(|host| host.value),
            pipelines: PipelinesSettings::read(variables),
            managed_identity_env: ManagedIdentityEnv::read(variables),
            imds: parsed_url(variables, IMDS, HTTP, "http://127.0.0.1:40342")?,
            azure_cli_folder: path("AZURE_CONFIG_DIR").or_else(|| in_home(".azure")),
            developer_cli_folder: absolute(variables, "AZD_CONFIG_DIR").or_else(|| in_home(".azd")),
            logins: state_dir(variables, home).map(|folder| folder.join("logins.json")),
            path: program_folders(variables),
            config_file: config_file.to_owned(),
        })
    }

    /// Checks the host of the address from which a CI job requests its token.
    ///
    /// # Errors
    ///
    /// `variable` names a host that is not known to issue tokens to jobs.
    pub fn check_issuer(&self, variable: &str, url: &Url) -> Result<(), Error> {
        if is_issuer(url, self.oidc_host.as_deref()) {
            return Ok(());
        }
        let host = url.host_str().unwrap_or_default();
        Err(Error::untrusted_variable(
            variable,
            format!("names `{host}`, which is not known to issue tokens to jobs"),
            &format!("oidc_host = {host:?}"),
            &self.config_file,
        ))
    }
}

/// Returns the subscription, unless a tenant of higher precedence is set: both choose an account of the Azure CLI. At the same
/// precedence the subscription is the more specific.
fn subscription(resolver: &Resolver<'_>) -> Result<Option<Value<String>>> {
    let tenant = resolver.find(&keys::TENANT)?;
    let subscription = resolver.find(&keys::SUBSCRIPTION)?;
    let is_higher = |(rank, _): &Ranked<String>| tenant.is_none_or(|(other, _)| *rank <= other);
    Ok(subscription.filter(is_higher).map(|(_, value)| value))
}

/// Returns the managed identity by its id of highest precedence.
fn managed_id(resolver: &Resolver<'_>) -> Result<Option<Value<ManagedId>>> {
    type New = fn(String) -> ManagedId;
    let ids: [(_, New); 3] = [
        (keys::CLIENT_ID, ManagedId::Client),
        (keys::OBJECT_ID, ManagedId::Object),
        (keys::RESOURCE_ID, ManagedId::Resource),
    ];
    let mut found = Vec::new();
    for (setting, new) in ids {
        if let Some((rank, Value { value, origin })) = resolver.find(&setting)? {
            found.push((rank, setting.key.name, new(value), origin));
        }
    }
    found.sort_by_key(|(rank, ..)| *rank);
    if let [(first, name, ..), (second, other, _, origin), ..] = &found[..]
        && first == second
    {
        let problem = format!(
            "and `{name}` name a managed identity twice, the one by {origin}: one is enough"
        );
        return Err(Error::setting(other, problem));
    }
    let mut found = found.into_iter();
    Ok(found
        .next()
        .map(|(.., value, origin)| Value { value, origin }))
}

impl CertificateSettings {
    fn read(variables: &Variables) -> Result<Option<Self>> {
        let Some(path) = raw(variables, "AZURE_CLIENT_CERTIFICATE_PATH") else {
            return Ok(None);
        };
        // White space may be part of a password.
        let password = raw_text(variables, "AZURE_CLIENT_CERTIFICATE_PASSWORD")?;
        let send_chain = text(variables, "AZURE_CLIENT_SEND_CERTIFICATE_CHAIN")?;
        let is_true = |value: String| value == "1" || value.eq_ignore_ascii_case("true");
        Ok(Some(Self {
            path: path.into(),
            password: password.map(SecretString::from),
            send_chain: send_chain.is_some_and(is_true),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_login_counts_as_dev_and_no_sdk_names_it() {
        for word in SourceFilter::WORDS {
            let is_allowed = SourceFilter(word).allows(SourceName::Login);
            assert_eq!(is_allowed, word == "dev", "{word}");
        }
    }
}
