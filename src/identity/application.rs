//! Applications: a client id in a tenant, and what proves that we may use it.

use super::certificate::{Certificate, SignedAssertion};
use super::oidc::{Issuer, JobAssertion};
use super::{CLIENT_ANNOTATION, TENANT_ANNOTATION, Workload};
use crate::config::{
    CertificateSettings, Origin, PipelinesSettings, Requests, SourceName, SourceSettings, Value,
};
use crate::error::Error;
use crate::files::read_small;
use crate::network::Network;
use crate::registry::Cloud;
use crate::text::Secrets;
use azure_core::credentials::{Secret, TokenCredential};
use azure_core::http::{ClientMethodOptions, ClientOptions};
use azure_identity::{
    ClientAssertion, ClientAssertionCredential, ClientAssertionCredentialOptions,
    ClientSecretCredential, ClientSecretCredentialOptions,
};
use secrecy::{ExposeSecret, SecretString};
use std::path::PathBuf;
use std::sync::Arc;
use url::Url;

/// A federated token is a JWT; the longest seen have a few KB.
const TOKEN_FILE_LIMIT: usize = 64 * 1024;

/// An application, with all it needs to sign in.
#[derive(Debug)]
pub(super) struct Application {
    pub(super) tenant: Value<String>,
    pub(super) client: Value<String>,
    pub(super) proof: Proof,
}

/// What proves that we may use an application.
#[derive(Debug)]
pub(super) enum Proof {
    /// A secret that Entra knows.
    Secret(SecretString),
    /// A certificate that Entra knows.
    Certificate(CertificateSettings),
    /// A statement of another issuer, in a file.
    TokenFile(PathBuf),
    /// A statement of the CI job's own issuer.
    Job(Issuer),
    /// A statement of another issuer, which was handed to us.
    Given(SecretString),
}

impl Application {
    /// The application of this source, or why there is none. What is there by half is an error where the user must have meant it, and
    /// passed over where a CI system sets it in every job.
    pub(super) fn of(
        source: SourceName,
        settings: &SourceSettings,
        cloud: &Cloud,
    ) -> Result<Result<Self, String>, Error> {
        match source {
            SourceName::WorkloadIdentity => match &settings.federated_token_file {
                Some(file) => Self::meant(
                    settings,
                    "AZURE_FEDERATED_TOKEN_FILE",
                    Proof::TokenFile(file.clone()),
                )
                .map(Ok),
                None => Ok(Err("`AZURE_FEDERATED_TOKEN_FILE` is not set".into())),
            },
            SourceName::ClientSecret => match &settings.client_secret {
                Some(secret) => Self::meant(
                    settings,
                    "AZURE_CLIENT_SECRET",
                    Proof::Secret(secret.clone()),
                )
                .map(Ok),
                None => Ok(Err("`AZURE_CLIENT_SECRET` is not set".into())),
            },
            SourceName::ClientCertificate => match &settings.certificate {
                Some(file) => Self::meant(
                    settings,
                    "AZURE_CLIENT_CERTIFICATE_PATH",
                    Proof::Certificate(file.clone()),
                )
                .map(Ok),
                None => Ok(Err("`AZURE_CLIENT_CERTIFICATE_PATH` is not set".into())),
            },
            SourceName::GitHubActions => {
                let found = told(settings.github.get())
                    .and_then(|found| Self::of_github(settings, found.as_ref(), cloud));
                Self::of_job(found, settings)
            }
            SourceName::AzurePipelines => {
                let found = told(settings.pipelines.get())
                    .and_then(|found| Self::of_pipelines(settings, found));
                Self::of_job(found, settings)
            }
            SourceName::ManagedIdentity
            | SourceName::Login
            | SourceName::AzureCli
            | SourceName::AzureDeveloperCli => Ok(Err("it is no application".into())),
        }
    }

    /// The application that a workload signs in as.
    pub(super) fn of_workload(workload: Workload) -> Self {
        let Workload {
            client,
            tenant,
            assertion,
        } = workload;
        let value = |value, annotation| Value {
            value,
            origin: Origin::Annotation(annotation),
        };
        let (tenant, client) = (
            value(tenant, TENANT_ANNOTATION),
            value(client, CLIENT_ANNOTATION),
        );
        Self {
            tenant,
            client,
            proof: Proof::Given(assertion),
        }
    }

    /// Tenant and client must be known where the variable `beside` is set.
    fn meant(settings: &SourceSettings, beside: &str, proof: Proof) -> Result<Self, Error> {
        let (tenant, client) = both(settings.tenant.clone(), settings.client.clone())
            .map_err(|missing| Error::incomplete_setting(beside, missing))?;
        Ok(Self {
            tenant,
            client,
            proof,
        })
    }

