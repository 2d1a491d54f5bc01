//! Finds the inputs and outputs of a step, from the outlines of the files that it names.

use std::{collections::BTreeMap, path::Path};

use super::{
    files::{Files, Outline, resolve},
    script::Script,
    spot::{Slot, spot},
    workflow::{Action, Step, Workflow},
};
use windlass_script::{
    Parameter,
    lexer::{Kind, Quoting},
};

/// An input, an output, or a param.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Item {
    pub name: String,
    /// The type; empty if it is not declared.
    pub ty: String,
    pub default: Option<String>,
    pub about: String,
    pub is_required: bool,
}

impl Item {
    /// Formats `name: string = x`.
    pub fn declared(&self) -> String {
        let ty = if self.ty.is_empty() { "any" } else { &self.ty };
        match &self.default {
            Some(default) => format!("{ty} = {default}"),
            None => ty.to_owned(),
        }
    }
}

/// Lists the inputs of a file: the params of a workflow, or the inputs of a script.
pub fn taken_by(files: &Files, path: &Path) -> Vec<Item> {
    match files.outline(path) {
        Outline::Workflow(_, workflow) => params(&workflow),
        Outline::Script(_, script) => fields(script.inputs.as_deref().unwrap_or_default()),
        Outline::None => Vec::new(),
    }
}

/// Lists the outputs of a file.
pub fn given_by(files: &Files, path: &Path) -> Vec<Item> {
    match files.outline(path) {
        Outline::Workflow(text, workflow) => {
            let outputs = workflow.outputs.iter().map(|output| Item {
                name: output.name.text.clone(),
                about: text[output.name.span.end..output.span.end]
                    .trim_start_matches(['"', '\'', ':', ' '])
                    .to_owned(),
                ..Item::default()
            });
            outputs.collect()
        }
        Outline::Script(_, script) => match &script.outputs {
            Some(outputs) => fields(outputs),
            None => names(&script),
        },
        Outline::None => Vec::new(),
    }
}

pub fn params(workflow: &Workflow) -> Vec<Item> {
    let params = workflow.params.iter().map(|param| Item {
        name: param.name.text.clone(),
        ty: param.ty.clone().unwrap_or_default(),
        is_required: param.default.is_none()
            && !param
                .ty
                .as_deref()
                .is_some_and(|ty| ty.ends_with('?') || ty == "any"),
        default: param.default.clone(),
        about: param.description.clone().unwrap_or_default(),
    });
    params.collect()
}

/// Lists the possible inputs of a step.
pub fn inputs_of(files: &Files, path: &Path, text: &str, step: &Step) -> Vec<Item> {
    match &step.action {
        Action::Script(file) | Action::Workflow(file) => {
            resolve(path, &file.text).map_or_else(Vec::new, |file| taken_by(files, &file))
        }
        // The inputs that its body reads.
        Action::Inline { span, quoting } => {
            let body = Script::read(text, span.clone(), *quoting);
            let mut names: Vec<_> = body
                .input_reads(true)
                .map(|(name, _)| name.clone())
                .collect();
            names.sort();
            names.dedup();
            names
                .into_iter()
                .map(|name| Item {
                    name,
                    is_required: true,
                    ..Item::default()
                })
                .collect()
        }
        Action::Approval | Action::None => Vec::new(),
    }
}

/// Lists the outputs of a step.
pub fn outputs_of(files: &Files, path: &Path, text: &str, step: &Step) -> Vec<Item> {
    match &step.action {
        Action::Script(file) | Action::Workflow(file) => {
            resolve(path, &file.text).map_or_else(Vec::new, |file| given_by(files, &file))
        }
        Action::Inline { span, quoting } => names(&Script::read(text, span.clone(), *quoting)),
        Action::Approval => ["approved_by", "comment"]
            .map(|name| Item {
                name: name.to_owned(),
                ty: "string".to_owned(),
                ..Item::default()
            })
            .into(),
        Action::None => Vec::new(),
    }
}

