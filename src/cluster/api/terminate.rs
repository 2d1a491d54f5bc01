//! The deletion of objects that contain others: a namespace and a CustomResourceDefinition stay until the last object in them is
//! gone, which may have to wait for finalizers.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::lifecycle::{self, Propagation, is_held, marked};
use crate::{
    object::{Moment, child, items, metadata, name, namespace as namespace_of, text, timestamp},
    resource::Resource,
    store::Transaction,
    wire::Failure,
};

pub(super) const NAMESPACES: &str = "namespaces";
pub(super) const DEFINITIONS: &str = "customresourcedefinitions.apiextensions.k8s.io";
/// The finalizer with which a definition waits for its objects.
const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";

/// Continues the deletion of what contained an object that is gone now.
pub(super) fn proceed(
    tx: &Transaction,
    key: &str,
    gone: &Json,
    now: Moment,
) -> Result<(), Failure> {
    for (containers, container) in [(NAMESPACES, namespace_of(gone)), (DEFINITIONS, key)] {
        let is_its_own = containers == key;
        if is_its_own || (containers == DEFINITIONS && is_built_in(key)) {
            continue;
        }
        let found = tx.get(containers, "", container)?;
        match found.filter(is_terminating) {
            Some(found) if containers == NAMESPACES => namespace(tx, &found, now)?,
            Some(found) => definition(tx, &found, now)?,
            None => continue,
        };
    }
    Ok(())
}

fn is_built_in(key: &str) -> bool {
    let (plural, group) = key.split_once('.').unwrap_or((key, ""));
    Resource::find_built_in(group, "v1", plural).is_some()
}

pub(super) fn is_terminating(object: &Json) -> bool {
    text(object, "/metadata/deletionTimestamp").is_some()
}

/// Empties a namespace that is being deleted, and removes it if nothing is left. Returns its last state.
pub(super) fn namespace(tx: &Transaction, object: &Json, now: Moment) -> Result<Json, Failure> {
    let mut left = Vec::new();
    for (key, inner) in tx.contents(name(object))? {
        if !is_held(&inner) {
            tx.remove(&key, &inner)?;
            continue;
        }
        let mut last = marked(&inner, now);
        if last != inner {
            tx.put(&key, &mut last)?;
        }
        left.push((key, last));
    }
    let mut last = object.clone();
    let status = child(&mut last, "status");
    status.insert("phase".into(), "Terminating".into());
    status.insert("conditions".into(), conditions(object, &left, now));
    if left.is_empty() {
        child(&mut last, "spec").remove("finalizers");
    }
    if left.is_empty() && !is_held(object) {
        tx.remove(NAMESPACES, object)?;
        lifecycle::release(tx, object, Propagation::Background, now)?;
    } else if last != *object || tx.get(NAMESPACES, "", name(object))?.as_ref() != Some(&last) {
        tx.put(NAMESPACES, &mut last)?;
    }
    Ok(last)
}

/// Returns the conditions of a namespace that is being deleted (`pkg/controller/namespace/deletion`).
fn conditions(before: &Json, left: &[(String, Json)], now: Moment) -> Json {
    let mut resources: BTreeMap<&str, usize> = BTreeMap::new();
    let mut finalizers: BTreeMap<&str, usize> = BTreeMap::new();
    for (key, object) in left {
        *resources.entry(key).or_default() += 1;
        for finalizer in items(object, "/metadata/finalizers").iter() {
            *finalizers
                .entry(finalizer.as_str().unwrap_or_default())
                .or_default() += 1;
        }
    }
    let listed = |counts: &BTreeMap<&str, usize>, what: &str| {
        let each =
            |(name, count): (&&str, &usize)| format!("{name}{what} {count} resource instances");
        counts.iter().map(each).collect::<Vec<_>>().join(", ")
    };
    let remaining = if left.is_empty() {
        (
            false,
            "ContentRemoved",
            "All content successfully removed".to_owned(),
        )
    } else {
        let all = listed(&resources, ". has");
        (
            true,
            "SomeResourcesRemain",
            format!("Some resources are remaining: {all}"),
        )
    };
    let waiting = if left.is_empty() {
        (
            false,
            "ContentHasNoFinalizers",
            "All content-preserving finalizers finished".to_owned(),
        )
    } else {
        let all = listed(&finalizers, " in");
        let message = format!("Some content in the namespace has finalizers remaining: {all}");
        (true, "SomeFinalizersRemain", message)
    };
    let deleted = (
        false,
        "ContentDeleted",
        "All content successfully deleted, may be waiting on finalization".to_owned(),
    );
    let condition = |kind: &str, (status, reason, message): (bool, &str, String)| {
        let status = if status { "True" } else { "False" };
        let all = items(before, "/status/conditions").iter();
        let known = all
            .into_iter()
            .find(|one| one["type"] == kind && one["status"] == status);
        let since = known.map_or_else(
            || timestamp(now).into(),
            |one| one["lastTransitionTime"].clone(),
        );
        json!({
            "type": kind, "status": status, "reason": reason, "message": message,
            "lastTransitionTime": since,
        })
    };
    json!([
        condition("NamespaceDeletionContentFailure", deleted),
        condition("NamespaceContentRemaining", remaining),
        condition("NamespaceFinalizersRemaining", waiting),
    ])
}

/// Deletes the objects of a definition that is being deleted, and removes it if none is left. Returns its last state.
pub(super) fn definition(tx: &Transaction, object: &Json, now: Moment) -> Result<Json, Failure> {
    // The objects are stored under the name of their definition.
    let key = name(object);
    for inner in tx.list(key, None)? {
        if is_held(&inner) {
            let mut last = marked(&inner, now);
            if last != inner {
                tx.put(key, &mut last)?;
            }
            continue;
        }
        tx.remove(key, &inner)?;
        lifecycle::release(tx, &inner, Propagation::Background, now)?;
    }
    let mut last = object.clone();
    let mut finalizers = items(object, "/metadata/finalizers").to_vec();
    finalizers.retain(|finalizer| finalizer != CLEANUP);
    if !tx.list(key, None)?.is_empty() {
        finalizers.push(CLEANUP.into());
        set_terminating(&mut last, now);
    }
    let is_over = finalizers.is_empty();
    metadata(&mut last).insert("finalizers".into(), finalizers.into());
    if is_over {
        metadata(&mut last).remove("finalizers");
        tx.remove(DEFINITIONS, object)?;
        lifecycle::release(tx, object, Propagation::Background, now)?;
    } else if tx.get(DEFINITIONS, "", key)?.as_ref() != Some(&last) {
        tx.put(DEFINITIONS, &mut last)?;
    }
    Ok(last)
}

fn set_terminating(definition: &mut Json, now: Moment) {
    let mut conditions = items(definition, "/status/conditions").to_vec();
    if conditions.iter().any(|one| one["type"] == "Terminating") {
        return;
    }
    conditions.push(json!({
        "type": "Terminating",
        "status": "True",
        "reason": "InstanceDeletionInProgress",
        "message": "CustomResource deletion is in progress",
        "lastTransitionTime": timestamp(now),
    }));
    child(definition, "status").insert("conditions".into(), conditions.into());
}
