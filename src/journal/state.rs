use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
};

use super::{
    event::{Event, Outcome},
    id::InstanceId,
    info::RunInfo,
    instance::{ATTEMPT_KILLED, Approval, Instance, Status},
    payload::{
        ApprovalDecided, AttemptAnswered, EffectAnswered, EffectEnded, EffectIntended,
        EffectSettled, LockReleased, LockTaken, RunCancelled, RunEnded, RunResumed, StepFailed,
        StepSkipped, StepStarted, StepSucceeded, UndoStarted,
    },
};
use windlass_ground::Timestamp;
use windlass_script::Class;
use windlass_world::value::{StepError, Value};

/// The state of a run: the fold over its events.
#[derive(Clone, Debug, Default)]
pub struct State {
    pub run: Option<RunInfo>,
    pub steps: BTreeMap<InstanceId, Instance>,
    /// `None` as long as the run has not ended; a resume removes it.
    pub outcome: Option<Outcome>,
    pub outputs: Value,
    /// The reason why the run failed, if no step has it.
    pub error: Option<StepError>,
    pub is_cancelled: bool,
    /// Who cancelled it last.
    pub cancelled_by: Option<RunCancelled>,
    /// Who started, resumed or undid the run last.
    pub driven_for: String,
    /// Whether an undo has begun; then no step runs forward any more.
    pub is_undoing: bool,
    /// Why the run began to undo itself, if no step has it. An undo that a person continues has the same reason.
    undone_for: Option<StepError>,
    /// The locks that it holds: the name, and the step that holds it unless the run does.
    pub locks: BTreeMap<String, Option<InstanceId>>,
    /// The number of applied events.
    pub events: u64,
    /// All people who started the run or later changed what it does: by an edit, a redo, or an answer about a call in
    /// doubt.
    pub requesters: BTreeSet<String>,
    /// The time in which a step was at work, in milliseconds, without waits for people and without the time in which no
    /// process drove the run.
    pub worked: i64,
    /// When it was started, resumed or undone for the last time.
    pub begun_at: Timestamp,
    /// How many steps are at work, and when the last event happened.
    at_work: usize,
    last_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    /// How often it has ended: a resume or an undo may continue it.
    pub ends: u32,
    /// When it was continued after its last end.
    pub continued_at: Option<Timestamp>,
}

/// An event that can't follow the ones before it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct IllegalTransition(String);

impl State {
    /// Folds events into a state.
    ///
    /// # Errors
    /// The first event that can't follow, with its number from 0.
    pub fn fold<'a>(
        events: impl IntoIterator<Item = (&'a Event, Timestamp)>,
    ) -> Result<Self, (usize, IllegalTransition)> {
        let mut state = Self::default();
        for (i, (event, at)) in events.into_iter().enumerate() {
            state.apply(event, at).map_err(|e| (i, e))?;
        }
        Ok(state)
    }

    pub fn instance(&self, id: &InstanceId) -> Option<&Instance> {
        self.steps.get(id)
    }

    /// Discards what the reads of an instance gave, which only a replay of it would use again. Their number stays.
    pub fn forget_reads(&mut self, id: &InstanceId) {
        if let Some(instance) = self.steps.get_mut(id) {
            instance.forget_reads();
        }
    }

    /// Lists the instances inside of another one, with their undos, ordered by id.
    pub fn inside(&self, outer: &InstanceId) -> impl Iterator<Item = (&InstanceId, &Instance)> {
        let below = |mark: char| {
            let prefix = format!("{outer}{mark}");
            let from = (Bound::Included(prefix.as_str()), Bound::Unbounded);
            let found = self.steps.range::<str, _>(from);
            found.take_while(move |(id, _)| id.as_str().starts_with(&prefix))
        };
        below('/').chain(below('['))
    }

    /// Lists the steps of one workflow that have an instance: the run's own workflow (`None`), or the one inside of an instance.
    /// Skips what is inside of each step, which may be much.
    pub fn steps_of(&self, inside: Option<&InstanceId>) -> impl Iterator<Item = &InstanceId> {
        let prefix = inside.map(|id| format!("{id}/")).unwrap_or_default();
        let mut from = prefix.clone();
        std::iter::from_fn(move || {
            loop {
                let range = (Bound::Included(from.as_str()), Bound::Unbounded);
                let (id, _) = self.steps.range::<str, _>(range).next()?;
                let rest = id.as_str().strip_prefix(&prefix)?;
                let Some(at) = rest.find(['/', '[']) else {
                    from = format!("{id}\0");
                    return Some(id);
                };
                let behind = char::from(rest.as_bytes()[at] + 1);
                from = format!("{prefix}{}{behind}", &rest[..at]);
            }
        })
    }

