use super::{
    Done,
    args::{Args, Resume},
    drive::{Drive, drive, requester},
    failure::Failure,
    taken::take,
};
use crate::{
    decide,
    journal::{Journal, Outcome, RunId, State},
};

/// `windlass resume [RUN]`: goes on with the files that the run began with.
pub fn resume(args: &Args, command: &Resume) -> Done {
    let journal = Journal::open(&args.state)?;
    let id = find(&journal, command.run.as_deref())?;
    let taken = take(&journal, &id)?;
    refuse_what_is_over(&id, &taken.state)?;
    let events = decide::on_resume(&taken.program.workflow, &taken.state, &requester());
    drive(
        args,
        &command.driving,
        Drive {
            run: taken.run,
            program: taken.program,
            state: taken.state,
            events,
        },
    )
}

fn refuse_what_is_over(id: &RunId, state: &State) -> Result<(), Failure> {
    if state.is_undoing {
        let message = format!("run {id} is being undone, or has been");
        return Err(Failure::new("nothing-to-resume", message)
            .hint(format!("`windlass undo {id}` goes on with that")));
    }
    match state.outcome {
        Some(Outcome::Succeeded) => Err(Failure::new(
            "nothing-to-resume",
            format!("run {id} has succeeded"),
        )
        .hint(format!("`windlass outputs {id}` prints what it gave"))),
        _ => Ok(()),
    }
}

fn find(journal: &Journal, part: Option<&str>) -> Result<RunId, Failure> {
    if part.is_some() {
        return Ok(journal.find(part)?);
    }
    let runs = journal.runs()?;
    let open = runs.into_iter().find(|run| {
        !matches!(
            run.outcome.as_deref(),
            Some("succeeded" | "undone" | "undo failed")
        )
    });
    open.map(|run| run.id).ok_or_else(|| {
        Failure::new("nothing-to-resume", "every run here has succeeded")
            .hint("`windlass runs` lists them")
    })
}
