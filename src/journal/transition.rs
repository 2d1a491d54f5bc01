//! Applies an event to one instance, and checks whether it may follow the events before.
//!
//! [`Instance::refusal`] changes nothing; if it returns `None`, the methods that apply the change can't fail.

use super::{
    event::{CallRecord, EffectOutcome, Event},
    id::{InstanceId, Position},
    instance::{ATTEMPT_KILLED, Answer, Approval, EffectState, Instance, Status},
    items::Items,
    message::Verdict,
    payload::{
        ApprovalAsked, ApprovalDecided, EffectAnswered, EffectEnded, EffectIntended, EffectSettled,
        StepStarted,
    },
};
use windlass_ground::Timestamp;
use windlass_script::Class;
use windlass_world::value::{StepError, Value};

impl Instance {
    /// Returns the reason why an event about the instance `step` can't follow; `None` if it can. `instance` is `None` before its first
    /// event.
    pub(super) fn refusal(
        instance: Option<&Self>,
        step: &InstanceId,
        event: &Event,
    ) -> Option<String> {
        let status = instance.map_or(Status::Pending, |instance| instance.status);
        let attempt_before = instance.map_or(0, |instance| instance.attempt);
        let effects = instance.map_or(&[] as &[_], |instance| &instance.effects);
        let refuse = |holds: bool, why: &dyn Fn() -> String| (!holds).then(why);
        // What a person said to leave could be reversed all the same by earlier versions; another answer says it again.
        let is_left = status == Status::Skipped && step.undone().is_some();
        let not_running = || format!("`{step}` is not running");
        let never_ran = || format!("`{step}` never ran");
        let not_in_doubt = || format!("`{step}` has no such effect in doubt");
        match event {
            Event::StepStarted(StepStarted {
                attempt,
                reads_again_from,
                ..
            }) => {
                let can_start =
                    is_left || matches!(status, Status::Pending | Status::Retrying { .. });
                let discarded = reads_again_from.map_or(effects.len(), |first| first.0 as usize);
                let mut discarded = effects.iter().skip(discarded);
                let only_reads = discarded.all(|effect| effect.call.class == Class::Read);
                refuse(
                    can_start && *attempt == attempt_before + 1 && only_reads,
                    &|| format!("attempt {attempt} of `{step}` can't start now"),
                )
            }
            Event::StepSucceeded(_) => refuse(status == Status::Running, &not_running),
            Event::StepFailed(_) => {
                let can_fail = matches!(status, Status::Pending | Status::Running);
                refuse(can_fail, &not_running)
            }
            Event::StepSkipped(_) => refuse(is_left || status == Status::Pending, &|| {
                format!("`{step}` can't be skipped now")
            }),
            Event::StepInterrupted { .. } => {
                refuse(instance.is_some() && !status.is_settled(), &not_running)
            }
            Event::StepReset { .. } | Event::StepReopened { .. } => {
                refuse(instance.is_some(), &never_ran)
            }
            Event::ApprovalAsked(ApprovalAsked { attempt, .. }) => {
                let can_ask = status == Status::Pending && *attempt == attempt_before + 1;
                refuse(can_ask, &|| format!("`{step}` can't ask now"))
            }
            Event::ApprovalDecided(ApprovalDecided { digest, .. }) => {
                let asked = instance.and_then(|instance| instance.approval.as_deref());
                let is_asked =
                    asked.is_some_and(|asked| asked.digest == *digest && asked.answer.is_none());
                refuse(is_asked, &|| format!("`{step}` did not ask this question"))
            }
            // The state before a call in doubt was read again.
            Event::EffectIntended(EffectIntended { position, call, .. })
                if (position.0 as usize) < effects.len() =>
            {
                refuse(status == Status::Running, &not_running).or_else(|| {
                    let begun = effects.get(position.0 as usize);
                    let is_same = |begun: &EffectState| begun.call.digest == call.digest;
                    let is_open = |begun: &&EffectState| begun.outcome.is_none();
                    refuse(begun.filter(is_open).is_some_and(is_same), &not_in_doubt)
                })
            }
            Event::EffectIntended(EffectIntended { position, .. })
            | Event::EffectEnded(EffectEnded {
                position,
                call: Some(_),
                ..
            }) => refuse(status == Status::Running, &not_running).or_else(|| {
                refuse(position.0 as usize == effects.len(), &|| {
                    format!("effect {} comes after {} others", position.0, effects.len())
                })
            }),
            Event::EffectEnded(EffectEnded {
                position,
                call: None,
                ..
            }) => refuse(status == Status::Running, &not_running).or_else(|| {
                let begun = effects.get(position.0 as usize);
                refuse(begun.is_some_and(EffectState::can_end), &|| {
                    format!("effect {} of `{step}` was not started", position.0)
                })
            }),
            Event::EffectSettled(EffectSettled {
                round, position, ..
            }) => {
                let effects = instance.and_then(|instance| instance.effects_of(*round));
                let effect = effects.and_then(|effects| effects.get(position.0 as usize));
                refuse(effect.is_some_and(EffectState::is_unknown), &not_in_doubt)
            }
            Event::EffectAnswered(EffectAnswered { position, .. }) => {
                let is_last = position.0 as usize + 1 == effects.len();
                let can_end = |last: &EffectState| last.can_end() || last.is_open();
                let lacks = instance.and_then(Instance::answered_without_result);
                let is_asked = effects.last().is_some_and(can_end) || lacks.is_some();
                refuse(is_last && is_asked, &not_in_doubt)
            }
            Event::AttemptAnswered(_) => refuse(
                instance.is_some_and(|instance| instance.is_suspect),
                &|| format!("no attempt of `{step}` is in doubt"),
            ),
            _ => None,
        }
    }

