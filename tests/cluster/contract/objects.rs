//! Creating, reading, updating and deleting, and their errors.

use serde_json::{Value as Json, json};

use crate::cluster::lab::{Api, config_map, contract, secret, unique, version, workload};

#[test]
fn a_created_object_has_the_metadata_that_the_server_sets() {
    contract(|api| async move {
        let object = api
            .create("configmaps", &config_map("a", json!({ "k": "v" })))
            .await;
        let metadata = &object["metadata"];
        assert_eq!(metadata["namespace"], api.namespace.as_str());
        assert_eq!(metadata["uid"].as_str().unwrap().len(), 36);
        assert!(
            metadata["creationTimestamp"]
                .as_str()
                .unwrap()
                .ends_with('Z')
        );
        assert!(version(&object) > 0);
        let (status, again) = api.get(&api.path("configmaps/a")).await;
        assert_eq!((status, again), (200, object));
    });
}

#[test]
fn missing_existing_and_changed_objects_are_errors_with_a_status() {
    contract(|api| async move {
        let (status, answer) = api.get(&api.path("secrets/none")).await;
        assert_eq!(status, 404);
        assert_eq!(answer["kind"], "Status");
        assert_eq!(answer["reason"], "NotFound");
        assert_eq!(answer["message"], "secrets \"none\" not found");
        assert_eq!(
            answer["details"],
            json!({ "name": "none", "kind": "secrets" })
        );
        let (_, answer) = api.get(&api.path("deployments/none")).await;
        assert_eq!(answer["message"], "deployments.apps \"none\" not found");
        assert_eq!(answer["details"]["group"], "apps");

        let object = api
            .create("secrets", &secret("a", json!({ "k": "v" })))
            .await;
        let (status, answer) = api
            .post(&api.path("secrets"), &secret("a", json!({})))
            .await;
        assert_eq!((status, &answer["reason"]), (409, &json!("AlreadyExists")));
        assert_eq!(answer["message"], "secrets \"a\" already exists");

        let (status, _) = api
            .merge(
                &api.path("secrets/a"),
                &json!({ "stringData": { "k": "w" } }),
            )
            .await;
        assert_eq!(status, 200);
        let (status, answer) = api.put(&api.path("secrets/a"), &object).await;
        assert_eq!((status, &answer["reason"]), (409, &json!("Conflict")));
        assert_eq!(
            answer["message"],
            "Operation cannot be fulfilled on secrets \"a\": the object has been modified; please apply your changes to the latest version and try again"
        );
        let absent = format!("/api/v1/namespaces/none-{}/secrets", unique());
        let (status, answer) = api.post(&absent, &secret("a", json!({}))).await;
        assert_eq!(
            (status, &answer["details"]["kind"]),
            (404, &json!("namespaces"))
        );
    });
}

#[test]
fn versions_increase_unless_a_write_changes_nothing() {
    contract(|api| async move {
        let first = api
            .create("configmaps", &config_map("a", json!({ "k": "v" })))
            .await;
        let path = api.path("configmaps/a");
        let (_, second) = api.merge(&path, &json!({ "data": { "k": "w" } })).await;
        assert!(version(&second) > version(&first));
        let (_, third) = api.merge(&path, &json!({ "data": { "k": "w" } })).await;
        assert_eq!(version(&third), version(&second));
        let (status, fourth) = api.put(&path, &third).await;
        assert_eq!((status, version(&fourth)), (200, version(&third)));
    });
}

#[test]
fn names_are_generated_and_dry_runs_store_nothing() {
    contract(|api| async move {
        let mut object = config_map("", json!({}));
        object["metadata"] = json!({ "generateName": "some-" });
        let made = api.create("configmaps", &object).await;
        let name = made["metadata"]["name"].as_str().unwrap();
        assert!(
            name.starts_with("some-") && name.len() == "some-".len() + 5,
            "{name}"
        );

        let dry = format!("{}?dryRun=All", api.path("configmaps"));
        let (status, made) = api
            .post(&dry, &config_map("dry", json!({ "k": "v" })))
            .await;
        assert_eq!((status, &made["data"]["k"]), (201, &json!("v")));
        let (status, _) = api.get(&api.path("configmaps/dry")).await;
        assert_eq!(status, 404);
        let dry = format!("{}?dryRun=All", api.path(&format!("configmaps/{name}")));
        let (status, _) = api.delete(&dry).await;
        assert_eq!(status, 200);
        let (status, _) = api.get(&api.path(&format!("configmaps/{name}"))).await;
        assert_eq!(status, 200);
    });
}

