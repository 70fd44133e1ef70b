//! Entra, Azure Container Registry and the identity endpoints of Azure, simulated on loopback.
//!
//! For tests of programs that sign in to Azure and talk to its registries, and for demonstrations. The program under test
//! is left as it is: it finds the simulator by the settings that any user has, a proxy and a certificate authority.
//!
//! ```text
//!                     HTTPS_PROXY=http://127.0.0.1:PORT   SSL_CERT_FILE=FOLDER/ca.pem
//!  client ──CONNECT login.microsoftonline.com:443──▶ server ──TLS, HTTP/1.1──▶ dispatch ─▶ entra     tokens: ES256,
//!         ──CONNECT contoso.azurecr.io:443─────────▶   │                         │    ├──▶ acr ─────▶ verified by
//!         ──CONNECT management.azure.com:443───────▶   │ a name that is not      │    ├──▶ arm       signature, aud,
//!         ──CONNECT example.com:443──▶ 502             │ declared does not       │    │              tid, exp, nbf
//!                                                      │ exist                   │    └──▶ images, or a real
//!         ──GET /metadata/identity/oauth2/token────▶   │ plain http              │         docker-registry behind
//!         ──GET /msi/token, /oidc/github, …────────▶   │                         ├──▶ identity_endpoints, oidc
//!         ──GET /control/journal, PUT …/settings───▶   │                         ├──▶ control
//!                                                                           faults, journal
//! ```
//!
//! ```
//! use simulator::{Endpoint, ErrorShape, Fault, FaultAt, FaultKind, Settings, Simulator};
//!
//! let simulator = Simulator::start(Settings::default())?;
//! // Run a client with `simulator.environment()`, then see what it did.
//! assert!(simulator.journal().iter().all(|entry| entry.endpoint != Endpoint::Arm));
//!
//! simulator.change(|settings| {
//!     settings.error_shape = ErrorShape::Y2024;
//!     settings.registry_mut("contoso.azurecr.io").roles.clear();
//!     settings.faults.push(Fault::once(FaultAt::Exchange, FaultKind::Reset));
//! });
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # What it promises
//!
//! - It verifies instead of echoing: an access token is exchanged only if Entra's key of the registry's own cloud signed it,
//!   for the registry's tenant and audience, now; a refresh token is good at its registry only, until it expires or is revoked.
//! - Everything secret is made when it starts and gone when it ends. It listens on loopback only, and goes nowhere but to a
//!   backend it was given.
//! - The [journal](Entry) says who asked for which audience, presented which token and got which; it never holds a token.
//! - What is not known of the real services is a field of [`Settings`], with the likeliest behaviour as its default.
//!
//! # Where it differs from the real services
//!
//! - Tokens are signed with ES256; the real ones with RS256. A refresh token is padded to the length of a real one.
//! - A tenant exists in every cloud unless [`Tenant::clouds`] says otherwise; people approve every sign-in at once, or
//!   with a button, and without a password. A person has one name and one object id in all tenants; a real guest has others in each.
//! - Blobs are sent by the registry itself; the real one redirects to a storage account or a data endpoint.
//! - There are no admin users, repository-scoped tokens or connected registries, and no `/acr/v1/` pages.

mod acr;
mod arc;
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
mod platforms;
mod random;
mod registries;
mod script;
mod server;
mod service;
mod settings;
mod simulator;
mod tls;
mod tokens;
mod wire;
mod world;

pub use acr::Limit;
pub use arc::ArcAgent;
pub use faults::{BadCertificate, Fault, FaultAt, FaultKind, Raw};
pub use journal::{Endpoint, Entry, TokenFacts};
pub use people::{
    App, CLIENT, CLIENT_OBJECT, FederatedCredential, MANAGED_IDENTITY, MANAGED_IDENTITY_OBJECT,
    ManagedIdentity, SUBSCRIPTION, Subscription, TENANT, Tenant, USER_OBJECT, User,
};
pub use registries::{Registry, Role};
pub use settings::{
    ACR_APP_ID, ACR_AUDIENCE, ASSERTION_AUDIENCE, AZURE_CLI, Approval, Authority, ErrorShape,
    FEDERATED_ISSUER, RegionalService, Settings,
};
pub use simulator::Simulator;
