//! Objects as rows of a table, which `kubectl get` requests (meta/v1 Table).

use serde_json::{Value as Json, json};

use super::cells::{Column, cells, columns};
use crate::{object::now, resource::Resource};

/// Returns a table of objects.
pub(crate) fn table(resource: &Resource, objects: &[Json], with_columns: bool, meta: Json) -> Json {
    let columns = columns(resource);
    let now = now();
    let rows: Vec<_> = objects
        .iter()
        .map(|object| {
            let metadata = &object["metadata"];
            json!({
                "cells": cells(resource, object, now),
                "object": {
                    "kind": "PartialObjectMetadata",
                    "apiVersion": "meta.k8s.io/v1",
                    "metadata": metadata,
                },
            })
        })
        .collect();
    let definitions: Vec<_> = columns.iter().map(Column::definition).collect();
    json!({
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": meta,
        "columnDefinitions": if with_columns { json!(definitions) } else { Json::Null },
        "rows": rows,
    })
}
