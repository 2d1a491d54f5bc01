use saphyr::{LoadableYamlNode, Scalar, Yaml};
use serde_json::{Map, Value as Json};

use super::Call;
use crate::wire::{Failure, protobuf};
use windlass_ground::check_yaml;

/// Below the limit of `serde_json` (127 levels), since what is stored must be readable again.
const MAX_DEPTH: usize = 100;

/// Reads a body in JSON, YAML, or the protobuf that kubectl sends.
pub(super) fn read(call: &Call) -> Result<Json, Failure> {
    match call.incoming.media_type() {
        "application/json" | "" => json(&call.incoming.body),
        "application/yaml" => yaml(&call.incoming.body),
        "application/vnd.kubernetes.protobuf" => protobuf(&call.incoming.body).ok_or_else(|| {
            Failure::unsupported_media_type(&["application/json", "application/yaml"])
        }),
        _ => Err(Failure::unsupported_media_type(&[
            "application/json",
            "application/yaml",
            "application/vnd.kubernetes.protobuf",
        ])),
    }
}

/// Reads a JSON patch or a merge patch.
pub(super) fn json(body: &[u8]) -> Result<Json, Failure> {
    serde_json::from_slice(body).map_err(|error| {
        Failure::bad_request(format!(
            "couldn't get version/kind; json parse error: {error}"
        ))
    })
}

/// Reads a body in YAML or JSON (JSON is a subset of YAML).
pub(crate) fn yaml(body: &[u8]) -> Result<Json, Failure> {
    if let Ok(json) = serde_json::from_slice(body) {
        return Ok(json);
    }
    let text = std::str::from_utf8(body)
        .map_err(|_| Failure::bad_request("error decoding YAML: it is not UTF-8"))?;
    check_yaml(text, MAX_DEPTH)
        .map_err(|why| Failure::bad_request(format!("error decoding YAML: {why}")))?;
    let documents = Yaml::load_from_str(text)
        .map_err(|error| Failure::bad_request(format!("error decoding YAML: {error}")))?;
    match documents.as_slice() {
        [document] => converted(document),
        _ => Err(Failure::bad_request(
            "error decoding YAML: expected exactly one document",
        )),
    }
}

fn converted(yaml: &Yaml) -> Result<Json, Failure> {
    Ok(match yaml {
        Yaml::Value(Scalar::Null) => Json::Null,
        Yaml::Value(Scalar::Boolean(value)) => (*value).into(),
        Yaml::Value(Scalar::Integer(value)) => (*value).into(),
        Yaml::Value(Scalar::FloatingPoint(value)) => value.into_inner().into(),
        Yaml::Value(Scalar::String(value)) => value.as_ref().into(),
        Yaml::Sequence(list) => list.iter().map(converted).collect::<Result<_, _>>()?,
        Yaml::Mapping(map) => {
            let mut object = Map::new();
            for (key, value) in map {
                let key = match key {
                    Yaml::Value(Scalar::String(key)) => key.to_string(),
                    Yaml::Value(Scalar::Integer(key)) => key.to_string(),
                    Yaml::Value(Scalar::Boolean(key)) => key.to_string(),
                    _ => {
                        return Err(Failure::bad_request(
                            "error decoding YAML: a key is not a string",
                        ));
                    }
                };
                object.insert(key, converted(value)?);
            }
            Json::Object(object)
        }
        _ => return Err(Failure::bad_request("error decoding YAML: unknown value")),
    })
}
