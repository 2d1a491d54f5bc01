use super::{
    Done,
    args::{Answer, Args},
    exit,
    failure::Failure,
    process::{now, requester},
    taken::{look, take},
};
use crate::{
    compile::{Frozen, compile},
    decide,
    journal::{Decision, Event, InstanceId, Message, Status, Verdict},
    report,
    value::Command,
};

/// `windlass approve RUN STEP` and `windlass reject RUN STEP`.
pub fn answer(args: &Args, command: &Answer, verdict: Verdict) -> Done {
    let (archive, id, state) = look(args, Some(&command.run))?;
    let step = InstanceId::parse(&command.step);
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
            steps => format!("these wait: {}", steps.join(", ")),
        };
        let status = state.status(&step).as_str();
        return Err(Failure::new(
            "not-waiting",
            format!("`{step}` does not wait for an approval (it is {status})"),
        )
        .hint(hint));
    };
    let decision = Decision {
        step: command.step.clone(),
        verdict,
        approver: requester(),
        comment: command.comment.clone(),
        digest: asked.digest,
    };
    let info = state.run.as_ref();
    let (main, edition) = info.map_or(("", 0), |run| (run.main.as_str(), run.edition));
    let program = compile(main, &mut Frozen(archive.files(&id, edition)?))?;
    decide::on_answer(&program.workflow, &state, id.as_str(), &decision)
        .map_err(|refusal| Failure::new("not-approver", refusal.to_string()))?;
    say!("{} `{step}`: {}", verdict.as_str(), asked.message);
    if archive.is_owned(&id)? {
        archive.post(&id, &Message::Decide(decision), now())?;
        return Ok(exit::SUCCEEDED);
    }
    // Nobody drives the run, so the answer goes into its journal at once.
    let taken = take(&archive, &id)?;
    let event = decide::on_answer(
        &taken.program.workflow,
        &taken.state,
        id.as_str(),
        &decision,
    );
    let event: Event =
        event.map_err(|refusal| Failure::new("not-approver", refusal.to_string()))?;
    taken.run.record(event, now())?;
    let resume = report::command(Command::new("resume").arg(&id));
    say!("To continue: {resume}");
    Ok(exit::SUCCEEDED)
}
