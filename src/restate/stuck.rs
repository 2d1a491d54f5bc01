//! What workers can't do of a run: reported by them, stored by Restate, read by the command line.

use std::{collections::BTreeSet, error::Error, fmt};

use restate_sdk::prelude::HandlerError;
use serde_json::Value as Json;
use windlass_journal::RunId;
use windlass_world::value::causes;

/// The text that the SDK puts before an error.
const PREFIX: &str = "Handler failed with retryable error: ";
const SUFFIX: char = '\'';
/// The text between two errors of one invocation.
const BETWEEN: &str = "'\nHandler failed with retryable error: ";

/// A part of a run that workers have failed to do so far.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stuck {
    pub why: String,
    /// Whether Restate has paused it until an operator resumes it; otherwise Restate retries it.
    pub is_paused: bool,
}

/// A part of any run that workers have failed to do so far.
#[derive(Clone, Debug)]
pub struct StuckPart {
    pub run: RunId,
    pub stuck: Stuck,
    /// When Restate paused it, as Restate writes it; empty if it is not paused.
    pub since: String,
}

impl fmt::Display for Stuck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_paused {
            write!(f, "paused by Restate: {}", self.why)
        } else {
            write!(f, "Restate tries again: {}", self.why)
        }
    }
}

impl Stuck {
    /// Removes those that say the same as another one.
    pub fn once(mut all: Vec<Self>) -> Vec<Self> {
        let mut seen = BTreeSet::new();
        all.retain(|stuck| seen.insert(stuck.clone()));
        all
    }

    /// Reads the status and the last failure of an invocation from a row, if the row has them. One that runs is not stuck: its last
    /// failure is that of an earlier try.
    pub(super) fn read(row: &Json) -> Option<Self> {
        let is_paused = row["status"] == "paused";
        if !is_paused && row["status"] != "backing-off" {
            return None;
        }
        let event: Option<Json> = row["event_json"]
            .as_str()
            .and_then(|text| serde_json::from_str(text).ok());
        let event = event.as_ref();
        let of_event = event.and_then(|event| {
            let failure = event.get("last_failure").unwrap_or(event);
            failure["error_message"].as_str()
        });
        let why = of_event.or_else(|| row["last_failure"].as_str());
        match (why, is_paused) {
            (None, false) => None,
            (why, _) => Some(Self {
                why: plain(why.unwrap_or("Restate does not say why")),
                is_paused,
            }),
        }
    }
}

/// Removes the text that the SDK adds. If several things failed at once, it adds that to each, on lines of their own.
pub(super) fn plain(why: &str) -> String {
    let why = without_status(why);
    let Some(inner) = why.strip_prefix(PREFIX) else {
        return why.to_owned();
    };
    let inner = inner.trim_end();
    let inner = inner.strip_suffix(SUFFIX).unwrap_or(inner);
    let mut failures: Vec<_> = inner.split(BETWEEN).map(str::trim_end).collect();
    let mut seen = BTreeSet::new();
    failures.retain(|failure| seen.insert(*failure));
    failures.join("; ")
}

/// Removes the status that Restate puts before an error: `[500 Internal] `.
fn without_status(why: &str) -> &str {
    let inner = why.strip_prefix('[').and_then(|why| why.split_once("] "));
    match inner {
        Some((status, rest)) if status.starts_with(|c: char| c.is_ascii_digit()) => rest,
        _ => why,
    }
}

/// Adds to an error which part of a run it stops. Restate retries after it.
pub(super) trait HoldsUp<T> {
    fn holds_up(self, part: &impl fmt::Display) -> Result<T, HandlerError>;
}

impl<T, E: Error + 'static> HoldsUp<T> for Result<T, E> {
    fn holds_up(self, part: &impl fmt::Display) -> Result<T, HandlerError> {
        self.map_err(|error| {
            let hindrance = Hindrance::of(part, &error);
            tracing::warn!(part = %part, error = %hindrance, "held up; Restate tries again");
            hindrance.into()
        })
    }
}

/// The reason why a worker can't do its part.
#[derive(Clone)]
pub(super) struct Hindrance(String);

impl Hindrance {
    pub fn of(part: &impl fmt::Display, error: &(dyn Error + 'static)) -> Self {
        Self(format!("{part}: {}", causes(error)))
    }
}

/// The SDK shows errors in their debug format.
impl fmt::Debug for Hindrance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Hindrance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Hindrance {}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_what_a_worker_said() {
        let error = std::io::Error::other("no such file");
        let said = Err::<(), _>(error).holds_up(&"step a").unwrap_err();
        let kept = format!(
            "{PREFIX}{:?}{SUFFIX}",
            Hindrance("step a: no such file".into())
        );
        assert!(format!("{said:?}").contains("step a: no such file"));
        let paused = json!({ "ty": "Paused", "last_failure": { "error_message": kept } });
        let row = json!({ "status": "paused", "event_json": paused.to_string() });
        let wanted = |is_paused| Stuck {
            why: "step a: no such file".into(),
            is_paused,
        };
        assert_eq!(Stuck::read(&row), Some(wanted(true)));
        let row = json!({ "status": "backing-off", "last_failure": kept });
        assert_eq!(Stuck::read(&row), Some(wanted(false)));
    }

    #[test]
    fn what_only_runs_is_not_stuck() {
        let row = json!({ "status": "running", "last_failure": "connection refused" });
        assert_eq!(Stuck::read(&row), None);
    }

    #[test]
    fn the_same_reason_is_told_once() {
        let row = |status, why| json!({ "status": status, "last_failure": why });
        let rows = [
            row("backing-off", "connection refused"),
            row("running", "connection refused"),
            row("backing-off", "no target"),
            row("backing-off", "connection refused"),
        ];
        let all: Vec<_> = rows.iter().filter_map(Stuck::read).collect();
        assert_eq!(all.len(), 3, "each of them is counted");
        let whys: Vec<_> = Stuck::once(all).into_iter().map(|s| s.why).collect();
        assert_eq!(whys, ["connection refused", "no target"]);
    }

    #[test]
    fn several_failures_at_once_are_told_without_the_words_of_the_sdk() {
        let wrapped = |why: &str| format!("{PREFIX}{why}{SUFFIX}");
        let lines = |whys: &[&str]| whys.iter().map(|why| wrapped(why)).collect::<Vec<_>>();
        let two = lines(&[
            "step a: it's away",
            "step b: no target",
            "step b: no target",
        ]);
        assert_eq!(
            plain(&two.join("\n")),
            "step a: it's away; step b: no target"
        );
        assert_eq!(plain(&wrapped("two\nlines")), "two\nlines");
        assert_eq!(plain("connection refused"), "connection refused");
        let with_status = format!("[500 Internal] {}", wrapped("step a: no target"));
        assert_eq!(plain(&with_status), "step a: no target");
        assert_eq!(plain("[META0003] refused"), "[META0003] refused");
    }
}
