//! Describes the keys of a workflow file. The reader's checks, the JSON Schema and the reference page come from this one
//! description.

use super::{
    approval::ON_TIMEOUT,
    draft::{ON_ERROR, ON_FAILURE},
    retry::MOST_ATTEMPTS,
    trigger::CATCH_UP,
};
use windlass_ground::words;

/// A map of the file whose keys are known.
pub struct Section {
    /// `workflow`, `step`, `param`, `retry`.
    pub name: &'static str,
    /// One line of documentation.
    pub about: &'static str,
    /// The keys, in the order of the reference page.
    pub keys: &'static [FileKey],
}

/// One key of a map.
pub struct FileKey {
    pub name: &'static str,
    pub form: Form,
    pub is_required: bool,
    /// The default, as it is written in the file.
    pub default: Option<&'static str>,
    /// One line of documentation, or a few sentences.
    pub about: &'static str,
    /// An example, as it is written in the file.
    pub example: &'static str,
    /// Another key of the same map, without which this key is not allowed.
    pub only_with: Option<&'static str>,
    /// The names of this key in other tools.
    pub other_names: &'static [&'static str],
}

/// The values that a key accepts.
#[derive(Clone, Copy)]
pub enum Form {
    Text,
    Flag,
    /// `30s`, `5m`, `365d`.
    Duration,
    /// A whole number from 1 to this.
    Count(i64),
    /// A whole number from the first to the last of these.
    Between(i64, i64),
    /// One of these words.
    Words(&'static [&'static str]),
    /// Any value; texts in it may hold expressions.
    Template,
    /// `true`, `false`, or one expression.
    Condition,
    /// A list, a map, or one expression.
    Items,
    /// A text, or a list of texts.
    Names,
    /// The name of a type.
    Type,
    /// Any value without expressions.
    Value,
    /// A list of values without expressions.
    Values,
    /// A number or a duration.
    Limit,
    /// `1s..30s`.
    Backoff,
    /// A class of failures, or a list of them.
    Classes,
    /// A map with these keys.
    Section(&'static Section),
    /// A list of maps with these keys.
    Sections(&'static Section),
    /// A map from names to values, in which texts may hold expressions.
    Templates,
    /// A map from names to params; a param may also be the name of its type.
    Params,
    /// A map from names to phases.
    Phases,
    /// A map from names to steps.
    Steps,
}

pub(super) const fn key(
    name: &'static str,
    form: Form,
    about: &'static str,
    example: &'static str,
) -> FileKey {
    FileKey {
        name,
        form,
        is_required: false,
        default: None,
        about,
        example,
        only_with: None,
        other_names: &[],
    }
}

impl FileKey {
    pub(super) const fn required(self) -> Self {
        Self {
            is_required: true,
            ..self
        }
    }

    pub(super) const fn or(self, default: &'static str) -> Self {
        Self {
            default: Some(default),
            ..self
        }
    }

    const fn with(self, key: &'static str) -> Self {
        Self {
            only_with: Some(key),
            ..self
        }
    }

    const fn elsewhere(self, other_names: &'static [&'static str]) -> Self {
        Self {
            other_names,
            ..self
        }
    }
}

/// The largest number of items, and of runs, at once.
pub const MOST_PARALLEL: i64 = 10_000;

const ON_FAILURE_WORDS: [&str; 2] = words(&ON_FAILURE);
const ON_TIMEOUT_WORDS: [&str; 2] = words(&ON_TIMEOUT);
const ON_ERROR_WORDS: [&str; 2] = words(&ON_ERROR);
const CATCH_UP_WORDS: [&str; 2] = words(&CATCH_UP);

