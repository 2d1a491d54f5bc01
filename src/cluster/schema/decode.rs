use serde_json::{Map, Number, Value as Json};

use super::{Path, Schema};

/// What happens to a field that is not in the schema (`fieldValidation`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Strictness {
    Ignore,
    Warn,
    Strict,
}

/// An object without the fields that are not in its schema.
pub(crate) struct Decoded {
    pub object: Json,
    /// The unknown fields, written as in the API server's warnings and errors.
    pub unknown: Vec<String>,
    /// The first value with a wrong type, in the words of Go's JSON decoder.
    pub mismatch: Option<String>,
}

/// Reads an object with its schema. Values of a wrong type stay in custom objects, since validation reports them.
pub(crate) fn decode(schema: Schema, object: Json, kind: &str, custom: bool) -> Decoded {
    let mut reader = Reader {
        unknown: Vec::new(),
        mismatch: None,
        custom,
    };
    let object = reader.value(schema, object, &Path::Root, kind);
    Decoded {
        object: object.unwrap_or(Json::Null),
        unknown: reader.unknown,
        mismatch: reader.mismatch,
    }
}

struct Reader {
    unknown: Vec<String>,
    mismatch: Option<String>,
    custom: bool,
}

impl Reader {
    /// Returns `None` for a value that Go omits when it writes the object: null, an empty list or an empty map.
    fn value(&mut self, schema: Schema, value: Json, path: &Path, within: &str) -> Option<Json> {
        match value {
            Json::Null if self.custom => Some(Json::Null),
            Json::Null => None,
            Json::Object(map) => {
                if !self.fits(schema, "object", path, within) {
                    return Some(Json::Object(map));
                }
                let was_map = schema.is_map();
                let inner = match schema.struct_name() {
                    "" => within,
                    name => name,
                };
                let map = self.object(schema, map, path, inner);
                let dropped = was_map && map.is_empty() && !self.custom;
                (!dropped).then_some(Json::Object(map))
            }
            Json::Array(list) => {
                if !self.fits(schema, "array", path, within) {
                    return Some(Json::Array(list));
                }
                let keeps_nulls = self.custom || schema.keeps_unknown();
                let list: Vec<_> = list
                    .into_iter()
                    .enumerate()
                    .filter_map(|(i, item)| {
                        self.value(schema.item(), item, &path.item(i), within)
                            .or(keeps_nulls.then_some(Json::Null))
                    })
                    .collect();
                let dropped = list.is_empty() && !self.custom && !schema.keeps_unknown();
                (!dropped).then_some(Json::Array(list))
            }
            Json::Number(number) if schema.is_int_or_string() && within_quantity(schema) => {
                Some(Json::String(number.to_string()))
            }
            Json::Number(number) => {
                let is = match is_integer(schema, &number) {
                    Some(false) => format!("number {number}"),
                    Some(true) | None => "number".into(),
                };
                self.fits(schema, &is, path, within);
                Some(Json::Number(number))
            }
            Json::String(_) => {
                self.fits(schema, "string", path, within);
                Some(value)
            }
            Json::Bool(_) => {
                self.fits(schema, "bool", path, within);
                Some(value)
            }
        }
    }

    fn object(
        &mut self,
        schema: Schema,
        map: Map<String, Json>,
        path: &Path,
        within: &str,
    ) -> Map<String, Json> {
        let mut kept = Map::new();
        for (name, value) in map {
            let Some(field) = schema.field(&name) else {
                self.unknown.push(path.field(&name).to_string());
                continue;
            };
            // An object of any shape keeps all its fields, including nulls.
            if schema.keeps_unknown() && value.is_null() {
                kept.insert(name, value);
                continue;
            }
            if let Some(value) = self.value(field, value, &path.field(&name), within) {
                kept.insert(name, value);
            }
        }
        kept
    }

    fn fits(&mut self, schema: Schema, is: &str, path: &Path, within: &str) -> bool {
        let Some(wanted) = schema.type_name() else {
            return true;
        };
        // A schema with the type object and any shape accepts any JSON.
        if wanted == "object" && schema.keeps_unknown() {
            return true;
        }
        let fits = match wanted {
            "object" | "array" | "string" => is == wanted,
            "boolean" => is == "bool",
            _ => is == "number",
        };
        if !fits && !self.custom && self.mismatch.is_none() {
            let go = match (wanted, schema.format()) {
                ("string", Some("date-time")) => "v1.Time",
                ("string", Some("byte")) => "[]uint8",
                ("object", _) => within,
                ("integer" | "number", Some(format)) => format,
                ("boolean", _) => "bool",
                (other, _) => other,
            };
            self.mismatch = Some(format!(
                "json: cannot unmarshal {is} into Go struct field {within}.{path} of type {go}"
            ));
        }
        fits
    }
}

/// Returns whether a number is one of the integers that a field can hold; `None` if the field holds other numbers as well.
fn is_integer(schema: Schema, number: &Number) -> Option<bool> {
    let whole = number.as_i64();
    match (schema.type_name()?, schema.format()) {
        ("integer", Some("int32")) => Some(whole.is_some_and(|whole| i32::try_from(whole).is_ok())),
        ("integer", _) => Some(whole.is_some()),
        _ => None,
    }
}

/// Quantities are written as strings, even if they were numbers; ports and other fields of both types keep the type.
fn within_quantity(schema: Schema) -> bool {
    schema.struct_name() == "Quantity"
}
