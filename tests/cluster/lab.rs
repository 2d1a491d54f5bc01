//! A cluster, and a client that returns every response unchanged.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::Request;
use futures_util::{FutureExt, StreamExt, TryStreamExt};
use kube::api::WatchEvent;
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value as Json, json};
use windlass::cluster::{Options, Server, kubeconfig};

/// A response: its status and its body.
pub type Answer = (u16, Json);

/// A client of one cluster, with a separate namespace in it.
pub struct Api {
    client: kube::Client,
    config: kube::Config,
    pub namespace: String,
    pub is_rehearsal: bool,
}

/// Runs a part of the contract with the clusters in the environment variables, or with a rehearsal cluster.
pub fn contract<F: Future<Output = ()>>(test: impl Fn(Arc<Api>) -> F) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let Some(file) = std::env::var_os("WINDLASS_TEST_KUBECONFIG") else {
            let folder = tempfile::tempdir().unwrap();
            let server = start(Options::local(folder.path().join("state"), "contract")).await;
            let config = Kubeconfig::from_yaml(&kubeconfig(&[server.access()])).unwrap();
            on(config, "contract", true, &test).await;
            server.stop().await;
            return;
        };
        let contexts = std::env::var("WINDLASS_TEST_CONTEXTS").expect("names of contexts");
        for context in contexts.split(',') {
            let config = Kubeconfig::read_from(&file).unwrap();
            on(config, context, false, &test).await;
        }
    });
}

/// Returns the kube crate's own client for a cluster, which is the first context of the kubeconfig.
pub async fn client_of(config: Kubeconfig) -> kube::Client {
    let options = KubeConfigOptions::default();
    let config = kube::Config::from_custom_kubeconfig(config, &options).await;
    kube::Client::try_from(config.unwrap()).unwrap()
}

/// Starts a rehearsal cluster without workloads.
pub async fn start(options: Options) -> Server {
    Server::start(options).await.unwrap()
}

