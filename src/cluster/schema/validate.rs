//! Validation of custom objects by their definition's structural schema.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::{
    ListRule, Path, Schema,
    format::{fits, is_known},
};
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
    combinations(schema, value, path, causes);
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
            duplicates(schema, list, path, causes);
            for (i, item) in list.iter().enumerate() {
                check(schema.item(), item, &path.item(i), causes);
            }
        }
        _ => {}
    }
}

/// Checks `allOf`, `anyOf`, `oneOf` and `not`. What is wrong within them is not reported, since any of them may be meant.
fn combinations(schema: Schema, value: &Json, path: &Path, causes: &mut Vec<Cause>) {
    let matching = |keyword: &str| {
        let all = schema.combined(keyword);
        let fit = all.iter().filter(|one| {
            let mut wrong = Vec::new();
            check(**one, value, path, &mut wrong);
            wrong.is_empty()
        });
        (all.len(), fit.count())
    };
    let mut refuse = |why: String| {
        let why = format!("\"{path}\" must {why}");
        causes.push(Cause::invalid(path.to_string(), &"".into(), &why));
    };
    let (all, fit) = matching("allOf");
    if fit < all {
        refuse("validate all the schemas (allOf)".into());
    }
    let (all, fit) = matching("anyOf");
    if all > 0 && fit == 0 {
        refuse("validate at least one schema (anyOf)".into());
    }
    match matching("oneOf") {
        (0, _) | (_, 1) => {}
        (_, 0) => refuse("validate one and only one schema (oneOf). Found none valid".into()),
        (_, fit) => refuse(format!(
            "validate one and only one schema (oneOf). Found {fit} valid alternatives"
        )),
    }
    if matching("not").1 > 0 {
        refuse("not validate the schema (not)".into());
    }
}

