//! The special rules of Secrets, ConfigMaps, namespaces and workloads.

use serde_json::{Value as Json, json};

use crate::cluster::lab::{config_map, contract, secret, workload};

#[test]
fn a_secret_encodes_string_data_and_has_a_type() {
    contract(|api| async move {
        let object = api
            .create("secrets", &secret("a", json!({ "k": "v" })))
            .await;
        assert_eq!(object["data"], json!({ "k": "dg==" }));
        assert_eq!(object["type"], "Opaque");
        assert_eq!(object.get("stringData"), None);
        let path = api.path("secrets/a");
        let (status, answer) = api.merge(&path, &json!({ "type": "other" })).await;
        assert_eq!(
            (status, &answer["details"]["causes"][0]["field"]),
            (422, &json!("type"))
        );
        let wrong = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "b" }, "data": { "k": "no base64" } });
        let (status, answer) = api.post(&api.path("secrets"), &wrong).await;
        assert_eq!(status, 400);
        assert!(
            answer["message"]
                .as_str()
                .unwrap()
                .contains("illegal base64 data"),
            "{answer}"
        );
    });
}

#[test]
fn a_secret_needs_the_keys_of_its_type_and_valid_names() {
    contract(|api| async move {
        let mut object = secret("a", json!({ "tls.crt": "x" }));
        object["type"] = "kubernetes.io/tls".into();
        let (status, answer) = api.post(&api.path("secrets"), &object).await;
        assert_eq!(status, 422, "{answer}");
        assert!(
            answer["message"]
                .as_str()
                .unwrap()
                .contains("data[tls.key]: Required value"),
            "{answer}"
        );
        let (status, answer) = api
            .post(&api.path("secrets"), &secret("a", json!({ "a/b": "x" })))
            .await;
        assert_eq!(status, 422);
        assert_eq!(answer["details"]["causes"][0]["field"], "data[a/b]");
    });
}

#[test]
fn an_immutable_field_cannot_change() {
    contract(|api| async move {
        let mut object = secret("a", json!({ "k": "v" }));
        object["immutable"] = true.into();
        api.create("secrets", &object).await;
        let change = json!({ "stringData": { "k": "w" } });
        let (status, answer) = api.merge(&api.path("secrets/a"), &change).await;
        assert_eq!(status, 422);
        let cause = &answer["details"]["causes"][0];
        assert_eq!(cause["field"], "data");
        assert_eq!(cause["reason"], "FieldValueForbidden");
        let mut object = config_map("a", json!({ "k": "v" }));
        object["immutable"] = true.into();
        api.create("configmaps", &object).await;
        let (status, _) = api
            .merge(&api.path("configmaps/a"), &json!({ "data": { "k": "w" } }))
            .await;
        assert_eq!(status, 422);
        let label = json!({ "metadata": { "labels": { "a": "b" } } });
        let (status, _) = api.merge(&api.path("configmaps/a"), &label).await;
        assert_eq!(status, 200);
    });
}

#[test]
fn a_namespace_is_active_and_has_a_label_and_an_account() {
    contract(|api| async move {
        let (status, object) = api
            .get(&format!("/api/v1/namespaces/{}", api.namespace))
            .await;
        assert_eq!(
            (status, &object["status"]["phase"]),
            (200, &json!("Active"))
        );
        assert_eq!(
            object["metadata"]["labels"]["kubernetes.io/metadata.name"],
            api.namespace.as_str()
        );
        api.until(
            &api.path("serviceaccounts/default"),
            "the default account",
            |object| object["kind"] == "ServiceAccount",
        )
        .await;
    });
}

#[test]
fn a_deployment_gets_defaults_and_its_selector_cannot_change() {
    contract(|api| async move {
        let object = api
            .create(
                "deployments",
                &workload("Deployment", "a", json!({ "replicas": 0 })),
            )
            .await;
        let spec = &object["spec"];
        assert_eq!(spec["progressDeadlineSeconds"], 600);
        assert_eq!(spec["revisionHistoryLimit"], 10);
        assert_eq!(
            spec["strategy"],
            json!({
                "type": "RollingUpdate",
                "rollingUpdate": { "maxSurge": "25%", "maxUnavailable": "25%" },
            })
        );
        let pod = &spec["template"]["spec"];
        assert_eq!(pod["restartPolicy"], "Always");
        assert_eq!(pod["dnsPolicy"], "ClusterFirst");
        assert_eq!(pod["containers"][0]["imagePullPolicy"], "IfNotPresent");
        assert_eq!(
            pod["containers"][0]["terminationMessagePath"],
            "/dev/termination-log"
        );
        let change = json!({ "spec": {
            "selector": { "matchLabels": { "app": "b" } },
            "template": { "metadata": { "labels": { "app": "b" } } },
        } });
        let (status, answer) = api.merge(&api.path("deployments/a"), &change).await;
        assert_eq!(status, 422);
        assert_eq!(answer["details"]["causes"][0]["field"], "spec.selector");
        assert!(
            answer["message"]
                .as_str()
                .unwrap()
                .ends_with("field is immutable"),
            "{answer}"
        );
    });
}

