//! The three kinds of token: minted and verified.

use serde_json::{Value, json};

use crate::call::Call;
use crate::journal::TokenFacts;
use crate::jwt::{Invalid, Parts, SigningKey};
use crate::random;
use crate::registries::Registry;
use crate::settings::{ACR_APP_ID, ACR_AUDIENCE, Settings};
use crate::world::{Stamp, World};

/// The subject of an anonymous client's token.
const ANONYMOUS: &str = "acr_anon_pull";
/// The issuer of every token of a registry.
pub(crate) const REGISTRY_ISSUER: &str = "Azure Container Registry";
/// How far the times of issue are dated back.
const BACK_DATED: i64 = 900;

/// Somebody who has signed in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Principal {
    pub(crate) tenant: String,
    pub(crate) object_id: String,
    /// The client id of the app; of a user's sign-in, that of the program signed in with.
    pub(crate) app_id: String,
    /// The user principal name, of users only.
    pub(crate) upn: Option<String>,
    /// The name shown, of users only.
    pub(crate) name: Option<String>,
}

/// A token and what may be journaled of it.
pub(crate) struct Issued {
    pub(crate) token: String,
    pub(crate) facts: TokenFacts,
}

/// What is wrong with a token presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Not signed by whom it should be.
    Forged,
    /// Expired, or not valid yet.
    Time,
    /// For somebody else.
    Audience,
    /// For Azure Resource Manager, which this registry does not accept.
    Arm,
    /// Of another tenant.
    Tenant,
    /// Another kind of token, or one that was revoked.
    Kind,
}

impl From<Invalid> for Refusal {
    fn from(_: Invalid) -> Self {
        Self::Forged
    }
}

/// Whether a resource is Azure Resource Manager, in any cloud.
pub(crate) fn is_arm(resource: &str) -> bool {
    const HOSTS: [&str; 8] = [
        "management.azure.com",
        "management.core.windows.net",
        "management.usgovcloudapi.net",
        "management.core.usgovcloudapi.net",
        "management.chinacloudapi.cn",
        "management.core.chinacloudapi.cn",
        "management.microsoftazure.de",
        "management.sovcloud-api.fr",
    ];
    let host = resource.trim_start_matches("https://").trim_end_matches('/');
    HOSTS.contains(&host)
}

/// What can be told of a token, believed or not.
pub(crate) fn facts(token: &str) -> Option<TokenFacts> {
    Parts::read(token).map(|parts| facts_of(&parts.claims))
}

fn facts_of(claims: &Value) -> TokenFacts {
    let text = |name: &str| claims[name].as_str().map(str::to_owned);
    TokenFacts {
        audience: text("aud").unwrap_or_default(),
        subject: text("sub").unwrap_or_default(),
        app_id: text("appid"),
        tenant: text("tid").or_else(|| text("tenant")),
    }
}

fn issue(key: &SigningKey, claims: &Value) -> Issued {
    Issued { token: key.sign(claims), facts: facts_of(claims) }
}

fn check_times(claims: &Value, now: i64) -> Result<(), Refusal> {
    let at = |name: &str| claims[name].as_i64().ok_or(Refusal::Time);
    if at("nbf")? <= now && now < at("exp")? { Ok(()) } else { Err(Refusal::Time) }
}

/// An Entra access token for a resource.
pub(crate) fn mint_access(world: &World, call: &Call, cloud: &str, principal: &Principal, resource: &str) -> Issued {
    let (now, settings) = (call.now, &call.settings);
    let is_registries = resource == ACR_AUDIENCE && settings.audience_as_app_id;
    let Principal { tenant, object_id, app_id, .. } = principal;
    let mut claims = json!({
        "aud": if is_registries { ACR_APP_ID } else { resource },
        "iss": format!("https://{}/{tenant}/", issuer_host(cloud)),
        "iat": now - 300, "nbf": now - 300, "exp": now + settings.entra_token_life,
        "aio": random::text(40),
        "appid": app_id,
        "idp": format!("https://{}/{tenant}/", issuer_host(cloud)),
        "oid": object_id, "sub": object_id, "tid": tenant,
        "uti": random::text(22),
        "ver": "1.0",
    });
    match (&principal.upn, &principal.name) {
        (Some(upn), name) => {
            claims["appidacr"] = "0".into();
            claims["scp"] = "user_impersonation".into();
            claims["amr"] = json!(["pwd", "mfa"]);
            claims["upn"] = upn.as_str().into();
            claims["unique_name"] = upn.as_str().into();
            claims["name"] = name.as_deref().unwrap_or(upn).into();
        }
        (None, _) => {
            claims["appidacr"] = "1".into();
            claims["idtyp"] = "app".into();
        }
    }
    issue(&world.entra_key(cloud), &claims)
}

/// Who issues version 1 tokens in a cloud.
fn issuer_host(cloud: &str) -> &'static str {
    match cloud {
        "AzureChinaCloud" => "sts.chinacloudapi.cn",
        "AzureGermanCloud" => "sts.microsoftonline.de",
        _ => "sts.windows.net",
    }
}

