use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::{
    clock::{column_time, log_time},
    object::call_line,
    plain::{cut, line, lines, short_line},
    style::counted,
};
use windlass_journal::{
    AnswerRefused, ApprovalAsked, ApprovalDecided, AttemptAnswered, EffectAnswered, EffectEnded,
    EffectIntended, EffectOutcome, EffectSettled, Event, InstanceId, LockReleased, LockTaken,
    Logged, Record, RunCancelled, RunEdited, RunEnded, RunResumed, RunStarted, StepFailed,
    StepSkipped, StepStarted, StepSucceeded, UndoStarted, Via,
};
use windlass_script::Reversed;
use windlass_world::value::{StepError, Value, one_line};

/// Formats the events of a journal as lines. The line of a call's end repeats the call from its beginning.
#[derive(Default)]
pub struct EventLines {
    intended: BTreeMap<(InstanceId, u32), String>,
}

impl EventLines {
    /// Formats one event as a line. Must be called for the events in their order. Without `is_full`, long messages of failures are cut.
    pub fn line(&mut self, record: &Record, is_full: bool) -> String {
        let known = match &record.event {
            Event::EffectIntended(EffectIntended {
                step,
                position,
                call,
                ..
            }) => {
                let place = (step.clone(), position.0);
                self.intended.insert(place, call_line(call));
                None
            }
            Event::EffectEnded(EffectEnded { step, position, .. })
            | Event::EffectSettled(EffectSettled { step, position, .. })
            | Event::EffectAnswered(EffectAnswered { step, position, .. }) => {
                self.intended.get(&(step.clone(), position.0))
            }
            _ => None,
        };
        event_line(record, known.map_or("", String::as_str), is_full)
    }
}

