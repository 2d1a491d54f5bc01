//! Taking up a run that was begun before.

use super::{args::Args, failure::Failure};
use crate::{
    compile::{Frozen, Program, compile},
    journal::{Journal, RunId, RunInfo, RunJournal, State},
};

/// A run that this process owns now.
pub struct Taken {
    pub run: RunJournal,
    pub state: State,
    /// How it began.
    pub info: RunInfo,
    /// The files that it goes on with.
    pub program: Program,
}

/// Takes up a run with the files that it froze.
pub fn take(journal: &Journal, id: &RunId) -> Result<Taken, Failure> {
    let (run, state) = journal.adopt(id)?;
    let info = state
        .run
        .clone()
        .ok_or_else(|| Failure::new("journal", format!("run {id} was never started")))?;
    let program = compile(&info.main, &mut Frozen(journal.files(id, info.edition)?))?;
    Ok(Taken {
        run,
        state,
        info,
        program,
    })
}

/// Finds the run that a command is about, and looks at it without owning it.
pub fn look(args: &Args, part: Option<&str>) -> Result<(Journal, RunId, State), Failure> {
    let journal = Journal::open(&args.state)?;
    let id = journal.find(part)?;
    let state = journal.state_of(&id)?;
    Ok((journal, id, state))
}
