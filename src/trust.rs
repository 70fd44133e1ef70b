//! Which files may decide about trust: the config file and CA certificates.
//!
//! A path is *protected* if only this user and root can change what it leads to. Links are followed first. Then the file and every
//! folder on the way are judged: owned by the user or root, and not writable by others. Accepted are sticky folders, read-only
//! mounts, and a group that is the user's own primary group.
//!
//! Anyone may have set the environment: the author of a checkout, a compose file or a CI job. So a path that a variable names must also be
//! absolute, must not lead through `/proc` or `/dev/fd`, and must not lead into the working directory.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why a path is not trusted, and how to change that.
#[derive(Debug)]
pub(crate) struct Refusal {
    problem: String,
    /// A command or a sentence.
    pub(crate) fix: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem)
    }
}

impl std::error::Error for Refusal {}

impl Refusal {
    /// The refusal that an error is about, if it is about one.
    pub(crate) fn from_io(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

/// Follows the links of a path and returns the real one.
///
/// # Errors
///
/// A [`Refusal`] if the path is not protected; otherwise what the system reports, such as `NotFound`.
pub(crate) fn resolve_protected(path: &Path) -> io::Result<PathBuf> {
    check_absolute(path)?;
    resolve(path, None)
}

/// Follows the links of a path that a variable names and returns the real one. `working_directory` is a real path.
///
/// # Errors
///
/// As [`resolve_protected`], and a [`Refusal`] if the path leads into the working directory or the checkout that it is in. The root folder and
/// folders that hold the account's home are no checkouts. Everything but `NotFound` is a [`Refusal`]: what cannot be judged is not trusted.
pub(crate) fn resolve_named(path: &Path, working_directory: Option<&Path>) -> io::Result<PathBuf> {
    check_absolute(path)?;
    resolve(
        path,
        working_directory.filter(|directory| directory.parent().is_some()),
    )
    .map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => error,
        _ if Refusal::from_io(&error).is_some() => error,
        _ => refused(format!("it cannot be judged: {error}"), "use another path"),
    })
}

/// The same of a file of certificates, or a folder with such files: other users cannot add one, and each is trusted.
pub(crate) fn resolve_certificates(
    path: &Path,
    working_directory: Option<&Path>,
) -> io::Result<PathBuf> {
    let real = resolve_named(path, working_directory)?;
    if real.is_dir() {
        check_closed(&real)?;
        for entry in real.read_dir()? {
            match resolve_named(&real.join(entry?.file_name()), working_directory) {
                // A link to what is not there.
                Err(error) if error.kind() == io::ErrorKind::NotFound => (),
                judged => drop(judged?),
            }
        }
    }
    Ok(real)
}

/// The real path of the folder that this process runs in.
#[expect(
    clippy::disallowed_methods,
    reason = "the working directory is touched here and nowhere else"
)]
pub(crate) fn working_directory() -> Option<PathBuf> {
    let directory = std::env::current_dir().ok()?;
    // Unix gives the real path.
    #[cfg(windows)]
    let directory = dunce::canonicalize(&directory).unwrap_or(directory);
    Some(directory)
}

/// Whether this process runs in a user namespace that does not show all users as they are, as in rootless Podman and Buildah.
pub(crate) fn is_in_user_namespace() -> bool {
    // The kernel allows 340 lines of it.
    std::fs::read("/proc/self/uid_map").is_ok_and(|map| is_partial_map(&map))
}

/// Whether a map of users (`user_namespaces(7)`) is another than that of the initial namespace: all users, from zero to zero.
fn is_partial_map(map: &[u8]) -> bool {
    let words: Vec<&[u8]> = map
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty())
        .collect();
    !words.is_empty() && words != [&b"0"[..], b"0", b"4294967295"]
}

