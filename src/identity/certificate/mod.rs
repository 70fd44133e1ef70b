//! Signs in as an application that has a certificate, without OpenSSL.
//!
//! The file holds a certificate and its private key, in PEM or PKCS#12. With the key a statement is signed, a JWT, that is as good
//! as a client secret; Entra knows the certificate. The `azure_identity` crate has that only with OpenSSL, and only for PKCS#12.

mod assertion;
mod decryption;
mod flaw;
mod oids;
mod pem;
mod pkcs12;
mod pkcs8;
mod x509;

#[cfg(test)]
mod openssl;

pub(super) use assertion::SignedAssertion;

use crate::asn1::{Reader, SEQUENCE};
use crate::files::read_limited;
use flaw::Flaw;
use ring::rsa::KeyPair;
use secrecy::{ExposeSecret, SecretString};
use std::fmt;
use std::path::Path;
use zeroize::Zeroizing;

/// A key with a long chain has less than 20 KB.
const FILE_LIMIT: usize = 1024 * 1024;

/// A certificate with its private key.
pub(super) struct Certificate {
    key: KeyPair,
    /// The certificate of the key, followed by those that lead to its root, as far as they were in the file.
    chain: Vec<Vec<u8>>,
}

impl Certificate {
    /// Reads a file in PEM or PKCS#12, whichever it is. An empty password is none; one that is not needed is not used.
    ///
    /// Takes as long as the file wants keys to be derived: milliseconds with what programs write, about two seconds at most.
    ///
    /// Errors: a sentence about the file, "it holds no private key".
    pub(super) fn read(path: &Path, password: Option<&SecretString>) -> Result<Self, String> {
        let password = password
            .map(ExposeSecret::expose_secret)
            .filter(|password| !password.is_empty());
        let bytes = read_limited(path, FILE_LIMIT)
            .map(Zeroizing::new)
            .map_err(Flaw::Unreadable);
        let certificate = bytes
            .and_then(|bytes| Contents::read(&bytes, password))
            .and_then(|contents| Self::new(&contents));
        certificate.map_err(|flaw| match flaw {
            Flaw::PasswordWrong if password.is_none() => Flaw::PasswordMissing.to_string(),
            flaw => flaw.to_string(),
        })
    }

    fn new(contents: &Contents) -> Result<Self, Flaw> {
        let key = match &contents.keys[..] {
            [key] => rsa(key)?,
            [] if contents.certificates.is_empty() => return Err(Flaw::Empty),
            [] => return Err(Flaw::NoKey),
            keys => return Err(Flaw::SeveralKeys(keys.len())),
        };
        if contents.certificates.is_empty() {
            return Err(Flaw::NoCertificate);
        }
        let chain = x509::chain(&contents.certificates, key.public().as_ref())?;
        Ok(Self { key, chain })
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").finish_non_exhaustive()
    }
}

/// What a file holds, in its order.
#[derive(Default)]
struct Contents {
    /// Each an `RSAPrivateKey` (RFC 8017, appendix A.1.2).
    keys: Vec<Zeroizing<Vec<u8>>>,
    certificates: Vec<Vec<u8>>,
}

impl Contents {
    fn read(bytes: &[u8], password: Option<&str>) -> Result<Self, Flaw> {
        if pkcs12::is_archive(bytes) {
            return pkcs12::read(bytes, password);
        }
        if pem::is_pem(bytes) {
            return pem::read(bytes, password);
        }
        Err(if x509::Parts::of(bytes).is_some() {
            Flaw::CertificateAlone
        } else {
            Flaw::UnknownFormat
        })
    }
}

fn rsa(key: &[u8]) -> Result<KeyPair, Flaw> {
    let length = modulus_length(key).ok_or(Flaw::BrokenKey)?;
    if !(2048..=4096).contains(&length) {
        return Err(Flaw::KeyLength(length));
    }
    KeyPair::from_der(key).map_err(|_| Flaw::BrokenKey)
}

