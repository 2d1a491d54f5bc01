//! Waiting runs, logs, comparisons, evidence and handshakes; resumes with changes, and answers to calls in doubt.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::{Path, State},
    routing::{get, post},
};
use http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value as AnyJson;
use utoipa::ToSchema;

use super::{
    act::{Body, Queried, digest},
    answers,
    files::{LARGEST, program_of},
    look::run_id,
    route,
    run::may_answer,
    types::{AskItem, RunItem},
};
use crate::{
    access::Access,
    answer::Problem,
    compare::{Comparison, StepSide, ValueChange, last_success},
    page,
    route::{Answer, Route},
    server::Desk,
    waiting::Waiting,
};
use windlass_engine::journal::{InstanceId, RunId};
use windlass_ground::Timestamp;
use windlass_report as report;
use windlass_runs::{Changes, DoubtAnswer, Runs, RunsError, SentFiles};
use windlass_targets::{LOCAL, Role};
use windlass_world::value::Value;

/// The largest number of log lines in an answer.
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
            "Everything that waits: questions for people, locks with the runs that wait for them, and steps that will be retried",
            &[],
            "WaitingAnswer",
            get(waiting),
        ),
        look(
            "/api/v1/runs/{run}/log",
            "The lines of a run's log",
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
            "The differences between two runs",
            &[(
                "with",
                "The other run. By default, the last earlier run of the same workflow and target that succeeded",
            )],
            "ComparisonAnswer",
            get(compare),
        ),
        look(
            "/api/v1/runs/{run}/audit",
            "Verifies the chain of a run's events, with the result that `windlass audit --json` prints",
            &[],
            "Any",
            get(audit),
        ),
        look(
            "/api/v1/runs/{run}/evidence",
            "The evidence bundle of a run, for `windlass audit --verify`",
            &[],
            "Any",
            get(evidence),
        ),
        look(
            "/api/v1/mesh",
            "Which workloads on the rehearsal clusters of a target can connect to each other, tried now",
            &[("target", "by default `local`")],
            "Any",
            get(mesh),
        ),
        route(
            Method::POST,
            "/api/v1/runs/{run}/revision",
            Operator,
            post(revision),
            "What a resume with changes would do; changes nothing",
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
            "Records whether a call in doubt was done, and resumes the run",
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

/// A question that waits for an answer, with its run.
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
    /// The runs that wait for the lock, in the order in which they started.
    pub waiting: Vec<RunItem>,
}

/// A step that will be retried at a certain time.
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
    access.need_of(Role::Viewer, &compared.before.info)?;
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
    Queried(query): Queried<MeshQuery>,
) -> Result<Json<AnyJson>, Problem> {
    let target = query.target.unwrap_or_else(|| LOCAL.into());
    let seen = desk.ask(move |runs| runs.handshakes(&target)).await?;
    Ok(Json(seen.to_json()))
}

/// Changes with which a run is resumed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangesBody {
    /// Whether the run uses the current files of the workflow from now on.
    #[serde(default)]
    pub takes_files: bool,
    /// Params that change; the others keep their values. Only with `takes_files`.
    #[serde(default)]
    pub params: BTreeMap<String, AnyJson>,
    /// Steps that run again from their start, with all steps that depend on them.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub redo: Vec<InstanceId>,
    /// The digest of the revision that the person saw. Without it, the changes are applied whatever they mean now.
    #[serde(default)]
    pub digest: Option<String>,
    /// The workflow's files, by their paths from the workflow's folder; the server's files if this is left out.
    #[serde(default)]
    pub files: Option<BTreeMap<String, String>>,
    /// The path of the workflow's file among `files`.
    #[serde(default)]
    pub main: Option<String>,
    /// Whether calls in doubt were done. This needs the role `admin`.
    #[serde(default)]
    pub answers: Vec<DoubtBody>,
}

