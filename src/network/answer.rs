//! Answers that are not what was asked for, in words. Exchange and sign-in meet the same proxies, portals and busy servers.

use crate::error::{printable, visible};
use crate::refusal::PROXY_HINT;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, LOCATION, RETRY_AFTER};
use serde::Deserialize;

/// The shape of Entra's and of the identity endpoints' refusals (RFC 6749, section 5.2). Owned text: a description with an
/// escape in it cannot be borrowed.
#[derive(Deserialize)]
struct Refusal {
    error: Option<String>,
    error_description: Option<String>,
}

/// What to do about an answer in the words of [`words`] that came from something else than a token service, or from a busy one.
pub fn hint(words: &str) -> Option<&'static str> {
    if words.starts_with(WEB_PAGE) || words.starts_with(REDIRECT) {
        Some(PROXY_HINT)
    } else if words.starts_with(TOO_MANY) {
        Some("try again later")
    } else {
        None
    }
}

const WEB_PAGE: &str = "a web page came in place of the answer";
const REDIRECT: &str = "the answer was a redirect";
const TOO_MANY: &str = "too many requests";

/// What a token service said in place of a token: its own description, or what its answer looks like. Not yet made printable.
pub fn words(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> String {
    let refusal: Option<Refusal> = serde_json::from_slice(body).ok();
    if let Some(said) = refusal
        .and_then(|refusal| refusal.error_description.or(refusal.error))
        .filter(|said| !said.is_empty())
    {
        return said;
    }
    let code = status.as_u16();
    if let Some(location) = location(status, headers) {
        format!("{REDIRECT} to `{location}`, which is not followed")
    } else if is_in_the_way(status, body) {
        format!("{WEB_PAGE}: {code}")
    } else if status == StatusCode::TOO_MANY_REQUESTS {
        match retry_after(headers) {
            Some(seconds) => format!("{TOO_MANY}, it asks to wait {seconds} s"),
            None => TOO_MANY.into(),
        }
    } else if status.is_success() {
        "the answer holds no token".into()
    } else {
        format!("it answered with {code}")
    }
}

/// Where a redirect leads.
pub fn location(status: StatusCode, headers: &HeaderMap) -> Option<String> {
    header(headers, LOCATION.as_str())
        .map(|location| printable(&location))
        .filter(|location| status.is_redirection() && !location.is_empty())
}

/// Seconds that a busy server asks to wait.
pub fn retry_after(headers: &HeaderMap) -> Option<u64> {
    header(headers, RETRY_AFTER.as_str())?.parse().ok()
}

/// A header's value on one line, whole: what is read of it may be long.
pub fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    Some(visible(&String::from_utf8_lossy(
        headers.get(name)?.as_bytes(),
    )))
}

/// Whether an answer is the page of a proxy or a portal. A page with a 5xx is the service's own, since its web server has no other form for it;
/// 511 alone is a portal's (RFC 6585, section 6).
pub fn is_in_the_way(status: StatusCode, body: &[u8]) -> bool {
    is_web_page(body)
        && (!status.is_server_error() || status == StatusCode::NETWORK_AUTHENTICATION_REQUIRED)
}

/// Whether a body is HTML.
pub fn is_web_page(body: &[u8]) -> bool {
    let start: Vec<u8> = body
        .iter()
        .copied()
        .filter(|byte| !byte.is_ascii_whitespace())
        .take(5)
        .collect();
    start.eq_ignore_ascii_case(b"<html") || start.eq_ignore_ascii_case(b"<!doc")
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
            words(
                StatusCode::from_u16(status).unwrap(),
                &headers,
                body.as_bytes(),
            )
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
