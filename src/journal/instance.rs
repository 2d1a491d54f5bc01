use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    event::{CallRecord, EffectOutcome},
    id::Position,
    items::Items,
    message::Verdict,
    payload::ApprovalAsked,
};
use windlass_ground::Timestamp;
use windlass_script::{Class, lacks_result};
use windlass_world::value::{Digest, StepError, Value};

/// The code of an attempt that was lost with its records.
pub const ATTEMPT_KILLED: &str = "attempt-killed";

/// The codes of errors that a script makes of what it has read.
const OF_SCRIPT: [&str; 4] = [
    "script-threw",
    "script-error",
    "wrong-arguments",
    "wrong-output",
];

/// The state of one execution of a step.
#[derive(Clone, Debug, Default)]
pub struct Instance {
    pub status: Status,
    /// Attempts so far, over all resumes.
    pub attempt: u32,
    /// Attempts since the start or the last resume: what `retry.attempts` counts.
    pub tries: u32,
    /// How often it was reset; part of the keys of its effects.
    pub round: u32,
    /// Sorts the instances by the first calls of their rounds that may have changed something; without one, by their starts.
    pub order: u64,
    pub inputs: Value,
    pub items: Option<Vec<(String, Value)>>,
    /// The instances of its items.
    pub item_instances: Items,
    pub is_scope: bool,
    pub effects: Vec<EffectState>,
    /// The edition of the run's files with which it last succeeded.
    pub edition: u32,
    /// An attempt was lost with its records: it may have made calls beyond them.
    pub is_suspect: bool,
    /// The effects of the rounds before this one, oldest first.
    pub earlier: Vec<Round>,
    /// The result from before it was reopened. Until it has called something else, an undo uses that result.
    pub(super) gave: Option<Box<Gave>>,
    /// Whether the last attempt failed of what its script made of reads.
    pub(super) reads_again: bool,
    pub outputs: Value,
    pub error: Option<Box<StepError>>,
    pub skip_reason: Option<String>,
    pub approval: Option<Box<Approval>>,
    /// When the first attempt began.
    pub started_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    /// The total time of its attempts in milliseconds; for a composite one, the time in which the run was at work.
    pub worked: i64,
    /// The start of the attempt that is running.
    pub(super) work_since: Option<Timestamp>,
    /// The value of [`super::State::worked`] when a composite one began.
    pub(super) run_worked: Option<i64>,
}

/// A success that a step has to show again.
#[derive(Clone, Debug)]
pub(super) struct Gave {
    inputs: Value,
    outputs: Value,
    /// How many calls it had made that change something. Reads may be discarded and made again.
    changes: usize,
}

/// What a step did before it was reset.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Round<V = Value> {
    /// As [`Instance::round`].
    pub number: u32,
    pub order: u64,
    pub effects: Vec<EffectState<V>>,
    pub inputs: V,
    /// `None` if it had not succeeded.
    pub outputs: Option<V>,
    /// The edition of the run's files with which it succeeded.
    #[serde(default)]
    pub edition: u32,
}

/// A borrowed round, which may be part of an instance.
#[derive(Clone, Copy, Debug)]
pub struct RoundRef<'a> {
    /// As [`Instance::round`].
    pub number: u32,
    pub order: u64,
    pub effects: &'a [EffectState],
    pub inputs: &'a Value,
    /// `None` if it had not succeeded.
    pub outputs: Option<&'a Value>,
    /// As [`Round::edition`].
    pub edition: u32,
}

impl RoundRef<'_> {
    pub fn to_round(self) -> Round {
        Round {
            number: self.number,
            order: self.order,
            effects: self.effects.to_vec(),
            inputs: self.inputs.clone(),
            outputs: self.outputs.cloned(),
            edition: self.edition,
        }
    }
}

impl Round {
    /// Borrows it for a reader.
    pub fn lent(&self) -> RoundRef<'_> {
        RoundRef {
            number: self.number,
            order: self.order,
            effects: &self.effects,
            inputs: &self.inputs,
            outputs: self.outputs.as_ref(),
            edition: self.edition,
        }
    }
}

impl<V> Round<V> {
    /// Converts every value in it.
    pub fn try_map<W, E>(self, mut f: impl FnMut(V) -> Result<W, E>) -> Result<Round<W>, E> {
        let effects = self.effects.into_iter();
        Ok(Round {
            number: self.number,
            order: self.order,
            effects: effects
                .map(|effect| effect.try_map(&mut f))
                .collect::<Result<_, E>>()?,
            inputs: f(self.inputs)?,
            outputs: self.outputs.map(f).transpose()?,
            edition: self.edition,
        })
    }
}

