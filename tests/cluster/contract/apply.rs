//! Server-side apply.

use serde_json::{Value as Json, json};

use crate::cluster::lab::{config_map, contract, owned, unique, version, workload};

fn without_empty(config: &Json) -> Json {
    let mut config = config.clone();
    config["metadata"]["labels"] = json!({ "from": "apply" });
    config
}

#[test]
fn an_apply_creates_an_object_owns_its_fields_and_can_be_repeated() {
    contract(|api| async move {
        let path = api.path("configmaps/a");
        let config = without_empty(&config_map("a", json!({ "k": "v" })));
        let (status, object) = api.apply(&path, "one", &config).await;
        assert_eq!(status, 201, "{object}");
        let entry = &object["metadata"]["managedFields"][0];
        assert_eq!(
            (&entry["manager"], &entry["operation"]),
            (&json!("one"), &json!("Apply"))
        );
        assert_eq!(entry["fieldsType"], "FieldsV1");
        let fields = owned(&object, "one");
        assert_eq!(fields["f:data"], json!({ "f:k": {} }));
        assert_eq!(
            fields["f:metadata"],
            json!({ "f:labels": { "f:from": {} } })
        );
        let (status, again) = api.apply(&path, "one", &config).await;
        assert_eq!((status, version(&again)), (200, version(&object)));
        let (status, _) = api.apply(&path, "", &config).await;
        assert!(status == 422 || status == 400);
    });
}

#[test]
fn a_field_that_no_manager_applies_any_more_is_removed() {
    contract(|api| async move {
        let path = api.path("configmaps/a");
        api.apply(
            &path,
            "one",
            &config_map("a", json!({ "own": "1", "shared": "2" })),
        )
        .await;
        let (status, _) = api
            .apply(&path, "two", &config_map("a", json!({ "shared": "2" })))
            .await;
        assert_eq!(status, 200);
        let (status, object) = api
            .apply(&path, "one", &config_map("a", json!({ "new": "3" })))
            .await;
        assert_eq!(
            (status, &object["data"]),
            (200, &json!({ "new": "3", "shared": "2" }))
        );
        assert_eq!(owned(&object, "one")["f:data"], json!({ "f:new": {} }));
    });
}

#[test]
fn the_last_applied_metadata_can_be_removed() {
    contract(|api| async move {
        let path = api.path("configmaps/a");
        let config = config_map("a", json!({ "k": "v" }));
        for (field, value) in [
            ("labels", json!({ "a": "b" })),
            ("annotations", json!({ "a": "b" })),
            ("finalizers", json!(["example.com/a"])),
        ] {
            let mut with = config.clone();
            with["metadata"][field] = value.clone();
            let (_, object) = api.apply(&path, "one", &with).await;
            assert_eq!(object["metadata"][field], value, "{object}");
            let (status, object) = api.apply(&path, "one", &config).await;
            assert_eq!((status, &object["metadata"]["name"]), (200, &json!("a")));
            assert_eq!(object["metadata"][field], Json::Null, "{object}");
        }
    });
}

#[test]
fn a_conflict_names_the_manager_and_the_field() {
    contract(|api| async move {
        let path = api.path("configmaps/a");
        api.apply(&path, "one", &config_map("a", json!({ "k": "v" })))
            .await;
        let config = config_map("a", json!({ "k": "w" }));
        let (status, answer) = api.apply(&path, "two", &config).await;
        assert_eq!((status, &answer["reason"]), (409, &json!("Conflict")));
        assert_eq!(
            answer["message"],
            "Apply failed with 1 conflict: conflict with \"one\": .data.k"
        );
        assert_eq!(
            answer["details"]["causes"],
            json!([{
                "reason": "FieldManagerConflict",
                "message": "conflict with \"one\"",
                "field": ".data.k",
            }])
        );
        let (status, object) = api.force(&path, "two", &config).await;
        assert_eq!((status, &object["data"]["k"]), (200, &json!("w")));
        let managers = object["metadata"]["managedFields"].as_array().unwrap();
        assert!(
            managers.iter().all(|entry| entry["manager"] != "one"),
            "{object:#}"
        );
    });
}

