use std::{collections::BTreeMap, fmt};

use serde::{Serialize, Serializer, ser::SerializeMap};

use super::{Bytes, Digest, Reference, Secret};

/// A value that is passed between steps: a param, an input, an output, an effect's result.
///
/// Maps are ordered by key, so the same value always has the same text and digest.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    #[default]
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    String(String),
    Bytes(Bytes),
    List(Vec<Value>),
    Map(BTreeMap<String, Value>),
    Secret(Secret),
    /// A secret in a store, which is read when an attempt needs it.
    Reference(Reference),
}

/// A value nested deeper than [`Value::MAX_DEPTH`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the value is nested more than {} levels deep", Value::MAX_DEPTH)]
pub struct TooDeep;

/// A secret that was to be written in plain text, but has not been read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the secret {} was not read yet", .0.as_str())]
pub struct OnlyNamed(pub Reference);

/// Returns the message, for functions whose errors are texts.
impl From<OnlyNamed> for String {
    fn from(error: OnlyNamed) -> Self {
        error.to_string()
    }
}

impl Value {
    /// Deeper values are rejected when they enter (a script's result, a params file): everything that walks a value recurses, and 64
    /// levels are far from the limit of any thread's stack.
    pub const MAX_DEPTH: usize = 64;

    pub fn map<K: Into<String>>(entries: impl IntoIterator<Item = (K, Value)>) -> Self {
        Self::Map(entries.into_iter().map(|(k, v)| (k.into(), v)).collect())
    }

    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    pub fn as_map(&self) -> Option<&BTreeMap<String, Value>> {
        match self {
            Self::Map(map) => Some(map),
            _ => None,
        }
    }

    /// Returns the entry of a map, or `None` for a missing key or another kind of value.
    pub fn field(&self, key: &str) -> Option<&Value> {
        self.as_map()?.get(key)
    }

