//! The tools that only read.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::tool::{Argument, Setting, ToolRow, read};
use crate::{
    compile::{InMemory, MAX_FILE_BYTES, Program, compile},
    decide,
    journal::RunId,
    report::{self, JsonView, Pick},
    runs::{Filter, PlanDepth, RunsError, StartWanted, WorkflowName, now, refuse_unknown_status},
    value::Value,
};

/// The number of runs and of log lines in an answer: the default and the largest number.
const USUAL_RUNS: usize = 20;
const MOST_RUNS: usize = 200;
const USUAL_LINES: usize = 200;
const MOST_LINES: usize = 2000;
/// Stands in a plan for the id of the future run.
const RUN: &str = "RUN";
/// The file name of a workflow that is sent as text.
const DRAFT: &str = "draft.yaml";

pub const TOOLS: &[ToolRow] = &[
    ToolRow {
        name: "list_workflows",
        title: "List workflows",
        about: "Lists the workflows that can be started, with their params, and the targets that runs can use. Use it before plan_run and start_run.",
        arguments: &[],
        needs: None,
        call: list_workflows,
    },
    ToolRow {
        name: "list_runs",
        title: "List runs",
        about: "Lists runs, the newest first, with status, who started them, the first line of their error, and the questions that wait for a person.",
        arguments: &[
            optional(
                "status",
                "string",
                "Only runs of this status: running, waiting, expired, approved, rejected, interrupted, succeeded, failed, cancelled, undone, undo failed",
            ),
            optional("workflow", "string", "Only runs of this workflow"),
            optional("target", "string", "Only runs on this target"),
            optional(
                "before",
                "string",
                "Only runs that were started before the run with this id: the `next` of the previous answer",
            ),
            optional("limit", "integer", "How many, at most 200 [default: 20]"),
        ],
        needs: None,
        call: list_runs,
    },
    ToolRow {
        name: "show_run",
        title: "Show a run",
        about: "Shows a run: its status, its steps with attempts and errors, its outputs, and the questions that wait for a person. Secrets are masked.",
        arguments: &[required(
            "run",
            "string",
            "The id of the run, as list_runs returns it",
        )],
        needs: None,
        call: show_run,
    },
    ToolRow {
        name: "log_run",
        title: "Read the log of a run",
        about: "Reads the log of a run: a line for each event. If there are more than `limit` lines, returns the last ones. Use it to find out why a run failed.",
        arguments: &[
            required("run", "string", "The id of the run"),
            optional("step", "string", "Only lines about this step"),
            optional(
                "before",
                "integer",
                "Only lines before the event of this number (`seq`)",
            ),
            optional(
                "limit",
                "integer",
                "How many lines, at most 2000 [default: 200]",
            ),
        ],
        needs: None,
        call: log_run,
    },
    ToolRow {
        name: "validate_workflow",
        title: "Validate a workflow",
        about: "Checks a workflow, given by its name or as text, and returns all mistakes in it, each with its place and a hint.",
        arguments: &[
            optional(
                "workflow",
                "string",
                "The name of a workflow, as list_workflows returns it",
            ),
            optional(
                "text",
                "string",
                "Instead of a name: the YAML text of a workflow. It can't use other files, so its scripts must be inline",
            ),
        ],
        needs: None,
        call: validate_workflow,
    },
    ToolRow {
        name: "plan_run",
        title: "Plan a run",
        about: "Shows what a run would do, step by step, and changes nothing. Show the plan to the person before start_run.",
        arguments: &[
            required("workflow", "string", "The name of the workflow"),
            optional(
                "target",
                "string",
                "The target [default: local, a rehearsal on this machine]",
            ),
            optional("params", "object", "The params of the workflow, by name"),
        ],
        needs: None,
        call: plan_run,
    },
    ToolRow {
        name: "explain",
        title: "Explain a topic",
        about: "Explains an error code, a host function of scripts (such as kube::apply), a key of workflow files, a type, or what expressions read (such as run.status). Without a topic, lists all topics.",
        arguments: &[optional(
            "topic",
            "string",
            "The code, function, key, type or name",
        )],
        needs: None,
        call: explain,
    },
    ToolRow {
        name: "list_certificates",
        title: "List certificates",
        about: "Lists the certificates that runs issued and found: their issuers, where they are used, and when they expire.",
        arguments: &[
            optional(
                "due",
                "integer",
                "Only those in use that expire within this many days",
            ),
            optional("all", "boolean", "Also those that are no longer in use"),
        ],
        needs: None,
        call: list_certificates,
    },
];

