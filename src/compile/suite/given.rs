//! The answers of the outside that a test gives.

use std::{collections::BTreeSet, ops::Range, time::Duration};

use super::{
    super::{
        document::{Key, Kind, Node},
        fields::{Fields, Report},
        mistake::Mistake,
    },
    answer,
    keys::{FAILS, GIVEN, words_of},
};
use windlass_script::{Function, Impact, ValueKind, closest, did_you_mean, function, functions};
use windlass_world::value::{Failure, FailureClass, Proof, Value};

/// One answer.
#[derive(Clone, Debug)]
pub struct Given {
    /// The name with its module: `http::put`, or a call of an undo: `http::undo`.
    pub function: String,
    /// A map by the names of the function's parameters.
    pub arguments: Value,
    pub reply: Reply,
    /// How often it is given; `None` if the file does not say.
    pub times: Option<u32>,
    /// How far the clock advances before the answer arrives.
    pub takes: Duration,
    /// Its line in the file, from 1.
    pub line: usize,
}

/// The outcome of a call.
#[derive(Clone, Debug)]
pub enum Reply {
    Gives(Value),
    Fails(Failure),
    /// The call is made and would return this, but the answer is lost. `None` if the target answers.
    Loses(Option<Value>),
}

/// Waits that consist of calls of another function, which a test has to answer.
const WAITS: [(&str, &str); 4] = [
    (
        "pca::wait_until_active",
        "pca::describe_certificate_authority",
    ),
    ("pca::wait_until_audit_report", "pca::describe_audit_report"),
    (
        "pca::wait_until_csr_ready",
        "pca::describe_certificate_authority",
    ),
    ("pca::wait_until_issued", "pca::get_certificate"),
];

/// Calls that an undo makes under its own function names.
const UNDOS: [&str; 9] = [
    "aws::undo",
    "exec::undo",
    "file::restore",
    "http::undo",
    "kube::create",
    "kube::restore",
    "pca::permission",
    "pca::policy",
    "pca::update_certificate_authority",
];

/// Those whose answer says whether they have succeeded: by a status or an exit code.
const JUDGED_UNDOS: [&str; 2] = ["exec::undo", "http::undo"];

/// Says whether only an undo makes such a call.
pub(super) fn is_undo(name: &str) -> bool {
    UNDOS.contains(&name)
}

pub(super) fn read(report: &mut Report, node: &Node) -> Vec<Given> {
    let Kind::List(items) = &node.kind else {
        report.wrong_type(node, "`given`", "a list of answers");
        return Vec::new();
    };
    items
        .iter()
        .filter_map(|item| read_one(report, item))
        .collect()
}

fn read_one(report: &mut Report, node: &Node) -> Option<Given> {
    let entries = report.entries(node, "an answer");
    let (calls, rest): (Vec<_>, Vec<_>) = entries
        .iter()
        .cloned()
        .partition(|(key, _)| key.name.contains("::"));
    let [(called, pattern)] = calls.as_slice() else {
        if let Kind::Map(_) = node.kind {
            let mistake = match calls.get(1) {
                None => report.at(
                    "missing-key",
                    span_of(node, entries),
                    "the answer has no function",
                ),
                Some((second, _)) => {
                    let message = "the answer has two functions";
                    report.at("bad-test", second.span.clone(), message)
                }
            };
            let help = "begin it with the function and its arguments: `- http::get: { url: \"*/health\" }`";
            report.add(mistake.help(help));
        }
        return None;
    };
    let rest = Node {
        kind: Kind::Map(rest),
        ..node.clone()
    };
    let what = format!("the answer of `{}`", called.name);
    let mut fields = Fields::of(report, &rest, &GIVEN, what);
    let (gives, fails) = (fields.take_with_key("gives"), fields.take_with_key("fails"));
    let loses = fields.flag(report, "lose");
    let times = fields.count(report, "times");
    let takes = fields.duration(report, "takes").unwrap_or_default();
    fields.finish(report);
    let row = find(report, called)?;
    let arguments = read_pattern(report, row, called, pattern);
    let reply = match (gives, fails) {
        (Some(_), Some((key, _))) => {
            let mistake = report.at(
                "bad-test",
                key.span.clone(),
                "the answer has both `gives` and `fails`",
            );
            report.add(mistake.help("keep one of `gives` and `fails`"));
            return None;
        }
        (None, Some((key, _))) if loses => {
            let message = "an answer can't be both lost and failed";
            let mistake = report.at("bad-test", key.span.clone(), message);
            report.add(mistake.help("keep one of `fails` and `lose`"));
            return None;
        }
        (None, Some((_, node))) => Reply::Fails(read_failure(report, &called.name, node)?),
        (gives, None) => {
            let value = read_value(report, row, called, gives.map(|(_, node)| node), loses)?;
            if loses {
                Reply::Loses(value)
            } else {
                Reply::Gives(value.unwrap_or_default())
            }
        }
    };
    Some(Given {
        function: called.name.clone(),
        arguments,
        reply,
        times,
        takes,
        line: node.line,
    })
}

/// Returns the place to mark for an answer without a function.
fn span_of(node: &Node, entries: &[(Key, Node)]) -> Range<usize> {
    entries
        .first()
        .map_or(node.span.clone(), |(key, _)| key.span.clone())
}

