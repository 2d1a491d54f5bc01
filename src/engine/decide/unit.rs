//! Decides about one instance: how it begins, continues and ends. A `for_each` step has an instance for each item.

use super::{
    agenda::{ItemsAgenda, Part, ScopeAgenda},
    decision::{Decision, Next, Start},
    scope::{Scope, Settled},
};
use windlass_compile::{Action, Step, Template, bind_params};
use windlass_journal::{Event, InstanceId, Items, Status, StepStarted, StepSucceeded};
use windlass_world::value::{StepError, Value};

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
            Ok(items) => decision.next.events.push(Event::StepStarted(StepStarted {
                step: id.clone(),
                attempt: decision.state.instance(id).map_or(0, |i| i.attempt) + 1,
                inputs: None,
                items: Some(items),
                is_scope: false,
                is_fresh: false,
                reads_again_from: None,
            })),
        }
    }

    /// Starts the first attempt of an instance: of a step, or of one item.
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
            decision.seen.lacks_room = true;
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
                Ok(params) => decision.next.events.push(Event::StepStarted(StepStarted {
                    step: id.clone(),
                    attempt,
                    inputs: Some(Value::Map(params)),
                    items: None,
                    is_scope: true,
                    is_fresh: false,
                    reads_again_from: None,
                })),
            },
        }
    }

    /// Decides how a step that has started continues; `part` is what is known of the instances inside it.
    pub(super) fn continue_step(
        &self,
        decision: &mut Decision<'_, 'w>,
        id: &InstanceId,
        step: &'w Step,
        part: &mut Option<Part>,
        run_status: Option<&str>,
    ) {
        let state = decision.state;
        let instance = state.instance(id);
        let items = instance.and_then(|i| Some((i.items.as_ref()?, &i.item_instances)));
        let Some((items, instances)) = items else {
            let mut inner = match part.take() {
                Some(Part::Scope(inner)) => Some(inner),
                _ => None,
            };
            self.continue_unit(decision, id, step, &Value::Null, &mut inner);
            *part = inner.map(Part::Scope);
            return;
        };
        let mut agenda = match part.take() {
            Some(Part::Items(agenda)) => agenda,
            _ => Box::new(ItemsAgenda::new(instances, state)),
        };
        let items = (items, instances);
        self.continue_items(decision, id, step, items, &mut agenda, run_status);
        *part = Some(Part::Items(agenda));
    }

    fn continue_items(
        &self,
        decision: &mut Decision<'_, 'w>,
        id: &InstanceId,
        step: &'w Step,
        (items, instances): (&Vec<(String, Value)>, &Items),
        agenda: &mut ItemsAgenda,
        run_status: Option<&str>,
    ) {
        agenda.refresh(instances, decision.state);
        agenda.looks.wake(decision.moment.now);
        let most = step.max_parallel.map_or(usize::MAX, |n| n as usize);
        // After the first failure, no other item begins.
        let is_stopped = step.fail_fast && agenda.failed > 0;
        let may_begin = self.may_begin(decision, step) && !is_stopped;
        let needs_room = matches!(step.action, Action::Script(_));
        let was_active = agenda.active;
        let (mut active, mut from, mut not_asked) = (agenda.active, 0, 0);
        loop {
            let has_room = decision.has_room();
            let begins = may_begin && active < most && (has_room || !needs_room);
            let begun = agenda.looks.next(from, has_room);
            let pending = agenda.pending.range(from..).next().filter(|_| begins);
            let Some(position) = begun.into_iter().chain(pending.copied()).min() else {
                break;
            };
            from = position + 1;
            let (id, (_, item)) = (&instances.ids()[position], &items[position]);
            if begun == Some(position) {
                let mut inner = agenda.parts.remove(&position);
                let seen = decision.look(|decision| {
                    self.continue_unit(decision, id, step, item, &mut inner);
                });
                agenda.parts.extend(inner.map(|inner| (position, inner)));
                agenda.looks.seen(position, seen);
                continue;
            }
            // An item that waits for its lock counts, or all items would request theirs at once.
            not_asked = from;
            let asked = |next: &Next| next.events.len() + next.wants.len();
            let before = asked(&decision.next);
            self.begin(decision, id, step, item, run_status);
            active += asked(&decision.next) - before;
        }
        agenda.looks.tell(decision);
        decision.seen.lacks_room |= needs_room
            && may_begin
            && active < most
            && !decision.has_room()
            && agenda.pending.range(not_asked..).next().is_some();
        let gives_up = !self.may_begin(decision, step);
        let not_begun = agenda.pending.len();
        if was_active > 0 || (not_begun > 0 && !gives_up && !is_stopped) {
            return;
        }
        if not_begun > 0 && !is_stopped {
            return decision.interrupt(id);
        }
        let failed: Vec<&str> = items
            .iter()
            .enumerate()
            .filter(|(position, _)| agenda.is_failed(*position))
            .map(|(_, (key, _))| key.as_str())
            .collect();
        if !failed.is_empty() {
            let mut message = format!(
                "{} of {} failed: {}",
                failed.len(),
                items.len(),
                failed.join(", ")
            );
            if not_begun > 0 {
                message.push_str(&format!("; {not_begun} did not start (fail_fast)"));
            }
            return decision.fail(id, StepError::new("items-failed", message));
        }
        let outputs = instances
            .ids()
            .iter()
            .zip(items)
            .filter_map(|(id, (key, _))| {
                Some((key.clone(), decision.state.instance(id)?.outputs.clone()))
            })
            .collect();
        let event = Event::StepSucceeded(StepSucceeded {
            step: id.clone(),
            outputs: Value::Map(outputs),
        });
        decision.next.events.push(event);
    }

    fn continue_unit(
        &self,
        decision: &mut Decision<'_, 'w>,
        id: &InstanceId,
        step: &'w Step,
        item: &Value,
        inner: &mut Option<Box<ScopeAgenda>>,
    ) {
        let state = decision.state;
        let Some(instance) = state.instance(id) else {
            return;
        };
        match (instance.status, &step.action) {
            (Status::Running, Action::Workflow(workflow)) => {
                // A run that ended has released its locks; after a resume it takes them again.
                match self.has_lock_of(decision, step, id, item) {
                    Ok(true) => {}
                    Ok(false) if self.may_begin(decision, step) => return,
                    Ok(false) => return decision.interrupt(id),
                    Err(error) => return decision.fail(id, error),
                }
                let scope = Scope {
                    workflow,
                    inside: Some(id),
                    params: &instance.inputs,
                    is_finally: self.is_under_finally(step),
                };
                let agenda = inner.get_or_insert_with(|| Box::new(ScopeAgenda::new(workflow)));
                match scope.visit(decision, agenda) {
                    None => {}
                    Some(Settled::Succeeded(outputs)) => {
                        decision
                            .next
                            .events
                            .push(Event::StepSucceeded(StepSucceeded {
                                step: id.clone(),
                                outputs,
                            }))
                    }
                    Some(Settled::Failed { .. }) if !self.may_begin(decision, step) => {
                        decision.interrupt(id);
                    }
                    Some(Settled::Failed { steps, error }) => {
                        let error = error.unwrap_or_else(|| {
                            let message = format!("failed steps: {}", steps.join(", "));
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
                decision.seen.retries += 1;
                if decision.is_early(at, instance.longest_pause(step.retry.longest)) {
                    decision.wake_at(at);
                } else if !decision.has_room() {
                    decision.seen.lacks_room = true;
                } else {
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
