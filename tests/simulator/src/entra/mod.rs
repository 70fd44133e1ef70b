//! Entra: the pages of an authority.

mod assertion;
mod browser;
mod clients;
mod discovery;
mod errors;
mod pages;
mod sessions;
mod users;

use hyper::Method;
use serde_json::{Value, json};

use crate::call::{Call, Fields};
use crate::journal::Entry;
use crate::people::Tenant;
use crate::random;
use crate::settings::{ACR_AUDIENCE, Settings};
use crate::tokens::{self, Principal};
use crate::wire::{self, Reply, with};
use crate::world::World;
use errors::Refusal;
pub(crate) use sessions::Sessions;

/// A request to an authority, with what it is about.
pub(crate) struct Desk<'a> {
    pub(crate) world: &'a World,
    pub(crate) call: &'a Call,
    /// The cloud that the authority signs in to.
    pub(crate) cloud: &'a str,
}

/// What a token request came to.
type Outcome = Result<Value, Refusal>;

impl Desk<'_> {
    /// The answer to any request to an authority.
    pub(crate) fn answer(&self, entry: &mut Entry) -> Reply {
        let path: Vec<&str> = self.call.path.trim_matches('/').split('/').collect();
        let reply = match (&self.call.method, path.as_slice()) {
            (&Method::POST, [tenant, "oauth2", "v2.0", "token"]) => self.token(tenant, entry),
            (&Method::POST, [tenant, "oauth2", "v2.0", "devicecode"]) => {
                self.written(self.device_code(tenant, entry))
            }
            (&Method::GET | &Method::POST, [tenant, "oauth2", "v2.0", "authorize"]) => {
                self.authorize(tenant, entry)
            }
            (&Method::GET | &Method::POST, ["devicelogin"]) if self.call.settings.has_pages() => {
                self.device_login()
            }
            (&Method::GET, [tenant, "v2.0", ".well-known", "openid-configuration"]) => {
                self.written(self.openid_configuration(tenant))
            }
            (&Method::GET, ["common", "discovery", "instance"]) => self.instance_discovery(),
            (&Method::GET, [_, "discovery", "v2.0", "keys"]) => wire::json(
                200,
                &json!({"keys": [self.world.entra_key(self.cloud).jwk()]}),
            ),
            _ => wire::empty(404),
        };
        headers(reply)
    }

    fn written(&self, outcome: Outcome) -> Reply {
        match outcome {
            Ok(body) => wire::json(200, &body),
            Err(refusal) => refusal.reply(self.call),
        }
    }

    fn token(&self, tenant: &str, entry: &mut Entry) -> Reply {
        entry.tenant = Some(tenant.to_owned());
        let outcome = match self.call.form() {
            Some(form) => self.grant(tenant, &form, entry),
            None => Err(Refusal::missing("grant_type")),
        };
        self.written(outcome)
    }

    fn grant(&self, tenant: &str, form: &Fields, entry: &mut Entry) -> Outcome {
        let grant = form
            .get("grant_type")
            .ok_or_else(|| Refusal::missing("grant_type"))?;
        entry.grant = Some(grant.to_owned());
        entry.audience_requested = form.get("scope").map(str::to_owned);
        match grant {
            "client_credentials" => self.client_credentials(tenant, form, entry),
            "refresh_token" => self.refresh(tenant, form, entry),
            "authorization_code" => self.redeem_code(tenant, form, entry),
            "device_code" | "urn:ietf:params:oauth:grant-type:device_code" => {
                self.redeem_device_code(tenant, form, entry)
            }
            other => Err(Refusal::other(
                "unsupported_grant_type",
                70_003,
                format!("The app requested an unsupported grant type '{other}'."),
            )),
        }
    }

    fn client_credentials(&self, tenant: &str, form: &Fields, entry: &mut Entry) -> Outcome {
        let tenant = self.tenant(tenant)?;
        let principal = self.authenticate(tenant, form, entry)?;
        let scopes = form.words("scope");
        let [scope] = scopes.as_slice() else {
            return Err(if scopes.is_empty() {
                Refusal::missing("scope")
            } else {
                invalid_client_scope(&scopes.join(" "))
            });
        };
        let resource = scope
            .strip_suffix("/.default")
            .ok_or_else(|| invalid_client_scope(scope))?;
        self.known(resource, tenant)?;
        let issued = tokens::mint_access(self.world, self.call, self.cloud, &principal, resource);
        entry.issued = Some(issued.facts);
        let life = self.call.settings.entra_token_life(&principal);
        Ok(json!({
            "token_type": "Bearer", "expires_in": life, "ext_expires_in": life,
            "access_token": issued.token,
        }))
    }

    /// The tenant of a path.
    fn tenant(&self, name: &str) -> Result<&Tenant, Refusal> {
        let found = self.call.settings.tenant(name, self.cloud);
        found.ok_or_else(|| {
            if is_guid(name) || name.contains('.') {
                return Refusal::request(
                    90_002,
                    format!(
                        "Tenant '{name}' not found. Check to make sure you have the correct tenant ID and are signing \
                         into the correct cloud. Check with your subscription administrator, this may happen if there \
                         are no active subscriptions for the tenant."
                    ),
                );
            }
            Refusal::request(
                900_023,
                format!("Specified tenant identifier '{name}' is neither a valid DNS name, nor a valid external domain."),
            )
        })
    }

    /// Refuses a resource that the tenant has never heard of, such as a registry's own address.
    fn known(&self, resource: &str, tenant: &Tenant) -> Result<(), Refusal> {
        if is_known(resource, self.cloud, &self.call.settings) {
            return Ok(());
        }
        let text = format!(
            "The resource principal named {resource} was not found in the tenant named {}. This can happen if the \
             application has not been installed by the administrator of the tenant or consented to by any user in the \
             tenant. You might have sent your authentication request to the wrong tenant.",
            tenant.name
        );
        Err(Refusal::other("invalid_resource", 500_011, text))
    }

    /// The principal of an app's or user's own sign-in is journaled under the client it signed in with.
    fn note_client(form: &Fields, entry: &mut Entry) {
        entry.client_id = form.get("client_id").map(str::to_owned);
    }
}