#[test]
fn errors_name_the_invalid_fields() {
    contract(|api| async move {
        let (status, answer) = api
            .post(&api.path("secrets"), &secret("Not_A_Name", json!({})))
            .await;
        assert_eq!((status, &answer["reason"]), (422, &json!("Invalid")));
        let cause = &answer["details"]["causes"][0];
        assert_eq!(cause["field"], "metadata.name");
        assert_eq!(cause["reason"], "FieldValueInvalid");

        let mut object = workload("Deployment", "a", json!({ "replicas": -1 }));
        object["spec"]["template"]["metadata"]["labels"]["app"] = "other".into();
        let (status, answer) = api.post(&api.path("deployments"), &object).await;
        assert_eq!(status, 422, "{answer}");
        let message = answer["message"].as_str().unwrap();
        assert!(
            message.starts_with("Deployment.apps \"a\" is invalid: ["),
            "{message}"
        );
        assert!(
            message
                .contains("spec.replicas: Invalid value: -1: must be greater than or equal to 0"),
            "{message}"
        );
        assert!(
            message.contains("`selector` does not match template `labels`"),
            "{message}"
        );

        let mut object = config_map("a", json!({}));
        object["metadata"]["labels"] = json!({ "not a key": "v" });
        let (status, answer) = api.post(&api.path("configmaps"), &object).await;
        assert_eq!(
            (status, &answer["details"]["causes"][0]["field"]),
            (422, &json!("metadata.labels"))
        );
    });
}

#[test]
fn unknown_fields_are_handled_as_field_validation_says() {
    contract(|api| async move {
        let mut object = config_map("a", json!({}));
        object["spec"] = json!({ "oops": 1 });
        let strict = format!("{}?fieldValidation=Strict", api.path("configmaps"));
        let (status, answer) = api.post(&strict, &object).await;
        assert_eq!((status, &answer["reason"]), (400, &json!("BadRequest")));
        let message = answer["message"].as_str().unwrap();
        assert!(
            message.ends_with("strict decoding error: unknown field \"spec\""),
            "{message}"
        );
        let ignored = format!("{}?fieldValidation=Ignore", api.path("configmaps"));
        let (status, answer) = api.post(&ignored, &object).await;
        assert_eq!((status, answer.get("spec")), (201, None));

        for (value, is) in NOT_INT32 {
            let value: Json = serde_json::from_str(value).unwrap();
            let wrong = workload("Deployment", "a", json!({ "replicas": value }));
            let (status, answer) = api.post(&api.path("deployments"), &wrong).await;
            assert_eq!(status, 400, "{answer}");
            let message = answer["message"].as_str().unwrap();
            let says = format!(
                "cannot unmarshal {is} into Go struct field DeploymentSpec.spec.replicas of type int32"
            );
            assert!(message.ends_with(&says), "{message}");
        }
    });
}

/// Values of a field of type int32 that are none, and what Go's JSON decoder calls them.
const NOT_INT32: [(&str, &str); 3] = [
    ("\"three\"", "string"),
    ("1.5", "number 1.5"),
    ("3000000000", "number 3000000000"),
];

#[test]
fn a_scale_has_a_number_of_replicas() {
    contract(|api| async move {
        let object = workload("Deployment", "a", json!({ "replicas": 2 }));
        api.create("deployments", &object).await;
        let path = api.path("deployments/a/scale");
        for (value, is) in NOT_INT32 {
            let value: Json = serde_json::from_str(value).unwrap();
            let patch = json!({ "spec": { "replicas": value } });
            let (status, answer) = api.merge(&path, &patch).await;
            assert_eq!(status, 400, "{answer}");
            let message = answer["message"].as_str().unwrap();
            let says =
                format!("cannot unmarshal {is} into Go struct field ScaleSpec.spec.replicas");
            assert!(message.contains(&says), "{message}");
        }
        let (_, scale) = api.get(&path).await;
        assert_eq!(scale["spec"]["replicas"], 2);
    });
}

