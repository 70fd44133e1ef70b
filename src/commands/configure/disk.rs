//! Clients' files on the disk: read with care, written whole or not at all.

use crate::error::Error;
use crate::files::{foreign_folder, read_small, real_path};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// The largest such files hold a few dozen logins.
const LIMIT: usize = 1024 * 1024;

/// A file as it was found.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// The path that clients use.
    pub(super) path: PathBuf,
    /// Where the file lies: behind symbolic links, which stay.
    pub(super) real: PathBuf,
    /// What it holds; nothing when it does not exist.
    pub(super) text: Option<String>,
}

impl Found {
    /// Reads a file that is to be written. Errors as [`Self::look`] does, and when it is to be made in a folder of somebody else.
    pub(super) fn read(path: &Path) -> Result<Self, Error> {
        let found = Self::look(path)?;
        if found.text.is_none()
            && let Some((folder, owner)) = foreign_folder(&found.real)
        {
            let problem = format!("cannot be made: {} {}", folder.display(), foreign(owner));
            return Err(unusable(path, format!("{problem}, or with `sudo -H`")));
        }
        Ok(found)
    }

    /// Looks at a file of the user. Errors when it is anything but a small text file that belongs to the user, and when the way there is
    /// another user's: a link of that user could lead root anywhere.
    pub(super) fn look(path: &Path) -> Result<Self, Error> {
        let unusable = |problem: String| unusable(path, problem);
        let real = match real_path(path) {
            Ok(real) => real,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink()) {
                    return Err(unusable(
                        "is a symbolic link to a file that does not exist".into(),
                    ));
                }
                return Ok(Self {
                    path: path.to_owned(),
                    real: would_be(path),
                    text: None,
                });
            }
            Err(error) => return Err(unusable(format!("cannot be found: {error}"))),
        };
        let metadata =
            fs::metadata(&real).map_err(|error| unusable(format!("cannot be read: {error}")))?;
        if metadata.is_dir() {
            return Err(unusable("is a folder, where a file was expected".into()));
        }
        #[cfg(unix)]
        own(&metadata).map_err(unusable)?;
        if let Some((folder, owner)) = foreign_folder(path) {
            return Err(unusable(format!(
                "is behind {}, which {}",
                folder.display(),
                foreign(owner)
            )));
        }
        let bytes = read_small(&real, LIMIT)
            .map_err(|error| unusable(format!("cannot be read: {error}")))?;
        let text = String::from_utf8(bytes).map_err(|_| unusable("is not UTF-8".into()))?;
        Ok(Self {
            path: path.to_owned(),
            real,
            text: Some(text),
        })
    }

    /// The folders that must be made for it, the outermost first.
    pub(super) fn missing_folders(&self) -> Vec<PathBuf> {
        let missing = self
            .real
            .ancestors()
            .skip(1)
            .take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists());
        let mut folders: Vec<PathBuf> = missing.map(Path::to_owned).collect();
        folders.reverse();
        folders
    }

    /// Puts `text` in the place of what was found: first into a file beside it, which then takes its name. Errors, and has changed
    /// nothing, when it cannot be written or is another file by now.
    pub(super) fn write(&self, text: &str) -> Result<(), Error> {
        let made = self.missing_folders();
        make_folders(&made).map_err(|error| self.unwritable(&error))?;
        let written = self.beside().and_then(|(path, file)| {
            let done = self.fill(&path, file, text);
            if done.is_err() {
                drop(fs::remove_file(&path));
            }
            done
        });
        match written {
            Ok(()) => Ok(()),
            Err(error) => {
                for folder in made.iter().rev() {
                    drop(fs::remove_dir(folder));
                }
                Err(self.unwritable(&error))
            }
        }
    }

    /// Makes it hold `after`; without that it goes, with these folders. What is so already is not touched.
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

    /// Makes it what it was when it was read, if it holds `after` by now: what others have written meanwhile stays.
    pub(super) fn take_back(&self, after: Option<&str>, folders: &[PathBuf]) {
        if let Ok(now) = Self::read(&self.path)
            && now.text.as_deref() == after
        {
            // The failure that led here is the one to be told.
            drop(now.become_text(self.text.as_deref(), folders));
        }
    }

    /// Removes the file, and those of the folders that are empty then.
    pub(super) fn remove(&self, folders: &[PathBuf]) -> Result<(), Error> {
        self.unchanged()
            .and_then(|()| fs::remove_file(&self.real))
            .map_err(|error| self.unwritable(&error))?;
        for folder in folders.iter().rev() {
            // Somebody else's files may lie in it by now.
            drop(fs::remove_dir(folder));
        }
        Ok(())
    }

    /// A new file in the same folder, which nobody else can read.
    fn beside(&self) -> io::Result<(PathBuf, File)> {
        let name = self.real.file_name().unwrap_or_default().to_string_lossy();
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        for number in 0..100 {
            let path = self
                .real
                .with_file_name(format!(".{name}.{}-{number}", std::process::id()));
            match options.open(&path) {
                // Left behind by one of this number that was ended.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => (),
                opened => return opened.map(|file| (path, file)),
            }
        }
        Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "too many files are left beside it",
        ))
    }

    fn fill(&self, path: &Path, mut file: File, text: &str) -> io::Result<()> {
        file.write_all(text.as_bytes())?;
        if self.text.is_some() {
            let metadata = fs::metadata(&self.real)?;
            #[cfg(unix)]
            {
                use std::os::unix::fs::{MetadataExt, fchown};
                if file.metadata()?.gid() != metadata.gid() {
                    fchown(&file, None, Some(metadata.gid()))?;
                }
            }
            file.set_permissions(metadata.permissions())?;
        }
        file.sync_all()?;
        self.unchanged()?;
        fs::rename(path, &self.real)?;
        if let Some(folder) = self.real.parent() {
            // Some file systems know no such thing; the file itself is safe.
            drop(File::open(folder).and_then(|folder| folder.sync_all()));
        }
        Ok(())
    }

    /// Whether it still holds what was read.
    fn unchanged(&self) -> io::Result<()> {
        let now = match read_small(&self.real, LIMIT) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            read => Some(read?),
        };
        if now.as_deref() == self.text.as_deref().map(str::as_bytes) {
            return Ok(());
        }
        Err(io::Error::other("another program has just changed it"))
    }

    fn unwritable(&self, error: &io::Error) -> Error {
        unusable(
            &self.path,
            format!("cannot be written: {error}; nothing in it was changed"),
        )
    }
}