/// Who an Entra access token is for, if this registry takes it.
pub(crate) fn verify_access(world: &World, call: &Call, registry: &Registry, token: &str) -> Result<Principal, Refusal> {
    let claims = world.entra_key(registry.cloud()).verify(token)?;
    check_times(&claims, call.now)?;
    let audience = claims["aud"].as_str().unwrap_or_default().trim_end_matches('/');
    let is_registries = call.settings.audiences.iter().any(|known| known == audience);
    if !is_registries && !(is_arm(audience) && registry.accept_arm_tokens) {
        return Err(if is_arm(audience) { Refusal::Arm } else { Refusal::Audience });
    }
    if claims["tid"] != registry.tenant.as_str() {
        return Err(Refusal::Tenant);
    }
    Ok(principal_of(&claims))
}

/// Who an Entra access token is for, if Azure Resource Manager takes it.
pub(crate) fn verify_arm_access(world: &World, call: &Call, cloud: &str, token: &str) -> Result<Principal, Refusal> {
    let claims = world.entra_key(cloud).verify(token)?;
    check_times(&claims, call.now)?;
    if !is_arm(claims["aud"].as_str().unwrap_or_default()) {
        return Err(Refusal::Audience);
    }
    Ok(principal_of(&claims))
}

fn principal_of(claims: &Value) -> Principal {
    let text = |name: &str| claims[name].as_str().map(str::to_owned);
    Principal {
        tenant: text("tid").unwrap_or_default(),
        object_id: text("oid").unwrap_or_default(),
        app_id: text("appid").unwrap_or_default(),
        upn: text("upn"),
        name: text("name"),
    }
}

/// A registry's refresh token.
pub(crate) fn mint_refresh(world: &World, call: &Call, registry: &Registry, principal: &Principal, service: &str) -> Issued {
    let id = random::guid();
    let stamp = Stamp { abac: registry.abac, generation: registry.generation };
    world.stamp(&id, stamp);
    let permissions = if registry.abac { Vec::new() } else { registry.all_actions(principal) };
    let mut claims = json!({
        "jti": id,
        "sub": principal.upn.as_ref().unwrap_or(&principal.object_id),
        "nbf": call.now - BACK_DATED, "iat": call.now - BACK_DATED,
        "exp": call.now + call.settings.refresh_token_life,
        "iss": REGISTRY_ISSUER, "aud": service, "version": "1.0", "rid": random::hex(),
        "grant_type": "refresh_token",
        "appid": principal.app_id, "tenant": principal.tenant,
        "permissions": {"Actions": control_plane_actions(&permissions), "NotActions": null},
        "roles": [],
    });
    let issued = issue(&world.registry_key, &claims);
    let missing = call.settings.refresh_token_bytes.saturating_sub(issued.token.len());
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
pub(crate) fn verify_refresh(world: &World, call: &Call, registry: &Registry, token: &str) -> Result<Principal, Refusal> {
    let claims = world.registry_key.verify(token)?;
    check_times(&claims, call.now)?;
    if !registry.is_called(claims["aud"].as_str().unwrap_or_default()) {
        return Err(Refusal::Audience);
    }
    let stamp = Stamp { abac: registry.abac, generation: registry.generation };
    let is_current = world.stamp_of(claims["jti"].as_str().unwrap_or_default()) == Some(stamp);
    if claims["grant_type"] != "refresh_token" || !is_current {
        return Err(Refusal::Kind);
    }
    Ok(subject_of(&claims, &call.settings))
}

fn subject_of(claims: &Value, settings: &Settings) -> Principal {
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
    let subject = principal.map_or(ANONYMOUS, |principal| principal.upn.as_ref().unwrap_or(&principal.object_id));
    let mut claims = json!({
        "jti": random::guid(),
        "sub": subject,
        "nbf": call.now - BACK_DATED, "iat": call.now - BACK_DATED, "exp": call.now + life,
        "iss": REGISTRY_ISSUER, "aud": service, "version": "1.0", "rid": random::hex(),
        "access": access, "roles": [], "grant_type": "access_token",
    });
    if let Some(principal) = principal {
        claims["appid"] = principal.app_id.as_str().into();
        claims["tenant"] = principal.tenant.as_str().into();
    }
    issue(&world.registry_key, &claims)
}

/// The claims of a registry access token, if it is good at this registry.
pub(crate) fn verify_registry_access(world: &World, call: &Call, registry: &Registry, token: &str) -> Result<Value, Refusal> {
    let claims = world.registry_key.verify(token)?;
    check_times(&claims, call.now)?;
    if !registry.is_called(claims["aud"].as_str().unwrap_or_default()) {
        return Err(Refusal::Audience);
    }
    if claims["grant_type"] != "access_token" {
        return Err(Refusal::Kind);
    }
    Ok(claims)
}
