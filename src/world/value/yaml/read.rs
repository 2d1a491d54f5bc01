//! Parses YAML text to values, event by event and without recursion, so no text can overflow the stack.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
};

use saphyr::Scalar;
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Tag};

use crate::value::{Bytes, Value};

/// How much aliases may add, in nodes and in units of 32 bytes of text: more comes only from aliases of aliases.
const MAX_ALIASED: usize = 100_000;
/// The prefix of YAML's own tags, for which `!!` stands.
const CORE: &str = "tag:yaml.org,2002:";

/// Parses at most `most` documents. `octals` decides about numbers such as `0400`.
pub(super) fn documents(text: &str, most: usize, octals: Octals) -> Result<Vec<Value>, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut parser = Parser::new_from_str(text);
    let mut reader = Reader::default();
    while let Some(next) = parser.next_event() {
        let (event, span) = next.map_err(|e| error(e.marker(), e.info()))?;
        let at = span.start;
        match event {
            Event::DocumentStart(_) if reader.documents.len() == most => {
                return Err(error(&at, "a second document begins here"));
            }
            Event::DocumentStart(_) => reader.document = Value::Null,
            Event::DocumentEnd => {
                let document = std::mem::take(&mut reader.document);
                reader.documents.push(document);
            }
            Event::Alias(anchor) => reader.alias(anchor, &at)?,
            Event::Scalar(text, style, anchor, tag) => {
                let is_plain = style == ScalarStyle::Plain;
                let value = scalar(&text, is_plain, tag.as_deref()).map_err(|e| error(&at, &e))?;
                let is_number = is_plain && matches!(value, Value::Int(_)) && !reader.is_at_key();
                if octals == Octals::Refused && is_number {
                    check_octal(&text).map_err(|e| error(&at, &e))?;
                }
                // A key keeps its spelling: `1.10` is not `1.1`.
                let name = match &value {
                    Value::Null => "null".into(),
                    _ => text,
                };
                let is_merge = is_plain && tag.is_none() && name == "<<";
                reader.put(value, Some((name, is_merge)), anchor, &at)?;
            }
            Event::SequenceStart(anchor, tag) => {
                reader.open(tag.as_deref(), "seq", anchor, Inside::List(Vec::new()), &at)?;
            }
            Event::MappingStart(anchor, tag) => {
                reader.open(
                    tag.as_deref(),
                    "map",
                    anchor,
                    Inside::Map(Draft::default()),
                    &at,
                )?;
            }
            Event::SequenceEnd | Event::MappingEnd => reader.close(&at)?,
            Event::Nothing | Event::StreamStart | Event::StreamEnd => {}
        }
    }
    Ok(reader.documents)
}

/// What becomes of a number with a leading zero, which is octal in YAML 1.1 and decimal in 1.2.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Octals {
    Refused,
    /// It is decimal, as in versions that did not refuse it.
    Decimal,
}

/// Refuses a number that has another value in YAML 1.1, as kubectl, Helm and PyYAML read it.
fn check_octal(text: &str) -> Result<(), String> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let is_octal = digits.len() > 1 && digits.starts_with('0');
    let Some(octal) = is_octal
        .then(|| i64::from_str_radix(digits, 8).ok())
        .flatten()
        .filter(|octal| digits.parse() != Ok(*octal))
    else {
        return Ok(());
    };
    Err(format!(
        "`{text}` is {octal} in YAML 1.1, as kubectl reads it, and {} in YAML 1.2; write 0o{}, {octal}, or \"{text}\" for a text",
        digits.trim_start_matches('0'),
        digits.trim_start_matches('0'),
    ))
}

#[derive(Default)]
struct Reader {
    documents: Vec<Value>,
    /// The document that is being read.
    document: Value,
    /// The collections that are still open, outermost first.
    open: Vec<(Inside, usize)>,
    anchors: HashMap<usize, Value>,
    aliased: usize,
}

