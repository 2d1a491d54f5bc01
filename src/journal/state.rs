use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
};

use super::{
    event::{EffectOutcome, Event, Outcome},
    id::{InstanceId, Position},
    instance::{ATTEMPT_KILLED, Answer, Approval, EffectState, Instance, Status},
    items::Items,
    message::Verdict,
};
use crate::value::{Digest, StepError, Value};

/// Where a run stands: the fold over its events.
#[derive(Clone, Debug, Default)]
pub struct State {
    pub run: Option<RunInfo>,
    pub steps: BTreeMap<InstanceId, Instance>,
    /// `None` while it is not ended; a resume takes it back.
    pub outcome: Option<Outcome>,
    pub outputs: Value,
    /// Why the run failed, if no step says it.
    pub error: Option<StepError>,
    pub is_cancelled: bool,
    /// Since an undo began; nothing goes forward any more.
    pub is_undoing: bool,
    /// The locks it holds: name, and the step that holds it where it is not the run.
    pub locks: BTreeMap<String, Option<InstanceId>>,
    /// How many events were applied.
    pub events: u64,
    /// Everybody who started the run or changed what it does since: by an edit, a redo, an answer
    /// about a call in doubt.
    pub requesters: BTreeSet<String>,
    /// Milliseconds in which some step was at work; not the waits for people, nor the time in which
    /// nothing drove the run.
    pub worked: i64,
    /// How many steps are at work, and when the last event happened.
    at_work: usize,
    last_at: i64,
    /// Milliseconds since 1970.
    pub ended_at: Option<i64>,
}

