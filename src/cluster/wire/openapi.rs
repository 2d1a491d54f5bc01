//! OpenAPI v3 for kubectl, which uses it to detect server-side validation, to explain kinds and to merge lists.

use serde_json::{Map, Value as Json, json};

use super::{Answer, Discovery, Incoming};
use crate::{
    resource::Resource,
    schema::{definition_name, document},
};

/// Returns OpenAPI v2, which kubectl before 1.24 reads. The document defines nothing, so such a kubectl leaves validation to
/// the server. It accepts protobuf only, in which the document is the text `2.0` in field 1.
pub(crate) fn openapi_v2(incoming: &Incoming) -> Answer {
    const ASKED: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
    // The same media type as in the API server's response, since Go can't parse the other one.
    const GIVEN: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
    let accept = incoming.header("accept");
    if accept.contains(ASKED) || accept.contains(GIVEN) {
        return Answer::Plain(GIVEN, "\u{a}\u{3}2.0");
    }
    let info = json!({ "title": "Kubernetes", "version": "v1.36.0" });
    let document = json!({ "swagger": "2.0", "info": info, "paths": {}, "definitions": {} });
    Answer::Object(200, document)
}

/// Returns the document at a path below `/openapi/`, or `None` if there is none.
pub(crate) fn openapi(discovery: &Discovery, path: &str) -> Option<Json> {
    let path = path.strip_prefix("/openapi/v3")?.trim_matches('/');
    let mut paths = discovery.paths().into_iter();
    if path.is_empty() {
        let paths: Map<_, _> = paths
            .map(|(path, ..)| {
                let url = format!("/openapi/v3/{path}");
                (path, json!({ "serverRelativeURL": url }))
            })
            .collect();
        return Some(json!({ "paths": paths }));
    }
    let (path, group, version) = paths.find(|(known, ..)| known == path)?;
    let resources = discovery.resources(group, version)?;
    Some(of_version(&path, resources))
}

fn of_version(prefix: &str, resources: &[Resource]) -> Json {
    let mut schemas = Map::new();
    let mut paths = Map::new();
    for resource in resources {
        let name = match &resource.custom {
            Some(custom) => {
                let name = reversed(resource);
                schemas.insert(name.clone(), of_custom(resource, &custom.schema));
                add(
                    "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta",
                    &mut schemas,
                );
                name
            }
            None => {
                let name = definition_name(&resource.group, &resource.kind);
                add(&name, &mut schemas);
                name
            }
        };
        let kind = group_version_kind(resource);
        if let Some(schema) = schemas.get_mut(&name) {
            schema["x-kubernetes-group-version-kind"] = json!([kind]);
        }
        let place = if resource.namespaced {
            "namespaces/{namespace}/"
        } else {
            ""
        };
        let path = format!("/{prefix}/{place}{}", resource.plural);
        paths.insert(
            path.clone(),
            json!({ "post": operation("post", &kind, &name) }),
        );
        let one = json!({
            "get": operation("get", &kind, &name),
            "put": operation("put", &kind, &name),
            "patch": operation("patch", &kind, &name),
            "delete": operation("delete", &kind, &name),
        });
        paths.insert(format!("{path}/{{name}}"), one);
    }
    json!({
        "openapi": "3.0.0",
        "info": { "title": "Kubernetes", "version": "v1.36.0" },
        "paths": paths,
        "components": { "schemas": schemas },
    })
}

fn operation(method: &str, kind: &Json, schema: &str) -> Json {
    let parameters: Vec<_> = ["dryRun", "fieldManager", "fieldValidation"]
        .iter()
        .filter(|_| matches!(method, "post" | "put" | "patch"))
        .map(|name| json!({ "name": name, "in": "query", "schema": { "type": "string" } }))
        .collect();
    let reference = json!({ "$ref": format!("#/components/schemas/{schema}") });
    json!({
        "parameters": parameters,
        "responses": { "200": {
            "description": "OK",
            "content": { "application/json": { "schema": reference } },
        } },
        "x-kubernetes-action": method,
        "x-kubernetes-group-version-kind": kind,
    })
}

fn group_version_kind(resource: &Resource) -> Json {
    json!({ "group": resource.group, "version": resource.version, "kind": resource.kind })
}

/// Returns the definition's name of a kind, for example `io.solo.gloo.admin.v2.RootTrustPolicy`.
fn reversed(resource: &Resource) -> String {
    let mut parts: Vec<_> = resource.group.split('.').rev().collect();
    parts.extend([resource.version.as_str(), resource.kind.as_str()]);
    parts.join(".")
}

fn of_custom(resource: &Resource, schema: &Json) -> Json {
    let mut schema = schema.clone();
    let metadata = "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
    schema["type"] = "object".into();
    schema["properties"]["apiVersion"] = json!({ "type": "string" });
    schema["properties"]["kind"] = json!({ "type": "string" });
    schema["properties"]["metadata"] = json!({ "allOf": [{ "$ref": metadata }], "default": {} });
    schema["x-kubernetes-group-version-kind"] = json!([group_version_kind(resource)]);
    schema
}

/// Adds a definition and all definitions that it refers to.
fn add(name: &str, schemas: &mut Map<String, Json>) {
    if schemas.contains_key(name) {
        return;
    }
    let Some(definition) = document().get(name) else {
        return;
    };
    let mut references = Vec::new();
    let definition = rewritten(definition, &mut references);
    schemas.insert(name.to_owned(), definition);
    for reference in references {
        add(&reference, schemas);
    }
}

/// Rewrites references: next to other keywords, OpenAPI 3.0 requires a reference to be in `allOf`.
fn rewritten(schema: &Json, references: &mut Vec<String>) -> Json {
    match schema {
        Json::Object(map) => {
            let mut out = Map::new();
            for (key, value) in map {
                match (key.as_str(), value.as_str()) {
                    ("$ref", Some(reference)) => {
                        let name = reference.rsplit('/').next().unwrap_or_default();
                        references.push(name.to_owned());
                        out.insert("allOf".into(), json!([{ "$ref": reference }]));
                    }
                    _ => {
                        out.insert(key.clone(), rewritten(value, references));
                    }
                }
            }
            Json::Object(out)
        }
        Json::Array(list) => list.iter().map(|one| rewritten(one, references)).collect(),
        other => other.clone(),
    }
}
