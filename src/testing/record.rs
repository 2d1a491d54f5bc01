//! Creates a test from a run that has ended: the answers of the outside, and how the run ended.

use std::{fmt::Write, time::Duration};

use serde_json::Value as Json;

use super::{
    accounts::Accounts,
    anew::Anew,
    judge::flow,
    named::{also_known, named, request_of},
    stage::is_embedded,
};
use crate::{
    compile::{Workflow, answer_of, takes},
    execute::{self, Undone},
    journal::{EffectOutcome, EffectState, Instance, Outcome, RunId, RunInfo, State, Verdict},
    script::{Class, function, leaves},
    targets::LOCAL,
    value::{Failure, MASK, Value},
};

/// A test file, and the list of its stand-ins.
pub struct Recorded {
    pub text: String,
    /// What was replaced, for people: `1 secret`, `the account 123456789012`.
    pub replaced: Vec<String>,
}

/// The stand-in for a secret.
const SECRET: &str = "a-secret";

/// How the digest of a secret begins that an argument has in its place.
const DIGEST: &str = "sha256:";
/// A test whose run took longer than this says how long it may take: half of what a test has by itself.
const QUICK: Duration = Duration::from_secs(30);

/// A run on the embedded servers that came before the one that is recorded.
pub struct Earlier {
    /// Its workflow's file, from the folder of the test file.
    pub file: String,
    pub info: RunInfo,
    pub state: State,
}

/// Whether the embedded servers answered calls of a run. The test of such a run asks them again: the certificates and keys
/// that a run makes are others each time, so that recorded answers would not fit its calls.
pub fn uses_servers(info: &RunInfo, state: &State) -> bool {
    info.target == LOCAL && effects(state).any(is_answered)
}

/// Whether a run changed what the embedded servers have.
fn changes_servers(earlier: &Earlier) -> bool {
    let mut effects = effects(&earlier.state);
    effects.any(|effect| effect.call.class != Class::Read && is_answered(effect))
}

fn is_answered(effect: &EffectState) -> bool {
    let arguments = Value::parse_json(&effect.call.arguments.to_string()).unwrap_or_default();
    is_embedded(&effect.call.function, &arguments)
}

fn effects(state: &State) -> impl Iterator<Item = &EffectState> {
    let rounds = state.steps.values().flat_map(Instance::rounds);
    rounds.flat_map(|round| round.effects)
}

/// Lists the effects since each step last began from its start: a test makes no others.
fn last_effects(state: &State) -> impl Iterator<Item = &EffectState> {
    let rounds = state.steps.values().flat_map(|instance| {
        let rounds = instance.rounds();
        rounds.filter(move |round| round.number == instance.round)
    });
    rounds.flat_map(|round| round.effects)
}

