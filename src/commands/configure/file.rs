//! The files that `configure` writes: read with care, and replaced whole or not at all.

use crate::error::Error;
use crate::files::{canonicalize, read_limited, write_atomic};
#[cfg(unix)]
use crate::text::shell_word;
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
                let text = read_own(path, &real)?;
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

/// A file before and after.
#[derive(Debug)]
pub(super) struct FileEdit {
    pub(super) before: FileSnapshot,
    /// The new content; none if the file will be removed.
    pub(super) after: Option<String>,
    /// The folders that go with the file when it is removed, the innermost first.
    pub(super) folders: Vec<PathBuf>,
}

impl FileEdit {
    /// Writes or removes the file. An unchanged file is not touched.
    ///
    /// # Errors
    ///
    /// When it cannot be written, or has changed since it was read. Then nothing was changed.
    pub(super) fn write(&self) -> Result<(), Error> {
        let before = &self.before;
        let written = match &self.after {
            after if *after == before.text => Ok(()),
            Some(text) => {
                let missing = before.missing_paths();
                let replaced = before.text.as_ref().map(|_| fs::metadata(&before.real));
                let written = replaced.transpose().and_then(|replaced| {
                    let unchanged = || before.check_unchanged();
                    write_atomic(&before.real, text.as_bytes(), replaced.as_ref(), unchanged)
                });
                written.inspect_err(|_| remove_empty(&missing))
            }
            None => before
                .check_unchanged()
                .and_then(|()| fs::remove_file(&before.real))
                .map(|()| remove_empty(&self.folders)),
        };
        written.map_err(|error| {
            let problem = format!("cannot be written: {error}; nothing in it was changed");
            unusable(&before.path, problem)
        })
    }

    /// Restores what was read. What other programs have written since stays.
    fn rollback(&self) {
        if let Ok(now) = FileSnapshot::read(&self.before.path)
            && now.text == self.after
        {
            let undo = Self {
                before: now,
                after: self.before.text.clone(),
                folders: self.folders.clone(),
            };
            // The failure that led here is reported, not this one.
            drop(undo.write());
        }
    }
}

/// Writes files one after the other. If one fails, restores those before it.
///
/// # Errors
///
/// As [`FileEdit::write`].
pub(super) fn write_all(edits: &[FileEdit]) -> Result<(), Error> {
    for (at, edit) in edits.iter().enumerate() {
        if let Err(error) = edit.write() {
            edits[..at].iter().rev().for_each(FileEdit::rollback);
            return Err(error);
        }
    }
    Ok(())
}

/// Reads a text file of this user.
fn read_own(path: &Path, real: &Path) -> Result<String, Error> {
    let unreadable = |error: io::Error| unusable(path, format!("cannot be read: {error}"));
    #[cfg(unix)]
    check_owner(path, real, &fs::metadata(real).map_err(unreadable)?)?;
    if let Some(refusal) = untrusted_parent(path) {
        return Err(refused(path, &refusal));
    }
    let bytes = read_limited(real, MAX_BYTES).map_err(unreadable)?;
    String::from_utf8(bytes).map_err(|_| unusable(path, "is not UTF-8".into()))
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
fn check_owner(path: &Path, real: &Path, metadata: &fs::Metadata) -> Result<(), Error> {
    let owner = std::os::unix::fs::MetadataExt::uid(metadata);
    let user = rustix::process::geteuid().as_raw();
    match owner {
        _ if owner == user => Ok(()),
        // `sudo docker login` leaves such files. Others are of a program that manages a whole home, such as Nix.
        0 => {
            let file = shell_word(&real.display().to_string());
            let hint =
                format!("if no other program manages it, take it over\n  sudo chown {user} {file}");
            Err(unusable(path, "cannot be used: it belongs to root".into()).with_hint(hint))
        }
        _ => Err(refused(path, &Refusal::other_owner(real, owner))),
    }
}

fn refused(path: &Path, refusal: &Refusal) -> Error {
    unusable(path, format!("cannot be used: {refusal}")).with_hint(refusal.fix())
}

/// Returns the error for a file that cannot be used.
pub(super) fn unusable(path: &Path, problem: String) -> Error {
    Error::setting(path.display(), problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(before: &FileSnapshot, after: Option<&str>, folders: &[PathBuf]) -> FileEdit {
        FileEdit {
            before: before.clone(),
            after: after.map(str::to_owned),
            folders: folders.to_vec(),
        }
    }

    #[test]
    fn what_another_program_writes_meanwhile_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        fs::write(&path, "{}").unwrap();
        let snapshot = FileSnapshot::read(&path).unwrap();
        fs::write(&path, "{\"auths\":{}}").unwrap();
        let error = edit(&snapshot, Some("{\"ours\":1}"), &[])
            .write()
            .unwrap_err();
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
        edit(&missing, Some("{}"), &[]).write().unwrap();
        assert_eq!(
            created,
            ["a/b/auth.json", "a/b", "a"].map(|path| folder.path().join(path))
        );
        let error = edit(&missing, Some("{}"), &[]).write().unwrap_err();
        assert!(error.to_string().contains("just changed it"), "{error}");
        let made = FileSnapshot::read(&path).unwrap();
        edit(&made, None, &created).write().unwrap();
        assert!(!folder.path().join("a").exists());
    }

    #[test]
    fn a_failure_restores_what_was_written_and_nothing_of_other_programs() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("first"), "1").unwrap();
        fs::write(path("third"), "3").unwrap();
        let read = |name: &str| FileSnapshot::read(&path(name)).unwrap();
        let second = read("new/second");
        let edits = [
            edit(&read("first"), Some("changed"), &[]),
            edit(&second, Some("created"), &second.missing_paths()),
            edit(&read("third"), Some("changed"), &[]),
        ];
        // Another program changes the third file, and one next to the second.
        fs::write(path("third"), "of another program").unwrap();
        let error = write_all(&edits).unwrap_err().to_string();
        assert!(
            error.contains("third` cannot be written: another program has"),
            "{error}"
        );
        assert_eq!(fs::read_to_string(path("first")).unwrap(), "1");
        assert_eq!(
            fs::read_to_string(path("third")).unwrap(),
            "of another program"
        );
        assert!(!path("new").exists());

        // What another program has written since to a file of ours stays, and so does its file in a folder of ours.
        edits[0].write().unwrap();
        edits[1].write().unwrap();
        fs::write(path("first"), "of another program").unwrap();
        fs::write(path("new/other"), "of another program").unwrap();
        edits[0].rollback();
        edits[1].rollback();
        assert_eq!(
            fs::read_to_string(path("first")).unwrap(),
            "of another program"
        );
        assert!(path("new/other").exists() && !path("new/second").exists());
    }
}
