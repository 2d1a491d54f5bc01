//! The text of a document, with conversions between its bytes and an editor's positions.

use std::{ops::Range, sync::Arc};

use gen_lsp_types::{Position, Range as Span};

/// The unit of a position within a line.
///
/// Every client supports UTF-16; UTF-8 is used if the client offers it (LSP 3.17, "Position Encoding
/// Kinds").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Utf8,
    Utf16,
}

/// A text with the starts of its lines.
#[derive(Clone, Debug)]
pub struct Text {
    content: Arc<str>,
    /// The start of each line, in bytes.
    lines: Vec<usize>,
    /// Whether the file begins with a byte order mark. It is not part of `content`, because the readers of files leave it out as well,
    /// but an editor that keeps it counts it.
    has_mark: bool,
}

const MARK: char = '\u{feff}';

impl Text {
    pub fn new(text: &str) -> Self {
        let content: Arc<str> = text.strip_prefix(MARK).unwrap_or(text).into();
        Self {
            lines: line_starts(&content),
            has_mark: text.starts_with(MARK),
            content,
        }
    }

    /// Returns the text without its byte order mark.
    pub fn content(&self) -> &Arc<str> {
        &self.content
    }

    /// Converts a byte of the text to a position.
    pub fn position(&self, offset: usize, encoding: Encoding) -> Position {
        let offset = self.content.floor_char_boundary(offset);
        let line = self.lines.partition_point(|start| *start <= offset) - 1;
        let before = &self.content[self.lines[line]..offset];
        let units = self.mark_on(line, encoding) + width(before, encoding);
        Position {
            line: line as u32,
            character: units as u32,
        }
    }

    /// Converts bytes of the text to an editor's range.
    pub fn span(&self, range: &Range<usize>, encoding: Encoding) -> Span {
        Span {
            start: self.position(range.start, encoding),
            end: self.position(range.end.max(range.start), encoding),
        }
    }

    /// Converts a position to a byte of the text. A character beyond the end of its line counts as that end, and a line beyond the last one as
    /// the end of the text, as the protocol specifies.
    pub fn offset(&self, position: Position, encoding: Encoding) -> usize {
        let line = position.line as usize;
        let Some(start) = self.lines.get(line).copied() else {
            return self.content.len();
        };
        let mut left = (position.character as usize).saturating_sub(self.mark_on(line, encoding));
        for (at, c) in self.content[start..].char_indices() {
            let units = units(c, encoding);
            if left < units || matches!(c, '\n' | '\r') {
                return start + at;
            }
            left -= units;
        }
        self.content.len()
    }

    pub fn range(&self, span: Span, encoding: Encoding) -> Range<usize> {
        let start = self.offset(span.start, encoding);
        start..self.offset(span.end, encoding).max(start)
    }

    /// Replaces a part of the text; without a range, the whole text.
    pub fn edit(&mut self, span: Option<Span>, new: &str, encoding: Encoding) {
        let Some(span) = span else {
            *self = Self::new(new);
            return;
        };
        let begins_the_file = span.start.line == 0 && span.start.character == 0;
        let range = self.range(span, encoding);
        let mut text = String::with_capacity(self.content.len() + new.len());
        // A change that includes the mark replaces it.
        if self.has_mark && !begins_the_file {
            text.push(MARK);
        }
        text.push_str(&self.content[..range.start]);
        text.push_str(new);
        text.push_str(&self.content[range.end..]);
        *self = Self::new(&text);
    }

    fn mark_on(&self, line: usize, encoding: Encoding) -> usize {
        if self.has_mark && line == 0 {
            units(MARK, encoding)
        } else {
            0
        }
    }
}

/// A line ends with `\n`, `\r\n` or `\r` (LSP 3.17, "Text Documents").
fn line_starts(text: &str) -> Vec<usize> {
    let bytes = text.as_bytes();
    let mut starts = vec![0];
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'\n' => starts.push(at + 1),
            b'\r' if bytes.get(at + 1) != Some(&b'\n') => starts.push(at + 1),
            _ => {}
        }
    }
    starts
}

fn units(c: char, encoding: Encoding) -> usize {
    match encoding {
        Encoding::Utf8 => c.len_utf8(),
        Encoding::Utf16 => c.len_utf16(),
    }
}

fn width(text: &str, encoding: Encoding) -> usize {
    text.chars().map(|c| units(c, encoding)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(line: u32, character: u32) -> Position {
        Position { line, character }
    }

    #[test]
    fn positions_count_in_utf_16() {
        let text = Text::new("a: 😀x\r\nb: e\u{301}!\rc");
        let smile = text.content().find('x').expect("x");
        assert_eq!(text.position(smile, Encoding::Utf16), at(0, 5));
        assert_eq!(text.position(smile, Encoding::Utf8), at(0, 7));
        let mark = text.content().find('!').expect("!");
        assert_eq!(text.position(mark, Encoding::Utf16), at(1, 5));
        assert_eq!(
            text.position(text.content().len(), Encoding::Utf16),
            at(2, 1)
        );
        for offset in (0..=text.content().len()).filter(|at| text.content().is_char_boundary(*at)) {
            for encoding in [Encoding::Utf8, Encoding::Utf16] {
                let position = text.position(offset, encoding);
                let inside_a_line_end = text.content()[..offset].ends_with('\r')
                    && text.content()[offset..].starts_with('\n');
                if !inside_a_line_end {
                    assert_eq!(text.offset(position, encoding), offset, "{position:?}");
                }
            }
        }
    }

    #[test]
    fn positions_beyond_the_text_are_its_ends() {
        let text = Text::new("ab\r\ncd");
        assert_eq!(text.offset(at(0, 99), Encoding::Utf16), 2);
        assert_eq!(text.offset(at(9, 0), Encoding::Utf16), 6);
        // A position within a character counts as its start.
        assert_eq!(Text::new("😀").offset(at(0, 1), Encoding::Utf16), 0);
    }

    #[test]
    fn a_byte_order_mark_is_counted_and_left_out() {
        let mut text = Text::new("\u{feff}ab");
        assert_eq!(&**text.content(), "ab");
        assert_eq!(text.position(1, Encoding::Utf16), at(0, 2));
        assert_eq!(text.offset(at(0, 2), Encoding::Utf16), 1);
        let span = |from, to| {
            Some(Span {
                start: at(0, from),
                end: at(0, to),
            })
        };
        text.edit(span(2, 3), "ü", Encoding::Utf16);
        assert_eq!(&**text.content(), "aü");
        assert_eq!(text.position(1, Encoding::Utf16), at(0, 2));
        text.edit(span(0, 1), "", Encoding::Utf16);
        assert_eq!(text.position(1, Encoding::Utf16), at(0, 1));
    }
}
