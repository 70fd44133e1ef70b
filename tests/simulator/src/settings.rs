//! The simulated world as plain data: what exists, who may do what, and how strict the services are.

use serde::{Deserialize, Serialize};

use crate::arc::ArcAgent;
use crate::clock;
use crate::faults::Fault;
use crate::people::{App, ManagedIdentity, Subscription, Tenant, User};
use crate::random;
use crate::registries::Registry;
use crate::tokens::Principal;

/// The audience of the registries, in every cloud.
pub const ACR_AUDIENCE: &str = "https://containerregistry.azure.net";
/// The application id of the same resource, "Azure Container Registry".
pub const ACR_APP_ID: &str = "6a0ec4d3-30cb-4a83-91c0-ae56bc0e3d26";
/// The client id of the Azure CLI.
pub const AZURE_CLI: &str = "04b07795-8ddb-461a-bbee-02f9e1bf7b46";
/// The issuer of the assertions that [`Simulator::assertion`](crate::Simulator::assertion) makes.
pub const FEDERATED_ISSUER: &str = "https://oidc.contoso.example";
/// The audience of an assertion that is to be exchanged for an Entra token in the public cloud.
pub const ASSERTION_AUDIENCE: &str = "api://AzureADTokenExchange";

/// Everything that can be changed while the simulator runs.
///
/// Written as JSON it is what `--settings` and `PUT /control/settings` take; a key left out keeps its value.
/// The default world: one tenant in every cloud, one app with a random secret, one managed identity, one user,
/// one subscription, five registries on which every identity may push and pull.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The sign-in hosts and the cloud of each.
    pub authorities: Vec<Authority>,
    /// The directories.
    pub tenants: Vec<Tenant>,
    /// The service principals.
    pub apps: Vec<App>,
    /// The identities whose tokens IMDS, App Service and their like hand out; the first is the default one.
    pub managed_identities: Vec<ManagedIdentity>,
    /// The cloud that the metadata service says the virtual machine is in (`azEnvironment`); it does not know the page when left out.
    pub machine_cloud: Option<String>,
    /// The agent of Azure Arc, for a machine that has one.
    pub arc: Option<ArcAgent>,
    /// The programs that users may sign in with, beside the apps: the Azure CLI.
    pub public_clients: Vec<String>,
    /// The people. Who approves device codes and browser sign-ins is the first that the tenant has; of `organizations` and
    /// `common`, the first whose home tenant is in that cloud.
    pub users: Vec<User>,
    /// What Azure Resource Manager lists.
    pub subscriptions: Vec<Subscription>,
    /// The value that App Service wants in `X-IDENTITY-HEADER`, and Azure ML in `secret`.
    pub identity_header: String,
    /// The bearer token that the issuers of assertions (GitHub Actions, Azure Pipelines) want.
    pub oidc_request_token: String,
    /// The subject of the assertions they issue.
    pub oidc_subject: String,
    /// The registries; a name that is not here does not exist.
    pub registries: Vec<Registry>,
    /// The audiences that registries take unless they have their own, beside Azure Resource Manager's where one accepts those.
    pub audiences: Vec<String>,
    /// Whether Entra writes the resource's application id in `aud` instead of its address (not known of the real one).
    pub audience_as_app_id: bool,
    /// How `/oauth2/exchange` words its refusals.
    pub error_shape: ErrorShape,
    /// The status for a `service` that is not the host, a missing field or an unknown grant at `/oauth2/exchange` (not known: 400).
    pub malformed_exchange_status: u16,
    /// Whether `/oauth2/exchange` insists on the `tenant` field (recorded clients leave it out).
    pub tenant_required: bool,
    /// Seconds until a refresh token expires, from its issue; negative makes expired ones.
    pub refresh_token_life: i64,
    /// The least length of a refresh token; it is padded up to here.
    pub refresh_token_bytes: usize,
    /// Seconds until a registry access token expires.
    pub registry_access_token_life: i64,
    /// Seconds until the token of an anonymous client expires.
    pub anonymous_token_life: i64,
    /// Seconds until an Entra access token of an application or a managed identity expires.
    pub app_token_life: i64,
    /// Seconds until an Entra access token of a person expires; real ones live 60 to 90 minutes.
    pub user_token_life: i64,
    /// The status that refuses `grant_type=password` with the zero GUID at `/oauth2/token`; none takes it. Not known of a real one: 401,
    /// or 400 as in a log of 2022 without a scope.
    pub password_grant: Option<u16>,
    /// Whether `access_type=offline` is answered with a refresh token, as `offline_token=true` is.
    pub offline_access_type: bool,
    /// Which services a regional endpoint takes.
    pub regional_service: RegionalService,
    /// How often a device code is answered `authorization_pending` before it is approved.
    pub device_code_polls: u32,
    /// Seconds until a device code expires.
    pub device_code_life: i64,
    /// Whether people are asked before they are signed in.
    pub approval: Approval,
    /// What a sign-in of a user must have answered (`claims`, as JSON); a refresh token of another is refused with it
    /// (AADSTS50076), as when a policy wants a second factor.
    pub required_claims: Option<String>,
    /// How often an Entra refresh token can be used, each use of which gives another; for ever when left out.
    pub refresh_token_uses: Option<u32>,
    /// Seconds by which the clock of the simulated services is ahead of this machine's.
    pub clock_skew: i64,
    /// What goes wrong.
    pub faults: Vec<Fault>,
}

