use std::collections::BTreeSet;

use super::{
    decision::{Moment, View, Want},
    doubt::is_tolerated,
    next::next,
    scope::Scope,
    shape::{Shape, has_begun},
    step::step_of,
};
use windlass_compile::{Action, Step, Workflow};
use windlass_ground::Timestamp;
use windlass_journal::{Event, Instance, InstanceId, Outcome, RunResumed, State, Status};
use windlass_world::value::Value;

/// Returns the first events of a resume: the run continues, and the steps under `finally` run again if a step before
/// them will run. A run that was interrupted in its `finally` continues there: what failed before stays failed, and
/// another resume tries it again. One that was interrupted while it was being cancelled stays cancelled: only when it has ended does a
/// resume run what the cancel left out.
pub fn on_resume(workflow: &Workflow, state: &State, requester: &str) -> Vec<Event> {
    let mut resumed = resumed(workflow, state, requester, &[]);
    if let Event::RunResumed(RunResumed { keeps, .. }) = &mut resumed {
        failed_before_finally(workflow, None, state, keeps);
        keeps.sort();
        keeps.dedup();
    }
    let mut events = vec![resumed];
    if is_being_cancelled(state) {
        events.extend(state.cancelled_by.clone().map(Event::RunCancelled));
    }
    let continues = |workflow: &Workflow, inside: Option<&InstanceId>| {
        continues_finally(workflow, inside, state)
    };
    // The same files and params make an output fail again.
    reset_finally(
        (workflow, None),
        state,
        &continues,
        &|_, _| false,
        &mut events,
    );
    events
}

/// Says whether a run was interrupted after it was cancelled, and before it ended.
fn is_being_cancelled(state: &State) -> bool {
    state.is_cancelled && state.outcome.is_none()
}

/// Says whether the steps under `finally` of a scope were interrupted.
fn continues_finally(workflow: &Workflow, inside: Option<&InstanceId>, state: &State) -> bool {
    let has_begun = |step: &Step| has_begun(state, &InstanceId::step(inside, step.name.as_str()));
    let mut finally = workflow.steps().filter(|(_, step)| step.is_finally);
    let is_over = inside.is_some_and(|id| state.status(id) == Status::Failed);
    state.outcome.is_none() && !is_over && finally.any(|(_, step)| has_begun(step))
}

/// Collects the failed steps, with what failed inside of them, of each scope that continues its `finally`.
fn failed_before_finally(
    workflow: &Workflow,
    inside: Option<&InstanceId>,
    state: &State,
    found: &mut Vec<InstanceId>,
) {
    let continues = continues_finally(workflow, inside, state);
    if continues {
        let steps = workflow.steps().filter(|(_, step)| !step.is_finally);
        for (_, step) in steps {
            let id = InstanceId::step(inside, step.name.as_str());
            let own = state.steps.get_key_value(&id).into_iter();
            let failed = own
                .chain(state.inside(&id))
                .filter(|(_, i)| i.status == Status::Failed);
            found.extend(failed.map(|(id, _)| id.clone()));
        }
    }
    each_open_scope(workflow, inside, state, |step, inner, scope| {
        if step.is_finally || !continues {
            failed_before_finally(inner, Some(scope), state, found);
        }
    });
}

/// Visits the nested workflows of a scope that have begun and are not over.
fn each_open_scope<'w>(
    workflow: &'w Workflow,
    inside: Option<&InstanceId>,
    state: &State,
    mut visit: impl FnMut(&Step, &'w Workflow, &InstanceId),
) {
    for (_, step) in workflow.steps() {
        let Action::Workflow(inner) = &step.action else {
            continue;
        };
        let id = InstanceId::step(inside, step.name.as_str());
        // The run continued without what failed.
        let is_tolerated = is_tolerated(state, &id, step);
        let own = state.steps.get_key_value(&id);
        let items = state
            .inside(&id)
            .filter(|(other, _)| other.is_item() && other.parent().as_ref() == Some(&id));
        let scopes = own.into_iter().chain(items).filter(|(other, instance)| {
            let is_scope = matches!(Shape::of(state, other), Shape::Scope);
            let is_left = is_tolerated && instance.status == Status::Failed;
            let is_over = is_over(instance.status) || is_left;
            is_scope && !is_over && other.undone().is_none()
        });
        for (scope, _) in scopes {
            visit(step, inner, scope);
        }
    }
}

