//! The garbage collector: an object goes when the last of its owners is gone.
//!
//! From "Garbage Collection" (Kubernetes documentation) and `pkg/controller/garbagecollector`.

use serde_json::Value as Json;

use super::lifecycle::{self, Propagation};
use crate::{
    object::{Moment, items, metadata, name, namespace, text, uid},
    resource::Resource,
    store::Transaction,
    wire::Failure,
};

/// The resource name under which checks of owners are scheduled; no real resource has this name.
pub(crate) const OWNERS: &str = "owners";

/// Schedules a check of an object whose owners changed: they may not exist.
pub(super) fn schedule(
    tx: &Transaction,
    key: &str,
    before: Option<&Json>,
    object: &Json,
    now: Moment,
) -> Result<(), Failure> {
    let owners = |object: &Json| items(object, "/metadata/ownerReferences").to_vec();
    let now_owned = owners(object);
    if now_owned.is_empty() || before.is_some_and(|before| owners(before) == now_owned) {
        return Ok(());
    }
    let own = format!("{key}/{}", name(object));
    tx.wake_named(OWNERS, namespace(object), &own, now)
}

/// Checks the owners of an object, which is named by its resource and its name.
pub(crate) fn check(
    tx: &Transaction,
    namespace: &str,
    object: &str,
    now: Moment,
) -> Result<(), Failure> {
    let Some((key, name)) = object.split_once('/') else {
        return Ok(());
    };
    match tx.get(key, namespace, name)? {
        Some(object) => collect(tx, key, &object, now),
        None => Ok(()),
    }
}

/// Collects the objects that an object owned which is gone.
pub(super) fn dependents(tx: &Transaction, gone: &Json, now: Moment) -> Result<(), Failure> {
    for (key, dependent) in tx.dependents(uid(gone))? {
        // It may have gone with another one.
        let found = tx.get(&key, namespace(&dependent), name(&dependent))?;
        if let Some(object) = found.filter(|found| uid(found) == uid(&dependent)) {
            collect(tx, &key, &object, now)?;
        }
    }
    Ok(())
}

/// Deletes an object if none of its owners exists; otherwise, removes the references to those that do not exist.
fn collect(tx: &Transaction, key: &str, object: &Json, now: Moment) -> Result<(), Failure> {
    let owners = items(object, "/metadata/ownerReferences");
    let mut left = Vec::new();
    for owner in owners {
        if exists(tx, namespace(object), owner)? {
            left.push(owner.clone());
        }
    }
    if left.len() == owners.len() {
        return Ok(());
    }
    if left.is_empty() {
        lifecycle::delete(tx, key, object, Propagation::Background, now)?;
        return Ok(());
    }
    let mut object = object.clone();
    metadata(&mut object).insert("ownerReferences".into(), left.into());
    tx.put(key, &mut object)
}

/// Returns whether an owner exists. Owners of a kind that is not served count as existing, since nothing is known about them.
fn exists(tx: &Transaction, namespace: &str, owner: &Json) -> Result<bool, Failure> {
    let Some(resource) = resource_of(tx, owner)? else {
        return Ok(true);
    };
    let place = if resource.namespaced { namespace } else { "" };
    let own = text(owner, "/name").unwrap_or_default();
    let found = tx.get(&resource.key(), place, own)?;
    Ok(found.is_some_and(|found| Some(uid(&found)) == text(owner, "/uid")))
}

fn resource_of(tx: &Transaction, owner: &Json) -> Result<Option<Resource>, Failure> {
    let version = text(owner, "/apiVersion").unwrap_or_default();
    let group = version.split_once('/').map_or("", |(group, _)| group);
    let kind = text(owner, "/kind").unwrap_or_default();
    let is = |resource: &Resource| resource.group == group && resource.kind == kind;
    if let Some(found) = Resource::built_in().find(is) {
        return Ok(Some(found));
    }
    let definitions = tx.list("customresourcedefinitions.apiextensions.k8s.io", None)?;
    Ok(definitions
        .iter()
        .flat_map(Resource::of_definition)
        .find(is))
}
