//! Service principals: an application in a tenant, and a secret, certificate or assertion that proves that the helper may use it.

use super::advice::Failure;
use super::certificate::{Certificate, SignedAssertion};
use super::select::Offer;
use super::{Identity, IdentitySource, Tenant, TokenContext, request_token, secrets_with};
use crate::config::{CertificateSettings, Config, SourceSettings, Value, is_tenant};
use crate::error::{Error, az};
use crate::network::Transport;
use crate::registry::Registry;
use crate::text::Secrets;
use azure_core::cloud::{CloudConfiguration, CustomConfiguration};
use azure_core::credentials::{Secret, TokenCredential};
use azure_core::http::{ClientMethodOptions, ClientOptions, RetryOptions};
use azure_identity::{
    ClientAssertion, ClientAssertionCredential, ClientAssertionCredentialOptions,
    ClientSecretCredential, ClientSecretCredentialOptions,
};
use secrecy::{ExposeSecret, SecretString};
use std::fmt;
use std::sync::Arc;

pub(super) const SECRET_HINT: &str =
    "set `AZURE_CLIENT_SECRET`, `AZURE_TENANT_ID` and `AZURE_CLIENT_ID`";
pub(super) const CERTIFICATE_HINT: &str =
    "set `AZURE_CLIENT_CERTIFICATE_PATH`, `AZURE_TENANT_ID` and `AZURE_CLIENT_ID`";

/// An application in a tenant, by its client ID.
#[derive(Debug)]
pub(super) struct Application {
    pub(super) tenant: Value<String>,
    pub(super) client: Value<String>,
}

/// What a token request proves the use of an application with.
pub(super) enum Proof {
    /// A secret that Entra knows.
    Secret(SecretString),
    /// A signed statement about the client, a JWT.
    Assertion(SecretString),
}

/// A credential of an application.
#[async_trait::async_trait]
pub(super) trait ClientCredential: fmt::Debug + Send + Sync {
    /// The word for it in cache keys.
    const KIND: &str;
    /// What comes before the client ID in the name of the identity.
    const LABEL: &str;

    /// Returns the secret that is known before a sign-in.
    fn secret(&self) -> Option<&SecretString> {
        None
    }

    /// Returns what to do about a failure, where the credential matters.
    fn hint(&self, failure: &Failure<'_>, application: &Application) -> Option<String>;

    /// Returns a proof for one token request.
    async fn proof(
        &self,
        application: &Application,
        context: &TokenContext<'_>,
    ) -> anyhow::Result<Proof>;
}

/// An application that signs in with a credential.
#[derive(Debug)]
pub(super) struct ServicePrincipal<C> {
    pub(super) application: Application,
    pub(super) credential: C,
}

impl Application {
    /// Returns the application if both of its ids are known, else which are missing.
    pub(super) fn new(
        tenant: Option<Value<String>>,
        client: Option<Value<String>>,
    ) -> Result<Self, &'static str> {
        match (tenant, client) {
            (Some(tenant), Some(client)) => Ok(Self { tenant, client }),
            (None, None) => Err("`AZURE_TENANT_ID` and `AZURE_CLIENT_ID` are not"),
            (None, Some(_)) => Err("`AZURE_TENANT_ID` is not"),
            (Some(_), None) => Err("`AZURE_CLIENT_ID` is not"),
        }
    }

    /// Returns the application of the settings.
    pub(super) fn from_settings(settings: &SourceSettings) -> Result<Self, &'static str> {
        Self::new(settings.tenant.clone(), settings.client.clone())
    }

    /// Returns the names of the settings that chose it.
    pub(super) fn settings(&self) -> String {
        let client = self.client.origin.setting("client_id");
        let tenant = self.tenant.origin.setting("tenant");
        format!("`{client}` and `{tenant}`")
    }

    async fn request_token(
        &self,
        proof: Proof,
        context: &TokenContext<'_>,
    ) -> anyhow::Result<SecretString> {
        let (tenant, client) = (&self.tenant.value, self.client.value.clone());
        let client_options = client_options(context)?;
        let credential: Arc<dyn TokenCredential> = match proof {
            Proof::Secret(secret) => {
                let options = ClientSecretCredentialOptions { client_options };
                let secret = Secret::new(secret.expose_secret().to_owned());
                ClientSecretCredential::new(tenant, client, secret, Some(options))?
            }
            Proof::Assertion(assertion) => {
                context.identity.secrets.add(assertion.expose_secret());
                let options = ClientAssertionCredentialOptions { client_options };
                let assertion = Assertion(assertion);
                ClientAssertionCredential::new(tenant.clone(), client, assertion, Some(options))?
            }
        };
        request_token(&*credential, context.identity).await
    }
}

/// Returns how `azure_identity` reaches the authority: by our HTTP client, whose retries end by the deadline.
fn client_options(context: &TokenContext<'_>) -> Result<ClientOptions, Error> {
    let Identity { authority, .. } = context.identity;
    let client = context.network.internet(&context.identity.host())?;
    let mut cloud = CustomConfiguration::default();
    cloud.authority_host = authority.to_string();
    Ok(ClientOptions {
        cloud: Some(Arc::new(CloudConfiguration::Custom(cloud))),
        transport: Some(Transport::over(client, context.network.clone())),
        retry: RetryOptions::none(),
        ..Default::default()
    })
}

/// An assertion that was made before the token request.
#[derive(Debug)]
struct Assertion(SecretString);

#[async_trait::async_trait]
impl ClientAssertion for Assertion {
    async fn secret(&self, _: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        Ok(self.0.expose_secret().to_owned())
    }
}