    /// Returns the kind of this value, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float",
            Self::String(_) => "string",
            Self::Bytes(_) => "bytes",
            Self::List(_) => "list",
            Self::Map(_) => "map",
            Self::Secret(_) | Self::Reference(_) => "secret",
        }
    }

    /// Returns the kind with its article.
    pub fn a_kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "a bool",
            Self::Int(_) => "an int",
            Self::Float(_) => "a float",
            Self::String(_) => "a string",
            Self::Bytes(_) => "bytes",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
            Self::Secret(_) | Self::Reference(_) => "a secret",
        }
    }

    /// Says whether it contains a secret.
    pub fn holds_secret(&self) -> bool {
        match self {
            Self::Secret(_) => true,
            Self::List(items) => items.iter().any(Self::holds_secret),
            Self::Map(map) => map.values().any(Self::holds_secret),
            _ => false,
        }
    }

    /// Says whether it contains a reference to a secret.
    pub fn holds_reference(&self) -> bool {
        match self {
            Self::Reference(_) => true,
            Self::List(items) => items.iter().any(Self::holds_reference),
            Self::Map(map) => map.values().any(Self::holds_reference),
            _ => false,
        }
    }

    /// Returns every secret in it.
    pub fn secrets(&self) -> Vec<Secret> {
        match self {
            Self::Secret(secret) => vec![secret.clone()],
            Self::List(items) => items.iter().flat_map(Self::secrets).collect(),
            Self::Map(map) => map.values().flat_map(Self::secrets).collect(),
            _ => Vec::new(),
        }
    }

    /// Returns the same value with every text, number, bool and all bytes as secrets.
    pub fn tainted(self) -> Self {
        match self {
            Self::String(text) => Self::Secret(Secret::new(text)),
            Self::Bytes(bytes) => Self::Secret(Secret::of_bytes(&bytes)),
            Self::Bool(_) | Self::Int(_) | Self::Float(_) => {
                Self::Secret(Secret::new(self.to_string()))
            }
            Self::List(items) => Self::List(items.into_iter().map(Self::tainted).collect()),
            Self::Map(map) => Self::Map(map.into_iter().map(|(k, v)| (k, v.tainted())).collect()),
            other => other,
        }
    }

    /// Returns the same value with the contents of its secrets, which are bytes if they are not text: only for building another
    /// secret from it.
    pub fn revealed(&self) -> Self {
        match self {
            Self::Secret(secret) => match secret.text() {
                Ok(text) => Self::String(text.to_owned()),
                Err(_) => Self::Bytes(Bytes::new(secret.reveal_bytes())),
            },
            Self::List(items) => Self::List(items.iter().map(Self::revealed).collect()),
            Self::Map(map) => {
                Self::Map(map.iter().map(|(k, v)| (k.clone(), v.revealed())).collect())
            }
            other => other.clone(),
        }
    }

    /// Returns JSON with every secret masked, and bytes as base64.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// Returns JSON with every secret in plain text: only for sending it where a script says.
    ///
    /// # Errors
    /// A reference to a secret: its text is not known here, and the reference would be taken for the secret.
    pub fn reveal_json(&self) -> Result<serde_json::Value, OnlyNamed> {
        Ok(match self {
            Self::Reference(reference) => return Err(OnlyNamed(reference.clone())),
            Self::Secret(secret) => secret.reveal().into(),
            Self::List(items) => {
                let items: Result<Vec<_>, _> = items.iter().map(Self::reveal_json).collect();
                items?.into()
            }
            Self::Map(map) => {
                let entries = map.iter();
                let entries = entries.map(|(key, item)| Ok((key.clone(), item.reveal_json()?)));
                serde_json::Value::Object(entries.collect::<Result<_, _>>()?)
            }
            other => other.to_json(),
        })
    }

    /// Digests the value in its printed form: secrets count by their mask, so that a digest in the journal can't be used to guess a
    /// weak secret.
    pub fn digest(&self) -> Digest {
        Digest::of(&[self.distinct().to_string().as_bytes()])
    }

    /// Like [`Value::to_json`], but bytes differ from the text of their base64.
    fn distinct(&self) -> serde_json::Value {
        match self {
            Self::Bytes(bytes) => serde_json::json!({ "$bytes": bytes.to_base64() }),
            // As in the digests of earlier versions.
            Self::Float(x) if !x.is_finite() => serde_json::Value::Null,
            Self::List(items) => items.iter().map(Self::distinct).collect(),
            Self::Map(map) => map
                .iter()
                .map(|(key, item)| (key.clone(), item.distinct()))
                .collect::<serde_json::Map<_, _>>()
                .into(),
            other => other.to_json(),
        }
    }

    /// Returns the text of this value inside a longer text.
    pub fn to_text(&self) -> String {
        match self {
            Self::String(text) => text.clone(),
            other => other.to_string(),
        }
    }
}

/// Prints strings and the base64 of bytes without quotes, everything else as JSON, with secrets masked.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::String(text) => f.write_str(text),
            Self::Bytes(bytes) => f.write_str(&bytes.to_base64()),
            Self::Reference(reference) => write!(f, "{reference}"),
            other => write!(f, "{}", other.to_json()),
        }
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(b) => serializer.serialize_bool(*b),
            Self::Int(i) => serializer.serialize_i64(*i),
            // JSON has no such number, and would have null for it.
            Self::Float(x) if !x.is_finite() => serializer.collect_str(x),
            Self::Float(x) => serializer.serialize_f64(*x),
            Self::String(text) => serializer.serialize_str(text),
            Self::Reference(reference) => serializer.collect_str(reference),
            Self::Bytes(bytes) => serializer.serialize_str(&bytes.to_base64()),
            Self::List(items) => serializer.collect_seq(items),
            Self::Map(map) => {
                let mut out = serializer.serialize_map(Some(map.len()))?;
                for (key, value) in map {
                    out.serialize_entry(key, value)?;
                }
                out.end()
            }
            Self::Secret(secret) => serializer.collect_str(secret),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<Bytes> for Value {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<i64> for Value {
    fn from(int: i64) -> Self {
        Self::Int(int)
    }
}

impl From<bool> for Value {
    fn from(b: bool) -> Self {
        Self::Bool(b)
    }
}

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(items: Vec<T>) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}
