//! Entra's refusals in their real shape: an OAuth error with an AADSTS code, a trace id and a correlation id.

use serde_json::json;

use crate::call::Call;
use crate::clock;
use crate::random;
use crate::wire::{self, Reply};

/// One refusal.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) error: &'static str,
    pub(crate) code: u32,
    pub(crate) text: String,
    /// What another sign-in must answer.
    pub(crate) claims: Option<String>,
}

impl Refusal {
    /// A request that is wrong in itself.
    pub(crate) fn request(code: u32, text: String) -> Self {
        Self {
            status: 400,
            error: "invalid_request",
            code,
            text,
            claims: None,
        }
    }

    /// A client that could not show who it is.
    pub(crate) fn client(code: u32, text: String) -> Self {
        Self {
            status: 401,
            error: "invalid_client",
            code,
            text,
            claims: None,
        }
    }

    /// Another OAuth error, answered 400.
    pub(crate) fn other(error: &'static str, code: u32, text: String) -> Self {
        Self {
            status: 400,
            error,
            code,
            text,
            claims: None,
        }
    }

    /// A field that the form has not.
    pub(crate) fn missing(field: &str) -> Self {
        let text = format!("The request body must contain the following parameter: '{field}'.");
        Self::request(900_144, text)
    }

    /// The refusal on the wire.
    pub(crate) fn reply(&self, call: &Call) -> Reply {
        let Self {
            status,
            error,
            code,
            text,
            claims,
        } = self;
        let trace = random::guid();
        let correlation = call
            .header("client-request-id")
            .map_or_else(random::guid, str::to_owned);
        let timestamp = clock::entra_timestamp(call.now);
        let description = format!(
            "AADSTS{code}: {text} Trace ID: {trace} Correlation ID: {correlation} \
             Timestamp: {timestamp}"
        );
        let mut body = json!({
            "error": error,
            "error_description": description,
            "error_codes": [code],
            "timestamp": timestamp,
            "trace_id": trace,
            "correlation_id": correlation,
            "error_uri": format!("https://{}/error?code={code}", call.host),
        });
        if let Some(claims) = claims {
            body["suberror"] = "basic_action".into();
            body["claims"] = claims.as_str().into();
        }
        wire::json(*status, &body)
    }
}
