//! Where workloads get an assertion of who they are: GitHub Actions and Azure Pipelines, both in the simulator's own name.

use serde_json::{Value, json};

use crate::call::Call;
use crate::journal::Entry;
use crate::random;
use crate::settings::{ASSERTION_AUDIENCE, FEDERATED_ISSUER};
use crate::tokens;
use crate::wire::{self, Reply, with};
use crate::world::World;

/// Whether a host is where GitHub Actions or Azure Pipelines issue assertions.
pub(crate) fn is_issuer(host: &str) -> bool {
    host.ends_with(".actions.githubusercontent.com") || host == "dev.azure.com"
}

/// The claims of an assertion that is valid from now on for ten minutes.
pub(crate) fn claims(now: i64, subject: &str, audience: &str) -> Value {
    json!({
        "iss": FEDERATED_ISSUER, "sub": subject, "aud": audience, "jti": random::guid(),
        "iat": now, "nbf": now - 60, "exp": now + 600,
    })
}

/// `GET …&audience=…`, the value of `ACTIONS_ID_TOKEN_REQUEST_URL` with an audience added.
pub(crate) fn github(world: &World, call: &Call, entry: &mut Entry) -> Reply {
    if let Some(refused) = refuse(call) {
        return refused;
    }
    let audience = call
        .query
        .get("audience")
        .unwrap_or("https://github.com/contoso");
    let assertion = issue(world, call, audience, entry);
    wire::json(200, &json!({"count": assertion.len(), "value": assertion}))
}

/// `POST` to `SYSTEM_OIDCREQUESTURI` with an API version and a service connection.
pub(crate) fn pipelines(world: &World, call: &Call, entry: &mut Entry) -> Reply {
    if let Some(refused) = refuse(call) {
        // Without this header the real service sends a browser's sign-in page instead of 401.
        let is_suppressed = call.header("x-tfs-fedauthredirect") == Some("Suppress");
        return if is_suppressed {
            refused
        } else {
            with(
                wire::empty(302),
                "location",
                "https://spsprodeus2.vssps.visualstudio.com/_signin",
            )
        };
    }
    let has = |name: &str| call.query.get(name).is_some();
    if !has("api-version") || !has("serviceConnectionId") {
        return wire::json(
            400,
            &json!({"message": "api-version and serviceConnectionId are required"}),
        );
    }
    let assertion = issue(world, call, ASSERTION_AUDIENCE, entry);
    wire::json(200, &json!({"oidcToken": assertion}))
}

fn refuse(call: &Call) -> Option<Reply> {
    let is_good = call.bearer() == Some(call.settings.oidc_request_token.as_str());
    (!is_good).then(|| wire::json(401, &json!({"message": "Unauthorized"})))
}

fn issue(world: &World, call: &Call, audience: &str, entry: &mut Entry) -> String {
    entry.audience_requested = Some(audience.to_owned());
    let claims = claims(call.now, &call.settings.oidc_subject, audience);
    let assertion = world.federation_key.sign(&claims);
    entry.issued = tokens::facts(&assertion);
    assertion
}
