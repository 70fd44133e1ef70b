//! Whether docker, podman and their like ask this helper, by the eyes of `configure`.

use super::check::Check;
use crate::commands::Context;
use crate::commands::configure::{self, Finding};
use crate::registry::Registry;

const NAME: &str = "wiring";

/// What was found, a check each: there are as many as clients and oddities.
pub(super) fn look(context: &Context<'_>, registry: &Registry) -> Vec<Check> {
    configure::wiring(context, registry)
        .into_iter()
        .map(check)
        .collect()
}

/// Whether clients find this helper, whatever they ask it for.
pub(super) fn program(context: &Context<'_>) -> Check {
    check(configure::program(context))
}

fn check(finding: Finding) -> Check {
    Check {
        hint: finding.hint,
        ..Check::new(NAME, finding.mark, finding.text)
    }
}
