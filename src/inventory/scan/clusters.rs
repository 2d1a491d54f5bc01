use windlass_ground::boxed;

use super::Scanned;
use crate::place::Place;
use windlass_world::{
    outside::{KubeClient, Selection, from_object},
    value::{Failure, Value},
    x509::holding::of_object,
};

/// The kinds of objects that contain certificates: data, and the CAs with which the API server verifies webhooks, aggregated APIs and
/// conversion webhooks.
const KINDS: [&str; 6] = [
    "secrets",
    "configmaps",
    "validatingwebhookconfigurations.admissionregistration.k8s.io",
    "mutatingwebhookconfigurations.admissionregistration.k8s.io",
    "apiservices.apiregistration.k8s.io",
    "customresourcedefinitions.apiextensions.k8s.io",
];
/// The type of Secrets in which Helm stores a release. They are skipped, because they are large and compressed.
const HELM: &str = "helm.sh/release.v1";

/// Reads the Secrets, ConfigMaps and trusted CAs of a cluster, in all namespaces.
///
/// # Errors
/// Fails if the cluster can't be reached, or if no kind can be listed. If only some kinds can't be listed, each is added to the problems.
#[boxed]
pub async fn cluster(
    kube: &KubeClient,
    cluster: &str,
    scanned: &mut Scanned,
) -> Result<(), Failure> {
    let everything = Selection::default();
    let mut refused = Vec::new();
    for kind in KINDS {
        let objects = match kube.list(kind, &everything).await {
            Ok(objects) => objects,
            Err(failure) if failure.code == "NotFound" || failure.code == "UnknownKind" => continue,
            Err(failure) => {
                refused.push(failure);
                continue;
            }
        };
        for object in objects {
            if object["type"] != HELM {
                add(cluster, &from_object(&object), scanned);
            }
        }
    }
    if refused.len() == KINDS.len() || (scanned.entries.is_empty() && !refused.is_empty()) {
        return Err(refused.swap_remove(0));
    }
    for failure in refused {
        scanned.problem(format!("cluster {cluster}"), failure.to_string());
    }
    Ok(())
}

fn add(cluster: &str, object: &Value, scanned: &mut Scanned) {
    let text = |value: Option<&Value>| value.map(Value::to_text).unwrap_or_default();
    let metadata = object.field("metadata");
    let named = |key: &str| text(metadata.and_then(|metadata| metadata.field(key)));
    let kind = text(object.field("kind")).to_ascii_lowercase();
    for holding in of_object(object) {
        let place = Place::Object {
            target: None,
            cluster: cluster.to_owned(),
            namespace: named("namespace"),
            object: format!("{kind}/{}", named("name")),
            key: holding.key,
        };
        scanned.add(&place, holding.read);
    }
}
