//! Which certificate files are accepted. The `openssl` command makes keys and certificates when they are needed: ring cannot make RSA keys.

use super::*;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;
use tempfile::TempDir;

/// The password of all encrypted files.
pub(super) const PASSWORD: &str = "pässword €";

static CHAIN: LazyLock<Folder> = LazyLock::new(|| {
    let folder = Folder(tempfile::tempdir().unwrap());
    for name in ["root", "middle", "leaf", "other"] {
        folder.openssl(&format!(
            "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out {name}.key"
        ));
    }
    for name in ["root", "other"] {
        folder.openssl(&format!(
            "req -x509 -key {name}.key -subj /CN={name} -days 2 -out {name}.pem"
        ));
    }
    // Without an extension a certificate is of version 1.
    folder.write("extension", b"basicConstraints=CA:FALSE");
    for (name, issuer, more) in [
        ("middle", "root", ""),
        ("leaf", "middle", " -extfile extension"),
    ] {
        folder.openssl(&format!(
            "req -new -key {name}.key -subj /CN={name} -out {name}.csr"
        ));
        folder.openssl(&format!(
            "x509 -req -in {name}.csr -CA {issuer}.pem -CAkey {issuer}.key -set_serial 7 -days 2 -out {name}.pem{more}"
        ));
    }
    folder.join("issuers", &["root.pem", "other.pem", "middle.pem"]);
    folder
});

/// A folder in which `openssl` runs.
pub(super) struct Folder(TempDir);