/// Returns the row of the function; `Some(None)` for a call of an undo.
fn find(report: &mut Report, called: &Key) -> Option<Option<&'static Function>> {
    if is_undo(&called.name) {
        return Some(None);
    }
    let mistake = match function(&called.name) {
        Some(row) => match &row.does {
            Impact::Computes => {
                let message = format!(
                    "the result of `{}` depends only on its arguments, so a test can't answer it",
                    called.name
                );
                report.at("bad-test", called.span.clone(), message)
            }
            _ => match WAITS.iter().find(|(wait, _)| *wait == called.name) {
                None => return Some(Some(row)),
                Some((_, made)) => {
                    let message =
                        format!("`{}` makes calls of `{made}` while it waits", called.name);
                    report
                        .at("bad-test", called.span.clone(), message)
                        .help(format!("give the answer for `{made}`"))
                }
            },
        },
        None => unknown(report, called),
    };
    report.add(mistake);
    None
}

pub(super) fn unknown(report: &Report, called: &Key) -> Mistake {
    let message = format!("there is no function `{}`", called.name);
    let mistake = report.at("unknown-function", called.span.clone(), message);
    match closest(&called.name, functions().map(|row| row.name)) {
        Some(near) => mistake.help(did_you_mean(near)),
        None => mistake.help("`windlass explain` lists the host functions"),
    }
}

/// Reads the arguments with which an answer, or an expected call, is matched.
pub(super) fn read_pattern(
    report: &mut Report,
    row: Option<&'static Function>,
    called: &Key,
    node: &Node,
) -> Value {
    let entries = match &node.kind {
        Kind::Scalar {
            value: Value::Null, ..
        } => return Value::map::<String>([]),
        Kind::Map(entries) => entries,
        _ => {
            report.wrong_type(
                node,
                &format!("what `{}` matches", called.name),
                "a map of arguments",
            );
            return Value::Null;
        }
    };
    if let Some(row) = row {
        let known = names_of(row);
        for (key, _) in entries
            .iter()
            .filter(|(key, _)| !known.contains(&*key.name))
        {
            let message = format!("`{}` takes no `{}`", called.name, key.name);
            let help = match closest(&key.name, known.iter().copied()) {
                Some(near) => did_you_mean(near),
                None => format!(
                    "it takes {}",
                    known.iter().copied().collect::<Vec<_>>().join(", ")
                ),
            };
            let mistake = report.at("wrong-arguments", key.span.clone(), message);
            report.add(mistake.help(help));
        }
    }
    node.to_value()
}

/// Whether a test may name this argument of a function: one of its parameters or options, or any of a call of an undo.
pub fn takes(called: &str, argument: &str) -> bool {
    function(called).is_none_or(|row| names_of(row).contains(argument))
}

/// The names of a function's parameters and options.
fn names_of(row: &'static Function) -> BTreeSet<&'static str> {
    let parameters = row
        .takes
        .iter()
        .filter(|field| !matches!(field.kind, ValueKind::Record(_)));
    let options = row
        .options()
        .into_iter()
        .flat_map(|(_, fields)| fields.iter());
    parameters.chain(options).map(|field| field.name).collect()
}

fn read_failure(report: &mut Report, operation: &str, node: &Node) -> Option<Failure> {
    let mut fields = Fields::of(report, node, &FAILS, "`fails`");
    let class = fields.take("class");
    let (code, message) = (fields.text(report, "code"), fields.text(report, "message"));
    fields.finish(report);
    let Some(class) = class else {
        if let Kind::Map(_) = node.kind {
            let mistake = report.at("missing-key", node.span.clone(), "the failure has no class");
            let classes = words_of(&FAILS, "class").join(", ");
            report.add(mistake.help(format!("add `class:`, one of {classes}")));
        }
        return None;
    };
    let name = report.text(class, "`class`")?;
    let Ok(class) = name.parse::<FailureClass>() else {
        let message = format!("there is no failure class `{name}`");
        let mistake = report.at("wrong-type", class.span.clone(), message);
        let classes = words_of(&FAILS, "class");
        report.add(mistake.help(match closest(name, classes.iter().copied()) {
            Some(near) => did_you_mean(near),
            None => format!("the classes are {}", classes.join(", ")),
        }));
        return None;
    };
    let message = message.unwrap_or_else(|| format!("the test sets the class {class}"));
    let code = code.unwrap_or_else(|| "GivenByTest".into());
    Some(Failure::new(class, operation, code, message).proving(Proof::NotDone))
}

/// Reads the result of the call, and checks it against the function's result.
fn read_value(
    report: &mut Report,
    row: Option<&'static Function>,
    called: &Key,
    node: Option<&Node>,
    loses: bool,
) -> Option<Option<Value>> {
    let given = node.map(Node::to_value);
    let Some(row) = row else {
        if let Some(node) = node.filter(|_| !JUDGED_UNDOS.contains(&called.name.as_str())) {
            let message = format!("`{}` has no result", called.name);
            let mistake = report.at("wrong-type", node.span.clone(), message);
            report.add(mistake.help("remove `gives`; `fails` gives a failure"));
        }
        return Some(Some(given.unwrap_or_else(answer::reversed)));
    };
    if given.is_none() && loses {
        return Some(answer::default_of(row));
    }
    match answer::complete(row, given.clone()) {
        Ok(value) => Some(Some(value)),
        Err(why) => {
            let mistake = match node {
                Some(node) => {
                    let mistake = report.at(
                        "wrong-type",
                        node.span.clone(),
                        format!("`{}` {}", called.name, why.message),
                    );
                    match why.help {
                        Some(help) => mistake.help(help),
                        None => mistake,
                    }
                }
                None => {
                    let message = format!(
                        "the answer of `{}` has neither `gives` nor `fails`",
                        called.name
                    );
                    let needs = format!("it returns {}: add `gives:`", why.expected);
                    report
                        .at("missing-key", called.span.clone(), message)
                        .help(needs)
                }
            };
            report.add(mistake);
            None
        }
    }
}
