use std::ops::Range;

use super::{Entry, Kind, MAX_DEPTH, Node, Style, flow::Flow, quoted_end};
use windlass_script::lexer::{Quoting, end_of_expression};

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
        lines.push(Line {
            start,
            content,
            end: start + bare.len(),
        });
        start += line.len();
    }
    lines
}

pub(super) struct Reader<'a> {
    text: &'a str,
    lines: Vec<Line>,
    /// The line that is read next.
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            text,
            lines: lines(text),
            at: 0,
        }
    }

    /// Reads all of the text.
    pub(super) fn document(mut self) -> Node {
        self.skip_blank();
        self.block(0, 0)
    }

    fn empty(&self, at: usize) -> Node {
        Node {
            span: at..at,
            kind: Kind::Empty,
        }
    }

    /// Advances to the next line that is not blank.
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

    /// Returns the indentation of the next line, and its text from there.
    fn peek(&self) -> Option<(usize, usize, usize)> {
        let line = self.lines.get(self.at)?;
        Some((line.content - line.start, line.content, line.end))
    }

    /// Reads what begins on the next line, indented by at least this much.
    fn block(&mut self, least: usize, depth: usize) -> Node {
        let Some((indent, start, end)) = self.peek().filter(|(indent, ..)| *indent >= least) else {
            return self.empty(
                self.lines
                    .get(self.at)
                    .map_or(self.text.len(), |line| line.start),
            );
        };
        if depth > MAX_DEPTH {
            self.at += 1;
            return Node {
                span: start..end,
                kind: Kind::Scalar(Style::Plain),
            };
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
            let Some((at, start, end)) = self.peek() else {
                break;
            };
            if at != indent || !self.is_item(start, end) {
                break;
            }
            let after = start + 1;
            let value = after + blanks(&self.text[after..end]);
            let item = if self.text[value..end].is_empty() || self.text[value..end].starts_with('#')
            {
                self.at += 1;
                self.skip_blank();
                let mut below = self.block(indent + 1, depth + 1);
                if matches!(below.kind, Kind::Empty) {
                    below.span = after..after;
                }
                below
            } else {
                // A map may begin behind the dash; the rest of it stands below its first key.
                match self.key(value, end) {
                    Some(_) => self.map(value - self.lines[self.at].start, value, depth + 1),
                    None => self.value(value, Some(indent), depth + 1),
                }
            };
            last = last.max(item.span.end).max(after);
            items.push(item);
        }
        Node {
            span: first..last,
            kind: Kind::List(items),
        }
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
                    Entry {
                        key,
                        colon: Some(colon),
                        value,
                        indent: Some(indent),
                    }
                }
                None => {
                    self.at += 1;
                    let key = start..start + self.text[start..end].trim_end().len();
                    Entry {
                        value: self.empty(key.end),
                        key,
                        colon: None,
                        indent: Some(indent),
                    }
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
                    _ => {
                        return Node {
                            span: first..last,
                            kind: Kind::Map(entries),
                        };
                    }
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
                // A sentence with a colon in it is not a key.
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
        let start = self
            .lines
            .get(self.at)
            .map_or(self.text.len(), |line| line.start);
        let mut last = start;
        while let Some(line) = self.lines.get(self.at) {
            let is_blank = line.content == line.end;
            if !is_blank && indent.is_some_and(|indent| line.content - line.start <= indent) {
                break;
            }
            // The user is typing on the next line.
            last = if is_blank { last } else { line.end };
            self.at += 1;
        }
        Node {
            span: start..last,
            kind: Kind::Scalar(Style::Block),
        }
    }

    fn quoted(&mut self, start: usize, quote: char, indent: Option<usize>) -> Node {
        let style = if quote == '"' {
            Style::Double
        } else {
            Style::Single
        };
        let limit = self.limit(indent);
        let end = quoted_end(&self.text[start..limit], quote).map(|length| start + length);
        // Without its end, it is as long as its line.
        let end = end.unwrap_or(self.lines[self.at].end);
        self.go_behind(end);
        Node {
            span: start..end.max(start + 1),
            kind: Kind::Scalar(style),
        }
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
        Node {
            span: start..end,
            kind: Kind::Scalar(Style::Plain),
        }
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

    /// Continues with the line after the one that a byte is in.
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
        let node = Flow::new(self.text, start..limit).value(depth);
        self.go_behind(node.span.end.saturating_sub(1).max(start));
        node
    }
}

fn blanks(text: &str) -> usize {
    text.len() - text.trim_start_matches([' ', '\t']).len()
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
