use serde_json::{Value as Json, json};

use super::{Call, page, select::Selectors};
use crate::{
    object::metadata,
    resource::Resource,
    wire::{Answer, Failure, Shape, table},
};

pub(super) fn get(call: &Call) -> Result<Answer, Failure> {
    let resource = &call.resource;
    let object = call.service.store.read(|tx| {
        let found = tx.get(&resource.key(), call.namespace(), call.name())?;
        found.ok_or_else(|| Failure::not_found(resource, call.name()))
    })?;
    Ok(Answer::Object(200, shaped(call, object)))
}

pub(super) fn list(call: &Call) -> Result<Answer, Failure> {
    let resource = &call.resource;
    let selectors = Selectors::read(&call.query, resource)?;
    let namespace = call.target.namespace.as_deref();
    let page = call
        .service
        .store
        .read(|tx| page::read(tx, resource, namespace, &selectors, &call.query))?;
    let mut meta = json!({ "resourceVersion": page.version.to_string() });
    if let Some(token) = page.next {
        meta["continue"] = token.into();
        // With a selector, the number of remaining objects is not known.
        if selectors.is_empty() {
            meta["remainingItemCount"] = page.left.into();
        }
    }
    let object = match call.accept.shape {
        Shape::Table => table(resource, &page.items, true, meta),
        Shape::Metadata => {
            let items: Vec<_> = page.items.into_iter().map(partial).collect();
            json!({
                "kind": "PartialObjectMetadataList",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": meta,
                "items": items,
            })
        }
        // Items of a built-in list omit their kind.
        Shape::Whole => json!({
            "kind": format!("{}List", resource.kind),
            "apiVersion": resource.api_version(),
            "metadata": meta,
            "items": page.items.into_iter().map(|item| bare(resource, item)).collect::<Vec<_>>(),
        }),
    };
    Ok(Answer::Object(200, object))
}

fn bare(resource: &Resource, item: Json) -> Json {
    let mut item = in_version(resource, item);
    if resource.custom.is_none()
        && let Some(map) = item.as_object_mut()
    {
        map.remove("kind");
        map.remove("apiVersion");
    }
    item
}

/// Returns a stored object in the version of a request: custom objects are converted by their `apiVersion` alone, as with the strategy
/// `None`.
pub(super) fn in_version(resource: &Resource, mut object: Json) -> Json {
    if resource.custom.is_some() {
        object["apiVersion"] = resource.api_version().into();
    }
    object
}

/// Returns an object in the representation that the client requested.
pub(super) fn shaped(call: &Call, object: Json) -> Json {
    match call.accept.shape {
        Shape::Whole => in_version(&call.resource, object),
        Shape::Metadata => partial(object),
        Shape::Table => {
            let version = object["metadata"]["resourceVersion"].clone();
            let meta = json!({ "resourceVersion": version });
            table(&call.resource, &[object], true, meta)
        }
    }
}

/// Reduces an object to its metadata.
pub(crate) fn partial(mut object: Json) -> Json {
    let metadata = Json::Object(std::mem::take(metadata(&mut object)));
    json!({ "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata })
}
