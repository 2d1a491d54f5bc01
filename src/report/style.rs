use std::time::Duration;

use console::{StyledObject, style};
use time::{OffsetDateTime, macros::format_description};

use windlass_engine::journal::{Instance, Status};
use windlass_world::value::format_duration;

/// A status as a person reads it at a glance.
pub fn describe_status(status: Status) -> StyledObject<&'static str> {
    match status {
        Status::Succeeded => style("✓").green(),
        Status::Failed => style("✗").red(),
        Status::Skipped => style("-").dim(),
        Status::Running => style("▸").cyan(),
        Status::Retrying { .. } => style("↻").yellow(),
        Status::Waiting => style("?").yellow(),
        Status::Pending => style("·").dim(),
    }
}

/// A moment for people, in UTC: `2026-11-23 22:34:01`.
pub fn utc_time(milliseconds: i64) -> String {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(milliseconds) * 1_000_000)
        .ok()
        .and_then(|at| at.format(&format).ok())
        .unwrap_or_default()
}

/// How long ago a moment was, for people: `3m 5s ago`. Both are milliseconds since 1970.
pub fn ago(moment: i64, now: i64) -> String {
    let passed = Duration::from_millis((now - moment).max(0) as u64);
    format!("{} ago", format_duration(passed))
}

/// How long an instance that has ended took, waits included; nothing of others.
pub fn took(instance: &Instance) -> Option<String> {
    let milliseconds = instance.ended_at? - instance.started_at?;
    let took = Duration::from_millis(milliseconds.max(0) as u64);
    Some(format_duration(took))
}
