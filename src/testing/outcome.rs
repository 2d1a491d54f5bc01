//! The outcome of the run of a test.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use super::{
    coverage::Covered,
    log::{self, Line},
    mesh::{self, Held},
    play::{AUTHORITIES, OUT, REFUSED, STATE},
};
use crate::{
    compile::{CertificatePlace, Workflow},
    execute::{self, Undone},
    journal::{
        Event, Instance, InstanceId, Journal, JournalError, Logged, Outcome as Ended, State, Status,
    },
    mesh::Handshakes,
    report,
    script::{Class, leaves},
    value::{StepError, Value},
};

/// A file that only its owner may read contains a secret.
const OTHERS: u32 = 0o077;

/// The data that a test checks.
pub struct Outcome {
    /// The folder to which its scripts wrote.
    pub out: PathBuf,
    pub state: State,
    pub calls: Vec<Line>,
    pub files: BTreeMap<String, WrittenFile>,
    pub logs: Vec<String>,
    pub covered: Covered,
    /// The steps of which something was reversed.
    pub undone: Vec<String>,
    /// The steps of which the undo left something.
    pub stays: Vec<String>,
    /// The reasons why answers to questions did not count.
    pub refused: Option<String>,
    /// The CAs of the embedded server, kind and status.
    pub authorities: serde_json::Value,
    /// The certificates in secrets that the test checks.
    secrets: Held,
    /// The handshakes of the embedded clusters, if the test checks them.
    pub handshakes: Option<Handshakes>,
}

/// A file of the output folder.
pub struct WrittenFile {
    pub content: Vec<u8>,
    pub is_secret: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum OutcomeError {
    #[error("the test's folder can't be read")]
    Folder(#[from] io::Error),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("the run was never recorded")]
    NoRun,
}

impl Outcome {
    /// Reads it from the test's folder.
    ///
    /// # Errors
    /// A folder without a run.
    pub fn read(folder: &Path, workflow: &Workflow) -> Result<Self, OutcomeError> {
        let journal = Journal::open(&folder.join(STATE))?;
        let run = journal
            .runs()?
            .into_iter()
            .next()
            .ok_or(OutcomeError::NoRun)?
            .id;
        let records = journal.load(&run)?;
        let events: Vec<_> = records.into_iter().map(|record| record.event).collect();
        let state = journal.state_of(&run)?;
        let reached = execute::undone(workflow, &state);
        let steps_but = |but: Undone| {
            let steps = reached.iter().filter(|(_, reached)| **reached != but);
            steps.map(|(id, _)| id.to_string()).collect()
        };
        let logs = events.iter().filter_map(|event| match event {
            Event::Logged(Logged { message, .. }) => Some(message.clone()),
            _ => None,
        });
        let authorities =
            fs::read_to_string(folder.join(AUTHORITIES)).unwrap_or_else(|_| "null".into());
        Ok(Self {
            out: folder.join(OUT),
            undone: steps_but(Undone::Nothing),
            stays: steps_but(Undone::Whole),
            logs: logs.collect(),
            covered: Covered::of(folder, workflow, &events)?,
            calls: log::read(folder)?,
            files: files(&folder.join(OUT))?,
            refused: fs::read_to_string(folder.join(REFUSED)).ok(),
            authorities: serde_json::from_str(&authorities).unwrap_or_default(),
            secrets: mesh::secrets(folder)?,
            handshakes: mesh::handshakes(folder)?,
            state,
        })
    }

    /// Returns how the run ended.
    pub fn status(&self) -> &'static str {
        match self.state.outcome {
            Some(outcome) => outcome.as_str(),
            None => "waiting",
        }
    }

    /// Says whether the status is as expected. A run that was undone because it failed counts as failed.
    pub fn is(&self, status: &str, was_undone_by_test: bool) -> bool {
        let ended = self.state.outcome;
        let has_failed = ended == Some(Ended::Undone) && !was_undone_by_test;
        self.status() == status || status == "failed" && has_failed
    }

    /// Returns the errors that it ended with.
    pub fn errors(&self) -> Vec<(Option<&InstanceId>, &StepError)> {
        let found = report::errors(&self.state);
        // After an undo, a step that failed no longer has that status, but its errors are still in the log.
        if !found.is_empty() {
            return found;
        }
        let steps = self.state.steps.iter();
        steps
            .filter_map(|(id, step)| Some((Some(id), step.error.as_deref()?)))
            .collect()
    }

    /// Returns the status of each step that began; without those of an undo.
    pub fn steps(&self) -> BTreeMap<String, &'static str> {
        let steps = self
            .state
            .steps
            .iter()
            .filter(|(id, _)| id.undone().is_none());
        steps
            .map(|(id, step)| (id.to_string(), shown(step)))
            .collect()
    }

    pub fn status_of(&self, step: &str) -> &'static str {
        let instance = self.state.steps.get(step);
        instance.map_or(Status::Pending.as_str(), shown)
    }

    /// Returns the outside calls, in order.
    pub fn left(&self) -> impl Iterator<Item = &Line> {
        self.calls.iter().filter(|line| leaves(&line.function))
    }

    /// Returns how many changes are recorded as made, by function.
    pub fn effects(&self) -> BTreeMap<String, i64> {
        let mut counts = BTreeMap::new();
        let steps = self
            .state
            .steps
            .iter()
            .filter(|(id, _)| id.undone().is_none());
        for round in steps.flat_map(|(_, step)| step.rounds()) {
            for effect in round
                .effects
                .iter()
                .filter(|effect| effect.call.class != Class::Read && effect.is_done())
            {
                *counts.entry(effect.call.function.clone()).or_default() += 1;
            }
        }
        counts
    }

    pub fn outputs(&self) -> &Value {
        &self.state.outputs
    }

    /// Returns the text at a place with certificates.
    pub fn certificates_at(&self, place: &CertificatePlace) -> Option<String> {
        match place {
            CertificatePlace::File(name) => {
                let file = self.files.get(name)?;
                Some(String::from_utf8_lossy(&file.content).into_owned())
            }
            CertificatePlace::Secret { .. } => self.secrets.get(&place.to_string())?.clone(),
        }
    }

    /// Returns a text without the path of the output folder, which differs each time.
    pub fn without_folder(&self, text: &str) -> String {
        text.replace(&*self.out.to_string_lossy(), OUT)
    }
}

fn shown(step: &Instance) -> &'static str {
    step.status.as_str()
}

fn files(folder: &Path) -> io::Result<BTreeMap<String, WrittenFile>> {
    let mut found = BTreeMap::new();
    let mut open = vec![(folder.to_owned(), String::new())];
    while let Some((folder, prefix)) = open.pop() {
        let entries = match fs::read_dir(&folder) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if entry.file_type()?.is_dir() {
                open.push((entry.path(), format!("{name}/")))
            } else {
                let written = WrittenFile {
                    content: fs::read(entry.path())?,
                    is_secret: entry.metadata()?.permissions().mode() & OTHERS == 0,
                };
                found.insert(name, written);
            }
        }
    }
    Ok(found)
}
