//! Whether Docker, Podman and their like use this helper, by the checks of `configure`.

use crate::commands::report::Check;
use crate::commands::{Context, configure};
use crate::registry::Registry;

pub(super) const NAME: &str = "wiring";

/// Checks whether clients use this helper: one check for each client, and one for each oddity.
pub(super) fn check(context: &Context<'_>, registry: &Registry) -> Vec<Check> {
    let checks = configure::check_cred_helpers(context, registry).into_iter();
    checks
        .map(|check| Check {
            name: NAME,
            ..check
        })
        .collect()
}

/// Checks whether clients find this helper.
pub(super) fn program(context: &Context<'_>) -> Check {
    Check {
        name: NAME,
        ..configure::program(context)
    }
}
