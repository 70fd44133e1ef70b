//! What was done to which file: so much of it as the files themselves do not say. It holds no secret.

use super::disk::{Found, unusable};
use super::wire::Done;
use crate::config::Settings;
use crate::error::Error;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The record of one user: `configured.json` in the state folder.
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

/// What was done to one file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Deed {
    /// Whether it did not exist before.
    pub(super) is_new: bool,
    /// The folders that were made for it, the outermost first.
    pub(super) folders: Vec<PathBuf>,
    /// What was done to its text.
    pub(super) done: Done,
    /// The line that was inserted in the config file of this helper, at its top.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) line: Option<String>,
}

impl Record {
    /// The record, which is empty at first.
    pub(super) fn read(settings: &Settings) -> Result<Self, Error> {
        let state = settings
            .variables()
            .get("XDG_STATE_HOME")
            .map(PathBuf::from)
            .filter(|folder| folder.is_absolute());
        let state = state.or_else(|| Some(settings.home()?.join(".local/state")));
        let state = state.ok_or_else(|| {
            Error::input("no home folder is set, in which clients have their files")
        })?;
        let found = Found::read(&state.join(env!("CARGO_PKG_NAME")).join("configured.json"))?;
        let content = match &found.text {
            Some(text) => serde_json::from_str(text).map_err(|error| {
                unusable(
                    &found.path,
                    format!("is no record of what was configured, and may be removed: {error}"),
                )
            })?,
            None => Content::default(),
        };
        Ok(Self { found, content })
    }

    /// What was done to a file.
    pub(super) fn deed(&self, found: &Found) -> Deed {
        self.content
            .files
            .get(&found.real)
            .cloned()
            .unwrap_or_default()
    }

    /// Notes what was done to a file; nothing, when everything is undone.
    pub(super) fn note(&mut self, found: &Found, deed: Deed) {
        if deed.done.is_empty() && deed.line.is_none() {
            self.content.files.remove(&found.real);
        } else {
            self.content.files.insert(found.real.clone(), deed);
        }
    }

    /// Makes it what it was before.
    pub(super) fn go_back(&mut self, before: Self) -> Result<(), Error> {
        self.content = before.content;
        self.write()
    }

    /// Writes it where it has changed; an empty one goes, and its folder when nothing else lies in it.
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
