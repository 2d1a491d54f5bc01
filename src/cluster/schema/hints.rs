//! How lists and maps of built-in kinds are merged, from the markers in the Kubernetes API reference (`patchStrategy`,
//! `patchMergeKey`, `listType`, `mapType`).

use serde_json::{Map, Value as Json, json};

/// A list whose items have keys: definition, field, keys for server-side apply, key for a strategic merge ("" for none).
type Keyed = (
    &'static str,
    &'static str,
    &'static [&'static str],
    &'static str,
);

const CORE: &str = "io.k8s.api.core.v1.";
const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.";
const ADMISSION: &str = "io.k8s.api.admissionregistration.v1.";
const APPS: &str = "io.k8s.api.apps.v1.";
const EXTENSIONS: &str = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.";

const KEYED: &[(&str, &[Keyed])] = &[
    (
        CORE,
        &[
            ("Container", "env", &["name"], "name"),
            (
                "Container",
                "ports",
                &["containerPort", "protocol"],
                "containerPort",
            ),
            ("Container", "volumeDevices", &["devicePath"], "devicePath"),
            ("Container", "volumeMounts", &["mountPath"], "mountPath"),
            ("EphemeralContainer", "env", &["name"], "name"),
            (
                "EphemeralContainer",
                "ports",
                &["containerPort", "protocol"],
                "containerPort",
            ),
            (
                "EphemeralContainer",
                "volumeDevices",
                &["devicePath"],
                "devicePath",
            ),
            (
                "EphemeralContainer",
                "volumeMounts",
                &["mountPath"],
                "mountPath",
            ),
            ("NamespaceStatus", "conditions", &["type"], "type"),
            ("NodeStatus", "addresses", &["type"], "type"),
            ("NodeStatus", "conditions", &["type"], "type"),
            ("PodSpec", "containers", &["name"], "name"),
            ("PodSpec", "ephemeralContainers", &["name"], "name"),
            ("PodSpec", "hostAliases", &["ip"], "ip"),
            ("PodSpec", "imagePullSecrets", &["name"], "name"),
            ("PodSpec", "initContainers", &["name"], "name"),
            ("PodSpec", "resourceClaims", &["name"], "name"),
            ("PodSpec", "schedulingGates", &["name"], "name"),
            (
                "PodSpec",
                "topologySpreadConstraints",
                &["topologyKey", "whenUnsatisfiable"],
                "topologyKey",
            ),
            ("PodSpec", "volumes", &["name"], "name"),
            ("PodStatus", "conditions", &["type"], "type"),
            ("PodStatus", "hostIPs", &[], "ip"),
            ("PodStatus", "podIPs", &["ip"], "ip"),
            ("ResourceRequirements", "claims", &["name"], ""),
            ("ServiceAccount", "secrets", &["name"], "name"),
            ("ServiceSpec", "ports", &["port", "protocol"], "port"),
            ("ServiceStatus", "conditions", &["type"], "type"),
        ],
    ),
    (
        APPS,
        &[
            ("DaemonSetStatus", "conditions", &["type"], "type"),
            ("DeploymentStatus", "conditions", &["type"], "type"),
            ("ReplicaSetStatus", "conditions", &["type"], "type"),
            ("StatefulSetStatus", "conditions", &["type"], "type"),
        ],
    ),
    (
        ADMISSION,
        &[
            (
                "MutatingWebhookConfiguration",
                "webhooks",
                &["name"],
                "name",
            ),
            (
                "ValidatingWebhookConfiguration",
                "webhooks",
                &["name"],
                "name",
            ),
        ],
    ),
    (META, &[("ObjectMeta", "ownerReferences", &["uid"], "uid")]),
    (
        EXTENSIONS,
        &[(
            "CustomResourceDefinitionStatus",
            "conditions",
            &["type"],
            "",
        )],
    ),
];

/// Lists of plain values that are merged as sets, also by a strategic merge.
const SETS: &[(&str, &str, &str)] = &[
    (META, "ObjectMeta", "finalizers"),
    (CORE, "NodeSpec", "podCIDRs"),
];

/// Fields of which a strategic merge keeps only the keys in the patch, because they are a union of alternatives.
const RETAIN_KEYS: &[(&str, &str, &str)] = &[
    (CORE, "PodSpec", "volumes"),
    (CORE, "PodSpec", "resourceClaims"),
    (APPS, "DeploymentSpec", "strategy"),
];