impl<C: ClientCredential + 'static> ServicePrincipal<C> {
    /// Offers the application of the settings if `variable` is set, which holds the credential. The user set it on purpose, so a missing
    /// tenant or client ID is an error.
    pub(super) fn offer(
        variable: &str,
        credential: Option<C>,
        settings: &SourceSettings,
    ) -> Result<Offer, Error> {
        let Some(credential) = credential else {
            return Ok(Offer::Skipped(format!("`{variable}` is not set")));
        };
        match Application::from_settings(settings) {
            Ok(application) => Ok(Offer::ready(Self {
                application,
                credential,
            })),
            Err(missing) => Err(Error::Setting {
                name: variable.to_owned(),
                problem: format!("is set, but {missing}"),
            }),
        }
    }
}

impl<C: ClientCredential> fmt::Display for ServicePrincipal<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", C::LABEL, self.application.client.value)
    }
}

#[async_trait::async_trait]
impl<C: ClientCredential> IdentitySource for ServicePrincipal<C> {
    fn cache_key(&self) -> String {
        let Application { tenant, client } = &self.application;
        [C::KIND, &tenant.value, &client.value].join("\0")
    }

    fn tenant(&self) -> Tenant {
        Tenant::from_setting("tenant", Some(&self.application.tenant))
    }

    fn secrets(&self) -> Secrets {
        secrets_with(self.credential.secret())
    }

    fn hint(&self, failure: &Failure<'_>) -> Option<String> {
        if let Some(hint) = self.credential.hint(failure, &self.application) {
            return Some(hint);
        }
        let (ids, setting) = (
            self.application.settings(),
            failure.identity.tenant_setting(),
        );
        match failure.code? {
            700_016 => Some(format!("check {ids}, or set {setting}")),
            90_002 | 900_023 => Some(format!(
                "check the tenant, and the cloud: {} was asked; or set {setting}",
                failure.identity.host()
            )),
            70_001 | 7_000_112 => Some(format!("check {ids}")),
            _ => None,
        }
    }

    async fn token(&self, context: &TokenContext<'_>) -> anyhow::Result<SecretString> {
        let proof = self.credential.proof(&self.application, context).await?;
        self.application.request_token(proof, context).await
    }
}

#[derive(Debug)]
struct ClientSecret(SecretString);

pub(super) fn offer_secret(config: &Config, _: &Registry) -> Result<Offer, Error> {
    let secret = config.sources.client_secret.clone().map(ClientSecret);
    ServicePrincipal::offer("AZURE_CLIENT_SECRET", secret, &config.sources)
}

#[async_trait::async_trait]
impl ClientCredential for ClientSecret {
    const KIND: &str = "secret";
    const LABEL: &str = "service principal";

    fn secret(&self) -> Option<&SecretString> {
        Some(&self.0)
    }

    fn hint(&self, failure: &Failure<'_>, application: &Application) -> Option<String> {
        match failure.code? {
            7_000_215 => {
                Some("`AZURE_CLIENT_SECRET` must be the secret's value, not its id".into())
            }
            7_000_222 => {
                // Only what cannot be a word for a shell to run becomes part of a command to paste.
                let client = Some(application.client.value.as_str()).filter(|id| is_tenant(id));
                let reset = format!(
                    "ad app credential reset --id {}",
                    client.unwrap_or("CLIENT_ID")
                );
                let command = az(&failure.identity.home_cloud, &reset);
                Some(format!("the secret has expired: `{command}`"))
            }
            _ => None,
        }
    }

    async fn proof(&self, _: &Application, _: &TokenContext<'_>) -> anyhow::Result<Proof> {
        Ok(Proof::Secret(self.0.clone()))
    }
}

#[derive(Debug)]
struct ClientCertificate(CertificateSettings);

pub(super) fn offer_certificate(config: &Config, _: &Registry) -> Result<Offer, Error> {
    let certificate = config.sources.certificate.clone().map(ClientCertificate);
    ServicePrincipal::offer(
        "AZURE_CLIENT_CERTIFICATE_PATH",
        certificate,
        &config.sources,
    )
}

#[async_trait::async_trait]
impl ClientCredential for ClientCertificate {
    const KIND: &str = "certificate";
    const LABEL: &str = "service principal";

    fn hint(&self, failure: &Failure<'_>, _: &Application) -> Option<String> {
        let is_unknown = failure.code? == 700_027;
        is_unknown.then(|| "the certificate is not registered with the application".into())
    }

    async fn proof(
        &self,
        application: &Application,
        context: &TokenContext<'_>,
    ) -> anyhow::Result<Proof> {
        let certificate = Arc::new(read_certificate(self.0.clone()).await?);
        let assertion = SignedAssertion::new(
            certificate,
            application.client.value.clone(),
            &context.identity.authority,
            &application.tenant.value,
            self.0.send_chain,
            context.network.clock(),
        );
        Ok(Proof::Assertion(assertion.secret(None).await?.into()))
    }
}

/// Reads a certificate on another thread: trying a password can take seconds, and the deadline must be able to pass meanwhile.
async fn read_certificate(settings: CertificateSettings) -> Result<Certificate, Error> {
    let path = settings.path.clone();
    let read = tokio::task::spawn_blocking(move || {
        Certificate::read(&settings.path, settings.password.as_ref())
    });
    let certificate = read
        .await
        .unwrap_or_else(|_| Err("it cannot be understood".into()));
    certificate.map_err(|problem| Error::Setting {
        name: "AZURE_CLIENT_CERTIFICATE_PATH".into(),
        problem: format!("names {}: {problem}", path.display()),
    })
}
