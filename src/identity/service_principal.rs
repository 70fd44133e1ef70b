//! Service principals: an application in a tenant, and the proof that the helper may sign in as it.

use super::advice::Failure;
use super::certificate::Certificate;
use super::ci_oidc::{self, AssertionRequest};
use super::select::{Offer, skip};
use super::{IdentitySource, Tenant, TokenContext, request_token, workload_identity};
use crate::config::{CertificateSettings, Config, Value, is_tenant};
use crate::error::Error;
use crate::http::Transport;
use crate::refusal::az;
use crate::registry::Registry;
use azure_core::cloud::{CloudConfiguration, CustomConfiguration};
use azure_core::credentials::Secret;
use azure_core::http::{ClientMethodOptions, ClientOptions, RetryOptions};
use azure_identity::{ClientAssertion, ClientAssertionCredential, ClientSecretCredential};
use azure_identity::{ClientAssertionCredentialOptions, ClientSecretCredentialOptions};
use secrecy::{ExposeSecret, SecretString};
use std::path::PathBuf;
use std::sync::Arc;

pub(super) const SECRET_HINT: &str =
    "set `AZURE_CLIENT_SECRET`, `AZURE_TENANT_ID` and `AZURE_CLIENT_ID`";
pub(super) const CERTIFICATE_HINT: &str =
    "set `AZURE_CLIENT_CERTIFICATE_PATH`, `AZURE_TENANT_ID` and `AZURE_CLIENT_ID`";

const CERTIFICATE_VARIABLE: &str = "AZURE_CLIENT_CERTIFICATE_PATH";

/// An application that signs in without a person.
#[derive(Debug)]
pub(super) struct ServicePrincipal {
    pub(super) tenant: Value<String>,
    pub(super) client: Value<String>,
    pub(super) credential: Credential,
}

/// The proof that the helper may sign in as an application.
#[derive(Debug)]
pub(super) enum Credential {
    Secret(SecretString),
    Certificate(CertificateSettings),
    /// A file with an assertion, as AKS mounts it.
    TokenFile(PathBuf),
    /// The assertion of a pod's service account, handed over by kubelet.
    ServiceAccount(SecretString),
    /// A CI system that issues an assertion for each sign-in.
    CiJob(AssertionRequest),
}

impl Credential {
    /// Returns its name in cache keys, and what messages call the identity, before its client ID.
    fn names(&self) -> (&'static str, &'static str) {
        match self {
            Self::Secret(_) => ("secret", "service principal"),
            Self::Certificate(_) => ("certificate", "service principal"),
            Self::TokenFile(_) => ("workload", "workload identity"),
            Self::ServiceAccount(_) => ("service account", "the service account as"),
            Self::CiJob(request) => (request.label, request.label),
        }
    }
}

pub(super) fn offer_secret(config: &Config, _: &Registry) -> Offer {
    let secret = config.sources.client_secret.clone();
    let secret = secret.map(Credential::Secret);
    ServicePrincipal::offer("AZURE_CLIENT_SECRET", secret, config)
}

pub(super) fn offer_certificate(config: &Config, _: &Registry) -> Offer {
    let certificate = config.sources.certificate.clone();
    let certificate = certificate.map(Credential::Certificate);
    ServicePrincipal::offer(CERTIFICATE_VARIABLE, certificate, config)
}

impl ServicePrincipal {
    /// Returns the application if both of its IDs are known, else which are missing.
    pub(super) fn new(
        tenant: Option<Value<String>>,
        client: Option<Value<String>>,
        credential: Credential,
    ) -> Result<Self, &'static str> {
        match (tenant, client) {
            (Some(tenant), Some(client)) => Ok(Self {
                tenant,
                client,
                credential,
            }),
            (None, None) => Err("`AZURE_TENANT_ID` and `AZURE_CLIENT_ID` are not"),
            (None, Some(_)) => Err("`AZURE_TENANT_ID` is not"),
            (Some(_), None) => Err("`AZURE_CLIENT_ID` is not"),
        }
    }

    /// Offers the application of the settings if `variable` is set, which holds the credential. The user set it on purpose, so a missing
    /// tenant or client ID is an error.
    pub(super) fn offer(variable: &str, credential: Option<Credential>, config: &Config) -> Offer {
        let credential = credential.ok_or_else(|| skip(format!("`{variable}` is not set")))?;
        let (tenant, client) = (&config.sources.tenant, &config.sources.client);
        let principal = Self::new(tenant.clone(), client.clone(), credential);
        let principal = principal.map_err(|missing| Error::incomplete_setting(variable, missing));
        Ok(Box::new(principal?))
    }

    /// Returns an assertion that is signed with the key of the certificate.
    async fn sign_assertion(
        &self,
        settings: &CertificateSettings,
        context: &TokenContext<'_>,
    ) -> anyhow::Result<SecretString> {
        let (path, password) = (settings.path.clone(), settings.password.clone());
        // On another thread: trying a password can take seconds, and the deadline must be able to pass meanwhile.
        let read = move || Certificate::read(&path, password.as_ref());
        let certificate = tokio::task::spawn_blocking(read).await;
        let certificate = certificate.unwrap_or_else(|_| Err("it cannot be understood".into()));
        let certificate = certificate.map_err(|problem| {
            let problem = format!("names {}: {problem}", settings.path.display());
            Error::setting(CERTIFICATE_VARIABLE, problem)
        })?;
        // As `ClientAssertionCredential` builds it.
        let endpoint = format!("/{}/oauth2/v2.0/token", self.tenant.value);
        let endpoint = context.identity.authority.join(&endpoint)?;
        let (client, now) = (&self.client.value, context.network.clock()());
        certificate.sign_assertion(client, endpoint.as_str(), settings.send_chain, now)
    }

    fn reset_secret_hint(&self, failure: &Failure<'_>) -> String {
        // Nothing that a shell could run becomes part of a command to paste.
        let client = Some(&*self.client.value).filter(|id| is_tenant(id));
        let client = client.unwrap_or("CLIENT_ID");
        let command = format!("ad app credential reset --id {client}");
        let command = az(&failure.identity.home_cloud, &command);
        format!("create a new secret for the application\n  {command}")
    }
}

