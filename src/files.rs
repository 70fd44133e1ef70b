//! Small files of the user: read with a limit and without blocking, written as a whole, and locked.

use crate::{random, trust};
#[cfg(unix)]
use rustix::fs::OFlags;
use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
#[cfg(unix)]
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How often a process that waits tries to lock the file.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// Returns the real path of a file. On Windows it has the usual form if there is one (`C:\…`, not `\\?\C:\…`).
///
/// # Errors
///
/// The path does not exist or cannot be followed.
pub(crate) fn canonicalize(path: &Path) -> io::Result<PathBuf> {
    #[cfg(windows)]
    return dunce::canonicalize(path);
    #[cfg(not(windows))]
    path.canonicalize()
}

/// Reads a regular file of at most `max_bytes`.
///
/// # Errors
///
/// The file cannot be read, or is longer. A pipe, a device or a directory is an error, because reading it could block for ever.
pub(crate) fn read_limited(path: &Path, max_bytes: usize) -> io::Result<Vec<u8>> {
    read(open(path)?, max_bytes)
}

/// Reads a file that must be protected (see [`trust`]). `working_directory` is for a path that the environment names. A missing file is
/// reported as such, whatever its directory is. Not checked on Windows: profile directories are protected by access control lists, which we
/// do not evaluate.
///
/// # Errors
///
/// As [`read_limited`], and a [`trust::Refusal`] if the file is not protected.
pub(crate) fn read_named(
    path: &Path,
    working_directory: Option<&Path>,
    max_bytes: usize,
) -> io::Result<Vec<u8>> {
    trust::check_absolute(path)?;
    // Opened before the check: a user namespace hides the owners of directories, who could replace the file after the check.
    let file = open(path)?;
    let real = trust::resolve_named(path, working_directory)?;
    #[cfg(unix)]
    {
        let (opened, checked) = (file.metadata()?, real.symlink_metadata()?);
        if (opened.dev(), opened.ino()) != (checked.dev(), checked.ino()) {
            let problem = "it was replaced while it was read; try again";
            return Err(io::Error::other(problem));
        }
    }
    let _ = real;
    read(file, max_bytes)
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    // Opening a pipe would wait for its writer.
    #[cfg(unix)]
    options.custom_flags(OFlags::NONBLOCK.bits().cast_signed());
    let file = options.open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    Ok(file)
}

fn read(file: File, max_bytes: usize) -> io::Result<Vec<u8>> {
    // Large enough for the whole file: growing would leave copies of a secret in memory.
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(max_bytes);
    let mut bytes = Vec::with_capacity(length.min(max_bytes) + 1);
    file.take(max_bytes as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > max_bytes {
        let problem = format!("it is longer than {max_bytes} bytes");
        return Err(io::Error::other(problem));
    }
    Ok(bytes)
}

/// Replaces a file by a new file that takes its name. The new file gets mode and group of the `replaced` file, or mode 0600. A missing
/// directory is created with mode 0700. `before_rename` can stop the replacement at the last moment.
///
/// # Errors
///
/// The directory belongs to another user, `before_rename` fails, or the system cannot write. The old file then stays as it is.
pub(crate) fn write_atomic(
    path: &Path,
    bytes: &[u8],
    replaced: Option<&Metadata>,
    before_rename: impl FnOnce() -> io::Result<()>,
) -> io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("/"));
    create_private_dir(dir)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let random = random::bytes::<8>()?;
    let temp = dir.join(format!(".{name}.{}", hex::encode(random)));
    let written = write_new(&temp, bytes, replaced)
        .and_then(|()| before_rename())
        .and_then(|()| fs::rename(&temp, path));
    if written.is_err() {
        let _ = fs::remove_file(&temp);
    } else if let Ok(dir) = File::open(dir) {
        // Some systems cannot do this; the file itself is safe.
        let _ = dir.sync_all();
    }
    written
}

fn write_new(path: &Path, bytes: &[u8], replaced: Option<&Metadata>) -> io::Result<()> {
    let mut file = private_file().create_new(true).open(path)?;
    file.write_all(bytes)?;
    if let Some(replaced) = replaced {
        #[cfg(unix)]
        if file.metadata()?.gid() != replaced.gid() {
            fchown(&file, None, Some(replaced.gid()))?;
        }
        file.set_permissions(replaced.permissions())?;
    }
    file.sync_all()
}

