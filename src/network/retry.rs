//! How often a request is sent, and how long is waited before it is sent again.

use std::time::Duration;

/// How often one request is sent at most.
const TRIES: u32 = 3;

/// A server that asks for more patience than this is told of instead: the client waits for us.
const LONGEST_WAIT: Duration = Duration::from_secs(20);

/// How long to wait after a request was sent for the `tried`th time, or `None` if that was the last. `asked` is what the server's
/// `Retry-After` said, in seconds; `left` is the time until the deadline; `random` is any byte, with all of them as likely.
///
/// The wait is a little longer than a server asked for, so that those who were told the same do not return at one moment; where it asked
/// for nothing, 200 ms, then 400 ms, each between half and one and a half of it.
pub fn wait(tried: u32, asked: Option<u64>, left: Duration, random: u8) -> Option<Duration> {
    let wait = match asked {
        Some(seconds) => Duration::from_secs(seconds).saturating_add(backoff(1, random) / 2),
        None => backoff(tried, random),
    };
    (tried < TRIES && wait <= LONGEST_WAIT && wait < left).then_some(wait)
}

fn backoff(tried: u32, random: u8) -> Duration {
    Duration::from_millis(100 * 2_u64.pow(tried)).mul_f64(0.5 + f64::from(random) / 256.0)
}

/// A byte for [`wait`]. Without randomness the middle is as good.
pub fn random() -> u8 {
    let mut byte = [128];
    let _ = ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut byte);
    byte[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_keep_to_what_was_asked_for_and_end_with_the_patience() {
        let long = Duration::from_secs(30);
        for (tried, asked, left, milliseconds) in [
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
                wait(tried, asked, left, 0),
                expected,
                "{tried} {asked:?} {left:?}"
            );
        }
        assert_eq!(
            wait(1, None, long, 255).map(|wait| wait.as_millis()),
            Some(299)
        );
    }
}