#[test]
fn the_generation_increases_with_changes_of_the_spec_only() {
    contract(|api| async move {
        let object = workload(
            "StatefulSet",
            "a",
            json!({ "replicas": 0, "serviceName": "a" }),
        );
        let object = api.create("statefulsets", &object).await;
        assert_eq!(object["metadata"]["generation"], 1);
        let path = api.path("statefulsets/a");
        let label = json!({ "metadata": { "labels": { "a": "b" } } });
        let (_, object) = api.merge(&path, &label).await;
        assert_eq!(object["metadata"]["generation"], 1);
        let spec = json!({ "spec": { "minReadySeconds": 1 } });
        let (_, object) = api.merge(&path, &spec).await;
        assert_eq!(object["metadata"]["generation"], 2);
        let (_, object) = api
            .merge(&path, &json!({ "status": { "replicas": 9 } }))
            .await;
        assert_ne!(object["status"]["replicas"], 9);
        assert_eq!(object["metadata"]["generation"], 2);
        let (status, answer) = api
            .merge(&path, &json!({ "spec": { "serviceName": "b" } }))
            .await;
        assert_eq!(
            (status, &answer["details"]["causes"][0]["field"]),
            (422, &json!("spec"))
        );
    });
}

#[test]
fn the_scale_subresource_sets_the_number_of_replicas() {
    contract(|api| async move {
        api.create(
            "deployments",
            &workload("Deployment", "a", json!({ "replicas": 0 })),
        )
        .await;
        let path = api.path("deployments/a/scale");
        let (status, scale) = api.get(&path).await;
        assert_eq!((status, &scale["kind"]), (200, &json!("Scale")));
        assert_eq!(scale["status"]["selector"], "app=a");
        let (status, scale) = api
            .merge(&path, &json!({ "spec": { "replicas": 1 } }))
            .await;
        assert_eq!((status, &scale["spec"]["replicas"]), (200, &json!(1)));
        let (_, object) = api.get(&api.path("deployments/a")).await;
        assert_eq!(object["spec"]["replicas"], 1);
    });
}

#[test]
fn a_headless_service_needs_no_ports_and_another_does() {
    contract(|api| async move {
        let service = |name: &str, spec: Json| json!({ "apiVersion": "v1", "kind": "Service", "metadata": { "name": name }, "spec": spec });
        let headless = service(
            "a",
            json!({ "clusterIP": "None", "selector": { "app": "a" } }),
        );
        let object = api.create("services", &headless).await;
        assert_eq!(object["spec"].get("ports"), None, "{object}");
        let plain = service("b", json!({ "selector": { "app": "a" } }));
        let (status, answer) = api.post(&api.path("services"), &plain).await;
        assert_eq!(status, 422, "{answer}");
        assert_eq!(answer["details"]["causes"][0]["field"], "spec.ports");
    });
}

#[test]
fn odd_input_is_refused_and_never_an_internal_error() {
    contract(|api| async move {
        let account =
            json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": "a" } });
        api.create("serviceaccounts", &account).await;
        let reviews = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        let paths = [
            reviews.to_owned(),
            api.path("serviceaccounts/a/token"),
            api.path("services"),
            api.path("deployments"),
            api.path("statefulsets"),
            api.path("daemonsets"),
            api.path("rolebindings"),
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions".into(),
        ];
        let bodies = [
            json!([]),
            json!("text"),
            json!({}),
            json!({ "metadata": "text" }),
            json!({ "metadata": { "name": "b" }, "spec": "text" }),
            json!({ "metadata": { "name": "b" }, "spec": null }),
            json!({ "metadata": { "name": "b" }, "spec": { "ports": null, "template": null, "names": [] } }),
            json!({ "metadata": { "name": "b" }, "spec": { "template": { "spec": { "containers": [{}], "volumes": [{}] } } } }),
        ];
        for path in &paths {
            for body in &bodies {
                let (status, answer) = api.post(path, body).await;
                assert!(status < 500, "{path}: {body}: {answer}");
            }
        }
    });
}
