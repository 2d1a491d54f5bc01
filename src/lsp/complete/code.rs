use std::{ops::Range, path::Path};

use gen_lsp_types::CompletionItemKind as ItemKind;

use super::{Suggestion, TYPES, expression::path_before, paths, suggestion};
use crate::{
    describe::about_parameter,
    files::{Files, resolve},
    pages::Pages,
    script::Script,
    signature::Code,
    spot::{Slot, Spot, spot},
    values::values_of,
};
use windlass_script::{
    MODULES, Need, Parameter, ValueKind,
    lexer::{Kind, Quoting, Token, lex, unquoted},
};
use windlass_world::{outside::aws::service, x509::Subject};

const KEYWORDS: [&str; 18] = [
    "let", "const", "if", "else", "for", "in", "while", "loop", "break", "continue", "return",
    "throw", "try", "catch", "switch", "fn", "import", "true",
];

pub(super) fn in_code(
    files: &Files,
    pages: &Pages,
    path: &Path,
    text: &str,
    code: &Code,
    offset: usize,
) -> Vec<Suggestion> {
    let all = lex(text, code.range.start..offset, code.quoting);
    let is_comment = all.last().is_some_and(|token| {
        token.kind == Kind::Comment && !text[token.span.end..].starts_with('\n')
    });
    if is_comment && all.last().is_some_and(|token| token.span.end == offset) {
        return Vec::new();
    }
    let tokens: Vec<&Token> = all
        .iter()
        .filter(|token| token.kind != Kind::Comment)
        .collect();
    if let Some(found) = in_text(files, path, text, &tokens, offset) {
        return found;
    }
    if let Some(found) = of_module(files, pages, path, text, code, &tokens, offset) {
        return found;
    }
    let Some(before) = path_before(text, &all, offset) else {
        return Vec::new();
    };
    let word = &before.word;
    let is_inline = code.step.is_some();
    if let [variable] = before.parts.as_slice() {
        if Some(variable.as_str()) == code.script.inputs_at(offset, is_inline) {
            return inputs(code, word);
        }
        return Vec::new();
    }
    if !before.parts.is_empty() {
        return Vec::new();
    }
    let ahead: Vec<&Token> = tokens
        .iter()
        .copied()
        .take_while(|token| token.span.end <= word.start)
        .collect();
    match spot(text, &ahead) {
        Some(Spot {
            slot: Slot::Key { fields, given },
            ..
        }) => {
            let fields = fields
                .iter()
                .filter(|field| !given.iter().any(|name| name == field.name));
            return fields.map(|field| option(text, field, word)).collect();
        }
        Some(Spot {
            slot: Slot::Attribute { given },
            ..
        }) => {
            let names =
                Subject::attributes().filter(|name| !given.iter().any(|given| given == name));
            return names
                .map(|name| Suggestion {
                    inserts: format!("{name}: "),
                    ..suggestion(name, ItemKind::Field, word)
                })
                .collect();
        }
        Some(Spot {
            slot: Slot::Value(parameter),
            ..
        }) => {
            let is_text = !matches!(parameter.kind, ValueKind::Bool);
            let values = values_of(parameter).into_iter().map(|value| Suggestion {
                inserts: if is_text {
                    in_quotes(value, code.quoting)
                } else {
                    value.to_owned()
                },
                rank: 2,
                ..suggestion(value, ItemKind::EnumMember, word)
            });
            let mut found: Vec<_> = values.collect();
            found.extend(names(pages, code, offset, word));
            return found;
        }
        None => {}
    }
    names(pages, code, offset, word)
}

fn in_quotes(value: &str, quoting: Quoting) -> String {
    match quoting {
        Quoting::Double => format!("\\\"{value}\\\""),
        Quoting::None | Quoting::Single => format!("\"{value}\""),
    }
}

fn option(text: &str, field: &Parameter, word: &Range<usize>) -> Suggestion {
    let is_named = text[word.end..].trim_start_matches(' ').starts_with(':');
    Suggestion {
        inserts: format!("{}{}", field.name, if is_named { "" } else { ": " }),
        detail: field.kind.to_string(),
        about: about_parameter(field),
        rank: if field.need == Need::Required { 1 } else { 5 },
        ..suggestion(field.name, ItemKind::Property, word)
    }
}

fn inputs(code: &Code, word: &Range<usize>) -> Vec<Suggestion> {
    match code.step {
        Some(step) => step
            .with
            .iter()
            .map(|name| suggestion(name.text.as_str(), ItemKind::Field, word))
            .collect(),
        None => {
            let fields = code.script.inputs.iter().flatten();
            fields
                .map(|field| Suggestion {
                    detail: field.declared.clone(),
                    about: field.about.clone(),
                    ..suggestion(field.name.text.as_str(), ItemKind::Field, word)
                })
                .collect()
        }
    }
}

