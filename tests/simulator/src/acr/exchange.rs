//! `POST /oauth2/exchange`: an Entra access token for the registry's refresh token.

use serde_json::json;

use super::{Desk, Problem};
use crate::call::Fields;
use crate::journal::Entry;
use crate::tokens::{self, Principal, Refusal};
use crate::wire::{self, Reply};

impl Desk<'_> {
    pub(super) fn exchange(&self, entry: &mut Entry) -> Reply {
        match self.exchanged(entry) {
            Ok(refresh_token) => wire::json(200, &json!({"refresh_token": refresh_token})),
            Err(problem) => problem.reply(self),
        }
    }

    fn exchanged(&self, entry: &mut Entry) -> Result<String, Problem> {
        let form = self
            .call
            .form()
            .ok_or_else(|| malformed("a form is required"))?;
        entry.audience_requested = form.get("service").map(str::to_owned);
        entry.tenant = form.get("tenant").map(str::to_owned);
        let service = self.check_form(&form)?;
        let principal = self.principal(&form, entry)?;
        if !self.registry.knows(&principal) {
            return Err(Problem::NoRole);
        }
        let issued =
            tokens::mint_refresh(self.world, self.call, self.registry, &principal, service);
        entry.issued = Some(issued.facts);
        Ok(issued.token)
    }

    /// Who asks, by the token of the grant.
    fn principal(&self, form: &Fields, entry: &mut Entry) -> Result<Principal, Problem> {
        if form.get("grant_type") == Some("refresh_token") {
            let token = form
                .get("refresh_token")
                .ok_or_else(|| malformed("refresh_token is missing"))?;
            let signed_in = self
                .world
                .sessions
                .use_refresh_token(self.registry.cloud(), token)
                .ok_or(Problem::BadAccessToken)?
                .principal;
            let tenant = &self.registry.tenant;
            let is_own = self
                .call
                .settings
                .user(&signed_in.object_id)
                .is_some_and(|user| user.is_member_of(tenant));
            let principal = Principal {
                tenant: tenant.clone(),
                ..signed_in
            };
            return if is_own {
                Ok(principal)
            } else {
                Err(Problem::BadAccessToken)
            };
        }
        let token = form
            .get("access_token")
            .ok_or_else(|| malformed("access_token is missing"))?;
        entry.token = tokens::facts(token);
        let verified = tokens::verify_access(self.world, self.call, self.registry, token);
        verified.map_err(|refusal| match refusal {
            Refusal::Arm | Refusal::Audience => Problem::WrongAudience(
                entry
                    .token
                    .as_ref()
                    .map(|facts| facts.audience.clone())
                    .unwrap_or_default(),
            ),
            Refusal::Tenant => Problem::OtherTenant,
            Refusal::Forged | Refusal::Time | Refusal::Kind => Problem::BadAccessToken,
        })
    }

    /// The service asked for, once the fields are in order.
    fn check_form<'a>(&self, form: &'a Fields) -> Result<&'a str, Problem> {
        match form.get("grant_type") {
            // The last two are deprecated; kubelet's provider sends the second.
            Some("access_token" | "access_token_refresh_token" | "refresh_token") => {}
            Some(_) => return Err(malformed("unsupported grant_type")),
            None => return Err(malformed("grant_type is missing")),
        }
        let settings = &self.call.settings;
        let service = form
            .get("service")
            .ok_or_else(|| malformed("service is missing"))?;
        if !self.registry.is_called(service, settings) {
            return Err(malformed("service is not this registry"));
        }
        match form.get("tenant") {
            None if settings.tenant_required => Err(malformed("tenant is missing")),
            Some(name) => {
                let tenant = settings.tenant(name, self.registry.cloud());
                let is_own = tenant.is_some_and(|tenant| tenant.id == self.registry.tenant);
                if is_own {
                    Ok(service)
                } else {
                    Err(Problem::OtherTenant)
                }
            }
            None => Ok(service),
        }
    }
}

fn malformed(text: &str) -> Problem {
    Problem::Malformed(text.to_owned())
}
