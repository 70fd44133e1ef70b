//! What `configure` changed in which file, as far as the files themselves do not say it. It holds no secret.

use super::cred_helpers::Target;
use super::file::{FileSnapshot, unusable};
use super::paths::no_home;
use crate::config::Settings;
use crate::error::Error;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The record of one user: `configured.json` in the state folder.
#[derive(Clone, Debug)]
pub(super) struct State {
    snapshot: FileSnapshot,
    /// By the path of the file behind symbolic links.
    pub(super) files: BTreeMap<PathBuf, FileRecord>,
}

/// What was changed in one file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct FileRecord {
    /// Whether the file did not exist before.
    pub(super) is_new: bool,
    /// The folders that were created for it, the innermost first.
    pub(super) folders: Vec<PathBuf>,
    /// The JSON text of each former value, by `credsStore`, `credHelpers` or `credHelpers/HOST`; none where there was no value.
    pub(super) previous: BTreeMap<String, Option<String>>,
    /// The line that was inserted at the top of this helper's config file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) line: Option<String>,
}

impl FileRecord {
    /// Returns whom this helper was named for.
    pub(super) fn targets(&self) -> Vec<Target> {
        let keys = self.previous.keys();
        let mut targets: Vec<Target> = keys.filter_map(|key| Target::from_key(key)).collect();
        targets.sort();
        targets
    }

    /// Returns whether nothing is left to undo.
    pub(super) fn is_empty(&self) -> bool {
        self.targets().is_empty() && self.line.is_none()
    }

    /// Notes a file that does not exist yet.
    pub(super) fn note_missing(&mut self, snapshot: &FileSnapshot) {
        if snapshot.text.is_none() {
            (self.is_new, self.folders) = (true, snapshot.missing_folders());
        }
    }
}

impl State {
    /// Reads the record, which is empty at first.
    ///
    /// # Errors
    ///
    /// When the file cannot be used, or there is no home folder to hold it.
    pub(super) fn read(settings: &Settings) -> Result<Self, Error> {
        let folder = settings.state_dir().ok_or_else(no_home)?;
        let snapshot = FileSnapshot::read(&folder.join("configured.json"))?;
        let files = match &snapshot.text {
            Some(text) => serde_json::from_str(text).map_err(|error| {
                let problem = "is no record of what was configured, and may be removed";
                unusable(&snapshot.path, format!("{problem}: {error}"))
            })?,
            None => BTreeMap::new(),
        };
        Ok(Self { snapshot, files })
    }

    /// Returns what was changed in a file.
    pub(super) fn record(&self, file: &FileSnapshot) -> FileRecord {
        self.files.get(&file.real).cloned().unwrap_or_default()
    }

    /// Sets what was changed in a file.
    pub(super) fn set(&mut self, file: &FileSnapshot, record: FileRecord) {
        if record.is_empty() {
            self.files.remove(&file.real);
        } else {
            self.files.insert(file.real.clone(), record);
        }
    }

    /// Writes the record if it has changed. An empty one is removed, and its folder if that is empty then.
    ///
    /// # Errors
    ///
    /// When it cannot be written, or another process has changed it.
    pub(super) fn write(&mut self) -> Result<(), Error> {
        let path = self.snapshot.path.clone();
        let text = serde_json::to_string_pretty(&self.files)
            .map_err(|error| unusable(&path, error.to_string()))?
            + "\n";
        let text = Some(text).filter(|_| !self.files.is_empty());
        let folder = self.snapshot.real.parent().map(Path::to_owned);
        self.snapshot.write(text.as_deref(), folder.as_slice())?;
        self.snapshot = FileSnapshot::read(&path)?;
        Ok(())
    }
}
