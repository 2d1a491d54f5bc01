use std::sync::Arc;

use super::{error::RunsError, folds::Cursor};
use windlass_ground::Timestamp;
use windlass_journal::{Event, InstanceId, Journal, Outcome, Record, RunEnded, RunId};
use windlass_report::EventLines;

/// An event of a run as people read it.
#[derive(Clone, Debug)]
pub struct LogLine {
    /// The event's number, which names the line.
    pub seq: u64,
    pub at: Timestamp,
    /// The text, with the time of day; of an error, the whole text.
    pub text: String,
    pub step: Option<InstanceId>,
    /// Whether it reports a failure.
    pub is_error: bool,
}

/// The lines of a run so far, so that only new events are read.
#[derive(Default)]
pub struct Lines {
    cursor: Cursor,
    said: EventLines,
    lines: Arc<Vec<LogLine>>,
}

impl Lines {
    /// Reads new events, and returns all lines.
    ///
    /// # Errors
    /// An error of the journal.
    pub fn read(&mut self, journal: &Journal, run: &RunId) -> Result<Arc<Vec<LogLine>>, RunsError> {
        let Self {
            cursor,
            said,
            lines,
        } = self;
        let mut new = Vec::new();
        cursor.advance(journal, run, |record| new.push(line(said, &record)))?;
        if !new.is_empty() {
            Arc::make_mut(lines).extend(new);
        }
        Ok(lines.clone())
    }
}

/// Returns the line of an event. Must be called for the events in their order.
pub fn line(said: &mut EventLines, record: &Record) -> LogLine {
    LogLine {
        seq: record.seq,
        at: record.at,
        text: said.line(record, true),
        step: record.event.step().cloned(),
        is_error: is_error(&record.event),
    }
}

fn is_error(event: &Event) -> bool {
    match event {
        Event::StepFailed(_) | Event::AnswerRefused(_) => true,
        Event::RunEnded(RunEnded { outcome, .. }) => {
            !matches!(outcome, Outcome::Succeeded | Outcome::Undone)
        }
        _ => false,
    }
}
