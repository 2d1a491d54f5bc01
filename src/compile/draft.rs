//! The keys of a workflow file, read one by one; names are not looked up yet.

use std::{collections::BTreeMap, ops::Range, sync::Arc, time::Duration};

use super::{
    document::{Key, Kind, Node, Style},
    fields::{Fields, Report},
    graph::{Approval, OnError, OnFailure, Param, Retry},
    name::StepName,
    template::Template,
};
use crate::value::{ParseTypeError, Type, Value};

/// A text and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Spanned {
    pub text: String,
    pub span: Range<usize>,
}

#[derive(Default)]
pub(super) struct Draft {
    pub name: String,
    pub description: Option<String>,
    pub params: BTreeMap<String, Param>,
    pub lock: Option<Template>,
    pub kube: Option<Template>,
    pub concurrency: Option<u32>,
    pub on_failure: OnFailure,
    pub steps: Vec<StepDraft>,
    pub outputs: Vec<(String, Template)>,
}

pub(super) struct StepDraft {
    pub name: StepName,
    pub span: Range<usize>,
    pub is_finally: bool,
    pub description: Option<String>,
    pub action: ActionDraft,
    /// Input, its place, its value, the value's place.
    pub with: Vec<(Spanned, Template, Range<usize>)>,
    pub needs: Vec<Spanned>,
    pub when: Option<Template>,
    pub for_each: Option<Template>,
    pub max_parallel: Option<u32>,
    pub fail_fast: bool,
    pub retry: Retry,
    pub timeout: Option<Duration>,
    pub on_error: OnError,
    pub lock: Option<Template>,
}

pub(super) enum ActionDraft {
    Script(Spanned),
    Workflow(Spanned),
    Approval(Approval),
    /// The body in a text that is blank everywhere else, so that places stay right.
    Inline(Arc<str>),
    /// What could not be read has been reported.
    Unreadable,
}

const ON_ERROR: [(&str, OnError); 2] = [("fail", OnError::Fail), ("continue", OnError::Continue)];
const MOST_PARALLEL: i64 = 10_000;

pub(super) fn read(report: &mut Report, root: &Node) -> Draft {
    let mut fields = Fields::of(report, root, "a workflow");
    let mut draft = Draft::default();
    match fields.take("workflow") {
        Some(node) => draft.name = report.text(node, "`workflow`").unwrap_or_default().into(),
        None => {
            let mistake = report
                .at("missing-key", root.span.clone(), "the workflow has no name")
                .help("begin the file with `workflow: NAME`");
            report.add(mistake);
        }
    }
    draft.description = optional_text(report, fields.take("description"), "`description`");
    if let Some(node) = fields.take("params") {
        for (key, node) in report.entries(node, "`params`") {
            if let Some(param) = read_param(report, key, node) {
                draft.params.insert(key.name.clone(), param);
            }
        }
    }
    draft.lock = fields.take("lock").map(|node| Template::read(report, node));
    draft.kube = fields.take("kube").map(|node| Template::read(report, node));
    draft.concurrency = fields
        .take("concurrency")
        .and_then(|node| report.count(node, "`concurrency`", MOST_PARALLEL));
    if let Some(node) = fields.take("on_failure") {
        let words = [("stop", OnFailure::Stop), ("undo", OnFailure::Undo)];
        draft.on_failure = report
            .one_of(node, "`on_failure`", &words)
            .unwrap_or_default();
    }
    for (section, is_finally) in [("steps", false), ("finally", true)] {
        if let Some(node) = fields.take(section) {
            for (key, node) in report.entries(node, &format!("`{section}`")) {
                draft.steps.extend(read_step(report, key, node, is_finally));
            }
        }
    }
    if !draft.steps.iter().any(|step| !step.is_finally) && report.mistakes.is_empty() {
        let mistake = report.at(
            "missing-key",
            root.span.clone(),
            "the workflow has no steps",
        );
        report.add(mistake.help("add `steps:`"));
    }
    if let Some(node) = fields.take("outputs") {
        for (key, node) in report.entries(node, "`outputs`") {
            draft
                .outputs
                .push((key.name.clone(), Template::read(report, node)));
        }
    }
    fields.finish(report);
    draft
}

