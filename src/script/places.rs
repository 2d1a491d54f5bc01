use std::ops::Range;

use rhai::Position;
use serde::{Deserialize, Serialize};

use super::fault::offset;
use windlass_world::value::Place;

/// Maps the parts of a text to their places in its file: YAML's escapes, folds and indentation are in the
/// file and not in the text.
///
/// Empty if the text is a whole file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Places(Vec<Stretch>);

/// A part of the text that is in the file unchanged, up to the next part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stretch {
    /// Its start in the text, in bytes.
    at: usize,
    /// Its start in the file, in bytes.
    source: usize,
    /// Its line and column in the file, both from 1; columns count characters.
    line: usize,
    column: usize,
}

impl Places {
    /// Takes pairs of a byte of the text and its byte in the file `source`, in ascending order; the first pair is that of
    /// byte 0. The bytes of the file are counted from a start before all of them, whose line is given.
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

    /// Returns the range of the file that a range of the text comes from.
    pub fn span_of(&self, span: Range<usize>) -> Range<usize> {
        let start = self.byte(span.start);
        if span.is_empty() {
            start..start
        } else {
            // Uses the last byte: the byte after it may be on another line.
            start..self.byte(span.end - 1) + 1
        }
    }

    fn byte(&self, at: usize) -> usize {
        self.stretch(at).map_or(at, |s| s.source + at - s.at)
    }

    /// Returns the place, in the file named `file`, of a byte of the text.
    pub fn place_of(&self, file: &str, text: &str, at: usize) -> Option<Place> {
        let stretch = self.stretch(at)?;
        let column = stretch.column + text.get(stretch.at..at)?.chars().count();
        Some(Place {
            file: file.into(),
            line: stretch.line,
            column,
        })
    }

    /// Returns the line and column in the file for a position in the text from Rhai.
    pub(super) fn line_and_column(&self, text: &str, position: Position) -> Option<(usize, usize)> {
        let line = position.line()?;
        let place = if self.0.is_empty() {
            None
        } else {
            let at = offset(text, position);
            let stretch = self.stretch(at);
            stretch.map(|s| (s.line, s.column + text[s.at..at].chars().count()))
        };
        Some(place.unwrap_or_else(|| (line, position.position().unwrap_or(1))))
    }

    fn stretch(&self, at: usize) -> Option<&Stretch> {
        let after = self.0.partition_point(|s| s.at <= at);
        self.0.get(after.checked_sub(1)?)
    }
}
