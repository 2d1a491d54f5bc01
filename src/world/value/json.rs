//! Values as JSON text.
//!
//! An integer beyond 64 bits becomes the text of its digits, here as in YAML: a float would silently lose some of them (X.509
//! serials are such numbers).

use std::{borrow::Cow, collections::BTreeSet, fmt, ops::Range};

use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::Value as Json;

use super::Value;

impl Value {
    /// Parses JSON text.
    ///
    /// # Errors
    /// The mistake, with its line and column; also a number beyond a float's range.
    pub fn parse_json(text: &str) -> Result<Self, String> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        serde_json::from_str(&quote_large_integers(text))
            .map(Self::from_json)
            .map_err(|e| e.to_string())
    }

    /// Says whether a text is a JSON object or array.
    pub fn is_json(text: &str) -> bool {
        text.trim_start().starts_with(['{', '['])
            && serde_json::from_str::<IgnoredAny>(text).is_ok()
    }

    /// Parses JSON text that a person wrote: what [`Value::parse_json`] would change or drop is a mistake.
    ///
    /// # Errors
    /// The mistake, with its line and column; also a key that is defined twice, and an integer beyond 64 bits.
    pub fn parse_json_exact(text: &str) -> Result<Self, String> {
        if let Some(place) = (LargeIntegers { text, at: 0 }).next() {
            let before = &text[..place.start];
            let line = before.matches('\n').count() + 1;
            let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
            return Err(format!(
                "line {line}, column {column}: the integer {} does not fit into 64 bits",
                &text[place]
            ));
        }
        Self::refuse_key_twice(text)?;
        let value = Self::parse_json(text)?;
        let most = Self::MAX_DEPTH;
        if levels(&value) > most {
            return Err(format!(
                "line 1, column 1: it is nested more than {most} levels deep"
            ));
        }
        Ok(value)
    }

    /// Refuses JSON text in which an object has a key twice, of which readers take different ones.
    ///
    /// # Errors
    /// The first such key, or a syntax error, with its line and column.
    pub fn refuse_key_twice(text: &str) -> Result<(), String> {
        let read = serde_json::from_str::<NoKeyTwice>(text);
        read.map(|_| ()).map_err(|e| place_first(&e))
    }

    /// Returns the first integer in JSON text that does not fit 64 bits, of which a parser would lose digits.
    pub fn large_integer(text: &str) -> Option<&str> {
        let place = LargeIntegers { text, at: 0 }.next()?;
        Some(&text[place])
    }

    /// Converts parsed JSON.
    pub fn from_json(json: Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(b) => Self::Bool(b),
            Json::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(int), _) => Self::Int(int),
                (None, Some(float)) if !number.is_u64() => Self::Float(float),
                _ => Self::String(number.to_string()),
            },
            Json::String(text) => Self::String(text),
            Json::Array(items) => Self::List(items.into_iter().map(Self::from_json).collect()),
            Json::Object(map) => Self::Map(
                map.into_iter()
                    .map(|(k, v)| (k, Self::from_json(v)))
                    .collect(),
            ),
        }
    }

    /// Fails on values that `format` can't express: bytes, also those of a secret, and floats that are not numbers.
    ///
    /// # Errors
    /// The first such value, with its place.
    pub fn check_sayable(&self, format: &str) -> Result<(), String> {
        let at = |path: &str| match path {
            "" => String::new(),
            path => format!("at {}: ", path.trim_start_matches('.')),
        };
        match self.unsayable(String::new()) {
            None => Ok(()),
            Some((path, Self::Float(x))) => Err(format!("{}{format} has no number {x}", at(&path))),
            Some((path, _)) => Err(format!(
                "{}{format} has no bytes (`base64::encode` makes a text of them)",
                at(&path)
            )),
        }
    }

    fn unsayable(&self, path: String) -> Option<(String, &Self)> {
        match self {
            Self::Bytes(_) => Some((path, self)),
            Self::Secret(secret) if !secret.is_text() => Some((path, self)),
            Self::Float(x) if !x.is_finite() => Some((path, self)),
            Self::List(items) => items
                .iter()
                .enumerate()
                .find_map(|(i, item)| item.unsayable(format!("{path}[{i}]"))),
            Self::Map(map) => map
                .iter()
                .find_map(|(key, item)| item.unsayable(format!("{path}.{key}"))),
            _ => None,
        }
    }
}

/// Returns how many lists and maps are within each other. The parser limits them, so this does not overflow.
fn levels(value: &Value) -> usize {
    match value {
        Value::List(items) => 1 + items.iter().map(levels).max().unwrap_or(0),
        Value::Map(map) => 1 + map.values().map(levels).max().unwrap_or(0),
        _ => 0,
    }
}

/// Returns the text of an error with its place first, as errors of YAML have it.
fn place_first(error: &serde_json::Error) -> String {
    let (line, column) = (error.line(), error.column());
    let text = error.to_string();
    let end = format!(" at line {line} column {column}");
    let message = text.strip_suffix(&end).unwrap_or(&text);
    format!("line {line}, column {column}: {message}")
}

/// Any JSON in which no object has a key twice, of which a parser would keep the last one.
struct NoKeyTwice;