fn optional_text(report: &mut Report, node: Option<&Node>, what: &str) -> Option<String> {
    node.and_then(|node| report.text(node, what).map(Into::into))
}

fn read_param(report: &mut Report, key: &Key, node: &Node) -> Option<Param> {
    // `cluster: string` is short for `cluster: { type: string }`.
    if let Kind::Scalar { text, .. } = &node.kind {
        let ty = read_type(report, node, text)?;
        return Some(Param {
            ty,
            default: None,
            description: None,
        });
    }
    let mut fields = Fields::of(report, node, format!("the param `{}`", key.name));
    let ty = match fields.take("type") {
        Some(node) => match report.text(node, "`type`") {
            Some(text) => read_type(report, node, text),
            None => None,
        },
        None => {
            let message = format!("the param `{}` has no type", key.name);
            let mistake = report.at("missing-key", key.span.clone(), message);
            report.add(mistake.help("write `type: string`, `type: list(string)`, …"));
            None
        }
    };
    let description = optional_text(report, fields.take("description"), "`description`");
    let default = fields.take("default");
    fields.finish(report);
    let ty = ty?;
    let default = match default.map(|node| (node, Template::read(report, node))) {
        None => None,
        Some((node, template)) => match constant(&template) {
            None => {
                let mistake = report.at(
                    "wrong-type",
                    node.span.clone(),
                    "a default is a plain value, without expressions",
                );
                report.add(mistake);
                None
            }
            Some(value) => {
                if let Err(e) = ty.check(&value) {
                    let message = format!("the default of `{}` does not fit: {e}", key.name);
                    let mistake = report.at("wrong-type", node.span.clone(), message);
                    report.add(mistake);
                }
                Some(value)
            }
        },
    };
    Some(Param {
        ty,
        default,
        description,
    })
}

fn read_type(report: &mut Report, node: &Node, text: &str) -> Option<Type> {
    text.parse()
        .map_err(|e: ParseTypeError| {
            let mistake = report.at("unknown-type", node.span.clone(), e.to_string());
            report.add(mistake);
        })
        .ok()
}

/// The value of a template without expressions.
pub(super) fn constant(template: &Template) -> Option<Value> {
    match template {
        Template::Literal(value) => Some(value.clone()),
        Template::List(items) => items
            .iter()
            .map(constant)
            .collect::<Option<_>>()
            .map(Value::List),
        Template::Map(map) => map
            .iter()
            .map(|(key, item)| Some((key.clone(), constant(item)?)))
            .collect::<Option<_>>()
            .map(Value::Map),
        Template::Expression(_) | Template::Text(_) => None,
    }
}

fn read_step(report: &mut Report, key: &Key, node: &Node, is_finally: bool) -> Option<StepDraft> {
    let name = StepName::parse(&key.name);
    if name.is_none() {
        let message = format!("`{}` can't be a step's name", key.name);
        let mistake = report
            .at("bad-name", key.span.clone(), message)
            .help("lower-case letters, digits and `_`, not starting with a digit: it is a name in expressions");
        report.add(mistake);
    }
    let mut fields = Fields::of(report, node, format!("the step `{}`", key.name));
    let draft = StepDraft {
        span: key.span.clone(),
        is_finally,
        description: optional_text(report, fields.take("description"), "`description`"),
        action: read_action(report, &mut fields, key),
        with: read_with(report, fields.take("with")),
        needs: read_needs(report, fields.take("needs")),
        when: fields.take("when").map(|node| Template::read(report, node)),
        for_each: fields
            .take("for_each")
            .map(|node| Template::read(report, node)),
        max_parallel: fields
            .take("max_parallel")
            .and_then(|node| report.count(node, "`max_parallel`", MOST_PARALLEL)),
        fail_fast: fields
            .take("fail_fast")
            .and_then(|node| report.flag(node, "`fail_fast`"))
            .unwrap_or_default(),
        retry: fields
            .take("retry")
            .map_or_else(Retry::default, |node| Retry::read(report, node)),
        timeout: fields
            .take("timeout")
            .and_then(|node| report.duration(node, "`timeout`")),
        on_error: fields
            .take("on_error")
            .and_then(|node| report.one_of(node, "`on_error`", &ON_ERROR))
            .unwrap_or_default(),
        lock: fields.take("lock").map(|node| Template::read(report, node)),
        name: name.clone().or_else(|| StepName::parse("_"))?,
    };
    fields.finish(report);
    name.map(|_| draft)
}

