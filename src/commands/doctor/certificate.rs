//! Who signed a certificate: the name of a proxy that inspects TLS.

use crate::identity::certificate::asn1::{OID, Reader, SEQUENCE};
use crate::identity::certificate::x509::X509;
use crate::text::sanitize_line;

/// `commonName` and `organizationName` (RFC 5280, appendix A.1).
const NAMES: [&[u8]; 2] = [&[0x55, 0x04, 0x03], &[0x55, 0x04, 0x0a]];

const SET: u8 = 0x31;

/// Returns the common name of the issuer, else its organization, of a certificate in DER (RFC 5280, section 4.1.2.4).
pub(super) fn issuer(der: &[u8]) -> Option<String> {
    let mut parts = Reader::new(X509::from_der(der).ok()?.issuer);
    let mut found = [None, None];
    while let Ok(mut part) = parts.enter(SET).and_then(|mut set| set.enter(SEQUENCE)) {
        let (Ok(kind), Ok(text)) = (part.expect(OID), part.element()) else {
            continue;
        };
        if let Some(at) = NAMES.iter().position(|name| *name == kind.content) {
            found[at] = Some(sanitize_line(&String::from_utf8_lossy(text.content)));
        }
    }
    found.into_iter().flatten().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_bytes_are_no_certificate() {
        for bytes in [
            &[][..],
            &[0x30, 0],
            &[0x30, 2, 0x30, 0],
            b"-----BEGIN CERTIFICATE-----",
        ] {
            assert_eq!(issuer(bytes), None);
        }
    }
}