/// Refuses relative paths, and on Windows those of other machines, before anything is opened.
pub(crate) fn check_absolute(path: &Path) -> io::Result<()> {
    if !path.is_absolute() {
        return Err(refused(
            format!("{} is a relative path", path.display()),
            "write the absolute path",
        ));
    }
    #[cfg(windows)]
    {
        use std::path::{Component, Prefix};
        let is_local =
            |prefix: Prefix<'_>| matches!(prefix, Prefix::Disk(_) | Prefix::VerbatimDisk(_));
        let is_local = matches!(path.components().next(), Some(Component::Prefix(prefix)) if is_local(prefix.kind()));
        // The system may keep the settings of a user on a server.
        if !is_local && default_config().is_none_or(|file| file != path) {
            return Err(refused(
                format!("{} is not on a drive of this machine", path.display()),
                "copy it to this machine",
            ));
        }
    }
    Ok(())
}

/// Refuses a file in the working directory, or in the checkout that it is in. The account's home and the folders above it are none, and the
/// account's own config file is not chosen by a variable.
fn refuse_checkout(path: &Path, checkout: &Path) -> io::Result<()> {
    let home = account_home().map(|home| home.canonicalize().unwrap_or(home));
    if home.is_some_and(|home| home.starts_with(checkout))
        || default_config().is_some_and(|file| file == path)
    {
        return Ok(());
    }
    let problem = format!(
        "it is in the folder that you work in, {}",
        checkout.display()
    );
    Err(refused(
        problem,
        "move it out of this folder, or run the command in another folder",
    ))
}

/// The working directory, and the folder of the checkout above it, if it is in one.
fn checkouts(working_directory: Option<&Path>) -> Vec<&Path> {
    let Some(directory) = working_directory else {
        return vec![];
    };
    let checkout = directory
        .ancestors()
        .skip(1)
        .find(|folder| folder.parent().is_some() && folder.join(".git").exists());
    [directory].into_iter().chain(checkout).collect()
}

fn refused(problem: String, fix: impl Into<String>) -> io::Error {
    io::Error::new(
        io::ErrorKind::PermissionDenied,
        Refusal {
            problem,
            fix: fix.into(),
        },
    )
}

/// Modes are not judged on Windows: access control lists protect the folders of a profile there, and the helper does not evaluate them.
#[cfg(windows)]
fn resolve(path: &Path, working_directory: Option<&Path>) -> io::Result<PathBuf> {
    let real = dunce::canonicalize(path)?;
    let entered = checkouts(working_directory)
        .into_iter()
        .filter(|folder| real.starts_with(folder) || path.starts_with(folder));
    entered
        .map(|folder| refuse_checkout(path, folder))
        .collect::<io::Result<()>>()?;
    Ok(real)
}

#[cfg(windows)]
fn check_closed(_: &Path) -> io::Result<()> {
    Ok(())
}

/// The home folder by the system, not by a variable.
#[cfg(windows)]
fn account_home() -> Option<PathBuf> {
    dirs::home_dir()
}

/// The config file in the folder that the system, and no variable, says.
#[cfg(windows)]
fn default_config() -> Option<PathBuf> {
    Some(
        dirs::config_dir()?
            .join(env!("CARGO_PKG_NAME"))
            .join("config.toml"),
    )
}

/// The config file in the account's home.
#[cfg(unix)]
fn default_config() -> Option<PathBuf> {
    let folder = if cfg!(target_os = "macos") {
        "Library/Application Support"
    } else {
        ".config"
    };
    Some(
        account_home()?
            .join(folder)
            .join(env!("CARGO_PKG_NAME"))
            .join("config.toml"),
    )
}

#[cfg(unix)]
pub(crate) use unix::walk;
#[cfg(unix)]
use unix::{account_home, check_closed, resolve};

#[cfg(unix)]
mod unix {
    use super::{is_in_user_namespace, refuse_checkout, refused};
    use crate::text::shell_word;
    use nix::unistd::{Uid, User};
    use std::ffi::OsString;
    use std::fs::Metadata;
    use std::io::{self, Read};
    use std::os::unix::ffi::OsStringExt;
    use std::os::unix::fs::MetadataExt;
    use std::path::{Component, Path, PathBuf};
    use std::process::{Command, Stdio};
    use std::sync::OnceLock;
    use std::time::{Duration, Instant};

