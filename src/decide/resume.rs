use super::step::step_of;
use crate::{
    compile::{Action, OnError, Workflow},
    journal::{Event, InstanceId, State, Status},
};

/// Decides what a resume begins with: the run goes on, and what stands under `finally` runs again
/// where something before it will.
pub fn on_resume(workflow: &Workflow, state: &State, requester: &str) -> Vec<Event> {
    let mut events = vec![resumed(workflow, state, requester)];
    reset_finally(workflow, None, state, &mut events);
    events
}

/// The event that takes a run up again. Where a step may fail (`on_error: continue`) and did, the
/// run has gone on without it, and what came after has seen that: it stays so.
pub fn resumed(workflow: &Workflow, state: &State, requester: &str) -> Event {
    let is_tolerated = |id: &InstanceId| {
        state.status(id) == Status::Failed
            && step_of(workflow, id).is_some_and(|step| step.on_error == OnError::Continue)
            // Of a `for_each` it is the whole that is tolerated.
            && !id.as_str().ends_with(']')
    };
    let is_kept = |id: &InstanceId| {
        let outer = std::iter::successors(Some(id.clone()), InstanceId::parent);
        outer.into_iter().any(|id| is_tolerated(&id))
    };
    Event::RunResumed {
        requester: requester.into(),
        keeps: state
            .steps
            .keys()
            .filter(|id| is_kept(id))
            .cloned()
            .collect(),
    }
}

/// Lets what stands under `finally` run again where something before it will.
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
            let inner = |other: &&InstanceId| **other == id || is_inside(other, &id);
            let resets = state.steps.keys().filter(inner);
            events.extend(resets.map(|step| Event::StepReset { step: step.clone() }));
        } else if let Action::Workflow(inner) = &step.action {
            let scopes = state.steps.iter().filter(|(other, instance)| {
                instance.is_scope
                    && !is_over(instance.status)
                    && (**other == id || other.parent().as_ref() == Some(&id))
            });
            for (scope, _) in scopes {
                reset_finally(inner, Some(scope), state, events);
            }
        }
    }
}

fn is_inside(other: &InstanceId, outer: &InstanceId) -> bool {
    std::iter::successors(other.parent(), InstanceId::parent).any(|parent| parent == *outer)
}
