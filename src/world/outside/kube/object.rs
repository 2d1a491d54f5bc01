//! Converts objects: the contents of a Secret are secrets everywhere.

use std::collections::BTreeMap;

use data_encoding::BASE64;
use serde_json::{Map, Value as Json, json};

use crate::value::{Secret, Value};

/// kubectl's own copy of what was applied: for a Secret, it contains the secret itself.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Returns an object in the form of scripts and the journal.
///
/// The contents of a Secret become [`Secret`]s; `managedFields`, which only the API server needs, are left out.
pub fn from_object(object: &Json) -> Value {
    let is_secret = object["kind"] == "Secret" && object["apiVersion"] == "v1";
    let Json::Object(fields) = object else {
        return Value::from_json(object.clone());
    };
    let fields = fields.iter().map(|(key, field)| {
        let value = match key.as_str() {
            "data" | "stringData" if is_secret => tainted(field),
            "metadata" => metadata(field, is_secret),
            _ => Value::from_json(field.clone()),
        };
        (key.clone(), value)
    });
    Value::Map(fields.collect())
}

fn tainted(data: &Json) -> Value {
    let Json::Object(data) = data else {
        return Value::Null;
    };
    let entries = data.iter().map(|(key, text)| {
        let text = text.as_str().unwrap_or_default();
        (key.clone(), Value::Secret(Secret::new(text)))
    });
    Value::Map(entries.collect())
}

fn metadata(field: &Json, is_secret: bool) -> Value {
    let mut metadata = field.clone();
    if let Json::Object(map) = &mut metadata {
        map.remove("managedFields");
        if is_secret && let Some(Json::Object(annotations)) = map.get_mut("annotations") {
            annotations.remove(LAST_APPLIED);
        }
    }
    Value::from_json(metadata)
}

/// Returns an object in the form of the API, with secrets in plain text: only for sending it there.
pub fn to_object(value: &Value) -> Json {
    value
        .reveal_json()
        .expect("a script holds no secret that is only named: its inputs are read before it begins")
}

/// The manifest of a Secret.
pub fn secret_manifest(
    namespace: &str,
    name: &str,
    kind: &str,
    labels: &BTreeMap<String, String>,
    data: &BTreeMap<String, Secret>,
) -> Json {
    let data: Map<String, Json> = data
        .iter()
        .map(|(key, secret)| (key.clone(), BASE64.encode(secret.reveal_bytes()).into()))
        .collect();
    let mut manifest = json!({
        "apiVersion": "v1", "kind": "Secret", "type": kind,
        "metadata": { "namespace": namespace, "name": name },
        "data": data,
    });
    if !labels.is_empty() {
        manifest["metadata"]["labels"] = json!(labels);
    }
    manifest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_secret_holds_is_never_shown() {
        let object = json!({
            "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "metadata": {
                "name": "x", "managedFields": [{ "manager": "kubectl" }],
                "annotations": { LAST_APPLIED: "{\"data\":{\"key\":\"aGVsbG8=\"}}", "a": "b" },
            },
            "data": { "key": "aGVsbG8=" },
        });
        let value = from_object(&object);
        let shown = value.to_json().to_string();
        assert!(!shown.contains("aGVsbG8"), "{shown}");
        assert!(!shown.contains("managedFields"), "{shown}");
        assert!(shown.contains("\"a\":\"b\""), "{shown}");
        assert_eq!(to_object(&value)["data"]["key"], "aGVsbG8=");
    }
}
