//! Decides whether and when a request is sent again. `tests/fleet` compiles this file, too.

use std::time::Duration;

/// How often a request is sent.
const MAX_ATTEMPTS: u32 = 3;

/// The longest wait that a server may ask for. There is no retry after a longer one, because the container client waits, too.
const MAX_RETRY_DELAY: Duration = Duration::from_secs(20);

/// Returns how long to wait after attempt number `attempt`, or `None` if that was the last one.
///
/// `retry_after` is the server's header in seconds, `left` the time until the deadline, and `random` a random byte. The delay is a little
/// longer than the server asked for, so that clients with the same answer do not all return at the same time. Without the header the
/// delays are 200 ms and 400 ms, each multiplied by a random factor from 0.5 to 1.5.
pub fn retry_delay(
    attempt: u32,
    retry_after: Option<u64>,
    left: Duration,
    random: u8,
) -> Option<Duration> {
    let delay = match retry_after {
        Some(seconds) => Duration::from_secs(seconds).saturating_add(backoff(1, random) / 2),
        None => backoff(attempt, random),
    };
    (attempt < MAX_ATTEMPTS && delay <= MAX_RETRY_DELAY && delay < left).then_some(delay)
}

fn backoff(attempt: u32, random: u8) -> Duration {
    Duration::from_millis(100 * 2_u64.pow(attempt)).mul_f64(0.5 + f64::from(random) / 256.0)
}
