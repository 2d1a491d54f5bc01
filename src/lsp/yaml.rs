//! An outline of a YAML text that need not be YAML: what an editor knows of a file while somebody types in it.
//!
//! It is read line by line from the indentation, so a mistake spoils no more than its own lines. Whether a file is valid
//! is not asked here: `compile` alone says that.

use std::ops::Range;

use super::lexer::{Quoting, end_of_expression};

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
    /// The key, the value and all between.
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
        self.entries().iter().find(|entry| &text[entry.key.clone()] == key)
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
    let lines = lines(text);
    let mut reader = Reader { text, lines, at: 0 };
    reader.skip_blank();
    reader.block(0, 0)
}

/// A line without its end.
struct Line {
    start: usize,
    /// Behind its blanks.
    content: usize,
    end: usize,
}

fn lines(text: &str) -> Vec<Line> {
    let mut start = 0;
    let mut lines = Vec::new();
    for line in text.split_inclusive('\n') {
        let bare = line.trim_end_matches(['\n', '\r']);
        let content = start + (bare.len() - bare.trim_start_matches([' ', '\t']).len());
        lines.push(Line { start, content, end: start + bare.len() });
        start += line.len();
    }
    lines
}

/// As deep as `document` reads.
const MAX_DEPTH: usize = 100;

struct Reader<'a> {
    text: &'a str,
    lines: Vec<Line>,
    /// The line that is read next.
    at: usize,
}

