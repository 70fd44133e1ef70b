//! Keys and certificates of a PEM file (RFC 7468), as OpenSSL and `az ad sp create-for-rbac --create-cert` write it.
//!
//! `rustls::pki_types::pem` does not know encrypted keys, and leaves copies of what it read in memory.

use super::CertificateError::Malformed;
use super::asn1::Reader;
use super::decryption::Decryptor;
use super::{Contents, NOT_RSA, Result, SecretBytes, UNKNOWN_FORMAT};
use azure_core::base64;
use zeroize::Zeroizing;

const BEGIN: &str = "-----BEGIN ";

/// Reads all sections. A file without any is in another format.
pub(super) fn read(bytes: &[u8], password: &str) -> Result<Contents> {
    // Text between sections may be in any encoding. Its size is known, because growing would leave copies of the key behind.
    let mut text = Zeroizing::new(String::with_capacity(2 * bytes.len()));
    text.extend(bytes.iter().map(|byte| char::from(*byte)));
    if !text.contains(BEGIN) {
        return Err(UNKNOWN_FORMAT.into());
    }
    let mut contents = Contents::default();
    let mut decryptor = Decryptor::new(password);
    for section in text.split(BEGIN).skip(1) {
        let (label, body) = section.split_once("-----").ok_or(Malformed)?;
        let decoded = || decode(label, body);
        match label {
            "CERTIFICATE" => contents.certificates.push(decoded()?.to_vec()),
            "PRIVATE KEY" => contents.add_key(Reader::sequence(&decoded()?)?)?,
            "RSA PRIVATE KEY" => contents.keys.push(decoded()?),
            "ENCRYPTED PRIVATE KEY" => {
                contents.add_encrypted_key(Reader::sequence(&decoded()?)?, &mut decryptor)?;
            }
            "EC PRIVATE KEY" | "DSA PRIVATE KEY" => return Err(NOT_RSA.into()),
            // Parameters and public keys.
            _ => {}
        }
    }
    Ok(contents)
}

/// Decodes the section with this label, which text may follow.
fn decode(label: &str, body: &str) -> Result<SecretBytes> {
    let end = format!("-----END {label}-----");
    let (body, _) = body.split_once(&end).ok_or(Malformed)?;
    // RFC 1421, section 4.6.1.1: the key of such a section is derived by MD5.
    if body.trim_start().starts_with("Proc-Type:") {
        return Err("its private key is encrypted in an outdated way: convert it with `openssl pkcs8 -topk8`".into());
    }
    let lines: Vec<&str> = body.split_ascii_whitespace().collect();
    let decoded = base64::decode(Zeroizing::new(lines.concat()).as_bytes());
    decoded.map(SecretBytes::new).map_err(|_| Malformed)
}
