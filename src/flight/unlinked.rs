//! Where processes meet on Unix: a leader that is done unlinks the file before it unlocks it. Who finds itself with a lock on a file
//! without a name knows that a flight has landed, and who comes later begins a new one.

use super::{LONGEST_ACCOUNT, Turn, account};
use crate::error::SharedFailure;
use crate::files::private_folder;
use rustix::fs::{AtFlags, Mode, OFlags};
use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use tracing::debug;

/// Holds the lock; dropping it without landing, as dying does, makes a waiter the next leader.
#[derive(Debug)]
pub(crate) struct Leader {
    file: File,
    folder: OwnedFd,
    name: String,
}

/// Where processes meet: a file of this name in a folder of ours.
pub(super) struct Place {
    folder: OwnedFd,
    name: String,
    file: File,
}

impl Place {
    pub(super) fn open(folder: &Path, name: &str) -> Option<Self> {
        let folder = private(folder)?;
        let flags =
            OFlags::CREATE | OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file =
            File::from(rustix::fs::openat(&folder, name, flags, Mode::RUSR | Mode::WUSR).ok()?);
        file.metadata().ok().filter(std::fs::Metadata::is_file)?;
        Some(Self {
            folder,
            name: name.to_owned(),
            file,
        })
    }

    /// What is found at the file now; nothing while somebody else leads.
    pub(super) fn turn(&self) -> Option<Turn> {
        match self.file.try_lock() {
            Ok(()) => (),
            Err(TryLockError::WouldBlock) => return None,
            Err(TryLockError::Error(_)) => return Some(Turn::Alone),
        }
        Some(match self.file.metadata() {
            Ok(metadata) if metadata.nlink() == 0 => Turn::Landed(told(&self.file)),
            // What a leader wrote that died before it unlinked the file is of the past.
            Ok(_) if self.file.set_len(0).is_ok() => self.leader().map_or(Turn::Alone, Turn::Lead),
            _ => Turn::Alone,
        })
    }

    /// The clone shares the lock.
    fn leader(&self) -> Option<Leader> {
        let (file, folder) = (self.file.try_clone().ok()?, self.folder.try_clone().ok()?);
        Some(Leader {
            file,
            folder,
            name: self.name.clone(),
        })
    }
}

impl Leader {
    /// Tells the waiters that the sign-in is done, and why it failed if it did.
    pub(crate) fn land(mut self, failure: Option<&SharedFailure>) {
        if let Some(failure) = failure {
            let written = serde_json::to_vec(failure)
                .map_err(std::io::Error::from)
                .and_then(|json| self.file.write_all(&json));
            if written.is_err() {
                // On a full disk the waiters try for themselves.
                drop(self.file.set_len(0));
            }
        }
        // Should somebody have cleared the folder, another flight may have this name by now.
        let identity = |file: rustix::fs::Stat| (file.st_dev, file.st_ino);
        let ours = rustix::fs::fstat(&self.file).ok().map(identity);
        let named = rustix::fs::statat(&self.folder, &self.name, AtFlags::SYMLINK_NOFOLLOW)
            .ok()
            .map(identity);
        if ours != named
            || rustix::fs::unlinkat(&self.folder, &self.name, AtFlags::empty()).is_err()
        {
            drop(self.file.set_len(0));
        }
    }
}

/// The folder, made if need be, if it is ours and nobody else can look into it or put anything there. It is judged once more when it is
/// open: who can write to a folder above could exchange it for another between two looks.
fn private(folder: &Path) -> Option<OwnedFd> {
    private_folder(folder)
        .inspect_err(|error| debug!("processes do not meet in {}: {error}", folder.display()))
        .ok()?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = rustix::fs::open(folder, flags, Mode::empty()).ok()?;
    let status = rustix::fs::fstat(&folder).ok()?;
    (status.st_uid == rustix::process::geteuid().as_raw() && status.st_mode & 0o777 == 0o700)
        .then_some(folder)
}

fn told(mut file: &File) -> Option<SharedFailure> {
    let mut json = Vec::new();
    file.rewind().ok()?;
    file.take(LONGEST_ACCOUNT).read_to_end(&mut json).ok()?;
    account(serde_json::from_slice(&json).ok()?)
}

