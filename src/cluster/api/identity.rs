//! The fields of an object that only the server sets: its identity, its generation and its status.

use serde_json::{Value as Json, json};

use crate::{
    object::{self, Moment, metadata, timestamp},
    resource::Resource,
};

/// Sets the fields that clients can't set.
pub(super) fn carry_over(
    resource: &Resource,
    before: Option<&Json>,
    object: &mut Json,
    whole: bool,
    now: Moment,
) {
    let fields = [
        "uid",
        "creationTimestamp",
        "generation",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
    ];
    let of_before = |field: &str| Some(before?.pointer("/metadata")?.get(field)?.clone());
    for field in fields {
        match of_before(field) {
            Some(value) => metadata(object).insert(field.into(), value),
            None => metadata(object).remove(field),
        };
    }
    metadata(object).remove("selfLink");
    match before.and_then(|before| before.pointer("/metadata/resourceVersion")) {
        Some(version) => metadata(object).insert("resourceVersion".into(), version.clone()),
        None => metadata(object).remove("resourceVersion"),
    };
    if before.is_none() {
        metadata(object).insert("uid".into(), object::new_uid().into());
        metadata(object).insert("creationTimestamp".into(), timestamp(now).into());
        if counts_generations(resource) {
            metadata(object).insert("generation".into(), 1.into());
        }
    }
    if whole && has_status(resource) {
        let status = before.map(|before| before["status"].clone());
        match (status, object.as_object_mut()) {
            (Some(status), Some(map)) if !status.is_null() => {
                map.insert("status".into(), status);
            }
            (_, Some(map)) => {
                map.remove("status");
            }
            _ => {}
        }
    }
}

fn has_status(resource: &Resource) -> bool {
    resource.has_subresource("status")
        || resource.key().ends_with("definitions.apiextensions.k8s.io")
}

fn counts_generations(resource: &Resource) -> bool {
    let key = resource.key();
    let counted = ["deployments.apps", "statefulsets.apps", "daemonsets.apps"];
    resource.custom.is_some()
        || counted.contains(&key.as_str())
        || resource.group == "apiextensions.k8s.io"
        || resource.group == "admissionregistration.k8s.io"
}

pub(super) fn set_generation(resource: &Resource, before: &Json, object: &mut Json) {
    if !counts_generations(resource) {
        return;
    }
    let spec = |object: &Json| -> Json {
        match (&resource.custom, resource.plural.as_str()) {
            // A change of anything but the metadata counts, and but the status if that is a subresource.
            (Some(_), _) => {
                let mut rest = object.clone();
                if let Some(map) = rest.as_object_mut() {
                    map.remove("metadata");
                    if has_status(resource) {
                        map.remove("status");
                    }
                }
                rest
            }
            // A change of a Deployment's annotations counts, too.
            (None, "deployments") => {
                json!([object["spec"], object["metadata"]["annotations"]])
            }
            (None, "mutatingwebhookconfigurations" | "validatingwebhookconfigurations") => {
                object["webhooks"].clone()
            }
            _ => object["spec"].clone(),
        }
    };
    if spec(before) != spec(object) {
        let last = object::number(before, "/metadata/generation").unwrap_or(1);
        metadata(object).insert("generation".into(), (last + 1).into());
    }
}
