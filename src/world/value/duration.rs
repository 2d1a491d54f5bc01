use std::time::Duration;

/// Longer durations are mistakes, and too long to be added to timestamps.
const LONGEST: Duration = Duration::from_secs(100 * 366 * 86_400);

/// A text that is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseDurationError {
    #[error("`{0}` is not a duration (write `30s`, `5m`, `12h`, `365d`)")]
    Unreadable(String),
    #[error("`{0}` is longer than 100 years")]
    TooLong(String),
}

/// Parses `30s`, `1h 30m`, `3650d`.
///
/// A day is 24 hours. Months and years are rejected: they have no fixed length, and the author of "1 year" for a certificate should
/// decide between 365 and 366 days.
pub fn parse_duration(text: &str) -> Result<Duration, ParseDurationError> {
    let error = || ParseDurationError::Unreadable(text.into());
    let vague = |unit: &str| {
        matches!(
            unit,
            "M" | "month" | "months" | "mon" | "y" | "yr" | "yrs" | "year" | "years"
        )
    };
    let mut units = text
        .split(|c: char| c.is_ascii_digit() || c.is_whitespace())
        .filter(|unit| !unit.is_empty());
    if units.any(vague) {
        return Err(error());
    }
    let duration = humantime::parse_duration(text).map_err(|e| match e {
        humantime::DurationError::NumberOverflow => ParseDurationError::TooLong(text.into()),
        _ => error(),
    })?;
    if duration > LONGEST {
        Err(ParseDurationError::TooLong(text.into()))
    } else {
        Ok(duration)
    }
}

/// Formats a duration for people: `0.42s`, `12.3s`, `4m 10s`, `3h 2m`.
pub fn format_duration(duration: Duration) -> String {
    let (whole, milliseconds) = (duration.as_secs(), duration.subsec_millis());
    // Cut, not rounded: 59.97 s are not yet a minute.
    match whole {
        0..=9 => format!("{whole}.{:02}s", milliseconds / 10),
        10..=59 => format!("{whole}.{}s", milliseconds / 100),
        60..=3599 => format!("{}m {}s", whole / 60, whole % 60),
        3600..=86_399 => format!("{}h {}m", whole / 3600, whole % 3600 / 60),
        _ => format!("{}d {}h", whole / 86_400, whole % 86_400 / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_fixed_and_years_are_refused() {
        assert_eq!(
            parse_duration("3650d").map(|d| d.as_secs()),
            Ok(3650 * 86_400)
        );
        assert_eq!(parse_duration("1h 30m").map(|d| d.as_secs()), Ok(5400));
        assert!(parse_duration("1y").is_err());
        assert!(parse_duration("soon").is_err());
        assert!(parse_duration("").is_err());
    }

    #[test]
    fn no_duration_is_rounded_to_the_next_unit() {
        for (milliseconds, shown) in [
            (0, "0.00s"),
            (420, "0.42s"),
            (9_997, "9.99s"),
            (10_000, "10.0s"),
            (12_345, "12.3s"),
            (59_970, "59.9s"),
            (60_000, "1m 0s"),
            (3_599_999, "59m 59s"),
        ] {
            let duration = Duration::from_millis(milliseconds);
            assert_eq!(format_duration(duration), shown);
        }
    }

    #[test]
    fn a_century_is_enough() {
        assert!(parse_duration("36500d").is_ok());
        for text in ["36601d", "200000000000000d", "99999999999999999999d"] {
            let error = parse_duration(text).expect_err(text);
            assert!(error.to_string().contains("100 years"), "{error}");
        }
    }
}
