//! TLS for every client: what is trusted, and by whose cryptography.
//!
//! Nothing is installed for the whole process: a program that uses this crate chooses its own cryptography.

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;
use std::sync::Arc;

/// The cryptography that the program has chosen for rustls, else ring's.
pub(super) fn provider() -> Arc<CryptoProvider> {
    CryptoProvider::get_default().cloned().unwrap_or_else(|| Arc::new(ring::default_provider()))
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

/// Trusts these certificates and nothing else. Errors when one of them cannot be a root.
pub(super) fn only(roots: impl IntoIterator<Item = CertificateDer<'static>>) -> Result<ClientConfig, rustls::Error> {
    let mut store = RootCertStore::empty();
    for root in roots {
        store.add(root)?;
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider()).build();
    trusting(verifier.map_err(|error| rustls::Error::General(error.to_string()))?)
}

/// TLS 1.2 and later, and HTTP/1.1, with whoever the verifier trusts.
pub(super) fn trusting(verifier: Arc<dyn ServerCertVerifier>) -> Result<ClientConfig, rustls::Error> {
    let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    let mut config = builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
