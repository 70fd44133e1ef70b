//! A planned change of one file, and carrying out several of them as one.

use super::client_config::ClientConfig;
use super::cred_helpers::{Change, Editor, Target};
use super::diff::{masked, unified};
use super::file::{FileSnapshot, unusable};
use super::paths::Clients;
use super::state::{FileRecord, State};
use crate::commands::report::Check;
use crate::error::Error;
use crate::terminal::Mark;
use serde::Serialize;

/// A file as it is and as it will be.
#[derive(Debug)]
pub(super) struct Plan {
    /// Who reads the file.
    pub(super) clients: &'static str,
    pub(super) before: FileSnapshot,
    /// What it will hold; none if it will be removed.
    pub(super) after: Option<String>,
    pub(super) record: FileRecord,
    pub(super) checks: Vec<Check>,
}

/// What became of one file.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FileReport {
    pub(super) path: String,
    pub(super) clients: &'static str,
    is_changed: bool,
    /// The unified diff, if it was requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) diff: Option<String>,
    #[serde(rename = "findings")]
    pub(super) checks: Vec<Check>,
}

impl Plan {
    /// Plans to name this helper.
    ///
    /// # Errors
    ///
    /// When the file cannot be understood as clients do.
    pub(super) fn install(
        clients: Clients,
        before: FileSnapshot,
        state: &State,
        targets: &[Target],
    ) -> Result<Self, Error> {
        let mut record = state.record(&before);
        record.note_missing(&before);
        let text = before.text.as_deref().unwrap_or_default();
        let edited = edit(text, record, targets, Editor::install);
        let (editor, checks) = edited.map_err(|problem| broken(&before, &problem))?;
        let after = editor.is_changed.then_some(editor.text);
        Ok(Self {
            clients: clients.as_str(),
            after: after.or_else(|| before.text.clone()),
            record: editor.record,
            checks,
            before,
        })
    }

    /// Plans to take the names of this helper out; without targets, all that were recorded.
    ///
    /// # Errors
    ///
    /// When the file cannot be understood as clients do.
    pub(super) fn remove(
        clients: Clients,
        before: FileSnapshot,
        state: &State,
        targets: Option<&[Target]>,
    ) -> Result<Self, Error> {
        let unchanged = |before: FileSnapshot, record, text| Self {
            clients: clients.as_str(),
            after: before.text.clone(),
            before,
            record,
            checks: vec![Check::unnamed(Mark::Good, text)],
        };
        let Some(text) = &before.text else {
            let text = "it does not exist, so nothing is to be undone";
            return Ok(unchanged(before, FileRecord::default(), text));
        };
        let record = state.record(&before);
        let recorded = record.targets();
        let edited = edit(text, record, targets.unwrap_or(&recorded), Editor::remove);
        let (editor, checks) = edited.map_err(|problem| broken(&before, &problem))?;
        if checks.is_empty() {
            let text = "nothing was configured here, so nothing is to be undone";
            return Ok(unchanged(before, editor.record, text));
        }
        let (is_new, is_undone) = (editor.record.is_new, editor.record.is_empty());
        let is_obsolete = editor.is_changed && editor.is_empty() && is_new && is_undone;
        let after = if editor.is_changed {
            Some(editor.text).filter(|_| !is_obsolete)
        } else {
            before.text.clone()
        };
        Ok(Self {
            clients: clients.as_str(),
            after,
            record: editor.record,
            checks,
            before,
        })
    }

    fn is_change(&self) -> bool {
        self.after != self.before.text
    }

    fn apply(&self) -> Result<(), Error> {
        self.before
            .write(self.after.as_deref(), &self.record.folders)
    }

    fn rollback(&self) {
        if self.is_change() {
            self.before
                .rollback(self.after.as_deref(), &self.record.folders);
        }
    }

    /// Returns what was done, with the diff if it is requested.
    pub(super) fn report(&self, has_diff: bool) -> FileReport {
        let path = self.before.path.display().to_string();
        let (is_changed, mask) = (self.is_change(), |text: &Option<String>| {
            text.as_deref().map(masked)
        });
        let (before, after) = (mask(&self.before.text), mask(&self.after));
        let diff =
            (has_diff && is_changed).then(|| unified(&path, before.as_deref(), after.as_deref()));
        FileReport {
            path,
            clients: self.clients,
            is_changed,
            diff,
            checks: self.checks.clone(),
        }
    }

    /// Returns the hosts for which this helper stays named, though `configure` has not named it.
    pub(super) fn unrecorded_hosts(&self) -> Vec<String> {
        let recorded = self.record.targets();
        let config = ClientConfig::planned(&self.before.path, std::slice::from_ref(self));
        let config = config.ok();
        let helpers = config.iter().flat_map(ClientConfig::helpers);
        helpers
            .filter(|(_, helper)| *helper == super::HELPER)
            .map(|(host, _)| host.to_owned())
            .filter(|host| !recorded.contains(&Target::Host(host.clone())))
            .collect()
    }
}

/// Edits a text, and describes each change.
fn edit(
    text: &str,
    record: FileRecord,
    targets: &[Target],
    edit: impl Fn(&mut Editor, &Target) -> Result<Change, String>,
) -> Result<(Editor, Vec<Check>), String> {
    let mut editor = Editor::new(text, record)?;
    let mut checks = Vec::new();
    for target in targets {
        checks.push(describe(target, &edit(&mut editor, target)?));
    }
    Ok((editor, checks))
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
pub(super) fn apply(direction: Direction, plans: &[Plan], state: &mut State) -> Result<(), Error> {
    let before = state.clone();
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
        state.rollback(before)?;
    }
    applied
}

fn describe(target: &Target, change: &Change) -> Check {
    let good = |text: &str| Check::unnamed(Mark::Good, format!("{target}: {text}"));
    let warning = |text: &str| Check::unnamed(Mark::Warning, format!("{target}: {text}"));
    let program = |name: &str| format!("`docker-credential-{name}`");
    match change {
        Change::Unchanged => good("this helper is named already"),
        Change::Added => good("this helper is named"),
        Change::Replaced(name) if *target == Target::AllHosts => good(&format!(
            "this helper is named, and passes other hosts on to {}",
            program(name)
        )),
        Change::Replaced(name) => {
            let undo = format!("{} configure --remove {target}", env!("CARGO_PKG_NAME"));
            warning(&format!(
                "this helper is named in place of {}",
                program(name)
            ))
            .hint(format!("`{undo}` puts it back"))
        }
        Change::Removed => good("this helper is no longer named"),
        Change::Restored(name) => good(&format!("{} is named again", program(name))),
        Change::Foreign(name) => warning(&format!(
            "{} is named by now, which somebody else wrote: it was left",
            program(name)
        )),
        Change::Missing => good("this helper is not named"),
    }
}
