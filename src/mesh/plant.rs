//! The initial objects of the clusters of a mesh.

use serde_json::Value as Json;

use super::{options::MeshOptions, pods};
use windlass_cluster::{Cluster, Moment, StateError};

const COMMON: &str = include_str!("seed/common.yaml");
const GLOO: &str = include_str!("seed/gloo.yaml");
/// The kind of registered clusters, and one such object.
const REGISTRATIONS: &str = include_str!("seed/registrations.yaml");
const REGISTRATION: &str = include_str!("seed/registration.yaml");
const ISTIO: &str = include_str!("seed/istio.yaml");
const APPS: &str = include_str!("seed/apps.yaml");

/// How long before the apps the infrastructure was created, in milliseconds.
const BEFORE_APPS: Moment = 1_800_000;

pub(super) fn management(cluster: &Cluster, options: &MeshOptions) -> Result<(), StateError> {
    put_all(cluster, COMMON, options)?;
    put_all(cluster, GLOO, options)?;
    put_all(cluster, REGISTRATIONS, options)
}

/// Registers a workload cluster in the management cluster, as `meshctl cluster register` does.
pub(super) fn register(management: &Cluster, name: &str) -> Result<(), StateError> {
    let options = MeshOptions::of(management)?;
    // A management cluster of an older version may lack the kind.
    put_all(management, REGISTRATIONS, &options)?;
    put_all(
        management,
        &REGISTRATION.replace("${cluster}", name),
        &options,
    )
}

pub(super) fn workload(cluster: &Cluster, options: &MeshOptions) -> Result<(), StateError> {
    put_all(cluster, COMMON, options)?;
    put_all(cluster, ISTIO, options)?;
    let later = cluster.at(cluster.now() + BEFORE_APPS);
    put_all(&later, APPS, options)
}

/// Sets the images and variables of the workloads to other options, as an upgrade with Helm does.
pub(super) fn upgrade(cluster: &Cluster, options: &MeshOptions) -> Result<(), StateError> {
    for text in [GLOO, ISTIO] {
        for (resource, new) in manifests(text, options)? {
            let found = cluster.find(&resource, pods::namespace(&new), pods::name(&new))?;
            let (Some(mut found), true) = (found, resource.ends_with(".apps")) else {
                continue;
            };
            let pointer = "/spec/template/spec/containers";
            let containers = new.pointer(pointer).and_then(Json::as_array);
            for container in containers.into_iter().flatten() {
                let all = found.pointer_mut(pointer).and_then(Json::as_array_mut);
                let own = all
                    .into_iter()
                    .flatten()
                    .find(|one| one["name"] == container["name"]);
                if let Some(own) = own {
                    own["image"] = container["image"].clone();
                    own["env"] = container["env"].clone();
                    if let Some(own) = own.as_object_mut() {
                        own.retain(|_, value| !value.is_null());
                    }
                }
            }
            cluster.put(&resource, found, "helm")?;
        }
    }
    Ok(())
}

fn put_all(cluster: &Cluster, text: &str, options: &MeshOptions) -> Result<(), StateError> {
    for (resource, object) in manifests(text, options)? {
        let found = cluster.find(&resource, pods::namespace(&object), pods::name(&object))?;
        // A cluster of an older version has some of the objects already.
        if found.is_none() {
            cluster.put(&resource, object, "helm")?;
        }
    }
    Ok(())
}

/// Returns the documents of a seed with the options filled in, each with its resource.
fn manifests(text: &str, options: &MeshOptions) -> Result<Vec<(String, Json)>, StateError> {
    let text = text
        .replace("${istio}", &options.istio.to_string())
        .replace("${ztunnel}", &options.ztunnel.to_string())
        .replace("${gloo}", &options.gloo.to_string())
        .replace("${multi_root}", &options.multi_root.to_string())
        .replace("${xds_agent}", &options.xds_agent.to_string())
        .replace("${revision}", options.revision())
        .replace("${of_revision}", &options.of_revision())
        .replace("${injects}", &options.injects());
    text.split("\n---\n")
        .map(|document| {
            let object = Cluster::manifest(document)?;
            Ok((resource_of(&object), object))
        })
        .collect()
}

/// Returns the resource of a manifest's kind; all kinds in the seeds have regular plurals.
fn resource_of(object: &Json) -> String {
    let kind = pods::text(object, "/kind").to_lowercase();
    let plural = match kind.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None => format!("{kind}s"),
    };
    match pods::text(object, "/apiVersion").split_once('/') {
        Some((group, _)) => format!("{plural}.{group}"),
        None => plural,
    }
}
