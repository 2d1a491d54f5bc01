//! A test of a run that has ended: what the outside answered then, and how the run ended.

use std::{collections::BTreeSet, fmt::Write};

use serde_json::Value as Json;

use super::{
    judge::flow,
    named::{also_known, named},
    stage::is_outside,
};
use crate::{
    compile::{Workflow, answer_of},
    execute::{self, Undone},
    journal::{EffectOutcome, EffectState, Instance, RunInfo, State, Verdict},
    value::{Failure, MASK, Value},
};

/// A test file, and what stands in it in place of what the run had.
pub struct Recorded {
    pub text: String,
    /// For people: `1 secret`, `the account 123456789012`.
    pub replaced: Vec<String>,
}

/// What a test has in place of an AWS account: AWS's own documentation uses it.
const ACCOUNT: &str = "111122223333";
/// What a test has in place of a secret.
const SECRET: &str = "a-secret";

/// Writes a test of a run. `file` is the workflow's, from the folder of the test file.
pub fn record(
    name: &str,
    file: &str,
    workflow: &Workflow,
    info: &RunInfo,
    state: &State,
) -> Recorded {
    let mut writer = Writer {
        out: &info.out,
        accounts: BTreeSet::new(),
        secrets: 0,
    };
    let mut text = format!(
        "workflow: {}\ntests:\n  {}:\n",
        Json::from(file),
        Json::from(name)
    );
    // A text never fails to be written to.
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
    effects.retain(|effect| is_outside(&effect.call.function));
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
    Recorded {
        text,
        replaced: writer.replaced(),
    }
}

struct Writer<'a> {
    /// The folder that scripts wrote to.
    out: &'a str,
    accounts: BTreeSet<String>,
    secrets: usize,
}

impl Writer<'_> {
    /// The lines of one answer; none for a call whose end is not known.
    fn given(&mut self, effect: &EffectState) -> Vec<String> {
        let recorded = Value::parse_json(&effect.call.arguments.to_string()).unwrap_or_default();
        let mut arguments = named(&effect.call.function, &recorded);
        let function = also_known(&effect.call.function, &arguments);
        let function = function.unwrap_or_else(|| effect.call.function.clone());
        // What would reverse a call says nothing of what is called; nothing is not given.
        arguments.retain(|name, value| {
            !matches!(name.as_str(), "undo" | "restarted" | "at") && *value != Value::Null
        });
        let pattern = self.pattern(Value::Map(arguments).to_json());
        let first = format!("  - {function}: {}", flow(&pattern));
        match &effect.outcome {
            Some(EffectOutcome::Done(value)) => {
                let mut lines = vec![first];
                if let Some(value) = answer_of(&function, value.clone()) {
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
                let (code, message) = (
                    Json::from(code.as_str()),
                    Json::from(self.redacted(message)),
                );
                vec![
                    first,
                    format!("    fails: {{ class: {class}, code: {code}, message: {message} }}"),
                ]
            }
            Some(EffectOutcome::NotDone) | None => Vec::new(),
        }
    }

    /// A value of the run as the test has it: secrets are stand-ins.
    fn value(&mut self, value: &Value) -> Json {
        match value {
            Value::Secret(_) => {
                self.secrets += 1;
                SECRET.into()
            }
            Value::List(items) => items.iter().map(|item| self.value(item)).collect(),
            Value::Map(map) => {
                let entries = map
                    .iter()
                    .map(|(key, item)| (key.clone(), self.value(item)));
                entries.collect::<serde_json::Map<_, _>>().into()
            }
            Value::String(text) => self.redacted(text).into(),
            other => other.to_json(),
        }
    }

    /// What a test matches a recorded argument by: what was cut or masked may be anything.
    fn pattern(&mut self, json: Json) -> Json {
        match json {
            Json::String(text) => {
                let text = self.redacted(&text.replace('*', "\\*"));
                let text = text.replace(self.out, "*").replace(MASK, "*");
                match text.rfind("… (").filter(|_| text.ends_with(" bytes)")) {
                    Some(at) => format!("{}*", &text[..at]).into(),
                    None => text.into(),
                }
            }
            Json::Array(items) => items.into_iter().map(|item| self.pattern(item)).collect(),
            Json::Object(map) => {
                let entries = map.into_iter().map(|(key, item)| (key, self.pattern(item)));
                entries.collect::<serde_json::Map<_, _>>().into()
            }
            other => other,
        }
    }

    /// A text without the numbers of AWS accounts.
    fn redacted(&mut self, text: &str) -> String {
        let mut redacted = text.to_owned();
        for part in text.split("arn:").skip(1) {
            let account = part.split(':').nth(3).unwrap_or_default();
            let is_account =
                account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
            if is_account && account != ACCOUNT {
                redacted = redacted.replace(account, ACCOUNT);
                self.accounts.insert(account.to_owned());
            }
        }
        redacted
    }

    fn replaced(&self) -> Vec<String> {
        let secrets = match self.secrets {
            0 => None,
            1 => Some("1 secret".to_owned()),
            n => Some(format!("{n} secrets")),
        };
        let accounts = self
            .accounts
            .iter()
            .map(|account| format!("the account {account}"));
        secrets.into_iter().chain(accounts).collect()
    }
}
