//! Completion: lists what may be inserted where the user is typing.
//!
//! `workflow` completes the keys and values of a workflow file, `expression` the text between `${{` and `}}`, `code` scripts and inline
//! bodies.

mod code;
mod expression;
mod workflow;

use std::{
    collections::BTreeSet,
    fs,
    ops::Range,
    path::{Path, PathBuf},
};

use gen_lsp_types::CompletionItemKind as ItemKind;

use super::{
    files::{Files, Outline, resolve},
    pages::Pages,
    signature::{Code, Item},
    workflow::{Action, Step},
};
use code::in_code;
use windlass_script::lexer::Quoting;
use workflow::in_workflow;

/// One possible completion.
#[derive(Clone, Debug)]
pub struct Suggestion {
    pub label: String,
    pub kind: ItemKind,
    pub detail: String,
    /// Its description in Markdown.
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
    found
        .into_iter()
        .filter(|suggestion| seen.insert(suggestion.label.clone()))
        .collect()
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

fn of_item(item: &Item, kind: ItemKind, word: &Range<usize>) -> Suggestion {
    Suggestion {
        detail: item.declared(),
        about: item.about.clone(),
        ..suggestion(item.name.as_str(), kind, word)
    }
}

const TYPES: [&str; 14] = [
    "string",
    "int",
    "float",
    "bool",
    "duration",
    "secret",
    "bytes",
    "any",
    "list",
    "list(string)",
    "map",
    "map(string)",
    "string?",
    "bool?",
];

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

/// Returns the files and folders that may complete a path.
fn paths(
    files: &Files,
    from: &Path,
    word: &Range<usize>,
    text: &str,
    extension: &str,
) -> Vec<Suggestion> {
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
    for entry in fs::read_dir(inside.join(folder))
        .into_iter()
        .flatten()
        .flatten()
    {
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if !name.starts_with('.') {
            names.insert((is_folder, name));
        }
    }
    // A file that is open and not saved yet is there, too.
    let open = files
        .documents()
        .filter(|(path, _)| path.parent() == Some(&inside.join(folder)));
    names
        .extend(open.filter_map(|(path, _)| Some((false, path.file_name()?.to_str()?.to_owned()))));
    let own: Option<PathBuf> = Some(from.to_owned());
    let fits = |(is_folder, name): &(bool, String)| {
        let is_of_kind = name.ends_with(&format!(".{extension}"))
            || (extension == "yaml" && name.ends_with(".yml"));
        let is_own = !is_folder && resolve(from, &format!("{folder}{name}")) == own;
        (*is_folder || is_of_kind) && !is_own && name != "target" && name != "out"
    };
    let names = names.into_iter().filter(fits);
    names
        .map(|(is_folder, name)| {
            if is_folder {
                Suggestion {
                    rank: 7,
                    ..suggestion(format!("{name}/"), ItemKind::Folder, &word)
                }
            } else {
                suggestion(name, ItemKind::File, &word)
            }
        })
        .collect()
}
