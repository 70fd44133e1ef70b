//! The rules on Unix: owners, modes and links.

use super::{Refusal, is_in_user_namespace, refuse_in_checkout};
use crate::text::shell_word;
use nix::unistd::{Uid, User};
use rustix::fs::{StatVfsMountFlags, lgetxattr_query, statvfs};
use rustix::process::{getegid, geteuid};
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// The most links that are followed (Linux, `path_resolution(7)`).
const MAX_LINKS: u32 = 40;

/// The files of processes. Their links lead anywhere, such as to the working directory.
const PROCESS_DIRS: &[&str] = &["/proc", "/dev/fd"];

/// Directories that only root can write on any system, so that their files are trusted where the kernel does not show their owner.
const SYSTEM_DIRS: &[&str] = &["/etc", "/usr", "/nix/store"];

/// In a directory with this mode bit, only the owner of an entry can replace it. Each entry is checked by its own owner.
const STICKY: u32 = 0o1000;

/// The owner that a user namespace shows for each user that it does not know (`user_namespaces(7)`). Root is one of them in rootless
/// Podman and Buildah.
const UNKNOWN_OWNER: u32 = 65_534;

impl Refusal {
    fn owned_by(owner: u32, path: &Path, fix: &str) -> Self {
        let path = path.display();
        let note = if owner == UNKNOWN_OWNER && is_in_user_namespace() {
            " (rootless Podman and Buildah cannot tell root's files from others')"
        } else {
            ""
        };
        let problem =
            format!("{path} belongs to the user with id {owner}, not to you or root{note}");
        Self::new(problem, fix)
    }

    /// Returns the refusal of a path in a directory of another user, where nothing is to be written.
    pub(crate) fn other_owner(path: &Path, owner: u32) -> Self {
        let fix = "run it as that user, without `sudo`, or with `sudo -H`";
        Self::owned_by(owner, path, fix)
    }
}

/// Checks every directory, link and file on the way. Each is checked before anything in it is looked up, so that no other user can replace a
/// part of the path meanwhile. Checkouts are compared by inode, so that no other name of one passes.
pub(super) fn resolve(path: &Path, checkouts: &[&Path]) -> io::Result<PathBuf> {
    let inode = |metadata: &Metadata| (metadata.dev(), metadata.ino());
    // The user may be unable to enter the working directory by its path, as with `sudo -u`.
    let enter = |dir: &Path| dir.metadata().or_else(|_| Path::new(".").metadata());
    let checkouts: Vec<_> = checkouts
        .iter()
        .filter_map(|dir| Some((inode(&enter(dir).ok()?), dir)))
        .collect();
    walk(path, |at, metadata| {
        if PROCESS_DIRS.iter().any(|dir| at.starts_with(dir)) {
            let problem = format!("it leads through {}", at.display());
            return Err(Refusal::new(problem, "name the file by its own path").into());
        }
        let inode = inode(metadata);
        if let Some((_, checkout)) = checkouts.iter().find(|(known, _)| *known == inode) {
            refuse_in_checkout(path, checkout)?;
        }
        check_owner(at, metadata)?;
        check_mode(at, metadata)
    })
}

/// Returns the first directory or link of another user on the way to `path` that must not be entered to write there.
///
/// Directories of this user and root may be entered, and their links followed. In a directory of another user, only a directory of this user
/// may be entered. Root may enter neither: what root creates in the home of another user (`sudo -E`) locks that user out.
pub(crate) fn untrusted_parent(path: &Path) -> Option<Refusal> {
    let user = geteuid().as_raw();
    // In a user namespace root's files may belong to an unknown user: `/` shows which one.
    let root = fs::symlink_metadata("/").map_or(0, |metadata| metadata.uid());
    let mut untrusted = None;
    // An error ends the walk: there is nothing behind what is missing.
    let _ = walk(path, |at, metadata| {
        let owner = metadata.uid();
        let is_foreign = ![0, user, root].contains(&owner);
        let refusal = || Refusal::other_owner(at, owner);
        if metadata.is_symlink() && (is_foreign || untrusted.is_some()) {
            untrusted.get_or_insert_with(refusal);
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        if metadata.is_dir() && is_foreign {
            untrusted = Some(refusal());
        } else if metadata.is_dir() && owner == user && user != 0 {
            untrusted = None;
        }
        Ok(())
    });
    untrusted
}

/// Walks an absolute path from the root directory and follows its links. `visit` sees each directory, link and file before anything behind
/// it is looked up, and can end the walk by an error. Returns the real path.
fn walk(
    path: &Path,
    mut visit: impl FnMut(&Path, &Metadata) -> io::Result<()>,
) -> io::Result<PathBuf> {
    let mut real = PathBuf::from("/");
    visit(&real, &real.symlink_metadata()?)?;
    let mut rest = reversed_parts(path);
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
        rest.extend(reversed_parts(&target));
    }
    Ok(real)
}

