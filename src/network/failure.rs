//! What a failed connection is called, read from an error and its causes.

use super::TooLong;
use crate::error::{Stage, Unreachable, printable};
use std::error::Error as StdError;
use std::io;

/// What stopped a connection to `host`; `None` when the error is about something else.
pub(super) fn unreachable(host: &str, error: &(dyn StdError + 'static), circumstances: &[String]) -> Option<Unreachable> {
    let stage = chain(error).find_map(stage)?;
    let innermost = chain(error).last().map(ToString::to_string).unwrap_or_default();
    Some(Unreachable {
        host: host.to_owned(),
        stage: chain(error).fold(stage, refine),
        cause: printable(&innermost),
        circumstances: circumstances.to_vec(),
    })
}

/// An error, its cause, the cause of that, and so on. The text of an error seldom shows its cause.
pub fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// Whether the same request may succeed in a moment: the connection broke, or a name server asked for another try.
pub(super) fn is_passing(error: &reqwest::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    chain(error).any(|cause| {
        let broken = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        // TLS faults are wrapped in an error of kind `InvalidData`, and so are not among these.
        matches!(broken, Some(BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof))
            // getaddrinfo(3), EAI_AGAIN.
            || cause.to_string().ends_with("Temporary failure in name resolution")
            || cause.to_string() == "connection closed before message completed"
    })
}

fn stage(cause: &(dyn StdError + 'static)) -> Option<Stage> {
    if cause.is::<TooLong>() {
        return Some(Stage::Answer);
    }
    let error = cause.downcast_ref::<reqwest::Error>()?;
    Some(if error.is_connect() { Stage::Connection } else { Stage::Answer })
}

/// Name resolution and TLS fail while connecting; only the causes tell them apart.
fn refine(stage: Stage, cause: &(dyn StdError + 'static)) -> Stage {
    let inner = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    if cause.is::<rustls::Error>() || inner.is_some_and(|inner| inner.is::<rustls::Error>()) {
        Stage::Tls
    } else if cause.to_string() == "dns error" {
        Stage::Name
    } else {
        stage
    }
}
