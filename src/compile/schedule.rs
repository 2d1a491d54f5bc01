//! Computes when a `schedule:` is due: cron, in the local time of a time zone.

use std::time::Duration;

use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};
use jiff::{
    SignedDuration, Zoned,
    civil::DateTime,
    tz::{Disambiguation, TimeZone},
};
use windlass_ground::Timestamp;

/// The largest change of the clocks that the time zone database contains is one whole day, where the date line moved.
const LARGEST_CHANGE: SignedDuration = SignedDuration::from_hours(25);

/// A cron pattern of five fields, and its time zone.
///
/// A local time that daylight saving skips is due as long after the change as it would have been without it (02:30 at 03:30). A local
/// time that occurs twice is due the first time. Two local times that are the same instant are due once.
#[derive(Clone, Debug)]
pub struct Schedule {
    cron: Cron,
    text: String,
    zone: TimeZone,
    zone_name: String,
}

/// The reason why a schedule can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    #[error("`{text}` is not a valid cron pattern: {why}")]
    Cron { text: String, why: String },
    #[error("`{0}` never occurs")]
    Never(String),
    #[error("`{0}` is not a time zone")]
    Zone(String),
}

impl Schedule {
    /// Parses a pattern and the name of a time zone (IANA).
    ///
    /// # Errors
    /// The part that is not valid; also a pattern such as 30 February, which never matches.
    pub fn parse(text: &str, zone_name: &str) -> Result<Self, ScheduleError> {
        let zone =
            TimeZone::get(zone_name).map_err(|_| ScheduleError::Zone(zone_name.to_owned()))?;
        let parser = CronParser::builder()
            .seconds(Seconds::Disallowed)
            .year(Year::Disallowed)
            .build();
        let cron = parser.parse(text).map_err(|error| ScheduleError::Cron {
            text: text.to_owned(),
            why: plainly(&error.to_string()),
        })?;
        let schedule = Self {
            cron,
            text: text.to_owned(),
            zone,
            zone_name: zone_name.to_owned(),
        };
        match schedule.next_after(Timestamp::EPOCH) {
            Some(_) => Ok(schedule),
            None => Err(ScheduleError::Never(text.to_owned())),
        }
    }

    /// Returns the pattern, as in the file.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the name of the zone.
    pub fn zone(&self) -> &str {
        &self.zone_name
    }

    /// Formats a timestamp in the local time of a zone: `2026-11-29 03:00 Europe/Berlin`.
    pub fn local_time(at: Timestamp, zone: &str) -> String {
        let found = TimeZone::get(zone).ok().zip(instant(at));
        let local =
            found.map(|(known, at)| Zoned::new(at, known).strftime("%Y-%m-%d %H:%M").to_string());
        local.map_or_else(String::new, |local| format!("{local} {zone}"))
    }

    /// Returns the first time after `after` at which it is due.
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        let after = instant(after)?;
        let begin = self.civil_before(after);
        let mut found: Option<jiff::Timestamp> = None;
        let mut civil = self.cron.find_next_occurrence(&begin, true).ok()?;
        loop {
            // A time that daylight saving skipped is due later than some local times that follow it.
            let is_past =
                |found: jiff::Timestamp| civil > Zoned::new(found, self.zone.clone()).datetime();
            if found.is_some_and(is_past) {
                break;
            }
            let moment = self.moment(civil)?;
            if moment > after && found.is_none_or(|found| moment < found) {
                found = Some(moment);
            }
            civil = self.cron.find_next_occurrence(&civil, false).ok()?;
        }
        found.map(|found| Timestamp::from_millis(found.as_millisecond()))
    }

    /// Returns the last time in a span (`after` excluded, `until` included) at which it was due, and how many there were,
    /// counted up to `most`.
    pub fn last_within(
        &self,
        after: Timestamp,
        until: Timestamp,
        most: u32,
    ) -> Option<(Timestamp, u32)> {
        let mut found = None;
        let (mut from, mut count) = (after, 0);
        while let Some(next) = self.next_after(from).filter(|next| *next <= until) {
            count += 1;
            found = Some(next);
            from = next;
            if count >= most {
                // The exact number does not matter any more: only the last time is needed.
                found = self.last_before(until).or(found);
                break;
            }
        }
        found.map(|last| (last, count))
    }

    /// Returns the last time, up to and including `until`, at which it was due.
    fn last_before(&self, until: Timestamp) -> Option<Timestamp> {
        let mut span = Duration::from_mins(2);
        loop {
            let from = until - span;
            let mut last = None;
            let mut next = self.next_after(from);
            while let Some(at) = next.filter(|at| *at <= until) {
                last = Some(at);
                next = self.next_after(at);
            }
            if last.is_some() || from < Timestamp::EPOCH {
                return last;
            }
            span = span.saturating_mul(4);
        }
    }

    /// Returns the local time at an instant; if the clocks were changed shortly before, the local time without that change.
    fn civil_before(&self, at: jiff::Timestamp) -> DateTime {
        let before = self.zone.preceding(at).next();
        let is_recent =
            before.is_some_and(|change| at.duration_since(change.timestamp()) <= LARGEST_CHANGE);
        let civil = Zoned::new(at, self.zone.clone()).datetime();
        if is_recent {
            civil.saturating_sub(LARGEST_CHANGE + LARGEST_CHANGE)
        } else {
            civil
        }
    }

    /// Returns the instant of a local time.
    fn moment(&self, civil: DateTime) -> Option<jiff::Timestamp> {
        let zoned = self.zone.to_ambiguous_zoned(civil);
        let zoned = zoned.disambiguate(Disambiguation::Compatible).ok()?;
        Some(zoned.timestamp())
    }
}