    /// Begins an attempt at `at`; `run_worked` is the run's working time by then.
    pub(super) fn start(
        &mut self,
        attempt: u32,
        is_fresh: bool,
        reads_again_from: Option<Position>,
        (at, run_worked): (Timestamp, i64),
    ) {
        if matches!(self.status, Status::Retrying { .. }) {
            self.forget_last_failure();
        }
        if is_fresh {
            self.effects.clear();
        }
        if let Some(Position(first)) = reads_again_from {
            self.effects.truncate(first as usize);
        }
        self.reads_again = false;
        self.status = Status::Running;
        self.attempt = attempt;
        self.tries += 1;
        self.started_at.get_or_insert(at);
        self.work_since = Some(at);
        self.run_worked.get_or_insert(run_worked);
    }

    /// Becomes the instance of a whole `for_each` with these items.
    pub(super) fn hold(&mut self, step: &InstanceId, items: &[(String, Value)]) {
        let ids = items.iter().map(|(key, _)| step.item(key));
        self.item_instances = Items::new(ids.collect());
        self.items = Some(items.to_vec());
    }

    pub(super) fn succeed(
        &mut self,
        outputs: &Value,
        edition: u32,
        (at, run_worked): (Timestamp, i64),
    ) {
        self.stop_work(at, run_worked);
        self.status = Status::Succeeded;
        self.gave = None;
        self.outputs = outputs.clone();
        self.edition = edition;
        self.error = None;
        self.is_suspect = false;
        self.ended_at = Some(at);
    }

    pub(super) fn fail(
        &mut self,
        error: &StepError,
        retry_at: Option<Timestamp>,
        (at, run_worked): (Timestamp, i64),
    ) {
        let was_killed = error.code == ATTEMPT_KILLED;
        if was_killed {
            // It is not known when the attempt was lost.
            self.work_since = None;
        } else {
            self.stop_work(at, run_worked);
        }
        self.mark_what_ended_it();
        self.note_what_failed(error);
        self.is_suspect |= was_killed;
        self.error = Some(Box::new(error.clone()));
        self.status = retry_at.map_or(Status::Failed, |at| Status::Retrying { at });
        self.ended_at = Some(at);
    }

