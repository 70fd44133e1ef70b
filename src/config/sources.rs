//! What the sources of an identity are made from, as the Azure SDKs name it.

use super::announced::Announced;
use super::environment::{
    Variables, absolute, http_url, program_folders, raw, state_folder, text, wrong,
};
use super::jobs::{PipelinesSettings, Requests, is_issuer};
use super::layers::{Layers, Origin, Value};
use super::source_name::{Narrowing, SourceName};
use super::values;
use crate::error::{Error, ErrorKind, SharedFailure};
use secrecy::SecretString;
use std::path::{Path, PathBuf};
use url::Url;

/// What the sources of an identity are made from. Missing parts are missing here too: whether a source is complete is for the
/// source to say.
#[derive(Debug, Default)]
pub struct SourceSettings {
    /// `source`: this one and no other.
    pub only: Option<Value<SourceName>>,
    /// `AZURE_TOKEN_CREDENTIALS`.
    pub narrowing: Option<Narrowing>,
    /// `tenant`, or `AZURE_TENANT_ID`, of applications.
    pub tenant: Option<Value<String>>,
    /// `tenant` without `AZURE_TENANT_ID`, which the SDKs do not read for those who are signed in to a command line.
    pub named_tenant: Option<Value<String>>,
    /// `client_id`, or `AZURE_CLIENT_ID`, of applications.
    pub client: Option<Value<String>>,
    /// `client_id` without `AZURE_CLIENT_ID`: the application that people sign in with, if it is not that of the Azure CLI.
    pub own_client: Option<Value<String>>,
    /// The user-assigned managed identity, if one is named.
    pub managed: Settled<Option<Value<ManagedId>>>,
    /// `subscription` of the Azure CLI.
    pub subscription: Option<Value<String>>,
    /// `AZURE_CLIENT_SECRET`.
    pub client_secret: Option<SecretString>,
    /// `AZURE_FEDERATED_TOKEN_FILE`.
    pub federated_token_file: Option<PathBuf>,
    /// `AZURE_CLIENT_CERTIFICATE_PATH` and what goes with it.
    pub certificate: Option<CertificateSettings>,
    /// What a job of GitHub Actions with `id-token: write` finds.
    pub github: Settled<Option<Requests>>,
    /// `service_connection`, or what the task AzureCLI@2 of Azure Pipelines sets.
    pub service_connection: Option<Value<String>>,
    /// `oidc_host`: a further host that issues tokens to jobs.
    pub oidc_host: Option<String>,
    /// What a job of Azure Pipelines finds.
    pub pipelines: Settled<PipelinesSettings>,
    /// The managed identity that the environment announces.
    pub announced: Settled<Announced>,
    /// `AZURE_POD_IDENTITY_AUTHORITY_HOST`: in place of `http://169.254.169.254`.
    pub imds: Option<Url>,
    /// Folder of the Azure CLI's profile: `AZURE_CONFIG_DIR` or `~/.azure`.
    pub azure_cli_folder: Option<PathBuf>,
    /// Folder of the Azure Developer CLI's settings: `AZD_CONFIG_DIR` or `~/.azd`.
    pub developer_cli_folder: Option<PathBuf>,
    /// The file that says who signed in with `login`.
    pub logins: Option<PathBuf>,
    /// The absolute folders of `PATH`: only there programs are looked for.
    pub path: Vec<PathBuf>,
    /// The config file, be it there or not: what hints tell people to change.
    pub config_file: PathBuf,
}

/// Settings of one source, or what is wrong with them: that matters only when the source has its turn.
#[derive(Debug)]
pub struct Settled<T>(Result<T, SharedFailure>);

impl<T: Default> Default for Settled<T> {
    fn default() -> Self {
        Self(Ok(T::default()))
    }
}

impl<T> Settled<T> {
    fn of(read: Result<T, Error>) -> Result<Self, Error> {
        match read {
            Ok(settings) => Ok(Self(Ok(settings))),
            Err(error) if error.kind() == ErrorKind::Setting => {
                Ok(Self(Err(error.shared().clone())))
            }
            Err(error) => Err(error),
        }
    }

    /// The settings.
    pub fn get(&self) -> Result<&T, Error> {
        self.0.as_ref().map_err(|failure| failure.clone().into())
    }
}

/// A client certificate, not yet read.
#[derive(Clone, Debug)]
pub struct CertificateSettings {
    /// `AZURE_CLIENT_CERTIFICATE_PATH`: PEM or PKCS#12, with the private key.
    pub path: PathBuf,
    /// `AZURE_CLIENT_CERTIFICATE_PASSWORD`.
    pub password: Option<SecretString>,
    /// `AZURE_CLIENT_SEND_CERTIFICATE_CHAIN`: the chain goes along, for applications that trust an issuer and a name.
    pub send_chain: bool,
}

/// A user-assigned managed identity by one of its three names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ManagedId {
    /// By its client id.
    Client(String),
    /// By its object id, which is called principal id too.
    Object(String),
    /// By its Azure resource id.
    Resource(String),
}

impl ManagedId {
    /// The name itself.
    pub fn as_str(&self) -> &str {
        let (Self::Client(id) | Self::Object(id) | Self::Resource(id)) = self;
        id
    }
}

