//! Decides which locks must be held before a scope or a step may begin.

use super::{
    decision::{Decision, Want},
    scope::Scope,
};
use crate::{
    compile::{Action, Step, Template, Workflow},
    journal::{Event, InstanceId, LockReleased, State},
};
use windlass_world::value::{StepError, Value};

impl<'w> Scope<'_, 'w> {
    /// Says whether the workflow holds the locks of its `lock` and `concurrency`; requests the missing ones.
    pub fn has_locks(&self, decision: &mut Decision<'_, 'w>) -> Result<bool, StepError> {
        // `concurrency` counts runs, and a nested workflow is part of one.
        if let (None, Some(most)) = (self.inside, self.workflow.concurrency) {
            let name = &self.workflow.name;
            let slots = (1..=most).map(|n| format!("one of {most} runs of {name} ({n})"));
            if !decision.holds_or_wants(slots.collect(), None) {
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

/// Releases the locks of steps that have ended.
pub(super) fn released(state: &State) -> Vec<Event> {
    let is_over = |step: &InstanceId| state.status(step).is_settled();
    state
        .locks
        .iter()
        .filter(|(_, holder)| holder.as_ref().is_some_and(is_over))
        .map(|(lock, step)| {
            Event::LockReleased(LockReleased {
                lock: lock.clone(),
                step: step.clone(),
            })
        })
        .collect()
}
