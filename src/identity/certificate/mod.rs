//! Signs in as an application that has a certificate, without OpenSSL.
//!
//! The file holds a certificate and its private key, in PEM or PKCS#12. With the key an assertion is signed, a JWT that replaces the
//! client secret; Entra knows the certificate. The `azure_identity` crate has that only with OpenSSL, and only for PKCS#12.
//!
//! Why a file is refused: this file (no key, several keys, size of the key, password), `decryption` (unsupported or too slow encryption),
//! `pkcs12` and `pem` (damaged), `x509` (no certificate).

pub(crate) mod asn1;
mod assertion;
mod decryption;
mod pem;
mod pkcs12;
pub(crate) mod x509;

#[cfg(test)]
mod tests;

use crate::files::read_limited;
use asn1::{Reader, SEQUENCE};
use decryption::Decryptor;
use ring::rsa::KeyPair;
use secrecy::{ExposeSecret, SecretString};
use std::fmt;
use std::path::Path;
use zeroize::Zeroizing;

/// A key with a long chain has less than 20 KB.
const MAX_FILE_BYTES: usize = 1024 * 1024;

const UNKNOWN_FORMAT: &str =
    "it is neither PEM nor PKCS#12, the formats that hold a certificate and its private key";
const NOT_RSA: &str = "its private key is not an RSA key, and no other kind is supported";

/// Object identifiers as they are in files, without tag and length.
macro_rules! oid {
    (RSADSI: $($arc:literal),*) => { &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, $($arc),*] };
    (PKCS: $($arc:literal),*) => { &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, $($arc),*] };
    (NIST: $($arc:literal),*) => { &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, $($arc),*] };
}
use oid;

/// RFC 8017, appendix C.
const RSA: &[u8] = oid!(PKCS: 1, 1);

type Result<T, E = CertificateError> = std::result::Result<T, E>;

/// Bytes that may be those of a key.
type SecretBytes = Zeroizing<Vec<u8>>;

/// Why a file cannot be used to sign in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum CertificateError {
    /// Bytes that do not have the form of their format.
    Malformed,
    WrongPassword,
    /// A sentence about the file, "it holds no private key".
    Other(String),
}

impl<T: Into<String>> From<T> for CertificateError {
    fn from(sentence: T) -> Self {
        Self::Other(sentence.into())
    }
}

impl fmt::Display for CertificateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "it is damaged",
            Self::WrongPassword => {
                "the password of `AZURE_CLIENT_CERTIFICATE_PASSWORD` does not open it"
            }
            Self::Other(sentence) => sentence,
        })
    }
}

/// A certificate with its private key.
pub struct Certificate {
    key: KeyPair,
    /// The certificate of the key, followed by those that lead to its root, as far as the file holds them.
    chain: Vec<Vec<u8>>,
}

impl Certificate {
    /// Reads a file in PEM or PKCS#12. An empty password counts as unset. An unneeded one is ignored.
    ///
    /// The file decides how long this takes: milliseconds with what programs write, about two seconds at most.
    ///
    /// # Errors
    ///
    /// A sentence about the file, "it holds no private key".
    pub fn read(path: &Path, password: Option<&SecretString>) -> Result<Self, String> {
        let password = password
            .map(ExposeSecret::expose_secret)
            .unwrap_or_default();
        let bytes = read_limited(path, MAX_FILE_BYTES)
            .map(SecretBytes::new)
            .map_err(|error| format!("it cannot be read: {error}"))?;
        Self::parse(&bytes, password).map_err(|error| match error {
            CertificateError::WrongPassword if password.is_empty() => {
                "it is encrypted, and `AZURE_CLIENT_CERTIFICATE_PASSWORD` is not set".to_owned()
            }
            error => error.to_string(),
        })
    }

    fn parse(bytes: &[u8], password: &str) -> Result<Self> {
        let contents = if pkcs12::is_archive(bytes) {
            pkcs12::read(bytes, password)?
        } else {
            pem::read(bytes, password)?
        };
        let key = match &contents.keys[..] {
            [key] => KeyPair::from_der(key).map_err(|error| {
                format!("its RSA key is damaged or does not have 2048 to 4096 bits ({error})")
            })?,
            [] => return Err("it holds no private key".into()),
            _ => return Err("it holds more than one private key".into()),
        };
        let chain = x509::chain(&contents.certificates, key.public().as_ref())?;
        Ok(Self { key, chain })
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Certificate { .. }")
    }
}

/// What a file holds, in its order.
#[derive(Default)]
struct Contents {
    /// Each an `RSAPrivateKey` (RFC 8017, appendix A.1.2).
    keys: Vec<SecretBytes>,
    certificates: Vec<Vec<u8>>,
}

impl Contents {
    /// Adds the key in a `PrivateKeyInfo` (PKCS#8: RFC 5208, section 5).
    fn add_key(&mut self, mut info: Reader<'_>) -> Result<()> {
        info.number()?;
        if info.enter(SEQUENCE)?.oid()? != RSA {
            return Err(NOT_RSA.into());
        }
        self.keys.push(info.octets()?);
        Ok(())
    }

    /// Adds the key in an `EncryptedPrivateKeyInfo` (PKCS#8: RFC 5208, section 6).
    fn add_encrypted_key(&mut self, mut info: Reader<'_>, decryptor: &mut Decryptor) -> Result<()> {
        let (algorithm, encrypted) = (info.enter(SEQUENCE)?, info.octets()?);
        let decrypted = decryptor.decrypt(algorithm, &encrypted)?;
        self.add_key(Reader::sequence(&decrypted)?)
    }
}
