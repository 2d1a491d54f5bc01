use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use super::{
    archive::Archive,
    failure::Failure,
    process::{now, requester},
};
use crate::{
    compile::Program,
    decide::{Trouble, troubles},
    execute::DriveError,
    journal::{Event, State},
    value::Value,
};

impl Beginning {
    /// Records the keyed digest of the secrets among the params with the run, once it is known where
    /// the run is kept: an approval is bound to it.
    pub fn with_secrets(mut self, archive: &Archive) -> Result<Self, Failure> {
        if let Event::RunStarted {
            params, secrets, ..
        } = &mut self.event
        {
            *secrets = archive.digest_secrets(params)?;
            if let Some(run) = &mut self.state.run {
                run.secrets = *secrets;
            }
        }
        Ok(self)
    }
}

/// As many are shown: a list that is wrong is often read by many steps.
const SHOWN: usize = 4;

/// A run that has not begun.
pub struct Beginning {
    pub event: Event,
    /// When, in milliseconds since 1970.
    pub at: i64,
    /// Holds nothing but the event.
    pub state: State,
}

/// What a run is to begin with.
pub struct Wanted<'a> {
    pub program: &'a Program,
    pub file: &'a Path,
    /// Empty where nobody said it.
    pub target: &'a str,
    pub kube: BTreeSet<String>,
    /// The steps that it is limited to; empty for all.
    pub chosen: BTreeSet<String>,
    pub out: String,
    pub params: Value,
}

/// Makes the first event of a run, and refuses params with which the run is sure to fail. Nothing is
/// recorded.
pub fn begin(wanted: Wanted) -> Result<Beginning, Failure> {
    let (program, at) = (wanted.program, now());
    let event = Event::RunStarted {
        workflow: program.workflow.name.clone(),
        file: wanted.file.display().to_string(),
        folder: current_folder()?.display().to_string(),
        main: program.main.clone(),
        program: program.digest,
        target: wanted.target.into(),
        kube: wanted.kube,
        chosen: wanted.chosen,
        out: wanted.out,
        params: wanted.params,
        secrets: None,
        requester: requester(),
        version: env!("CARGO_PKG_VERSION").into(),
    };
    let mut state = State::default();
    state.apply(&event, at).map_err(DriveError::from)?;
    refuse_hopeless(program, &state)?;
    Ok(Beginning { event, at, state })
}

fn current_folder() -> Result<PathBuf, Failure> {
    std::env::current_dir()
        .map_err(|e| Failure::new("system", format!("can't find the current folder: {e}")))
}

fn refuse_hopeless(program: &Program, state: &State) -> Result<(), Failure> {
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
        "nothing was started, because with these params it would fail:\n  {}",
        lines.join("\n  ")
    );
    let failure = Failure::new("params", message);
    Err(match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    })
}

fn line(trouble: &Trouble) -> String {
    match &trouble.step {
        Some(step) => format!("{step}: {}", trouble.error),
        None => trouble.error.to_string(),
    }
}