    /// Links that are followed before a path counts as a circle (Linux, `path_resolution(7)`).
    const MAX_LINKS: u32 = 40;

    /// The owner that a user namespace shows for each user it does not know (`user_namespaces(7)`). Root is one of them in rootless
    /// Podman and Buildah.
    const UNKNOWN_OWNER: u32 = 65_534;

    /// Folders that only root can write on any system, so that their files are trusted where the kernel does not show their owner.
    const SYSTEM_FOLDERS: [&str; 3] = ["/etc", "/usr", "/nix/store"];

    /// Groups as good as root: its own, and on macOS that of administrators (`admin`).
    const ROOT_GROUPS: &[u32] = if cfg!(target_os = "macos") {
        &[0, 80]
    } else {
        &[0]
    };

    /// How long `getent` may take.
    const GETENT_TIMEOUT: Duration = Duration::from_secs(2);

    /// Judges every folder, link and file on the way. Each is judged before anything in it is looked up, so that no other user can exchange a
    /// part of the path meanwhile. Checkouts are known by their inodes, so that no other name of one passes.
    pub(super) fn resolve(path: &Path, working_directory: Option<&Path>) -> io::Result<PathBuf> {
        let identity = |metadata: &Metadata| (metadata.dev(), metadata.ino());
        // The working directory may be one that this user could not enter by its path, as with `sudo -u`.
        let entered = |folder: &Path| {
            folder
                .metadata()
                .or_else(|_| Path::new(".").metadata())
                .ok()
        };
        let checkouts = super::checkouts(working_directory).into_iter();
        let checkouts: Vec<_> = checkouts
            .filter_map(|folder| Some((folder, identity(&entered(folder)?))))
            .collect();
        walk(path, |at, metadata| {
            if at.starts_with("/proc") || at.starts_with("/dev/fd") {
                return Err(refused(
                    format!("it leads through {}", at.display()),
                    "name the file by its own path",
                ));
            }
            if let Some((checkout, _)) = checkouts
                .iter()
                .find(|(_, checkout)| *checkout == identity(metadata))
            {
                refuse_checkout(path, checkout)?;
            }
            judge(at, metadata)
        })
    }

    /// Walks an absolute path from the root folder and follows its links. `visit` sees each folder, link and file before anything behind it
    /// is looked up, and can end the walk by an error. Returns the real path.
    pub(crate) fn walk(
        path: &Path,
        mut visit: impl FnMut(&Path, &Metadata) -> io::Result<()>,
    ) -> io::Result<PathBuf> {
        let mut real = PathBuf::from("/");
        visit(&real, &real.symlink_metadata()?)?;
        let mut rest = parts(path);
        let mut links = 0;
        while let Some(part) = rest.pop() {
            if part == ".." {
                real.pop();
                continue;
            }
            let next = real.join(part);
            let metadata = next.symlink_metadata()?;
            visit(&next, &metadata)?;
            if !metadata.is_symlink() {
                real = next;
                continue;
            }
            links += 1;
            if links > MAX_LINKS {
                return Err(io::Error::other("it has too many links"));
            }
            let target = next.read_link()?;
            if target.is_absolute() {
                real = "/".into();
            }
            rest.extend(parts(&target));
        }
        Ok(real)
    }

