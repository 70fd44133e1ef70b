//! How many requests a registry takes. Exchanges and tokens are of one category, "OAuth", and share one bucket.

use std::collections::HashMap;
use std::sync::Mutex;

use serde::{Deserialize, Serialize};

use crate::world::lock;

/// A bucket of requests that fills continuously. Real ones hold 10,000 or 20,000 requests, a minute's (Microsoft, "service tiers").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// What the full bucket holds.
    pub requests: u64,
    /// Seconds in which an empty bucket becomes full.
    pub seconds: u64,
}

impl Limit {
    /// That of a Basic or Standard registry.
    pub(crate) const STANDARD: Self = Self {
        requests: 10_000,
        seconds: 60,
    };
}

/// The longest wait that an answer asks for, in seconds (Microsoft, "service tiers").
const LONGEST_WAIT: u64 = 60;

/// What is left of the buckets, by global login server.
#[derive(Default)]
pub(crate) struct Buckets(Mutex<HashMap<String, Bucket>>);

struct Bucket {
    /// Requests that are left.
    left: f64,
    /// When that was so, in milliseconds since 1970.
    at: u64,
}

/// What came of a request.
#[derive(Debug, PartialEq)]
pub(crate) enum Taken {
    /// It was taken; so many requests a second are left, as a header says.
    Left(f64),
    /// There is none left; an answer says to wait so many seconds.
    Refused(u64),
}

impl Buckets {
    /// Takes a request.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "small numbers"
    )]
    pub(crate) fn take(&self, registry: &str, limit: Limit, now: u64) -> Taken {
        let (full, seconds) = (limit.requests as f64, limit.seconds.max(1) as f64);
        let mut buckets = lock(&self.0);
        let bucket = buckets.entry(registry.to_owned()).or_insert(Bucket {
            left: full,
            at: now,
        });
        let since = now.saturating_sub(bucket.at) as f64 / 1_000.0;
        *bucket = Bucket {
            left: (bucket.left + since * full / seconds).min(full),
            at: now.max(bucket.at),
        };
        if bucket.left < 1.0 {
            return Taken::Refused(
                (((1.0 - bucket.left) * seconds / full).ceil() as u64).clamp(1, LONGEST_WAIT),
            );
        }
        bucket.left -= 1.0;
        Taken::Left(bucket.left / seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_fills_continuously_and_each_registry_has_its_own() {
        let (buckets, limit) = (
            Buckets::default(),
            Limit {
                requests: 2,
                seconds: 10,
            },
        );
        let now = 1_700_000_000_000;
        for (host, after, expected) in [
            ("a", 0, Taken::Left(0.1)),
            ("a", 0, Taken::Left(0.0)),
            ("a", 1_000, Taken::Refused(4)),
            ("b", 1_000, Taken::Left(0.1)),
            ("a", 5_000, Taken::Left(0.0)),
            ("a", 7_500, Taken::Refused(3)),
            ("a", 60_000, Taken::Left(0.1)),
        ] {
            assert_eq!(
                buckets.take(host, limit, now + after),
                expected,
                "{host} {after}"
            );
        }
    }
}
