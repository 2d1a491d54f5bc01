//! Pods start when the objects that they refer to exist.

use serde_json::{Value as Json, json};

use crate::cluster::lab::{Api, config_map, contract, secret, workload};

/// A Deployment with one pod, whose spec has these fields, too.
fn deployment(name: &str, pod: Json) -> Json {
    let mut object = workload("Deployment", name, json!({ "replicas": 1 }));
    let spec = &mut object["spec"]["template"]["spec"];
    for (field, value) in pod.as_object().unwrap() {
        match field.as_str() {
            "env" | "envFrom" => spec["containers"][0][field] = value.clone(),
            _ => spec[field] = value.clone(),
        }
    }
    object
}

fn volume(source: Json) -> Json {
    let mut volume = source;
    volume["name"] = "v".into();
    json!({ "volumes": [volume] })
}

async fn is_up(api: &Api, name: &str) -> bool {
    let (_, object) = api.get(&api.path(&format!("deployments/{name}"))).await;
    object["status"]["availableReplicas"] == 1
}

async fn comes_up(api: &Api, name: &str) {
    let path = api.path(&format!("deployments/{name}"));
    let is = |object: &Json| object["status"]["availableReplicas"] == 1;
    api.until(&path, "it starts", is).await;
}

/// Waits for a warning about an object whose name begins with that of a Deployment.
async fn warned(api: &Api, name: &str, reason: &str, message: &str) {
    let is = |event: &Json| {
        let about = event["involvedObject"]["name"].as_str().unwrap();
        about.starts_with(name)
            && event["reason"] == reason
            && event["message"].as_str().unwrap().contains(message)
    };
    let has = |list: &Json| list["items"].as_array().unwrap().iter().any(is);
    api.until(&api.path("events"), message, has).await;
}

#[test]
fn a_pod_waits_for_the_secret_of_a_volume_and_its_keys() {
    contract(|api| async move {
        if !api.has_nodes().await {
            return;
        }
        let items = json!([{ "key": "tls.key", "path": "k" }]);
        let mounted = volume(json!({ "secret": { "secretName": "tls", "items": items } }));
        api.create("deployments", &deployment("web", mounted)).await;
        let failed = "MountVolume.SetUp failed for volume \"v\" : ";
        let why = format!("{failed}secret \"tls\" not found");
        warned(&api, "web", "FailedMount", &why).await;
        let (_, pods) = api.get(&api.path("pods")).await;
        let status = &pods["items"][0]["status"];
        assert_eq!(status["phase"], "Pending");
        let waiting = &status["containerStatuses"][0]["state"]["waiting"];
        assert_eq!(waiting["reason"], "ContainerCreating");
        api.create("secrets", &secret("tls", json!({ "other": "x" })))
            .await;
        let why = format!("{failed}references non-existent secret key: tls.key");
        warned(&api, "web", "FailedMount", &why).await;
        assert!(!is_up(&api, "web").await);
        let key = json!({ "stringData": { "tls.key": "x" } });
        api.merge(&api.path("secrets/tls"), &key).await;
        comes_up(&api, "web").await;
    });
}

#[test]
fn config_maps_projected_volumes_and_optional_ones_count_as_well() {
    contract(|api| async move {
        if !api.has_nodes().await {
            return;
        }
        let map = json!({ "configMap": { "name": "m", "items": [{ "key": "k", "path": "k" }] } });
        api.create("deployments", &deployment("map", volume(map.clone())))
            .await;
        let projected = json!({ "projected": { "sources": [map, { "secret": { "name": "s" } }] } });
        api.create("deployments", &deployment("all", volume(projected)))
            .await;
        let optional = json!({ "secret": { "secretName": "s", "optional": true } });
        api.create("deployments", &deployment("free", volume(optional)))
            .await;
        comes_up(&api, "free").await;
        warned(&api, "map", "FailedMount", "configmap \"m\" not found").await;
        let both = "[configmap \"m\" not found, secret \"s\" not found]";
        if api.is_rehearsal {
            warned(&api, "all", "FailedMount", both).await;
        }
        api.create("configmaps", &config_map("m", json!({ "other": "x" })))
            .await;
        let why = "references non-existent config key: k";
        warned(&api, "map", "FailedMount", why).await;
        api.merge(&api.path("configmaps/m"), &json!({ "data": { "k": "v" } }))
            .await;
        comes_up(&api, "map").await;
        assert!(!is_up(&api, "all").await);
        api.create("secrets", &secret("s", json!({}))).await;
        comes_up(&api, "all").await;
    });
}

#[test]
fn a_container_waits_for_what_its_variables_refer_to() {
    contract(|api| async move {
        if !api.has_nodes().await {
            return;
        }
        let key = json!({ "name": "s", "key": "k" });
        let one = json!({ "env": [{ "name": "A", "valueFrom": { "secretKeyRef": key } }] });
        api.create("deployments", &deployment("one", one)).await;
        let all = json!({ "envFrom": [{ "configMapRef": { "name": "m" } }] });
        api.create("deployments", &deployment("all", all)).await;
        let free = json!({ "name": "s", "key": "k", "optional": true });
        let free = json!({ "env": [{ "name": "A", "valueFrom": { "secretKeyRef": free } }] });
        api.create("deployments", &deployment("free", free)).await;
        comes_up(&api, "free").await;
        warned(&api, "one", "Failed", "Error: secret \"s\" not found").await;
        warned(&api, "all", "Failed", "Error: configmap \"m\" not found").await;
        let path = api.path("pods?labelSelector=app%3Done");
        let (_, pods) = api.get(&path).await;
        let waiting = pods["items"][0].pointer("/status/containerStatuses/0/state/waiting");
        assert_eq!(waiting.unwrap()["reason"], "CreateContainerConfigError");
        api.create("secrets", &secret("s", json!({ "other": "x" })))
            .await;
        let why = format!("couldn't find key k in Secret {}/s", api.namespace);
        warned(&api, "one", "Failed", &why).await;
        api.merge(
            &api.path("secrets/s"),
            &json!({ "stringData": { "k": "v" } }),
        )
        .await;
        comes_up(&api, "one").await;
        api.create("configmaps", &config_map("m", json!({}))).await;
        comes_up(&api, "all").await;
    });
}

#[test]
fn no_pod_is_created_without_its_service_account() {
    contract(|api| async move {
        if !api.has_nodes().await {
            return;
        }
        let pod = json!({ "serviceAccountName": "bob" });
        api.create("deployments", &deployment("web", pod)).await;
        let why = format!(
            "is forbidden: error looking up service account {}/bob: serviceaccount \"bob\" not found",
            api.namespace
        );
        warned(&api, "web", "FailedCreate", &why).await;
        let (_, pods) = api.get(&api.path("pods")).await;
        assert_eq!(pods["items"], json!([]));
        let account =
            json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": "bob" } });
        api.create("serviceaccounts", &account).await;
        comes_up(&api, "web").await;
    });
}