impl Reader<'_> {
    fn empty(&self, at: usize) -> Node {
        Node { span: at..at, kind: Kind::Empty }
    }

    /// Goes on to the next line that says something.
    fn skip_blank(&mut self) {
        while let Some(line) = self.lines.get(self.at) {
            let rest = &self.text[line.content..line.end];
            let is_mark = line.content == line.start && matches!(rest, "---" | "...");
            if !(rest.is_empty() || rest.starts_with('#') || is_mark) {
                return;
            }
            self.at += 1;
        }
    }

    /// The indentation of the next line, and its text from there.
    fn peek(&self) -> Option<(usize, usize, usize)> {
        let line = self.lines.get(self.at)?;
        Some((line.content - line.start, line.content, line.end))
    }

    /// Reads what begins on the next line, indented by at least this much.
    fn block(&mut self, least: usize, depth: usize) -> Node {
        let Some((indent, start, end)) = self.peek().filter(|(indent, ..)| *indent >= least) else {
            return self.empty(self.lines.get(self.at).map_or(self.text.len(), |line| line.start));
        };
        if depth > MAX_DEPTH {
            self.at += 1;
            return Node { span: start..end, kind: Kind::Scalar(Style::Plain) };
        }
        if self.is_item(start, end) {
            return self.list(indent, depth);
        }
        match self.key(start, end) {
            Some(_) => self.map(indent, start, depth),
            // A word alone may become a key.
            None if is_key_begun(&self.text[start..end]) => self.map(indent, start, depth),
            None => self.value(start, indent.checked_sub(1), depth),
        }
    }

    fn is_item(&self, start: usize, end: usize) -> bool {
        let line = &self.text[start..end];
        line == "-" || line.starts_with("- ") || line.starts_with("-\t")
    }

    fn list(&mut self, indent: usize, depth: usize) -> Node {
        let first = self.lines[self.at].content;
        let (mut items, mut last) = (Vec::new(), first);
        loop {
            self.skip_blank();
            let Some((at, start, end)) = self.peek() else { break };
            if at != indent || !self.is_item(start, end) {
                break;
            }
            let after = start + 1;
            let value = after + blanks(&self.text[after..end]);
            let item = match self.text[value..end].is_empty() || self.text[value..end].starts_with('#') {
                true => {
                    self.at += 1;
                    self.skip_blank();
                    let mut below = self.block(indent + 1, depth + 1);
                    if matches!(below.kind, Kind::Empty) {
                        below.span = after..after;
                    }
                    below
                }
                // A map may begin behind the dash; the rest of it stands below its first key.
                false => match self.key(value, end) {
                    Some(_) => self.map(value - self.lines[self.at].start, value, depth + 1),
                    None => self.value(value, Some(indent), depth + 1),
                },
            };
            last = last.max(item.span.end).max(after);
            items.push(item);
        }
        Node { span: first..last, kind: Kind::List(items) }
    }

    /// Reads a map whose keys stand in column `indent`; the first begins at `start`.
    fn map(&mut self, indent: usize, start: usize, depth: usize) -> Node {
        let (first, mut start) = (start, start);
        let (mut entries, mut last) = (Vec::<Entry>::new(), start);
        loop {
            let end = self.lines[self.at].end;
            let entry = match self.key(start, end) {
                Some((key, colon)) => {
                    let value = self.behind(colon, indent, depth);
                    Entry { key, colon: Some(colon), value, indent: Some(indent) }
                }
                None => {
                    self.at += 1;
                    let key = start..start + self.text[start..end].trim_end().len();
                    Entry { value: self.empty(key.end), key, colon: None, indent: Some(indent) }
                }
            };
            last = last.max(entry.span().end);
            entries.push(entry);
            loop {
                self.skip_blank();
                match self.peek() {
                    Some((at, begins, ends)) if at == indent && !self.is_item(begins, ends) => {
                        start = begins;
                        break;
                    }
                    // What is indented as nothing before it, or an item among keys: only its line is lost.
                    Some((at, ..)) if at >= indent => self.at += 1,
                    _ => return Node { span: first..last, kind: Kind::Map(entries) },
                }
            }
        }
    }

    /// Finds the key that begins at `start`, and where its value may begin.
    fn key(&self, start: usize, end: usize) -> Option<(Range<usize>, usize)> {
        let line = &self.text[start..end];
        if line.starts_with(['{', '[', '#', '|', '>', '%', '@', '`']) {
            return None;
        }
        if let Some(quote) = line.chars().next().filter(|c| matches!(c, '"' | '\'')) {
            let close = 1 + line[1..].find(quote)?;
            let after = close + 1 + blanks(&line[close + 1..]);
            let is_key = line[after..].starts_with(':') && is_separated(&line[after + 1..]);
            return is_key.then_some((start + 1..start + close, start + after + 1));
        }
        let mut from = 0;
        while let Some(at) = line[from..].find([':', '#', '"', '{']) {
            let at = from + at;
            match line.as_bytes()[at] {
                b':' if is_separated(&line[at + 1..]) => {
                    let key = line[..at].trim_end();
                    return Some((start..start + key.len(), start + at + 1));
                }
                b'#' if line[..at].ends_with([' ', '\t']) => return None,
                // A sentence with a colon in it is no key.
                b'"' | b'{' => return None,
                _ => from = at + 1,
            }
        }
        None
    }

    /// Reads the value behind a colon, of a key in column `indent`.
    fn behind(&mut self, colon: usize, indent: usize, depth: usize) -> Node {
        let end = self.lines[self.at].end;
        let start = colon + blanks(&self.text[colon..end]);
        let start = start + self.properties(start, end);
        if start < end && !self.text[start..end].starts_with('#') {
            return self.value(start, Some(indent), depth);
        }
        self.at += 1;
        self.skip_blank();
        let mut below = match self.peek() {
            // A list may stand in the column of its key.
            Some((at, begins, ends)) if at == indent && self.is_item(begins, ends) => {
                self.list(indent, depth + 1)
            }
            _ => self.block(indent + 1, depth + 1),
        };
        if matches!(below.kind, Kind::Empty) {
            below.span = start.min(end)..start.min(end);
        }
        below
    }

    /// Skips tags and anchors in front of a value.
    fn properties(&self, start: usize, end: usize) -> usize {
        let mut skipped = 0;
        loop {
            let rest = &self.text[start + skipped..end];
            if !rest.starts_with(['&', '!']) {
                return skipped;
            }
            let word = rest.find([' ', '\t']).unwrap_or(rest.len());
            skipped += word + blanks(&rest[word..]);
        }
    }

    /// Reads the value that begins at `start`, in a line of what stands in column `indent`.
    fn value(&mut self, start: usize, indent: Option<usize>, depth: usize) -> Node {
        let end = self.lines[self.at].end;
        let line = &self.text[start..end];
        match line.chars().next() {
            Some('|' | '>') => self.block_scalar(indent),
            Some('{' | '[') => self.flow_value(start, indent, depth),
            Some(quote @ ('"' | '\'')) => self.quoted(start, quote, indent),
            _ => self.plain(start, indent),
        }
    }

    /// Takes all lines that are blank or indented further.
    fn block_scalar(&mut self, indent: Option<usize>) -> Node {
        self.at += 1;
        let start = self.lines.get(self.at).map_or(self.text.len(), |line| line.start);
        let mut last = start;
        while let Some(line) = self.lines.get(self.at) {
            let is_blank = line.content == line.end;
            if !is_blank && indent.is_some_and(|indent| line.content - line.start <= indent) {
                break;
            }
            // The line that follows is where somebody goes on typing.
            last = if is_blank { last } else { line.end };
            self.at += 1;
        }
        Node { span: start..last, kind: Kind::Scalar(Style::Block) }
    }

    fn quoted(&mut self, start: usize, quote: char, indent: Option<usize>) -> Node {
        let style = if quote == '"' { Style::Double } else { Style::Single };
        let limit = self.limit(indent);
        let end = quoted_end(&self.text[start..limit], quote).map(|length| start + length);
        // Without its end, it is as long as its line.
        let end = end.unwrap_or(self.lines[self.at].end);
        self.go_behind(end);
        Node { span: start..end.max(start + 1), kind: Kind::Scalar(style) }
    }

    fn plain(&mut self, start: usize, indent: Option<usize>) -> Node {
        let mut end = start + self.plain_length(start, self.lines[self.at].end);
        self.at += 1;
        while let Some(line) = self.lines.get(self.at) {
            let column = line.content - line.start;
            let goes_on = line.content < line.end
                && indent.is_none_or(|indent| column > indent)
                && !self.text[line.content..line.end].starts_with('#')
                && !self.is_item(line.content, line.end)
                && self.key(line.content, line.end).is_none();
            if !goes_on {
                break;
            }
            end = line.content + self.plain_length(line.content, line.end);
            self.at += 1;
        }
        Node { span: start..end, kind: Kind::Scalar(Style::Plain) }
    }

    /// How long a plain text is on its line: up to a comment, but for one inside of an expression.
    fn plain_length(&self, start: usize, end: usize) -> usize {
        let mut at = start;
        while at < end {
            let rest = &self.text[at..end];
            if rest.starts_with("${{") {
                at = match end_of_expression(self.text, at + 3, end, Quoting::None) {
                    Some(close) => close + 2,
                    None => end,
                };
                continue;
            }
            if rest.starts_with('#') && self.text[start..at].ends_with([' ', '\t']) {
                break;
            }
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
        self.text[start..at].trim_end().len()
    }

    /// Where what belongs to a key in this column is over at the latest.
    fn limit(&self, indent: Option<usize>) -> usize {
        let mut lines = self.lines[self.at + 1..].iter();
        let next = lines.find(|line| {
            let column = line.content - line.start;
            line.content < line.end && indent.is_some_and(|indent| column <= indent)
        });
        next.map_or(self.text.len(), |line| line.start)
    }

    /// Goes on with the line behind the one that a byte is in.
    fn go_behind(&mut self, at: usize) {
        while self.lines.get(self.at).is_some_and(|line| line.start <= at) {
            self.at += 1;
        }
    }

    fn flow_value(&mut self, start: usize, indent: Option<usize>, depth: usize) -> Node {
        // The closing bracket may stand in the column of its key.
        let mut limit = self.limit(indent);
        if self.text[limit..].trim_start().starts_with(['}', ']']) {
            limit += self.text[limit..].find(['}', ']']).map_or(0, |at| at + 1);
        }
        let mut flow = Flow { text: self.text, at: start, end: limit };
        let node = flow.value(depth);
        self.go_behind(node.span.end.saturating_sub(1).max(start));
        node
    }
}

