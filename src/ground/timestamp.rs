//! A point in time.

use std::{
    fmt,
    ops::{Add, AddAssign, Sub, SubAssign},
    str::FromStr,
    time::{Duration, SystemTime},
};

use rusqlite::{
    ToSql,
    types::{FromSql, FromSqlResult, ToSqlOutput, ValueRef},
};
use serde::{Deserialize, Serialize};
use time::{OffsetDateTime, format_description::well_known::Rfc3339, macros::format_description};

/// Counts milliseconds since 1970-01-01T00:00:00Z, without leap seconds. Journals, APIs and databases store it as that number.
///
/// Arithmetic saturates: a duration that reaches beyond what can be counted gives [`Timestamp::MAX`] or [`Timestamp::MIN`].
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(i64);

/// The error for a text that is not an RFC 3339 time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotATimestamp;

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);
    /// The earliest point in time that can be represented.
    pub const MIN: Self = Self(i64::MIN);
    /// The latest point in time that can be represented.
    pub const MAX: Self = Self(i64::MAX);

    /// Makes a timestamp from milliseconds since 1970.
    pub const fn from_millis(milliseconds: i64) -> Self {
        Self(milliseconds)
    }

    /// Makes a timestamp from seconds since 1970, the unit of certificates and tokens.
    pub const fn from_secs(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// Says whether a time that lies at most `most` ahead when it is chosen has been reached. One that lies further ahead was chosen
    /// before the clock was set back.
    pub fn has_reached(self, chosen: Self, most: Duration) -> bool {
        chosen <= self || chosen.since(self) > most
    }

    /// Returns the milliseconds since 1970.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Returns the whole seconds since 1970, rounded down.
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Returns how much later this is than `earlier`, or zero if it is not later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.millis_since(earlier)).unwrap_or(0))
    }

    /// Returns how many milliseconds later this is than `other`; negative if it is earlier.
    pub const fn millis_since(self, other: Self) -> i64 {
        self.0.saturating_sub(other.0)
    }

    /// Returns RFC 3339 in UTC, without a fraction if it is a whole second, as for certificates. Empty outside of the years 0 to 9999.
    pub fn rfc3339(self) -> String {
        self.to_utc()
            .and_then(|at| at.format(&Rfc3339).ok())
            .unwrap_or_default()
    }

    /// Returns the date and time in UTC, or `None` outside the years -9999 to 9999.
    pub fn to_utc(self) -> Option<OffsetDateTime> {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000).ok()
    }
}

/// Rounds down to milliseconds.
impl From<OffsetDateTime> for Timestamp {
    fn from(at: OffsetDateTime) -> Self {
        let milliseconds = at.unix_timestamp_nanos().div_euclid(1_000_000);
        Self(i64::try_from(milliseconds).unwrap_or(i64::MAX))
    }
}

/// Rounds down to milliseconds.
impl From<SystemTime> for Timestamp {
    fn from(at: SystemTime) -> Self {
        match at.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(passed) => Self::EPOCH + passed,
            Err(before) => Self::EPOCH - before.duration(),
        }
    }
}

/// Returns the nearest time that this system can represent.
impl From<Timestamp> for SystemTime {
    fn from(at: Timestamp) -> Self {
        let distance = Duration::from_millis(at.0.unsigned_abs());
        let found = if at.0 >= 0 {
            Self::UNIX_EPOCH.checked_add(distance)
        } else {
            Self::UNIX_EPOCH.checked_sub(distance)
        };
        found.unwrap_or(Self::UNIX_EPOCH)
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(milliseconds(duration)))
    }
}

impl AddAssign<Duration> for Timestamp {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(milliseconds(duration)))
    }
}

impl SubAssign<Duration> for Timestamp {
    fn sub_assign(&mut self, duration: Duration) {
        *self = *self - duration;
    }
}

/// Writes RFC 3339 in UTC with milliseconds, `2026-11-23T22:34:01.250Z`. A point in time without such a form is written as
/// seconds since 1970, in the notation of `date -d`: `@9223372036854775.807`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let format = format_description!(
            "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z"
        );
        let at = self.to_utc().filter(|at| at.year() >= 0);
        match at.and_then(|at| at.format(format).ok()) {
            Some(text) => f.pad(&text),
            None => {
                let sign = if self.0 < 0 { "-" } else { "" };
                let distance = self.0.unsigned_abs();
                write!(f, "@{sign}{}.{:03}", distance / 1000, distance % 1000)
            }
        }
    }
}

