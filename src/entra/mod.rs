//! Entra as people sign in to it: a browser with an authorization code and PKCE, a device code, a refresh token (RFC 6749, 7636, 8628).
//!
//! The protocol is that of the crate `oauth2`; what it sends goes through [`Network`], with the same retries, bounds and deadline as
//! everything else. [`Refused`] is what Entra said in place of a token.

mod answer;
mod http;
mod id_token;

pub(crate) use http::Refused;
pub(crate) use id_token::Account;

use crate::config::is_tenant;
use crate::network::Network;
use crate::text::Secrets;
use crate::token::Audience;
use answer::Answer;
use anyhow::Context as _;
use http::{Bounded, Http};
use oauth2::basic::{
    BasicErrorResponse, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse,
};
use oauth2::{
    AuthUrl, AuthorizationCode, ClientId, CsrfToken, DeviceAuthorizationUrl, EndpointNotSet,
    EndpointSet, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RefreshToken, Scope,
    StandardDeviceAuthorizationResponse, StandardRevocableToken, TokenResponse, TokenUrl,
};
use reqwest::Client;
use secrecy::{ExposeSecret, SecretString};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// The application that Microsoft's own libraries sign developers in with (azure-sdk-for-python, `azure/identity/_constants.py`,
/// `DEVELOPER_SIGN_ON_CLIENT_ID`), which is the Azure CLI's: every tenant knows it and lets it ask for registries.
pub(crate) const DEVELOPER_SIGN_ON: &str = "04b07795-8ddb-461a-bbee-02f9e1bf7b46";

/// The tenant of whoever signs in, when none is named. Accounts of no organisation have no registries.
pub(crate) const ANY_TENANT: &str = "organizations";

/// What is asked for besides the audience: a refresh token, and who it is.
const SCOPES: [&str; 3] = ["offline_access", "openid", "profile"];

/// What is said of an answer that is neither a token nor a refusal.
const NO_TOKEN: &str = "the answer holds no token";

/// What is said when the time for a device code has passed.
const NOT_ENTERED: &str = "nobody has entered the code in time";

/// The longest that a device code is taken to live, whatever Entra says: its own live for a quarter of an hour.
const LONGEST_LIFE: Duration = Duration::from_secs(60 * 60);

/// The longest time between two questions that is agreed to.
const LONGEST_INTERVAL: Duration = Duration::from_secs(60);

/// It is never asked more often.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);

type OAuth = oauth2::Client<
    BasicErrorResponse,
    Answer,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointSet,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

/// An application that needs no secret, at an authority, in a tenant.
pub(crate) struct PublicClient {
    oauth: OAuth,
    http: Http,
    scopes: Vec<Scope>,
    /// A claims challenge, as JSON.
    claims: Option<String>,
    secrets: Secrets,
}

/// Who signed in, and with what.
pub(crate) struct Granted {
    /// The access token, not yet looked at.
    pub(crate) access_token: SecretString,
    /// The Entra refresh token.
    pub(crate) refresh_token: Option<SecretString>,
    /// Who it is, where Entra said so.
    pub(crate) who: Option<Account>,
}

/// A sign-in that goes on in a browser.
pub(crate) struct Visit {
    /// Where the browser is sent.
    pub(crate) url: Url,
    /// What it must bring back.
    pub(crate) state: SecretString,
    verifier: PkceCodeVerifier,
    redirect: RedirectUrl,
}

/// A sign-in that goes on in a browser elsewhere.
pub(crate) struct Device {
    answer: StandardDeviceAuthorizationResponse,
    /// How long the code is good for.
    pub(crate) life: Duration,
}