    pub(super) fn skip(&mut self, reason: &str) {
        self.status = Status::Skipped;
        self.skip_reason = Some(reason.to_owned());
    }

    pub(super) fn interrupt(&mut self, (at, run_worked): (Timestamp, i64)) {
        self.stop_work(at, run_worked);
        self.forget_last_failure();
        self.status = Status::Pending;
    }

    pub(super) fn ask(&mut self, attempt: u32, asked: Approval) {
        self.status = Status::Waiting;
        self.attempt = attempt;
        self.started_at.get_or_insert(asked.asked_at);
        self.approval = Some(Box::new(asked));
    }

    /// Applies an answer that was given at `at`.
    pub(super) fn decide(
        &mut self,
        verdict: Verdict,
        approver: &str,
        comment: Option<&str>,
        at: Timestamp,
    ) {
        let Some(asked) = &mut self.approval else {
            return;
        };
        // After the deadline, only the timeout answers, no matter when that is recorded.
        let at = asked.deadline.map_or(at, |deadline| deadline.min(at));
        asked.answer = Some(Answer {
            verdict,
            approver: approver.to_owned(),
            comment: comment.map(str::to_owned),
            at,
        });
        self.ended_at = Some(at);
        match verdict {
            Verdict::Approved => {
                self.status = Status::Succeeded;
                self.outputs = Value::map([
                    ("approved_by", approver.into()),
                    ("comment", comment.unwrap_or_default().into()),
                ]);
            }
            Verdict::Rejected => {
                self.status = Status::Failed;
                self.error = Some(Box::new(rejected(approver, comment)));
            }
        }
    }

    /// Adds an effect that is announced, or replaces the state before one that was announced already.
    pub(super) fn announce_effect(
        &mut self,
        position: Position,
        call: &CallRecord,
        before: Option<&Value>,
        at: Timestamp,
    ) {
        match self.effects.get_mut(position.0 as usize) {
            Some(effect) => effect.before = before.cloned(),
            None => self.add_effect(call, before, None, at),
        }
    }

    /// Adds an effect; without an outcome, it is only announced.
    pub(super) fn add_effect(
        &mut self,
        call: &CallRecord,
        before: Option<&Value>,
        outcome: Option<&EffectOutcome>,
        at: Timestamp,
    ) {
        self.effects.push(EffectState {
            call: call.clone(),
            at,
            before: before.cloned(),
            outcome: outcome.cloned(),
            ended_attempt: false,
            settled: None,
        });
    }

    pub(super) fn end_effect(&mut self, position: Position, outcome: &EffectOutcome) {
        if let Some(effect) = self.effects.get_mut(position.0 as usize) {
            effect.end(outcome.clone());
        }
    }

    pub(super) fn settle_effect(
        &mut self,
        round: u32,
        position: Position,
        outcome: &EffectOutcome,
    ) {
        let effects = self.effects_of_mut(round);
        if let Some(effect) = effects.and_then(|effects| effects.get_mut(position.0 as usize)) {
            effect.settled = Some(outcome.clone());
        }
    }

    /// Applies an operator's statement about the last effect: its result if it was made.
    pub(super) fn answer_effect(&mut self, done: Option<&Value>) {
        match (done, self.effects.last_mut()) {
            (Some(value), Some(effect)) => effect.end(EffectOutcome::Done(value.clone())),
            _ => {
                self.effects.pop();
                // The operator's statement covers all later calls, too.
                self.is_suspect = false;
            }
        }
    }
}

impl EffectState {
    /// Says whether its result is still missing, or may be replaced.
    fn can_end(&self) -> bool {
        self.outcome.is_none() || self.is_refused_done()
    }

    fn end(&mut self, outcome: EffectOutcome) {
        self.ended_attempt = false;
        self.outcome = Some(outcome);
    }
}

fn rejected(approver: &str, comment: Option<&str>) -> StepError {
    let why = comment.map_or(String::new(), |comment| format!(": {comment}"));
    StepError::new("approval-rejected", format!("rejected by {approver}{why}"))
}
