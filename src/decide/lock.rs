//! Locks: what must be held before a scope or a step may begin.

use super::{
    decision::{Decision, Want},
    scope::Scope,
};
use crate::{
    compile::Step,
    journal::{Event, InstanceId, State},
    value::{StepError, Value},
};

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

impl Decision<'_, '_> {
    fn holds_or_wants(&mut self, any_of: Vec<String>, step: Option<&InstanceId>) -> bool {
        let locks = &self.state.locks;
        let holds = |name: &String| {
            locks
                .get(name)
                .is_some_and(|holder| holder.as_ref() == step)
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
        .map(|(lock, step)| Event::LockReleased {
            lock: lock.clone(),
            step: step.clone(),
        })
        .collect()
}
