//! YAML with places: a tree whose every node knows its bytes in the text.

use std::{collections::HashMap, ops::Range, sync::Arc};

use saphyr::Scalar;
use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use super::mistake::Mistake;
use crate::value::Value;

#[derive(Clone, Debug)]
pub struct Node {
    /// For a map or a list: where it starts. Its end is rarely where a person sees it.
    pub span: Range<usize>,
    pub kind: Kind,
}

#[derive(Clone, Debug)]
pub enum Kind {
    Scalar {
        value: Value,
        text: String,
        style: Style,
    },
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    Plain,
    Single,
    Double,
    Block,
}

#[derive(Clone, Debug)]
pub struct Key {
    pub name: String,
    pub span: Range<usize>,
}

/// A workflow has a few thousand nodes; more come only from aliases of aliases.
const MAX_NODES: usize = 100_000;

impl Node {
    /// What an author calls this kind of node, with its article.
    pub fn a_kind(&self) -> &'static str {
        match &self.kind {
            Kind::Scalar { value, .. } => value.a_kind(),
            Kind::List(_) => "a list",
            Kind::Map(_) => "a map",
        }
    }
}

/// Parses one document.
///
/// # Errors
/// The first place where the text is no YAML, or the first key that stands twice.
pub fn parse(file: &Arc<str>, text: &Arc<str>) -> Result<Node, Mistake> {
    let mut reader = Reader {
        parser: Parser::new_from_str(text),
        offsets: text
            .char_indices()
            .map(|(i, _)| i)
            .chain([text.len()])
            .collect(),
        anchors: HashMap::new(),
        nodes: 0,
        file,
        text,
    };
    let mut root = None;
    while let Some((event, span)) = reader.next()? {
        match event {
            Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing => {}
            Event::StreamEnd => break,
            event if root.is_none() => root = Some(reader.node(event, span, 0)?),
            _ => {
                let span = reader.bytes(&span);
                return Err(reader.mistake(span, "the file holds more than one YAML document"));
            }
        }
    }
    root.ok_or_else(|| {
        reader
            .mistake(0..0, "the file is empty")
            .help("see `docs/guide.md` for a first workflow")
    })
}

struct Reader<'a> {
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
    /// Character number → byte offset.
    offsets: Vec<usize>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    file: &'a Arc<str>,
    text: &'a Arc<str>,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<Option<(Event<'a>, Span)>, Mistake> {
        match self.parser.next_event() {
            None => Ok(None),
            Some(Ok(event)) => Ok(Some(event)),
            Some(Err(e)) => {
                let at = self.offset(e.marker().index());
                let end = self.text[at..]
                    .chars()
                    .next()
                    .map_or(at, |c| at + c.len_utf8());
                Err(self.mistake(at..end, format!("this is not YAML: {}", e.info())))
            }
        }
    }

    fn mistake(&self, span: Range<usize>, message: impl Into<String>) -> Mistake {
        Mistake::new("bad-yaml", self.file, self.text, span, message)
    }

    fn offset(&self, character: usize) -> usize {
        self.offsets
            .get(character)
            .copied()
            .unwrap_or(self.text.len())
    }

    fn bytes(&self, span: &Span) -> Range<usize> {
        self.offset(span.start.index())..self.offset(span.end.index())
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, Mistake> {
        let bytes = self.bytes(&span);
        self.nodes += 1;
        if depth > Value::MAX_DEPTH || self.nodes > MAX_NODES {
            return Err(self.mistake(bytes, "the file is nested too deeply or too large"));
        }
        let start = bytes.start..bytes.start;
        let (kind, anchor, span) = match event {
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(&anchor).cloned() else {
                    return Err(self.mistake(bytes, "the alias names no anchor before it"));
                };
                self.nodes += count(&node);
                return Ok(node);
            }
            Event::Scalar(text, style, anchor, tag) => {
                let parsed = Scalar::parse_from_cow_and_metadata(text.clone(), style, tag.as_ref());
                let value = match parsed {
                    Some(Scalar::Null) => Value::Null,
                    Some(Scalar::Boolean(b)) => Value::Bool(b),
                    Some(Scalar::Integer(i)) => Value::Int(i),
                    Some(Scalar::FloatingPoint(x)) => Value::Float(x.into_inner()),
                    Some(Scalar::String(text)) => Value::String(text.into_owned()),
                    None => return Err(self.mistake(bytes, "the value does not fit its tag")),
                };
                let bytes = match style {
                    ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => {
                        bytes.start..bytes.start + quoted_length(&self.text[bytes])
                    }
                    _ => bytes,
                };
                let style = match style {
                    ScalarStyle::Plain => Style::Plain,
                    ScalarStyle::SingleQuoted => Style::Single,
                    ScalarStyle::DoubleQuoted => Style::Double,
                    ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
                };
                (
                    Kind::Scalar {
                        value,
                        text: text.into_owned(),
                        style,
                    },
                    anchor,
                    bytes,
                )
            }
            Event::SequenceStart(anchor, _) => (Kind::List(self.list(depth)?), anchor, start),
            Event::MappingStart(anchor, _) => (Kind::Map(self.map(depth)?), anchor, start),
            _ => return Err(self.mistake(bytes, "this is not YAML")),
        };
        let node = Node { span, kind };
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Node>, Mistake> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                None | Some((Event::SequenceEnd, _)) => return Ok(items),
                Some((event, span)) => items.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Vec<(Key, Node)>, Mistake> {
        let mut entries: Vec<(Key, Node)> = Vec::new();
        loop {
            let key = match self.next()? {
                None | Some((Event::MappingEnd, _)) => return Ok(entries),
                Some((event, span)) => self.node(event, span, depth + 1)?,
            };
            let Kind::Scalar { text, .. } = key.kind else {
                return Err(self.mistake(key.span, "a key must be a plain word"));
            };
            if let Some((first, _)) = entries.iter().find(|(known, _)| known.name == text) {
                let first = first.span.clone();
                return Err(self
                    .mistake(key.span, format!("the key `{text}` stands twice"))
                    .label(first, "here first"));
            }
            let value = match self.next()? {
                Some((event, span)) => self.node(event, span, depth + 1)?,
                None => return Err(self.mistake(key.span, "the key has no value")),
            };
            entries.push((
                Key {
                    name: text,
                    span: key.span,
                },
                value,
            ));
        }
    }
}

/// The parser's span of a quoted text goes on to whatever comes next on its line.
fn quoted_length(text: &str) -> usize {
    let mut chars = text.char_indices();
    let quote = chars.next().map(|(_, c)| c);
    let mut is_escaped = false;
    for (i, c) in chars {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' if quote == Some('"') => is_escaped = true,
            // `''` stands for one quote.
            '\'' if quote == Some('\'') && text[i + 1..].starts_with('\'') => is_escaped = true,
            c if Some(c) == quote => return i + 1,
            _ => {}
        }
    }
    text.len()
}

fn count(node: &Node) -> usize {
    1 + match &node.kind {
        Kind::Scalar { .. } => 0,
        Kind::List(items) => items.iter().map(count).sum(),
        Kind::Map(entries) => entries.iter().map(|(_, node)| count(node)).sum(),
    }
}
