//! The prompt of a terminal: history, completion, hints and entries of several lines.

use std::{borrow::Cow, cell::RefCell, collections::BTreeSet, path::Path, rc::Rc};

use rustyline::{
    CompletionType, Config, Context, Editor, Helper,
    completion::{Completer, Pair},
    error::ReadlineError,
    highlight::Highlighter,
    hint::Hinter,
    history::DefaultHistory,
    validate::{ValidationContext, ValidationResult, Validator},
};

use super::{COMMANDS, entry::is_complete};
use crate::{
    cli::failure::Failure,
    script::{MODULES, function, functions},
};

const PROMPT: &str = "windlass> ";
/// How many entries the history has at most.
const HISTORY: usize = 2000;

/// The names of the variables and functions of the session, which completion offers.
pub type Names = Rc<RefCell<BTreeSet<String>>>;

/// Reads entries from a terminal.
pub struct Prompt {
    editor: Editor<Assistant, DefaultHistory>,
    history: std::path::PathBuf,
}

impl Prompt {
    /// Opens the prompt. The history is a file in the state folder, which only its owner may read.
    pub fn open(state: &Path, names: Names) -> Result<Self, Failure> {
        let config = Config::builder()
            .max_history_size(HISTORY)
            .map_err(failed)?
            .completion_type(CompletionType::List)
            .history_ignore_space(true)
            .build();
        let mut editor = Editor::with_config(config).map_err(failed)?;
        editor.set_helper(Some(Assistant { names }));
        let history = state.join("shell-history");
        // There is no history at first, and a damaged one must not prevent the start.
        let _ = editor.load_history(&history);
        Ok(Self { editor, history })
    }

    /// Reads an entry; `None` at the end of the input. Ctrl-C discards what was typed.
    pub fn read(&mut self) -> Result<Option<String>, Failure> {
        loop {
            match self.editor.readline(PROMPT) {
                Ok(text) => {
                    // Without the history, only convenience is lost.
                    let _ = self.editor.add_history_entry(text.as_str());
                    let _ = self.editor.append_history(&self.history);
                    return Ok(Some(text));
                }
                Err(ReadlineError::Interrupted) => {}
                Err(ReadlineError::Eof) => return Ok(None),
                Err(error) => return Err(failed(error)),
            }
        }
    }
}

fn failed(error: ReadlineError) -> Failure {
    Failure::new("system", format!("can't read from the terminal: {error}"))
}

struct Assistant {
    names: Names,
}

impl Helper for Assistant {}

impl Validator for Assistant {
    fn validate(&self, context: &mut ValidationContext) -> rustyline::Result<ValidationResult> {
        Ok(if is_complete(context.input()) {
            ValidationResult::Valid(None)
        } else {
            ValidationResult::Incomplete
        })
    }
}

impl Completer for Assistant {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        at: usize,
        _: &Context,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        let start = word_start(line, at);
        let found = candidates(&line[start..at], start == 0, &self.names.borrow());
        let pairs = found.into_iter().map(|(display, replacement)| Pair {
            display,
            replacement,
        });
        Ok((start, pairs.collect()))
    }
}

impl Hinter for Assistant {
    type Hint = String;

    /// Shows the parameters of a function when its bracket is open.
    fn hint(&self, line: &str, at: usize, _: &Context) -> Option<String> {
        if at < line.len() {
            return None;
        }
        let before = line.strip_suffix('(')?;
        let row = function(&before[word_start(before, before.len())..])?;
        let usage = row.usage();
        Some(usage.split_once('(')?.1.to_owned())
    }
}

impl Highlighter for Assistant {
    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        Cow::Owned(console::style(hint).dim().to_string())
    }
}

/// Returns the start of the name that ends at `at`.
fn word_start(line: &str, at: usize) -> usize {
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    line[..at].rfind(|c: char| !is_part(c)).map_or(0, |before| {
        before + line[before..].chars().next().map_or(1, char::len_utf8)
    })
}

/// Returns the completions of a word: the text to show, and the text that replaces the word.
fn candidates(word: &str, is_first: bool, names: &BTreeSet<String>) -> Vec<(String, String)> {
    if is_first && word.starts_with(':') {
        let commands = COMMANDS.iter().map(|(name, _)| (*name).to_owned());
        let fitting = commands.filter(|name| name.starts_with(word));
        return fitting.map(|name| (name.clone(), name)).collect();
    }
    if word.contains("::") {
        return functions()
            .filter(|row| row.name.starts_with(word))
            .map(|row| (row.usage(), format!("{}(", row.name)))
            .collect();
    }
    let modules = MODULES.iter().map(|module| {
        let name = format!("{}::", module.name);
        (name.clone(), name)
    });
    let own = names.iter().map(|name| (name.clone(), name.clone()));
    let all = own.chain(modules);
    all.filter(|(_, name)| name.starts_with(word)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_functions_names_and_commands_are_completed() {
        let names = ["arn".to_owned()].into();
        let of = |line: &str| {
            let start = word_start(line, line.len());
            let found = candidates(&line[start..], start == 0, &names);
            found.into_iter().map(|(_, text)| text).collect::<Vec<_>>()
        };
        assert_eq!(of("let x = pc"), ["pca::"]);
        assert_eq!(of("f(ar"), ["arn"]);
        assert!(of("pca::issue").contains(&"pca::issue_certificate(".to_owned()));
        assert_eq!(of(":e"), [":explain"]);
        assert!(of("x::y").is_empty());
    }
}
