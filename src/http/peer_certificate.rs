//! Reads the certificate of a host, and closes the connection before a request is sent.
//!
//! `doctor` diagnoses certificates that the HTTP client does not return: untrusted ones, and those of connections through a proxy.

use super::{Network, base, tls};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, SignatureScheme};
use std::sync::{Arc, Mutex};

/// A verifier that stores the certificate in DER and refuses it.
#[derive(Debug, Default)]
struct CaptureVerifier(Mutex<Option<Vec<u8>>>);

impl Network {
    /// Returns the certificate of a host in DER, trusted or not.
    pub async fn server_certificate(&self, host: &str) -> Option<Vec<u8>> {
        let verifier = Arc::new(CaptureVerifier::default());
        let builder = base(tls::verified_by(verifier.clone()).ok()?).https_only(true);
        let request = builder.build().ok()?.head(format!("https://{host}/"));
        // It always fails: the verifier refuses every certificate.
        drop(request.send().await);
        verifier.0.lock().ok()?.take()
    }
}

fn refuse<T>() -> Result<T, Error> {
    Err(Error::General("the certificate is only read".into()))
}

impl ServerCertVerifier for CaptureVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Ok(mut certificate) = self.0.lock() {
            *certificate = Some(end_entity.to_vec());
        }
        refuse()
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        refuse()
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        refuse()
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = tls::provider().signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}