/// A sign-in host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authority {
    /// The host name.
    pub host: String,
    /// The cloud it signs in to, in the Azure CLI's words: `AzureCloud`, `AzureUSGovernment`, …
    pub cloud: String,
}

/// How `/oauth2/exchange` refuses; real registries changed over the years. A token of a wrong audience is a 401 with words for it in
/// each of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ErrorShape {
    /// 403 `DENIED` for an identity without a role, 401 with an empty body for a bad token.
    Y2021,
    /// 401 with an empty body for both.
    Y2024,
    /// 401 `UNAUTHORIZED` for both: with a correlation id in the message for an identity without a role.
    #[default]
    Y2026,
}

/// How people approve a sign-in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Approval {
    /// At once, without being asked.
    #[default]
    AtOnce,
    /// The sign-in page has a button to approve and one to deny, and a device code waits until it was entered at
    /// `https://microsoft.com/devicelogin`.
    Page,
}

/// Which services a regional endpoint takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RegionalService {
    /// The global login server, as its challenge says.
    #[default]
    Global,
    /// Its own name too (not known of a real one).
    Either,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            authorities: default_authorities(),
            tenants: vec![Tenant::default()],
            apps: vec![App::default()],
            managed_identities: vec![ManagedIdentity::default()],
            machine_cloud: Some("AzurePublicCloud".to_owned()),
            arc: None,
            public_clients: vec![AZURE_CLI.to_owned()],
            users: vec![User::default()],
            subscriptions: vec![Subscription::default()],
            identity_header: random::guid(),
            oidc_request_token: random::text(40),
            oidc_subject: "repo:contoso/app:ref:refs/heads/main".to_owned(),
            registries: default_registries(),
            audiences: vec![ACR_AUDIENCE.to_owned(), ACR_APP_ID.to_owned()],
            audience_as_app_id: false,
            error_shape: ErrorShape::default(),
            malformed_exchange_status: 400,
            tenant_required: false,
            refresh_token_life: 10_800,
            refresh_token_bytes: 1_100,
            registry_access_token_life: 3_600,
            anonymous_token_life: 300,
            app_token_life: 86_399,
            user_token_life: 4_980,
            password_grant: Some(401),
            offline_access_type: false,
            regional_service: RegionalService::default(),
            device_code_polls: 1,
            device_code_life: 900,
            approval: Approval::default(),
            required_claims: None,
            refresh_token_uses: None,
            clock_skew: 0,
            faults: Vec::new(),
        }
    }
}

