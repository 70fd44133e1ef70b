//! Assertions of CI jobs, asked for at each sign-in: they live for five to ten minutes, so that one that was fetched when the job began
//! is of no use later (AADSTS700024).

use crate::config::OidcRequestEnv;
use crate::error::printable;
use crate::http::Network;
use azure_core::error::{Error, ErrorKind};
use azure_core::http::ClientMethodOptions;
use azure_identity::ClientAssertion;
use reqwest::{Client, RequestBuilder};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use url::Url;

/// The version of the Azure Pipelines API (`azure_identity` 1.0, `azure_pipelines_credential.rs`).
const API_VERSION: &str = "7.1";

/// Stands between an issuer's name and its words.
pub(super) const NO_ASSERTION: &str = " gave no assertion: ";

/// Who makes the assertion, and what it asks.
#[derive(Clone, Debug)]
pub(super) enum Issuer {
    /// GitHub Actions, for an audience of the job's choice (GitHub, "`OpenID` Connect reference").
    GitHub {
        requests: OidcRequestEnv,
        audience: String,
    },
    /// Azure Pipelines, for a service connection (Microsoft, "Oidctoken - Create").
    Pipelines {
        requests: OidcRequestEnv,
        service_connection: String,
    },
}

/// The answer of either; other fields may come along.
#[derive(Deserialize)]
struct Minted {
    #[serde(alias = "oidcToken")]
    value: SecretString,
}

/// An assertion of the job, made when it is needed.
#[derive(Debug)]
pub(super) struct JobAssertion {
    issuer: Issuer,
    client: Client,
    network: Arc<Network>,
}

/// No whole answer of an issuer, which is another host than the authority that the sign-in is about.
#[derive(Debug)]
pub(super) struct Lost {
    pub(super) host: String,
    cause: Box<dyn StdError + Send + Sync>,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no answer from {}", self.host)
    }
}

impl StdError for Lost {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.cause)
    }
}

impl Issuer {
    /// The host that is asked.
    pub(super) fn host(&self) -> &str {
        self.requests().url.host_str().unwrap_or_default()
    }

    /// The variable that names the address, and the address.
    pub(super) fn address(&self) -> (&'static str, &Url) {
        match self {
            Self::GitHub { requests, .. } => ("ACTIONS_ID_TOKEN_REQUEST_URL", &requests.url),
            Self::Pipelines { requests, .. } => ("SYSTEM_OIDCREQUESTURI", &requests.url),
        }
    }

    /// What proves to the issuer that the job asks.
    pub(super) fn token(&self) -> &SecretString {
        &self.requests().token
    }

    fn requests(&self) -> &OidcRequestEnv {
        let (Self::GitHub { requests, .. } | Self::Pipelines { requests, .. }) = self;
        requests
    }

    fn request(&self, client: &Client) -> RequestBuilder {
        let mut url = self.requests().url.clone();
        match self {
            Self::GitHub { audience, .. } => {
                url.query_pairs_mut().append_pair("audience", audience);
                client.get(url)
            }
            Self::Pipelines {
                service_connection, ..
            } => {
                url.query_pairs_mut()
                    .append_pair("api-version", API_VERSION)
                    .append_pair("serviceConnectionId", service_connection);
                // Without the header a wrong token is answered with the sign-in page of a browser.
                client
                    .post(url)
                    .header("content-length", "0")
                    .header("x-tfs-fedauthredirect", "Suppress")
            }
        }
    }
}

impl JobAssertion {
    pub(super) fn new(issuer: Issuer, client: Client, network: Arc<Network>) -> Self {
        Self {
            issuer,
            client,
            network,
        }
    }

    async fn mint(&self) -> anyhow::Result<SecretString> {
        let lost = |error: anyhow::Error| Lost {
            host: self.issuer.host().to_owned(),
            cause: error.reallocate_into_boxed_dyn_error_without_backtrace(),
        };
        let request = self
            .issuer
            .request(&self.client)
            .bearer_auth(self.issuer.token().expose_secret())
            .build()?;
        let answer = self.network.fetch(&self.client, request).await;
        let answer = answer.map_err(lost)?;
        match serde_json::from_slice::<Minted>(&answer.body) {
            Ok(minted)
                if answer.status.is_success() && !minted.value.expose_secret().is_empty() =>
            {
                Ok(minted.value)
            }
            _ => anyhow::bail!(
                "{}{NO_ASSERTION}{}",
                self.issuer.host(),
                printable(&answer.error_message())
            ),
        }
    }
}

#[async_trait::async_trait]
impl ClientAssertion for JobAssertion {
    async fn secret(&self, _: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        let minted = self.mint().await;
        let minted = minted.map_err(|error| {
            Error::new(
                ErrorKind::Credential,
                error.reallocate_into_boxed_dyn_error_without_backtrace(),
            )
        })?;
        Ok(minted.expose_secret().to_owned())
    }
}
