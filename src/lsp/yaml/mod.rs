//! The outline of a text that may not be valid YAML: what an editor knows of a file while a user types in it.
//!
//! It is read line by line from the indentation, so a mistake affects only its own lines. Whether a file is valid is
//! decided by `compile` alone.
//!
//! `block` reads by indentation, `flow` what stands in brackets.

mod block;
mod flow;

use std::ops::Range;

use windlass_script::lexer::Quoting;

/// A value and where it stands. Of a map or a list, from its first entry to the end of its last.
#[derive(Clone, Debug)]
pub struct Node {
    pub span: Range<usize>,
    pub kind: Kind,
}

#[derive(Clone, Debug)]
pub enum Kind {
    Empty,
    Scalar(Style),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    Plain,
    Single,
    Double,
    /// Its span is what stands below the `|`.
    Block,
}

#[derive(Clone, Debug)]
pub struct Entry {
    /// Without quotes.
    pub key: Range<usize>,
    /// Where the value may begin: behind the colon. `None` where there is none yet.
    pub colon: Option<usize>,
    pub value: Node,
    /// Of the line that the key begins; `None` inside of `{…}`.
    pub indent: Option<usize>,
}

impl Entry {
    /// Returns the key, the value and all between.
    pub fn span(&self) -> Range<usize> {
        self.key.start..self.value.span.end.max(self.key.end)
    }
}

impl Node {
    pub fn entries(&self) -> &[Entry] {
        match &self.kind {
            Kind::Map(entries) => entries,
            _ => &[],
        }
    }

    pub fn items(&self) -> &[Node] {
        match &self.kind {
            Kind::List(items) => items,
            _ => &[],
        }
    }

    pub fn entry<'n>(&'n self, text: &str, key: &str) -> Option<&'n Entry> {
        self.entries()
            .iter()
            .find(|entry| &text[entry.key.clone()] == key)
    }

    /// What a scalar says, without its quotes.
    pub fn text<'t>(&self, text: &'t str) -> Option<&'t str> {
        text.get(self.content(text)?)
    }

    /// Where a scalar's text stands, inside of its quotes. The closing one may be missing.
    pub fn content(&self, text: &str) -> Option<Range<usize>> {
        match self.kind {
            Kind::Scalar(Style::Single | Style::Double) => Some(unquoted(text, &self.span)),
            Kind::Scalar(_) => Some(self.span.clone()),
            _ => None,
        }
    }

    /// Calls for each scalar in it.
    pub fn scalars(&self, call: &mut impl FnMut(&Node, Style)) {
        match &self.kind {
            Kind::Empty => {}
            Kind::Scalar(style) => call(self, *style),
            Kind::List(items) => items.iter().for_each(|item| item.scalars(call)),
            Kind::Map(entries) => entries.iter().for_each(|entry| entry.value.scalars(call)),
        }
    }
}

impl Style {
    pub fn quoting(self) -> Quoting {
        match self {
            Self::Double => Quoting::Double,
            Self::Single => Quoting::Single,
            Self::Plain | Self::Block => Quoting::None,
        }
    }
}

/// Reads the outline of a text.
pub fn outline(text: &str) -> Node {
    block::Reader::new(text).document()
}

/// As deep as `document` reads.
const MAX_DEPTH: usize = 100;

/// What is between the quotes of a scalar.
fn unquoted(text: &str, span: &Range<usize>) -> Range<usize> {
    let quoted = &text[span.clone()];
    let quote = quoted.chars().next().unwrap_or('"');
    let is_closed = quoted_end(quoted, quote) == Some(quoted.len());
    span.start + 1..(span.end - usize::from(is_closed)).max(span.start + 1)
}

