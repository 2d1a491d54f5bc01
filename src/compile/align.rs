//! Maps the value of a YAML scalar to its places in the file.

use std::iter::Peekable;
use std::str::CharIndices;

use super::document::{Kind, Node, Style};
use windlass_script::Places;

/// Compares the value of a text scalar with its source in the file.
///
/// The parser returns only the value. But apart from blanks, which YAML folds and strips, and escapes, the value
/// and the source consist of the same characters in the same order.
pub(super) fn places_of(file: &str, node: &Node) -> Places {
    let Kind::Scalar { text, style, .. } = &node.kind else {
        return Places::default();
    };
    let raw = &file[node.span.clone()];
    let head = match style {
        Style::Single | Style::Double => 1,
        // The rest of the line after the mark is not part of the value.
        Style::Block if raw.starts_with(['|', '>']) => raw.find('\n').unwrap_or(raw.len()),
        Style::Block | Style::Plain => 0,
    };
    let mut written = Written {
        chars: raw[head..].char_indices().peekable(),
        style: *style,
        last: 0,
    };
    let start = node.span.start + head;
    let (mut pairs, mut next) = (Vec::new(), None);
    for (at, c) in text.char_indices() {
        // A character that the parser adds, such as a line end at the end of the file, has no place.
        let nowhere = written.last;
        let (from, to) = written.find(c).unwrap_or((nowhere, nowhere));
        let (from, to) = (start + from, start + to);
        if next != Some(from) {
            pairs.push((at, from));
        }
        // After an escape or a line end, the next character has another offset.
        let is_as_written = to - from == c.len_utf8() && c != '\n';
        next = is_as_written.then_some(to);
    }
    if pairs.is_empty() {
        pairs.push((0, start.min(node.span.end)));
    }
    Places::new(file, (node.span.start, node.line), pairs)
}

/// The part of a scalar's source that has not been matched with its value yet.
struct Written<'a> {
    chars: Peekable<CharIndices<'a>>,
    style: Style,
    /// The position of the last character that was read.
    last: usize,
}

impl Written<'_> {
    /// Finds the next character of the value in the source.
    fn find(&mut self, wanted: char) -> Option<(usize, usize)> {
        if wanted.is_whitespace() {
            return self.find_blank(wanted);
        }
        loop {
            let (from, c, to) = self.next()?;
            if c == Some(wanted) {
                return Some((from, to));
            }
        }
    }

    /// Finds a blank. It may come from a fold, so any blank matches; the search stops at the first character that is not blank.
    fn find_blank(&mut self, wanted: char) -> Option<(usize, usize)> {
        let mut ahead = self.chars.clone();
        let mut first = None;
        loop {
            let Some((from, c, to)) = self.next() else {
                self.chars = ahead;
                return first;
            };
            match c {
                Some(c) if c == wanted => return Some((from, to)),
                Some(c) if !c.is_whitespace() => {
                    self.chars = ahead;
                    return Some(first.unwrap_or((from, from)));
                }
                _ => {
                    first = first.or(Some((from, to)));
                    ahead = self.chars.clone();
                }
            }
        }
    }

    /// Returns the next character as YAML reads it, `None` for an escaped line end, with its range in the source.
    fn next(&mut self) -> Option<(usize, Option<char>, usize)> {
        let (from, c) = self.chars.next()?;
        self.last = from;
        let read = match (self.style, c) {
            (Style::Single, '\'') => {
                self.chars.next_if(|(_, c)| *c == '\'');
                Some('\'')
            }
            (Style::Double, '\\') => self.escape(),
            _ => Some(c),
        };
        let to = match self.chars.peek() {
            Some((to, _)) => *to,
            None => from + c.len_utf8(),
        };
        Some((from, read, to))
    }

    fn escape(&mut self) -> Option<char> {
        let (_, c) = self.chars.next()?;
        let digits = match c {
            'x' => 2,
            'u' => 4,
            'U' => 8,
            _ => 0,
        };
        if digits > 0 {
            let code = (0..digits).try_fold(0, |code, _| {
                let digit = self.chars.next()?.1.to_digit(16)?;
                Some(code * 16 + digit)
            });
            return code.and_then(char::from_u32);
        }
        match c {
            '\n' => None,
            '0' => Some('\0'),
            'a' => Some('\x07'),
            'b' => Some('\x08'),
            't' => Some('\t'),
            'n' => Some('\n'),
            'v' => Some('\x0b'),
            'f' => Some('\x0c'),
            'r' => Some('\r'),
            'e' => Some('\x1b'),
            'N' => Some('\u{85}'),
            '_' => Some('\u{a0}'),
            'L' => Some('\u{2028}'),
            'P' => Some('\u{2029}'),
            c => Some(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::document::parse;

    /// Returns the source of each word of the value.
    fn found(yaml: &str, words: &[&str]) -> Vec<String> {
        let file: Arc<str> = yaml.into();
        let root = parse(&"w.yaml".into(), &file).unwrap_or_else(|e| panic!("{e}"));
        let Kind::Map(entries) = &root.kind else {
            panic!("a map")
        };
        let node = &entries[0].1;
        let Kind::Scalar { text, .. } = &node.kind else {
            panic!("a scalar")
        };
        let places = places_of(yaml, node);
        let place = |word: &&str| {
            let at = text
                .find(word)
                .unwrap_or_else(|| panic!("{word} in {text}"));
            yaml[places.span_of(at..at + word.len())].to_owned()
        };
        words.iter().map(place).collect()
    }

    #[test]
    fn every_style_has_its_places() {
        let as_written = [
            "a: one two.three\n",
            "a: one\n  two.three\n",
            "a: 'it''s one two.three'\n",
            "a: \"say \\\"one\\\" two.three\"\n",
            "a: \"\\u00fcone\\n\\\n   two.three\"\n",
            "a: |\n  one\n    two.three\n",
            "a: >-\n\n  one\n\n  two.three\n",
            "a: |2-   # a remark\n    one ü two.three\n",
        ];
        for yaml in as_written {
            assert_eq!(
                found(yaml, &["one", "two.three"]),
                ["one", "two.three"],
                "{yaml}"
            );
        }
        assert_eq!(found("a: |\n  ü(", &["ü", "("]), ["ü", "("]);
        assert_eq!(found("a: \"x\\\"y\"\n", &["\"", "y"]), ["\\", "y"]);
    }
}