fn fields(fields: &[super::script::Field]) -> Vec<Item> {
    let items = fields.iter().map(|field| Item {
        name: field.name.text.clone(),
        ty: field.ty().to_owned(),
        default: field.default().map(str::to_owned),
        about: field.about.clone(),
        is_required: field.is_required(),
    });
    items.collect()
}

fn names(script: &Script) -> Vec<Item> {
    let names = script.given.iter().map(|name| Item {
        name: name.text.clone(),
        ..Item::default()
    });
    names.collect()
}

/// Returns which inputs of a step are passed on unchanged to a host function, and as which parameter: an input that is passed on as a
/// template has the values of one.
pub fn passed_on(
    files: &Files,
    path: &Path,
    text: &str,
    step: &Step,
) -> BTreeMap<String, &'static Parameter> {
    match &step.action {
        Action::Script(file) => {
            let script = resolve(path, &file.text).and_then(|file| files.script(&file));
            script.map_or_else(BTreeMap::new, |(text, script)| {
                passed_on_by(&text, &script, false)
            })
        }
        Action::Inline { span, quoting } => {
            let body = Script::read(text, span.clone(), *quoting);
            passed_on_by(text, &body, true)
        }
        // The inputs that a workflow passes on to its steps.
        Action::Workflow(file) => {
            let Some(inner_path) = resolve(path, &file.text) else {
                return BTreeMap::new();
            };
            let Some((inner_text, inner)) = files.workflow(&inner_path) else {
                return BTreeMap::new();
            };
            let mut found = BTreeMap::new();
            for step in inner
                .steps
                .iter()
                .filter(|step| matches!(step.action, Action::Script(_)))
            {
                let known = passed_on(files, &inner_path, &inner_text, step);
                for expression in &inner.expressions {
                    let [chain] = expression.chains.as_slice() else {
                        continue;
                    };
                    let inside = step.span.start <= expression.span.start
                        && expression.span.end <= step.span.end;
                    let given = step
                        .with
                        .iter()
                        .rev()
                        .find(|name| name.span.end <= expression.span.start);
                    if let (true, "params", Some(param), Some(given)) =
                        (inside, chain.root(), chain.part(1), given)
                        && let Some(parameter) = known.get(&given.text)
                    {
                        found.insert(param.to_owned(), *parameter);
                    }
                }
            }
            found
        }
        Action::Approval | Action::None => BTreeMap::new(),
    }
}

fn passed_on_by(
    text: &str,
    script: &Script,
    is_inline: bool,
) -> BTreeMap<String, &'static Parameter> {
    let tokens: Vec<_> = script
        .tokens
        .iter()
        .filter(|token| token.kind != Kind::Comment)
        .collect();
    let mut found = BTreeMap::new();
    for chain in &script.chains {
        if chain.parts.len() != 2
            || Some(chain.root()) != script.inputs_at(chain.start(), is_inline)
        {
            continue;
        }
        let before = tokens.partition_point(|token| token.span.end <= chain.start());
        let after = tokens.iter().find(|token| token.span.start >= chain.end);
        let is_whole = after.is_some_and(|token| matches!(token.kind, Kind::Sign(',' | ')' | '}')));
        let place = spot(text, &tokens[..before]).filter(|_| is_whole);
        if let Some(Slot::Value(parameter)) = place.map(|spot| spot.slot) {
            found.insert(chain.parts[1].0.clone(), parameter);
        }
    }
    found
}

/// The script around a byte: the whole file, or the inline body of a step.
pub struct Code<'a> {
    pub script: Script,
    pub range: std::ops::Range<usize>,
    pub quoting: Quoting,
    /// The step with this body.
    pub step: Option<&'a Step>,
}

/// Returns the inline body that contains a byte.
pub fn body_at<'w>(text: &str, workflow: &'w Workflow, offset: usize) -> Option<Code<'w>> {
    workflow.steps.iter().find_map(|step| match &step.action {
        Action::Inline { span, quoting } if span.start <= offset && offset <= span.end => {
            Some(Code {
                script: Script::read(text, span.clone(), *quoting),
                range: span.clone(),
                quoting: *quoting,
                step: Some(step),
            })
        }
        _ => None,
    })
}
