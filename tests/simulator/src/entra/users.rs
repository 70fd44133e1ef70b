//! Sign-in of users by device code and refresh token, and what users get. It is the first user that the tenant has
//! who signs in.

use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};

use super::errors::Refusal;
use super::sessions::{Device, SignIn, Standing};
use super::{Desk, Outcome, clients};
use crate::call::Fields;
use crate::journal::Entry;
use crate::people::{Tenant, User};
use crate::random;
use crate::tokens::{self, Principal};

/// What goes beside the resource's own scopes.
const OPENID_SCOPES: [&str; 4] = ["openid", "profile", "offline_access", "email"];
/// The names in a path that stand for the user's home tenant.
const ANY_TENANT: [&str; 2] = ["organizations", "common"];

impl Desk<'_> {
    pub(super) fn device_code(&self, tenant: &str, entry: &mut Entry) -> Outcome {
        let form = self
            .call
            .form()
            .ok_or_else(|| Refusal::missing("client_id"))?;
        entry.tenant = Some(tenant.to_owned());
        entry.audience_requested = form.get("scope").map(str::to_owned);
        let client_id = self.public_client(tenant, &form, entry)?;
        let scope = form.get("scope").ok_or_else(|| Refusal::missing("scope"))?;
        self.resource(scope, self.user_tenant(tenant)?)?;
        let user_code = random::hex()[..9].to_uppercase();
        let device = Device {
            client_id,
            scope: scope.to_owned(),
            pending: if self.call.settings.has_pages() {
                0
            } else {
                self.call.settings.device_code_polls
            },
            expires: self.call.now + self.call.settings.device_code_life,
            user_code: user_code.clone(),
            waits: self.call.settings.has_pages(),
            is_declined: false,
            claims: form.get("claims").map(str::to_owned),
        };
        let device_code = self.world.sessions.add_device(device);
        let page = "https://microsoft.com/devicelogin";
        Ok(json!({
            "user_code": user_code, "device_code": device_code, "verification_uri": page,
            "expires_in": self.call.settings.device_code_life, "interval": 1,
            "message": format!(
                "To sign in, use a web browser to open the page {page} and enter the code {user_code} to authenticate."
            ),
        }))
    }

    pub(super) fn redeem_device_code(
        &self,
        tenant: &str,
        form: &Fields,
        entry: &mut Entry,
    ) -> Outcome {
        let client_id = self.public_client(tenant, form, entry)?;
        let code = form.get("device_code").or_else(|| form.get("code"));
        let code = code.ok_or_else(|| Refusal::missing("device_code"))?;
        let refusal = |error, code, text: &str| Refusal::other(error, code, text.to_owned());
        entry.audience_requested = self.world.sessions.scope_of_device(code);
        match self.world.sessions.poll_device(code, self.call.now) {
            Standing::Pending => Err(refusal(
                "authorization_pending",
                70_016,
                "OAuth 2.0 device flow error. Authorization is pending. Continue polling.",
            )),
            Standing::Declined => Err(refusal(
                "authorization_declined",
                70_000,
                "OAuth 2.0 device flow error. The user declined the request.",
            )),
            Standing::Expired => Err(refusal(
                "expired_token",
                70_019,
                "Verification code expired. Have the user retry the sign-in.",
            )),
            Standing::Approved(device) if device.client_id == client_id => {
                let principal = self.user(tenant, &client_id)?;
                self.user_tokens(
                    &principal,
                    &device.scope,
                    form,
                    (None, device.claims),
                    entry,
                )
            }
            Standing::Unknown | Standing::Approved(_) => Err(refusal(
                "bad_verification_code",
                70_018,
                "Bad verification code. Unexpected device code.",
            )),
        }
    }

    pub(super) fn refresh(&self, tenant: &str, form: &Fields, entry: &mut Entry) -> Outcome {
        let client_id = self.public_client(tenant, form, entry)?;
        let token = form
            .get("refresh_token")
            .ok_or_else(|| Refusal::missing("refresh_token"))?;
        let expired = || {
            let text = "The refresh token has expired due to inactivity, or was never issued here.";
            Refusal::other("invalid_grant", 700_082, text.to_owned())
        };
        let sign_in = self.world.sessions.use_refresh_token(self.cloud, token);
        let sign_in = sign_in
            .filter(|sign_in| sign_in.principal.app_id == client_id)
            .ok_or_else(expired)?;
        let user = self
            .call
            .settings
            .user(&sign_in.principal.object_id)
            .ok_or_else(expired)?;
        self.judge(&sign_in)?;
        let scope = form
            .get("scope")
            .ok_or_else(|| Refusal::missing("scope"))?
            .to_owned();
        let tenant = self.tenant(if ANY_TENANT.contains(&tenant) {
            &user.tenant
        } else {
            tenant
        })?;
        let principal = member(user, tenant, &client_id)?;
        self.user_tokens(&principal, &scope, form, (None, sign_in.claims), entry)
    }

    /// Refuses a sign-in that was taken back, whose token was used too often, or of which a policy wants more.
    fn judge(&self, sign_in: &SignIn) -> Result<(), Refusal> {
        let settings = &self.call.settings;
        if sign_in.is_revoked {
            let text = "The provided grant has expired due to it being revoked, a fresh auth token is needed.";
            return Err(Refusal::other("invalid_grant", 50_173, text.to_owned()));
        }
        if settings
            .refresh_token_uses
            .is_some_and(|uses| sign_in.uses > uses)
        {
            let text = "The refresh token has already been used.";
            return Err(Refusal::other("invalid_grant", 700_082, text.to_owned()));
        }
        if settings.required_claims.is_some() && settings.required_claims != sign_in.claims {
            let text = "Due to a configuration change made by your administrator, you must use multi-factor authentication.";
            let refusal = Refusal::other("interaction_required", 50_076, text.to_owned());
            return Err(Refusal {
                claims: settings.required_claims.clone(),
                ..refusal
            });
        }
        Ok(())
    }

    /// A client that users may sign in with.
    pub(super) fn public_client(
        &self,
        tenant: &str,
        form: &Fields,
        entry: &mut Entry,
    ) -> Result<String, Refusal> {
        Self::note_client(form, entry);
        let tenant = self.user_tenant(tenant)?;
        let client_id = form
            .get("client_id")
            .ok_or_else(|| Refusal::missing("client_id"))?;
        let is_public = self
            .call
            .settings
            .public_clients
            .iter()
            .any(|known| known == client_id);
        if !is_public {
            self.app(client_id, tenant)
                .map_err(|_| clients::not_found(client_id, tenant))?;
        }
        Ok(client_id.to_owned())
    }

    /// The tenant of a path, where `organizations` and `common` stand for the home of the first user that this cloud knows.
    fn user_tenant(&self, name: &str) -> Result<&Tenant, Refusal> {
        if !ANY_TENANT.contains(&name) {
            return self.tenant(name);
        }
        let mut homes = self
            .call
            .settings
            .users
            .iter()
            .map(|user| user.tenant.as_str());
        let first = homes.clone().next().unwrap_or_default();
        let here = homes.find(|home| self.tenant(home).is_ok());
        self.tenant(here.unwrap_or(first))
    }

    /// Who approves a sign-in to a tenant.
    pub(super) fn user(&self, name: &str, client_id: &str) -> Result<Principal, Refusal> {
        let tenant = self.user_tenant(name)?;
        let users = &self.call.settings.users;
        let is_at_home = |user: &&User| user.tenant == tenant.id;
        let approver = if ANY_TENANT.contains(&name) {
            users.iter().find(is_at_home)
        } else {
            users.iter().find(|user| user.is_member_of(&tenant.id))
        };
        // Nobody but a stranger is left to try.
        let user = approver
            .or(users.first())
            .ok_or_else(|| stranger("", tenant, client_id))?;
        member(user, tenant, client_id)
    }

    /// The one resource that a list of scopes is about.
    fn resource(&self, scope: &str, tenant: &Tenant) -> Result<String, Refusal> {
        let mut resources: Vec<&str> = scope
            .split(' ')
            .filter(|word| !word.is_empty() && !OPENID_SCOPES.contains(word))
            .filter_map(|word| word.rsplit_once('/').map(|(resource, _)| resource))
            .collect();
        resources.dedup();
        let [resource] = resources.as_slice() else {
            let text = format!(
                "The provided value for the input parameter 'scope' is not valid. \
                 Expected a scope of exactly one resource, and got '{scope}'."
            );
            return Err(Refusal::other("invalid_scope", 70_011, text));
        };
        self.known(resource, tenant)?;
        Ok((*resource).to_owned())
    }

    pub(super) fn user_tokens(
        &self,
        principal: &Principal,
        scope: &str,
        form: &Fields,
        (nonce, claims): (Option<String>, Option<String>),
        entry: &mut Entry,
    ) -> Outcome {
        let resource = self.resource(scope, self.tenant(&principal.tenant)?)?;
        let issued = tokens::mint_access(self.world, self.call, self.cloud, principal, &resource);
        entry.issued = Some(issued.facts);
        let life = self.call.settings.entra_token_life(principal);
        let mut answer = json!({
            "token_type": "Bearer",
            "scope": format!("{resource}/user_impersonation {resource}/.default"),
            "expires_in": life, "ext_expires_in": life,
            "access_token": issued.token,
        });
        let asked = |wanted: &str| scope.split(' ').any(|word| word == wanted);
        if asked("offline_access") {
            let token =
                self.world
                    .sessions
                    .add_refresh_token(self.cloud, principal.clone(), claims);
            answer["refresh_token"] = token.into();
            answer["foci"] = "1".into();
        }
        if asked("openid") {
            answer["id_token"] = self.id_token(principal, nonce.as_deref()).into();
        }
        if form.get("client_info") == Some("1") {
            // Libraries tell by the home tenant that sign-ins to several tenants are one person's.
            let home = self.call.settings.home_of(principal);
            let info = json!({"uid": principal.object_id, "utid": home}).to_string();
            answer["client_info"] = BASE64URL_NOPAD.encode(info.as_bytes()).into();
        }
        Ok(answer)
    }

    fn id_token(&self, principal: &Principal, nonce: Option<&str>) -> String {
        let Principal {
            tenant,
            object_id,
            app_id,
            upn,
            name,
        } = principal;
        let now = self.call.now;
        let mut claims = json!({
            "aud": app_id,
            "iss": format!("https://{}/{tenant}/v2.0", self.call.host),
            "iat": now - 300, "nbf": now - 300, "exp": now + 3600,
            "name": name, "oid": object_id, "preferred_username": upn,
            "sub": object_id, "tid": tenant, "uti": random::text(22), "ver": "2.0",
        });
        if let Some(nonce) = nonce {
            claims["nonce"] = Value::from(nonce);
        }
        self.world.entra_key(self.cloud).sign(&claims)
    }
}

/// A user in a tenant, which must be one of the user's.
fn member(user: &User, tenant: &Tenant, client_id: &str) -> Result<Principal, Refusal> {
    if !user.is_member_of(&tenant.id) {
        return Err(stranger(&user.upn, tenant, client_id));
    }
    Ok(Principal {
        tenant: tenant.id.clone(),
        object_id: user.object_id.clone(),
        app_id: client_id.to_owned(),
        upn: Some(user.upn.clone()),
        name: Some(user.name.clone()),
    })
}

fn stranger(upn: &str, tenant: &Tenant, client_id: &str) -> Refusal {
    let text = format!(
        "User account '{upn}' does not exist in tenant '{}' and cannot access the application '{client_id}' in that \
         tenant. The account needs to be added as an external user in the tenant first. Sign out and sign in again \
         with a different Azure Active Directory user account.",
        tenant.name
    );
    Refusal::other("invalid_grant", 50_020, text)
}