#[cfg(test)]
mod tests {
    use super::super::try_turn;
    use super::*;
    use crate::error::{Error, ErrorKind, NOT_FOUND};
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    fn place() -> (tempfile::TempDir, Vec<PathBuf>) {
        let folder = tempfile::tempdir().unwrap();
        let folders = vec![folder.path().join("meet")];
        (folder, folders)
    }

    fn lead(folders: &[PathBuf]) -> Leader {
        match try_turn(folders, "a") {
            Turn::Lead(leader) => leader,
            other => panic!("{other:?}"),
        }
    }

    fn failure() -> SharedFailure {
        Error::new(ErrorKind::SignIn, "m")
            .with_detail("d")
            .shared()
            .clone()
    }

    /// Somebody who came while the leader was at it.
    fn waiter(folders: &[PathBuf]) -> Place {
        let place = Place::open(&folders[0], "a").unwrap();
        assert!(place.turn().is_none());
        place
    }

    #[test]
    fn one_leads_the_others_are_told_how_it_went() {
        for (told, expected) in [(None, None), (Some(failure()), Some("m"))] {
            let (_folder, folders) = place();
            let leader = lead(&folders);
            assert!(matches!(try_turn(&folders, "a"), Turn::Busy));
            assert!(matches!(try_turn(&folders, "b"), Turn::Lead(_)));
            let waiter = waiter(&folders);
            leader.land(told.as_ref());
            let Some(Turn::Landed(account)) = waiter.turn() else {
                panic!()
            };
            assert_eq!(
                account
                    .map(|failure| Error::from(failure).to_string())
                    .as_deref(),
                expected
            );
        }
    }

    #[test]
    fn nobodys_word_is_taken_for_going_on_without_a_credential() {
        let (_folder, folders) = place();
        let leader = lead(&folders);
        let waiter = waiter(&folders);
        leader.land(Some(
            Error::new(ErrorKind::SignIn, format!("{NOT_FOUND}\u{200b} ")).shared(),
        ));
        let Some(Turn::Landed(account)) = waiter.turn() else {
            panic!()
        };
        assert!(account.is_none());
    }

    #[test]
    fn a_flight_that_landed_is_over_for_who_comes_later() {
        let (_folder, folders) = place();
        lead(&folders).land(Some(&failure()));
        lead(&folders).land(None);
        assert_eq!(std::fs::read_dir(&folders[0]).unwrap().count(), 0);
    }

    #[test]
    fn after_a_leader_that_died_the_next_leads_whatever_it_had_written() {
        let (_folder, folders) = place();
        let mut leader = lead(&folders);
        leader
            .file
            .write_all(&serde_json::to_vec(&failure()).unwrap())
            .unwrap();
        let (one, other) = (waiter(&folders), waiter(&folders));
        drop(leader);
        let Some(Turn::Lead(next)) = one.turn() else {
            panic!()
        };
        // The lock goes with the last clone.
        drop(one);
        next.land(None);
        assert!(matches!(other.turn(), Some(Turn::Landed(None))));
    }

    #[test]
    fn a_folder_that_others_can_enter_or_planted_is_not_used() {
        let (folder, folders) = place();
        std::fs::create_dir(&folders[0]).unwrap();
        std::fs::set_permissions(&folders[0], std::fs::Permissions::from_mode(0o755)).unwrap();
        assert!(matches!(try_turn(&folders, "a"), Turn::Alone));
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(folder.path(), &link).unwrap();
        assert!(matches!(try_turn(&[link], "a"), Turn::Alone));
        let other = folder.path().join("other");
        assert!(matches!(
            try_turn(&[folders[0].clone(), other], "a"),
            Turn::Lead(_)
        ));
    }

    #[test]
    fn a_planted_link_in_place_of_the_file_is_not_followed() {
        let (folder, folders) = place();
        private(&folders[0]).unwrap();
        let target = folder.path().join("target");
        std::fs::write(&target, "precious").unwrap();
        std::os::unix::fs::symlink(&target, folders[0].join("a")).unwrap();
        assert!(matches!(try_turn(&folders, "a"), Turn::Alone));
        assert_eq!(std::fs::read_to_string(target).unwrap(), "precious");
    }

    #[test]
    fn without_any_folder_everybody_is_alone() {
        assert!(matches!(try_turn(&[], "a"), Turn::Alone));
        assert!(matches!(
            try_turn(&["/proc/nowhere".into()], "a"),
            Turn::Alone
        ));
    }
}
