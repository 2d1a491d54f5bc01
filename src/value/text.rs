//! Values as YAML and TOML text.

use std::borrow::Cow;

use saphyr::{LoadableYamlNode, Mapping, Scalar, Yaml, YamlEmitter};

use super::Value;

impl Value {
    /// Reads one YAML (or JSON) document; an empty one is null. `None` if it is none.
    pub fn from_yaml(text: &str) -> Option<Self> {
        Self::parse_yaml(text).ok()
    }

    /// Reads YAML as [`Value::from_yaml`] does.
    ///
    /// # Errors
    /// What is wrong, with its line and column.
    pub fn parse_yaml(text: &str) -> Result<Self, String> {
        crate::ground::check_yaml(text, Self::MAX_DEPTH)?;
        let documents = Yaml::load_from_str(text).map_err(|e| {
            let at = e.marker();
            format!("line {}, column {}: {}", at.line(), at.col() + 1, e.info())
        })?;
        match documents.as_slice() {
            [] => Ok(Self::Null),
            [first, ..] => from_yaml(first, 0)
                .ok_or_else(|| "it is nested too deeply, or has keys that are no texts".into()),
        }
    }

    /// Writes YAML in block style, with every secret masked.
    pub fn to_yaml(&self) -> String {
        let mut text = String::new();
        // It only fails where the writer does, and a string does not.
        let _ = YamlEmitter::new(&mut text).dump(&to_yaml(self));
        let text = text.strip_prefix("---").unwrap_or(&text).trim_start();
        format!("{text}\n")
    }

    /// Reads a TOML document; moments become texts.
    ///
    /// # Errors
    /// What is wrong, with its place.
    pub fn from_toml(text: &str) -> Result<Self, String> {
        let table: toml::Table = text.parse().map_err(|e: toml::de::Error| {
            // Its own text shows the whole line, however long that is.
            let before = e
                .span()
                .map_or("", |span| text.get(..span.start).unwrap_or(text));
            let line = before.matches('\n').count() + 1;
            let column = before
                .rsplit('\n')
                .next()
                .unwrap_or_default()
                .chars()
                .count()
                + 1;
            format!("line {line}, column {column}: {}", e.message())
        })?;
        Ok(from_toml(toml::Value::Table(table)))
    }

    /// Writes TOML, with every secret masked.
    ///
    /// # Errors
    /// What TOML can't say: null, and anything but a map at the top.
    pub fn to_toml(&self) -> Result<String, String> {
        toml::to_string(&self.to_json()).map_err(|e| e.to_string())
    }
}

fn from_toml(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => Value::String(text),
        toml::Value::Integer(i) => Value::Int(i),
        toml::Value::Float(x) => Value::Float(x),
        toml::Value::Boolean(b) => Value::Bool(b),
        toml::Value::Datetime(at) => Value::String(at.to_string()),
        toml::Value::Array(items) => Value::List(items.into_iter().map(from_toml).collect()),
        toml::Value::Table(table) => {
            Value::Map(table.into_iter().map(|(k, v)| (k, from_toml(v))).collect())
        }
    }
}

fn from_yaml(yaml: &Yaml, depth: usize) -> Option<Value> {
    if depth > Value::MAX_DEPTH {
        return None;
    }
    Some(match yaml {
        Yaml::Value(Scalar::Null) => Value::Null,
        Yaml::Value(Scalar::Boolean(b)) => Value::Bool(*b),
        Yaml::Value(Scalar::Integer(i)) => Value::Int(*i),
        Yaml::Value(Scalar::FloatingPoint(x)) => Value::Float(x.into_inner()),
        Yaml::Value(Scalar::String(text)) => Value::String(text.to_string()),
        Yaml::Sequence(items) => Value::List(
            items
                .iter()
                .map(|item| from_yaml(item, depth + 1))
                .collect::<Option<_>>()?,
        ),
        Yaml::Mapping(entries) => Value::Map(
            entries
                .iter()
                .map(|(key, item)| {
                    Some((
                        from_yaml(key, depth + 1)?.to_text(),
                        from_yaml(item, depth + 1)?,
                    ))
                })
                .collect::<Option<_>>()?,
        ),
        _ => return None,
    })
}

fn to_yaml(value: &Value) -> Yaml<'static> {
    let text = |text: String| Yaml::Value(Scalar::String(Cow::Owned(text)));
    match value {
        Value::Null => Yaml::Value(Scalar::Null),
        Value::Bool(b) => Yaml::Value(Scalar::Boolean(*b)),
        Value::Int(i) => Yaml::Value(Scalar::Integer(*i)),
        Value::Float(x) => Yaml::Value(Scalar::FloatingPoint((*x).into())),
        Value::List(items) => Yaml::Sequence(items.iter().map(to_yaml).collect()),
        Value::Map(map) => {
            let mut entries = Mapping::new();
            for (key, item) in map {
                entries.insert(text(key.clone()), to_yaml(item));
            }
            Yaml::Mapping(entries)
        }
        Value::String(_) | Value::Secret(_) => text(value.to_text()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yaml_comes_back() {
        let value = Value::map([
            (
                "a",
                Value::List(vec![Value::Int(1), Value::Null, Value::Bool(true)]),
            ),
            (
                "b",
                Value::map([("c d", "x: y\n# no remark".into()), ("e", "12".into())]),
            ),
            ("f", Value::Float(1.5)),
        ]);
        assert_eq!(Value::from_yaml(&value.to_yaml()), Some(value));
        assert_eq!(Value::from_yaml(""), Some(Value::Null));
        assert_eq!(Value::from_yaml("a: [1"), None);
    }
}