const fn required(name: &'static str, kind: &'static str, about: &'static str) -> Argument {
    Argument {
        name,
        kind,
        about,
        is_required: true,
    }
}

const fn optional(name: &'static str, kind: &'static str, about: &'static str) -> Argument {
    Argument {
        is_required: false,
        ..required(name, kind, about)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

fn list_workflows(setting: &Setting, arguments: Json) -> Result<Json, RunsError> {
    let Nothing {} = read(arguments)?;
    let listed = setting.runs.workflows()?;
    let workflows: Vec<_> = listed
        .iter()
        .map(|one| match &one.program {
            Ok(program) => described(one.name.as_str(), program),
            Err(error) => json!({ "workflow": one.name.as_str(), "problem": error.message }),
        })
        .collect();
    Ok(json!({ "workflows": workflows, "targets": setting.runs.targets()? }))
}

fn described(name: &str, program: &Program) -> Json {
    let workflow = &program.workflow;
    let params = workflow.params.iter().map(|(name, param)| {
        json!({
            "name": name,
            "type": param.ty.to_string(),
            "default": param.default.as_ref().map(Value::to_json),
            "description": param.description,
        })
    });
    json!({
        "workflow": name,
        "description": workflow.description,
        "params": params.collect::<Vec<_>>(),
        "steps": workflow.steps().count(),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WhichRuns {
    status: Option<String>,
    workflow: Option<String>,
    target: Option<String>,
    before: Option<String>,
    limit: Option<usize>,
}

fn list_runs(setting: &Setting, arguments: Json) -> Result<Json, RunsError> {
    let which: WhichRuns = read(arguments)?;
    which
        .status
        .as_deref()
        .map_or(Ok(()), refuse_unknown_status)?;
    let page = setting.runs.list(&Filter {
        status: which.status,
        workflow: which.workflow,
        target: which.target,
        before: which.before.as_deref().map(run_id).transpose()?,
        limit: which.limit.unwrap_or(USUAL_RUNS).clamp(1, MOST_RUNS),
        ..Filter::default()
    })?;
    let next = page.rows.last().filter(|_| page.has_more);
    let runs = page.rows.iter().map(|row| {
        let asks = row
            .asks
            .iter()
            .map(|ask| json!({ "step": ask.step, "message": ask.message }));
        json!({
            "run": row.run.id,
            "workflow": row.run.workflow,
            "target": row.run.target,
            "status": row.status,
            "started_at": utc(row.run.started_at),
            "ended_at": row.run.ended_at.map(utc),
            "requester": row.run.requester,
            "error": row.error,
            "asks": asks.collect::<Vec<_>>(),
        })
    });
    Ok(json!({
        "runs": runs.collect::<Vec<_>>(),
        "next": next.map(|row| row.run.id.to_string()),
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WhichRun {
    run: String,
}

fn show_run(setting: &Setting, arguments: Json) -> Result<Json, RunsError> {
    let which: WhichRun = read(arguments)?;
    let shown = setting.runs.run(&run_id(&which.run)?)?;
    let view = JsonView {
        workflow: Some(&shown.program.workflow),
        is_driven: shown.is_driven,
        now: shown.at,
    };
    let mut json = report::run_json(&shown.id, &shown.state, &view);
    let asks = shown.asks();
    let asks = asks
        .iter()
        .map(|ask| json!({ "step": ask.step, "message": ask.message }));
    json["status"] = shown.status().into();
    json["asks"] = asks.collect();
    json["trouble"] = setting.runs.trouble(&shown.id).into();
    Ok(json)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WhichLines {
    run: String,
    step: Option<String>,
    before: Option<u64>,
    limit: Option<usize>,
}

fn log_run(setting: &Setting, arguments: Json) -> Result<Json, RunsError> {
    let which: WhichLines = read(arguments)?;
    let id = run_id(&which.run)?;
    if let Some(step) = &which.step {
        refuse_unknown_step(setting, &id, step)?;
    }
    let lines = setting.runs.log(&id)?;
    let is_about = |step: &str| {
        let inside = |outer: &str| {
            step.strip_prefix(outer)
                // `!` begins the undo of the step.
                .is_some_and(|rest| rest.starts_with(['/', '[', '!']))
        };
        which
            .step
            .as_deref()
            .is_none_or(|outer| step == outer || inside(outer))
    };
    let picked: Vec<_> = lines
        .iter()
        .filter(|line| which.before.is_none_or(|before| line.seq < before))
        .filter(|line| match &line.step {
            Some(step) => is_about(step.as_str()),
            None => which.step.is_none(),
        })
        .collect();
    let limit = which.limit.unwrap_or(USUAL_LINES).clamp(1, MOST_LINES);
    let skipped = picked.len().saturating_sub(limit);
    let shown = picked[skipped..].iter().map(|line| {
        json!({
            "seq": line.seq,
            "at": utc(line.at),
            "step": line.step,
            "text": line.text,
            "is_error": line.is_error,
        })
    });
    Ok(json!({ "lines": shown.collect::<Vec<_>>(), "has_earlier": skipped > 0 }))
}

/// Refuses a step that the workflow of a run does not have.
fn refuse_unknown_step(setting: &Setting, run: &RunId, step: &str) -> Result<(), RunsError> {
    let shown = setting.runs.run(run)?;
    let outer = step.split(['/', '[', '!']).next().unwrap_or_default();
    let mut steps = shown.program.workflow.steps();
    if steps.any(|(_, known)| known.name.as_str() == outer) {
        Ok(())
    } else {
        Err(RunsError::missing(
            "unknown-step",
            format!("run {run} has no step `{step}`"),
        ))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WhichWorkflow {
    workflow: Option<String>,
    text: Option<String>,
}

fn validate_workflow(setting: &Setting, arguments: Json) -> Result<Json, RunsError> {
    let which: WhichWorkflow = read(arguments)?;
    let program = match (which.workflow, which.text) {
        (Some(name), None) => setting.runs.workflow(&workflow_name(&name)?)?,
        (None, Some(text)) => {
            if text.len() > MAX_FILE_BYTES {
                let message = "the workflow is larger than 1 MiB";
                return Err(RunsError::wrong("bad-request", message));
            }
            let files = BTreeMap::from([(DRAFT.to_owned(), text.into())]);
            compile(DRAFT, &mut InMemory(files))?
        }
        _ => {
            let message = "exactly one of `workflow` and `text` is required";
            return Err(RunsError::wrong("bad-request", message));
        }
    };
    let mut json = described(&program.workflow.name, &program);
    json["is_valid"] = true.into();
    Ok(json)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WhichStart {
    workflow: String,
    target: Option<String>,
    #[serde(default)]
    params: BTreeMap<String, Json>,
}

fn plan_run(setting: &Setting, arguments: Json) -> Result<Json, RunsError> {
    let which: WhichStart = read(arguments)?;
    refuse_inexact(&which.params)?;
    let wanted =
        StartWanted::from_json(workflow_name(&which.workflow)?, which.target, which.params);
    let planned = setting
        .runs
        .plan(&wanted, PlanDepth::Looks, &setting.person)?;
    let workflow = &planned.program.workflow;
    let steps = decide::preview(workflow, &planned.state, RUN);
    let phases = report::replacing(workflow, &planned.state, RUN)
        .map_err(|why| RunsError::wrong("wrong-type", why))?;
    let notes: Vec<_> = planned.notes.iter().map(ToString::to_string).collect();
    Ok(json!({
        "steps": report::preview_json(&steps, &planned.obstacles),
        "phases": report::replaced_json(&phases),
        "notes": notes,
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WhichTopic {
    topic: Option<String>,
}

fn explain(_: &Setting, arguments: Json) -> Result<Json, RunsError> {
    let which: WhichTopic = read(arguments)?;
    let pages = match which.topic.as_deref() {
        None => vec![report::topics_page()],
        Some(topic) => report::explain(topic).map_err(|near| {
            let error = RunsError::missing("unknown-topic", format!("there is no topic `{topic}`"));
            if near.is_empty() {
                error.hint("without a topic, this tool lists all topics")
            } else {
                error.hint(format!("did you mean {}?", near.join(", or ")))
            }
        })?,
    };
    let pages: Vec<_> = pages.iter().map(|page| page.to_markdown(1)).collect();
    Ok(json!({ "pages": pages }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WhichCertificates {
    due: Option<u32>,
    #[serde(default)]
    all: bool,
}

fn list_certificates(setting: &Setting, arguments: Json) -> Result<Json, RunsError> {
    let which: WhichCertificates = read(arguments)?;
    let inventory = setting.runs.certificates()?;
    let pick = Pick {
        due: which.due.map(|days| i64::from(days) * 86_400),
        is_all: which.all,
        ..Pick::default()
    };
    let found = report::inventory_json(&inventory, pick, now());
    let mut found = match found {
        found @ Json::Object(_) => found,
        // The result of a tool must be an object.
        found => json!({ "certificates": found }),
    };
    if inventory.is_partial {
        found["warning"] = IN_PART.into();
    }
    Ok(found)
}

/// Said where roles on a server leave out some certificates, so that an empty list does not mean that there are none.
const IN_PART: &str =
    "the roles of this token show only the certificates of some workflows and targets";

/// Parses the id of a run.
pub fn run_id(text: &str) -> Result<RunId, RunsError> {
    RunId::parse(text).ok_or_else(|| {
        let message =
            format!("`{text}` is not the id of a run: an id looks like 20261123-223401482-k3f9ma");
        RunsError::missing("no-such-run", message).hint("the tool list_runs lists the runs")
    })
}

/// Parses the name of a workflow.
pub fn workflow_name(text: &str) -> Result<WorkflowName, RunsError> {
    WorkflowName::parse(text).ok_or_else(|| {
        RunsError::missing("unknown-workflow", format!("there is no workflow `{text}`"))
            .hint("the tool list_workflows lists the workflows")
    })
}

/// Refuses numbers of params that have lost digits: JSON is read into 64 bits.
pub fn refuse_inexact(params: &BTreeMap<String, Json>) -> Result<(), RunsError> {
    match params.iter().find(|(_, value)| is_inexact(value)) {
        None => Ok(()),
        Some((name, _)) => {
            let message =
                format!("the param `{name}` has an integer that does not fit into 64 bits");
            Err(RunsError::wrong("params", message).hint("put it into quotes"))
        }
    }
}

fn is_inexact(json: &Json) -> bool {
    /// From here on, a float is an integer that may have lost digits: 2 to the power of 63.
    const INEXACT: f64 = 9_223_372_036_854_775_808.0;
    match json {
        Json::Number(number) => {
            let float = number.as_f64().unwrap_or_default();
            !number.is_i64() && float.fract() == 0.0 && float.abs() >= INEXACT
        }
        Json::Array(items) => items.iter().any(is_inexact),
        Json::Object(map) => map.values().any(is_inexact),
        _ => false,
    }
}

/// Shows a time with its zone.
fn utc(at: windlass_ground::Timestamp) -> String {
    format!("{} UTC", report::utc_time(at))
}