fn read_action(report: &mut Report, fields: &mut Fields, step: &Key) -> ActionDraft {
    let found: Vec<_> = ["script", "run", "workflow", "approval"]
        .into_iter()
        .filter_map(|kind| fields.take_with_key(kind))
        .collect();
    let (key, node) = match found.as_slice() {
        [one] => *one,
        [] => {
            let message = format!("the step `{}` does nothing", step.name);
            let mistake = report
                .at("missing-key", step.span.clone(), message)
                .help("give it one of `script: FILE.rhai`, `run: |` with a short body, `workflow: FILE.yaml`, `approval: QUESTION`");
            report.add(mistake);
            return ActionDraft::Unreadable;
        }
        [first, second, ..] => {
            let message = format!(
                "the step `{}` has both `{}` and `{}`",
                step.name, first.0.name, second.0.name
            );
            let mistake = report
                .at("two-actions", second.0.span.clone(), message)
                .label(first.0.span.clone(), "the other one")
                .help("make two steps of it");
            report.add(mistake);
            return ActionDraft::Unreadable;
        }
    };
    if key.name == "approval" {
        return ActionDraft::Approval(Approval::read(report, node, fields));
    }
    let Some(text) = report.text(node, &format!("`{}`", key.name)) else {
        return ActionDraft::Unreadable;
    };
    let spanned = Spanned {
        text: text.into(),
        span: node.span.clone(),
    };
    match key.name.as_str() {
        "script" => ActionDraft::Script(spanned),
        "workflow" => ActionDraft::Workflow(spanned),
        _ => ActionDraft::Inline(alone(report.text, node)),
    }
}

/// Blanks everything but the node, keeping every line and column.
fn alone(text: &str, node: &Node) -> Arc<str> {
    let inside = match &node.kind {
        Kind::Scalar {
            style: Style::Quoted,
            ..
        } => node.span.start + 1..node.span.end - 1,
        Kind::Scalar {
            style: Style::Block,
            ..
        } => {
            // The span of a block scalar may begin at its `|`.
            let head = text[node.span.clone()].find('\n').unwrap_or(0);
            let starts_at_mark = text[node.span.clone()].starts_with(['|', '>']);
            node.span.start + if starts_at_mark { head } else { 0 }..node.span.end
        }
        _ => node.span.clone(),
    };
    text.char_indices()
        .map(|(i, c)| match c {
            '\n' => '\n',
            c if inside.contains(&i) => c,
            _ => ' ',
        })
        .collect::<String>()
        .into()
}

fn read_with(report: &mut Report, node: Option<&Node>) -> Vec<(Spanned, Template, Range<usize>)> {
    let Some(node) = node else {
        return Vec::new();
    };
    report
        .entries(node, "`with`")
        .iter()
        .map(|(key, node)| {
            let name = Spanned {
                text: key.name.clone(),
                span: key.span.clone(),
            };
            let span = if node.span.is_empty() {
                key.span.clone()
            } else {
                node.span.clone()
            };
            (name, Template::read(report, node), span)
        })
        .collect()
}

pub(super) fn read_needs(report: &mut Report, node: Option<&Node>) -> Vec<Spanned> {
    let items = match node.map(|node| &node.kind) {
        None => &[],
        Some(Kind::List(items)) => items.as_slice(),
        Some(_) => node.map_or(&[] as &[Node], std::slice::from_ref),
    };
    items
        .iter()
        .filter_map(|item| {
            let text = report.text(item, "a step in `needs`")?;
            Some(Spanned {
                text: text.into(),
                span: item.span.clone(),
            })
        })
        .collect()
}
