//! Who may do what.

use serde_json::{Value as Json, json};

use crate::cluster::lab::{Api, config_map, contract, secret};

fn object(kind: &str, name: &str, more: Json) -> Json {
    let mut object = json!({
        "apiVersion": if kind == "ServiceAccount" { "v1" } else { "rbac.authorization.k8s.io/v1" },
        "kind": kind,
        "metadata": { "name": name },
    });
    for (field, value) in more.as_object().unwrap() {
        object[field] = value.clone();
    }
    object
}

/// An account that may read the secret `open`, and a client that bears its token.
async fn reader(api: &Api) -> Api {
    api.create(
        "serviceaccounts",
        &object("ServiceAccount", "reader", json!({})),
    )
    .await;
    let rules = json!({ "rules": [{
        "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["open"], "verbs": ["get"],
    }] });
    api.create("roles", &object("Role", "read-open", rules))
        .await;
    let binding = json!({
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "read-open" },
        "subjects": [{ "kind": "ServiceAccount", "name": "reader", "namespace": api.namespace }],
    });
    api.create("rolebindings", &object("RoleBinding", "read-open", binding))
        .await;
    let request = json!({
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": { "expirationSeconds": 600 },
    });
    let (status, answer) = api
        .post(&api.path("serviceaccounts/reader/token"), &request)
        .await;
    assert_eq!(status, 201, "{answer}");
    let reader = api.with_token(answer["status"]["token"].as_str());
    // A real cluster's authorizer learns of a binding a moment later.
    reader
        .until(&api.path("secrets/open"), "the binding counts", |answer| {
            answer["code"] != 403
        })
        .await;
    reader
}

#[test]
fn a_token_opens_what_its_account_may_and_nothing_else() {
    contract(|api| async move {
        api.create("secrets", &secret("open", json!({ "k": "v" })))
            .await;
        let reader = reader(&api).await;
        let (status, _) = reader.get(&api.path("secrets/open")).await;
        assert_eq!(status, 200);
        let (status, answer) = reader.get(&api.path("secrets/shut")).await;
        assert_eq!((status, &answer["reason"]), (403, &json!("Forbidden")));
        let user = format!("system:serviceaccount:{}:reader", api.namespace);
        assert_eq!(
            answer["message"],
            format!(
                "secrets \"shut\" is forbidden: User \"{user}\" cannot get resource \"secrets\" in API group \"\" in the namespace \"{}\"",
                api.namespace
            )
        );
        let (status, _) = reader
            .post(&api.path("configmaps"), &config_map("a", json!({})))
            .await;
        assert_eq!(status, 403);
        let (status, answer) = reader.get("/api/v1/nodes").await;
        assert_eq!(status, 403);
        assert!(
            answer["message"]
                .as_str()
                .unwrap()
                .contains("at the cluster scope"),
            "{answer}"
        );
        let (status, _) = reader.get("/apis/apps/v1").await;
        assert_eq!(status, 200);
    });
}

#[test]
fn one_may_ask_what_one_may_do() {
    contract(|api| async move {
        let reader = reader(&api).await;
        let review = |verb: &str| {
            json!({
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SelfSubjectAccessReview",
                "spec": { "resourceAttributes": {
                    "namespace": api.namespace, "verb": verb, "resource": "secrets", "name": "open",
                } },
            })
        };
        let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        for (verb, allowed) in [("get", true), ("delete", false)] {
            let (status, answer) = reader.post(path, &review(verb)).await;
            assert_eq!(
                (status, &answer["status"]["allowed"]),
                (201, &json!(allowed)),
                "{verb}"
            );
        }
        let rules = json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectRulesReview",
            "spec": { "namespace": api.namespace },
        });
        let path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews";
        let (status, answer) = reader.post(path, &rules).await;
        assert_eq!(status, 201, "{answer}");
        let rules = answer["status"]["resourceRules"].as_array().unwrap();
        assert!(
            rules
                .iter()
                .any(|rule| rule["resourceNames"] == json!(["open"])),
            "{answer}"
        );
    });
}

#[test]
fn a_wrong_token_is_nobody() {
    contract(|api| async move {
        let (status, answer) = api
            .with_token(Some("wrong"))
            .get(&api.path("secrets"))
            .await;
        assert_eq!((status, &answer["reason"]), (401, &json!("Unauthorized")));
        let (status, _) = api.with_token(None).get(&api.path("secrets")).await;
        assert!(status == 401 || status == 403, "{status}");
    });
}

#[test]
fn a_token_ends_with_its_account() {
    contract(|api| async move {
        let reader = reader(&api).await;
        api.delete(&api.path("serviceaccounts/reader")).await;
        reader
            .until(&api.path("secrets/open"), "the token ends", |answer| {
                answer["code"] == 401
            })
            .await;
    });
}

#[test]
fn a_binding_keeps_its_role() {
    contract(|api| async move {
        reader(&api).await;
        let change = json!({ "roleRef": { "name": "other" } });
        let (status, answer) = api
            .merge(&api.path("rolebindings/read-open"), &change)
            .await;
        assert_eq!(
            (status, &answer["details"]["causes"][0]["field"]),
            (422, &json!("roleRef"))
        );
    });
}
