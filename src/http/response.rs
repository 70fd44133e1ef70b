//! An HTTP answer, and what is in it when it is not the one that was expected. The exchange and sign-ins meet the same proxies,
//! portals and busy servers.

use crate::error::{IN_THE_WAY, printable, visible};
use reqwest::header::{HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use serde_json::Value;

/// The longest body that is read of any answer.
const MAX_BODY_BYTES: usize = 1024 * 1024;

const WEB_PAGE: &str = "a web page came in place of the answer";
const REDIRECT: &str = "the answer was a redirect";
const TOO_MANY_REQUESTS: &str = "too many requests";

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

    /// Returns what a token service said in place of a token: its own description (RFC 6749, section 5.2), or what its answer looks
    /// like. Not yet made printable.
    pub fn error_message(&self) -> String {
        let json = self.json();
        let description = [&json["error_description"], &json["error"]]
            .into_iter()
            .find_map(|text| text.as_str().filter(|text| !text.is_empty()));
        let code = self.status.as_u16();
        if let Some(description) = description {
            description.to_owned()
        } else if let Some(location) = self.redirect_location() {
            format!("{REDIRECT} to `{location}`, which is not followed")
        } else if self.is_intercepted() {
            format!("{WEB_PAGE}: {code}")
        } else if self.status == StatusCode::TOO_MANY_REQUESTS {
            let wait = self.retry_after();
            let wait = wait.map(|seconds| format!(", it asks to wait {seconds} s"));
            format!("{TOO_MANY_REQUESTS}{}", wait.unwrap_or_default())
        } else if self.status.is_success() {
            NO_TOKEN.into()
        } else {
            format!("it answered with {code}")
        }
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

/// Returns what to do about an [`HttpResponse::error_message`] that came from something other than a token service, or from a busy
/// one.
pub fn hint(message: &str) -> Option<&'static str> {
    if message.starts_with(WEB_PAGE) || message.starts_with(REDIRECT) {
        Some(IN_THE_WAY)
    } else {
        message
            .starts_with(TOO_MANY_REQUESTS)
            .then_some("try again later")
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
            .error_message()
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
            assert_eq!(of(status, headers, body), expected);
        }
    }
}
