//! Keys and certificates for tests, made by the `openssl` command when they are needed: ring cannot make RSA keys.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;
use tempfile::TempDir;

/// The password of all that is encrypted.
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

/// A folder in which openssl is run.
pub(super) struct Folder(TempDir);

impl Folder {
    /// With a chain: `leaf.pem` issued by `middle.pem`, that by `root.pem`; `other.pem` has nothing to do with it. Each has its
    /// `.key`, and `issuers` are all but the first.
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

    /// The certificate in a PEM file, in DER.
    pub(super) fn der(&self, name: &str) -> Vec<u8> {
        CertificateDer::from_pem_file(self.path(name))
            .unwrap()
            .to_vec()
    }

    /// A new file out of others.
    pub(super) fn join(&self, name: &str, parts: &[&str]) -> PathBuf {
        let parts: Vec<Vec<u8>> = parts.iter().map(|part| self.read(part)).collect();
        self.write(name, &parts.concat())
    }

    /// Runs openssl with arguments that are parted by spaces; `PASSWORD` in the environment is the password.
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

    /// A PKCS#12 file of the chain with some arguments more, or instead of the password.
    #[track_caller]
    pub(super) fn archive(&self, name: &str, arguments: &str) -> PathBuf {
        self.openssl(&format!(
            "pkcs12 -export -inkey leaf.key -in leaf.pem -certfile issuers -out {name} {arguments}"
        ));
        self.path(name)
    }
}
