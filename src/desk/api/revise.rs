//! Resumes with changes.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::{Path, State},
    routing::post,
};
use http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value as AnyJson;
use utoipa::ToSchema;

use super::{
    act::{Body, digest},
    answers::{self, DoubtBody},
    files::{LARGEST, program_of},
    look::run_id,
    route,
};
use crate::{
    access::Access,
    answer::Problem,
    route::{Answer, Route},
    server::Desk,
};
use windlass_journal::{InstanceId, RunId};
use windlass_report as report;
use windlass_runs::{Changes, Runs, RunsError, SentFiles};
use windlass_targets::Role;
use windlass_world::value::Value;

pub fn routes() -> Vec<Route> {
    use Role::Operator;
    vec![
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
    ]
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
    /// The digest of this revision. A resume with it fails if the revision has changed since.
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
        let shown = runs.run(run)?;
        if !self.answers.is_empty()
            && let Err(denied) = access.need_of(Role::Admin, &shown)
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
                may_differ: access.may_send(&shown.info.target),
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
