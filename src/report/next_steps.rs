use super::{clock::local_time, commands::command, json::asking_undo, plain};
use windlass_ground::Timestamp;
use windlass_journal::{
    Approval, EffectState, Instance, InstanceId, Outcome, RunId, RunStanding, State, Status,
};
use windlass_script::{Class, Function};
use windlass_world::value::{Command, FailureClass, StepError};

/// Returns the commands to type next, one in each line. If Restate drives the run, the run continues by itself after a question is
/// answered.
pub fn next_steps(run: &RunId, state: &State, by_restate: bool, now: Timestamp) -> Vec<String> {
    let on_run = |name| command(Command::new(name).arg(run));
    let (expired, waiting): (Vec<_>, Vec<_>) = state
        .questions()
        .partition(|(_, asked)| asked.has_expired(now));
    match state.outcome {
        Some(Outcome::Succeeded | Outcome::Undone) => Vec::new(),
        Some(Outcome::UndoFailed) => {
            let mut lines = match asking_undo(state) {
                Some((step, undo)) => answers_of_undo(run, &step, undo),
                None => vec![format!("To continue: {}", on_run("undo"))],
            };
            lines.extend(leave(run, state));
            lines
        }
        None if state.is_undoing && !by_restate => {
            vec![format!("To continue: {}", on_run("undo"))]
        }
        None if !waiting.is_empty() => {
            let mut lines = Vec::new();
            lines.extend(expired.iter().map(|(step, asked)| overdue(step, asked)));
            for (step, approval) in waiting {
                lines.push(format!(
                    "waits for an approval: {}",
                    plain::line(&approval.message)
                ));
                lines.push(format!("To approve: {}", answer("approve", run, step)));
                lines.push(format!("To reject: {}", answer("reject", run, step)));
            }
            if !by_restate {
                lines.push(format!("Then continue: {}", on_run("resume")));
            }
            lines
        }
        // A run on Restate can't be undone before it has ended.
        None if by_restate => vec![
            format!("To cancel: {}", on_run("cancel")),
            format!("To continue: {}", on_run("resume")),
        ],
        None if !expired.is_empty() => {
            let lines = expired.iter().map(|(step, asked)| overdue(step, asked));
            let go_on = format!("To continue: {}", on_run("resume"));
            lines.chain([go_on]).collect()
        }
        _ => {
            let undo = format!("To undo: {}", on_run("undo"));
            let mut lines: Vec<_> = left_something(state).then_some(undo).into_iter().collect();
            let answered = match (state.outcome, RunStanding::of(state, false, now)) {
                (None, RunStanding::Answered(verdict)) => format!("{}. ", verdict.as_str()),
                _ => String::new(),
            };
            lines.extend(ways_on(run, state, &answered));
            lines
        }
    }
}

/// Returns the commands for a run that is driven, and that something outside of it holds up: until a person resumes it, or until it works
/// when it is tried again.
pub fn steps_when_held_up(run: &RunId, is_paused: bool) -> Vec<String> {
    let on_run = |name| command(Command::new(name).arg(run));
    let resume = on_run("resume");
    let first = if is_paused {
        format!("To continue, after you have fixed this: {resume}")
    } else {
        format!("To try again now: {resume}")
    };
    vec![first, format!("To cancel: {}", on_run("cancel"))]
}

/// Returns the ways to continue an undo that needs to know whether a call was done.
fn answers_of_undo(run: &RunId, step: &InstanceId, undo: &Instance) -> Vec<String> {
    let way = |answer| {
        let undo = Command::new("undo").arg(run);
        command(undo.option("--answer", format!("{step}={answer}")))
    };
    if undo
        .call_in_doubt()
        .is_some_and(EffectState::is_refused_done)
    {
        return vec![format!(
            "It was done. To continue: {} (VALUE is what the call returned; if that is not used: `done`)",
            way("done:VALUE")
        )];
    }
    vec![
        format!("If it was done: {}", way("done")),
        format!("If it was not done: {}", way("again")),
    ]
}

/// Returns the way past a step whose undo has failed.
fn leave(run: &RunId, state: &State) -> Option<String> {
    let mut failed = state.steps.iter().filter_map(|(id, undo)| {
        let of = id.undone()?;
        (undo.status == Status::Failed).then_some(of)
    });
    let step = failed.next()?;
    let answer = Command::new("undo").arg(run);
    let answer = answer.option("--answer", format!("{step}=leave"));
    let command = command(answer);
    Some(format!("To leave what {step} did as it is: {command}"))
}

/// Returns the command that answers a question of a run.
pub(super) fn answer(name: &str, run: &RunId, step: &InstanceId) -> String {
    command(Command::new(name).arg(run).arg(step))
}

