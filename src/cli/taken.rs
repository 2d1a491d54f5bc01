//! Takes over a run that was started before.

use std::path::Path;

use console::style;

use super::{
    archive::{Archive, Held},
    args::Args,
    drive::Drive,
    failure::Failure,
    process::absolute,
    server,
};
use crate::{
    compile::Program,
    execute::{DriveError, compile_editions},
    journal::{Event, RunId, RunInfo, State},
    report,
};
use windlass_ground::Timestamp;
use windlass_world::value::Redactor;

/// A run that this process owns now.
pub struct Taken {
    pub run: Held,
    pub state: State,
    /// The start of the run.
    pub info: RunInfo,
    /// The files with which it continues.
    pub program: Program,
}

impl Taken {
    /// Lets this process drive the run with more events.
    pub fn drive(self, events: Vec<Event>) -> Drive {
        Drive {
            run: self.run,
            program: self.program,
            state: self.state,
            events,
        }
    }

    /// Records events without driving the run.
    ///
    /// # Errors
    /// An event that can't follow: then nothing is recorded, because a journal with such an event could not be read again.
    pub fn record(mut self, events: Vec<Event>, at: Timestamp) -> Result<(), Failure> {
        let redactor = Redactor::default();
        self.state.teach(&redactor);
        let mut redacted = Vec::with_capacity(events.len());
        for event in events {
            let event = event.redacted(&redactor);
            self.state.apply(&event, at).map_err(DriveError::from)?;
            redacted.push(event);
        }
        self.run.record(redacted, at)
    }
}

/// Takes over a run with the files that it froze.
pub fn take(archive: &Archive, id: &RunId) -> Result<Taken, Failure> {
    let (run, state) = archive.adopt(id)?;
    let (info, program) = frozen(archive, id, &state)?;
    Ok(Taken {
        run,
        state,
        info,
        program,
    })
}

/// Returns the start of a run, and the files with which it continues.
pub fn frozen(archive: &Archive, id: &RunId, state: &State) -> Result<(RunInfo, Program), Failure> {
    let info = state
        .run
        .clone()
        .ok_or_else(|| Failure::new("journal", format!("run {id} was never started")))?;
    let program = compile_editions(&info, |edition| archive.files(id, edition))?;
    Ok((info, program))
}

/// Refuses an output folder for a run that another process drives.
pub fn refuse_out_elsewhere(archive: &Archive, out: Option<&Path>) -> Result<(), Failure> {
    match (archive, out) {
        (Archive::Here(_), _) | (_, None) => Ok(()),
        _ => Err(server::not_remote(
            "--out is for runs that this process drives",
        )),
    }
}

/// Makes a run use the output folder that a user names in place of its own; warns if its own is gone, with files that it wrote.
pub fn use_out(state: &mut State, out: Option<&Path>) -> Result<(), Failure> {
    let wrote = state.steps.values().any(|instance| {
        let mut effects = instance.effects.iter();
        effects.any(|effect| effect.call.function.starts_with("file::write"))
    });
    let Some(run) = &mut state.run else {
        return Ok(());
    };
    let there = Path::new(&run.out);
    if let Some(out) = out {
        run.out = absolute(out)?.display().to_string();
    } else if (wrote && !there.exists()) || there.parent().is_some_and(|above| !above.exists()) {
        say!(
            "{} the output folder of the run, {}, does not exist, so files that the run wrote there are not found; if it was moved, name it with --out DIR",
            style("warning:").yellow(),
            report::line(&run.out)
        );
    }
    Ok(())
}

/// Finds the run that a command is to change, and reads it without owning it.
pub fn look(args: &Args, part: Option<&str>) -> Result<(Archive, RunId, State), Failure> {
    let archive = Archive::open(args)?;
    let id = archive.find_to_change(part)?;
    let state = archive.state_of(&id)?;
    Ok((archive, id, state))
}
