//! JSON, merge and strategic patches.

use serde_json::{Value as Json, json};

use crate::cluster::lab::{config_map, contract, version, workload};

fn two_containers() -> Json {
    let mut object = workload("Deployment", "a", json!({ "replicas": 0 }));
    object["spec"]["template"]["spec"]["containers"] = json!([
        {
            "name": "main",
            "image": "main:1",
            "env": [{ "name": "A", "value": "1" }, { "name": "B", "value": "2" }],
            "args": ["x", "y"],
        },
        { "name": "side", "image": "side:1" },
    ]);
    object
}

fn containers(object: &Json) -> &Json {
    &object["spec"]["template"]["spec"]["containers"]
}

#[test]
fn a_merge_patch_sets_removes_and_replaces_fields() {
    contract(|api| async move {
        api.create(
            "configmaps",
            &config_map("a", json!({ "a": "1", "b": "2" })),
        )
        .await;
        let path = api.path("configmaps/a");
        let (status, object) = api
            .merge(&path, &json!({ "data": { "a": null, "c": "3" } }))
            .await;
        assert_eq!(
            (status, &object["data"]),
            (200, &json!({ "b": "2", "c": "3" }))
        );
        api.create("deployments", &two_containers()).await;
        let patch = json!({ "spec": { "template": { "spec": { "containers": [
            { "name": "other", "image": "other:1" },
        ] } } } });
        let (_, object) = api.merge(&api.path("deployments/a"), &patch).await;
        assert_eq!(containers(&object).as_array().unwrap().len(), 1);
    });
}

#[test]
fn a_patch_cannot_rename_an_object() {
    contract(|api| async move {
        api.create("configmaps", &config_map("a", json!({}))).await;
        let patch = json!({ "metadata": { "name": "b" } });
        let (status, answer) = api.merge(&api.path("configmaps/a"), &patch).await;
        assert_eq!(status, 400, "{answer}");
        assert_eq!(api.get(&api.path("configmaps/b")).await.0, 404);
    });
}

#[test]
fn a_patch_with_an_old_version_conflicts() {
    contract(|api| async move {
        let object = api
            .create("configmaps", &config_map("a", json!({ "a": "1" })))
            .await;
        let path = api.path("configmaps/a");
        api.merge(&path, &json!({ "data": { "a": "2" } })).await;
        let old = json!({ "metadata": { "resourceVersion": object["metadata"]["resourceVersion"] }, "data": { "a": "3" } });
        let (status, answer) = api.merge(&path, &old).await;
        assert_eq!((status, &answer["reason"]), (409, &json!("Conflict")));
    });
}

#[test]
fn a_json_patch_applies_all_its_operations_or_none() {
    contract(|api| async move {
        let before = api
            .create("configmaps", &config_map("a", json!({ "a": "1" })))
            .await;
        let path = api.path("configmaps/a");
        let failing = json!([
            { "op": "replace", "path": "/data/a", "value": "2" },
            { "op": "test", "path": "/data/a", "value": "1" },
        ]);
        let (status, answer) = api.json_patch(&path, &failing).await;
        assert_eq!(status, 422, "{answer}");
        let (_, object) = api.get(&path).await;
        assert_eq!(version(&object), version(&before));
        let patch = json!([
            { "op": "test", "path": "/data/a", "value": "1" },
            { "op": "add", "path": "/metadata/annotations", "value": { "x/y": "z" } },
            { "op": "move", "from": "/data/a", "path": "/data/b" },
        ]);
        let (status, object) = api.json_patch(&path, &patch).await;
        assert_eq!((status, &object["data"]), (200, &json!({ "b": "1" })));
        assert_eq!(object["metadata"]["annotations"]["x/y"], "z");
    });
}

#[test]
fn a_strategic_patch_merges_lists_by_their_keys() {
    contract(|api| async move {
        api.create("deployments", &two_containers()).await;
        let path = api.path("deployments/a");
        let patch = json!({ "spec": { "template": {
            "metadata": { "annotations": { "kubectl.kubernetes.io/restartedAt": "now" } },
            "spec": { "containers": [{
                "name": "main",
                "image": "main:2",
                "env": [{ "name": "B", "$patch": "delete" }, { "name": "C", "value": "3" }],
                "args": ["z"],
            }] },
        } } });
        let (status, object) = api.strategic(&path, &patch).await;
        assert_eq!(status, 200, "{object}");
        let template = &object["spec"]["template"];
        assert_eq!(
            template["metadata"]["annotations"]["kubectl.kubernetes.io/restartedAt"],
            "now"
        );
        assert_eq!(template["metadata"]["labels"]["app"], "a");
        let main = &containers(&object)[0];
        assert_eq!(main["image"], "main:2");
        assert_eq!(
            main["env"],
            // A new item comes first.
            json!([{ "name": "C", "value": "3" }, { "name": "A", "value": "1" }])
        );
        assert_eq!(main["args"], json!(["z"]));
        assert_eq!(containers(&object)[1]["image"], "side:1");
    });
}

#[test]
fn a_strategic_patch_follows_its_directives() {
    contract(|api| async move {
        let mut object = two_containers();
        object["metadata"]["finalizers"] = json!(["windlass.dev/a", "windlass.dev/b"]);
        object["spec"]["template"]["spec"]["volumes"] = json!([{ "name": "v", "emptyDir": {} }]);
        api.create("deployments", &object).await;
        let path = api.path("deployments/a");
        let patch = json!({
            "metadata": {
                "$deleteFromPrimitiveList/finalizers": ["windlass.dev/a"],
                "$setElementOrder/finalizers": ["windlass.dev/c", "windlass.dev/b"],
                "finalizers": ["windlass.dev/c"],
            },
            "spec": {
                "strategy": { "$retainKeys": ["type"], "type": "Recreate" },
                "template": { "spec": {
                    "$setElementOrder/containers": [{ "name": "side" }, { "name": "main" }],
                    "containers": [{ "name": "main", "env": [{ "$patch": "replace" }, { "name": "Z", "value": "9" }] }],
                    "volumes": [{ "$retainKeys": ["name", "configMap"], "name": "v", "configMap": { "name": "c" } }],
                } },
            },
        });
        let (status, object) = api.strategic(&path, &patch).await;
        assert_eq!(status, 200, "{object}");
        assert_eq!(
            object["metadata"]["finalizers"],
            json!(["windlass.dev/c", "windlass.dev/b"])
        );
        assert_eq!(object["spec"]["strategy"], json!({ "type": "Recreate" }));
        assert_eq!(containers(&object)[0]["name"], "side");
        assert_eq!(
            containers(&object)[1]["env"],
            json!([{ "name": "Z", "value": "9" }])
        );
        let volume = &object["spec"]["template"]["spec"]["volumes"][0];
        assert_eq!(
            (volume.get("emptyDir"), &volume["configMap"]["name"]),
            (None, &json!("c"))
        );
        let patch = json!({ "metadata": { "finalizers": null }, "spec": { "template": { "spec": {
            "containers": [{ "$patch": "delete", "name": "side" }],
        } } } });
        let (_, object) = api.strategic(&path, &patch).await;
        assert_eq!(containers(&object).as_array().unwrap().len(), 1);
        let keyless =
            json!({ "spec": { "template": { "spec": { "containers": [{ "image": "x" }] } } } });
        let (status, answer) = api.strategic(&path, &keyless).await;
        assert!(status >= 400, "{answer}");
    });
}