/// The bits of an RSA key; ring calls a key too short without saying how short, and also when its exponent is uncommon.
fn modulus_length(key: &[u8]) -> Option<usize> {
    let mut reader = Reader::new(key).enter(SEQUENCE)?;
    reader.number()?;
    let modulus = reader.big_number()?;
    Some(modulus.len() * 8 - modulus.first()?.leading_zeros() as usize)
}

#[cfg(test)]
mod tests {
    use super::openssl::{Folder, PASSWORD};
    use super::*;

    fn read(path: &Path, password: Option<&str>) -> Result<Certificate, String> {
        Certificate::read(path, password.map(SecretString::from).as_ref())
    }

    /// What is wrong with a file.
    fn flaw(path: &Path, password: Option<&str>) -> String {
        read(path, password).unwrap_err()
    }

    #[track_caller]
    fn is_whole_chain(folder: &Folder, name: &str, password: Option<&str>) {
        let certificate = read(&folder.path(name), password).unwrap();
        assert!(
            certificate.chain
                == ["leaf.pem", "middle.pem", "root.pem"].map(|name| folder.der(name)),
            "{name}"
        );
        assert_eq!(format!("{certificate:?}"), "Certificate { .. }");
    }

    #[track_caller]
    fn is_encrypted(folder: &Folder, name: &str) {
        is_whole_chain(folder, name, Some(PASSWORD));
        for (password, sentence) in [
            (
                None,
                "it is encrypted, and `AZURE_CLIENT_CERTIFICATE_PASSWORD` is not set",
            ),
            (
                Some(""),
                "it is encrypted, and `AZURE_CLIENT_CERTIFICATE_PASSWORD` is not set",
            ),
            (
                Some("wrong"),
                "the password of `AZURE_CLIENT_CERTIFICATE_PASSWORD` does not open it",
            ),
        ] {
            assert_eq!(flaw(&folder.path(name), password), sentence);
        }
    }

    #[test]
    fn what_is_no_small_file_in_a_known_format_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| {
            std::fs::write(folder.path().join(name), bytes).unwrap();
            folder.path().join(name)
        };
        let unknown = "it is neither PEM nor PKCS#12";
        for (bytes, sentence) in [
            (&b""[..], unknown),
            (b"\x30", unknown),
            (b"\x30\x03\x02\x01\x02", unknown),
            (b"-----BEGIN", unknown),
            (b"\xff\xfe-\0-\0-\0-\0-\0B\0E\0G\0I\0N\0 \0", unknown),
            (b"\x30\x03\x02\x01\x03", "it looks like PKCS#12 but is damaged"),
            (b"-----BEGIN DH PARAMETERS-----\n-----END DH PARAMETERS-----\n", "it holds neither a private key nor a certificate"),
            (b"-----BEGIN PRIVATE KEY-----\nAAAA\n", "its PEM section `PRIVATE KEY` is damaged"),
            (b"-----BEGIN PRIVATE KEY-----\nA*==\n-----END PRIVATE KEY-----", "its PEM section `PRIVATE KEY` is damaged"),
            (b"-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----", "its private key is damaged"),
            (b"-----BEGIN RSA PRIVATE KEY-----\r\nMAA=\r\n-----END RSA PRIVATE KEY-----\r\n", "its private key is damaged"),
            (b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n", "it holds no private key"),
            (
                b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAQwAAQA\n-----END ENCRYPTED PRIVATE KEY-----\n",
                "what it says about its encryption is damaged",
            ),
        ] {
            assert_eq!(flaw(&write("file", bytes), None), sentence, "{}", bytes.escape_ascii());
        }
        let huge = write("huge", &vec![b'-'; FILE_LIMIT + 1]);
        assert_eq!(
            flaw(&huge, None),
            "it cannot be read: it is longer than 1048576 bytes"
        );
        assert!(flaw(&folder.path().join("missing"), None).starts_with("it cannot be read: "));
        #[cfg(unix)]
        assert_eq!(
            flaw(Path::new("/dev/zero"), None),
            "it cannot be read: it is not a regular file"
        );
    }

