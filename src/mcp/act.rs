//! The tools that start and resume runs.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::{
    look::{refuse_inexact, run_id, workflow_name},
    tool::{Argument, Permission, Setting, ToolRow, read},
};
use crate::runs::{RunsError, StartWanted};

pub const TOOLS: &[ToolRow] = &[
    ToolRow {
        name: "start_run",
        title: "Start a run",
        about: "Starts a run of a workflow and returns its id immediately. The run changes the target's systems, so call plan_run first and let the person confirm. Then call show_run until the run has ended or waits for a person.",
        arguments: &[
            Argument {
                name: "workflow",
                kind: "string",
                about: "The name of the workflow",
                is_required: true,
            },
            Argument {
                name: "target",
                kind: "string",
                about: "The target [default: local, a rehearsal on this machine]",
                is_required: false,
            },
            Argument {
                name: "params",
                kind: "object",
                about: "The params of the workflow, by name",
                is_required: false,
            },
            Argument {
                name: "key",
                kind: "string",
                about: "A unique text for each start. A repeated call with the same key returns the same run, so a call whose answer was lost can be repeated",
                is_required: false,
            },
        ],
        needs: Some(Permission::Start),
        call: start_run,
    },
    ToolRow {
        name: "resume_run",
        title: "Resume a run",
        about: "Resumes a run that failed, was cancelled or was interrupted, from where it stopped. Completed calls are not repeated. Find and fix the cause first.",
        arguments: &[Argument {
            name: "run",
            kind: "string",
            about: "The id of the run",
            is_required: true,
        }],
        needs: Some(Permission::Resume),
        call: resume_run,
    },
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Start {
    workflow: String,
    target: Option<String>,
    #[serde(default)]
    params: BTreeMap<String, Json>,
    key: Option<String>,
}

fn start_run(setting: &Setting, arguments: Json) -> Result<Json, RunsError> {
    let start: Start = read(arguments)?;
    refuse_inexact(&start.params)?;
    let wanted =
        StartWanted::from_json(workflow_name(&start.workflow)?, start.target, start.params);
    let started = setting
        .runs
        .start(&wanted, start.key.as_deref(), &setting.person)?;
    tracing::info!(run = %started.run, workflow = start.workflow, "an assistant started a run");
    Ok(json!({ "run": started.run, "is_repeated": started.is_repeated }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Resume {
    run: String,
}

fn resume_run(setting: &Setting, arguments: Json) -> Result<Json, RunsError> {
    let resume: Resume = read(arguments)?;
    let run = run_id(&resume.run)?;
    setting.runs.resume(&run, &setting.person)?;
    tracing::info!(%run, "an assistant resumed a run");
    Ok(json!({ "run": run }))
}
