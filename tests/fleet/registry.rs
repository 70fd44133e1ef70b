//! A registry's limit of requests: a bucket. Microsoft says that it is one, and not how it is filled.

use crate::model::{MINUTE, SECOND, Time};

/// How the bucket is filled again.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refill {
    /// Bit by bit: who is refused is asked to wait until there is one more.
    Steady,
    /// Whole, each time that this is over: who is refused is asked to wait for that.
    Whole(Time),
}

/// The category "OAuth" of a registry's limits: exchanges and tokens.
pub(crate) struct Registry {
    limit: u64,
    refill: Refill,
    /// Requests that are left, in thousandths.
    left: u64,
    at: Time,
}

impl Registry {
    /// One whose bucket is full, with so many requests.
    pub(crate) fn full(limit: u64, refill: Refill) -> Self {
        Self { limit, refill, left: limit * 1_000, at: 0 }
    }

    /// Takes a request, or says how many seconds to wait.
    pub(crate) fn take(&mut self, now: Time) -> Result<(), u64> {
        let full = self.limit * 1_000;
        match self.refill {
            Refill::Steady => self.left = full.min(self.left + (now - self.at) * full / MINUTE),
            Refill::Whole(every) if now / every > self.at / every => self.left = full,
            Refill::Whole(_) => (),
        }
        self.at = now;
        if self.left >= 1_000 {
            self.left -= 1_000;
            return Ok(());
        }
        Err(match self.refill {
            Refill::Steady => ((1_000 - self.left) * MINUTE / full).div_ceil(SECOND).max(1),
            Refill::Whole(every) => (every - now % every).div_ceil(SECOND),
        })
    }
}
