use std::{fmt, str::FromStr};

use windlass_ground::closest;

use super::{Given, NoReference, Reference, Secret, Value, parse_duration};

/// The type that an author declares for a param, an input or an output.
///
/// Written `string`, `bytes`, `int`, `float`, `bool`, `duration`, `secret`, `any`, `list`, `list(T)`,
/// `map`, `map(T)`; a `?` after it also allows null (`string?`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    Any,
    Bool,
    Bytes,
    /// A string that is a duration, such as `365d`.
    Duration,
    Float,
    Int,
    List(Box<Type>),
    Map(Box<Type>),
    Optional(Box<Type>),
    Secret,
    String,
}

/// A text that is not the name of a type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a type (one of string, bytes, int, float, bool, duration, secret, any, list(…), map(…); `?` behind it makes it optional)"
)]
pub struct ParseTypeError {
    text: String,
}

/// A value that is not of the declared type; `path` is the place inside it, `""` for the value itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}expected {expected}, found {found}", at(path))]
pub struct TypeMismatch {
    pub path: String,
    pub expected: String,
    pub found: String,
}

fn at(path: &str) -> String {
    match path {
        "" => String::new(),
        path => format!("at {}: ", path.trim_start_matches('.')),
    }
}

impl Type {
    /// Says whether a value may be left out, or be null.
    pub fn is_optional(&self) -> bool {
        matches!(self, Self::Optional(_) | Self::Any)
    }

    /// Says whether values of this type are secrets, or contain them at any depth. Then what a person enters for one is not quoted, also if
    /// it has the wrong shape.
    pub fn holds_secret(&self) -> bool {
        match self {
            Self::Secret => true,
            Self::List(inner) | Self::Map(inner) | Self::Optional(inner) => inner.holds_secret(),
            Self::Any
            | Self::Bool
            | Self::Bytes
            | Self::Duration
            | Self::Float
            | Self::Int
            | Self::String => false,
        }
    }

    /// Turns texts into secrets where the type is a secret: files and command lines can only contain texts.
    pub fn taint(&self, value: Value) -> Value {
        match (self, value) {
            (Self::Secret, Value::String(text)) => Value::Secret(Secret::new(text)),
            (Self::Secret, Value::Bytes(bytes)) => Value::Secret(Secret::of_bytes(&bytes)),
            (Self::Optional(inner), value) => inner.taint(value),
            (Self::List(item), Value::List(items)) => {
                Value::List(items.into_iter().map(|value| item.taint(value)).collect())
            }
            (Self::Map(item), Value::Map(map)) => {
                Value::map(map.into_iter().map(|(key, value)| (key, item.taint(value))))
            }
            (_, value) => value,
        }
    }

    /// Turns ints into floats where the type is a float: JSON and YAML write `1` for both, and `1 / 2` is 0 for ints.
    pub fn widen(&self, value: Value) -> Value {
        match (self, value) {
            (Self::Float, Value::Int(number)) => Value::Float(number as f64),
            (Self::Optional(inner), value) => inner.widen(value),
            (Self::List(item), Value::List(items)) => {
                Value::List(items.into_iter().map(|value| item.widen(value)).collect())
            }
            (Self::Map(item), Value::Map(map)) => {
                Value::map(map.into_iter().map(|(key, value)| (key, item.widen(value))))
            }
            (_, value) => value,
        }
    }

    /// Reads references to secrets where the type is a secret. Only for values of the person who starts a run: a text from elsewhere could
    /// name a file of that person.
    ///
    /// # Errors
    /// A text that begins like a reference but is not valid.
    pub fn refer(&self, value: Value) -> Result<Value, NoReference> {
        Ok(match (self, value) {
            (Self::Secret, Value::String(text)) => match Reference::read(&text)? {
                Given::Reference(reference) => Value::Reference(reference),
                Given::Literal(text) => Value::Secret(Secret::new(text)),
            },
            (Self::Optional(inner), value) => inner.refer(value)?,
            (Self::List(item), Value::List(items)) => Value::List(
                items
                    .into_iter()
                    .map(|value| item.refer(value))
                    .collect::<Result<_, _>>()?,
            ),
            (Self::Map(item), Value::Map(map)) => Value::Map(
                map.into_iter()
                    .map(|(key, value)| Ok((key, item.refer(value)?)))
                    .collect::<Result<_, _>>()?,
            ),
            (_, value) => value,
        })
    }

    /// Checks a value and everything inside of it.
    ///
    /// # Errors
    /// The first part that does not match, with its place. Secret texts are never quoted.
    pub fn check(&self, value: &Value) -> Result<(), TypeMismatch> {
        self.check_at(value, String::new())
    }

