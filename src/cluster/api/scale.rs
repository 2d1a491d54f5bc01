use serde_json::{Value as Json, json};

use super::{Call, body, write};
use crate::{
    merge::{self, PatchKind},
    object::{number, text},
    schema::{Decoded, Schema, decode},
    wire::{Answer, Failure, Verb},
};

/// Reads or sets the number of replicas alone (autoscaling/v1 Scale).
pub(super) fn answer(call: &Call) -> Result<Answer, Failure> {
    let found = |tx: &crate::store::Transaction| {
        tx.get(&call.resource.key(), call.namespace(), call.name())?
            .ok_or_else(|| Failure::not_found(&call.resource, call.name()))
    };
    if call.verb == Verb::Get {
        let object = call.service.store.read(found)?;
        return Ok(Answer::Object(200, scale(&object)));
    }
    let dry_run = call.is_dry_run()?;
    let object = call.service.write(|tx| {
        let before = found(tx)?;
        let wanted = match call.verb {
            Verb::Update => typed(body::read(call)?)?,
            Verb::Patch => typed(patched(call, &before)?)?,
            _ => return Err(Failure::method_not_allowed()),
        };
        let mut object = before.clone();
        let replicas = number(&wanted, "/spec/replicas").unwrap_or_default();
        object["spec"]["replicas"] = replicas.into();
        if let Some(version) = text(&wanted, "/metadata/resourceVersion") {
            object["metadata"]["resourceVersion"] = version.into();
        }
        write::rescaled(call, tx, &before, object, dry_run)
    })?;
    Ok(Answer::Object(200, scale(&object)))
}

fn patched(call: &Call, before: &Json) -> Result<Json, Failure> {
    let mut wanted = scale(before);
    let patch = body::json(&call.incoming.body)?;
    match PatchKind::of(call.incoming.media_type(), false)? {
        PatchKind::Json => merge::json_patch(&mut wanted, &patch)?,
        PatchKind::Merge => merge::merge_patch(&mut wanted, &patch)?,
        PatchKind::Strategic => {
            merge::strategic(
                Schema::built_in("autoscaling", "Scale"),
                &mut wanted,
                &patch,
            )?;
        }
        PatchKind::Apply => {
            return Err(Failure::unsupported_media_type(&[
                "application/json-patch+json",
                "application/merge-patch+json",
                "application/strategic-merge-patch+json",
            ]));
        }
    }
    Ok(wanted)
}

/// Refuses values of other types than those of a Scale.
fn typed(wanted: Json) -> Result<Json, Failure> {
    let schema = Schema::built_in("autoscaling", "Scale");
    let Decoded {
        object, mismatch, ..
    } = decode(schema, wanted, "Scale", false);
    match mismatch {
        None => Ok(object),
        Some(why) => Err(Failure::bad_request(format!(
            "Scale in version \"v1\" cannot be handled as a Scale: {why}"
        ))),
    }
}

fn scale(object: &Json) -> Json {
    let labels = object["spec"]["selector"]["matchLabels"].as_object();
    let selector: Vec<_> = labels
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    let metadata = &object["metadata"];
    json!({
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"],
            "creationTimestamp": metadata["creationTimestamp"],
        },
        "spec": { "replicas": object["spec"]["replicas"] },
        "status": {
            "replicas": number(object, "/status/replicas").unwrap_or_default(),
            "selector": selector.join(","),
        },
    })
}
