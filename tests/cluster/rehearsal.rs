//! What only the rehearsal cluster has: faults, stuck workloads, seeds, and its folder.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kube::config::Kubeconfig;
use serde_json::json;
use windlass::cluster::{Options, STUCK, Server, kubeconfig};
use windlass::mesh;

use super::lab::{Api, client_of, config_map, start, workload};

/// Returns a client of a server, with the namespace `default`.
async fn client(server: &Server) -> Arc<Api> {
    let access = server.access();
    let config = Kubeconfig::from_yaml(&kubeconfig(std::slice::from_ref(&access))).unwrap();
    let mut api = Api::connect(config, &access.name, true).await;
    api.namespace = "default".into();
    Arc::new(api)
}

async fn with_faults(faults: &[&str]) -> (tempfile::TempDir, Server, Arc<Api>) {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        faults: faults.iter().map(|fault| fault.parse().unwrap()).collect(),
        ..Options::local(folder.path().join("a"), "a")
    };
    let server = start(options).await;
    let api = client(&server).await;
    (folder, server, api)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_refuses_a_request_or_loses_its_response() {
    let faults = [
        "create:configmaps:500:100%",
        "create:secrets:500:100%:after",
        "list:*:429:100%",
    ];
    let (_folder, server, api) = with_faults(&faults).await;
    let (status, answer) = api
        .post(&api.path("configmaps"), &config_map("m", json!({})))
        .await;
    assert_eq!((status, &answer["reason"]), (500, &json!("InternalError")));
    let (status, _) = api.get(&api.path("configmaps/m")).await;
    assert_eq!(status, 404);
    let secret = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "s" } });
    let (status, _) = api.post(&api.path("secrets"), &secret).await;
    assert_eq!(status, 500);
    let (status, _) = api.get(&api.path("secrets/s")).await;
    assert_eq!(status, 200, "it was carried out");
    // The client of the kube crate waits and retries after 429, so another client sends this request.
    let access = server.access();
    let ca = reqwest::Certificate::from_pem(access.ca.as_bytes()).unwrap();
    let plain = reqwest::Client::builder()
        .tls_certs_only([ca])
        .build()
        .unwrap();
    let request = plain.get(format!("{}/api/v1/secrets", access.endpoint));
    let answer = request.bearer_auth(&access.token).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 429);
    assert_eq!(answer.headers()["retry-after"], "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_connection_has_no_response() {
    let (_folder, server, api) = with_faults(&["delete:configmaps:cut:100%:after"]).await;
    api.create("configmaps", &config_map("m", json!({}))).await;
    let access = server.access();
    let config = Kubeconfig::from_yaml(&kubeconfig(&[access])).unwrap();
    let client = client_of(config).await;
    let maps: kube::Api<k8s_openapi::api::core::v1::ConfigMap> =
        kube::Api::namespaced(client, "default");
    let cut = maps.delete("m", &kube::api::DeleteParams::default()).await;
    assert!(
        matches!(&cut, Err(error) if !matches!(error, kube::Error::Api(_))),
        "{cut:?}"
    );
    let (status, _) = api.get(&api.path("configmaps/m")).await;
    assert_eq!(status, 404, "it was carried out");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workload_is_stuck_until_its_annotation_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(Options::local(folder.path().join("a"), "a")).await;
    let api = client(&server).await;
    let mut object = workload(
        "Deployment",
        "w",
        json!({ "replicas": 1, "progressDeadlineSeconds": 1 }),
    );
    object["metadata"]["annotations"] = json!({ STUCK: "the certificate is of the wrong mesh" });
    api.create("deployments", &object).await;
    let path = api.path("deployments/w");
    let failed = api
        .until(&path, "the deadline passes", |object| {
            object["status"]["conditions"]
                .as_array()
                .is_some_and(|all| {
                    all.iter()
                        .any(|one| one["reason"] == "ProgressDeadlineExceeded")
                })
        })
        .await;
    assert_eq!(failed["status"]["unavailableReplicas"], 1);
    let (_, pods) = api.get(&api.path("pods")).await;
    let waiting = &pods["items"][0]["status"]["containerStatuses"][0]["state"]["waiting"];
    assert_eq!(waiting["reason"], "CreateContainerError");
    assert_eq!(waiting["message"], "the certificate is of the wrong mesh");
    let (status, _) = api
        .merge(
            &path,
            &json!({ "metadata": { "annotations": { STUCK: null } } }),
        )
        .await;
    assert_eq!(status, 200);
    api.until(&path, "it goes on", |object| {
        object["status"]["availableReplicas"] == 1
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_of_a_deleted_version_gets_410() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        history: 10,
        ..Options::local(folder.path().join("a"), "a")
    };
    let server = start(options).await;
    let api = client(&server).await;
    for number in 0..200 {
        let path = api.path("configmaps");
        let (status, _) = api
            .post(&path, &config_map(&format!("m-{number}"), json!({})))
            .await;
        assert_eq!(status, 201);
    }
    let events = api
        .watch(&format!("{}?resourceVersion=1", api.path("configmaps")))
        .await;
    assert_eq!(events.len(), 1);
    assert_eq!(
        (&events[0]["type"], &events[0]["object"]["code"]),
        (&json!("ERROR"), &json!(410))
    );
    let exact = format!(
        "{}?resourceVersion=1&resourceVersionMatch=Exact",
        api.path("configmaps")
    );
    let (status, answer) = api.get(&exact).await;
    assert_eq!((status, &answer["reason"]), (410, &json!("Expired")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_and_a_rollout_take_seconds_at_most() {
    let folder = tempfile::tempdir().unwrap();
    let options = || mesh::member(folder.path(), "cluster-1", None);
    Server::start(options()).await.unwrap().stop().await;
    let started = Instant::now();
    let server = Server::start(options()).await.unwrap();
    let start_took = started.elapsed();
    let mut api = Arc::into_inner(client(&server).await).unwrap();
    api.namespace = "istio-system".into();
    let path = api.path("deployments/istiod");
    let (_, object) = api.get(&path).await;
    assert_eq!(
        object["status"]["availableReplicas"], 2,
        "a seeded workload is ready at once"
    );
    let patch =
        json!({ "spec": { "template": { "metadata": { "annotations": { "again": "1" } } } } });
    let started = Instant::now();
    api.strategic(&path, &patch).await;
    api.until(&path, "the restart", |object| {
        let status = &object["status"];
        status["observedGeneration"] == 2
            && status["updatedReplicas"] == 2
            && status["replicas"] == 2
            && status["availableReplicas"] == 2
    })
    .await;
    println!(
        "started in {start_took:?}, restarted in {:?}",
        started.elapsed()
    );
    // Many times the usual duration: this must fail for minutes, not because of a slow machine.
    assert!(start_took < Duration::from_secs(2), "{start_took:?}");
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_mesh_writes_nothing_into_a_namespace_that_is_being_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(mesh::member(folder.path(), "cluster-1", None)).await;
    let server = server.unwrap();
    let mut api = Arc::into_inner(client(&server).await).unwrap();
    api.namespace = "mine".into();
    api.create_namespace().await;
    let root = api.path("configmaps/istio-ca-root-cert");
    api.until(&root, "istiod writes its root", |map| {
        map["kind"] == "ConfigMap"
    })
    .await;
    let mut held = config_map("held", json!({}));
    held["metadata"]["finalizers"] = json!(["windlass.dev/held"]);
    api.create("configmaps", &held).await;
    let own = "/api/v1/namespaces/mine";
    api.delete(own).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (_, left) = api.get(&api.path("configmaps")).await;
    assert_eq!(left["items"].as_array().unwrap().len(), 1, "{left}");
    let free = json!({ "metadata": { "finalizers": null } });
    api.merge(&api.path("configmaps/held"), &free).await;
    assert_eq!(api.get(own).await.0, 404);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_to_the_wrong_cluster_fails() {
    let folder = tempfile::tempdir().unwrap();
    let one = start(Options::local(folder.path().join("a"), "a")).await;
    let two = start(Options::local(folder.path().join("b"), "b")).await;
    let api = client(&two).await;
    let (status, _) = api
        .with_token(Some(&one.access().token))
        .get("/api/v1/namespaces")
        .await;
    assert_eq!(status, 401);
    let mut mixed = one.access();
    mixed.endpoint = two.access().endpoint;
    let config = Kubeconfig::from_yaml(&kubeconfig(&[mixed])).unwrap();
    let client = client_of(config).await;
    assert!(
        client.apiserver_version().await.is_err(),
        "the other CA is not trusted"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_owner_can_read_the_folder_and_another_version_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("a");
    let server = start(Options::local(state.clone(), "a")).await;
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&state), 0o700);
    for file in std::fs::read_dir(&state).unwrap() {
        let path = file.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
    server.stop().await;
    let database = rusqlite::Connection::open(state.join("cluster.db")).unwrap();
    database.pragma_update(None, "user_version", 99).unwrap();
    drop(database);
    let refused = Server::start(Options::local(state, "a"))
        .await
        .err()
        .unwrap()
        .to_string();
    assert!(
        refused.contains("version 99") && refused.contains("version 3"),
        "{refused}"
    );
    let open = Options {
        listen: "0.0.0.0:0".parse().unwrap(),
        ..Options::local(folder.path().join("b"), "b")
    };
    let refused = Server::start(open).await.err().unwrap().to_string();
    assert!(refused.contains("refusing to listen"), "{refused}");
}

/// A cluster of version 1, which had no data of controllers from other crates, no owners but controllers, and no accounts.
#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_of_the_previous_version_is_migrated() {
    let folder = tempfile::tempdir().unwrap();
    let options = || mesh::member(folder.path(), "cluster-1", None);
    let server = Server::start(options()).await.unwrap();
    let api = Arc::into_inner(client(&server).await).unwrap();
    let map = config_map("a", json!({ "k": "v" }));
    assert_eq!(
        api.post("/api/v1/namespaces/default/configmaps", &map)
            .await
            .0,
        201
    );
    let (_, map) = api.get("/api/v1/namespaces/default/configmaps/a").await;
    let mut owned = config_map("owned", json!({}));
    owned["metadata"]["ownerReferences"] = json!([{
        "apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": map["metadata"]["uid"],
    }]);
    api.create("configmaps", &owned).await;
    server.stop().await;
    let database = rusqlite::Connection::open(folder.path().join("cluster-1/cluster.db")).unwrap();
    database
        .execute_batch(
            "DROP TABLE kept; DROP TABLE dependent; DROP INDEX object_orphan;
             DELETE FROM setting WHERE name IN ('planted', 'pod-delay', 'accounts');
             DELETE FROM object WHERE resource = 'serviceaccounts' AND name = 'ztunnel';
             DELETE FROM wake WHERE resource = 'controllers'; PRAGMA user_version = 1;",
        )
        .unwrap();
    drop(database);
    let server = Server::start(options()).await.unwrap();
    let api = Arc::into_inner(client(&server).await).unwrap();
    let (status, found) = api.get("/api/v1/namespaces/default/configmaps/a").await;
    assert_eq!((status, &found["data"]["k"]), (200, &json!("v")));
    let (status, _) = api.get("/apis/rehearsal.windlass.dev/v1/meshtrusts").await;
    assert_eq!(status, 200);
    let account = "/api/v1/namespaces/istio-system/serviceaccounts/ztunnel";
    assert_eq!(api.get(account).await.0, 200);
    api.delete("/api/v1/namespaces/default/configmaps/a").await;
    let owned = "/api/v1/namespaces/default/configmaps/owned";
    assert_eq!(api.get(owned).await.0, 404);
    server.stop().await;
    assert!(mesh::handshakes(folder.path()).is_ok());
}