    /// What was found of a CI job, unless it would send the job's token to an unknown host: that is an error, since it was meant.
    fn of_job(
        found: Result<Self, String>,
        settings: &SourceSettings,
    ) -> Result<Result<Self, String>, Error> {
        if let Ok(Self {
            proof: Proof::Job(issuer),
            ..
        }) = &found
        {
            let (variable, url) = issuer.address();
            settings.check_issuer(variable, url)?;
        }
        Ok(found)
    }

    fn of_github(
        settings: &SourceSettings,
        requests: Option<&Requests>,
        cloud: &Cloud,
    ) -> Result<Self, String> {
        let requests = requests
            .ok_or("`ACTIONS_ID_TOKEN_REQUEST_URL` is not set")?
            .clone();
        let (tenant, client) =
            both(settings.tenant.clone(), settings.client.clone()).map_err(unset)?;
        let proof = Proof::Job(Issuer::GitHub {
            requests,
            audience: cloud.federation.to_string(),
        });
        Ok(Self {
            tenant,
            client,
            proof,
        })
    }

    /// The service connection of a task and its ids belong together, and beat what is set for all that runs there.
    fn of_pipelines(settings: &SourceSettings, own: &PipelinesSettings) -> Result<Self, String> {
        let url = own
            .url
            .clone()
            .ok_or("`SYSTEM_OIDCREQUESTURI` is not set")?;
        let token = own
            .token
            .clone()
            .ok_or("`SYSTEM_ACCESSTOKEN` is not mapped")?;
        let connection = settings.service_connection.as_ref();
        let connection = connection.ok_or(
            "`AZURESUBSCRIPTION_SERVICE_CONNECTION_ID` is not set, nor is `service_connection`",
        )?;
        let is_of_task =
            connection.origin == Origin::Variable("AZURESUBSCRIPTION_SERVICE_CONNECTION_ID");
        let of_task = |set: &Option<Value<String>>, task: &Option<String>, name: &'static str| {
            let is_named = |origin: &Origin| match origin {
                Origin::Variable(variable) => variable.starts_with("ACRSCOPED_"),
                Origin::Profile { .. } => true,
                Origin::Top { .. } | Origin::Annotation(_) => false,
            };
            let named = set.clone().filter(|set| is_named(&set.origin));
            let task = task.clone().filter(|_| is_of_task).map(|value| Value {
                value,
                origin: Origin::Variable(name),
            });
            named.or(task).or_else(|| set.clone())
        };
        let tenant = of_task(&settings.tenant, &own.tenant, "AZURESUBSCRIPTION_TENANT_ID");
        let client = of_task(&settings.client, &own.client, "AZURESUBSCRIPTION_CLIENT_ID");
        let (tenant, client) = both(tenant, client).map_err(unset)?;
        let requests = Requests { url, token };
        Ok(Self {
            tenant,
            client,
            proof: Proof::Job(Issuer::Pipelines {
                requests,
                service_connection: connection.value.clone(),
            }),
        })
    }

    /// The word for the kind of proof in fingerprints.
    pub(super) fn kind(&self) -> &'static str {
        match self.proof {
            Proof::Secret(_) => "secret",
            Proof::Certificate(_) => "certificate",
            Proof::TokenFile(_) => "workload",
            Proof::Given(_) => "service account",
            Proof::Job(Issuer::GitHub { .. }) => "github",
            Proof::Job(Issuer::Pipelines { .. }) => "pipelines",
        }
    }

    /// The secret that is known before the sign-in.
    pub(super) fn secret(&self) -> Option<&SecretString> {
        match &self.proof {
            Proof::Secret(secret) | Proof::Given(secret) => Some(secret),
            Proof::Job(issuer) => Some(issuer.token()),
            Proof::Certificate(_) | Proof::TokenFile(_) => None,
        }
    }

    /// The application as a credential, which signs in at this authority; the outer error is one of settings or of the HTTP client,
    /// the inner one the credential's own. What it sends is added to `secrets`.
    pub(super) async fn credential(
        &self,
        authority: &Url,
        client_options: ClientOptions,
        network: &Arc<Network>,
        secrets: &Secrets,
    ) -> Result<azure_core::Result<Arc<dyn TokenCredential>>, Error> {
        let (tenant, client, secrets) = (
            self.tenant.value.clone(),
            self.client.value.clone(),
            secrets.clone(),
        );
        Ok(match &self.proof {
            Proof::Secret(secret) => {
                let options = Some(ClientSecretCredentialOptions { client_options });
                let secret = Secret::new(secret.expose_secret().to_owned());
                ClientSecretCredential::new(&tenant, client, secret, options).map(|it| it as _)
            }
            Proof::Certificate(settings) => {
                let certificate = read(settings.clone()).await?;
                let (certificate, clock) = (Arc::new(certificate), network.clock());
                let assertion = SignedAssertion::new(
                    certificate,
                    client.clone(),
                    authority,
                    &tenant,
                    settings.send_chain,
                    clock,
                );
                asserted(tenant, client, Noted { assertion, secrets }, client_options)
            }
            Proof::Given(assertion) => asserted(
                tenant,
                client,
                Noted {
                    assertion: Given(assertion.clone()),
                    secrets,
                },
                client_options,
            ),
            Proof::TokenFile(file) => asserted(
                tenant,
                client,
                Noted {
                    assertion: TokenFile(file.clone()),
                    secrets,
                },
                client_options,
            ),
            Proof::Job(issuer) => {
                let http = network.internet(issuer.host())?;
                let assertion = JobAssertion::new(issuer.clone(), http, network.clone());
                asserted(tenant, client, Noted { assertion, secrets }, client_options)
            }
        })
    }
}

