//! One sign-in for many processes.
//!
//! Processes that need the same token at the same time meet at a file: who locks it leads and signs in, the others wait, and take
//! the leader's success from the cache and its failure from a file. The lock dies with its owner. Files hold words, never a secret.
//! Without a place for them, everybody signs in for themselves.

#[cfg(any(not(unix), test))]
mod noted;
#[cfg(unix)]
mod unlinked;

use crate::error::SharedFailure;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tracing::debug;

#[cfg(not(unix))]
pub(crate) use noted::Leader;
#[cfg(not(unix))]
use noted::Place;
#[cfg(unix)]
pub(crate) use unlinked::Leader;
#[cfg(unix)]
use unlinked::Place;

/// How often a waiter looks whether the leader has landed.
const PERIOD: Duration = Duration::from_millis(10);

/// The longest account of a failure that is read.
const LONGEST_ACCOUNT: u64 = 64 * 1024;

/// What a process finds when it wants to sign in.
#[derive(Debug)]
pub(crate) enum Turn<L = Leader> {
    /// Nobody else is at it: sign in, then [`Leader::land`].
    Lead(L),
    /// Somebody else was, and is done; with why it failed, if it did.
    Landed(Option<SharedFailure>),
    /// Somebody else is still at it after all the time there was.
    Busy,
    /// Nobody can be met on this machine.
    Alone,
}

/// A turn at the flight of this name if there is one at once. The first folder that is or can be made ours alone is the place to
/// meet.
pub(crate) fn try_turn(folders: &[PathBuf], name: &str) -> Turn {
    meet(folders, name).map_or(Turn::Alone, |place| place.turn().unwrap_or(Turn::Busy))
}

/// Waits for a turn at the flight of this name for as long as `patience`.
pub(crate) async fn take_turn(folders: &[PathBuf], name: &str, patience: Duration) -> Turn {
    let Some(place) = meet(folders, name) else {
        return Turn::Alone;
    };
    let end = Instant::now() + patience;
    loop {
        if let Some(turn) = place.turn() {
            return turn;
        }
        if Instant::now() >= end {
            return Turn::Busy;
        }
        tokio::time::sleep(PERIOD).await;
    }
}

fn meet(folders: &[PathBuf], name: &str) -> Option<Place> {
    let place = folders.iter().find_map(|folder| Place::open(folder, name));
    if place.is_none() {
        debug!("no folder of ours to meet other processes in");
    }
    place
}

/// Returns a leader's failure, unless it would make a client continue anonymously.
fn account(told: SharedFailure) -> Option<SharedFailure> {
    Some(told).filter(SharedFailure::is_acceptable)
}
