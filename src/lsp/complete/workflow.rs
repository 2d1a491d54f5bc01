use std::path::Path;

use gen_lsp_types::CompletionItemKind as ItemKind;

use super::{
    Suggestion, TYPES, code::in_code, expression::in_expression, of_item, of_step, paths,
    suggestion,
};
use crate::{
    files::Files,
    pages::Pages,
    place::{Place, file_key_at, is_below, place_at, section_at},
    signature::{Item, body_at, inputs_of, passed_on},
    values::values_of,
    workflow::Workflow,
};
use windlass_compile::Form;
use windlass_script::ValueKind;
use windlass_world::{value::FailureClass, x509::Subject};

pub(super) fn in_workflow(
    files: &Files,
    pages: &Pages,
    path: &Path,
    text: &str,
    workflow: &Workflow,
    offset: usize,
) -> Vec<Suggestion> {
    if let Some(code) = body_at(text, workflow, offset) {
        return in_code(files, pages, path, text, &code, offset);
    }
    let mut expressions = workflow.expressions.iter();
    if let Some(expression) =
        expressions.find(|one| one.span.start <= offset && offset <= one.span.end)
    {
        return in_expression(files, path, text, workflow, expression, offset);
    }
    let place = place_at(text, &workflow.root, offset);
    if place.is_key {
        keys(files, pages, path, text, workflow, &place)
    } else {
        values(files, path, text, workflow, &place)
    }
}

fn keys(
    files: &Files,
    pages: &Pages,
    path: &Path,
    text: &str,
    workflow: &Workflow,
    place: &Place,
) -> Vec<Suggestion> {
    let is_new = |name: &str| !place.beside.iter().any(|known| known == name);
    // A key whose colon stands there already.
    let colon = if text[place.word.end..]
        .trim_start_matches([' ', '\t'])
        .starts_with(':')
    {
        ""
    } else {
        ":"
    };
    let space = if colon.is_empty() { "" } else { " " };
    if let Some(section) = section_at(&place.path) {
        const ACTIONS: [&str; 4] = ["script", "run", "workflow", "approval"];
        let is_step = section.name == "step";
        let has_action = is_step
            && place
                .beside
                .iter()
                .any(|key| ACTIONS.contains(&key.as_str()));
        let keys = section.keys.iter().filter(|key| {
            let fits = key.only_with.is_none_or(|with| !is_new(with));
            is_new(key.name) && fits && !(has_action && ACTIONS.contains(&key.name))
        });
        return keys
            .map(|key| Suggestion {
                inserts: if is_below(&key.form) && !place.is_flow {
                    format!("{}{colon}", key.name)
                } else {
                    format!("{}{colon}{space}", key.name)
                },
                detail: key
                    .default
                    .map_or_else(String::new, |default| format!("= {default}")),
                about: pages
                    .explain(&format!("{}.{}", section.name, key.name))
                    .unwrap_or_default(),
                rank: if key.is_required || (is_step && ACTIONS.contains(&key.name)) {
                    1
                } else {
                    5
                },
                ..suggestion(key.name, ItemKind::Property, &place.word)
            })
            .collect();
    }
    let words: Vec<_> = place.path.iter().map(String::as_str).collect();
    let ["steps" | "finally", step, "with", inner @ ..] = words.as_slice() else {
        return Vec::new();
    };
    let Some(step) = workflow.step(step) else {
        return Vec::new();
    };
    match inner {
        [] => {
            let inputs = inputs_of(files, path, text, step);
            let inputs = inputs.into_iter().filter(|input| is_new(&input.name));
            inputs
                .map(|input| Suggestion {
                    inserts: format!("{}{colon}{space}", input.name),
                    rank: if input.is_required { 1 } else { 5 },
                    ..of_item(&input, ItemKind::Field, &place.word)
                })
                .collect()
        }
        [input, ..] => {
            let known = passed_on(files, path, text, step);
            let Some(parameter) = known.get(*input) else {
                return Vec::new();
            };
            let attributes = matches!(parameter.kind, ValueKind::Subject);
            let names: Vec<&str> = match parameter.kind.fields() {
                Some(fields) => fields.iter().map(|field| field.name).collect(),
                None if attributes => Subject::attributes().collect(),
                None => Vec::new(),
            };
            let names = names.into_iter().filter(|name| is_new(name));
            names
                .map(|name| Suggestion {
                    inserts: format!("{name}{colon}{space}"),
                    ..suggestion(name, ItemKind::Field, &place.word)
                })
                .collect()
        }
    }
}

