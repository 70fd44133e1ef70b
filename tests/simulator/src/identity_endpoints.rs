//! Where machines get tokens without a credential: the metadata service of virtual machines, and the identity endpoints of
//! App Service and Container Apps, of Azure ML, of Cloud Shell and of Azure Arc.

use hyper::Method;
use serde_json::{Value, json};

use crate::arc;
use crate::call::{Call, Fields};
use crate::entra;
use crate::journal::Entry;
use crate::people::ManagedIdentity;
use crate::platforms::{IdentityName, Platform};
use crate::tokens::{self, Issued, Principal};
use crate::wire::{self, Reply};
use crate::world::World;

/// The answer to any request for a managed identity's token.
pub(crate) fn answer(world: &World, call: &Call, platform: Platform, entry: &mut Entry) -> Reply {
    let refused = match platform {
        Platform::Imds => refuse_imds(call),
        Platform::ImdsCloud => return refuse_imds(call).unwrap_or_else(|| cloud(call)),
        Platform::AppService => refuse_header(call, "x-identity-header"),
        Platform::AzureMl => refuse_header(call, "secret"),
        Platform::Arc => arc::refuse(world, call),
        Platform::CloudShell => return cloud_shell(world, call, entry),
    };
    refused.unwrap_or_else(|| grant(world, call, platform, entry))
}

/// Why the metadata service of virtual machines answers no `GET /metadata/identity/oauth2/token`.
fn refuse_imds(call: &Call) -> Option<Reply> {
    if let Some(refused) = refuse_without_metadata(call) {
        return Some(refused);
    }
    if call.header("x-forwarded-for").is_some() {
        return Some(wrong(
            400,
            "invalid_request",
            "Requests through a proxy are refused",
        ));
    }
    (call.method != Method::GET).then(|| wrong(405, "invalid_request", "The method is not allowed"))
}

/// The cloud that the virtual machine is in (Microsoft, "Azure Instance Metadata Service").
fn cloud(call: &Call) -> Reply {
    let is_whole =
        call.query.get("api-version").is_some() && call.query.get("format") == Some("text");
    match (is_whole, &call.settings.machine_cloud) {
        (false, _) => wrong(
            400,
            "Bad request",
            "api-version was not specified in the request",
        ),
        (true, None) => wrong(404, "Not found", "The requested resource is not found"),
        (true, Some(cloud)) => wire::reply(200, "text/plain; charset=utf-8", cloud.clone()),
    }
}

/// Why a service that other programs of the machine could be tricked into asking does not answer.
pub(crate) fn refuse_without_metadata(call: &Call) -> Option<Reply> {
    let is_metadata = call
        .header("metadata")
        .is_some_and(|value| value.eq_ignore_ascii_case("true"));
    (!is_metadata).then(|| {
        wrong(
            400,
            "invalid_request",
            "Required metadata header not specified",
        )
    })
}

/// Why App Service (2019-08-01) or Azure ML (2017-09-01) answers no `GET /msi/token`.
fn refuse_header(call: &Call, header: &str) -> Option<Reply> {
    let is_known = call.header(header) == Some(call.settings.identity_header.as_str());
    (!is_known).then(|| {
        wrong(
            401,
            "unauthorized",
            "The identity header is missing or wrong",
        )
    })
}

/// Cloud Shell's `POST /msi/token`.
fn cloud_shell(world: &World, call: &Call, entry: &mut Entry) -> Reply {
    let is_metadata = call.header("metadata") == Some("true");
    match call.form() {
        Some(form) if is_metadata => issue(world, call, Platform::CloudShell, &form, entry),
        _ => wrong(
            400,
            "invalid_request",
            "A form and the header Metadata are required",
        ),
    }
}

fn grant(world: &World, call: &Call, platform: Platform, entry: &mut Entry) -> Reply {
    if call.query.get("api-version").is_none() {
        let text = "Required query variable 'api-version' is missing";
        return wrong(400, "invalid_request", text);
    }
    issue(world, call, platform, &call.query, entry)
}

fn issue(
    world: &World,
    call: &Call,
    platform: Platform,
    fields: &Fields,
    entry: &mut Entry,
) -> Reply {
    let Some(resource) = fields.get("resource") else {
        let text = "Required query variable 'resource' is missing";
        return wrong(400, "invalid_request", text);
    };
    entry.audience_requested = Some(resource.to_owned());
    let name = platform
        .identity_parameters()
        .iter()
        .find_map(|(parameter, kind)| Some((*kind, fields.get(parameter)?)));
    entry.client_id = name.map(|(_, name)| name.to_owned());
    let Some(identity) = find(&call.settings.managed_identities, name) else {
        return wrong(400, "invalid_request", "Identity not found");
    };
    if !entra::is_known(resource, &identity.cloud, &call.settings) {
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
    let answer = granted(call, identity, resource, &issued);
    entry.issued = Some(issued.facts);
    wire::json(200, &answer)
}

fn find<'a>(
    all: &'a [ManagedIdentity],
    name: Option<(IdentityName, &str)>,
) -> Option<&'a ManagedIdentity> {
    let Some((kind, name)) = name else {
        return all.first();
    };
    all.iter().find(|identity| match kind {
        IdentityName::Client => name == identity.client_id,
        IdentityName::Object => name == identity.object_id,
        IdentityName::Resource => name.eq_ignore_ascii_case(&identity.resource_id),
    })
}

/// The times are numbers in strings, as the real services write them.
fn granted(call: &Call, identity: &ManagedIdentity, resource: &str, issued: &Issued) -> Value {
    let life = call.settings.app_token_life;
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

/// A refusal in the shape of these endpoints.
pub(crate) fn wrong(status: u16, error: &str, text: &str) -> Reply {
    wire::json(status, &json!({"error": error, "error_description": text}))
}
