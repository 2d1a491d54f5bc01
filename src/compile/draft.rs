//! Reads the keys of a workflow file one by one; names are not resolved yet.

use std::{collections::BTreeMap, ops::Range, sync::Arc, time::Duration};

use super::{
    align::places_of,
    document::{Key, Kind, Node},
    fields::{Fields, OneOf, Report},
    graph::{Approval, OnError, OnFailure, Param, Phase, Retry},
    keys::{STEP, WORKFLOW},
    name::StepName,
    phase,
    template::Template,
    trigger::{self, TriggerDraft},
};
use windlass_script::{Places, is_readable};
use windlass_world::value::Value;

/// A text and its place.
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
    pub phases: Vec<Phase>,
    pub triggers: Vec<TriggerDraft>,
    pub steps: Vec<StepDraft>,
    pub outputs: Vec<(String, Template)>,
    /// Texts in the outputs and the lock that look like expressions without `${{ }}`.
    pub bare: Vec<Spanned>,
}

pub(super) struct StepDraft {
    pub name: StepName,
    pub span: Range<usize>,
    pub is_finally: bool,
    pub description: Option<String>,
    pub phase: Option<Spanned>,
    pub action: ActionDraft,
    /// For each input: the name, its place, the value, and the value's place.
    pub with: Vec<(Spanned, Template, Range<usize>)>,
    pub needs: Vec<Spanned>,
    pub when: Option<Template>,
    pub for_each: Option<Template>,
    pub key: Option<Template>,
    pub max_parallel: Option<u32>,
    pub fail_fast: bool,
    pub retry: Retry,
    pub timeout: Option<Duration>,
    pub on_error: OnError,
    pub is_fresh: bool,
    pub lock: Option<Template>,
    /// Texts that look like expressions without `${{ }}`.
    pub bare: Vec<Spanned>,
}

pub(super) enum ActionDraft {
    Script(Spanned),
    Workflow(Spanned),
    Approval(Approval),
    /// The body and its place in the file.
    Inline(Arc<str>, Places),
    /// The action could not be read; the mistake has been reported.
    Unreadable,
}

pub(super) const ON_ERROR: [(&str, OnError); 2] =
    [("fail", OnError::Fail), ("continue", OnError::Continue)];
pub(super) const ON_FAILURE: [(&str, OnFailure); 2] =
    [("stop", OnFailure::Stop), ("undo", OnFailure::Undo)];

/// The longest name of a workflow, in characters, as of its file: a name stands in every list of runs.
pub const MAX_NAME: usize = 128;

pub(super) fn read(report: &mut Report, root: &Node) -> Draft {
    let mut fields = Fields::of(report, root, &WORKFLOW, "a workflow");
    let mut draft = Draft::default();
    match fields.peek("workflow") {
        Some(node) => {
            let name = fields.text(report, "workflow");
            let is_blank = name.as_ref().is_some_and(|name| name.trim().is_empty());
            draft.name = name.unwrap_or_default();
            if draft.name.contains(char::is_control) {
                let message = "the workflow's name has a control character";
                let mistake = report.at("wrong-type", node.span.clone(), message);
                report.add_in_new(mistake.help("use letters, digits, `-` and `_`"));
            }
            if draft.name.chars().count() > MAX_NAME {
                let message = format!(
                    "the workflow's name has {} characters; the limit is {MAX_NAME}",
                    draft.name.chars().count()
                );
                let mistake = report.at("wrong-type", node.span.clone(), message);
                report.add_in_new(mistake.help("put the rest into `description`"));
            }
            if is_blank {
                let mistake =
                    report.at("wrong-type", node.span.clone(), "the workflow has no name");
                report.add_in_new(mistake.help("begin the file with `workflow: NAME`"));
            }
        }
        None => {
            let mistake = report
                .at("missing-key", root.span.clone(), "the workflow has no name")
                .help("begin the file with `workflow: NAME`");
            report.add(mistake);
        }
    }
    draft.description = fields.text(report, "description");
    if let Some(node) = fields.take("params") {
        for (key, node) in report.entries(node, "`params`") {
            if let Some(param) = Param::read(report, key, node) {
                draft.params.insert(key.name.clone(), param);
            }
        }
    }
    if let Some(node) = fields.peek("lock") {
        bare_reads(node, &mut draft.bare);
    }
    draft.lock = fields.name(report, "lock");
    draft.kube = fields.template(report, "kube");
    draft.concurrency = fields.count(report, "concurrency");
    draft.on_failure = fields.word(report, "on_failure", &ON_FAILURE);
    draft.phases = phase::read(report, fields.take("phases"), &mut draft.bare);
    draft.triggers = trigger::read(report, fields.take("triggers"));
    for (section, is_finally) in [("steps", false), ("finally", true)] {
        if let Some(node) = fields.take(section) {
            if let Kind::List(_) = &node.kind {
                let message = format!("`{section}` must be a map, not a list");
                let mistake = report.at("wrong-type", node.span.clone(), message);
                report
                    .add(mistake.help(
                        "a step's name is its key: `build: { run: … }`, not `- name: build`",
                    ));
                continue;
            }
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
            bare_reads(node, &mut draft.bare);
            draft
                .outputs
                .push((key.name.clone(), Template::read(report, node)));
        }
    }
    fields.finish(report);
    draft
}

pub(super) fn reserved(report: &mut Report, key: &Key, what: &str, root: &str) {
    let message = format!("`{}` is not a valid {what}", key.name);
    let help = format!(
        "Rhai reserves this word, so no expression can read `{root}.{}`: use another name",
        key.name
    );
    let mistake = report.at("bad-name", key.span.clone(), message);
    report.add(mistake.help(help));
}