/// A question to a person, and the answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Approval {
    pub message: String,
    pub digest: Digest,
    pub asked_at: Timestamp,
    pub deadline: Option<Timestamp>,
    pub answer: Option<Answer>,
}

impl Approval {
    /// Begins to wait for an answer, at `at`.
    pub(super) fn of(asked: &ApprovalAsked, at: Timestamp) -> Self {
        Self {
            message: asked.message.clone(),
            digest: asked.digest,
            asked_at: at,
            deadline: asked.deadline,
            answer: None,
        }
    }

    /// Says whether its deadline has passed at this time: then no answer counts any more.
    pub fn has_expired(&self, at: Timestamp) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= at)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub verdict: Verdict,
    pub approver: String,
    pub comment: Option<String>,
    pub at: Timestamp,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Status {
    #[default]
    Pending,
    Running,
    /// It waits for a person's answer.
    Waiting,
    /// It failed, and will be retried at this time.
    Retrying {
        at: Timestamp,
    },
    Succeeded,
    Failed,
    Skipped,
}

impl Status {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Retrying { .. } => "retrying",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }

    /// Says whether it stays as it is without an outside action.
    pub fn is_settled(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Skipped)
    }
}

/// One effect of a step instance; without an outcome it is in doubt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EffectState<V = Value> {
    pub call: CallRecord,
    /// When it was announced (or ended, for a read).
    pub at: Timestamp,
    /// The state before the call, as far as an undo needs it.
    pub before: Option<V>,
    pub outcome: Option<EffectOutcome<V>>,
    /// Whether it failed and ended its attempt.
    pub ended_attempt: bool,
    /// What an undo later found out about it.
    pub settled: Option<EffectOutcome<V>>,
}

impl<V> EffectState<V> {
    /// Converts every value in it.
    pub fn try_map<W, E>(self, mut f: impl FnMut(V) -> Result<W, E>) -> Result<EffectState<W>, E> {
        Ok(EffectState {
            call: self.call,
            at: self.at,
            before: self.before.map(&mut f).transpose()?,
            outcome: self.outcome.map(|o| o.try_map(&mut f)).transpose()?,
            ended_attempt: self.ended_attempt,
            settled: self.settled.map(|o| o.try_map(&mut f)).transpose()?,
        })
    }
}

impl EffectState {
    /// Says whether it is unknown if the call was made: the process died inside the call, or its answer was lost.
    pub fn is_unknown(&self) -> bool {
        self.call.class != Class::Read
            && self.settled.is_none()
            && match &self.outcome {
                None => true,
                Some(EffectOutcome::Failed(failure)) => failure.is_unknown,
                Some(_) => false,
            }
    }

    /// Says whether the call was made but ended its attempt: its answer was not as expected.
    pub fn is_refused_done(&self) -> bool {
        let failure = match &self.outcome {
            Some(EffectOutcome::Failed(failure)) => failure,
            _ => return false,
        };
        self.call.class != Class::Read && self.ended_attempt && failure.is_done
    }

    /// Says whether the call was made, or may have been: making it again could do it twice.
    pub fn may_be_done(&self) -> bool {
        self.is_unknown() || self.is_done()
    }

    /// Says whether an operator, or a lookup at the other side, must settle it before its step continues.
    pub fn is_open(&self) -> bool {
        self.is_unknown() || self.is_refused_done()
    }

    /// Says whether the call was made, even if its result was lost.
    pub fn is_done(&self) -> bool {
        match self.settled.as_ref().or(self.outcome.as_ref()) {
            Some(EffectOutcome::Done(_)) => true,
            Some(EffectOutcome::Failed(failure)) => failure.is_done,
            Some(EffectOutcome::NotDone) | None => false,
        }
    }

    /// Returns the result, if the call was made.
    pub fn result(&self) -> Option<&Value> {
        match self.settled.as_ref().or(self.outcome.as_ref()) {
            Some(EffectOutcome::Done(value)) => Some(value),
            _ => None,
        }
    }
}

impl Instance {
    /// Says whether it contains other instances.
    pub fn is_composite(&self) -> bool {
        self.is_scope || self.items.is_some()
    }

    /// Says whether an attempt of it is running.
    pub(super) fn is_at_work(&self) -> bool {
        self.status == Status::Running && !self.is_composite()
    }

    /// Says whether calls of this round may have changed something.
    pub(super) fn has_changes_in_round(&self) -> bool {
        let mut effects = self.effects.iter();
        effects.any(|effect| effect.call.class != Class::Read)
    }

    /// Returns the total time of its attempts in milliseconds, including that of the one that is running; `None` if none is.
    pub fn working(&self, now: Timestamp) -> Option<i64> {
        let since = self.work_since.filter(|_| self.is_at_work())?;
        Some(self.worked + now.millis_since(since).max(0))
    }