/// Whether a cloud's Entra issues tokens for this resource.
pub(crate) fn is_known(resource: &str, cloud: &str, settings: &Settings) -> bool {
    let bare = resource.trim_end_matches('/');
    let registries = settings
        .registries
        .iter()
        .filter(|registry| registry.cloud() == cloud);
    let audiences = settings
        .audiences
        .iter()
        .chain(registries.flat_map(|registry| &registry.audiences));
    bare == ACR_AUDIENCE
        || audiences.into_iter().any(|known| known == bare)
        || tokens::is_arm(bare)
        || bare == "https://graph.microsoft.com"
}

fn invalid_client_scope(scope: &str) -> Refusal {
    let text = format!(
        "The provided value for scope {scope} is not valid. Client credential flows must have a scope value with \
         /.default suffixed to the resource identifier (application ID URI)."
    );
    Refusal::other("invalid_scope", 1_002_012, text)
}

fn is_guid(name: &str) -> bool {
    name.len() == 36
        && name.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

fn headers(reply: Reply) -> Reply {
    let reply = with(reply, "cache-control", "no-store, no-cache");
    let reply = with(reply, "pragma", "no-cache");
    let reply = with(
        reply,
        "strict-transport-security",
        "max-age=31536000; includeSubDomains",
    );
    let reply = with(reply, "x-content-type-options", "nosniff");
    let reply = with(reply, "x-ms-request-id", &random::guid());
    with(reply, "x-ms-ests-server", "2.1.22222.3 - SIM ProdSlices")
}

/// An app's principal in its tenant.
fn app_principal(app: &crate::people::App) -> Principal {
    Principal {
        tenant: app.tenant.clone(),
        object_id: app.object_id.clone(),
        app_id: app.client_id.clone(),
        ..Principal::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registrys_own_address_is_no_resource() {
        let settings = Settings::default();
        assert!(is_known(
            "https://containerregistry.azure.net",
            "AzureCloud",
            &settings
        ));
        assert!(is_known(
            "https://management.core.windows.net/",
            "AzureCloud",
            &settings
        ));
        assert!(!is_known(
            "https://contoso.azurecr.io",
            "AzureCloud",
            &settings
        ));
    }
}
