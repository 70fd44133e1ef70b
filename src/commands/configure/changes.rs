//! The changes of helpers in one client's file: planned, recorded, and shown.

use super::client_config::{ClientConfig, DEFAULT_STORE};
use super::file::{FileEdit, FileSnapshot};
use super::state::{FileRecord, State};
use super::{CONFIGURE, HELPER};
use crate::commands::report::Check;
use crate::error::Error;
use crate::text::shell_word;
use serde::Serialize;
use std::path::Path;

/// A helper in a file, before and after.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Change {
    pub(super) path: String,
    pub(super) target: String,
    pub(super) before: Option<String>,
    pub(super) after: Option<String>,
}

/// Plans to set this helper for these targets in a client's file, or to remove it; without targets, for all that were recorded. Records it.
///
/// # Errors
///
/// When the file cannot be read, or clients could not parse it.
pub(super) fn edit_client(
    path: &Path,
    state: &mut State,
    is_removal: bool,
    mut targets: Vec<String>,
) -> Result<(FileEdit, Vec<Change>), Error> {
    let before = FileSnapshot::read(path)?;
    let mut record = state.record(&before);
    let mut config = ClientConfig::parse(path, before.text.clone().unwrap_or_default())?;
    if targets.is_empty() {
        targets = record.previous.keys().cloned().collect();
    }
    let changes = targets
        .into_iter()
        .map(|target| change(&mut config, &mut record, is_removal, target))
        // What was removed before is no change.
        .filter(|change| change.before.is_some() || change.after.is_some())
        .collect();
    let folders = record.created.clone();
    let is_obsolete = !folders.is_empty() && record.previous.is_empty() && config.is_empty();
    let is_same = before.text.as_deref().unwrap_or_default() == config.text;
    let after = match &before.text {
        text if is_same => text.clone(),
        _ if is_obsolete => None,
        _ => Some(config.text),
    };
    state.set(&before, record);
    let edit = FileEdit {
        before,
        after,
        folders,
    };
    Ok((edit, changes))
}

/// Sets this helper for a target and records what was there before, or restores that. The name of another helper is not removed.
fn change(
    config: &mut ClientConfig,
    record: &mut FileRecord,
    is_removal: bool,
    target: String,
) -> Change {
    let before = config.target(&target).map(str::to_owned);
    let is_ours = before.as_deref() == Some(HELPER);
    let after = if is_removal {
        let previous = record.previous.remove(&target).flatten();
        if is_ours { previous } else { before.clone() }
    } else {
        if !is_ours {
            record.previous.insert(target.clone(), before.clone());
        }
        Some(HELPER.to_owned())
    };
    if before != after {
        config.set_target(&target, after.as_deref());
    }
    Change {
        path: config.file.clone(),
        target,
        before,
        after,
    }
}

impl Change {
    /// Returns the change as a line of the output.
    pub(super) fn check(&self, arrow: &str, is_dry_run: bool) -> Check {
        let target = &self.target;
        let line = |helper: &str, done: &str, would: &str| {
            let outcome = if is_dry_run { would } else { done };
            Check::good("", format!("{target} {arrow} {helper} ({outcome})"))
        };
        match (self.before.as_deref(), self.after.as_deref()) {
            (None, Some(new)) => line(new, "added", "would be added"),
            (old, None) => line(old.unwrap_or_default(), "removed", "would be removed"),
            (Some(HELPER), Some(HELPER)) => line(HELPER, "already set", "already set"),
            (Some(HELPER), Some(old)) => line(old, "restored", "would be restored"),
            (Some(old), Some(new)) if old == new => {
                let text = format!("{target} {arrow} {old} (set by another program, not changed)");
                Check::warning("", text)
            }
            (Some(old), Some(new)) => {
                let (done, replaces) = (format!("replaces {old}"), format!("would replace {old}"));
                let command = remove_command([target.as_str()]);
                let would = if is_dry_run { "you would " } else { "" };
                line(new, &done, &replaces).hint(format!("to restore it, {would}run\n  {command}"))
            }
        }
    }
}

/// Returns the command that removes this helper for these targets.
pub(super) fn remove_command<'t>(targets: impl IntoIterator<Item = &'t str>) -> String {
    let mut command = format!("{CONFIGURE} --remove");
    for target in targets {
        command.push(' ');
        command += &match target {
            DEFAULT_STORE => "--all".to_owned(),
            host => shell_word(host),
        };
    }
    command
}