    /// Adds the time of the attempt that ends at `at`; `run_worked` is the run's working time by then.
    pub(super) fn stop_work(&mut self, at: Timestamp, run_worked: i64) {
        let since = self.work_since.take();
        match self.run_worked.filter(|_| self.is_composite()) {
            Some(before) => self.worked = run_worked - before,
            None => self.worked += since.map_or(0, |since| at.millis_since(since).max(0)),
        }
    }

    /// Says whether its last attempt stopped because an earlier one was interrupted inside a call, and only a person knows whether the call was made.
    pub fn is_said_in_doubt(&self) -> bool {
        let error = self.error.as_ref();
        error.is_some_and(|error| error.code == "in-doubt")
    }

    /// Says whether it failed only for that, and nobody has answered yet, or whether an attempt of it was lost with its records.
    pub fn has_failed_in_doubt(&self) -> bool {
        let is_asked = || self.is_said_in_doubt() && self.call_in_doubt().is_some();
        self.status == Status::Failed && (self.is_suspect || is_asked())
    }

    /// Returns the longest pause before the next attempt: that of the step's `retry`, or the one that the other side asked for.
    pub fn longest_pause(&self, of_retry: Duration) -> Duration {
        let asked = self.error.as_ref().and_then(|error| error.asked_pause());
        of_retry.max(asked.unwrap_or_default())
    }

    /// Returns the call about which only a person knows whether it was made: the next attempt would stop there.
    pub fn call_in_doubt(&self) -> Option<&EffectState> {
        let last = self.effects.last().filter(|effect| effect.is_open())?;
        (self.is_said_in_doubt() || last.call.class == Class::Unsure).then_some(last)
    }

    /// Returns its last call if a person has said that it was done, but not what it returned, and the step has not succeeded since.
    pub fn answered_without_result(&self) -> Option<&EffectState> {
        let last = self.effects.last()?;
        let lacks = last
            .result()
            .is_some_and(|result| lacks_result(&last.call.function, result));
        let is_open = matches!(self.status, Status::Failed | Status::Pending);
        (lacks && is_open).then_some(last)
    }

    /// Says whether it waits for an answer and its deadline has passed at this time.
    pub fn has_expired(&self, at: Timestamp) -> bool {
        let asked = self.approval.as_deref();
        self.status == Status::Waiting && asked.is_some_and(|asked| asked.has_expired(at))
    }

    /// Says whether an approver, or the timeout, rejected it.
    pub fn is_rejected(&self) -> bool {
        let answer = self
            .approval
            .as_ref()
            .and_then(|asked| asked.answer.as_ref());
        self.status == Status::Failed && answer.is_some_and(|a| a.verdict == Verdict::Rejected)
    }

