use std::collections::BTreeSet;

use super::{
    decision::{Moment, Want},
    next::next,
    step::step_of,
};
use crate::{
    compile::{Action, OnError, Workflow},
    journal::{Event, Instance, InstanceId, Outcome, RunResumed, State, Status},
};
use windlass_ground::Timestamp;

/// Returns the first events of a resume: the run continues, and the steps under `finally` run again if a step before
/// them will run.
pub fn on_resume(workflow: &Workflow, state: &State, requester: &str) -> Vec<Event> {
    let mut events = vec![resumed(workflow, state, requester, &[])];
    reset_finally(workflow, None, state, &mut events);
    events
}

/// Returns the event that resumes a run. A failed step with `on_error: continue` stays failed: the run has continued
/// without it, and later steps have seen that. A rejected question stays rejected, too: only a `redo` asks it
/// again.
pub fn resumed(workflow: &Workflow, state: &State, requester: &str, redo: &[InstanceId]) -> Event {
    let is_tolerated = |id: &InstanceId| {
        state.status(id) == Status::Failed
            && step_of(workflow, id).is_some_and(|step| step.on_error == OnError::Continue)
            // For a `for_each`, the step as a whole may fail, not an item.
            && !id.is_item()
    };
    let is_kept = |id: &InstanceId| {
        let outer = std::iter::successors(Some(id.clone()), InstanceId::parent);
        outer.into_iter().any(|id| is_tolerated(&id)) || is_rejected(state, id)
    };
    Event::RunResumed(RunResumed {
        requester: requester.into(),
        via: None,
        keeps: state
            .steps
            .keys()
            .filter(|id| is_kept(id))
            .cloned()
            .collect(),
        redo: redo.to_vec(),
    })
}

/// Returns the rejected question with which a failed run ended, if a resume would run nothing again.
pub fn ended_by_rejection(workflow: &Workflow, state: &State) -> Option<InstanceId> {
    if state.outcome != Some(Outcome::Failed) || state.error.is_some() {
        return None;
    }
    let Event::RunResumed(RunResumed { keeps, .. }) = resumed(workflow, state, "", &[]) else {
        return None;
    };
    let keeps: BTreeSet<InstanceId> = keeps.into_iter().collect();
    let mut failed = state
        .steps
        .iter()
        .filter(|(_, instance)| instance.status == Status::Failed && !instance.is_composite())
        .map(|(id, _)| id);
    match failed.clone().all(|id| keeps.contains(id)) {
        true => failed.find(|id| is_rejected(state, id)).cloned(),
        false => None,
    }
}

/// Returns the locks for which a run would wait if it were resumed at `now`, unless
/// they are free.
pub fn wanted_locks(
    workflow: &Workflow,
    state: &State,
    run_id: &str,
    now: Timestamp,
) -> Vec<String> {
    let mut resumed = state.clone();
    let events = match state.is_undoing {
        true => Vec::new(),
        false => on_resume(workflow, state, ""),
    };
    // A run that can't be resumed waits for no lock.
    if events
        .iter()
        .any(|event| resumed.apply(event, now).is_err())
    {
        return Vec::new();
    }
    let moment = Moment {
        run_id,
        now,
        max_parallel: 1,
    };
    let wants = next(workflow, &resumed, moment).wants;
    // If one of several locks is enough, one of them may be free.
    let only = |want: Want| <[String; 1]>::try_from(want.any_of).ok();
    wants.into_iter().filter_map(only).flatten().collect()
}

fn is_rejected(state: &State, id: &InstanceId) -> bool {
    state.instance(id).is_some_and(Instance::is_rejected)
}

/// Resets the steps under `finally` if a step before them will run.
pub(super) fn reset_finally(
    workflow: &Workflow,
    inside: Option<&InstanceId>,
    state: &State,
    events: &mut Vec<Event>,
) {
    let id = |name: &str| InstanceId::step(inside, name);
    let is_over = |status| matches!(status, Status::Succeeded | Status::Skipped);
    let runs_again = workflow
        .steps()
        .any(|(_, step)| !step.is_finally && !is_over(state.status(&id(step.name.as_str()))));
    for (_, step) in workflow.steps() {
        let id = id(step.name.as_str());
        if step.is_finally && runs_again {
            let own = state.steps.get_key_value(&id);
            let resets = own.into_iter().chain(state.inside(&id));
            events.extend(resets.map(|(step, _)| Event::StepReset { step: step.clone() }));
        } else if let Action::Workflow(inner) = &step.action {
            let own = state.steps.get_key_value(&id);
            let items = state
                .inside(&id)
                .filter(|(other, _)| other.is_item() && other.parent().as_ref() == Some(&id));
            let scopes = own.into_iter().chain(items).filter(|(other, instance)| {
                instance.is_scope && !is_over(instance.status) && other.undone().is_none()
            });
            for (scope, _) in scopes {
                reset_finally(inner, Some(scope), state, events);
            }
        }
    }
}