/// Reads `{…}` and `[…]`.
struct Flow<'a> {
    text: &'a str,
    at: usize,
    end: usize,
}

impl Flow<'_> {
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

    fn value(&mut self, depth: usize) -> Node {
        self.skip_blank();
        let start = self.at;
        let Some(c) = self.rest().chars().next() else {
            return Node { span: start..start, kind: Kind::Empty };
        };
        match c {
            '{' | '[' if depth > MAX_DEPTH => {
                self.at = self.end;
                Node { span: start..self.end, kind: Kind::Scalar(Style::Plain) }
            }
            '{' => self.map(depth),
            '[' => self.list(depth),
            '"' | '\'' => {
                let length = quoted_end(self.rest(), c);
                let length = length.unwrap_or_else(|| self.rest().find('\n').unwrap_or(self.rest().len()));
                self.at += length.max(1);
                let style = if c == '"' { Style::Double } else { Style::Single };
                Node { span: start..self.at, kind: Kind::Scalar(style) }
            }
            ',' | '}' | ']' => Node { span: start..start, kind: Kind::Empty },
            _ => self.plain(start),
        }
    }

    fn list(&mut self, depth: usize) -> Node {
        let start = self.at;
        self.at += 1;
        let mut items = Vec::new();
        loop {
            self.skip_blank();
            match self.rest().chars().next() {
                None => break,
                Some(']') => {
                    self.at += 1;
                    break;
                }
                Some(',' | '}') => self.at += 1,
                Some(_) => items.push(self.value(depth + 1)),
            }
        }
        Node { span: start..self.at, kind: Kind::List(items) }
    }

    fn map(&mut self, depth: usize) -> Node {
        let start = self.at;
        self.at += 1;
        let mut entries = Vec::new();
        loop {
            self.skip_blank();
            match self.rest().chars().next() {
                None => break,
                Some('}') => {
                    self.at += 1;
                    break;
                }
                Some(',' | ']') => self.at += 1,
                Some(_) => entries.push(self.entry(depth)),
            }
        }
        Node { span: start..self.at, kind: Kind::Map(entries) }
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
                    ':' => rest[at + 1..].starts_with([' ', '\n', '\r', '\t', ',', '}']) || at + 1 == rest.len(),
                    ',' | '}' | ']' | '{' | '[' | '\n' => true,
                    _ => false,
                };
                let length = rest.char_indices().find(is_end).map_or(rest.len(), |(at, _)| at);
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
            let value = Node { span: key.end..key.end, kind: Kind::Empty };
            return Entry { key, colon: None, value, indent: None };
        }
        self.at += 1;
        let colon = self.at;
        let mut value = self.value(depth + 1);
        if matches!(value.kind, Kind::Empty) {
            value.span = colon..colon;
        }
        Entry { key, colon: Some(colon), value, indent: None }
    }

    /// Reads a plain text. An expression in it is taken as a whole, though YAML would not.
    fn plain(&mut self, start: usize) -> Node {
        while let Some(c) = self.rest().chars().next() {
            if self.rest().starts_with("${{") {
                let close = end_of_expression(self.text, self.at + 3, self.line_end(), Quoting::None);
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
        Node { span, kind: Kind::Scalar(Style::Plain) }
    }

    fn line_end(&self) -> usize {
        self.at + self.rest().find('\n').unwrap_or(self.rest().len())
    }
}

fn blanks(text: &str) -> usize {
    text.len() - text.trim_start_matches([' ', '\t']).len()
}

/// What is between the quotes of a scalar.
fn unquoted(text: &str, span: &Range<usize>) -> Range<usize> {
    let quoted = &text[span.clone()];
    let quote = quoted.chars().next().unwrap_or('"');
    let is_closed = quoted_end(quoted, quote) == Some(quoted.len());
    span.start + 1..(span.end - usize::from(is_closed)).max(span.start + 1)
}

/// Whether a colon in front of this separates a key from its value.
fn is_separated(after: &str) -> bool {
    after.is_empty() || after.starts_with([' ', '\t'])
}

fn is_key_begun(line: &str) -> bool {
    let line = line.trim_end();
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    !line.is_empty() && line.chars().all(is_word)
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

    /// An outline in one line: `{a: "x", b: [c]}`.
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
                        format!("{}{sign} {}", &text[entry.key.clone()], show(text, &entry.value))
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
            ("a: 1\nb:\n  c: x # y\n  d: 'e: f'\n", r#"{a: "1", b: {c: "x", d: "e: f"}}"#),
            ("a:\n- b: 1\n  c: 2\n- d\n- [e, {f: g}]\nh: i\n", r#"{a: [{b: "1", c: "2"}, "d", ["e", {f: "g"}]], h: "i"}"#),
            ("a: |\n  b: c\n\n  d\ne: f\n", r#"{a: "  b: c\n\n  d", e: "f"}"#),
            ("a: { b: \"${{ c }}\", 'd': [e, f] }\ng: h\n", r#"{a: {b: "${{ c }}", d: ["e", "f"]}, g: "h"}"#),
            ("a: b\n  c d\ne: {\n  f: g,\n  h: i\n}\nj: k\n", r#"{a: "b\n  c d", e: {f: "g", h: "i"}, j: "k"}"#),
            ("a: &x { b: c }\nd: *x\n", r#"{a: {b: "c"}, d: "*x"}"#),
            ("a: \"b\n  c\"\nd: e\n", r#"{a: "b\n  c", d: "e"}"#),
            ("a: ${{ b ?? '#' }} # c\r\nd: e\r\n", r#"{a: "${{ b ?? '#' }}", d: "e"}"#),
            ("---\n# a\nb: c\n", r#"{b: "c"}"#),
        ];
        for (text, expected) in read {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn a_mistake_spoils_its_own_lines() {
        let read = [
            ("a:\n  b: c\n  wi\n  d: e\n", r#"{a: {b: "c", wi? ~, d: "e"}}"#),
            ("a: { b: c\nd: e\n", r#"{a: {b: "c"}, d: "e"}"#),
            ("a: \"b\nc: d\n", r#"{a: "b", c: "d"}"#),
            ("a: b\n    c: d\n  e: f\ng: h\n", r#"{a: "b", g: "h"}"#),
            ("a: { b: ${{ c }} }\nd: e\n", r#"{a: {b: "${{ c }}"}, d: "e"}"#),
            ("a:\n  b: ${{ c.\n  d: e\n", r#"{a: {b: "${{ c.", d: "e"}}"#),
            ("a:\n  - \n  -\nb: [c, \nd: e", r#"{a: [~, ~], b: ["c"], d: "e"}"#),
            ("a: { b: , c }", "{a: {b: ~, c? ~}}"),
        ];
        for (text, expected) in read {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn nothing_is_too_broken() {
        for text in ["", "{", "[", "}", "a: {{", "- - - [", "\"", "a: '", "a: |", "? a", "{[}]", "a: {]", ": :", "ü: {ö", "\t", "a:\n\t- b: {"] {
            shown(text);
        }
        shown(&"[".repeat(5000));
        shown(&"- ".repeat(5000));
        shown(&"{a: ".repeat(5000));
    }
}