enum Inside {
    List(Vec<Value>),
    Map(Draft),
}

/// A map that is being read.
#[derive(Default)]
struct Draft {
    entries: BTreeMap<String, Value>,
    /// The key whose value comes next.
    key: Option<String>,
    /// Whether the next value is merged.
    is_merging: bool,
    merged: Vec<Value>,
}

impl Reader {
    /// Says whether a key of a map comes next.
    fn is_at_key(&self) -> bool {
        match self.open.last() {
            Some((Inside::Map(draft), _)) => draft.key.is_none() && !draft.is_merging,
            _ => false,
        }
    }

    fn open(
        &mut self,
        tag: Option<&Tag>,
        kind: &str,
        anchor: usize,
        inside: Inside,
        at: &Marker,
    ) -> Result<(), String> {
        if self.open.len() >= Value::MAX_DEPTH {
            return Err(too_deep(at));
        }
        if let Some(tag) = tag.map(full_name)
            && tag != "!"
            && tag.strip_prefix(CORE) != Some(kind)
        {
            return Err(error(at, &unknown(&tag)));
        }
        self.open.push((inside, anchor));
        Ok(())
    }

    fn close(&mut self, at: &Marker) -> Result<(), String> {
        let Some((inside, anchor)) = self.open.pop() else {
            return Ok(());
        };
        let value = match inside {
            Inside::List(items) => Value::List(items),
            Inside::Map(draft) => {
                let mut entries = draft.entries;
                for (key, value) in draft.merged.into_iter().flat_map(entries_of) {
                    entries.entry(key).or_insert(value);
                }
                Value::Map(entries)
            }
        };
        self.put(value, None, anchor, at)
    }

    fn alias(&mut self, anchor: usize, at: &Marker) -> Result<(), String> {
        let Some(value) = self.anchors.get(&anchor).cloned() else {
            return Err(error(
                at,
                "the alias refers to an anchor that is not defined before it",
            ));
        };
        self.aliased += weight(&value);
        if self.aliased > MAX_ALIASED {
            return Err(error(at, "aliases make the document too large"));
        }
        if self.open.len() + depth(&value) > Value::MAX_DEPTH {
            return Err(too_deep(at));
        }
        let name = match &value {
            Value::List(_) | Value::Map(_) => None,
            other => Some((Cow::Owned(other.to_text()), false)),
        };
        self.put(value, name, 0, at)
    }

    /// Adds a value at the next place. `name` is the value's text as a key, and whether it is the merge
    /// key.
    fn put(
        &mut self,
        value: Value,
        name: Option<(Cow<str>, bool)>,
        anchor: usize,
        at: &Marker,
    ) -> Result<(), String> {
        if anchor > 0 {
            self.anchors.insert(anchor, value.clone());
        }
        match self.open.last_mut() {
            None => self.document = value,
            Some((Inside::List(items), _)) => items.push(value),
            Some((Inside::Map(draft), _)) => draft.put(value, name).map_err(|e| error(at, &e))?,
        }
        Ok(())
    }
}

impl Draft {
    fn put(&mut self, value: Value, name: Option<(Cow<str>, bool)>) -> Result<(), String> {
        if std::mem::take(&mut self.is_merging) {
            let is_fit = match &value {
                Value::Map(_) => true,
                Value::List(items) => items.iter().all(|item| item.as_map().is_some()),
                _ => false,
            };
            if !is_fit {
                return Err("`<<` merges a map, or a list of maps".into());
            }
            self.merged.push(value);
            return Ok(());
        }
        let Some(key) = self.key.take() else {
            let (name, is_merge) = name.ok_or("a key must be a text")?;
            if self.entries.contains_key(name.as_ref()) {
                return Err(format!("the key `{name}` is defined twice"));
            }
            if is_merge {
                self.is_merging = true
            } else {
                self.key = Some(name.into_owned())
            }
            return Ok(());
        };
        self.entries.insert(key, value);
        Ok(())
    }
}