/// How long a quoted text is, with its quotes; `None` where it has no end.
fn quoted_end(text: &str, quote: char) -> Option<usize> {
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' if quote == '"' => {
                chars.next();
            }
            '\'' if quote == '\'' && chars.peek().is_some_and(|(_, next)| *next == '\'') => {
                chars.next();
            }
            c if c == quote => return Some(at + 1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns an outline in one line: `{a: "x", b: [c]}`.
    fn shown(text: &str) -> String {
        fn show(text: &str, node: &Node) -> String {
            match &node.kind {
                Kind::Empty => "~".into(),
                Kind::Scalar(_) => format!("{:?}", node.text(text).expect("inside of the text")),
                Kind::List(items) => {
                    let items: Vec<_> = items.iter().map(|item| show(text, item)).collect();
                    format!("[{}]", items.join(", "))
                }
                Kind::Map(entries) => {
                    let entries = entries.iter().map(|entry| {
                        let sign = if entry.colon.is_some() { ":" } else { "?" };
                        format!(
                            "{}{sign} {}",
                            &text[entry.key.clone()],
                            show(text, &entry.value)
                        )
                    });
                    format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
                }
            }
        }
        show(text, &outline(text))
    }

    #[test]
    fn valid_files_are_read_as_they_are() {
        let read = [
            (
                "a: 1\nb:\n  c: x # y\n  d: 'e: f'\n",
                r#"{a: "1", b: {c: "x", d: "e: f"}}"#,
            ),
            (
                "a:\n- b: 1\n  c: 2\n- d\n- [e, {f: g}]\nh: i\n",
                r#"{a: [{b: "1", c: "2"}, "d", ["e", {f: "g"}]], h: "i"}"#,
            ),
            (
                "a: |\n  b: c\n\n  d\ne: f\n",
                r#"{a: "  b: c\n\n  d", e: "f"}"#,
            ),
            (
                "a: { b: \"${{ c }}\", 'd': [e, f] }\ng: h\n",
                r#"{a: {b: "${{ c }}", d: ["e", "f"]}, g: "h"}"#,
            ),
            (
                "a: b\n  c d\ne: {\n  f: g,\n  h: i\n}\nj: k\n",
                r#"{a: "b\n  c d", e: {f: "g", h: "i"}, j: "k"}"#,
            ),
            ("a: &x { b: c }\nd: *x\n", r#"{a: {b: "c"}, d: "*x"}"#),
            ("a: \"b\n  c\"\nd: e\n", r#"{a: "b\n  c", d: "e"}"#),
            (
                "a: ${{ b ?? '#' }} # c\r\nd: e\r\n",
                r#"{a: "${{ b ?? '#' }}", d: "e"}"#,
            ),
            ("---\n# a\nb: c\n", r#"{b: "c"}"#),
        ];
        for (text, expected) in read {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn a_mistake_spoils_its_own_lines() {
        let read = [
            (
                "a:\n  b: c\n  wi\n  d: e\n",
                r#"{a: {b: "c", wi? ~, d: "e"}}"#,
            ),
            ("a: { b: c\nd: e\n", r#"{a: {b: "c"}, d: "e"}"#),
            ("a: \"b\nc: d\n", r#"{a: "b", c: "d"}"#),
            ("a: b\n    c: d\n  e: f\ng: h\n", r#"{a: "b", g: "h"}"#),
            (
                "a: { b: ${{ c }} }\nd: e\n",
                r#"{a: {b: "${{ c }}"}, d: "e"}"#,
            ),
            ("a:\n  b: ${{ c.\n  d: e\n", r#"{a: {b: "${{ c.", d: "e"}}"#),
            (
                "a:\n  - \n  -\nb: [c, \nd: e",
                r#"{a: [~, ~], b: ["c"], d: "e"}"#,
            ),
            ("a: { b: , c }", "{a: {b: ~, c? ~}}"),
        ];
        for (text, expected) in read {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn nothing_is_too_broken() {
        for text in [
            "",
            "{",
            "[",
            "}",
            "a: {{",
            "- - - [",
            "\"",
            "a: '",
            "a: |",
            "? a",
            "{[}]",
            "a: {]",
            ": :",
            "ü: {ö",
            "\t",
            "a:\n\t- b: {",
        ] {
            shown(text);
        }
        shown(&"[".repeat(5000));
        shown(&"- ".repeat(5000));
        shown(&"{a: ".repeat(5000));
    }
}