#[test]
fn a_token_is_valid_for_minutes_to_years() {
    contract(|api| async move {
        let account =
            json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": "a" } });
        api.create("serviceaccounts", &account).await;
        for (seconds, says) in [
            (599, "may not specify a duration less than 10 minutes"),
            (
                (1_i64 << 32) + 1,
                "may not specify a duration larger than 2^32 seconds",
            ),
            (
                i64::MAX,
                "may not specify a duration larger than 2^32 seconds",
            ),
        ] {
            let request = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": { "expirationSeconds": seconds } });
            let path = api.path("serviceaccounts/a/token");
            let (status, answer) = api.post(&path, &request).await;
            assert_eq!(status, 422, "{answer}");
            let message = answer["message"].as_str().unwrap();
            assert!(message.contains(says), "{message}");
        }
    });
}

#[test]
fn a_deletion_respects_preconditions_and_finalizers() {
    contract(|api| async move {
        let mut object = config_map("a", json!({}));
        object["metadata"]["finalizers"] = json!(["windlass.dev/held"]);
        let object = api.create("configmaps", &object).await;
        let path = api.path("configmaps/a");
        let other = json!({ "preconditions": { "uid": "00000000-0000-4000-8000-000000000000" } });
        let (status, answer) = api.delete_with(&path, &other).await;
        assert_eq!((status, &answer["reason"]), (409, &json!("Conflict")));
        let own = json!({ "preconditions": { "uid": object["metadata"]["uid"] } });
        let (status, _) = api.delete_with(&path, &own).await;
        assert_eq!(status, 200);
        let (status, held) = api.get(&path).await;
        assert_eq!(status, 200);
        assert!(held["metadata"]["deletionTimestamp"].is_string());
        let (status, _) = api
            .merge(&path, &json!({ "metadata": { "finalizers": null } }))
            .await;
        assert_eq!(status, 200);
        let (status, _) = api.get(&path).await;
        assert_eq!(status, 404);
        let (status, _) = api.delete(&path).await;
        assert_eq!(status, 404);
    });
}

#[test]
fn what_is_not_served_is_refused() {
    contract(|api| async move {
        let (status, _) = api.get("/apis/none.windlass.dev/v1/things").await;
        assert_eq!(status, 404);
        let (status, _) = api.get(&api.path("nothings")).await;
        assert_eq!(status, 404);
        let (status, answer) = api
            .delete("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews")
            .await;
        assert_eq!(
            (status, &answer["reason"]),
            (405, &json!("MethodNotAllowed"))
        );
        api.create("configmaps", &config_map("a", json!({}))).await;
        let headers = [
            ("content-type", "text/plain"),
            ("accept", "application/json"),
        ];
        let (status, text) = api
            .send("PATCH", &api.path("configmaps/a"), &headers, b"{}".to_vec())
            .await;
        assert_eq!(status, 415, "{text}");
    });
}

#[test]
fn a_created_object_needs_a_name_but_no_kind() {
    contract(|api| async move {
        let path = api.path("configmaps");
        let (status, answer) = api.post(&path, &json!({ "apiVersion": "v1" })).await;
        assert_eq!(status, 422, "{answer}");
        let named = json!({ "metadata": { "name": "a" }, "data": { "k": "v" } });
        let (status, answer) = api.post(&path, &named).await;
        assert_eq!((status, &answer["kind"]), (201, &json!("ConfigMap")));
    });
}

/// The response is a page of text, not a `Status`.
#[test]
fn a_group_that_is_not_served_is_not_found() {
    contract(|api| async move {
        let headers = [("accept", "application/json")];
        for path in ["/apis/none.windlass.dev", "/apis/none.windlass.dev/v1"] {
            let (status, text) = api.send("GET", path, &headers, Vec::new()).await;
            assert_eq!((status, text.trim()), (404, "404 page not found"), "{path}");
        }
    });
}

/// Waits until an object is gone, without a look at the answer.
async fn is_gone(api: &Api, path: &str) {
    api.until(path, "it is gone", |answer| answer["code"] == 404)
        .await;
}

