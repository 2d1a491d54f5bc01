use std::{collections::BTreeSet, path::Path};

use super::{choice::refuse_choice, clock::now, error::RunsError, service::Person};
use windlass_engine::{
    compile::Program,
    decide::{Trouble, troubles},
    execute::DriveError,
    journal::{Event, RunStarted, State},
};
use windlass_ground::Timestamp;
use windlass_world::value::{Digest, Value};

/// How many problems are shown at most: many steps may read the same wrong list.
const SHOWN: usize = 4;

/// A run that has not begun.
pub struct Beginning {
    pub event: Event,
    /// The start time.
    pub at: Timestamp,
    /// The state after the event.
    pub state: State,
}

/// The data for a new run.
pub struct Wanted<'a> {
    pub program: &'a Program,
    pub file: &'a Path,
    /// The absolute path of the folder that `file` is relative to.
    pub folder: &'a Path,
    /// Empty if nobody gave a target.
    pub target: &'a str,
    pub kube: BTreeSet<String>,
    /// The steps to which it is limited; empty for all.
    pub chosen: BTreeSet<String>,
    pub out: String,
    pub params: Value,
    pub requester: &'a Person,
}

/// Creates the first event of a run, and rejects params with which the run is certain to fail. Records nothing.
///
/// # Errors
/// What would fail, with at most four steps.
pub fn begin(wanted: Wanted) -> Result<Beginning, RunsError> {
    let (program, at) = (wanted.program, now());
    refuse_choice(&program.workflow, &wanted.chosen)?;
    let event = Event::RunStarted(RunStarted {
        workflow: program.workflow.name.clone(),
        file: wanted.file.display().to_string(),
        folder: wanted.folder.display().to_string(),
        main: program.main.clone(),
        program: program.digest,
        target: wanted.target.into(),
        kube: wanted.kube,
        chosen: wanted.chosen,
        out: wanted.out,
        params: wanted.params,
        secrets: None,
        requester: wanted.requester.name.clone(),
        via: wanted.requester.via.clone(),
        version: env!("CARGO_PKG_VERSION").into(),
    });
    let mut state = State::default();
    state.apply(&event, at).map_err(DriveError::from)?;
    refuse_hopeless(program, &state)?;
    Ok(Beginning { event, at, state })
}

impl Beginning {
    /// Records the keyed digest of the secrets among the params with the run: approvals are bound to it.
    ///
    /// # Errors
    /// The error of `digest`.
    pub fn with_secrets<E>(
        mut self,
        digest: impl FnOnce(&Value) -> Result<Option<Digest>, E>,
    ) -> Result<Self, E> {
        if let Event::RunStarted(RunStarted {
            params, secrets, ..
        }) = &mut self.event
        {
            *secrets = digest(params)?;
            if let Some(run) = &mut self.state.run {
                run.secrets = *secrets;
            }
        }
        Ok(self)
    }
}

fn refuse_hopeless(program: &Program, state: &State) -> Result<(), RunsError> {
    let found = troubles(&program.workflow, state);
    let Some(first) = found.first() else {
        return Ok(());
    };
    let hint = first.error.hint.clone();
    let mut lines: Vec<_> = found.iter().take(SHOWN).map(line).collect();
    if let more @ 1.. = found.len().saturating_sub(SHOWN) {
        lines.push(format!("and {more} more steps"));
    }
    let message = format!(
        "nothing was started, because the run would fail with these params:\n  {}",
        lines.join("\n  ")
    );
    let error = RunsError::wrong("params", message);
    Err(match hint {
        Some(hint) => error.hint(hint),
        None => error,
    })
}

fn line(trouble: &Trouble) -> String {
    match &trouble.step {
        Some(step) => format!("{step}: {}", trouble.error),
        None => trouble.error.to_string(),
    }
}
