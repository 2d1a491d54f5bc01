use serde_json::{Value as Json, json};

use super::{
    Call, body,
    finish::{Owner, finish, stale},
    intake::{check_kind, decoded, refuse_untyped, set_kind, set_namespace},
    read::{in_version, shaped},
};
use crate::{
    access::{Attributes, may},
    merge::{self, Manager, PatchKind},
    object::{self, metadata, name, namespace, text},
    schema::decode,
    store::Transaction,
    wire::{Answer, Cause, Failure, Verb},
};

pub(super) fn create(call: &Call) -> Result<Answer, Failure> {
    if call.target.name.is_some() {
        return Err(Failure::method_not_allowed());
    }
    let (mut object, warnings, dry_run) = received(call)?;
    if text(&object, "/metadata/resourceVersion").is_some_and(|version| !version.is_empty()) {
        return Err(Failure::versioned());
    }
    if name(&object).is_empty()
        && let Some(prefix) = text(&object, "/metadata/generateName")
    {
        let generated = format!("{prefix}{}", object::suffix());
        metadata(&mut object).insert("name".into(), generated.into());
    }
    let object = call.service.write(|tx| {
        let key = call.resource.key();
        if !name(&object).is_empty() && tx.get(&key, namespace(&object), name(&object))?.is_some() {
            return Err(Failure::already_exists(&call.resource, name(&object)));
        }
        let manager = manager(call, false);
        finish(call, tx, None, object, Owner::Update(&manager), dry_run)
    })?;
    Ok(Answer::Warned(201, shaped(call, object), warnings))
}

/// Returns the object that a request carries, what there is to warn of, and whether nothing is to be stored.
fn received(call: &Call) -> Result<(Json, Vec<String>, bool), Failure> {
    let mut sent = body::read(call)?;
    set_kind(&call.resource, &mut sent);
    check_kind(&call.resource, &sent)?;
    let (mut object, warnings) = decoded(call, sent, None)?;
    let dry_run = call.is_dry_run()?;
    set_namespace(call, &mut object)?;
    Ok((object, warnings, dry_run))
}

fn refuse_other_name(call: &Call, object: &Json) -> Result<(), Failure> {
    if name(object) == call.name() {
        return Ok(());
    }
    Err(Failure::bad_request(format!(
        "the name of the object ({}) does not match the name on the URL ({})",
        name(object),
        call.name()
    )))
}

pub(super) fn update(call: &Call) -> Result<Answer, Failure> {
    let (object, warnings, dry_run) = received(call)?;
    refuse_other_name(call, &object)?;
    let object = call.service.write(|tx| {
        let before = existing(call, tx)?;
        if call.resource.custom.is_some() && text(&object, "/metadata/resourceVersion").is_none() {
            let cause = Cause::invalid(
                "metadata.resourceVersion",
                &json!(0),
                "must be specified for an update",
            );
            return Err(Failure::invalid(&call.resource, call.name(), &[cause]));
        }
        let manager = manager(call, false);
        let owner = Owner::Update(&manager);
        finish(call, tx, Some(&before), object, owner, dry_run)
    })?;
    Ok(Answer::Warned(200, shaped(call, object), warnings))
}

pub(super) fn patch(call: &Call) -> Result<Answer, Failure> {
    let resource = &call.resource;
    let kind = PatchKind::of(call.incoming.media_type(), resource.custom.is_some())?;
    if kind == PatchKind::Apply {
        return apply(call);
    }
    if call.query.get("force").is_some() {
        return Err(Failure::bad_options(
            "PatchOptions",
            "force: Forbidden: may not be specified for non-apply patch",
        ));
    }
    let patch = body::json(&call.incoming.body)?;
    let dry_run = call.is_dry_run()?;
    let (object, warnings) = call.service.write(|tx| {
        let before = existing(call, tx)?;
        let mut object = before.clone();
        match kind {
            PatchKind::Json => merge::json_patch(&mut object, &patch)?,
            PatchKind::Strategic => merge::strategic(resource.schema(), &mut object, &patch)?,
            PatchKind::Merge | PatchKind::Apply => merge::merge_patch(&mut object, &patch)?,
        }
        check_kind(resource, &object)?;
        let (mut object, warnings) = decoded(call, object, Some(&patch))?;
        set_namespace(call, &mut object)?;
        refuse_other_name(call, &object)?;
        let manager = manager(call, false);
        let owner = Owner::Update(&manager);
        let object = finish(call, tx, Some(&before), object, owner, dry_run)?;
        Ok((object, warnings))
    })?;
    Ok(Answer::Warned(200, shaped(call, object), warnings))
}