    /// Lists every round with effects, newest first.
    pub fn rounds(&self) -> impl Iterator<Item = RoundRef<'_>> {
        let (inputs, outputs) = self.success().unzip();
        let this = RoundRef {
            number: self.round,
            order: self.order,
            effects: &self.effects,
            inputs: inputs.unwrap_or(&self.inputs),
            outputs,
            edition: self.edition,
        };
        std::iter::once(this).chain(self.earlier.iter().rev().map(Round::lent))
    }

    /// The inputs and outputs with which it succeeded, if it has, and has called nothing else since.
    fn success(&self) -> Option<(&Value, &Value)> {
        if self.status == Status::Succeeded {
            return Some((&self.inputs, &self.outputs));
        }
        let gave = self.gave.as_deref();
        gave.filter(|gave| self.changes() <= gave.changes)
            .map(|gave| (&gave.inputs, &gave.outputs))
    }

    /// Returns the names of the inputs that differ from those with which it succeeded before it was to show that again.
    pub fn changed_inputs(&self) -> Vec<&str> {
        let inputs = |value: &Value| value.as_map().cloned().unwrap_or_default();
        let Some(gave) = self.gave.as_deref() else {
            return Vec::new();
        };
        let was = inputs(&gave.inputs);
        let now = self.inputs.as_map().into_iter().flatten();
        now.filter(|(name, value)| was.get(*name) != Some(value))
            .map(|(name, _)| name.as_str())
            .collect()
    }

    /// The number of its calls in this round that change something.
    fn changes(&self) -> usize {
        let changing = |effect: &&EffectState| effect.call.class != Class::Read;
        self.effects.iter().filter(changing).count()
    }

    /// Whether it, in any round, changed something outside.
    pub fn has_changed_something(&self) -> bool {
        self.rounds()
            .any(|round| round.effects.iter().any(|e| e.call.class != Class::Read))
    }

    pub(super) fn effects_of(&self, round: u32) -> Option<&[EffectState]> {
        if round == self.round {
            return Some(&self.effects);
        }
        let earlier = self.earlier.iter().find(|r| r.number == round);
        earlier.map(|round| &*round.effects)
    }

    pub(super) fn effects_of_mut(&mut self, round: u32) -> Option<&mut Vec<EffectState>> {
        if round == self.round {
            return Some(&mut self.effects);
        }
        let earlier = self.earlier.iter_mut().find(|r| r.number == round);
        earlier.map(|round| &mut round.effects)
    }

    /// Allows an unfinished step to run again: its effects stay, and only the failure that ended the last attempt is
    /// discarded, so that the call is made again.
    pub(super) fn revive(&mut self) {
        self.status = if self.is_composite() {
            Status::Running
        } else {
            Status::Pending
        };
        self.tries = 0;
        self.ended_at = None;
        self.work_since = None;
        self.forget_last_failure();
    }

    /// Allows a step to run again from its start, as if it had done nothing.
    pub(super) fn reset(&mut self) {
        let is_composite = self.is_composite();
        let round = self.rounds().next().map(RoundRef::to_round);
        let done = std::mem::take(self);
        *self = Self {
            attempt: done.attempt,
            round: done.round + 1,
            earlier: done.earlier,
            ..Self::default()
        };
        // A step that called nothing may still have its own undo.
        let is_kept =
            |round: &Round| !round.effects.is_empty() || (round.outputs.is_some() && !is_composite);
        self.earlier.extend(round.filter(is_kept));
    }

    /// Allows a step to run again and replay its effects.
    pub(super) fn reopen(&mut self) {
        let is_composite = self.is_composite();
        let success = self.success().filter(|_| !is_composite);
        let gave = success.map(|(inputs, outputs)| Gave {
            inputs: inputs.clone(),
            outputs: outputs.clone(),
            changes: self.changes(),
        });
        let done = std::mem::take(self);
        *self = Self {
            attempt: done.attempt,
            round: done.round,
            order: done.order,
            effects: done.effects,
            edition: done.edition,
            is_suspect: done.is_suspect,
            earlier: done.earlier,
            gave: gave.map(Box::new),
            started_at: done.started_at,
            worked: done.worked,
            run_worked: done.run_worked,
            ..Self::default()
        };
        self.forget_last_failure();
    }

    /// Discards the arguments and results of its reads.
    pub(super) fn forget_reads(&mut self) {
        for effect in &mut self.effects {
            if effect.call.class == Class::Read {
                effect.call.arguments = serde_json::Value::Null;
                if let Some(EffectOutcome::Done(given)) = &mut effect.outcome {
                    *given = Value::Null;
                }
            }
        }
    }

    /// Discards the failure that ended an attempt: the next attempt does not replay it, but makes the call again or, if it may have
    /// been made even so, treats it as in doubt.
    pub(super) fn forget_last_failure(&mut self) {
        let Some(last) = self.effects.last_mut().filter(|last| last.ended_attempt) else {
            return;
        };
        // An effect that was made stays: the next attempt meets it first.
        if last.is_refused_done() {
            return;
        }
        last.ended_attempt = false;
        if last.is_unknown() {
            last.outcome = None
        } else {
            self.effects.pop();
        }
    }

    /// Returns the position from which the next attempt reads again instead of replaying, if the script itself failed in the
    /// last one: it would make the same of the same reads. What it read before a change that it made stays, because the
    /// change depends on it, and what it read before a sleep, because the sleep has passed.
    pub fn reads_again_from(&self) -> Option<Position> {
        if self.is_suspect || !self.reads_again {
            return None;
        }
        let stays = |effect: &EffectState| {
            effect.call.class != Class::Read || effect.call.function == "time::sleep"
        };
        let first = self
            .effects
            .iter()
            .rposition(stays)
            .map_or(0, |last| last + 1);
        (first < self.effects.len()).then_some(Position(first as u32))
    }

    /// Notes whether an attempt that has ended with this error failed of what its script made of reads. If it failed after a
    /// change that was refused, that call is made again, and with the same arguments, because it has the same key.
    pub(super) fn note_what_failed(&mut self, error: &StepError) {
        let last = self.effects.last();
        let is_of_change =
            last.is_some_and(|last| last.ended_attempt && last.call.class != Class::Read);
        self.reads_again = OF_SCRIPT.contains(&&*error.code) && !is_of_change;
    }

    /// Marks the effect whose failure ended the attempt, if there is one: always the last effect, even if the script caught the
    /// error. If the process died, no attempt failed, and a failure that a script caught is replayed.
    pub(super) fn mark_what_ended_it(&mut self) {
        if let Some(last) = self.effects.last_mut() {
            last.ended_attempt = matches!(last.outcome, Some(EffectOutcome::Failed(_)));
        }
    }
}