/// Returns the parts of a path below the root directory, the first one last.
fn reversed_parts(path: &Path) -> Vec<OsString> {
    let parts = path.components().rev();
    parts
        .filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir))
        .map(|part| part.as_os_str().into())
        .collect()
}

/// Refuses what belongs to another user.
fn check_owner(path: &Path, metadata: &Metadata) -> io::Result<()> {
    let owner = metadata.uid();
    let may_be_of_root =
        || metadata.is_dir() || SYSTEM_DIRS.iter().any(|dir| path.starts_with(dir));
    let is_trusted = owner == 0
        || owner == geteuid().as_raw()
        || (owner == UNKNOWN_OWNER && may_be_of_root() && is_in_user_namespace());
    if is_trusted {
        return Ok(());
    }
    let fix = "copy it to a folder of your own, and name the copy";
    Err(Refusal::owned_by(owner, path, fix).into())
}

/// Refuses what others can write.
fn check_mode(path: &Path, metadata: &Metadata) -> io::Result<()> {
    // The mode of a link says nothing, and devices and pipes are refused where files are read.
    let has_content = metadata.is_file() || metadata.is_dir();
    let is_safe = || metadata.is_dir() && (metadata.mode() & STICKY != 0 || is_read_only(path));
    if !has_content || !is_writable_by_others(path, metadata) || is_safe() {
        return Ok(());
    }
    let is_own = metadata.uid() == geteuid().as_raw();
    let sudo = if is_own { "" } else { "sudo " };
    let file = shell_word(&path.to_string_lossy());
    let fix = format!("let only its owner write to it\n  {sudo}chmod go-w {file}");
    let path = path.display();
    let problem = format!("users other than you and root can write to {path}");
    Err(Refusal::new(problem, fix).into())
}

fn is_writable_by_others(path: &Path, metadata: &Metadata) -> bool {
    let (mode, group) = (metadata.mode(), metadata.gid());
    // On macOS the groups `wheel` and `admin` are as good as root.
    let is_root_group = if cfg!(target_os = "macos") {
        matches!(group, 0 | 80)
    } else {
        group == 0 && metadata.uid() == 0
    };
    let is_own_group =
        || group == account().map_or_else(|| getegid().as_raw(), |user| user.gid.as_raw());
    let is_trusted_group = || (is_root_group || is_own_group()) && !has_access_list(path);
    mode & 0o002 != 0 || (mode & 0o020 != 0 && !is_trusted_group())
}

/// Returns whether further users are named besides owner and group. The group's mode bits then show the most that one of them may do
/// (`acl(5)`). macOS has no attribute of this name.
fn has_access_list(path: &Path) -> bool {
    lgetxattr_query(path, "system.posix_acl_access").is_ok_and(|length| length > 0)
}

fn is_read_only(path: &Path) -> bool {
    statvfs(path).is_ok_and(|system| system.f_flag.contains(StatVfsMountFlags::RDONLY))
}

/// Refuses a directory in which other users can create files.
pub(super) fn check_not_shared(dir: &Path) -> io::Result<()> {
    if is_writable_by_others(dir, &dir.metadata()?) {
        let problem = format!("other users can make files in {}", dir.display());
        return Err(Refusal::new(problem, "name a folder that is yours alone").into());
    }
    Ok(())
}

