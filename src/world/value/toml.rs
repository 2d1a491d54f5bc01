//! Values as TOML text.

use super::Value;

impl Value {
    /// Parses a TOML document; timestamps become texts.
    ///
    /// # Errors
    /// The mistake, with its place; also integers beyond 64 bits, which TOML does not have.
    pub fn from_toml(text: &str) -> Result<Self, String> {
        let table: toml::Table = text.parse().map_err(|e: toml::de::Error| {
            // The parser's message shows the whole line, however long it is.
            let start = e.span().map_or(0, |span| span.start);
            let before = text.get(..start).unwrap_or(text);
            let line = before.matches('\n').count() + 1;
            let last = before.rsplit('\n').next().unwrap_or_default();
            let column = last.chars().count() + 1;
            format!("line {line}, column {column}: {}", e.message())
        })?;
        Ok(from_toml(toml::Value::Table(table)))
    }

    /// Returns TOML, with every secret masked.
    ///
    /// # Errors
    /// A value that TOML can't express: null, bytes, and anything but a map at the top level.
    pub fn to_toml(&self) -> Result<String, String> {
        self.check_sayable("TOML")?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a8_toml_refuses_what_it_can_not_hold() {
        let error = Value::from_toml("a = 9223372036854775808").expect_err("too large");
        assert!(error.contains("line 1, column"), "{error}");
        let bytes = Value::map([("a", Value::Bytes(crate::value::Bytes::new([1])))]);
        assert!(bytes.to_toml().is_err());
    }
}
