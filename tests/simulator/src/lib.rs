//! Entra, Azure Container Registry and the identity endpoints of Azure, simulated on loopback.

mod acr;
mod arm;
mod backend;
mod call;
mod clock;
mod control;
mod dispatch;
mod entra;
mod faults;
mod guide;
mod identity_endpoints;
mod images;
mod journal;
mod jwt;
mod oidc;
mod people;
mod random;
mod registries;
mod server;
mod service;
mod settings;
mod simulator;
mod tls;
mod tokens;
mod wire;
mod world;

pub use faults::{BadCertificate, Fault, FaultAt, FaultKind};
pub use journal::{Endpoint, Entry, TokenFacts};
pub use people::{
    App, CLIENT, CLIENT_OBJECT, FederatedCredential, MANAGED_IDENTITY, MANAGED_IDENTITY_OBJECT, ManagedIdentity, SUBSCRIPTION,
    Subscription, TENANT, Tenant, USER_OBJECT, User,
};
pub use registries::{Registry, Role};
pub use settings::{
    ACR_APP_ID, ACR_AUDIENCE, ASSERTION_AUDIENCE, AZURE_CLI, Authority, ErrorShape, FEDERATED_ISSUER, RegionalChallenge, Settings,
};
pub use simulator::Simulator;
