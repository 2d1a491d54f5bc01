//! Deleting old runs, and what is kept of deleted runs.

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
use windlass_ground::Timestamp;
use windlass_journal::RunRow;
use windlass_runs::{Pruning, Retention, now};
use windlass_targets::Role;
use windlass_world::value::parse_duration;

/// Returns the routes of this part.
pub fn routes() -> Vec<Route> {
    vec![
        super::look(
            "/api/v1/pruned",
            "The records that remain of deleted runs",
            &[],
            Answer::Json("PrunedAnswer"),
            get(pruned),
        ),
        route(
            Method::POST,
            "/api/v1/prune",
            Role::Admin,
            post(prune),
            "Deletes runs that ended long ago; with `dry_run`, only lists them",
            &[],
            Some("PruneBody"),
            Answer::Json("PruneAnswer"),
        ),
    ]
}

/// Which runs to delete.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PruneBody {
    /// How long a run is kept after its end, such as `90d`.
    pub keep: String,
    /// How many runs of each workflow on each target are kept, regardless of their age.
    #[serde(default)]
    pub keep_last: usize,
    /// Only runs of this workflow.
    #[serde(default)]
    pub workflow: Option<String>,
    /// Also runs that failed or were cancelled, which can't be resumed afterwards.
    #[serde(default)]
    pub failed: bool,
    /// Whether to list the runs and delete nothing.
    #[serde(default)]
    pub dry_run: bool,
    /// The time from which `keep` counts back, in milliseconds since 1970: `at` of the list that the person saw, or now if this is left out.
    #[serde(default)]
    #[schema(value_type = Option<i64>)]
    pub at: Option<Timestamp>,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct PruneAnswer {
    /// The time from which `keep` was counted back, in milliseconds since 1970.
    #[schema(value_type = i64)]
    pub at: Timestamp,
    /// With `dry_run`: the runs that would be deleted.
    pub runs: Vec<PrunableRun>,
    /// The ids of the runs that were deleted.
    pub deleted: Vec<String>,
    /// The runs that could not be deleted, and why.
    pub left: Vec<LeftRun>,
}

/// A run that ended long ago.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct PrunableRun {
    pub run: String,
    pub workflow: String,
    pub file: String,
    pub target: String,
    pub status: String,
    /// Milliseconds since 1970.
    #[schema(value_type = i64)]
    pub started_at: Timestamp,
    pub requester: Option<String>,
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

/// What is kept of a run that was deleted.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct PrunedRun {
    pub run: String,
    /// When it was deleted, in milliseconds since 1970.
    #[schema(value_type = i64)]
    pub at: Timestamp,
    /// Who deleted it.
    #[serde(default)]
    pub by: String,
    /// How many events it had.
    pub events: u64,
    /// The digest of its last event, which an evidence bundle of the run contains.
    pub head: String,
    /// What the inventory of certificates keeps of it, as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<String>,
}

impl PruneBody {
    /// Parses the request.
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

/// Parses `keep`, how long a run is kept.
pub fn keep(text: &str) -> Result<Duration, Problem> {
    parse_duration(text).map_err(|why| Problem::bad(format!("keep: {why}")))
}

impl PrunableRun {
    fn of(run: RunRow) -> Self {
        Self {
            status: run.status().to_owned(),
            run: run.id.to_string(),
            workflow: run.workflow,
            file: run.file,
            target: run.target,
            started_at: run.started_at,
            requester: run.requester,
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
        by: pruned.by,
        events: pruned.events,
        head: pruned.head.to_string(),
        seen: pruned.seen,
    });
    Ok(Json(PrunedAnswer {
        pruned: pruned.collect(),
    }))
}
