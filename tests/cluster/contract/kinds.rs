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

/// What is wrong with a Deployment, with a change of its pods or their container, as the field and the end of the message.
const WRONG_PODS: [(&str, &str, &str, &str); 21] = [
    (
        "pod",
        r#"{"volumes":[{"name":"a","emptyDir":{}},{"name":"a","emptyDir":{}}]}"#,
        "volumes[1].name",
        r#"Duplicate value: "a""#,
    ),
    (
        "pod",
        r#"{"volumes":[{"name":"a","secret":{}}]}"#,
        "volumes[0].secret.secretName",
        "Required value",
    ),
    (
        "pod",
        r#"{"volumes":[{"name":"a","secret":{"secretName":"x"},"configMap":{"name":"y"}}]}"#,
        "volumes[0].secret",
        "may not specify more than 1 volume type",
    ),
    (
        "pod",
        r#"{"volumes":[{"name":"a","secret":{"secretName":"x","items":[{"key":"k","path":"../x"}]}}]}"#,
        "volumes[0].secret.items[0].path",
        "must not contain '..'",
    ),
    (
        "pod",
        r#"{"dnsPolicy":"X"}"#,
        "dnsPolicy",
        r#"supported values: "ClusterFirst", "ClusterFirstWithHostNet", "Default", "None""#,
    ),
    (
        "pod",
        r#"{"restartPolicy":"Never"}"#,
        "restartPolicy",
        r#"supported values: "Always""#,
    ),
    (
        "pod",
        r#"{"terminationGracePeriodSeconds":-1}"#,
        "terminationGracePeriodSeconds",
        "must be greater than or equal to 0",
    ),
    (
        "pod",
        r#"{"serviceAccountName":"Bad Name"}"#,
        "serviceAccountName",
        "a lowercase RFC 1123 subdomain",
    ),
    (
        "pod",
        r#"{"tolerations":[{"operator":"Exists","key":"a","value":"b"}]}"#,
        "tolerations[0].operator",
        "value must be empty when `operator` is 'Exists'",
    ),
    (
        "container",
        r#"{"volumeMounts":[{"name":"zz","mountPath":"/a"}]}"#,
        "containers[0].volumeMounts[0].name",
        r#"Not found: "zz""#,
    ),
    (
        "container",
        r#"{"imagePullPolicy":"Sometimes"}"#,
        "containers[0].imagePullPolicy",
        r#"supported values: "Always", "IfNotPresent", "Never""#,
    ),
    (
        "container",
        r#"{"resources":{"requests":{"cpu":"2"},"limits":{"cpu":"1"}}}"#,
        "containers[0].resources.requests",
        "must be less than or equal to cpu limit of 1",
    ),
    (
        "container",
        r#"{"ports":[{"containerPort":70000}]}"#,
        "containers[0].ports[0].containerPort",
        "must be between 1 and 65535, inclusive",
    ),
    (
        "container",
        r#"{"env":[{"name":"A","value":"x","valueFrom":{"fieldRef":{"fieldPath":"metadata.name"}}}]}"#,
        "containers[0].env[0].valueFrom",
        "may not be specified when `value` is not empty",
    ),
    (
        "container",
        r#"{"env":[{"name":"","value":"x"}]}"#,
        "containers[0].env[0].name",
        "Required value",
    ),
    (
        "container",
        r#"{"env":[{"name":"A","valueFrom":{"secretKeyRef":{"name":"x"}}}]}"#,
        "containers[0].env[0].valueFrom.secretKeyRef.key",
        "Required value",
    ),
    (
        "container",
        r#"{"readinessProbe":{"httpGet":{"port":80},"exec":{"command":["x"]}}}"#,
        "containers[0].readinessProbe.httpGet",
        "may not specify more than 1 handler type",
    ),
    (
        "container",
        r#"{"livenessProbe":{"httpGet":{"port":80},"successThreshold":2}}"#,
        "containers[0].livenessProbe.successThreshold",
        "must be 1",
    ),
    (
        "container",
        r#"{"livenessProbe":{}}"#,
        "containers[0].livenessProbe",
        "must specify a handler type",
    ),
    (
        "container",
        r#"{"envFrom":[{"secretRef":{}}]}"#,
        "containers[0].envFrom[0].secretRef.name",
        "Required value",
    ),
    (
        "container",
        r#"{"name":"Bad_Name"}"#,
        "containers[0].name",
        "a lowercase RFC 1123 label",
    ),
];

