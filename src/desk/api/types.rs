//! The types of the API's requests and answers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use utoipa::ToSchema;

use crate::answer::Problem;
use windlass_compile::{Param, Workflow};
use windlass_ground::Timestamp;
use windlass_journal::{InstanceId, RunId, Verdict};
use windlass_report as report;
use windlass_runs::{self as runs, Ask, Listed, Row};
use windlass_targets::Role;
use windlass_world::value::Value;

/// Any JSON.
#[derive(Serialize, ToSchema)]
pub struct Any(pub Json);

/// The client that sent a request.
#[derive(Serialize, ToSchema)]
pub struct WhoAmI {
    pub name: String,
    /// `viewer`, `operator`, `approver`, `admin`.
    #[schema(value_type = Vec<String>)]
    pub roles: Vec<Role>,
    /// Roles for some workflows and targets.
    pub granted: Vec<GrantItem>,
    pub groups: Vec<String>,
    /// The version of the server.
    pub version: String,
}

/// The OpenID Connect provider with which people log in.
#[derive(Serialize, ToSchema)]
pub struct LoginItem {
    pub issuer: String,
    /// The client id for the device authorization grant (RFC 8628).
    pub client_id: String,
    pub scopes: Vec<String>,
}

/// A role for some workflows and targets.
#[derive(Serialize, ToSchema)]
pub struct GrantItem {
    #[schema(value_type = String)]
    pub role: Role,
    /// The workflows and targets, in words: `workflows gloo-* on targets prod`.
    pub scope: String,
}

#[derive(Serialize, ToSchema)]
pub struct Workflows {
    pub workflows: Vec<WorkflowItem>,
}

/// A workflow that may be started.
#[derive(Serialize, ToSchema)]
pub struct WorkflowItem {
    /// The name with which it is started: the name of its file.
    pub name: String,
    /// The `name` in its file.
    pub workflow: Option<String>,
    pub description: Option<String>,
    pub params: Vec<ParamItem>,
    /// Why it can't be compiled.
    pub problem: Option<String>,
}

/// A param of a workflow.
#[derive(Serialize, ToSchema)]
pub struct ParamItem {
    pub name: String,
    /// The type, as in the workflow file: `string`, `list(string)`, …
    #[serde(rename = "type")]
    pub ty: String,
    pub description: Option<String>,
    /// Null if there is none.
    pub default: Json,
    pub is_required: bool,
    /// Whether the value is a secret or contains secrets, which no answer contains.
    pub is_secret: bool,
    /// The allowed values; empty if all are allowed.
    pub one_of: Vec<Json>,
    /// Null if there is none.
    pub min: Json,
    pub max: Json,
}

/// The target and params of a plan.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StartBody {
    /// By default `local`.
    #[serde(default)]
    pub target: Option<String>,
    #[serde(default)]
    pub params: BTreeMap<String, Json>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StartRun {
    /// The name of a workflow in `GET /api/v1/workflows`.
    pub workflow: String,
    /// By default `local`.
    #[serde(default)]
    pub target: Option<String>,
    #[serde(default)]
    pub params: BTreeMap<String, Json>,
    /// The digest of the plan that the person saw. With it, the run is started only if its files and params are still those of the plan.
    #[serde(default)]
    pub plan: Option<String>,
}

/// A run of files that the client sends.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StartFiles {
    /// The workflow's file and all files that it uses, by their paths from its folder.
    pub files: BTreeMap<String, String>,
    /// The path of the workflow's file among them.
    pub main: String,
    /// The path of the file on the client's machine, to show to people; `main` if it is left out.
    #[serde(default)]
    pub file: Option<String>,
    /// By default `local`.
    #[serde(default)]
    pub target: Option<String>,
    #[serde(default)]
    pub params: BTreeMap<String, Json>,
    /// The steps to which the run is limited; all if it is left out.
    #[serde(default)]
    pub steps: Vec<String>,
}

/// The first events of a run of files that the client sent, and what the server found on its target.
#[derive(Serialize, ToSchema)]
pub struct FrozenPlan {
    #[schema(value_type = i64)]
    pub at: Timestamp,
    /// The first event of the run. Secrets are masked.
    pub event: Json,
    /// The events that follow, from running the steps that only read. Secrets are masked.
    pub looked: Vec<Json>,
    /// The changes that a dry run refused. Each has `step`, `error`, and `is_sure`: whether no earlier step of the run could remove the cause.
    pub obstacles: Vec<Json>,
    /// The AWS account that the run would change, in words.
    pub account: Option<String>,
    /// Warnings.
    pub notes: Vec<String>,
}

/// Files, by their paths.
#[derive(Serialize, ToSchema)]
pub struct Files {
    pub main: String,
    pub files: BTreeMap<String, String>,
}

/// The events of a run, as the chain of digests covers them.
#[derive(Serialize, ToSchema)]
pub struct Links {
    /// A list of links, each with `seq`, `at`, `body` and `digest`.
    pub links: Json,
}

