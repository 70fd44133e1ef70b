//! What a failed connection is called, read from an error and its causes.

use super::Network;
use super::response::BodyTooLong;
use crate::error::{Error, Stage, printable};
use std::error::Error as StdError;
use std::io;

/// What to do where a proxy asks for a user.
const PROXY_LOGIN_HINT: &str =
    "the proxy wants a user and a password: `HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT`";

impl Network {
    /// Returns what stopped a connection to `host`, or `None` if the error is about something else.
    pub fn unreachable(&self, host: &str, error: &(dyn StdError + 'static)) -> Option<Error> {
        let stage = chain(error).find_map(http_stage)?;
        // Name resolution and TLS fail while connecting; only the causes tell them apart.
        let stage = chain(error)
            .filter_map(connect_stage)
            .last()
            .unwrap_or(stage);
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
        // The HTTP client has no type for this failure of a proxy, only these words.
        if stage == Stage::Connection && cause.contains("proxy authorization required") {
            return unreachable.with_hint(PROXY_LOGIN_HINT);
        }
        unreachable
    }
}

/// Returns an error, its cause, the cause of that, and so on. The text of an error seldom shows its cause.
pub fn chain<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    anyhow::Chain::new(error)
}

/// Returns whether the same request may succeed in a moment: the connection broke, or a name server asked for another try.
pub(super) fn is_transient(error: &reqwest::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    chain(error).any(|cause| {
        let kind = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        // TLS errors are wrapped in an error of kind `InvalidData`, and so are not among these.
        matches!(
            kind,
            Some(BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
        ) || is_try_again(cause)
            || cause.to_string() == "connection closed before message completed"
    })
}

/// Returns whether a name server asked for another try (getaddrinfo(3), `EAI_AGAIN`). The standard library drops the code and keeps
/// the text, which is glibc's or, in the static program, musl's.
fn is_try_again(cause: &(dyn StdError + 'static)) -> bool {
    let text = cause.to_string();
    let text = text.strip_prefix("failed to lookup address information: ");
    matches!(
        text,
        Some("Temporary failure in name resolution" | "Try again")
    )
}

fn http_stage(cause: &(dyn StdError + 'static)) -> Option<Stage> {
    match cause.downcast_ref::<reqwest::Error>() {
        Some(error) if error.is_connect() => Some(Stage::Connection),
        Some(_) => Some(Stage::Answer),
        None => cause.is::<BodyTooLong>().then_some(Stage::Answer),
    }
}

fn connect_stage(cause: &(dyn StdError + 'static)) -> Option<Stage> {
    let inner = cause
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref);
    if cause.is::<rustls::Error>() || inner.is_some_and(|inner| inner.is::<rustls::Error>()) {
        Some(Stage::Tls)
    } else {
        (cause.to_string() == "dns error").then_some(Stage::Name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_server_that_asks_for_another_try_is_known_by_the_words_of_both_libraries() {
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