#[test]
fn an_update_owns_what_it_changes_and_conflicts_with_the_next_apply() {
    contract(|api| async move {
        let path = api.path("configmaps/a");
        let config = config_map("a", json!({ "k": "v", "l": "v" }));
        api.apply(&path, "one", &config).await;
        let update = format!("{path}?fieldManager=hand");
        let (_, object) = api
            .merge(&update, &json!({ "data": { "k": "w", "l": "w" } }))
            .await;
        assert_eq!(
            owned(&object, "hand")["f:data"],
            json!({ "f:k": {}, "f:l": {} })
        );
        let (status, answer) = api.apply(&path, "one", &config).await;
        assert_eq!(status, 409);
        assert_eq!(
            answer["message"],
            "Apply failed with 2 conflicts: conflicts with \"hand\" using v1:\n- .data.k\n- .data.l"
        );
    });
}

#[test]
fn lists_with_keys_are_owned_by_item_and_others_as_a_whole() {
    contract(|api| async move {
        let path = api.path("deployments/a");
        let base = workload("Deployment", "a", json!({ "replicas": 0 }));
        let (status, object) = api.apply(&path, "one", &base).await;
        assert_eq!(status, 201, "{object}");
        let containers = &owned(&object, "one")["f:spec"]["f:template"]["f:spec"]["f:containers"];
        assert_eq!(
            containers["k:{\"name\":\"main\"}"],
            json!({ ".": {}, "f:image": {}, "f:name": {} })
        );
        assert_eq!(owned(&object, "one")["f:spec"]["f:selector"], json!({}));

        let side = json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": { "name": "a" },
            "spec": { "template": { "spec": { "containers": [{
                "name": "side",
                "image": "side:1",
                "args": ["x"],
                "ports": [{ "containerPort": 80 }],
            }] } } },
        });
        let (status, object) = api.apply(&path, "two", &side).await;
        assert_eq!(status, 200, "{object}");
        let items = object["spec"]["template"]["spec"]["containers"]
            .as_array()
            .unwrap();
        assert_eq!(items.len(), 2);
        let own = &owned(&object, "two")["f:spec"]["f:template"]["f:spec"]["f:containers"]["k:{\"name\":\"side\"}"];
        assert_eq!(own["f:args"], json!({}));
        assert_eq!(
            own["f:ports"],
            json!({
                "k:{\"containerPort\":80,\"protocol\":\"TCP\"}": { ".": {}, "f:containerPort": {} },
            })
        );
        let mut wrong = base.clone();
        wrong["spec"]["template"]["spec"]["containers"][0] =
            json!({ "name": "side", "image": "side:2" });
        let (status, answer) = api.apply(&path, "one", &wrong).await;
        assert_eq!(status, 409);
        let message = answer["message"].as_str().unwrap();
        assert!(
            message.ends_with(".spec.template.spec.containers[name=\"side\"].image"),
            "{message}"
        );

        let mut none = side.clone();
        none["spec"]["template"]["spec"] = json!({});
        let (status, object) = api.apply(&path, "two", &none).await;
        assert_eq!(status, 200, "{object}");
        let items = object["spec"]["template"]["spec"]["containers"]
            .as_array()
            .unwrap();
        assert_eq!(items.len(), 1);
    });
}

#[test]
fn a_configuration_must_match_the_schema() {
    contract(|api| async move {
        let mut config = config_map("a", json!({ "k": "v" }));
        config["oops"] = 1.into();
        let (status, answer) = api.apply(&api.path("configmaps/a"), "one", &config).await;
        assert!(status >= 400);
        let message = answer["message"].as_str().unwrap();
        assert!(
            message.contains("field not declared in schema"),
            "{message}"
        );
        let other = config_map(&format!("b-{}", unique()), json!({}));
        let (status, _) = api.apply(&api.path("configmaps/a"), "one", &other).await;
        assert_eq!(status, 400);
    });
}

#[test]
fn ownership_can_be_removed() {
    contract(|api| async move {
        let path = api.path("configmaps/a");
        api.apply(&path, "one", &config_map("a", json!({ "k": "v" })))
            .await;
        let (status, object) = api
            .merge(&path, &json!({ "metadata": { "managedFields": [{}] } }))
            .await;
        assert_eq!(
            (status, object["metadata"].get("managedFields")),
            (200, None)
        );
        // A field without an owner still conflicts.
        let (status, answer) = api
            .apply(&path, "two", &config_map("a", json!({ "k": "w" })))
            .await;
        assert_eq!(status, 409, "{answer}");
        let message = answer["message"].as_str().unwrap();
        assert!(
            message.contains("conflict with \"before-first-apply\" using v1: .data.k"),
            "{message}"
        );
        let (status, _) = api
            .apply(
                &path,
                "two",
                &config_map("a", json!({ "k": "v", "l": "w" })),
            )
            .await;
        assert_eq!(status, 200);
    });
}
