//! What may stand where somebody types.

use std::{
    collections::BTreeSet,
    fs,
    ops::Range,
    path::{Path, PathBuf},
};

use gen_lsp_types::CompletionItemKind as ItemKind;

use super::{
    describe::about_parameter,
    files::{Files, Outline, resolve},
    lexer::{Kind, Quoting, Token, chains, lex, unquoted},
    pages::Pages,
    place::{Place, file_key_at, is_below, place_at, section_at},
    script::Script,
    signature::{Code, Item, body_at, inputs_of, outputs_of, params, passed_on},
    spot::{Slot, Spot, spot},
    values::{fields_of, values_of},
    workflow::{Action, Expression, Step, Workflow},
};
use crate::{
    compile::Form,
    script::{MODULES, Need, Parameter, ValueKind},
    value::FailureClass,
    x509::Subject,
};

/// One thing that may stand there.
#[derive(Clone, Debug)]
pub struct Suggestion {
    pub label: String,
    pub kind: ItemKind,
    pub detail: String,
    /// Markdown.
    pub about: String,
    /// What it replaces: what has been typed of it.
    pub replaces: Range<usize>,
    pub inserts: String,
    /// The smaller, the nearer to the top.
    pub rank: u8,
}

/// Lists what may stand at a byte of a file.
pub fn complete(files: &Files, pages: &Pages, path: &Path, offset: usize) -> Vec<Suggestion> {
    let found = match files.outline(path) {
        Outline::Script(text, script) => {
            let code = Code {
                range: 0..text.len(),
                script: (*script).clone(),
                quoting: Quoting::None,
                step: None,
            };
            in_code(files, pages, path, &text, &code, offset)
        }
        Outline::Workflow(text, workflow) if text.trim().is_empty() || files.is_workflow(path) => {
            in_workflow(files, pages, path, &text, &workflow, offset)
        }
        // It may become a workflow: only its first key is offered.
        Outline::Workflow(text, workflow) => {
            let mut found = in_workflow(files, pages, path, &text, &workflow, offset);
            found.retain(|suggestion| suggestion.label == "workflow");
            found
        }
        Outline::None => Vec::new(),
    };
    let mut seen = BTreeSet::new();
    found.into_iter().filter(|suggestion| seen.insert(suggestion.label.clone())).collect()
}

fn suggestion(label: impl Into<String>, kind: ItemKind, replaces: &Range<usize>) -> Suggestion {
    let label = label.into();
    Suggestion {
        inserts: label.clone(),
        label,
        kind,
        detail: String::new(),
        about: String::new(),
        replaces: replaces.clone(),
        rank: 5,
    }
}

fn in_workflow(files: &Files, pages: &Pages, path: &Path, text: &str, workflow: &Workflow, offset: usize) -> Vec<Suggestion> {
    if let Some(code) = body_at(text, workflow, offset) {
        return in_code(files, pages, path, text, &code, offset);
    }
    let mut expressions = workflow.expressions.iter();
    if let Some(expression) = expressions.find(|one| one.span.start <= offset && offset <= one.span.end) {
        return in_expression(files, path, text, workflow, expression, offset);
    }
    let place = place_at(text, &workflow.root, offset);
    match place.is_key {
        true => keys(files, pages, path, text, workflow, &place),
        false => values(files, path, text, workflow, &place),
    }
}

