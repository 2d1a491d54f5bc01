use std::{collections::BTreeMap, sync::Arc};

use include_dir::{Dir, include_dir};

use super::failure::Failure;
use crate::compile::{InMemory, Program, compile};

/// The workflows that are shipped, with their scripts and tests.
static WORKFLOWS: Dir = include_dir!("$CARGO_MANIFEST_DIR/workflows");

/// Returns every shipped file by its path relative to the folder of the workflows.
pub fn texts() -> BTreeMap<String, Arc<str>> {
    let texts = texts_in(&WORKFLOWS).into_iter();
    texts.map(|(path, text)| (path, text.into())).collect()
}

/// Returns the names of the shipped workflows.
pub fn names() -> impl Iterator<Item = &'static str> {
    WORKFLOWS
        .files()
        .filter_map(|file| file.path().to_str()?.strip_suffix(".yaml"))
        .filter(|name| !name.ends_with(".test"))
}

/// Returns the shipped files if a workflow of this name is among them: what test files may name.
pub fn library(name: &str) -> Option<BTreeMap<String, Arc<str>>> {
    names().any(|shipped| shipped == name).then(texts)
}

/// Compiles a shipped workflow from the copy in this program.
///
/// # Errors
/// A name that is not shipped. The tests make sure that shipped workflows have no mistakes.
pub fn program(name: &str) -> Result<Program, Failure> {
    Ok(compile(&format!("{name}.yaml"), &mut InMemory(texts()))?)
}

/// Returns every file below an embedded folder by its path relative to that folder.
pub fn texts_in(folder: &Dir) -> BTreeMap<String, String> {
    let mut texts = BTreeMap::new();
    for file in folder.files() {
        if let Some(text) = file.contents_utf8() {
            texts.insert(file.path().to_string_lossy().into_owned(), text.to_owned());
        }
    }
    for folder in folder.dirs() {
        texts.extend(texts_in(folder));
    }
    texts
}