    #[test]
    #[ignore = "needs openssl: run tests/run"]
    fn pem_is_read_in_any_order() {
        let folder = Folder::new();
        folder.join(
            "mixed",
            &[
                "other.pem",
                "root.pem",
                "leaf.key",
                "leaf.pem",
                "middle.pem",
            ],
        );
        is_whole_chain(&folder, "mixed", None);
        is_whole_chain(&folder, "mixed", Some("not needed"));
        let with_crlf = String::from_utf8(folder.read("mixed"))
            .unwrap()
            .replace('\n', "\r\n");
        folder.write("crlf", format!("\u{feff}{with_crlf}").as_bytes());
        is_whole_chain(&folder, "crlf", None);
        // With a text before each section.
        folder.archive("archive", "-passout pass:");
        folder.openssl("pkcs12 -in archive -passin pass: -nodes -out described");
        assert!(
            String::from_utf8(folder.read("described"))
                .unwrap()
                .contains("Bag Attributes")
        );
        is_whole_chain(&folder, "described", None);
    }

    #[test]
    #[ignore = "needs openssl: run tests/run"]
    fn the_key_of_pem_may_have_any_form() {
        let folder = Folder::new();
        folder.openssl("rsa -traditional -in leaf.key -out old.key");
        folder.join("file", &["old.key", "leaf.pem", "issuers"]);
        is_whole_chain(&folder, "file", None);
        for encryption in [
            "-v2 aes-256-cbc",
            "-v2 aes-128-cbc -v2prf hmacWithSHA1",
            "-v2 aes-192-cbc -v2prf hmacWithSHA384",
            "-v2 aes-256-cbc -v2prf hmacWithSHA512",
            "-v2 des3",
            "-v1 PBE-SHA1-3DES",
        ] {
            folder.openssl(&format!(
                "pkcs8 -topk8 -in leaf.key -passout env:PASSWORD -out new.key {encryption}"
            ));
            folder.join("file", &["leaf.pem", "issuers", "new.key"]);
            is_encrypted(&folder, "file");
        }
    }

    #[test]
    #[ignore = "needs openssl: run tests/run"]
    fn the_old_encryption_of_pem_is_told_how_to_be_replaced() {
        let folder = Folder::new();
        folder.openssl("rsa -traditional -aes256 -passout env:PASSWORD -in leaf.key -out old.key");
        assert_eq!(
            flaw(&folder.path("old.key"), Some(PASSWORD)),
            "its private key is encrypted in an outdated way: convert it with `openssl pkcs8 -topk8`"
        );
        folder.openssl(
            "pkcs8 -topk8 -in old.key -passin env:PASSWORD -passout env:PASSWORD -out new.key",
        );
        folder.join("file", &["new.key", "leaf.pem", "issuers"]);
        is_encrypted(&folder, "file");
    }

    #[test]
    #[ignore = "needs openssl: run tests/run"]
    fn pkcs12_is_read_with_every_encryption_that_programs_use() {
        let folder = Folder::new();
        for arguments in [
            "",
            "-legacy",
            "-legacy -descert",
            "-legacy -keypbe PBE-SHA1-2DES -certpbe PBE-SHA1-RC2-128",
            "-keypbe AES-128-CBC -certpbe AES-192-CBC -macalg sha384",
            "-keypbe NONE -certpbe NONE -macalg sha512",
            "-macalg sha1",
            "-nomac",
            "-nomac -legacy",
        ] {
            folder.archive("file", &format!("-passout env:PASSWORD {arguments}"));
            is_encrypted(&folder, "file");
        }
    }

