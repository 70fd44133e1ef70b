//! A node with its identity, pods with theirs, and the registries they pull from.

use crate::support::{Answer, Home, LIMIT, binary, connect, run};
use azure_core::base64::decode_url_safe;
use serde_json::{Value, json};
use simulator::{
    App, CLIENT, FEDERATED_ISSUER, FederatedCredential, Registry, Settings, Simulator, TENANT,
};
use std::process::Command;

pub(crate) const CLIENT_ANNOTATION: &str = "kubernetes.azure.com/acr-client-id";
pub(crate) const TENANT_ANNOTATION: &str = "kubernetes.azure.com/acr-tenant-id";

/// The application of another service account than that of [`CLIENT`].
pub(crate) const OTHER_CLIENT: &str = "7c1f0a5e-92d4-4b83-a6e0-1d5c8f3b2e79";

/// The service accounts that may sign in as [`CLIENT`] and as [`OTHER_CLIENT`].
pub(crate) const SHOP: &str = "system:serviceaccount:shop:web";
pub(crate) const BANK: &str = "system:serviceaccount:bank:web";

/// A node in a simulated Azure, with two applications that each trust one service account.
pub(crate) struct Node {
    pub(crate) home: Home,
    pub(crate) simulator: Simulator,
}

impl Node {
    pub(crate) fn new() -> Self {
        let mut settings = Settings::default();
        let trusting = |client: &str, subject: &str| App {
            client_id: client.to_owned(),
            object_id: client.to_owned(),
            federated_credentials: vec![FederatedCredential {
                issuer: FEDERATED_ISSUER.to_owned(),
                subject: subject.to_owned(),
                ..FederatedCredential::default()
            }],
            ..App::default()
        };
        settings.apps = vec![trusting(CLIENT, SHOP), trusting(OTHER_CLIENT, BANK)];
        let mut closed = Registry::new("closed.azurecr.io");
        closed.roles.clear();
        settings.registries.push(closed);
        Self {
            home: Home::new(),
            simulator: Simulator::start(settings).expect("a simulator"),
        }
    }

    /// The provider as kubelet calls it: by the printed configuration, in the environment of a unit without a session.
    pub(crate) fn provider(&self) -> Command {
        let mut command = self.home.command(binary());
        connect(&mut command, &self.simulator)
            .env_remove("XDG_RUNTIME_DIR")
            .env("TMPDIR", self.home.path("run"));
        command
            .env("ACRSCOPED_SOURCE", "managed-identity")
            .arg("kubelet");
        command
    }

    /// The answer to a request for this image, without a service account.
    pub(crate) fn ask(&self, image: &str) -> Answer {
        run(self.provider(), &request(image).to_string(), LIMIT)
    }

    /// A request for a pod whose service account has this subject and is annotated with this client.
    pub(crate) fn pod(&self, subject: &str, client: &str, image: &str) -> Value {
        let mut request = request(image);
        request["serviceAccountToken"] = json!(self.simulator.assertion(subject));
        request["serviceAccountAnnotations"] =
            json!({CLIENT_ANNOTATION: client, TENANT_ANNOTATION: TENANT});
        request
    }
}

/// A request without a service account.
pub(crate) fn request(image: &str) -> Value {
    json!({"apiVersion": "credentialprovider.kubelet.k8s.io/v1", "kind": "CredentialProviderRequest", "image": image})
}

/// To which application the refresh token of an answer was issued (`appid`), for this key of `auth`.
#[track_caller]
pub(crate) fn whose(answer: &Answer, key: &str) -> String {
    assert_eq!(answer.code(), 0, "{answer:#?}");
    let password = answer.json()["auth"][key]["password"]
        .as_str()
        .unwrap_or_else(|| panic!("no {key} in {answer:#?}"))
        .to_owned();
    claims(&password)["appid"]
        .as_str()
        .expect("an application")
        .to_owned()
}

/// The payload of a JWT.
pub(crate) fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).expect("a JWT");
    serde_json::from_slice(&decode_url_safe(payload).expect("base64")).expect("JSON")
}
