//! Small files of the user: read whole, but never waited for and never without bound.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a lock of another process is waited for.
const LOCKED: Duration = Duration::from_secs(5);

/// How often it is looked at.
const PERIOD: Duration = Duration::from_millis(5);

/// The real path of a file. On Windows in the form that people and programs write, where there is one (`C:\…`, not `\\?\C:\…`).
pub(crate) fn real_path(path: &Path) -> io::Result<PathBuf> {
    #[cfg(windows)]
    return dunce::canonicalize(path);
    #[cfg(not(windows))]
    path.canonicalize()
}

/// The content of a regular file of at most `limit` bytes. A pipe, a device or a folder in its place is an error: reading
/// it could take for ever.
pub(crate) fn read_small(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    read(open(path)?, limit)
}

/// The same of a protected file (see [`crate::trust`]).
pub(crate) fn read_protected(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    crate::trust::resolve_protected(path)?;
    read(file, limit)
}

/// The same of a file that the environment names.
pub(crate) fn read_named(path: &Path, working_directory: Option<&Path>, limit: usize) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    crate::trust::resolve_named(path, working_directory)?;
    read(file, limit)
}

/// Whether this process runs in a user namespace that does not show all users as they are, as in rootless Podman and Buildah.
#[cfg(unix)]
pub(crate) fn is_in_user_namespace() -> bool {
    // The kernel allows 340 lines of it.
    const LIMIT: usize = 64 * 1024;
    read_small(Path::new("/proc/self/uid_map"), LIMIT).is_ok_and(|map| is_partial_map(&map))
}

/// Whether a map of users (`user_namespaces(7)`) is another than that of the initial namespace: all users, from zero to zero.
#[cfg(unix)]
fn is_partial_map(map: &[u8]) -> bool {
    let words: Vec<&[u8]> = map.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).collect();
    !words.is_empty() && words != [&b"0"[..], b"0", b"4294967295"]
}

/// The folder in which a file is to be made, and its owner, when that is neither the user nor root: the nearest one that exists. What
/// root makes in the home of somebody else (`sudo -E`) could not be read there.
#[cfg(unix)]
pub(crate) fn foreign_folder(path: &Path) -> Option<(PathBuf, u32)> {
    use std::os::unix::fs::MetadataExt;
    let mut folders = path.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty());
    let (folder, metadata) = folders.find_map(|folder| Some((folder, std::fs::metadata(folder).ok()?)))?;
    let owner = metadata.uid();
    (owner != 0 && owner != rustix::process::geteuid().as_raw()).then(|| (folder.to_owned(), owner))
}

#[cfg(not(unix))]
pub(crate) fn foreign_folder(_: &Path) -> Option<(PathBuf, u32)> {
    None
}

/// Puts a file in place whole or not at all, for its owner alone, in a folder that is made for its owner alone if need be. A folder of
/// somebody else is refused.
pub(crate) fn replace_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = private_folder(path)?;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let new = folder.join(format!(".{name}.{}", std::process::id()));
    // Left by a process of this id that died.
    let _ = std::fs::remove_file(&new);
    let mut file = options.open(&new)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| std::fs::rename(&new, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&new);
    }
    written
}

/// Locks a file that holds nothing, beside one that is read and replaced. The lock is gone with what is returned. Who holds it does so
/// for moments, so that it is waited for, but not for long.
pub(crate) fn lock(path: &Path) -> io::Result<File> {
    private_folder(path)?;
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOFOLLOW;
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, flags.bits().cast_signed());
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    }
    let file = options.open(path)?;
    let end = Instant::now() + LOCKED;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if Instant::now() >= end => {
                return Err(io::Error::new(io::ErrorKind::WouldBlock, "another process has locked it"));
            }
            Err(TryLockError::WouldBlock) => std::thread::sleep(PERIOD),
        }
    }
}

/// The folder of a file, made for its owner alone if need be.
fn private_folder(path: &Path) -> io::Result<&Path> {
    if let Some((folder, owner)) = foreign_folder(path) {
        let problem = format!(
            "{} belongs to the user with id {owner}: run it as that user, without `sudo`, or set `HOME` to a folder of your own",
            folder.display()
        );
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, problem));
    }
    let folder = path.parent().unwrap_or(Path::new("/"));
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map(|()| folder)
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    // Opening a pipe would wait for its writer.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, rustix::fs::OFlags::NONBLOCK.bits().cast_signed());
    let file = options.open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    Ok(file)
}

fn read(file: File, limit: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > limit {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("it is longer than {limit} bytes")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_small_file_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "12345").unwrap();
        assert_eq!(read_small(&file, 5).unwrap(), b"12345");
        assert_eq!(read_small(&file, 4).unwrap_err().to_string(), "it is longer than 4 bytes");
        assert!(read_small(&folder.path().join("missing"), 9).is_err_and(|error| error.kind() == io::ErrorKind::NotFound));
        assert!(read_small(folder.path(), 9).is_err());
        #[cfg(target_os = "linux")]
        {
            let pipe = folder.path().join("pipe");
            rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
            for endless in [&pipe, Path::new("/dev/zero")] {
                assert_eq!(read_small(endless, 9).unwrap_err().to_string(), "it is not a regular file");
            }
        }
    }

    #[test]
    #[cfg(unix)]
    fn a_user_namespace_is_told_from_the_initial_one() {
        assert!(!is_partial_map(b"         0          0 4294967295\n") && !is_partial_map(b""));
        for map in [&b"         0       1000          1\n         1     100000      65536\n"[..], b"0 0 1\n"] {
            assert!(is_partial_map(map));
        }
    }

    #[test]
    #[cfg(unix)]
    fn a_file_of_ours_is_put_in_place_for_us_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("new/file");
        for content in ["one", "two"] {
            replace_private(&file, content.as_bytes()).unwrap();
            assert_eq!(std::fs::read_to_string(&file).unwrap(), content);
        }
        for (path, mode) in [(file.as_path(), 0o600), (file.parent().unwrap(), 0o700)] {
            assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, mode);
        }
        assert_eq!(std::fs::read_dir(file.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    #[cfg(unix)]
    fn nothing_is_made_in_a_folder_of_somebody_else() {
        use std::os::unix::fs::chown;
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: only root can give folders away");
            return;
        }
        let home = tempfile::tempdir().unwrap();
        chown(home.path(), Some(54_321), None).unwrap();
        let error = replace_private(&home.path().join(".config/ours/file"), b"1").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        let told =
            "belongs to the user with id 54321: run it as that user, without `sudo`, or set `HOME` to a folder of your own";
        assert_eq!(error.to_string(), format!("{} {told}", home.path().display()));
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
    }
}
