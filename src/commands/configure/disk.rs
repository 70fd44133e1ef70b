//! Clients' files: read with care, written as a whole or not at all.

use crate::error::Error;
use crate::files::{canonicalize, read_limited, write_atomic};
use crate::trust::{Refusal, untrusted_parent};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The largest such files hold a few dozen logins.
const MAX_FILE_BYTES: usize = 1024 * 1024;

/// A file as it was found.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// The path that clients use.
    pub(super) path: PathBuf,
    /// The path behind symbolic links, which stay.
    pub(super) real: PathBuf,
    /// Its content; `None` if it does not exist.
    pub(super) text: Option<String>,
}

impl Found {
    /// Reads a file that is to be written.
    ///
    /// # Errors
    ///
    /// As [`Self::look`], and if it would be created in a directory of another user.
    pub(super) fn read(path: &Path) -> Result<Self, Error> {
        let found = Self::look(path)?;
        match untrusted_parent(&found.real) {
            Some(refusal) if found.text.is_none() => {
                Err(unusable(path, refused("cannot be made", &refusal)))
            }
            _ => Ok(found),
        }
    }

    /// Reads a file of the user.
    ///
    /// # Errors
    ///
    /// It is not a small text file that belongs to the user, or it is behind a directory or link of another user, which could lead root
    /// anywhere.
    pub(super) fn look(path: &Path) -> Result<Self, Error> {
        let unusable = |problem: String| unusable(path, problem);
        let real = match canonicalize(path) {
            Ok(real) => real,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink()) {
                    let problem = "is a symbolic link to a file that does not exist";
                    return Err(unusable(problem.into()));
                }
                return Ok(Self {
                    path: path.to_owned(),
                    real: canonicalize_missing(path),
                    text: None,
                });
            }
            Err(error) => return Err(unusable(format!("cannot be found: {error}"))),
        };
        let unreadable = |error: io::Error| unusable(format!("cannot be read: {error}"));
        let metadata = fs::metadata(&real).map_err(unreadable)?;
        if metadata.is_dir() {
            return Err(unusable("is a folder, where a file was expected".into()));
        }
        #[cfg(unix)]
        check_owner(&real, &metadata).map_err(unusable)?;
        if let Some(refusal) = untrusted_parent(path) {
            return Err(unusable(refused("cannot be used", &refusal)));
        }
        let bytes = read_limited(&real, MAX_FILE_BYTES).map_err(unreadable)?;
        let text = String::from_utf8(bytes).map_err(|_| unusable("is not UTF-8".into()))?;
        Ok(Self {
            path: path.to_owned(),
            real,
            text: Some(text),
        })
    }

    /// Returns the directories that must be created for it, the outermost first.
    pub(super) fn missing_folders(&self) -> Vec<PathBuf> {
        let missing = self.real.ancestors().skip(1);
        let missing = missing.take_while(|dir| !dir.as_os_str().is_empty() && !dir.exists());
        let mut dirs: Vec<PathBuf> = missing.map(Path::to_owned).collect();
        dirs.reverse();
        dirs
    }

    /// Replaces the file, which keeps its mode and group.
    ///
    /// # Errors
    ///
    /// It cannot be written, or another program has changed it since. Nothing is changed then.
    pub(super) fn write(&self, text: &str) -> Result<(), Error> {
        let created = self.missing_folders();
        let replaced = self.text.as_ref().map(|_| fs::metadata(&self.real));
        let written = replaced.transpose().and_then(|replaced| {
            let unchanged = || self.check_unchanged();
            write_atomic(&self.real, text.as_bytes(), replaced.as_ref(), unchanged)
        });
        written.map_err(|error| {
            remove_empty_dirs(&created);
            self.unwritable(&error)
        })
    }

    /// Writes `after`, or removes the file and these directories if there is none. Does nothing if that is its content already.
    pub(super) fn become_text(
        &self,
        after: Option<&str>,
        folders: &[PathBuf],
    ) -> Result<(), Error> {
        match after {
            _ if after == self.text.as_deref() => Ok(()),
            Some(text) => self.write(text),
            None => self.remove(folders),
        }
    }

    /// Restores what was read, if the file holds `after` by now: what other programs have written in the meantime stays.
    pub(super) fn take_back(&self, after: Option<&str>, folders: &[PathBuf]) {
        if let Ok(now) = Self::read(&self.path)
            && now.text.as_deref() == after
        {
            // The failure that led here is the one to report.
            drop(now.become_text(self.text.as_deref(), folders));
        }
    }

    /// Removes the file, and those of the directories that are empty then.
    pub(super) fn remove(&self, folders: &[PathBuf]) -> Result<(), Error> {
        self.check_unchanged()
            .and_then(|()| fs::remove_file(&self.real))
            .map_err(|error| self.unwritable(&error))?;
        remove_empty_dirs(folders);
        Ok(())
    }

    fn check_unchanged(&self) -> io::Result<()> {
        let now = match read_limited(&self.real, MAX_FILE_BYTES) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            read => Some(read?),
        };
        if now.as_deref() == self.text.as_deref().map(str::as_bytes) {
            return Ok(());
        }
        Err(io::Error::other("another program has just changed it"))
    }

    fn unwritable(&self, error: &io::Error) -> Error {
        let problem = format!("cannot be written: {error}; nothing in it was changed");
        unusable(&self.path, problem)
    }
}

