use serde::{Deserialize, Serialize};

use super::{
    id::InstanceId,
    payload::{
        AnswerRefused, ApprovalAsked, ApprovalDecided, AttemptAnswered, EffectAnswered,
        EffectEnded, EffectIntended, EffectSettled, LockReleased, LockTaken, Logged, RunCancelled,
        RunEdited, RunEnded, RunResumed, RunStarted, StepFailed, StepSkipped, StepStarted,
        StepSucceeded, UndoStarted,
    },
};
use windlass_script::Class;
use windlass_world::value::{Digest, Failure, Value};

/// An event of a run. `V` is [`Value`] in memory, and its sealed form on disk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event<V = Value> {
    RunStarted(RunStarted<V>),
    /// Steps that failed or were interrupted may run again.
    RunResumed(RunResumed),
    /// The run continues with other files or params; `edition` is that of the frozen files.
    RunEdited(RunEdited<V>),
    RunCancelled(RunCancelled),
    /// The run waits for an answer to an approval, and no process waits with it.
    RunSuspended,
    /// The run's effects are reversed from here on, until [`Event::RunEnded`].
    UndoStarted(UndoStarted),
    RunEnded(RunEnded<V>),
    StepStarted(StepStarted<V>),
    StepSucceeded(StepSucceeded<V>),
    StepFailed(StepFailed),
    StepSkipped(StepSkipped),
    /// The step was cancelled while it ran; it may run again.
    StepInterrupted {
        step: InstanceId,
    },
    /// The step runs again from the start, with new keys; only an undo uses the records of its earlier effects.
    StepReset {
        step: InstanceId,
    },
    /// The step runs again, and replays its records.
    StepReopened {
        step: InstanceId,
    },
    /// The step waits for a person.
    ApprovalAsked(ApprovalAsked),
    /// The answer, which makes the step succeed or fail at once.
    ApprovalDecided(ApprovalDecided),
    /// An answer reached the driver and did not count; its sender had not been informed.
    AnswerRefused(AnswerRefused),
    /// The run, or one step of it, holds the lock from here on.
    LockTaken(LockTaken),
    LockReleased(LockReleased),
    /// The call is about to be made.
    EffectIntended(EffectIntended<V>),
    EffectEnded(EffectEnded<V>),
    /// An undo, or the operator who started it, found out whether an effect in doubt was made.
    EffectSettled(EffectSettled<V>),
    /// The operator states whether a call that can't be looked up was made: its result if it was made, `None` if the call must
    /// be made again.
    EffectAnswered(EffectAnswered<V>),
    /// The operator states that an attempt whose records are lost made no calls beyond the recorded ones.
    AttemptAnswered(AttemptAnswered),
    Logged(Logged),
}

impl Event<serde_json::Value> {
    /// Reads a stored event.
    ///
    /// A stored event begins with its tag, so the payload of a frequent event is parsed directly. `serde` would first copy the whole
    /// event, because in general the tag may be anywhere.
    pub(super) fn from_stored(body: &str) -> serde_json::Result<Self> {
        let tagged = body.strip_prefix("{\"event\":\"");
        let tag = tagged.and_then(|rest| rest.split_once('"'));
        Ok(match tag.map(|(tag, _)| tag) {
            Some("step_started") => Self::StepStarted(serde_json::from_str(body)?),
            Some("step_succeeded") => Self::StepSucceeded(serde_json::from_str(body)?),
            Some("step_failed") => Self::StepFailed(serde_json::from_str(body)?),
            Some("step_skipped") => Self::StepSkipped(serde_json::from_str(body)?),
            Some("effect_intended") => Self::EffectIntended(serde_json::from_str(body)?),
            Some("effect_ended") => Self::EffectEnded(serde_json::from_str(body)?),
            Some("logged") => Self::Logged(serde_json::from_str(body)?),
            _ => serde_json::from_str(body)?,
        })
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Succeeded,
    Failed,
    Cancelled,
    /// The run's effects have been reversed.
    Undone,
    /// The run's effects have been reversed in part; another undo continues.
    UndoFailed,
}

impl Outcome {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Undone => "undone",
            Self::UndoFailed => "undo failed",
        }
    }
}

/// Identifies the call of an effect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CallRecord {
    pub function: String,
    /// The arguments for people: secrets masked, long texts cut.
    pub arguments: serde_json::Value,
    /// The digest of function and full arguments; shows whether a script still makes the same call.
    pub digest: Digest,
    pub class: Class,
}

/// The outcome of a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EffectOutcome<V = Value> {
    Done(V),
    Failed(Failure),
    /// The call was in doubt, and was never made.
    NotDone,
}

impl<V> EffectOutcome<V> {
    pub(super) fn try_map<W, E>(
        self,
        f: impl FnOnce(V) -> Result<W, E>,
    ) -> Result<EffectOutcome<W>, E> {
        Ok(match self {
            Self::Done(value) => EffectOutcome::Done(f(value)?),
            Self::Failed(failure) => EffectOutcome::Failed(failure),
            Self::NotDone => EffectOutcome::NotDone,
        })
    }
}

