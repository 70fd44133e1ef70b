//! Entra as people sign in to it: with a browser by authorization code and PKCE, with a device code, with a refresh token (RFC 6749,
//! 7636, 8628).
//!
//! Requests go through [`Network::fetch`], with the same retries, bounds and deadline as all others. [`OAuthError`] is what Entra
//! answered in place of a token.

mod id_token;

pub(crate) use id_token::AccountInfo;

use crate::config::is_tenant;
use crate::http::response::NO_TOKEN;
use crate::http::{HttpResponse, Network, ResponseError};
use crate::text::Secrets;
use crate::token::Audience;
use anyhow::{Context as _, anyhow, ensure};
use azure_core::base64::{decode, encode_url_safe};
use reqwest::Client;
use reqwest::header::ACCEPT;
use ring::digest::{SHA256, digest};
use ring::rand::{SystemRandom, generate};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};
use url::Url;

/// The application that Microsoft's own libraries sign developers in with (azure-sdk-for-python, `azure/identity/_constants.py`,
/// `DEVELOPER_SIGN_ON_CLIENT_ID`), which is the Azure CLI's: every tenant knows it and lets it request tokens for registries.
pub(crate) const AZURE_CLI_CLIENT_ID: &str = "04b07795-8ddb-461a-bbee-02f9e1bf7b46";

/// The account's own tenant, when none is named. Accounts of no organisation have no registries.
pub(crate) const ANY_TENANT: &str = "organizations";

/// The scopes besides the audience's: for a refresh token, and for the account's name.
const SCOPES: &str = "offline_access openid profile";

/// The longest lifetime of a device code, whatever Entra says: its own codes live for a quarter of an hour.
const MAX_DEVICE_CODE_LIFETIME: Duration = Duration::from_secs(60 * 60);

/// The longest interval between two polls that an answer may require.
const MAX_POLL_INTERVAL_SECONDS: u64 = 60;

/// Entra is never polled more often.
const MIN_POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The interval where the answer names none (RFC 8628, section 3.2).
const DEFAULT_POLL_INTERVAL_SECONDS: u64 = 5;

/// What `slow_down` adds to the interval (RFC 8628, section 3.5).
const SLOW_DOWN: Duration = Duration::from_secs(5);

/// The interval doubles after each poll without an answer, up to this.
const MAX_POLL_BACKOFF: Duration = Duration::from_secs(10);

/// The longest claims challenge that becomes part of a command to paste.
const MAX_CLAIMS_BYTES: usize = 4 * 1024;

/// The fields of a form that are secret.
const SECRET_FIELDS: [&str; 4] = ["refresh_token", "code", "code_verifier", "device_code"];

/// A shorter value is no secret, and may well be a part of a word.
const MIN_SECRET_LEN: usize = 8;

/// An application that needs no secret, at an authority, in a tenant.
pub(crate) struct PublicClient {
    client_id: String,
    /// The address that the names of the endpoints follow.
    base: String,
    scope: String,
    client: Client,
    network: Arc<Network>,
    /// A claims challenge, as JSON.
    claims: Option<String>,
    secrets: Secrets,
}

/// Tokens, and whose they are.
#[derive(Deserialize)]
pub(crate) struct TokenResponse {
    /// The access token, not yet checked.
    pub(crate) access_token: SecretString,
    /// The Entra refresh token.
    pub(crate) refresh_token: Option<SecretString>,
    id_token: Option<String>,
    client_info: Option<String>,
    /// The account, if Entra sent it.
    #[serde(skip)]
    pub(crate) who: Option<AccountInfo>,
}

/// A sign-in that goes on in a browser on this machine.
pub(crate) struct AuthorizationRequest {
    /// The page to open.
    pub(crate) url: Url,
    /// What the browser must bring back.
    pub(crate) state: SecretString,
    verifier: SecretString,
    redirect_uri: String,
}

/// A sign-in that goes on in a browser elsewhere.
#[derive(Deserialize)]
pub(crate) struct DeviceCode {
    #[serde(rename = "device_code")]
    secret: SecretString,
    /// The code to type in, not yet printable.
    pub(crate) user_code: String,
    /// The page to type it in, not yet printable.
    #[serde(alias = "verification_url")]
    pub(crate) verification_uri: String,
    expires_in: u64,
    interval: Option<u64>,
}

