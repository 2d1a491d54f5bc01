//! Shows what a start on a server would do.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::{There, params::sendable, wire::masked};
use crate::{
    error::RunsError,
    preflight::Note,
    service::{Planned, Sent},
};
use windlass_engine::{
    compile::Program,
    execute::DriveError,
    journal::{Event, State},
};
use windlass_ground::Timestamp;

#[derive(Deserialize)]
struct FrozenPlan {
    at: Timestamp,
    event: Event<Json>,
    notes: Vec<String>,
}

impl There {
    /// Requests the first event of a run with these files, and computes the plan here. Secrets are masked.
    pub(super) fn planned(&self, sent: &Sent) -> Result<Planned, RunsError> {
        let plan: FrozenPlan = self.ask("/api/v1/frozen/plan", &self.frozen(sent)?)?;
        let event = plan
            .event
            .try_map(|json| Ok::<_, std::convert::Infallible>(masked(json)));
        let Ok(event) = event;
        let mut state = State::default();
        state.apply(&event, plan.at).map_err(DriveError::from)?;
        Ok(Planned {
            program: sent.program.clone(),
            event,
            at: plan.at,
            state,
            notes: plan.notes.into_iter().map(Note::Said).collect(),
        })
    }

    /// Returns a workflow, its files and the data of a new run in the format of the API.
    pub(super) fn frozen(&self, sent: &Sent) -> Result<Json, RunsError> {
        Ok(json!({
            "files": file_texts(&sent.program),
            "main": sent.program.main,
            "file": sent.file,
            "target": sent.target,
            "params": self.threads.block_on(sendable(&sent.params))?,
            "steps": sent.chosen,
        }))
    }
}

/// Returns the files of a program by path.
pub(super) fn file_texts(program: &Program) -> Json {
    let files = program.files.iter();
    let files: BTreeMap<_, _> = files.map(|(path, text)| (path, &**text)).collect();
    json!(files)
}
