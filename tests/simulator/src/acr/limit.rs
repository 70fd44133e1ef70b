//! How many requests a registry takes. Exchanges and tokens are of one category, "OAuth", and share one bucket.

use std::collections::HashMap;
use std::sync::Mutex;

use serde::{Deserialize, Serialize};

use crate::world::lock;

/// So many requests, until the bucket is filled again. Real ones have 10,000 or 20,000 for a minute; how they are filled is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// What the full bucket holds.
    pub requests: u64,
    /// Seconds from its first request until it is full again.
    pub seconds: u64,
}

/// What is left of the buckets, by host.
#[derive(Default)]
pub(crate) struct Buckets(Mutex<HashMap<String, Bucket>>);

#[derive(Default)]
struct Bucket {
    /// When it was full, in milliseconds since 1970.
    since: u64,
    taken: u64,
}

impl Buckets {
    /// Takes a request, or says how many seconds it is until there are more.
    pub(crate) fn take(&self, host: &str, limit: Limit, now: u64) -> Result<(), u64> {
        let mut buckets = lock(&self.0);
        let bucket = buckets.entry(host.to_owned()).or_default();
        let full_again = bucket.since + limit.seconds * 1_000;
        if now >= full_again {
            *bucket = Bucket { since: now, taken: 0 };
        } else if bucket.taken >= limit.requests {
            return Err((full_again - now).div_ceil(1_000));
        }
        bucket.taken += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_emptied_and_filled_and_each_host_has_its_own() {
        let (buckets, limit) = (Buckets::default(), Limit { requests: 2, seconds: 10 });
        let now = 1_700_000_000_000;
        for (host, after, expected) in [
            ("a", 0, Ok(())),
            ("a", 1, Ok(())),
            ("a", 2, Err(10)),
            ("b", 2, Ok(())),
            ("a", 9_001, Err(1)),
            ("a", 10_000, Ok(())),
            ("a", 12_000, Ok(())),
            ("a", 12_000, Err(8)),
        ] {
            assert_eq!(buckets.take(host, limit, now + after), expected, "{host} {after}");
        }
    }
}
