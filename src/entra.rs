//! OAuth at Entra for people: authorization code with PKCE, device code, and refresh token (RFC 6749, 7636, 8628).
//!
//! Requests go through [`Network::fetch`], with the same retries, limits and deadline as all others.

mod id_token;

pub(crate) use id_token::AccountInfo;

use crate::config::is_tenant;
use crate::http::response::NO_TOKEN;
use crate::http::{HttpResponse, Network, PROXY_HINT, ResponseError};
use crate::random;
use crate::text::Secrets;
use crate::token::Audience;
use anyhow::{Context as _, anyhow, ensure};
use azure_core::base64::{decode, encode_url_safe};
use reqwest::Client;
use reqwest::header::ACCEPT;
use ring::digest::{SHA256, digest};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};
use url::Url;

/// The Azure CLI's client id. Every tenant allows it to request tokens for registries. Microsoft's own libraries use it, too
/// (azure-sdk-for-python, `azure/identity/_constants.py`, `DEVELOPER_SIGN_ON_CLIENT_ID`).
pub(crate) const AZURE_CLI_CLIENT_ID: &str = "04b07795-8ddb-461a-bbee-02f9e1bf7b46";

/// The account's own tenant, when no tenant is configured. Only accounts of an organisation have registries.
pub(crate) const ANY_TENANT: &str = "organizations";

/// The additional scopes: a refresh token, and the account's name.
const SCOPES: &str = "offline_access openid profile";

/// The longest lifetime of a device code that is accepted. Entra's own codes are valid for 15 minutes.
const MAX_DEVICE_CODE_LIFETIME: Duration = Duration::from_secs(60 * 60);

/// The longest interval between two polls that Entra may ask for.
const MAX_POLL_INTERVAL_SECONDS: u64 = 60;

/// The shortest interval between two polls.
const MIN_POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The interval between two polls if Entra asks for none (RFC 8628, section 3.2).
const DEFAULT_POLL_INTERVAL_SECONDS: u64 = 5;

/// What `slow_down` adds to the interval (RFC 8628, section 3.5).
const SLOW_DOWN: Duration = Duration::from_secs(5);

/// The interval doubles after each poll without an answer, up to this.
const MAX_POLL_BACKOFF: Duration = Duration::from_secs(10);

/// The longest claims challenge that becomes part of a command to paste.
const MAX_CLAIMS_BYTES: usize = 4 * 1024;

/// The fields of a form that are secret.
const SECRET_FIELDS: [&str; 4] = ["refresh_token", "code", "code_verifier", "device_code"];

/// An OAuth public client (an application without a secret) in one tenant of an authority.
pub(crate) struct PublicClient {
    client_id: String,
    /// The URL that the names of the endpoints are appended to.
    base: String,
    scope: String,
    client: Client,
    network: Arc<Network>,
    /// A claims challenge, as JSON.
    claims: Option<String>,
    secrets: Secrets,
}

/// Tokens, and the account that they are for.
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
    pub(crate) account: Option<AccountInfo>,
}

/// A sign-in in a browser on this machine.
pub(crate) struct AuthorizationRequest {
    /// The page to open.
    pub(crate) url: Url,
    /// The value that the redirect must repeat.
    pub(crate) state: SecretString,
    verifier: SecretString,
    redirect_uri: String,
}

/// A sign-in in a browser on any machine.
#[derive(Deserialize)]
pub(crate) struct DeviceCode {
    #[serde(rename = "device_code")]
    secret: SecretString,
    /// The code to enter, not yet printable.
    pub(crate) user_code: String,
    /// The page to enter it on, not yet printable.
    #[serde(alias = "verification_url")]
    pub(crate) verification_uri: String,
    expires_in: u64,
    interval: Option<u64>,
}

impl PublicClient {
    /// Creates the client `client_id`, which requests access tokens for `audience`. It adds the secrets of its requests and responses to
    /// `secrets`.
    ///
    /// # Errors
    ///
    /// The tenant or the authority cannot be part of an address.
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