/// Returns how `azure_identity` reaches the authority: by our HTTP client, whose retries end by the deadline.
fn client_options(context: &TokenContext<'_>) -> Result<ClientOptions, Error> {
    let client = context.network.client(&context.identity.host())?;
    let mut cloud = CustomConfiguration::default();
    cloud.authority_host = context.identity.authority.to_string();
    Ok(ClientOptions {
        cloud: Some(Arc::new(CloudConfiguration::Custom(cloud))),
        transport: Some(Transport::over(client, context.network.clone())),
        retry: RetryOptions::none(),
        ..Default::default()
    })
}

/// An assertion that was made before the token request.
#[derive(Debug)]
pub(super) struct Assertion(pub(super) SecretString);

#[async_trait::async_trait]
impl ClientAssertion for Assertion {
    async fn secret(&self, _: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        Ok(self.0.expose_secret().to_owned())
    }
}

#[async_trait::async_trait]
impl IdentitySource for ServicePrincipal {
    fn name(&self) -> String {
        let (_, label) = self.credential.names();
        format!("{label} {}", self.client.value)
    }

    fn cache_key(&self) -> String {
        let (kind, _) = self.credential.names();
        [kind, &self.tenant.value, &self.client.value].join("\0")
    }

    fn tenant(&self) -> Tenant {
        Tenant::from_setting("tenant", Some(&self.tenant))
    }

    fn secret(&self) -> Option<&SecretString> {
        match &self.credential {
            Credential::Secret(secret) | Credential::ServiceAccount(secret) => Some(secret),
            Credential::CiJob(request) => Some(&request.token),
            Credential::Certificate(_) | Credential::TokenFile(_) => None,
        }
    }

    fn hint(&self, failure: &Failure<'_>) -> Option<String> {
        let client = self.client.origin.setting("client_id");
        let tenant = self.tenant.origin.setting("tenant");
        Some(match (failure.code, &self.credential) {
            // AADSTS70001, AADSTS700016 and so on.
            (Some(70_001 | 700_016 | 7_000_112), _) => format!("check `{client}` and `{tenant}`"),
            (Some(90_002 | 900_023), _) => {
                let host = failure.identity.host();
                format!("check `{tenant}`, and the cloud: the helper used {host}")
            }
            // AADSTS7000215
            (Some(7_000_215), Credential::Secret(_)) => {
                "`AZURE_CLIENT_SECRET` must be the secret's value, not its id".into()
            }
            (Some(7_000_222), Credential::Secret(_)) => self.reset_secret_hint(failure),
            (None, Credential::TokenFile(_)) => {
                "check the file that `AZURE_FEDERATED_TOKEN_FILE` names".into()
            }
            (None, Credential::CiJob(_)) => ci_oidc::DENIED_HINT.into(),
            _ => return None,
        })
    }

    async fn token(&self, context: &TokenContext<'_>) -> anyhow::Result<SecretString> {
        let client_options = client_options(context)?;
        let (tenant, client) = (self.tenant.value.clone(), self.client.value.clone());
        let assertion = match &self.credential {
            Credential::Secret(secret) => {
                let secret = Secret::new(secret.expose_secret().to_owned());
                let options = Some(ClientSecretCredentialOptions { client_options });
                let credential = ClientSecretCredential::new(&tenant, client, secret, options)?;
                return request_token(&*credential, context.identity).await;
            }
            Credential::Certificate(settings) => self.sign_assertion(settings, context).await?,
            Credential::TokenFile(file) => workload_identity::read_token(file)?,
            Credential::ServiceAccount(assertion) => assertion.clone(),
            Credential::CiJob(request) => request.send(context.network).await?,
        };
        context.identity.secrets.add(assertion.expose_secret());
        let options = Some(ClientAssertionCredentialOptions { client_options });
        let assertion = Assertion(assertion);
        let credential = ClientAssertionCredential::new(tenant, client, assertion, options)?;
        request_token(&*credential, context.identity).await
    }
}
