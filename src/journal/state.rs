use std::collections::BTreeMap;

use super::{
    event::{CallRecord, EffectOutcome, Event, Outcome},
    id::{InstanceId, Position},
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
    /// Milliseconds since 1970.
    pub ended_at: Option<i64>,
}

/// How a run began.
#[derive(Clone, Debug)]
pub struct RunInfo {
    pub workflow: String,
    pub file: String,
    pub main: String,
    pub program: Digest,
    pub target: String,
    pub out: String,
    pub params: Value,
    pub requester: String,
    /// Milliseconds since 1970.
    pub started_at: i64,
}

/// Where one execution of a step stands.
#[derive(Clone, Debug, Default)]
pub struct Instance {
    pub status: Status,
    /// Attempts so far, over all resumes.
    pub attempt: u32,
    /// Attempts since the start or the last resume: what `retry.attempts` counts.
    pub tries: u32,
    /// How often it was reset; part of its effects' keys.
    pub round: u32,
    pub inputs: Value,
    pub items: Option<Vec<(String, Value)>>,
    pub is_scope: bool,
    pub effects: Vec<EffectState>,
    pub outputs: Value,
    pub error: Option<StepError>,
    pub skip_reason: Option<String>,
    /// Milliseconds since 1970, of the first attempt.
    pub started_at: Option<i64>,
    pub ended_at: Option<i64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Status {
    #[default]
    Pending,
    Running,
    /// Failed, and to be tried again at this time (milliseconds since 1970).
    Retrying {
        at: i64,
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
            Self::Retrying { .. } => "retrying",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }

    /// Whether nothing more happens to it by itself.
    pub fn is_settled(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Skipped)
    }
}

/// One effect of a step instance; without an outcome it is in doubt.
#[derive(Clone, Debug, PartialEq)]
pub struct EffectState {
    pub call: CallRecord,
    /// Milliseconds since 1970, when it was intended (or ended, for a read).
    pub at: i64,
    pub outcome: Option<EffectOutcome>,
}

/// An event that can't follow the ones before it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct IllegalTransition(String);

impl Instance {
    /// Whether other instances run inside of it.
    pub fn is_composite(&self) -> bool {
        self.is_scope || self.items.is_some()
    }

    /// Lets an unfinished step run again: what it did stays done, and only the failure that
    /// ended the last attempt is forgotten, so that the call is made again.
    fn revive(&mut self) {
        self.status = match self.is_composite() {
            true => Status::Running,
            false => Status::Pending,
        };
        self.tries = 0;
        self.ended_at = None;
        self.forget_last_failure();
    }

    fn forget_last_failure(&mut self) {
        let ended_by_failure = matches!(
            self.effects.last(),
            Some(EffectState {
                outcome: Some(EffectOutcome::Failed(_)),
                ..
            })
        );
        if ended_by_failure {
            self.effects.pop();
        }
    }
}

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
        if self.outcome.is_some() && !matches!(event, Event::RunResumed { .. }) {
            return illegal("the run has ended");
        }
        match event {
            Event::RunStarted {
                workflow,
                file,
                main,
                program,
                target,
                out,
                params,
                requester,
                ..
            } => {
                if self.run.is_some() {
                    return illegal("the run has started already");
                }
                self.run = Some(RunInfo {
                    workflow: workflow.clone(),
                    file: file.clone(),
                    main: main.clone(),
                    program: *program,
                    target: target.clone(),
                    out: out.clone(),
                    params: params.clone(),
                    requester: requester.clone(),
                    started_at: at,
                });
            }
            Event::RunResumed { .. } => {
                if self.outcome == Some(Outcome::Succeeded) {
                    return illegal("the run has succeeded");
                }
                self.outcome = None;
                self.error = None;
                self.is_cancelled = false;
                self.ended_at = None;
                for instance in self.steps.values_mut() {
                    if !matches!(instance.status, Status::Succeeded | Status::Skipped) {
                        instance.revive();
                    }
                }
            }
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
            }
            Event::StepStarted {
                step,
                attempt,
                inputs,
                items,
                is_scope,
            } => {
                let instance = self.steps.entry(step.clone()).or_default();
                let can_start =
                    matches!(instance.status, Status::Pending | Status::Retrying { .. });
                if !can_start || *attempt != instance.attempt + 1 {
                    return illegal(&format!("attempt {attempt} of `{step}` can't start now"));
                }
                if matches!(instance.status, Status::Retrying { .. }) {
                    instance.forget_last_failure();
                }
                instance.status = Status::Running;
                instance.attempt = *attempt;
                instance.tries += 1;
                instance.started_at.get_or_insert(at);
                instance.is_scope = *is_scope;
                if let Some(inputs) = inputs {
                    instance.inputs = inputs.clone();
                }
                if let Some(items) = items {
                    instance.items = Some(items.clone());
                }
            }
            Event::StepSucceeded { step, outputs } => {
                let instance = self.running(step)?;
                instance.status = Status::Succeeded;
                instance.outputs = outputs.clone();
                instance.error = None;
                instance.ended_at = Some(at);
            }
            Event::StepFailed {
                step,
                error,
                retry_at,
            } => {
                let instance = self.steps.entry(step.clone()).or_default();
                if !matches!(instance.status, Status::Pending | Status::Running) {
                    return illegal(&format!("`{step}` is not running"));
                }
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
                let Some(instance) = self.steps.get_mut(step).filter(|i| !i.status.is_settled())
                else {
                    return illegal(&format!("`{step}` is not running"));
                };
                instance.forget_last_failure();
                instance.status = Status::Pending;
            }
            Event::StepReset { step } => {
                let Some(instance) = self.steps.get_mut(step) else {
                    return illegal(&format!("`{step}` never ran"));
                };
                *instance = Instance {
                    attempt: instance.attempt,
                    round: instance.round + 1,
                    ..Instance::default()
                };
            }
            Event::EffectIntended {
                step,
                position,
                call,
            } => {
                let effects = &mut self.running(step)?.effects;
                expect_next(effects, *position)?;
                effects.push(EffectState {
                    call: call.clone(),
                    at,
                    outcome: None,
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
                            outcome: Some(outcome.clone()),
                        });
                    }
                    None => match effects.get_mut(position.0 as usize) {
                        Some(effect) if effect.outcome.is_none() => {
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
            Event::Logged { .. } => {}
        }
        Ok(())
    }

    fn running(&mut self, step: &InstanceId) -> Result<&mut Instance, IllegalTransition> {
        match self.steps.get_mut(step) {
            Some(instance) if instance.status == Status::Running => Ok(instance),
            _ => Err(IllegalTransition(format!("`{step}` is not running"))),
        }
    }
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
