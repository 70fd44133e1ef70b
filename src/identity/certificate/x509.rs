//! What of certificates matters here: whose key they are for, and which follows which.

use super::flaw::Flaw;
use crate::asn1::{CONTEXT_0, INTEGER, Reader, SEQUENCE};

/// Parts of a certificate (RFC 5280, section 4.1).
pub(super) struct Parts<'a> {
    issuer: &'a [u8],
    subject: &'a [u8],
    /// The content of `subjectPublicKey`: for RSA, an `RSAPublicKey` (RFC 8017, appendix A.1.1).
    public_key: &'a [u8],
}

impl<'a> Parts<'a> {
    pub(super) fn of(certificate: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::sequence(certificate)?.enter(SEQUENCE)?;
        // Version 1 does not say its version.
        reader.optional(CONTEXT_0);
        reader.expect(INTEGER)?;
        reader.expect(SEQUENCE)?;
        let issuer = reader.expect(SEQUENCE)?.whole;
        reader.expect(SEQUENCE)?;
        let subject = reader.expect(SEQUENCE)?.whole;
        let mut key = reader.enter(SEQUENCE)?;
        key.expect(SEQUENCE)?;
        Some(Self {
            issuer,
            subject,
            public_key: key.bits()?,
        })
    }
}

/// A chain has three or four.
const MOST_CERTIFICATES: usize = 64;

/// The first certificate for a public key, followed each by that of its issuer. What does not belong to the chain is left out, and
/// signatures are not checked: that is up to who is shown the chain.
pub(super) fn chain(certificates: &[Vec<u8>], public_key: &[u8]) -> Result<Vec<Vec<u8>>, Flaw> {
    if certificates.len() > MOST_CERTIFICATES {
        return Err(Flaw::ManyCertificates);
    }
    let parts: Option<Vec<Parts<'_>>> = certificates
        .iter()
        .map(|certificate| Parts::of(certificate))
        .collect();
    let parts = parts.ok_or(Flaw::BrokenCertificate)?;
    let mut last = parts
        .iter()
        .position(|parts| parts.public_key == public_key)
        .ok_or(Flaw::Unrelated)?;
    let mut order = vec![last];
    while parts[last].issuer != parts[last].subject {
        let is_next = |at: &usize| parts[*at].subject == parts[last].issuer && !order.contains(at);
        let Some(next) = (0..parts.len()).find(is_next) else {
            break;
        };
        last = next;
        order.push(next);
    }
    Ok(order
        .into_iter()
        .map(|at| certificates[at].clone())
        .collect())
}
