//! Creates a test from a run that has ended: the answers of the outside, and how the run ended.

use std::fmt::Write;

use serde_json::Value as Json;

use super::{
    accounts::Accounts,
    judge::flow,
    named::{also_known, named, request_of},
};
use crate::{
    compile::{Workflow, answer_of},
    execute::{self, Undone},
    journal::{EffectOutcome, EffectState, Instance, RunInfo, State, Verdict},
    script::{function, leaves},
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

/// Writes a test of a run. `file` is the workflow's file, relative to the folder of the test file.
pub fn record(
    name: &str,
    file: &str,
    workflow: &Workflow,
    info: &RunInfo,
    state: &State,
) -> Recorded {
    let mut writer = Writer {
        out: &info.out,
        accounts: Accounts::default(),
        secrets: 0,
    };
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
    if let Value::Map(params) = &info.params
        && !params.is_empty()
    {
        line(format!("params: {}", flow(&writer.value(&info.params))));
    }
    line(format!("requester: {}", Json::from(info.requester.clone())));
    let answers = state.steps.iter().filter_map(|(id, step)| {
        let answer = step.approval.as_ref()?.answer.as_ref()?;
        let verdict = match answer.verdict {
            Verdict::Approved => "approve",
            Verdict::Rejected => "reject",
        };
        Some(format!(
            "  {}: {{ by: {}, answer: {verdict} }}",
            Json::from(id.as_str()),
            Json::from(answer.approver.clone())
        ))
    });
    let answers: Vec<_> = answers.collect();
    if !answers.is_empty() {
        line("approvals:".into());
        answers.into_iter().for_each(&mut line);
    }
    let mut effects: Vec<_> = state
        .steps
        .values()
        .flat_map(Instance::rounds)
        .flat_map(|round| round.effects)
        .collect();
    effects.retain(|effect| leaves(&effect.call.function));
    effects.sort_by_key(|effect| effect.at);
    if !effects.is_empty() {
        line("given:".into());
    }
    for effect in &effects {
        writer.given(effect).into_iter().for_each(&mut line);
    }
    line("expect:".into());
    let status = state.outcome.map_or("waiting", |outcome| outcome.as_str());
    line(format!("  status: {status}"));
    let undone = execute::undone(workflow, state).into_iter();
    let undone: Vec<_> = undone
        .filter(|(_, reached)| *reached != Undone::Nothing)
        .map(|(id, _)| Json::from(id.as_str()))
        .collect();
    if !undone.is_empty() {
        line(format!("  undone: {}", flow(&Json::from(undone))));
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

struct Writer<'a> {
    /// The folder to which scripts wrote.
    out: &'a str,
    accounts: Accounts,
    secrets: usize,
}

impl Writer<'_> {
    /// Returns the lines of one answer; none for a call in doubt.
    fn given(&mut self, effect: &EffectState) -> Vec<String> {
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
        // The undo of a call does not describe the call itself, and null counts as not given.
        arguments.retain(|name, value| {
            !matches!(name.as_str(), "undo" | "restarted" | "at") && *value != Value::Null
        });
        let pattern = self.pattern(Value::Map(arguments).to_json());
        let first = format!("  - {known}: {}", flow(&pattern));
        match &effect.outcome {
            Some(EffectOutcome::Done(value)) => {
                let mut lines = vec![first];
                let value = match is_undo {
                    true => Value::map::<String>([]),
                    false => value.clone(),
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
            Some(EffectOutcome::NotDone) | None => Vec::new(),
        }
    }

    /// Returns a value of the run in the form of the test, with stand-ins for secrets.
    fn value(&mut self, value: &Value) -> Json {
        match value {
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
