//! Lists: selectors, pages and tables.

use serde_json::{Value as Json, json};

use crate::cluster::lab::{Api, config_map, contract, unique};

async fn three(api: &Api) {
    for (name, color) in [("a", "red"), ("b", "green"), ("c", "blue")] {
        let mut object = config_map(name, json!({}));
        object["metadata"]["labels"] = json!({ "color": color, "set": "three" });
        api.create("configmaps", &object).await;
    }
}

fn names(list: &Json) -> Vec<&str> {
    let items = list["items"].as_array().unwrap_or_else(|| panic!("{list}"));
    items
        .iter()
        .map(|item| item["metadata"]["name"].as_str().unwrap())
        .collect()
}

#[test]
fn selectors_filter_a_list() {
    contract(|api| async move {
        three(&api).await;
        let list = |query: &'static str| {
            let api = &api;
            async move {
                api.get(&format!("{}?{query}", api.path("configmaps")))
                    .await
            }
        };
        for (query, wanted) in [
            ("labelSelector=color%3Dred", &["a"][..]),
            ("labelSelector=set,color!%3Dred", &["b", "c"]),
            ("labelSelector=color%20in%20(red,blue)", &["a", "c"]),
            (
                "labelSelector=set%3D%3Dthree,color%20notin%20(red)",
                &["b", "c"],
            ),
            ("labelSelector=set%3Dthree,!color", &[]),
            ("fieldSelector=metadata.name%3Db", &["b"]),
            (
                "labelSelector=set%3Dthree&fieldSelector=metadata.name!%3Db",
                &["a", "c"],
            ),
        ] {
            let (status, found) = list(query).await;
            assert_eq!((status, names(&found)), (200, wanted.to_vec()), "{query}");
        }
        let (status, answer) = list("fieldSelector=data.k%3Dv").await;
        assert_eq!(status, 400, "{answer}");
        let (status, _) = list("labelSelector=a%20b").await;
        assert_eq!(status, 400);
        let (_, found) = list("labelSelector=set%3Dthree").await;
        assert_eq!(
            (&found["kind"], &found["apiVersion"]),
            (&json!("ConfigMapList"), &json!("v1"))
        );
        assert!(found["metadata"]["resourceVersion"].is_string());
    });
}

#[test]
fn all_pages_show_the_same_state() {
    contract(|api| async move {
        three(&api).await;
        let path = format!(
            "{}?labelSelector=set%3Dthree&limit=2",
            api.path("configmaps")
        );
        let (_, first) = api.get(&path).await;
        assert_eq!(names(&first), ["a", "b"]);
        let token = first["metadata"]["continue"].as_str().unwrap();
        let (status, _) = api.delete(&api.path("configmaps/c")).await;
        assert_eq!(status, 200);
        let (status, second) = api.get(&format!("{path}&continue={token}")).await;
        assert_eq!((status, names(&second)), (200, vec!["c"]));
        assert_eq!(
            second["metadata"]["resourceVersion"],
            first["metadata"]["resourceVersion"]
        );
        assert_eq!(second["metadata"].get("continue"), None);
        let (status, _) = api.get(&format!("{path}&continue=nonsense")).await;
        assert_eq!(status, 400);
    });
}

#[test]
fn tables_have_columns_and_rows() {
    contract(|api| async move {
        three(&api).await;
        let accept = [("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")];
        let (status, text) = api
            .send("GET", &api.path("configmaps"), &accept, Vec::new())
            .await;
        let table: Json = serde_json::from_str(&text).unwrap();
        assert_eq!((status, &table["kind"]), (200, &json!("Table")));
        let columns = table["columnDefinitions"].as_array().unwrap();
        let columns: Vec<_> = columns
            .iter()
            .map(|column| column["name"].as_str().unwrap())
            .collect();
        assert_eq!(columns, ["Name", "Data", "Age"]);
        let row = table["rows"]
            .as_array()
            .unwrap()
            .iter()
            .find(|row| row["cells"][0] == "a")
            .unwrap();
        assert_eq!(row["cells"][1], 0);
        assert_eq!(row["object"]["kind"], "PartialObjectMetadata");
        let accept = [(
            "accept",
            "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
        )];
        let (_, text) = api
            .send("GET", &api.path("configmaps"), &accept, Vec::new())
            .await;
        let list: Json = serde_json::from_str(&text).unwrap();
        assert_eq!(list["kind"], "PartialObjectMetadataList");
    });
}

#[test]
fn a_collection_is_deleted_by_selector() {
    contract(|api| async move {
        three(&api).await;
        let path = format!(
            "{}?labelSelector=color%20in%20(red,green)",
            api.path("configmaps")
        );
        let (status, answer) = api.delete(&path).await;
        assert_eq!(status, 200, "{answer}");
        let left = format!("{}?labelSelector=set%3Dthree", api.path("configmaps"));
        let (_, left) = api.get(&left).await;
        assert_eq!(names(&left), ["c"]);
    });
}

#[test]
fn discovery_lists_what_is_served() {
    contract(|api| async move {
        let (_, apps) = api.get("/apis/apps/v1").await;
        assert_eq!(apps["kind"], "APIResourceList");
        let resources = apps["resources"].as_array().unwrap();
        let deployments = resources
            .iter()
            .find(|one| one["name"] == "deployments")
            .unwrap();
        assert_eq!(
            (&deployments["namespaced"], &deployments["kind"]),
            (&json!(true), &json!("Deployment"))
        );
        assert_eq!(deployments["shortNames"], json!(["deploy"]));
        let (_, groups) = api.get("/apis").await;
        assert!(
            groups["groups"]
                .as_array()
                .unwrap()
                .iter()
                .any(|group| group["name"] == "apps")
        );
        let (_, version) = api.get("/version").await;
        assert_eq!(version["major"], "1");
        let (status, _) = api.get(&format!("/apis/{}.windlass.dev", unique())).await;
        assert_eq!(status, 404);
    });
}
