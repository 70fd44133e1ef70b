//! A planned change of one file, and applying several of them as one.

use super::cred_helpers::{ALL_HOSTS, helper, is_empty, quoted, set_helper};
use super::diff::unified;
use super::file::{FileSnapshot, unusable};
use super::paths::Clients;
use super::state::{FileRecord, State};
use super::{CONFIGURE, HELPER};
use crate::commands::report::Check;
use crate::error::Error;
use serde::Serialize;
use std::path::Path;

/// A file before and after a change. Its JSON is the result of the change.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Plan {
    pub(super) path: String,
    /// The programs that read the file.
    pub(super) clients: String,
    is_changed: bool,
    /// The unified diff, if it was requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) diff: Option<String>,
    #[serde(rename = "findings")]
    pub(super) checks: Vec<Check>,
    #[serde(skip)]
    pub(super) before: FileSnapshot,
    /// The new content; none if the file will be removed.
    #[serde(skip)]
    pub(super) after: Option<String>,
    #[serde(skip)]
    pub(super) record: FileRecord,
}

/// Whether this helper is put into files or taken out of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Install,
    Remove,
}

impl Plan {
    /// Plans to make a file hold `after`.
    pub(super) fn new(
        clients: String,
        before: FileSnapshot,
        after: Option<String>,
        record: FileRecord,
        checks: Vec<Check>,
    ) -> Self {
        Self {
            path: before.path.display().to_string(),
            clients,
            is_changed: before.text != after,
            diff: None,
            checks,
            before,
            after,
            record,
        }
    }

    /// Plans to name this helper for these targets, or to take its name out; without targets, for all that were recorded.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or clients could not parse it.
    pub(super) fn edit(
        direction: Direction,
        clients: Clients,
        path: &Path,
        state: &State,
        targets: &[String],
    ) -> Result<Self, Error> {
        let before = FileSnapshot::read(path)?;
        let mut record = state.record(&before);
        let mut text = before.text.clone().unwrap_or_default();
        let targets: Vec<String> = match targets {
            [] => record.previous.keys().cloned().collect(),
            targets => targets.to_vec(),
        };
        let mut checks = Vec::new();
        for target in &targets {
            let check = match direction {
                Direction::Install => install(&mut text, &mut record, target),
                Direction::Remove => remove(&mut text, &mut record, target),
            };
            checks.push(check.map_err(|problem| {
                unusable(path, format!("was left as it is, since {problem}"))
            })?);
        }
        if checks.is_empty() {
            let text = "nothing was configured here, so there is nothing to undo";
            checks.push(Check::good("", text));
        }
        let is_obsolete = record.is_of_new_file() && record.previous.is_empty() && is_empty(&text);
        let after = match before.text.clone() {
            unchanged if unchanged.as_deref().unwrap_or_default() == text => unchanged,
            _ => Some(text).filter(|_| !is_obsolete),
        };
        Ok(Self::new(
            clients.to_string(),
            before,
            after,
            record,
            checks,
        ))
    }

    /// Adds the diff, if there is any.
    pub(super) fn add_diff(&mut self) {
        let (before, after) = (self.before.text.as_deref(), self.after.as_deref());
        self.diff = self.is_changed.then(|| unified(&self.path, before, after));
    }
}

/// Names this helper for a target, and records what was there before.
fn install(text: &mut String, record: &mut FileRecord, target: &str) -> Result<Check, String> {
    let named = format!("{target}: this helper is named");
    let former = helper(text, target)?;
    if former.as_deref() == Some(HELPER) {
        return Ok(Check::good("", named + " already"));
    }
    let previous = set_helper(text, target, Some(&quoted(HELPER)))?;
    record.previous.insert(target.to_owned(), previous);
    let Some(former) = former else {
        return Ok(Check::good("", named));
    };
    let replaced = format!("{named} in place of `docker-credential-{former}`");
    if target == ALL_HOSTS {
        return Ok(Check::good("", replaced));
    }
    let hint = format!("`{CONFIGURE} --remove {target}` restores it");
    Ok(Check::warning("", replaced).hint(hint))
}

/// Takes the name of this helper out, and restores what was recorded. The name of another helper stays.
fn remove(text: &mut String, record: &mut FileRecord, target: &str) -> Result<Check, String> {
    let previous = record.previous.remove(target).flatten();
    match helper(text, target)? {
        None => {
            return Ok(Check::good(
                "",
                format!("{target}: this helper is not named"),
            ));
        }
        Some(other) if other != HELPER => {
            let text = format!("{target}: `docker-credential-{other}` is named by now, and stays");
            return Ok(Check::warning("", text));
        }
        Some(_) => set_helper(text, target, previous.as_deref())?,
    };
    let text = match helper(text, target)? {
        Some(former) => format!("{target}: `docker-credential-{former}` is named again"),
        None => format!("{target}: this helper is no longer named"),
    };
    Ok(Check::good("", text))
}

/// Writes all files, or restores those that were written.
///
/// Write-ahead: on install the record is written before the files, on removal after them, so that a crash never leaves an unrecorded
/// change. The plan of the delegate comes after that of Docker's file: the delegate is set as long as this file names us for all hosts.
///
/// # Errors
///
/// When a file cannot be written, or another program has just changed it.
pub(super) fn apply<'a>(
    direction: Direction,
    plans: &'a [Plan],
    mut state: State,
) -> Result<(), Error> {
    let before = state.files.clone();
    for plan in plans {
        state.set(&plan.before, plan.record.clone());
    }
    let mut written = Vec::new();
    let mut write = |plan: &'a Plan| {
        let Plan { before, after, .. } = plan;
        before.write(after.as_deref(), &plan.record.created)?;
        written.push(plan);
        Ok(())
    };
    let applied = match direction {
        Direction::Install => state
            .write()
            .and_then(|()| plans.iter().rev().try_for_each(&mut write)),
        Direction::Remove => plans
            .iter()
            .try_for_each(&mut write)
            .and_then(|()| state.write()),
    };
    if applied.is_err() {
        // Another process may have written the same text to the others.
        for plan in written {
            let created = &plan.record.created;
            plan.before.rollback(plan.after.as_deref(), created);
        }
        state.files = before;
        state.write()?;
    }
    applied
}
