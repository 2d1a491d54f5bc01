//! Routes for the `windlass` command with `--server`: the files of workflows and runs, the links of the chain of events, and starts and
//! plans of files that the client sends.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::{Path, State},
    routing::{get, post},
};
use http::{HeaderMap, Method, StatusCode};
use serde::Deserialize;
use serde_json::json;

use super::{
    act::{Body, PLAN_LOOKS, PlanQuery, Queried, begun, key},
    look::{run_id, workflow_for, workflow_name},
    route,
    types::{Files, FrozenPlan, Links, StartFiles, StartedRun, TargetNames},
};
use crate::{
    access::Access,
    answer::Problem,
    route::{Answer, Route, somewhere},
    server::Desk,
};
use windlass_compile::{InMemory, Program, compile};
use windlass_engine::execute::Obstacle;
use windlass_journal::Event;
use windlass_runs::{RunsError, Sent};
use windlass_targets::{LOCAL, Role};
use windlass_world::value::Value;

/// The largest start with files, in bytes: a workflow's files have at most 1 MiB each.
pub const LARGEST: usize = 16 << 20;

pub fn routes() -> Vec<Route> {
    use Role::Operator;
    let look = |path, summary, query, answer, handler| {
        super::look(path, summary, query, Answer::Json(answer), handler)
    };
    vec![
        look(
            "/api/v1/runs/{run}/files",
            "The files that a run keeps: a copy from when it started, or from an edit",
            &[(
                "edition",
                "The number of edits of the run before these files; by default 0, the files that it started with",
            )],
            "Files",
            get(of_run),
        ),
        look(
            "/api/v1/runs/{run}/links",
            "The events of a run without its secrets, as the chain of digests covers them",
            &[],
            "Links",
            get(links),
        ),
        somewhere(look(
            "/api/v1/workflows/{workflow}/files",
            "The files of a workflow that may be started",
            &[],
            "Files",
            get(of_workflow),
        )),
        somewhere(look(
            "/api/v1/targets",
            "The names of the targets that a run can use",
            &[],
            "TargetNames",
            get(targets),
        )),
        somewhere(route(
            Method::POST,
            "/api/v1/frozen",
            Operator,
            post(start),
            "Starts a run of files that the client sends; a repeated request with the same Idempotency-Key returns the same run",
            &[],
            Some("StartFiles"),
            Answer::Json("StartedRun"),
        )),
        somewhere(route(
            Method::POST,
            "/api/v1/frozen/plan",
            Operator,
            post(plan),
            "The first events of a run of files that the client sends, from which the client computes a plan. Changes nothing",
            &[PLAN_LOOKS],
            Some("StartFiles"),
            Answer::Json("FrozenPlan"),
        )),
    ]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FilesQuery {
    #[serde(default)]
    edition: u32,
}

async fn of_run(
    State(desk): State<Desk>,
    Path(run): Path<String>,
    Queried(query): Queried<FilesQuery>,
) -> Result<Json<Files>, Problem> {
    let run = run_id(&run)?;
    let asked = desk.ask(move |runs| {
        let shown = runs.run(&run)?;
        Ok((shown.info.main, runs.files(&run, query.edition)?))
    });
    let (main, files) = asked.await?;
    if files.is_empty() {
        let detail = format!("the run has no files with the number {}", query.edition);
        return Err(Problem::new(StatusCode::NOT_FOUND, "not-found", detail));
    }
    let files = files.into_iter();
    Ok(Json(Files {
        main,
        files: files.map(|(path, text)| (path, text.to_string())).collect(),
    }))
}

async fn links(State(desk): State<Desk>, Path(run): Path<String>) -> Result<Json<Links>, Problem> {
    let run = run_id(&run)?;
    let links = desk.ask(move |runs| runs.links(&run)).await?;
    Ok(Json(Links {
        links: serde_json::to_value(&links).unwrap_or_default(),
    }))
}

async fn of_workflow(
    State(desk): State<Desk>,
    access: Access,
    Path(name): Path<String>,
) -> Result<Json<Files>, Problem> {
    let name = workflow_name(&name)?;
    let program = workflow_for(&desk, &access, Role::Viewer, &name).await?;
    let files = program.files.into_iter();
    Ok(Json(Files {
        main: program.main,
        files: files.map(|(path, text)| (path, text.to_string())).collect(),
    }))
}

async fn targets(State(desk): State<Desk>, access: Access) -> Result<Json<TargetNames>, Problem> {
    let mut targets = desk.ask(|runs| runs.targets()).await?;
    targets.retain(|target| access.has_at(Role::Viewer, target));
    Ok(Json(TargetNames { targets }))
}

async fn start(
    State(desk): State<Desk>,
    access: Access,
    headers: HeaderMap,
    Body(body): Body<StartFiles, LARGEST>,
) -> Result<(StatusCode, Json<StartedRun>), Problem> {
    let key = key(&headers)?;
    let started = desk.ask(move |runs| match sent(body, &access)? {
        Ok(sent) => runs.send(&sent, key.as_deref(), &access.person).map(Ok),
        Err(denied) => Ok(Err(denied)),
    });
    Ok(begun(&started.await??))
}

async fn plan(
    State(desk): State<Desk>,
    access: Access,
    Queried(query): Queried<PlanQuery>,
    Body(body): Body<StartFiles, LARGEST>,
) -> Result<Json<FrozenPlan>, Problem> {
    let planned = desk.ask(move |runs| match sent(body, &access)? {
        Ok(sent) => runs.plan_sent(&sent, query.depth(), &access.person).map(Ok),
        Err(denied) => Ok(Err(denied)),
    });
    let planned = planned.await??;
    Ok(Json(FrozenPlan {
        at: planned.at,
        event: json_of(&planned.event),
        looked: planned.looked.iter().map(json_of).collect(),
        obstacles: planned.obstacles.iter().map(obstacle).collect(),
        account: planned.account,
        notes: planned.notes.iter().map(ToString::to_string).collect(),
    }))
}

fn json_of(event: &Event) -> serde_json::Value {
    serde_json::to_value(event).unwrap_or_default()
}

fn obstacle(found: &Obstacle) -> serde_json::Value {
    json!({ "step": found.step, "error": found.error, "is_sure": found.is_sure })
}

/// Compiles the files that a client sends. A missing role is the inner error.
fn sent(body: StartFiles, access: &Access) -> Result<Result<Sent, Problem>, RunsError> {
    let program = program_of(body.files, &body.main)?;
    let target = body.target.unwrap_or_else(|| LOCAL.into());
    if let Err(denied) = access.need(Role::Operator, &program.workflow.name, &target) {
        return Ok(Err(denied));
    }
    let params = body.params.into_iter();
    Ok(Ok(Sent {
        file: body.file.unwrap_or_else(|| program.main.clone()),
        may_differ: access.may_send(&target),
        params: params
            .map(|(name, value)| (name, Value::from_json(value)))
            .collect(),
        chosen: body.steps.into_iter().collect(),
        program,
        target,
    }))
}

/// Compiles files that a client sends.
pub fn program_of(files: BTreeMap<String, String>, main: &str) -> Result<Program, RunsError> {
    let files = files.into_iter();
    let files = files.map(|(path, text)| (path, text.into())).collect();
    Ok(compile(main, &mut InMemory(files))?)
}
