//! Keys and certificates of a PEM file (RFC 7468), as OpenSSL and `az ad sp create-for-rbac --create-cert` write it.
//!
//! `rustls::pki_types::pem` does not know encrypted keys, and leaves copies of what it read in memory.

use super::decryption::Decryptor;
use super::{Contents, NOT_RSA, Result, SecretBytes};
use azure_core::base64;

/// Sections that are read; parameters, public keys and the like are skipped.
const LABELS: [&str; 6] = [
    "CERTIFICATE",
    "PRIVATE KEY",
    "ENCRYPTED PRIVATE KEY",
    "RSA PRIVATE KEY",
    "EC PRIVATE KEY",
    "DSA PRIVATE KEY",
];

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";

/// Returns whether any section begins in the bytes.
pub(super) fn is_pem(bytes: &[u8]) -> bool {
    bytes.windows(BEGIN.len()).any(|window| window == BEGIN)
}

/// Reads all sections.
pub(super) fn read(bytes: &[u8], password: &str) -> Result<Contents> {
    let mut contents = Contents::default();
    let mut decryptor = Decryptor::new(password);
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    while let Some(line) = lines.next() {
        let Some(label) = LABELS.into_iter().find(|it| is_marker(line, BEGIN, it)) else {
            continue;
        };
        let section = section(label, &mut lines)?;
        match label {
            "CERTIFICATE" => contents.certificates.push(section.to_vec()),
            "PRIVATE KEY" => contents.add_key(&section)?,
            "RSA PRIVATE KEY" => contents.keys.push(section),
            "ENCRYPTED PRIVATE KEY" => contents.add_encrypted_key(&section, &mut decryptor)?,
            _ => return Err(NOT_RSA.into()),
        }
    }
    Ok(contents)
}

fn is_marker(line: &[u8], marker: &[u8], label: &str) -> bool {
    let rest = line.strip_prefix(marker);
    rest.and_then(|rest| rest.strip_suffix(b"-----")) == Some(label.as_bytes())
}

/// Reads the bytes of the section that has just begun.
fn section<'a>(label: &str, lines: &mut impl Iterator<Item = &'a [u8]>) -> Result<SecretBytes> {
    let damaged = || format!("its PEM section `{label}` is damaged");
    let mut body = Vec::new();
    loop {
        let line = lines.next().ok_or_else(damaged)?;
        if is_marker(line, END, label) {
            break;
        }
        body.push(line);
    }
    let body = SecretBytes::new(body.concat());
    // RFC 1421, section 4.6.1.1: the key of such a section is derived by MD5.
    if body.starts_with(b"Proc-Type:") {
        return Err("its private key is encrypted in an outdated way: convert it with `openssl pkcs8 -topk8`".into());
    }
    let decoded = base64::decode(&body).map_err(|_| damaged())?;
    Ok(SecretBytes::new(decoded))
}
