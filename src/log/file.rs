//! Opens the log file. Only the config file names it, which is protected. The helper appends only to its own logs.

use crate::files::private_file;
use crate::trust;
use std::fs::{File, Metadata};
use std::io::{self, Read, Write};
use std::path::Path;

/// The first line of each log file.
const HEADER: &str = "# Log of docker-credential-acrscoped\n";

/// A log file that is longer is truncated.
const MAX_BYTES: u64 = 1024 * 1024;

/// Opens the log file to append to it, or creates it with mode 0600. Its folder must be protected, and outside of the checkout.
pub(super) fn open(path: &Path, working_directory: Option<&Path>) -> io::Result<File> {
    let folder = path.parent().unwrap_or(path);
    let folder = trust::resolve_named(folder, working_directory)?;
    let path = folder.join(path.file_name().unwrap_or_default());
    let mut options = private_file();
    let mut file = options.read(true).append(true).create(true).open(path)?;
    let metadata = file.metadata()?;
    let mut header = String::new();
    // A pipe is not read.
    let is_log = is_own(&metadata) && {
        let mut start = (&file).take(HEADER.len() as u64);
        start.read_to_string(&mut header).is_ok() && (header.is_empty() || header == HEADER)
    };
    if !is_log {
        let problem = "the file is not a log of this helper; name another file";
        return Err(io::Error::other(problem));
    }
    if header.is_empty() || metadata.len() > MAX_BYTES {
        file.set_len(0)?;
        file.write_all(HEADER.as_bytes())?;
    }
    Ok(file)
}

/// Returns whether it is a regular file of this user with no other name.
fn is_own(metadata: &Metadata) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let uid = rustix::process::geteuid().as_raw();
        if metadata.uid() != uid || metadata.nlink() != 1 {
            return false;
        }
    }
    metadata.is_file()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// Returns a folder, and the path of a log in it.
    fn log_in_folder() -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("helper.log");
        (folder, path)
    }

    fn append(path: &Path, text: &str) {
        open(path, None)
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
    }

    fn problem(path: &Path) -> String {
        open(path, None).unwrap_err().to_string()
    }

    #[test]
    fn a_new_file_is_private_and_is_appended_to() {
        let (_folder, path) = log_in_folder();
        append(&path, "one\n");
        append(&path, "two\n");
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text, format!("{HEADER}one\ntwo\n"));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn a_file_that_is_no_log_of_the_helper_is_not_touched() {
        let (folder, _) = log_in_folder();
        let path = folder.path().join(".profile");
        for text in ["export PATH\n", "# Log of docker"] {
            fs::write(&path, text).unwrap();
            assert!(problem(&path).contains("not a log of this helper"));
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }

    #[cfg(unix)]
    #[test]
    fn links_and_pipes_are_refused_at_once() {
        let (folder, path) = log_in_folder();
        append(&path, "");
        let [link, other, dangling, pipe] =
            ["link", "other", "dangling", "pipe"].map(|name| folder.path().join(name));
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(open(&link, None).is_err());
        fs::hard_link(&path, &other).unwrap();
        assert!(problem(&path).contains("not a log of this helper"));
        let target = folder.path().join("target");
        std::os::unix::fs::symlink(&target, &dangling).unwrap();
        assert!(open(&dangling, None).is_err() && !target.exists());
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        assert!(open(&pipe, None).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn nothing_is_created_in_a_checkout_or_where_others_can_write() {
        use std::os::unix::fs::PermissionsExt;
        let (folder, path) = log_in_folder();
        let real = folder.path().canonicalize().unwrap();
        let in_checkout = open(&path, Some(&real)).unwrap_err();
        assert!(in_checkout.to_string().contains("folder that you work in"));
        fs::set_permissions(&real, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(problem(&path).contains("can write to"));
        let relative = problem(Path::new("helper.log"));
        assert!(relative.contains("relative path"), "{relative}");
        assert!(!path.exists());
    }

    #[test]
    fn a_long_file_starts_anew() {
        let (_folder, path) = log_in_folder();
        append(&path, &"x".repeat(usize::try_from(MAX_BYTES).unwrap()));
        append(&path, "");
        assert_eq!(fs::read_to_string(&path).unwrap(), HEADER);
    }
}
