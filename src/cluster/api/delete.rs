use serde_json::{Value as Json, json};

use super::{
    Call, body,
    lifecycle::{self, Propagation},
    read::shaped,
    select::Selectors,
};
use crate::{
    object::{name, text, uid},
    wire::{Answer, Failure, Query},
};

/// The namespaces that can't be deleted.
const PERMANENT: [&str; 3] = ["default", "kube-public", "kube-system"];

pub(super) fn delete(call: &Call) -> Result<Answer, Failure> {
    let resource = &call.resource;
    let options = options(call)?;
    let dry_run = is_dry_run(call, &options)?;
    let propagation = propagation(&options, &call.query)?;
    let object = call.service.write(|tx| {
        let found = tx.get(&resource.key(), call.namespace(), call.name())?;
        let object = found.ok_or_else(|| Failure::not_found(resource, call.name()))?;
        check_preconditions(call, &object, &options)?;
        if resource.key() == "namespaces" && PERMANENT.contains(&call.name()) {
            let why = "this namespace may not be deleted";
            return Err(Failure::forbidden(resource, call.name(), why));
        }
        if dry_run {
            return Ok(object);
        }
        lifecycle::delete(tx, &resource.key(), &object, propagation, call.now())
    })?;
    // An object whose deletion takes time is returned; an object that is gone is answered with a `Status`.
    let lingers = matches!(resource.key().as_str(), "namespaces" | "pods");
    if lingers || lifecycle::is_held(&object) {
        return Ok(Answer::Object(200, shaped(call, object)));
    }
    let mut details =
        json!({ "name": name(&object), "kind": resource.plural, "uid": uid(&object) });
    if !resource.group.is_empty() {
        details["group"] = resource.group.as_str().into();
    }
    let status = json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": details,
    });
    Ok(Answer::Object(200, status))
}

pub(super) fn delete_all(call: &Call) -> Result<Answer, Failure> {
    let resource = &call.resource;
    let options = options(call)?;
    let dry_run = is_dry_run(call, &options)?;
    let propagation = propagation(&options, &call.query)?;
    let selectors = Selectors::read(&call.query, resource)?;
    let items = call.service.write(|tx| {
        let mut gone = Vec::new();
        for object in tx.list(&resource.key(), call.target.namespace.as_deref())? {
            if selectors.matches(&object) {
                if !dry_run {
                    lifecycle::delete(tx, &resource.key(), &object, propagation, call.now())?;
                }
                gone.push(object);
            }
        }
        Ok(gone)
    })?;
    let list = json!({
        "kind": format!("{}List", resource.kind),
        "apiVersion": resource.api_version(),
        "metadata": {},
        "items": items,
    });
    Ok(Answer::Object(200, list))
}

/// Reads the `DeleteOptions` from the body, if there are any.
fn options(call: &Call) -> Result<Json, Failure> {
    if call.incoming.body.is_empty() {
        Ok(json!({}))
    } else {
        body::read(call)
    }
}

fn is_dry_run(call: &Call, options: &Json) -> Result<bool, Failure> {
    Ok(call.is_dry_run()? || options["dryRun"] == json!(["All"]))
}

fn propagation(options: &Json, query: &Query) -> Result<Propagation, Failure> {
    let asked = text(options, "/propagationPolicy").or_else(|| query.get("propagationPolicy"));
    match asked {
        None | Some("Background" | "Foreground") => Ok(if options["orphanDependents"] == true {
            Propagation::Orphan
        } else {
            Propagation::Background
        }),
        Some("Orphan") => Ok(Propagation::Orphan),
        Some(other) => Err(Failure::bad_options(
            "DeleteOptions",
            &format!(
                "propagationPolicy: Unsupported value: {other:?}: supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\""
            ),
        )),
    }
}

pub(super) fn check_preconditions(
    call: &Call,
    object: &Json,
    options: &Json,
) -> Result<(), Failure> {
    let pairs = [
        ("UID", "/preconditions/uid", "/metadata/uid"),
        (
            "ResourceVersion",
            "/preconditions/resourceVersion",
            "/metadata/resourceVersion",
        ),
    ];
    for (what, asked, is) in pairs {
        let (asked, is) = (text(options, asked), text(object, is).unwrap_or_default());
        if let Some(asked) = asked.filter(|asked| *asked != is) {
            let why = format!(
                "Precondition failed: {what} in precondition: {asked}, {what} in object meta: {is}"
            );
            return Err(Failure::conflict(&call.resource, call.name(), &why));
        }
    }
    Ok(())
}
