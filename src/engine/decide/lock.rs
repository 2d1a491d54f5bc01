//! Locks: what must be held before a scope or a step may begin.

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
    /// Whether the workflow holds what its `lock` and `concurrency` say; asks for what it lacks.
    pub fn has_locks(&self, decision: &mut Decision<'_, 'w>) -> Result<bool, StepError> {
        // Only a run counts; nested workflows are parts of one.
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

    /// Whether an execution of a step holds what its `lock` says; asks for it if not.
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

/// Whether the run holds what an execution of a step held while it ran: its own lock and those of what
/// it ran inside; asks for what it lacks. The run keeps them until its undo ends, since a step that has
/// gone back is half of what they are for.
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
        // One that can't be named was never taken.
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
    // Nothing else of this run runs meanwhile, so any step of it that holds the lock will do.
    names.retain(|name| !decision.state.locks.contains_key(name));
    names
        .into_iter()
        .all(|name| decision.holds_or_wants(vec![name], None))
}

impl Decision<'_, '_> {
    fn holds_or_wants(&mut self, any_of: Vec<String>, step: Option<&InstanceId>) -> bool {
        let locks = &self.state.locks;
        // What runs inside of the holder is part of what the lock is for.
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

/// Gives up the locks of steps that are over.
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