fn read_step(report: &mut Report, key: &Key, node: &Node, is_finally: bool) -> Option<StepDraft> {
    let name = StepName::parse(&key.name);
    if name.is_none() {
        let message = format!("`{}` is not a valid step name", key.name);
        let mistake = report
            .at("bad-name", key.span.clone(), message)
            .help("use lower-case letters, digits and `_`, and do not start with a digit: expressions use the name");
        report.add(mistake);
    } else if !is_readable(&key.name) {
        reserved(report, key, "step name", "steps");
    }
    let mut fields = Fields::of(report, node, &STEP, format!("the step `{}`", key.name));
    let mut bare = Vec::new();
    for key in ["with", "lock", "approvers"] {
        if let Some(node) = fields.peek(key) {
            bare_reads(node, &mut bare);
        }
    }
    let draft = StepDraft {
        span: key.span.clone(),
        is_finally,
        description: fields.text(report, "description"),
        phase: fields.take("phase").and_then(|node| {
            Some(Spanned {
                text: report.text(node, "`phase`")?.into(),
                span: node.span.clone(),
            })
        }),
        action: read_action(report, &mut fields, key),
        with: read_with(report, fields.take("with")),
        needs: read_needs(report, fields.take("needs")),
        when: fields.take("when").map(|node| read_when(report, node)),
        for_each: fields
            .take("for_each")
            .map(|node| read_for_each(report, node)),
        key: fields.template(report, "key"),
        max_parallel: fields.count(report, "max_parallel"),
        fail_fast: fields.flag(report, "fail_fast"),
        retry: fields
            .take("retry")
            .map_or_else(Retry::default, |node| Retry::read(report, node)),
        timeout: fields.limit(report, "timeout", "no limit"),
        on_error: fields.word(report, "on_error", &ON_ERROR),
        is_fresh: fields.flag(report, "fresh"),
        lock: fields.name(report, "lock"),
        bare,
        name: name.clone().or_else(|| StepName::parse("_"))?,
    };
    fields.finish(report);
    name.map(|_| draft)
}

/// Collects the texts that consist of what an expression could read, such as `steps.root_ca.arn`.
pub(super) fn bare_reads(node: &Node, found: &mut Vec<Spanned>) {
    match &node.kind {
        Kind::List(items) => items.iter().for_each(|item| bare_reads(item, found)),
        Kind::Map(entries) => entries.iter().for_each(|(_, node)| bare_reads(node, found)),
        Kind::Scalar {
            value: Value::String(text),
            ..
        } => {
            let mut words = text.trim().split('.');
            let is_root = matches!(words.next(), Some("params" | "steps" | "item"));
            let is_name = |word: &str| {
                !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            };
            if is_root && words.all(is_name) {
                found.push(Spanned {
                    text: text.trim().into(),
                    span: node.span.clone(),
                });
            }
        }
        Kind::Scalar { .. } => {}
    }
}

const WANTED_OF_WHEN: &str = "`when` must be true or false";

/// Reads `when`. A condition that is a plain text is reported here; otherwise the mistake would only show when the step begins.
fn read_when(report: &mut Report, node: &Node) -> Template {
    let before = report.mistakes.len();
    let template = Template::read(report, node);
    match &template {
        Template::Expression(_) | Template::Literal(Value::Bool(_)) => {}
        // The mistake has been reported already.
        _ if report.mistakes.len() > before => {}
        _ => no_expression(report, node, &template, WANTED_OF_WHEN),
    }
    template
}

fn read_for_each(report: &mut Report, node: &Node) -> Template {
    let before = report.mistakes.len();
    let template = Template::read(report, node);
    match &template {
        Template::Expression(_) | Template::List(_) | Template::Map(_) => {}
        _ if report.mistakes.len() > before => {}
        _ => no_expression(
            report,
            node,
            &template,
            "`for_each` must be a list or a map",
        ),
    }
    template
}

fn no_expression(report: &mut Report, node: &Node, template: &Template, wanted: &str) {
    let (message, help) = match (template, &node.kind) {
        (Template::Text(_), _) => (
            format!("{wanted}, not a string with an expression in it"),
            "write the whole value as one `${{ … }}`".to_owned(),
        ),
        (
            _,
            Kind::Scalar {
                text,
                value: Value::String(_),
                ..
            },
        ) => (
            format!("{wanted}, not a string"),
            match (wanted, text.trim()) {
                (WANTED_OF_WHEN, "true" | "yes" | "on") => "write `when: true`".to_owned(),
                (WANTED_OF_WHEN, "false" | "no" | "off") => "write `when: false`".to_owned(),
                (_, text) => format!("forgot the `${{{{ }}}}`? `\"${{{{ {text} }}}}\"`"),
            },
        ),
        _ => (
            format!("{wanted}, not {}", node.a_kind()),
            "write an expression: `${{ … }}`".to_owned(),
        ),
    };
    let mistake = report.at("wrong-type", node.span.clone(), message);
    report.add(mistake.help(help));
}

fn read_action(report: &mut Report, fields: &mut Fields, step: &Key) -> ActionDraft {
    let of = format!("the step `{}`", step.name);
    let wanted = OneOf {
        of: &of,
        span: step.span.clone(),
        none: format!("{of} has no action"),
        add: "give it one of `script: FILE.rhai`, `run: |` with a short body, `workflow: FILE.yaml`, `approval: QUESTION`",
        split: "split it into two steps",
    };
    let kinds = ["script", "run", "workflow", "approval"];
    let Some((key, node)) = fields.take_one_of(report, &kinds, &wanted) else {
        return ActionDraft::Unreadable;
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
        _ => ActionDraft::Inline(text.into(), places_of(report.text, node)),
    }
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