fn values(
    files: &Files,
    path: &Path,
    text: &str,
    workflow: &Workflow,
    place: &Place,
) -> Vec<Suggestion> {
    let word = &place.word;
    let plain = |words: Vec<String>, kind: ItemKind| -> Vec<Suggestion> {
        let words = words
            .into_iter()
            .filter(|word| !place.beside.contains(word));
        words.map(|name| suggestion(name, kind, word)).collect()
    };
    let owned = |words: &[&str]| {
        words
            .iter()
            .map(|word| (*word).to_owned())
            .collect::<Vec<_>>()
    };
    let keys: Vec<_> = place.path.iter().map(String::as_str).collect();
    // `params: { x: string }`
    if let ["params", _] = keys.as_slice() {
        return plain(owned(&TYPES), ItemKind::TypeParameter);
    }
    if let Some((section, key)) = file_key_at(&place.path) {
        let own_step = keys.get(1).copied().unwrap_or_default();
        return match (section.name, key.name, key.form) {
            ("step", "script", _) => paths(files, path, word, text, "rhai"),
            ("step", "workflow", _) => paths(files, path, word, text, "yaml"),
            (_, _, Form::Flag) => plain(owned(&["true", "false"]), ItemKind::Value),
            (_, _, Form::Words(words)) => plain(owned(words), ItemKind::EnumMember),
            (_, _, Form::Type) => plain(owned(&TYPES), ItemKind::TypeParameter),
            (_, _, Form::Names) => {
                let is_finally = workflow.step(own_step).is_some_and(|step| step.is_finally);
                let steps = workflow.steps.iter();
                let steps = steps
                    .filter(|step| step.name.text != own_step && (is_finally || !step.is_finally));
                let steps = steps.filter(|step| !place.beside.contains(&step.name.text));
                steps.map(|step| of_step(step, word)).collect()
            }
            (_, _, Form::Classes) => plain(
                owned(&[FailureClass::NAMES, &["any"]].concat()),
                ItemKind::EnumMember,
            ),
            (_, _, Form::Condition) => {
                let mut found = plain(owned(&["true", "false"]), ItemKind::Value);
                found.push(expression_marks(text, place));
                found
            }
            (_, _, Form::Template | Form::Items) => vec![expression_marks(text, place)],
            _ => Vec::new(),
        };
    }
    match keys.as_slice() {
        ["outputs", ..] => vec![expression_marks(text, place)],
        ["steps" | "finally", step, "with", input, inner @ ..] => {
            let Some(step) = workflow.step(step) else {
                return Vec::new();
            };
            let mut found = Vec::new();
            if let Some(parameter) = passed_on(files, path, text, step).get(*input) {
                let parameter = match inner {
                    [] => Some(*parameter),
                    [name, ..] => parameter
                        .kind
                        .fields()
                        .and_then(|fields| fields.iter().find(|field| field.name == *name)),
                };
                let values = parameter.map_or_else(Vec::new, values_of);
                found.extend(plain(owned(&values), ItemKind::EnumMember));
            }
            let inputs = inputs_of(files, path, text, step);
            let is_flag = |item: &&Item| item.name == **input && item.ty.starts_with("bool");
            if found.is_empty() && inner.is_empty() && inputs.iter().any(|item| is_flag(&item)) {
                found.extend(plain(owned(&["true", "false"]), ItemKind::Value));
            }
            found.push(expression_marks(text, place));
            found
        }
        _ => Vec::new(),
    }
}

/// `${{ }}`, in quotes where YAML needs them.
fn expression_marks(text: &str, place: &Place) -> Suggestion {
    let before = text[..place.word.start].chars().next_back();
    let is_quoted = matches!(before, Some('"' | '\''));
    let inserts = if place.is_flow && !is_quoted {
        "\"${{  }}\""
    } else {
        "${{  }}"
    };
    Suggestion {
        inserts: inserts.to_owned(),
        detail: "an expression".to_owned(),
        rank: 8,
        ..suggestion("${{ }}", ItemKind::Snippet, &place.word)
    }
}
