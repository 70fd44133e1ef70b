//! The protocols of container clients.

mod delegate;
pub mod docker;
pub mod kubelet;

use crate::error::Error;
use serde::Serialize;
use std::io::{Read, Write};
use std::process::ExitCode;
use zeroize::Zeroizing;

/// Reads all of stdin, at most `limit` bytes.
fn read_message(input: impl Read, limit: usize) -> Result<Zeroizing<Vec<u8>>, Error> {
    // Allocated once: a buffer that grows would leave copies behind that are not wiped.
    let mut message = Zeroizing::new(Vec::with_capacity(limit + 1));
    input
        .take(limit as u64 + 1)
        .read_to_end(&mut message)
        .map_err(|error| {
            Error::input(format!("stdin cannot be read: {error}")).with_source(error)
        })?;
    if message.len() > limit {
        return Err(Error::input(format!("stdin holds more than {limit} bytes")));
    }
    Ok(message)
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

    /// Returns one byte at a time, as a pipe may.
    struct Slowly<'a>(&'a [u8]);

    impl Read for Slowly<'_> {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            let one = into.len().min(1);
            self.0.read(&mut into[..one])
        }
    }

    #[test]
    fn a_message_is_read_whole_up_to_its_limit() {
        let text: Vec<u8> = (0..=u8::MAX).cycle().take(100_000).collect();
        for length in [0, 1, 31, 32, 33, 8 * 1024, 100_000] {
            for limit in [length, length + 1, 150_000] {
                let read = read_message(&text[..length], limit).unwrap();
                assert_eq!(*read, text[..length], "{length} of {limit}");
                assert_eq!(read.capacity(), limit + 1, "the buffer did not grow");
            }
            let read = read_message(Slowly(&text[..length]), 100_000).unwrap();
            assert_eq!(*read, text[..length]);
        }
    }

    #[test]
    fn a_longer_message_is_an_error() {
        for limit in [0, 1, 32, 8 * 1024] {
            let text = vec![b'x'; limit + 1];
            let sources: [Box<dyn Read>; 2] = [Box::new(&*text), Box::new(std::io::repeat(b'x'))];
            for input in sources {
                let error = read_message(input, limit).unwrap_err();
                let expected = format!("stdin holds more than {limit} bytes");
                assert_eq!(error.to_string(), expected);
            }
        }
    }
}
