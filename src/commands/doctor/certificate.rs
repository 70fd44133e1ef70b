//! Who signed a certificate, and until when it is good: what is worth telling of it.

use crate::identity::certificate::asn1::{OID, Reader, SEQUENCE};
use crate::identity::certificate::x509::X509;
use crate::text::printable;
use std::time::SystemTime;
use time::{Date, Month, OffsetDateTime, Time};

/// `commonName` and `organizationName` (RFC 5280, appendix A.1).
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const ORGANIZATION: &[u8] = &[0x55, 0x04, 0x0a];

const SET: u8 = 0x31;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// What is shown of a certificate.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Facts {
    /// The common name of who signed it, else the organization.
    pub(super) issuer: String,
    /// The common name of whom it is for.
    pub(super) subject: String,
    /// Its last moment.
    pub(super) ends: SystemTime,
}

impl Facts {
    /// Reads a certificate in DER.
    pub(super) fn of(der: &[u8]) -> Option<Self> {
        let certificate = X509::from_der(der).ok()?;
        let not_after = certificate.not_after;
        Some(Self {
            issuer: name(Reader::new(certificate.issuer)),
            subject: name(Reader::new(certificate.subject)),
            ends: moment(not_after.tag, not_after.content)?,
        })
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
        .unwrap_or_else(|| "somebody without a name".into())
}

/// Reads `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ` (RFC 5280, section 4.1.2.5).
fn moment(tag: u8, content: &[u8]) -> Option<SystemTime> {
    let text = std::str::from_utf8(content).ok()?.strip_suffix('Z')?;
    let (year, rest) = match tag {
        UTC_TIME => {
            let (year, rest) = text.split_at_checked(2)?;
            let year: i32 = year.parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        GENERALIZED_TIME => {
            let (year, rest) = text.split_at_checked(4)?;
            (year.parse().ok()?, rest)
        }
        _ => return None,
    };
    let pair = |at: usize| rest.get(at..at + 2)?.parse::<u8>().ok();
    let month = Month::try_from(pair(0)?).ok()?;
    let date = Date::from_calendar_date(year, month, pair(2)?).ok()?;
    let time = Time::from_hms(pair(4)?, pair(6)?, pair(8)?).ok()?;
    Some(OffsetDateTime::new_utc(date, time).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn both_forms_of_a_time_are_read() {
        let at = |seconds| Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(moment(UTC_TIME, b"700101000001Z"), at(1));
        assert_eq!(moment(UTC_TIME, b"490101000000Z"), at(2_493_072_000));
        assert_eq!(moment(GENERALIZED_TIME, b"19700102000000Z"), at(86_400));
        for text in [
            "",
            "Z",
            "7001010000Z",
            "701301000000Z",
            "700101000001",
            "70010100000éZ",
        ] {
            assert_eq!(moment(UTC_TIME, text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn what_is_no_certificate_tells_nothing() {
        for bytes in [
            &[][..],
            &[0x30, 0],
            &[0x30, 2, 0x30, 0],
            b"-----BEGIN CERTIFICATE-----",
        ] {
            assert_eq!(Facts::of(bytes), None);
        }
    }
}
