//! Where machines get tokens without a credential: the metadata service of virtual machines, and the identity endpoint of
//! App Service, Container Apps, Azure ML and Cloud Shell.

use hyper::Method;
use serde_json::{Value, json};

use crate::call::{Call, Fields};
use crate::entra;
use crate::journal::Entry;
use crate::people::ManagedIdentity;
use crate::tokens::{self, Issued, Principal};
use crate::wire::{self, Reply};
use crate::world::World;

/// `GET /metadata/identity/oauth2/token`.
pub(crate) fn imds(world: &World, call: &Call, entry: &mut Entry) -> Reply {
    let is_true = |value: &str| value.eq_ignore_ascii_case("true");
    if !call.header("metadata").is_some_and(is_true) {
        return wrong(400, "invalid_request", "Required metadata header not specified");
    }
    if call.header("x-forwarded-for").is_some() {
        return wrong(400, "invalid_request", "Requests through a proxy are refused");
    }
    if call.method != Method::GET {
        return wrong(405, "invalid_request", "The method is not allowed");
    }
    grant(world, call, &call.query, entry)
}

/// `GET /msi/token` of App Service (2019-08-01) and Azure ML (2017-09-01); `POST` of Cloud Shell.
pub(crate) fn app_service(world: &World, call: &Call, entry: &mut Entry) -> Reply {
    if call.method == Method::POST {
        let is_metadata = call.header("metadata") == Some("true");
        return match call.form() {
            Some(form) if is_metadata => issue(world, call, &form, entry),
            _ => wrong(400, "invalid_request", "A form and the header Metadata are required"),
        };
    }
    let is_azure_ml = call.query.get("api-version") == Some("2017-09-01");
    let header = if is_azure_ml { "secret" } else { "x-identity-header" };
    if call.header(header) != Some(call.settings.identity_header.as_str()) {
        return wrong(401, "unauthorized", "The identity header is missing or wrong");
    }
    grant(world, call, &call.query, entry)
}

fn grant(world: &World, call: &Call, query: &Fields, entry: &mut Entry) -> Reply {
    if query.get("api-version").is_none() {
        let text = "Required query variable 'api-version' is missing";
        return wrong(400, "invalid_request", text);
    }
    issue(world, call, query, entry)
}

fn issue(world: &World, call: &Call, fields: &Fields, entry: &mut Entry) -> Reply {
    let Some(resource) = fields.get("resource") else {
        let text = "Required query variable 'resource' is missing";
        return wrong(400, "invalid_request", text);
    };
    entry.audience_requested = Some(resource.to_owned());
    let names = ["client_id", "clientid", "object_id", "principal_id", "msi_res_id", "mi_res_id"];
    let name = names.iter().find_map(|name| fields.get(name));
    entry.client_id = name.map(str::to_owned);
    let Some(identity) = find(&call.settings.managed_identities, name) else {
        return wrong(400, "invalid_request", "Identity not found");
    };
    if !entra::is_known(resource, &call.settings) {
        let text = format!(
            "AADSTS500011: The resource principal named {resource} was not found in the tenant named {}.",
            identity.tenant
        );
        return wrong(400, "invalid_resource", &text);
    }
    let principal = Principal {
        tenant: identity.tenant.clone(),
        object_id: identity.object_id.clone(),
        app_id: identity.client_id.clone(),
        ..Principal::default()
    };
    let issued = tokens::mint_access(world, call, &identity.cloud, &principal, resource);
    let answer = answer(call, identity, resource, &issued);
    entry.issued = Some(issued.facts);
    wire::json(200, &answer)
}

fn find<'a>(all: &'a [ManagedIdentity], name: Option<&str>) -> Option<&'a ManagedIdentity> {
    let Some(name) = name else {
        return all.first();
    };
    all.iter().find(|identity| {
        name == identity.client_id || name == identity.object_id || name.eq_ignore_ascii_case(&identity.resource_id)
    })
}

/// The times are numbers in strings, as the real services write them.
fn answer(call: &Call, identity: &ManagedIdentity, resource: &str, issued: &Issued) -> Value {
    let life = call.settings.entra_token_life;
    json!({
        "access_token": issued.token,
        "client_id": identity.client_id,
        "expires_in": life.to_string(),
        "expires_on": (call.now + life).to_string(),
        "ext_expires_in": life.to_string(),
        "not_before": (call.now - 300).to_string(),
        "resource": resource,
        "token_type": "Bearer",
    })
}

fn wrong(status: u16, error: &str, text: &str) -> Reply {
    wire::json(status, &json!({"error": error, "error_description": text}))
}
