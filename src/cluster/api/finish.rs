use serde_json::Value as Json;

use super::{Call, check, defaults, identity, lifecycle};
use crate::{
    merge::{self, Manager, without_times},
    object::{Moment, metadata, name, namespace, text},
    resource::Resource,
    schema::check_custom,
    store::Transaction,
    wire::Failure,
};

/// How the ownership of fields is recorded.
pub(super) enum Owner<'a> {
    Update(&'a Manager),
    /// It was recorded when the configuration was merged.
    Applied,
}

pub(super) fn stale(resource: &Resource, name: &str) -> Failure {
    Failure::conflict(
        resource,
        name,
        "the object has been modified; please apply your changes to the latest version and try again",
    )
}

/// Completes every write: sets the fields that the server controls, validates, records the ownership of fields, and stores
/// the object.
pub(super) fn finish(
    call: &Call,
    tx: &Transaction,
    before: Option<&Json>,
    mut object: Json,
    owner: Owner,
    dry_run: bool,
) -> Result<Json, Failure> {
    let (resource, now) = (&call.resource, call.now());
    if let Some(before) = before {
        check_preconditions(resource, before, &object)?;
        object = match call.target.subresource.as_deref() {
            Some("status") => with_status_of(before, object),
            _ => object,
        };
    } else {
        lifecycle::check_place(tx, resource, &object)?;
    }
    let whole = call.target.subresource.as_deref() != Some("status");
    identity::carry_over(resource, before, &mut object, whole, now);
    defaults::set(resource, &mut object, now);
    let causes = match before {
        Some(before) => check::update(resource, before, &object),
        None => check::create(resource, &object),
    };
    let mut causes = causes;
    if resource.custom.is_some() {
        causes.extend(check_custom(resource.schema(), &object));
    }
    if !causes.is_empty() {
        return Err(Failure::invalid(resource, name(&object), &causes));
    }
    if let Owner::Update(manager) = owner {
        let skeleton = defaults::skeleton(resource);
        merge::track(
            resource.schema(),
            before.unwrap_or(&skeleton),
            &mut object,
            manager,
            now,
        );
    }
    if let Some(before) = before {
        identity::set_generation(resource, before, &mut object);
        if without_times(before) == without_times(&object) {
            return Ok(before.clone());
        }
    }
    if dry_run {
        return Ok(object);
    }
    lifecycle::keep(tx, resource, before, &mut object, now)?;
    Ok(object)
}

fn check_preconditions(resource: &Resource, before: &Json, object: &Json) -> Result<(), Failure> {
    let of = |object, field| text(object, field).filter(|text| !text.is_empty());
    let version = "/metadata/resourceVersion";
    if of(object, version).is_some_and(|asked| Some(asked) != text(before, version)) {
        return Err(stale(resource, name(before)));
    }
    let uid = "/metadata/uid";
    match (of(object, uid), text(before, uid)) {
        (Some(asked), Some(is)) if asked != is => Err(Failure::conflict(
            resource,
            name(before),
            &format!("Precondition failed: UID in precondition: {asked}, UID in object meta: {is}"),
        )),
        _ => Ok(()),
    }
}

/// Keeps everything but the status as it was, for a write through `status`.
fn with_status_of(before: &Json, object: Json) -> Json {
    let mut kept = before.clone();
    kept["status"] = object["status"].clone();
    if let Some(entries) = object.pointer("/metadata/managedFields") {
        metadata(&mut kept).insert("managedFields".into(), entries.clone());
    }
    kept
}

/// Stores an object of a new cluster, as if it had been created at `at`.
pub(crate) fn seed(
    tx: &Transaction,
    resource: &Resource,
    object: Json,
    at: Moment,
) -> Result<(), Failure> {
    install(tx, resource, None, object, "helm", at)
}

/// Stores an object with its status, as a component of the cluster does. Writes nothing if the object would not change, or if
/// its namespace is being deleted.
pub(crate) fn install(
    tx: &Transaction,
    resource: &Resource,
    before: Option<&Json>,
    mut object: Json,
    manager: &str,
    at: Moment,
) -> Result<(), Failure> {
    // As with any other client, nothing new comes into a namespace that is being deleted.
    if before.is_none() && lifecycle::is_closed(tx, namespace(&object))? {
        return Ok(());
    }
    let status = object.get("status").cloned();
    identity::carry_over(resource, before, &mut object, true, at);
    if let Some(status) = status {
        object["status"] = status;
    }
    defaults::set(resource, &mut object, at);
    let manager = Manager {
        name: manager.into(),
        applies: false,
        api_version: resource.api_version(),
        subresource: String::new(),
    };
    let skeleton = defaults::skeleton(resource);
    merge::track(
        resource.schema(),
        before.unwrap_or(&skeleton),
        &mut object,
        &manager,
        at,
    );
    if let Some(before) = before {
        identity::set_generation(resource, before, &mut object);
        if without_times(before) == without_times(&object) {
            return Ok(());
        }
    }
    lifecycle::keep(tx, resource, before, &mut object, at)
}
