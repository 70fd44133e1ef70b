//! Single flight across processes: one sign-in for many callers.
//!
//! The holder of an advisory lock signs in. Waiters read its success from the cache, or its failure message from the lock file. The
//! operating system drops the lock if the process dies. No secret is written. Without a usable lock directory, each process signs in for
//! itself.
//!
//! The leader removes the lock file before it writes its failure into it, marks it as finished and unlocks it. So only waiters, which have
//! the file open, see the outcome, and a process that comes later starts a new flight with a new file. A leader that dies leaves a file
//! without the mark: the next process that locks it is the leader.

use crate::error::Error;
use crate::trust;
use std::fs::{File, TryLockError};
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};
use system::LockDir;
use tracing::debug;

/// How often a waiter tries to lock the file.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// The longest failure of a leader that is read.
const MAX_FAILURE_BYTES: u64 = 64 * 1024;

/// The modification time that marks the file of a leader that has finished. Unlike content, it can be set on a full disk.
const FINISHED: SystemTime = SystemTime::UNIX_EPOCH;

/// What a process finds when it wants to sign in.
#[derive(Debug)]
pub(crate) enum Acquire {
    /// This process signs in, then calls [`Acquire::finish`].
    Leader(Leader),
    /// Another process has finished, with its failure if it failed.
    Finished(Option<Error>),
    /// Another process is still signing in.
    TimedOut,
    /// No lock can be taken on this machine.
    Unavailable,
}

impl Acquire {
    /// Releases the lock, and publishes the failure if the sign-in failed. Interrupts and local timeouts are not published, and the next
    /// waiter signs in.
    pub(crate) fn finish(self, failure: Option<&Error>) {
        match self {
            Self::Leader(leader) if !failure.is_some_and(Error::is_local) => {
                leader.publish(failure);
            }
            _ => {}
        }
    }
}

/// The holder of the lock. If it is dropped without [`Leader::publish`], a waiter becomes the next leader.
#[derive(Debug)]
pub(crate) struct Leader(LockFile);

#[derive(Debug)]
struct LockFile {
    dir: LockDir,
    name: String,
    file: File,
}

/// Tries once to become the leader for `name`, in the first of `dirs` that is usable.
pub(crate) fn try_acquire(dirs: &[PathBuf], name: &str) -> Acquire {
    LockFile::open(dirs, name).map_or(Acquire::Unavailable, |lock| {
        lock.try_lock().unwrap_or(Acquire::TimedOut)
    })
}