/// Returns the entries of a map, or of each map of a list.
fn entries_of(merged: Value) -> Vec<(String, Value)> {
    match merged {
        Value::Map(map) => map.into_iter().collect(),
        Value::List(items) => items.into_iter().flat_map(entries_of).collect(),
        _ => Vec::new(),
    }
}

fn scalar(text: &str, is_plain: bool, tag: Option<&Tag>) -> Result<Value, String> {
    let Some(tag) = tag.map(full_name) else {
        return if is_plain {
            plain(text)
        } else {
            Ok(text.into())
        };
    };
    let unfit = || format!("`{text}` does not fit its tag");
    match tag.strip_prefix(CORE) {
        Some("str") => Ok(text.into()),
        Some("binary") => Bytes::from_yaml(text).map(Value::Bytes).ok_or_else(unfit),
        Some(name @ ("int" | "float" | "bool" | "null")) => match (name, plain(text)?) {
            ("float", Value::Int(i)) => Ok(Value::Float(i as f64)),
            ("int", Value::String(digits)) if is_integer(&digits) => Ok(Value::String(digits)),
            ("int", value @ Value::Int(_))
            | ("float", value @ Value::Float(_))
            | ("bool", value @ Value::Bool(_))
            | ("null", value @ Value::Null) => Ok(value),
            _ => Err(unfit()),
        },
        None if tag == "!" => Ok(text.into()),
        _ => Err(unknown(&tag)),
    }
}

/// Reads a scalar without quotes or tag, by the core schema.
fn plain(text: &str) -> Result<Value, String> {
    Ok(match Scalar::parse_from_cow(Cow::Borrowed(text)) {
        _ if text.is_empty() => Value::Null,
        Scalar::Null => Value::Null,
        Scalar::Boolean(b) => Value::Bool(b),
        Scalar::Integer(i) => Value::Int(i),
        Scalar::FloatingPoint(_) if is_integer(text) => Value::String(text.into()),
        Scalar::FloatingPoint(x) if x.is_infinite() && !text.to_lowercase().ends_with("inf") => {
            return Err(format!("the number {text} is out of range"));
        }
        Scalar::FloatingPoint(x) => Value::Float(x.into_inner()),
        Scalar::String(text) => Value::String(text.into_owned()),
    })
}

fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}

fn full_name(tag: &Tag) -> String {
    format!("{}{}", tag.handle, tag.suffix)
}

fn unknown(tag: &str) -> String {
    format!("the tag `{tag}` has no meaning here; only YAML's own tags are read")
}

fn too_deep(at: &Marker) -> String {
    let most = Value::MAX_DEPTH;
    error(at, &format!("it is nested more than {most} levels deep"))
}

fn error(at: &Marker, why: &str) -> String {
    format!("line {}, column {}: {why}", at.line(), at.col() + 1)
}