pub static WORKFLOW: Section = Section {
    name: "workflow",
    about: "A workflow file.",
    keys: &[
        key("workflow", Form::Text, "The workflow's name.", "workflow: gloo-mesh")
            .required()
            .elsewhere(&["name"]),
        key("description", Form::Text, "A description for people.", "description: Certificates for Gloo Mesh"),
        key(
            "params",
            Form::Params,
            "The params of a run: name → param.",
            "params: { clusters: { type: list(string), default: [cluster-1] } }",
        )
        .elsewhere(&["inputs", "args", "arguments", "parameters", "variables", "vars"]),
        key(
            "lock",
            Form::Template,
            "The name of a lock. One run at a time holds it, of those in the same state folder or on the same Restate server; the others wait and show which run holds it.",
            "lock: mesh-${{ params.mesh }}",
        ),
        key(
            "kube",
            Form::Template,
            "The Kubernetes clusters that the workflow uses, by their roles in the target.",
            "kube: [mgmt, \"${{ params.cluster }}\"]",
        ),
        key("concurrency", Form::Count(MOST_PARALLEL), "The maximum number of runs of this workflow at once.", "concurrency: 2"),
        key(
            "on_failure",
            Form::Words(&ON_FAILURE_WORDS),
            "`undo`: a run that fails reverses what it did. `stop`: it does not. A run is undone as a whole, so only the outermost workflow's counts.",
            "on_failure: undo",
        )
        .or("stop"),
        key(
            "phases",
            Form::Phases,
            "The phases of a run, in order: name → phase. A phase begins after all steps of the phases before it have ended.",
            "phases: { trust: { description: Everybody trusts both roots. } }",
        ),
        key(
            "triggers",
            Form::Sections(&TRIGGER),
            "What starts the workflow automatically while `windlass serve` runs.",
            "triggers: [{ schedule: \"0 3 * * SUN\", time_zone: Europe/Berlin, target: prod }]",
        )
        .elsewhere(&["on", "schedule", "schedules", "cron"]),
        key(
            "steps",
            Form::Steps,
            "The steps: name → step. A name is lower case with `_`, and not a word that Rhai reserves (`go`, `in`, `match`, …).",
            "steps: { greet: { run: log::info(\"hello\") } }",
        )
        .required()
        .elsewhere(&["jobs", "tasks"]),
        key(
            "finally",
            Form::Steps,
            "Steps that run after all others, even if those failed or were cancelled. `run.status` is `succeeded`, `failed` or `cancelled` there.",
            "finally: { tell: { script: tell.rhai } }",
        )
        .elsewhere(&["always", "cleanup", "on_exit", "onExit", "post"]),
        key(
            "outputs",
            Form::Templates,
            "The outputs of a run that has succeeded: name → value.",
            "outputs: { arn: \"${{ steps.root_ca.arn }}\" }",
        ),
    ],
};