#[test]
fn a_wrong_pod_template_is_refused() {
    contract(|api| async move {
        for (part, change, field, why) in WRONG_PODS {
            let mut object = workload("Deployment", "a", json!({ "replicas": 0 }));
            let spec = &mut object["spec"]["template"]["spec"];
            let target = match part {
                "pod" => spec,
                _ => &mut spec["containers"][0],
            };
            let change: Json = serde_json::from_str(change).unwrap();
            for (key, value) in change.as_object().unwrap() {
                target[key] = value.clone();
            }
            let (status, answer) = api.post(&api.path("deployments"), &object).await;
            assert_eq!(status, 422, "{change}: {answer}");
            let causes = answer["details"]["causes"].as_array().unwrap().iter();
            let place = format!("spec.template.spec.{field}");
            let mut of = causes.filter(|cause| cause["field"] == place.as_str());
            let is_why = |cause: &Json| cause["message"].as_str().unwrap().contains(why);
            assert!(of.any(is_why), "{change}: {answer}");
        }
        let mut object = workload("Deployment", "a", json!({ "replicas": 0 }));
        let requests = json!({ "requests": { "cpu": "lots" } });
        object["spec"]["template"]["spec"]["containers"][0]["resources"] = requests;
        let (status, answer) = api.post(&api.path("deployments"), &object).await;
        assert_eq!(status, 400, "{answer}");
        let rolling = json!({ "maxUnavailable": "150%" });
        let strategy = json!({ "strategy": { "rollingUpdate": rolling } });
        let object = workload("Deployment", "a", strategy);
        let (status, answer) = api.post(&api.path("deployments"), &object).await;
        assert_eq!(status, 422, "{answer}");
    });
}

#[test]
fn other_objects_that_a_server_refuses_are_refused() {
    contract(|api| async move {
        let map = |metadata: Json| {
            let mut object = config_map("a", json!({}));
            for (key, value) in metadata.as_object().unwrap() {
                object["metadata"][key] = value.clone();
            }
            object
        };
        let owner = json!({ "apiVersion": "v1", "kind": "Secret", "name": "x" });
        let (mut one, mut two) = (owner.clone(), owner.clone());
        for (owner, uid) in [(&mut one, "1"), (&mut two, "2")] {
            owner["uid"] = uid.into();
            owner["controller"] = true.into();
        }
        let typed = |kind: &str, data: Json| json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "a" }, "type": kind, "data": data });
        let config = json!({ ".dockerconfigjson": "bm90anNvbg==" });
        let refused = [
            ("configmaps", map(json!({ "finalizers": ["foo"] }))),
            ("configmaps", map(json!({ "ownerReferences": [owner] }))),
            ("configmaps", map(json!({ "ownerReferences": [one, two] }))),
            ("secrets", typed("kubernetes.io/dockerconfigjson", config)),
            ("secrets", typed("kubernetes.io/basic-auth", json!({}))),
            (
                "secrets",
                typed("kubernetes.io/service-account-token", json!({})),
            ),
        ];
        for (plural, object) in refused {
            let (status, answer) = api.post(&api.path(plural), &object).await;
            assert_eq!(status, 422, "{object}: {answer}");
        }
        let (status, answer) = api
            .post(
                &api.path("configmaps"),
                &map(json!({ "resourceVersion": "5" })),
            )
            .await;
        let why = "resourceVersion should not be set on objects to be created";
        assert_eq!((status, &answer["message"]), (500, &json!(why)));
        let budgets = format!(
            "/apis/policy/v1/namespaces/{}/poddisruptionbudgets",
            api.namespace
        );
        let budget = json!({
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": { "name": "a" },
            "spec": { "minAvailable": 1, "maxUnavailable": 1 },
        });
        let (status, answer) = api.post(&budgets, &budget).await;
        assert_eq!(status, 422, "{answer}");
    });
}