/// Returns the ways to continue a failed run: unchanged, unless it would fail in the same way.
fn ways_on(run: &RunId, state: &State, before: &str) -> Vec<String> {
    let resume = || Command::new("resume").arg(run);
    let failed = state.steps.iter().filter_map(|(step, instance)| {
        let error = instance.error.as_deref()?;
        let is_failed = instance.status == Status::Failed && !instance.is_composite();
        is_failed.then_some((step, error, instance))
    });
    let rejected = state.steps.iter().find(|(_, i)| i.is_rejected());
    let mut lines = Vec::new();
    if let (Some(Outcome::Failed), Some((step, _))) = (state.outcome, rejected) {
        let again = resume().option("--redo", step);
        lines.push(format!("To ask again: {}", command(again)));
        let mut others = failed
            .clone()
            .filter(|(_, _, instance)| !instance.is_rejected());
        // Nothing but the rejection made it fail, so without another answer it fails again.
        if others.next().is_none() {
            return lines;
        }
    }
    let asks_again = lines.len();
    let (mut diverged, mut doubtful, mut unanswered) = (resume(), Vec::new(), None);
    let (mut is_wrong, mut may_be_wrong) = (false, false);
    for (step, error, instance) in failed.filter(|(_, _, instance)| !instance.is_rejected()) {
        let doubt = instance.call_in_doubt();
        unanswered = unanswered.or(instance.answered_without_result().map(|call| (step, call)));
        match error.code.as_str() {
            "diverged" => diverged = diverged.option("--redo", step),
            "in-doubt" => doubtful.push((step, doubt)),
            _ if doubt.is_some() => doubtful.push((step, doubt)),
            code => {
                is_wrong |= NEEDS_AN_EDIT.contains(&code);
                may_be_wrong |= may_need_an_edit(error);
            }
        }
    }
    let own = state.error.as_ref().map(|error| error.code.as_str());
    is_wrong |= own.is_some_and(|code| NEEDS_AN_EDIT.contains(&code));
    for (step, call) in &doubtful {
        let way = |answer| command(resume().option("--answer", format!("{step}={answer}")));
        let is_known = call.is_some_and(EffectState::is_refused_done);
        if call.is_some() {
            let when = if is_known {
                "It was done. To continue"
            } else {
                "If it was done"
            };
            lines.push(format!(
                "{when}: {} (VALUE is what the call returned; if the script does not use that: `done`)",
                way("done:VALUE")
            ));
        }
        if !is_known {
            lines.push(format!("If it was not done: {}", way("again")));
        }
    }
    if let Some((step, call)) = unanswered {
        let answer = resume().option("--answer", format!("{step}=done:VALUE"));
        lines.push(format!(
            "If the script needs what {} returned: {}",
            call.call.function,
            command(answer)
        ));
    }
    if diverged != resume() {
        lines.push(format!("To start it again: {}", command(diverged)));
    }
    if is_wrong {
        let edited = command(resume().flag("--edited"));
        lines.push(format!(
            "To continue after you have fixed the files: {edited}"
        ));
    }
    if lines.len() == asks_again {
        lines.push(format!("{before}To continue: {}", command(resume())));
    }
    if is_wrong || may_be_wrong {
        let params = state.run.as_ref().and_then(|run| run.params.as_map());
        if params.is_some_and(|params| !params.is_empty()) {
            let way = resume().flag("--edited");
            let way = command(way.option("-p", "NAME=VALUE"));
            lines.push(format!("To continue with other params: {way}"));
        }
    }
    lines
}

/// Says whether a step may fail again until the params are changed: its script refused them, or what was called did, or
/// was not there.
fn may_need_an_edit(error: &StepError) -> bool {
    use FailureClass::{Rejected, Unavailable};
    match &error.failure {
        Some(failure) => matches!(failure.class, Rejected | Unavailable),
        None => error.code == "script-threw",
    }
}

/// Errors that occur again until the files or params are changed.
const NEEDS_AN_EDIT: [&str; 10] = [
    "duplicate-item",
    "expression-failed",
    "missing-input",
    "script-error",
    "script-limit",
    "unknown-input",
    "wrong-arguments",
    "wrong-output",
    "wrong-type",
    "engine-broke",
];

/// Says whether there is anything to undo.
fn left_something(state: &State) -> bool {
    let mut rounds = state.steps.values().flat_map(Instance::rounds);
    rounds.any(|round| round.effects.iter().any(may_have_changed))
}

/// Says whether an effect changed something outside, as far as that is known. A call of an unknown function may have.
fn may_have_changed(effect: &EffectState) -> bool {
    let row = windlass_script::function(&effect.call.function);
    effect.call.class != Class::Read && row.is_none_or(Function::is_change) && effect.may_be_done()
}

/// Lists every question that a run asked, with its answer.
pub fn approvals(state: &State) -> Vec<String> {
    let asked = state
        .steps
        .iter()
        .filter_map(|(step, instance)| Some((step, instance.approval.as_deref()?)));
    asked.map(|(step, approval)| line(step, approval)).collect()
}

/// Describes a question that has expired before that is recorded.
fn overdue(step: &InstanceId, asked: &Approval) -> String {
    let deadline = asked.deadline.map_or_else(String::new, local_time);
    format!("{step} expired {deadline}; its `on_timeout` is the answer")
}

fn line(step: &InstanceId, approval: &Approval) -> String {
    let what = match &approval.answer {
        None => format!("asked {}", local_time(approval.asked_at)),
        Some(answer) => {
            let comment = answer
                .comment
                .as_ref()
                .map_or(String::new(), |comment| format!(": {comment}"));
            format!(
                "{} by {} {}{comment}",
                answer.verdict.as_str(),
                answer.approver,
                local_time(answer.at)
            )
        }
    };
    plain::line(&format!("{step}: {} ({what})", approval.message)).into_owned()
}