impl<V> Event<V> {
    /// Returns the step instance of the event; `None` for the run itself.
    pub fn step(&self) -> Option<&InstanceId> {
        Some(match self {
            Self::RunStarted(_)
            | Self::RunResumed(_)
            | Self::RunEdited(_)
            | Self::RunCancelled(_)
            | Self::RunSuspended
            | Self::UndoStarted(_)
            | Self::RunEnded(_) => return None,
            Self::LockTaken(taken) => return taken.step.as_ref(),
            Self::LockReleased(released) => return released.step.as_ref(),
            Self::StepStarted(started) => &started.step,
            Self::StepSucceeded(succeeded) => &succeeded.step,
            Self::StepFailed(failed) => &failed.step,
            Self::StepSkipped(skipped) => &skipped.step,
            Self::StepInterrupted { step }
            | Self::StepReset { step }
            | Self::StepReopened { step } => step,
            Self::ApprovalAsked(asked) => &asked.step,
            Self::ApprovalDecided(decided) => &decided.step,
            Self::AnswerRefused(refused) => &refused.step,
            Self::EffectIntended(intended) => &intended.step,
            Self::EffectEnded(ended) => &ended.step,
            Self::EffectSettled(settled) => &settled.step,
            Self::EffectAnswered(answered) => &answered.step,
            Self::AttemptAnswered(answered) => &answered.step,
            Self::Logged(logged) => &logged.step,
        })
    }

    /// Converts every value in it.
    pub fn try_map<W, E>(self, f: impl FnMut(V) -> Result<W, E>) -> Result<Event<W>, E> {
        Ok(match self {
            Self::RunStarted(started) => Event::RunStarted(started.try_map(f)?),
            Self::RunResumed(resumed) => Event::RunResumed(resumed),
            Self::RunEdited(edited) => Event::RunEdited(edited.try_map(f)?),
            Self::RunCancelled(cancelled) => Event::RunCancelled(cancelled),
            Self::RunSuspended => Event::RunSuspended,
            Self::UndoStarted(started) => Event::UndoStarted(started),
            Self::RunEnded(ended) => Event::RunEnded(ended.try_map(f)?),
            Self::StepStarted(started) => Event::StepStarted(started.try_map(f)?),
            Self::StepSucceeded(succeeded) => Event::StepSucceeded(succeeded.try_map(f)?),
            Self::StepFailed(failed) => Event::StepFailed(failed),
            Self::StepSkipped(skipped) => Event::StepSkipped(skipped),
            Self::StepInterrupted { step } => Event::StepInterrupted { step },
            Self::StepReset { step } => Event::StepReset { step },
            Self::StepReopened { step } => Event::StepReopened { step },
            Self::ApprovalAsked(asked) => Event::ApprovalAsked(asked),
            Self::ApprovalDecided(decided) => Event::ApprovalDecided(decided),
            Self::AnswerRefused(refused) => Event::AnswerRefused(refused),
            Self::LockTaken(taken) => Event::LockTaken(taken),
            Self::LockReleased(released) => Event::LockReleased(released),
            Self::EffectIntended(intended) => Event::EffectIntended(intended.try_map(f)?),
            Self::EffectEnded(ended) => Event::EffectEnded(ended.try_map(f)?),
            Self::EffectSettled(settled) => Event::EffectSettled(settled.try_map(f)?),
            Self::EffectAnswered(answered) => Event::EffectAnswered(answered.try_map(f)?),
            Self::AttemptAnswered(answered) => Event::AttemptAnswered(answered),
            Self::Logged(logged) => Event::Logged(logged),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use windlass_world::value::StepError;

    #[test]
    fn a_stored_event_is_read_as_serde_reads_it() {
        let digest = Digest::ZERO;
        let error = StepError::new("attempt-killed", "{\"event\":\"logged\"");
        let error = serde_json::to_string(&error).expect("JSON");
        let call = format!(
            r#"{{"function":"http::put","arguments":{{}},"digest":"{digest}","class":"keyed"}}"#
        );
        let written = [
            r#"{"event":"step_started","step":"a[1]","attempt":1,"inputs":{"x":{"$secret":"c2"}},"items":null,"is_scope":false}"#.into(),
            r#"{"event":"step_succeeded","step":"a[1]","outputs":{"y":[1,2.5,null]}}"#.into(),
            format!(r#"{{"event":"step_failed","step":"a","error":{error},"retry_at":5}}"#),
            r#"{"event":"step_skipped","step":"a","reason":"`false` is false"}"#.into(),
            format!(r#"{{"event":"effect_intended","step":"a","position":0,"call":{call}}}"#),
            r#"{"event":"effect_ended","step":"a","position":0,"outcome":{"done":{"status":204}}}"#.into(),
            r#"{"event":"logged","step":"a","level":"info","message":"m"}"#.into(),
            r#"{"event":"step_interrupted","step":"a"}"#.into(),
            r#"{"event":"run_suspended"}"#.into(),
            // Not as this version writes it, but still valid.
            r#"{"step":"a","event":"step_interrupted"}"#.to_owned(),
        ];
        for body in &written {
            let by_serde: Event<serde_json::Value> = serde_json::from_str(body).expect(body);
            assert_eq!(Event::from_stored(body).expect(body), by_serde, "{body}");
        }
        for body in [
            r#"{"event":"step_started","step":"a"}"#,
            r#"{"event":"step_flew","step":"a"}"#,
            r#"{"event":"logged""#,
            "",
        ] {
            assert!(Event::from_stored(body).is_err(), "{body}");
        }
    }
}
