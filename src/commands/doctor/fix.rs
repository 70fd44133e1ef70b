//! `--fix`: what the helper can fix by itself.

use super::{clients, permissions};
use crate::commands::report::{Check, Report};
use crate::commands::{Context, configure};
use crate::config::edit::change_in_file;
use crate::error::Error;
use crate::registry::Registry;

/// The setting that lets BuildKit use the credential.
const USERNAME: &str = "username";
const USERNAME_TOKEN: &str = "token";

/// Fixes clients' files and the user name of the registry. Returns each problem, and behind it what was changed.
pub(super) fn apply(context: &Context<'_>, registry: &Registry, report: &Report) -> Vec<Check> {
    let fix = |names: &[&str], change: &dyn Fn() -> Result<Vec<Check>, Error>| {
        let checks = report.checks.iter();
        let problems = checks.filter(|check| check.is_problem() && names.contains(&check.name));
        let shown = problems.map(|check| Check::unnamed(check.status, &check.summary));
        let mut shown: Vec<Check> = shown.collect();
        if !shown.is_empty() {
            let failed = |error| vec![Check::failed("", &error)];
            let changes = change().unwrap_or_else(failed);
            // What cannot be fixed is the problem itself.
            shown.retain(|check| changes.iter().all(|other| other.summary != check.summary));
            shown.extend(changes);
        }
        shown
    };
    // A login in an earlier file of Podman goes before the helper that is named in a later one.
    let of_clients = [clients::DOCKER, clients::PODMAN, clients::LOGINS];
    let mut fixes = fix(&of_clients, &|| {
        // A failure of one hides nothing of the other. Both report a file that cannot be read.
        let mut changes: Vec<Check> = vec![];
        for change in [configure::remove_logins, configure::apply] {
            let found =
                change(context, registry).unwrap_or_else(|error| vec![Check::failed("", &error)]);
            for check in found {
                if changes.iter().all(|other| other.summary != check.summary) {
                    changes.push(check);
                }
            }
        }
        Ok(changes)
    });
    fixes.extend(fix(&[permissions::BUILDKIT], &|| {
        let profile = Some(registry.host());
        let changed = change_in_file(context.settings, profile, USERNAME, Some(USERNAME_TOKEN))?;
        let text = format!(
            "set `{USERNAME} = \"{USERNAME_TOKEN}\"` for {registry} in {}",
            changed.file().display()
        );
        Ok(vec![Check::good("", text)])
    }));
    fixes
}
