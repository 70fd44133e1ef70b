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
    let mut rest = vec![];
    for der in certificates {
        rest.push((X509::from_der(der)?, der));
    }
    let mut next = rest.iter().position(|(it, _)| it.public_key == public_key);
    let mut chain = vec![];
    while let Some(index) = next {
        let (last, der) = rest.remove(index);
        chain.push(der.clone());
        // The root is its own issuer.
        let issuer = Some(last.issuer).filter(|issuer| *issuer != last.subject);
        next = rest.iter().position(|(it, _)| Some(it.subject) == issuer);
    }
    if chain.is_empty() {
        return Err("it holds no certificate of its private key".into());
    }
    Ok(chain)
}
