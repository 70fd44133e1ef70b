//! TLS for every client: what is trusted, and by whose cryptography.
//!
//! Nothing is installed for the whole process: a program that uses this crate chooses its own cryptography.

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::CertificateDer;
#[cfg(all(unix, not(target_os = "macos")))]
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;
#[cfg(all(unix, not(target_os = "macos")))]
use std::path::Path;
use std::sync::Arc;

/// The cryptography that the program has chosen for rustls, else ring's.
pub(super) fn provider() -> Arc<CryptoProvider> {
    CryptoProvider::get_default()
        .cloned()
        .unwrap_or_else(|| Arc::new(ring::default_provider()))
}

/// Trusts what the system trusts, and these certificates besides. Errors when there is nothing to trust.
pub(super) fn system(besides: Vec<CertificateDer<'static>>) -> Result<ClientConfig, rustls::Error> {
    let provider = provider();
    let verifier = match &besides[..] {
        // Not every system can be given more.
        [] => Verifier::new(provider)?,
        _ => Verifier::new_with_extra_roots(besides, provider)?,
    };
    trusting(Arc::new(verifier))
}

/// Files with the system's certificates: Debian and Alpine, RHEL and Fedora, SUSE, and other systems (Go, `crypto/x509/root_linux.go`).
#[cfg(all(unix, not(target_os = "macos")))]
const SYSTEM_CA_FILES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Trusts what the system trusts, whatever `SSL_CERT_FILE` and `SSL_CERT_DIR` say, and these certificates besides.
#[cfg(all(unix, not(target_os = "macos")))]
pub(super) fn system_without_variables(
    besides: Vec<CertificateDer<'static>>,
) -> Result<ClientConfig, rustls::Error> {
    let mut store = RootCertStore::empty();
    for root in besides {
        store.add(root)?;
    }
    let file = SYSTEM_CA_FILES.iter().find(|file| Path::new(file).exists());
    let certificates = file.map(CertificateDer::pem_file_iter).transpose();
    let certificates = certificates.map_err(|error| rustls::Error::General(error.to_string()))?;
    // As the platform's verifier does, certificates of the system that cannot be read are left out.
    store.add_parsable_certificates(certificates.into_iter().flatten().flatten());
    verifying(store)
}

/// The variables mean nothing to these systems.
#[cfg(any(windows, target_os = "macos"))]
pub(super) fn system_without_variables(
    besides: Vec<CertificateDer<'static>>,
) -> Result<ClientConfig, rustls::Error> {
    system(besides)
}

/// Trusts these certificates and nothing else. Errors when one of them cannot be a root.
pub(super) fn only(
    roots: impl IntoIterator<Item = CertificateDer<'static>>,
) -> Result<ClientConfig, rustls::Error> {
    let mut store = RootCertStore::empty();
    for root in roots {
        store.add(root)?;
    }
    verifying(store)
}

fn verifying(store: RootCertStore) -> Result<ClientConfig, rustls::Error> {
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider()).build();
    trusting(verifier.map_err(|error| rustls::Error::General(error.to_string()))?)
}

/// TLS 1.2 and later, and HTTP/1.1, with whoever the verifier trusts.
pub(super) fn trusting(
    verifier: Arc<dyn ServerCertVerifier>,
) -> Result<ClientConfig, rustls::Error> {
    let builder =
        ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    let mut config = builder
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
