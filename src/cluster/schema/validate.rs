//! Validation of custom objects by their definition's structural schema.

use serde_json::Value as Json;

use super::{Path, Schema};
use crate::wire::Cause;

/// Returns what is wrong with a custom object, in the words of the API server.
pub(crate) fn check_custom(schema: Schema, object: &Json) -> Vec<Cause> {
    let mut causes = Vec::new();
    check(schema, object, &Path::Root, &mut causes);
    causes
}

fn check(schema: Schema, value: &Json, path: &Path, causes: &mut Vec<Cause>) {
    if value.is_null() && schema.keyword("nullable") == true {
        return;
    }
    if !has_type(schema, value) {
        let wanted = schema.type_name().unwrap_or("integer,string");
        let is = kind_of(value);
        let why = format!("{path} in body must be of type {wanted}: {is:?}");
        causes.push(Cause::type_invalid(path.to_string(), &is.into(), &why));
        return;
    }
    if let Json::Array(allowed) = schema.keyword("enum")
        && !allowed.contains(value)
    {
        let allowed: Vec<_> = allowed
            .iter()
            .map(|one| one.as_str().unwrap_or_default())
            .collect();
        causes.push(Cause::unsupported(path.to_string(), value, &allowed));
    }
    limits(schema, value, path, causes);
    match value {
        Json::Object(map) => {
            if let Json::Array(required) = schema.keyword("required") {
                for name in required.iter().filter_map(Json::as_str) {
                    if !map.contains_key(name) {
                        causes.push(Cause::required(path.field(name).to_string(), ""));
                    }
                }
            }
            for (name, value) in map {
                // Metadata is validated elsewhere.
                if matches!((path, name.as_str()), (Path::Root, "metadata")) {
                    continue;
                }
                if let Some(field) = schema.field(name) {
                    check(field, value, &path.field(name), causes);
                }
            }
        }
        Json::Array(list) => {
            for (i, item) in list.iter().enumerate() {
                check(schema.item(), item, &path.item(i), causes);
            }
        }
        _ => {}
    }
}

fn has_type(schema: Schema, value: &Json) -> bool {
    if schema.is_int_or_string() {
        return value.is_string() || value.is_i64() || value.is_u64();
    }
    match schema.type_name() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("number") => value.is_number(),
        Some("integer") => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        _ => true,
    }
}

fn kind_of(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "boolean",
        Json::Number(number) if number.is_f64() => "number",
        Json::Number(_) => "integer",
        Json::String(_) => "string",
        Json::Array(_) => "array",
        Json::Object(_) => "object",
    }
}

fn limits(schema: Schema, value: &Json, path: &Path, causes: &mut Vec<Cause>) {
    let limit = |name: &str| schema.keyword(name).as_f64();
    let mut refuse = |why: String| {
        let why = format!("{path} in body {why}");
        causes.push(Cause::invalid(path.to_string(), value, &why));
    };
    match value {
        Json::Number(number) => {
            let number = number.as_f64().unwrap_or_default();
            if let Some(least) = limit("minimum").filter(|least| number < *least) {
                refuse(format!("should be greater than or equal to {least}"));
            }
            if let Some(most) = limit("maximum").filter(|most| number > *most) {
                refuse(format!("should be less than or equal to {most}"));
            }
        }
        Json::String(text) => {
            let length = text.chars().count() as f64;
            if let Some(least) = limit("minLength").filter(|least| length < *least) {
                refuse(format!("should be at least {least} chars long"));
            }
            if let Some(most) = limit("maxLength").filter(|most| length > *most) {
                refuse(format!("should be at most {most} chars long"));
            }
            if let Some(pattern) = schema.keyword("pattern").as_str()
                && regex_lite::Regex::new(pattern).is_ok_and(|regex| !regex.is_match(text))
            {
                refuse(format!("should match '{pattern}'"));
            }
        }
        Json::Array(list) => {
            let length = list.len() as f64;
            if let Some(least) = limit("minItems").filter(|least| length < *least) {
                refuse(format!("should have at least {least} items"));
            }
            if let Some(most) = limit("maxItems").filter(|most| length > *most) {
                refuse(format!("should have at most {most} items"));
            }
        }
        _ => {}
    }
}