/// Becomes the leader for `name`, or waits up to `timeout` for the process that is.
pub(crate) async fn acquire(dirs: &[PathBuf], name: &str, timeout: Duration) -> Acquire {
    let Some(mut lock) = LockFile::open(dirs, name) else {
        return Acquire::Unavailable;
    };
    let end = Instant::now() + timeout;
    loop {
        match lock.try_lock() {
            Ok(acquired) => return acquired,
            Err(_) if Instant::now() >= end => return Acquire::TimedOut,
            Err(busy) => lock = busy,
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

impl LockFile {
    fn open(dirs: &[PathBuf], name: &str) -> Option<Self> {
        let open = |path: &PathBuf| -> io::Result<Self> {
            let dir = system::open_lock_dir(path)?;
            // A checkout could bring along what another process would have written.
            trust::resolve_named(path, trust::working_directory().as_deref())?;
            let file = system::open(&dir, name)?;
            let name = name.to_owned();
            Ok(Self { dir, name, file })
        };
        dirs.iter().find_map(|path| {
            let opened = open(path);
            let log = |error: &io::Error| debug!("{} holds no locks: {error}", path.display());
            opened.inspect_err(log).ok()
        })
    }

    /// Returns the file itself while another process holds the lock.
    fn try_lock(self) -> Result<Acquire, Self> {
        match self.file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(self),
            Err(TryLockError::Error(_)) => return Ok(Acquire::Unavailable),
        }
        let metadata = self.file.metadata();
        Ok(match metadata.and_then(|metadata| metadata.modified()) {
            Ok(time) if time == FINISHED => Acquire::Finished(read_failure(&self.file)),
            // Removes what is left of a leader that died.
            Ok(_) if self.file.set_len(0).is_ok() => Acquire::Leader(Leader(self)),
            _ => Acquire::Unavailable,
        })
    }
}

impl Drop for LockFile {
    fn drop(&mut self) {
        // After a mere close, Windows may release the lock later.
        let _ = self.file.unlock();
    }
}

impl Leader {
    /// Ends the flight, and gives the waiters the failure if the sign-in failed.
    fn publish(self, failure: Option<&Error>) {
        let Self(mut lock) = self;
        // In a file that keeps its name, processes that come later would see this outcome.
        if system::remove(&lock.dir, &lock.name, &lock.file).is_err() {
            return;
        }
        let json = failure.and_then(|failure| serde_json::to_vec(failure).ok());
        if json.is_some_and(|json| lock.file.write_all(&json).is_err()) {
            // On a full disk the waiters sign in for themselves.
            let _ = lock.file.set_len(0);
        }
        let _ = lock.file.set_modified(FINISHED);
    }
}

/// Reads the leader's failure, unless it would make a client continue anonymously.
fn read_failure(file: &File) -> Option<Error> {
    let mut json = Vec::new();
    file.take(MAX_FAILURE_BYTES).read_to_end(&mut json).ok()?;
    let failure: Error = serde_json::from_slice(&json).ok()?;
    failure.accepted()
}

#[cfg(unix)]
mod system {
    use crate::files::create_private_dir;
    use rustix::fs::{AtFlags, Mode, OFlags, fstat, open as open_dir, openat, unlinkat};
    use std::fs::File;
    use std::io;
    use std::os::fd::OwnedFd;
    use std::path::Path;

    pub(super) type LockDir = OwnedFd;

    /// Opens the directory if this user owns it and its mode is 0700. A missing one is created. Owner and mode are checked on the open
    /// descriptor, so that no other user can replace the directory between check and use.
    pub(super) fn open_lock_dir(path: &Path) -> io::Result<LockDir> {
        create_private_dir(path)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let dir = open_dir(path, flags, Mode::empty())?;
        let status = fstat(&dir)?;
        let is_own = status.st_uid == rustix::process::geteuid().as_raw();
        if !is_own || status.st_mode & 0o777 != 0o700 {
            return Err(io::Error::other("other users can open it"));
        }
        Ok(dir)
    }

    pub(super) fn open(dir: &LockDir, name: &str) -> io::Result<File> {
        let flags =
            OFlags::CREATE | OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = File::from(openat(dir, name, flags, Mode::RUSR | Mode::WUSR)?);
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("the lock is not a regular file"));
        }
        Ok(file)
    }

    /// Removes the file's name. If the file has lost it, the name may belong to another flight and stays.
    pub(super) fn remove(dir: &LockDir, name: &str, file: &File) -> io::Result<()> {
        if fstat(file)?.st_nlink == 0 {
            return Ok(());
        }
        Ok(unlinkat(dir, name, AtFlags::empty())?)
    }
}

/// The directory is in the user's profile, which Windows protects from other users.
#[cfg(windows)]
mod system {
    use std::fs::{File, OpenOptions};
    use std::io;
    use std::path::{Path, PathBuf};

    pub(super) type LockDir = PathBuf;

    pub(super) fn open_lock_dir(path: &Path) -> io::Result<LockDir> {
        std::fs::create_dir_all(path)?;
        Ok(path.to_owned())
    }