pub static STEP: Section = Section {
    name: "step",
    about: "A step. It has one of `script`, `run`, `workflow` and `approval`.",
    keys: &[
        key("description", Form::Text, "A description for people.", "description: Sign the request"),
        key("phase", Form::Text, "The phase that it belongs to, one of the workflow's `phases`.", "phase: trust"),
        key("script", Form::Text, "A script with `fn run(inputs)`.", "script: steps/create_ca.rhai"),
        key(
            "run",
            Form::Text,
            "The script itself, if it is short. `inputs` has the values of `with`; the last value is a map of the outputs.",
            "run: log::info(\"hello\")",
        )
        .elsewhere(&["cmd", "code", "command", "shell"]),
        key("workflow", Form::Text, "A nested workflow; `with` sets its params.", "workflow: relay_client.yaml"),
        key(
            "approval",
            Form::Template,
            "A question. The run waits for an answer.",
            "approval: \"Restart ${{ params.clusters.len() }} clusters?\"",
        ),
        key(
            "approvers",
            Form::Template,
            "Who may answer: a list of names. By default, everyone may.",
            "approvers: [alice, bob]",
        )
        .with("approval"),
        key(
            "not_requester",
            Form::Flag,
            "Does not accept an answer of a person who started the run or changed what it does.",
            "not_requester: true",
        )
        .with("approval")
        .or("false"),
        key("on_timeout", Form::Words(&ON_TIMEOUT_WORDS), "The answer after the `timeout`.", "on_timeout: approve")
            .with("approval")
            .or("reject"),
        key("with", Form::Templates, "The inputs: name → value.", "with: { ca: \"${{ steps.root_ca.arn }}\" }")
            .elsewhere(&["inputs", "args", "arguments", "env", "params", "parameters", "vars"]),
        key("needs", Form::Names, "Steps that must end before this one, although it does not read their outputs.", "needs: [root_cert]")
            .elsewhere(&["after", "dependencies", "depends_on", "dependsOn", "requires"]),
        key(
            "when",
            Form::Condition,
            "If it is false, the step and all its items are skipped. A step that depends only on skipped steps is skipped as well.",
            "when: ${{ target.kube }}",
        )
        .elsewhere(&["condition", "if", "only_if"]),
        key(
            "for_each",
            Form::Items,
            "Runs the step once for each item, as `item` (of a map: `item.key`, `item.value`). Its outputs are a map by item.",
            "for_each: ${{ params.clusters }}",
        )
        .elsewhere(&["each", "foreach", "forEach", "items", "loop", "matrix", "with_items"]),
        key(
            "key",
            Form::Template,
            "The name of an item, as in `STEP[NAME]`. By default, a string, int or bool is its own name, an entry of a map has its key, and any other item has its position.",
            "key: ${{ item.name }}",
        ),
        key("max_parallel", Form::Count(MOST_PARALLEL), "The maximum number of items that run at once. By default, all.", "max_parallel: 4")
            .elsewhere(&["concurrency", "max-parallel", "maxParallel", "parallelism"]),
        key(
            "fail_fast",
            Form::Flag,
            "After an item has failed, no other item starts. Items that are running continue.",
            "fail_fast: true",
        )
        .or("false"),
        key("retry", Form::Section(&RETRY), "Retries the step after a failure.", "retry: { attempts: 5, backoff: 1s..30s }")
            .elsewhere(&["attempts", "retries", "retry_policy", "retryPolicy", "retryStrategy"]),
        key("timeout", Form::Duration, "How long one attempt may take, or how long a question waits.", "timeout: 5m")
            .elsewhere(&["deadline", "timeout_minutes", "timeout-minutes", "timeout_seconds", "timeoutSeconds"]),
        key(
            "on_error",
            Form::Words(&ON_ERROR_WORDS),
            "`continue`: if the step fails, the run does not fail, and steps that depend on it run and read `()` as its outputs, of a `for_each` the outputs of the items that succeeded.",
            "on_error: continue",
        )
        .or("fail")
        .elsewhere(&["allow_failure", "continue_on_error", "continue-on-error", "continueOnError", "ignore_errors"]),
        key(
            "fresh",
            Form::Flag,
            "For a step that verifies: when it runs again, it reads again instead of replaying its recorded calls. It may only read.",
            "fresh: true",
        )
        .or("false"),
        key(
            "lock",
            Form::Template,
            "The name of a lock. One instance at a time holds it, across all runs. Steps inside the holder do not wait for it.",
            "lock: istiod-${{ item }}",
        ),
    ],
};

pub static PARAM: Section = Section {
    name: "param",
    about: "A param of a workflow. `name: string` is short for `name: { type: string }`.",
    keys: &[
        key(
            "type",
            Form::Type,
            "`string`, `bytes`, `int`, `float`, `bool`, `duration`, `secret`, `any`, `list`, `list(T)`, `map` or `map(T)`; a `?` after it also allows `()`.",
            "type: list(string)",
        )
        .required(),
        key("description", Form::Text, "A description for people.", "description: Workload clusters"),
        key("one_of", Form::Values, "The allowed values; for a list or a map, those of each item.", "one_of: [blue, green]"),
        key("none_of", Form::Values, "Values that are not allowed; for a list or a map, for each item.", "none_of: [root]"),
        key("min", Form::Limit, "The minimum; for a list or a map, that of each item.", "min: 1h"),
        key("max", Form::Limit, "The maximum; for a list or a map, that of each item.", "max: 90d"),
        key("default", Form::Value, "The value if none is given.", "default: [cluster-1]"),
    ],
};

