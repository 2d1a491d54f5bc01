//! What waits, logs, comparisons, evidence, handshakes; resumes with changes and answers to doubts.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::{Path, Query, State, rejection::QueryRejection},
    routing::{get, post},
};
use http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value as AnyJson;
use utoipa::ToSchema;

use super::{
    act::{Body, digest},
    look::run_id,
    route,
    run::may_answer,
    types::{AskItem, RunItem},
};
use crate::{
    access::Access,
    answer::Problem,
    compare::{Comparison, StepSide, last_success},
    page,
    route::{Answer, Route},
    server::Desk,
    waiting::Waiting,
};
use windlass_engine::journal::InstanceId;
use windlass_ground::Timestamp;
use windlass_report as report;
use windlass_runs::{Changes, DoubtAnswer, RunsError};
use windlass_targets::{LOCAL, Role};
use windlass_world::value::Value;

/// How many lines of a log one answer has at most.
const LINES: usize = 1000;

/// Returns the routes of this part.
pub fn routes() -> Vec<Route> {
    use Role::{Admin, Operator};
    let look = |path, summary, query, answer, handler| {
        super::look(path, summary, query, Answer::Json(answer), handler)
    };
    vec![
        look(
            "/api/v1/waiting",
            "What waits: questions for people, locks with those who wait for them, steps that are tried again later",
            &[],
            "WaitingAnswer",
            get(waiting),
        ),
        look(
            "/api/v1/runs/{run}/log",
            "The log of a run as lines",
            &[
                ("find", "Only lines with this text"),
                ("after", "Only those with a higher `seq`"),
                ("limit", "How many, at most 1000"),
            ],
            "LogPage",
            get(log),
        ),
        look(
            "/api/v1/runs/{run}/compare",
            "What differs between a run and another one",
            &[(
                "with",
                "The other run; the last success of the same workflow and target if it is left out",
            )],
            "ComparisonAnswer",
            get(compare),
        ),
        look(
            "/api/v1/runs/{run}/audit",
            "Verifies the chain of a run's events, and says what it proves, as `windlass audit --json` does",
            &[],
            "Any",
            get(audit),
        ),
        look(
            "/api/v1/runs/{run}/evidence",
            "The evidence bundle of a run, which `windlass audit --verify` reads",
            &[],
            "Any",
            get(evidence),
        ),
        look(
            "/api/v1/mesh",
            "Who can talk to whom on the rehearsal clusters of a target, tried now",
            &[("target", "`local` if it is left out")],
            "Any",
            get(mesh),
        ),
        route(
            Method::POST,
            "/api/v1/runs/{run}/revision",
            Operator,
            post(revision),
            "What a resume with changes does; changes nothing",
            &[],
            Some("ChangesBody"),
            Answer::Json("RevisionAnswer"),
        ),
        route(
            Method::POST,
            "/api/v1/runs/{run}/revise",
            Operator,
            post(revise),
            "Resumes a run with changes",
            &[],
            Some("ChangesBody"),
            Answer::Accepted,
        ),
        route(
            Method::POST,
            "/api/v1/runs/{run}/doubt",
            Admin,
            post(doubt),
            "Says what became of a call in doubt, and resumes the run",
            &[],
            Some("DoubtBody"),
            Answer::Accepted,
        ),
    ]
}

#[derive(Serialize, ToSchema)]
pub struct WaitingAnswer {
    pub questions: Vec<WaitingQuestion>,
    pub locks: Vec<LockItem>,
    pub timers: Vec<TimerItem>,
}

/// A question, with the run that asks.
#[derive(Serialize, ToSchema)]
pub struct WaitingQuestion {
    pub run: String,
    pub workflow: String,
    pub ask: AskItem,
}

/// A lock that a run holds.
#[derive(Serialize, ToSchema)]
pub struct LockItem {
    pub lock: String,
    pub run: String,
    #[schema(value_type = i64)]
    pub since: Timestamp,
    /// In the order in which they began.
    pub waiting: Vec<RunItem>,
}

/// A step that is tried again.
#[derive(Serialize, ToSchema)]
pub struct TimerItem {
    pub run: String,
    pub step: String,
    #[schema(value_type = i64)]
    pub at: Timestamp,
    pub attempt: u32,
}

async fn waiting(State(desk): State<Desk>, access: Access) -> Result<Json<WaitingAnswer>, Problem> {
    let who = access.clone();
    let found = desk.ask(move |runs| Waiting::look(runs, &who)).await?;
    let questions = found.questions.iter().map(|question| WaitingQuestion {
        run: question.shown.id.to_string(),
        workflow: question.shown.info.workflow.clone(),
        ask: AskItem {
            may_answer: Some(may_answer(&question.shown, &question.ask, &access)),
            ..AskItem::of(&question.ask)
        },
    });
    let locks = found.locks.iter().map(|lock| LockItem {
        lock: lock.name.clone(),
        run: lock.holder.to_string(),
        since: lock.since,
        waiting: lock.waiting.iter().map(RunItem::of).collect(),
    });
    let timers = found.timers.iter().map(|timer| TimerItem {
        run: timer.run.run.id.to_string(),
        step: timer.step.to_string(),
        at: timer.at,
        attempt: timer.attempt,
    });
    Ok(Json(WaitingAnswer {
        questions: questions.collect(),
        locks: locks.collect(),
        timers: timers.collect(),
    }))
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
    /// Of the event.
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
    query: Result<Query<LogQuery>, QueryRejection>,
) -> Result<Json<LogPage>, Problem> {
    let Query(query) = query.map_err(|why| Problem::bad(why.body_text()))?;
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
    /// How many instances went the same way.
    pub same: usize,
}

