//! The evidence of a run: its bundle, and the result of its verification.

use axum::{
    Json,
    extract::{Path, State},
    response::Response,
    routing::get,
};
use serde_json::Value as AnyJson;

use super::{look, look::run_id};
use crate::{
    answer::{Problem, file},
    route::{Answer, Route},
    server::Desk,
};

pub fn routes() -> Vec<Route> {
    vec![
        look(
            "/api/v1/runs/{run}/audit",
            "Verifies the chain of a run's events, with the result that `windlass audit --json` prints",
            &[],
            Answer::Json("Any"),
            get(audit),
        ),
        look(
            "/api/v1/runs/{run}/evidence",
            "The evidence bundle of a run, for `windlass audit --verify`",
            &[],
            Answer::Json("Any"),
            get(bundle),
        ),
    ]
}

async fn audit(
    State(desk): State<Desk>,
    Path(run): Path<String>,
) -> Result<Json<AnyJson>, Problem> {
    let run = run_id(&run)?;
    let evidence = desk.ask(move |runs| runs.evidence(&run)).await?;
    Ok(Json(evidence.summary))
}

/// Returns the bundle as a file.
pub async fn bundle(
    State(desk): State<Desk>,
    Path(run): Path<String>,
) -> Result<Response, Problem> {
    let run = run_id(&run)?;
    let name = format!("{run}.evidence.json");
    let evidence = desk.ask(move |runs| runs.evidence(&run)).await?;
    Ok(file(
        "attachment",
        &name,
        "application/json",
        evidence.bundle,
    ))
}
