//! Time: the clock, and the end of everything that one `get` may do.

use crate::error::{Error, ErrorKind};
use std::time::{Duration, Instant, SystemTime};

/// Tells the time of day: `SystemTime::now`; tests tell another one.
pub type Clock = fn() -> SystemTime;

/// Longer than anything here is waited for.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// A moment, and how long the way to it was.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    at: Instant,
    limit: Duration,
}

impl Deadline {
    /// So long from now on; what is longer than a clock can count is a day.
    pub fn after(limit: Duration) -> Self {
        let now = Instant::now();
        Self {
            at: now.checked_add(limit).unwrap_or(now + LONGEST),
            limit,
        }
    }

    /// This deadline, or one so long from now on if that is sooner.
    pub fn or_after(self, limit: Duration) -> Self {
        let other = Self::after(limit);
        if other.at < self.at { other } else { self }
    }

    /// What is left; zero once it has passed.
    pub fn left(&self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }

    /// Waits for a step for as long as there is time. `during` says what is done, and `circumstances` what may be in the way, for
    /// the error.
    pub async fn keep<T>(
        &self,
        during: String,
        circumstances: &[String],
        step: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let done = tokio::time::timeout_at(self.at.into(), step).await;
        done.unwrap_or_else(|_| {
            let seconds = self.limit.as_secs();
            let message = format!("gave up after {seconds} s while {during}");
            Err(Error::new(ErrorKind::Timeout, message)
                .with_details(circumstances.to_vec())
                .with_hint(
                    "`ACRSCOPED_TIMEOUT` sets the seconds; `ACRSCOPED_LOG=debug` shows where they go",
                ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_no_clock_counts_is_long_and_no_panic() {
        assert!(Deadline::after(Duration::MAX).left() > Duration::from_secs(60 * 60));
    }
}