/// Writes a test of a run. `file` is the workflow's, from the folder of the test file; `earlier` are the runs that succeeded
/// before it, the oldest first.
pub fn record(
    name: &str,
    file: &str,
    workflow: &Workflow,
    (id, info, state): (&RunId, &RunInfo, &State),
    earlier: &[Earlier],
) -> Recorded {
    let mut writer = Writer {
        id,
        out: &info.out,
        accounts: Accounts::default(),
        secrets: 0,
    };
    let is_local = uses_servers(info, state);
    let earlier: Vec<_> = earlier.iter().filter(|one| changes_servers(one)).collect();
    let earlier = if is_local { &earlier[..] } else { &[] };
    let head = format!(
        "workflow: {}\ntests:\n  {}:\n",
        Json::from(file),
        Json::from(name)
    );
    let mut text = String::new();
    // Writing to a String can't fail.
    let mut line = |text_line: String| {
        let _ = writeln!(text, "    {text_line}");
    };
    if is_local {
        line("target: local".into());
    }
    if let Some(limit) = limit(info, state).filter(|_| is_local) {
        line(format!("timeout: {limit}"));
    }
    if !earlier.is_empty() {
        line("before:".into());
    }
    for (number, run) in earlier.iter().enumerate() {
        line(format!("  - workflow: {}", Json::from(run.file.clone())));
        if let Some(params) = writer.params(&run.info, &earlier[..number]) {
            line(format!("    params: {params}"));
        }
        let answers = answers(&run.state);
        if !answers.is_empty() {
            line(format!("    approvals: {{ {} }}", answers.join(", ")));
        }
    }
    if let Some(params) = writer.params(info, earlier) {
        line(format!("params: {params}"));
    }
    line(format!("requester: {}", Json::from(info.requester.clone())));
    let answers = answers(state);
    if !answers.is_empty() {
        line("approvals:".into());
        (answers.iter()).for_each(|answer| line(format!("  {answer}")));
    }
    if is_undone(state) {
        line("undo: true".into());
    }
    let mut effects: Vec<_> = last_effects(state).collect();
    effects.retain(|effect| leaves(&effect.call.function) && !(is_local && is_answered(effect)));
    effects.sort_by_key(|effect| effect.at);
    let given: Vec<_> = effects.iter().filter_map(|e| writer.given(e)).collect();
    if !given.is_empty() {
        line("given:".into());
    }
    for (number, (function, lines)) in given.iter().enumerate() {
        lines.iter().cloned().for_each(&mut line);
        // Its pattern may also match a later call, which had another answer.
        if given[number + 1..]
            .iter()
            .any(|(later, _)| later == function)
        {
            line("    times: 1".into());
        }
    }
    line("expect:".into());
    let status = state.outcome.map_or("waiting", |outcome| outcome.as_str());
    line(format!("  status: {status}"));
    let reached = execute::undone(workflow, state);
    for (key, but) in [("undone", Undone::Nothing), ("stays", Undone::Whole)] {
        let steps = reached.iter().filter(|(_, reached)| **reached != but);
        let steps: Vec<_> = steps.map(|(id, _)| Json::from(id.as_str())).collect();
        if !steps.is_empty() {
            line(format!("  {key}: {}", flow(&Json::from(steps))));
        }
    }
    let is_asked_again =
        |effect: &EffectState| Anew::is_made(effect) || is_local && is_answered(effect);
    let anew = Anew::of(last_effects(state), &info.params, is_asked_again);
    if let Some(outputs) = writer.outputs(&state.outputs, &anew) {
        line(format!("  outputs: {}", flow(&outputs)));
    }
    line("  steps:".into());
    for (id, step) in state.steps.iter().filter(|(id, _)| id.undone().is_none()) {
        line(format!(
            "    {}: {}",
            Json::from(id.as_str()),
            step.status.as_str()
        ));
    }
    // All accounts, including those in the steps' items, are only known now.
    let (text, accounts) = writer.accounts.replaced(&text);
    let accounts = accounts
        .iter()
        .map(|account| format!("the account {account}"));
    Recorded {
        text: format!("{head}{text}"),
        replaced: writer
            .secrets_replaced()
            .into_iter()
            .chain(accounts)
            .collect(),
    }
}

/// Whether somebody undid the run. One that reverses what it did because it failed ends once.
fn is_undone(state: &State) -> bool {
    matches!(state.outcome, Some(Outcome::Undone | Outcome::UndoFailed)) && state.ends > 1
}

/// Returns how long a test may take whose run took long: three times as long, in whole minutes.
fn limit(info: &RunInfo, state: &State) -> Option<String> {
    let last = effects(state).map(|effect| effect.at).max()?;
    let took = u64::try_from(last.millis_since(info.started_at)).unwrap_or(0);
    let is_long = Duration::from_millis(took) > QUICK;
    is_long.then(|| format!("{}m", (3 * took).div_ceil(60_000)))
}

/// Returns who answered which question, and how.
fn answers(state: &State) -> Vec<String> {
    let answers = state.steps.iter().filter_map(|(id, step)| {
        let asked = step.approval.as_ref()?;
        let answer = asked.answer.as_ref()?;
        let step = Json::from(id.as_str());
        if asked.has_expired(answer.at) {
            return Some(format!("{step}: {{ answer: none }}"));
        }
        let verdict = match answer.verdict {
            Verdict::Approved => "approve",
            Verdict::Rejected => "reject",
        };
        Some(format!(
            "{step}: {{ by: {}, answer: {verdict} }}",
            Json::from(answer.approver.clone())
        ))
    });
    answers.collect()
}

