//! What a failed connection is called, read from an error and its causes.

use super::TooLong;
use crate::error::{Error, Stage, printable};
use std::error::Error as StdError;
use std::io;

/// What to do where a proxy asks for a user.
const PROXY_LOGIN: &str =
    "the proxy wants a user and a password: `HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT`";

/// What stopped a connection to `host`; `None` when the error is about something else.
pub(super) fn unreachable(
    host: &str,
    error: &(dyn StdError + 'static),
    circumstances: &[String],
) -> Option<Error> {
    let stage = chain(error).find_map(stage)?;
    let stage = chain(error).fold(stage, refine);
    let cause = root_cause(error);
    let unreachable = Error::unreachable(host, stage, &cause, circumstances);
    // The HTTP client has no type for this failure of a proxy, only these words.
    if stage == Stage::Connection && cause.contains("proxy authorization required") {
        return Some(unreachable.with_hint(PROXY_LOGIN));
    }
    Some(unreachable)
}

/// The text of the innermost cause.
pub(super) fn root_cause(error: &(dyn StdError + 'static)) -> String {
    let innermost = chain(error).last().map(ToString::to_string);
    printable(&innermost.unwrap_or_default())
}

/// An error, its cause, the cause of that, and so on. The text of an error seldom shows its cause.
pub fn chain<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// Whether the same request may succeed in a moment: the connection broke, or a name server asked for another try.
pub(super) fn is_passing(error: &reqwest::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    chain(error).any(|cause| {
        let broken = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        // TLS faults are wrapped in an error of kind `InvalidData`, and so are not among these.
        matches!(
            broken,
            Some(BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
        ) || is_try_again(cause)
            || cause.to_string() == "connection closed before message completed"
    })
}

/// Whether a name server asked for another try (getaddrinfo(3), `EAI_AGAIN`). The standard library drops the code and keeps the words, which
/// are glibc's or, in the static program, musl's.
fn is_try_again(cause: &(dyn StdError + 'static)) -> bool {
    let text = cause.to_string();
    let words = text
        .strip_prefix("failed to lookup address information: ")
        .unwrap_or_default();
    ["Temporary failure in name resolution", "Try again"].contains(&words)
}

fn stage(cause: &(dyn StdError + 'static)) -> Option<Stage> {
    if cause.is::<TooLong>() {
        return Some(Stage::Answer);
    }
    let error = cause.downcast_ref::<reqwest::Error>()?;
    Some(if error.is_connect() {
        Stage::Connection
    } else {
        Stage::Answer
    })
}

/// Name resolution and TLS fail while connecting; only the causes tell them apart.
fn refine(stage: Stage, cause: &(dyn StdError + 'static)) -> Stage {
    let inner = cause
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref);
    if cause.is::<rustls::Error>() || inner.is_some_and(|inner| inner.is::<rustls::Error>()) {
        Stage::Tls
    } else if cause.to_string() == "dns error" {
        Stage::Name
    } else {
        stage
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
