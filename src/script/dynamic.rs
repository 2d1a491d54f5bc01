//! Converts values to and from Rhai.

use rhai::{Array, Dynamic, Map};

use super::answer::Answer;
use windlass_world::value::{Bytes, MASK, Reference, Secret, Value};

pub(super) fn to_dynamic(value: &Value) -> Dynamic {
    match value {
        Value::Null => Dynamic::UNIT,
        Value::Bool(b) => (*b).into(),
        Value::Int(i) => (*i).into(),
        Value::Float(x) => (*x).into(),
        Value::String(text) => text.clone().into(),
        Value::List(items) => items.iter().map(to_dynamic).collect::<Array>().into(),
        Value::Map(map) => map
            .iter()
            .map(|(key, value)| (key.as_str().into(), to_dynamic(value)))
            .collect::<Map>()
            .into(),
        Value::Secret(secret) => Dynamic::from(secret.clone()),
        Value::Reference(reference) => Dynamic::from(reference.clone()),
        Value::Bytes(bytes) => Dynamic::from(bytes.clone()),
    }
}

/// The reason why a Rhai value can't leave its script.
#[derive(Debug, thiserror::Error, PartialEq)]
pub(super) enum Unfit {
    #[error("{}a {kind} can't leave a script", at(path))]
    Kind { path: String, kind: String },
    #[error(
        "{}the value is nested more than {} levels deep",
        at(path),
        Value::MAX_DEPTH
    )]
    TooDeep { path: String },
}

fn at(path: &str) -> String {
    match path {
        "" => String::new(),
        path => format!("at {}: ", path.trim_start_matches('.')),
    }
}

pub(super) fn from_dynamic(value: &Dynamic) -> Result<Value, Unfit> {
    convert(value, &mut String::new(), 0)
}

/// Formats a value for people, with its secrets masked.
pub(super) fn masked(value: &Dynamic) -> String {
    match from_dynamic(value) {
        Ok(Value::Secret(_)) => MASK.to_owned(),
        Ok(value) => value.to_text(),
        Err(e) => e.to_string(),
    }
}

fn convert(value: &Dynamic, path: &mut String, depth: usize) -> Result<Value, Unfit> {
    if depth > Value::MAX_DEPTH {
        path.truncate(40);
        return Err(Unfit::TooDeep { path: path.clone() });
    }
    if value.is_unit() {
        return Ok(Value::Null);
    }
    if let Ok(b) = value.as_bool() {
        return Ok(Value::Bool(b));
    }
    if let Ok(i) = value.as_int() {
        return Ok(Value::Int(i));
    }
    if let Ok(x) = value.as_float() {
        return Ok(Value::Float(x));
    }
    if let Ok(c) = value.as_char() {
        return Ok(Value::String(c.into()));
    }
    if let Ok(text) = value.as_immutable_string_ref() {
        return Ok(Value::String(text.to_string()));
    }
    if let Some(secret) = value.read_lock::<Secret>() {
        return Ok(Value::Secret(secret.clone()));
    }
    if let Some(reference) = value.read_lock::<Reference>() {
        return Ok(Value::Reference(reference.clone()));
    }
    if let Some(bytes) = value.read_lock::<Bytes>() {
        return Ok(Value::Bytes(bytes.clone()));
    }
    if let Some(answer) = value.read_lock::<Answer>() {
        return Ok(answer.to_value());
    }
    if let Ok(items) = value.as_array_ref() {
        let items = items.iter().enumerate().map(|(i, item)| {
            within(path, &format!("[{i}]"), |path| {
                convert(item, path, depth + 1)
            })
        });
        return items.collect::<Result<_, _>>().map(Value::List);
    }
    if let Ok(map) = value.as_map_ref() {
        let entries = map.iter().map(|(key, item)| {
            let value = within(path, &format!(".{key}"), |path| {
                convert(item, path, depth + 1)
            })?;
            Ok((key.to_string(), value))
        });
        return entries.collect::<Result<_, _>>().map(Value::Map);
    }
    Err(Unfit::Kind {
        path: path.clone(),
        kind: match value.type_name() {
            "Fn" => "function pointer".into(),
            name => name.rsplit("::").next().unwrap_or(name).to_lowercase(),
        },
    })
}

fn within<T>(path: &mut String, part: &str, f: impl FnOnce(&mut String) -> T) -> T {
    let length = path.len();
    path.push_str(part);
    let result = f(path);
    path.truncate(length);
    result
}