impl<'de> Deserialize<'de> for NoKeyTwice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for NoKeyTwice {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        while items.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self, A::Error> {
        let mut keys = BTreeSet::new();
        while let Some(key) = entries.next_key::<String>()? {
            if keys.contains(&key) {
                return Err(A::Error::custom(format!(
                    "the key `{key}` is defined twice"
                )));
            }
            keys.insert(key);
            entries.next_value::<Self>()?;
        }
        Ok(self)
    }
}

/// Puts quotes around integers that do not fit an `i64`; the parser would turn them into floats.
fn quote_large_integers(text: &str) -> Cow<'_, str> {
    let (mut quoted, mut copied) = (String::new(), 0);
    for place in (LargeIntegers { text, at: 0 }) {
        quoted.push_str(&text[copied..place.start]);
        quoted.push('"');
        quoted.push_str(&text[place.clone()]);
        quoted.push('"');
        copied = place.end;
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    quoted.push_str(&text[copied..]);
    Cow::Owned(quoted)
}

/// The places of the integers in JSON text that do not fit an `i64`.
struct LargeIntegers<'a> {
    text: &'a str,
    at: usize,
}

impl Iterator for LargeIntegers<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        let bytes = self.text.as_bytes();
        while self.at < bytes.len() {
            match bytes[self.at] {
                b'"' => self.at = end_of_string(bytes, self.at),
                b'-' | b'0'..=b'9' => {
                    let place = self.at..end_of_number(bytes, self.at);
                    self.at = place.end;
                    let number = &self.text[place.clone()];
                    if is_integer(number) && number.parse::<i64>().is_err() {
                        return Some(place);
                    }
                }
                _ => self.at += 1,
            }
        }
        None
    }
}

fn end_of_number(bytes: &[u8], start: usize) -> usize {
    let is_of_number = |b: &u8| matches!(b, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
    let rest = &bytes[start..];
    let length = rest.iter().position(|b| !is_of_number(b));
    start + length.unwrap_or(rest.len())
}

/// Returns the end of the string that begins here.
fn end_of_string(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// Says whether it is an integer in JSON's notation: no fraction, no leading zero.
fn is_integer(number: &str) -> bool {
    let digits = number.strip_prefix('-').unwrap_or(number);
    !digits.is_empty() && !digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_of_a_person_is_read_as_it_stands_or_not_at_all() {
        let text = "{\n\t\"a\": [\"\\ud83d\\ude00\", -1.5, null, true, 7]\n}";
        assert!(Value::is_json(text));
        let read = Value::parse_json_exact(text).expect("JSON");
        assert_eq!(read.to_string(), r#"{"a":["😀",-1.5,null,true,7]}"#);
        for (text, why) in [
            (
                "{\"a\": {\"b\": 1,\n\"b\": 2}}",
                "line 2, column 3: the key `b` is defined twice",
            ),
            (
                "[\n 1, 9223372036854775808]",
                "line 2, column 5: the integer 9223372036854775808 does not fit into 64 bits",
            ),
        ] {
            assert_eq!(
                Value::parse_json_exact(text).map(|v| v.to_string()),
                Err(why.into())
            );
        }
        let deep = format!("{}{}", "[".repeat(65), "]".repeat(65));
        assert!(Value::parse_json_exact(&deep).is_err());
        for text in ["[a, b]", "{a: 1}", "7", "\"x\"", "[1,]", ""] {
            assert!(!Value::is_json(text), "{text}");
        }
    }

    #[test]
    fn a8_integers_are_exact() {
        let read = |text: &str| Value::parse_json(text).expect(text).to_json().to_string();
        for (text, wanted) in [
            ("[9223372036854775807]", "[9223372036854775807]"),
            ("[9223372036854775808]", r#"["9223372036854775808"]"#),
            ("[-9223372036854775808]", "[-9223372036854775808]"),
            ("[-9223372036854775809]", r#"["-9223372036854775809"]"#),
            (
                r#"{"n": 123456789012345678901234567890, "s": "123456789012345678901234567890 \" 99999999999999999999"}"#,
                r#"{"n":"123456789012345678901234567890","s":"123456789012345678901234567890 \" 99999999999999999999"}"#,
            ),
            ("1e3", "1000.0"),
            ("12345678901234567890.5", "1.2345678901234567e+19"),
        ] {
            assert_eq!(read(text), wanted, "{text}");
        }
        for text in [
            "099999999999999999999",
            "1e999",
            "--99999999999999999999",
            "[1,]",
        ] {
            assert!(Value::parse_json(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a8_what_json_can_not_say_is_refused() {
        let bytes = Value::Bytes(crate::value::Bytes::new([0xff]));
        let value = Value::map([("a", Value::List(vec![Value::Int(1), bytes]))]);
        let error = value.check_sayable("JSON").expect_err("bytes");
        assert!(error.starts_with("at a[1]: JSON has no bytes"), "{error}");
        let secret = Value::Secret(crate::value::Secret::of_bytes(&[0xff]));
        let error = secret.check_sayable("JSON").expect_err("bytes");
        assert!(error.starts_with("JSON has no bytes"), "{error}");
        assert_eq!(
            Value::Float(f64::INFINITY).to_json(),
            serde_json::json!("inf")
        );
        let error = Value::Float(f64::NAN).check_sayable("JSON");
        assert_eq!(error, Err("JSON has no number NaN".into()));
    }
}
