//! What sign-in libraries look up before they ask for a token.

use serde_json::{Value, json};

use super::{Desk, Outcome};
use crate::wire::{self, Reply};

impl Desk<'_> {
    pub(super) fn openid_configuration(&self, tenant: &str) -> Outcome {
        let placeholder = ["organizations", "common"].contains(&tenant);
        let id = if placeholder {
            "{tenantid}"
        } else {
            self.tenant(tenant)?.id.as_str()
        };
        let host = &self.call.host;
        let page = |page: &str| Value::from(format!("https://{host}/{tenant}/{page}"));
        Ok(json!({
            "issuer": format!("https://{host}/{id}/v2.0"),
            "token_endpoint": page("oauth2/v2.0/token"),
            "authorization_endpoint": page("oauth2/v2.0/authorize"),
            "device_authorization_endpoint": page("oauth2/v2.0/devicecode"),
            "end_session_endpoint": page("oauth2/v2.0/logout"),
            "jwks_uri": page("discovery/v2.0/keys"),
            "token_endpoint_auth_methods_supported":
                ["client_secret_post", "private_key_jwt", "client_secret_basic"],
            "response_modes_supported": ["query", "fragment", "form_post"],
            "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["ES256"],
            "scopes_supported": ["openid", "profile", "email", "offline_access"],
            "claims_supported": ["sub", "iss", "aud", "exp", "iat", "nonce", "tid", "oid"],
            "tenant_region_scope": "EU",
            "cloud_instance_name": host,
        }))
    }

    /// Which hosts are one authority, as MSAL asks any of them.
    pub(super) fn instance_discovery(&self) -> Reply {
        let settings = &self.call.settings;
        let asked = self
            .call
            .query
            .get("authorization_endpoint")
            .unwrap_or_default();
        let host = asked
            .trim_start_matches("https://")
            .split('/')
            .next()
            .unwrap_or_default();
        let tenant = asked
            .trim_start_matches("https://")
            .split('/')
            .nth(1)
            .unwrap_or("common");
        if !settings
            .authorities
            .iter()
            .any(|authority| authority.host == host)
        {
            return wire::json(400, &json!({"error": "invalid_instance"}));
        }
        let mut clouds: Vec<&str> = settings
            .authorities
            .iter()
            .map(|authority| authority.cloud.as_str())
            .collect();
        clouds.dedup();
        let metadata: Vec<Value> = clouds
            .iter()
            .map(|cloud| {
                let hosts: Vec<&str> = settings
                    .authorities
                    .iter()
                    .filter(|authority| authority.cloud == *cloud)
                    .map(|authority| authority.host.as_str())
                    .collect();
                json!({
                    "preferred_network": hosts[0], "preferred_cache": hosts[0], "aliases": hosts,
                })
            })
            .collect();
        wire::json(
            200,
            &json!({
                "tenant_discovery_endpoint":
                    format!("https://{host}/{tenant}/v2.0/.well-known/openid-configuration"),
                "api-version": "1.1",
                "metadata": metadata,
            }),
        )
    }
}
