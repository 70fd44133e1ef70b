//! A registry's own tokens: refresh tokens, and the access tokens that `/v2/` wants.

use serde_json::{Value, json};

use super::{Issued, Principal, Refusal, check_times, issue};
use crate::call::Call;
use crate::random;
use crate::registries::Registry;
use crate::settings::Settings;
use crate::world::{Stamp, World};

/// The subject of an anonymous client's token.
const ANONYMOUS: &str = "acr_anon_pull";
/// The issuer of every token of a registry.
pub(crate) const ISSUER: &str = "Azure Container Registry";
/// How far the times of issue are dated back.
const BACK_DATED: i64 = 900;

/// A registry's refresh token.
pub(crate) fn mint_refresh(
    world: &World,
    call: &Call,
    registry: &Registry,
    principal: &Principal,
    service: &str,
) -> Issued {
    let id = random::guid();
    let stamp = Stamp {
        abac: registry.abac,
        generation: registry.generation,
    };
    world.stamp(&id, stamp);
    let permissions = if registry.abac {
        Vec::new()
    } else {
        registry.all_actions(principal)
    };
    let mut claims = json!({
        "jti": id,
        "sub": principal.upn.as_ref().unwrap_or(&principal.object_id),
        "nbf": call.now - BACK_DATED, "iat": call.now - BACK_DATED,
        "exp": call.now + call.settings.refresh_token_life,
        "iss": ISSUER, "aud": service, "version": "1.0", "rid": random::hex(),
        "grant_type": "refresh_token",
        "appid": principal.app_id, "tenant": principal.tenant,
        "permissions": {"Actions": control_plane_actions(&permissions), "NotActions": null},
        "roles": [],
    });
    let issued = issue(&world.registry_key, &claims);
    let missing = call
        .settings
        .refresh_token_bytes
        .saturating_sub(issued.token.len());
    if missing == 0 {
        return issued;
    }
    // A real token is longer by its RSA signature. Base64 turns three bytes into four; the name takes ten.
    claims["padding"] = random::text(missing * 3 / 4).into();
    issue(&world.registry_key, &claims)
}

/// The actions as a refresh token's `permissions` name them.
fn control_plane_actions(actions: &[String]) -> Vec<&'static str> {
    let has = |wanted: &str| actions.iter().any(|action| action == wanted);
    let mut named = Vec::new();
    if has("pull") {
        named.push("read");
    }
    if has("push") {
        named.push("write");
    }
    if has("delete") {
        named.extend(["delete", "deleted/read", "deleted/restore/action"]);
    }
    named
}

/// Who a registry's refresh token is for, if it is good at this registry.
pub(crate) fn verify_refresh(
    world: &World,
    call: &Call,
    registry: &Registry,
    token: &str,
) -> Result<Principal, Refusal> {
    let claims = world.registry_key.verify(token)?;
    check_times(&claims, call.now)?;
    if !registry.is_called(claims["aud"].as_str().unwrap_or_default(), &call.settings) {
        return Err(Refusal::Audience);
    }
    let stamp = Stamp {
        abac: registry.abac,
        generation: registry.generation,
    };
    let is_current = world.stamp_of(claims["jti"].as_str().unwrap_or_default()) == Some(stamp);
    if claims["grant_type"] != "refresh_token" || !is_current {
        return Err(Refusal::Kind);
    }
    Ok(subject_of(&claims, &call.settings))
}

/// Who a registry's token is for.
pub(crate) fn subject_of(claims: &Value, settings: &Settings) -> Principal {
    let text = |name: &str| claims[name].as_str().unwrap_or_default().to_owned();
    let subject = text("sub");
    let user = settings.users.iter().find(|user| user.upn == subject);
    Principal {
        tenant: text("tenant"),
        object_id: user.map_or_else(|| subject.clone(), |user| user.object_id.clone()),
        app_id: text("appid"),
        upn: user.map(|user| user.upn.clone()),
        name: user.map(|user| user.name.clone()),
    }
}

/// A registry access token; `principal` is none for an anonymous client.
pub(crate) fn mint_registry_access(
    world: &World,
    call: &Call,
    principal: Option<&Principal>,
    service: &str,
    access: &Value,
) -> Issued {
    let settings = &call.settings;
    let life = match principal {
        Some(_) => settings.registry_access_token_life,
        None => settings.anonymous_token_life,
    };
    let subject = principal.map_or(ANONYMOUS, |principal| {
        principal.upn.as_ref().unwrap_or(&principal.object_id)
    });
    let mut claims = json!({
        "jti": random::guid(),
        "sub": subject,
        "nbf": call.now - BACK_DATED, "iat": call.now - BACK_DATED, "exp": call.now + life,
        "iss": ISSUER, "aud": service, "version": "1.0", "rid": random::hex(),
        "access": access, "roles": [], "grant_type": "access_token",
    });
    if let Some(principal) = principal {
        claims["appid"] = principal.app_id.as_str().into();
        claims["tenant"] = principal.tenant.as_str().into();
    }
    issue(&world.registry_key, &claims)
}

/// The claims of a registry access token, if it is good at this registry.
pub(crate) fn verify_registry_access(
    world: &World,
    call: &Call,
    registry: &Registry,
    token: &str,
) -> Result<Value, Refusal> {
    let claims = world.registry_key.verify(token)?;
    check_times(&claims, call.now)?;
    if !registry.is_called(claims["aud"].as_str().unwrap_or_default(), &call.settings) {
        return Err(Refusal::Audience);
    }
    if claims["grant_type"] != "access_token" {
        return Err(Refusal::Kind);
    }
    Ok(claims)
}