/// `call` is the event's call, if the event itself does not contain it.
fn event_line(record: &Record, call: &str, is_full: bool) -> String {
    let said = |error: &StepError| {
        if is_full {
            error.message.clone()
        } else {
            short_line(&error.headline())
        }
    };
    let call = match call {
        "" => String::new(),
        call => format!(" {call}"),
    };
    let text = match &record.event {
        Event::RunStarted(RunStarted {
            workflow,
            file,
            target,
            chosen,
            requester,
            via,
            ..
        }) => {
            let limited = if chosen.is_empty() {
                String::new()
            } else {
                let steps: Vec<_> = chosen.iter().map(String::as_str).collect();
                format!(", of {} only", steps.join(", "))
            };
            let by = by(requester, via.as_ref());
            format!("run started: {workflow} ({file}) on target {target}, {by}{limited}")
        }
        Event::RunResumed(RunResumed { requester, via, .. }) => {
            format!("run resumed {}", by(requester, via.as_ref()))
        }
        Event::RunEdited(RunEdited { requester, .. }) => {
            format!("run continues with edited files, by {requester}")
        }
        Event::RunSuspended => "run waits for an approval".into(),
        Event::UndoStarted(UndoStarted {
            requester,
            via,
            error,
        }) => {
            let why = error.as_deref().map(|error| format!(": {}", said(error)));
            format!(
                "undo started {}{}",
                by(requester, via.as_ref()),
                why.unwrap_or_default()
            )
        }
        Event::RunCancelled(RunCancelled { requester, via }) => {
            format!("run cancelled {}", by(requester, via.as_ref()))
        }
        Event::RunEnded(RunEnded { outcome, error, .. }) => match error {
            Some(error) => format!("run {}: {}", outcome.as_str(), said(error)),
            None => format!("run {}", outcome.as_str()),
        },
        Event::StepStarted(StepStarted {
            step,
            items: Some(items),
            ..
        }) => {
            format!("{step} started: {}", counted(items.len(), "item"))
        }
        Event::StepStarted(StepStarted {
            step, attempt: 1, ..
        }) => format!("{step} started"),
        Event::StepStarted(StepStarted { step, attempt, .. }) => {
            format!("{step} started, attempt {attempt}")
        }
        Event::StepSucceeded(StepSucceeded { step, .. }) => format!("{step} succeeded"),
        Event::StepFailed(StepFailed {
            step,
            error,
            retry_at: None,
        }) => format!("{step} failed: {}", said(error)),
        Event::StepFailed(StepFailed {
            step,
            error,
            retry_at: Some(at),
        }) => {
            format!(
                "{step} failed, retry at {}: {}",
                column_time(*at),
                said(error)
            )
        }
        Event::StepSkipped(StepSkipped { step, reason }) => format!("{step} skipped: {reason}"),
        Event::StepInterrupted { step } => format!("{step} stopped"),
        Event::StepReset { step } => format!("{step} starts again from the beginning"),
        Event::StepReopened { step } => format!("{step} runs again, and replays its calls"),
        Event::ApprovalAsked(ApprovalAsked { step, message, .. }) => {
            format!("{step} asks: {message}")
        }
        Event::ApprovalDecided(ApprovalDecided {
            step,
            verdict,
            approver,
            via,
            comment,
            ..
        }) => {
            let comment = comment.as_ref().map_or(String::new(), |c| format!(": {c}"));
            let by = by(approver, via.as_ref());
            format!("{step} {} {by}{comment}", verdict.as_str())
        }
        Event::AnswerRefused(AnswerRefused {
            step,
            verdict,
            approver,
            why,
            ..
        }) => format!("{step} {} by {approver}, ignored: {why}", verdict.as_str()),
        Event::LockTaken(LockTaken { lock, step }) => match step {
            Some(step) => format!("{step} holds the lock {lock}"),
            None => format!("run holds the lock {lock}"),
        },
        Event::LockReleased(LockReleased { lock, .. }) => format!("lock {lock} released"),
        Event::EffectSettled(EffectSettled {
            step,
            position,
            outcome,
            ..
        }) => format!(
            "{step} #{}{call} was {}",
            position.0,
            outcome_text(outcome, is_full)
        ),
        Event::EffectAnswered(EffectAnswered {
            step,
            position,
            requester,
            done,
        }) => {
            let answer = done
                .as_ref()
                .map_or("not done, to be repeated".into(), brief);
            format!(
                "{step} #{}{call} answered by {requester}: {answer}",
                position.0
            )
        }
        Event::AttemptAnswered(AttemptAnswered { step, requester }) => {
            format!("{requester} confirms that the killed attempt of {step} did nothing more")
        }
        Event::EffectIntended(EffectIntended {
            step,
            position,
            call,
            ..
        }) => {
            format!("{step} #{} {} …", position.0, call_line(call))
        }
        Event::EffectEnded(EffectEnded {
            step,
            position,
            call: own,
            outcome,
        }) => {
            let own = own.as_ref().map(|own| format!(" {}", call_line(own)));
            format!(
                "{step} #{}{} → {}",
                position.0,
                own.unwrap_or(call),
                outcome_text(outcome, is_full)
            )
        }
        Event::Logged(Logged { step, message, .. }) => format!("{step}: {message}"),
    };
    let text = if is_full {
        indented(&lines(&text))
    } else {
        line(&text).into_owned()
    };
    format!("{}  {text}", log_time(record.at))
}

/// Formats `by alice`, with how a server authenticated her: `by alice (token alice, header, from 10.0.0.4)`.
fn by(name: &str, via: Option<&Via>) -> String {
    match via {
        None => format!("by {name}"),
        Some(via) => format!("by {name} ({}, from {})", via.how, via.from),
    }
}

/// Returns one event as JSON, with secrets masked.
pub fn event_json(record: &Record) -> Json {
    let event = serde_json::to_value(&record.event).unwrap_or_default();
    json!({ "seq": record.seq, "at": record.at, "digest": record.digest, "event": event })
}

fn outcome_text(outcome: &EffectOutcome, is_full: bool) -> String {
    match outcome {
        EffectOutcome::Done(value) => match Reversed::read(value) {
            Some(Reversed::Done) => "reversed".into(),
            Some(Reversed::Already(why)) => format!("nothing to reverse: {}", line(&why)),
            Some(Reversed::Left(why)) => format!("left as it is: {}", line(&why)),
            None => brief(value),
        },
        EffectOutcome::Failed(failure) if is_full => {
            format!("failed: {failure}")
        }
        EffectOutcome::Failed(failure) => {
            format!("failed: {}", short_line(&one_line(&failure.to_string())))
        }
        EffectOutcome::NotDone => "not done".into(),
    }
}

/// Indents a text of several lines below the line to which it belongs.
fn indented(text: &str) -> String {
    text.replace('\n', "\n    ")
}

fn brief(value: &Value) -> String {
    const MOST: usize = 100;
    let text = match value {
        Value::Null => return "done".into(),
        other => other.to_text().replace('\n', " "),
    };
    cut(&text, MOST)
}