/// Removes directories, the innermost first. One that holds other files by now stays.
fn remove_empty_dirs(dirs: &[PathBuf]) {
    for dir in dirs.iter().rev() {
        drop(fs::remove_dir(dir));
    }
}

/// Returns the real path that a file will have that does not exist yet.
fn canonicalize_missing(path: &Path) -> PathBuf {
    let real = path.ancestors().skip(1).find_map(|dir| {
        let below = path.strip_prefix(dir).ok()?;
        Some(canonicalize(dir).ok()?.join(below))
    });
    real.unwrap_or_else(|| path.to_owned())
}

/// Refuses to replace a file of another user, even as root: it would become root's.
#[cfg(unix)]
fn check_owner(path: &Path, metadata: &fs::Metadata) -> Result<(), String> {
    let owner = std::os::unix::fs::MetadataExt::uid(metadata);
    let user = rustix::process::geteuid().as_raw();
    if owner == user {
        return Ok(());
    }
    // `sudo docker login` leaves such files; others are made by what manages a whole home, such as Nix.
    if owner == 0 {
        return Err(format!(
            "belongs to root: unless something else manages it, `sudo chown {user}` gives it to you"
        ));
    }
    let refusal = Refusal::other_owner(path, owner);
    Err(refused("cannot be used", &refusal))
}

fn refused(what: &str, refusal: &Refusal) -> String {
    format!("{what}: {refusal}: {}", refusal.fix())
}

/// Returns the error for a file that cannot be used.
pub(super) fn unusable(path: &Path, problem: String) -> Error {
    Error::Setting {
        name: path.display().to_string(),
        problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_program_writes_meanwhile_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        fs::write(&path, "{}").unwrap();
        let found = Found::read(&path).unwrap();
        fs::write(&path, "{\"auths\":{}}").unwrap();
        let error = found.write("{\"ours\":1}").unwrap_err().to_string();
        assert!(
            error.ends_with(
                "cannot be written: another program has just changed it; nothing in it was changed"
            ),
            "{error}"
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"auths\":{}}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        let missing = Found::read(&folder.path().join("a/b/auth.json")).unwrap();
        let made = missing.missing_folders();
        missing.write("{}").unwrap();
        assert_eq!(made, [folder.path().join("a"), folder.path().join("a/b")]);
        assert!(
            missing
                .write("{}")
                .unwrap_err()
                .to_string()
                .contains("just changed it")
        );
        Found::read(&missing.path).unwrap().remove(&made).unwrap();
        assert!(!folder.path().join("a").exists());
    }
}
