//! Reads what a test expects.

use std::collections::BTreeMap;

use super::{
    super::{
        document::{Key, Kind, Node},
        fields::{Fields, Report},
        graph::{Action, Workflow},
    },
    certificate::{self, ExpectedCertificate, ExpectedHandshakes},
    given,
    keys::{EXPECT, SAME_AS, words_of},
};
use windlass_script::{closest, did_you_mean, function};
use windlass_world::value::Value;

/// The expected state after the run has ended.
#[derive(Clone, Debug, Default)]
pub struct Expect {
    /// `None` if the file does not give it: then the run must succeed.
    pub status: Option<String>,
    pub error: Option<String>,
    /// The expected reason why an answer of the test is refused.
    pub refused: Option<String>,
    pub outputs: BTreeMap<String, Value>,
    pub steps: BTreeMap<String, String>,
    pub undone: Option<Vec<String>>,
    /// The steps of which something stays.
    pub stays: Option<Vec<String>>,
    pub calls: Option<Calls>,
    pub effects: BTreeMap<String, i64>,
    /// The expected content by file name; `None` for a file that must not exist.
    pub files: BTreeMap<String, Option<String>>,
    pub logs: Vec<String>,
    pub certificates: Vec<ExpectedCertificate>,
    pub handshakes: Option<ExpectedHandshakes>,
    pub snapshot: Option<String>,
    pub is_same: bool,
}

/// The expected calls to the outside.
#[derive(Clone, Debug)]
pub enum Calls {
    Count(usize),
    InOrder(Vec<ExpectedCall>),
}

#[derive(Clone, Debug)]
pub struct ExpectedCall {
    pub function: String,
    /// A map by the names of the function's parameters.
    pub arguments: Value,
}

const STEP_STATUSES: [&str; 6] = [
    "succeeded",
    "failed",
    "skipped",
    "pending",
    "waiting",
    "running",
];

/// Reads the name of a snapshot, which is a file beside the test.
fn snapshot(report: &mut Report, fields: &mut Fields) -> Option<String> {
    let node = fields.peek("snapshot");
    let name = fields.text(report, "snapshot")?;
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ' ');
    if name.chars().all(is_plain) && !name.starts_with(['.', ' ']) && !name.is_empty() {
        return Some(name);
    }
    if let Some(node) = node {
        let message = format!("`{name}` can't be the name of a snapshot");
        let mistake = report.at("bad-test", node.span.clone(), message);
        report.add(mistake.help("use letters, digits, `-`, `_` and `.`: a file gets this name"));
    }
    None
}

/// Reads the names of steps.
fn step_names(
    report: &mut Report,
    fields: &mut Fields,
    key: &'static str,
    workflow: Option<&Workflow>,
) -> Option<Vec<String>> {
    let node = fields.take(key)?;
    let names = texts(report, node, &format!("`{key}`"));
    for (name, node) in &names {
        let key = Key {
            name: name.clone(),
            span: node.span.clone(),
        };
        check_step(report, &key, workflow);
    }
    Some(names.into_iter().map(|(name, _)| name).collect())
}

pub(super) fn read(
    report: &mut Report,
    node: &Node,
    workflow: Option<&Workflow>,
    is_local: bool,
) -> Expect {
    let mut fields = Fields::of(report, node, &EXPECT, "`expect`");
    let mut expect = Expect {
        status: word(report, &mut fields, "status"),
        error: fields.text(report, "error"),
        refused: fields.text(report, "refused"),
        snapshot: snapshot(report, &mut fields),
        is_same: word(report, &mut fields, "same_as").as_deref() == Some(SAME_AS[0]),
        ..Expect::default()
    };
    if let Some(node) = fields.take("outputs") {
        for (key, node) in report.entries(node, "`outputs`") {
            if let Some(workflow) = workflow {
                let names = workflow.outputs.iter().map(|(name, _)| &**name);
                known(
                    report,
                    key,
                    "unknown-output",
                    "the workflow has no output",
                    names,
                );
            }
            expect.outputs.insert(key.name.clone(), node.to_value());
        }
    }
    if let Some(node) = fields.take("steps") {
        for (key, node) in report.entries(node, "`steps`") {
            check_step(report, key, workflow);
            if let Some(status) = one_of(report, node, "the status of a step", &STEP_STATUSES) {
                expect.steps.insert(key.name.clone(), status);
            }
        }
    }
    expect.undone = step_names(report, &mut fields, "undone", workflow);
    expect.stays = step_names(report, &mut fields, "stays", workflow);
    if let Some(node) = fields.take("logs") {
        let texts = texts(report, node, "`logs`");
        expect.logs = texts.into_iter().map(|(text, _)| text).collect();
    }
    if let Some(node) = fields.take("certificates") {
        expect.certificates = certificate::read(report, node, is_local);
    }
    if let Some(entry) = fields.take_with_key("handshakes") {
        expect.handshakes = certificate::read_handshakes(report, entry, is_local);
    }
    expect.calls = fields
        .take("calls")
        .and_then(|node| read_calls(report, node));
    if let Some(node) = fields.take("effects") {
        for (key, node) in report.entries(node, "`effects`") {
            match function(&key.name) {
                None => {
                    let mistake = given::unknown(report, key);
                    report.add(mistake);
                }
                Some(row) if row.change().is_none() => {
                    let message = format!("`{}` changes nothing, so it is not counted", key.name);
                    let mistake = report.at("bad-test", key.span.clone(), message);
                    report.add(
                        mistake.help("`calls` checks the calls to the outside, reads included"),
                    );
                }
                Some(_) => {}
            }
            match &node.kind {
                Kind::Scalar {
                    value: Value::Int(count @ 0..),
                    ..
                } => {
                    expect.effects.insert(key.name.clone(), *count);
                }
                _ => report.wrong_type(node, &format!("`{}`", key.name), "a number"),
            }
        }
    }
    if let Some(node) = fields.take("files") {
        for (key, node) in report.entries(node, "`files`") {
            match &node.kind {
                Kind::Scalar {
                    value: Value::Null, ..
                } => {
                    expect.files.insert(key.name.clone(), None);
                }
                Kind::Scalar { text, .. } => {
                    expect.files.insert(key.name.clone(), Some(text.clone()));
                }
                _ => report.wrong_type(node, &format!("`{}`", key.name), "the content of the file"),
            }
        }
    }
    fields.finish(report);
    expect
}