/// Returns the name of the output that a value is, if runs give it. Of outputs with the same name, a test has the last.
fn output_of<'a>(value: &Value, earlier: &[&'a Earlier]) -> Option<&'a str> {
    let is_name = |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let is_arn = value.as_str().is_some_and(|text| text.starts_with("arn:"));
    if !is_arn {
        return None;
    }
    let outputs = |run: &&'a Earlier| run.state.outputs.as_map();
    let all = earlier.iter().filter_map(outputs);
    let mut found = all.flat_map(|map| map.iter().filter(|(_, output)| *output == value));
    let (name, _) = found.find(|(name, _)| {
        let mut last = earlier.iter().rev().filter_map(outputs);
        is_name(name) && last.find_map(|map| map.get(*name)) == Some(value)
    })?;
    Some(name)
}

/// Returns an output as JSON in which secrets are masked; `None` for one with bytes, which no text of a test matches.
fn expected(value: &Value) -> Option<Json> {
    Some(match value {
        Value::Bytes(_) => return None,
        Value::Secret(_) | Value::Reference(_) => MASK.into(),
        Value::List(items) => items.iter().map(expected).collect::<Option<_>>()?,
        Value::Map(map) => {
            // An entry that a pattern leaves out may be anything.
            let entries = map.iter();
            let entries = entries.filter_map(|(key, item)| Some((key.clone(), expected(item)?)));
            Json::Object(entries.collect())
        }
        other => other.to_json(),
    })
}

/// Whether a Secret's value is recorded as its digest: a test has another secret in its place.
fn is_digest(value: &Json) -> bool {
    value.as_str().is_some_and(|text| text.starts_with(DIGEST))
}

/// Whether a text has nothing but certificates, which are public wherever they are kept.
fn is_certificates(text: &str) -> bool {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    const END: &str = "-----END CERTIFICATE-----";
    let mut rest = text.trim();
    while let Some(block) = rest.strip_prefix(BEGIN) {
        match block.split_once(END) {
            Some((body, after)) if !body.contains("-----") => rest = after.trim_start(),
            _ => return false,
        }
    }
    rest.is_empty() && text.contains(BEGIN)
}

struct Writer<'a> {
    /// The run has another id in each test.
    id: &'a RunId,
    /// The folder to which scripts wrote.
    out: &'a str,
    accounts: Accounts,
    secrets: usize,
}

