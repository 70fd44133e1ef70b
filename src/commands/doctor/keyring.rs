//! The stores of this system: whether one takes a token, and how long that takes.

use crate::cache::{Cache, Trial};
use crate::commands::report::Check;
use crate::config::{CacheChoice, EffectiveSetting};
use std::time::{Duration, Instant};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

pub(super) const NAME: &str = "keyring";

/// Stores that are left to themselves may take all the time of a `get`.
const PATIENCE: Duration = Duration::from_secs(10);

/// Writes, reads and deletes an entry in each store that is chosen: those of `cache`. `set` is the setting that chose.
pub(super) async fn look(
    choice: CacheChoice,
    cache: Cache,
    set: Option<&EffectiveSetting>,
) -> Check {
    if choice == CacheChoice::None {
        let origin = set
            .map(|set| format!(" by {}", set.origin))
            .unwrap_or_default();
        return Check::skipped(
            NAME,
            format!("`cache` is none{origin}, and each call signs in"),
        );
    }
    let started = Instant::now();
    let trials = timeout(PATIENCE, spawn_blocking(move || cache.try_out())).await;
    let check = match trials {
        Ok(Ok(trials)) => judge(&trials),
        Ok(Err(_)) | Err(_) => kept_nowhere().with(["the keyring does not answer".to_owned()]),
    };
    check.since(started)
}

fn judge(trials: &[Trial]) -> Check {
    let failures = |trials: &[Trial]| -> Vec<String> {
        trials
            .iter()
            .filter_map(|trial| {
                Some(format!(
                    "{}: {}",
                    trial.store,
                    trial.outcome.as_ref().err()?
                ))
            })
            .collect()
    };
    match trials.iter().find(|trial| trial.outcome.is_ok()) {
        Some(trial) => {
            let summary = format!(
                "{} took, gave back and dropped a token of 2 KiB",
                trial.store
            );
            Check::good(NAME, summary).with(failures(trials))
        }
        None => kept_nowhere().with(failures(trials)),
    }
}

fn kept_nowhere() -> Check {
    let another = if cfg!(target_os = "linux") {
        " or start the keyring, or let `cache` be keyutils or auto"
    } else {
        " the keyring"
    };
    Check::warning(NAME, "no token can be kept: each call signs in").hint(format!(
        "unlock{another}; `cache = \"none\"` says that none is wanted"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::report::list;
    use crate::terminal::Mark;

    fn trial(store: &str, outcome: Result<(), &str>) -> Trial {
        Trial {
            store: store.into(),
            outcome: outcome.map_err(str::to_owned),
        }
    }

    #[test]
    fn one_store_that_works_is_enough_and_the_others_are_told() {
        let check = judge(&[trial("one", Err("locked")), trial("two", Ok(()))]);
        assert_eq!(
            (check.status, check.details),
            (Mark::Good, vec!["one: locked".to_owned()])
        );
        let trials = [trial("one", Err("locked")), trial("two", Err("absent"))];
        let check = judge(&trials);
        assert_eq!(
            (check.status, list(&check.details)),
            (Mark::Warning, "one: locked, two: absent".to_owned())
        );
    }
}
