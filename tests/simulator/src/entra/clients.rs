//! How an app shows who it is: a secret in the form or as Basic, or an assertion.

use data_encoding::BASE64;
use ring::digest::{SHA256, digest};

use super::errors::Refusal;
use super::{Desk, app_principal, assertion};
use crate::call::Fields;
use crate::journal::Entry;
use crate::people::{App, Tenant};
use crate::tokens::{self, Principal};

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

impl Desk<'_> {
    /// The app that a token request comes from, once it has shown a good credential.
    pub(super) fn authenticate(
        &self,
        tenant: &Tenant,
        form: &Fields,
        entry: &mut Entry,
    ) -> Result<Principal, Refusal> {
        let basic = self
            .call
            .basic()
            .map(|(user, secret)| (decoded(&user), decoded(&secret)));
        let client_id = form
            .get("client_id")
            .map(str::to_owned)
            .or_else(|| basic.as_ref().map(|(user, _)| user.clone()))
            .ok_or_else(|| Refusal::missing("client_id"))?;
        entry.client_id = Some(client_id.clone());
        let app = self.app(&client_id, tenant)?;
        let secret = form.get("client_secret").map(str::to_owned);
        if let Some(secret) = secret.or_else(|| basic.map(|(_, secret)| secret)) {
            check_secret(app, &secret)?;
        } else if let Some(presented) = form.get("client_assertion") {
            entry.token = tokens::facts(presented);
            if form.get("client_assertion_type") != Some(ASSERTION_TYPE) {
                return Err(Refusal::missing("client_assertion_type"));
            }
            assertion::check(self, app, tenant, presented)?;
        } else {
            let text = "The request body must contain the following parameter: \
                        'client_assertion' or 'client_secret'.";
            return Err(Refusal::client(7_000_218, text.to_owned()));
        }
        Ok(app_principal(app))
    }

    /// The app of this client id in a tenant.
    pub(super) fn app(&self, client_id: &str, tenant: &Tenant) -> Result<&App, Refusal> {
        let mut apps = self.call.settings.apps.iter();
        let found = apps.find(|app| app.client_id == client_id && app.tenant == tenant.id);
        found.ok_or_else(|| not_found(client_id, tenant))
    }
}

/// The refusal of a client id that the tenant does not know.
pub(super) fn not_found(client_id: &str, tenant: &Tenant) -> Refusal {
    let text = format!(
        "Application with identifier '{client_id}' was not found in the directory '{}'. This can happen if the \
         application has not been installed by the administrator of the tenant or consented to by any user in the \
         tenant. You may have sent your authentication request to the wrong tenant.",
        tenant.name
    );
    Refusal::other("unauthorized_client", 700_016, text)
}

fn check_secret(app: &App, secret: &str) -> Result<(), Refusal> {
    let client_id = &app.client_id;
    if !is_same(&app.secret, secret) {
        let text = format!(
            "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, \
             not the client secret ID, for a secret added to app '{client_id}'."
        );
        return Err(Refusal::client(7_000_215, text));
    }
    if app.secret_expired {
        let text = format!(
            "The provided client secret keys for app '{client_id}' are expired. Visit the Azure portal to create new \
             keys for your app: https://aka.ms/NewClientSecret, or consider using certificate credentials for added \
             security: https://aka.ms/certCreds."
        );
        return Err(Refusal::client(7_000_222, text));
    }
    Ok(())
}

/// Compares without telling by the time taken how much was right; an unset secret is never right.
fn is_same(known: &str, sent: &str) -> bool {
    let hashed = |text: &str| BASE64.encode(digest(&SHA256, text.as_bytes()).as_ref());
    !known.is_empty() && hashed(known) == hashed(sent)
}

/// User and password are form-encoded before Basic (RFC 6749, 2.3.1).
fn decoded(text: &str) -> String {
    let pair = format!("={}", text.replace('+', "%2B"));
    let decoded = form_urlencoded::parse(pair.as_bytes()).next();
    decoded
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}
