//! What clients speak.

mod delegate;
pub mod docker;
pub mod kubelet;

use crate::error::Error;
use serde::Serialize;
use std::io::{Read, Write};
use std::process::ExitCode;
use zeroize::Zeroizing;

/// Room for nearly every message. All room is wiped in the end, which takes a millisecond for a megabyte.
const FIRST_ROOM: usize = 16 * 1024;

/// All of stdin, at most `limit` bytes. Where it grows, what it grew out of is wiped.
fn message(mut input: impl Read, limit: usize) -> Result<Zeroizing<Vec<u8>>, Error> {
    let mut message = Zeroizing::new(Vec::with_capacity(FIRST_ROOM.min(limit + 1)));
    loop {
        let room = message.capacity() - message.len();
        let read = input.by_ref().take(room as u64).read_to_end(&mut message);
        let read = read.map_err(|error| Error::Input(format!("stdin cannot be read: {error}")))?;
        if message.len() > limit {
            return Err(Error::Input(format!("stdin holds more than {limit} bytes")));
        }
        if read < room {
            return Ok(message);
        }
        let mut larger =
            Zeroizing::new(Vec::with_capacity((4 * message.capacity()).min(limit + 1)));
        larger.extend_from_slice(&message);
        message = larger;
    }
}

/// Writes an answer, as JSON on one line, at once.
fn write(output: &mut impl Write, answer: &impl Serialize) -> Result<ExitCode, Error> {
    let mut line =
        Zeroizing::new(serde_json::to_vec(answer).map_err(|error| Error::Output(error.into()))?);
    line.push(b'\n');
    output
        .write_all(&line)
        .and_then(|()| output.flush())
        .map_err(Error::Output)?;
    Ok(ExitCode::SUCCESS)
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
            FIRST_ROOM - 1,
            FIRST_ROOM,
            FIRST_ROOM + 1,
            4 * FIRST_ROOM,
            100_000,
        ] {
            for limit in [length, length + 1, 150_000] {
                assert_eq!(
                    *message(&text[..length], limit).unwrap(),
                    text[..length],
                    "{length} of {limit}"
                );
            }
            assert_eq!(
                *message(Slowly(&text[..length]), 100_000).unwrap(),
                text[..length]
            );
        }
        for limit in [0, 1, FIRST_ROOM - 1, FIRST_ROOM, FIRST_ROOM + 1, 100_000] {
            let said = message(&text[..=limit], limit).unwrap_err().to_string();
            assert_eq!(said, format!("stdin holds more than {limit} bytes"));
            assert_eq!(
                message(std::io::repeat(b'x'), limit)
                    .unwrap_err()
                    .to_string(),
                said
            );
        }
    }
}