/// Tenant and client, or which of the two are missing.
fn both(
    tenant: Option<Value<String>>,
    client: Option<Value<String>>,
) -> Result<(Value<String>, Value<String>), String> {
    match (tenant, client) {
        (Some(tenant), Some(client)) => Ok((tenant, client)),
        (None, None) => Err("`AZURE_TENANT_ID` and `AZURE_CLIENT_ID` are not".into()),
        (None, Some(_)) => Err("`AZURE_TENANT_ID` is not".into()),
        (Some(_), None) => Err("`AZURE_CLIENT_ID` is not".into()),
    }
}

fn unset(missing: String) -> String {
    missing + " set"
}

/// Reads a certificate in a thread of its own: a password can take seconds to try, and the deadline must be able to pass meanwhile.
async fn read(settings: CertificateSettings) -> Result<Certificate, Error> {
    let path = settings.path.clone();
    let read = tokio::task::spawn_blocking(move || {
        Certificate::read(&settings.path, settings.password.as_ref())
    });
    read.await
        .unwrap_or_else(|_| Err("it cannot be understood".into()))
        .map_err(|problem| {
            let problem = format!("names {}: {problem}", path.display());
            Error::setting("AZURE_CLIENT_CERTIFICATE_PATH", problem)
        })
}

/// A mistake of the CI system is a reason to pass its source over.
fn told<T>(settings: Result<T, Error>) -> Result<T, String> {
    settings.map_err(|error| error.to_string())
}

fn asserted(
    tenant: String,
    client: String,
    assertion: Noted<impl ClientAssertion + 'static>,
    client_options: ClientOptions,
) -> azure_core::Result<Arc<dyn TokenCredential>> {
    let options = ClientAssertionCredentialOptions { client_options };
    ClientAssertionCredential::new(tenant, client, assertion, Some(options)).map(|it| it as _)
}

/// An assertion that is added to the secrets of its identity when it is made.
#[derive(Debug)]
struct Noted<A> {
    assertion: A,
    secrets: Secrets,
}

#[async_trait::async_trait]
impl<A: ClientAssertion> ClientAssertion for Noted<A> {
    async fn secret(&self, options: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        let assertion = self.assertion.secret(options).await?;
        self.secrets.add(&assertion);
        Ok(assertion)
    }
}

/// A federated token in a file. `WorkloadIdentityCredential` would send the newline at the end of the file along.
#[derive(Debug)]
struct TokenFile(PathBuf);

#[async_trait::async_trait]
impl ClientAssertion for TokenFile {
    async fn secret(&self, _: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        use azure_core::error::{Error, ErrorKind};
        let wrong = |problem: String| {
            Error::with_message(
                ErrorKind::Credential,
                format!("{} {problem}", self.0.display()),
            )
        };
        let token = read_small(&self.0, TOKEN_FILE_LIMIT)
            .map_err(|error| wrong(format!("cannot be read: {error}")))?;
        match std::str::from_utf8(&token).map(str::trim) {
            Ok(token) if !token.is_empty() => Ok(token.to_owned()),
            _ => Err(wrong("holds no token".into())),
        }
    }
}

/// A statement that was handed to us.
#[derive(Debug)]
struct Given(SecretString);

#[async_trait::async_trait]
impl ClientAssertion for Given {
    async fn secret(&self, _: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        Ok(self.0.expose_secret().to_owned())
    }
}
