use std::{ops::Range, path::Path};

use gen_lsp_types::CompletionItemKind as ItemKind;

use super::{Suggestion, of_item, of_step, suggestion};
use crate::{
    files::Files,
    signature::{outputs_of, params},
    workflow::{Expression, Workflow},
};
use windlass_script::lexer::{Kind, Token, chains, lex, unquoted};

/// The path before a byte: `steps.root_ca.a` is `steps`, `root_ca` and the word `a`.
pub(super) struct Before {
    pub parts: Vec<String>,
    pub word: Range<usize>,
    /// Whether there is something in brackets between the parts.
    pub skips: bool,
}

/// Reads the path at the end of these tokens. `None` after a dot of something else, or within a text.
pub(super) fn path_before(text: &str, tokens: &[Token], offset: usize) -> Option<Before> {
    let last = tokens.last();
    if last.is_some_and(|token| {
        matches!(token.kind, Kind::Comment | Kind::Text) && token.span.end == offset
    }) {
        let is_interpolation = last.is_some_and(|token| text[token.span.clone()].ends_with("${"));
        let is_closed = last.is_some_and(|token| unquoted(text, &token.span).end < token.span.end);
        if !is_interpolation && !is_closed {
            return None;
        }
    }
    if let Some(chain) = chains(text, tokens)
        .into_iter()
        .rev()
        .find(|chain| chain.end == offset)
    {
        let mut parts: Vec<_> = chain.parts.iter().map(|(name, _)| name.clone()).collect();
        let word = if chain.is_open || text[..offset].ends_with(']') {
            offset..offset
        } else {
            parts.pop();
            chain
                .parts
                .last()
                .map_or(offset..offset, |(_, span)| span.clone())
        };
        return Some(Before {
            parts,
            word,
            skips: chain.skips,
        });
    }
    let is_dot = |token: &Token| token.kind == Kind::Sign('.');
    let mut before = tokens
        .iter()
        .rev()
        .skip_while(|token| token.kind == Kind::Word && token.span.end == offset);
    if before.next().is_some_and(is_dot) {
        None
    } else {
        let word = last.filter(|token| token.kind == Kind::Word && token.span.end == offset);
        Some(Before {
            parts: Vec::new(),
            word: word.map_or(offset..offset, |token| token.span.clone()),
            skips: false,
        })
    }
}

pub(super) fn in_expression(
    files: &Files,
    path: &Path,
    text: &str,
    workflow: &Workflow,
    expression: &Expression,
    offset: usize,
) -> Vec<Suggestion> {
    let tokens = lex(text, expression.span.start..offset, expression.quoting);
    let Some(before) = path_before(text, &tokens, offset) else {
        return Vec::new();
    };
    let own = workflow.step_at(expression.span.start);
    let word = &before.word;
    let field = |(name, ty): (&str, &str)| Suggestion {
        detail: ty.to_owned(),
        ..suggestion(name, ItemKind::Field, word)
    };
    let parts: Vec<_> = before.parts.iter().map(String::as_str).collect();
    match parts.as_slice() {
        [] => {
            let has_items = own.is_some_and(|step| step.has_items);
            let roots = [
                ("params", "the workflow's params", true),
                ("steps", "the outputs of other steps", true),
                ("item", "the item of this step's `for_each`", has_items),
                ("run", "id, started_at and, in `finally`, status", true),
                ("target", "name, kube", true),
            ];
            let roots = roots.into_iter().filter(|(.., is_there)| *is_there);
            roots
                .map(|(name, about, _)| Suggestion {
                    detail: about.to_owned(),
                    ..suggestion(name, ItemKind::Variable, word)
                })
                .collect()
        }
        ["params"] => params(workflow)
            .iter()
            .map(|item| of_item(item, ItemKind::Variable, word))
            .collect(),
        ["steps"] => {
            let is_finally = own.is_some_and(|step| step.is_finally);
            let others = workflow
                .steps
                .iter()
                .filter(|step| own.is_none_or(|own| own.name != step.name));
            let others = others.filter(|step| is_finally || !step.is_finally);
            others.map(|step| of_step(step, word)).collect()
        }
        ["steps", name] => {
            let step = workflow
                .step(name)
                .filter(|step| step.has_items == before.skips);
            let outputs = step.map_or_else(Vec::new, |step| outputs_of(files, path, text, step));
            outputs
                .iter()
                .map(|item| of_item(item, ItemKind::Field, word))
                .collect()
        }
        ["run"] => {
            let status = own
                .is_some_and(|step| step.is_finally)
                .then_some(("status", "string"));
            let names = [("id", "string"), ("started_at", "string")]
                .into_iter()
                .chain(status);
            names.map(field).collect()
        }
        ["target"] => [("name", "string"), ("kube", "bool")].map(field).into(),
        ["item"] => [("key", "of a map"), ("value", "of a map")]
            .map(field)
            .into(),
        _ => Vec::new(),
    }
}