#[derive(Serialize, ToSchema)]
pub struct RevisionAnswer {
    /// The plan, as `windlass resume --plan --json` prints it.
    pub plan: AnyJson,
    /// The paths of the files that differ.
    pub files: Vec<String>,
    /// Warnings.
    pub notes: Vec<String>,
    /// The digest of this revision. Send it with the resume, which then fails if the revision is no longer the same.
    pub digest: String,
}

impl ChangesBody {
    /// Reads the changes to a run. A missing role is the inner error.
    fn changes(
        self,
        runs: &dyn Runs,
        run: &RunId,
        access: &Access,
    ) -> Result<Result<Changes, Problem>, RunsError> {
        let info = runs.run(run)?.info;
        if !self.answers.is_empty()
            && let Err(denied) = access.need_of(Role::Admin, &info)
        {
            return Ok(Err(denied));
        }
        let sent = match self.files {
            None => None,
            Some(_) if !self.takes_files => {
                return Ok(Err(Problem::bad("`files` requires `takes_files`")));
            }
            Some(files) => Some(SentFiles {
                program: program_of(files, &self.main.unwrap_or_default())?.into(),
                may_differ: access.may_send(&info.target),
            }),
        };
        let params = self.params.into_iter();
        Ok(Ok(Changes {
            takes_files: self.takes_files,
            params: params
                .map(|(name, value)| (name, Value::from_json(value)))
                .collect(),
            redo: self.redo,
            answers: answers::read(self.answers),
            sent,
        }))
    }
}

async fn revision(
    State(desk): State<Desk>,
    access: Access,
    Path(run): Path<String>,
    Body(body): Body<ChangesBody, LARGEST>,
) -> Result<Json<RevisionAnswer>, Problem> {
    let run = run_id(&run)?;
    let revision = desk.ask(move |runs| match body.changes(runs, &run, &access)? {
        Ok(changes) => runs.revision(&run, &changes).map(Ok),
        Err(problem) => Ok(Err(problem)),
    });
    let revision = revision.await??;
    Ok(Json(RevisionAnswer {
        plan: report::plan_json(&revision.plan),
        files: revision
            .files
            .iter()
            .map(|file| file.path.clone())
            .collect(),
        notes: revision.notes.iter().map(ToString::to_string).collect(),
        digest: revision.digest.to_string(),
    }))
}

async fn revise(
    State(desk): State<Desk>,
    access: Access,
    Path(run): Path<String>,
    Body(body): Body<ChangesBody, LARGEST>,
) -> Result<StatusCode, Problem> {
    let run = run_id(&run)?;
    let shown = body.digest.as_deref().map(digest).transpose()?;
    let resumed = desk.ask(move |runs| match body.changes(runs, &run, &access)? {
        Ok(changes) => runs
            .resume_with(&run, &changes, shown, &access.person)
            .map(Ok),
        Err(problem) => Ok(Err(problem)),
    });
    resumed.await??;
    Ok(StatusCode::ACCEPTED)
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DoubtBody {
    #[schema(value_type = String)]
    pub step: InstanceId,
    /// Whether the call was done. If not, it is made again.
    pub done: bool,
    /// The result of the call, if it was done.
    #[serde(default)]
    pub value: AnyJson,
}

impl DoubtBody {
    pub fn answer(self) -> (InstanceId, DoubtAnswer) {
        let answer = match self.done {
            true => DoubtAnswer::Done(Value::from_json(self.value)),
            false => DoubtAnswer::Again,
        };
        (self.step, answer)
    }
}

async fn doubt(
    State(desk): State<Desk>,
    access: Access,
    Path(run): Path<String>,
    Body(body): Body<DoubtBody>,
) -> Result<StatusCode, Problem> {
    let run = run_id(&run)?;
    let answers = [body.answer()];
    desk.ask(move |runs| runs.answer_doubts(&run, &answers, &access.person))
        .await?;
    Ok(StatusCode::ACCEPTED)
}
