use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use super::{
    book::MAX_KEY,
    choice::refuse_choice,
    clock::now,
    error::RunsError,
    preflight::{Note, preflight},
    service::{Person, Sent, StartWanted},
};
use windlass_compile::{Program, bind_params, refuse_nulls};
use windlass_engine::{
    decide::{Trouble, troubles},
    execute::DriveError,
};
use windlass_ground::Timestamp;
use windlass_journal::{Event, RunStarted, State};
use windlass_targets::Targets;
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
        is_strict: true,
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
    let Trouble { step, error } = trouble;
    let place = error.place.as_ref();
    let place = place.map_or_else(String::new, |place| format!(" ({place})"));
    match step {
        Some(step) => format!("{step}: {error}{place}"),
        None => format!("{error}{place}"),
    }
}

/// A workflow that has been checked, its run's first event, and the findings that do not prevent the run.
pub(crate) type Prepared = (Program, Beginning, Vec<Note>);

/// The data of a new run besides its program.
pub(crate) struct About<'a> {
    /// The workflow's file, relative to `folder`.
    pub name: &'a Path,
    /// Empty if the file is not on this machine.
    pub folder: &'a Path,
    /// The path of the file, if it is on this machine.
    pub on_disk: Option<&'a Path>,
    pub target: &'a str,
    pub params: &'a BTreeMap<String, Value>,
    pub chosen: &'a BTreeSet<String>,
}

impl<'a> About<'a> {
    /// Describes a run of a workflow whose files a client sends. If a workflow here has the same files, the run is one of that workflow, under
    /// its name here: a resume with the current files reads them again.
    pub fn of_sent(sent: &'a Sent, known: Option<&'a Path>) -> Self {
        let (target, params, chosen) = (&sent.target, &sent.params, &sent.chosen);
        match known {
            Some(file) => Self::here(file, target, params, chosen),
            None => Self {
                name: Path::new(&sent.file),
                folder: Path::new(""),
                on_disk: None,
                target,
                params,
                chosen,
            },
        }
    }

    /// Describes a run of a workflow that may be started by name.
    pub fn of_file(file: &'a Path, wanted: &'a StartWanted, chosen: &'a BTreeSet<String>) -> Self {
        Self::here(file, &wanted.target, &wanted.params, chosen)
    }

    fn here(
        file: &'a Path,
        target: &'a str,
        params: &'a BTreeMap<String, Value>,
        chosen: &'a BTreeSet<String>,
    ) -> Self {
        Self {
            name: Path::new(file.file_name().unwrap_or_default()),
            folder: file.parent().unwrap_or(Path::new("/")),
            on_disk: Some(file),
            target,
            params,
            chosen,
        }
    }
}

/// Checks what a start needs on every substrate, and makes the first event of the run, whose scripts write to `out`.
/// Records nothing.
///
/// # Errors
/// Params that the workflow does not take, what the target lacks, and the errors of [`begin`].
pub(crate) fn checked(
    program: Program,
    about: &About,
    targets: &Targets,
    out: &Path,
    who: &Person,
) -> Result<Prepared, RunsError> {
    refuse_nulls(&program.workflow, about.params)?;
    let params = Value::Map(bind_params(&program.workflow, about.params.clone())?);
    let (kube, notes) = preflight(targets, &program.workflow, &params, about.target)?;
    let beginning = begin(Wanted {
        program: &program,
        file: about.name,
        folder: about.folder,
        target: about.target,
        kube,
        chosen: about.chosen.clone(),
        out: out.display().to_string(),
        params,
        requester: who,
    })?;
    Ok((program, beginning, notes))
}
/// Digests the idempotency key of a person.
///
/// # Errors
/// A key that is empty or too long.
pub(crate) fn key_of(key: &str, who: &Person) -> Result<Digest, RunsError> {
    if key.is_empty() || key.len() > MAX_KEY {
        let message = format!("an idempotency key has 1 to {MAX_KEY} bytes");
        return Err(RunsError::wrong("idempotency-key", message));
    }
    Ok(Digest::of(&[who.name.as_bytes(), key.as_bytes()]))
}

/// Returns the error for a key that was used for another request.
pub(crate) fn other_start() -> RunsError {
    let message = "this idempotency key was used for another start";
    let hint = "use a new key for each start, and repeat a key only to repeat that start";
    RunsError::conflict("idempotency-key", message).hint(hint)
}

/// Digests the request of a start. It may contain secrets as texts, so it is not stored as it is.
pub(crate) fn start_digest(wanted: &StartWanted) -> Digest {
    let params = Value::Map(wanted.params.clone()).digest();
    Digest::of(&[
        wanted.workflow.as_str().as_bytes(),
        wanted.target.as_bytes(),
        params.as_bytes(),
    ])
}
