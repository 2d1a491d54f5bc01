//! Authentication and authorization.

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

/// Creates an account that may read the secret `open`, and returns a client with its token.
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
    // In a real cluster, it takes a moment until the authorizer sees a binding.
    reader
        .until(&api.path("secrets/open"), "the binding counts", |answer| {
            answer["code"] != 403
        })
        .await;
    reader
}

#[test]
fn a_token_has_only_the_permissions_of_its_account() {
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
fn access_reviews_return_the_permissions_of_a_user() {
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
fn a_wrong_token_is_unauthorized() {
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
fn a_token_is_invalid_once_its_account_is_deleted() {
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
fn the_role_of_a_binding_cannot_change() {
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
