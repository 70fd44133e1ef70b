//! What clients speak.

mod delegate;
pub mod docker;
pub mod kubelet;

use crate::error::Error;
use serde::Serialize;
use std::io::{Read, Write};
use std::process::ExitCode;
use zeroize::Zeroizing;

/// All of stdin, at most `limit` bytes.
fn message(input: impl Read, limit: usize) -> Result<Zeroizing<Vec<u8>>, Error> {
    // Never moved while it grows: what it was moved from would not be wiped.
    let mut message = Zeroizing::new(Vec::with_capacity(limit + 1));
    input
        .take(limit as u64 + 1)
        .read_to_end(&mut message)
        .map_err(|error| Error::Input(format!("stdin cannot be read: {error}")))?;
    if message.len() > limit {
        return Err(Error::Input(format!("stdin holds more than {limit} bytes")));
    }
    Ok(message)
}

/// Writes an answer, as JSON on one line, at once.
fn write(output: &mut impl Write, answer: &impl Serialize) -> Result<ExitCode, Error> {
    let mut line = Zeroizing::new(serde_json::to_vec(answer).map_err(|error| Error::Output(error.into()))?);
    line.push(b'\n');
    output.write_all(&line).and_then(|()| output.flush()).map_err(Error::Output)?;
    Ok(ExitCode::SUCCESS)
}
