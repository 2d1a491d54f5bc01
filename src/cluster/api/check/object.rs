use serde_json::Value as Json;

use super::{budget, data, definition, metadata, quantity, role, service, workload};
use crate::{resource::Resource, wire::Cause};

/// Checks the values that a decoder must be able to read. The error is that of Go's decoder.
pub(in crate::api) fn readable(resource: &Resource, object: &Json) -> Result<(), String> {
    data::encodings(resource, object)?;
    match resource.kind.as_str() {
        "Deployment" | "DaemonSet" | "StatefulSet" if resource.custom.is_none() => {
            quantity::readable(object)
        }
        _ => Ok(()),
    }
}

/// Returns what is wrong with a new object.
pub(in crate::api) fn create(resource: &Resource, object: &Json) -> Vec<Cause> {
    let mut causes = metadata::check(resource, object);
    causes.extend(object_itself(resource, object));
    causes
}

/// Returns what is wrong with a change.
pub(in crate::api) fn update(resource: &Resource, before: &Json, object: &Json) -> Vec<Cause> {
    let mut causes = metadata::check(resource, object);
    causes.extend(match resource.kind.as_str() {
        "Secret" => data::secret_update(before, object),
        "ConfigMap" => data::config_map_update(before, object),
        "Deployment" | "DaemonSet" | "StatefulSet" => workload::update(resource, before, object),
        "RoleBinding" | "ClusterRoleBinding" => role::binding_update(before, object),
        "Service" => service::update(before, object),
        _ => Vec::new(),
    });
    causes.extend(object_itself(resource, object));
    causes
}

fn object_itself(resource: &Resource, object: &Json) -> Vec<Cause> {
    if resource.custom.is_some() {
        return Vec::new();
    }
    match resource.kind.as_str() {
        "Secret" => data::secret(object),
        "ConfigMap" => data::config_map(object),
        "Deployment" | "DaemonSet" | "StatefulSet" => workload::check(resource, object),
        "NetworkPolicy" => budget::network_policy(object),
        "PodDisruptionBudget" => budget::budget(object),
        "Role" | "ClusterRole" => role::role(resource, object),
        "RoleBinding" | "ClusterRoleBinding" => role::binding(object),
        "CustomResourceDefinition" => definition::check(object),
        "Service" => service::check(object),
        _ => Vec::new(),
    }
}
