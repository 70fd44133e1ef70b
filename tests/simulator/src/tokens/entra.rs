//! Entra's access tokens, and who takes them.

use serde_json::{Value, json};

use super::{Issued, Principal, Refusal, check_times, issue};
use crate::call::Call;
use crate::random;
use crate::registries::Registry;
use crate::settings::{ACR_APP_ID, ACR_AUDIENCE};
use crate::world::World;

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
    let host = resource
        .trim_start_matches("https://")
        .trim_end_matches('/');
    HOSTS.contains(&host)
}

/// An Entra access token for a resource.
pub(crate) fn mint_access(
    world: &World,
    call: &Call,
    cloud: &str,
    principal: &Principal,
    resource: &str,
) -> Issued {
    let (now, settings) = (call.now, &call.settings);
    let is_registries = resource == ACR_AUDIENCE && settings.audience_as_app_id;
    let Principal {
        tenant,
        object_id,
        app_id,
        ..
    } = principal;
    let mut claims = json!({
        "aud": if is_registries { ACR_APP_ID } else { resource },
        "iss": format!("https://{}/{tenant}/", issuer_host(cloud)),
        "iat": now - 300, "nbf": now - 300, "exp": now + settings.entra_token_life(principal),
        "aio": random::text(40),
        "appid": app_id,
        "idp": format!("https://{}/{}/", issuer_host(cloud), settings.home_of(principal)),
        "oid": object_id, "sub": object_id, "tid": tenant,
        "uti": random::text(22),
        "ver": "1.0",
    });
    if let Some(upn) = &principal.upn {
        claims["appidacr"] = "0".into();
        claims["scp"] = "user_impersonation".into();
        claims["amr"] = json!(["pwd", "mfa"]);
        claims["upn"] = upn.as_str().into();
        claims["unique_name"] = upn.as_str().into();
        claims["name"] = principal.name.as_deref().unwrap_or(upn).into();
    } else {
        claims["appidacr"] = "1".into();
        claims["idtyp"] = "app".into();
    }
    issue(&world.entra_key(cloud), &claims)
}

/// Who issues version 1 tokens in a cloud.
fn issuer_host(cloud: &str) -> &'static str {
    match cloud {
        "AzureChinaCloud" => "sts.chinacloudapi.cn",
        _ => "sts.windows.net",
    }
}

/// Who an Entra access token is for, if this registry takes it.
pub(crate) fn verify_access(
    world: &World,
    call: &Call,
    registry: &Registry,
    token: &str,
) -> Result<Principal, Refusal> {
    let claims = world.entra_key(registry.cloud()).verify(token)?;
    check_times(&claims, call.now)?;
    let audience = claims["aud"]
        .as_str()
        .unwrap_or_default()
        .trim_end_matches('/');
    let is_registries = registry
        .audiences(&call.settings)
        .iter()
        .any(|known| known == audience);
    if is_arm(audience) && !registry.accept_arm_tokens {
        return Err(Refusal::Arm);
    }
    if !is_registries && !is_arm(audience) {
        return Err(Refusal::Audience);
    }
    if claims["tid"] != registry.tenant.as_str() {
        return Err(Refusal::Tenant);
    }
    Ok(principal_of(&claims))
}

/// Who an Entra access token is for, if Azure Resource Manager takes it.
pub(crate) fn verify_arm_access(
    world: &World,
    call: &Call,
    cloud: &str,
    token: &str,
) -> Result<Principal, Refusal> {
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
