//! What the API says and hears.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use utoipa::ToSchema;

use windlass_engine::{
    compile::{Param, Workflow},
    journal::{InstanceId, RunId},
};
use windlass_ground::Timestamp;
use windlass_runs::{Ask, Listed, Row};
use windlass_targets::Role;
use windlass_world::value::{Type, Value};

/// Any JSON.
#[derive(Serialize, ToSchema)]
pub struct Any(pub Json);

/// Who a request comes from.
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

/// The provider that people log in with.
#[derive(Serialize, ToSchema)]
pub struct LoginItem {
    pub issuer: String,
    /// The client that asks for a token by the device flow (RFC 8628).
    pub client_id: String,
    pub scopes: Vec<String>,
}

/// A role for some workflows and targets.
#[derive(Serialize, ToSchema)]
pub struct GrantItem {
    #[schema(value_type = String)]
    pub role: Role,
    /// In words: `workflows gloo-* on targets prod`.
    pub scope: String,
}

#[derive(Serialize, ToSchema)]
pub struct Workflows {
    pub workflows: Vec<WorkflowItem>,
}

/// A workflow that may be started.
#[derive(Serialize, ToSchema)]
pub struct WorkflowItem {
    /// The name to start it by: its file's.
    pub name: String,
    /// What its file calls it.
    pub workflow: Option<String>,
    pub description: Option<String>,
    pub params: Vec<ParamItem>,
    /// Why it can't be started.
    pub problem: Option<String>,
}

/// A param of a workflow.
#[derive(Serialize, ToSchema)]
pub struct ParamItem {
    pub name: String,
    /// As the workflow file writes it: `string`, `list(string)`, …
    #[serde(rename = "type")]
    pub ty: String,
    pub description: Option<String>,
    /// Null where there is none.
    pub default: Json,
    pub is_required: bool,
    /// Whether what is given never comes back.
    pub is_secret: bool,
    /// Empty for anything.
    pub one_of: Vec<Json>,
    /// Null where there is none.
    pub min: Json,
    pub max: Json,
}

/// What a plan or a start is given.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StartBody {
    /// `local` if it is left out.
    #[serde(default)]
    pub target: Option<String>,
    #[serde(default)]
    pub params: BTreeMap<String, Json>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StartRun {
    /// The name of a workflow in the list of those that may be started.
    pub workflow: String,
    /// `local` if it is left out.
    #[serde(default)]
    pub target: Option<String>,
    #[serde(default)]
    pub params: BTreeMap<String, Json>,
}

/// A run of files that the client sends.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StartFiles {
    /// The workflow's file and all that it reads, by their paths from its folder.
    pub files: BTreeMap<String, String>,
    /// The path of the workflow's file among them.
    pub main: String,
    /// The file as the person named it; `main` if it is left out.
    #[serde(default)]
    pub file: Option<String>,
    /// `local` if it is left out.
    #[serde(default)]
    pub target: Option<String>,
    #[serde(default)]
    pub params: BTreeMap<String, Json>,
    /// The steps that the run is limited to; all if it is left out.
    #[serde(default)]
    pub steps: Vec<String>,
}

/// What a run of files that were sent would begin with.
#[derive(Serialize, ToSchema)]
pub struct FrozenPlan {
    #[schema(value_type = i64)]
    pub at: Timestamp,
    /// The first event of the run. Secrets are masked.
    pub event: Json,
    /// What steps that only read found on the target: the events that follow. Secrets are masked.
    pub looked: Vec<Json>,
    /// What dry runs of changes were refused: `step`, `error`, and `is_sure` where nothing that the run does before would remove it.
    pub obstacles: Vec<Json>,
    /// Whose AWS account the run would change, in words.
    pub account: Option<String>,
    /// What was found that refuses nothing.
    pub notes: Vec<String>,
}

/// Files, by their paths.
#[derive(Serialize, ToSchema)]
pub struct Files {
    pub main: String,
    pub files: BTreeMap<String, String>,
}

/// The events of a run as the chain of digests covers them.
#[derive(Serialize, ToSchema)]
pub struct Links {
    /// Each with `seq`, `at`, `body` and `digest`.
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

/// A browser that somebody is logged in with.
#[derive(Serialize, ToSchema)]
pub struct SessionItem {
    pub id: String,
    pub name: String,
    /// What authenticated them.
    pub how: String,
    pub from: String,
    #[schema(value_type = i64)]
    pub began_at: Timestamp,
    #[schema(value_type = i64)]
    pub used_at: Timestamp,
    /// Whether the request came with it.
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
    /// As `windlass plan --json` prints them.
    pub steps: Json,
    /// As `windlass plan --json` prints them, with what each replaces as far as it is known.
    pub phases: Json,
    /// What was found that refuses nothing.
    pub notes: Vec<String>,
}

#[derive(Serialize, ToSchema)]
pub struct RunsPage {
    pub runs: Vec<RunItem>,
    /// Give it as `before` to get older ones.
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
    /// The first line of why it failed.
    pub error: Option<String>,
    pub asks: Vec<AskItem>,
}

/// A question that waits for an answer.
#[derive(Serialize, ToSchema)]
pub struct AskItem {
    pub step: String,
    pub message: String,
    /// Of the question, the workflow's files and the params: what an answer is bound to.
    pub digest: String,
    #[schema(value_type = i64)]
    pub asked_at: Timestamp,
    /// When it is decided without anybody.
    #[schema(value_type = Option<i64>)]
    pub deadline: Option<Timestamp>,
    /// Whether who asks may answer it; left out in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub may_answer: Option<Allowed>,
}

/// Whether somebody may do something now.
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
    /// The clusters that it speaks to.
    pub kube: Vec<String>,
    pub status: String,
    pub is_driven: bool,
    /// Why it can't be driven on.
    pub trouble: Option<String>,
    /// The lock that it waits for, and who holds that.
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
    /// What who asks may do with it: `cancel`, `resume`, `undo`.
    pub allowed: BTreeMap<String, Allowed>,
    /// How many events this was made of: the `seq` of the next one.
    pub events: u64,
}

/// One execution of a step.
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
    /// How many calls it made.
    pub effects: usize,
}

/// Why something failed.
#[derive(Serialize, ToSchema)]
pub struct ErrorItem {
    pub step: Option<String>,
    pub code: String,
    pub message: String,
    pub file: Option<String>,
    pub line: Option<usize>,
    pub column: Option<usize>,
    pub hint: Option<String>,
    /// The request id of AWS, for a support case.
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
    /// `read`, `keyed`, `found`, `unsure`.
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
    /// What chains it to the one before.
    pub digest: String,
    pub event: Json,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AnswerBody {
    #[schema(value_type = String)]
    pub step: InstanceId,
    /// Of the question that was looked at; without it, the answer is to whatever is asked now.
    #[serde(default)]
    pub digest: Option<String>,
    #[serde(default)]
    pub comment: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub struct UndoPlan {
    /// As `windlass undo --plan --json` prints them.
    pub items: Json,
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
            is_secret: is_secret(&param.ty),
            one_of: limits.one_of.iter().map(Value::to_json).collect(),
            min: json(&limits.min),
            max: json(&limits.max),
        }
    }
}

/// Says whether what is given for a param of this type never comes back.
pub fn is_secret(ty: &Type) -> bool {
    match ty {
        Type::Secret => true,
        Type::Optional(inner) => is_secret(inner),
        _ => false,
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
