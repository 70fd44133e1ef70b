//! An HTTP response, and what it means when it holds no token: registries and Entra sit behind the same proxies, portals and busy servers.

use crate::error::{sanitize, sanitize_line};
use anyhow::bail;
use reqwest::header::{HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use serde_json::Value;
use std::fmt;
use zeroize::Zeroize;

/// The longest body that is read.
const MAX_BODY_BYTES: usize = 1024 * 1024;

/// The first size of the buffer for a body. Bodies of token services are smaller, so that it does not grow and leave copies of a secret.
const INITIAL_BODY_BYTES: usize = 32 * 1024;

/// The hint where a proxy answers instead of the service.
pub(crate) const PROXY_HINT: &str =
    "a proxy or a sign-in page of the network is in the way: sign in to it, or set `NO_PROXY`";

const TRY_LATER: &str = "try again later";

/// The message for an answer that is neither a token nor an error.
pub(crate) const NO_TOKEN: &str = "the answer holds no token";

/// An HTTP response with its whole body, which may hold a token: it is wiped, and has no `Debug`.
pub struct HttpResponse {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, of at most 1 MiB.
    pub body: Vec<u8>,
}

/// What a token service answered instead of a token (RFC 6749, section 5.2). Its text is not yet printable, and may repeat what was sent.
#[derive(Debug, Default)]
pub struct ResponseError {
    /// The code, such as `authorization_pending`.
    pub(crate) code: String,
    pub(crate) message: String,
    /// What to do if a proxy or a busy server answered.
    pub(crate) hint: Option<&'static str>,
    /// What another sign-in must satisfy (Microsoft, "Claims challenges, claims requests, and client capabilities"), as JSON.
    pub(crate) claims: Option<String>,
}

impl ResponseError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            ..Self::default()
        }
    }
}

impl fmt::Display for ResponseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ResponseError {}

impl Drop for HttpResponse {
    fn drop(&mut self) {
        self.body.zeroize();
    }
}

/// The body is longer than anything that a token service sends.
#[derive(Debug)]
pub(super) struct BodyTooLong;

impl fmt::Display for BodyTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the answer is longer than {MAX_BODY_BYTES} bytes")
    }
}

impl std::error::Error for BodyTooLong {}

impl HttpResponse {
    /// Reads the whole body.
    ///
    /// # Errors
    ///
    /// Fails if the connection breaks, or if the body is longer than 1 MiB, whatever `Content-Length` says.
    pub async fn read(mut response: Response) -> anyhow::Result<Self> {
        // A vector that grows leaves copies behind that are not wiped.
        let mut body = Vec::with_capacity(INITIAL_BODY_BYTES);
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(reqwest::Error::without_url)?
        {
            if body.len() + chunk.len() > MAX_BODY_BYTES {
                bail!(BodyTooLong);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Self {
            status: response.status(),
            headers: response.headers().clone(),
            body,
        })
    }

    /// Returns the body as JSON, or null if it is not JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Returns the error of a response without a token: the service's own description, or what the response looks like.
    pub fn error(&self) -> ResponseError {
        let json = self.json();
        let [code, description] =
            ["error", "error_description"].map(|name| json[name].as_str().unwrap_or_default());
        let text = [description, code].into_iter().find(|it| !it.is_empty());
        let (message, hint) = match (text, self.interception()) {
            (Some(text), _) => (text.to_owned(), None),
            (None, Some(what)) => (format!("the answer was {what}"), Some(PROXY_HINT)),
            (None, None) if self.status == StatusCode::TOO_MANY_REQUESTS => {
                let wait = self.retry_after();
                let wait = wait.map(|seconds| format!(", it asks to wait {seconds} s"));
                let message = format!("too many requests{}", wait.unwrap_or_default());
                (message, Some(TRY_LATER))
            }
            (None, None) if self.status.is_success() => (NO_TOKEN.to_owned(), None),
            (None, None) => {
                let hint = self.status.is_server_error().then_some(TRY_LATER);
                (format!("it answered with {}", self.status.as_u16()), hint)
            }
        };
        ResponseError {
            code: code.to_owned(),
            message,
            hint,
            claims: None,
        }
    }

    /// Returns a header's value on one line, in full length.
    pub fn header(&self, name: &str) -> Option<String> {
        let value = self.headers.get(name)?;
        Some(sanitize(&String::from_utf8_lossy(value.as_bytes())))
    }

    /// Returns the seconds that a busy server asks to wait.
    pub fn retry_after(&self) -> Option<u64> {
        self.header(RETRY_AFTER.as_str())?.parse().ok()
    }

    /// Returns what a proxy or a portal answered instead of the service, as a noun phrase.
    ///
    /// A web page with a 5xx is the service's own, since its web server has no other form for it. Only 511 is a portal's (RFC 6585, section
    /// 6).
    pub fn interception(&self) -> Option<String> {
        let location = self.header(LOCATION.as_str()).unwrap_or_default();
        if self.status.is_redirection() && !location.is_empty() {
            let location = sanitize_line(&location);
            return Some(format!("a redirect to `{location}`, which is not followed"));
        }
        let is_own = self.status.is_server_error()
            && self.status != StatusCode::NETWORK_AUTHENTICATION_REQUIRED;
        let is_page = self.is_web_page() && !is_own;
        is_page.then(|| format!("a web page: {}", self.status.as_u16()))
    }

    /// Returns whether the body is HTML.
    pub fn is_web_page(&self) -> bool {
        let text = self.body.iter().filter(|byte| !byte.is_ascii_whitespace());
        let start: Vec<u8> = text.map(u8::to_ascii_lowercase).take(5).collect();
        start == b"<html" || start == b"<!doc"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_without_a_token_is_described() {
        let of = |status: u16, headers: &[(&'static str, &'static str)], body: &str| {
            let headers = headers
                .iter()
                .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
                .collect();
            HttpResponse {
                status: StatusCode::from_u16(status).unwrap(),
                headers,
                body: body.into(),
            }
            .error()
        };
        for (status, headers, body, expected) in [
            (
                400,
                &[][..],
                r#"{"error":"x","error_description":"App \u0027c\u0027.\r\nTrace"}"#,
                "App 'c'.\r\nTrace",
            ),
            (
                400,
                &[],
                r#"{"error":"invalid_request"}"#,
                "invalid_request",
            ),
            (503, &[], "{}", "it answered with 503"),
            (503, &[], "", "it answered with 503"),
            (200, &[], "<html>", "the answer was a web page: 200"),
            (
                400,
                &[],
                " <!DOCTYPE html>",
                "the answer was a web page: 400",
            ),
            (502, &[], " <!DOCTYPE html>", "it answered with 502"),
            (
                511,
                &[],
                " <!DOCTYPE html>",
                "the answer was a web page: 511",
            ),
            (200, &[], "", "the answer holds no token"),
            (
                429,
                &[("retry-after", "300")],
                "",
                "too many requests, it asks to wait 300 s",
            ),
            (429, &[], "", "too many requests"),
            (
                307,
                &[("location", "http://evil.example/")],
                "",
                "the answer was a redirect to `http://evil.example/`, which is not followed",
            ),
        ] {
            let error = of(status, headers, body);
            assert_eq!(error.message, expected);
            let hint = match expected.split_whitespace().next() {
                Some("too") => Some("try again later"),
                _ if expected.starts_with("the answer was") => Some(PROXY_HINT),
                _ if status >= 500 => Some(TRY_LATER),
                _ => None,
            };
            assert_eq!(error.hint, hint, "{expected}");
        }
    }
}
