//! Azure Resource Manager: as much as `az login` and `az acr login` ask of it.

use hyper::Method;
use serde_json::{Value, json};

use crate::call::Call;
use crate::journal::Entry;
use crate::people::Subscription;
use crate::random;
use crate::registries::Registry;
use crate::tokens::{self, Principal};
use crate::wire::{self, Reply, with};
use crate::world::World;

const HOSTS: [(&str, &str); 5] = [
    ("management.azure.com", "AzureCloud"),
    ("management.core.windows.net", "AzureCloud"),
    ("management.usgovcloudapi.net", "AzureUSGovernment"),
    ("management.chinacloudapi.cn", "AzureChinaCloud"),
    ("management.sovcloud-api.fr", "AzureBleuCloud"),
];

const REGISTRIES: &str = "Microsoft.ContainerRegistry/registries";

/// The cloud that a host manages.
pub(crate) fn cloud_of(host: &str) -> Option<&'static str> {
    HOSTS
        .iter()
        .find(|(name, _)| *name == host)
        .map(|(_, cloud)| *cloud)
}

/// The answer to any request to Azure Resource Manager.
pub(crate) fn answer(world: &World, call: &Call, cloud: &str, entry: &mut Entry) -> Reply {
    let Some(token) = call.bearer() else {
        return refused(
            "AuthenticationFailed",
            "The 'Authorization' header is missing.",
        );
    };
    entry.token = tokens::facts(token);
    let Ok(principal) = tokens::verify_arm_access(world, call, cloud, token) else {
        return refused("InvalidAuthenticationToken", "The access token is invalid.");
    };
    let reply = if call.method == Method::GET {
        get(call, cloud, &principal)
    } else {
        not_found(call)
    };
    let reply = with(reply, "x-ms-request-id", &random::guid());
    with(reply, "x-ms-correlation-request-id", &random::guid())
}

fn get(call: &Call, cloud: &str, principal: &Principal) -> Reply {
    let path = call.path.to_ascii_lowercase();
    let path: Vec<&str> = path.trim_matches('/').split('/').collect();
    let subscriptions = || {
        let all = call.settings.subscriptions.iter();
        all.filter(|subscription| subscription.tenant == principal.tenant)
    };
    let found = |id: &str| subscriptions().find(|subscription| subscription.id == id);
    let body = match path.as_slice() {
        ["tenants"] => Some(listed(tenants(call, cloud, principal))),
        ["subscriptions"] => Some(listed(subscriptions().map(subscription))),
        ["subscriptions", id] => found(id).map(subscription),
        ["subscriptions", id, "resources"] => {
            found(id).map(|of| listed(resources(call, cloud, of)))
        }
        [
            "subscriptions",
            id,
            "providers",
            "microsoft.containerregistry",
            "registries",
        ] => found(id).map(|of| listed(registries(call, cloud, of))),
        [
            "subscriptions",
            id,
            "resourcegroups",
            _,
            "providers",
            provider,
            kind,
            name,
        ] if [*provider, *kind] == ["microsoft.containerregistry", "registries"] => found(id)
            .and_then(|of| {
                registries(call, cloud, of)
                    .into_iter()
                    .find(|registry| registry["name"] == *name)
            }),
        _ => None,
    };
    body.map_or_else(|| not_found(call), |body| wire::json(200, &body))
}

fn listed(all: impl IntoIterator<Item = Value>) -> Value {
    let all: Vec<Value> = all.into_iter().collect();
    json!({"value": all, "count": {"type": "Total", "value": 0}})
}

/// The tenants of whoever has signed in: a person may have several, an app has its own.
fn tenants(call: &Call, cloud: &str, principal: &Principal) -> Vec<Value> {
    let user = call.settings.user(&principal.object_id);
    let is_own =
        |id: &str| id == principal.tenant || user.is_some_and(|user| user.is_member_of(id));
    call.settings
        .tenants
        .iter()
        .filter(|tenant| is_own(&tenant.id) && call.settings.tenant(&tenant.id, cloud).is_some())
        .map(|tenant| {
            json!({
                "id": format!("/tenants/{}", tenant.id), "tenantId": tenant.id,
                "countryCode": "FR", "displayName": tenant.name, "domains": [tenant.domain],
                "tenantCategory": "Home", "defaultDomain": tenant.domain, "tenantType": "AAD",
            })
        })
        .collect()
}

fn subscription(subscription: &Subscription) -> Value {
    let Subscription { id, name, tenant } = subscription;
    json!({
        "id": format!("/subscriptions/{id}"), "subscriptionId": id, "tenantId": tenant,
        "displayName": name, "state": "Enabled", "authorizationSource": "RoleBased",
        "managedByTenants": [],
        "subscriptionPolicies": {
            "locationPlacementId": "Public_2014-09-01", "quotaId": "PayAsYouGo_2014-09-01",
            "spendingLimit": "Off",
        },
    })
}

/// The resources that a `$filter` of a type and a name leaves.
fn resources(call: &Call, cloud: &str, subscription: &Subscription) -> Vec<Value> {
    let filter = call
        .query
        .get("$filter")
        .unwrap_or_default()
        .to_ascii_lowercase();
    let kind = format!("resourcetype eq '{}'", REGISTRIES.to_ascii_lowercase());
    let mut all = registries(call, cloud, subscription);
    if !filter.is_empty() && !filter.contains(&kind) {
        return Vec::new();
    }
    all.retain(|registry| {
        let name = registry["name"].as_str().unwrap_or_default();
        !filter.contains("name eq ") || filter.contains(&format!("name eq '{name}'"))
    });
    all
}

fn registries(call: &Call, cloud: &str, subscription: &Subscription) -> Vec<Value> {
    call.settings
        .registries
        .iter()
        .filter(|registry| registry.cloud() == cloud && registry.tenant == subscription.tenant)
        .filter(|registry| registry.global_host() == registry.host)
        .map(|found| registry(found, subscription))
        .collect()
}

fn registry(registry: &Registry, subscription: &Subscription) -> Value {
    let label = registry.host.split(['.', ':']).next().unwrap_or_default();
    // The real name ends before the hyphen of a domain name label; here it must also differ from its neighbour's.
    let name = label.replace('-', "");
    let as_arm = if registry.accept_arm_tokens {
        "enabled"
    } else {
        "disabled"
    };
    let id = &subscription.id;
    json!({
        "id": format!("/subscriptions/{id}/resourceGroups/contoso/providers/{REGISTRIES}/{name}"),
        "name": name, "type": REGISTRIES, "location": "eastus", "tags": {},
        "sku": {"name": "Premium", "tier": "Premium"},
        "properties": {
            "loginServer": registry.host,
            "creationDate": "2026-01-01T00:00:00.0000000Z",
            "provisioningState": "Succeeded", "adminUserEnabled": false,
            "anonymousPullEnabled": registry.anonymous_pull,
            "publicNetworkAccess": "Enabled", "dataEndpointEnabled": false,
            "dataEndpointHostNames": [], "privateEndpointConnections": [],
            "policies": {"azureADAuthenticationAsArmPolicy": {"status": as_arm}},
        },
    })
}

fn refused(code: &str, message: &str) -> Reply {
    let reply = wire::json(401, &json!({"error": {"code": code, "message": message}}));
    let challenge =
        "Bearer authorization_uri=\"https://login.windows.net/common\", error=\"invalid_token\"";
    with(reply, "www-authenticate", challenge)
}

fn not_found(call: &Call) -> Reply {
    let message = format!("The resource '{}' was not found.", call.path);
    wire::json(
        404,
        &json!({"error": {"code": "ResourceNotFound", "message": message}}),
    )
}