/// Reads an RFC 3339 time with any offset. Digits below a millisecond are cut off.
impl FromStr for Timestamp {
    type Err = NotATimestamp;

    fn from_str(text: &str) -> Result<Self, NotATimestamp> {
        let at = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| NotATimestamp)?;
        Ok(at.into())
    }
}

impl fmt::Display for NotATimestamp {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("expected a time such as `2026-11-23T22:34:01Z`")
    }
}

impl std::error::Error for NotATimestamp {}

impl ToSql for Timestamp {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.0.into())
    }
}

impl FromSql for Timestamp {
    fn column_result(value: ValueRef) -> FromSqlResult<Self> {
        i64::column_result(value).map(Self)
    }
}

/// Returns a duration in milliseconds; the longest that can be counted if it is longer.
pub fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOVEMBER: Timestamp = Timestamp::from_millis(1_795_732_441_250);
    const DAY: Duration = Duration::from_hours(24);

    #[test]
    fn a_timestamp_is_stored_as_a_number() {
        let json = serde_json::to_string(&(NOVEMBER, Some(Timestamp::EPOCH))).expect("JSON");
        assert_eq!(json, "[1795732441250,0]");
        let read: (Timestamp, Option<Timestamp>) = serde_json::from_str(&json).expect("both");
        assert_eq!(read, (NOVEMBER, Some(Timestamp::EPOCH)));
        assert!(serde_json::from_str::<Timestamp>("\"2026-11-23T22:34:01Z\"").is_err());
        let database = rusqlite::Connection::open_in_memory().expect("a database");
        let (back, kind): (Timestamp, String) = database
            .query_row("SELECT ?1, typeof(?1)", [NOVEMBER], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .expect("a row");
        assert_eq!((back, kind.as_str()), (NOVEMBER, "integer"));
    }

    #[test]
    fn a_timestamp_is_shown_and_read_as_rfc_3339() {
        assert_eq!(NOVEMBER.to_string(), "2026-11-26T22:34:01.250Z");
        assert_eq!(Timestamp::EPOCH.to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(
            Timestamp::from_millis(-1).to_string(),
            "1969-12-31T23:59:59.999Z"
        );
        for text in [
            "2026-11-26T22:34:01.25Z",
            "2026-11-27T00:34:01.250999+02:00",
        ] {
            assert_eq!(text.parse(), Ok(NOVEMBER), "{text}");
        }
        for text in ["", "2026-11-26", "2026-11-26T22:34:01", "1795732441250"] {
            assert_eq!(text.parse::<Timestamp>(), Err(NotATimestamp), "{text}");
        }
        for (at, shown) in [
            (Timestamp::MAX, "@9223372036854775.807"),
            (Timestamp::MIN, "@-9223372036854775.808"),
        ] {
            assert_eq!(at.to_string(), shown);
        }
    }

    #[test]
    fn arithmetic_saturates() {
        assert_eq!((NOVEMBER + DAY).since(NOVEMBER), DAY);
        assert_eq!(NOVEMBER.since(NOVEMBER + DAY), Duration::ZERO);
        assert_eq!(NOVEMBER.millis_since(NOVEMBER + DAY), -86_400_000);
        assert_eq!(NOVEMBER + Duration::MAX, Timestamp::MAX);
        assert_eq!(Timestamp::from_millis(-2) - Duration::MAX, Timestamp::MIN);
        assert_eq!(Timestamp::MAX.millis_since(Timestamp::MIN), i64::MAX);
        assert_eq!(Timestamp::from_secs(i64::MAX), Timestamp::MAX);
        assert_eq!(Timestamp::from_millis(-1).as_secs(), -1);
    }

    #[test]
    fn a_timestamp_converts_from_and_to_other_types() {
        for at in [NOVEMBER, Timestamp::EPOCH, Timestamp::from_millis(-1)] {
            assert_eq!(Timestamp::from(SystemTime::from(at)), at);
            assert_eq!(at.to_utc().map(Timestamp::from), Some(at));
        }
        assert_eq!(Timestamp::MAX.to_utc(), None);
    }
}