/// A value that differs; null where there is none.
#[derive(Serialize, ToSchema)]
pub struct ValueDifference {
    pub name: String,
    pub before: AnyJson,
    pub after: AnyJson,
}

/// An instance that went another way.
#[derive(Serialize, ToSchema)]
pub struct StepDifference {
    pub step: String,
    pub before: Option<SideItem>,
    pub after: Option<SideItem>,
}

/// How an instance went.
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
    query: Result<Query<CompareQuery>, QueryRejection>,
) -> Result<Json<ComparisonAnswer>, Problem> {
    let Query(query) = query.map_err(|why| Problem::bad(why.body_text()))?;
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
    // The route has looked at the run of the path only.
    access.need_of(Role::Viewer, &compared.before.info)?;
    let values = |all: &[crate::compare::ValueChange]| {
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
    Ok(Json(ComparisonAnswer {
        run: compared.after.id.to_string(),
        with: compared.before.id.to_string(),
        params: values(&compared.params),
        outputs: values(&compared.outputs),
        files: compared
            .files
            .iter()
            .map(|file| file.path.clone())
            .collect(),
        steps: steps.collect(),
        same: compared.same,
    }))
}

async fn audit(
    State(desk): State<Desk>,
    Path(run): Path<String>,
) -> Result<Json<AnyJson>, Problem> {
    let run = run_id(&run)?;
    let evidence = desk.ask(move |runs| runs.evidence(&run)).await?;
    Ok(Json(evidence.summary))
}

async fn evidence(
    desk: State<Desk>,
    run: Path<String>,
) -> Result<axum::response::Response, Problem> {
    page::evidence(desk, run).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MeshQuery {
    target: Option<String>,
}

async fn mesh(
    State(desk): State<Desk>,
    query: Result<Query<MeshQuery>, QueryRejection>,
) -> Result<Json<AnyJson>, Problem> {
    let Query(query) = query.map_err(|why| Problem::bad(why.body_text()))?;
    let target = query.target.unwrap_or_else(|| LOCAL.into());
    let seen = desk.ask(move |runs| runs.handshakes(&target)).await?;
    Ok(Json(seen.to_json()))
}

/// What a run is resumed with, where that is not what it had.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangesBody {
    /// Whether it takes the workflow's files as they are now.
    #[serde(default)]
    pub takes_files: bool,
    /// Params that change; the others stay. Only with new files.
    #[serde(default)]
    pub params: BTreeMap<String, AnyJson>,
    /// Steps that run again from the start, with all that depends on them.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub redo: Vec<InstanceId>,
    /// Of the revision that was looked at; without it, whatever the changes mean now is done.
    #[serde(default)]
    pub digest: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub struct RevisionAnswer {
    /// As `windlass resume --plan --json` prints it.
    pub plan: AnyJson,
    /// The paths of the files that differ.
    pub files: Vec<String>,
    /// What was found that refuses nothing.
    pub notes: Vec<String>,
    /// What a resume with these changes is bound to.
    pub digest: String,
}

impl ChangesBody {
    fn changes(self) -> Changes {
        let params = self.params.into_iter();
        Changes {
            takes_files: self.takes_files,
            params: params
                .map(|(name, value)| (name, Value::from_json(value)))
                .collect(),
            redo: self.redo,
        }
    }
}

async fn revision(
    State(desk): State<Desk>,
    Path(run): Path<String>,
    Body(body): Body<ChangesBody>,
) -> Result<Json<RevisionAnswer>, Problem> {
    let run = run_id(&run)?;
    let changes = body.changes();
    let revision = desk.ask(move |runs| runs.revision(&run, &changes)).await?;
    Ok(Json(RevisionAnswer {
        plan: report::plan_json(&revision.plan),
        files: revision
            .files
            .iter()
            .map(|file| file.path.clone())
            .collect(),
        notes: revision.notes.iter().map(page::note).collect(),
        digest: revision.digest.to_string(),
    }))
}

async fn revise(
    State(desk): State<Desk>,
    access: Access,
    Path(run): Path<String>,
    Body(body): Body<ChangesBody>,
) -> Result<StatusCode, Problem> {
    let run = run_id(&run)?;
    let shown = body.digest.as_deref().map(digest).transpose()?;
    let changes = body.changes();
    desk.ask(move |runs| runs.resume_with(&run, &changes, shown, &access.person))
        .await?;
    Ok(StatusCode::ACCEPTED)
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DoubtBody {
    #[schema(value_type = String)]
    pub step: InstanceId,
    /// Whether the call was done; if not, it is made again.
    pub done: bool,
    /// What it gave, if it was done.
    #[serde(default)]
    pub value: AnyJson,
}

async fn doubt(
    State(desk): State<Desk>,
    access: Access,
    Path(run): Path<String>,
    Body(body): Body<DoubtBody>,
) -> Result<StatusCode, Problem> {
    let run = run_id(&run)?;
    let answer = match body.done {
        true => DoubtAnswer::Done(Value::from_json(body.value)),
        false => DoubtAnswer::Again,
    };
    desk.ask(move |runs| runs.answer_doubt(&run, &body.step, &answer, &access.person))
        .await?;
    Ok(StatusCode::ACCEPTED)
}
