//! Formats times for people: in the zone of this machine, or in UTC.

use std::sync::{
    LazyLock,
    atomic::{AtomicBool, Ordering},
};

use jiff::{Zoned, tz::TimeZone};
use windlass_ground::Timestamp;

/// Whether this process shows times in the zone of this machine. Otherwise in UTC: the output of a server is read elsewhere.
static IS_LOCAL: AtomicBool = AtomicBool::new(false);
/// The zone of this machine. To find it takes milliseconds, and many commands show no time.
static LOCAL: LazyLock<TimeZone> = LazyLock::new(TimeZone::system);

/// Shows times in the zone of this machine from now on: the one in `TZ`, or else that of `/etc/localtime`.
pub fn use_local_zone() {
    IS_LOCAL.store(true, Ordering::Relaxed);
}

/// Formats a time with its zone: `2026-11-23 22:34:01 UTC`, or `2026-11-23 23:34:01 +01:00`.
pub fn local_time(at: Timestamp) -> String {
    shown(at, &zone(), "%F %T")
}

/// Formats a time for a column: like [`local_time`], but without the zone if it is UTC, which the [`heading`] shows.
pub fn column_time(at: Timestamp) -> String {
    bare_in_utc(at, "%F %T")
}

/// Formats a time for the lines of a log, with milliseconds; without the zone if it is UTC.
pub fn log_time(at: Timestamp) -> String {
    bare_in_utc(at, "%F %T%.3f")
}

/// Returns the heading of a column of times: `STARTED (UTC)`, or `STARTED` if each time has its offset.
pub fn heading(name: &str) -> String {
    if is_utc(&zone()) {
        format!("{name} (UTC)")
    } else {
        name.to_owned()
    }
}

/// Returns the day of a time in the zone of this process, such as `2026-11-23`.
pub fn local_day(at: Timestamp) -> String {
    zoned(at, &zone()).map_or_else(
        || bare(at).split(' ').next().unwrap_or_default().to_owned(),
        |at| at.strftime("%F").to_string(),
    )
}

/// Returns when a day such as `2026-01-31` begins in the zone of this process. `None` for a text that is not a
/// day.
pub fn start_of_day(day: &str) -> Option<Timestamp> {
    let day: jiff::civil::Date = day.parse().ok()?;
    let begins = day.to_zoned(zone()).ok()?.timestamp();
    Some(Timestamp::from_millis(begins.as_millisecond()))
}

fn bare_in_utc(at: Timestamp, format: &str) -> String {
    let text = shown(at, &zone(), format);
    text.strip_suffix(" UTC")
        .map_or_else(|| text.clone(), str::to_owned)
}

fn zone() -> TimeZone {
    if IS_LOCAL.load(Ordering::Relaxed) {
        LOCAL.clone()
    } else {
        TimeZone::UTC
    }
}

fn zoned(at: Timestamp, zone: &TimeZone) -> Option<Zoned> {
    let at = jiff::Timestamp::from_millisecond(at.as_millis()).ok()?;
    Some(at.to_zoned(zone.clone()))
}

/// Formats a time that no zone covers, in UTC; empty after the year 9999: the end of a certificate that never ends (RFC 5280, 4.1.2.5) is the last second of the year 9999.
fn bare(at: Timestamp) -> String {
    let text = at.rfc3339().replace('T', " ");
    text.chars().take("9999-12-31 23:59:59".len()).collect()
}

fn shown(at: Timestamp, zone: &TimeZone, format: &str) -> String {
    let Some(at) = zoned(at, zone) else {
        let text = bare(at);
        return if text.is_empty() {
            text
        } else {
            format!("{text} UTC")
        };
    };
    let offset = if is_utc(zone) {
        "UTC".to_owned()
    } else {
        at.strftime("%:z").to_string()
    };
    format!("{} {offset}", at.strftime(format))
}

/// Says whether a zone is UTC all year. A machine without a zone counts as UTC.
fn is_utc(zone: &TimeZone) -> bool {
    zone.is_unknown()
        || matches!(
            zone.iana_name(),
            Some("UTC" | "Etc/UTC" | "Etc/UCT" | "Zulu")
        )
        || *zone == TimeZone::UTC
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINTER: Timestamp = Timestamp::from_millis(1_770_000_000_123);
    const SUMMER: Timestamp = Timestamp::from_millis(1_785_000_000_000);

    #[test]
    fn the_end_of_time_is_shown() {
        let end = Timestamp::from_secs(253_402_300_799);
        assert_eq!(local_day(end), "9999-12-31");
        assert_eq!(
            shown(end, &TimeZone::UTC, "%F %T"),
            "9999-12-31 23:59:59 UTC"
        );
    }

    #[test]
    fn a_time_is_shown_with_its_zone() {
        let berlin = TimeZone::get("Europe/Berlin").expect("a zone");
        let london = TimeZone::get("Europe/London").expect("a zone");
        assert_eq!(
            shown(WINTER, &TimeZone::UTC, "%F %T"),
            "2026-02-02 02:40:00 UTC"
        );
        assert_eq!(
            shown(WINTER, &berlin, "%F %T"),
            "2026-02-02 03:40:00 +01:00"
        );
        assert_eq!(
            shown(SUMMER, &berlin, "%F %T"),
            "2026-07-25 19:20:00 +02:00"
        );
        assert_eq!(
            shown(WINTER, &london, "%F %T%.3f"),
            "2026-02-02 02:40:00.123 +00:00"
        );
        assert_eq!(shown(Timestamp::MAX, &berlin, "%F %T"), "");
    }

    #[test]
    fn a_zone_that_is_not_known_is_utc() {
        assert!(is_utc(&TimeZone::unknown()));
        assert!(is_utc(&TimeZone::get("Etc/UTC").expect("a zone")));
        assert!(!is_utc(&TimeZone::get("Africa/Abidjan").expect("a zone")));
    }
}
