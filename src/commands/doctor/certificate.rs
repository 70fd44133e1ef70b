//! What a certificate says that helps to find a fault: its issuer, its subject, and when it expires.

use crate::identity::certificate::asn1::{OID, Reader, SEQUENCE};
use crate::identity::certificate::x509::X509;
use crate::text::printable;
use azure_core::time::{OffsetDateTime, parse_rfc3339};
use std::fmt;
use std::time::SystemTime;

/// `commonName` and `organizationName` (RFC 5280, appendix A.1).
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const ORGANIZATION: &[u8] = &[0x55, 0x04, 0x0a];

const SET: u8 = 0x31;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// What is shown of a certificate.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct CertificateInfo {
    /// The common name of the issuer, else its organization.
    issuer: String,
    /// The same of the subject.
    subject: String,
    pub(super) expires: SystemTime,
}

impl CertificateInfo {
    /// Reads a certificate in DER.
    pub(super) fn from_der(der: &[u8]) -> Option<Self> {
        let certificate = X509::from_der(der).ok()?;
        let not_after = certificate.not_after;
        Some(Self {
            issuer: name(Reader::new(certificate.issuer)),
            subject: name(Reader::new(certificate.subject)),
            expires: parse_time(not_after.tag, not_after.content)?,
        })
    }
}

impl fmt::Display for CertificateInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            issuer, subject, ..
        } = self;
        let day = OffsetDateTime::from(self.expires).date();
        write!(
            f,
            "the certificate of {subject} is signed by `{issuer}` and ends {day}"
        )
    }
}

/// Returns the common name, else the organization (RFC 5280, section 4.1.2.4).
fn name(mut parts: Reader<'_>) -> String {
    let (mut common, mut organization) = (None, None);
    while let Ok(mut part) = parts.enter(SET).and_then(|mut set| set.enter(SEQUENCE)) {
        let (Ok(kind), Ok(text)) = (part.expect(OID), part.element()) else {
            continue;
        };
        let text = printable(&String::from_utf8_lossy(text.content));
        match kind.content {
            COMMON_NAME => common = Some(text),
            ORGANIZATION => organization = Some(text),
            _ => (),
        }
    }
    common
        .or(organization)
        .unwrap_or_else(|| "an unnamed party".into())
}

/// Parses `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ` (RFC 5280, section 4.1.2.5).
fn parse_time(tag: u8, content: &[u8]) -> Option<SystemTime> {
    let text = std::str::from_utf8(content).ok()?;
    let text = match tag {
        UTC_TIME if text.get(..2)? < "50" => format!("20{text}"),
        UTC_TIME => format!("19{text}"),
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    let (date, time) = text.split_at_checked(8)?;
    let [year, month, day] = [date.get(..4)?, date.get(4..6)?, date.get(6..)?];
    let [hours, minutes, rest] = [time.get(..2)?, time.get(2..4)?, time.get(4..)?];
    let time = parse_rfc3339(&format!("{year}-{month}-{day}T{hours}:{minutes}:{rest}"));
    // `Z` is the only time zone that a certificate may have.
    time.ok().filter(|_| rest.ends_with('Z')).map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn both_forms_of_a_time_are_parsed() {
        let at = |seconds| Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(parse_time(UTC_TIME, b"700101000001Z"), at(1));
        assert_eq!(parse_time(UTC_TIME, b"490101000000Z"), at(2_493_072_000));
        assert_eq!(parse_time(GENERALIZED_TIME, b"19700102000000Z"), at(86_400));
        for text in [
            "",
            "Z",
            "7001010000Z",
            "701301000000Z",
            "700101000001",
            "70010100000éZ",
        ] {
            assert_eq!(parse_time(UTC_TIME, text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn other_bytes_are_no_certificate() {
        for bytes in [
            &[][..],
            &[0x30, 0],
            &[0x30, 2, 0x30, 0],
            b"-----BEGIN CERTIFICATE-----",
        ] {
            assert_eq!(CertificateInfo::from_der(bytes), None);
        }
    }
}
