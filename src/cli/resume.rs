use std::path::PathBuf;

use super::{
    Done,
    args::{Args, Resume},
    drive::{Drive, drive, requester},
    failure::Failure,
};
use crate::{
    compile::{Frozen, compile},
    decide,
    journal::{Journal, Outcome, RunId},
};

/// `windlass resume [RUN]`: goes on with the files that the run began with.
pub fn resume(args: &Args, command: &Resume) -> Done {
    let journal = Journal::open(&args.state)?;
    let id = find(&journal, command.run.as_deref())?;
    let (run, state) = journal.adopt(&id)?;
    let Some(info) = state.run.clone() else {
        return Err(Failure::new(
            "journal",
            format!("run {id} was never started"),
        ));
    };
    if state.outcome == Some(Outcome::Succeeded) {
        return Err(
            Failure::new("nothing-to-resume", format!("run {id} has succeeded"))
                .hint(format!("`windlass outputs {id}` prints what it gave")),
        );
    }
    let program = compile(&info.main, &mut Frozen(journal.files(&id)?))?;
    let events = decide::on_resume(&program.workflow, &state, &requester());
    let out = PathBuf::from(&info.out);
    drive(
        args,
        &command.driving,
        &out,
        &info.target,
        Drive {
            run,
            program,
            state,
            events,
        },
    )
}

fn find(journal: &Journal, part: Option<&str>) -> Result<RunId, Failure> {
    if part.is_some() {
        return Ok(journal.find(part)?);
    }
    let runs = journal.runs()?;
    let open = runs
        .into_iter()
        .find(|run| run.outcome.as_deref() != Some("succeeded"));
    open.map(|run| run.id).ok_or_else(|| {
        Failure::new("nothing-to-resume", "every run here has succeeded")
            .hint("`windlass runs` lists them")
    })
}
