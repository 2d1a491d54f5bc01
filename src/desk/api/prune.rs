//! Runs that are deleted, and what is left of them.

use std::time::Duration;

use axum::{
    Json,
    extract::State,
    routing::{get, post},
};
use http::Method;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{act::Body, route};
use crate::{
    access::Access,
    answer::Problem,
    route::{Answer, Route},
    server::Desk,
};
use windlass_engine::journal::RunRow;
use windlass_ground::Timestamp;
use windlass_runs::{Pruning, Retention, now};
use windlass_targets::Role;
use windlass_world::value::parse_duration;

/// Returns the routes of this part.
pub fn routes() -> Vec<Route> {
    vec![
        super::look(
            "/api/v1/pruned",
            "What is left of runs that were deleted",
            &[],
            Answer::Json("PrunedAnswer"),
            get(pruned),
        ),
        route(
            Method::POST,
            "/api/v1/prune",
            Role::Admin,
            post(prune),
            "Deletes runs that ended long ago; with `dry_run` it only lists them",
            &[],
            Some("PruneBody"),
            Answer::Json("PruneAnswer"),
        ),
    ]
}

/// Which runs are to be deleted.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PruneBody {
    /// How long a run is kept after its end, such as `90d`.
    pub keep: String,
    /// How many runs of each workflow on each target are kept however old they are.
    #[serde(default)]
    pub keep_last: usize,
    /// Only runs of this workflow.
    #[serde(default)]
    pub workflow: Option<String>,
    /// Also runs that failed or were cancelled, which can't be resumed afterwards.
    #[serde(default)]
    pub failed: bool,
    /// Lists the runs, and deletes nothing.
    #[serde(default)]
    pub dry_run: bool,
    /// The moment that counts, in milliseconds since 1970: `at` of the list that was looked at. Now if it is left out.
    #[serde(default)]
    #[schema(value_type = Option<i64>)]
    pub at: Option<Timestamp>,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct PruneAnswer {
    /// The moment that counted, in milliseconds since 1970.
    #[schema(value_type = i64)]
    pub at: Timestamp,
    /// The runs that are deleted with `dry_run: false`; empty where that was so.
    pub runs: Vec<PrunableRun>,
    /// The runs that were deleted.
    pub deleted: Vec<String>,
    /// The runs that were left, and why.
    pub left: Vec<LeftRun>,
}

/// A run that ended long ago.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct PrunableRun {
    pub run: String,
    pub workflow: String,
    pub target: String,
    pub status: String,
    /// Milliseconds since 1970.
    #[schema(value_type = i64)]
    pub started_at: Timestamp,
    /// Milliseconds since 1970.
    #[schema(value_type = Option<i64>)]
    pub ended_at: Option<Timestamp>,
}

/// A run that could not be deleted.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct LeftRun {
    pub run: String,
    pub why: String,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct PrunedAnswer {
    pub pruned: Vec<PrunedRun>,
}

/// What is left of a run that was deleted.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct PrunedRun {
    pub run: String,
    /// When, in milliseconds since 1970.
    #[schema(value_type = i64)]
    pub at: Timestamp,
    /// How many events it had.
    pub events: u64,
    /// The digest of the last, which an evidence bundle of the run names.
    pub head: String,
    /// What the inventory of certificates keeps of it, as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<String>,
}

impl PruneBody {
    /// Reads which runs are meant.
    pub fn wanted(&self) -> Result<Retention, Problem> {
        Ok(Retention {
            keep: keep(&self.keep)?,
            keep_last: self.keep_last,
            workflow: self.workflow.clone(),
            failed: self.failed,
            at: self.at.map_or_else(now, |at| at.min(now())),
        })
    }
}

/// Reads how long a run is kept.
pub fn keep(text: &str) -> Result<Duration, Problem> {
    parse_duration(text).map_err(|why| Problem::bad(format!("keep: {why}")))
}

impl PrunableRun {
    fn of(run: RunRow) -> Self {
        Self {
            status: run.status().to_owned(),
            run: run.id.to_string(),
            workflow: run.workflow,
            target: run.target,
            started_at: run.started_at,
            ended_at: run.ended_at,
        }
    }
}

async fn prune(
    State(desk): State<Desk>,
    access: Access,
    Body(body): Body<PruneBody>,
) -> Result<Json<PruneAnswer>, Problem> {
    let wanted = body.wanted()?;
    let at = wanted.at;
    if body.dry_run {
        let runs = desk.ask(move |runs| runs.prunable(&wanted)).await?;
        return Ok(Json(PruneAnswer {
            at,
            runs: runs.into_iter().map(PrunableRun::of).collect(),
            deleted: Vec::new(),
            left: Vec::new(),
        }));
    }
    let Pruning { deleted, left, .. } = desk
        .ask(move |runs| runs.prune(&wanted, &access.person))
        .await?;
    Ok(Json(PruneAnswer {
        at,
        runs: Vec::new(),
        deleted: deleted.iter().map(ToString::to_string).collect(),
        left: left
            .into_iter()
            .map(|(run, why)| LeftRun {
                run: run.to_string(),
                why,
            })
            .collect(),
    }))
}

async fn pruned(State(desk): State<Desk>) -> Result<Json<PrunedAnswer>, Problem> {
    let pruned = desk.ask(|runs| runs.pruned()).await?.into_iter();
    let pruned = pruned.map(|pruned| PrunedRun {
        run: pruned.run.to_string(),
        at: pruned.at,
        events: pruned.events,
        head: pruned.head.to_string(),
        seen: pruned.seen,
    });
    Ok(Json(PrunedAnswer {
        pruned: pruned.collect(),
    }))
}
