//! Reads what clients send, with the schema of the resource.

use serde_json::Value as Json;

use super::{Call, check};
use crate::{
    object::{metadata, namespace, text},
    resource::Resource,
    schema::{Decoded, Strictness, decode},
    wire::Failure,
};

/// Compares an object's namespace with the namespace in the path, and sets it.
pub(super) fn set_namespace(call: &Call, object: &mut Json) -> Result<(), Failure> {
    let said = namespace(object);
    if !said.is_empty() && said != call.namespace() {
        return Err(Failure::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    if call.resource.namespaced {
        metadata(object).insert("namespace".into(), call.namespace().into());
    }
    Ok(())
}

/// Sets `kind` and `apiVersion` if an object that is created or replaced omits them: the API server's decoder of a built-in
/// kind assumes the kind that it expects.
pub(super) fn set_kind(resource: &Resource, object: &mut Json) {
    if resource.custom.is_some() {
        return;
    }
    let Some(fields) = object.as_object_mut() else {
        return;
    };
    let is_empty = |field: &Json| field.is_null() || field == "";
    for (key, value) in [
        ("apiVersion", resource.api_version()),
        ("kind", resource.kind.clone()),
    ] {
        if fields.get(key).is_none_or(is_empty) {
            fields.insert(key.into(), value.into());
        }
    }
}

/// Refuses a body that is not an object.
pub(super) fn check_object(body: &Json) -> Result<(), Failure> {
    if body.is_object() {
        Ok(())
    } else {
        Err(Failure::bad_request(
            "the object provided is unrecognized (must be of type object)",
        ))
    }
}

pub(super) fn check_kind(resource: &Resource, object: &Json) -> Result<(), Failure> {
    check_object(object)?;
    let (version, kind) = (
        text(object, "/apiVersion").unwrap_or_default(),
        text(object, "/kind").unwrap_or_default(),
    );
    if kind.is_empty() {
        return Err(Failure::bad_request(format!(
            "Object 'Kind' is missing in '{}'",
            shortened(object)
        )));
    }
    if version != resource.api_version() {
        return Err(Failure::bad_request(format!(
            "the API version in the data ({version}) does not match the expected API version ({})",
            resource.api_version()
        )));
    }
    if kind != resource.kind {
        return Err(Failure::bad_request(format!(
            "{kind} in version {:?} cannot be handled as a {}: unknown conversion",
            resource.version, resource.kind
        )));
    }
    Ok(())
}

/// Shortens an object for a message, which must never contain all of it: it may be a Secret.
fn shortened(object: &Json) -> String {
    let keys: Vec<_> = object
        .as_object()
        .into_iter()
        .flat_map(|map| map.keys().cloned())
        .collect();
    format!("{{{}}}", keys.join(","))
}

/// Reads an object with its schema. Unknown fields are dropped with a warning, or refused, as `fieldValidation` says.
pub(super) fn decoded(
    call: &Call,
    object: Json,
    patch: Option<&Json>,
) -> Result<(Json, Vec<String>), Failure> {
    let resource = &call.resource;
    let strictness = match call.query.get("fieldValidation") {
        None | Some("Warn") => Strictness::Warn,
        Some("Strict") => Strictness::Strict,
        Some("Ignore") => Strictness::Ignore,
        Some(other) => {
            return Err(Failure::bad_request(format!(
                "fieldValidation: Unsupported value: {other:?}: supported values: \"Ignore\", \"Strict\", \"Warn\""
            )));
        }
    };
    let Decoded {
        object,
        mut unknown,
        mismatch,
    } = decode(
        resource.schema(),
        object,
        &resource.kind,
        resource.custom.is_some(),
    );
    let handled = |why: &str| {
        Failure::bad_request(format!(
            "{} in version {:?} cannot be handled as a {}: {why}",
            resource.kind, resource.version, resource.kind
        ))
    };
    if let Some(mismatch) = mismatch {
        return Err(handled(&mismatch));
    }
    check::readable(resource, &object).map_err(|why| handled(&why))?;
    for field in &mut unknown {
        *field = format!("unknown field {field:?}");
    }
    match strictness {
        Strictness::Strict if !unknown.is_empty() => {
            let why = format!("strict decoding error: {}", unknown.join(", "));
            Err(match patch {
                Some(patch) => Failure::invalid_patch(patch, &why),
                None => handled(&why),
            })
        }
        Strictness::Warn => Ok((object, unknown)),
        _ => Ok((object, Vec::new())),
    }
}

/// Refuses an applied configuration that does not match the schema, whatever `fieldValidation` says.
pub(super) fn refuse_untyped(call: &Call, config: &Json) -> Result<(), Failure> {
    let resource = &call.resource;
    let decoded = decode(
        resource.schema(),
        config.clone(),
        &resource.kind,
        resource.custom.is_some(),
    );
    let place = match call.namespace() {
        "" => call.name().to_owned(),
        namespace => format!("{namespace}/{}", call.name()),
    };
    let untyped = |why: &str| {
        Failure::untyped(format!(
            "failed to create typed patch object ({place}; {}, Kind={}): {why}",
            resource.api_version(),
            resource.kind
        ))
    };
    if let Some(field) = decoded.unknown.first() {
        return Err(untyped(&format!(".{field}: field not declared in schema")));
    }
    match decoded.mismatch {
        Some(mismatch) => Err(untyped(&mismatch)),
        None => check::readable(resource, config).map_err(|why| untyped(&why)),
    }
}