    pub fn status(&self, id: &InstanceId) -> Status {
        self.steps
            .get(id)
            .map_or(Status::Pending, |instance| instance.status)
    }

    /// Applies one event that happened at `at`.
    ///
    /// # Errors
    /// An event that can't follow; then the state is unchanged.
    pub fn apply(&mut self, event: &Event, at: Timestamp) -> Result<(), IllegalTransition> {
        if let Some(why) = self.refusal(event) {
            return Err(IllegalTransition(why));
        }
        if let Event::RunStarted(_) | Event::RunResumed(_) | Event::UndoStarted(_) = event {
            self.begun_at = at;
        }
        self.count_work(event, at);
        self.change(event, at);
        // These events change many steps at once.
        if let Event::RunResumed(_) | Event::UndoStarted(_) = event {
            self.at_work = self.steps.values().filter(|i| i.is_at_work()).count();
        }
        Ok(())
    }

    /// Returns how many attempts of steps are running.
    pub fn at_work(&self) -> usize {
        self.at_work
    }

    /// Returns the reason why an event can't follow; `None` if it can.
    fn refusal(&self, event: &Event) -> Option<String> {
        let continues = matches!(event, Event::RunResumed(_) | Event::UndoStarted(_));
        let why = match event {
            Event::RunStarted(_) if self.run.is_some() => "the run has started already",
            Event::RunStarted(_) => return None,
            _ if self.run.is_none() => "the run has not started",
            _ if self.outcome.is_some() && !continues => "the run has ended",
            Event::RunResumed(_) if self.is_undoing => "the run is being undone",
            Event::UndoStarted(_) if self.outcome == Some(Outcome::Undone) => {
                "the run has been undone"
            }
            Event::LockTaken(LockTaken { lock, .. }) if self.locks.contains_key(lock) => {
                return Some(format!("the lock `{lock}` is held already"));
            }
            Event::LockReleased(LockReleased { lock, step })
                if self.locks.get(lock) != Some(step) =>
            {
                return Some(format!("the lock `{lock}` is not held"));
            }
            event => {
                let step = event.step()?;
                return Instance::refusal(self.instance(step), step, event);
            }
        };
        Some(why.to_owned())
    }

    /// Applies an event to the run and its steps; the event must be allowed to follow.
    fn change(&mut self, event: &Event, at: Timestamp) {
        self.events += 1;
        match event {
            Event::RunStarted(started) => {
                self.requesters.insert(started.requester.clone());
                self.driven_for.clone_from(&started.requester);
                self.run = Some(RunInfo::of(started, at));
            }
            Event::RunResumed(RunResumed {
                requester,
                keeps,
                redo,
                ..
            }) => {
                self.reopen(at);
                self.driven_for.clone_from(requester);
                if !redo.is_empty() {
                    self.requesters.insert(requester.clone());
                }
                let keeps: BTreeSet<&InstanceId> = keeps.iter().collect();
                for (id, instance) in &mut self.steps {
                    let stays = [Status::Succeeded, Status::Skipped, Status::Waiting];
                    if !stays.contains(&instance.status) && !keeps.contains(id) {
                        instance.revive();
                    }
                }
            }
            Event::RunEdited(edited) => {
                self.requesters.insert(edited.requester.clone());
                if let Some(run) = &mut self.run {
                    run.edit(edited);
                }
            }
            Event::UndoStarted(UndoStarted {
                error, requester, ..
            }) => {
                self.reopen(at);
                // An undo by `on_failure` is for the one who ran it.
                if error.is_none() {
                    self.driven_for.clone_from(requester);
                }
                if let Some(error) = error {
                    self.undone_for = Some((**error).clone());
                }
                self.error = self.undone_for.clone();
                self.is_undoing = true;
                let undos = self
                    .steps
                    .iter_mut()
                    .filter(|(id, _)| id.undone().is_some());
                for (_, instance) in undos {
                    // One that is skipped is what a person said to leave.
                    if !matches!(instance.status, Status::Succeeded | Status::Skipped) {
                        instance.revive();
                    }
                }
            }
            Event::RunSuspended => {}
            Event::RunCancelled(cancelled) => {
                self.is_cancelled = true;
                self.cancelled_by = Some(cancelled.clone());
            }
            Event::RunEnded(RunEnded {
                outcome,
                outputs,
                error,
            }) => {
                self.outcome = Some(*outcome);
                self.outputs = outputs.clone();
                self.error = error.clone();
                self.ended_at = Some(at);
                self.ends += 1;
                self.locks.clear();
            }
            Event::LockTaken(LockTaken { lock, step }) => {
                self.locks.insert(lock.clone(), step.clone());
            }
            Event::LockReleased(LockReleased { lock, .. }) => {
                self.locks.remove(lock);
            }
            Event::EffectAnswered(EffectAnswered { requester, .. })
            | Event::AttemptAnswered(AttemptAnswered { requester, .. }) => {
                self.requesters.insert(requester.clone());
                self.change_instance(event, at);
            }
            event => self.change_instance(event, at),
        }
    }