/// What Entra answered in place of a token.
#[derive(Clone, Debug, Default)]
pub(crate) struct OAuthError {
    /// The code, such as `authorization_pending`.
    code: String,
    /// Its sentence, with an AADSTS code. Not yet made printable, and it may repeat what was sent.
    message: String,
    /// What to do if a proxy or a busy server answered.
    pub(crate) hint: Option<&'static str>,
    /// What another sign-in must answer (Microsoft, "Claims challenges, claims requests, and client capabilities"), as JSON.
    pub(crate) claims: Option<String>,
}

impl OAuthError {
    /// Creates an error with the sentence that came by way of the browser.
    pub(crate) fn new(message: String) -> Self {
        Self {
            message,
            ..Self::default()
        }
    }
}

impl fmt::Display for OAuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for OAuthError {}

impl PublicClient {
    /// Creates the application `client_id`, whose access tokens are for `audience`. It adds what it sends and receives to `secrets`.
    pub(crate) fn new(
        authority: &Url,
        tenant: &str,
        client_id: &str,
        audience: &Audience,
        (client, network): (Client, Arc<Network>),
        secrets: Secrets,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            client_id: client_id.to_owned(),
            base: base(authority, tenant)?,
            scope: format!("{} {SCOPES}", audience.scope()),
            client,
            network,
            claims: None,
            secrets,
        })
    }

    /// Makes sign-ins answer a claims challenge.
    pub(crate) fn with_claims(self, claims: Option<String>) -> Self {
        Self { claims, ..self }
    }

    /// Begins a sign-in whose browser comes back to `redirect_uri`. Each has its own state and code verifier.
    pub(crate) fn authorization_request(
        &self,
        redirect_uri: String,
    ) -> anyhow::Result<AuthorizationRequest> {
        let (state, verifier) = (random::<16>()?, random::<32>()?);
        let challenge = code_challenge(&verifier);
        let parameters = [
            ("response_type", "code"),
            ("client_id", &self.client_id),
            ("redirect_uri", &redirect_uri),
            ("scope", &self.scope),
            ("state", &state),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
            ("response_mode", "query"),
            // The account that the browser is signed in with may be another one.
            ("prompt", "select_account"),
        ];
        let parameters = parameters.into_iter().chain(self.claims_field());
        Ok(AuthorizationRequest {
            url: Url::parse_with_params(&format!("{}authorize", self.base), parameters)?,
            state: state.into(),
            verifier: verifier.into(),
            redirect_uri,
        })
    }

    /// Ends it with the code that the browser brought back.
    pub(crate) async fn exchange_code(
        &self,
        request: AuthorizationRequest,
        code: &SecretString,
    ) -> anyhow::Result<TokenResponse> {
        self.token(&[
            ("grant_type", "authorization_code"),
            ("code", code.expose_secret()),
            ("code_verifier", request.verifier.expose_secret()),
            ("redirect_uri", &request.redirect_uri),
            ("scope", &self.scope),
            ("client_info", "1"),
        ])
        .await
    }

    /// Begins a sign-in in a browser elsewhere.
    pub(crate) async fn device_code(&self) -> anyhow::Result<DeviceCode> {
        let scope = [("scope", self.scope.as_str())];
        let form: Vec<_> = scope.into_iter().chain(self.claims_field()).collect();
        let device: DeviceCode = self.post("devicecode", &form).await?;
        let interval = device.interval.unwrap_or_default();
        ensure!(
            interval <= MAX_POLL_INTERVAL_SECONDS,
            "the answer wants {interval} s between questions, and {MAX_POLL_INTERVAL_SECONDS} is the most"
        );
        Ok(device)
    }

    /// Polls until it has ended, at most for `patience`. Each poll ends after `limit`.
    pub(crate) async fn poll(
        &self,
        device: &DeviceCode,
        patience: Duration,
        limit: Duration,
    ) -> anyhow::Result<TokenResponse> {
        let form = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
            ("device_code", device.secret.expose_secret()),
            ("client_info", "1"),
        ];
        let polls = async {
            let seconds = device.interval.unwrap_or(DEFAULT_POLL_INTERVAL_SECONDS);
            let mut interval = Duration::from_secs(seconds).max(MIN_POLL_INTERVAL);
            loop {
                let answer = timeout(limit, self.token(&form)).await;
                match answer.map_err(anyhow::Error::new).flatten() {
                    Ok(tokens) => return Ok(tokens),
                    Err(error) => match error.downcast_ref::<OAuthError>() {
                        Some(refusal) if refusal.code == "authorization_pending" => (),
                        Some(refusal) if refusal.code == "slow_down" => interval += SLOW_DOWN,
                        Some(_) => return Err(error),
                        None => interval = interval.max((interval * 2).min(MAX_POLL_BACKOFF)),
                    },
                }
                sleep(interval).await;
            }
        };
        let ended = timeout(patience, polls).await.ok();
        ended.context("nobody has entered the code in time")?
    }

    /// Gets an access token for a refresh token, which Entra may replace with another one at the same time.
    pub(crate) async fn refresh(&self, token: &SecretString) -> anyhow::Result<TokenResponse> {
        self.token(&[
            ("grant_type", "refresh_token"),
            ("refresh_token", token.expose_secret()),
            ("scope", &self.scope),
        ])
        .await
    }

    async fn token(&self, form: &[(&str, &str)]) -> anyhow::Result<TokenResponse> {
        let mut tokens: TokenResponse = self.post("token", form).await?;
        ensure!(
            !tokens.access_token.expose_secret().is_empty(),
            OAuthError::new(NO_TOKEN.into())
        );
        self.secrets.add(tokens.access_token.expose_secret());
        if let Some(token) = &tokens.refresh_token {
            self.secrets.add(token.expose_secret());
        }
        tokens.who = tokens.id_token.as_deref().and_then(|id_token| {
            let client_info = tokens.client_info.as_deref();
            AccountInfo::read(id_token, client_info, &self.secrets.redactor())
        });
        Ok(tokens)
    }

    /// Posts a form to an endpoint and returns the fields of the answer.
    async fn post<T: DeserializeOwned>(
        &self,
        endpoint: &str,
        form: &[(&str, &str)],
    ) -> anyhow::Result<T> {
        secret_values(form).for_each(|secret| self.secrets.add(secret));
        let form = [form, &[("client_id", &self.client_id)]].concat();
        let request = self.client.post(format!("{}{endpoint}", self.base));
        let request = request.header(ACCEPT, "application/json").form(&form);
        let response = self.network.fetch(&self.client, request.build()?).await?;
        match serde_json::from_slice(&response.body) {
            Ok(fields) if response.status.is_success() => Ok(fields),
            _ => Err(self.oauth_error(&response).into()),
        }
    }

    fn oauth_error(&self, response: &HttpResponse) -> OAuthError {
        // What cannot be understood is not shown: it may hold a token.
        if response.status.is_success() && !response.is_web_page() {
            return OAuthError::new(NO_TOKEN.into());
        }
        let json = response.json();
        let ResponseError { message, hint } = response.error();
        let redactor = self.secrets.redactor();
        OAuthError {
            code: json["error"].as_str().unwrap_or_default().to_owned(),
            message,
            hint,
            claims: json["claims"]
                .as_str()
                .and_then(normalize_claims)
                .filter(|claims| redactor.redact(claims) == *claims),
        }
    }

    fn claims_field(&self) -> Option<(&'static str, &str)> {
        Some(("claims", self.claims.as_deref()?))
    }
}

