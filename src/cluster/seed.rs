//! The initial objects of a cluster.

use serde_json::{Value as Json, json};

use crate::{
    api::seed,
    object::{Moment, namespace as namespace_of, text, timestamp},
    resource::Resource,
    store::Transaction,
    wire::Failure,
};

/// How old a new cluster appears to be, in milliseconds, so that its rollouts are complete from the beginning.
pub(crate) const AGE: Moment = 3_600_000;

/// Creates the initial objects of a new cluster.
pub(crate) fn plant(tx: &Transaction, now: Moment) -> Result<(), Failure> {
    let at = now - AGE;
    for number in 1..=2 {
        put(tx, "nodes", node(number, at), at)?;
    }
    for name in ["default", "kube-system", "kube-public", "kube-node-lease"] {
        namespace(tx, name, at)?;
    }
    roles(tx, at)
}

fn put(tx: &Transaction, key: &str, object: Json, at: Moment) -> Result<(), Failure> {
    seed(tx, &Resource::by_key(key), object, at)
}

fn namespace(tx: &Transaction, name: &str, at: Moment) -> Result<(), Failure> {
    let object = json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": { "name": name },
    });
    put(tx, "namespaces", object, at)
}

fn node(number: u32, at: Moment) -> Json {
    let name = format!("node-{number}");
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": { "name": name, "labels": {
            "kubernetes.io/hostname": name,
            "kubernetes.io/os": "linux",
            "kubernetes.io/arch": "amd64",
        } },
        "spec": {},
        "status": {
            "conditions": [{
                "type": "Ready",
                "status": "True",
                "reason": "KubeletReady",
                "message": "kubelet is posting ready status",
                "lastHeartbeatTime": timestamp(at),
                "lastTransitionTime": timestamp(at),
            }],
            "addresses": [
                { "type": "InternalIP", "address": "127.0.0.1" },
                { "type": "Hostname", "address": name },
            ],
            "capacity": { "cpu": "8", "memory": "16Gi", "pods": "110" },
            "allocatable": { "cpu": "8", "memory": "16Gi", "pods": "110" },
            "nodeInfo": {
                "architecture": "amd64",
                "operatingSystem": "linux",
                "kubeletVersion": "v1.36.0",
                "containerRuntimeVersion": "containerd://2.0.0",
            },
        },
    })
}

/// Creates the service accounts that existing workloads name. Older versions ran pods without them, and their folders have none.
pub(crate) fn accounts(tx: &Transaction, now: Moment) -> Result<(), Failure> {
    for workloads in ["daemonsets.apps", "deployments.apps", "statefulsets.apps"] {
        for workload in tx.list(workloads, None)? {
            let space = namespace_of(&workload);
            let Some(account) = text(&workload, "/spec/template/spec/serviceAccountName") else {
                continue;
            };
            if tx.get("serviceaccounts", space, account)?.is_some() {
                continue;
            }
            let object = json!({
                "apiVersion": "v1",
                "kind": "ServiceAccount",
                "metadata": { "name": account, "namespace": space },
            });
            put(tx, "serviceaccounts", object, now)?;
        }
    }
    Ok(())
}

/// Creates the default roles of a cluster that its users may need.
fn roles(tx: &Transaction, at: Moment) -> Result<(), Failure> {
    let everything = json!([
        { "apiGroups": ["*"], "resources": ["*"], "verbs": ["*"] },
        { "nonResourceURLs": ["*"], "verbs": ["*"] },
    ]);
    let discovery = json!([{
        "nonResourceURLs": [
            "/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez", "/openapi", "/openapi/*",
            "/readyz", "/version", "/version/",
        ],
        "verbs": ["get"],
    }]);
    let asking = json!([
        {
            "apiGroups": ["authorization.k8s.io"],
            "resources": ["selfsubjectaccessreviews", "selfsubjectrulesreviews"],
            "verbs": ["create"],
        },
        {
            "apiGroups": ["authentication.k8s.io"],
            "resources": ["selfsubjectreviews"],
            "verbs": ["create"],
        },
    ]);
    let public = json!([{
        "nonResourceURLs": ["/healthz", "/livez", "/readyz", "/version", "/version/"],
        "verbs": ["get"],
    }]);
    let read = ["get", "list", "watch"];
    let write = ["create", "delete", "deletecollection", "patch", "update"];
    let all = [&read[..], &write[..]].concat();
    let apps = [
        "daemonsets",
        "deployments",
        "replicasets",
        "statefulsets",
        "deployments/scale",
        "statefulsets/scale",
    ];
    let view = json!([
        { "apiGroups": [""], "resources": ["configmaps", "events", "namespaces", "pods", "serviceaccounts", "services"], "verbs": read },
        { "apiGroups": ["apps"], "resources": apps, "verbs": read },
    ]);
    let edit = json!([
        { "apiGroups": [""], "resources": ["configmaps", "events", "pods", "secrets", "serviceaccounts", "services"], "verbs": all },
        { "apiGroups": [""], "resources": ["pods/portforward"], "verbs": all },
        { "apiGroups": [""], "resources": ["serviceaccounts/token"], "verbs": ["create"] },
        { "apiGroups": [""], "resources": ["namespaces"], "verbs": read },
        { "apiGroups": ["apps"], "resources": apps, "verbs": all },
    ]);
    let mut admin = edit.clone();
    if let Some(rules) = admin.as_array_mut() {
        rules.push(json!({
            "apiGroups": ["rbac.authorization.k8s.io"],
            "resources": ["roles", "rolebindings"],
            "verbs": all,
        }));
    }
    let masters = Some("system:masters");
    let authenticated = Some("system:authenticated");
    for (name, rules, group) in [
        ("admin", admin, None),
        ("cluster-admin", everything, masters),
        ("edit", edit, None),
        ("system:basic-user", asking, authenticated),
        ("system:discovery", discovery, authenticated),
        (
            "system:public-info-viewer",
            public,
            Some("system:unauthenticated"),
        ),
        ("view", view, None),
    ] {
        role(tx, name, rules, group, at)?;
    }
    Ok(())
}

fn role(
    tx: &Transaction,
    name: &str,
    rules: Json,
    group: Option<&str>,
    at: Moment,
) -> Result<(), Failure> {
    const VERSION: &str = "rbac.authorization.k8s.io/v1";
    let metadata = json!({
        "name": name,
        "labels": { "kubernetes.io/bootstrapping": "rbac-defaults" },
    });
    let role = json!({
        "apiVersion": VERSION,
        "kind": "ClusterRole",
        "metadata": metadata,
        "rules": rules,
    });
    put(tx, "clusterroles.rbac.authorization.k8s.io", role, at)?;
    let Some(group) = group else {
        return Ok(());
    };
    let binding = json!({
        "apiVersion": VERSION,
        "kind": "ClusterRoleBinding",
        "metadata": metadata,
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name },
        "subjects": [{ "apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": group }],
    });
    put(
        tx,
        "clusterrolebindings.rbac.authorization.k8s.io",
        binding,
        at,
    )
}
