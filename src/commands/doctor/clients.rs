//! Whether Docker, Podman and their like use this helper, by the checks of `configure`.

use crate::commands::report::{Check, NOT_CHECKED};
use crate::commands::{Context, configure};
use crate::registry::Registry;
use crate::terminal::Status;

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
        let check = shorten(check);
        // Podman reads Docker's file if it has none of its own: what is wrong there counts once.
        let is_known = |other: &Check| other.is_bad() && other.summary == check.summary;
        if checks.iter().any(is_known) {
            checks.push(Check::skipped(
                check.name,
                format!("{NOT_CHECKED} Docker failed"),
            ));
            continue;
        }
        match checks.iter_mut().find(|other| other.name == check.name) {
            // A name stands for one check: of several logins, the first has the others as details.
            Some(first) => first.details.extend([check.summary]),
            None => checks.push(check),
        }
    }
    checks
}

/// Returns a check whose summary names no path if all is well.
fn shorten(mut check: Check) -> Check {
    let summary = match (check.name, check.status) {
        (DOCKER | PODMAN, Status::Ok) => "uses this helper",
        (PODMAN | DOCKER, Status::Skipped) => "not installed",
        (PATH, Status::Ok) => "clients find this helper",
        _ => return check,
    };
    check
        .details
        .insert(0, std::mem::replace(&mut check.summary, summary.into()));
    check
}
