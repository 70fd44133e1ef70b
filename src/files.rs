//! Small files of the user: read whole, but never waited for and never without bound.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How often a lock of another process is looked at.
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

/// The same of a protected file (see [`crate::trust`]). One that is missing is reported as such, wherever it would be.
pub(crate) fn read_protected(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    read(still(file, &crate::trust::resolve_protected(path)?)?, limit)
}

/// The same of a file that the environment names.
pub(crate) fn read_named(
    path: &Path,
    working_directory: Option<&Path>,
    limit: usize,
) -> io::Result<Vec<u8>> {
    crate::trust::check_absolute(path)?;
    let file = open(path)?;
    read(
        still(file, &crate::trust::resolve_named(path, working_directory)?)?,
        limit,
    )
}

/// The file, if it is what is at this path, which was judged after the file was opened.
fn still(file: File, real: &Path) -> io::Result<File> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let identity = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
        if identity(file.metadata()?) != identity(std::fs::symlink_metadata(real)?) {
            return Err(io::Error::other(
                "it was replaced while it was read; try again",
            ));
        }
    }
    let _ = real;
    Ok(file)
}

/// The folder or link on the way to `path` that belongs to another user, and its owner, if it must not be entered. Folders of this user and
/// root may be entered, and their links followed. In a folder of another user only a folder of this user may be entered, and that never by
/// root: what root makes in the home of another user (`sudo -E`) locks that user out. A link there may lead anywhere.
///
/// In a user namespace root's files may belong to an unknown user: `/` shows which one.
#[cfg(unix)]
pub(crate) fn foreign_folder(path: &Path) -> Option<(PathBuf, u32)> {
    use std::os::unix::fs::MetadataExt;
    let user = rustix::process::geteuid().as_raw();
    let system = std::fs::symlink_metadata("/").map_or(0, |root| root.uid());
    let mut foreign = None;
    // An error ends the walk: there is nothing behind what is missing.
    let _ = crate::trust::walk(path, |at, metadata| {
        let owner = metadata.uid();
        let is_foreign = ![0, user, system].contains(&owner);
        if metadata.is_symlink() && (is_foreign || foreign.is_some()) {
            foreign.get_or_insert_with(|| (at.to_owned(), owner));
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        if metadata.is_dir() && is_foreign {
            foreign = Some((at.to_owned(), owner));
        } else if metadata.is_dir() && owner == user && user != 0 {
            foreign = None;
        }
        Ok(())
    });
    foreign
}

#[cfg(not(unix))]
pub(crate) fn foreign_folder(_: &Path) -> Option<(PathBuf, u32)> {
    None
}

/// Puts a file in place whole or not at all, for its owner alone, in a folder that is made for its owner alone if need be. A folder of
/// somebody else is refused.
pub(crate) fn replace_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    private_folder(folder)?;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let new = folder.join(format!(".{name}.{}", std::process::id()));
    // Left by a process of this id that died.
    let _ = std::fs::remove_file(&new);
    let mut file = options.open(&new)?;
    let written = file
        .write_all(bytes)
        .and_then(|()| file.sync_all())
        .and_then(|()| std::fs::rename(&new, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&new);
    }
    written
}

/// Locks a file that holds nothing, beside one that is read and replaced. The lock is gone with what is returned. While another process
/// holds it, this waits for as long as `patience`.
pub(crate) fn lock(path: &Path, patience: Duration) -> io::Result<File> {
    private_folder(path.parent().unwrap_or(Path::new("/")))?;
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOFOLLOW;
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, flags.bits().cast_signed());
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    }
    let file = options.open(path)?;
    let end = Instant::now() + patience;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if Instant::now() >= end => {
                let problem = format!(
                    "another process holds the lock {}; try again when it has ended",
                    path.display()
                );
                return Err(io::Error::new(io::ErrorKind::WouldBlock, problem));
            }
            Err(TryLockError::WouldBlock) => std::thread::sleep(PERIOD),
        }
    }
}

/// A folder, made for its owner alone if need be. Errors before anything is made when the way there is another user's.
pub(crate) fn private_folder(folder: &Path) -> io::Result<()> {
    entered(folder)?;
    let mut missing: Vec<&Path> = folder
        .ancestors()
        .take_while(|folder| !folder.exists())
        .collect();
    #[cfg_attr(not(unix), expect(unused_mut, reason = "there are no modes"))]
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    while let Some(folder) = missing.pop() {
        match builder.create(folder) {
            // Another process has made it since, perhaps another user's.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => entered(folder)?,
            made => made?,
        }
    }
    Ok(())
}

/// Errors when the way to `path` is another user's.
fn entered(path: &Path) -> io::Result<()> {
    let Some((folder, owner)) = foreign_folder(path) else {
        return Ok(());
    };
    let problem = format!(
        "{} belongs to the user with id {owner}, and other users make no files there: run it without `sudo`, or with `sudo -H`",
        folder.display()
    );
    Err(io::Error::new(io::ErrorKind::PermissionDenied, problem))
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    // Opening a pipe would wait for its writer.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(
        &mut options,
        rustix::fs::OFlags::NONBLOCK.bits().cast_signed(),
    );
    let file = options.open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is not a regular file",
        ));
    }
    Ok(file)
}

fn read(file: File, limit: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > limit {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("it is longer than {limit} bytes"),
        ));
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
        assert_eq!(
            read_small(&file, 4).unwrap_err().to_string(),
            "it is longer than 4 bytes"
        );
        assert!(
            read_small(&folder.path().join("missing"), 9)
                .is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
        );
        assert!(read_small(folder.path(), 9).is_err());
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
                    read_small(endless, 9).unwrap_err().to_string(),
                    "it is not a regular file"
                );
            }
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
        let told = "belongs to the user with id 54321, and other users make no files there: run it without `sudo`, or with `sudo -H`";
        assert_eq!(
            error.to_string(),
            format!("{} {told}", home.path().display())
        );
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
    }

    #[test]
    #[cfg(unix)]
    fn a_link_of_another_user_is_foreign_wherever_it_leads_and_one_of_ours_is_followed() {
        use std::os::unix::fs::{chown, lchown, symlink};
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: only root can give folders away");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["own", "other", "other/own"] {
            std::fs::create_dir(at(name)).unwrap();
        }
        for (target, link) in [
            ("own", "ours"),
            ("own", "theirs"),
            ("other", "to-other"),
            ("loop", "loop"),
            ("../own", "other/out"),
        ] {
            symlink(target, at(link)).unwrap();
        }
        chown(at("other"), Some(54_321), None).unwrap();
        lchown(at("theirs"), Some(54_321), None).unwrap();
        for (path, expected) in [
            ("own/new/file", None),
            ("ours/new/file", None),
            ("loop/new/file", None),
            ("own/../ours/file", None),
            ("theirs/file", Some("theirs")),
            ("other/new/file", Some("other")),
            ("other/own/file", Some("other")),
            ("other/out/file", Some("other")),
            ("to-other/file", Some("other")),
            ("own/../other/../own/file", Some("other")),
        ] {
            assert_eq!(
                foreign_folder(&at(path)),
                expected.map(|name| (at(name), 54_321)),
                "{path}"
            );
        }
    }
}
