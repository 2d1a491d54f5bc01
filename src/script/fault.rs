use std::{ops::Range, sync::Arc};

use rhai::Position;

use super::places::Places;

/// One mistake in a script or an expression, found before anything runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// The error code, which names a page in `docs/errors/`.
    pub code: &'static str,
    /// The path and text of the file; `None` for an expression or an inline body, whose caller knows the file.
    pub file: Option<(Arc<str>, Arc<str>)>,
    /// The range in the file's (or the expression's) text, in bytes.
    pub span: Range<usize>,
    pub message: String,
    pub help: Option<String>,
}

impl Fault {
    pub(super) fn new(code: &'static str, span: Range<usize>, message: impl Into<String>) -> Self {
        Self {
            code,
            file: None,
            span,
            message: message.into(),
            help: None,
        }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Moves it from a text to the file that the text was taken from, which the caller knows.
    pub(super) fn at(mut self, places: &Places) -> Self {
        self.file = None;
        self.span = places.span_of(self.span);
        self
    }

    pub(super) fn is_in(&self, path: &str) -> bool {
        self.file.as_ref().is_some_and(|(file, _)| **file == *path)
    }

    pub(super) fn in_file(mut self, path: &Arc<str>, text: &Arc<str>) -> Self {
        self.file = Some((path.clone(), text.clone()));
        self
    }
}

/// Returns the token at a position: Rhai counts lines and columns in characters, from 1.
pub(super) fn token_at(text: &str, position: Position) -> Range<usize> {
    let start = offset(text, position);
    let rest = &text[start..];
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let length = match rest.chars().next() {
        Some(c) if word(c) => rest.find(|c: char| !word(c)).unwrap_or(rest.len()),
        Some(c) => c.len_utf8(),
        None => 0,
    };
    start..start + length
}

/// Returns the byte at a position of a text, or the end of the text if it has no such line or column. Use [`Lines`] to find many.
pub(super) fn offset(text: &str, position: Position) -> usize {
    let Some(line) = position.line() else {
        return 0;
    };
    let ends = text.match_indices('\n').map(|(at, _)| at + 1);
    let start = std::iter::once(0).chain(ends).nth(line - 1);
    start.map_or(text.len(), |start| {
        in_line(text, start, position, text.is_ascii())
    })
}

/// Returns the byte of a position in the line that starts at `start`.
fn in_line(text: &str, start: usize, position: Position, is_ascii: bool) -> usize {
    let column = position.position().unwrap_or(1) - 1;
    if is_ascii {
        return text.len().min(start + column);
    }
    text[start..]
        .char_indices()
        .nth(column)
        .map_or(text.len(), |(i, _)| start + i)
}

/// The lines of a text, which make it cheap to find many positions.
pub(super) struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
    is_ascii: bool,
}

impl<'t> Lines<'t> {
    pub(super) fn of(text: &'t str) -> Self {
        let ends = text.match_indices('\n').map(|(at, _)| at + 1);
        Self {
            text,
            starts: std::iter::once(0).chain(ends).collect(),
            is_ascii: text.is_ascii(),
        }
    }

    /// Returns the byte at a position, as [`offset`] does.
    pub(super) fn offset(&self, position: Position) -> usize {
        let Some(line) = position.line() else {
            return 0;
        };
        let start = self.starts.get(line - 1);
        start.map_or(self.text.len(), |start| {
            in_line(self.text, *start, position, self.is_ascii)
        })
    }
}