impl DeviceCode {
    /// Returns how long the code is valid.
    pub(crate) fn lifetime(&self) -> Duration {
        Duration::from_secs(self.expires_in).min(MAX_DEVICE_CODE_LIFETIME)
    }
}

fn secret_values<'a>(form: &[(&str, &'a str)]) -> impl Iterator<Item = &'a str> {
    form.iter()
        .filter(|(name, value)| SECRET_FIELDS.contains(name) && value.len() >= MIN_SECRET_LEN)
        .map(|(_, value)| *value)
}

/// Returns the address of an authority's endpoints. A tenant is one segment of its path, and never leads to another host.
fn base(authority: &Url, tenant: &str) -> anyhow::Result<String> {
    ensure!(is_tenant(tenant), "{tenant:?} is no tenant");
    let mut base = authority.clone();
    if let Ok(mut path) = base.path_segments_mut() {
        path.pop_if_empty().extend([tenant, "oauth2", "v2.0", ""]);
    }
    let is_of_tenant = base.as_str().ends_with(&format!("/{tenant}/oauth2/v2.0/"));
    ensure!(
        base.origin() == authority.origin() && is_of_tenant,
        "{authority} is no authority"
    );
    Ok(base.into())
}

/// Returns this many random bytes in base64url.
fn random<const N: usize>() -> anyhow::Result<String> {
    let bytes = generate::<[u8; N]>(&SystemRandom::new());
    let bytes = bytes.map_err(|_| anyhow!("the system has no random numbers"))?;
    Ok(base64url(bytes.expose()))
}