impl Folder {
    /// Creates one with a chain: `middle.pem` issued `leaf.pem`, and `root.pem` issued `middle.pem`; `other.pem` is unrelated. Each has its
    /// `.key`, and `issuers` holds all but the first.
    pub(super) fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for file in std::fs::read_dir(&CHAIN.0).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), folder.0.path().join(file.file_name())).unwrap();
        }
        folder
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        std::fs::write(self.path(name), bytes).unwrap();
        self.path(name)
    }

    pub(super) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    /// Returns the certificate in a PEM file, in DER.
    pub(super) fn der(&self, name: &str) -> Vec<u8> {
        CertificateDer::from_pem_file(self.path(name))
            .unwrap()
            .to_vec()
    }

    /// Joins files to a new one.
    pub(super) fn join(&self, name: &str, parts: &[&str]) -> PathBuf {
        let parts: Vec<Vec<u8>> = parts.iter().map(|part| self.read(part)).collect();
        self.write(name, &parts.concat())
    }

    /// Runs `openssl` with arguments that are separated by spaces; `PASSWORD` in the environment is the password.
    #[track_caller]
    pub(super) fn openssl(&self, arguments: &str) {
        let mut command = Command::new("openssl");
        command
            .args(arguments.split_whitespace())
            .current_dir(&self.0)
            .env("PASSWORD", PASSWORD);
        let output = command.output().unwrap();
        assert!(
            output.status.success(),
            "openssl {arguments}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// Creates a PKCS#12 file of the chain with these arguments.
    #[track_caller]
    pub(super) fn archive(&self, name: &str, arguments: &str) -> PathBuf {
        self.openssl(&format!(
            "pkcs12 -export -inkey leaf.key -in leaf.pem -certfile issuers -out {name} {arguments}"
        ));
        self.path(name)
    }
}

fn read(path: &Path, password: Option<&str>) -> Result<Certificate, String> {
    Certificate::read(path, password.map(SecretString::from).as_ref())
}

/// Returns why a file is rejected.
fn error(path: &Path, password: Option<&str>) -> String {
    read(path, password).unwrap_err()
}

#[track_caller]
fn is_whole_chain(folder: &Folder, name: &str, password: Option<&str>) {
    let certificate = read(&folder.path(name), password).unwrap();
    assert!(
        certificate.chain == ["leaf.pem", "middle.pem", "root.pem"].map(|name| folder.der(name)),
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
        assert_eq!(error(&folder.path(name), password), sentence);
    }
}

#[test]
fn a_file_of_another_size_or_format_is_rejected() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        std::fs::write(folder.path().join(name), bytes).unwrap();
        folder.path().join(name)
    };
    for (bytes, sentence) in [
        (&b""[..], UNKNOWN_FORMAT),
        (b"\x30", UNKNOWN_FORMAT),
        (b"\x30\x03\x02\x01\x02", UNKNOWN_FORMAT),
        (b"-----BEGIN", UNKNOWN_FORMAT),
        (b"\xff\xfe-\0-\0-\0-\0-\0B\0E\0G\0I\0N\0 \0", UNKNOWN_FORMAT),
        (b"\x30\x03\x02\x01\x03", "it is damaged"),
        (b"-----BEGIN DH PARAMETERS-----\n-----END DH PARAMETERS-----\n", "it holds no private key"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n", "it is damaged"),
        (b"-----BEGIN PRIVATE KEY-----\nA*==\n-----END PRIVATE KEY-----", "it is damaged"),
        (b"-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----", "it is damaged"),
        (b"-----BEGIN RSA PRIVATE KEY-----\r\nMAA=\r\n-----END RSA PRIVATE KEY-----\r\n", "its RSA key is damaged or does not have 2048 to 4096 bits (InvalidEncoding)"),
        (b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n", "it holds no private key"),
        (
            b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAQwAAQA\n-----END ENCRYPTED PRIVATE KEY-----\n",
            "it is damaged",
        ),
    ] {
        assert_eq!(error(&write("file", bytes), None), sentence, "{}", bytes.escape_ascii());
    }
    let huge = write("huge", &vec![b'-'; MAX_FILE_BYTES + 1]);
    assert_eq!(
        error(&huge, None),
        "it cannot be read: it is longer than 1048576 bytes"
    );
    assert!(error(&folder.path().join("missing"), None).starts_with("it cannot be read: "));
    #[cfg(unix)]
    assert_eq!(
        error(Path::new("/dev/zero"), None),
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
fn the_error_for_the_old_encryption_of_pem_says_how_to_replace_it() {
    let folder = Folder::new();
    folder.openssl("rsa -traditional -aes256 -passout env:PASSWORD -in leaf.key -out old.key");
    assert_eq!(
        error(&folder.path("old.key"), Some(PASSWORD)),
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
fn a_file_without_a_certificate_and_its_rsa_key_is_rejected() {
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
    let short = "its RSA key is damaged or does not have 2048 to 4096 bits (TooSmall)";
    for (parts, sentence) in [
        (
            &["leaf.key"][..],
            "it holds no certificate of its private key",
        ),
        (&["key.p12"], "it holds no certificate of its private key"),
        (&["leaf.pem"], "it holds no private key"),
        (&["leaf.p12"], "it holds no private key"),
        (&["leaf.cer"], UNKNOWN_FORMAT),
        (
            &["leaf.key", "issuers"],
            "it holds no certificate of its private key",
        ),
        (
            &["leaf.key", "leaf.pem", "other.key"],
            "it holds more than one private key",
        ),
        (&["short.key", "short.pem"], short),
        (&["short.p12"], short),
        (&["curve.key", "curve.pem"], not_rsa),
        (&["curve.old", "curve.pem"], not_rsa),
        (&["curve.p12"], not_rsa),
    ] {
        assert_eq!(
            error(&folder.join("file", parts), None),
            sentence,
            "{parts:?}"
        );
    }
}

#[test]
#[ignore = "needs openssl: run tests/run"]
fn a_damaged_file_is_rejected_or_yields_a_certificate_with_its_key() {
    let folder = Folder::new();
    folder.archive("encrypted", "-passout pass: -iter 1");
    folder.archive("bare", "-passout pass: -keypbe NONE -certpbe NONE -nomac");
    folder.join("pem", &["leaf.key", "leaf.pem"]);
    for whole in ["encrypted", "bare", "pem"].map(|name| folder.read(name)) {
        for at in (0..whole.len()).step_by(5) {
            let changed = [&whole[..at], &[whole[at] ^ 0x81], &whole[at + 1..]].concat();
            for damaged in [&whole[..at], &changed] {
                if let Ok(Certificate { chain, key }) = Certificate::parse(damaged, "") {
                    assert!(x509::chain(&chain, key.public().as_ref()).unwrap() == chain);
                }
            }
        }
    }
}
