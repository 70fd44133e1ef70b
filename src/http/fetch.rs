//! Sends requests with retries ([`retry_delay`]), and compares the server's clock with ours.

use super::retry_delay::retry_delay;
use super::{HttpResponse, Network, error};
use crate::random;
use anyhow::Context as _;
use reqwest::header::{DATE, RETRY_AFTER};
use reqwest::{Client, Request, Response};
use std::time::{Duration, SystemTime};
use tracing::debug;

/// The largest difference of clocks. With a larger one, tokens look expired or not yet valid.
const MAX_CLOCK_SKEW: Duration = Duration::from_secs(5 * 60);

impl Network {
    /// Sends a request and reads the whole answer. Retries if the server is busy or the connection breaks, as long as the deadline allows.
    ///
    /// # Errors
    ///
    /// Returns the failure of the last attempt, without its URL. Fails also if the body is longer than 1 MiB.
    pub async fn fetch(&self, client: &Client, request: Request) -> anyhow::Result<HttpResponse> {
        let host = request.url().host_str().unwrap_or_default();
        let mut attempt = 1;
        loop {
            let copy = request
                .try_clone()
                .context("the request cannot be repeated")?;
            let result = client.execute(copy).await;
            if let Some(skew) = result.as_ref().ok().and_then(|it| self.clock_skew(it)) {
                let _ = self.skew.set(skew);
            }
            let Some(delay) = self.delay_before_retry(attempt, &result) else {
                return match result.map_err(reqwest::Error::without_url) {
                    Ok(response) => HttpResponse::read(response).await,
                    Err(error) => Err(match self.refused_by_proxy(host, &error).await {
                        Some(refused) => refused.into(),
                        None => error.into(),
                    }),
                };
            };
            debug!(host, ?delay, "trying again");
            tokio::time::sleep(delay).await;
            attempt += 1;
        }
    }

    /// Returns how long to wait before the next attempt, or `None` if there is none. The statuses are those that Azure's SDKs retry.
    fn delay_before_retry(
        &self,
        attempt: u32,
        result: &reqwest::Result<Response>,
    ) -> Option<Duration> {
        let is_transient = match result {
            Ok(response) => matches!(response.status().as_u16(), 408 | 429 | 500 | 502..=504),
            Err(error) => error::is_transient(error),
        };
        let retry_after = result.as_ref().ok().and_then(|response| {
            let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
            seconds.parse().ok()
        });
        // Without randomness, the middle of the range is used.
        let [random] = random::bytes().unwrap_or([128]);
        retry_delay(attempt, retry_after, self.deadline.left(), random).filter(|_| is_transient)
    }

    /// Returns how far this machine's clock is from a server's, if that is too far.
    pub fn skew(&self) -> Option<String> {
        self.skew.get().cloned()
    }

    fn clock_skew(&self, response: &Response) -> Option<String> {
        let date = response.headers().get(DATE)?.to_str().ok()?;
        let theirs = azure_core::time::parse_rfc7231(date).ok()?;
        let (skew, word) = match (self.clock)().duration_since(SystemTime::from(theirs)) {
            Ok(ahead) => (ahead, "ahead of"),
            Err(behind) => (behind.duration(), "behind"),
        };
        let (minutes, host) = (skew.as_secs() / 60, response.url().host_str()?);
        (skew > MAX_CLOCK_SKEW)
            .then(|| format!("the clock of this machine is {minutes} min {word} that of {host}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_follow_the_server_and_end_with_the_deadline() {
        let long = Duration::from_secs(30);
        for (attempt, retry_after, left, milliseconds) in [
            (1, None, long, Some(100)),
            (2, None, long, Some(200)),
            (3, None, long, None),
            (1, Some(0), long, Some(50)),
            (2, Some(7), long, Some(7_050)),
            (1, Some(19), long, Some(19_050)),
            (1, Some(20), long, None),
            (1, Some(u64::MAX), long, None),
            (1, Some(7), Duration::from_secs(7), None),
            (1, None, Duration::ZERO, None),
        ] {
            let expected = milliseconds.map(Duration::from_millis);
            assert_eq!(
                retry_delay(attempt, retry_after, left, 0),
                expected,
                "{attempt} {retry_after:?} {left:?}"
            );
        }
        assert_eq!(
            retry_delay(1, None, long, 255).map(|delay| delay.as_millis()),
            Some(299)
        );
    }
}