/// Converts a timestamp for the calendar. `None` outside of the years that the calendar supports.
fn instant(at: Timestamp) -> Option<jiff::Timestamp> {
    jiff::Timestamp::from_millisecond(at.as_millis()).ok()
}

/// Turns the parser's message into a part of a sentence.
fn plainly(why: &str) -> String {
    let why = why
        .trim_start_matches("Invalid pattern: ")
        .trim_start_matches("Component error: ")
        .trim_end_matches('.');
    let mut letters = why.chars();
    let first = letters.next().map(|c| c.to_ascii_lowercase());
    first.into_iter().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(text: &str, zone: &str) -> Schedule {
        Schedule::parse(text, zone).expect("a schedule")
    }

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    /// Returns the times of a span, in UTC.
    fn all(schedule: &Schedule, from: &str, to: &str) -> Vec<String> {
        let (mut last, to) = (at(from), at(to));
        let mut found = Vec::new();
        while let Some(next) = schedule.next_after(last).filter(|next| *next <= to) {
            assert!(next > last, "{next} is not after {last}");
            found.push(next.to_string()[..16].to_owned());
            last = next;
        }
        found
    }

    #[test]
    fn a_time_that_daylight_saving_skips_comes_due_once() {
        let daily = schedule("30 2 * * *", "Europe/Berlin");
        // 2026-03-29: 02:00 becomes 03:00.
        assert_eq!(
            all(&daily, "2026-03-28T00:00:00Z", "2026-03-31T00:00:00Z"),
            ["2026-03-28T01:30", "2026-03-29T01:30", "2026-03-30T00:30"]
        );
        let quarters = schedule("*/30 2,3 * * *", "Europe/Berlin");
        assert_eq!(
            all(&quarters, "2026-03-29T00:00:00Z", "2026-03-29T12:00:00Z"),
            ["2026-03-29T01:00", "2026-03-29T01:30"],
            "02:00 and 03:00 are the same moment"
        );
    }

    #[test]
    fn a_time_that_comes_twice_is_due_the_first_time() {
        let daily = schedule("30 2 * * *", "Europe/Berlin");
        // 2026-10-25: 03:00 becomes 02:00.
        assert_eq!(
            all(&daily, "2026-10-24T12:00:00Z", "2026-10-27T00:00:00Z"),
            ["2026-10-25T00:30", "2026-10-26T01:30"]
        );
        let new_york = schedule("30 1 * * *", "America/New_York");
        assert_eq!(
            all(&new_york, "2026-11-01T00:00:00Z", "2026-11-02T12:00:00Z"),
            ["2026-11-01T05:30", "2026-11-02T06:30"]
        );
        // In the middle of the hour that is repeated.
        assert_eq!(
            new_york.next_after(at("2026-11-01T06:10:00Z")),
            Some(at("2026-11-02T06:30:00Z"))
        );
    }

    #[test]
    fn a_day_that_the_date_line_took_comes_due_once() {
        let daily = schedule("0 12 * * *", "Pacific/Apia");
        // 2011-12-30 did not exist there.
        assert_eq!(
            all(&daily, "2011-12-29T00:00:00Z", "2012-01-01T00:00:00Z"),
            ["2011-12-29T22:00", "2011-12-30T22:00", "2011-12-31T22:00"]
        );
    }

    #[test]
    fn the_last_of_many_is_found() {
        let often = schedule("* * * * *", "UTC");
        let (from, to) = (at("2026-01-01T00:00:00Z"), at("2026-06-01T12:00:30Z"));
        assert_eq!(
            often.last_within(from, to, 100),
            Some((at("2026-06-01T12:00:00Z"), 100))
        );
        let yearly = schedule("0 0 1 1 *", "UTC");
        assert_eq!(yearly.last_within(from, to, 100), None);
        assert_eq!(
            yearly.last_within(from - Duration::from_millis(1), to, 100),
            Some((from, 1))
        );
    }

    #[test]
    fn what_is_no_schedule_says_why() {
        let why = |text, zone| {
            Schedule::parse(text, zone)
                .map(|_| ())
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            why("0 3 * * *", "Europe/Berln"),
            "`Europe/Berln` is not a time zone"
        );
        assert_eq!(why("0 0 30 2 *", "UTC"), "`0 0 30 2 *` never occurs");
        for bad in ["", "hello", "61 * * * *", "* * * *", "0 0 3 * * SUN"] {
            assert!(
                why(bad, "UTC").contains("is not a valid cron pattern"),
                "{bad}"
            );
        }
    }
}
