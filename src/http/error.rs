//! Classifies connection failures by the causes of an error.

use super::Network;
use super::response::BodyTooLong;
use crate::error::{Error, Stage, printable};
use std::error::Error as StdError;
use std::io;

/// What to do if a proxy requires a user name.
const PROXY_LOGIN_HINT: &str =
    "the proxy wants a user and a password: `HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT`";

impl Network {
    /// Returns what stopped a connection to `host`, or `None` if the error is about something else.
    pub fn unreachable(&self, host: &str, error: &(dyn StdError + 'static)) -> Option<Error> {
        // Name resolution and TLS fail while connecting. Only the inner causes tell them apart.
        let stage = chain(error).filter_map(stage).last()?;
        Some(self.connect_error(stage, host, error))
    }

    pub(super) fn connect_error(
        &self,
        stage: Stage,
        host: &str,
        error: &(dyn StdError + 'static),
    ) -> Error {
        let innermost = chain(error).last().map(ToString::to_string);
        let cause = printable(&innermost.unwrap_or_default());
        let unreachable = Error::unreachable(host, stage, &cause, self.circumstances());
        // The HTTP client has no type for this failure, only this text.
        if stage == Stage::Connection && cause.contains("proxy authorization required") {
            return unreachable.with_hint(PROXY_LOGIN_HINT);
        }
        unreachable
    }
}

/// Returns an error and all its causes. The text of an error rarely shows its cause.
pub fn chain<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    anyhow::Chain::new(error)
}

/// Returns whether a retry may succeed: the connection broke, or a name server asked for another try.
pub(super) fn is_transient(error: &reqwest::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    chain(error).any(|cause| {
        let kind = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        // TLS errors have the kind `InvalidData`, so they are never retried.
        matches!(
            kind,
            Some(BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
        ) || is_try_again(cause)
            || cause.to_string() == "connection closed before message completed"
    })
}

/// Returns whether a name server asked for another try (getaddrinfo(3), `EAI_AGAIN`). The standard library keeps only the text, which is
/// glibc's or, in the static program, musl's.
fn is_try_again(cause: &(dyn StdError + 'static)) -> bool {
    let text = cause.to_string();
    let text = text.strip_prefix("failed to lookup address information: ");
    matches!(
        text,
        Some("Temporary failure in name resolution" | "Try again")
    )
}

fn stage(cause: &(dyn StdError + 'static)) -> Option<Stage> {
    if let Some(error) = cause.downcast_ref::<reqwest::Error>() {
        let stage = if error.is_connect() {
            Stage::Connection
        } else {
            Stage::Answer
        };
        return Some(stage);
    }
    let inner = cause
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref);
    if cause.is::<rustls::Error>() || inner.is_some_and(|inner| inner.is::<rustls::Error>()) {
        Some(Stage::Tls)
    } else if cause.is::<BodyTooLong>() {
        Some(Stage::Answer)
    } else {
        (cause.to_string() == "dns error").then_some(Stage::Name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_server_that_asks_for_another_try_is_recognised_by_the_text_of_both_libraries() {
        let look_up = |words: &str| {
            io::Error::other(format!("failed to lookup address information: {words}"))
        };
        for (error, expected) in [
            (look_up("Temporary failure in name resolution"), true),
            (look_up("Try again"), true),
            (look_up("Name or service not known"), false),
            (look_up("Name does not resolve"), false),
            (io::Error::other("Try again"), false),
        ] {
            assert_eq!(is_try_again(&error), expected, "{error}");
        }
    }
}
