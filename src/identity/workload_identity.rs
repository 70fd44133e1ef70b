//! Workload identity: an assertion of another issuer, in a file as AKS mounts it, or handed over by kubelet for a pod.

use super::advice::Failure;
use super::select::Offer;
use super::service_principal::{Application, ClientCredential, Proof, ServicePrincipal};
use super::{CLIENT_ANNOTATION, TENANT_ANNOTATION, TokenContext, Workload};
use crate::config::{Config, Origin, Value};
use crate::error::Error;
use crate::files::read_small;
use crate::registry::Registry;
use anyhow::bail;
use secrecy::SecretString;
use std::path::PathBuf;

pub(super) const HINT: &str =
    "set `AZURE_FEDERATED_TOKEN_FILE`, `AZURE_TENANT_ID` and `AZURE_CLIENT_ID`";

/// A federated token is a JWT; the longest seen have a few KB.
const MAX_TOKEN_BYTES: usize = 64 * 1024;

/// A file with a federated token. `WorkloadIdentityCredential` would send the newline at its end along.
#[derive(Debug)]
struct TokenFile(PathBuf);

pub(super) fn offer(config: &Config, _: &Registry) -> Result<Offer, Error> {
    let file = config.sources.federated_token_file.clone().map(TokenFile);
    ServicePrincipal::offer("AZURE_FEDERATED_TOKEN_FILE", file, &config.sources)
}

#[async_trait::async_trait]
impl ClientCredential for TokenFile {
    const KIND: &str = "workload";
    const LABEL: &str = "workload identity";

    fn hint(&self, failure: &Failure<'_>, _: &Application) -> Option<String> {
        let has_code = failure.code.is_some();
        (!has_code).then(|| "check the file that `AZURE_FEDERATED_TOKEN_FILE` names".into())
    }

    async fn proof(&self, _: &Application, _: &TokenContext<'_>) -> anyhow::Result<Proof> {
        let file = self.0.display();
        let bytes = read_small(&self.0, MAX_TOKEN_BYTES)
            .map_err(|error| anyhow::anyhow!("{file} cannot be read: {error}"))?;
        match std::str::from_utf8(&bytes).map(str::trim) {
            Ok(token) if !token.is_empty() => Ok(Proof::Assertion(token.into())),
            _ => bail!("{file} holds no token"),
        }
    }
}

/// The token of a pod's service account.
#[derive(Debug)]
pub(super) struct ServiceAccountToken(SecretString);

/// Returns the application that a pod's service account is annotated with.
pub(super) fn from_service_account(workload: Workload) -> ServicePrincipal<ServiceAccountToken> {
    let annotated = |value, annotation| Value {
        value,
        origin: Origin::Annotation(annotation),
    };
    ServicePrincipal {
        application: Application {
            tenant: annotated(workload.tenant, TENANT_ANNOTATION),
            client: annotated(workload.client, CLIENT_ANNOTATION),
        },
        credential: ServiceAccountToken(workload.assertion),
    }
}

#[async_trait::async_trait]
impl ClientCredential for ServiceAccountToken {
    const KIND: &str = "service account";
    const LABEL: &str = "the service account as";

    fn secret(&self) -> Option<&SecretString> {
        Some(&self.0)
    }

    fn hint(&self, failure: &Failure<'_>, application: &Application) -> Option<String> {
        match failure.code? {
            // The tenant is an annotation beside the client ID, so no other setting can be meant.
            700_016 => Some(format!("check {}", application.settings())),
            700_024 => Some(
                "the service account's token has expired: check the clocks of this node and of the cluster".into(),
            ),
            _ => None,
        }
    }

    async fn proof(&self, _: &Application, _: &TokenContext<'_>) -> anyhow::Result<Proof> {
        Ok(Proof::Assertion(self.0.clone()))
    }
}
