//! The validity period of a certificate.

use serde::Deserialize;
use time::{Date, Month, OffsetDateTime, PrimitiveDateTime, Time};

use crate::clock::Moment;
use crate::failure::{Code, Failure};

const SECOND: Moment = 1000;
const HOUR: Moment = 3600 * SECOND;
const DAY: Moment = 24 * HOUR;

/// The longest validity of certificates from an authority with the mode SHORT_LIVED_CERTIFICATE.
const SHORT_LIVED: Moment = 7 * DAY;

/// 9999-12-31T23:59:59Z: in RFC 5280, no expiration date; also the last time that DER can represent.
const FOREVER: Moment = 253_402_300_799 * SECOND;

/// The service model's `Validity`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Validity {
    pub value: u64,
    pub r#type: String,
}

/// The validity period of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub not_before: Moment,
    pub not_after: Moment,
}

/// The limits that come from the issuer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// The issuer's own validity period; `None` for a root that signs its own certificate.
    pub issuer: Option<Span>,
    pub short_lived: bool,
}

/// Returns the validity period of a certificate issued now. By default it begins an hour ago, because clocks differ. It must
/// be within the issuer's period.
pub(crate) fn span(
    end: &Validity,
    start: Option<&Validity>,
    now: Moment,
    bounds: Bounds,
) -> Result<Span, Failure> {
    let now = now.div_euclid(SECOND) * SECOND;
    let not_before = match start {
        None => now - HOUR,
        Some(start) if start.r#type == "ABSOLUTE" => absolute(start.value)?,
        Some(_) => {
            return Err(
                Code::InvalidArgs.says("ValidityNotBefore must be of the validity type ABSOLUTE")
            );
        }
    };
    let not_after = not_after(end, now)?;
    if not_after <= now || not_after <= not_before {
        return Err(Code::Validation.says("The certificate validity specified is in the past"));
    }
    if let Some(issuer) = bounds.issuer {
        if not_after > issuer.not_after {
            return Err(Code::Validation.says(
                "The certificate validity specified exceeds the certificate authority validity",
            ));
        }
        // The default start, an hour ago, is AWS's choice and may be before the start of a new issuer.
        if start.is_some() && not_before < issuer.not_before {
            return Err(Code::Validation.says(
                "The certificate validity specified starts before the certificate authority validity",
            ));
        }
    }
    // The limit counts from now, or from an earlier start in the request.
    let begins = start.map_or(now, |_| not_before.min(now));
    if bounds.short_lived && not_after - begins > SHORT_LIVED {
        return Err(Code::Validation.says(
            "The certificate validity specified exceeds the seven days that a short-lived certificate authority allows",
        ));
    }
    Ok(Span {
        not_before,
        not_after,
    })
}

fn not_after(end: &Validity, now: Moment) -> Result<Moment, Failure> {
    let far = || Code::Validation.says("The certificate validity specified is too long");
    let value = i64::try_from(end.value).map_err(|_| far())?;
    match end.r#type.as_str() {
        "ABSOLUTE" => absolute(end.value),
        "END_DATE" => end_date(end.value),
        "DAYS" => value
            .checked_mul(DAY)
            .and_then(|length| now.checked_add(length))
            .filter(|end| *end <= FOREVER)
            .ok_or_else(far),
        "MONTHS" => months_after(now, value).ok_or_else(far),
        _ => value
            .checked_mul(12)
            .and_then(|months| months_after(now, months))
            .ok_or_else(far),
    }
}

fn absolute(seconds: u64) -> Result<Moment, Failure> {
    i64::try_from(seconds)
        .ok()
        .and_then(|seconds| seconds.checked_mul(SECOND))
        .filter(|moment| *moment <= FOREVER)
        .ok_or_else(|| Code::Validation.says("The certificate validity specified is too long"))
}

/// Reads an end date: YYMMDDHHMMSS (years from 1950 to 2049) or YYYYMMDDHHMMSS.
fn end_date(value: u64) -> Result<Moment, Failure> {
    let wrong = || {
        Code::Validation.says(format!(
            "The end date {value} is not of the form YYMMDDHHMMSS or YYYYMMDDHHMMSS"
        ))
    };
    let digits = value.to_string();
    let (year, rest) = match digits.len() {
        // As a number, a short year has lost its leading zeros.
        1..=12 => {
            let digits = format!("{value:012}");
            let short: i32 = digits[..2].parse().map_err(|_| wrong())?;
            (
                if short >= 50 {
                    1900 + short
                } else {
                    2000 + short
                },
                digits[2..].to_owned(),
            )
        }
        14 => (
            digits[..4].parse().map_err(|_| wrong())?,
            digits[4..].to_owned(),
        ),
        _ => return Err(wrong()),
    };
    let field = |at: usize| rest[at..at + 2].parse::<u8>().map_err(|_| wrong());
    let month = Month::try_from(field(0)?).map_err(|_| wrong())?;
    let date = Date::from_calendar_date(year, month, field(2)?).map_err(|_| wrong())?;
    let time = Time::from_hms(field(4)?, field(6)?, field(8)?).map_err(|_| wrong())?;
    Ok(PrimitiveDateTime::new(date, time)
        .assume_utc()
        .unix_timestamp()
        * SECOND)
}