    fn check_at(&self, value: &Value, path: String) -> Result<(), TypeMismatch> {
        let mismatch = |path: String| {
            Err(TypeMismatch {
                path,
                expected: self.to_string(),
                // A value in the place of a secret may itself be secret.
                found: if self.holds_secret() {
                    format!("a {}", value.kind())
                } else {
                    describe(value)
                },
            })
        };
        match (self, value) {
            (Self::Any, _)
            | (Self::Bool, Value::Bool(_))
            | (Self::Bytes, Value::Bytes(_))
            | (Self::Float, Value::Float(_) | Value::Int(_))
            | (Self::Int, Value::Int(_))
            | (Self::Secret, Value::Secret(_) | Value::Reference(_))
            | (Self::String, Value::String(_))
            | (Self::Optional(_), Value::Null) => Ok(()),
            (Self::Optional(inner), value) => inner.check_at(value, path),
            (Self::Duration, Value::String(text)) if parse_duration(text).is_ok() => Ok(()),
            (Self::List(item), Value::List(items)) => items
                .iter()
                .enumerate()
                .try_for_each(|(i, value)| item.check_at(value, format!("{path}[{i}]"))),
            (Self::Map(item), Value::Map(map)) => map
                .iter()
                .try_for_each(|(key, value)| item.check_at(value, format!("{path}.{key}"))),
            _ => mismatch(path),
        }
    }
}

fn describe(value: &Value) -> String {
    match value {
        Value::Null => "nothing".into(),
        Value::List(_) | Value::Map(_) => format!("a {}", value.kind()),
        Value::Secret(_) | Value::Reference(_) => "a secret".into(),
        Value::Bytes(bytes) => bytes.to_string(),
        Value::String(text) if text.chars().count() > 40 => {
            let head: String = text.chars().take(40).collect();
            format!("string {head:?}…")
        }
        Value::String(text) => format!("string {text:?}"),
        other => format!("{} {other}", other.kind()),
    }
}

/// The names of the types.
const NAMES: [&str; 10] = [
    "string", "bytes", "int", "float", "bool", "duration", "secret", "any", "list", "map",
];

/// The names that other languages have for a type.
const ELSEWHERE: [(&str, &[&str]); 9] = [
    (
        "string",
        &[
            "str",
            "text",
            "date",
            "datetime",
            "time",
            "timestamp",
            "url",
            "uuid",
        ],
    ),
    ("bytes", &["binary", "blob"]),
    (
        "int",
        &[
            "integer", "number", "long", "int32", "int64", "i32", "i64", "u32", "u64",
        ],
    ),
    (
        "float",
        &[
            "double", "decimal", "real", "float32", "float64", "f32", "f64",
        ],
    ),
    ("bool", &["boolean", "flag"]),
    ("secret", &["password", "sensitive", "securestring"]),
    ("any", &["json", "mixed", "unknown", "value"]),
    ("list", &["array", "vec", "seq", "sequence", "set", "tuple"]),
    (
        "map",
        &[
            "object",
            "dict",
            "dictionary",
            "hash",
            "record",
            "struct",
            "hashmap",
        ],
    ),
];

impl ParseTypeError {
    /// Returns the type that was probably meant: `list(int)` for `integer[]`.
    pub fn meant(&self) -> Option<String> {
        meant(&self.text, 0)
    }
}

fn meant(text: &str, depth: usize) -> Option<String> {
    let text = text.trim();
    if depth > Value::MAX_DEPTH {
        return None;
    }
    let of =
        |container: &str, inner: &str| Some(format!("{container}({})", meant(inner, depth + 1)?));
    if let Some(inner) = text.strip_suffix('?') {
        return Some(format!("{}?", meant(inner, depth + 1)?));
    }
    if let Some(inner) = text.strip_suffix("[]") {
        return of("list", inner);
    }
    if let Some(inner) = text.strip_prefix('[').and_then(|it| it.strip_suffix(']')) {
        return of("list", inner);
    }
    if let (Some(open), true) = (text.find(['(', '<', '[']), text.ends_with([')', '>', ']'])) {
        let (name, inner) = (
            meant(&text[..open], depth + 1)?,
            &text[open + 1..text.len() - 1],
        );
        // The keys of a map are strings.
        let item = inner.rsplit_once(',').map_or(inner, |(_, value)| value);
        return match name.as_str() {
            "list" => of("list", inner),
            "map" => of("map", item),
            _ => None,
        };
    }
    let lower = text.to_ascii_lowercase();
    let mut elsewhere = ELSEWHERE.iter();
    let name = match elsewhere.find(|(_, others)| others.contains(&&*lower)) {
        Some((name, _)) => name,
        None => NAMES
            .iter()
            .copied()
            .find(|name| **name == *lower)
            .or_else(|| closest(&lower, NAMES.into_iter()))?,
    };
    Some(name.to_owned())
}

impl FromStr for Type {
    type Err = ParseTypeError;

    fn from_str(text: &str) -> Result<Self, ParseTypeError> {
        parse(text.trim(), 0).ok_or_else(|| ParseTypeError { text: text.into() })
    }
}

