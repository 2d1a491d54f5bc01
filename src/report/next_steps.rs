use super::{
    standing::{Standing, waiting},
    style::utc_time,
};
use crate::{
    journal::{Approval, EffectState, Instance, InstanceId, Outcome, RunId, State},
    script::Class,
};

/// The commands that a person gives next, each on a line. `engine` is what `--on` calls the engine that
/// drives the run; an answer is enough there for the run to go on.
pub fn next_steps(run: &RunId, state: &State, engine: Option<&str>, now: i64) -> Vec<String> {
    let on = engine.map_or(String::new(), |name| format!(" --on {name}"));
    let (expired, waiting): (Vec<_>, Vec<_>) =
        waiting(state).partition(|(_, asked)| asked.has_expired(now));
    match state.outcome {
        Some(Outcome::Succeeded | Outcome::Undone) => Vec::new(),
        Some(Outcome::UndoFailed) => vec![format!("go on with: windlass undo {run}{on}")],
        None if state.is_undoing && engine.is_none() => {
            vec![format!("go on with: windlass undo {run}{on}")]
        }
        None if !waiting.is_empty() => {
            let mut lines = Vec::new();
            lines.extend(expired.iter().map(|(step, asked)| overdue(step, asked)));
            for (step, approval) in waiting {
                lines.push(format!("waits for an approval: {}", approval.message));
                lines.push(format!("  windlass approve {run} {step}{on}   (or reject)"));
            }
            if engine.is_none() {
                lines.push(format!("then go on with: windlass resume {run}"));
            }
            lines
        }
        // What is the engine's can't be taken back before it is over.
        None if engine.is_some() => vec![
            format!("give it up with: windlass cancel {run}{on}"),
            format!("go on with: windlass resume {run}{on}"),
        ],
        None if !expired.is_empty() => {
            let lines = expired.iter().map(|(step, asked)| overdue(step, asked));
            let go_on = format!("to continue: windlass resume {run}{on}");
            lines.chain([go_on]).collect()
        }
        _ => {
            let take_back = format!("take it back with: windlass undo {run}{on}");
            let rejected = state.steps.iter().find(|(_, i)| i.is_rejected());
            let go_on = match (state.outcome, Standing::of(state, false, now)) {
                (Some(Outcome::Failed), _) if rejected.is_some() => {
                    let step = rejected.map_or("", |(step, _)| step.as_str());
                    format!("to ask again: windlass resume {run} --redo '{step}'{on}")
                }
                (None, Standing::Answered(verdict)) => {
                    format!(
                        "{}; go on with: windlass resume {run}{on}",
                        verdict.as_str()
                    )
                }
                _ => format!("go on with: windlass resume {run}{on}"),
            };
            let lines = [
                Some(take_back).filter(|_| left_something(state)),
                Some(go_on),
            ];
            lines.into_iter().flatten().collect()
        }
    }
}

/// Whether there is anything for an undo.
fn left_something(state: &State) -> bool {
    let mut rounds = state.steps.values().flat_map(Instance::rounds);
    rounds.any(|round| round.effects.iter().any(may_have_changed))
}

/// Whether an effect changed something outside, as far as anybody knows.
fn may_have_changed(effect: &EffectState) -> bool {
    let only_of_here = ["time::", "random::", "key::", "log::"];
    effect.call.class != Class::Read
        && !only_of_here
            .iter()
            .any(|module| effect.call.function.starts_with(module))
        && (effect.is_unknown() || effect.result().is_some())
}

/// Every question that a run asked, with its answer.
pub fn approvals(state: &State) -> Vec<String> {
    let asked = state
        .steps
        .iter()
        .filter_map(|(step, instance)| Some((step, instance.approval.as_ref()?)));
    asked.map(|(step, approval)| line(step, approval)).collect()
}

/// A question whose time is over, before that is recorded.
fn overdue(step: &InstanceId, asked: &Approval) -> String {
    let deadline = asked.deadline.map_or_else(String::new, utc_time);
    format!("{step} expired {deadline} UTC, and takes its `on_timeout` for an answer")
}

fn line(step: &InstanceId, approval: &Approval) -> String {
    let what = match &approval.answer {
        None => format!("asked {} UTC", utc_time(approval.asked_at)),
        Some(answer) => {
            let comment = answer
                .comment
                .as_ref()
                .map_or(String::new(), |comment| format!(": {comment}"));
            format!(
                "{} by {} {} UTC{comment}",
                answer.verdict.as_str(),
                answer.approver,
                utc_time(answer.at)
            )
        }
    };
    format!("{step}: {} ({what})", approval.message)
}
