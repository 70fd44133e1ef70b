//! Whether docker, podman and their like ask this helper, by the eyes of `configure`.

use super::check::Check;
use crate::commands::{Context, configure};
use crate::registry::Registry;

const NAME: &str = "wiring";

/// What was found, a check each: there are as many as clients and oddities.
pub(super) fn look(context: &Context<'_>, registry: &Registry) -> Vec<Check> {
    let findings = configure::wiring(context, registry).into_iter();
    findings.map(|finding| Check { hint: finding.hint, ..Check::new(NAME, finding.mark, finding.text) }).collect()
}
