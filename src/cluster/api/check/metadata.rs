use serde_json::Value as Json;

use super::name;
use crate::{
    object::{items, text},
    resource::Resource,
    wire::Cause,
};

/// The largest total size of an object's annotations: 256 KiB.
const ANNOTATIONS: usize = 256 << 10;

/// The finalizers of built-in kinds that have no domain.
const STANDARD_FINALIZERS: [&str; 3] = ["foregroundDeletion", "kubernetes", "orphan"];

pub(super) fn check(resource: &Resource, object: &Json) -> Vec<Cause> {
    let mut causes = Vec::new();
    name_of(resource, object, &mut causes);
    labels(
        &object["metadata"]["labels"],
        "metadata.labels",
        &mut causes,
    );
    let mut size = 0;
    for (key, value) in object["metadata"]["annotations"]
        .as_object()
        .into_iter()
        .flatten()
    {
        size += key.len() + value.as_str().unwrap_or_default().len();
        if let Some(why) = name::qualified(&key.to_lowercase()) {
            causes.push(Cause::invalid(
                "metadata.annotations",
                &key.as_str().into(),
                &why,
            ));
        }
    }
    if size > ANNOTATIONS {
        causes.push(Cause::too_long("metadata.annotations", ANNOTATIONS));
    }
    for finalizer in items(object, "/metadata/finalizers")
        .iter()
        .filter_map(Json::as_str)
    {
        if let Some(why) = name::qualified(finalizer) {
            causes.push(Cause::invalid(
                "metadata.finalizers",
                &finalizer.into(),
                &why,
            ));
        } else if resource.custom.is_none()
            && !finalizer.contains('/')
            && !STANDARD_FINALIZERS.contains(&finalizer)
        {
            let why = "name is neither a standard finalizer name nor is it fully qualified";
            causes.push(Cause::invalid(
                "metadata.finalizers",
                &finalizer.into(),
                why,
            ));
        }
    }
    owners(object, &mut causes);
    causes
}

fn owners(object: &Json, causes: &mut Vec<Cause>) {
    let place = "metadata.ownerReferences";
    let owners = items(object, "/metadata/ownerReferences");
    for (i, owner) in owners.iter().enumerate() {
        for (field, why) in [
            ("apiVersion", "version must not be empty"),
            ("kind", "must not be empty"),
            ("name", "must not be empty"),
            ("uid", "must not be empty"),
        ] {
            if owner[field].as_str().is_none_or(str::is_empty) {
                let place = format!("{place}[{i}].{field}");
                causes.push(Cause::invalid(place, &"".into(), why));
            }
        }
    }
    let controllers = owners.iter().filter(|owner| owner["controller"] == true);
    let kinds: Vec<_> = controllers
        .filter_map(|owner| text(owner, "/kind"))
        .collect();
    if let [one, other, ..] = kinds.as_slice() {
        let why = format!(
            "Only one reference can have Controller set to true. Found \"true\" in references for {one} and {other}"
        );
        let all = &object["metadata"]["ownerReferences"];
        causes.push(Cause::invalid(place, all, &why));
    }
}

fn name_of(resource: &Resource, object: &Json, causes: &mut Vec<Cause>) {
    let Some(own) = text(object, "/metadata/name").filter(|own| !own.is_empty()) else {
        causes.push(Cause::required(
            "metadata.name",
            "name or generateName is required",
        ));
        return;
    };
    let wrong = match resource.kind.as_str() {
        "Namespace" => name::label(own),
        "Role" | "ClusterRole" | "RoleBinding" | "ClusterRoleBinding" => name::path_segment(own),
        _ => name::subdomain(own),
    };
    if let Some(why) = wrong {
        causes.push(Cause::invalid("metadata.name", &own.into(), &why));
    }
}

/// Checks the labels at `place`.
pub(super) fn labels(labels: &Json, place: &str, causes: &mut Vec<Cause>) {
    for (key, value) in labels.as_object().into_iter().flatten() {
        if let Some(why) = name::qualified(key) {
            causes.push(Cause::invalid(place, &key.as_str().into(), &why));
        }
        if let Some(why) = name::label_value(value.as_str().unwrap_or_default()) {
            causes.push(Cause::invalid(place, value, &why));
        }
    }
}
