//! Time: the clock, and the end of everything that one `get` may do.

use crate::error::Error;
use std::time::{Duration, Instant, SystemTime};

/// Tells the time of day; tests tell another one.
pub type Clock = fn() -> SystemTime;

/// A moment, and how long the way to it was.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    at: Instant,
    limit: Duration,
}

impl Deadline {
    /// So long from now on.
    pub fn after(limit: Duration) -> Self {
        Self { at: Instant::now() + limit, limit }
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
        done.unwrap_or_else(|_| Err(Error::Deadline { limit: self.limit, during, circumstances: circumstances.to_vec() }))
    }
}
