//! Renames declarations of workflows and scripts, at all places in all files.

use std::{path::Path, sync::Arc};

use super::{
    files::Files,
    marks::{Mark, Occurrence, Symbol, mark_at, occurrences},
    script::Script,
    signature::{given_by, taken_by},
    workflow::Action,
};
use windlass_compile::StepName;
use windlass_script::is_readable;

/// Returns what would be renamed at a byte.
///
/// # Errors
/// The reason why it can't be renamed, as a sentence.
pub fn renamable(files: &Files, path: &Path, offset: usize) -> Result<Mark, String> {
    let mark = mark_at(files, path, offset).ok_or("there is no name here that can be renamed")?;
    match &mark.symbol {
        Symbol::Step { .. } => Ok(mark),
        Symbol::BodyInput { file, step, .. } => match body(files, file, step) {
            Some((text, body)) if body.hides_reads(&text, true) => Err(HIDDEN_READS.into()),
            _ => Ok(mark),
        },
        Symbol::BodyOutput { file, step, .. } => match body(files, file, step) {
            Some((text, body)) if body.returns_early(&text, true) => Err(EARLY_RETURN.into()),
            _ => Ok(mark),
        },
        Symbol::Input { file, .. } => match files.script(file) {
            Some((text, script)) if script.hides_reads(&text, false) => Err(HIDDEN_READS.into()),
            _ => Ok(mark),
        },
        Symbol::Output { file, name } => match files.script(file) {
            // The outputs may come from anywhere else.
            Some((_, script)) if !script.given.iter().any(|given| given.text == *name) => {
                Err(format!(
                    "the script does not end with a map that has `{name}`: rename it in the script by hand"
                ))
            }
            Some((text, script)) if script.returns_early(&text, false) => Err(EARLY_RETURN.into()),
            _ => Ok(mark),
        },
        Symbol::Function { .. } => {
            Err("a function can also be called by its name in a string: rename it by hand".into())
        }
        Symbol::File(_) => Err("rename the file, then the paths that refer to it".into()),
        Symbol::HostFunction(name) | Symbol::HostModule(name) => {
            Err(format!("`{name}` is part of windlass"))
        }
    }
}

/// A read that is not seen would be `()` afterwards, without an error.
const HIDDEN_READS: &str = "the script passes its inputs on as a whole, or computes the name of one, so it may read this name where it can't be seen: rename it by hand";
const EARLY_RETURN: &str =
    "the script also ends at a `return`, whose outputs are not renamed: rename it by hand";

/// Returns the inline body of a step, with the text of its file.
fn body(files: &Files, file: &Path, step: &str) -> Option<(Arc<str>, Script)> {
    let (text, workflow) = files.workflow(file)?;
    let Action::Inline { span, quoting } = &workflow.step(step)?.action else {
        return None;
    };
    let body = Script::read(&text, span.clone(), *quoting);
    Some((text, body))
}

/// Lists the places that a rename changes.
///
/// # Errors
/// The reason why the new name can't be used, as a sentence.
pub fn rename(
    files: &Files,
    path: &Path,
    offset: usize,
    new: &str,
) -> Result<Vec<Occurrence>, String> {
    let mark = renamable(files, path, offset)?;
    let is_step = matches!(mark.symbol, Symbol::Step { .. });
    let is_word = StepName::parse(&new.to_ascii_lowercase()).is_some();
    if is_step && StepName::parse(new).is_none() {
        return Err(format!(
            "`{new}` is not a valid step name: lower-case letters, digits and `_`, not starting with a digit"
        ));
    }
    if !is_word || !is_readable(new) {
        return Err(format!(
            "no expression can read `{new}`: use letters, digits and `_`, and no word that Rhai reserves"
        ));
    }
    if is_taken(files, &mark.symbol, new) {
        return Err(format!("`{new}` already exists"));
    }
    let found = occurrences(files, &mark.symbol, path);
    if found.iter().any(|place| place.is_definition) {
        Ok(found)
    } else {
        Err("this name is not declared anywhere".into())
    }
}

fn is_taken(files: &Files, symbol: &Symbol, new: &str) -> bool {
    let workflow = |file: &Path| files.workflow(file).map(|(_, workflow)| workflow);
    match symbol {
        Symbol::Step { file, .. } => {
            workflow(file).is_some_and(|workflow| workflow.step(new).is_some())
        }
        Symbol::Input { file, .. } => taken_by(files, file).iter().any(|item| item.name == new),
        Symbol::Output { file, .. } => given_by(files, file).iter().any(|item| item.name == new),
        Symbol::BodyInput { file, step, .. } => workflow(file).is_some_and(|workflow| {
            workflow
                .step(step)
                .is_some_and(|step| step.with.iter().any(|name| name.text == new))
        }),
        _ => false,
    }
}
