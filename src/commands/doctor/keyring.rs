//! Whether a keyring stores a token, and how long that takes.

use super::checks::Target;
use crate::cache::SelfTest;
use crate::commands::report::{Check, timed};
use crate::config::CacheChoice;
use std::time::Duration;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

pub(super) const NAME: &str = "keyring";

/// The limit for all keyrings together.
const KEYRING_TIMEOUT: Duration = Duration::from_secs(10);

const HINT: &str = if cfg!(target_os = "linux") {
    "unlock or start the keyring, or set `cache` to keyutils or auto; with `cache = \"none\"` nothing is stored"
} else {
    "unlock the keyring; with `cache = \"none\"` nothing is stored"
};

/// Writes, reads and deletes an entry in each keyring that `cache` chooses.
pub(super) async fn check(target: &Target<'_>) -> Check {
    if target.config.cache == CacheChoice::None {
        let summary = "caching is off (`cache = \"none\"`): the helper signs in each time";
        return Check::skipped(NAME, summary);
    }
    let cache = target.cache.clone();
    let results = timeout(KEYRING_TIMEOUT, spawn_blocking(move || cache.self_test()));
    timed(async {
        match results.await {
            Ok(Ok(results)) => evaluate(&results),
            Ok(Err(_)) | Err(_) => not_stored(["the keyring does not answer".to_owned()]),
        }
    })
    .await
}

fn evaluate(results: &[SelfTest]) -> Check {
    let failures = results.iter().filter_map(|result| {
        let failure = result.outcome.as_ref().err()?;
        Some(format!("{}: {failure}", result.store))
    });
    match results.iter().find(|result| result.outcome.is_ok()) {
        Some(SelfTest { store, .. }) => {
            let summary = format!("{store}: stored, read and deleted a test token of 2 KiB");
            Check::good(NAME, summary).with(failures)
        }
        None => not_stored(failures),
    }
}

fn not_stored(details: impl IntoIterator<Item = String>) -> Check {
    Check::warning(NAME, "no keyring stores a token: each call signs in")
        .with(details)
        .hint(HINT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terminal::Status;

    #[test]
    fn one_keyring_that_works_is_enough_and_failures_are_listed() {
        let result = |store: &str, outcome: Result<(), &str>| SelfTest {
            store: store.into(),
            outcome: outcome.map_err(str::to_owned),
        };
        let locked = result("one", Err("locked"));
        let check = evaluate(&[locked, result("two", Ok(()))]);
        assert_eq!(
            (check.status, check.details),
            (Status::Ok, vec!["one: locked".to_owned()])
        );
        let check = evaluate(&[
            result("one", Err("locked")),
            result("two", Err("not found")),
        ]);
        assert_eq!(
            (check.status, check.details.join(", ")),
            (Status::Warning, "one: locked, two: not found".to_owned())
        );
    }
}
