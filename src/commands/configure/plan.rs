//! The planned edit of one file, and writing several of them as one.

use super::client_config::{ClientConfig, DEFAULT_STORE};
use super::file::FileSnapshot;
use super::state::{FileRecord, State};
use super::{CONFIGURE, HELPER};
use crate::commands::report::Check;
use crate::error::Error;
use serde::Serialize;
use std::path::Path;

/// A file before and after.
#[derive(Debug)]
pub(super) struct FileEdit {
    pub(super) before: FileSnapshot,
    /// The new content; none if the file will be removed.
    pub(super) after: Option<String>,
    pub(super) record: FileRecord,
}

/// A helper in a file, before and after.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Change {
    pub(super) path: String,
    pub(super) target: String,
    pub(super) before: Option<String>,
    pub(super) after: Option<String>,
}

impl FileEdit {
    /// Plans to set this helper for these targets in a client's file, or to remove it; without targets, for all that were recorded.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or clients could not parse it.
    pub(super) fn of_client(
        path: &Path,
        state: &State,
        is_removal: bool,
        mut targets: Vec<String>,
    ) -> Result<(Self, Vec<Change>), Error> {
        let before = FileSnapshot::read(path)?;
        let mut record = state.record(&before);
        let mut config = ClientConfig::parse(path, before.text.clone().unwrap_or_default())?;
        if targets.is_empty() {
            targets = record.previous.keys().cloned().collect();
        }
        let changes = targets
            .into_iter()
            .map(|target| change(&mut config, &mut record, is_removal, target))
            .collect();
        let is_obsolete = record.is_new_file() && record.previous.is_empty() && config.is_empty();
        let is_same = before.text.as_deref().unwrap_or_default() == config.text;
        let after = match &before.text {
            text if is_same => text.clone(),
            _ if is_obsolete => None,
            _ => Some(config.text),
        };
        let edit = Self {
            before,
            after,
            record,
        };
        Ok((edit, changes))
    }
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
            (None, None) => Check::good("", format!("{target} {arrow} nothing (not set)")),
            (None, Some(new)) => line(new, "added", "would be added"),
            (Some(old), None) => line(old, "removed", "would be removed"),
            (Some(HELPER), Some(HELPER)) => line(HELPER, "already set", "already set"),
            (Some(HELPER), Some(old)) => line(old, "restored", "would be restored"),
            (Some(old), Some(new)) if old == new => {
                let text = format!("{target} {arrow} {old} (set by another program, not changed)");
                Check::warning("", text)
            }
            (Some(old), Some(new)) => {
                let (done, would) = (format!("replaces {old}"), format!("would replace {old}"));
                let command = remove_command([target.as_str()]);
                line(new, &done, &would).hint(format!("to restore it, run\n  {command}"))
            }
        }
    }
}

/// Returns the command that removes this helper for these targets.
pub(super) fn remove_command<'t>(targets: impl IntoIterator<Item = &'t str>) -> String {
    let mut command = format!("{CONFIGURE} --remove");
    for target in targets {
        let word = if target == DEFAULT_STORE {
            "--all"
        } else {
            target
        };
        command.extend([" ", word]);
    }
    command
}

/// Writes all files, or restores those that were written.
///
/// Write-ahead: on install the record is written before the files, on removal after them, so that a crash never leaves an unrecorded
/// change. The edit of the delegate comes after that of Docker's file: the delegate is set as long as this file names us for all hosts.
///
/// # Errors
///
/// When a file cannot be written, or another program has just changed it.
pub(super) fn apply(mut state: State, is_removal: bool, edits: &[FileEdit]) -> Result<(), Error> {
    let former = state.files.clone();
    for edit in edits {
        state.set(&edit.before, edit.record.clone());
    }
    let mut written = Vec::new();
    let applied = if is_removal {
        write(edits.iter(), &mut written).and_then(|()| state.write())
    } else {
        state
            .write()
            .and_then(|()| write(edits.iter().rev(), &mut written))
    };
    applied.map_err(|error| {
        for edit in written {
            let created = &edit.record.created;
            edit.before.rollback(edit.after.as_deref(), created);
        }
        state.files = former;
        match state.write() {
            Ok(()) => error,
            Err(second) => error.with_detail(second.to_string()),
        }
    })
}

/// Writes files until one fails, and collects those that were written.
fn write<'e>(
    edits: impl Iterator<Item = &'e FileEdit>,
    written: &mut Vec<&'e FileEdit>,
) -> Result<(), Error> {
    for edit in edits {
        let created = &edit.record.created;
        edit.before.write(edit.after.as_deref(), created)?;
        written.push(edit);
    }
    Ok(())
}
