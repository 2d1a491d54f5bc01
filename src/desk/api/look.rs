use axum::{
    Json,
    extract::{Path, State},
};
use http::StatusCode;
use serde::Deserialize;
use serde_json::Value as AnyJson;

use super::{
    act::Queried,
    types::{GrantItem, RunItem, RunsPage, WhoAmI, WorkflowItem, Workflows},
};
use crate::{access::Access, answer::Problem, server::Desk};
use windlass_compile::Program;
use windlass_journal::{InstanceId, NotAnInstance, RunId};
use windlass_report::{self as report, Pick};
use windlass_runs::{Filter, WorkflowName, now};
use windlass_targets::{LOCAL, Role};

/// The largest number of runs in an answer, and the number without `limit`.
const MOST: usize = 200;
const USUAL: usize = 50;

/// `GET /healthz`: the process is alive.
pub async fn healthz() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: the journal can be read.
pub async fn readyz(State(desk): State<Desk>) -> Result<&'static str, StatusCode> {
    let read = desk.ask(|runs| runs.version()).await;
    read.map_or(Err(StatusCode::SERVICE_UNAVAILABLE), |_| Ok("ok\n"))
}

pub async fn whoami(access: Access) -> Json<WhoAmI> {
    Json(WhoAmI {
        granted: access
            .granted
            .iter()
            .map(|granted| GrantItem {
                role: granted.role,
                scope: granted.scope.to_string(),
            })
            .collect(),
        groups: access.person.via.map_or(Vec::new(), |via| via.groups),
        name: access.person.name,
        roles: access.roles,
        version: env!("CARGO_PKG_VERSION").into(),
    })
}

pub async fn workflows(
    State(desk): State<Desk>,
    access: Access,
) -> Result<Json<Workflows>, Problem> {
    let listed = desk.ask(|runs| runs.workflows()).await?;
    let seen = listed.iter().filter(|one| access.sees_listed(one));
    let workflows = seen.map(WorkflowItem::of).collect();
    Ok(Json(Workflows { workflows }))
}

pub async fn workflow(
    State(desk): State<Desk>,
    access: Access,
    Path(name): Path<String>,
) -> Result<Json<WorkflowItem>, Problem> {
    let name = workflow_name(&name)?;
    let program = workflow_for(&desk, &access, Role::Viewer, &name).await?;
    let item = WorkflowItem::of_workflow(name.to_string(), &program.workflow);
    Ok(Json(item))
}

/// The query of `GET /api/v1/runs`: which runs to list.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListQuery {
    status: Option<String>,
    workflow: Option<String>,
    target: Option<String>,
    requester: Option<String>,
    text: Option<String>,
    before: Option<String>,
    limit: Option<usize>,
}

pub async fn runs(
    State(desk): State<Desk>,
    access: Access,
    Queried(query): Queried<ListQuery>,
) -> Result<Json<RunsPage>, Problem> {
    refuse_unknown_status(query.status.as_deref())?;
    let filter = Filter {
        status: query.status,
        workflow: query.workflow,
        target: query.target,
        requester: query.requester,
        text: query.text,
        before: query.before.as_deref().map(run_id).transpose()?,
        within: access.sees(),
        limit: query.limit.unwrap_or(USUAL).clamp(1, MOST),
        is_brief: false,
    };
    let page = desk.ask(move |runs| runs.list(&filter)).await?;
    let last = page.rows.last().filter(|_| page.has_more);
    Ok(Json(RunsPage {
        next: last.map(|row| row.run.id.to_string()),
        runs: page.rows.iter().map(RunItem::of).collect(),
    }))
}

/// Refuses a status that no run can have: a list that is always empty looks like good news.
pub fn refuse_unknown_status(status: Option<&str>) -> Result<(), Problem> {
    let known = status.map_or(Ok(()), windlass_runs::refuse_unknown_status);
    known.map_err(|error| Problem {
        hint: error.hint,
        ..Problem::bad(error.message)
    })
}

pub async fn certificates(State(desk): State<Desk>) -> Result<Json<serde_json::Value>, Problem> {
    let inventory = desk.ask(|runs| runs.certificates()).await?;
    let all = Pick {
        is_all: true,
        ..Pick::default()
    };
    Ok(Json(report::inventory_json(&inventory, all, now())))
}

pub async fn sightings(
    State(desk): State<Desk>,
    access: Access,
) -> Result<Json<serde_json::Value>, Problem> {
    let gathered = desk.ask(|runs| runs.sightings()).await?;
    let gathered = if access.has_everywhere(Role::Viewer) {
        gathered
    } else {
        gathered.only(|workflow, target| access.has_on(Role::Viewer, workflow, target))
    };
    Ok(Json(serde_json::to_value(&gathered).unwrap_or_default()))
}

/// Reads the id of a run from a request.
pub fn run_id(text: &str) -> Result<RunId, Problem> {
    RunId::parse(text).ok_or_else(no_such_run)
}

/// Reports that a run was not found.
pub fn no_such_run() -> Problem {
    let detail = "no such run: an id looks like 20261123-223401482-k3f9ma";
    Problem::new(StatusCode::NOT_FOUND, "no-such-run", detail)
}

/// Reads the id of an instance from a request.
pub fn instance_id(text: &str) -> Result<InstanceId, Problem> {
    text.parse().map_err(|why: NotAnInstance| {
        Problem::new(StatusCode::NOT_FOUND, "unknown-step", why.to_string())
    })
}

/// Reads the name of a workflow from a request.
pub fn workflow_name(text: &str) -> Result<WorkflowName, Problem> {
    WorkflowName::parse(text).ok_or_else(no_such_workflow)
}

/// Compiles a workflow for a client that has a role for it on at least one target. Any other client is told that it was not found.
pub async fn workflow_for(
    desk: &Desk,
    access: &Access,
    role: Role,
    name: &WorkflowName,
) -> Result<Program, Problem> {
    let asked = name.clone();
    let program = desk.ask(move |runs| runs.workflow(&asked)).await;
    let known = match &program {
        Ok(program) => access.has_for(role, &program.workflow.name),
        // Its name is not known, so a role for this workflow can't be checked.
        Err(_) => access.has_everywhere(role),
    };
    if known {
        program
    } else {
        Err(no_such_workflow())
    }
}

fn no_such_workflow() -> Problem {
    let detail = "no such workflow";
    Problem::new(StatusCode::NOT_FOUND, "unknown-workflow", detail)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeshQuery {
    target: Option<String>,
}

pub async fn mesh(
    State(desk): State<Desk>,
    Queried(query): Queried<MeshQuery>,
) -> Result<Json<AnyJson>, Problem> {
    let target = query.target.unwrap_or_else(|| LOCAL.into());
    let seen = desk.ask(move |runs| runs.handshakes(&target)).await?;
    Ok(Json(seen.to_json()))
}
