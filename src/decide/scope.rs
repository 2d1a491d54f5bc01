//! One workflow within a run: the root, or a nested one. All rules of the graph are here.

use std::collections::HashMap;

use super::decision::{Decision, Start};
use crate::{
    compile::{Action, OnError, Step, StepIndex, Template, Workflow, bind_params},
    journal::{Event, InstanceId, Items, Status},
    value::{StepError, Value},
};

pub(super) struct Scope<'a, 'w> {
    pub workflow: &'w Workflow,
    /// The instance of the `workflow:` step that this is the inside of.
    pub inside: Option<&'a InstanceId>,
    pub params: &'a Value,
}

/// How a scope ended.
pub(super) enum Settled {
    Succeeded(Value),
    Failed {
        steps: Vec<String>,
        error: Option<StepError>,
    },
}

impl Settled {
    /// It ended before anything in it ran.
    fn nothing(error: Option<StepError>) -> Self {
        Self::Failed {
            steps: Vec::new(),
            error,
        }
    }
}

/// Where a step stands, as far as its dependents care.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It may still do something.
    Open,
    Succeeded,
    Skipped,
    /// Failed, and `on_error: continue`.
    Tolerated,
    Failed,
    /// It never runs, because something before it failed.
    Blocked,
}

impl<'w> Scope<'_, 'w> {
    /// Decides about every step; says how the scope ended, once it has.
    pub fn visit(&self, decision: &mut Decision<'_, 'w>) -> Option<Settled> {
        let is_cancelled = decision.state.is_cancelled;
        match self.has_locks(decision) {
            Ok(true) => {}
            // What stands under `finally` needs the lock as much as anything.
            Ok(false) if !is_cancelled => return None,
            Ok(false) => return Some(Settled::nothing(None)),
            Err(error) => return Some(Settled::nothing(Some(error))),
        }
        let mut standings = HashMap::new();
        self.visit_steps(decision, &mut standings, false);
        let is_open = |standings: &HashMap<_, _>| standings.values().any(|s| *s == Standing::Open);
        if is_open(&standings) {
            return None;
        }
        self.visit_steps(decision, &mut standings, true);
        if is_open(&standings) {
            return None;
        }
        let failed = self.failed(&standings);
        if !failed.is_empty() || decision.state.is_cancelled {
            return Some(Settled::Failed {
                steps: failed,
                error: None,
            });
        }
        Some(match self.outputs(decision.view()) {
            Ok(outputs) => Settled::Succeeded(outputs),
            Err(error) => Settled::Failed {
                steps: Vec::new(),
                error: Some(error),
            },
        })
    }

    fn visit_steps(
        &self,
        decision: &mut Decision<'_, 'w>,
        standings: &mut HashMap<StepIndex, Standing>,
        is_finally: bool,
    ) {
        let status =
            is_finally.then(
                || match (decision.state.is_cancelled, self.failed(standings)) {
                    (true, _) => "cancelled",
                    (false, failed) if failed.is_empty() => "succeeded",
                    _ => "failed",
                },
            );
        for (index, step) in self
            .workflow
            .steps()
            .filter(|(_, s)| s.is_finally == is_finally)
        {
            let standing = self.visit_step(decision, standings, index, step, status);
            standings.insert(index, standing);
        }
    }

    fn failed(&self, standings: &HashMap<StepIndex, Standing>) -> Vec<String> {
        self.workflow
            .steps()
            .filter(|(index, _)| {
                matches!(
                    standings.get(index),
                    Some(Standing::Failed | Standing::Blocked)
                )
            })
            .map(|(_, step)| step.name.to_string())
            .collect()
    }

    fn visit_step(
        &self,
        decision: &mut Decision<'_, 'w>,
        standings: &HashMap<StepIndex, Standing>,
        index: StepIndex,
        step: &'w Step,
        run_status: Option<&str>,
    ) -> Standing {
        let id = InstanceId::step(self.inside, step.name.as_str());
        match decision.state.status(&id) {
            Status::Succeeded => return Standing::Succeeded,
            // A question that was not asked stops nobody.
            Status::Skipped if matches!(step.action, Action::Approval(_)) => {
                return Standing::Succeeded;
            }
            Status::Skipped => return Standing::Skipped,
            Status::Failed if step.on_error == OnError::Continue => return Standing::Tolerated,
            Status::Failed => return Standing::Failed,
            Status::Running | Status::Waiting | Status::Retrying { .. } => {
                self.go_on(decision, &id, step, run_status);
                return Standing::Open;
            }
            Status::Pending => {}
        }
        // What stands under `finally` runs however the others ended; only each other it awaits.
        let waits_for: Vec<Standing> = self
            .workflow
            .dependency_indices(index)
            .filter(|other| self.workflow.step(*other).is_finally == step.is_finally)
            .map(|other| standings.get(&other).copied().unwrap_or(Standing::Open))
            .collect();
        if waits_for
            .iter()
            .any(|s| matches!(s, Standing::Failed | Standing::Blocked))
        {
            return Standing::Blocked;
        }
        if waits_for.contains(&Standing::Open) {
            return Standing::Open;
        }
        if decision.state.is_cancelled && !step.is_finally {
            return Standing::Blocked;
        }
        if !waits_for.is_empty() && waits_for.iter().all(|s| *s == Standing::Skipped) {
            let names: Vec<_> = self
                .workflow
                .dependencies(index)
                .map(|(s, _)| s.name.as_str())
                .collect();
            self.skip(decision, &id, format!("{} was skipped", names.join(", ")));
            return Standing::Open;
        }
        match self.condition(decision.view(), step, run_status) {
            Err(error) => decision.fail(&id, error),
            Ok(false) => {
                let text = step.when.as_ref().map(describe).unwrap_or_default();
                self.skip(decision, &id, format!("{text} is false"));
            }
            Ok(true) => match &step.for_each {
                Some(items) => self.expand(decision, &id, step, items, run_status),
                None => self.begin(decision, &id, step, &Value::Null, run_status),
            },
        }
        Standing::Open
    }

    fn skip(&self, decision: &mut Decision<'_, 'w>, id: &InstanceId, reason: String) {
        decision.next.events.push(Event::StepSkipped {
            step: id.clone(),
            reason,
        });
    }

    fn expand(
        &self,
        decision: &mut Decision<'_, 'w>,
        id: &InstanceId,
        step: &'w Step,
        items: &Template,
        run_status: Option<&str>,
    ) {
        match self.items(decision.view(), step, items, run_status) {
            Err(error) => decision.fail(id, error),
            Ok(items) => decision.next.events.push(Event::StepStarted {
                step: id.clone(),
                attempt: decision.state.instance(id).map_or(0, |i| i.attempt) + 1,
                inputs: None,
                items: Some(items),
                is_scope: false,
            }),
        }
    }

    /// Starts the first attempt of one unit: a step, or one item of it.
    fn begin(
        &self,
        decision: &mut Decision<'_, 'w>,
        id: &InstanceId,
        step: &'w Step,
        item: &Value,
        run_status: Option<&str>,
    ) {
        let is_leaf = matches!(step.action, Action::Script(_));
        if is_leaf && !decision.has_room() {
            return;
        }
        let inputs = self.inputs(decision.view(), step, item, run_status);
        let inputs = match inputs {
            Ok(inputs) => inputs,
            Err(error) => return decision.fail(id, error),
        };
        match self.has_lock_of(decision, step, id, item) {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => return decision.fail(id, error),
        }
        let attempt = decision.state.instance(id).map_or(0, |i| i.attempt) + 1;
        match &step.action {
            Action::Approval(approval) => self.ask(decision, id, approval, attempt, item),
            Action::Script(_) => {
                let start = Start {
                    instance: id.clone(),
                    step: Some(step),
                    attempt,
                    inputs,
                };
                decision.start(start, false);
            }
            Action::Workflow(inner) => match bind_params(inner, inputs) {
                Err(e) => decision.fail(id, StepError::new("wrong-type", e.to_string())),
                Ok(params) => decision.next.events.push(Event::StepStarted {
                    step: id.clone(),
                    attempt,
                    inputs: Some(Value::Map(params)),
                    items: None,
                    is_scope: true,
                }),
            },
        }
    }

    /// Goes on with a step that has begun.
    fn go_on(
        &self,
        decision: &mut Decision<'_, 'w>,
        id: &InstanceId,
        step: &'w Step,
        run_status: Option<&str>,
    ) {
        let instance = decision.state.instance(id);
        match instance.and_then(|i| Some((i.items.as_ref()?, &i.item_instances))) {
            Some(items) => self.go_on_with_items(decision, id, step, items, run_status),
            None => self.go_on_with_unit(decision, id, step),
        }
    }

    fn go_on_with_items(
        &self,
        decision: &mut Decision<'_, 'w>,
        id: &InstanceId,
        step: &'w Step,
        (items, instances): (&Vec<(String, Value)>, &Items),
        run_status: Option<&str>,
    ) {
        let most = step.max_parallel.map_or(usize::MAX, |n| n as usize);
        let ids = instances.ids();
        let statuses = instances.statuses(&decision.state.steps);
        let mut active = statuses
            .iter()
            .filter(|s| !s.is_settled() && **s != Status::Pending)
            .count();
        for ((id, status), (_, item)) in ids.iter().zip(&statuses).zip(items) {
            match status {
                Status::Running | Status::Waiting | Status::Retrying { .. } => {
                    self.go_on_with_unit(decision, id, step)
                }
                Status::Pending if may_begin(decision, step) && active < most => {
                    let before = decision.next.events.len();
                    self.begin(decision, id, step, item, run_status);
                    active += decision.next.events.len() - before;
                }
                _ => {}
            }
        }
        let gives_up = decision.state.is_cancelled && !step.is_finally;
        let is_over = |s: &Status| s.is_settled() || (gives_up && *s == Status::Pending);
        if !statuses.iter().all(is_over) {
            return;
        }
        if statuses.contains(&Status::Pending) {
            decision
                .next
                .events
                .push(Event::StepInterrupted { step: id.clone() });
            return;
        }
        let failed: Vec<&str> = items
            .iter()
            .zip(&statuses)
            .filter(|(_, status)| **status == Status::Failed)
            .map(|((key, _), _)| key.as_str())
            .collect();
        if !failed.is_empty() {
            let message = format!(
                "{} of {} failed: {}",
                failed.len(),
                items.len(),
                failed.join(", ")
            );
            return decision.fail(id, StepError::new("items-failed", message));
        }
        let outputs = ids
            .iter()
            .zip(items)
            .filter_map(|(id, (key, _))| {
                Some((key.clone(), decision.state.instance(id)?.outputs.clone()))
            })
            .collect();
        let event = Event::StepSucceeded {
            step: id.clone(),
            outputs: Value::Map(outputs),
        };
        decision.next.events.push(event);
    }

    fn go_on_with_unit(&self, decision: &mut Decision<'_, 'w>, id: &InstanceId, step: &'w Step) {
        let Some(instance) = decision.state.instance(id) else {
            return;
        };
        match (instance.status, &step.action) {
            (Status::Running, Action::Workflow(inner)) => {
                let scope = Scope {
                    workflow: inner,
                    inside: Some(id),
                    params: &instance.inputs,
                };
                match scope.visit(decision) {
                    None => {}
                    Some(Settled::Succeeded(outputs)) => {
                        decision.next.events.push(Event::StepSucceeded {
                            step: id.clone(),
                            outputs,
                        })
                    }
                    Some(Settled::Failed { .. })
                        if decision.state.is_cancelled && !step.is_finally =>
                    {
                        decision
                            .next
                            .events
                            .push(Event::StepInterrupted { step: id.clone() });
                    }
                    Some(Settled::Failed { steps, error }) => {
                        let error = error.unwrap_or_else(|| {
                            let message = format!("failed inside: {}", steps.join(", "));
                            StepError::new("steps-failed", message)
                        });
                        decision.fail(id, error);
                    }
                }
            }
            (Status::Waiting, _) if may_begin(decision, step) => {
                self.wait(decision, id, instance, step);
            }
            (Status::Retrying { .. } | Status::Waiting, _) if !may_begin(decision, step) => {
                decision
                    .next
                    .events
                    .push(Event::StepInterrupted { step: id.clone() });
            }
            (Status::Retrying { at }, Action::Script(_)) => {
                if decision.is_early(at, step.retry.longest) {
                    decision.wake_at(at);
                } else if decision.has_room() {
                    let Value::Map(inputs) = instance.inputs.clone() else {
                        return;
                    };
                    let attempt = instance.attempt + 1;
                    let start = Start {
                        instance: id.clone(),
                        step: Some(step),
                        attempt,
                        inputs,
                    };
                    decision.start(start, true);
                }
            }
            _ => {}
        }
    }
}

/// After a cancel only what stands under `finally` begins.
fn may_begin(decision: &Decision, step: &Step) -> bool {
    !decision.state.is_cancelled || step.is_finally
}

fn describe(template: &Template) -> String {
    match template.expressions().as_slice() {
        [placed] => format!("`{}`", placed.expression.text()),
        _ => "`when`".into(),
    }
}
