//! Where processes meet on Windows, whose files keep their names while somebody has them open: a leader that is done writes a note into a
//! file beside the one that is locked. Who gets the lock and finds another note than when it came knows that a flight has landed.
//!
//! The folder is one of the user's profile, which Windows keeps from others.

use super::{LONGEST_ACCOUNT, Turn, account};
use crate::error::SharedFailure;
use crate::files::read_small;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

/// What a leader leaves behind.
#[derive(Serialize, Deserialize)]
struct Note {
    /// Tells one flight from another.
    flight: u64,
    failure: Option<SharedFailure>,
}

/// Holds the lock; dropping it without landing, as dying does, makes a waiter the next leader.
#[derive(Debug)]
pub(crate) struct Leader {
    lock: File,
    note: PathBuf,
}

/// A file to lock, and what the note beside it said when we came.
pub(super) struct Place {
    lock: File,
    note: PathBuf,
    before: Vec<u8>,
}

impl Place {
    pub(super) fn open(folder: &Path, name: &str) -> Option<Self> {
        std::fs::create_dir_all(folder).ok()?;
        let (lock, note) = (
            folder.join(format!("{name}.lock")),
            folder.join(format!("{name}.landed")),
        );
        let lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(lock)
            .ok()?;
        let before = read(&note);
        Some(Self { lock, note, before })
    }

    /// What is found now; nothing while somebody else leads.
    pub(super) fn turn(&self) -> Option<Turn<Leader>> {
        match self.lock.try_lock() {
            Ok(()) => (),
            Err(TryLockError::WouldBlock) => return None,
            Err(TryLockError::Error(_)) => return Some(Turn::Alone),
        }
        let now = read(&self.note);
        if now == self.before {
            // The clone shares the lock.
            let lock = self.lock.try_clone().ok();
            return Some(lock.map_or(Turn::Alone, |lock| {
                Turn::Lead(Leader {
                    lock,
                    note: self.note.clone(),
                })
            }));
        }
        // Windows takes its time over a lock that is left to it.
        drop(self.lock.unlock());
        let failure = serde_json::from_slice(&now)
            .ok()
            .and_then(|note: Note| note.failure);
        Some(Turn::Landed(failure.and_then(account)))
    }
}

impl Leader {
    /// Tells the waiters that the sign-in is done, and why it failed if it did.
    pub(crate) fn land(self, failure: Option<&SharedFailure>) {
        // Without randomness or room for a note the waiters try for themselves.
        let flight = ring::rand::generate(&ring::rand::SystemRandom::new())
            .ok()
            .map(|bytes| u64::from_ne_bytes(bytes.expose()));
        let note = flight.and_then(|flight| {
            serde_json::to_vec(&Note {
                flight,
                failure: failure.cloned(),
            })
            .ok()
        });
        drop(note.map(|note| std::fs::write(&self.note, note)));
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        drop(self.lock.unlock());
    }
}

fn read(note: &Path) -> Vec<u8> {
    read_small(note, usize::try_from(LONGEST_ACCOUNT).unwrap_or(usize::MAX)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, ErrorKind, NOT_FOUND};

    fn lead(folder: &Path, name: &str) -> Leader {
        match Place::open(folder, name).unwrap().turn() {
            Some(Turn::Lead(leader)) => leader,
            other => panic!("{other:?}"),
        }
    }

    fn failure(message: &str) -> SharedFailure {
        Error::new(ErrorKind::SignIn, message)
            .with_detail("d")
            .shared()
            .clone()
    }

    #[test]
    fn one_leads_the_others_are_told_how_it_went() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("new");
        for (told, expected) in [
            (None, None),
            (Some(failure("m")), Some("m")),
            (Some(failure(NOT_FOUND)), None),
            (None, None),
        ] {
            let leader = lead(&folder, "a");
            let waiters = [(), ()].map(|()| Place::open(&folder, "a").unwrap());
            assert!(waiters[0].turn().is_none());
            drop(lead(&folder, "b"));
            leader.land(told.as_ref());
            for waiter in waiters {
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
            // A flight that landed is over for who comes later.
            drop(lead(&folder, "a"));
        }
    }

    #[test]
    fn after_a_leader_that_died_a_waiter_leads() {
        let folder = tempfile::tempdir().unwrap();
        lead(folder.path(), "a").land(Some(&failure("of the past")));
        let leader = lead(folder.path(), "a");
        let waiter = Place::open(folder.path(), "a").unwrap();
        assert!(waiter.turn().is_none());
        drop(leader);
        assert!(matches!(waiter.turn(), Some(Turn::Lead(_))));
    }

    #[test]
    fn where_there_is_no_place_nobody_is_met() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(Place::open(&file, "a").is_none());
    }
}
