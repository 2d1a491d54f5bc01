use console::{StyledObject, style};
use time::macros::format_description;

use windlass_ground::Timestamp;
use windlass_journal::{Instance, Status};
use windlass_world::value::format_duration;

/// Formats a status for people, with its colour.
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

/// Formats a time for people, in UTC: `2026-11-23 22:34:01`.
pub fn utc_time(at: Timestamp) -> String {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
    at.to_utc()
        .and_then(|at| at.format(&format).ok())
        .unwrap_or_default()
}

/// Formats how long ago a time was: `3m 5s ago`.
pub fn ago(moment: Timestamp, now: Timestamp) -> String {
    format!("{} ago", format_duration(now.since(moment)))
}

/// Returns how long an instance that has ended took, including waits; `None` for others.
pub fn took(instance: &Instance) -> Option<String> {
    let took = instance.ended_at?.since(instance.started_at?);
    Some(format_duration(took))
}

/// Returns a number with its noun: `1 run`, `2 runs`.
pub fn counted(count: usize, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        count => format!("{count} {noun}s"),
    }
}