    pub(super) fn open(dir: &LockDir, name: &str) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        options.open(dir.join(format!("{name}.lock")))
    }

    pub(super) fn remove(dir: &LockDir, name: &str, _: &File) -> io::Result<()> {
        std::fs::remove_file(dir.join(format!("{name}.lock")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{ErrorKind, NOT_FOUND};

    /// A directory for locks that does not exist yet.
    fn lock_dir() -> (tempfile::TempDir, Vec<PathBuf>) {
        let parent = tempfile::tempdir().unwrap();
        let dirs = vec![parent.path().join("locks")];
        (parent, dirs)
    }

    fn lead(dirs: &[PathBuf]) -> Leader {
        match try_acquire(dirs, "a") {
            Acquire::Leader(leader) => leader,
            other => panic!("{other:?}"),
        }
    }

    /// A process that came while the leader was signing in.
    fn wait(dirs: &[PathBuf]) -> LockFile {
        let lock = LockFile::open(dirs, "a").unwrap();
        lock.try_lock().unwrap_err()
    }

    fn failure(message: &str) -> Error {
        let error = Error::new(ErrorKind::SignIn, message);
        error.with_detail("d")
    }

    #[test]
    fn one_process_leads_and_the_waiters_learn_its_outcome() {
        let not_found = format!("{NOT_FOUND}\u{200b} ");
        for (outcome, expected) in [
            (None, None),
            (Some(failure("m")), Some("m")),
            // No other process decides that Docker continues without a credential.
            (Some(failure(&not_found)), None),
        ] {
            let (_parent, dirs) = lock_dir();
            let leader = lead(&dirs);
            assert!(matches!(try_acquire(&dirs, "a"), Acquire::TimedOut));
            assert!(matches!(try_acquire(&dirs, "b"), Acquire::Leader(_)));
            let waiters = [wait(&dirs), wait(&dirs)];
            leader.publish(outcome.as_ref());
            for waiter in waiters {
                let Ok(Acquire::Finished(failure)) = waiter.try_lock() else {
                    panic!()
                };
                let message = failure.map(|failure| failure.to_string());
                assert_eq!(message.as_deref(), expected);
            }
        }
    }

    #[test]
    fn a_process_that_comes_after_the_outcome_leads_a_new_flight_and_no_file_is_left() {
        let (_parent, dirs) = lock_dir();
        lead(&dirs).publish(Some(&failure("m")));
        lead(&dirs).publish(None);
        assert_eq!(std::fs::read_dir(&dirs[0]).unwrap().count(), 0);
    }

    #[test]
    fn after_a_leader_dies_a_waiter_leads_even_if_a_failure_was_written() {
        let (_parent, dirs) = lock_dir();
        let mut leader = lead(&dirs);
        let (one, other) = (wait(&dirs), wait(&dirs));
        let json = serde_json::to_vec(&failure("m")).unwrap();
        leader.0.file.write_all(&json).unwrap();
        drop(leader);
        let Ok(Acquire::Leader(next)) = one.try_lock() else {
            panic!()
        };
        let other = other.try_lock().unwrap_err();
        next.publish(None);
        assert!(matches!(other.try_lock(), Ok(Acquire::Finished(None))));
    }

    #[test]
    #[cfg(unix)]
    fn a_leader_whose_file_was_deleted_does_not_delete_the_next_one() {
        let (_parent, dirs) = lock_dir();
        let leader = lead(&dirs);
        let waiter = wait(&dirs);
        std::fs::remove_file(dirs[0].join("a")).unwrap();
        let _next = lead(&dirs);
        leader.publish(Some(&failure("m")));
        assert!(dirs[0].join("a").exists());
        assert!(matches!(waiter.try_lock(), Ok(Acquire::Finished(Some(_)))));
    }

    #[test]
    #[cfg(unix)]
    fn a_lock_directory_that_others_can_open_or_that_is_a_link_is_not_used() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let (parent, mut dirs) = lock_dir();
        std::fs::create_dir(&dirs[0]).unwrap();
        std::fs::set_permissions(&dirs[0], std::fs::Permissions::from_mode(0o755)).unwrap();
        assert!(matches!(try_acquire(&dirs, "a"), Acquire::Unavailable));
        let link = parent.path().join("link");
        symlink(parent.path(), &link).unwrap();
        assert!(matches!(try_acquire(&[link], "a"), Acquire::Unavailable));
        dirs.push(parent.path().join("other"));
        assert!(matches!(try_acquire(&dirs, "a"), Acquire::Leader(_)));
    }

    #[test]
    #[cfg(unix)]
    fn a_planted_link_in_place_of_the_file_is_not_followed() {
        let (parent, dirs) = lock_dir();
        lead(&dirs).publish(None);
        let target = parent.path().join("target");
        std::fs::write(&target, "precious").unwrap();
        std::os::unix::fs::symlink(&target, dirs[0].join("a")).unwrap();
        assert!(matches!(try_acquire(&dirs, "a"), Acquire::Unavailable));
        assert_eq!(std::fs::read_to_string(target).unwrap(), "precious");
    }

    #[test]
    fn without_a_usable_directory_there_is_no_lock() {
        let (parent, _) = lock_dir();
        let file = parent.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(matches!(try_acquire(&[], "a"), Acquire::Unavailable));
        assert!(matches!(
            try_acquire(&[file.join("below")], "a"),
            Acquire::Unavailable
        ));
    }
}
