//! Who can sign in: tenants, service principals, managed identities, users, and what they subscribe to.

use serde::{Deserialize, Serialize};

use crate::random;
use crate::settings::FEDERATED_ISSUER;

/// The default tenant.
pub const TENANT: &str = "0f9c7a52-3b1e-4d68-8a47-c5e2d1b60f93";
/// The client id of the default app.
pub const CLIENT: &str = "5b8d3e17-64c2-4f0a-9d15-7a2e8c40b6f1";
/// The object id of the default app's service principal.
pub const CLIENT_OBJECT: &str = "c2a6f490-7d35-4e8b-b1c9-0e5f3a7d2846";
/// The client id of the default managed identity.
pub const MANAGED_IDENTITY: &str = "91e4b7c0-58a3-4c6d-a2f8-3d6b0e9c1574";
/// The object id of the default managed identity.
pub const MANAGED_IDENTITY_OBJECT: &str = "e7305d1b-a946-4f82-8c0d-b61f42a97e35";
/// The object id of the default user.
pub const USER_OBJECT: &str = "3d92c8e6-0b7f-4a51-96e3-f84a1c5d7b20";
/// The default subscription.
pub const SUBSCRIPTION: &str = "a84f2b6d-1c90-4e37-b5d8-29e7f60c3a14";

/// A directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tenant {
    /// Its GUID.
    pub id: String,
    /// Its initial domain name.
    pub domain: String,
    /// What it is called in messages and lists.
    pub name: String,
    /// The clouds it exists in, in the Azure CLI's words; empty means all, which no real tenant does.
    pub clouds: Vec<String>,
}

impl Default for Tenant {
    fn default() -> Self {
        Self {
            id: TENANT.to_owned(),
            domain: "contoso.example".to_owned(),
            name: "Contoso".to_owned(),
            clouds: Vec::new(),
        }
    }
}

/// A registered application and its service principal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct App {
    /// The application (client) id.
    pub client_id: String,
    /// The object id of its service principal, the subject of its tokens.
    pub object_id: String,
    /// The tenant it is registered in.
    pub tenant: String,
    /// Its client secret; random unless set.
    pub secret: String,
    /// Whether that secret has run out (AADSTS7000222).
    pub secret_expired: bool,
    /// Which assertions of others it trusts.
    pub federated_credentials: Vec<FederatedCredential>,
    /// Its certificates, each in PEM; an assertion signed with the key of one of them is taken.
    pub certificates: Vec<String>,
    /// Certificate authorities, each in PEM: a certificate that an assertion brings along (`x5c`) with its chain up to one of
    /// them is taken, too. The real ones also look at its subject name.
    pub issuers: Vec<String>,
}

impl Default for App {
    fn default() -> Self {
        Self {
            client_id: CLIENT.to_owned(),
            object_id: CLIENT_OBJECT.to_owned(),
            tenant: TENANT.to_owned(),
            secret: random::secret(),
            secret_expired: false,
            federated_credentials: vec![FederatedCredential::default()],
            certificates: Vec::new(),
            issuers: Vec::new(),
        }
    }
}

/// One federated identity credential of an app.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FederatedCredential {
    /// The `iss` it trusts.
    pub issuer: String,
    /// The `sub` it trusts, compared byte for byte; `*` stands for any, which the real one has not.
    pub subject: String,
    /// The `aud` it wants; empty for the cloud's own, `api://AzureADTokenExchange` in the public one.
    pub audience: String,
    /// The issuer's public keys as a JWK set; empty for the simulator's own issuer.
    pub keys: serde_json::Value,
}

impl Default for FederatedCredential {
    fn default() -> Self {
        Self {
            issuer: FEDERATED_ISSUER.to_owned(),
            subject: "*".to_owned(),
            audience: String::new(),
            keys: serde_json::Value::Null,
        }
    }
}

/// A managed identity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ManagedIdentity {
    /// Its client id.
    pub client_id: String,
    /// Its object (principal) id.
    pub object_id: String,
    /// Its Azure resource id.
    pub resource_id: String,
    /// The tenant it lives in.
    pub tenant: String,
    /// The cloud it lives in, in the Azure CLI's words.
    pub cloud: String,
}

impl Default for ManagedIdentity {
    fn default() -> Self {
        Self {
            client_id: MANAGED_IDENTITY.to_owned(),
            object_id: MANAGED_IDENTITY_OBJECT.to_owned(),
            resource_id: format!(
                "/subscriptions/{SUBSCRIPTION}/resourceGroups/contoso/providers\
                 /Microsoft.ManagedIdentity/userAssignedIdentities/puller"
            ),
            tenant: TENANT.to_owned(),
            cloud: "AzureCloud".to_owned(),
        }
    }
}

/// A person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct User {
    /// The user principal name.
    pub upn: String,
    /// The name shown.
    pub name: String,
    /// The object id.
    pub object_id: String,
    /// The home tenant.
    pub tenant: String,
    /// The ids of the other tenants that invited this person.
    pub guest_of: Vec<String>,
}

impl User {
    /// Whether this person can sign in to the tenant of this id.
    pub(crate) fn is_member_of(&self, tenant: &str) -> bool {
        self.tenant == tenant || self.guest_of.iter().any(|id| id == tenant)
    }
}

impl Default for User {
    fn default() -> Self {
        Self {
            upn: "alice@contoso.example".to_owned(),
            name: "Alice".to_owned(),
            object_id: USER_OBJECT.to_owned(),
            tenant: TENANT.to_owned(),
            guest_of: Vec::new(),
        }
    }
}

/// A subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Subscription {
    /// Its GUID.
    pub id: String,
    /// The name shown.
    pub name: String,
    /// The tenant it trusts.
    pub tenant: String,
}

impl Default for Subscription {
    fn default() -> Self {
        Self {
            id: SUBSCRIPTION.to_owned(),
            name: "Contoso".to_owned(),
            tenant: TENANT.to_owned(),
        }
    }
}
