//! Writes values as YAML text that readers of 1.1 and 1.2 read in the same way.
//!
//! A text is written without quotes only if it begins with a letter, `_` or `/` and contains nothing but letters, digits and a few marks:
//! so it can't be a number, date, time or other syntax in any version of YAML. Words that 1.1 reads as something else are quoted,
//! too.

use std::{collections::BTreeMap, fmt::Write};

use crate::value::Value;

/// What YAML 1.1 (<https://yaml.org/type/>) or 1.2 reads as a boolean or null, in any case.
const WORDS: [&str; 9] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
/// Readers look only this far for the `:` of a key (libyaml: 1,024 characters); longer keys, which are rare, are written
/// with `?`.
const LONGEST_KEY: usize = 120;

pub(super) fn document(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Map(map) if !map.is_empty() => entries(&mut out, map, 0, false),
        Value::List(list) if !list.is_empty() => items(&mut out, list, 0, false),
        other => {
            out.push_str(&scalar(other));
            out.push('\n');
        }
    }
    out
}

/// Writes the entries of a map; the first one on the current line, if one has begun.
fn entries(out: &mut String, map: &BTreeMap<String, Value>, indent: usize, mut has_begun: bool) {
    for (key, value) in map {
        if !std::mem::take(&mut has_begun) {
            pad(out, indent);
        }
        let key = text(key);
        if key.len() > LONGEST_KEY {
            out.push_str("? ");
            out.push_str(&key);
            out.push('\n');
            pad(out, indent);
        } else {
            out.push_str(&key);
        }
        out.push(':');
        inside(out, value, indent + 2, false);
    }
}

/// Writes the items of a list, like [`entries`].
fn items(out: &mut String, list: &[Value], indent: usize, mut has_begun: bool) {
    for value in list {
        if !std::mem::take(&mut has_begun) {
            pad(out, indent);
        }
        out.push('-');
        inside(out, value, indent + 2, true);
    }
}

/// Writes a value behind a key or dash: what has parts begins on this line, or on the next one, and all else is on this line.
fn inside(out: &mut String, value: &Value, indent: usize, begins_here: bool) {
    let gap = if begins_here { ' ' } else { '\n' };
    match value {
        Value::Map(map) if !map.is_empty() => {
            out.push(gap);
            entries(out, map, indent, begins_here);
        }
        Value::List(list) if !list.is_empty() => {
            out.push(gap);
            items(out, list, indent, begins_here);
        }
        other => {
            out.push(' ');
            out.push_str(&scalar(other));
            out.push('\n');
        }
    }
}

fn pad(out: &mut String, indent: usize) {
    out.extend(std::iter::repeat_n(' ', indent));
}

fn scalar(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(b) => b.to_string(),
        Value::Int(i) => i.to_string(),
        Value::Float(x) => float(*x),
        Value::Bytes(bytes) => format!("!!binary \"{}\"", bytes.to_base64()),
        Value::List(_) => "[]".into(),
        Value::Map(_) => "{}".into(),
        Value::String(_) | Value::Secret(_) | Value::Reference(_) => text(&value.to_text()),
    }
}

/// YAML 1.1 requires a dot in a float, and a sign in its exponent: it reads `1e20` as a text.
fn float(x: f64) -> String {
    match () {
        () if x.is_nan() => return ".nan".into(),
        () if x.is_infinite() => return if x > 0.0 { ".inf" } else { "-.inf" }.into(),
        () => {}
    }
    let shortest = format!("{x:?}");
    let Some((mantissa, exponent)) = shortest.split_once('e') else {
        return shortest;
    };
    let dot = if mantissa.contains('.') { "" } else { ".0" };
    let sign = if exponent.starts_with('-') { "" } else { "+" };
    format!("{mantissa}{dot}e{sign}{exponent}")
}

fn text(text: &str) -> String {
    if is_bare(text) {
        text.into()
    } else {
        quoted(text)
    }
}

fn is_bare(text: &str) -> bool {
    let is_word = WORDS.iter().any(|word| word.eq_ignore_ascii_case(text));
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == '/');
    let is_plain = |c: char| c.is_ascii_alphanumeric() || " _-./@+:,()".contains(c);
    !is_word
        && begins
        && text.chars().all(is_plain)
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
}

/// Returns a text in double quotes, with an escape for each character that is not printable or may be a line break.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        // Writing to a String can't fail.
        let _ = match c {
            '"' => out.write_str("\\\""),
            '\\' => out.write_str("\\\\"),
            '\n' => out.write_str("\\n"),
            '\r' => out.write_str("\\r"),
            '\t' => out.write_str("\\t"),
            '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => {
                write!(out, "\\u{:04X}", u32::from(c))
            }
            c if c.is_control() => write!(out, "\\x{:02X}", u32::from(c)),
            c => out.write_char(c),
        };
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::value::Bytes;

    /// Texts that are difficult for readers, alone and within others.
    const PIECES: &str = "y|n|yes|NO|On|off|true|null|~|=|<<|0o17|0x1F|1_000|22:22|1:30:15.5|2001-01-01|1e3|.5|.inf|- |? |: | #|!|&a|*a|%|@|`|'|\"|\\|\n|\r|\t| |---|...|[|]|{|}|,||é|😀";

    fn values() -> impl Strategy<Value = Value> {
        let pieces: Vec<&str> = PIECES.split('|').collect();
        let piece = prop_oneof![
            4 => prop::sample::select(pieces).prop_map(str::to_owned),
            1 => any::<char>().prop_map(String::from),
        ];
        let text = prop::collection::vec(piece, 0..4).prop_map(|parts| parts.concat());
        let leaf = prop_oneof![
            1 => Just(Value::Null),
            1 => any::<bool>().prop_map(Value::Bool),
            1 => any::<i64>().prop_map(Value::Int),
            1 => any::<f64>().prop_map(|x| Value::Float(if x.is_nan() { 0.5 } else { x })),
            6 => text.clone().prop_map(Value::String),
            1 => prop::collection::vec(any::<u8>(), 0..9).prop_map(|b| Value::Bytes(Bytes::new(b))),
        ];
        leaf.prop_recursive(4, 24, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
                prop::collection::btree_map(text.clone(), inner, 0..4).prop_map(Value::Map),
            ]
        })
    }

    proptest! {
        #[test]
        fn a8_what_is_written_is_read_back(value in values()) {
            let text = value.to_yaml();
            prop_assert_eq!(Value::parse_yaml(&text), Ok(value), "{}", text);
        }
    }

    #[test]
    fn yaml_looks_as_people_write_it() {
        let value = Value::map([
            ("name", "cacerts".into()),
            (
                "yes",
                Value::List(vec!["no".into(), "22:22".into(), Value::Float(1e20)]),
            ),
            (
                "list",
                Value::List(vec![Value::map([
                    ("a", Value::Int(1)),
                    ("b", Value::Int(2)),
                ])]),
            ),
        ]);
        assert_eq!(
            value.to_yaml(),
            "list:\n  - a: 1\n    b: 2\nname: cacerts\n\"yes\":\n  - \"no\"\n  - \"22:22\"\n  - 1.0e+20\n"
        );
    }
}