/// Completes a text whose quote is open: a value, or the path of an import.
fn in_text(
    files: &Files,
    path: &Path,
    text: &str,
    tokens: &[&Token],
    offset: usize,
) -> Option<Vec<Suggestion>> {
    let (last, before) = tokens.split_last()?;
    let inside = unquoted(text, &last.span);
    let is_open = last.kind == Kind::Text && last.span.end == offset && inside.end == last.span.end;
    if !is_open || text[last.span.clone()].starts_with(['`', '}']) {
        return None;
    }
    let is_word = |token: Option<&&Token>, word: &str| {
        token.is_some_and(|token| token.kind == Kind::Word && &text[token.span.clone()] == word)
    };
    if is_word(before.last(), "import") {
        let mut found = paths(files, path, &inside, text, "rhai");
        for suggestion in &mut found {
            suggestion.inserts = suggestion.label.trim_end_matches(".rhai").to_owned();
        }
        return Some(found);
    }
    // `const INPUTS = #{ name: "`
    let declares = (0..before.len())
        .rev()
        .find(|at| before[*at].kind == Kind::OpenMap)
        .is_some_and(|open| {
            open >= 2
                && (is_word(before.get(open - 2), "INPUTS")
                    || is_word(before.get(open - 2), "OUTPUTS"))
        });
    let words: Vec<&str> = match spot(text, before).map(|spot| spot.slot) {
        Some(Slot::Value(parameter)) if matches!(parameter.kind, ValueKind::AwsOperation) => {
            operations(text, before)
        }
        Some(Slot::Value(parameter)) => values_of(parameter),
        _ if declares => TYPES.to_vec(),
        _ => Vec::new(),
    };
    Some(
        words
            .into_iter()
            .map(|value| suggestion(value, ItemKind::EnumMember, &inside))
            .collect(),
    )
}

/// Returns the operations of the AWS service in the argument before.
fn operations<'a>(text: &str, before: &[&Token]) -> Vec<&'a str> {
    let named = before.iter().rev().find(|token| token.kind == Kind::Text);
    let named = named.and_then(|token| service(&text[unquoted(text, &token.span)]));
    let service = named.into_iter();
    service
        .flat_map(|service| service.operations.keys().map(String::as_str))
        .collect()
}

/// Completes the functions of a module: `pca::cr`.
fn of_module(
    files: &Files,
    pages: &Pages,
    path: &Path,
    text: &str,
    code: &Code,
    tokens: &[&Token],
    offset: usize,
) -> Option<Vec<Suggestion>> {
    let (word, before) = match tokens {
        [before @ .., word] if word.kind == Kind::Word && word.span.end == offset => {
            (word.span.clone(), before)
        }
        all => (offset..offset, all),
    };
    let [.., module, colons] = before else {
        return None;
    };
    if colons.kind != Kind::Path || colons.span.end != word.start {
        return None;
    }
    let module = &text[module.span.clone()];
    let call = |name: &str| {
        if text[word.end..].starts_with('(') {
            name.to_owned()
        } else {
            format!("{name}(")
        }
    };
    if let Some(row) = MODULES.iter().find(|row| row.name == module) {
        let functions = row
            .functions
            .iter()
            .filter_map(|function| Some((function, function.name.split_once("::")?.1)));
        return Some(
            functions
                .map(|(function, name)| Suggestion {
                    inserts: call(name),
                    detail: function.usage(),
                    about: pages.explain(function.name).unwrap_or_default(),
                    ..suggestion(name, ItemKind::Function, &word)
                })
                .collect(),
        );
    }
    let mut imports = code.script.imports.iter();
    let import = imports.find(|import| {
        import
            .alias
            .as_ref()
            .is_some_and(|alias| alias.text == module)
    })?;
    let (_, script) = files.script(&resolve(path, &format!("{}.rhai", import.path.text))?)?;
    Some(
        own_functions(&script, &word)
            .map(|own| Suggestion {
                inserts: call(&own.label),
                ..own
            })
            .collect(),
    )
}

fn own_functions<'s>(
    script: &'s Script,
    word: &'s Range<usize>,
) -> impl Iterator<Item = Suggestion> + 's {
    script.functions.iter().map(|function| Suggestion {
        detail: format!("{}{}", function.name.text, function.takes()),
        about: function.about.clone(),
        ..suggestion(function.name.text.as_str(), ItemKind::Function, word)
    })
}

/// Returns the names with which an expression of a script may begin.
fn names(pages: &Pages, code: &Code, offset: usize, word: &Range<usize>) -> Vec<Suggestion> {
    let mut found = Vec::new();
    if let Some(inputs) = code.script.inputs_at(offset, code.step.is_some()) {
        found.push(Suggestion {
            rank: 3,
            ..suggestion(inputs, ItemKind::Variable, word)
        });
    }
    let around = code
        .script
        .functions
        .iter()
        .find(|function| function.span.contains(&offset));
    let is_near = |span: &Range<usize>| match around {
        Some(function) => function.span.contains(&span.start),
        None => true,
    };
    let variables = code
        .script
        .variables
        .iter()
        .filter(|name| is_near(&name.span) && name.span.end < offset);
    found.extend(variables.map(|name| Suggestion {
        rank: 3,
        ..suggestion(name.text.as_str(), ItemKind::Variable, word)
    }));
    let own = own_functions(&code.script, word)
        .filter(|own| !matches!(own.label.as_str(), "run" | "undo"));
    found.extend(own.map(|own| Suggestion {
        rank: 4,
        inserts: format!("{}(", own.label),
        ..own
    }));
    let aliases = code
        .script
        .imports
        .iter()
        .filter_map(|import| import.alias.as_ref());
    found.extend(aliases.map(|alias| Suggestion {
        rank: 4,
        inserts: format!("{}::", alias.text),
        ..suggestion(alias.text.as_str(), ItemKind::Module, word)
    }));
    found.extend(MODULES.iter().map(|module| Suggestion {
        inserts: format!("{}::", module.name),
        detail: module.about.to_owned(),
        about: pages.explain_first(module.name).unwrap_or_default(),
        ..suggestion(module.name, ItemKind::Module, word)
    }));
    found.extend(KEYWORDS.map(|keyword| Suggestion {
        rank: 9,
        ..suggestion(keyword, ItemKind::Keyword, word)
    }));
    found
}
