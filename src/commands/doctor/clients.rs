//! Whether Docker, Podman and their like use this helper, by the checks of `configure`.

use crate::commands::report::Check;
use crate::commands::{Context, configure};
use crate::registry::Registry;

pub(super) const DOCKER: &str = "docker";
pub(super) const PODMAN: &str = "podman";
pub(super) const VARIABLES: &str = "variables";
pub(super) const LOGINS: &str = "logins";
pub(super) const PATH: &str = "path";

/// Checks whether clients use this helper for a registry, and find it. Without a registry, only the latter.
pub(super) fn check(context: &Context<'_>, registry: Option<&Registry>) -> Vec<Check> {
    let Some(registry) = registry else {
        return vec![configure::program(context).named(PATH)];
    };
    let mut checks: Vec<Check> = Vec::new();
    for check in configure::check_cred_helpers(context, registry) {
        match checks.iter_mut().find(|other| other.name == check.name) {
            // A name stands for one check: of several logins, the first has the others as details.
            Some(first) => first.details.extend([check.summary]),
            None => checks.push(check),
        }
    }
    checks
}