    #[test]
    #[ignore = "needs openssl: run tests/run"]
    fn pkcs12_without_a_password_needs_none() {
        let folder = Folder::new();
        for arguments in [
            "",
            "-legacy",
            "-keypbe NONE -certpbe NONE",
            "-keypbe NONE -certpbe NONE -nomac",
        ] {
            folder.archive("file", &format!("-passout pass: {arguments}"));
            is_whole_chain(&folder, "file", None);
            is_whole_chain(&folder, "file", Some(""));
        }
        // Neither encrypted nor authenticated.
        is_whole_chain(&folder, "file", Some("not needed"));
    }

    #[test]
    #[ignore = "needs openssl: run tests/run"]
    fn what_is_no_pair_of_certificate_and_key_is_refused() {
        let folder = Folder::new();
        for (name, kind) in [
            ("short", "RSA -pkeyopt rsa_keygen_bits:1024"),
            ("curve", "EC -pkeyopt ec_paramgen_curve:P-256"),
        ] {
            folder.openssl(&format!("genpkey -algorithm {kind} -out {name}.key"));
            folder.openssl(&format!(
                "req -x509 -key {name}.key -subj /CN={name} -days 2 -out {name}.pem"
            ));
            folder.openssl(&format!(
                "pkcs12 -export -inkey {name}.key -in {name}.pem -passout pass: -out {name}.p12"
            ));
        }
        folder.openssl("ec -in curve.key -out curve.old");
        folder.openssl("x509 -in leaf.pem -outform der -out leaf.cer");
        folder.openssl("pkcs12 -export -nokeys -in leaf.pem -passout pass: -out leaf.p12");
        folder.openssl("pkcs12 -export -nocerts -inkey leaf.key -passout pass: -out key.p12");
        let not_rsa = "its private key is not an RSA key, and no other kind is supported";
        let short = "its RSA key has 1024 bits, and only 2048 to 4096 are supported";
        for (parts, sentence) in [
            (&["leaf.key"][..], "it holds no certificate"),
            (&["key.p12"], "it holds no certificate"),
            (&["leaf.pem"], "it holds no private key"),
            (&["leaf.p12"], "it holds no private key"),
            (
                &["leaf.cer"],
                "it is a certificate without its private key: PEM with both is needed, or PKCS#12",
            ),
            (
                &["leaf.key", "issuers"],
                "none of its certificates belongs to its private key",
            ),
            (
                &["leaf.key", "leaf.pem", "other.key"],
                "it holds 2 private keys, and nothing tells which one is meant",
            ),
            (&["short.key", "short.pem"], short),
            (&["short.p12"], short),
            (&["curve.key", "curve.pem"], not_rsa),
            (&["curve.old", "curve.pem"], not_rsa),
            (&["curve.p12"], not_rsa),
        ] {
            assert_eq!(
                flaw(&folder.join("file", parts), None),
                sentence,
                "{parts:?}"
            );
        }
    }

    #[test]
    #[ignore = "needs openssl: run tests/run"]
    fn damage_is_refused_or_leaves_a_certificate_with_its_key() {
        let folder = Folder::new();
        folder.archive("encrypted", "-passout pass: -iter 1");
        folder.archive("bare", "-passout pass: -keypbe NONE -certpbe NONE -nomac");
        folder.join("pem", &["leaf.key", "leaf.pem"]);
        for whole in ["encrypted", "bare", "pem"].map(|name| folder.read(name)) {
            for at in (0..whole.len()).step_by(5) {
                let changed = [&whole[..at], &[whole[at] ^ 0x81], &whole[at + 1..]].concat();
                for damaged in [&whole[..at], &changed] {
                    if let Ok(Certificate { chain, key }) =
                        Contents::read(damaged, None).and_then(|it| Certificate::new(&it))
                    {
                        assert!(x509::chain(&chain, key.public().as_ref()).unwrap() == chain);
                    }
                }
            }
        }
    }
}