/// Locks an empty file next to the one that is read and replaced. Dropping the returned file releases the lock. Waits up to `timeout` for
/// another process that holds it.
///
/// # Errors
///
/// Another process holds the lock for longer, or the file cannot be created.
pub(crate) fn lock(path: &Path, timeout: Duration) -> io::Result<File> {
    create_private_dir(path.parent().unwrap_or(Path::new("/")))?;
    let file = private_file().create(true).truncate(false).open(path)?;
    let end = Instant::now() + timeout;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if Instant::now() >= end => {
                let path = path.display();
                return Err(io::Error::other(format!(
                    "another process holds the lock {path}; try again when it has ended"
                )));
            }
            Err(TryLockError::WouldBlock) => std::thread::sleep(POLL_INTERVAL),
        }
    }
}

/// Returns the options to create a file with mode 0600 that does not follow links.
pub(crate) fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    options
        .mode(0o600)
        .custom_flags((OFlags::NONBLOCK | OFlags::NOFOLLOW).bits().cast_signed());
    options
}

/// Creates a directory and its missing parents with mode 0700, but nothing in a directory of another user.
///
/// # Errors
///
/// A parent belongs to another user, or the directory cannot be created.
pub(crate) fn create_private_dir(dir: &Path) -> io::Result<()> {
    check_parents(dir)?;
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    builder.mode(0o700);
    builder.create(dir)?;
    // Another user may have created one of them in the meantime.
    check_parents(dir)
}

fn check_parents(path: &Path) -> io::Result<()> {
    trust::untrusted_parent(path).map_or(Ok(()), |refusal| {
        Err(io::Error::other(format!("{refusal}: {}", refusal.fix())))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_too_long_or_not_regular_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "12345").unwrap();
        assert_eq!(read_limited(&file, 5).unwrap(), b"12345");
        assert_eq!(
            read_limited(&file, 4).unwrap_err().to_string(),
            "it is longer than 4 bytes"
        );
        assert!(
            read_limited(&folder.path().join("missing"), 9)
                .is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
        );
        assert!(read_limited(folder.path(), 9).is_err());
        #[cfg(target_os = "linux")]
        {
            let pipe = folder.path().join("pipe");
            rustix::fs::mknodat(
                rustix::fs::CWD,
                &pipe,
                rustix::fs::FileType::Fifo,
                rustix::fs::Mode::RUSR,
                0,
            )
            .unwrap();
            for endless in [&pipe, Path::new("/dev/zero")] {
                assert_eq!(
                    read_limited(endless, 9).unwrap_err().to_string(),
                    "it is not a regular file"
                );
            }
        }
    }

    #[test]
    #[cfg(unix)]
    fn a_written_file_is_whole_and_only_the_user_can_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("new/file");
        for content in ["one", "two"] {
            write_atomic(&file, content.as_bytes(), None, || Ok(())).unwrap();
            assert_eq!(std::fs::read_to_string(&file).unwrap(), content);
        }
        for (path, mode) in [(file.as_path(), 0o600), (file.parent().unwrap(), 0o700)] {
            assert_eq!(
                std::fs::metadata(path).unwrap().permissions().mode() & 0o777,
                mode
            );
        }
        assert_eq!(
            std::fs::read_dir(file.parent().unwrap()).unwrap().count(),
            1
        );
    }

    #[test]
    #[cfg(unix)]
    fn nothing_is_created_in_a_directory_of_another_user() {
        use std::os::unix::fs::chown;
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: only root can give folders away");
            return;
        }
        let home = tempfile::tempdir().unwrap();
        chown(home.path(), Some(54_321), None).unwrap();
        let error = write_atomic(
            &home.path().join(".config/ours/file"),
            b"1",
            None,
            || Ok(()),
        )
        .unwrap_err();
        let problem = "belongs to the user with id 54321, not to you or root: run it as that user, without `sudo`, or with `sudo -H`";
        assert_eq!(
            error.to_string(),
            format!("{} {problem}", home.path().display())
        );
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
    }
}
