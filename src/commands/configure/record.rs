//! The record of what `configure` changed, as far as the files themselves do not show it. It holds no secret.

use super::disk::{Found, unusable};
use super::wire::Done;
use crate::config::Settings;
use crate::error::Error;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The record of one user: `configured.json` in the state directory.
#[derive(Clone, Debug)]
pub(super) struct Record {
    found: Found,
    content: Content,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    /// By the path of the file behind symbolic links.
    files: BTreeMap<PathBuf, Deed>,
}

/// What was changed in one file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Deed {
    /// Whether it did not exist before.
    pub(super) is_new: bool,
    /// The directories that were created for it, the outermost first.
    pub(super) folders: Vec<PathBuf>,
    /// What was done to its text.
    pub(super) done: Done,
    /// The line that was inserted in the config file of this helper, at its top.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) line: Option<String>,
}

impl Record {
    /// Reads the record, which is empty at first.
    pub(super) fn read(settings: &Settings) -> Result<Self, Error> {
        let dir = settings.state_dir().ok_or_else(|| {
            Error::Input("no home folder is set, in which clients have their files".into())
        })?;
        let found = Found::read(&dir.join("configured.json"))?;
        let content = match &found.text {
            Some(text) => serde_json::from_str(text).map_err(|error| {
                unusable(
                    &found.path,
                    format!("is not a valid state file; delete it: {error}"),
                )
            })?,
            None => Content::default(),
        };
        Ok(Self { found, content })
    }

    /// Returns what was changed in a file.
    pub(super) fn deed(&self, found: &Found) -> Deed {
        self.content
            .files
            .get(&found.real)
            .cloned()
            .unwrap_or_default()
    }

    /// Notes what was changed in a file, and forgets the file when everything is undone.
    pub(super) fn note(&mut self, found: &Found, deed: Deed) {
        if deed.done.is_empty() && deed.line.is_none() {
            self.content.files.remove(&found.real);
        } else {
            self.content.files.insert(found.real.clone(), deed);
        }
    }

    /// Restores an earlier state.
    pub(super) fn go_back(&mut self, before: Self) -> Result<(), Error> {
        self.content = before.content;
        self.write()
    }

    /// Writes the record if it has changed. An empty one is deleted, and its directory if nothing else is in it.
    pub(super) fn write(&mut self) -> Result<(), Error> {
        let path = self.found.path.clone();
        let text = serde_json::to_string_pretty(&self.content)
            .map_err(|error| unusable(&path, error.to_string()))?
            + "\n";
        if self.content.files.is_empty() {
            if self.found.text.is_some() {
                let folder = self.found.real.parent().map(Path::to_owned);
                self.found.remove(folder.as_slice())?;
            }
        } else if self.found.text.as_ref() != Some(&text) {
            self.found.write(&text)?;
        }
        self.found = Found::read(&path)?;
        Ok(())
    }
}