fn weight(value: &Value) -> usize {
    1 + match value {
        Value::String(text) => text.len() / 32,
        Value::Bytes(bytes) => bytes.len() / 32,
        Value::List(items) => items.iter().map(weight).sum(),
        Value::Map(map) => map.iter().map(|(k, v)| k.len() / 32 + weight(v)).sum(),
        _ => 0,
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::List(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Map(map) => 1 + map.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Result<String, String> {
        Value::parse_yaml(text).map(|value| value.to_json().to_string())
    }

    #[test]
    fn a8_one_document_or_all() {
        let error = one("a: 1\n---\nb: 2\n").expect_err("two documents");
        assert!(
            error.starts_with("line 2, column 1: a second document"),
            "{error}"
        );
        assert!(
            one("a: 1\n---\n").is_err(),
            "the second one is empty, and one"
        );
        assert_eq!(one("---\na: 1\n...\n"), Ok(r#"{"a":1}"#.into()));
        assert_eq!(one(""), Ok("null".into()));
        let all = Value::parse_yaml_all("a: 1\n---\n- 2\n---\n").expect("three");
        assert_eq!(
            Value::List(all).to_json().to_string(),
            r#"[{"a":1},[2],null]"#
        );
        assert_eq!(Value::parse_yaml_all(""), Ok(vec![]));
    }

    #[test]
    fn a8_a_number_that_is_octal_elsewhere_is_refused() {
        for text in ["defaultMode: 0400", "[-010]", "0644"] {
            let error = one(text).expect_err(text);
            assert!(error.contains("in YAML 1.1"), "{error}");
        }
        let error = one("mode: 0400").expect_err("an octal number");
        assert!(
            error.starts_with("line 1, column 7: `0400` is 256"),
            "{error}"
        );
        assert!(error.contains("write 0o400, 256, or \"0400\""), "{error}");
        assert_eq!(
            one("{0400: [0o400, '0400', 0, 007, 08, 400, 0.5]}"),
            Ok(r#"{"0400":[256,"0400",0,7,8,400,0.5]}"#.into())
        );
        let before = Value::parse_yaml_as_earlier("0400", 1);
        assert_eq!(before, Ok(vec![Value::Int(400)]));
    }

    #[test]
    fn a8_tags_are_honoured_or_refused() {
        for text in [
            "a: !vault x",
            "a: !!timestamp 2020-01-01",
            "a: !vault [x]",
            "a: !!set {x}",
        ] {
            let error = one(text).expect_err(text);
            assert!(error.starts_with("line 1, column "), "{error}");
            assert!(error.contains("the tag `"), "{error}");
        }
        assert_eq!(
            one("[!!str 1, !!int '2', !!float 3, ! 4, !!bool 'true', !!null '']"),
            Ok(r#"["1",2,3.0,"4",true,null]"#.into())
        );
        assert!(one("!!int x").is_err());
        assert_eq!(
            Value::parse_yaml("!!binary |\n  /wD+\n"),
            Ok(Value::Bytes(Bytes::new([0xff, 0, 0xfe])))
        );
    }

    #[test]
    fn a8_integers_are_exact() {
        assert_eq!(
            one(
                "[9223372036854775807, 9223372036854775808, -9223372036854775809, 0x10, 0o17, 1.5]"
            ),
            Ok(
                r#"[9223372036854775807,"9223372036854775808","-9223372036854775809",16,15,1.5]"#
                    .into()
            )
        );
        assert!(one("1e999").is_err());
    }

    #[test]
    fn a8_keys_are_merged_and_never_lost() {
        let text =
            "base: &b { x: 1, y: 2 }\nmine: { <<: *b, y: 3 }\nboth: { <<: [{ z: 1 }, *b] }\n";
        assert_eq!(
            one(text),
            Ok(r#"{"base":{"x":1,"y":2},"both":{"x":1,"y":2,"z":1},"mine":{"x":1,"y":3}}"#.into())
        );
        let error = one("a: 1\nb: 2\na: 3\n").expect_err("twice");
        assert_eq!(error, "line 3, column 1: the key `a` is defined twice");
        assert_eq!(
            one("1.10: x\n~: y"),
            Ok(r#"{"1.10":"x","null":"y"}"#.into())
        );
        assert!(one("[a, b]: c").is_err());
        assert!(one("<<: 1").is_err());
    }

    #[test]
    fn nothing_grows_without_bound() {
        let deep = "- ".repeat(100_000);
        assert!(one(&deep).expect_err("deep").contains("nested"));
        let mut laughs = String::from("- &a0 [x, x, x, x, x, x, x, x, x]\n");
        for i in 1..9 {
            let before = format!("*a{}", i - 1);
            laughs += &format!("- &a{i} [{}]\n", vec![before; 9].join(", "));
        }
        assert!(one(&laughs).expect_err("large").contains("too large"));
    }
}
