//! Certificates (RFC 5280, section 4.1): whose key they are for, and which follows which.

use super::Result;
use super::asn1::{CONTEXT_0, INTEGER, Reader, SEQUENCE};

/// The fields of a certificate that are used.
#[derive(Debug)]
pub(crate) struct X509<'a> {
    pub(crate) issuer: &'a [u8],
    pub(crate) subject: &'a [u8],
    /// For RSA, an `RSAPublicKey` (RFC 8017, appendix A.1.1).
    public_key: &'a [u8],
}

impl<'a> X509<'a> {
    /// Reads a certificate in DER.
    pub(crate) fn from_der(certificate: &'a [u8]) -> Result<Self> {
        let mut fields = Reader::sequence(certificate)?.enter(SEQUENCE)?;
        // Version 1 does not give its version.
        fields.optional(CONTEXT_0)?;
        fields.expect(INTEGER)?;
        fields.expect(SEQUENCE)?;
        let issuer = fields.expect(SEQUENCE)?.content;
        // The validity.
        fields.expect(SEQUENCE)?;
        let subject = fields.expect(SEQUENCE)?.content;
        let mut key = fields.enter(SEQUENCE)?;
        key.expect(SEQUENCE)?;
        Ok(Self {
            issuer,
            subject,
            public_key: key.bits()?,
        })
    }
}

/// Returns the first certificate for a public key, each followed by that of its issuer. Others are left out, and signatures are not
/// checked: the receiver of the chain does that.
pub(super) fn chain(certificates: &[Vec<u8>], public_key: &[u8]) -> Result<Vec<Vec<u8>>> {
    let parsed = certificates.iter().map(|der| X509::from_der(der));
    let parsed = parsed.collect::<Result<Vec<_>>>()?;
    let mut last = parsed
        .iter()
        .position(|certificate| certificate.public_key == public_key)
        .ok_or("it holds no certificate of its private key")?;
    let mut order = vec![last];
    while parsed[last].issuer != parsed[last].subject {
        let is_next =
            |at: &usize| parsed[*at].subject == parsed[last].issuer && !order.contains(at);
        let Some(next) = (0..parsed.len()).find(is_next) else {
            break;
        };
        last = next;
        order.push(next);
    }
    let chain = order.into_iter().map(|at| certificates[at].clone());
    Ok(chain.collect())
}
