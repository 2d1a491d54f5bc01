use super::{
    Done,
    archive::Archive,
    args::{Answer, Args},
    exit,
    failure::Failure,
    process::{now, requester},
    remote,
    taken::{look, take},
};
use crate::{
    compile::{Frozen, Workflow, compile},
    decide::{self, Refusal},
    execute::DriveError,
    journal::{Approval, Decision, Event, InstanceId, Message, RunId, State, Status, Verdict},
    report::{self, local_time},
    runs::Reception,
    value::Command,
};

/// `windlass approve RUN STEP…` and `windlass reject RUN STEP…`: all of them, or none where one does not count.
pub fn answer(args: &Args, command: &Answer, verdict: Verdict) -> Done {
    let (archive, id, state) = look(args, Some(&command.run))?;
    let asked = all_asked(&state, &command.steps)?;
    if let Archive::Server(there) = &archive {
        return remote::answer(there, command, verdict, (&id, &asked));
    }
    let info = state.run.as_ref();
    let (main, edition) = info.map_or(("", 0), |run| (run.main.as_str(), run.edition));
    let program = compile(main, &mut Frozen(archive.files(&id, edition)?))?;
    let at = now();
    let decisions: Vec<_> = asked
        .iter()
        .map(|(step, asked)| Decision {
            step: step.clone(),
            verdict,
            approver: requester(),
            via: None,
            comment: command.comment.clone(),
            digest: asked.digest,
        })
        .collect();
    let events = answered(&program.workflow, &state, &id, &decisions)?;
    if archive.is_owned(&id)? {
        for decision in &decisions {
            archive.post(&id, &Message::Decide(decision.clone()), at)?;
        }
        let state = || archive.state_of(&id);
        let received = Reception::wait(&decisions, state, || archive.is_owned(&id))?;
        if received.refuse()? == Reception::Counts {
            say_answered(verdict, &asked);
            return Ok(exit::SUCCEEDED);
        }
        if archive.is_owned(&id)? {
            let show = report::command(Command::new("show").arg(&id));
            say!("sent, but the process that drives the run has not taken it up yet: {show}");
            return Ok(exit::SUCCEEDED);
        }
    }
    // No process drives the run (any more), so the answers are recorded at once.
    let taken = take(&archive, &id)?;
    let events = if taken.state.events == state.events {
        events
    } else {
        answered(&taken.program.workflow, &taken.state, &id, &decisions)?
    };
    taken.record(events, at)?;
    say_answered(verdict, &asked);
    let resume = report::command(Command::new("resume").arg(&id));
    match verdict {
        Verdict::Approved => say!("To continue: {resume}"),
        Verdict::Rejected => {
            say!("To run the steps after the rejection (finally, undo): {resume}");
        }
    }
    Ok(exit::SUCCEEDED)
}

/// Returns the question of each step.
///
/// # Errors
/// A step that asks no question now, or one that is named twice.
fn all_asked(state: &State, steps: &[InstanceId]) -> Result<Vec<(InstanceId, Approval)>, Failure> {
    let mut all: Vec<(InstanceId, Approval)> = Vec::new();
    for step in steps {
        if all.iter().any(|(known, _)| known == step) {
            let message = format!("`{step}` is named twice");
            return Err(Failure::new("not-waiting", message).hint("name each step once"));
        }
        all.push((step.clone(), asked(state, step)?));
    }
    Ok(all)
}

fn asked(state: &State, step: &InstanceId) -> Result<Approval, Failure> {
    let waits = state
        .instance(step)
        .filter(|instance| instance.status == Status::Waiting);
    if let Some(asked) = waits.and_then(|instance| instance.approval.as_deref()) {
        return Ok(asked.clone());
    }
    let waiting: Vec<_> = state
        .steps
        .iter()
        .filter(|(_, instance)| instance.status == Status::Waiting)
        .map(|(id, _)| id.as_str())
        .collect();
    let hint = match waiting.as_slice() {
        [] => "nothing in this run waits for an approval".into(),
        steps => format!("these steps wait: {}", steps.join(", ")),
    };
    let refusal = decide::not_asked(state, step);
    Err(Failure::new("not-waiting", refusal.to_string()).hint(hint))
}

/// Returns the events of answers; each applies to the state after the one before it.
fn answered(
    workflow: &Workflow,
    state: &State,
    id: &RunId,
    decisions: &[Decision],
) -> Result<Vec<Event>, Failure> {
    let (mut state, mut events, at) = (state.clone(), Vec::new(), now());
    for decision in decisions {
        let event = decide::on_answer(workflow, &state, id.as_str(), decision, at);
        let event = event.map_err(|refusal| refused(&refusal, id))?;
        state.apply(&event, at).map_err(DriveError::from)?;
        events.push(event);
    }
    Ok(events)
}

fn say_answered(verdict: Verdict, asked: &[(InstanceId, Approval)]) {
    for (step, asked) in asked {
        say!(
            "{} `{step}`: {}",
            verdict.as_str(),
            report::line(&asked.message)
        );
    }
}

/// Explains to the person who answered why the answer is not accepted.
fn refused(refusal: &Refusal, run: &RunId) -> Failure {
    let Refusal::Expired {
        step,
        deadline,
        verdict,
    } = refusal
    else {
        let code = match refusal {
            Refusal::NotAsked { .. } | Refusal::Over { .. } | Refusal::Changed(_) => "not-waiting",
            _ => "not-approver",
        };
        return Failure::new(code, refusal.to_string());
    };
    let (deadline, verdict) = (local_time(*deadline), verdict.as_str());
    Failure::new(
        "approval-expired",
        format!(
            "`{step}` expired {deadline} and counts as {verdict}; answers are no longer accepted"
        ),
    )
    .hint(format!(
        "to continue: `{}`; to ask again: `{}`",
        Command::new("resume").arg(run),
        Command::new("resume").arg(run).option("--redo", step)
    ))
}
