//! The rules on Windows. Modes are not checked: access control lists protect the directories of a profile, and the helper does not
//! evaluate them.

use super::{Refusal, is_default_config, refuse_in_checkout};
use std::io;
use std::path::{Component, Path, PathBuf, Prefix};

pub(super) fn resolve(path: &Path, checkouts: &[&Path]) -> io::Result<PathBuf> {
    let real = dunce::canonicalize(path)?;
    checkouts
        .iter()
        .filter(|dir| real.starts_with(dir) || path.starts_with(dir))
        .try_for_each(|dir| refuse_in_checkout(path, dir))?;
    Ok(real)
}

/// Refuses the paths of other machines. The system may keep the settings of a user on a server.
pub(super) fn check_drive(path: &Path) -> io::Result<()> {
    match path.components().next() {
        Some(Component::Prefix(prefix))
            if matches!(prefix.kind(), Prefix::Disk(_) | Prefix::VerbatimDisk(_)) =>
        {
            Ok(())
        }
        _ if is_default_config(path) => Ok(()),
        _ => {
            let problem = format!("{} is not on a drive of this machine", path.display());
            Err(Refusal::new(problem, "copy it to this machine").into())
        }
    }
}

pub(super) fn check_not_shared(_: &Path) -> io::Result<()> {
    Ok(())
}

pub(crate) fn untrusted_parent(_: &Path) -> Option<Refusal> {
    None
}

/// Returns the home directory by the system, not by a variable.
pub(super) fn account_home() -> Option<PathBuf> {
    dirs::home_dir()
}

/// Returns the config directory by the system, not by a variable.
pub(super) fn account_config_dir() -> Option<PathBuf> {
    dirs::config_dir()
}
