//! The protocols of container clients.

mod delegate;
pub mod docker;
pub mod kubelet;

use crate::error::Error;
use serde::Serialize;
use std::io::{Read, Write};
use std::process::ExitCode;
use zeroize::Zeroizing;

/// Enough for nearly every message. The whole buffer is wiped in the end, which takes a millisecond for a megabyte.
const INITIAL_CAPACITY: usize = 16 * 1024;

/// Reads all of stdin, at most `limit` bytes. Buffers that became too small are wiped, too.
fn read_message(mut input: impl Read, limit: usize) -> Result<Zeroizing<Vec<u8>>, Error> {
    let mut message = Zeroizing::new(Vec::with_capacity(INITIAL_CAPACITY.min(limit + 1)));
    loop {
        let free = message.capacity() - message.len();
        let read = input
            .by_ref()
            .take(free as u64)
            .read_to_end(&mut message)
            .map_err(|error| {
                Error::input(format!("stdin cannot be read: {error}")).with_source(error)
            })?;
        if message.len() > limit {
            return Err(Error::input(format!("stdin holds more than {limit} bytes")));
        }
        if read < free {
            return Ok(message);
        }
        let capacity = (4 * message.capacity()).min(limit + 1);
        let mut larger = Zeroizing::new(Vec::with_capacity(capacity));
        larger.extend_from_slice(&message);
        message = larger;
    }
}

/// Writes an answer as JSON on one line.
fn write_json(mut output: impl Write, answer: &impl Serialize) -> Result<ExitCode, Error> {
    let mut line = Zeroizing::new(serde_json::to_vec(answer).map_err(Error::output)?);
    line.push(b'\n');
    write_all(&mut output, &line)?;
    Ok(ExitCode::SUCCESS)
}

/// Writes an answer at once.
fn write_all(mut output: impl Write, bytes: &[u8]) -> Result<(), Error> {
    output
        .write_all(bytes)
        .and_then(|()| output.flush())
        .map_err(Error::output)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives a byte at a time, as a pipe may.
    struct Slowly<'a>(&'a [u8]);

    impl Read for Slowly<'_> {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            let one = into.len().min(1);
            self.0.read(&mut into[..one])
        }
    }

    #[test]
    fn a_message_is_read_whole_up_to_its_limit_and_no_further() {
        let text: Vec<u8> = (0..=u8::MAX).cycle().take(200_000).collect();
        for length in [
            0,
            1,
            INITIAL_CAPACITY - 1,
            INITIAL_CAPACITY,
            INITIAL_CAPACITY + 1,
            4 * INITIAL_CAPACITY,
            100_000,
        ] {
            for limit in [length, length + 1, 150_000] {
                assert_eq!(
                    *read_message(&text[..length], limit).unwrap(),
                    text[..length],
                    "{length} of {limit}"
                );
            }
            assert_eq!(
                *read_message(Slowly(&text[..length]), 100_000).unwrap(),
                text[..length]
            );
        }
        for limit in [
            0,
            1,
            INITIAL_CAPACITY - 1,
            INITIAL_CAPACITY,
            INITIAL_CAPACITY + 1,
            100_000,
        ] {
            let said = read_message(&text[..=limit], limit)
                .unwrap_err()
                .to_string();
            assert_eq!(said, format!("stdin holds more than {limit} bytes"));
            assert_eq!(
                read_message(std::io::repeat(b'x'), limit)
                    .unwrap_err()
                    .to_string(),
                said
            );
        }
    }
}
