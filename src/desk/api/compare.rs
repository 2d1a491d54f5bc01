//! The differences between two runs.

use axum::{
    Json,
    extract::{Path, State},
    routing::get,
};
use serde::{Deserialize, Serialize};
use serde_json::Value as AnyJson;
use utoipa::ToSchema;

use super::{act::Queried, look, look::run_id};
use crate::{
    access::Access,
    answer::Problem,
    compare::{Comparison, StepSide, ValueChange, last_success},
    route::{Answer, Route},
    server::Desk,
};
use windlass_runs::RunsError;
use windlass_targets::Role;

pub fn routes() -> Vec<Route> {
    vec![look(
        "/api/v1/runs/{run}/compare",
        "The differences between two runs",
        &[(
            "with",
            "The other run. By default, the last earlier run of the same workflow and target that succeeded",
        )],
        Answer::Json("ComparisonAnswer"),
        get(compare),
    )]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CompareQuery {
    with: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub struct ComparisonAnswer {
    pub run: String,
    pub with: String,
    pub params: Vec<ValueDifference>,
    pub outputs: Vec<ValueDifference>,
    /// The paths of the files that differ.
    pub files: Vec<String>,
    pub steps: Vec<StepDifference>,
    /// The number of instances without a difference.
    pub same: usize,
}

/// A value that differs; null on the side that does not have it.
#[derive(Serialize, ToSchema)]
pub struct ValueDifference {
    pub name: String,
    pub before: AnyJson,
    pub after: AnyJson,
}

/// An instance that differs; null on the side that does not have it.
#[derive(Serialize, ToSchema)]
pub struct StepDifference {
    pub step: String,
    pub before: Option<SideItem>,
    pub after: Option<SideItem>,
}

/// An instance in one of the runs.
#[derive(Serialize, ToSchema)]
pub struct SideItem {
    pub status: String,
    pub worked_ms: i64,
    pub attempt: u32,
    pub error: Option<String>,
}

async fn compare(
    State(desk): State<Desk>,
    access: Access,
    Path(run): Path<String>,
    Queried(query): Queried<CompareQuery>,
) -> Result<Json<ComparisonAnswer>, Problem> {
    let run = run_id(&run)?;
    let with = query.with.as_deref().map(run_id).transpose()?;
    let compared = desk.ask(move |runs| {
        let after = runs.run(&run)?;
        let with = match with {
            Some(with) => Some(with),
            None => last_success(runs, &after)?,
        };
        let with = with.ok_or_else(|| {
            let message = "no earlier run of this workflow on this target has succeeded";
            RunsError::missing("no-such-run", message)
        })?;
        Ok(Comparison::new(runs.run(&with)?, after))
    });
    let compared = compared.await?;
    // The role was only checked for the run in the path.
    access.need_of(Role::Viewer, &compared.before)?;
    Ok(Json(ComparisonAnswer::of(&compared)))
}

/// Returns a comparison in the JSON of the API.
pub fn comparison_json(compared: &Comparison) -> AnyJson {
    serde_json::to_value(ComparisonAnswer::of(compared)).unwrap_or_default()
}

impl ComparisonAnswer {
    fn of(compared: &Comparison) -> Self {
        let values = |all: &[ValueChange]| {
            let all = all.iter().map(|change| ValueDifference {
                name: change.name.clone(),
                before: change.before.clone(),
                after: change.after.clone(),
            });
            all.collect()
        };
        let side = |side: &StepSide| SideItem {
            status: side.status.into(),
            worked_ms: side.worked_ms,
            attempt: side.attempt,
            error: side.error.clone(),
        };
        let steps = compared.steps.iter().map(|change| StepDifference {
            step: change.step.to_string(),
            before: change.before.as_ref().map(side),
            after: change.after.as_ref().map(side),
        });
        let files = compared.files.iter();
        Self {
            run: compared.after.id.to_string(),
            with: compared.before.id.to_string(),
            params: values(&compared.params),
            outputs: values(&compared.outputs),
            files: files.map(|file| file.path.clone()).collect(),
            steps: steps.collect(),
            same: compared.same,
        }
    }
}
