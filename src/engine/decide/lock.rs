//! Decides which locks must be held before a scope or a step may begin.

use super::{
    decision::{Decision, View, Want},
    scope::Scope,
    step::step_of,
};
use crate::{
    compile::{Action, Step, Template, Workflow},
    journal::{Event, InstanceId, LockReleased, State, Status},
};
use windlass_world::value::{StepError, Value};

impl<'w> Scope<'_, 'w> {
    /// Says whether the workflow holds the locks of its `lock` and `concurrency`; requests the missing ones.
    pub fn has_locks(&self, decision: &mut Decision<'_, 'w>) -> Result<bool, StepError> {
        // `concurrency` counts runs, and a nested workflow is part of one.
        if let (None, Some(most)) = (self.inside, self.workflow.concurrency) {
            let name = &self.workflow.name;
            // The number of slots may be edited while some of them are held, so it is not in their names.
            let slots = (1..=most).map(|n| format!("slot {n} of workflow {name}"));
            let has_slot = || {
                decision.state.locks.iter().any(|(lock, holder)| {
                    // As earlier versions named them, and a slot that an edit has taken away.
                    let is_slot = lock.starts_with("one of ")
                        && lock.contains(&format!(" runs of {name} ("))
                        || lock.starts_with("slot ")
                            && lock.ends_with(&format!(" of workflow {name}"));
                    is_slot && holder.is_none()
                })
            };
            if !has_slot() && !decision.holds_or_wants(slots.collect(), None) {
                return Ok(false);
            }
        }
        let Some(lock) = &self.workflow.lock else {
            return Ok(true);
        };
        let name = self.text(decision.view(), lock, &Value::Null, "lock")?;
        Ok(decision.holds_or_wants(vec![name], self.inside))
    }

    /// Says whether an instance holds the lock of its step; requests it if not.
    pub fn has_lock_of(
        &self,
        decision: &mut Decision<'_, 'w>,
        step: &Step,
        id: &InstanceId,
        item: &Value,
    ) -> Result<bool, StepError> {
        let Some(lock) = &step.lock else {
            return Ok(true);
        };
        let name = self.text(decision.view(), lock, item, "lock")?;
        Ok(decision.holds_or_wants(vec![name], Some(id)))
    }
}

/// Says whether the run holds all locks that an instance held while it ran: its own lock and those of the instances
/// that contain it; requests the missing ones. The run keeps them until its undo ends, because a half-undone run is not
/// a state that other runs may see.
pub(super) fn has_locks_again(
    decision: &mut Decision,
    workflow: &Workflow,
    id: &InstanceId,
) -> bool {
    let mut names = Vec::new();
    for id in std::iter::successors(Some(id.clone()), InstanceId::parent) {
        let Some((scope, step, item)) = Scope::around(workflow, decision.state, &id) else {
            continue;
        };
        let view = decision.view();
        // A lock whose name can't be evaluated was never taken.
        let mut name = |scope: &Scope, lock: &Option<Template>, item: &Value| {
            let text = lock
                .as_ref()
                .map(|lock| scope.text(view, lock, item, "lock"));
            names.extend(text.and_then(Result::ok));
        };
        name(&scope, &step.lock, &item);
        if let (Action::Workflow(inner), Some(instance)) =
            (&step.action, decision.state.instance(&id))
        {
            let inside = Scope {
                workflow: inner,
                inside: Some(&id),
                params: &instance.inputs,
                is_finally: false,
            };
            name(&inside, &inner.lock, &Value::Null);
        }
    }
    // No other step of this run runs during an undo, so it does not matter which step holds the lock.
    names.retain(|name| !decision.state.locks.contains_key(name));
    names
        .into_iter()
        .all(|name| decision.holds_or_wants(vec![name], None))
}

impl Decision<'_, '_> {
    fn holds_or_wants(&mut self, any_of: Vec<String>, step: Option<&InstanceId>) -> bool {
        let locks = &self.state.locks;
        // An instance inside of the holder shares the holder's lock.
        let outer = |holder: &InstanceId| {
            std::iter::successors(step.cloned(), InstanceId::parent).any(|id| id == *holder)
        };
        let holds = |name: &String| {
            locks
                .get(name)
                .is_some_and(|holder| holder.as_ref().is_none_or(outer))
        };
        if any_of.iter().any(holds) {
            return true;
        }
        self.next.wants.push(Want {
            any_of,
            step: step.cloned(),
        });
        false
    }
}

/// Releases the locks of steps that no longer need them: they have ended, or they will not begin again.
pub(super) fn released(workflow: &Workflow, state: &State, run_id: &str) -> Vec<Event> {
    let view = View { state, run_id };
    state
        .locks
        .iter()
        .filter(|(lock, holder)| {
            let holder = holder.as_ref();
            holder.is_some_and(|holder| is_given_up(workflow, view, holder, lock))
        })
        .map(|(lock, step)| {
            Event::LockReleased(LockReleased {
                lock: lock.clone(),
                step: step.clone(),
            })
        })
        .collect()
}

/// Says whether an instance no longer needs a lock that it holds. One that was interrupted keeps it until it runs again, unless the run is
/// cancelled, or an edit has removed the step or given it another lock.
fn is_given_up(workflow: &Workflow, view: View, holder: &InstanceId, lock: &str) -> bool {
    let status = view.state.status(holder);
    let Some((scope, step, item)) = Scope::around(workflow, view.state, holder) else {
        return true;
    };
    let is_idle = matches!(status, Status::Pending | Status::Retrying { .. });
    let is_cut_off = || view.state.is_cancelled && !is_under_finally(workflow, holder);
    let names_another = || match &step.lock {
        None => true,
        Some(template) => {
            let name = scope.text(view, template, &item, "lock");
            name.is_ok_and(|name| name != lock)
        }
    };
    status.is_settled() || (is_idle && (is_cut_off() || names_another()))
}

fn is_under_finally(workflow: &Workflow, id: &InstanceId) -> bool {
    std::iter::successors(Some(id.clone()), InstanceId::parent)
        .filter_map(|id| step_of(workflow, &id))
        .any(|step| step.is_finally)
}
