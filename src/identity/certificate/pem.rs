//! Keys and certificates of a PEM file (RFC 7468), as OpenSSL and `az ad sp create-for-rbac --create-cert` write it.
//!
//! `rustls::pki_types::pem` does not know encrypted keys, and leaves copies of what it read in memory.

use super::CertificateError::Malformed;
use super::decryption::Decryptor;
use super::{Contents, NOT_RSA, Result, SecretBytes};
use azure_core::base64;

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
        let mut section = |label| section(label, &mut lines);
        match label(line, BEGIN) {
            Some(label @ b"CERTIFICATE") => contents.certificates.push(section(label)?.to_vec()),
            Some(label @ b"PRIVATE KEY") => contents.add_key(&section(label)?)?,
            Some(label @ b"RSA PRIVATE KEY") => contents.keys.push(section(label)?),
            Some(label @ b"ENCRYPTED PRIVATE KEY") => {
                contents.add_encrypted_key(&section(label)?, &mut decryptor)?;
            }
            Some(b"EC PRIVATE KEY" | b"DSA PRIVATE KEY") => return Err(NOT_RSA.into()),
            // Parameters, public keys and text between sections.
            _ => {}
        }
    }
    Ok(contents)
}

/// Returns the label of a line that begins or ends a section.
fn label<'a>(line: &'a [u8], marker: &[u8]) -> Option<&'a [u8]> {
    line.strip_prefix(marker)?.strip_suffix(b"-----")
}

/// Reads the bytes of the section that has just begun.
fn section<'a>(label: &[u8], lines: &mut impl Iterator<Item = &'a [u8]>) -> Result<SecretBytes> {
    let mut body = Vec::new();
    loop {
        let line = lines.next().ok_or(Malformed)?;
        if self::label(line, END) == Some(label) {
            break;
        }
        body.push(line);
    }
    let body = SecretBytes::new(body.concat());
    // RFC 1421, section 4.6.1.1: the key of such a section is derived by MD5.
    if body.starts_with(b"Proc-Type:") {
        return Err("its private key is encrypted in an outdated way: convert it with `openssl pkcs8 -topk8`".into());
    }
    let decoded = base64::decode(&body).map_err(|_| Malformed)?;
    Ok(SecretBytes::new(decoded))
}