fn parse(text: &str, depth: usize) -> Option<Type> {
    if depth > Value::MAX_DEPTH {
        return None;
    }
    if let Some(inner) = text.strip_suffix('?') {
        return Some(Type::Optional(Box::new(parse(inner.trim(), depth + 1)?)));
    }
    let inner_of = |name: &str| {
        let inner = text
            .strip_prefix(name)?
            .trim()
            .strip_prefix('(')?
            .strip_suffix(')')?;
        parse(inner.trim(), depth + 1).map(Box::new)
    };
    Some(match text {
        "any" => Type::Any,
        "bool" => Type::Bool,
        "bytes" => Type::Bytes,
        "duration" => Type::Duration,
        "float" => Type::Float,
        "int" => Type::Int,
        "list" => Type::List(Box::new(Type::Any)),
        "map" => Type::Map(Box::new(Type::Any)),
        "secret" => Type::Secret,
        "string" => Type::String,
        _ if text.starts_with("list") => Type::List(inner_of("list")?),
        _ if text.starts_with("map") => Type::Map(inner_of("map")?),
        _ => return None,
    })
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::Bool => f.write_str("bool"),
            Self::Bytes => f.write_str("bytes"),
            Self::Duration => f.write_str("duration"),
            Self::Float => f.write_str("float"),
            Self::Int => f.write_str("int"),
            Self::List(item) if **item == Self::Any => f.write_str("list"),
            Self::List(item) => write!(f, "list({item})"),
            Self::Map(item) if **item == Self::Any => f.write_str("map"),
            Self::Map(item) => write!(f, "map({item})"),
            Self::Optional(inner) => write!(f, "{inner}?"),
            Self::Secret => f.write_str("secret"),
            Self::String => f.write_str("string"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_read_back_as_they_print() {
        for text in [
            "string",
            "list(string)",
            "map(list(int))",
            "secret?",
            "list(map)",
        ] {
            assert_eq!(text.parse::<Type>().map(|t| t.to_string()), Ok(text.into()));
        }
        for (text, wanted) in [
            ("strnig", Some("string")),
            ("String", Some("string")),
            ("boolean?", Some("bool?")),
            ("number", Some("int")),
            ("integer[]", Some("list(int)")),
            ("array<object>", Some("list(map)")),
            ("map[string, integer]", Some("map(int)")),
            ("list<string>", Some("list(string)")),
            ("x", None),
            ("string(int)", None),
        ] {
            let meant = text.parse::<Type>().expect_err(text).meant();
            assert_eq!(meant.as_deref(), wanted, "{text}");
            if let Some(meant) = meant {
                meant.parse::<Type>().expect("a type");
            }
        }
        assert!("list(".parse::<Type>().is_err());
    }

    #[test]
    fn an_int_becomes_a_float_where_a_float_is_declared() {
        let widened = |ty: &str, value: Value| {
            let ty: Type = ty.parse().expect(ty);
            ty.widen(value)
        };
        let (int, float) = (Value::Int(1), Value::Float(1.0));
        assert_eq!(widened("float", int.clone()), float);
        assert_eq!(widened("float?", int.clone()), float);
        assert_eq!(widened("float?", Value::Null), Value::Null);
        let list = Value::List(vec![int.clone(), float.clone()]);
        let floats = Value::List(vec![float.clone(), float.clone()]);
        assert_eq!(widened("list(float)", list.clone()), floats);
        let map = |value: &Value| Value::map([("a", value.clone())]);
        assert_eq!(widened("map(list(float))", map(&list)), map(&floats));
        assert_eq!(widened("any", int.clone()), int);
        assert_eq!(widened("int", int.clone()), int);
    }

    #[test]
    fn a_mismatch_names_its_place() {
        let list: Type = "list(string)".parse().expect("a type");
        let error = list
            .check(&Value::List(vec!["a".into(), Value::Int(2)]))
            .expect_err("2 is no string");
        assert_eq!(error.to_string(), "at [1]: expected string, found int 2");
    }

    #[test]
    fn what_may_be_a_secret_is_not_quoted() {
        for text in [
            "secret",
            "secret?",
            "list(secret)",
            "map(secret)?",
            "map(list(secret?))",
            "list(map(secret))",
        ] {
            let ty: Type = text.parse().expect("a type");
            assert!(ty.holds_secret(), "{text}");
            for value in [
                Value::Int(471_147),
                Value::List(vec![Value::map([("k", Value::Int(471_147))])]),
                Value::map([("k", Value::List(vec![Value::Bool(true), 471_147.into()]))]),
            ] {
                let error = ty.check(&value).expect_err(text).to_string();
                assert!(!error.contains("471147"), "{text}: {error}");
            }
        }
        let list: Type = "list(secret)".parse().expect("a type");
        let error = list
            .check(&"leak-me".into())
            .expect_err("a text is not a list");
        assert_eq!(error.to_string(), "expected list(secret), found a string");
    }
}