    /// Adds a claims challenge to the sign-ins that follow.
    pub(crate) fn with_claims(self, claims: Option<String>) -> Self {
        Self { claims, ..self }
    }

    /// Starts a sign-in that redirects the browser to `redirect_uri`. Each has its own state and code verifier.
    ///
    /// # Errors
    ///
    /// The system has no random numbers.
    pub(crate) fn authorization_request(
        &self,
        redirect_uri: String,
    ) -> anyhow::Result<AuthorizationRequest> {
        let (state, verifier) = (random_text::<16>()?, random_text::<32>()?);
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

    /// Completes the sign-in with the code of the redirect.
    ///
    /// # Errors
    ///
    /// A [`ResponseError`] if Entra refuses, or what [`Network::fetch`] reports.
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

    /// Starts a sign-in by device code.
    ///
    /// # Errors
    ///
    /// As [`PublicClient::exchange_code`]. Also fails if Entra asks for polls that are more than a minute apart.
    pub(crate) async fn device_code(&self) -> anyhow::Result<DeviceCode> {
        let scope = [("scope", self.scope.as_str())];
        let form: Vec<_> = scope.into_iter().chain(self.claims_field()).collect();
        let device: DeviceCode = self.post("devicecode", &form).await?;
        let interval = device.interval.unwrap_or_default();
        ensure!(
            interval <= MAX_POLL_INTERVAL_SECONDS,
            "Entra asks for {interval} s between polls, and the limit is {MAX_POLL_INTERVAL_SECONDS} s"
        );
        Ok(device)
    }

    /// Polls until the sign-in is complete, for up to `total_timeout`. Each poll takes up to `poll_timeout`.
    ///
    /// # Errors
    ///
    /// As [`PublicClient::exchange_code`]. If the time is up, the reason of the last failure, or that the code was not entered.
    pub(crate) async fn poll(
        &self,
        device: &DeviceCode,
        total_timeout: Duration,
        poll_timeout: Duration,
    ) -> anyhow::Result<TokenResponse> {
        let form = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
            ("device_code", device.secret.expose_secret()),
            ("client_info", "1"),
        ];
        // Why the last poll had no answer from Entra; none if Entra waits for the user.
        let mut failure = Some(anyhow!("Entra did not answer in time"));
        let polls = async {
            let seconds = device.interval.unwrap_or(DEFAULT_POLL_INTERVAL_SECONDS);
            let mut interval = Duration::from_secs(seconds).max(MIN_POLL_INTERVAL);
            loop {
                let answer = timeout(poll_timeout, self.token(&form)).await;
                let answer = answer.map_err(|_| anyhow!("Entra did not answer in time"));
                let error = match answer.flatten() {
                    Ok(tokens) => return Ok(tokens),
                    Err(error) => error,
                };
                failure = match error.downcast_ref::<ResponseError>() {
                    Some(refusal) if refusal.code == "authorization_pending" => None,
                    Some(refusal) if refusal.code == "slow_down" => {
                        interval += SLOW_DOWN;
                        None
                    }
                    Some(refusal) if !is_transient(refusal) => return Err(error),
                    _ => {
                        interval = interval.max((interval * 2).min(MAX_POLL_BACKOFF));
                        Some(error)
                    }
                };
                sleep(interval).await;
            }
        };
        if let Ok(ended) = timeout(total_timeout, polls).await {
            return ended;
        }
        Err(failure.unwrap_or_else(|| anyhow!("the code was not entered in time")))
    }

