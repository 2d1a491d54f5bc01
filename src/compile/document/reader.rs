//! Reads the events of the YAML parser as a tree.

use std::{borrow::Cow, collections::HashMap, ops::Range, sync::Arc};

use saphyr::Scalar;
use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};

use super::{Key, Kind, Node, Style};
use crate::mistake::Mistake;
use windlass_world::value::{Bytes, Value};

/// A workflow has a few thousand nodes, and a list of items for it may have a hundred times as many; only aliases of
/// aliases produce more.
const MAX_NODES: usize = 250_000;
/// The total size of all texts of a file, with aliases counted each time; the file itself has at most a megabyte.
const MAX_TEXT_BYTES: usize = 8 << 20;
/// For each tab that the parser does not accept as a blank, the file is parsed again.
const MAX_TABS: usize = 100;

/// Parses `spelled`, which is the text with some of its tabs replaced by spaces.
pub(super) fn read(
    file: &Arc<str>,
    text: &Arc<str>,
    spelled: &str,
) -> Result<Option<Node>, Mistake> {
    let mut spelled = spelled.to_owned();
    for _ in 0..MAX_TABS {
        let (read, failed_at) = read_once(file, text, &spelled);
        match failed_at.and_then(|at| separating_tab(&spelled, at)) {
            Some(tab) => spelled.replace_range(tab..=tab, " "),
            None => return read,
        }
    }
    read_once(file, text, &spelled).0
}

/// Returns the tab at which the parser failed, if it only separates an indicator from what follows on the
/// line: YAML allows that (section 6.2, "Separation Spaces"), and the parser accepts it only in some places.
fn separating_tab(text: &str, failed_at: usize) -> Option<usize> {
    let line_start = text[..failed_at].rfind('\n').map_or(0, |i| i + 1);
    let blank = |c: char| c == ' ' || c == '\t';
    let end = failed_at + text[failed_at..].find(|c| !blank(c)).unwrap_or(0);
    let gap_start = text[line_start..end].trim_end_matches(blank).len() + line_start;
    let sign = text[line_start..gap_start].chars().next_back()?;
    let tab = gap_start + text[gap_start..end].find('\t')?;
    matches!(sign, ':' | '-' | '?' | ',' | '{' | '[').then_some(tab)
}

/// Parses a text once; on failure, also returns the byte at which the parser failed.
fn read_once(
    file: &Arc<str>,
    text: &Arc<str>,
    spelled: &str,
) -> (Result<Option<Node>, Mistake>, Option<usize>) {
    let mut reader = Reader {
        parser: Parser::new_from_str(spelled),
        offsets: text
            .char_indices()
            .map(|(i, _)| i)
            .chain([text.len()])
            .collect(),
        anchors: HashMap::new(),
        nodes: 0,
        text_bytes: 0,
        failed_at: None,
        file,
        text,
    };
    let read = reader.document();
    (read, reader.failed_at)
}

struct Reader<'a> {
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
    /// Character number → byte offset.
    offsets: Vec<usize>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    text_bytes: usize,
    /// The byte at which the parser failed.
    failed_at: Option<usize>,
    file: &'a Arc<str>,
    text: &'a Arc<str>,
}

impl<'a> Reader<'a> {
    fn document(&mut self) -> Result<Option<Node>, Mistake> {
        let mut root = None;
        while let Some((event, span)) = self.next()? {
            match event {
                Event::StreamStart
                | Event::DocumentStart(_)
                | Event::DocumentEnd
                | Event::Nothing => {}
                Event::StreamEnd => break,
                event if root.is_none() => root = Some(self.node(event, span, 0)?),
                _ => {
                    let span = self.bytes(&span);
                    let help =
                        "the second document begins after the line `---`: put it into its own file";
                    let mistake = self.mistake(span, "the file holds more than one YAML document");
                    return Err(mistake.help(help));
                }
            }
        }
        Ok(root)
    }

    fn next(&mut self) -> Result<Option<(Event<'a>, Span)>, Mistake> {
        match self.parser.next_event() {
            None => Ok(None),
            Some(Ok(event)) => Ok(Some(event)),
            Some(Err(e)) => {
                let at = self.offset(e.marker().index());
                self.failed_at = Some(at);
                let end = self.text[at..]
                    .chars()
                    .next()
                    .map_or(at, |c| at + c.len_utf8());
                let mistake = self.mistake(at..end, format!("this is not YAML: {}", e.info()));
                Err(mistake.maybe_help(self.unquoted_expression(at)))
            }
        }
    }