pub static RETRY: Section = Section {
    name: "retry",
    about: "How a step is retried.",
    keys: &[
        key(
            "attempts",
            Form::Count(MOST_ATTEMPTS),
            "The maximum number of attempts, including the first.",
            "attempts: 5",
        )
        .or("1"),
        key(
            "backoff",
            Form::Backoff,
            "The shortest and the longest pause between attempts. The pause doubles each time, and is shortened by a random part of up to one half.",
            "backoff: 1s..30s",
        ),
        key(
            "on",
            Form::Classes,
            "The failures to retry: `throttled`, `timeout`, `unavailable`, `conflict`, `denied`, `rejected`, or `any`. By default, all except `rejected` and `denied`.",
            "on: [throttled, timeout]",
        ),
    ],
};

pub static PHASE: Section = Section {
    name: "phase",
    about: "A phase of a run, which the plan shows. All of its keys are for people.",
    keys: &[
        key(
            "description",
            Form::Text,
            "What happens in the phase.",
            "description: Everybody learns to trust the new root.",
        ),
        key(
            "replaces",
            Form::Template,
            "What the phase replaces, and with what: a list of maps with `object`, `cluster`, `now`, `then` and `restarts`. An entry of `now` or `then` is a string, or a certificate as a map with `subject`, `issuer`, `serial`, `not_after` and `validity`. A plan shows it if it depends only on steps that change nothing.",
            "replaces: [{ cluster: mgmt, object: secret/ca, now: [CN=CA], then: [CN=CA G2], restarts: [deployment/server] }]",
        ),
        key(
            "after",
            Form::Text,
            "What is true after the phase.",
            "after: Everybody trusts both roots.",
        ),
        key(
            "undo",
            Form::Text,
            "What an undo of the phase does.",
            "undo: The former bundles are put back.",
        ),
    ],
};

pub static TRIGGER: Section = Section {
    name: "trigger",
    about: "Starts a workflow automatically. It has one of `schedule`, `when_due` and `webhook`.",
    keys: &[
        key(
            "schedule",
            Form::Text,
            "When to start, as a cron pattern: minute, hour, day of the month, month, day of the week. A time that daylight saving skips or repeats starts the workflow once.",
            "schedule: \"0 3 * * SUN\"",
        )
        .elsewhere(&["cron"]),
        key("time_zone", Form::Text, "The time zone of the schedule, a name of the IANA database.", "time_zone: Europe/Berlin")
            .with("schedule")
            .or("UTC")
            .elsewhere(&["timezone", "tz"]),
        key(
            "when_due",
            Form::Duration,
            "How long before the expiry of a certificate to start. Only certificates count that this workflow (or one of `issued_by`) issued on the trigger's target, and that are in use.",
            "when_due: 30d",
        ),
        key(
            "issued_by",
            Form::Names,
            "The other workflows whose certificates count, where they issue what this one renews.",
            "issued_by: [gloo-mesh, add-cluster, rotate-root]",
        )
        .with("when_due"),
        key(
            "webhook",
            Form::Text,
            "The name of a hook: a request to `POST /hooks/NAME` that is signed with the hook's secret starts a run.",
            "webhook: deploys",
        ),
        key("name", Form::Text, "The name of the trigger. By default, `schedule`, `when_due` or the webhook's name.", "name: nightly"),
        key("target", Form::Text, "The target of the run.", "target: prod").or("local"),
        key(
            "params",
            Form::Templates,
            "The params of the run: name → value. Expressions of a webhook's params read `body`, the JSON of the request, and `headers`.",
            "params: { clusters: [east, west] }",
        )
        .elsewhere(&["inputs", "with"]),
        key(
            "catch_up",
            Form::Words(&CATCH_UP_WORDS),
            "What happens to starts that were missed while no server ran: `once` starts one run for all of them.",
            "catch_up: none",
        )
        .with("schedule")
        .or("once"),
    ],
};

/// All maps of the file that have known keys.
pub static SECTIONS: [&Section; 6] = [&WORKFLOW, &STEP, &PARAM, &RETRY, &PHASE, &TRIGGER];

impl Section {
    pub fn key(&self, name: &str) -> Option<&'static FileKey> {
        self.keys.iter().find(|key| key.name == name)
    }
}
