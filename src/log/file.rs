//! Opens the log file. A variable can name it, and a checkout can set variables. So the helper appends only to files that it made, and makes
//! new ones only in the user's own folders.

use crate::config::Settings;
use crate::files::{canonicalize, private_file};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

/// The first line of each log file.
const HEADER: &str = "# Log of docker-credential-acrscoped\n";

/// A log file that is longer is truncated.
const MAX_BYTES: u64 = 1024 * 1024;

/// Opens the log file to append to it, or creates it with mode 0600.
pub(super) fn open(path: &Path, settings: &Settings) -> io::Result<File> {
    let folder = canonicalize(path.parent().unwrap_or(path))?;
    let path = folder.join(path.file_name().unwrap_or_default());
    let mut file = match private_file().read(true).append(true).open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return create(&path, &folder, settings);
        }
        Err(error) => return Err(error),
    };
    check_own(&file)?;
    let mut header = Vec::new();
    (&file).take(HEADER.len() as u64).read_to_end(&mut header)?;
    if header != HEADER.as_bytes() {
        return Err(io::Error::other(
            "the file is not a log of this helper; name another file",
        ));
    }
    if file.metadata()?.len() > MAX_BYTES {
        file.set_len(0)?;
        file.write_all(HEADER.as_bytes())?;
    }
    Ok(file)
}

fn create(path: &Path, folder: &Path, settings: &Settings) -> io::Result<File> {
    let state = settings.state_dir();
    let own = settings.home().into_iter().chain(state.as_deref());
    let mut own = own.filter_map(|own| canonicalize(own).ok());
    if !own.any(|own| folder.starts_with(own)) {
        return Err(io::Error::other(
            "the folder is not below your home folder; create it there",
        ));
    }
    let mut file = private_file()
        .read(true)
        .append(true)
        .create_new(true)
        .open(path)?;
    file.write_all(HEADER.as_bytes())?;
    Ok(file)
}

/// Fails unless it is a regular file of this user with no other name.
fn check_own(file: &File) -> io::Result<()> {
    let metadata = file.metadata()?;
    let mut is_own = metadata.is_file();
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let uid = rustix::process::geteuid().as_raw();
        is_own &= metadata.uid() == uid && metadata.nlink() == 1;
    }
    if is_own {
        Ok(())
    } else {
        Err(io::Error::other(
            "the file belongs to another user, has another name too, or is not a regular file",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use tempfile::TempDir;

    /// Returns a home folder, and settings whose home it is.
    fn home() -> (TempDir, Settings) {
        let home = tempfile::tempdir().unwrap();
        let settings = Settings::from_variables([].into(), Some(home.path().to_owned()));
        (home, settings)
    }

    fn problem(path: &Path, settings: &Settings) -> String {
        open(path, settings).unwrap_err().to_string()
    }

    #[test]
    fn a_new_file_is_private_and_is_appended_to() {
        let (home, settings) = home();
        let path = home.path().join("helper.log");
        for line in ["one\n", "two\n"] {
            open(&path, &settings)
                .unwrap()
                .write_all(line.as_bytes())
                .unwrap();
        }
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            format!("{HEADER}one\ntwo\n")
        );
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(
                fs::metadata(&path).unwrap().permissions().mode() & 0o777,
                0o600
            );
        }
    }

    #[test]
    fn a_file_that_is_not_our_log_is_not_changed() {
        let (home, settings) = home();
        let path = home.path().join(".profile");
        for text in ["", "export PATH\n", "# Log of docker"] {
            fs::write(&path, text).unwrap();
            assert!(problem(&path, &settings).contains("not a log of this helper"));
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }

    #[cfg(unix)]
    #[test]
    fn links_and_pipes_are_refused_at_once() {
        let (home, settings) = home();
        let path = home.path().join("helper.log");
        drop(open(&path, &settings).unwrap());
        let link = home.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(open(&link, &settings).is_err());
        let other = home.path().join("other");
        fs::hard_link(&path, &other).unwrap();
        assert!(problem(&path, &settings).contains("another name"));
        let missing = home.path().join("dangling");
        std::os::unix::fs::symlink(home.path().join("target"), &missing).unwrap();
        assert!(open(&missing, &settings).is_err() && !home.path().join("target").exists());
        let pipe = home.path().join("pipe");
        assert!(
            std::process::Command::new("mkfifo")
                .arg(&pipe)
                .status()
                .unwrap()
                .success()
        );
        assert!(
            problem(&pipe, &settings).contains("not a log of this helper")
                || open(&pipe, &settings).is_err()
        );
    }

    #[test]
    fn outside_of_the_home_folder_nothing_is_created() {
        let (_home, settings) = home();
        let elsewhere = tempfile::tempdir().unwrap();
        let path = elsewhere.path().join("helper.log");
        assert!(problem(&path, &settings).contains("home folder") && !path.exists());
    }

    #[test]
    fn a_long_file_is_truncated() {
        let (home, settings) = home();
        let path = home.path().join("helper.log");
        let line = "x".repeat(usize::try_from(MAX_BYTES).unwrap());
        open(&path, &settings)
            .unwrap()
            .write_all(line.as_bytes())
            .unwrap();
        drop(open(&path, &settings).unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), HEADER);
    }
}
