//! What can be wrong with the file of a certificate, in words.

use super::decryption::MOST_ROUNDS;
use crate::asn1::dotted;
use std::fmt;
use std::io;

/// Why a file cannot be signed in with.
#[derive(Debug)]
pub(super) enum Flaw {
    /// The file system did not give it.
    Unreadable(io::Error),
    /// Neither of the formats that are read.
    UnknownFormat,
    /// A certificate in DER, which people also have in a `.cer` file.
    CertificateAlone,
    /// PEM whose section of this label does not end, or is not base64.
    BrokenSection(&'static str),
    /// PKCS#12 by its first bytes, but not by the rest.
    BrokenArchive,
    /// Algorithm or parameters of an encryption are not where they belong.
    BrokenEncryption,
    /// What stands as a certificate is none.
    BrokenCertificate,
    /// What stands as a private key is none.
    BrokenKey,
    Empty,
    NoKey,
    NoCertificate,
    /// More certificates than any chain has.
    ManyCertificates,
    SeveralKeys(usize),
    /// No certificate is for the private key.
    Unrelated,
    /// The key of another algorithm, such as an elliptic curve's.
    NotRsa,
    /// The length of an RSA key that is too short or too long.
    KeyLength(usize),
    /// The key is encrypted as RFC 1421 has it, with a key derived by MD5.
    OldEncryption,
    /// The object identifier of a way to encrypt or to authenticate that is not ours.
    Unsupported(Vec<u8>),
    /// It is authenticated with a certificate in place of a password.
    SignedArchive,
    /// More work than is done to derive keys.
    TooManyRounds,
    PasswordMissing,
    PasswordWrong,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => write!(f, "it cannot be read: {error}"),
            Self::UnknownFormat => f.write_str("it is neither PEM nor PKCS#12"),
            Self::CertificateAlone => {
                f.write_str("it is a certificate without its private key: PEM with both is needed, or PKCS#12")
            }
            Self::BrokenSection(label) => write!(f, "its PEM section `{label}` is damaged"),
            Self::BrokenArchive => f.write_str("it looks like PKCS#12 but is damaged"),
            Self::BrokenEncryption => f.write_str("what it says about its encryption is damaged"),
            Self::BrokenCertificate => f.write_str("one of its certificates is damaged"),
            Self::BrokenKey => f.write_str("its private key is damaged"),
            Self::Empty => f.write_str("it holds neither a private key nor a certificate"),
            Self::NoKey => f.write_str("it holds no private key"),
            Self::ManyCertificates => f.write_str("it holds more certificates than any chain has"),
            Self::NoCertificate => f.write_str("it holds no certificate"),
            Self::SeveralKeys(count) => write!(f, "it holds {count} private keys, and nothing tells which one is meant"),
            Self::Unrelated => f.write_str("none of its certificates belongs to its private key"),
            Self::NotRsa => f.write_str("its private key is not an RSA key, and no other kind is supported"),
            Self::KeyLength(bits) => write!(f, "its RSA key has {bits} bits, and only 2048 to 4096 are supported"),
            Self::OldEncryption => {
                f.write_str("its private key is encrypted in an outdated way: convert it with `openssl pkcs8 -topk8`")
            }
            Self::Unsupported(oid) => write!(f, "it is encrypted or authenticated with {}, which is not supported", dotted(oid)),
            Self::SignedArchive => f.write_str("it is authenticated with a certificate, and only passwords are supported"),
            Self::TooManyRounds => {
                write!(f, "deriving the keys of its encryption would take more than {MOST_ROUNDS} rounds")
            }
            Self::PasswordMissing => f.write_str("it is encrypted, and `AZURE_CLIENT_CERTIFICATE_PASSWORD` is not set"),
            Self::PasswordWrong => f.write_str("the password of `AZURE_CLIENT_CERTIFICATE_PASSWORD` does not open it"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::certificate::oids;

    /// The others are told where they come about.
    #[test]
    fn what_is_rarely_wrong_has_its_sentence_too() {
        for (flaw, sentence) in [
            (
                Flaw::BrokenCertificate,
                "one of its certificates is damaged",
            ),
            (
                Flaw::Unsupported(oids::PBES2.to_vec()),
                "it is encrypted or authenticated with 1.2.840.113549.1.5.13, which is not supported",
            ),
            (
                Flaw::SignedArchive,
                "it is authenticated with a certificate, and only passwords are supported",
            ),
            (
                Flaw::TooManyRounds,
                "deriving the keys of its encryption would take more than 3000000 rounds",
            ),
        ] {
            assert_eq!(flaw.to_string(), sentence);
        }
    }
}