impl Writer<'_> {
    /// Returns the params of a run; the ARNs that earlier runs gave are others in the test.
    fn params(&mut self, info: &RunInfo, earlier: &[&Earlier]) -> Option<String> {
        let Value::Map(params) = &info.params else {
            return None;
        };
        let params = params.iter().map(|(name, value)| {
            let value = match output_of(value, earlier) {
                Some(output) => format!("${{{{ before.{output} }}}}").into(),
                None => self.value(value),
            };
            (name.clone(), value)
        });
        let params: serde_json::Map<_, _> = params.collect();
        (!params.is_empty()).then(|| flow(&params.into()))
    }

    /// Returns the function of a call and the lines of its answer; `None` if its end is not known.
    fn given(&mut self, effect: &EffectState) -> Option<(String, Vec<String>)> {
        let recorded = Value::parse_json(&effect.call.arguments.to_string()).unwrap_or_default();
        let called = &effect.call.function;
        let request = request_of(called, &recorded);
        let is_undo = function(called).is_none();
        let mut arguments = request.unwrap_or_else(|| named(called, &recorded));
        let known = also_known(called, &arguments).unwrap_or_else(|| called.clone());
        if known != *called {
            // It is part of the function's name.
            arguments.remove("method");
        }
        // What would reverse a call says nothing of what is called; nothing is not given. Some calls record more than they take.
        arguments.retain(|name, value| {
            let is_said = !matches!(name.as_str(), "undo" | "restarted" | "at");
            is_said && *value != Value::Null && takes(&known, name)
        });
        let mut pattern = self.pattern(Value::Map(arguments).to_json());
        if called.starts_with("kube::")
            && let Some(Json::Object(data)) = pattern.get_mut("data")
        {
            let digests = data.values_mut().filter(|value| is_digest(value));
            digests.for_each(|value| *value = "*".into());
        }
        let first = format!("  - {known}: {}", flow(&pattern));
        let lines = match &effect.outcome {
            Some(EffectOutcome::Done(value)) => {
                let mut lines = vec![first];
                let value = if is_undo {
                    Value::map::<String>([])
                } else {
                    value.clone()
                };
                if let Some(value) = answer_of(&known, value) {
                    lines.push(format!("    gives: {}", flow(&self.value(&value))));
                }
                lines
            }
            Some(EffectOutcome::Failed(failure)) if failure.may_be_done() => {
                vec![first, "    lose: true".into()]
            }
            Some(EffectOutcome::Failed(failure)) => {
                let Failure {
                    class,
                    code,
                    message,
                    ..
                } = failure;
                let (code, message) = (Json::from(code.as_str()), Json::from(self.seen(message)));
                vec![
                    first,
                    format!("    fails: {{ class: {class}, code: {code}, message: {message} }}"),
                ]
            }
            Some(EffectOutcome::NotDone) | None => return None,
        };
        Some((known, lines))
    }

    /// Returns what a test expects of the run's outputs. What it can't know matches anything.
    fn outputs(&mut self, outputs: &Value, anew: &Anew) -> Option<Json> {
        let outputs = outputs.as_map()?.iter().filter_map(|(name, value)| {
            let pattern = self.pattern(expected(value)?);
            Some((name.clone(), anew.pattern(pattern)))
        });
        let outputs: serde_json::Map<_, _> = outputs.collect();
        (!outputs.is_empty()).then(|| outputs.into())
    }

    /// Returns a value of the run in the form of the test, with stand-ins for secrets.
    fn value(&mut self, value: &Value) -> Json {
        match value {
            Value::Secret(secret) if is_certificates(secret.reveal()) => secret.reveal().into(),
            Value::Secret(_) | Value::Reference(_) => {
                self.secrets += 1;
                SECRET.into()
            }
            Value::List(items) => items.iter().map(|item| self.value(item)).collect(),
            Value::Map(map) => {
                let entries = map.iter().map(|(key, item)| {
                    let item = self.value(item);
                    self.accounts.see_field(key, &item);
                    (key.clone(), item)
                });
                entries.collect::<serde_json::Map<_, _>>().into()
            }
            Value::String(text) => self.seen(text).into(),
            other => other.to_json(),
        }
    }

    /// Returns the pattern for a recorded argument: parts that were cut or masked match any text.
    fn pattern(&mut self, json: Json) -> Json {
        match json {
            Json::String(text) => {
                let text = self.seen(&text.replace('*', "\\*"));
                let text = text.replace(self.out, "*").replace(MASK, "*");
                let text = text.replace(self.id.as_str(), "*");
                match text.rfind("… (").filter(|_| text.ends_with(" bytes)")) {
                    Some(at) => format!("{}*", &text[..at]).into(),
                    None => text.into(),
                }
            }
            Json::Array(items) => items.into_iter().map(|item| self.pattern(item)).collect(),
            Json::Object(map) => {
                let entries = map.into_iter().map(|(key, item)| {
                    let item = self.pattern(item);
                    self.accounts.see_field(&key, &item);
                    (key, item)
                });
                entries.collect::<serde_json::Map<_, _>>().into()
            }
            other => other,
        }
    }

    /// Returns a text after recording the accounts in it.
    fn seen(&mut self, text: &str) -> String {
        self.accounts.see(text);
        text.to_owned()
    }

    fn secrets_replaced(&self) -> Option<String> {
        match self.secrets {
            0 => None,
            1 => Some("1 secret".to_owned()),
            n => Some(format!("{n} secrets")),
        }
    }
}
