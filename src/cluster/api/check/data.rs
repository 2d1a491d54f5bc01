//! Validation of Secrets and ConfigMaps.

use serde_json::Value as Json;

use super::name;
use crate::{
    object::{annotation, text},
    resource::Resource,
    wire::Cause,
};

/// The largest total size of the values of a Secret or ConfigMap, in bytes.
const LARGEST: usize = 1 << 20;

/// The keys that a Secret of each type must have.
const REQUIRED: [(&str, &[&str]); 5] = [
    ("kubernetes.io/tls", &["tls.crt", "tls.key"]),
    ("kubernetes.io/dockerconfigjson", &[".dockerconfigjson"]),
    ("kubernetes.io/dockercfg", &[".dockercfg"]),
    ("kubernetes.io/ssh-auth", &["ssh-privatekey"]),
    ("bootstrap.kubernetes.io/token", &[]),
];

/// Checks fields that must be base64. The error is that of Go's decoder.
pub(super) fn encodings(resource: &Resource, object: &Json) -> Result<(), String> {
    let field = match (resource.custom.is_some(), resource.kind.as_str()) {
        (false, "Secret") => "data",
        (false, "ConfigMap") => "binaryData",
        _ => return Ok(()),
    };
    for value in object[field]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(_, value)| value)
    {
        let text = value.as_str().unwrap_or_default();
        if let Err(error) = data_encoding::BASE64.decode(text.as_bytes()) {
            return Err(format!(
                "illegal base64 data at input byte {}",
                error.position
            ));
        }
    }
    Ok(())
}

pub(super) fn secret(object: &Json) -> Vec<Cause> {
    let mut causes = Vec::new();
    let mut size = 0;
    for (key, value) in object["data"].as_object().into_iter().flatten() {
        let place = format!("data[{key}]");
        if let Some(why) = name::data_key(key) {
            causes.push(Cause::invalid(place, &key.as_str().into(), &why));
        }
        size += value.as_str().unwrap_or_default().len() / 4 * 3;
    }
    if size > LARGEST {
        causes.push(Cause::too_long("data", LARGEST));
    }
    let own = text(object, "/type").unwrap_or_default();
    typed(object, own, &mut causes);
    let required = REQUIRED.iter().find(|(kind, _)| *kind == own);
    for key in required.into_iter().flat_map(|(_, keys)| *keys) {
        if object["data"].get(*key).is_none() {
            causes.push(Cause::required(format!("data[{key}]"), ""));
        }
    }
    causes
}

/// Checks what the type of a Secret demands in addition to its keys.
fn typed(object: &Json, kind: &str, causes: &mut Vec<Cause>) {
    let data = &object["data"];
    match kind {
        "kubernetes.io/dockerconfigjson" | "kubernetes.io/dockercfg" => {
            let key = match kind {
                "kubernetes.io/dockercfg" => ".dockercfg",
                _ => ".dockerconfigjson",
            };
            let text = data[key].as_str().unwrap_or_default();
            let bytes = data_encoding::BASE64.decode(text.as_bytes());
            let is_json = |bytes: Vec<u8>| serde_json::from_slice::<Json>(&bytes).is_ok();
            if data[key].is_string() && !bytes.is_ok_and(is_json) {
                let hidden = "<secret contents redacted>".into();
                causes.push(Cause::invalid(
                    format!("data[{key}]"),
                    &hidden,
                    "invalid JSON",
                ));
            }
        }
        "kubernetes.io/basic-auth" => {
            let keys = ["username", "password"];
            if keys.iter().all(|key| data.get(*key).is_none()) {
                causes.extend(keys.map(|key| Cause::required(format!("data[{key}]"), "")));
            }
        }
        "kubernetes.io/service-account-token" => {
            const ACCOUNT: &str = "kubernetes.io/service-account.name";
            if annotation(object, ACCOUNT).is_none_or(str::is_empty) {
                let place = format!("metadata.annotations[{ACCOUNT}]");
                causes.push(Cause::required(place, ""));
            }
        }
        _ => {}
    }
}

pub(super) fn secret_update(before: &Json, object: &Json) -> Vec<Cause> {
    let mut causes = frozen(before, object, &["data"]);
    if before["type"] != object["type"] {
        causes.push(Cause::invalid(
            "type",
            &object["type"],
            "field is immutable",
        ));
    }
    causes
}

pub(super) fn config_map(object: &Json) -> Vec<Cause> {
    let mut causes = Vec::new();
    let mut size = 0;
    for field in ["data", "binaryData"] {
        for (key, value) in object[field].as_object().into_iter().flatten() {
            if let Some(why) = name::data_key(key) {
                causes.push(Cause::invalid(
                    format!("{field}[{key}]"),
                    &key.as_str().into(),
                    &why,
                ));
            }
            if field == "binaryData" && object["data"].get(key).is_some() {
                causes.push(Cause::invalid(
                    format!("data[{key}]"),
                    &key.as_str().into(),
                    "duplicate of key present in binaryData",
                ));
            }
            size += value.as_str().unwrap_or_default().len();
        }
    }
    if size > LARGEST {
        causes.push(Cause::too_long("", LARGEST));
    }
    causes
}

pub(super) fn config_map_update(before: &Json, object: &Json) -> Vec<Cause> {
    frozen(before, object, &["data", "binaryData"])
}

/// Returns the changes that `immutable` forbids.
fn frozen(before: &Json, object: &Json, fields: &[&str]) -> Vec<Cause> {
    let mut causes = Vec::new();
    if before["immutable"] != true {
        return causes;
    }
    let why = "field is immutable when `immutable` is set";
    for field in fields.iter().chain(&["immutable"]) {
        if before[*field] != object[*field] {
            causes.push(Cause::forbidden(*field, why));
        }
    }
    causes
}
