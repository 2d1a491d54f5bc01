//! Watches. Each begins at a version before the changes that it must see, so no test depends on timing.

use kube::api::WatchEvent;
use serde_json::{Value as Json, json};

use crate::cluster::lab::{config_map, contract};

fn labelled(name: &str, color: &str) -> Json {
    let mut object = config_map(name, json!({}));
    object["metadata"]["labels"] = json!({ "color": color });
    object
}

fn seen(events: &[Json]) -> Vec<(&str, &str)> {
    let named = events.iter().filter(|event| event["type"] != "BOOKMARK");
    named
        .map(|event| {
            let name = &event["object"]["metadata"]["name"];
            (
                event["type"].as_str().unwrap(),
                name.as_str().unwrap_or_default(),
            )
        })
        .collect()
}

#[test]
fn a_watch_reports_changes_after_its_version() {
    contract(|api| async move {
        let first = api.create("configmaps", &labelled("a", "red")).await;
        let since = first["metadata"]["resourceVersion"].as_str().unwrap();
        api.create("configmaps", &labelled("b", "red")).await;
        api.merge(&api.path("configmaps/b"), &json!({ "data": { "k": "v" } }))
            .await;
        api.delete(&api.path("configmaps/b")).await;
        let path = format!(
            "{}?labelSelector=color%3Dred&resourceVersion={since}",
            api.path("configmaps")
        );
        let events = api.watch(&path).await;
        assert_eq!(
            seen(&events),
            [("ADDED", "b"), ("MODIFIED", "b"), ("DELETED", "b")]
        );
        let versions: Vec<u64> = events
            .iter()
            .map(|event| {
                event["object"]["metadata"]["resourceVersion"]
                    .as_str()
                    .unwrap()
                    .parse()
                    .unwrap()
            })
            .collect();
        assert!(versions.is_sorted(), "{versions:?}");
        let one = format!(
            "{}?resourceVersion={since}&fieldSelector=metadata.name%3Da",
            api.path("configmaps")
        );
        assert_eq!(seen(&api.watch(&one).await), []);
    });
}

#[test]
fn objects_that_begin_or_stop_to_match_are_added_and_deleted() {
    contract(|api| async move {
        let first = api.create("configmaps", &labelled("a", "red")).await;
        let since = first["metadata"]["resourceVersion"].as_str().unwrap();
        let paint = |color: &'static str| json!({ "metadata": { "labels": { "color": color } } });
        api.merge(&api.path("configmaps/a"), &paint("green")).await;
        api.merge(&api.path("configmaps/a"), &paint("red")).await;
        let path = format!(
            "{}?resourceVersion={since}&labelSelector=color%3Dgreen",
            api.path("configmaps")
        );
        assert_eq!(
            seen(&api.watch(&path).await),
            [("ADDED", "a"), ("DELETED", "a")]
        );
    });
}

#[test]
fn a_watch_without_a_version_begins_with_the_existing_objects() {
    contract(|api| async move {
        api.create("configmaps", &labelled("a", "red")).await;
        let path = format!("{}?labelSelector=color%3Dred", api.path("configmaps"));
        assert_eq!(seen(&api.watch(&path).await), [("ADDED", "a")]);
        let path = format!(
            "{path}&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
        );
        let events = api.watch(&path).await;
        assert_eq!(seen(&events), [("ADDED", "a")]);
        let bookmark = events
            .iter()
            .find(|event| event["type"] == "BOOKMARK")
            .unwrap();
        let annotations = &bookmark["object"]["metadata"]["annotations"];
        assert_eq!(annotations["k8s.io/initial-events-end"], "true");
    });
}

#[test]
fn a_watch_reports_changes_while_it_runs() {
    contract(|api| async move {
        let first = api.create("configmaps", &labelled("a", "red")).await;
        let since = first["metadata"]["resourceVersion"].as_str().unwrap();
        let path = format!(
            "{}?labelSelector=color%3Dred&resourceVersion={since}",
            api.path("configmaps")
        );
        let change = async {
            api.merge(&api.path("configmaps/a"), &json!({ "data": { "k": "v" } }))
                .await
        };
        let (events, (status, _)) = tokio::join!(api.first_events(&path, 1), change);
        assert_eq!(status, 200);
        let [WatchEvent::Modified(object)] = events.as_slice() else {
            panic!("{events:?}");
        };
        assert_eq!(object["data"]["k"], "v");
    });
}