fn is_over(status: Status) -> bool {
    matches!(status, Status::Succeeded | Status::Skipped)
}

/// Returns the event that resumes a run. A failed step with `on_error: continue` stays failed: the run has continued
/// without it, and later steps have seen that. A rejected question stays rejected, too: only a `redo` asks it
/// again.
pub fn resumed(workflow: &Workflow, state: &State, requester: &str, redo: &[InstanceId]) -> Event {
    // For a `for_each`, the step as a whole may fail, not an item.
    let steps = state.steps.keys().filter(|id| !id.is_item());
    let tolerated: BTreeSet<_> = steps
        .filter(|id| step_of(workflow, id).is_some_and(|step| is_tolerated(state, id, step)))
        .collect();
    let is_kept = |id: &InstanceId| {
        let mut outer = std::iter::successors(Some(id.clone()), InstanceId::parent);
        outer.any(|id| tolerated.contains(&id)) || is_rejected(state, id)
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
    if failed.clone().all(|id| keeps.contains(id)) {
        failed.find(|id| is_rejected(state, id)).cloned()
    } else {
        None
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
    let events = if state.is_undoing {
        Vec::new()
    } else {
        on_resume(workflow, state, "")
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
    let wants = wants(workflow, &resumed, moment);
    wants.into_iter().map(|(lock, _)| lock).collect()
}

/// Returns the locks for which all parts of a run wait at `now`, unless they are free, each with the step that would hold it.
pub fn waits(
    workflow: &Workflow,
    state: &State,
    run_id: &str,
    now: Timestamp,
) -> Vec<(String, Option<InstanceId>)> {
    let moment = Moment {
        run_id,
        now,
        max_parallel: usize::MAX,
    };
    wants(workflow, state, moment)
}

fn wants(workflow: &Workflow, state: &State, moment: Moment) -> Vec<(String, Option<InstanceId>)> {
    let wants = next(workflow, state, moment).wants;
    // If one of several locks is enough, one of them may be free.
    let only = |want: Want| Some((<[String; 1]>::try_from(want.any_of).ok()?, want.step));
    let wants = wants.into_iter().filter_map(only);
    wants.map(|([lock], step)| (lock, step)).collect()
}

fn is_rejected(state: &State, id: &InstanceId) -> bool {
    state.instance(id).is_some_and(Instance::is_rejected)
}

/// Says whether a scope failed although none of its steps did: its outputs could not be evaluated.
pub(super) fn failed_by_outputs(
    workflow: &Workflow,
    inside: Option<&InstanceId>,
    state: &State,
) -> bool {
    let has_failed = match inside {
        None => state.outcome == Some(Outcome::Failed),
        Some(id) => state.status(id) == Status::Failed,
    };
    let mut steps = workflow.steps().map(|(_, step)| step);
    has_failed
        && steps.all(|step| {
            let id = InstanceId::step(inside, step.name.as_str());
            state.status(&id) != Status::Failed || is_tolerated(state, &id, step)
        })
}

/// Says something of the steps under `finally` of a scope.
type OfFinally<'a> = &'a dyn Fn(&Workflow, Option<&InstanceId>) -> bool;

/// Resets the steps under `finally` of each scope if a step before them will run, or if they were told that the run is
/// cancelled, or, as `told_wrong` says, that it failed; but not where `continues` says that they continue. One with a
/// call in doubt is kept, so that a person is asked before the call is made again.
pub(super) fn reset_finally(
    (workflow, inside): (&Workflow, Option<&InstanceId>),
    state: &State,
    continues: OfFinally,
    told_wrong: OfFinally,
    events: &mut Vec<Event>,
) {
    let id = |step: &Step| InstanceId::step(inside, step.name.as_str());
    let is_kept = continues(workflow, inside);
    let will_stay =
        |id: &InstanceId, step: &Step| is_over(state.status(id)) || is_tolerated(state, id, step);
    let mut steps = workflow.steps().map(|(_, step)| step);
    let runs_again = !is_kept
        && (state.is_cancelled
            || told_wrong(workflow, inside)
            || steps.any(|step| !step.is_finally && !will_stay(&id(step), step)));
    let finally = workflow
        .steps()
        .map(|(_, step)| step)
        .filter(|step| step.is_finally);
    for step in finally.filter(|_| runs_again) {
        events.extend(resets_unless_in_doubt(state, &id(step)));
    }
    each_open_scope(workflow, inside, state, |step, inner, scope| {
        let is_reset = step.is_finally && runs_again;
        let has_failed_before = !step.is_finally && is_kept;
        if !is_reset && !has_failed_before {
            reset_finally((inner, Some(scope)), state, continues, told_wrong, events);
        }
    });
}

/// Starts an execution over with what is inside of it; does nothing if a call there is in doubt.
fn resets_unless_in_doubt(state: &State, id: &InstanceId) -> Vec<Event> {
    let own = state.steps.get_key_value(id).into_iter();
    let all: Vec<_> = own.chain(state.inside(id)).collect();
    let is_in_doubt = |instance: &Instance| {
        instance.status != Status::Succeeded && instance.call_in_doubt().is_some()
    };
    if all.iter().any(|(_, instance)| is_in_doubt(instance)) {
        return Vec::new();
    }
    let all = all.into_iter();
    all.map(|(step, _)| Event::StepReset { step: step.clone() })
        .collect()
}

/// Resets the steps under `finally` that began with other inputs than they would have now: they were told that the run had failed or was
/// cancelled, and now it continues. `state` is that of the resumed run, after the answers about its calls in doubt: until then, such
/// a step was kept.
pub fn reset_outdated_finally(workflow: &Workflow, state: &State, run_id: &str) -> Vec<Event> {
    let mut events = Vec::new();
    if !state.is_cancelled && !state.is_undoing {
        let view = View { state, run_id };
        outdated_finally(workflow, &Scope::whole(workflow, state), view, &mut events);
    }
    events
}

fn outdated_finally(root: &Workflow, scope: &Scope, view: View, events: &mut Vec<Event>) {
    let (state, inside) = (view.state, scope.inside);
    let id = |step: &Step| InstanceId::step(inside, step.name.as_str());
    let has_failed = |step: &Step| {
        let id = id(step);
        state.status(&id) == Status::Failed && !is_tolerated(state, &id, step)
    };
    let steps = || scope.workflow.steps().map(|(_, step)| step);
    let fails =
        steps().any(|step| !step.is_finally && has_failed(step)) || scope.outputs_will_fail(view);
    let status = if fails { "failed" } else { "succeeded" };
    let is_outdated = |step: &Step, id: &InstanceId, instance: &Instance| {
        let Some((_, _, item)) = Scope::around(root, state, id) else {
            return false;
        };
        let now = scope.inputs(view, step, &item, Some(status));
        instance.items.is_none()
            && !is_over(instance.status)
            && instance.inputs != Value::Null
            && now.is_ok_and(|now| Value::Map(now) != instance.inputs)
    };
    for step in steps().filter(|step| step.is_finally) {
        let id = id(step);
        let items = state.inside(&id).filter(|(other, _)| {
            other.is_item() && other.undone().is_none() && other.parent().as_ref() == Some(&id)
        });
        let own = state.steps.get_key_value(&id);
        if own
            .into_iter()
            .chain(items)
            .any(|(id, instance)| is_outdated(step, id, instance))
        {
            events.extend(resets_unless_in_doubt(state, &id));
        }
    }
    each_open_scope(scope.workflow, inside, state, |step, inner, id| {
        let Some(instance) = state.instance(id).filter(|_| !step.is_finally) else {
            return;
        };
        let inner = Scope {
            workflow: inner,
            inside: Some(id),
            params: &instance.inputs,
            is_finally: scope.is_finally,
        };
        outdated_finally(root, &inner, view, events);
    });
}