impl PublicClient {
    /// The application `client_id`, whose access tokens are for `audience`. What it sends and gets is added to `secrets`.
    pub(crate) fn new(
        authority: &Url,
        tenant: &str,
        client_id: &str,
        audience: &Audience,
        http: (Client, Arc<Network>),
        secrets: Secrets,
    ) -> anyhow::Result<Self> {
        let page = |name: &str| page(authority, tenant, name);
        let oauth = oauth2::Client::new(ClientId::new(client_id.to_owned()))
            .set_auth_uri(AuthUrl::new(page("authorize")?)?)
            .set_device_authorization_url(DeviceAuthorizationUrl::new(page("devicecode")?)?)
            .set_token_uri(TokenUrl::new(page("token")?)?);
        let scopes = std::iter::once(audience.scope())
            .chain(SCOPES.map(str::to_owned))
            .map(Scope::new)
            .collect();
        Ok(Self {
            oauth,
            http: Http::new(http.0, http.1, secrets.clone()),
            scopes,
            claims: None,
            secrets,
        })
    }

    /// The same, answering a claims challenge.
    pub(crate) fn with_claims(self, claims: Option<String>) -> Self {
        Self { claims, ..self }
    }

    /// Begins a sign-in whose browser comes back to `redirect`. Each has its own state and code verifier.
    pub(crate) fn visit(&self, redirect: String) -> anyhow::Result<Visit> {
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let redirect = RedirectUrl::new(redirect)?;
        let request = self
            .oauth
            .authorize_url(CsrfToken::new_random)
            .add_scopes(self.scopes.clone());
        let request = request
            .set_redirect_uri(Cow::Borrowed(&redirect))
            .set_pkce_challenge(challenge);
        // Whoever is signed in to the browser may not be who is meant.
        let request = request
            .add_extra_param("response_mode", "query")
            .add_extra_param("prompt", "select_account");
        let (url, state) = match self.claims.as_deref() {
            Some(claims) => request.add_extra_param("claims", claims).url(),
            None => request.url(),
        };
        Ok(Visit {
            url,
            state: state.into_secret().into(),
            verifier,
            redirect,
        })
    }

    /// Ends it with the code that the browser brought back.
    pub(crate) async fn redeem(
        &self,
        visit: Visit,
        code: &SecretString,
    ) -> anyhow::Result<Granted> {
        let request = self
            .oauth
            .exchange_code(AuthorizationCode::new(code.expose_secret().to_owned()));
        let request = request
            .set_pkce_verifier(visit.verifier)
            .set_redirect_uri(Cow::Owned(visit.redirect));
        let request = request
            .add_extra_param("scope", self.scope())
            .add_extra_param("client_info", "1");
        self.granted(
            &self
                .http
                .answer(request.request_async(&self.http).await, NO_TOKEN)?,
        )
    }

    /// Begins a sign-in in a browser elsewhere.
    pub(crate) async fn device(&self) -> anyhow::Result<Device> {
        let mut request = self
            .oauth
            .exchange_device_code()
            .add_scopes(self.scopes.clone());
        if let Some(claims) = &self.claims {
            request = request.add_extra_param("claims", claims.clone());
        }
        Device::of(
            self.http
                .answer(request.request_async(&self.http).await, NO_TOKEN)?,
        )
    }

    /// Asks whether it has ended, for as long as `patience`. No question waits longer than `limit` for its answer.
    pub(crate) async fn poll(
        &self,
        device: &Device,
        patience: Duration,
        limit: Duration,
    ) -> anyhow::Result<Granted> {
        let request = self
            .oauth
            .exchange_device_access_token(&device.answer)
            .add_extra_param("client_info", "1");
        let http = Bounded {
            http: &self.http,
            limit,
        };
        let sleep = |interval: Duration| tokio::time::sleep(interval.max(SHORTEST_INTERVAL));
        // The crate looks at the time before it asks, and not while it waits.
        let asked = tokio::time::timeout(
            patience,
            request.request_async(&http, sleep, Some(patience)),
        );
        let answer = asked.await.ok().context(NOT_ENTERED)?;
        self.granted(&self.http.answer(answer, NOT_ENTERED)?)
    }

