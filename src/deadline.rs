//! The clock, and the deadline of everything that one `get` does.

use crate::error::{Error, ErrorKind, Stage};
use crate::http::notes_on;
use std::time::{Duration, Instant, SystemTime};

/// Returns the time of day: `SystemTime::now`, or a fixed time in tests.
///
/// ```
/// use docker_credential_acrscoped::Clock;
/// use std::time::SystemTime;
///
/// const CLOCK: Clock = SystemTime::now;
/// const IN_TESTS: Clock = || SystemTime::UNIX_EPOCH;
/// ```
pub type Clock = fn() -> SystemTime;

/// Replaces limits that are too long for a clock to count.
const MAX_LIMIT: Duration = Duration::from_secs(24 * 60 * 60);

/// An instant, and the duration that it was computed from (for error messages).
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    at: Instant,
    limit: Duration,
}

impl Deadline {
    /// Returns the deadline that is `limit` from now.
    pub fn after(limit: Duration) -> Self {
        let now = Instant::now();
        Self {
            at: now.checked_add(limit).unwrap_or(now + MAX_LIMIT),
            limit,
        }
    }

    /// Returns this deadline, or the one that is `limit` from now if that is sooner.
    pub fn at_most(self, limit: Duration) -> Self {
        let other = Self::after(limit);
        if other.at < self.at { other } else { self }
    }

    /// Returns the time that is left; zero once the deadline has passed.
    pub fn left(&self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }

    /// Runs a step until the deadline. For the error, `awaited` names what the step gets, and `proxy_and_ca_notes` says what may prevent it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Timeout`] if the step is not done in time.
    pub async fn timeout<T>(
        &self,
        awaited: String,
        proxy_and_ca_notes: &[String],
        step: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let done = tokio::time::timeout_at(self.at.into(), step).await;
        done.unwrap_or_else(|_| {
            let seconds = self.limit.as_secs();
            let message = format!("timed out after {seconds} s waiting for {awaited}");
            Err(Error::new(ErrorKind::Timeout, message)
                .with_details(notes_on(Stage::Connection, proxy_and_ca_notes))
                .with_hint(
                    "to wait longer, set `ACRSCOPED_TIMEOUT`; to see which step is slow, set `ACRSCOPED_LOG=debug`",
                ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_no_clock_can_count_is_long_and_does_not_panic() {
        assert!(Deadline::after(Duration::MAX).left() > Duration::from_secs(60 * 60));
    }
}
