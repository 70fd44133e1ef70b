//! An HTTP answer, and what is in it when it is not the one that was expected. The exchange and sign-ins meet the same proxies,
//! portals and busy servers.

use crate::error::{printable, visible};
use reqwest::header::{HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use serde_json::Value;

/// The longest body that is read of any answer.
const MAX_BODY_BYTES: usize = 1024 * 1024;

/// The hint where a proxy answers instead of the service.
pub(crate) const PROXY_HINT: &str =
    "a proxy or a sign-in page of the network is in the way: sign in to it, or set `NO_PROXY`";

/// What is said of an answer that is neither a token nor a refusal.
pub(crate) const NO_TOKEN: &str = "the answer holds no token";

/// An HTTP answer that was read to its end.
#[derive(Debug)]
pub struct HttpResponse {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, of at most 1 MiB.
    pub body: Vec<u8>,
}

/// What a token service answered in place of a token. Not yet made printable.
#[derive(Debug)]
pub struct ResponseError {
    pub(crate) message: String,
    /// What to do if something other than the service answered, or if the service is busy.
    pub(crate) hint: Option<&'static str>,
}

impl std::fmt::Display for ResponseError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ResponseError {}

/// The body is longer than anything that a token service sends.
#[derive(Debug)]
pub(super) struct BodyTooLong;

impl std::fmt::Display for BodyTooLong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the answer is longer than {MAX_BODY_BYTES} bytes")
    }
}

impl std::error::Error for BodyTooLong {}

impl HttpResponse {
    /// Reads an answer to its end.
    ///
    /// # Errors
    ///
    /// The connection breaks, or the body is longer than 1 MiB, whatever `Content-Length` says.
    pub async fn read(mut response: Response) -> anyhow::Result<Self> {
        let mut body = Vec::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(reqwest::Error::without_url)?
        {
            anyhow::ensure!(body.len() + chunk.len() <= MAX_BODY_BYTES, BodyTooLong);
            body.extend_from_slice(&chunk);
        }
        Ok(Self {
            status: response.status(),
            headers: response.headers().clone(),
            body,
        })
    }

    /// Returns the body as JSON, or null if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Returns the error of an answer that is no token: the description of the service (RFC 6749, section 5.2), or what the answer
    /// looks like.
    pub fn error(&self) -> ResponseError {
        let json = self.json();
        let description = [&json["error_description"], &json["error"]]
            .into_iter()
            .find_map(|text| text.as_str().filter(|text| !text.is_empty()));
        let code = self.status.as_u16();
        let (message, hint) = if let Some(description) = description {
            (description.to_owned(), None)
        } else if let Some(location) = self.redirect_location() {
            let message =
                format!("the answer was a redirect to `{location}`, which is not followed");
            (message, Some(PROXY_HINT))
        } else if self.is_intercepted() {
            let message = format!("a web page came in place of the answer: {code}");
            (message, Some(PROXY_HINT))
        } else if self.status == StatusCode::TOO_MANY_REQUESTS {
            let wait = self.retry_after();
            let wait = wait.map(|seconds| format!(", it asks to wait {seconds} s"));
            let message = format!("too many requests{}", wait.unwrap_or_default());
            (message, Some("try again later"))
        } else if self.status.is_success() {
            (NO_TOKEN.to_owned(), None)
        } else {
            (format!("it answered with {code}"), None)
        };
        ResponseError { message, hint }
    }

    /// Returns a header's value on one line, in full length.
    pub fn header(&self, name: &str) -> Option<String> {
        let value = self.headers.get(name)?;
        Some(visible(&String::from_utf8_lossy(value.as_bytes())))
    }

    /// Returns where a redirect leads.
    pub fn redirect_location(&self) -> Option<String> {
        let location = printable(&self.header(LOCATION.as_str())?);
        (self.status.is_redirection() && !location.is_empty()).then_some(location)
    }

    /// Returns the seconds that a busy server asks to wait.
    pub fn retry_after(&self) -> Option<u64> {
        self.header(RETRY_AFTER.as_str())?.parse().ok()
    }

    /// Returns whether the answer is the page of a proxy or a portal. A page with a 5xx is the service's own, since its web server
    /// has no other form for it; 511 alone is a portal's (RFC 6585, section 6).
    pub fn is_intercepted(&self) -> bool {
        self.is_web_page()
            && (!self.status.is_server_error()
                || self.status == StatusCode::NETWORK_AUTHENTICATION_REQUIRED)
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
    fn what_came_in_place_of_a_token_has_words() {
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
            (
                200,
                &[],
                "<html>",
                "a web page came in place of the answer: 200",
            ),
            (
                400,
                &[],
                " <!DOCTYPE html>",
                "a web page came in place of the answer: 400",
            ),
            (502, &[], " <!DOCTYPE html>", "it answered with 502"),
            (
                511,
                &[],
                " <!DOCTYPE html>",
                "a web page came in place of the answer: 511",
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
                _ if expected.starts_with("a web page") || expected.contains("redirect") => {
                    Some(PROXY_HINT)
                }
                _ => None,
            };
            assert_eq!(error.hint, hint, "{expected}");
        }
    }
}