async fn on<F: Future<Output = ()>>(
    config: Kubeconfig,
    context: &str,
    is_rehearsal: bool,
    test: &impl Fn(Arc<Api>) -> F,
) {
    let api = Arc::new(Api::connect(config, context, is_rehearsal).await);
    api.create_namespace().await;
    let outcome = AssertUnwindSafe(test(Arc::clone(&api)))
        .catch_unwind()
        .await;
    let namespace = format!("/api/v1/namespaces/{}", api.namespace);
    api.delete(&namespace).await;
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

impl Api {
    pub async fn connect(config: Kubeconfig, context: &str, is_rehearsal: bool) -> Self {
        let options = KubeConfigOptions {
            context: Some(context.to_owned()),
            ..KubeConfigOptions::default()
        };
        let config = kube::Config::from_custom_kubeconfig(config, &options).await;
        let config = config.unwrap();
        Self {
            client: kube::Client::try_from(config.clone()).unwrap(),
            config,
            namespace: format!("windlass-{}", unique()),
            is_rehearsal,
        }
    }

    pub async fn create_namespace(&self) {
        let object = json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": { "name": self.namespace },
        });
        let (status, answer) = self.post("/api/v1/namespaces", &object).await;
        assert_eq!(status, 201, "{answer}");
    }

    /// Returns the same client, for another namespace.
    pub fn clone_of(other: &Self) -> Self {
        Self {
            client: other.client.clone(),
            config: other.config.clone(),
            namespace: other.namespace.clone(),
            is_rehearsal: other.is_rehearsal,
        }
    }

    /// Returns a client of the same cluster for another user: with this token, or anonymous.
    pub fn with_token(&self, token: Option<&str>) -> Self {
        let mut config = self.config.clone();
        config.auth_info = kube::config::AuthInfo {
            token: token.map(|token| token.to_owned().into()),
            ..kube::config::AuthInfo::default()
        };
        Self {
            client: kube::Client::try_from(config.clone()).unwrap(),
            config,
            namespace: self.namespace.clone(),
            is_rehearsal: self.is_rehearsal,
        }
    }

    /// Returns the path of a resource in this client's namespace: `secrets`, `secrets/a`, `deployments/a`.
    pub fn path(&self, rest: &str) -> String {
        let plural = rest.split('/').next().unwrap();
        let group = match plural {
            "deployments" | "statefulsets" | "daemonsets" | "replicasets" => "apis/apps/v1",
            "roles" | "rolebindings" => "apis/rbac.authorization.k8s.io/v1",
            _ => "api/v1",
        };
        format!("/{group}/namespaces/{}/{rest}", self.namespace)
    }

    /// Sends a request unchanged.
    pub async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> (u16, String) {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.client.send(request.body(Body::from(body)).unwrap());
        let response = response
            .await
            .unwrap_or_else(|e| panic!("{method} {path}: {e}"));
        let status = response.status().as_u16();
        let body = response.into_body().collect_bytes().await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn call(&self, method: &str, path: &str, kind: &str, body: &Json) -> Answer {
        let body = match body {
            Json::Null => Vec::new(),
            body => body.to_string().into_bytes(),
        };
        let headers = [("content-type", kind), ("accept", "application/json")];
        let (status, text) = self.send(method, path, &headers, body).await;
        let body = serde_json::from_str(&text).unwrap_or(Json::String(text));
        (status, body)
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, "application/json", &Json::Null)
            .await
    }

    pub async fn post(&self, path: &str, body: &Json) -> Answer {
        self.call("POST", path, "application/json", body).await
    }

    pub async fn put(&self, path: &str, body: &Json) -> Answer {
        self.call("PUT", path, "application/json", body).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.call("DELETE", path, "application/json", &Json::Null)
            .await
    }

    pub async fn delete_with(&self, path: &str, options: &Json) -> Answer {
        self.call("DELETE", path, "application/json", options).await
    }

    pub async fn merge(&self, path: &str, patch: &Json) -> Answer {
        self.call("PATCH", path, "application/merge-patch+json", patch)
            .await
    }

    pub async fn strategic(&self, path: &str, patch: &Json) -> Answer {
        let kind = "application/strategic-merge-patch+json";
        self.call("PATCH", path, kind, patch).await
    }

    pub async fn json_patch(&self, path: &str, patch: &Json) -> Answer {
        self.call("PATCH", path, "application/json-patch+json", patch)
            .await
    }

    pub async fn apply(&self, path: &str, manager: &str, config: &Json) -> Answer {
        let path = format!("{path}?fieldManager={manager}");
        self.call("PATCH", &path, "application/apply-patch+yaml", config)
            .await
    }

    pub async fn force(&self, path: &str, manager: &str, config: &Json) -> Answer {
        let path = format!("{path}?fieldManager={manager}&force=true");
        self.call("PATCH", &path, "application/apply-patch+yaml", config)
            .await
    }

    /// Creates an object in this client's namespace.
    pub async fn create(&self, plural: &str, object: &Json) -> Json {
        let (status, answer) = self.post(&self.path(plural), object).await;
        assert_eq!(status, 201, "{answer}");
        answer
    }

    /// Returns the events of a watch that ends after a second.
    pub async fn watch(&self, path: &str) -> Vec<Json> {
        let path = format!("{path}&watch=true&timeoutSeconds=1");
        let headers = [("accept", "application/json")];
        let (status, text) = self.send("GET", &path, &headers, Vec::new()).await;
        assert_eq!(status, 200, "{text}");
        let lines = text.lines().filter(|line| !line.is_empty());
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Returns the first events of a watch.
    pub async fn first_events(&self, path: &str, count: usize) -> Vec<WatchEvent<Json>> {
        let path = format!("{path}&watch=true");
        let request = Request::get(path).body(Vec::new()).unwrap();
        let events = self.client.request_events::<Json>(request).await.unwrap();
        let events = events.take(count).try_collect();
        let patience = Duration::from_secs(60);
        let events = tokio::time::timeout(patience, events).await;
        events.expect("the events come").unwrap()
    }

    /// Reads an object until a condition is true.
    pub async fn until(&self, path: &str, what: &str, is: impl Fn(&Json) -> bool) -> Json {
        let patience = Duration::from_secs(if self.is_rehearsal { 20 } else { 180 });
        let started = Instant::now();
        loop {
            let (_, object) = self.get(path).await;
            if is(&object) {
                return object;
            }
            assert!(started.elapsed() < patience, "{what}: {object:#}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Returns whether pods can run: a control plane alone has no nodes.
    pub async fn has_nodes(&self) -> bool {
        let (_, nodes) = self.get("/api/v1/nodes").await;
        !nodes["items"].as_array().unwrap().is_empty()
    }
}

/// Returns a unique name.
pub fn unique() -> String {
    let mut bytes = [0; 6];
    aws_lc_rs::rand::fill(&mut bytes).unwrap();
    data_encoding::HEXLOWER.encode(&bytes)
}

pub fn secret(name: &str, texts: Json) -> Json {
    json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name }, "stringData": texts })
}

pub fn config_map(name: &str, data: Json) -> Json {
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name }, "data": data })
}

/// Returns a workload of one of the three kinds, with one container.
pub fn workload(kind: &str, name: &str, more: Json) -> Json {
    let mut object = json!({
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": { "name": name },
        "spec": {
            "selector": { "matchLabels": { "app": name } },
            "template": {
                "metadata": { "labels": { "app": name } },
                "spec": { "containers": [{ "name": "main", "image": "registry.k8s.io/pause:3.10" }] },
            },
        },
    });
    if let Json::Object(more) = more {
        for (field, value) in more {
            object["spec"][field] = value;
        }
    }
    object
}

/// Returns the fields that a manager owns, in the form of `fieldsV1`.
pub fn owned<'a>(object: &'a Json, manager: &str) -> &'a Json {
    let entries = object["metadata"]["managedFields"].as_array().unwrap();
    let entry = entries.iter().find(|entry| entry["manager"] == manager);
    &entry.unwrap_or_else(|| panic!("{manager} owns nothing: {object:#}"))["fieldsV1"]
}

pub fn version(object: &Json) -> u64 {
    let version = object["metadata"]["resourceVersion"].as_str();
    version
        .unwrap_or_else(|| panic!("{object}"))
        .parse()
        .unwrap()
}