fn keys(files: &Files, pages: &Pages, path: &Path, text: &str, workflow: &Workflow, place: &Place) -> Vec<Suggestion> {
    let is_new = |name: &str| !place.beside.iter().any(|known| known == name);
    // A key whose colon stands there already.
    let colon = match text[place.word.end..].trim_start_matches([' ', '\t']).starts_with(':') {
        true => "",
        false => ":",
    };
    let space = if colon.is_empty() { "" } else { " " };
    if let Some(section) = section_at(&place.path) {
        const ACTIONS: [&str; 4] = ["script", "run", "workflow", "approval"];
        let is_step = section.name == "step";
        let has_action = is_step && place.beside.iter().any(|key| ACTIONS.contains(&key.as_str()));
        let keys = section.keys.iter().filter(|key| {
            let fits = key.only_with.is_none_or(|with| !is_new(with));
            is_new(key.name) && fits && !(has_action && ACTIONS.contains(&key.name))
        });
        return keys
            .map(|key| Suggestion {
                inserts: match is_below(&key.form) && !place.is_flow {
                    true => format!("{}{colon}", key.name),
                    false => format!("{}{colon}{space}", key.name),
                },
                detail: key.default.map_or_else(String::new, |default| format!("= {default}")),
                about: pages.explain(&format!("{}.{}", section.name, key.name)).unwrap_or_default(),
                rank: if key.is_required || (is_step && ACTIONS.contains(&key.name)) { 1 } else { 5 },
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
            let names: Vec<&str> = match fields_of(parameter.kind) {
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

fn of_item(item: &Item, kind: ItemKind, word: &Range<usize>) -> Suggestion {
    Suggestion {
        detail: item.declared(),
        about: item.about.clone(),
        ..suggestion(item.name.as_str(), kind, word)
    }
}

const TYPES: [&str; 14] = [
    "string", "int", "float", "bool", "duration", "secret", "bytes", "any", "list", "list(string)", "map", "map(string)", "string?", "bool?",
];

fn values(files: &Files, path: &Path, text: &str, workflow: &Workflow, place: &Place) -> Vec<Suggestion> {
    let word = &place.word;
    let plain = |words: Vec<String>, kind: ItemKind| -> Vec<Suggestion> {
        let words = words.into_iter().filter(|word| !place.beside.contains(word));
        words.map(|name| suggestion(name, kind, word)).collect()
    };
    let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
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
                let steps = steps.filter(|step| step.name.text != own_step && (is_finally || !step.is_finally));
                let steps = steps.filter(|step| !place.beside.contains(&step.name.text));
                steps.map(|step| of_step(step, word)).collect()
            }
            (_, _, Form::Classes) => {
                let classes = FailureClass::ALL.map(FailureClass::as_str);
                plain(owned(&[&classes[..], &["any"]].concat()), ItemKind::EnumMember)
            }
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
                    [name, ..] => fields_of(parameter.kind)
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
    let inserts = match place.is_flow && !is_quoted {
        true => "\"${{  }}\"",
        false => "${{  }}",
    };
    Suggestion {
        inserts: inserts.to_owned(),
        detail: "an expression".to_owned(),
        rank: 8,
        ..suggestion("${{ }}", ItemKind::Snippet, &place.word)
    }
}

fn of_step(step: &Step, word: &Range<usize>) -> Suggestion {
    let detail = match &step.action {
        Action::Script(path) | Action::Workflow(path) => path.text.clone(),
        Action::Approval => "an approval".to_owned(),
        Action::Inline { .. } | Action::None => String::new(),
    };
    Suggestion {
        detail,
        about: step.description.clone().unwrap_or_default(),
        ..suggestion(step.name.text.as_str(), ItemKind::Event, word)
    }
}

/// The files and folders that a path may go on with.
fn paths(files: &Files, from: &Path, word: &Range<usize>, text: &str, extension: &str) -> Vec<Suggestion> {
    let typed = &text[word.clone()];
    let (folder, start) = match typed.rfind('/') {
        Some(at) => (&typed[..=at], word.start + at + 1),
        None => ("", word.start),
    };
    let word = start..word.end;
    let Some(inside) = from.parent() else {
        return Vec::new();
    };
    let mut names: BTreeSet<(bool, String)> = BTreeSet::new();
    for entry in fs::read_dir(inside.join(folder)).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if !name.starts_with('.') {
            names.insert((is_folder, name));
        }
    }
    // A file that is open and not saved yet is there, too.
    let open = files.documents().filter(|(path, _)| path.parent() == Some(&inside.join(folder)));
    names.extend(open.filter_map(|(path, _)| Some((false, path.file_name()?.to_str()?.to_owned()))));
    let own: Option<PathBuf> = Some(from.to_owned());
    let fits = |(is_folder, name): &(bool, String)| {
        let is_of_kind = name.ends_with(&format!(".{extension}")) || (extension == "yaml" && name.ends_with(".yml"));
        let is_own = !is_folder && resolve(from, &format!("{folder}{name}")) == own;
        (*is_folder || is_of_kind) && !is_own && name != "target" && name != "out"
    };
    let names = names.into_iter().filter(fits);
    names
        .map(|(is_folder, name)| match is_folder {
            true => Suggestion { rank: 7, ..suggestion(format!("{name}/"), ItemKind::Folder, &word) },
            false => suggestion(name, ItemKind::File, &word),
        })
        .collect()
}

/// What is written up to a byte: `steps.root_ca.a` is `steps`, `root_ca` and the word `a`.
struct Before {
    parts: Vec<String>,
    word: Range<usize>,
    /// Whether something in brackets stands between.
    skips: bool,
}

/// Reads what has been written up to the end of these tokens. `None` behind a dot of something else, or within a text.
fn path_before(text: &str, tokens: &[Token], offset: usize) -> Option<Before> {
    let last = tokens.last();
    if last.is_some_and(|token| matches!(token.kind, Kind::Comment | Kind::Text) && token.span.end == offset) {
        let is_interpolation = last.is_some_and(|token| text[token.span.clone()].ends_with("${"));
        let is_closed = last.is_some_and(|token| unquoted(text, &token.span).end < token.span.end);
        if !is_interpolation && !is_closed {
            return None;
        }
    }
    if let Some(chain) = chains(text, tokens).into_iter().rev().find(|chain| chain.end == offset) {
        let mut parts: Vec<_> = chain.parts.iter().map(|(name, _)| name.clone()).collect();
        let word = match chain.is_open || text[..offset].ends_with(']') {
            true => offset..offset,
            false => {
                parts.pop();
                chain.parts.last().map_or(offset..offset, |(_, span)| span.clone())
            }
        };
        return Some(Before { parts, word, skips: chain.skips });
    }
    let is_dot = |token: &Token| token.kind == Kind::Sign('.');
    let mut before = tokens.iter().rev().skip_while(|token| token.kind == Kind::Word && token.span.end == offset);
    match before.next().is_some_and(is_dot) {
        true => None,
        false => {
            let word = last.filter(|token| token.kind == Kind::Word && token.span.end == offset);
            Some(Before { parts: Vec::new(), word: word.map_or(offset..offset, |token| token.span.clone()), skips: false })
        }
    }
}

fn in_expression(
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
                ("steps", "what other steps give", true),
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
        ["params"] => params(workflow).iter().map(|item| of_item(item, ItemKind::Variable, word)).collect(),
        ["steps"] => {
            let is_finally = own.is_some_and(|step| step.is_finally);
            let others = workflow.steps.iter().filter(|step| own.is_none_or(|own| own.name != step.name));
            let others = others.filter(|step| is_finally || !step.is_finally);
            others.map(|step| of_step(step, word)).collect()
        }
        ["steps", name] => {
            let step = workflow.step(name).filter(|step| step.has_items == before.skips);
            let outputs = step.map_or_else(Vec::new, |step| outputs_of(files, path, text, step));
            outputs.iter().map(|item| of_item(item, ItemKind::Field, word)).collect()
        }
        ["run"] => {
            let status = own.is_some_and(|step| step.is_finally).then_some(("status", "string"));
            let names = [("id", "string"), ("started_at", "string")].into_iter().chain(status);
            names.map(field).collect()
        }
        ["target"] => [("name", "string"), ("kube", "bool")].map(field).into(),
        ["item"] => [("key", "of a map"), ("value", "of a map")].map(field).into(),
        _ => Vec::new(),
    }
}

const KEYWORDS: [&str; 18] = [
    "let", "const", "if", "else", "for", "in", "while", "loop", "break", "continue", "return", "throw", "try", "catch", "switch", "fn", "import", "true",
];

fn in_code(files: &Files, pages: &Pages, path: &Path, text: &str, code: &Code, offset: usize) -> Vec<Suggestion> {
    let all = lex(text, code.range.start..offset, code.quoting);
    let is_comment = all.last().is_some_and(|token| token.kind == Kind::Comment && !text[token.span.end..].starts_with('\n'));
    if is_comment && all.last().is_some_and(|token| token.span.end == offset) {
        return Vec::new();
    }
    let tokens: Vec<&Token> = all.iter().filter(|token| token.kind != Kind::Comment).collect();
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
    let ahead: Vec<&Token> = tokens.iter().copied().take_while(|token| token.span.end <= word.start).collect();
    match spot(text, &ahead) {
        Some(Spot { slot: Slot::Key { fields, given }, .. }) => {
            let fields = fields.iter().filter(|field| !given.iter().any(|name| name == field.name));
            return fields.map(|field| option(text, field, word)).collect();
        }
        Some(Spot { slot: Slot::Attribute { given }, .. }) => {
            let names = Subject::attributes().filter(|name| !given.iter().any(|given| given == name));
            return names
                .map(|name| Suggestion { inserts: format!("{name}: "), ..suggestion(name, ItemKind::Field, word) })
                .collect();
        }
        Some(Spot { slot: Slot::Value(parameter), .. }) => {
            let is_text = !matches!(parameter.kind, ValueKind::Bool);
            let values = values_of(parameter).into_iter().map(|value| Suggestion {
                inserts: if is_text { in_quotes(value, code.quoting) } else { value.to_owned() },
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
        Some(step) => step.with.iter().map(|name| suggestion(name.text.as_str(), ItemKind::Field, word)).collect(),
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

/// Completes a text that has begun: a value, or the path of an import.
fn in_text(files: &Files, path: &Path, text: &str, tokens: &[&Token], offset: usize) -> Option<Vec<Suggestion>> {
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
    let declares = (0..before.len()).rev().find(|at| before[*at].kind == Kind::OpenMap).is_some_and(|open| {
        open >= 2 && (is_word(before.get(open - 2), "INPUTS") || is_word(before.get(open - 2), "OUTPUTS"))
    });
    let words: Vec<&str> = match spot(text, before).map(|spot| spot.slot) {
        Some(Slot::Value(parameter)) => values_of(parameter),
        _ if declares => TYPES.to_vec(),
        _ => Vec::new(),
    };
    Some(words.into_iter().map(|value| suggestion(value, ItemKind::EnumMember, &inside)).collect())
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
        [before @ .., word] if word.kind == Kind::Word && word.span.end == offset => (word.span.clone(), before),
        all => (offset..offset, all),
    };
    let [.., module, colons] = before else {
        return None;
    };
    if colons.kind != Kind::Path || colons.span.end != word.start {
        return None;
    }
    let module = &text[module.span.clone()];
    let call = |name: &str| match text[word.end..].starts_with('(') {
        true => name.to_owned(),
        false => format!("{name}("),
    };
    if let Some(row) = MODULES.iter().find(|row| row.name == module) {
        let functions = row.functions.iter().filter_map(|function| Some((function, function.name.split_once("::")?.1)));
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
    let import = imports.find(|import| import.alias.as_ref().is_some_and(|alias| alias.text == module))?;
    let (_, script) = files.script(&resolve(path, &format!("{}.rhai", import.path.text))?)?;
    Some(own_functions(&script, &word).map(|own| Suggestion { inserts: call(&own.label), ..own }).collect())
}

fn own_functions<'s>(script: &'s Script, word: &'s Range<usize>) -> impl Iterator<Item = Suggestion> + 's {
    script.functions.iter().map(|function| {
        let parameters: Vec<_> = function.parameters.iter().map(|name| name.text.as_str()).collect();
        Suggestion {
            detail: format!("{}({})", function.name.text, parameters.join(", ")),
            about: function.about.clone(),
            ..suggestion(function.name.text.as_str(), ItemKind::Function, word)
        }
    })
}

/// The names that an expression of a script may begin with.
fn names(pages: &Pages, code: &Code, offset: usize, word: &Range<usize>) -> Vec<Suggestion> {
    let mut found = Vec::new();
    if let Some(inputs) = code.script.inputs_at(offset, code.step.is_some()) {
        found.push(Suggestion { rank: 3, ..suggestion(inputs, ItemKind::Variable, word) });
    }
    let around = code.script.functions.iter().find(|function| function.span.contains(&offset));
    let is_near = |span: &Range<usize>| match around {
        Some(function) => function.span.contains(&span.start),
        None => true,
    };
    let variables = code.script.variables.iter().filter(|name| is_near(&name.span) && name.span.end < offset);
    found.extend(variables.map(|name| Suggestion { rank: 3, ..suggestion(name.text.as_str(), ItemKind::Variable, word) }));
    let own = own_functions(&code.script, word).filter(|own| !matches!(own.label.as_str(), "run" | "undo"));
    found.extend(own.map(|own| Suggestion { rank: 4, inserts: format!("{}(", own.label), ..own }));
    let aliases = code.script.imports.iter().filter_map(|import| import.alias.as_ref());
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
    found.extend(KEYWORDS.map(|keyword| Suggestion { rank: 9, ..suggestion(keyword, ItemKind::Keyword, word) }));
    found
}