    /// The parts of a path below the root folder, the first one last.
    fn parts(path: &Path) -> Vec<OsString> {
        let parts = path.components().rev();
        parts
            .filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir))
            .map(|part| part.as_os_str().into())
            .collect()
    }

    /// Refuses what belongs to another user, and what others can write.
    fn judge(path: &Path, metadata: &Metadata) -> io::Result<()> {
        let owner = metadata.uid();
        let is_hidden_root = || {
            let is_of_system = || SYSTEM_FOLDERS.iter().any(|folder| path.starts_with(folder));
            owner == UNKNOWN_OWNER
                && (metadata.is_dir() || is_of_system())
                && is_in_user_namespace()
        };
        if owner != 0 && owner != rustix::process::geteuid().as_raw() && !is_hidden_root() {
            let why = match owner {
                UNKNOWN_OWNER if is_in_user_namespace() => {
                    " (rootless Podman and Buildah cannot tell root's files from others')"
                }
                _ => "",
            };
            let problem = format!(
                "{} belongs to the user with id {owner}, not to you or root{why}",
                path.display()
            );
            return Err(refused(
                problem,
                "copy it to a folder of your own, and name the copy",
            ));
        }
        // The mode of a link says nothing, and devices and pipes are refused where files are read.
        let has_content = metadata.is_file() || metadata.is_dir();
        let is_safe = || metadata.is_dir() && (metadata.mode() & STICKY != 0 || is_read_only(path));
        if !has_content || !is_writable_by_others(path, metadata) || is_safe() {
            return Ok(());
        }
        let problem = format!(
            "users other than you and root can write to {}",
            path.display()
        );
        let sudo = if owner == rustix::process::geteuid().as_raw() {
            ""
        } else {
            "sudo "
        };
        Err(refused(
            problem,
            format!("{sudo}chmod go-w {}", shell_word(&path.to_string_lossy())),
        ))
    }

    /// The sticky bit: entries of others cannot be exchanged in such a folder, and each entry on the way is judged by its own owner.
    const STICKY: u32 = 0o1000;

    fn is_writable_by_others(path: &Path, metadata: &Metadata) -> bool {
        let (mode, group) = (metadata.mode(), metadata.gid());
        let owner = metadata.uid();
        let of_root = ROOT_GROUPS.contains(&group) && (owner == 0 || cfg!(target_os = "macos"));
        let is_own_group = || {
            group
                == account().map_or_else(
                    || rustix::process::getegid().as_raw(),
                    |user| user.gid.as_raw(),
                )
        };
        mode & 0o002 != 0
            || (mode & 0o020 != 0 && !((of_root || is_own_group()) && !has_access_list(path)))
    }

    /// Whether others are named beside owner and group; then the mode shows what the most of them may do (`acl(5)`).
    fn has_access_list(path: &Path) -> bool {
        #[cfg(target_os = "linux")]
        return rustix::fs::lgetxattr_query(path, "system.posix_acl_access")
            .is_ok_and(|length| length > 0);
        #[cfg(not(target_os = "linux"))]
        {
            let _ = path;
            false
        }
    }

    /// Refuses a folder in which other users can make files.
    pub(super) fn check_closed(folder: &Path) -> io::Result<()> {
        if is_writable_by_others(folder, &folder.metadata()?) {
            return Err(refused(
                format!("other users can make files in {}", folder.display()),
                "name a folder that is yours alone",
            ));
        }
        Ok(())
    }

    fn is_read_only(path: &Path) -> bool {
        rustix::fs::statvfs(path).is_ok_and(|system| {
            system
                .f_flag
                .contains(rustix::fs::StatVfsMountFlags::RDONLY)
        })
    }

    fn account() -> Option<User> {
        User::from_uid(Uid::effective()).ok().flatten()
    }

    /// The home folder of the account, by the system's user database and not by a variable. A static program reads `/etc/passwd`
    /// alone; accounts of a directory service are looked up by `getent`, once for a process.
    pub(super) fn account_home() -> Option<PathBuf> {
        static HOME: OnceLock<Option<PathBuf>> = OnceLock::new();
        let look_up = || {
            let found = account()
                .map(|user| user.dir)
                .or_else(|| home_by_getent(Uid::effective()));
            found.filter(|home| home.parent().is_some())
        };
        HOME.get_or_init(look_up).clone()
    }

    fn home_by_getent(uid: Uid) -> Option<PathBuf> {
        let mut command = Command::new("/usr/bin/getent");
        command.args(["passwd", &uid.to_string()]).env_clear();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let end = Instant::now() + GETENT_TIMEOUT;
        while child.try_wait().ok()?.is_none() {
            if Instant::now() >= end {
                let _ = child.kill();
                let _ = child.wait();
                return None;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let mut line = Vec::new();
        child
            .stdout
            .take()?
            .take(4096)
            .read_to_end(&mut line)
            .ok()?;
        let home = line.split(|byte| *byte == b':').nth(5)?;
        Some(PathBuf::from(OsString::from_vec(home.to_vec()))).filter(|home| home.is_absolute())
    }

    #[cfg(test)]
    mod tests {
        use super::*;
        use std::fs::{Permissions, create_dir, set_permissions, write};
        use std::os::unix::fs::{PermissionsExt, chown, symlink};

        /// A folder of ours, as a real path.
        fn folder() -> (tempfile::TempDir, PathBuf) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().canonicalize().unwrap();
            (folder, path)
        }

        fn chmod(path: &Path, mode: u32) {
            set_permissions(path, Permissions::from_mode(mode)).unwrap();
        }

        #[test]
        fn a_path_that_others_can_write_to_is_refused_wherever_they_can() {
            let (_guard, root) = folder();
            let (inner, file) = (root.join("a"), root.join("a/file"));
            create_dir(&inner).unwrap();
            write(&file, "").unwrap();
            for (path, mode, is_protected) in [
                (&file, 0o600, true),
                (&file, 0o664, true),
                (&file, 0o666, false),
                (&file, 0o1666, false),
                (&file, 0o644, true),
                (&inner, 0o777, false),
                (&inner, 0o775, true),
                (&inner, 0o1777, true),
                (&inner, 0o755, true),
                (&root, 0o777, false),
                (&root, 0o700, true),
            ] {
                chmod(path, mode);
                assert_eq!(
                    resolve(&file, None).is_ok(),
                    is_protected,
                    "{} {mode:o}",
                    path.display()
                );
            }
        }

        #[test]
        fn files_folders_and_links_of_other_users_and_groups_are_refused() {
            if !rustix::process::geteuid().is_root() {
                eprintln!("skipped: only root can give files away");
                return;
            }
            let (_guard, root) = folder();
            let (inner, file, link) = (root.join("a"), root.join("a/file"), root.join("link"));
            create_dir(&inner).unwrap();
            write(&file, "").unwrap();
            symlink(&file, &link).unwrap();
            assert_eq!(resolve(&link, None).unwrap(), file);
            for path in [&file, &inner, &link] {
                std::os::unix::fs::lchown(path, Some(54_321), None).unwrap();
                let problem = resolve(&link, None).unwrap_err().to_string();
                assert_eq!(
                    problem,
                    format!(
                        "{} belongs to the user with id 54321, not to you or root",
                        path.display()
                    )
                );
                std::os::unix::fs::lchown(path, Some(0), None).unwrap();
            }
            chmod(&inner, 0o775);
            chown(&inner, None, Some(54_321)).unwrap();
            let problem = resolve(&link, None).unwrap_err().to_string();
            assert_eq!(
                problem,
                format!(
                    "users other than you and root can write to {}",
                    inner.display()
                )
            );
        }

        /// An access list that lets another user write (`acl(5)`; the kernel's form is in `linux/posix_acl_xattr.h`).
        #[test]
        #[cfg(target_os = "linux")]
        fn a_file_whose_access_list_names_another_user_is_refused() {
            let (_guard, root) = folder();
            let file = root.join("file");
            write(&file, "").unwrap();
            chmod(&file, 0o660);
            assert!(resolve(&file, None).is_ok());
            let entries = [
                (1_u16, u32::MAX, 6_u16),
                (2, 54_322, 6),
                (4, u32::MAX, 6),
                (16, u32::MAX, 6),
                (32, u32::MAX, 0),
            ];
            let bytes = entries.map(|(tag, id, mode)| {
                [
                    &tag.to_le_bytes()[..],
                    &mode.to_le_bytes(),
                    &id.to_le_bytes(),
                ]
                .concat()
            });
            let list = [2_u32.to_le_bytes().to_vec(), bytes.concat()].concat();
            let name = "system.posix_acl_access";
            if let Err(error) =
                rustix::fs::setxattr(&file, name, &list, rustix::fs::XattrFlags::empty())
            {
                eprintln!("skipped: this file system has no access lists: {error}");
                return;
            }
            let problem = resolve(&file, None).unwrap_err().to_string();
            assert_eq!(
                problem,
                format!(
                    "users other than you and root can write to {}",
                    file.display()
                )
            );
        }

        #[test]
        fn links_are_followed_and_every_folder_on_their_way_is_judged() {
            let (_guard, root) = folder();
            for name in ["real", "open", "closed"] {
                create_dir(root.join(name)).unwrap();
            }
            write(root.join("real/file"), "").unwrap();
            symlink("../real/file", root.join("closed/relative")).unwrap();
            symlink(root.join("real"), root.join("closed/folder")).unwrap();
            symlink(root.join("real/file"), root.join("open/link")).unwrap();
            symlink("../open/link", root.join("closed/through")).unwrap();
            symlink("circle", root.join("circle")).unwrap();
            let real = root.join("real/file");
            for name in [
                "closed/relative",
                "closed/folder/file",
                "closed/../real/./file",
                "closed/folder/../real/file",
            ] {
                assert_eq!(resolve(&root.join(name), None).unwrap(), real, "{name}");
            }
            chmod(&root.join("open"), 0o777);
            for name in ["open/link", "closed/through", "open/../real/file"] {
                assert!(resolve(&root.join(name), None).is_err(), "{name}");
            }
            assert_eq!(
                resolve(&root.join("circle"), None).unwrap_err().to_string(),
                "it has too many links"
            );
            assert_eq!(
                resolve(&root.join("real/missing"), None)
                    .unwrap_err()
                    .kind(),
                io::ErrorKind::NotFound
            );
        }

        #[test]
        fn nothing_is_reached_through_the_files_of_processes() {
            let (_guard, root) = folder();
            symlink("/proc/self/cwd", root.join("link")).unwrap();
            for path in [
                "/proc/self/cwd/Cargo.toml",
                "/dev/fd/0",
                "/usr/../proc/self/environ",
            ]
            .map(PathBuf::from)
            {
                let problem = resolve(&path, None).unwrap_err().to_string();
                assert!(
                    problem.starts_with("it leads through /"),
                    "{}: {problem}",
                    path.display()
                );
            }
            assert!(
                resolve(&root.join("link/Cargo.toml"), None)
                    .unwrap_err()
                    .to_string()
                    .starts_with("it leads through /proc")
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_namespace_is_told_from_the_initial_one() {
        assert!(!is_partial_map(b"         0          0 4294967295\n") && !is_partial_map(b""));
        for map in [
            &b"         0       1000          1\n         1     100000      65536\n"[..],
            b"0 0 1\n",
        ] {
            assert!(is_partial_map(map));
        }
    }

    #[test]
    fn the_environment_cannot_name_a_file_of_the_working_directory() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let checkout = root.join("checkout");
        std::fs::create_dir_all(checkout.join("below")).unwrap();
        let inside = checkout.join("below/file");
        let outside = root.join("file");
        for path in [&inside, &outside] {
            std::fs::write(path, "").unwrap();
        }
        for (path, directory, is_taken) in [
            (&outside, Some(checkout.as_path()), true),
            (&inside, Some(&*checkout), false),
            (&inside, Some(&*checkout.join("below")), false),
            (&inside, Some(Path::new("/")), true),
            (&inside, None, true),
            (&outside, Some(&*root), false),
        ] {
            assert_eq!(
                resolve_named(path, directory).is_ok(),
                is_taken,
                "{} in {directory:?}",
                path.display()
            );
        }
        for path in ["file", "./file", ""] {
            assert!(
                resolve_named(Path::new(path), None)
                    .unwrap_err()
                    .to_string()
                    .ends_with("is a relative path")
            );
        }
        #[cfg(unix)]
        for (link, target) in [("into", &inside), ("out", &outside)] {
            let link = if link == "into" {
                root.join(link)
            } else {
                checkout.join(link)
            };
            std::os::unix::fs::symlink(target, &link).unwrap();
            assert!(
                resolve_named(&link, Some(&checkout)).is_err(),
                "{}",
                link.display()
            );
        }
    }
}
