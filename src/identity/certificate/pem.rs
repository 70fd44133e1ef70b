//! Keys and certificates of a PEM file (RFC 7468), as OpenSSL and `az ad sp create-for-rbac --create-cert` write it.

use super::decryption::{Password, Rounds};
use super::flaw::Flaw;
use super::{Contents, pkcs8};
use azure_core::base64;
use zeroize::Zeroizing;

/// Sections that say something here; parameters, public keys and the like are passed over.
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

/// Whether any section begins in the bytes.
pub(super) fn is_pem(bytes: &[u8]) -> bool {
    bytes.windows(BEGIN.len()).any(|window| window == BEGIN)
}

/// Reads all sections.
pub(super) fn read(bytes: &[u8], password: Option<&str>) -> Result<Contents, Flaw> {
    let mut contents = Contents::default();
    let mut rounds = Rounds::new();
    let mut lines = bytes
        .strip_prefix(b"\xef\xbb\xbf")
        .unwrap_or(bytes)
        .split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii);
    while let Some(line) = lines.next() {
        let Some(label) = LABELS.into_iter().find(|known| is_mark(line, BEGIN, known)) else {
            continue;
        };
        let section = section(label, &mut lines)?;
        match label {
            "CERTIFICATE" => contents.certificates.push(section.to_vec()),
            "PRIVATE KEY" => contents.keys.push(pkcs8::rsa_key(&section)?),
            "RSA PRIVATE KEY" => contents.keys.push(section),
            "ENCRYPTED PRIVATE KEY" => {
                let password = Password::new(password.unwrap_or_default());
                let info = pkcs8::decrypted(&section, &password, &mut rounds)?;
                contents.keys.push(pkcs8::rsa_key(&info)?);
            }
            _ => return Err(Flaw::NotRsa),
        }
    }
    Ok(contents)
}

fn is_mark(line: &[u8], begin: &[u8], label: &str) -> bool {
    line.strip_prefix(begin)
        .and_then(|rest| rest.strip_suffix(b"-----"))
        == Some(label.as_bytes())
}

/// The bytes of the section that has just begun.
fn section<'a>(
    label: &'static str,
    lines: &mut impl Iterator<Item = &'a [u8]>,
) -> Result<Zeroizing<Vec<u8>>, Flaw> {
    let mut text = Vec::new();
    loop {
        let line = lines.next().ok_or(Flaw::BrokenSection(label))?;
        if is_mark(line, END, label) {
            break;
        }
        text.push(line);
    }
    let text = Zeroizing::new(text.concat());
    // RFC 1421, section 4.6.1.1.
    if text.starts_with(b"Proc-Type:") {
        return Err(Flaw::OldEncryption);
    }
    base64::decode(&text)
        .map(Zeroizing::new)
        .map_err(|_| Flaw::BrokenSection(label))
}
