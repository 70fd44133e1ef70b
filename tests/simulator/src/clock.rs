//! Times as the simulated services write them.

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970.
#[expect(
    clippy::disallowed_methods,
    reason = "the simulated services have a clock of their own: this one"
)]
pub(crate) fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX))
}

/// Seconds since 1970.
pub(crate) fn unix_seconds() -> i64 {
    i64::try_from(unix_ms() / 1000).unwrap_or(i64::MAX)
}

/// A moment of the UTC calendar.
struct Moment {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    weekday: usize,
}

/// The proleptic Gregorian calendar, by Howard Hinnant's `civil_from_days`.
fn moment(seconds: i64) -> Moment {
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    Moment {
        year: year_of_era + era * 400 + i64::from(month <= 2),
        month,
        day: day_of_year - (153 * march_month + 2) / 5 + 1,
        hour: rest / 3600,
        minute: rest / 60 % 60,
        second: rest % 60,
        weekday: usize::try_from((days + 4).rem_euclid(7)).unwrap_or(0),
    }
}

/// `2026-01-31 09:05:00Z`, as in Entra's errors.
pub(crate) fn entra_timestamp(seconds: i64) -> String {
    let at = moment(seconds);
    let Moment {
        year,
        month,
        day,
        hour,
        minute,
        second,
        ..
    } = at;
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}Z")
}

/// `2026-01-31T09:05:00.0000000Z`, as in AADSTS700024 and in Azure Resource Manager.
pub(crate) fn iso_timestamp(seconds: i64) -> String {
    entra_timestamp(seconds)
        .replace(' ', "T")
        .replace('Z', ".0000000Z")
}

/// `Sat, 31 Jan 2026 09:05:00 GMT`, the value of a `Date` header (RFC 9110, 5.6.7).
pub(crate) fn http_date(seconds: i64) -> String {
    const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let at = moment(seconds);
    let month = usize::try_from(at.month - 1).unwrap_or(0);
    let (weekday, month) = (DAYS[at.weekday], MONTHS[month]);
    let Moment {
        year,
        day,
        hour,
        minute,
        second,
        ..
    } = at;
    format!("{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_has_its_three_spellings() {
        assert_eq!(entra_timestamp(1_795_384_553), "2026-11-22 21:55:53Z");
        assert_eq!(iso_timestamp(951_782_400), "2000-02-29T00:00:00.0000000Z");
        assert_eq!(http_date(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
    }
}
