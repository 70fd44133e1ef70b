//! Random names: GUIDs, secrets, codes.

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use ring::rand::{SecureRandom, SystemRandom};

/// Bytes from the operating system.
pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SystemRandom::new()
        .fill(&mut bytes)
        .expect("the operating system has random numbers");
    bytes
}

/// A version 4 GUID in lower case.
pub(crate) fn guid() -> String {
    let mut bytes = bytes::<16>();
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex = HEXLOWER.encode(&bytes);
    format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}

/// 32 lower-case hexadecimal digits.
pub(crate) fn hex() -> String {
    HEXLOWER.encode(&bytes::<16>())
}

/// `length` characters of the alphabet of base64url.
pub(crate) fn text(length: usize) -> String {
    let mut text = String::new();
    while text.len() < length {
        text.push_str(&BASE64URL_NOPAD.encode(&bytes::<48>()));
    }
    text.truncate(length);
    text
}

/// A client secret in the looks of Entra's: 40 characters, one of them a tilde. It begins with a letter or digit, so that no
/// program takes it for an option.
pub(crate) fn secret() -> String {
    format!("{}~{}", &hex()[..3], text(36))
}
