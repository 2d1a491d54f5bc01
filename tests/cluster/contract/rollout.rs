//! Workloads and their pods. These tests do nothing where no pod can run (a control plane without nodes).

use serde_json::{Value as Json, json};

use crate::cluster::lab::{Api, contract, workload};

fn restart(value: &str) -> Json {
    json!({ "spec": { "template": { "metadata": { "annotations": {
        "kubectl.kubernetes.io/restartedAt": value,
    } } } } })
}

fn count(object: &Json, field: &str) -> i64 {
    object["status"][field].as_i64().unwrap_or_default()
}

fn has_seen(object: &Json) -> bool {
    object["status"]["observedGeneration"].as_i64() >= object["metadata"]["generation"].as_i64()
        && object["metadata"]["generation"].is_i64()
}

async fn pods(api: &Api, app: &str) -> Vec<Json> {
    let (_, list) = api
        .get(&format!("{}?labelSelector=app%3D{app}", api.path("pods")))
        .await;
    let pods = list["items"].as_array().unwrap().clone();
    pods.into_iter()
        .filter(|pod| pod["metadata"].get("deletionTimestamp").is_none())
        .collect()
}

fn condition<'a>(object: &'a Json, kind: &str) -> &'a Json {
    let all = object["status"]["conditions"].as_array();
    let found = all.and_then(|all| all.iter().find(|one| one["type"] == kind));
    found.unwrap_or(&Json::Null)
}

#[test]
fn a_deployment_replaces_its_pods() {
    contract(|api| async move {
        if !api.has_nodes().await {
            return;
        }
        api.create(
            "deployments",
            &workload("Deployment", "a", json!({ "replicas": 2 })),
        )
        .await;
        let path = api.path("deployments/a");
        let done = |object: &Json| {
            has_seen(object)
                && ["replicas", "updatedReplicas", "availableReplicas"]
                    .iter()
                    .all(|field| count(object, field) == 2)
        };
        let object = api.until(&path, "the first rollout", done).await;
        assert_eq!(
            object["metadata"]["annotations"]["deployment.kubernetes.io/revision"],
            "1"
        );
        assert_eq!(condition(&object, "Available")["status"], "True");
        let old = pods(&api, "a").await;
        let (status, object) = api.strategic(&path, &restart("one")).await;
        assert_eq!(
            (status, &object["metadata"]["generation"]),
            (200, &json!(2))
        );
        let object = api.until(&path, "the restart", done).await;
        assert_eq!(
            object["metadata"]["annotations"]["deployment.kubernetes.io/revision"],
            "2"
        );
        let progressing = condition(&object, "Progressing");
        assert_eq!(
            (&progressing["status"], &progressing["reason"]),
            (&json!("True"), &json!("NewReplicaSetAvailable"))
        );
        let new = pods(&api, "a").await;
        assert_eq!(new.len(), 2);
        for pod in &new {
            assert!(
                old.iter()
                    .all(|old| old["metadata"]["uid"] != pod["metadata"]["uid"])
            );
            assert_eq!(
                pod["metadata"]["annotations"]["kubectl.kubernetes.io/restartedAt"],
                "one"
            );
            assert_eq!(pod["metadata"]["ownerReferences"][0]["kind"], "ReplicaSet");
            assert!(pod["metadata"]["labels"]["pod-template-hash"].is_string());
            assert_eq!(condition(pod, "Ready")["status"], "True");
        }
        let (_, again) = api.strategic(&path, &restart("one")).await;
        assert_eq!(
            again["metadata"]["generation"],
            object["metadata"]["generation"]
        );
    });
}