/// How a run began.
#[derive(Clone, Debug)]
pub struct RunInfo {
    pub workflow: String,
    pub file: String,
    /// The folder that `file` was named from; empty where that was not kept.
    pub folder: String,
    pub main: String,
    pub program: Digest,
    /// Of the frozen files that it goes on with.
    pub edition: u32,
    pub target: String,
    /// The Kubernetes clusters that it speaks to, by their roles in the target.
    pub kube: BTreeSet<String>,
    pub out: String,
    pub params: Value,
    /// A keyed digest of the secrets among the params.
    pub secrets: Option<Digest>,
    pub requester: String,
    /// Milliseconds since 1970.
    pub started_at: i64,
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
        events: impl IntoIterator<Item = (&'a Event, i64)>,
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

    /// Lists the instances that run inside of another one, with their undos, in the order of their ids.
    pub fn inside(&self, outer: &InstanceId) -> impl Iterator<Item = (&InstanceId, &Instance)> {
        let below = |mark: char| {
            let prefix = format!("{outer}{mark}");
            let from = (Bound::Included(prefix.as_str()), Bound::Unbounded);
            let found = self.steps.range::<str, _>(from);
            found.take_while(move |(id, _)| id.as_str().starts_with(&prefix))
        };
        below('/').chain(below('['))
    }

    pub fn status(&self, id: &InstanceId) -> Status {
        self.steps
            .get(id)
            .map_or(Status::Pending, |instance| instance.status)
    }

    /// Applies one event that happened at `at` (milliseconds since 1970).
    ///
    /// # Errors
    /// An event that can't follow; the state is as before then.
    pub fn apply(&mut self, event: &Event, at: i64) -> Result<(), IllegalTransition> {
        let illegal = |what: &str| Err(IllegalTransition(what.into()));
        if self.run.is_none() && !matches!(event, Event::RunStarted { .. }) {
            return illegal("the run has not started");
        }
        let goes_on = matches!(event, Event::RunResumed { .. } | Event::UndoStarted { .. });
        if self.outcome.is_some() && !goes_on {
            return illegal("the run has ended");
        }
        let was_at_work = event.step().is_some_and(|step| self.is_at_work(step));
        self.count_work(event, at);
        self.change(event, at)?;
        match event {
            // They change many steps at once.
            Event::RunResumed { .. } | Event::UndoStarted { .. } => {
                self.at_work = self.steps.values().filter(|i| i.is_at_work()).count();
            }
            event => {
                if let Some(step) = event.step() {
                    self.at_work += usize::from(self.is_at_work(step));
                    self.at_work -= usize::from(was_at_work);
                }
            }
        }
        Ok(())
    }

    /// How many attempts of steps run.
    pub fn at_work(&self) -> usize {
        self.at_work
    }

    /// What [`State::apply`] does to the run and its steps.
    fn change(&mut self, event: &Event, at: i64) -> Result<(), IllegalTransition> {
        let illegal = |what: &str| Err(IllegalTransition(what.into()));
        self.events += 1;
        let order = self.events;
        match event {
            Event::RunStarted {
                workflow,
                file,
                folder,
                main,
                program,
                target,
                kube,
                out,
                params,
                secrets,
                requester,
                ..
            } => {
                if self.run.is_some() {
                    return illegal("the run has started already");
                }
                self.requesters.insert(requester.clone());
                self.run = Some(RunInfo {
                    workflow: workflow.clone(),
                    file: file.clone(),
                    folder: folder.clone(),
                    main: main.clone(),
                    program: *program,
                    edition: 0,
                    target: target.clone(),
                    kube: kube.clone(),
                    out: out.clone(),
                    params: params.clone(),
                    secrets: *secrets,
                    requester: requester.clone(),
                    started_at: at,
                });
            }
            Event::RunResumed {
                requester,
                keeps,
                redo,
            } => {
                if self.is_undoing {
                    return illegal("the run is being undone");
                }
                self.go_on();
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
            Event::RunEdited {
                program,
                main,
                edition,
                kube,
                params,
                secrets,
                requester,
            } => {
                self.requesters.insert(requester.clone());
                if let Some(run) = &mut self.run {
                    run.program = *program;
                    run.main.clone_from(main);
                    run.edition = *edition;
                    run.kube.clone_from(kube);
                    run.params = params.clone();
                    run.secrets = *secrets;
                }
            }
            Event::UndoStarted { .. } => {
                if self.outcome == Some(Outcome::Undone) {
                    return illegal("the run has been undone");
                }
                self.go_on();
                self.is_undoing = true;
                let undos = self
                    .steps
                    .iter_mut()
                    .filter(|(id, _)| id.undone().is_some());
                for (_, instance) in undos {
                    if instance.status != Status::Succeeded {
                        instance.revive();
                    }
                }
            }
            Event::RunSuspended => {}
            Event::RunCancelled { .. } => self.is_cancelled = true,
            Event::RunEnded {
                outcome,
                outputs,
                error,
            } => {
                self.outcome = Some(*outcome);
                self.outputs = outputs.clone();
                self.error = error.clone();
                self.ended_at = Some(at);
                self.locks.clear();
            }
            Event::LockTaken { lock, step } => {
                if self.locks.contains_key(lock) {
                    return illegal(&format!("the lock `{lock}` is held already"));
                }
                self.locks.insert(lock.clone(), step.clone());
            }
            Event::LockReleased { lock, step } => {
                if self.locks.get(lock) != Some(step) {
                    return illegal(&format!("the lock `{lock}` is not held"));
                }
                self.locks.remove(lock);
            }
            Event::StepStarted {
                step,
                attempt,
                inputs,
                items,
                is_scope,
                is_fresh,
            } => {
                let worked = self.worked;
                let instance = self.steps.entry(step.clone()).or_default();
                let can_start =
                    matches!(instance.status, Status::Pending | Status::Retrying { .. });
                if !can_start || *attempt != instance.attempt + 1 {
                    return illegal(&format!("attempt {attempt} of `{step}` can't start now"));
                }
                if matches!(instance.status, Status::Retrying { .. }) {
                    instance.forget_last_failure();
                }
                if *is_fresh {
                    instance.effects.clear();
                }
                instance.order = order;
                instance.status = Status::Running;
                instance.attempt = *attempt;
                instance.tries += 1;
                instance.started_at.get_or_insert(at);
                instance.work_since = Some(at);
                instance.run_worked.get_or_insert(worked);
                instance.is_scope = *is_scope;
                if let Some(inputs) = inputs {
                    instance.inputs = inputs.clone();
                }
                if let Some(items) = items {
                    let ids = items.iter().map(|(key, _)| step.item(key));
                    instance.item_instances = Items::new(ids.collect());
                    instance.items = Some(items.clone());
                }
            }
            Event::StepSucceeded { step, outputs } => {
                let worked = self.worked;
                let instance = self.running(step)?;
                instance.stop_work(at, worked);
                instance.status = Status::Succeeded;
                instance.outputs = outputs.clone();
                instance.error = None;
                instance.is_suspect = false;
                instance.ended_at = Some(at);
            }
            Event::StepFailed {
                step,
                error,
                retry_at,
            } => {
                let worked = self.worked;
                let instance = self.steps.entry(step.clone()).or_default();
                if !matches!(instance.status, Status::Pending | Status::Running) {
                    return illegal(&format!("`{step}` is not running"));
                }
                match error.code == ATTEMPT_KILLED {
                    // When it was lost is not known.
                    true => instance.work_since = None,
                    false => instance.stop_work(at, worked),
                }
                instance.mark_what_ended_it();
                instance.is_suspect |= error.code == ATTEMPT_KILLED;
                instance.error = Some(error.clone());
                instance.status = match retry_at {
                    Some(at) => Status::Retrying { at: *at },
                    None => Status::Failed,
                };
                instance.ended_at = Some(at);
            }
            Event::StepSkipped { step, reason } => {
                let instance = self.steps.entry(step.clone()).or_default();
                if instance.status != Status::Pending {
                    return illegal(&format!("`{step}` can't be skipped now"));
                }
                instance.status = Status::Skipped;
                instance.skip_reason = Some(reason.clone());
            }
            Event::StepInterrupted { step } => {
                let worked = self.worked;
                let Some(instance) = self.steps.get_mut(step).filter(|i| !i.status.is_settled())
                else {
                    return illegal(&format!("`{step}` is not running"));
                };
                instance.stop_work(at, worked);
                instance.forget_last_failure();
                instance.status = Status::Pending;
            }
            Event::StepReset { step } => self.known(step)?.reset(),
            Event::StepReopened { step } => self.known(step)?.reopen(),
            Event::ApprovalAsked {
                step,
                attempt,
                message,
                digest,
                deadline,
            } => {
                let instance = self.steps.entry(step.clone()).or_default();
                if instance.status != Status::Pending || *attempt != instance.attempt + 1 {
                    return illegal(&format!("`{step}` can't ask now"));
                }
                instance.status = Status::Waiting;
                instance.attempt = *attempt;
                instance.order = order;
                instance.started_at.get_or_insert(at);
                instance.approval = Some(Approval {
                    message: message.clone(),
                    digest: *digest,
                    asked_at: at,
                    deadline: *deadline,
                    answer: None,
                });
            }
            Event::ApprovalDecided {
                step,
                verdict,
                approver,
                comment,
                digest,
            } => {
                let instance = self.known(step)?;
                // After the deadline only the deadline itself answers, whenever that is recorded.
                let deadline = instance.approval.as_ref().and_then(|asked| asked.deadline);
                let at = deadline.map_or(at, |deadline| deadline.min(at));
                let asked = instance.approval.as_mut();
                let Some(approval) = asked.filter(|a| a.digest == *digest && a.answer.is_none())
                else {
                    return illegal(&format!("`{step}` did not ask for that"));
                };
                approval.answer = Some(Answer {
                    verdict: *verdict,
                    approver: approver.clone(),
                    comment: comment.clone(),
                    at,
                });
                instance.ended_at = Some(at);
                match verdict {
                    Verdict::Approved => {
                        instance.status = Status::Succeeded;
                        let comment = comment.clone().unwrap_or_default();
                        instance.outputs = Value::map([
                            ("approved_by", approver.clone().into()),
                            ("comment", comment.into()),
                        ]);
                    }
                    Verdict::Rejected => {
                        instance.status = Status::Failed;
                        instance.error = Some(rejected(step, approver, comment.as_deref()));
                    }
                }
            }
            Event::AnswerRefused { .. } => {}
            Event::EffectIntended {
                step,
                position,
                call,
                before,
            } => {
                let effects = &mut self.running(step)?.effects;
                expect_next(effects, *position)?;
                effects.push(EffectState {
                    call: call.clone(),
                    at,
                    before: before.clone(),
                    outcome: None,
                    ended_attempt: false,
                    settled: None,
                });
            }
            Event::EffectEnded {
                step,
                position,
                call,
                outcome,
            } => {
                let effects = &mut self.running(step)?.effects;
                match call {
                    Some(call) => {
                        expect_next(effects, *position)?;
                        effects.push(EffectState {
                            call: call.clone(),
                            at,
                            before: None,
                            outcome: Some(outcome.clone()),
                            ended_attempt: false,
                            settled: None,
                        });
                    }
                    None => match effects.get_mut(position.0 as usize) {
                        Some(effect) if effect.outcome.is_none() || effect.is_refused_done() => {
                            effect.ended_attempt = false;
                            effect.outcome = Some(outcome.clone());
                        }
                        _ => {
                            return illegal(&format!(
                                "effect {} of `{step}` was not begun",
                                position.0
                            ));
                        }
                    },
                }
            }
            Event::EffectSettled {
                step,
                round,
                position,
                outcome,
            } => {
                let effects = self.known(step)?.effects_of(*round);
                let effect = effects.and_then(|effects| effects.get_mut(position.0 as usize));
                match effect.filter(|effect| effect.is_unknown()) {
                    Some(effect) => effect.settled = Some(outcome.clone()),
                    None => return illegal(&format!("`{step}` has no such effect in doubt")),
                }
            }
            Event::EffectAnswered {
                step,
                position,
                requester,
                done,
            } => {
                self.requesters.insert(requester.clone());
                let instance = self.known(step)?;
                let effects = &mut instance.effects;
                let last = effects.len().checked_sub(1);
                let open = |effect: &&mut EffectState| {
                    effect.outcome.is_none() || effect.is_refused_done()
                };
                match effects.last_mut().filter(open) {
                    Some(effect) if last == Some(position.0 as usize) => match done {
                        Some(value) => {
                            effect.ended_attempt = false;
                            effect.outcome = Some(EffectOutcome::Done(value.clone()));
                        }
                        None => {
                            effects.pop();
                            // Nor was any call after it.
                            instance.is_suspect = false;
                        }
                    },
                    _ => return illegal(&format!("`{step}` has no such effect in doubt")),
                }
            }
            Event::AttemptAnswered { step, requester } => {
                self.requesters.insert(requester.clone());
                let instance = self.known(step)?;
                if !std::mem::take(&mut instance.is_suspect) {
                    return illegal(&format!("no attempt of `{step}` is in doubt"));
                }
            }
            Event::Logged { .. } => {}
        }
        Ok(())
    }

    fn is_at_work(&self, step: &InstanceId) -> bool {
        self.instance(step).is_some_and(Instance::is_at_work)
    }

    /// Counts the time since the last event, if a step was at work in it. Until a resume nothing was:
    /// the process had died, or the run had ended.
    fn count_work(&mut self, event: &Event, at: i64) {
        let is_gap = match event {
            Event::RunResumed { .. } | Event::UndoStarted { .. } => self.outcome.is_none(),
            Event::StepFailed { error, .. } => error.code == ATTEMPT_KILLED,
            _ => false,
        };
        if self.at_work > 0 && !is_gap {
            self.worked += (at - self.last_at).max(0);
        }
        self.last_at = at;
    }

    /// Takes back that the run has ended.
    fn go_on(&mut self) {
        self.outcome = None;
        self.error = None;
        self.is_cancelled = false;
        self.ended_at = None;
    }

    fn known(&mut self, step: &InstanceId) -> Result<&mut Instance, IllegalTransition> {
        self.steps
            .get_mut(step)
            .ok_or_else(|| IllegalTransition(format!("`{step}` never ran")))
    }

    fn running(&mut self, step: &InstanceId) -> Result<&mut Instance, IllegalTransition> {
        match self.steps.get_mut(step) {
            Some(instance) if instance.status == Status::Running => Ok(instance),
            _ => Err(IllegalTransition(format!("`{step}` is not running"))),
        }
    }
}

fn rejected(step: &InstanceId, approver: &str, comment: Option<&str>) -> StepError {
    let why = comment.map_or(String::new(), |comment| format!(": {comment}"));
    StepError::new("approval-rejected", format!("rejected by {approver}{why}"))
        .with_hint(format!("to ask again: windlass resume --redo '{step}'"))
}

fn expect_next(effects: &[EffectState], position: Position) -> Result<(), IllegalTransition> {
    match position.0 as usize == effects.len() {
        true => Ok(()),
        false => Err(IllegalTransition(format!(
            "effect {} comes after {} others",
            position.0,
            effects.len()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    fn started() -> State {
        let mut state = State::default();
        let event = Event::RunStarted {
            workflow: "w".into(),
            folder: String::new(),
            file: "w.yaml".into(),
            main: "w.yaml".into(),
            program: Digest::ZERO,
            target: "t".into(),
            kube: BTreeSet::new(),
            out: "out".into(),
            params: Value::Null,
            secrets: None,
            requester: "tester".into(),
            version: "0".into(),
        };
        state.apply(&event, 0).expect("legal");
        state
    }

    fn begins(step: &InstanceId, attempt: u32, is_scope: bool) -> Event {
        Event::StepStarted {
            step: step.clone(),
            attempt,
            inputs: None,
            items: None,
            is_scope,
            is_fresh: false,
        }
    }

    #[test]
    fn e2_times_leave_out_what_nobody_worked() {
        let (outer, asks) = (
            InstanceId::step(None, "outer"),
            InstanceId::step(None, "go"),
        );
        let inner = InstanceId::step(Some(&outer), "inner");
        let resumed = || Event::RunResumed {
            requester: "tester".into(),
            keeps: Vec::new(),
            redo: Vec::new(),
        };
        let done = |step: &InstanceId| Event::StepSucceeded {
            step: step.clone(),
            outputs: Value::Null,
        };
        let asked = Event::ApprovalAsked {
            step: asks.clone(),
            attempt: 1,
            message: "Go?".into(),
            digest: Digest::ZERO,
            deadline: None,
        };
        let mut state = started();
        let story = [
            (begins(&outer, 1, true), 0),
            (begins(&inner, 1, false), 0),
            // The process dies one second later, and a day passes.
            (resumed(), 24 * HOUR),
            (begins(&inner, 2, false), 24 * HOUR),
            (done(&inner), 24 * HOUR + 2000),
            (asked, 24 * HOUR + 2000),
            // Another day until somebody goes on.
            (Event::RunSuspended, 24 * HOUR + 2000),
            (resumed(), 48 * HOUR),
            (done(&outer), 48 * HOUR),
        ];
        for (event, at) in story {
            state.apply(&event, at).expect("legal");
        }
        assert_eq!(state.worked, 2000);
        for step in [&outer, &inner] {
            assert_eq!(state.instance(step).map(|i| i.worked), Some(2000), "{step}");
        }
    }
}
