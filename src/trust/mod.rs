//! Which files may decide about trust: the config file, CA certificates, and programs that the environment names.
//!
//! A path is *protected* if only this user and root can change what it leads to. Links are followed first. Then the file and every
//! directory on the way are checked: owned by the user or root, and not writable by others. Accepted are sticky directories, read-only
//! mounts, and a group that is the user's own primary group.
//!
//! The environment may come from the author of a checkout, a compose file or a CI job. So a path that a variable names must also be
//! absolute. It must not lead through `/proc` or `/dev/fd`, or into the working directory.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
#[cfg(unix)]
use unix as system;
#[cfg(windows)]
use windows as system;

pub(crate) use system::untrusted_parent;

/// Why a path is not trusted, and how to fix it.
#[derive(Debug)]
pub(crate) struct Refusal {
    problem: String,
    fix: String,
}

impl Refusal {
    fn new(problem: String, fix: impl Into<String>) -> Self {
        let fix = fix.into();
        Self { problem, fix }
    }

    /// Returns the refusal that an error holds, if it holds one.
    pub(crate) fn from_io(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }

    /// Returns how to fix it: a command or a sentence.
    pub(crate) fn fix(&self) -> &str {
        &self.fix
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem)
    }
}

impl std::error::Error for Refusal {}

impl From<Refusal> for io::Error {
    fn from(refusal: Refusal) -> Self {
        Self::new(io::ErrorKind::PermissionDenied, refusal)
    }
}

/// Follows the links of a path and returns the real one. For a path that a variable names, `working_directory` is a real path.
///
/// # Errors
///
/// A [`Refusal`] if the path is not protected, or leads into the working directory or its checkout; otherwise what the system reports, such as
/// `NotFound`.
pub(crate) fn resolve_named(path: &Path, working_directory: Option<&Path>) -> io::Result<PathBuf> {
    check_absolute(path)?;
    system::resolve(path, &checkouts(working_directory))
}

/// Follows the links of a path to a file of certificates, or to a directory of such files, and returns the real one. Other users must not be
/// able to add a file, and each file in it is checked.
///
/// # Errors
///
/// As [`resolve_named`].
pub(crate) fn resolve_certificates(
    path: &Path,
    working_directory: Option<&Path>,
) -> io::Result<PathBuf> {
    let real = resolve_named(path, working_directory)?;
    if real.is_dir() {
        system::check_not_shared(&real)?;
        for entry in real.read_dir()? {
            match resolve_named(&real.join(entry?.file_name()), working_directory) {
                // A link without a target adds no certificate.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                checked => drop(checked?),
            }
        }
    }
    Ok(real)
}

/// Returns the real path of the working directory of this process.
#[expect(
    clippy::disallowed_methods,
    reason = "the working directory is touched here and nowhere else"
)]
pub(crate) fn working_directory() -> Option<PathBuf> {
    let directory = std::env::current_dir().ok()?;
    // Unix returns the real path.
    #[cfg(windows)]
    let directory = dunce::canonicalize(&directory).unwrap_or(directory);
    Some(directory)
}

/// Returns whether this process runs in a user namespace that does not show all users as they are, as in rootless Podman and Buildah.
pub(crate) fn is_in_user_namespace() -> bool {
    std::fs::read_to_string("/proc/self/uid_map").is_ok_and(|map| is_partial_map(&map))
}

/// Returns whether a map of users (`user_namespaces(7)`) differs from that of the initial namespace, which maps every user ID to itself.
fn is_partial_map(map: &str) -> bool {
    let ids: Vec<&str> = map.split_ascii_whitespace().collect();
    !ids.is_empty() && ids != ["0", "0", "4294967295"]
}

/// Refuses relative paths, and on Windows those of other machines, before anything is opened.
pub(crate) fn check_absolute(path: &Path) -> io::Result<()> {
    if !path.is_absolute() {
        let problem = format!("{} is a relative path", path.display());
        return Err(Refusal::new(problem, "write the absolute path").into());
    }
    #[cfg(windows)]
    system::check_drive(path)?;
    Ok(())
}

/// Returns the working directory, and the root of the checkout above it if there is one. The root directory is no checkout.
fn checkouts(working_directory: Option<&Path>) -> Vec<&Path> {
    let directories = working_directory
        .into_iter()
        .flat_map(Path::ancestors)
        .filter(|directory| directory.parent().is_some());
    directories
        .enumerate()
        .filter(|(depth, directory)| *depth == 0 || directory.join(".git").exists())
        .map(|(_, directory)| directory)
        .take(2)
        .collect()
}

/// Refuses a path in a checkout. A directory that holds the account's home is no checkout, and no variable chooses the account's own
/// config file.
fn refuse_in_checkout(path: &Path, checkout: &Path) -> io::Result<()> {
    let home = system::account_home().map(|home| home.canonicalize().unwrap_or(home));
    let holds_home = home.is_some_and(|home| home.starts_with(checkout));
    if holds_home || is_default_config(path) {
        return Ok(());
    }
    let path = checkout.display();
    let problem = format!("it is in the folder that you work in, {path}");
    let fix = "move it out of this folder, or run the command in another folder";
    Err(Refusal::new(problem, fix).into())
}

/// Returns whether a path is that of the config file in the account's config directory, which no variable names.
fn is_default_config(path: &Path) -> bool {
    let file = Path::new(env!("CARGO_PKG_NAME")).join("config.toml");
    system::account_config_dir().is_some_and(|dir| dir.join(file) == path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_namespace_is_distinguished_from_the_initial_one() {
        assert!(!is_partial_map("         0          0 4294967295\n") && !is_partial_map(""));
        for map in [
            "         0       1000          1\n         1     100000      65536\n",
            "0 0 1\n",
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