/// Makes folders for the user alone.
fn make_folders(folders: &[PathBuf]) -> io::Result<()> {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "there are no modes"))]
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    folders.iter().try_for_each(|folder| builder.create(folder))
}

/// Where a file that does not exist will lie, behind the symbolic links of its folders.
fn would_be(path: &Path) -> PathBuf {
    let known = path
        .ancestors()
        .skip(1)
        .find_map(|folder| Some((folder, real_path(folder).ok()?)));
    match known.and_then(|(folder, real)| Some(real.join(path.strip_prefix(folder).ok()?))) {
        Some(real) => real,
        None => path.to_owned(),
    }
}

/// A file of somebody else is not ours to rewrite, not even as root: it would become root's.
#[cfg(unix)]
fn own(metadata: &fs::Metadata) -> Result<(), String> {
    let owner = std::os::unix::fs::MetadataExt::uid(metadata);
    let user = rustix::process::geteuid().as_raw();
    if owner == user {
        return Ok(());
    }
    // `sudo docker login` leaves such files; others are made by what manages a whole home, such as Nix.
    Err(if owner == 0 {
        format!(
            "belongs to root: unless something else manages it, `sudo chown {user}` gives it to you"
        )
    } else {
        foreign(owner)
    })
}

/// Whose it is, and what to do about it.
fn foreign(owner: u32) -> String {
    #[cfg(unix)]
    let runs = format!(
        ", and this program runs as {}",
        rustix::process::geteuid().as_raw()
    );
    #[cfg(not(unix))]
    let runs = "";
    format!("belongs to the user with id {owner}{runs}: run it as that user, without `sudo`")
}

/// A file that cannot be used.
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
