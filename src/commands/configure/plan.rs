//! A planned change of one file, and carrying out several of them as one.

use super::CONFIGURE;
use super::cred_helpers::{Change, Editor, Target};
use super::diff::unified;
use super::file::{FileSnapshot, unusable};
use super::paths::Clients;
use super::state::{FileRecord, State};
use crate::commands::report::Check;
use crate::error::Error;
use crate::terminal::Mark;
use serde::Serialize;
use std::path::Path;

/// A file as it is and as it will be. As JSON it is what became of the file.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Plan {
    pub(super) path: String,
    /// Who reads the file.
    pub(super) clients: String,
    is_changed: bool,
    /// The unified diff, if it was requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) diff: Option<String>,
    #[serde(rename = "findings")]
    pub(super) checks: Vec<Check>,
    #[serde(skip)]
    pub(super) before: FileSnapshot,
    /// What it will hold; none if it will be removed.
    #[serde(skip)]
    pub(super) after: Option<String>,
    #[serde(skip)]
    pub(super) record: FileRecord,
}

impl Plan {
    /// Plans to name this helper for these targets, or to take its names out; without targets, all that were recorded.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or not be understood as clients do.
    pub(super) fn new(
        direction: Direction,
        clients: Clients,
        path: &Path,
        state: &State,
        targets: &[Target],
    ) -> Result<Self, Error> {
        let before = FileSnapshot::read(path)?;
        let mut record = state.record(&before);
        let mut checks = Vec::new();
        let mut after = before.text.clone();
        if direction == Direction::Remove && before.text.is_none() {
            record = FileRecord::default();
            let text = "it does not exist, so nothing is to be undone";
            checks.push(Check::unnamed(Mark::Good, text));
        } else {
            record.note_missing(&before);
            let targets = match targets {
                [] => record.targets(),
                targets => targets.to_vec(),
            };
            let mut editor = Editor::new(before.text.as_deref().unwrap_or_default(), record)
                .map_err(|problem| broken(&before, &problem))?;
            for target in &targets {
                let change = match direction {
                    Direction::Install => editor.install(target),
                    Direction::Remove => editor.remove(target),
                };
                let change = change.map_err(|problem| broken(&before, &problem))?;
                checks.push(describe(target, change));
            }
            record = editor.record.clone();
            let is_obsolete = record.is_new && record.is_empty() && editor.is_empty();
            if let Some(text) = editor.into_changed_text() {
                after = Some(text).filter(|_| !is_obsolete);
            }
        }
        if checks.is_empty() {
            let text = "nothing was configured here, so nothing is to be undone";
            checks.push(Check::unnamed(Mark::Good, text));
        }
        let clients = clients.to_string();
        Ok(Self::from_texts(clients, before, after, record, checks))
    }

    /// Plans to make a file hold `after`.
    pub(super) fn from_texts(
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

    fn apply(&self) -> Result<(), Error> {
        let folders = &self.record.folders;
        self.before.write(self.after.as_deref(), folders)
    }

    fn rollback(&self) {
        let folders = &self.record.folders;
        self.before.rollback(self.after.as_deref(), folders);
    }

    /// Adds the diff, if there is any.
    pub(super) fn add_diff(&mut self) {
        let (before, after) = (self.before.text.as_deref(), self.after.as_deref());
        self.diff = self.is_changed.then(|| unified(&self.path, before, after));
    }
}

/// Returns the error for a file that is not rewritten, because its meaning is not clear.
fn broken(file: &FileSnapshot, problem: &str) -> Error {
    unusable(&file.path, format!("was left as it is, since {problem}"))
}

/// Whether names are put into files or taken out of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Install,
    Remove,
}

/// Writes all files, or restores those that were written.
///
/// Write-ahead: on install the record is written before the files, on removal after them, so that a crash never leaves an unrecorded
/// change. The last plan is that of the delegate, which is named as long as files name this helper for all hosts.
///
/// # Errors
///
/// When a file cannot be written, or has just been changed by another program.
pub(super) fn apply(direction: Direction, plans: &[Plan], mut state: State) -> Result<(), Error> {
    let before = state.files.clone();
    for plan in plans {
        state.set(&plan.before, plan.record.clone());
    }
    let applied = match direction {
        Direction::Install => state
            .write()
            .and_then(|()| plans.iter().rev().try_for_each(Plan::apply)),
        Direction::Remove => plans
            .iter()
            .try_for_each(Plan::apply)
            .and_then(|()| state.write()),
    };
    if applied.is_err() {
        plans.iter().for_each(Plan::rollback);
        state.files = before;
        state.write()?;
    }
    applied
}

fn describe(target: &Target, change: Change) -> Check {
    let good = |text: &str| Check::unnamed(Mark::Good, format!("{target}: {text}"));
    let warning = |text: &str| Check::unnamed(Mark::Warning, format!("{target}: {text}"));
    let program = |name: String| format!("`docker-credential-{name}`");
    match change {
        Change::Unchanged => good("this helper is named already"),
        Change::Added => good("this helper is named"),
        Change::Replaced(name) if *target == Target::AllHosts => {
            let other = program(name);
            good(&format!(
                "this helper is named, and passes other hosts on to {other}"
            ))
        }
        Change::Replaced(name) => {
            let other = program(name);
            let check = warning(&format!("this helper is named in place of {other}"));
            check.hint(format!("`{CONFIGURE} --remove {target}` puts it back"))
        }
        Change::Removed => good("this helper is no longer named"),
        Change::Restored(name) => good(&format!("{} is named again", program(name))),
        Change::Foreign(name) => {
            let other = program(name);
            warning(&format!(
                "{other} is named by now, which somebody else wrote: it was left"
            ))
        }
        Change::Missing => good("this helper is not named"),
    }
}
