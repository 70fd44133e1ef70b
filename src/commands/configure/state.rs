//! Records what `configure` changed in which file, for `--remove`. It holds no secret.

use super::delegate::DELEGATE;
use super::file::{FileEdit, FileSnapshot, unusable};
use super::paths::no_home;
use crate::config::Settings;
use crate::error::Error;
use crate::text::shell_word;
use crate::trust::resolve_named;
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
            Some(text) => parse(&snapshot.path, text, settings.working_directory())?,
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

/// Parses a record. A variable can name its folder, and what it says is written to files.
fn parse(
    path: &Path,
    text: &str,
    working_directory: Option<&Path>,
) -> Result<BTreeMap<PathBuf, FileRecord>, Error> {
    resolve_named(path, working_directory).map_err(|error| {
        Error::unreadable(path.display(), &format!("cannot be used: {error}"), &error)
    })?;
    let files: Result<BTreeMap<PathBuf, FileRecord>, _> = serde_json::from_str(text);
    let problem = match files {
        Ok(files) if files.values().all(FileRecord::is_valid) => return Ok(files),
        Ok(_) => "it names what is no helper".to_owned(),
        Err(error) => error.to_string(),
    };
    let file = shell_word(&path.display().to_string());
    let error = unusable(path, format!("is not a valid state file: {problem}"));
    Err(error.with_hint(format!("delete it\n  rm {file}")))
}

impl FileRecord {
    /// Returns whether it holds names of helpers, and of our config file the line of one.
    fn is_valid(&self) -> bool {
        // Docker would run a name with a slash as a path.
        let is_name = |name: &str| !name.contains(|c: char| c.is_control() || "/\\\"".contains(c));
        let name = |(target, value): (&String, &Option<String>)| match (&**target, value) {
            (DELEGATE, Some(line)) => {
                let line = line.trim_end_matches(['\r', '\n']);
                let name = line.strip_prefix("delegate = \"");
                name.and_then(|name| name.strip_suffix('"'))
                    .is_some_and(is_name)
            }
            (_, value) => value.as_deref().is_none_or(is_name),
        };
        self.previous.iter().all(name)
    }
}