#[test]
fn a_deleted_pod_is_replaced() {
    contract(|api| async move {
        if !api.has_nodes().await {
            return;
        }
        api.create(
            "deployments",
            &workload("Deployment", "a", json!({ "replicas": 1 })),
        )
        .await;
        let path = api.path("deployments/a");
        let up = |object: &Json| has_seen(object) && count(object, "availableReplicas") == 1;
        api.until(&path, "the pod is up", up).await;
        let pod = pods(&api, "a").await.remove(0);
        let name = pod["metadata"]["name"].as_str().unwrap();
        let now = json!({ "gracePeriodSeconds": 0 });
        let (status, _) = api
            .delete_with(&api.path(&format!("pods/{name}")), &now)
            .await;
        assert_eq!(status, 200);
        let list = format!("{}?labelSelector=app%3Da", api.path("pods"));
        api.until(&list, "another pod", |list| {
            let items = list["items"].as_array().unwrap();
            items
                .iter()
                .any(|other| other["metadata"]["uid"] != pod["metadata"]["uid"])
        })
        .await;
    });
}

#[test]
fn a_rollout_without_progress_reports_its_deadline() {
    contract(|api| async move {
        let mut object = workload(
            "Deployment",
            "a",
            json!({ "replicas": 1, "progressDeadlineSeconds": 1 }),
        );
        object["spec"]["template"]["spec"]["nodeSelector"] =
            json!({ "windlass.dev/no-such": "node" });
        api.create("deployments", &object).await;
        let object = api
            .until(
                &api.path("deployments/a"),
                "the deadline passes",
                |object| condition(object, "Progressing")["status"] == "False",
            )
            .await;
        assert_eq!(
            condition(&object, "Progressing")["reason"],
            "ProgressDeadlineExceeded"
        );
        let message = condition(&object, "Progressing")["message"]
            .as_str()
            .unwrap();
        assert!(message.ends_with("has timed out progressing."), "{message}");
        let pod = pods(&api, "a").await.remove(0);
        assert_eq!(pod["status"]["phase"], "Pending");
        if api.has_nodes().await {
            assert_eq!(condition(&pod, "PodScheduled")["reason"], "Unschedulable");
            let events = format!(
                "{}?fieldSelector=reason%3DFailedScheduling",
                api.path("events")
            );
            api.until(&events, "an event explains it", |list| {
                !list["items"].as_array().unwrap().is_empty()
            })
            .await;
        }
    });
}

#[test]
fn a_stateful_set_replaces_its_pods_in_place() {
    contract(|api| async move {
        if !api.has_nodes().await {
            return;
        }
        let object = workload(
            "StatefulSet",
            "a",
            json!({ "replicas": 2, "serviceName": "a" }),
        );
        api.create("statefulsets", &object).await;
        let path = api.path("statefulsets/a");
        let done = |object: &Json| {
            has_seen(object)
                && count(object, "readyReplicas") == 2
                && count(object, "updatedReplicas") == 2
                && object["status"]["currentRevision"] == object["status"]["updateRevision"]
        };
        api.until(&path, "the first pods", done).await;
        let mut old = pods(&api, "a").await;
        old.sort_by_key(|pod| pod["metadata"]["name"].as_str().unwrap().to_owned());
        let names: Vec<_> = old
            .iter()
            .map(|pod| pod["metadata"]["name"].as_str().unwrap())
            .collect();
        assert_eq!(names, ["a-0", "a-1"]);
        api.strategic(&path, &restart("one")).await;
        api.until(&path, "the restart", done).await;
        for pod in &old {
            let name = pod["metadata"]["name"].as_str().unwrap();
            let (_, new) = api.get(&api.path(&format!("pods/{name}"))).await;
            assert_ne!(new["metadata"]["uid"], pod["metadata"]["uid"]);
        }
    });
}

#[test]
fn a_daemon_set_has_a_pod_on_each_node() {
    contract(|api| async move {
        if !api.has_nodes().await {
            return;
        }
        api.create("daemonsets", &workload("DaemonSet", "a", json!({})))
            .await;
        let path = api.path("daemonsets/a");
        let done = |object: &Json| {
            let wanted = count(object, "desiredNumberScheduled");
            has_seen(object)
                && wanted > 0
                && [
                    "currentNumberScheduled",
                    "updatedNumberScheduled",
                    "numberReady",
                    "numberAvailable",
                ]
                .iter()
                .all(|field| count(object, field) == wanted)
        };
        let object = api.until(&path, "the first pods", done).await;
        assert_eq!(
            pods(&api, "a").await.len() as i64,
            count(&object, "desiredNumberScheduled")
        );
        api.strategic(&path, &restart("one")).await;
        api.until(&path, "the restart", done).await;
        for pod in pods(&api, "a").await {
            assert_eq!(
                pod["metadata"]["annotations"]["kubectl.kubernetes.io/restartedAt"],
                "one"
            );
        }
    });
}