fn account() -> Option<User> {
    User::from_uid(Uid::effective()).ok().flatten()
}

/// Returns the home directory of the account, by the system's user database and not by a variable. A static program reads `/etc/passwd`
/// alone; accounts of a directory service are looked up by `getent`, once for a process.
pub(super) fn account_home() -> Option<PathBuf> {
    static HOME: OnceLock<Option<PathBuf>> = OnceLock::new();
    let look_up = || {
        let home = account().map(|user| user.dir).or_else(home_by_getent);
        home.filter(|home| home.is_absolute() && home.parent().is_some())
    };
    HOME.get_or_init(look_up).clone()
}

fn home_by_getent() -> Option<PathBuf> {
    // `getent` waits for a directory service that does not answer.
    let output = Command::new("/usr/bin/timeout")
        .args(["2", "/usr/bin/getent", "passwd"])
        .arg(Uid::effective().to_string())
        .env_clear()
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let home = output.stdout.split(|byte| *byte == b':').nth(5)?;
    Some(OsString::from_vec(home.to_vec()).into())
}

/// Returns the config directory in the account's home.
pub(super) fn account_config_dir() -> Option<PathBuf> {
    let dir = if cfg!(target_os = "macos") {
        "Library/Application Support"
    } else {
        ".config"
    };
    Some(account_home()?.join(dir))
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
    fn a_path_is_refused_if_others_can_write_to_any_part() {
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
                resolve(&file, &[]).is_ok(),
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
        assert_eq!(resolve(&link, &[]).unwrap(), file);
        for path in [&file, &inner, &link] {
            std::os::unix::fs::lchown(path, Some(54_321), None).unwrap();
            let problem = resolve(&link, &[]).unwrap_err().to_string();
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
        let problem = resolve(&link, &[]).unwrap_err().to_string();
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
        assert!(resolve(&file, &[]).is_ok());
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
        let problem = resolve(&file, &[]).unwrap_err().to_string();
        assert_eq!(
            problem,
            format!(
                "users other than you and root can write to {}",
                file.display()
            )
        );
    }

    #[test]
    fn links_are_followed_and_every_directory_on_the_way_is_checked() {
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
            assert_eq!(resolve(&root.join(name), &[]).unwrap(), real, "{name}");
        }
        chmod(&root.join("open"), 0o777);
        for name in ["open/link", "closed/through", "open/../real/file"] {
            assert!(resolve(&root.join(name), &[]).is_err(), "{name}");
        }
        assert_eq!(
            resolve(&root.join("circle"), &[]).unwrap_err().to_string(),
            "it has too many links"
        );
        assert_eq!(
            resolve(&root.join("real/missing"), &[]).unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
    }

    #[test]
    fn a_path_through_the_files_of_processes_is_refused() {
        let (_guard, root) = folder();
        symlink("/proc/self/cwd", root.join("link")).unwrap();
        for path in [
            "/proc/self/cwd/Cargo.toml",
            "/dev/fd/0",
            "/usr/../proc/self/environ",
        ]
        .map(PathBuf::from)
        {
            let problem = resolve(&path, &[]).unwrap_err().to_string();
            assert!(
                problem.starts_with("it leads through /"),
                "{}: {problem}",
                path.display()
            );
        }
        assert!(
            resolve(&root.join("link/Cargo.toml"), &[])
                .unwrap_err()
                .to_string()
                .starts_with("it leads through /proc")
        );
    }

    #[test]
    fn a_link_of_another_user_is_untrusted_and_a_link_of_this_user_is_followed() {
        use std::os::unix::fs::lchown;
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
            let problem = untrusted_parent(&at(path)).map(|refusal| refusal.to_string());
            let expected = expected.map(|name| {
                let path = at(name);
                format!(
                    "{} belongs to the user with id 54321, not to you or root",
                    path.display()
                )
            });
            assert_eq!(problem, expected, "{path}");
        }
    }
}
