//! What a resume with other files, other params or `--redo` will do, before it does it.

use super::{
    fate::{Change, Plan},
    planner::Planner,
    resume::reset_finally,
    scope::Scope,
};
use crate::journal::InstanceId;

/// A `--redo` that names nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` has not run, so it can't run again")]
pub struct NothingToRedo(pub String);

/// Thinks a resume through.
///
/// # Errors
/// A `redo` of something that never ran.
pub fn plan(change: &Change) -> Result<Plan, NothingToRedo> {
    let ran = |id: &&InstanceId| change.state.instance(id).is_none();
    if let Some(id) = change.redo.iter().find(ran) {
        return Err(NothingToRedo(id.to_string()));
    }
    let mut planner = Planner {
        change,
        plan: Plan::default(),
    };
    let scope = Scope::whole(change.new, change.state);
    planner.scope(&scope, Some(change.old), None);
    let mut state = change.state.clone();
    for event in &planner.plan.events {
        // What is reset or reopened is known to the state: that is where it was found.
        let _ = state.apply(event, 0);
    }
    let mut finally = Vec::new();
    reset_finally(change.new, None, &state, &mut finally);
    finally.retain(|event| !planner.plan.events.contains(event));
    planner.plan.events.extend(finally);
    Ok(planner.plan)
}
