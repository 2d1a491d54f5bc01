//! Timestamps in the formats of AWS's protocols (Smithy, "timestampFormat trait").

use time::{
    OffsetDateTime,
    format_description::{
        BorrowedFormatItem,
        well_known::{Rfc2822, Rfc3339},
    },
    macros::format_description,
};

use super::model::Format;

/// `Sat, 31 Jan 2026 12:00:00 GMT` (RFC 9110, "IMF-fixdate").
const HTTP_DATE: &[BorrowedFormatItem<'_>] = format_description!(
    "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
);

/// Parses a timestamp in any of the formats: RFC 3339, an HTTP date, or seconds since 1970.
pub fn parse(text: &str) -> Option<OffsetDateTime> {
    let text = text.trim();
    OffsetDateTime::parse(text, &Rfc3339)
        .or_else(|_| OffsetDateTime::parse(&text.replace("GMT", "+0000"), &Rfc2822))
        .ok()
        .or_else(|| text.parse().ok().and_then(of_seconds))
}

/// Returns the time this many seconds after the start of 1970.
pub fn of_seconds(seconds: f64) -> Option<OffsetDateTime> {
    // For today's timestamps, a float is only exact to microseconds.
    let microseconds = (seconds * 1e6).round() as i128;
    OffsetDateTime::from_unix_timestamp_nanos(microseconds * 1000).ok()
}

/// Formats a timestamp for a script: RFC 3339, in UTC.
pub fn show(moment: OffsetDateTime) -> String {
    let moment = moment.to_offset(time::UtcOffset::UTC);
    moment.format(&Rfc3339).unwrap_or_default()
}

/// Formats a timestamp for a request.
pub fn write(moment: OffsetDateTime, format: Format) -> String {
    let moment = moment.to_offset(time::UtcOffset::UTC);
    match format {
        Format::Iso8601 => moment.format(&Rfc3339).unwrap_or_default(),
        Format::Rfc822 => moment.format(HTTP_DATE).unwrap_or_default(),
        Format::UnixTimestamp => match moment.millisecond() {
            0 => moment.unix_timestamp().to_string(),
            _ => format!("{}.{:03}", moment.unix_timestamp(), moment.millisecond()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_in_every_form() {
        for text in [
            "2026-01-31T12:00:00Z",
            "2026-01-31T12:00:00.000Z",
            "2026-01-31T13:00:00+01:00",
            "Sat, 31 Jan 2026 12:00:00 GMT",
            "1769860800",
            "1769860800.0",
        ] {
            let moment = parse(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(show(moment), "2026-01-31T12:00:00Z", "{text}");
            assert_eq!(
                write(moment, Format::Rfc822),
                "Sat, 31 Jan 2026 12:00:00 GMT"
            );
            assert_eq!(write(moment, Format::UnixTimestamp), "1769860800");
        }
        assert_eq!(parse("tomorrow"), None);
        let fine = of_seconds(1_769_860_800.123).expect("a moment");
        assert_eq!(show(fine), "2026-01-31T12:00:00.123Z");
    }
}
