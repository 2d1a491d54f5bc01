use std::{ops::Range, path::Path};

use super::{
    describe::{about_parameter, describe},
    files::{Files, Outline},
    marks::mark_at,
    pages::Pages,
    place::{file_key_at, key_at},
    signature::{Code, body_at},
    spot::{Slot, spot},
    workflow::Workflow,
};
use windlass_script::lexer::{Kind, Quoting, Token};

/// Returns the place of the word at a byte, and Markdown about it.
pub fn hover(
    files: &Files,
    pages: &Pages,
    path: &Path,
    offset: usize,
) -> Option<(Range<usize>, String)> {
    if let Some(mark) = mark_at(files, path, offset)
        && let Some(about) = describe(files, pages, &mark.symbol)
    {
        return Some((mark.span, about));
    }
    match files.outline(path) {
        Outline::Workflow(text, workflow) if files.is_workflow(path) => {
            match body_at(&text, &workflow, offset) {
                Some(code) => option(&text, &code, offset),
                None => root(&text, &workflow, offset).or_else(|| {
                    let (path, span) = key_at(&text, &workflow.root, offset)?;
                    let (section, key) = file_key_at(&path)?;
                    Some((
                        span,
                        pages.explain(&format!("{}.{}", section.name, key.name))?,
                    ))
                }),
            }
        }
        Outline::Script(text, script) => {
            let script = (*script).clone();
            let code = Code {
                script,
                range: 0..text.len(),
                quoting: Quoting::None,
                step: None,
            };
            option(&text, &code, offset)
        }
        _ => None,
    }
}

/// Returns an option of a host function.
fn option(text: &str, code: &Code, offset: usize) -> Option<(Range<usize>, String)> {
    let tokens: Vec<&Token> = code
        .script
        .tokens
        .iter()
        .filter(|token| token.kind != Kind::Comment)
        .collect();
    let at = tokens.iter().position(|token| {
        token.span.start <= offset && offset <= token.span.end && token.kind == Kind::Word
    })?;
    let place = spot(text, &tokens[..at])?;
    let Slot::Key { fields, .. } = place.slot else {
        return None;
    };
    let span = tokens[at].span.clone();
    let field = fields
        .iter()
        .find(|field| field.name == &text[span.clone()])?;
    Some((
        span,
        format!(
            "{}\n\nAn option of `{}`.",
            about_parameter(field),
            place.function.name
        ),
    ))
}

/// Returns the root of an expression.
fn root(text: &str, workflow: &Workflow, offset: usize) -> Option<(Range<usize>, String)> {
    let mut chains = workflow
        .expressions
        .iter()
        .flat_map(|expression| &expression.chains);
    let chain =
        chains.find(|chain| chain.parts[0].1.start <= offset && offset <= chain.parts[0].1.end)?;
    let about = match chain.root() {
        "params" => "The params of the run.",
        "steps" => "The outputs of other steps. A step runs after the steps that it reads.",
        "item" => "The item of the step's own `for_each`; of a map, `item.key` and `item.value`.",
        "run" => "The run: `id`, `started_at` and, in `finally`, `status`.",
        "target" => {
            "The target: its `name`, and `kube`, whether it has the workflow's Kubernetes clusters."
        }
        _ => return None,
    };
    let span = chain.parts[0].1.clone();
    Some((span.clone(), format!("`{}`\n\n{about}", &text[span])))
}
