//! `kill -9` during writes, and several servers with the same folder.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use axum::http::Request;
use kube::client::Body;
use kube::config::Kubeconfig;
use serde_json::json;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use windlass::cluster::{Options, Server, kubeconfig};

use super::lab::{Api, client_of, config_map, start, version};
use crate::harness::{Ends, Test};

const WRITERS: usize = 8;
/// How many writes must be answered before the kill.
const BEFORE: usize = 200;

/// Starts `windlass kube serve`, which is killed (SIGKILL) when it is dropped.
async fn other(test: &Test) -> (Ends, kube::Client) {
    let mut command = test.command(&["kube", "serve", "--clusters", "a"]);
    let (server, path) = Ends::listening(command.stderr(Stdio::null()));
    let config = Kubeconfig::read_from(test.path(&path)).unwrap();
    (server, client_of(config).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn answered_writes_survive_a_kill() {
    let test = Test::new();
    let (server, client) = other(&test).await;
    let answered: Arc<Mutex<BTreeMap<String, String>>> = Arc::default();
    let (next, killed) = (
        Arc::new(AtomicUsize::new(0)),
        Arc::new(AtomicBool::new(false)),
    );
    let mut writers = JoinSet::new();
    for _ in 0..WRITERS {
        let (client, answered) = (client.clone(), Arc::clone(&answered));
        let (next, killed) = (Arc::clone(&next), Arc::clone(&killed));
        writers.spawn(async move {
            loop {
                let name = format!("c-{}", next.fetch_add(1, Ordering::SeqCst));
                let body = config_map(&name, json!({ "k": "v" })).to_string();
                let request = Request::post("/api/v1/namespaces/default/configmaps")
                    .header("content-type", "application/json")
                    .body(Body::from(body.into_bytes()))
                    .unwrap();
                // A connection that breaks is not a response.
                let answer = match client.send(request).await {
                    Ok(answer) => answer.into_body().collect_bytes().await,
                    Err(error) => Err(error),
                };
                match answer {
                    Ok(bytes) => {
                        let object: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
                        let uid = object["metadata"]["uid"].as_str().unwrap().to_owned();
                        answered.lock().await.insert(name, uid);
                    }
                    Err(_) if killed.load(Ordering::SeqCst) => return,
                    Err(error) => panic!("{error}"),
                }
            }
        });
    }
    while answered.lock().await.len() < BEFORE {
        tokio::task::yield_now().await;
    }
    killed.store(true, Ordering::SeqCst);
    drop(server);
    while let Some(writer) = writers.join_next().await {
        writer.unwrap();
    }
    let answered = answered.lock().await;
    let (_server, client) = other(&test).await;
    let maps: kube::Api<k8s_openapi::api::core::v1::ConfigMap> =
        kube::Api::namespaced(client, "default");
    let found = maps.list(&kube::api::ListParams::default()).await.unwrap();
    let found: BTreeMap<_, _> = found
        .into_iter()
        .map(|map| (map.metadata.name.unwrap(), map.metadata.uid.unwrap()))
        .collect();
    for (name, uid) in answered.iter() {
        assert_eq!(found.get(name), Some(uid), "{name} was answered");
    }
    println!("{} objects answered, then killed: lost 0", answered.len());
}

async fn client(server: &Server) -> Api {
    let config = Kubeconfig::from_yaml(&kubeconfig(&[server.access()])).unwrap();
    let mut api = Api::connect(config, "a", true).await;
    api.namespace = "default".into();
    api
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_with_the_same_folder_act_as_one_cluster() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = tokio::join!(
        start(Options::local(folder.path().join("a"), "a")),
        start(Options::local(folder.path().join("a"), "a")),
    );
    assert_eq!(one.access().token, two.access().token);
    let (a, b) = (client(&one).await, client(&two).await);
    let first = a
        .create("configmaps", &config_map("m", json!({ "n": "start" })))
        .await;
    let since = version(&first);
    let path = a.path("configmaps/m");
    // Each write contains the version that it has read, and goes to the two servers in turn; no write may be lost.
    let mut last = first;
    for (number, api) in [&b, &a].into_iter().cycle().take(10).enumerate() {
        last["data"]["n"] = number.to_string().into();
        let (status, answer) = api.put(&path, &last).await;
        assert_eq!(status, 200, "{answer}");
        last = answer;
    }
    let path = format!(
        "{}?resourceVersion={since}&fieldSelector=metadata.name%3Dm",
        b.path("configmaps")
    );
    let change = async {
        a.merge(&a.path("configmaps/m"), &json!({ "data": { "n": "end" } }))
            .await
    };
    let (events, _) = tokio::join!(b.first_events(&path, 11), change);
    assert_eq!(events.len(), 11, "a watch sees what the other server wrote");
    one.stop().await;
    two.stop().await;
}