#[test]
fn a_namespace_stays_until_its_last_finalizer_is_removed() {
    contract(|api| async move {
        let mut other = Api::clone_of(&api);
        other.namespace = format!("{}-b", api.namespace);
        other.create_namespace().await;
        let mut held = config_map("held", json!({}));
        held["metadata"]["finalizers"] = json!(["windlass.dev/held"]);
        other.create("configmaps", &held).await;
        other
            .create("configmaps", &config_map("free", json!({})))
            .await;
        let path = format!("/api/v1/namespaces/{}", other.namespace);
        let (status, answer) = other.delete(&path).await;
        assert_eq!(
            (status, &answer["status"]["phase"]),
            (200, &json!("Terminating"))
        );
        is_gone(&other, &other.path("configmaps/free")).await;
        let object = other
            .until(&path, "it says what is left", |object| {
                object["status"]["conditions"]
                    .to_string()
                    .contains("windlass.dev/held in 1")
            })
            .await;
        assert!(object["metadata"]["deletionTimestamp"].is_string());
        let (_, left) = other.get(&other.path("configmaps/held")).await;
        assert!(left["metadata"]["deletionTimestamp"].is_string(), "{left}");
        let new = config_map("new", json!({}));
        let (status, answer) = other.post(&other.path("configmaps"), &new).await;
        assert_eq!(
            (status, &answer["reason"]),
            (403, &json!("Forbidden")),
            "{answer}"
        );
        let why = "because it is being terminated";
        assert!(
            answer["message"].as_str().unwrap().contains(why),
            "{answer}"
        );
        let labels = json!({ "metadata": { "labels": { "a": "b" } } });
        let (status, _) = other.merge(&path, &labels).await;
        assert_eq!(status, 200, "it can still be changed");
        let free = json!({ "metadata": { "finalizers": null } });
        other.merge(&other.path("configmaps/held"), &free).await;
        is_gone(&other, &path).await;
    });
}

#[test]
fn an_owned_object_with_a_finalizer_outlives_its_owner() {
    contract(|api| async move {
        let owner = api
            .create("configmaps", &config_map("owner", json!({})))
            .await;
        let mut owned = config_map("owned", json!({}));
        owned["metadata"]["finalizers"] = json!(["windlass.dev/held"]);
        owned["metadata"]["ownerReferences"] = json!([{
            "apiVersion": "v1", "kind": "ConfigMap", "name": "owner",
            "uid": owner["metadata"]["uid"], "controller": true,
        }]);
        api.create("configmaps", &owned).await;
        api.delete(&api.path("configmaps/owner")).await;
        let path = api.path("configmaps/owned");
        api.until(&path, "it is being deleted", |object| {
            object["metadata"]["deletionTimestamp"].is_string()
        })
        .await;
        api.merge(&path, &json!({ "metadata": { "finalizers": null } }))
            .await;
        is_gone(&api, &path).await;
    });
}

#[test]
fn an_object_goes_with_its_last_owner() {
    contract(|api| async move {
        let mut owners = Vec::new();
        for own in ["one", "two"] {
            let owner = api.create("configmaps", &config_map(own, json!({}))).await;
            owners.push(json!({
                "apiVersion": "v1", "kind": "ConfigMap", "name": own, "uid": owner["metadata"]["uid"],
            }));
        }
        let mut owned = config_map("owned", json!({}));
        owned["metadata"]["ownerReferences"] = owners.clone().into();
        api.create("configmaps", &owned).await;
        let path = api.path("configmaps/owned");
        api.delete(&api.path("configmaps/one")).await;
        api.until(&path, "one reference is left", |object| {
            object["metadata"]["ownerReferences"] == json!([owners[1]])
        })
        .await;
        let mut orphan = config_map("orphan", json!({}));
        orphan["metadata"]["ownerReferences"] = json!([owners[1]]);
        api.create("configmaps", &orphan).await;
        let mut dangling = config_map("dangling", json!({}));
        dangling["metadata"]["ownerReferences"] = json!([owners[0]]);
        api.create("configmaps", &dangling).await;
        is_gone(&api, &api.path("configmaps/dangling")).await;
        api.delete(&api.path("configmaps/two")).await;
        is_gone(&api, &path).await;
        is_gone(&api, &api.path("configmaps/orphan")).await;
    });
}

#[test]
fn orphans_keep_nothing_of_their_owner() {
    contract(|api| async move {
        let owner = api
            .create("configmaps", &config_map("one", json!({})))
            .await;
        let mut owned = config_map("owned", json!({}));
        owned["metadata"]["ownerReferences"] = json!([{
            "apiVersion": "v1", "kind": "ConfigMap", "name": "one", "uid": owner["metadata"]["uid"],
        }]);
        api.create("configmaps", &owned).await;
        let orphan = json!({ "propagationPolicy": "Orphan" });
        api.delete_with(&api.path("configmaps/one"), &orphan).await;
        is_gone(&api, &api.path("configmaps/one")).await;
        let path = api.path("configmaps/owned");
        let object = api
            .until(&path, "it has no owner", |object| {
                let owners = object["metadata"].get("ownerReferences");
                owners.is_none_or(|owners| owners == &json!([]))
            })
            .await;
        assert_eq!(object["kind"], "ConfigMap");
    });
}
