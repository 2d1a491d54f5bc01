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
    compile::{Frozen, compile},
    decide::{self, Refusal},
    journal::{Decision, Event, Message, RunId, Status, Verdict},
    report::{self, local_time},
    value::Command,
};

/// `windlass approve RUN STEP` and `windlass reject RUN STEP`.
pub fn answer(args: &Args, command: &Answer, verdict: Verdict) -> Done {
    let (archive, id, state) = look(args, Some(&command.run))?;
    let step = command.step.clone();
    let Some(asked) = state
        .instance(&step)
        .filter(|instance| instance.status == Status::Waiting)
        .and_then(|instance| instance.approval.clone())
    else {
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
        let status = state.status(&step).as_str();
        return Err(Failure::new(
            "not-waiting",
            format!("`{step}` does not wait for an approval (it is {status})"),
        )
        .hint(hint));
    };
    if let Archive::Server(there) = &archive {
        return remote::answer(there, command, verdict, (&id, &step, &asked));
    }
    let decision = Decision {
        step: step.clone(),
        verdict,
        approver: requester(),
        via: None,
        comment: command.comment.clone(),
        digest: asked.digest,
    };
    let info = state.run.as_ref();
    let (main, edition) = info.map_or(("", 0), |run| (run.main.as_str(), run.edition));
    let program = compile(main, &mut Frozen(archive.files(&id, edition)?))?;
    let at = now();
    let refused = |refusal: Refusal| refused(&refusal, &id);
    decide::on_answer(&program.workflow, &state, id.as_str(), &decision, at).map_err(refused)?;
    if archive.is_owned(&id)? {
        archive.post(&id, &Message::Decide(decision), at)?;
        say!("{} `{step}`: {}", verdict.as_str(), asked.message);
        return Ok(exit::SUCCEEDED);
    }
    // No process drives the run, so the answer is recorded at once.
    let taken = take(&archive, &id)?;
    let event = decide::on_answer(
        &taken.program.workflow,
        &taken.state,
        id.as_str(),
        &decision,
        at,
    );
    let event: Event = event.map_err(refused)?;
    taken.record(event, at)?;
    say!(
        "{} `{step}`: {}",
        verdict.as_str(),
        report::line(&asked.message)
    );
    let resume = report::command(Command::new("resume").arg(&id));
    match verdict {
        Verdict::Approved => say!("To continue: {resume}"),
        Verdict::Rejected => {
            say!("To run what follows a rejection (finally, undo): {resume}");
        }
    }
    Ok(exit::SUCCEEDED)
}

/// Explains why an answer does not count, for the person who gave it.
fn refused(refusal: &Refusal, run: &RunId) -> Failure {
    let Refusal::Expired {
        step,
        deadline,
        verdict,
    } = refusal
    else {
        let code = match refusal {
            Refusal::NotAsked { .. } | Refusal::Over { .. } => "not-waiting",
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
