//! Decides which locks must be held before a scope or a step may begin.

use super::{
    decision::{Decision, View, Want},
    scope::Scope,
    step::step_of,
};
use windlass_compile::{Action, Step, Workflow};
use windlass_journal::{Event, InstanceId, LockReleased, State, Status};
use windlass_world::value::{StepError, Value};

impl<'w> Scope<'_, 'w> {
    /// Says whether the workflow holds the locks of its `lock` and `concurrency`; requests the missing ones.
    pub fn has_locks(&self, decision: &mut Decision<'_, 'w>) -> Result<bool, StepError> {
        // `concurrency` counts runs, and a nested workflow is part of one.
        if let (None, Some(most)) = (self.inside, self.workflow.concurrency)
            && !decision.has_slot(&self.workflow.name, most)
        {
            return Ok(false);
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
    let view = decision.view();
    let outer = std::iter::successors(Some(id.clone()), InstanceId::parent);
    let names = outer
        .filter_map(|id| names_of(workflow, view, &id))
        .flatten();
    // A lock whose name can't be evaluated was never taken.
    let mut names: Vec<String> = names.filter_map(Result::ok).collect();
    // No other step of this run runs during an undo, so it does not matter which step holds the lock.
    names.retain(|name| !decision.state.locks.contains_key(name));
    names
        .into_iter()
        .all(|name| decision.holds_or_wants(vec![name], None))
}

impl Decision<'_, '_> {
    /// Says whether the run holds a place among `most` runs of a workflow; requests it if not.
    fn has_slot(&mut self, workflow: &str, most: u32) -> bool {
        // The number may be edited while some places are held, so it is not in the names of the slots. Runs of earlier versions hold
        // places whose names have it, and nothing else; they count, too, as long as the number is the same.
        let places = (1..=most).map(|n| format!("one of {most} runs of {workflow} ({n})"));
        let slots = (1..=most).map(|n| format!("slot {n} of workflow {workflow}"));
        let of_places = ("one of ", format!(" runs of {workflow} ("));
        let of_slots = ("slot ", format!(" of workflow {workflow}"));
        [
            (of_places, places.collect::<Vec<_>>()),
            (of_slots, slots.collect()),
        ]
        .into_iter()
        .all(|((start, rest), names)| {
            // A run keeps its place if an edit has taken that away.
            let mut held = self.state.locks.iter();
            let is_held = held.any(|(lock, holder)| {
                holder.is_none() && lock.starts_with(start) && lock.contains(&rest)
            });
            is_held || self.holds_or_wants(names, None)
        })
    }

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
/// cancelled, or an edit has removed the step or the item, or given it another lock.
fn is_given_up(workflow: &Workflow, view: View, holder: &InstanceId, lock: &str) -> bool {
    let status = view.state.status(holder);
    if status.is_settled() || is_gone(view.state, holder) {
        return true;
    }
    let is_idle = matches!(status, Status::Pending | Status::Retrying { .. });
    let Some(names) = names_of(workflow, view, holder) else {
        return true;
    };
    let is_cut_off = view.state.is_cancelled && !is_under_finally(workflow, holder);
    // A lock whose name can't be evaluated may be this one.
    let names_another = || {
        names
            .iter()
            .all(|name| name.as_ref().is_ok_and(|name| name != lock))
    };
    is_idle && (is_cut_off || names_another())
}

/// Says whether an instance belongs to an item that its step no longer has.
fn is_gone(state: &State, id: &InstanceId) -> bool {
    let outer = std::iter::successors(Some(id.clone()), InstanceId::parent);
    let mut items = outer.filter(InstanceId::is_item);
    items.any(|item| {
        let step = item.parent().and_then(|step| state.instance(&step));
        step.is_some_and(|step| {
            step.items.is_some() && step.item_instances.position(item.as_str()).is_none()
        })
    })
}

/// Returns the names of the locks that an instance takes: that of its step, and that of its workflow. `None` if its step is gone.
fn names_of(
    workflow: &Workflow,
    view: View,
    id: &InstanceId,
) -> Option<Vec<Result<String, StepError>>> {
    let (scope, step, item) = Scope::around(workflow, view.state, id)?;
    let own = step.lock.as_ref();
    let mut names: Vec<_> = own
        .map(|lock| scope.text(view, lock, &item, "lock"))
        .into_iter()
        .collect();
    if let (Action::Workflow(inner), Some(instance)) = (&step.action, view.state.instance(id)) {
        let inside = Scope {
            workflow: inner,
            inside: Some(id),
            params: &instance.inputs,
            is_finally: false,
        };
        let lock = inner.lock.as_ref();
        names.extend(lock.map(|lock| inside.text(view, lock, &Value::Null, "lock")));
    }
    Some(names)
}

fn is_under_finally(workflow: &Workflow, id: &InstanceId) -> bool {
    std::iter::successors(Some(id.clone()), InstanceId::parent)
        .filter_map(|id| step_of(workflow, &id))
        .any(|step| step.is_finally)
}