/// Objects that have a single owner for all fields.
const ATOMIC: &[(&str, &[&str])] = &[
    (
        CORE,
        &[
            "ConfigMapKeySelector",
            "FileKeySelector",
            "LocalObjectReference",
            "NodeSelector",
            "NodeSelectorTerm",
            "ObjectFieldSelector",
            "ObjectReference",
            "ResourceFieldSelector",
            "SecretKeySelector",
            "SecretReference",
            "TypedLocalObjectReference",
        ],
    ),
    (META, &["LabelSelector", "OwnerReference"]),
    ("io.k8s.api.rbac.v1.", &["RoleRef", "Subject"]),
];

/// Maps that have a single owner for all entries.
const ATOMIC_MAPS: &[(&str, &str, &str)] = &[
    (CORE, "PodSpec", "nodeSelector"),
    (CORE, "ServiceSpec", "selector"),
];

/// Values of list keys that an item may omit.
const DEFAULTS: &[(&str, &str, &str)] = &[
    ("ContainerPort", "protocol", "TCP"),
    ("ServicePort", "protocol", "TCP"),
];

/// Adds the rules to the definitions, as OpenAPI extensions.
pub(super) fn add(document: &mut Map<String, Json>) {
    for (prefix, lists) in KEYED {
        for (definition, field, keys, merge_key) in *lists {
            let Some(list) = field_of(document, prefix, definition, field) else {
                continue;
            };
            if !keys.is_empty() {
                list.insert("x-kubernetes-list-type".into(), "map".into());
                list.insert("x-kubernetes-list-map-keys".into(), json!(keys));
            }
            if !merge_key.is_empty() {
                list.insert("x-kubernetes-patch-strategy".into(), "merge".into());
                list.insert("x-kubernetes-patch-merge-key".into(), (*merge_key).into());
            }
        }
    }
    for (prefix, definition, field) in SETS {
        if let Some(list) = field_of(document, prefix, definition, field) {
            list.insert("x-kubernetes-list-type".into(), "set".into());
            list.insert("x-kubernetes-patch-strategy".into(), "merge".into());
        }
    }
    for (prefix, definition, field) in RETAIN_KEYS {
        if let Some(field) = field_of(document, prefix, definition, field) {
            let strategy = if field.contains_key("x-kubernetes-patch-merge-key") {
                "merge,retainKeys"
            } else {
                "retainKeys"
            };
            field.insert("x-kubernetes-patch-strategy".into(), strategy.into());
        }
    }
    for (prefix, definitions) in ATOMIC {
        for definition in *definitions {
            if let Some(Json::Object(found)) = document.get_mut(&format!("{prefix}{definition}")) {
                found.insert("x-kubernetes-map-type".into(), "atomic".into());
            }
        }
    }
    for (prefix, definition, field) in ATOMIC_MAPS {
        if let Some(map) = field_of(document, prefix, definition, field) {
            map.insert("x-kubernetes-map-type".into(), "atomic".into());
        }
    }
    for (definition, field, default) in DEFAULTS {
        if let Some(field) = field_of(document, CORE, definition, field) {
            field.insert("default".into(), (*default).into());
        }
    }
}

fn field_of<'a>(
    document: &'a mut Map<String, Json>,
    prefix: &str,
    definition: &str,
    field: &str,
) -> Option<&'a mut Map<String, Json>> {
    let definition = document.get_mut(&format!("{prefix}{definition}"))?;
    definition["properties"].get_mut(field)?.as_object_mut()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::document;

    #[test]
    fn every_rule_names_a_field_that_exists() {
        let document = document();
        let has = |prefix: &str, definition: &str, field: &str| {
            document[&format!("{prefix}{definition}")]["properties"]
                .get(field)
                .is_some()
        };
        for (prefix, lists) in KEYED {
            for (definition, field, ..) in *lists {
                assert!(has(prefix, definition, field), "{definition}.{field}");
            }
        }
        for (prefix, definition, field) in [SETS, RETAIN_KEYS, ATOMIC_MAPS].concat() {
            assert!(has(prefix, definition, field), "{definition}.{field}");
        }
    }
}