impl SourceSettings {
    pub(super) fn read(
        variables: &Variables,
        layers: &Layers<'_>,
        home: Option<&Path>,
        file: &Path,
    ) -> Result<Self, Error> {
        let folder = |name: &str, own: &str| {
            raw(variables, name)
                .map(PathBuf::from)
                .or_else(|| Some(home?.join(own)))
        };
        let only = layers.value("source", values::source)?;
        let is_ours = |origin: &Origin| *origin != Origin::Variable("AZURE_TENANT_ID");
        let is_own = |origin: &Origin| *origin != Origin::Variable("AZURE_CLIENT_ID");
        Ok(Self {
            narrowing: if only.is_some() {
                None
            } else {
                Narrowing::read(variables)?
            },
            only,
            tenant: layers.value("tenant", values::tenant)?,
            named_tenant: layers.value_of("tenant", is_ours, values::tenant)?,
            client: layers.value("client_id", values::id)?,
            own_client: layers.value_of("client_id", is_own, values::id)?,
            managed: Settled::of(managed_id(layers))?,
            subscription: subscription(layers, is_ours)?,
            client_secret: text(variables, "AZURE_CLIENT_SECRET")?.map(SecretString::from),
            federated_token_file: raw(variables, "AZURE_FEDERATED_TOKEN_FILE").map(PathBuf::from),
            certificate: CertificateSettings::read(variables)?,
            github: Settled::of(Requests::of_github(variables))?,
            service_connection: layers.value("service_connection", values::id)?,
            oidc_host: layers
                .value("oidc_host", values::host)?
                .map(|host| host.value),
            pipelines: Settled::of(PipelinesSettings::read(variables))?,
            announced: Settled::of(Announced::read(variables))?,
            imds: text(variables, "AZURE_POD_IDENTITY_AUTHORITY_HOST")?
                .map(|value| {
                    http_url(
                        "AZURE_POD_IDENTITY_AUTHORITY_HOST",
                        &value,
                        "http://127.0.0.1:40342",
                    )
                })
                .transpose()?,
            azure_cli_folder: folder("AZURE_CONFIG_DIR", ".azure"),
            developer_cli_folder: absolute(variables, "AZD_CONFIG_DIR")
                .or_else(|| Some(home?.join(".azd"))),
            logins: state_folder(variables, home).map(|folder| folder.join("logins.json")),
            path: program_folders(variables),
            config_file: file.to_owned(),
        })
    }
}

impl SourceSettings {
    /// Errors if this variable names a host that is not known to issue tokens to jobs.
    pub fn check_issuer(&self, variable: &str, url: &Url) -> Result<(), Error> {
        if is_issuer(url, self.oidc_host.as_deref()) {
            return Ok(());
        }
        let host = url.host_str().unwrap_or_default();
        let problem = format!("names `{host}`, which is not known to issue tokens to jobs");
        Err(Error::untrusted_variable(
            variable,
            problem,
            &format!("oidc_host = {host:?}"),
            &self.config_file,
        ))
    }
}

/// The subscription, unless a stronger layer names a tenant: both say whose account of the Azure CLI is meant. In the same layer the
/// subscription says more.
fn subscription(
    layers: &Layers<'_>,
    counts: impl Fn(&Origin) -> bool,
) -> Result<Option<Value<String>>, Error> {
    let tenant = layers.found("tenant", counts)?;
    let subscription = layers.found("subscription", |_| true)?;
    let stronger = subscription.filter(|own| tenant.is_none_or(|tenant| own.layer <= tenant.layer));
    Ok(stronger.map(|found| Value {
        value: found.text,
        origin: found.origin,
    }))
}

/// The managed identity by whichever of its names stands in the strongest layer.
fn managed_id(layers: &Layers<'_>) -> Result<Option<Value<ManagedId>>, Error> {
    let mut best: Option<(usize, &str, Value<ManagedId>)> = None;
    for name in ["client_id", "object_id", "resource_id"] {
        let Some(found) = layers.found(name, |_| true)? else {
            continue;
        };
        match &best {
            Some((layer, other, _)) if *layer == found.layer => {
                let problem = format!(
                    "and `{other}` name a managed identity twice, the one by {}: one is enough",
                    found.origin
                );
                return Err(Error::setting(name, problem));
            }
            Some((layer, ..)) if *layer < found.layer => (),
            _ => {
                let value = match name {
                    "client_id" => ManagedId::Client(found.text),
                    "object_id" => ManagedId::Object(found.text),
                    _ => ManagedId::Resource(found.text),
                };
                best = Some((
                    found.layer,
                    name,
                    Value {
                        value,
                        origin: found.origin,
                    },
                ));
            }
        }
    }
    Ok(best.map(|(_, _, id)| id))
}

impl CertificateSettings {
    fn read(variables: &Variables) -> Result<Option<Self>, Error> {
        let Some(path) = raw(variables, "AZURE_CLIENT_CERTIFICATE_PATH") else {
            return Ok(None);
        };
        let send_chain = text(variables, "AZURE_CLIENT_SEND_CERTIFICATE_CHAIN")?;
        Ok(Some(Self {
            path: path.into(),
            // White space may be part of a password.
            password: raw(variables, "AZURE_CLIENT_CERTIFICATE_PASSWORD")
                .map(|password| {
                    password
                        .into_string()
                        .map_err(|_| wrong("AZURE_CLIENT_CERTIFICATE_PASSWORD", "is not UTF-8"))
                })
                .transpose()?
                .map(SecretString::from),
            send_chain: send_chain
                .is_some_and(|value| value == "1" || value.eq_ignore_ascii_case("true")),
        }))
    }
}