    /// Applies an event to its instance.
    fn change_instance(&mut self, event: &Event, at: Timestamp) {
        let (order, now) = (self.events, (at, self.worked));
        let edition = self.run.as_ref().map_or(0, |run| run.edition);
        let says_something = matches!(event, Event::AnswerRefused(_) | Event::Logged(_));
        let Some(step) = event.step().filter(|_| !says_something) else {
            return;
        };
        // One search for each event: with 100,000 instances, each one counts.
        let may_be_first = matches!(
            event,
            Event::StepStarted(_)
                | Event::StepFailed(_)
                | Event::StepSkipped(_)
                | Event::ApprovalAsked(_)
        );
        let instance = if may_be_first {
            self.steps.entry(step.clone()).or_default()
        } else {
            match self.steps.get_mut(step) {
                Some(instance) => instance,
                None => return,
            }
        };
        let was_at_work = instance.is_at_work();
        let may_place = match event {
            Event::StepStarted(_) => true,
            Event::EffectIntended(EffectIntended { call, .. })
            | Event::EffectEnded(EffectEnded {
                call: Some(call), ..
            }) => call.class != Class::Read,
            _ => false,
        };
        // It stands where its round began to change something: an undo takes back what others changed after that before.
        if may_place && !instance.has_changes_in_round() {
            instance.order = order;
        }
        match event {
            Event::StepStarted(StepStarted {
                attempt,
                inputs,
                items,
                is_scope,
                is_fresh,
                reads_again_from,
                ..
            }) => {
                instance.start(*attempt, *is_fresh, *reads_again_from, now);
                instance.is_scope = *is_scope;
                if let Some(inputs) = inputs {
                    instance.inputs = inputs.clone();
                }
                if let Some(items) = items {
                    instance.hold(step, items);
                }
            }
            Event::StepSucceeded(StepSucceeded { outputs, .. }) => {
                instance.succeed(outputs, edition, now);
            }
            Event::StepFailed(StepFailed {
                error, retry_at, ..
            }) => instance.fail(error, *retry_at, now),
            Event::StepSkipped(StepSkipped { reason, .. }) => instance.skip(reason),
            Event::StepInterrupted { .. } => instance.interrupt(now),
            Event::StepReset { .. } => instance.reset(),
            Event::StepReopened { .. } => instance.reopen(),
            Event::ApprovalAsked(asked) => {
                instance.order = order;
                instance.ask(asked.attempt, Approval::of(asked, at));
            }
            Event::ApprovalDecided(ApprovalDecided {
                verdict,
                approver,
                comment,
                ..
            }) => instance.decide(*verdict, approver, comment.as_deref(), at),
            Event::EffectIntended(EffectIntended {
                position,
                call,
                before,
                ..
            }) => instance.announce_effect(*position, call, before.as_ref(), at),
            Event::EffectEnded(EffectEnded {
                call: Some(call),
                outcome,
                ..
            }) => instance.add_effect(call, None, Some(outcome), at),
            Event::EffectEnded(EffectEnded {
                position, outcome, ..
            }) => instance.end_effect(*position, outcome),
            Event::EffectSettled(EffectSettled {
                round,
                position,
                outcome,
                ..
            }) => instance.settle_effect(*round, *position, outcome),
            Event::EffectAnswered(EffectAnswered { done, .. }) => {
                instance.answer_effect(done.as_ref())
            }
            Event::AttemptAnswered(_) => instance.is_suspect = false,
            _ => {}
        }
        self.at_work += usize::from(instance.is_at_work());
        self.at_work -= usize::from(was_at_work);
    }

    /// Adds the time since the last event, if a step was at work. The time before a resume does not count: the process had
    /// died, or the run had ended.
    fn count_work(&mut self, event: &Event, at: Timestamp) {
        let is_gap = match event {
            Event::RunResumed(_) | Event::UndoStarted(_) => self.outcome.is_none(),
            Event::StepFailed(StepFailed { error, .. }) => error.code == ATTEMPT_KILLED,
            _ => false,
        };
        if self.at_work > 0 && !is_gap {
            self.worked += at.millis_since(self.last_at).max(0);
        }
        self.last_at = at;
    }

    /// Makes the run continue after its end.
    fn reopen(&mut self, at: Timestamp) {
        if self.outcome.is_some() {
            self.continued_at = Some(at);
        }
        self.outcome = None;
        self.error = None;
        self.is_cancelled = false;
        self.ended_at = None;
    }
}

#[cfg(test)]
mod tests;
