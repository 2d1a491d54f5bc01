//! Steps whose process died inside a call: only a person's answer says whether they have failed, so a run stops there, whatever its workflow
//! says of failures.

use super::shape::whole;
use windlass_compile::{OnError, Step};
use windlass_journal::{InstanceId, State, Status};

/// Says whether a run continues without a step that has failed.
pub(super) fn is_tolerated(state: &State, id: &InstanceId, step: &Step) -> bool {
    step.on_error == OnError::Continue
        && state.status(id) == Status::Failed
        && !whole(state, id).any(|(_, instance)| instance.has_failed_in_doubt())
}

/// Says whether a run has a step of which that is not known, so that its undo can't begin by itself.
pub(super) fn has_doubt(state: &State) -> bool {
    let mut steps = state.steps.iter();
    steps.any(|(id, instance)| id.undone().is_none() && instance.has_failed_in_doubt())
}