    /// A new access token for a refresh token, which may be exchanged for another by the way.
    pub(crate) async fn refresh(&self, token: &SecretString) -> anyhow::Result<Granted> {
        let token = RefreshToken::new(token.expose_secret().to_owned());
        let request = self
            .oauth
            .exchange_refresh_token(&token)
            .add_scopes(self.scopes.clone());
        self.granted(
            &self
                .http
                .answer(request.request_async(&self.http).await, NO_TOKEN)?,
        )
    }

    fn granted(&self, answer: &Answer) -> anyhow::Result<Granted> {
        let access_token = answer.access_token().secret();
        anyhow::ensure!(!access_token.is_empty(), NO_TOKEN);
        let refresh_token = answer.refresh_token().map(RefreshToken::secret);
        [access_token]
            .into_iter()
            .chain(refresh_token)
            .for_each(|token| self.secrets.add(token));
        let who = |token: &str| {
            Account::read(
                token,
                answer.client_info.as_deref(),
                &self.secrets.redactor(),
            )
        };
        Ok(Granted {
            access_token: access_token.clone().into(),
            refresh_token: refresh_token.map(|token| token.clone().into()),
            who: answer.id_token.as_deref().and_then(who),
        })
    }

    fn scope(&self) -> String {
        self.scopes
            .iter()
            .map(|scope| scope.as_str())
            .collect::<Vec<_>>()
            .join(" ")
    }
}

/// A page of the authority's. A tenant is one step of its path, and never a way to somebody else.
fn page(authority: &Url, tenant: &str, name: &str) -> anyhow::Result<String> {
    anyhow::ensure!(is_tenant(tenant), "{tenant:?} is no tenant");
    let mut page = authority.clone();
    if let Ok(mut path) = page.path_segments_mut() {
        path.pop_if_empty().extend([tenant, "oauth2", "v2.0", name]);
    }
    let is_there = page.origin() == authority.origin()
        && page
            .path()
            .ends_with(&format!("/{tenant}/oauth2/v2.0/{name}"));
    anyhow::ensure!(is_there, "{authority} is no authority");
    Ok(page.into())
}

impl Device {
    fn of(answer: StandardDeviceAuthorizationResponse) -> anyhow::Result<Self> {
        let interval = answer.interval();
        let longest = LONGEST_INTERVAL.as_secs();
        anyhow::ensure!(
            interval <= LONGEST_INTERVAL,
            "the answer wants {} s between questions, and {longest} is the most",
            interval.as_secs()
        );
        Ok(Self {
            life: answer.expires_in().min(LONGEST_LIFE),
            answer,
        })
    }

    /// What is to be typed in, not yet printable.
    pub(crate) fn code(&self) -> &str {
        self.answer.user_code().secret()
    }

    /// Where it is to be typed in, not yet printable.
    pub(crate) fn page(&self) -> &str {
        self.answer.verification_uri()
    }
}

/// The JSON of a claims challenge that was typed in base64, as hints write it.
pub(crate) fn claims(challenge: &str) -> anyhow::Result<String> {
    let bytes = azure_core::base64::decode(challenge.trim())
        .ok()
        .context("it is not base64")?;
    let text = String::from_utf8(bytes)
        .ok()
        .and_then(|text| http::challenge(&text));
    text.context("it holds no JSON object, or a long one")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_tenant_leads_away_from_the_authority() {
        let authority = Url::parse("https://login.microsoftonline.com/").unwrap();
        let page = |tenant: &str| super::page(&authority, tenant, "token").ok();
        let of = |tenant: &str| {
            Some(format!(
                "https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token"
            ))
        };
        for tenant in [
            "organizations",
            "contoso.example",
            "72f988bf-86f1-41af-91ab-2d7cd011db47",
        ] {
            assert_eq!(page(tenant), of(tenant));
        }
        for tenant in [
            "//evil.example/x",
            "https://evil.example",
            "evil.example:443",
            "\\\\evil.example",
            "..",
            ".",
            "",
            "a/b",
            "a?b",
            "a#b",
            "a%2fb",
        ] {
            assert_eq!(page(tenant), None, "{tenant}");
        }
    }
}