#[derive(Serialize, ToSchema)]
pub struct TargetNames {
    pub targets: Vec<String>,
}

#[derive(Serialize, ToSchema)]
pub struct Sessions {
    pub sessions: Vec<SessionItem>,
}

/// A session of a browser.
#[derive(Serialize, ToSchema)]
pub struct SessionItem {
    pub id: String,
    pub name: String,
    /// What authenticated the person: a token or the OpenID Connect provider.
    pub how: String,
    pub from: String,
    #[schema(value_type = i64)]
    pub began_at: Timestamp,
    #[schema(value_type = i64)]
    pub used_at: Timestamp,
    /// Whether this request belongs to the session.
    pub is_this: bool,
}

#[derive(Serialize, ToSchema)]
pub struct StartedRun {
    pub run: String,
    /// Whether an earlier request with the same key started it.
    pub is_repeated: bool,
}

/// What a start would do.
#[derive(Serialize, ToSchema)]
pub struct PlanAnswer {
    /// The steps, as `windlass plan --json` prints them.
    pub steps: Json,
    /// The phases, as `windlass plan --json` prints them, with what each replaces as far as this is known.
    pub phases: Json,
    /// Warnings.
    pub notes: Vec<String>,
    /// The digest of the workflow's files, the target and the params. Send it with the start, which then counts only for this plan.
    pub digest: String,
}

#[derive(Serialize, ToSchema)]
pub struct RunsPage {
    pub runs: Vec<RunItem>,
    /// The value of `before` that returns older notifications.
    pub next: Option<String>,
}

/// A run in a list.
#[derive(Serialize, ToSchema)]
pub struct RunItem {
    pub run: String,
    pub workflow: String,
    pub file: String,
    pub target: String,
    pub status: String,
    pub is_driven: bool,
    #[schema(value_type = i64)]
    pub started_at: Timestamp,
    #[schema(value_type = Option<i64>)]
    pub ended_at: Option<Timestamp>,
    pub requester: Option<String>,
    /// The first line of the error, if the run failed.
    pub error: Option<String>,
    pub asks: Vec<AskItem>,
}

/// A question that waits for an answer.
#[derive(Serialize, ToSchema)]
pub struct AskItem {
    pub step: String,
    /// The question; in lists only its first 300 characters.
    pub message: String,
    /// The digest of the question, the workflow's files and the params. Send it with the answer, which then counts only for this question.
    pub digest: String,
    #[schema(value_type = i64)]
    pub asked_at: Timestamp,
    /// When the question expires.
    #[schema(value_type = Option<i64>)]
    pub deadline: Option<Timestamp>,
    /// Whether the client may answer it; left out in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub may_answer: Option<Allowed>,
}

/// Whether the client may do something now.
#[derive(Clone, Serialize, ToSchema)]
pub struct Allowed {
    pub ok: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The role that is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub needs: Option<Role>,
}

/// A run as it is now.
#[derive(Serialize, ToSchema)]
pub struct RunDetail {
    pub run: String,
    pub workflow: String,
    pub file: String,
    pub target: String,
    /// The names of the clusters that it uses.
    pub kube: Vec<String>,
    pub status: String,
    pub is_driven: bool,
    /// Whether it is driven, but paused until it is resumed.
    pub is_paused: bool,
    /// Why the server can't continue it.
    pub trouble: Option<String>,
    /// The lock that it waits for and the run that holds it, in words.
    pub waits_for: Option<String>,
    pub requester: String,
    #[schema(value_type = i64)]
    pub started_at: Timestamp,
    #[schema(value_type = Option<i64>)]
    pub ended_at: Option<Timestamp>,
    pub worked_ms: i64,
    pub params: Json,
    pub outputs: Json,
    pub errors: Vec<ErrorItem>,
    pub asks: Vec<AskItem>,
    pub steps: Vec<StepItem>,
    /// What the client may do with it: `cancel`, `resume`, `edit`, `undo`.
    pub allowed: BTreeMap<String, Allowed>,
    /// The number of events of the run so far, which is the `seq` of the next event.
    pub events: u64,
}

/// An instance: one execution of a step in a run.
#[derive(Clone, Serialize, ToSchema)]
pub struct StepItem {
    pub step: String,
    pub status: String,
    pub attempt: u32,
    #[schema(value_type = Option<i64>)]
    pub started_at: Option<Timestamp>,
    #[schema(value_type = Option<i64>)]
    pub ended_at: Option<Timestamp>,
    pub worked_ms: i64,
    #[schema(value_type = Option<i64>)]
    pub retry_at: Option<Timestamp>,
    pub inputs: Json,
    pub outputs: Json,
    pub error: Option<String>,
    pub skip_reason: Option<String>,
    /// The number of calls that it made.
    pub effects: usize,
}

