use std::fmt;

use serde_json::{Value as Json, json};

use super::{
    certificates::certificates,
    commands::completed,
    plain,
    undo::{not_reversed, undo_json},
};
use windlass_compile::Workflow;
use windlass_ground::Timestamp;
use windlass_journal::{
    Approval, Instance, InstanceId, Outcome, RunId, RunRow, RunStanding, State, Status,
};
use windlass_world::value::{StepError, Value};

/// How a run is shown as JSON.
pub struct JsonView<'a> {
    /// `None` if its files can't be read: then what an undo left is not listed.
    pub workflow: Option<&'a Workflow>,
    pub is_driven: bool,
    /// Decides which questions have expired.
    pub now: Timestamp,
}

/// Returns a run as `show --json` and `run --json` print it. Times are milliseconds since 1970; secrets are masked.
pub fn run_json(id: &RunId, state: &State, view: &JsonView) -> Json {
    let now = view.now;
    let run = state.run.as_ref();
    let steps: Vec<Json> = state
        .steps
        .iter()
        .map(|(step, instance)| {
            json!({
                "step": step,
                "status": step_status(state, instance, now),
                "attempt": instance.attempt,
                "started_at": instance.started_at,
                "ended_at": instance.ended_at,
                "worked_ms": instance.worked,
                "retry_at": match instance.status { Status::Retrying { at } => Some(at), _ => None },
                "outputs": instance.outputs,
                "error": instance.error,
                "skip_reason": instance.skip_reason,
                "effects": instance.effects.len(),
                "approval": instance.approval.as_deref().map(approval_json),
            })
        })
        .collect();
    let failed: Vec<Json> = errors(state)
        .into_iter()
        .map(|(step, error)| error_json(id, step, error, hint(state, step, error)))
        .collect();
    let certificates: Vec<Json> = certificates(state)
        .into_iter()
        .map(|c| {
            json!({
                "subject": c.subject, "issuer": c.issuer, "serial": c.serial,
                "not_after": c.not_after, "file": c.file, "step": c.step,
            })
        })
        .collect();
    json!({
        "run": id,
        "workflow": run.map(|run| &run.workflow),
        "file": run.map(|run| &run.file),
        "target": run.map(|run| &run.target),
        "kube": run.map(|run| &run.kube),
        "status": state.outcome.map_or("unfinished", |outcome| outcome.as_str()),
        "standing": state.outcome.map_or_else(
            || RunStanding::of(state, view.is_driven, now).as_str(),
            |outcome| outcome.as_str(),
        ),
        "started_at": run.map(|run| run.started_at),
        "ended_at": state.ended_at,
        "worked_ms": state.worked,
        "requester": run.map(|run| &run.requester),
        "params": run.map(|run| &run.params),
        "outputs": match &state.outputs { Value::Null => json!({}), outputs => outputs.to_json() },
        "error": failed.first(),
        "errors": failed,
        "steps": steps,
        "not_reversed": if state.is_undoing { view.workflow.map(|workflow| undo_json(&not_reversed(workflow, state))) } else { None },
        "certificates": certificates,
    })
}

fn approval_json(asked: &Approval) -> Json {
    let answer = asked.answer.as_ref().map(|answer| {
        json!({
            "verdict": answer.verdict.as_str(),
            "approver": answer.approver,
            "comment": answer.comment,
            "at": answer.at,
        })
    });
    json!({
        "message": asked.message,
        "asked_at": asked.asked_at,
        "deadline": asked.deadline,
        "answer": answer,
    })
}

/// Returns the errors with which a run ended, the run's own first, each with its step; leaves out errors that only pass on an error from
/// inside.
pub fn errors(state: &State) -> Vec<(Option<&InstanceId>, &StepError)> {
    let of_steps = state.steps.iter().filter_map(|(step, instance)| {
        let error = instance.error.as_deref()?;
        (instance.status == Status::Failed).then_some((Some(step), error))
    });
    let own = state.error.iter().map(|error| (None, error));
    own.chain(of_steps)
        .filter(|(_, error)| !matches!(error.code.as_str(), "items-failed" | "steps-failed"))
        .collect()
}

/// Returns the hint of an error that [`errors`] lists, if following it still helps: in a run that is being undone, no step is resumed, and an
/// undo that needs an answer does not continue without one.
pub fn hint<'e>(state: &State, step: Option<&InstanceId>, error: &'e StepError) -> Option<&'e str> {
    let helps = match step {
        _ if state.outcome == Some(Outcome::Undone) => false,
        _ if !state.is_undoing => true,
        Some(step) => step.undone().is_some(),
        None => asking_undo(state).is_none(),
    };
    error.hint.as_deref().filter(|_| helps)
}

/// Returns the step whose undo failed because only a person knows whether a call was done, with that undo.
pub fn asking_undo(state: &State) -> Option<(InstanceId, &Instance)> {
    state.steps.iter().find_map(|(id, undo)| {
        let of = id.undone()?;
        // The doubt is about the undo's own call, or about a call that it reverses.
        let asks = undo.is_said_in_doubt() || undo.error.as_ref()?.code == "undo-unknown";
        (undo.status == Status::Failed && asks).then_some((of, undo))
    })
}

fn error_json(
    run: &RunId,
    step: Option<&InstanceId>,
    error: &StepError,
    hint: Option<&str>,
) -> Json {
    let hint = hint.map(|hint| completed(hint, Some(run)));
    json!({
        "step": step, "code": error.code, "message": error.message, "place": error.place,
        "chain": error.chain, "failure": error.failure, "hint": hint,
    })
}

/// Returns JSON as it is printed, in several lines.
pub fn json_text(json: &impl fmt::Display) -> String {
    plain::json(&format!("{json:#}\n")).into_owned()
}

/// Returns JSON as it is printed, in one line.
pub fn json_line(json: &impl fmt::Display) -> String {
    plain::json(&format!("{json}\n")).into_owned()
}

/// Returns the list of `runs --json`.
pub fn runs_json(runs: &[RunRow]) -> Json {
    runs.iter()
        .map(|run| {
            json!({
                "run": run.id,
                "workflow": run.workflow,
                "file": run.file,
                "target": run.target,
                "status": run.status(),
                "started_at": run.started_at,
                "ended_at": run.ended_at,
                "requester": run.requester,
            })
        })
        .collect()
}

/// Returns the status of a step. A step that was interrupted when its run ended is not shown as pending, and an expired question is not
/// shown as waiting.
fn step_status(state: &State, instance: &Instance, now: Timestamp) -> &'static str {
    match instance.status {
        Status::Pending if instance.attempt > 0 && state.outcome.is_some() => "interrupted",
        _ if instance.has_expired(now) => "expired",
        status => status.as_str(),
    }
}