/// Returns the same day and time some months later, or the last day of a month that is too short.
fn months_after(now: Moment, months: i64) -> Option<Moment> {
    let at = OffsetDateTime::from_unix_timestamp(now.div_euclid(SECOND)).ok()?;
    let month = i64::from(u8::from(at.month())) - 1 + months;
    let year = i32::try_from(i64::from(at.year()).checked_add(month.div_euclid(12))?).ok()?;
    if year > 9999 {
        return None;
    }
    let month = Month::try_from(u8::try_from(month.rem_euclid(12) + 1).ok()?).ok()?;
    let day = at.day().min(month.length(year));
    let date = Date::from_calendar_date(year, month, day).ok()?;
    Some(at.replace_date(date).unix_timestamp() * SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = 1_706_697_296_000; // 2024-01-31T10:34:56Z

    fn end(value: u64, r#type: &str) -> Result<Moment, Failure> {
        let validity = Validity {
            value,
            r#type: r#type.to_owned(),
        };
        not_after(&validity, NOW)
    }

    #[test]
    fn each_type_of_validity_is_relative_to_now() {
        assert_eq!(end(1, "DAYS").unwrap(), NOW + DAY);
        assert_eq!(end(1, "MONTHS").unwrap(), 1_709_202_896_000); // 29 February
        assert_eq!(end(1, "YEARS").unwrap(), 1_738_319_696_000);
        assert_eq!(end(2_524_608_000, "ABSOLUTE").unwrap(), 2_524_608_000_000);
        assert_eq!(end(491_231_235_959, "END_DATE").unwrap(), 2_524_607_999_000);
        assert_eq!(
            end(20_491_231_235_959, "END_DATE").unwrap(),
            2_524_607_999_000
        );
        assert_eq!(end(99_991_231_235_959, "END_DATE").unwrap(), FOREVER);
        assert!(end(20_491_331_235_959, "END_DATE").is_err());
        assert!(end(u64::MAX, "DAYS").is_err());
        assert!(end(u64::MAX, "YEARS").is_err());
        assert!(end(8000, "YEARS").is_err());
    }

    #[test]
    fn months_are_cut_to_the_last_day_of_the_month() {
        let at = |now: Moment, value: u64, r#type: &str| {
            let r#type = r#type.to_owned();
            let end = not_after(&Validity { value, r#type }, now).unwrap();
            let end = OffsetDateTime::from_unix_timestamp(end / SECOND).unwrap();
            (end.year(), u8::from(end.month()), end.day())
        };
        let leap_day = 1_709_164_800_000; // 2024-02-29
        assert_eq!(at(leap_day, 1, "YEARS"), (2025, 2, 28));
        assert_eq!(at(leap_day, 4, "YEARS"), (2028, 2, 29));
        assert_eq!(at(leap_day, 12, "MONTHS"), (2025, 2, 28));
        assert_eq!(at(leap_day, 1, "DAYS"), (2024, 3, 1));
        let august = 1_725_062_400_000; // 2024-08-31
        assert_eq!(at(august, 1, "MONTHS"), (2024, 9, 30));
        assert_eq!(at(august, 6, "MONTHS"), (2025, 2, 28));
        assert_eq!(at(august, 4, "MONTHS"), (2024, 12, 31));
        assert_eq!(at(august, 5, "MONTHS"), (2025, 1, 31));
        // 2100 is not a leap year.
        assert_eq!(at(leap_day, 76, "YEARS"), (2100, 2, 28));
    }

    #[test]
    fn a_short_lived_certificate_is_limited_from_its_start() {
        let days = |days| Validity {
            value: days,
            r#type: "DAYS".to_owned(),
        };
        let bounds = Bounds {
            issuer: None,
            short_lived: true,
        };
        let start = |moment: Moment| Validity {
            value: (moment / SECOND) as u64,
            r#type: "ABSOLUTE".to_owned(),
        };
        assert!(span(&days(7), None, NOW, bounds).is_ok());
        assert!(span(&days(8), None, NOW, bounds).is_err());
        assert!(span(&days(7), Some(&start(NOW - DAY)), NOW, bounds).is_err());
        assert!(span(&days(6), Some(&start(NOW - DAY)), NOW, bounds).is_ok());
        assert!(span(&days(8), Some(&start(NOW + 2 * DAY)), NOW, bounds).is_err());
    }
}
