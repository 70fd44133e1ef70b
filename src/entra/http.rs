//! Our HTTP client as the one of the crate `oauth2`.

use crate::network::{Network, answer, body};
use crate::text::Secrets;
use oauth2::{AsyncHttpClient, ErrorResponse, HttpRequest, HttpResponse, RequestTokenError};
use reqwest::{Client, Request};
use serde::Deserialize;
use std::borrow::Cow;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What Entra said in place of a token.
#[derive(Clone, Debug)]
pub(crate) struct Refused {
    /// Its sentence, with an AADSTS code. Not yet made printable, and it may repeat what was sent.
    words: String,
    /// What another sign-in must answer (Microsoft, "Claims challenges, claims requests, and client capabilities"), as JSON.
    pub(crate) claims: Option<String>,
}

impl Refused {
    /// What Entra said by way of the browser.
    pub(crate) fn new(words: String) -> Self {
        Self {
            words,
            claims: None,
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

impl std::error::Error for Refused {}

/// Why there was no answer.
#[derive(Debug)]
pub(super) struct Unanswered(anyhow::Error);

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Unanswered {}

/// The client, and what the last answer said if it was a refusal: the crate keeps the standard fields only.
pub(super) struct Http {
    client: Client,
    network: Arc<Network>,
    refused: Mutex<Option<Refused>>,
    /// What was sent.
    secrets: Secrets,
}

/// The fields of a refusal that are looked at beside its words.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Challenge {
    error: Option<String>,
    claims: Option<String>,
}

/// What is said of a device code while nobody has entered it (RFC 8628, section 3.5).
const PENDING: [&str; 2] = ["authorization_pending", "slow_down"];

impl Http {
    /// Adds what it sends to `secrets`.
    pub(super) fn new(client: Client, network: Arc<Network>, secrets: Secrets) -> Self {
        Self {
            client,
            network,
            refused: Mutex::default(),
            secrets,
        }
    }

    /// The answer, or what stands in its place; `otherwise` where Entra has not said. Bytes that cannot be understood are not shown: they
    /// may hold a token.
    pub(super) fn answer<T>(
        &self,
        answer: Result<T, RequestTokenError<Unanswered, impl ErrorResponse>>,
        otherwise: &'static str,
    ) -> anyhow::Result<T> {
        let refused = || {
            self.refused
                .lock()
                .ok()
                .and_then(|mut refused| refused.take())
        };
        answer.map_err(|error| match error {
            RequestTokenError::Request(Unanswered(error)) => error,
            RequestTokenError::ServerResponse(_)
            | RequestTokenError::Parse(..)
            | RequestTokenError::Other(_) => {
                refused().map_or_else(|| anyhow::Error::msg(otherwise), anyhow::Error::new)
            }
        })
    }

    async fn send(&self, request: HttpRequest) -> anyhow::Result<HttpResponse> {
        secrets_of(request.body()).for_each(|secret| self.secrets.add(&secret));
        let request = Request::try_from(request)?;
        let response = self
            .network
            .send(&self.client, request)
            .await
            .map_err(reqwest::Error::without_url)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = body(response).await?;
        let challenge: Challenge = serde_json::from_slice(&bytes).unwrap_or_default();
        let is_pending = challenge
            .error
            .is_some_and(|error| PENDING.contains(&error.as_str()));
        let is_refused = !is_pending && (!status.is_success() || answer::is_web_page(&bytes));
        let claims = challenge.claims.as_deref().and_then(self::challenge);
        let refused = is_refused.then(|| Refused {
            words: answer::words(status, &headers, &bytes),
            claims: claims.filter(|claims| self.secrets.redactor().redact(claims) == *claims),
        });
        if let Ok(mut last) = self.refused.lock() {
            *last = refused;
        }
        let mut answer = HttpResponse::new(bytes);
        *answer.status_mut() = status;
        *answer.headers_mut() = headers;
        Ok(answer)
    }
}

/// The fields of a form that are secret.
const SECRET: [&str; 4] = ["refresh_token", "code", "code_verifier", "device_code"];

/// What is shorter is no secret, and may well be a part of a word.
const SHORTEST: usize = 8;

fn secrets_of(form: &[u8]) -> impl Iterator<Item = Cow<'_, str>> {
    let fields = url::form_urlencoded::parse(form).filter(|(name, _)| SECRET.contains(&&**name));
    fields
        .map(|(_, value)| value)
        .filter(|value| value.len() >= SHORTEST)
}

/// The longest claims challenge that becomes part of a command to paste.
const LONGEST_CHALLENGE: usize = 4 * 1024;

/// The JSON of a claims challenge as we write it, without escapes that hide anything: an object of a bearable size.
pub(super) fn challenge(claims: &str) -> Option<String> {
    let claims = Some(claims).filter(|claims| claims.len() <= LONGEST_CHALLENGE)?;
    let claims: serde_json::Map<String, serde_json::Value> = serde_json::from_str(claims).ok()?;
    serde_json::to_string(&claims).ok()
}

impl<'c> AsyncHttpClient<'c> for Http {
    type Error = Unanswered;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, Unanswered>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move { self.send(request).await.map_err(Unanswered) })
    }
}

/// The client, whose every answer must be there within the limit.
pub(super) struct Bounded<'a> {
    pub(super) http: &'a Http,
    pub(super) limit: Duration,
}

impl<'c> AsyncHttpClient<'c> for Bounded<'_> {
    type Error = Unanswered;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, Unanswered>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            let answer = tokio::time::timeout(self.limit, self.http.send(request)).await;
            answer
                .unwrap_or_else(|_| Err(anyhow::Error::msg("no answer came in time")))
                .map_err(Unanswered)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_in_secret_is_not_said_again() {
        let secrets = Secrets::default();
        let form =
            b"client_id=04b07795-8ddb&refresh_token=0.AbC~dEf%2FGhI&code=d&code_verifier=verifier-of-it&device_code=devicecode-x";
        secrets_of(form).for_each(|secret| secrets.add(&secret));
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
    fn a_claims_challenge_is_an_object_of_a_bearable_size() {
        assert!(
            challenge(r#"{"access_token":{"acrs":{"essential":true,"value":"c1"}}}"#).is_some()
        );
        let long = format!(r#"{{"a":"{}"}}"#, "A".repeat(LONGEST_CHALLENGE));
        for none in ["", "AAAA", "[]", "1", long.as_str()] {
            assert_eq!(challenge(none), None);
        }
    }

    #[test]
    fn a_claims_challenge_is_kept_as_it_was_read_without_escapes() {
        assert_eq!(
            challenge(r#"{"a" : "\u0030\u002eAbC"}"#).as_deref(),
            Some(r#"{"a":"0.AbC"}"#)
        );
    }
}