#[test]
fn owned_objects_are_deleted_with_their_owner_unless_orphaned() {
    contract(|api| async move {
        api.create(
            "deployments",
            &workload("Deployment", "a", json!({ "replicas": 1 })),
        )
        .await;
        let sets = format!("{}?labelSelector=app%3Da", api.path("replicasets"));
        let some = |list: &Json| !list["items"].as_array().unwrap().is_empty();
        api.until(&sets, "a replica set", some).await;
        let (status, _) = api.delete(&api.path("deployments/a")).await;
        assert_eq!(status, 200);
        api.until(&sets, "it goes too", |list| !some(list)).await;
        let orphan = json!({ "propagationPolicy": "Orphan" });
        api.create(
            "deployments",
            &workload("Deployment", "b", json!({ "replicas": 0 })),
        )
        .await;
        let sets = format!("{}?labelSelector=app%3Db", api.path("replicasets"));
        api.until(&sets, "a replica set", some).await;
        let (status, _) = api.delete_with(&api.path("deployments/b"), &orphan).await;
        assert_eq!(status, 200);
        let list = api
            .until(&sets, "it has no owner", |list| {
                some(list)
                    && list["items"][0]["metadata"]
                        .get("ownerReferences")
                        .is_none_or(|owners| owners == &json!([]))
            })
            .await;
        assert_eq!(list["items"].as_array().unwrap().len(), 1);
    });
}

/// Returns the UIDs and names of the pods of a workload.
async fn pods_of(api: &Api, name: &str) -> Vec<(Json, Json)> {
    let path = format!("{}?labelSelector=app%3D{name}", api.path("pods"));
    let (_, pods) = api.get(&path).await;
    let pods = pods["items"].as_array().unwrap().iter();
    pods.map(|pod| {
        (
            pod["metadata"]["uid"].clone(),
            pod["metadata"]["name"].clone(),
        )
    })
    .collect()
}

#[test]
fn a_new_workload_adopts_the_orphans_of_the_old_one() {
    contract(|api| async move {
        if !api.has_nodes().await {
            return;
        }
        for (kind, plural) in [
            ("Deployment", "deployments"),
            ("StatefulSet", "statefulsets"),
            ("DaemonSet", "daemonsets"),
        ] {
            let more = match kind {
                "DaemonSet" => json!({}),
                _ => json!({ "replicas": 2 }),
            };
            let object = workload(kind, plural, more);
            let path = api.path(&format!("{plural}/{plural}"));
            let is_up = |object: &Json| match kind {
                "DaemonSet" => {
                    let status = &object["status"];
                    status["numberReady"].as_i64() > Some(0)
                        && status["numberReady"] == status["desiredNumberScheduled"]
                }
                _ => object["status"]["readyReplicas"] == 2,
            };
            api.create(plural, &object).await;
            api.until(&path, "it is up", is_up).await;
            let before = pods_of(&api, plural).await;
            let orphan = json!({ "propagationPolicy": "Orphan" });
            let (_, old) = api.get(&path).await;
            api.delete_with(&path, &orphan).await;
            api.until(&path, "it is gone", |answer| answer["code"] == 404)
                .await;
            assert_eq!(pods_of(&api, plural).await, before);
            api.create(plural, &object).await;
            let new = api.until(&path, "it is up again", is_up).await;
            assert_ne!(old["metadata"]["uid"], new["metadata"]["uid"]);
            assert_eq!(pods_of(&api, plural).await, before, "{kind}");
            api.delete(&path).await;
            let pods = format!("{}?labelSelector=app%3D{plural}", api.path("pods"));
            api.until(&pods, "its pods are gone", |list| {
                list["items"] == json!([])
            })
            .await;
        }
    });
}