fn apply(call: &Call) -> Result<Answer, Failure> {
    let resource = &call.resource;
    if call.query.get("fieldManager").is_none() {
        return Err(Failure::bad_options(
            "PatchOptions",
            "fieldManager: Required value: is required for apply patch",
        ));
    }
    let mut config = body::yaml(&call.incoming.body)?;
    check_kind(resource, &config)?;
    if !object::items(&config, "/metadata/managedFields").is_empty() {
        return Err(Failure::bad_request("metadata.managedFields must be nil"));
    }
    set_namespace(call, &mut config)?;
    refuse_other_name(call, &config)?;
    refuse_untyped(call, &config)?;
    let dry_run = call.is_dry_run()?;
    let force = call.query.flag("force");
    let manager = manager(call, true);
    let (object, code) = call.service.write(|tx| {
        let before = tx.get(&resource.key(), call.namespace(), call.name())?;
        let before = before.map(|before| in_version(resource, before));
        let code = if before.is_some() { 200 } else { 201 };
        if before.is_none() {
            if call.target.subresource.is_some() {
                return Err(Failure::not_found(resource, call.name()));
            }
            authorize_create(call, tx)?;
        }
        let live = before.clone().unwrap_or_else(|| {
            json!({ "apiVersion": config["apiVersion"], "kind": config["kind"], "metadata": {} })
        });
        if let (Some(asked), Some(before)) = (text(&config, "/metadata/resourceVersion"), &before)
            && Some(asked) != text(before, "/metadata/resourceVersion")
        {
            return Err(stale(resource, call.name()));
        }
        let schema = resource.schema();
        let object = merge::apply(schema, &live, &config, &manager, force, call.now())?;
        let object = decode(schema, object, &resource.kind, resource.custom.is_some()).object;
        let object = finish(call, tx, before.as_ref(), object, Owner::Applied, dry_run)?;
        Ok((object, code))
    })?;
    Ok(Answer::Object(code, shaped(call, object)))
}

/// Refuses to create an object by an apply for a user who may only patch: the API server checks both (apiserver
/// `handlers/patch.go`, `withAuthorization`).
fn authorize_create(call: &Call, tx: &Transaction) -> Result<(), Failure> {
    let resource = match &call.target.subresource {
        Some(subresource) => format!("{}/{subresource}", call.target.resource),
        None => call.target.resource.clone(),
    };
    // As for the request itself: that for a namespace is checked within it.
    let is_namespace = call.target.group.is_empty() && call.target.resource == "namespaces";
    let wanted = Attributes {
        verb: Verb::Create.as_str(),
        group: &call.target.group,
        resource: &resource,
        namespace: if is_namespace {
            call.name()
        } else {
            call.namespace()
        },
        name: call.name(),
    };
    if may(tx, &call.user, &wanted)? {
        Ok(())
    } else {
        let namespace = call.target.namespace.as_deref();
        Err(Failure::denied(&call.user.name, &wanted, namespace))
    }
}

/// Stores an object of which only the number of replicas changed.
pub(super) fn rescaled(
    call: &Call,
    tx: &Transaction,
    before: &Json,
    object: Json,
    dry_run: bool,
) -> Result<Json, Failure> {
    let manager = manager(call, false);
    finish(
        call,
        tx,
        Some(before),
        object,
        Owner::Update(&manager),
        dry_run,
    )
}

fn manager(call: &Call, applies: bool) -> Manager {
    Manager {
        name: call.manager_name(),
        applies,
        api_version: call.resource.api_version(),
        subresource: call.target.subresource.clone().unwrap_or_default(),
    }
}

fn existing(call: &Call, tx: &Transaction) -> Result<Json, Failure> {
    let found = tx.get(&call.resource.key(), call.namespace(), call.name())?;
    found
        .map(|found| in_version(&call.resource, found))
        .ok_or_else(|| Failure::not_found(&call.resource, call.name()))
}
