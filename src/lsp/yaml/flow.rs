use std::ops::Range;

use super::{Entry, Kind, MAX_DEPTH, Node, Style, quoted_end};
use windlass_script::lexer::{Quoting, end_of_expression};

/// Reads `{…}` and `[…]`.
pub(super) struct Flow<'a> {
    text: &'a str,
    at: usize,
    end: usize,
}

impl<'a> Flow<'a> {
    pub(super) fn new(text: &'a str, range: Range<usize>) -> Self {
        Self {
            text,
            at: range.start,
            end: range.end,
        }
    }

    fn rest(&self) -> &str {
        &self.text[self.at..self.end]
    }

    fn skip_blank(&mut self) {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start();
            let is_comment = trimmed.starts_with('#');
            self.at += rest.len() - trimmed.len();
            if !is_comment {
                return;
            }
            self.at += self.rest().find('\n').unwrap_or(self.rest().len());
        }
    }

    pub(super) fn value(&mut self, depth: usize) -> Node {
        self.skip_blank();
        let start = self.at;
        let Some(c) = self.rest().chars().next() else {
            return Node {
                span: start..start,
                kind: Kind::Empty,
            };
        };
        match c {
            '{' | '[' if depth > MAX_DEPTH => {
                self.at = self.end;
                Node {
                    span: start..self.end,
                    kind: Kind::Scalar(Style::Plain),
                }
            }
            '{' => self.map(depth),
            '[' => self.list(depth),
            '"' | '\'' => {
                let length = quoted_end(self.rest(), c);
                let length =
                    length.unwrap_or_else(|| self.rest().find('\n').unwrap_or(self.rest().len()));
                self.at += length.max(1);
                let style = if c == '"' {
                    Style::Double
                } else {
                    Style::Single
                };
                Node {
                    span: start..self.at,
                    kind: Kind::Scalar(style),
                }
            }
            ',' | '}' | ']' => Node {
                span: start..start,
                kind: Kind::Empty,
            },
            _ => self.plain(start),
        }
    }

    fn list(&mut self, depth: usize) -> Node {
        let start = self.at;
        let items = self.until(']', |flow| flow.value(depth + 1));
        Node {
            span: start..self.at,
            kind: Kind::List(items),
        }
    }

    fn map(&mut self, depth: usize) -> Node {
        let start = self.at;
        let entries = self.until('}', |flow| flow.entry(depth));
        Node {
            span: start..self.at,
            kind: Kind::Map(entries),
        }
    }

    /// Reads from an opening bracket to the closing one; other brackets and commas are skipped.
    fn until<T>(&mut self, end: char, mut read: impl FnMut(&mut Self) -> T) -> Vec<T> {
        self.at += 1;
        let mut all = Vec::new();
        loop {
            self.skip_blank();
            match self.rest().chars().next() {
                None => break,
                Some(next) if next == end => {
                    self.at += 1;
                    break;
                }
                Some(',' | '}' | ']') => self.at += 1,
                Some(_) => all.push(read(self)),
            }
        }
        all
    }

    fn entry(&mut self, depth: usize) -> Entry {
        let start = self.at;
        let key = match self.rest().chars().next() {
            Some(quote @ ('"' | '\'')) => {
                let length = quoted_end(self.rest(), quote).unwrap_or(1);
                self.at += length;
                start + 1..(start + length - 1).max(start + 1)
            }
            _ => {
                let rest = self.rest();
                let is_end = |(at, c): &(usize, char)| match c {
                    ':' => {
                        rest[at + 1..].starts_with([' ', '\n', '\r', '\t', ',', '}'])
                            || at + 1 == rest.len()
                    }
                    ',' | '}' | ']' | '{' | '[' | '\n' => true,
                    _ => false,
                };
                let length = rest
                    .char_indices()
                    .find(is_end)
                    .map_or(rest.len(), |(at, _)| at);
                // A bracket that begins nothing: it must not be read for ever.
                let length = match length {
                    0 => rest.chars().next().map_or(0, char::len_utf8),
                    length => length,
                };
                let key = start..start + rest[..length].trim_end().len();
                self.at += length;
                key
            }
        };
        self.skip_blank();
        if !self.rest().starts_with(':') {
            let value = Node {
                span: key.end..key.end,
                kind: Kind::Empty,
            };
            return Entry {
                key,
                colon: None,
                value,
                indent: None,
            };
        }
        self.at += 1;
        let colon = self.at;
        let mut value = self.value(depth + 1);
        if matches!(value.kind, Kind::Empty) {
            value.span = colon..colon;
        }
        Entry {
            key,
            colon: Some(colon),
            value,
            indent: None,
        }
    }

    /// Reads a plain text. An expression in it is taken as a whole, though YAML would not.
    fn plain(&mut self, start: usize) -> Node {
        while let Some(c) = self.rest().chars().next() {
            if self.rest().starts_with("${{") {
                let close =
                    end_of_expression(self.text, self.at + 3, self.line_end(), Quoting::None);
                self.at = close.map_or(self.line_end(), |close| close + 2);
                continue;
            }
            let is_end = match c {
                ',' | ']' | '}' => true,
                '#' => self.text[start..self.at].ends_with([' ', '\t', '\n']),
                _ => false,
            };
            if is_end {
                break;
            }
            self.at += c.len_utf8();
        }
        let span = start..start + self.text[start..self.at].trim_end().len();
        Node {
            span,
            kind: Kind::Scalar(Style::Plain),
        }
    }

    fn line_end(&self) -> usize {
        self.at + self.rest().find('\n').unwrap_or(self.rest().len())
    }
}
