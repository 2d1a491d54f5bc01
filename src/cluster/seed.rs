//! The first objects of a cluster.

use serde_json::{Value as Json, json};

use crate::cluster::{
    api::seed,
    object::{Moment, timestamp},
    options::Seed,
    resource::Resource,
    store::Transaction,
    wire::Failure,
};

/// How long a new cluster pretends to have been there: its rollouts are long done when it is first looked at.
const AGE: Moment = 3_600_000;

/// Plants what a new cluster begins with.
pub(crate) fn plant(tx: &Transaction, which: Seed, now: Moment) -> Result<(), Failure> {
    let at = now - AGE;
    for number in 1..=2 {
        put(tx, "nodes", node(number, at), at)?;
    }
    for name in ["default", "kube-system", "kube-public", "kube-node-lease"] {
        namespace(tx, name, json!({}), at)?;
    }
    roles(tx, at)?;
    match which {
        Seed::Empty => Ok(()),
        Seed::Management => management(tx, at),
        Seed::Workload => workload(tx, at),
    }
}

fn management(tx: &Transaction, at: Moment) -> Result<(), Failure> {
    namespace(tx, "gloo-mesh", json!({}), at)?;
    deployment(
        tx,
        "gloo-mesh",
        "gloo-mesh-mgmt-server",
        &json!({ "app": "gloo-mesh-mgmt-server" }),
        1,
        at,
    )?;
    let definition = root_trust_policies();
    let policies = Resource::of_definition(&definition).into_iter().next();
    put(
        tx,
        "customresourcedefinitions.apiextensions.k8s.io",
        definition,
        at,
    )?;
    let policies = policies.ok_or_else(|| Failure::internal("the definition serves no version"))?;
    let policy = json!({
        "apiVersion": policies.api_version(),
        "kind": policies.kind,
        "metadata": { "name": "root-trust-policy", "namespace": "gloo-mesh" },
        "spec": { "config": {
            "mgmtServerCa": { "generated": {} },
            "autoRestartPods": true,
            "intermediateCertOptions": {
                "secretRotationGracePeriodRatio": 0.1,
                "ttlDays": 1,
            },
        } },
    });
    seed(tx, &policies, policy, at)
}

fn put(tx: &Transaction, key: &str, object: Json, at: Moment) -> Result<(), Failure> {
    seed(tx, &Resource::by_key(key), object, at)
}

fn workload(tx: &Transaction, at: Moment) -> Result<(), Failure> {
    namespace(tx, "istio-system", json!({}), at)?;
    deployment(
        tx,
        "istio-system",
        "istiod",
        &json!({ "app": "istiod", "istio": "pilot" }),
        2,
        at,
    )?;
    daemon_set(tx, "istio-system", "ztunnel", at)?;
    namespace(tx, "istio-ingress", json!({}), at)?;
    let labels = json!({ "app": "istio-ingressgateway", "istio": "ingressgateway" });
    deployment(tx, "istio-ingress", "istio-ingressgateway", &labels, 1, at)?;
    namespace(tx, "gloo-mesh", json!({}), at)?;
    let labels = json!({ "app": "gloo-mesh-agent" });
    deployment(tx, "gloo-mesh", "gloo-mesh-agent", &labels, 1, at)?;
    namespace(tx, "bookinfo", json!({ "istio-injection": "enabled" }), at)?;
    for name in ["productpage", "reviews"] {
        deployment(tx, "bookinfo", name, &json!({ "app": name }), 2, at)?;
    }
    Ok(())
}

fn namespace(tx: &Transaction, name: &str, labels: Json, at: Moment) -> Result<(), Failure> {
    let object = json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": { "name": name, "labels": labels },
    });
    put(tx, "namespaces", object, at)
}

fn deployment(
    tx: &Transaction,
    namespace: &str,
    name: &str,
    labels: &Json,
    replicas: u32,
    at: Moment,
) -> Result<(), Failure> {
    let object = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": { "name": name, "namespace": namespace, "labels": labels },
        "spec": {
            "replicas": replicas,
            "selector": { "matchLabels": labels },
            "template": template(name, labels),
        },
    });
    put(tx, "deployments.apps", object, at)
}

fn daemon_set(tx: &Transaction, namespace: &str, name: &str, at: Moment) -> Result<(), Failure> {
    let labels = json!({ "app": name });
    let object = json!({
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": { "name": name, "namespace": namespace, "labels": labels },
        "spec": {
            "selector": { "matchLabels": labels },
            "template": template(name, &labels),
        },
    });
    put(tx, "daemonsets.apps", object, at)
}

fn template(name: &str, labels: &Json) -> Json {
    json!({
        "metadata": { "labels": labels },
        "spec": { "containers": [{ "name": name, "image": format!("rehearsal/{name}:1.0") }] },
    })
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

/// The roles that every cluster has and that somebody here could miss.
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

/// Gloo Mesh's RootTrustPolicy, as far as a rehearsal needs it: the product may add fields, so none are refused.
fn root_trust_policies() -> Json {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": { "name": "roottrustpolicies.admin.gloo.solo.io" },
        "spec": {
            "group": "admin.gloo.solo.io",
            "scope": "Namespaced",
            "names": {
                "plural": "roottrustpolicies",
                "singular": "roottrustpolicy",
                "kind": "RootTrustPolicy",
                "listKind": "RootTrustPolicyList",
                "categories": ["gloo-mesh"],
            },
            "versions": [{
                "name": "v2",
                "served": true,
                "storage": true,
                "subresources": { "status": {} },
                "schema": { "openAPIV3Schema": {
                    "type": "object",
                    "properties": {
                        "spec": {
                            "type": "object",
                            "x-kubernetes-preserve-unknown-fields": true,
                            "properties": { "config": {
                                "type": "object",
                                "x-kubernetes-preserve-unknown-fields": true,
                                "properties": {
                                    "autoRestartPods": { "type": "boolean" },
                                    "mgmtServerCa": {
                                        "type": "object",
                                        "x-kubernetes-preserve-unknown-fields": true,
                                    },
                                    "intermediateCertOptions": {
                                        "type": "object",
                                        "x-kubernetes-preserve-unknown-fields": true,
                                        "properties": {
                                            "secretRotationGracePeriodRatio": { "type": "number" },
                                            "ttlDays": { "type": "integer" },
                                        },
                                    },
                                },
                            } },
                        },
                        "status": {
                            "type": "object",
                            "x-kubernetes-preserve-unknown-fields": true,
                        },
                    },
                } },
            }],
        },
    })
}
