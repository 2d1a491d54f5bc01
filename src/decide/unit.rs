//! One execution of a step: begun, gone on with, over. A `for_each` step is its items' executions.

use super::{
    decision::{Decision, Next, Start},
    scope::{Scope, Settled},
};
use crate::{
    compile::{Action, Step, Template, bind_params},
    journal::{Event, InstanceId, Items, Status},
    value::{StepError, Value},
};

impl<'w> Scope<'_, 'w> {
    pub(super) fn expand(
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
                is_fresh: false,
            }),
        }
    }

    /// Starts the first attempt of one unit: a step, or one item of it.
    pub(super) fn begin(
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
                    is_finally: self.is_under_finally(step),
                };
                decision.start(start, false);
            }
            Action::Workflow(inner) => match bind_params(inner, inputs) {
                Err(e) => {
                    let wrong = e.0.iter().find_map(|wrong| step.with.get(wrong.param()?));
                    let place = wrong.and_then(Template::place);
                    decision.fail(id, StepError::new("wrong-type", e.to_string()).at(place));
                }
                Ok(params) => decision.next.events.push(Event::StepStarted {
                    step: id.clone(),
                    attempt,
                    inputs: Some(Value::Map(params)),
                    items: None,
                    is_scope: true,
                    is_fresh: false,
                }),
            },
        }
    }

    /// Goes on with a step that has begun.
    pub(super) fn go_on(
        &self,
        decision: &mut Decision<'_, 'w>,
        id: &InstanceId,
        step: &'w Step,
        run_status: Option<&str>,
    ) {
        let instance = decision.state.instance(id);
        match instance.and_then(|i| Some((i.items.as_ref()?, &i.item_instances))) {
            Some(items) => self.go_on_with_items(decision, id, step, items, run_status),
            None => self.go_on_with_unit(decision, id, step, &Value::Null),
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
        // One failure is enough: what has not begun does not begin.
        let is_stopped = step.fail_fast && statuses.contains(&Status::Failed);
        for ((id, status), (_, item)) in ids.iter().zip(&statuses).zip(items) {
            match status {
                Status::Running | Status::Waiting | Status::Retrying { .. } => {
                    self.go_on_with_unit(decision, id, step, item)
                }
                Status::Pending
                    if self.may_begin(decision, step) && !is_stopped && active < most =>
                {
                    // One that waits for its lock counts, or each would hold its own already.
                    let asked = |next: &Next| next.events.len() + next.wants.len();
                    let before = asked(&decision.next);
                    self.begin(decision, id, step, item, run_status);
                    active += asked(&decision.next) - before;
                }
                _ => {}
            }
        }
        let gives_up = !self.may_begin(decision, step);
        let is_over =
            |s: &Status| s.is_settled() || ((gives_up || is_stopped) && *s == Status::Pending);
        if !statuses.iter().all(is_over) {
            return;
        }
        let not_begun = statuses.iter().filter(|s| **s == Status::Pending).count();
        if not_begun > 0 && !is_stopped {
            return decision.interrupt(id);
        }
        let failed: Vec<&str> = items
            .iter()
            .zip(&statuses)
            .filter(|(_, status)| **status == Status::Failed)
            .map(|((key, _), _)| key.as_str())
            .collect();
        if !failed.is_empty() {
            let mut message = format!(
                "{} of {} failed: {}",
                failed.len(),
                items.len(),
                failed.join(", ")
            );
            if not_begun > 0 {
                message.push_str(&format!("; {not_begun} did not begin (fail_fast)"));
            }
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

    fn go_on_with_unit(
        &self,
        decision: &mut Decision<'_, 'w>,
        id: &InstanceId,
        step: &'w Step,
        item: &Value,
    ) {
        let Some(instance) = decision.state.instance(id) else {
            return;
        };
        match (instance.status, &step.action) {
            (Status::Running, Action::Workflow(inner)) => {
                // A run that ended gave its locks up, and one that is resumed takes them again.
                match self.has_lock_of(decision, step, id, item) {
                    Ok(true) => {}
                    Ok(false) if self.may_begin(decision, step) => return,
                    Ok(false) => return decision.interrupt(id),
                    Err(error) => return decision.fail(id, error),
                }
                let scope = Scope {
                    workflow: inner,
                    inside: Some(id),
                    params: &instance.inputs,
                    is_finally: self.is_under_finally(step),
                };
                match scope.visit(decision) {
                    None => {}
                    Some(Settled::Succeeded(outputs)) => {
                        decision.next.events.push(Event::StepSucceeded {
                            step: id.clone(),
                            outputs,
                        })
                    }
                    Some(Settled::Failed { .. }) if !self.may_begin(decision, step) => {
                        decision.interrupt(id);
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
            (Status::Waiting, _) if self.may_begin(decision, step) => {
                self.wait(decision, id, instance, step);
            }
            (Status::Retrying { .. } | Status::Waiting, _) if !self.may_begin(decision, step) => {
                decision.interrupt(id);
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
                        is_finally: self.is_under_finally(step),
                    };
                    decision.start(start, true);
                }
            }
            _ => {}
        }
    }
}
