//! Reads pods and the objects around them.

use serde_json::Value as Json;

use super::{ca::Files, player::TRUST_DOMAIN, version::Version};
use windlass_cluster::{Cluster, Hold, StateError};

pub(super) fn name(object: &Json) -> &str {
    text(object, "/metadata/name")
}

pub(super) fn namespace(object: &Json) -> &str {
    text(object, "/metadata/namespace")
}

pub(super) fn text<'a>(object: &'a Json, pointer: &str) -> &'a str {
    object
        .pointer(pointer)
        .and_then(Json::as_str)
        .unwrap_or_default()
}

pub(super) fn label<'a>(object: &'a Json, key: &str) -> &'a str {
    object["metadata"]["labels"][key]
        .as_str()
        .unwrap_or_default()
}

fn containers(pod: &Json) -> impl Iterator<Item = &Json> {
    pod["spec"]["containers"].as_array().into_iter().flatten()
}

pub(super) fn has_container(pod: &Json, name: &str) -> bool {
    containers(pod).any(|container| container["name"] == name)
}

/// Returns the version in the tag of a container's image, or a default if the tag has none.
pub(super) fn version(pod: &Json, container: &str, default: Version) -> Version {
    let of = containers(pod).find(|one| one["name"] == container);
    let image = of.and_then(|one| one["image"].as_str());
    image.and_then(Version::of_image).unwrap_or(default)
}

/// Returns the value of an environment variable in any of a pod's containers.
pub(super) fn variable<'a>(pod: &'a Json, name: &str) -> Option<&'a str> {
    containers(pod)
        .flat_map(|container| container["env"].as_array().into_iter().flatten())
        .find(|variable| variable["name"] == name)
        .and_then(|variable| variable["value"].as_str())
}

pub(super) fn is_on(pod: &Json, name: &str, default: bool) -> bool {
    variable(pod, name).map_or(default, |value| value == "true")
}

/// Returns the SPIFFE id of a pod's service account.
pub(super) fn identity(pod: &Json) -> String {
    let account = match text(pod, "/spec/serviceAccountName") {
        "" => "default",
        account => account,
    };
    format!("spiffe://{TRUST_DOMAIN}/ns/{}/sa/{account}", namespace(pod))
}

/// Returns the files of a Secret; none if it does not exist, as in an optional volume.
pub(super) fn secret(cluster: &Cluster, namespace: &str, name: &str) -> Result<Files, StateError> {
    let found = cluster.find("secrets", namespace, name)?;
    Ok(found.as_ref().map(secret_files).unwrap_or_default())
}

pub(super) fn secret_files(secret: &Json) -> Files {
    let data = secret["data"].as_object().into_iter().flatten();
    data.filter_map(|(key, value)| {
        let bytes = data_encoding::BASE64
            .decode(value.as_str()?.as_bytes())
            .ok()?;
        Some((key.clone(), String::from_utf8_lossy(&bytes).into_owned()))
    })
    .collect()
}

/// Writes a Secret's data, base64.
pub(super) fn secret_data(files: &[(&str, &str)]) -> Json {
    let entry = |(key, value): &(&str, &str)| {
        let text = data_encoding::BASE64.encode(value.as_bytes());
        ((*key).to_owned(), Json::from(text))
    };
    Json::Object(files.iter().map(entry).collect())
}

/// Returns the root that istiod has written to a namespace.
pub(super) fn root_cert(cluster: &Cluster, namespace: &str) -> Result<Option<String>, StateError> {
    let found = cluster.find("configmaps", namespace, ROOT_MAP)?;
    Ok(found.map(|map| text(&map, "/data/root-cert.pem").to_owned()))
}

/// Returns why a pod can't start that mounts that root while it is not there.
pub(super) fn hold_without_root() -> Hold {
    Hold {
        reason: "ContainerCreating",
        message: format!(
            "MountVolume.SetUp failed for volume \"istiod-ca-cert\" : configmap \"{ROOT_MAP}\" not found"
        ),
    }
}

/// The ConfigMap in which istiod distributes its roots to all namespaces (istio: `namespacecontroller.go`).
pub(super) const ROOT_MAP: &str = "istio-ca-root-cert";

/// Picks an item by a digest of a name: the replica of a service that a client of this name reaches.
pub(super) fn pick<'a, T>(all: &'a [T], name: &str) -> Option<&'a T> {
    let sum = name.bytes().fold(7_usize, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(byte.into())
    });
    all.get(sum % all.len().max(1))
}