fn word(report: &mut Report, fields: &mut Fields, name: &'static str) -> Option<String> {
    let node = fields.take(name)?;
    one_of(report, node, &format!("`{name}`"), words_of(&EXPECT, name))
}

/// Reads one of a few words, and suggests the one that was probably meant.
pub(super) fn one_of(
    report: &mut Report,
    node: &Node,
    what: &str,
    words: &[&str],
) -> Option<String> {
    let text = report.text(node, what)?;
    if words.contains(&text) {
        return Some(text.to_owned());
    }
    let message = format!("{what} can't be `{text}`");
    let mistake = report.at("wrong-type", node.span.clone(), message);
    report.add(mistake.help(match closest(text, words.iter().copied()) {
        Some(near) => did_you_mean(near),
        None => format!("the allowed values are {}", words.join(", ")),
    }));
    None
}

/// Reads a text or a list of texts, each with its node.
fn texts<'n>(report: &mut Report, node: &'n Node, what: &str) -> Vec<(String, &'n Node)> {
    let nodes: Vec<&Node> = match &node.kind {
        Kind::List(items) => items.iter().collect(),
        _ => vec![node],
    };
    let texts = nodes.into_iter().filter_map(|node| {
        let text = report.text(node, &format!("an entry of {what}"))?;
        Some((text.to_owned(), node))
    });
    texts.collect()
}

fn read_calls(report: &mut Report, node: &Node) -> Option<Calls> {
    match &node.kind {
        Kind::Scalar {
            value: Value::Int(count @ 0..),
            ..
        } => Some(Calls::Count(*count as usize)),
        Kind::List(items) => {
            let calls = items.iter().filter_map(|item| read_call(report, item));
            Some(Calls::InOrder(calls.collect()))
        }
        _ => {
            report.wrong_type(node, "`calls`", "a number, or a list of calls");
            None
        }
    }
}

fn read_call(report: &mut Report, node: &Node) -> Option<ExpectedCall> {
    let (key, pattern) = match &node.kind {
        Kind::Scalar {
            value: Value::String(name),
            ..
        } => {
            let key = Key {
                name: name.clone(),
                span: node.span.clone(),
            };
            (key, None)
        }
        Kind::Map(entries) if entries.len() == 1 => (entries[0].0.clone(), Some(&entries[0].1)),
        _ => {
            report.wrong_type(node, "a call", "a function, or a function with arguments");
            return None;
        }
    };
    let row = function(&key.name);
    if row.is_none() && !given::is_undo(&key.name) {
        let mistake = given::unknown(report, &key);
        report.add(mistake);
        return None;
    }
    let arguments = pattern.map_or_else(
        || Value::map::<String>([]),
        |pattern| given::read_pattern(report, row, &key, pattern),
    );
    Some(ExpectedCall {
        function: key.name,
        arguments,
    })
}

/// Reports a step that the workflow does not have: `STEP`, `STEP[ITEM]`, `STEP[ITEM]/INNER`.
pub(super) fn check_step(report: &mut Report, key: &Key, workflow: Option<&Workflow>) {
    let Some(workflow) = workflow else {
        return;
    };
    let mut inner = workflow;
    let mut parts = key.name.split('/').peekable();
    while let Some(part) = parts.next() {
        let name = part.split('[').next().unwrap_or(part);
        let names = inner.steps().map(|(_, step)| step.name.as_str());
        let wanted = Key {
            name: name.to_owned(),
            span: key.span.clone(),
        };
        if !known(
            report,
            &wanted,
            "unknown-step",
            &format!("the workflow `{}` has no step", inner.name),
            names,
        ) {
            return;
        }
        match inner.step_named(name).map(|step| &step.action) {
            Some(Action::Workflow(next)) => inner = next,
            _ if parts.peek().is_some() => {
                let message = format!("the step `{name}` holds no other steps");
                let mistake = report.at("unknown-step", key.span.clone(), message);
                report.add(mistake);
                return;
            }
            _ => return,
        }
    }
}

/// Reports an unknown name, with the most similar known one.
pub(super) fn known<'a>(
    report: &mut Report,
    key: &Key,
    code: &'static str,
    message: &str,
    names: impl Iterator<Item = &'a str>,
) -> bool {
    let names: Vec<_> = names.collect();
    if names.contains(&&*key.name) {
        return true;
    }
    let mistake = report.at(code, key.span.clone(), format!("{message} `{}`", key.name));
    report.add(
        mistake.help(match closest(&key.name, names.iter().copied()) {
            Some(near) => did_you_mean(near),
            None if names.is_empty() => "it has none".to_owned(),
            None => format!("it has {}", names.join(", ")),
        }),
    );
    false
}
