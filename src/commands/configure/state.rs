//! Records what `configure` changed in which file, for `--remove`. It holds no secret.

use super::file::{FileEdit, FileSnapshot, unusable};
use super::paths::no_home;
use crate::config::Settings;
use crate::error::Error;
use crate::text::shell_word;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The record of one user: `configured.json` in the state folder.
#[derive(Debug)]
pub(super) struct State {
    snapshot: FileSnapshot,
    /// By the path of the file behind symbolic links.
    files: BTreeMap<PathBuf, FileRecord>,
}

/// What was changed in one file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct FileRecord {
    /// The file and the folders that were created, the innermost first; empty if the file existed before.
    pub(super) created: Vec<PathBuf>,
    /// By target, its former helper; none if it had none. By `delegate`, the line that was added to our config file.
    pub(super) previous: BTreeMap<String, Option<String>>,
}

impl State {
    /// Reads the record. Without a file it is empty.
    ///
    /// # Errors
    ///
    /// When the file cannot be used, or there is no home folder to hold it.
    pub(super) fn read(settings: &Settings) -> Result<Self, Error> {
        let folder = settings.state_dir().ok_or_else(no_home)?;
        let snapshot = FileSnapshot::read(&folder.join("configured.json"))?;
        let files = match &snapshot.text {
            Some(text) => serde_json::from_str(text).map_err(|error| {
                let (path, problem) = (&snapshot.path, "is not a valid state file");
                let file = shell_word(&path.display().to_string());
                let hint = format!("delete it\n  rm {file}");
                unusable(path, format!("{problem}: {error}")).with_hint(hint)
            })?,
            None => BTreeMap::new(),
        };
        Ok(Self { snapshot, files })
    }

    /// Returns whether a target is recorded in any file.
    pub(super) fn has(&self, target: &str) -> bool {
        let mut records = self.files.values();
        records.any(|record| record.previous.contains_key(target))
    }

    /// Returns what was changed in a file. A missing one is recorded as created.
    pub(super) fn record(&self, file: &FileSnapshot) -> FileRecord {
        let mut record = self.files.get(&file.real).cloned().unwrap_or_default();
        if file.text.is_none() {
            record.created = file.missing_paths();
        }
        record
    }

    /// Sets what was changed in a file. Without a change to undo, it has no record.
    pub(super) fn set(&mut self, file: &FileSnapshot, record: FileRecord) {
        if record.previous.is_empty() {
            self.files.remove(&file.real);
        } else {
            self.files.insert(file.real.clone(), record);
        }
    }

    /// Returns the edit that writes the record. An empty one is removed, and so is its folder if that is empty.
    ///
    /// # Errors
    ///
    /// When a path in it is not UTF-8.
    pub(super) fn edit(self) -> Result<FileEdit, Error> {
        let text = serde_json::to_string_pretty(&self.files)
            .map_err(|error| unusable(&self.snapshot.path, error.to_string()))?;
        Ok(FileEdit {
            after: (!self.files.is_empty()).then_some(text + "\n"),
            folders: self
                .snapshot
                .real
                .parent()
                .map(Path::to_owned)
                .into_iter()
                .collect(),
            before: self.snapshot,
        })
    }
}
