//! The files that `configure` writes: read with care, and replaced whole or not at all.

use crate::error::Error;
use crate::files::{canonicalize, read_limited, write_atomic};
use crate::trust::{Refusal, untrusted_parent};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The largest client files hold a few dozen logins.
const MAX_BYTES: usize = 1024 * 1024;

/// A file as it was read.
#[derive(Clone, Debug)]
pub(super) struct FileSnapshot {
    /// The path that clients use.
    pub(super) path: PathBuf,
    /// The path behind symbolic links, which stay.
    pub(super) real: PathBuf,
    /// The content; none if the file does not exist.
    pub(super) text: Option<String>,
}

impl FileSnapshot {
    /// Reads a file. Whether it may be created is checked when it is written.
    ///
    /// # Errors
    ///
    /// When it is anything but a small text file of this user, and when a folder or link on the way is another user's: that user's link
    /// could lead root anywhere.
    pub(super) fn read(path: &Path) -> Result<Self, Error> {
        let (real, text) = match canonicalize(path) {
            Ok(real) => {
                let text = read_own(path, &real).map_err(|problem| unusable(path, problem))?;
                (real, Some(text))
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(unusable(path, format!("cannot be found: {error}")));
            }
            Err(_) if path.is_symlink() => {
                let problem = "is a symbolic link to a file that does not exist";
                return Err(unusable(path, problem.into()));
            }
            Err(_) => (canonicalize_missing(path), None),
        };
        let path = path.to_owned();
        Ok(Self { path, real, text })
    }

    /// Returns the file and those of its folders that do not exist, the innermost first.
    pub(super) fn missing_paths(&self) -> Vec<PathBuf> {
        let paths = self.real.ancestors().take_while(|path| !path.exists());
        paths.map(Path::to_owned).collect()
    }

    /// Makes the file hold `after`; without that, removes it and those of `folders` that are empty then. An unchanged file is not touched.
    ///
    /// # Errors
    ///
    /// When it cannot be written, or has changed since it was read. Then nothing was changed.
    pub(super) fn write(&self, after: Option<&str>, folders: &[PathBuf]) -> Result<(), Error> {
        let written = match after {
            _ if after == self.text.as_deref() => Ok(()),
            Some(text) => {
                let missing = self.missing_paths();
                let replaced = self.text.as_ref().map(|_| fs::metadata(&self.real));
                let written = replaced.transpose().and_then(|replaced| {
                    let unchanged = || self.check_unchanged();
                    write_atomic(&self.real, text.as_bytes(), replaced.as_ref(), unchanged)
                });
                written.inspect_err(|_| remove_empty(&missing))
            }
            None => self
                .check_unchanged()
                .and_then(|()| fs::remove_file(&self.real))
                .map(|()| remove_empty(folders)),
        };
        written.map_err(|error| {
            let problem = format!("cannot be written: {error}; nothing in it was changed");
            unusable(&self.path, problem)
        })
    }

    /// Restores what was read if the file holds `after`. What other programs have written since stays.
    pub(super) fn rollback(&self, after: Option<&str>, folders: &[PathBuf]) {
        if let Ok(now) = Self::read(&self.path)
            && now.text.as_deref() == after
        {
            // The failure that led here is reported, not this one.
            drop(now.write(self.text.as_deref(), folders));
        }
    }

    fn check_unchanged(&self) -> io::Result<()> {
        let now = match read_limited(&self.real, MAX_BYTES) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            read => Some(read?),
        };
        if now.as_deref() == self.text.as_deref().map(str::as_bytes) {
            return Ok(());
        }
        Err(io::Error::other("another program has just changed it"))
    }
}

/// Reads a text file of this user, or returns what is wrong with it.
fn read_own(path: &Path, real: &Path) -> Result<String, String> {
    let unreadable = |error: io::Error| format!("cannot be read: {error}");
    let metadata = fs::metadata(real).map_err(unreadable)?;
    #[cfg(unix)]
    check_owner(real, &metadata)?;
    if let Some(refusal) = untrusted_parent(path) {
        return Err(refused(&refusal));
    }
    let bytes = read_limited(real, MAX_BYTES).map_err(unreadable)?;
    String::from_utf8(bytes).map_err(|_| "is not UTF-8".into())
}

/// Removes those of the folders that are empty. Files stay.
fn remove_empty(folders: &[PathBuf]) {
    for folder in folders {
        drop(fs::remove_dir(folder));
    }
}

/// Returns where a file that does not exist will be, behind the symbolic links of its folders.
fn canonicalize_missing(path: &Path) -> PathBuf {
    let mut folders = path.ancestors().skip(1);
    let real = folders.find_map(|folder| {
        let rest = path.strip_prefix(folder).ok()?;
        Some(canonicalize(folder).ok()?.join(rest))
    });
    real.unwrap_or_else(|| path.to_owned())
}

/// Refuses a file of another user, even for root: rewritten, it would become root's.
#[cfg(unix)]
fn check_owner(path: &Path, metadata: &fs::Metadata) -> Result<(), String> {
    let owner = std::os::unix::fs::MetadataExt::uid(metadata);
    let user = rustix::process::geteuid().as_raw();
    match owner {
        _ if owner == user => Ok(()),
        // `sudo docker login` leaves such files. Others are of a program that manages a whole home, such as Nix.
        0 => Err(format!(
            "belongs to root: unless something else manages it, `sudo chown {user}` gives it to you"
        )),
        _ => Err(refused(&Refusal::other_owner(path, owner))),
    }
}

fn refused(refusal: &Refusal) -> String {
    format!("cannot be used: {refusal}: {}", refusal.fix())
}

/// Returns the error for a file that cannot be used.
pub(super) fn unusable(path: &Path, problem: String) -> Error {
    Error::setting(path.display(), problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_program_writes_meanwhile_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        fs::write(&path, "{}").unwrap();
        let snapshot = FileSnapshot::read(&path).unwrap();
        fs::write(&path, "{\"auths\":{}}").unwrap();
        let error = snapshot.write(Some("{\"ours\":1}"), &[]).unwrap_err();
        let error = error.to_string();
        assert!(
            error.ends_with(
                "cannot be written: another program has just changed it; nothing in it was changed"
            ),
            "{error}"
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"auths\":{}}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn folders_are_made_for_a_file_and_go_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/auth.json");
        let missing = FileSnapshot::read(&path).unwrap();
        let created = missing.missing_paths();
        missing.write(Some("{}"), &[]).unwrap();
        assert_eq!(
            created,
            ["a/b/auth.json", "a/b", "a"].map(|path| folder.path().join(path))
        );
        let error = missing.write(Some("{}"), &[]).unwrap_err();
        assert!(error.to_string().contains("just changed it"), "{error}");
        let made = FileSnapshot::read(&path).unwrap();
        made.write(None, &created).unwrap();
        assert!(!folder.path().join("a").exists());
    }
}