/// Returns the challenge S256 of a code verifier (RFC 7636, section 4.2).
fn code_challenge(verifier: &str) -> String {
    base64url(digest(&SHA256, verifier.as_bytes()))
}

fn base64url(bytes: impl AsRef<[u8]>) -> String {
    encode_url_safe(bytes).trim_end_matches('=').to_owned()
}

/// Returns the JSON of a claims challenge, which hints write in base64.
pub(crate) fn decode_claims(challenge: &str) -> anyhow::Result<String> {
    let bytes = decode(challenge.trim()).ok().context("it is not base64")?;
    let text = String::from_utf8(bytes).ok();
    text.and_then(|text| normalize_claims(&text))
        .context("it holds no JSON object, or a long one")
}

/// Returns the JSON of a claims challenge as we write it, without escapes that hide anything, if it is an object of limited size.
fn normalize_claims(claims: &str) -> Option<String> {
    let claims = Some(claims).filter(|claims| claims.len() <= MAX_CLAIMS_BYTES)?;
    let claims: serde_json::Map<String, serde_json::Value> = serde_json::from_str(claims).ok()?;
    serde_json::to_string(&claims).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_tenant_leads_away_from_the_authority() {
        let authority = Url::parse("https://login.microsoftonline.com/").unwrap();
        let base = |tenant: &str| super::base(&authority, tenant).ok();
        for tenant in [
            "organizations",
            "contoso.example",
            "72f988bf-86f1-41af-91ab-2d7cd011db47",
        ] {
            let expected = format!("https://login.microsoftonline.com/{tenant}/oauth2/v2.0/");
            assert_eq!(base(tenant), Some(expected));
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
            assert_eq!(base(tenant), None, "{tenant}");
        }
    }

    #[test]
    fn a_code_challenge_is_that_of_rfc_7636() {
        assert_eq!(
            code_challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        );
        assert_eq!(random::<32>().unwrap().len(), 43);
        assert_ne!(random::<16>().unwrap(), random::<16>().unwrap());
    }

    #[test]
    fn what_was_sent_in_secret_is_not_said_again() {
        let secrets = Secrets::default();
        let form = [
            ("client_id", "04b07795-8ddb"),
            ("refresh_token", "0.AbC~dEf/GhI"),
            ("code", "d"),
            ("code_verifier", "verifier-of-it"),
            ("device_code", "devicecode-x"),
        ];
        secret_values(&form).for_each(|secret| secrets.add(secret));
        for secret in [
            "0.AbC~dEf/GhI",
            "0.AbC%7EdEf%2FGhI",
            "0.AbC%7edEf%2fGhI",
            "MC5BYkN+ZEVmL0doSQ==",
            "verifier-of-it",
            "devicecode-x",
        ] {
            assert_eq!(
                secrets.redactor().redact(&format!("bad {secret} sent")),
                "bad … sent"
            );
        }
        assert_eq!(
            secrets.redactor().redact("the words of 04b07795-8ddb stay"),
            "the words of 04b07795-8ddb stay"
        );
    }

    #[test]
    fn a_claims_challenge_is_an_object_of_limited_size() {
        let claims = r#"{"access_token":{"acrs":{"essential":true,"value":"c1"}}}"#;
        assert!(normalize_claims(claims).is_some());
        let long = format!(r#"{{"a":"{}"}}"#, "A".repeat(MAX_CLAIMS_BYTES));
        for none in ["", "AAAA", "[]", "1", long.as_str()] {
            assert_eq!(normalize_claims(none), None);
        }
    }

    #[test]
    fn a_claims_challenge_is_kept_as_it_was_read_without_escapes() {
        assert_eq!(
            normalize_claims(r#"{"a" : "\u0030\u002eAbC"}"#).as_deref(),
            Some(r#"{"a":"0.AbC"}"#)
        );
    }
}
