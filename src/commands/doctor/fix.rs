//! `--fix`: what the helper can repair by itself.

use super::clients;
use crate::commands::report::{Check, Report};
use crate::commands::{Context, configure};
use crate::error::Error;
use crate::registry::Registry;

/// Fixes the clients' files. Returns each problem, and behind it what was changed.
pub(super) fn apply(context: &Context<'_>, registry: &Registry, report: &Report) -> Vec<Check> {
    let mut fixes = Vec::new();
    let problems = |names: &[&str]| -> Vec<Check> {
        let checks = report.checks.iter();
        let problems = checks.filter(|check| check.is_problem() && names.contains(&check.name));
        let without_hint = |check: &Check| Check::unnamed(check.status, &check.summary);
        problems.map(without_hint).collect()
    };
    let mut fix = |problems: Vec<Check>, changes: &dyn Fn() -> Result<Vec<Check>, Error>| {
        if problems.is_empty() {
            return;
        }
        fixes.extend(problems);
        match changes() {
            Ok(changes) => fixes.extend(changes),
            Err(error) => fixes.push(Check::failed("", &error)),
        }
    };
    // A login in an earlier file of Podman goes before the helper that is named in a later one.
    let of_clients = problems(&[clients::DOCKER, clients::PODMAN, clients::LOGINS]);
    fix(of_clients, &|| {
        let mut changes = configure::remove_logins(context, registry)?;
        changes.extend(configure::apply(context, registry)?);
        Ok(changes)
    });
    fixes
}
