//! The log of a run.

use axum::{
    Json,
    extract::{Path, State},
    routing::get,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{act::Queried, look, look::run_id};
use crate::{
    answer::Problem,
    route::{Answer, Route},
    server::Desk,
};
use windlass_ground::Timestamp;

/// The largest number of lines in an answer.
const LINES: usize = 1000;

pub fn routes() -> Vec<Route> {
    vec![look(
        "/api/v1/runs/{run}/log",
        "The lines of a run's log",
        &[
            ("find", "Only lines with this text"),
            ("after", "Only those with a higher `seq`"),
            ("limit", "How many, at most 1000"),
        ],
        Answer::Json("LogPage"),
        get(log),
    )]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LogQuery {
    find: Option<String>,
    after: Option<u64>,
    limit: Option<usize>,
}

#[derive(Serialize, ToSchema)]
pub struct LogPage {
    pub lines: Vec<LogItem>,
    /// Whether more follow.
    pub has_more: bool,
}

/// A line of a log.
#[derive(Serialize, ToSchema)]
pub struct LogItem {
    /// The `seq` of the event that the line belongs to.
    pub seq: u64,
    #[schema(value_type = i64)]
    pub at: Timestamp,
    pub text: String,
    pub step: Option<String>,
    pub is_error: bool,
}

async fn log(
    State(desk): State<Desk>,
    Path(run): Path<String>,
    Queried(query): Queried<LogQuery>,
) -> Result<Json<LogPage>, Problem> {
    let run = run_id(&run)?;
    let limit = query.limit.unwrap_or(LINES).clamp(1, LINES);
    let find = query.find.unwrap_or_default().to_lowercase();
    let all = desk.ask(move |runs| runs.log(&run)).await?;
    let fits = all.iter().filter(|line| {
        query.after.is_none_or(|after| line.seq > after)
            && (find.is_empty() || line.text.to_lowercase().contains(&find))
    });
    let mut lines: Vec<_> = fits.take(limit + 1).collect();
    let has_more = lines.len() > limit;
    lines.truncate(limit);
    let lines = lines.into_iter().map(|line| LogItem {
        seq: line.seq,
        at: line.at,
        text: line.text.clone(),
        step: line.step.as_ref().map(ToString::to_string),
        is_error: line.is_error,
    });
    Ok(Json(LogPage {
        lines: lines.collect(),
        has_more,
    }))
}
