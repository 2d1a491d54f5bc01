//! The server answers any input, and a repeated apply changes nothing.

use proptest::prelude::*;
use serde_json::{Map, Value as Json, json};

use super::lab::{contract, version, workload};
use crate::harness::runner;

/// Generates JSON with many of the words that have a meaning for the server.
fn document() -> impl Strategy<Value = Json> {
    let word = prop_oneof![
        4 => prop::sample::select(vec![
            "metadata", "labels", "annotations", "finalizers", "managedFields", "ownerReferences",
            "spec", "template", "containers", "name", "image", "env", "ports", "replicas",
            "strategy", "selector", "$patch", "$retainKeys", "$setElementOrder/containers",
            "$deleteFromPrimitiveList/finalizers", "fieldsV1", "manager", "operation", "status",
        ])
        .prop_map(str::to_owned),
        1 => "[a-z]{1,4}",
    ];
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i32>().prop_map(Json::from),
        prop::sample::select(vec![
            "delete", "replace", "merge", "main", "", "f:spec", "Update"
        ])
        .prop_map(Json::from),
        "[a-z]{0,4}".prop_map(Json::from),
    ];
    leaf.prop_recursive(6, 40, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::Array),
            prop::collection::btree_map(word.clone(), inner, 0..5)
                .prop_map(|map| Json::Object(map.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// Blocks within proptest's closure, which is not async.
fn blocking<T>(work: impl Future<Output = T>) -> T {
    tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(work))
}

#[test]
fn no_patch_is_an_internal_error() {
    contract(|api| async move {
        if !api.is_rehearsal {
            return;
        }
        let object = workload("Deployment", "a", json!({ "replicas": 0 }));
        api.create("deployments", &object).await;
        let path = api.path("deployments/a");
        let kind = 0..3u8;
        let done = runner(150).run(&(kind, document(), document()), |(kind, patch, inner)| {
            let patch = match patch {
                Json::Object(_) => patch,
                other => json!({ "spec": { "template": { "spec": inner } }, "metadata": other }),
            };
            let (status, answer) = blocking(async {
                match kind {
                    0 => api.merge(&path, &patch).await,
                    1 => api.strategic(&path, &patch).await,
                    _ => {
                        let operations = json!([{ "op": "add", "path": "/spec", "value": patch }]);
                        api.json_patch(&path, &operations).await
                    }
                }
            });
            prop_assert_ne!(status, 500, "{}", answer);
            Ok(())
        });
        done.unwrap();
        let (status, _) = api.get(&path).await;
        assert!(status == 200 || status == 404);
    });
}

#[test]
fn a_repeated_apply_changes_nothing() {
    contract(|api| async move {
        let part = (
            prop::collection::btree_map("[a-c]", "[x-z]{1,2}", 0..3),
            prop::collection::btree_map("[a-c]", "[x-z]{1,2}", 0..3),
            prop::collection::btree_map(
                "[a-c]",
                prop::collection::btree_map("[A-C]", "[0-9]", 0..3),
                0..3,
            ),
        );
        let parts = prop::collection::vec((part, any::<bool>()), 1..4);
        let path = api.path("deployments/a");
        let done = runner(if api.is_rehearsal { 40 } else { 5 }).run(&parts, |parts| {
            blocking(async {
                for ((labels, annotations, containers), second) in parts {
                    let mut config = workload("Deployment", "a", json!({ "replicas": 0 }));
                    config["metadata"]["labels"] = json!(labels);
                    config["metadata"]["annotations"] = json!(annotations);
                    let list = config["spec"]["template"]["spec"]["containers"]
                        .as_array_mut()
                        .unwrap();
                    for (name, variables) in containers {
                        let env: Vec<_> = variables
                            .into_iter()
                            .map(|(name, value)| json!({ "name": name, "value": value }))
                            .collect();
                        list.push(json!({ "name": name, "image": "x:1", "env": env }));
                    }
                    let manager = if second { "two" } else { "one" };
                    let (status, _) = api.force(&path, manager, &config).await;
                    assert!(status == 200 || status == 201, "{status}");
                    // Controllers may write in between, so the second apply is compared with the state before it.
                    let (_, once) = api.force(&path, manager, &config).await;
                    let (_, twice) = api.force(&path, manager, &config).await;
                    let stable = |object: &Json| {
                        (
                            object["spec"].clone(),
                            object["metadata"]["managedFields"].clone(),
                        )
                    };
                    if api.is_rehearsal {
                        assert_eq!(stable(&once), stable(&twice));
                        assert_eq!(version(&once), version(&twice));
                    }
                }
            });
            blocking(api.delete(&path));
            Ok(())
        });
        done.unwrap();
    });
}