/// Checks that no member of a set, and no key of a list with keys, is there twice.
fn duplicates(schema: Schema, list: &[Json], path: &Path, causes: &mut Vec<Cause>) {
    let rule = schema.list_rule();
    let key = |item: &Json| match rule {
        ListRule::Atomic => None,
        ListRule::Set => Some(item.clone()),
        ListRule::Map(keys) => {
            let keys = keys.iter().filter_map(Json::as_str);
            let of = |key: &str| {
                let default = || schema.item().field(key)?.default().cloned();
                Some((key.to_owned(), item.get(key).cloned().or_else(default)?))
            };
            Some(Json::Object(keys.filter_map(of).collect()))
        }
    };
    let mut known = BTreeSet::new();
    for (i, item) in list.iter().enumerate() {
        if let Some(key) = key(item)
            && !known.insert(key.to_string())
        {
            causes.push(Cause::duplicate(path.item(i).to_string(), &key));
        }
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
            let is_beyond = |name: &str| schema.keyword(name) == true;
            match limit("minimum") {
                Some(least) if is_beyond("exclusiveMinimum") && number <= least => {
                    refuse(format!("should be greater than {least}"));
                }
                Some(least) if number < least => {
                    refuse(format!("should be greater than or equal to {least}"));
                }
                _ => {}
            }
            match limit("maximum") {
                Some(most) if is_beyond("exclusiveMaximum") && number >= most => {
                    refuse(format!("should be less than {most}"));
                }
                Some(most) if number > most => {
                    refuse(format!("should be less than or equal to {most}"));
                }
                _ => {}
            }
            let of = limit("multipleOf").filter(|of| *of > 0.0);
            // A quotient such as 0.3 / 0.1 is a whole number but for its rounding.
            let is_whole = |quotient: f64| (quotient - quotient.round()).abs() < 1e-9;
            if let Some(of) = of.filter(|of| !is_whole(number / of)) {
                refuse(format!("should be a multiple of {of}"));
            }
            let format = schema.format().unwrap_or_default();
            if format == "int32" && i32::try_from(number as i64).is_err() {
                let why =
                    format!("Checked value must be of type integer with format int32 in {path}");
                causes.push(Cause::invalid(path.to_string(), value, &why));
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
            let format = schema.format().filter(|format| is_known(format));
            if let Some(format) = format.filter(|format| !fits(format, text)) {
                refuse(format!("must be of type {format}: {text:?}"));
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
        Json::Object(map) => {
            let length = map.len() as f64;
            if let Some(least) = limit("minProperties").filter(|least| length < *least) {
                refuse(format!("should have at least {least} properties"));
            }
            if let Some(most) = limit("maxProperties").filter(|most| length > *most) {
                refuse(format!("should have at most {most} properties"));
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Returns the messages about a field with this schema and value.
    fn wrong(field: Json, value: Json) -> Vec<String> {
        let schema = json!({ "type": "object", "properties": { "f": field } });
        let causes = check_custom(Schema::custom(&schema), &json!({ "f": value }));
        causes.iter().map(Cause::line).collect()
    }

    #[test]
    fn combined_schemas_count() {
        let one =
            json!({ "type": "object", "oneOf": [{ "required": ["a"] }, { "required": ["b"] }] });
        assert!(wrong(one.clone(), json!({ "a": 1 })).is_empty());
        let found =
            "f: Invalid value: \"\": \"f\" must validate one and only one schema (oneOf). Found";
        let both = wrong(one.clone(), json!({ "a": 1, "b": 1 }));
        assert_eq!(both, [format!("{found} 2 valid alternatives")]);
        assert_eq!(wrong(one, json!({})), [format!("{found} none valid")]);
        let any = json!({ "anyOf": [{ "minimum": 1 }, { "maximum": -1 }] });
        assert!(wrong(any.clone(), json!(2)).is_empty());
        assert!(wrong(any, json!(0))[0].contains("at least one schema (anyOf)"));
        let all = json!({ "allOf": [{ "minimum": 1 }, { "maximum": 3 }] });
        assert!(wrong(all.clone(), json!(2)).is_empty());
        assert!(wrong(all, json!(4))[0].contains("all the schemas (allOf)"));
        let not = json!({ "type": "string", "not": { "enum": ["bad"] } });
        assert!(wrong(not.clone(), json!("good")).is_empty());
        assert!(wrong(not, json!("bad"))[0].contains("not validate the schema (not)"));
        let either = json!({
            "x-kubernetes-int-or-string": true,
            "anyOf": [{ "type": "integer" }, { "type": "string" }],
        });
        assert!(wrong(either, json!("80")).is_empty());
    }

    #[test]
    fn numbers_and_sizes_have_limits() {
        let above = json!({ "type": "number", "minimum": 1, "exclusiveMinimum": true });
        assert!(wrong(above.clone(), json!(1.5)).is_empty());
        let why = "f: Invalid value: 1: f in body should be greater than 1";
        assert_eq!(wrong(above, json!(1)), [why]);
        let below = json!({ "type": "number", "maximum": 1, "exclusiveMaximum": true });
        assert!(wrong(below, json!(1))[0].contains("should be less than 1"));
        let fives = json!({ "type": "integer", "multipleOf": 5 });
        assert!(wrong(fives.clone(), json!(10)).is_empty());
        assert!(wrong(fives, json!(3))[0].contains("should be a multiple of 5"));
        assert!(wrong(json!({ "type": "number", "multipleOf": 0.1 }), json!(0.3)).is_empty());
        let small = json!({ "type": "integer", "format": "int32" });
        assert!(wrong(small.clone(), json!(i32::MIN)).is_empty());
        assert_eq!(wrong(small, json!(3_000_000_000_u32)).len(), 1);
        let some = json!({ "type": "object", "minProperties": 1, "maxProperties": 2,
            "additionalProperties": { "type": "integer" } });
        assert!(wrong(some.clone(), json!({ "a": 1 })).is_empty());
        assert!(wrong(some.clone(), json!({}))[0].contains("at least 1 properties"));
        let three = json!({ "a": 1, "b": 2, "c": 3 });
        assert!(wrong(some, three)[0].contains("at most 2 properties"));
    }

    #[test]
    fn sets_and_lists_with_keys_have_no_duplicates() {
        let set = json!({ "type": "array", "x-kubernetes-list-type": "set", "items": { "type": "string" } });
        assert!(wrong(set.clone(), json!(["a", "b"])).is_empty());
        assert_eq!(
            wrong(set, json!(["a", "b", "a"])),
            ["f[2]: Duplicate value: \"a\""]
        );
        let map = json!({
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["k", "l"],
            "items": { "type": "object", "properties": {
                "k": { "type": "string" },
                "l": { "type": "integer", "default": 1 },
            } },
        });
        assert!(wrong(map.clone(), json!([{ "k": "a" }, { "k": "a", "l": 2 }])).is_empty());
        assert_eq!(
            wrong(map, json!([{ "k": "a" }, { "k": "a", "l": 1 }])).len(),
            1
        );
    }

    #[test]
    fn texts_have_formats() {
        let of = |format: &str| json!({ "type": "string", "format": format });
        let why = "f: Invalid value: \"nope\": f in body must be of type date-time: \"nope\"";
        assert_eq!(wrong(of("date-time"), json!("nope")), [why]);
        assert!(wrong(of("my-own"), json!("nope")).is_empty());
    }
}
