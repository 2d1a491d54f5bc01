use std::ops::Range;

use rhai::Position;
use serde::{Deserialize, Serialize};

use super::fault::offset;
use windlass_world::value::Place;

/// Where the parts of a text stand in the file that it was taken from: YAML's escapes, folds and
/// indentation are in the file and not in the text.
///
/// Empty for a text that is a whole file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Places(Vec<Stretch>);

/// A part of the text that stands in the file just as it is, up to where the next one begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stretch {
    /// Bytes of the text.
    at: usize,
    /// Bytes of the file.
    source: usize,
    /// Lines and columns of the file count from 1, columns in characters.
    line: usize,
    column: usize,
}

impl Places {
    /// Takes pairs of a byte of the text and the byte of the file `source` that it stands at, in the
    /// order of both; the first one is that of byte 0. They are counted from a byte of the file before all of them, and
    /// the line that this one is in.
    pub fn new(
        source: &str,
        (mut seen, mut line): (usize, usize),
        pairs: impl IntoIterator<Item = (usize, usize)>,
    ) -> Self {
        let mut line_start = source[..seen].rfind('\n').map_or(0, |at| at + 1);
        let stretches = pairs.into_iter().map(|(at, byte)| {
            for (i, _) in source[seen..byte].match_indices('\n') {
                (line, line_start) = (line + 1, seen + i + 1);
            }
            seen = byte;
            let column = source[line_start..byte].chars().count() + 1;
            Stretch {
                at,
                source: byte,
                line,
                column,
            }
        });
        Self(stretches.collect())
    }

    /// Returns the bytes of the file that bytes of the text come from.
    pub fn span_of(&self, span: Range<usize>) -> Range<usize> {
        let start = self.byte(span.start);
        match span.is_empty() {
            true => start..start,
            // By its last byte: what follows it may stand on another line.
            false => start..self.byte(span.end - 1) + 1,
        }
    }

    fn byte(&self, at: usize) -> usize {
        self.stretch(at).map_or(at, |s| s.source + at - s.at)
    }

    /// Where a byte of the text stands in the file named `file`.
    pub fn place_of(&self, file: &str, text: &str, at: usize) -> Option<Place> {
        let stretch = self.stretch(at)?;
        let column = stretch.column + text.get(stretch.at..at)?.chars().count();
        Some(Place {
            file: file.into(),
            line: stretch.line,
            column,
        })
    }

    /// Returns the line and column of the file for a place that Rhai names in the text.
    pub(super) fn line_and_column(&self, text: &str, position: Position) -> Option<(usize, usize)> {
        let line = position.line()?;
        let at = offset(text, position);
        Some(match self.stretch(at) {
            Some(s) => (s.line, s.column + text[s.at..at].chars().count()),
            None => (line, position.position().unwrap_or(1)),
        })
    }

    fn stretch(&self, at: usize) -> Option<&Stretch> {
        let after = self.0.partition_point(|s| s.at <= at);
        self.0.get(after.checked_sub(1)?)
    }
}
