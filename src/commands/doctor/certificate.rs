//! Who signed a certificate, and until when it is good: what is worth telling of it.

use crate::asn1::{CONTEXT_0, INTEGER, OID, Reader, SEQUENCE};
use crate::text::printable;
use std::time::SystemTime;
use time::{Date, Month, OffsetDateTime, Time};

/// `commonName` and `organizationName` (RFC 5280, appendix A.1).
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const ORGANIZATION: &[u8] = &[0x55, 0x04, 0x0a];

const SET: u8 = 0x31;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// What is told of a certificate.
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
    /// Reads a certificate in DER (RFC 5280, section 4.1).
    pub(super) fn of(der: &[u8]) -> Option<Self> {
        let mut reader = Reader::sequence(der)?.enter(SEQUENCE)?;
        // Version 1 does not say its version.
        reader.optional(CONTEXT_0);
        reader.expect(INTEGER)?;
        reader.expect(SEQUENCE)?;
        let issuer = name(reader.enter(SEQUENCE)?);
        let mut validity = reader.enter(SEQUENCE)?;
        validity.element()?;
        let ends = validity.element()?;
        let subject = name(reader.enter(SEQUENCE)?);
        Some(Self {
            issuer,
            subject,
            ends: moment(ends.tag, ends.content)?,
        })
    }
}

/// The name that people know somebody by.
fn name(mut parts: Reader<'_>) -> String {
    let (mut common, mut organization) = (None, None);
    while let Some(mut part) = parts.enter(SET).and_then(|mut set| set.enter(SEQUENCE)) {
        let Some(kind) = part.expect(OID) else {
            continue;
        };
        let text = part
            .element()
            .map(|text| printable(&String::from_utf8_lossy(text.content)));
        match kind.content {
            COMMON_NAME => common = text,
            ORGANIZATION => organization = text,
            _ => (),
        }
    }
    common
        .or(organization)
        .unwrap_or_else(|| "somebody without a name".into())
}

/// `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ` (RFC 5280, section 4.1.2.5).
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
