//! Plans a resume with other files, other params or `--redo`, before it is done.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    fate::{Change, FateKind, Plan},
    planner::Planner,
    resume::{failed_by_outputs, reset_finally},
    scope::Scope,
};
use windlass_compile::Workflow;
use windlass_ground::Timestamp;
use windlass_journal::{Event, InstanceId};
use windlass_world::value::StepError;

/// The reason why a resume can't be planned.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Unplannable {
    #[error("`{0}` has not run, so it can't run again")]
    NothingToRedo(String),
    #[error("`{0}` is no longer in the workflow, so it can't run again")]
    Gone(String),
    #[error("`{0}` was not selected when the run was started, so it can't run")]
    NotSelected(String),
    #[error(
        "the list of `{step}` has changed, and its items have no names: item {position} may now be a different one"
    )]
    Unnamed { step: String, position: usize },
    #[error("`{step}` would fail: {}", error.headline())]
    WouldFail { step: String, error: StepError },
}

/// Plans a resume.
///
/// # Errors
/// A `redo` of a step that never ran or that the workflow no longer has, or items that can't be told apart.
pub fn plan(change: &Change) -> Result<Plan, Unplannable> {
    let ran = |id: &&InstanceId| change.state.instance(id).is_none();
    if let Some(id) = change.redo.iter().find(ran) {
        return Err(Unplannable::NothingToRedo(id.to_string()));
    }
    if let Some(id) = change.redo.iter().find(|id| is_left_out(change, id)) {
        return Err(Unplannable::NotSelected(id.to_string()));
    }
    let mut planner = Planner {
        change,
        plan: Plan::default(),
        unplannable: None,
    };
    let scope = Scope::whole(change.new, change.state);
    planner.scope(&scope, Some(change.old), None);
    if let Some(why) = planner.unplannable {
        return Err(why);
    }
    let mut state = change.state.clone();
    // As a resume makes it: nothing follows in a run that has ended.
    state.outcome = None;
    for event in &planner.plan.events {
        // The events are about instances of this state, so they can be applied.
        let _ = state.apply(event, Timestamp::EPOCH);
    }
    let mut finally = Vec::new();
    let told = |workflow: &Workflow, inside: Option<&InstanceId>| {
        failed_by_outputs(workflow, inside, change.state)
    };
    reset_finally(
        (change.new, None),
        &state,
        &|_, _| false,
        &told,
        &mut finally,
    );
    let planned: BTreeSet<_> = planner.plan.events.iter().filter_map(reset).collect();
    finally.retain(|event| reset(event).is_none_or(|step| !planned.contains(step)));
    let again: Vec<_> = finally.iter().filter_map(reset).cloned().collect();
    planner.plan.events.extend(finally);
    planner.runs_again_at_the_end(&again);
    let fates = planner.plan.fates.iter();
    let fates: BTreeMap<_, _> = fates.map(|fate| (&fate.step, fate.kind)).collect();
    // What is inside of something that starts over has no fate of its own.
    let is_gone = |id: &&InstanceId| {
        let mut around = std::iter::successors(Some((*id).clone()), InstanceId::parent);
        let nearest = around.find_map(|id| fates.get(&id).copied());
        nearest == Some(FateKind::Removed)
    };
    match change.redo.iter().find(is_gone) {
        Some(id) => Err(Unplannable::Gone(id.to_string())),
        None => Ok(planner.plan),
    }
}

/// Says whether an instance belongs to a step that the run was started without.
fn is_left_out(change: &Change, id: &InstanceId) -> bool {
    let name = id.segments().next().map(|segment| segment.name);
    let step = name.and_then(|name| change.new.step_named(name));
    let scope = Scope::whole(change.new, change.state);
    step.is_some_and(|step| scope.leaves_out(change.state, step))
}

/// Returns the instance that an event resets.
fn reset(event: &Event) -> Option<&InstanceId> {
    match event {
        Event::StepReset { step } => Some(step),
        _ => None,
    }
}
