//! The effects that storing and removing an object have on other objects: the work of a real cluster's small controllers.

use serde_json::{Value as Json, json};

use super::finish;
use crate::{
    object::{Moment, items, metadata, name, namespace, text, timestamp, uid},
    resource::Resource,
    store::Transaction,
    wire::Failure,
};

/// The resources with a controller: workloads, whose pods it maintains, and budgets, whose pods it counts.
const CONTROLLED: [&str; 5] = [
    "daemonsets.apps",
    "deployments.apps",
    "poddisruptionbudgets.policy",
    "replicasets.apps",
    "statefulsets.apps",
];

/// Refuses to create an object in a namespace that does not exist.
pub(super) fn check_namespace(
    tx: &Transaction,
    resource: &Resource,
    namespace: &str,
) -> Result<(), Failure> {
    if !resource.namespaced || tx.get("namespaces", "", namespace)?.is_some() {
        return Ok(());
    }
    let namespaces = Resource::by_key("namespaces");
    Err(Failure::not_found(&namespaces, namespace))
}

/// Stores an object, and wakes the controllers that depend on it.
pub(crate) fn keep(
    tx: &Transaction,
    resource: &Resource,
    before: Option<&Json>,
    object: &mut Json,
    now: Moment,
) -> Result<(), Failure> {
    let key = resource.key();
    let is_over = text(object, "/metadata/deletionTimestamp").is_some()
        && items(object, "/metadata/finalizers").is_empty();
    if let Some(before) = before.filter(|_| is_over) {
        return remove(tx, &key, before, Propagation::Background);
    }
    tx.put(&key, object)?;
    if CONTROLLED.contains(&key.as_str()) {
        tx.wake(&key, object, now)?;
    }
    if key == "namespaces" && before.is_none() {
        new_namespace(tx, name(object), now)?;
    }
    Ok(())
}

/// Creates the objects that every namespace has.
pub(crate) fn new_namespace(tx: &Transaction, namespace: &str, now: Moment) -> Result<(), Failure> {
    let account = json!({
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": { "name": "default", "namespace": namespace },
    });
    finish::seed(tx, &Resource::by_key("serviceaccounts"), account, now)?;
    let Some(ca) = tx.setting("ca")? else {
        return Ok(());
    };
    let trust = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": "kube-root-ca.crt",
            "namespace": namespace,
            "annotations": { "kubernetes.io/description": "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters." },
        },
        "data": { "ca.crt": ca },
    });
    finish::seed(tx, &Resource::by_key("configmaps"), trust, now)
}

/// Deletes an object and the objects that it owns, as a component of the cluster does.
pub(crate) fn discard(
    tx: &Transaction,
    resource: &Resource,
    object: &Json,
    now: Moment,
) -> Result<(), Failure> {
    delete(tx, resource, object, Propagation::Background, now)?;
    Ok(())
}

/// What happens to the objects that an object owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Propagation {
    Orphan,
    /// Deletes them. Here, `Background` and `Foreground` both delete them at once.
    Background,
}

/// Deletes an object, or marks it as being deleted if it has finalizers. Returns its last state.
pub(super) fn delete(
    tx: &Transaction,
    resource: &Resource,
    object: &Json,
    propagation: Propagation,
    now: Moment,
) -> Result<Json, Failure> {
    let key = resource.key();
    let mut last = object.clone();
    if text(object, "/metadata/deletionTimestamp").is_none() {
        metadata(&mut last).insert("deletionTimestamp".into(), timestamp(now).into());
        metadata(&mut last).insert("deletionGracePeriodSeconds".into(), 0.into());
    }
    if !items(object, "/metadata/finalizers").is_empty() {
        if last != *object {
            tx.put(&key, &mut last)?;
        }
        return Ok(last);
    }
    remove(tx, &key, object, propagation)?;
    Ok(last)
}

fn remove(
    tx: &Transaction,
    key: &str,
    object: &Json,
    propagation: Propagation,
) -> Result<(), Failure> {
    tx.remove(key, object)?;
    match propagation {
        Propagation::Background => tx.remove_owned(uid(object))?,
        Propagation::Orphan => tx.orphan_owned(uid(object))?,
    }
    if key == "namespaces" {
        for (inner, object) in tx.contents(name(object))? {
            tx.remove(&inner, &object)?;
        }
    }
    if key == "customresourcedefinitions.apiextensions.k8s.io" {
        for resource in Resource::of_definition(object) {
            for object in tx.list(&resource.key(), None)? {
                tx.remove(&resource.key(), &object)?;
            }
        }
    }
    wake_owner(tx, object)
}

/// Wakes the controller of a removed pod, which may have to replace it.
fn wake_owner(tx: &Transaction, object: &Json) -> Result<(), Failure> {
    let owners = items(object, "/metadata/ownerReferences").iter();
    for owner in owners.filter(|owner| owner["controller"] == true) {
        let kind = owner["kind"].as_str().unwrap_or_default().to_lowercase();
        let key = format!("{kind}s.apps");
        let name = owner["name"].as_str().unwrap_or_default();
        if let Some(owner) = tx.get(&key, namespace(object), name)? {
            tx.wake(&key, &owner, crate::object::now())?;
        }
    }
    Ok(())
}
