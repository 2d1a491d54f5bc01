//! Decides to which steps a run may be limited.

use std::collections::BTreeSet;

use super::error::RunsError;
use windlass_compile::Workflow;
use windlass_engine::decide;
use windlass_script::{closest, did_you_mean};

/// Rejects a choice of steps (`chosen`, empty for all) that can't run without others, or that an approval guards: a choice may leave out
/// work, but not the approval that the work waits for.
///
/// # Errors
/// The first step that is not in the workflow, that reads the outputs of a step that is left out, or that comes after an approval
/// that is left out.
pub fn refuse_choice(workflow: &Workflow, chosen: &BTreeSet<String>) -> Result<(), RunsError> {
    for name in chosen {
        let step = workflow
            .step_named(name)
            .ok_or_else(|| unknown_step(workflow, name))?;
        let reads = decide::reads_of(step);
        if let Some(read) = reads.difference(chosen).next() {
            let message =
                format!("`{name}` can't run without `{read}`, because it reads its outputs");
            return Err(RunsError::wrong("bad-choice", message).hint(ways_out(read, name)));
        }
        if let Some(approval) = decide::approval_left_out(workflow, name, chosen) {
            let message =
                format!("`{name}` can't run without the approval in `{approval}` before it");
            return Err(RunsError::wrong("bad-choice", message).hint(ways_out(&approval, name)));
        }
    }
    Ok(())
}

/// Rejects an edit of a run that was started for some steps only, if these can't run alone in the edited workflow.
///
/// # Errors
/// As of [`refuse_choice`].
pub fn refuse_edited_choice(
    workflow: &Workflow,
    chosen: &BTreeSet<String>,
) -> Result<(), RunsError> {
    refuse_choice(workflow, chosen).map_err(|error| {
        let steps: Vec<_> = chosen.iter().map(String::as_str).collect();
        let (steps, message) = (steps.join(", "), error.message);
        RunsError::conflict(
            "bad-choice",
            format!("the run was started for these steps only: {steps}; now {message}"),
        )
        .hint("undo it, and start another run with the new files")
    })
}

/// Returns the error for a step that the workflow does not have.
pub fn unknown_step(workflow: &Workflow, name: &str) -> RunsError {
    let error = RunsError::wrong("unknown-step", format!("the workflow has no step `{name}`"));
    let names = workflow.steps().map(|(_, step)| step.name.as_str());
    match closest(name, names) {
        Some(near) => error.hint(did_you_mean(near)),
        None => error.hint("`windlass graph` shows its steps"),
    }
}

fn ways_out(missing: &str, name: &str) -> String {
    format!("add --only {missing}, or take --until {name}")
}