    /// Returns the hint for an expression whose characters YAML takes for its own syntax.
    fn unquoted_expression(&self, at: usize) -> Option<String> {
        let start = self.text[..at].rfind('\n').map_or(0, |i| i + 1);
        let line = self.text[start..].lines().next()?;
        let at = line.find("${{").or_else(|| {
            // The parser may report the mistake on the next line.
            let before = self.text[..start].trim_end().lines().next_back()?;
            before.find("${{")
        });
        at.map(|_| {
            "an expression that contains special characters of YAML must be in quotes: `\"${{ … }}\"`"
                .into()
        })
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
        let line = span.start.line();
        self.nodes += 1;
        self.refuse_excess(depth, &bytes)?;
        let start = bytes.start..bytes.start;
        let (kind, anchor, span) = match event {
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(&anchor).cloned() else {
                    return Err(self.mistake(
                        bytes,
                        "the alias refers to an anchor that is not defined before it",
                    ));
                };
                let size = Size::of(&node);
                self.nodes += size.nodes;
                self.text_bytes += size.text_bytes;
                self.refuse_excess(depth + size.depth, &bytes)?;
                return Ok(node);
            }
            Event::Scalar(text, style, anchor, tag) => {
                let value = self.scalar(&text, style, tag.as_deref(), &bytes)?;
                self.text_bytes += text.len();
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
            Event::SequenceStart(anchor, tag) => {
                self.refuse_tag(tag.as_deref(), "seq", &bytes)?;
                (Kind::List(self.list(depth)?), anchor, start)
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_tag(tag.as_deref(), "map", &bytes)?;
                (Kind::Map(self.map(depth)?), anchor, start)
            }
            _ => return Err(self.mistake(bytes, "this is not YAML")),
        };
        let node = Node { span, line, kind };
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn refuse_excess(&self, depth: usize, bytes: &Range<usize>) -> Result<(), Mistake> {
        let fits = depth <= Value::MAX_DEPTH
            && self.nodes <= MAX_NODES
            && self.text_bytes <= MAX_TEXT_BYTES;
        if fits {
            Ok(())
        } else {
            Err(self.mistake(bytes.clone(), "the file is nested too deeply or too large"))
        }
    }

    fn scalar(
        &self,
        text: &str,
        style: ScalarStyle,
        tag: Option<&Tag>,
        bytes: &Range<usize>,
    ) -> Result<Value, Mistake> {
        let no_fit = || self.mistake(bytes.clone(), "the value does not fit its tag");
        if tag.is_some_and(|tag| tag.is_yaml_core_schema() && tag.suffix == "binary") {
            let read = Bytes::from_yaml(text).map(Value::Bytes);
            return read.ok_or_else(|| no_fit().help("`!!binary` is followed by base64"));
        }
        let (style, tag) = match tag {
            // `! 12` is the text 12.
            Some(tag) if tag.handle.is_empty() && tag.suffix == "!" => {
                (ScalarStyle::SingleQuoted, None)
            }
            // A tag takes precedence over quotes: `!!int "12"`.
            Some(tag) if tag.is_yaml_core_schema() => (ScalarStyle::Plain, Some(tag)),
            Some(tag) => return Err(self.unknown_tag(tag, bytes)),
            None => (style, None),
        };
        let tag = tag.map(Cow::Borrowed);
        let unfit = |message: String| {
            let help = "put it in quotes to make it a string";
            Err(self.mistake(bytes.clone(), message).help(help))
        };
        match Scalar::parse_from_cow_and_metadata(text.into(), style, tag.as_ref()) {
            Some(Scalar::Null) => Ok(Value::Null),
            Some(Scalar::Boolean(b)) => Ok(Value::Bool(b)),
            Some(Scalar::Integer(i)) => Ok(Value::Int(i)),
            Some(Scalar::FloatingPoint(_) | Scalar::String(_))
                if style == ScalarStyle::Plain && tag.is_none() && is_integer(text) =>
            {
                unfit(format!("the integer {text} does not fit into 64 bits"))
            }
            Some(Scalar::FloatingPoint(x)) if !x.is_finite() => {
                unfit(format!("`{text}` can't be represented as a number"))
            }
            Some(Scalar::FloatingPoint(x)) => Ok(Value::Float(x.into_inner())),
            Some(Scalar::String(text)) => Ok(Value::String(text.into_owned())),
            None => Err(no_fit()),
        }
    }

    /// Rejects a tag on a list or a map that names another type.
    fn refuse_tag(
        &self,
        tag: Option<&Tag>,
        allowed: &str,
        bytes: &Range<usize>,
    ) -> Result<(), Mistake> {
        match tag {
            Some(tag) if !(tag.is_yaml_core_schema() && tag.suffix == allowed) => {
                Err(self.unknown_tag(tag, bytes))
            }
            _ => Ok(()),
        }
    }

    fn unknown_tag(&self, tag: &Tag, bytes: &Range<usize>) -> Mistake {
        let name = if tag.is_yaml_core_schema() {
            format!("!!{}", tag.suffix)
        } else {
            format!("{}{}", tag.handle, tag.suffix)
        };
        let mistake = self.mistake(bytes.clone(), format!("the tag `{name}` is not supported"));
        mistake.help("remove it, or put a string that begins with `!` in quotes")
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

    /// Reads the value of `<<`: a map, or a list of maps.
    fn merged(&mut self, key: Range<usize>, depth: usize) -> Result<Vec<(Key, Node)>, Mistake> {
        let node = match self.next()? {
            Some((event, span)) => self.node(event, span, depth + 1)?,
            None => return Err(self.mistake(key, "the key has no value")),
        };
        let maps = match node.kind {
            Kind::List(items) => items.into_iter().map(|item| item.kind).collect(),
            kind => vec![kind],
        };
        let mut entries = Vec::new();
        for map in maps {
            match map {
                Kind::Map(map) => entries.extend(map),
                _ => return Err(self.mistake(key, "`<<` must refer to a map: `<<: *name`")),
            }
        }
        Ok(entries)
    }

    fn map(&mut self, depth: usize) -> Result<Vec<(Key, Node)>, Mistake> {
        let mut entries: Vec<(Key, Node)> = Vec::new();
        let mut merged: Vec<(Key, Node)> = Vec::new();
        loop {
            let key = match self.next()? {
                None | Some((Event::MappingEnd, _)) => {
                    // A map's own entries take precedence, then those of the first map that it merges.
                    for (key, node) in merged {
                        if !entries.iter().any(|(known, _)| known.name == key.name) {
                            entries.push((key, node));
                        }
                    }
                    return Ok(entries);
                }
                Some((event, span)) => self.node(event, span, depth + 1)?,
            };
            let Kind::Scalar { text, style, .. } = key.kind else {
                return Err(self.mistake(key.span, "a key must be a plain string"));
            };
            if text == MERGE && style == Style::Plain {
                merged.extend(self.merged(key.span, depth)?);
                continue;
            }
            if let Some((first, _)) = entries.iter().find(|(known, _)| known.name == text) {
                let first = first.span.clone();
                return Err(self
                    .mistake(key.span, format!("the key `{text}` is defined twice"))
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

/// The key that merges the entries of other maps: <https://yaml.org/type/merge.html>.
const MERGE: &str = "<<";

/// Says whether a plain scalar is an integer in YAML's core schema, of any size.
fn is_integer(text: &str) -> bool {
    let digits = |text: &str, radix| !text.is_empty() && text.chars().all(|c| c.is_digit(radix));
    match (text.strip_prefix("0x"), text.strip_prefix("0o")) {
        (Some(hex), _) => digits(hex, 16),
        (_, Some(octal)) => digits(octal, 8),
        _ => digits(text.strip_prefix(['+', '-']).unwrap_or(text), 10),
    }
}

/// Returns the length of a quoted text: the parser's span reaches to the next token on its line.
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

/// The size of a node.
struct Size {
    nodes: usize,
    text_bytes: usize,
    /// The levels below it.
    depth: usize,
}

impl Size {
    fn of(node: &Node) -> Self {
        let inner: Vec<_> = match &node.kind {
            Kind::Scalar { text, .. } => {
                return Self {
                    nodes: 1,
                    text_bytes: text.len(),
                    depth: 0,
                };
            }
            Kind::List(items) => items.iter().map(Self::of).collect(),
            Kind::Map(entries) => entries.iter().map(|(_, node)| Self::of(node)).collect(),
        };
        Self {
            nodes: 1 + inner.iter().map(|size| size.nodes).sum::<usize>(),
            text_bytes: inner.iter().map(|size| size.text_bytes).sum(),
            depth: 1 + inner.iter().map(|size| size.depth).max().unwrap_or(0),
        }
    }
}
