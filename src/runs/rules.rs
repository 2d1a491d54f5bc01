//! Decides when a run may be resumed, cancelled or undone.

use super::error::RunsError;
use windlass_compile::Workflow;
use windlass_engine::decide;
use windlass_journal::{Outcome, RunId, State};
use windlass_world::value::Command;

/// Rejects a resume of a run that is over. With `changes` (other files, other params or single steps), a run that has succeeded may be
/// resumed as well.
///
/// # Errors
/// The reason, with what to do instead.
pub fn refuse_resume(
    id: &RunId,
    workflow: &Workflow,
    state: &State,
    changes: bool,
) -> Result<(), RunsError> {
    let refused = |message: String| RunsError::conflict("nothing-to-resume", message);
    if state.outcome == Some(Outcome::Undone) {
        return Err(refused(format!("run {id} has been undone"))
            .hint("`windlass run FILE` starts a new one"));
    }
    if state.is_undoing {
        return Err(refused(format!("run {id} is being undone"))
            .hint(format!("to continue the undo: `windlass undo {id}`")));
    }
    if !changes && let Some(step) = decide::ended_by_rejection(workflow, state) {
        let again = Command::new("resume").arg(id).option("--redo", &step);
        return Err(
            refused(format!("run {id} ended because `{step}` was rejected"))
                .hint(format!("to ask again: `{again}`")),
        );
    }
    match state.outcome {
        Some(Outcome::Succeeded) if !changes => Err(refused(format!("run {id} has succeeded"))
            .hint(format!(
                "to print its outputs: `windlass outputs {id}`; to run parts of it again: --edited or --redo"
            ))),
        _ => Ok(()),
    }
}

/// Rejects a cancel of a run that has ended.
///
/// # Errors
/// The run's outcome.
pub fn refuse_cancel(id: &RunId, state: &State) -> Result<(), RunsError> {
    let Some(outcome) = state.outcome else {
        return Ok(());
    };
    let how = match outcome {
        Outcome::Succeeded | Outcome::Failed => format!("it {}", outcome.as_str()),
        Outcome::Cancelled | Outcome::Undone => format!("it was {}", outcome.as_str()),
        Outcome::UndoFailed => "its undo failed".into(),
    };
    let message = format!("run {id} has ended: {how}");
    Err(RunsError::conflict("nothing-to-cancel", message))
}

/// Rejects a second undo of a run.
///
/// # Errors
/// The run has been undone already.
pub fn refuse_undo(id: &RunId, state: &State) -> Result<(), RunsError> {
    match state.outcome {
        Some(Outcome::Undone) => Err(RunsError::conflict(
            "nothing-to-undo",
            format!("run {id} has been undone"),
        )),
        _ => Ok(()),
    }
}
