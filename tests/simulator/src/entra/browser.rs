//! Sign-in of users in a browser: authorization code with PKCE (RFC 7636).

use data_encoding::BASE64URL_NOPAD;
use ring::digest::{SHA256, digest};

use super::errors::Refusal;
use super::pages::{self, escaped, page};
use super::sessions::Code;
use super::{Desk, Outcome};
use crate::call::Fields;
use crate::journal::Entry;
use crate::wire::{self, Reply, with};

impl Desk<'_> {
    /// The sign-in page: the way back to the client, with a code where the user approves. That is asked, or is so at once.
    pub(super) fn authorize(&self, tenant: &str, entry: &mut Entry) -> Reply {
        let query = &self.call.query;
        entry.tenant = Some(tenant.to_owned());
        entry.audience_requested = query.get("scope").map(str::to_owned);
        let text = |name: &str| query.get(name).map(str::to_owned);
        let client = self.public_client(tenant, query, entry);
        let (Ok(client_id), Some(redirect_uri), Some("code")) =
            (client, text("redirect_uri"), query.get("response_type"))
        else {
            return page(400, "<h1>Sorry, but we cannot sign you in</h1>");
        };
        if query.has("code_challenge") && query.get("code_challenge_method") != Some("S256") {
            return page(400, "<h1>The code_challenge_method must be S256</h1>");
        }
        let answer = self
            .call
            .form()
            .and_then(|form| form.get("answer").map(str::to_owned));
        match answer.as_deref() {
            None if self.call.settings.has_pages() => return pages::sign_in(),
            Some("deny") => {
                let said = "AADSTS65004: User declined to consent to access the app.";
                let mut answer = vec![
                    ("error", "access_denied".to_owned()),
                    ("error_description", said.to_owned()),
                ];
                answer.extend(text("state").map(|state| ("state", state)));
                return way_back(query.get("response_mode"), &redirect_uri, &answer);
            }
            _ => {}
        }
        let code = self.world.sessions.add_code(Code {
            client_id,
            redirect_uri: redirect_uri.clone(),
            challenge: text("code_challenge"),
            nonce: text("nonce"),
            scope: text("scope").unwrap_or_default(),
            claims: text("claims"),
        });
        let mut answer = vec![("code", code)];
        answer.extend(text("state").map(|state| ("state", state)));
        way_back(query.get("response_mode"), &redirect_uri, &answer)
    }

    pub(super) fn redeem_code(&self, tenant: &str, form: &Fields, entry: &mut Entry) -> Outcome {
        let client_id = self.public_client(tenant, form, entry)?;
        let code = form.get("code").ok_or_else(|| Refusal::missing("code"))?;
        let code = self.world.sessions.take_code(code).filter(|code| {
            code.client_id == client_id && form.get("redirect_uri") == Some(&code.redirect_uri)
        });
        let refused = |code, text: &str| Refusal::other("invalid_grant", code, text.to_owned());
        let code = code.ok_or_else(|| {
            refused(
                70_008,
                "The provided authorization code is expired, used, or not for this client.",
            )
        })?;
        let sent = form
            .get("code_verifier")
            .map(|verifier| BASE64URL_NOPAD.encode(digest(&SHA256, verifier.as_bytes()).as_ref()));
        if sent != code.challenge {
            return Err(refused(
                501_481,
                "The Code_Verifier does not match the code_challenge.",
            ));
        }
        let scope = form.get("scope").unwrap_or(&code.scope).to_owned();
        let principal = self.user(tenant, &client_id)?;
        self.user_tokens(&principal, &scope, form, (code.nonce, code.claims), entry)
    }
}

/// Back to the client as it wishes: a redirect with a query or a fragment, or a form that submits itself.
fn way_back(mode: Option<&str>, redirect_uri: &str, answer: &[(&str, String)]) -> Reply {
    if mode == Some("form_post") {
        let input = |(name, value): &(&str, String)| {
            format!(
                "<input type=\"hidden\" name=\"{name}\" value=\"{}\">",
                escaped(value)
            )
        };
        let inputs = answer.iter().map(input).collect::<Vec<_>>().concat();
        let action = escaped(redirect_uri);
        return page(
            200,
            &format!(
                "<body onload=\"document.forms[0].submit()\"><form method=\"post\" action=\"{action}\">{inputs}\
                 <button>Continue</button></form></body>"
            ),
        );
    }
    let answer = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(answer)
        .finish();
    let mark = match mode {
        Some("fragment") => '#',
        _ if redirect_uri.contains('?') => '&',
        _ => '?',
    };
    with(
        wire::empty(302),
        "location",
        &format!("{redirect_uri}{mark}{answer}"),
    )
}
