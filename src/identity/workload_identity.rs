//! Workload identity: an assertion of another issuer, in a file as AKS mounts it, or handed over by kubelet for a pod.

use super::select::Offer;
use super::service_principal::{Credential, ServicePrincipal};
use super::{CLIENT_ANNOTATION, ServiceAccount, TENANT_ANNOTATION, read_secret};
use crate::config::{Config, Origin, Value};
use crate::registry::Registry;
use anyhow::{anyhow, ensure};
use secrecy::{ExposeSecret, SecretString};
use std::path::Path;

pub(super) const HINT: &str =
    "set `AZURE_FEDERATED_TOKEN_FILE`, `AZURE_TENANT_ID` and `AZURE_CLIENT_ID`";

/// A federated token is a JWT; the longest seen have a few KB.
const MAX_TOKEN_BYTES: usize = 64 * 1024;

pub(super) fn offer(config: &Config, _: &Registry) -> Offer {
    let file = config.sources.federated_token_file.clone();
    let file = file.map(Credential::TokenFile);
    ServicePrincipal::offer("AZURE_FEDERATED_TOKEN_FILE", file, config)
}

/// Reads a federated token. `WorkloadIdentityCredential` would send the newline at the end of the file along.
pub(super) fn read_token(file: &Path) -> anyhow::Result<SecretString> {
    let name = file.display();
    let token = read_secret(file, MAX_TOKEN_BYTES);
    let token = token.map_err(|error| anyhow!("{name} cannot be read: {error}"))?;
    ensure!(!token.expose_secret().is_empty(), "{name} holds no token");
    Ok(token)
}

/// Returns the application that a pod's service account is annotated with.
pub(super) fn from_service_account(account: ServiceAccount) -> ServicePrincipal {
    let annotated = |value, annotation| Value {
        value,
        origin: Origin::Annotation(annotation),
    };
    ServicePrincipal {
        tenant: annotated(account.tenant, TENANT_ANNOTATION),
        client: annotated(account.client, CLIENT_ANNOTATION),
        credential: Credential::ServiceAccount(account.assertion),
    }
}
