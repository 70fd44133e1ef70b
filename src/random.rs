//! Random numbers of the operating system.

use ring::rand::{SecureRandom, SystemRandom};
use std::io;

/// Returns random bytes.
///
/// # Errors
///
/// The system has none.
pub(crate) fn bytes<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    let filled = SystemRandom::new().fill(&mut bytes);
    filled.map_err(|_| io::Error::other("the system has no random numbers"))?;
    Ok(bytes)
}
