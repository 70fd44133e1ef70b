//! Whether docker, podman and their like ask this helper, with the checks of `configure`.

use crate::commands::Context;
use crate::commands::configure;
use crate::commands::report::Check;
use crate::registry::Registry;

const NAME: &str = "wiring";

/// Checks whether clients ask this helper: there are as many checks as clients and oddities.
pub(super) fn look(context: &Context<'_>, registry: &Registry) -> Vec<Check> {
    configure::check_cred_helpers(context, registry)
        .into_iter()
        .map(named)
        .collect()
}

/// Checks whether clients find this helper, whatever they ask it for.
pub(super) fn program(context: &Context<'_>) -> Check {
    named(configure::program(context))
}

fn named(check: Check) -> Check {
    Check {
        name: NAME,
        ..check
    }
}
