//! Shows what a start on a server would do.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::{There, params::sendable, wire::masked_event};
use crate::{
    error::RunsError,
    preflight::Note,
    service::{PlanDepth, Planned, Sent},
};
use windlass_compile::Program;
use windlass_engine::execute::{DriveError, Obstacle};
use windlass_ground::Timestamp;
use windlass_journal::{Event, InstanceId, State};
use windlass_world::value::StepError;

#[derive(Deserialize)]
struct FrozenPlan {
    at: Timestamp,
    event: Event<Json>,
    notes: Vec<String>,
    // An older server says none of these.
    #[serde(default)]
    looked: Vec<Event<Json>>,
    #[serde(default)]
    obstacles: Vec<FrozenObstacle>,
    #[serde(default)]
    account: Option<String>,
}

#[derive(Deserialize)]
struct FrozenObstacle {
    step: InstanceId,
    error: StepError,
    is_sure: bool,
}

impl There {
    /// Asks for the events that a run of these files would begin with; the plan is worked out of them here. Secrets are masked.
    pub(super) fn planned(&self, sent: &Sent, depth: PlanDepth) -> Result<Planned, RunsError> {
        let path = match depth {
            PlanDepth::Looks => "/api/v1/frozen/plan",
            PlanDepth::Checks => "/api/v1/frozen/plan?look=false",
        };
        let plan: FrozenPlan = self.ask(path, &self.frozen(sent)?)?;
        let event = masked_event(plan.event);
        let mut state = State::default();
        state.apply(&event, plan.at).map_err(DriveError::from)?;
        let looked: Vec<_> = plan.looked.into_iter().map(masked_event).collect();
        for event in &looked {
            state.apply(event, plan.at).map_err(DriveError::from)?;
        }
        let obstacles = plan.obstacles.into_iter().map(|found| Obstacle {
            step: found.step,
            error: found.error,
            is_sure: found.is_sure,
        });
        Ok(Planned {
            program: sent.program.clone(),
            event,
            at: plan.at,
            looked,
            state,
            obstacles: obstacles.collect(),
            account: plan.account,
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
