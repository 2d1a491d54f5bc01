use serde_json::{Value as Json, json};

use super::style::utc_time;
use crate::{
    journal::{EffectOutcome, Event, Record},
    value::Value,
};

/// One event of a journal as a line.
pub fn event_line(record: &Record) -> String {
    let millis = record.at.rem_euclid(1000);
    let text = match &record.event {
        Event::RunStarted {
            workflow,
            file,
            target,
            requester,
            ..
        } => {
            format!("run started: {workflow} ({file}) on target {target}, by {requester}")
        }
        Event::RunResumed { requester, .. } => format!("run resumed by {requester}"),
        Event::RunEdited { requester, .. } => {
            format!("run goes on with edited files, by {requester}")
        }
        Event::RunSuspended => "run waits for an approval".into(),
        Event::UndoStarted { requester } => format!("undo started by {requester}"),
        Event::RunCancelled { requester } => format!("run cancelled by {requester}"),
        Event::RunEnded { outcome, error, .. } => match error {
            Some(error) => format!("run {}: {error}", outcome.as_str()),
            None => format!("run {}", outcome.as_str()),
        },
        Event::StepStarted {
            step,
            items: Some(items),
            ..
        } => {
            let plural = if items.len() == 1 { "" } else { "s" };
            format!("{step} started: {} item{plural}", items.len())
        }
        Event::StepStarted {
            step, attempt: 1, ..
        } => format!("{step} started"),
        Event::StepStarted { step, attempt, .. } => format!("{step} started, attempt {attempt}"),
        Event::StepSucceeded { step, .. } => format!("{step} succeeded"),
        Event::StepFailed {
            step,
            error,
            retry_at: None,
        } => format!("{step} failed: {error}"),
        Event::StepFailed {
            step,
            error,
            retry_at: Some(at),
        } => {
            format!("{step} failed, again at {}: {error}", utc_time(*at))
        }
        Event::StepSkipped { step, reason } => format!("{step} skipped: {reason}"),
        Event::StepInterrupted { step } => format!("{step} stopped"),
        Event::StepReset { step } => format!("{step} starts over"),
        Event::StepReopened { step } => format!("{step} runs again, and replays what it did"),
        Event::ApprovalAsked { step, message, .. } => format!("{step} asks: {message}"),
        Event::ApprovalDecided {
            step,
            verdict,
            approver,
            comment,
            ..
        } => {
            let comment = comment.as_ref().map_or(String::new(), |c| format!(": {c}"));
            format!("{step} {} by {approver}{comment}", verdict.as_str())
        }
        Event::AnswerRefused {
            step,
            verdict,
            approver,
            why,
            ..
        } => format!(
            "{step} {} by {approver}, which does not count: {why}",
            verdict.as_str()
        ),
        Event::LockTaken { lock, step } => match step {
            Some(step) => format!("{step} holds the lock {lock}"),
            None => format!("run holds the lock {lock}"),
        },
        Event::LockReleased { lock, .. } => format!("lock {lock} given up"),
        Event::EffectSettled {
            step,
            position,
            outcome,
            ..
        } => format!("{step} #{} was {}", position.0, outcome_text(outcome)),
        Event::EffectAnswered {
            step,
            position,
            requester,
            done,
        } => {
            let answer = done.as_ref().map_or("to be made again".into(), brief);
            format!("{step} #{} answered by {requester}: {answer}", position.0)
        }
        Event::AttemptAnswered { step, requester } => {
            format!("{step} did nothing more in the attempt that was killed, says {requester}")
        }
        Event::EffectIntended {
            step,
            position,
            call,
            ..
        } => {
            format!("{step} #{} {} …", position.0, call.function)
        }
        Event::EffectEnded {
            step,
            position,
            call,
            outcome,
        } => {
            let function = call
                .as_ref()
                .map_or(String::new(), |call| format!(" {}", call.function));
            format!(
                "{step} #{}{function} → {}",
                position.0,
                outcome_text(outcome)
            )
        }
        Event::Logged { step, message, .. } => format!("{step}: {message}"),
    };
    format!("{}.{millis:03}  {text}", utc_time(record.at))
}

/// One event as JSON, with secrets masked.
pub fn event_json(record: &Record) -> Json {
    let event = serde_json::to_value(&record.event).unwrap_or_default();
    json!({ "seq": record.seq, "at": record.at, "digest": record.digest, "event": event })
}

fn outcome_text(outcome: &EffectOutcome) -> String {
    match outcome {
        EffectOutcome::Done(value) => brief(value),
        EffectOutcome::Failed(failure) => format!("failed: {failure}"),
        EffectOutcome::NotDone => "never done".into(),
    }
}

fn brief(value: &Value) -> String {
    const MOST: usize = 100;
    let text = match value {
        Value::Null => return "done".into(),
        other => other.to_text().replace('\n', " "),
    };
    match text.char_indices().nth(MOST) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text,
    }
}
