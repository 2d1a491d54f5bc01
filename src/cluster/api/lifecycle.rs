//! The effects that storing and removing an object have on other objects: the work of a real cluster's small controllers.

use serde_json::{Value as Json, json};

use super::{
    collect, finish,
    terminate::{self, DEFINITIONS, NAMESPACES, is_terminating},
};
use crate::{
    object::{Moment, items, metadata, name, namespace, timestamp, uid},
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

/// Refuses to create an object in a namespace, or of a definition, that does not exist or is being deleted.
pub(super) fn check_place(
    tx: &Transaction,
    resource: &Resource,
    object: &Json,
) -> Result<(), Failure> {
    if resource.custom.is_some() {
        let definition = tx.get(DEFINITIONS, "", &resource.key())?;
        if definition.as_ref().is_some_and(is_terminating) {
            return Err(Failure::definition_ends());
        }
    }
    if !resource.namespaced {
        return Ok(());
    }
    let namespace = namespace(object);
    match tx.get(NAMESPACES, "", namespace)? {
        None => Err(Failure::not_found(&Resource::by_key(NAMESPACES), namespace)),
        Some(found) if is_terminating(&found) => {
            Err(Failure::namespace_ends(resource, name(object), namespace))
        }
        Some(_) => Ok(()),
    }
}

/// Returns whether a namespace is being deleted.
pub(super) fn is_closed(tx: &Transaction, namespace: &str) -> Result<bool, Failure> {
    let found = match namespace {
        "" => None,
        namespace => tx.get(NAMESPACES, "", namespace)?,
    };
    Ok(found.as_ref().is_some_and(is_terminating))
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
    if let Some(before) = before.filter(|_| is_terminating(object)) {
        match key.as_str() {
            NAMESPACES => return terminate::namespace(tx, object, now).map(drop),
            _ if !is_held(object) => {
                return remove(tx, &key, before, Propagation::Background, now);
            }
            _ => {}
        }
    }
    tx.put(&key, object)?;
    collect::schedule(tx, &key, before, object, now)?;
    if CONTROLLED.contains(&key.as_str()) {
        tx.wake(&key, object, now)?;
    }
    if key == NAMESPACES && before.is_none() {
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
    delete(tx, &resource.key(), object, Propagation::Background, now)?;
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
    key: &str,
    object: &Json,
    propagation: Propagation,
    now: Moment,
) -> Result<Json, Failure> {
    let mut last = marked(object, now);
    match key {
        NAMESPACES => return terminate::namespace(tx, &last, now),
        DEFINITIONS => return terminate::definition(tx, &last, now),
        _ => {}
    }
    if !is_held(object) {
        remove(tx, key, object, propagation, now)?;
        return Ok(last);
    }
    if last != *object {
        tx.put(key, &mut last)?;
    }
    if propagation == Propagation::Orphan {
        tx.orphan_owned(uid(object))?;
    }
    Ok(last)
}

/// Returns whether finalizers keep an object from being removed.
pub(super) fn is_held(object: &Json) -> bool {
    !items(object, "/metadata/finalizers").is_empty()
}

/// Returns an object with the mark that it is being deleted.
pub(super) fn marked(object: &Json, now: Moment) -> Json {
    let mut last = object.clone();
    if !is_terminating(object) {
        metadata(&mut last).insert("deletionTimestamp".into(), timestamp(now).into());
        metadata(&mut last).insert("deletionGracePeriodSeconds".into(), 0.into());
    }
    last
}

fn remove(
    tx: &Transaction,
    key: &str,
    object: &Json,
    propagation: Propagation,
    now: Moment,
) -> Result<(), Failure> {
    tx.remove(key, object)?;
    release(tx, object, propagation, now)?;
    terminate::proceed(tx, key, object, now)
}

/// Does what follows from the removal of an object: for the objects that it owned, and for its controller.
pub(super) fn release(
    tx: &Transaction,
    gone: &Json,
    propagation: Propagation,
    now: Moment,
) -> Result<(), Failure> {
    match propagation {
        Propagation::Background => collect::dependents(tx, gone, now)?,
        Propagation::Orphan => tx.orphan_owned(uid(gone))?,
    }
    wake_owner(tx, gone)
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
