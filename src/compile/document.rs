//! Parses YAML into a tree in which each node has its range in the text.
//!
//! Values that would be changed on the way are rejected: integers beyond 64 bits, numbers that JSON can't
//! express, tags of other tools, a second document.

mod reader;

use std::{fmt, ops::Range, sync::Arc};

use self::reader::read;
use super::mistake::Mistake;
use windlass_world::value::Value;

#[derive(Clone, Debug)]
pub struct Node {
    /// For a map or a list, only its start: people rarely look for its end.
    pub span: Range<usize>,
    /// The line of the file that it starts in, from 1.
    pub line: usize,
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

impl Node {
    /// Returns the plain value.
    pub fn to_value(&self) -> Value {
        match &self.kind {
            Kind::Scalar { value, .. } => value.clone(),
            Kind::List(items) => Value::List(items.iter().map(Self::to_value).collect()),
            Kind::Map(entries) => Value::map(
                entries
                    .iter()
                    .map(|(key, node)| (key.name.clone(), node.to_value())),
            ),
        }
    }

    /// Returns the kind of this node with its article, for messages.
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
/// The first place where the text is not YAML, or the first key that is defined twice.
pub fn parse(file: &Arc<str>, text: &Arc<str>) -> Result<Node, Mistake> {
    match read(file, text, text)? {
        Some(root) => Ok(root),
        None => Err(
            Mistake::new("bad-yaml", file, text, 0..0, "the file is empty")
                .help("`windlass new NAME` writes a first workflow, and `docs/guide.md` explains its keys"),
        ),
    }
}

/// Parses a value that is not in a file; an empty text is null.
///
/// # Errors
/// The mistake, with its line and column.
pub fn parse_value(text: &str) -> Result<Value, String> {
    read_value(text).map_err(|mistake| Wrong::of(mistake).to_string())
}

/// Parses what a person gives for a param, or a file of params: JSON, if the text is that, or YAML. A number with a leading zero is refused, as
/// `yaml::parse` of scripts does.
///
/// # Errors
/// The mistake, with its line and column.
pub(super) fn parse_given(text: &str) -> Result<Value, String> {
    read_given(text).map_err(|wrong| wrong.to_string())
}

/// Works as [`parse_given`] for a text that may contain secrets: the error quotes nothing of it but one of the names `known`.
///
/// # Errors
/// The place of the mistake.
pub(super) fn parse_secret_given(text: &str, known: &[&str]) -> Result<Value, String> {
    read_given(text).map_err(|Wrong { place, message, .. }| {
        let key = message
            .strip_prefix("the key `")
            .and_then(|rest| rest.strip_suffix("` is defined twice"));
        let shown = match key {
            Some(key) if known.contains(&key) => &message,
            Some(_) => "a key is defined twice",
            // What is quoted stands between such marks.
            None if !message.contains(['`', '\'', '"']) && !message.starts_with("the integer ") => &message,
            None => {
                "it is not valid YAML, or has a tag or a number that can't be read; it may contain secrets, so it is not shown (write texts in \
                 quotes)"
            }
        };
        format!("{place}: {shown}")
    })
}

/// A mistake in a text that a person gave.
struct Wrong {
    /// Its line and column.
    place: String,
    message: String,
    help: Option<String>,
}

impl Wrong {
    fn of(mistake: Mistake) -> Self {
        let (line, column) = mistake.line_and_column();
        Self {
            place: format!("line {line}, column {column}"),
            message: mistake.to_string(),
            help: mistake.help,
        }
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)?;
        match &self.help {
            Some(help) => write!(f, " ({help})"),
            None => Ok(()),
        }
    }
}

fn read_given(text: &str) -> Result<Value, Wrong> {
    if Value::is_json(text) {
        return Value::parse_json_exact(text).map_err(|why| {
            let (place, message) = why.split_once(": ").unwrap_or(("line 1, column 1", &why));
            Wrong {
                place: place.into(),
                message: message.into(),
                help: None,
            }
        });
    }
    let (file, text) = (Arc::from(""), Arc::from(text));
    let Some(root) = read(&file, &text, &text).map_err(Wrong::of)? else {
        return Ok(Value::Null);
    };
    if let Some((span, number, digits)) = zero_first_in(&root) {
        let message = format!("`{number}` begins with a zero, which may mean an octal number");
        let help = if number.starts_with('-') {
            format!("write -{digits}, or \"{number}\" for a text")
        } else {
            format!("write {digits}, 0o{digits} for an octal number, or \"{number}\" for a text")
        };
        let mistake = Mistake::new("bad-yaml", &file, &text, span, message).help(help);
        return Err(Wrong::of(mistake));
    }
    Ok(root.to_value())
}

/// Returns the items of a list of scalars in YAML as they are written there, without quotes.
pub(super) fn items_as_written(text: &str) -> Option<Vec<String>> {
    let (file, text) = (Arc::from(""), Arc::from(text));
    let root = read(&file, &text, &text).ok()??;
    let Kind::List(items) = root.kind else {
        return None;
    };
    let texts = items.into_iter().map(|item| match item.kind {
        Kind::Scalar { text, .. } => Some(text),
        Kind::List(_) | Kind::Map(_) => None,
    });
    texts.collect()
}

/// Returns the first number with a leading zero that is not a key: its place, its text, and its digits behind the zeros.
fn zero_first_in(node: &Node) -> Option<(Range<usize>, &str, &str)> {
    match &node.kind {
        Kind::Scalar {
            value: Value::Int(_),
            text,
            style: Style::Plain,
        } => Some((node.span.clone(), text.as_str(), zero_first(text)?)),
        Kind::Scalar { .. } => None,
        Kind::List(items) => items.iter().find_map(zero_first_in),
        Kind::Map(entries) => entries.iter().find_map(|(_, node)| zero_first_in(node)),
    }
}

/// Returns the digits of a number behind its leading zeros, if it has such: YAML 1.2 reads `017` as 17, but YAML 1.1 and C as 15.
pub(super) fn zero_first(text: &str) -> Option<&str> {
    let text = text.trim();
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let is_octal = digits.len() > 1 && digits.bytes().all(|digit| digit.is_ascii_digit());
    let rest = digits.strip_prefix('0').filter(|_| is_octal)?;
    let rest = rest.trim_start_matches('0');
    Some(if rest.is_empty() { "0" } else { rest })
}

fn read_value(text: &str) -> Result<Value, Mistake> {
    let (file, text) = (Arc::from(""), Arc::from(text));
    let root = read(&file, &text, &text)?;
    Ok(root.map_or(Value::Null, |root| root.to_value()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use windlass_world::value::Bytes;

    fn value(text: &str) -> Value {
        parse_value(text).unwrap_or_else(|e| panic!("{text:?}: {e}"))
    }

    #[track_caller]
    fn refused(text: &str, expected: &str) {
        match parse_value(text) {
            Err(why) => assert!(why.contains(expected), "{text:?}: {why}"),
            Ok(value) => panic!("{text:?} is {value}"),
        }
    }

    #[test]
    fn a8_what_would_change_is_refused_with_its_place() {
        refused(
            "a:\n  b: 9223372036854775808",
            "line 2, column 6: the integer 9223372036854775808",
        );
        refused("[-9223372036854775809]", "does not fit into 64 bits");
        refused("0xFFFFFFFFFFFFFFFFFF", "does not fit into 64 bits");
        refused("+99999999999999999999", "does not fit into 64 bits");
        assert_eq!(value("9223372036854775807"), Value::Int(i64::MAX));
        assert_eq!(value("'9223372036854775808'"), "9223372036854775808".into());
        assert_eq!(value("1e300"), Value::Float(1e300));
        refused("1e400", "can't be represented as a number");
        refused("[.nan]", "can't be represented as a number");
        refused("a: !vault x", "line 1, column 4: the tag `!vault`");
        refused("a: !vault \"x\"", "the tag `!vault`");
        refused("a: !Ref [x]", "the tag `!Ref`");
        refused("a: !!binary a-b", "does not fit its tag");
        assert_eq!(
            value("!!binary |\n  aG\n  k=\n"),
            Value::Bytes(Bytes::new(b"hi".to_vec()))
        );
        refused("a: !!set { x }", "the tag `!!set`");
        refused(
            "a: 1\n---\nb: 2\n",
            "line 3, column 1: the file holds more than one",
        );
        assert_eq!(
            value("[!!str 12, ! 12, !!int \"12\"]"),
            Value::List(vec!["12".into(), "12".into(), Value::Int(12)])
        );
        assert_eq!(
            value("--- {a: !!seq [1]}\n...\n"),
            Value::map([("a", Value::List(vec![Value::Int(1)]))])
        );
    }

    #[test]
    fn e7_a_tab_may_separate() {
        let one = Value::map([("a", Value::Int(1)), ("b", "x\ty".into())]);
        for text in [
            "a:\t1\nb:\tx\ty\n",
            "a: \t 1\nb:\t\"x\ty\"\n",
            "{\ta:\t1,\tb:\t'x\ty'\t}",
            "a:\t1\t# one\nb:\t|-\n  x\ty\n",
        ] {
            assert_eq!(value(text), one, "{text:?}");
        }
        assert_eq!(
            value("-\t1\n-\t2\n"),
            Value::List(vec![Value::Int(1), Value::Int(2)])
        );
        refused("a:\n\tb: 1\n", "tab");
    }

    #[test]
    fn f_merge_keys_take_over_what_is_not_said() {
        let text = "base: &base { x: 1, y: 2 }\nmore: &more { y: 3, z: 4 }\none: { <<: *base, y: 5 }\nboth:\n  <<: [*base, *more]\nplain: { '<<': 1 }\n";
        let read = value(text);
        assert_eq!(
            read.field("one").map(ToString::to_string).as_deref(),
            Some(r#"{"x":1,"y":5}"#)
        );
        assert_eq!(
            read.field("both").map(ToString::to_string).as_deref(),
            Some(r#"{"x":1,"y":2,"z":4}"#)
        );
        assert_eq!(
            read.field("plain").map(ToString::to_string).as_deref(),
            Some(r#"{"<<":1}"#)
        );
        refused("a: { <<: 1 }", "must refer to a map");
    }

    #[test]
    fn g3_depth_and_size_have_limits() {
        let deep = "- ".repeat(36_000);
        refused(&deep, "too deeply or too large");
        // The parser has its own limit for such nesting.
        assert!(parse_value(&"[".repeat(36_000)).is_err());
        assert!(parse_value(&"{a: ".repeat(36_000)).is_err());
        let mut laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for n in 1..12 {
            let before = format!("*a{}, ", n - 1).repeat(10);
            laughs.push_str(&format!("a{n}: &a{n} [{before}]\n"));
        }
        refused(&laughs, "too deeply or too large");
        let texts = format!(
            "a: &a {}\nb: [{}]\n",
            "x".repeat(100_000),
            "*a, ".repeat(1000)
        );
        refused(&texts, "too deeply or too large");
        let mut chain = "a0: &a0 [x]\n".to_owned();
        for n in 1..200 {
            chain.push_str(&format!("a{n}: &a{n} [*a{}]\n", n - 1));
        }
        refused(&chain, "too deeply or too large");
    }
}