fn default_authorities() -> Vec<Authority> {
    [
        ("login.microsoftonline.com", "AzureCloud"),
        ("login.microsoftonline.us", "AzureUSGovernment"),
        ("login.chinacloudapi.cn", "AzureChinaCloud"),
        ("login.partner.microsoftonline.cn", "AzureChinaCloud"),
        ("login.sovcloud-identity.fr", "AzureBleuCloud"),
    ]
    .map(|(host, cloud)| Authority {
        host: host.to_owned(),
        cloud: cloud.to_owned(),
    })
    .into()
}

fn default_registries() -> Vec<Registry> {
    [
        "contoso.azurecr.io",
        "contoso.azurecr.us",
        "contoso.azurecr.cn",
        "contoso-abc123.azurecr.io",
        "contoso.eastus.geo.azurecr.io",
    ]
    .map(Registry::new)
    .into()
}

impl Settings {
    /// The declared registry of this host.
    pub fn registry(&self, host: &str) -> Option<&Registry> {
        self.registries
            .iter()
            .find(|registry| registry.host == host)
    }

    /// The tenant of this id or domain name, as far as it exists in a cloud.
    pub(crate) fn tenant(&self, name: &str, cloud: &str) -> Option<&Tenant> {
        self.tenants.iter().find(|tenant| {
            let is_called = tenant.id == name || tenant.domain == name;
            is_called && (tenant.clouds.is_empty() || tenant.clouds.iter().any(|own| own == cloud))
        })
    }

    /// Whether people are asked on a page.
    pub(crate) fn has_pages(&self) -> bool {
        self.approval == Approval::Page
    }

    /// The person of this object id.
    pub(crate) fn user(&self, object_id: &str) -> Option<&User> {
        self.users.iter().find(|user| user.object_id == object_id)
    }

    /// The home tenant of somebody who has signed in, if need be as a guest.
    pub(crate) fn home_of<'a>(&'a self, principal: &'a Principal) -> &'a str {
        self.user(&principal.object_id)
            .map_or(&principal.tenant, |user| &user.tenant)
    }

    /// Seconds until an Entra access token of this identity expires.
    pub(crate) fn entra_token_life(&self, principal: &Principal) -> i64 {
        if principal.upn.is_some() {
            self.user_token_life
        } else {
            self.app_token_life
        }
    }

    /// Seconds since 1970 on the simulated services' clock.
    pub(crate) fn now(&self) -> i64 {
        clock::unix_seconds() + self.clock_skew
    }

    /// The declared registry of this host, to be changed; declared anew when there is none.
    pub fn registry_mut(&mut self, host: &str) -> &mut Registry {
        let found = self
            .registries
            .iter()
            .position(|registry| registry.host == host);
        let index = found.unwrap_or_else(|| {
            self.registries.push(Registry::new(host));
            self.registries.len() - 1
        });
        &mut self.registries[index]
    }

    /// These settings with the keys of a JSON object laid over them.
    pub fn overlaid(&self, changes: &serde_json::Value) -> Result<Self, String> {
        let serde_json::Value::Object(changes) = changes else {
            return Err("the settings must be one JSON object".to_owned());
        };
        let mut whole = serde_json::to_value(self).map_err(|error| error.to_string())?;
        if let serde_json::Value::Object(whole) = &mut whole {
            whole.extend(changes.clone());
        }
        serde_json::from_value(whole).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_left_out_keeps_its_value() {
        let settings = Settings::default();
        let changed = settings
            .overlaid(&serde_json::json!({"clock_skew": 9}))
            .unwrap();
        assert_eq!(
            changed,
            Settings {
                clock_skew: 9,
                ..settings
            }
        );
    }

    #[test]
    fn an_unknown_key_is_refused() {
        let changes = serde_json::json!({"clock_scew": 9});
        assert!(
            Settings::default()
                .overlaid(&changes)
                .unwrap_err()
                .contains("clock_scew")
        );
    }
}
