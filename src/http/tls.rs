//! TLS for every client: which certificates are trusted, and whose cryptography is used.
//!
//! Nothing is installed for the whole process, so that a program that uses this crate can install its own cryptography.

use super::Network;
use crate::config::{NetworkSettings, Origin};
use crate::error::{Error, Stage};
use crate::files::read_limited;
use crate::trust::{self, Refusal};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;
use std::io;
use std::path::Path;
use std::sync::Arc;

type Certificates = Vec<CertificateDer<'static>>;

/// The limit for a file of CA certificates.
const MAX_CA_FILE_BYTES: usize = 1024 * 1024;

/// Whether the platform's verifier reads `SSL_CERT_FILE` and `SSL_CERT_DIR`. Those of Windows and macOS do not.
const READS_CA_VARIABLES: bool = cfg!(not(any(windows, target_os = "macos")));

/// Files with the system's certificates: Debian and Alpine, RHEL and Fedora, SUSE, and other systems (Go, `crypto/x509/root_linux.go`).
const SYSTEM_CA_FILES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

impl Network {
    /// Returns the TLS configuration for an authority or registry.
    pub(super) fn tls_config(&self, host: &str) -> Result<ClientConfig, Error> {
        let settings = &self.settings;
        let only = match &settings.system_ca_file {
            // The platform's verifier would wait for a pipe, and never stop reading a device. Reading it here is an error.
            Some(file) if !READS_CA_VARIABLES || !file.is_file() => {
                let pem = read_limited(file, MAX_CA_FILE_BYTES);
                Some(certificates("SSL_CERT_FILE".into(), file, pem)?)
            }
            None if READS_CA_VARIABLES && !self.ignored_ca_variables.is_empty() => {
                Some(system_certificates())
            }
            _ => None,
        };
        let extra = settings.ca_file.as_ref().map(|file| {
            let (path, directory) = (&file.value, settings.working_directory.as_deref());
            let directory = directory.filter(|_| matches!(file.origin, Origin::Variable(_)));
            let real = trust::resolve_named(path, directory);
            let pem = real.and_then(|real| read_limited(&real, MAX_CA_FILE_BYTES));
            certificates(file.origin.setting("ca_file"), path, pem)
        });
        config(only, extra.transpose()?.unwrap_or_default())
            .map_err(|error| self.connect_error(Stage::Tls, host, &error))
    }
}

/// Returns a configuration that trusts `extra` and the platform's certificates, or `extra` and `only` if that is given.
pub(super) fn config(
    only: Option<Certificates>,
    extra: Certificates,
) -> Result<ClientConfig, rustls::Error> {
    let verifier: Arc<dyn ServerCertVerifier> = match only {
        Some(roots) => {
            let mut store = RootCertStore::empty();
            // Skips certificates that cannot be parsed, as the platform's verifier does.
            store.add_parsable_certificates(roots);
            for root in extra {
                store.add(root)?;
            }
            WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider())
                .build()
                .map_err(|error| rustls::Error::General(error.to_string()))?
        }
        // Not every platform accepts more certificates.
        None if extra.is_empty() => Arc::new(Verifier::new(provider())?),
        None => Arc::new(Verifier::new_with_extra_roots(extra, provider())?),
    };
    verified_by(verifier)
}

/// Returns a configuration with TLS 1.2 and later, HTTP/1.1, and this verifier.
pub(super) fn verified_by(
    verifier: Arc<dyn ServerCertVerifier>,
) -> Result<ClientConfig, rustls::Error> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// Returns the cryptography that the program has installed for rustls, else ring's.
pub(super) fn provider() -> Arc<CryptoProvider> {
    CryptoProvider::get_default()
        .cloned()
        .unwrap_or_else(|| Arc::new(ring::default_provider()))
}

/// Returns the system's certificates, whatever `SSL_CERT_FILE` and `SSL_CERT_DIR` say.
fn system_certificates() -> Certificates {
    let file = SYSTEM_CA_FILES.iter().find(|file| Path::new(file).exists());
    let certificates = file.and_then(|file| CertificateDer::pem_file_iter(file).ok());
    certificates.into_iter().flatten().flatten().collect()
}

/// Returns the certificates in `pem`, which was read from the file that a setting names.
fn certificates(
    name: String,
    file: &Path,
    pem: io::Result<Vec<u8>>,
) -> Result<Certificates, Error> {
    let file = file.display();
    let pem = pem.map_err(|error| {
        let which = Refusal::from_io(&error).map_or("", |_| ", which is not trusted");
        Error::unreadable(&name, &format!("names {file}{which}: {error}"), &error)
    })?;
    let found = CertificateDer::pem_slice_iter(&pem).collect::<Result<Certificates, _>>();
    let found = found.ok().filter(|found| !found.is_empty());
    found.ok_or_else(|| {
        Error::setting(
            name,
            format_args!("names {file}, which holds no PEM certificate"),
        )
    })
}

/// Returns why the helper ignores `SSL_CERT_FILE` and `SSL_CERT_DIR`, a sentence each. It also ignores a path that does not exist: other
/// users could create it before it is read.
pub(super) fn untrusted_ca_variables(settings: &NetworkSettings) -> Vec<String> {
    let file = settings.system_ca_file.iter();
    let directories = settings.system_ca_dirs.iter();
    let sentence = |(name, path): (&str, &Path)| {
        let directory = settings.working_directory.as_deref();
        let error = trust::resolve_certificates(path, directory).err()?;
        let path = path.display();
        Some(match Refusal::from_io(&error) {
            Some(refusal) => format!(
                "the helper ignores `{name}`, because {path} is not trusted: {refusal} (to fix it: {})",
                refusal.fix()
            ),
            None => format!("the helper ignores `{name}`: {path} cannot be read: {error}"),
        })
    };
    file.map(|path| ("SSL_CERT_FILE", path.as_path()))
        .chain(directories.map(|path| ("SSL_CERT_DIR", path.as_path())))
        // A device or a pipe is reported when it is read.
        .filter(|(_, path)| !path.exists() || path.is_file() || path.is_dir())
        .filter_map(sentence)
        .collect()
}
