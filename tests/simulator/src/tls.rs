//! The throw-away certificate authority and the leaf certificates of the simulated hosts.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::crypto::ring::{default_provider, sign::any_ecdsa_type};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::faults::BadCertificate;

type Result<T> = std::result::Result<T, rcgen::Error>;

/// The host of a leaf, and what is wrong with it.
type LeafName = (String, Option<BadCertificate>);

/// The authority, and the leaves that it has issued so far.
pub(crate) struct Certificates {
    trusted: Authority,
    unknown: Authority,
    leaves: Mutex<HashMap<LeafName, Arc<CertifiedKey>>>,
}

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    der: CertificateDer<'static>,
}

impl Certificates {
    /// A new authority.
    pub(crate) fn generate() -> Result<Self> {
        Ok(Self {
            trusted: Authority::generate("simulator CA")?,
            unknown: Authority::generate("CA of nobody")?,
            leaves: Mutex::default(),
        })
    }

    /// The authority's certificate, for clients to trust.
    pub(crate) fn ca_pem(&self) -> &str {
        &self.trusted.pem
    }

    /// The certificate and key for a host, made at its first use.
    fn leaf(&self, host: &str, bad: Option<BadCertificate>) -> Result<Arc<CertifiedKey>> {
        let mut leaves = self.leaves.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = (host.to_owned(), bad);
        if let Some(leaf) = leaves.get(&wanted) {
            return Ok(Arc::clone(leaf));
        }
        let leaf = Arc::new(self.issue(host, bad)?);
        leaves.insert(wanted, Arc::clone(&leaf));
        Ok(leaf)
    }

    fn issue(&self, host: &str, bad: Option<BadCertificate>) -> Result<CertifiedKey> {
        let name = if bad == Some(BadCertificate::OtherName) {
            "other.example"
        } else {
            host
        };
        let mut names = vec![name.to_owned()];
        if name == "localhost" {
            names.extend(["127.0.0.1".to_owned(), "::1".to_owned()]);
        }
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.not_before = date_time_ymd(2020, 1, 1);
        let last_year = if bad == Some(BadCertificate::Expired) {
            2021
        } else {
            2120
        };
        params.not_after = date_time_ymd(last_year, 1, 1);
        let unknown = bad == Some(BadCertificate::UnknownIssuer);
        let authority = if unknown {
            &self.unknown
        } else {
            &self.trusted
        };
        let key = KeyPair::generate()?;
        let (certificate, above) = match bad {
            Some(BadCertificate::SelfSigned) => (params.self_signed(&key)?, None),
            _ => (
                params.signed_by(&key, &authority.issuer)?,
                Some(authority.der.clone()),
            ),
        };
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let key = any_ecdsa_type(&key).map_err(|_| rcgen::Error::CouldNotParseKeyPair)?;
        let chain = std::iter::once(certificate.der().clone())
            .chain(above)
            .collect();
        Ok(CertifiedKey::new(chain, key))
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Certificates")
            .finish_non_exhaustive()
    }
}

impl Authority {
    fn generate(name: &str) -> Result<Self> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2120, 1, 1);
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        let (pem, der) = (certificate.pem(), certificate.der().clone());
        Ok(Self {
            issuer: Issuer::new(params, key),
            pem,
            der,
        })
    }
}

/// A certificate of a signing key, in PEM, for the `rootcertbundle` of a docker-registry.
pub(crate) fn certificate_of(name: &str, pkcs8: &[u8]) -> Result<String> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2120, 1, 1);
    let key = KeyPair::try_from(pkcs8)?;
    Ok(params.self_signed(&key)?.pem())
}

/// Which certificate a TLS server shows.
#[derive(Debug)]
pub(crate) enum Show {
    /// This one: the client said by `CONNECT` whom it wants.
    Host(String, Option<BadCertificate>),
    /// That of the server name sent in the handshake; `localhost` when none was, as for an address.
    ServerName,
}

/// TLS on the server's side.
pub(crate) fn server_config(
    certificates: &Arc<Certificates>,
    show: Show,
) -> std::result::Result<Arc<ServerConfig>, rustls::Error> {
    let resolver = Resolver {
        certificates: Arc::clone(certificates),
        show,
    };
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(resolver));
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

#[derive(Debug)]
struct Resolver {
    certificates: Arc<Certificates>,
    show: Show,
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let (host, bad) = match &self.show {
            Show::Host(host, bad) => (host.as_str(), *bad),
            Show::ServerName => (hello.server_name().unwrap_or("localhost"), None),
        };
        self.certificates.leaf(host, bad).ok()
    }
}
