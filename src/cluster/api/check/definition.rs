//! Validation of CustomResourceDefinitions.

use serde_json::Value as Json;

use crate::{
    object::{items, name, text},
    wire::Cause,
};

pub(super) fn check(object: &Json) -> Vec<Cause> {
    let mut causes = Vec::new();
    let of = |pointer: &str| text(object, pointer).unwrap_or_default().to_owned();
    for field in ["group", "scope", "names/plural", "names/kind"] {
        if of(&format!("/spec/{field}")).is_empty() {
            causes.push(Cause::required(
                format!("spec.{}", field.replace('/', ".")),
                "",
            ));
        }
    }
    let full = format!("{}.{}", of("/spec/names/plural"), of("/spec/group"));
    if name(object) != full {
        let why = "must be spec.names.plural+\".\"+spec.group";
        causes.push(Cause::invalid("metadata.name", &name(object).into(), why));
    }
    let scope = &object["spec"]["scope"];
    if scope.is_string() && scope != "Namespaced" && scope != "Cluster" {
        causes.push(Cause::unsupported(
            "spec.scope",
            scope,
            &["Cluster", "Namespaced"],
        ));
    }
    let versions = items(object, "/spec/versions");
    if versions
        .iter()
        .filter(|version| version["storage"] == true)
        .count()
        != 1
    {
        let why = "must have exactly one version marked as storage version";
        causes.push(Cause::invalid(
            "spec.versions",
            &object["spec"]["versions"],
            why,
        ));
    }
    for (i, version) in versions.iter().enumerate() {
        let place = format!("spec.versions[{i}].schema.openAPIV3Schema");
        match &version["schema"]["openAPIV3Schema"] {
            Json::Object(schema) => {
                structural(&Json::Object(schema.clone()), &place, true, &mut causes)
            }
            _ => causes.push(Cause::required(place, "schemas are required")),
        }
    }
    causes
}

/// Checks that a schema is structural: it has to give the type of every value.
fn structural(schema: &Json, place: &str, root: bool, causes: &mut Vec<Cause>) {
    let free = schema["x-kubernetes-preserve-unknown-fields"] == true
        || schema["x-kubernetes-int-or-string"] == true;
    match schema["type"].as_str() {
        None if !free || root => {
            let why = if root {
                "must not be empty at the root"
            } else {
                "must not be empty for specified object fields"
            };
            causes.push(Cause::required(format!("{place}.type"), why));
        }
        Some(kind) if root && kind != "object" => {
            let why = "must be object at the root";
            causes.push(Cause::invalid(format!("{place}.type"), &kind.into(), why));
        }
        _ => {}
    }
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        structural(inner, &format!("{place}.properties[{name}]"), false, causes);
    }
    if schema["items"].is_object() {
        structural(&schema["items"], &format!("{place}.items"), false, causes);
    } else if schema["type"] == "array" {
        causes.push(Cause::required(
            format!("{place}.items"),
            "must be specified",
        ));
    }
    if schema["additionalProperties"].is_object() {
        let place = format!("{place}.additionalProperties");
        structural(&schema["additionalProperties"], &place, false, causes);
    }
}