/// An error of a run or a step.
#[derive(Serialize, ToSchema)]
pub struct ErrorItem {
    pub step: Option<String>,
    pub code: String,
    pub message: String,
    pub file: Option<String>,
    pub line: Option<usize>,
    pub column: Option<usize>,
    pub hint: Option<String>,
    /// AWS's request id, for a support case.
    pub request_id: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub struct Effects {
    pub step: String,
    pub effects: Vec<EffectItem>,
}

/// One call of a script to the outside.
#[derive(Serialize, ToSchema)]
pub struct EffectItem {
    pub function: String,
    pub arguments: Json,
    /// How a call is repeated safely: `read`, `keyed`, `found` or `unsure`.
    pub class: Json,
    #[schema(value_type = i64)]
    pub at: Timestamp,
    /// `done`, `failed`, `not_done`, or `in_doubt`.
    pub status: String,
    pub result: Json,
}

#[derive(Serialize, ToSchema)]
pub struct EventsPage {
    pub events: Vec<EventItem>,
    /// Whether more follow.
    pub has_more: bool,
}

/// An event of a run.
#[derive(Serialize, ToSchema)]
pub struct EventItem {
    pub seq: u64,
    #[schema(value_type = i64)]
    pub at: Timestamp,
    /// The digest of the event and the digest before it.
    pub digest: String,
    pub event: Json,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AnswerBody {
    #[schema(value_type = String)]
    pub step: InstanceId,
    /// The digest of the question that the person saw. Without it, the answer is to the question that is open now.
    #[serde(default)]
    pub digest: Option<String>,
    #[serde(default)]
    pub comment: Option<String>,
}

/// Answers to several questions of a run, which count together or not at all.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AnswersBody {
    /// `approved` or `rejected`.
    #[schema(value_type = String)]
    pub verdict: Verdict,
    pub answers: Vec<AnsweredStep>,
    #[serde(default)]
    pub comment: Option<String>,
}

/// A step that is answered.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AnsweredStep {
    #[schema(value_type = String)]
    pub step: InstanceId,
    /// The digest of the question that the person saw. Without it, the answer is to the question that is open now.
    #[serde(default)]
    pub digest: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub struct UndoPlan {
    /// The items, as `windlass undo --plan --json` prints them.
    pub items: Json,
    /// Why `undo` would refuse it without `force`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<Problem>,
    /// The number of events of the run. Send it with the undo, which then counts only for this plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events: Option<u64>,
}

impl UndoPlan {
    pub fn of(plan: runs::UndoPlan) -> Self {
        Self {
            items: report::undo_json(&plan.items),
            refused: plan.refused.map(Problem::from),
            events: plan.events,
        }
    }
}

impl WorkflowItem {
    pub fn of(listed: &Listed) -> Self {
        let name = listed.name.to_string();
        match &listed.program {
            Ok(program) => Self::of_workflow(name, &program.workflow),
            Err(error) => Self {
                name,
                workflow: None,
                description: None,
                params: Vec::new(),
                problem: Some(error.message.clone()),
            },
        }
    }

    pub fn of_workflow(name: String, workflow: &Workflow) -> Self {
        let params = workflow.params.iter();
        Self {
            name,
            workflow: Some(workflow.name.clone()),
            description: workflow.description.clone(),
            params: params
                .map(|(name, param)| ParamItem::of(name, param))
                .collect(),
            problem: None,
        }
    }
}

impl ParamItem {
    fn of(name: &str, param: &Param) -> Self {
        let limits = &param.limits;
        let json = |value: &Option<Value>| value.as_ref().map_or(Json::Null, Value::to_json);
        Self {
            name: name.to_owned(),
            ty: param.ty.to_string(),
            description: param.description.clone(),
            default: json(&param.default),
            is_required: param.is_required(),
            is_secret: param.ty.holds_secret(),
            one_of: limits.one_of.iter().map(Value::to_json).collect(),
            min: json(&limits.min),
            max: json(&limits.max),
        }
    }
}

impl RunItem {
    pub fn of(row: &Row) -> Self {
        Self {
            run: row.run.id.to_string(),
            workflow: row.run.workflow.clone(),
            file: row.run.file.clone(),
            target: row.run.target.clone(),
            status: row.status.clone(),
            is_driven: row.run.is_owned,
            started_at: row.run.started_at,
            ended_at: row.run.ended_at,
            requester: row.run.requester.clone(),
            error: row.error.clone(),
            asks: row.asks.iter().map(AskItem::of).collect(),
        }
    }
}

impl AskItem {
    pub fn of(ask: &Ask) -> Self {
        Self {
            step: ask.step.to_string(),
            message: ask.message.clone(),
            digest: ask.digest.to_string(),
            asked_at: ask.asked_at,
            deadline: ask.deadline,
            may_answer: None,
        }
    }
}

impl StartedRun {
    pub fn of(run: &RunId, is_repeated: bool) -> Self {
        Self {
            run: run.to_string(),
            is_repeated,
        }
    }
}