    /// Returns an access token for a refresh token, and a new refresh token if Entra rotates it.
    ///
    /// # Errors
    ///
    /// As [`PublicClient::exchange_code`].
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
            ResponseError::new(NO_TOKEN)
        );
        self.secrets.add(tokens.access_token.expose_secret());
        if let Some(token) = &tokens.refresh_token {
            self.secrets.add(token.expose_secret());
        }
        tokens.account = tokens.id_token.as_deref().and_then(|id_token| {
            let client_info = tokens.client_info.as_deref();
            AccountInfo::read(id_token, client_info, &self.secrets.redactor())
        });
        Ok(tokens)
    }

    /// Posts a form to an endpoint and parses the response.
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
            _ => Err(self.error(&response).into()),
        }
    }

    fn error(&self, response: &HttpResponse) -> ResponseError {
        // A body that cannot be parsed is not shown: it may hold a token.
        if response.status.is_success() && !response.is_web_page() {
            return ResponseError::new(NO_TOKEN);
        }
        let redactor = self.secrets.redactor();
        let claims = response.json()["claims"]
            .as_str()
            .and_then(normalize_claims);
        ResponseError {
            claims: claims.filter(|claims| redactor.redact(claims) == *claims),
            ..response.error()
        }
    }

    fn claims_field(&self) -> Option<(&'static str, &str)> {
        Some(("claims", self.claims.as_deref()?))
    }
}

impl DeviceCode {
    /// Returns how long the code is valid, with an upper limit.
    pub(crate) fn lifetime(&self) -> Duration {
        Duration::from_secs(self.expires_in).min(MAX_DEVICE_CODE_LIFETIME)
    }
}

/// Returns whether a poll that failed so may succeed later: a busy server answered, and neither Entra refused nor a proxy is in the way.
fn is_transient(refusal: &ResponseError) -> bool {
    let is_busy = ["", "temporarily_unavailable", "server_error"].contains(&&*refusal.code);
    is_busy && refusal.hint != Some(PROXY_HINT)
}

fn secret_values<'a>(form: &[(&str, &'a str)]) -> impl Iterator<Item = &'a str> {
    let is_secret = |(name, _): &&(&str, &str)| SECRET_FIELDS.contains(name);
    form.iter().filter(is_secret).map(|(_, value)| *value)
}

/// Returns the base URL of an authority's endpoints. The tenant is one segment of its path, and never changes the host.
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

/// Returns `N` random bytes in base64url.
fn random_text<const N: usize>() -> anyhow::Result<String> {
    Ok(encode_url_safe(random::bytes::<N>()?))
}

/// Returns the challenge S256 of a code verifier (RFC 7636, section 4.2).
fn code_challenge(verifier: &str) -> String {
    encode_url_safe(digest(&SHA256, verifier.as_bytes()))
}

/// Decodes a claims challenge, which hints show in base64.
///
/// # Errors
///
/// The text is not base64, or does not hold a JSON object of limited size.
pub(crate) fn decode_claims(challenge: &str) -> anyhow::Result<String> {
    let bytes = decode(challenge.trim()).ok().context("it is not base64")?;
    let text = String::from_utf8(bytes).ok();
    text.and_then(|text| normalize_claims(&text))
        .context("it holds no JSON object, or a long one")
}

/// Parses a claims challenge, a JSON object of limited size, and writes it without escapes: an escape could hide a secret from redaction.
fn normalize_claims(claims: &str) -> Option<String> {
    let claims = Some(claims).filter(|claims| claims.len() <= MAX_CLAIMS_BYTES)?;
    let claims: serde_json::Map<String, serde_json::Value> = serde_json::from_str(claims).ok()?;
    serde_json::to_string(&claims).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_tenant_changes_the_host_of_the_authority() {
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
        assert_eq!(random_text::<32>().unwrap().len(), 43);
        assert_ne!(random_text::<16>().unwrap(), random_text::<16>().unwrap());
    }

    #[test]
    fn secrets_of_a_request_are_redacted() {
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
    fn a_claims_challenge_is_written_without_escapes() {
        assert_eq!(
            normalize_claims(r#"{"a" : "\u0030\u002eAbC"}"#).as_deref(),
            Some(r#"{"a":"0.AbC"}"#)
        );
    }
}
