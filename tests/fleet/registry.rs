//! A registry's limits of requests: buckets that fill continuously (Microsoft, "Azure Container Registry service tiers").

use crate::model::{SECOND, Time};

/// A bucket of requests.
pub(crate) struct Bucket {
    limit: u64,
    fills_in: Time,
    /// Requests that are left, in thousandths.
    left: u64,
    at: Time,
}

impl Bucket {
    /// A full one, with so many requests. An empty one is full again after this time.
    pub(crate) fn full(limit: u64, fills_in: Time) -> Self {
        Self {
            limit,
            fills_in,
            left: limit * 1_000,
            at: 0,
        }
    }

    /// Takes a request, or says in how many seconds there is another one.
    pub(crate) fn take(&mut self, now: Time) -> Result<(), u64> {
        let full = self.limit * 1_000;
        self.left = full.min(self.left + (now - self.at) * full / self.fills_in);
        self.at = now;
        if self.left >= 1_000 {
            self.left -= 1_000;
            return Ok(());
        }
        Err(((1_000 - self.left) * self.fills_in / full)
            .div_ceil(SECOND)
            .max(1))
    }
}
