//! Restarts and their waits, on a cluster that is seen with kubectl.

use std::{
    net::{Shutdown, TcpListener, TcpStream},
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use serde_json::{Value as Json, json};

use crate::{
    cluster::served::Clusters,
    harness::{Ran, Test, fed, until},
    mesh::Mesh,
};

const PATIENCE: Duration = Duration::from_secs(30);

/// A cluster `c` of the target `t`, with kubectl.
struct Lab {
    test: Test,
    served: Clusters,
}

impl Lab {
    fn new(options: &[&str]) -> Self {
        let test = Test::with_shipped_workflows();
        let served = Clusters::serve(&test, &["c".to_owned()], options);
        test.write(
            "windlass.toml",
            &format!("[targets.t]\n{}", served.of_target()),
        );
        Self { test, served }
    }

    fn kubectl(&self, arguments: &[&str]) -> Ran {
        self.kubectl_with(arguments, "")
    }

    fn kubectl_with(&self, arguments: &[&str], input: &str) -> Ran {
        let mut kubectl = Command::new("kubectl");
        kubectl
            .args(["--kubeconfig", &self.served.kubeconfig])
            .args(arguments)
            .env("HOME", self.test.path("."));
        fed(&mut kubectl, input)
    }

    /// Makes a workload `a`, and waits until its pods are ready.
    fn workload(&self, kind: &str, spec: Json) {
        let mut object = json!({
            "apiVersion": "apps/v1", "kind": kind, "metadata": { "name": "a", "namespace": "default" },
            "spec": {
                "selector": { "matchLabels": { "app": "a" } },
                "template": {
                    "metadata": { "labels": { "app": "a" } },
                    "spec": { "containers": [{ "name": "main", "image": "pause" }] },
                },
            },
        });
        for (key, value) in spec.as_object().expect("an object") {
            object["spec"][key] = value.clone();
        }
        self.kubectl_with(&["create", "-f", "-"], &object.to_string())
            .expect(0);
        let wanted = spec["replicas"].as_u64().expect("a number");
        until("its pods are ready", PATIENCE, || {
            let pods = self.pods();
            pods.len() as u64 == wanted && pods.iter().all(is_ready)
        });
    }

    fn get(&self, object: &str) -> Json {
        self.kubectl(&["get", object, "-o", "json"])
            .expect(0)
            .json()
    }

    fn pods(&self) -> Vec<Json> {
        let pods = self.kubectl(&["get", "pods", "-l", "app=a", "-o", "json"]);
        pods.expect(0).json()["items"]
            .as_array()
            .expect("a list")
            .clone()
    }

    fn uids(&self) -> Vec<String> {
        let pods = self.pods();
        pods.iter()
            .map(|pod| pod["metadata"]["uid"].to_string())
            .collect()
    }

    /// Writes a workflow of one step with this body, and runs it.
    fn run(&self, body: &str) -> Ran {
        let body = body.replace('\n', "\n      ");
        self.test.write(
            "w.yaml",
            &format!(
                "workflow: w\nkube: [c]\nsteps:\n  s:\n    run: |\n      {body}\n      #{{}}\n"
            ),
        );
        self.test.windlass(&["run", "w.yaml", "--target", "t"])
    }
}

fn is_ready(pod: &Json) -> bool {
    let conditions = pod["status"]["conditions"].as_array();
    conditions.is_some_and(|all| {
        all.iter()
            .any(|one| one["type"] == "Ready" && one["status"] == "True")
    })
}

#[test]
fn a2_a_restart_always_changes_the_template() {
    let lab = Lab::new(&[]);
    lab.workload("Deployment", json!({ "replicas": 2 }));
    let future = r#"{"spec":{"template":{"metadata":{"annotations":{"kubectl.kubernetes.io/restartedAt":"2999-01-01T00:00:00Z"}}}}}"#;
    lab.kubectl(&["patch", "deployment/a", "-p", future])
        .expect(0);
    lab.kubectl(&["rollout", "status", "deployment/a"])
        .expect(0);
    let before = lab.uids();
    lab.run("kube::restart(\"c\", \"default\", \"deployment/a\");\nkube::wait_rollout(\"c\", \"default\", \"deployment/a\", \"20s\");")
        .expect(0);
    let after = lab.uids();
    assert!(
        !after.iter().any(|uid| before.contains(uid)),
        "{before:?}, {after:?}"
    );
}

#[test]
fn a2_a_restart_that_is_taken_back_is_no_success() {
    let lab = Lab::new(&[]);
    lab.workload("Deployment", json!({ "replicas": 2 }));
    let ran = lab.run(
        "kube::restart(\"c\", \"default\", \"deployment/a\");\nkube::patch(\"c\", \"default\", \"deployment/a\", #{ spec: #{ template: #{ metadata: #{ annotations: #{ \"kubectl.kubernetes.io/restartedAt\": () } } } } });\nkube::wait_rollout(\"c\", \"default\", \"deployment/a\", \"20s\");",
    );
    let ran = ran.expect(1);
    ran.says("RestartUndone");
    ran.says("reverted");
}

#[test]
fn a2_a_rollout_with_another_name_of_its_secret_is_no_success() {
    let lab = Lab::new(&[]);
    lab.workload("Deployment", json!({ "replicas": 1 }));
    let ran = lab.run(
        "kube::patch(\"c\", \"default\", \"deployment/a\", #{ spec: #{ template: #{ spec: #{ volumes: [#{ name: \"tls\", secret: #{ secretName: \"renamed\" } }] } } } });\nkube::wait_rollout(\"c\", \"default\", \"deployment/a\", \"2s\");",
    );
    let ran = ran.expect(1);
    ran.says("MountVolume.SetUp failed for volume \"tls\" : secret \"renamed\" not found");
    lab.run("kube::apply_secret(\"c\", \"default\", \"renamed\", #{ \"tls.key\": \"k\" });\nkube::wait_rollout(\"c\", \"default\", \"deployment/a\", \"20s\");")
        .expect(0);
}

#[test]
fn a2_what_keeps_old_pods_is_refused_before_the_patch() {
    let cases = [
        (
            "Deployment",
            json!({ "replicas": 1, "paused": false }),
            "Paused",
        ),
        (
            "StatefulSet",
            json!({ "replicas": 2, "updateStrategy": { "type": "RollingUpdate", "rollingUpdate": { "partition": 1 } } }),
            "Partitioned",
        ),
        (
            "StatefulSet",
            json!({ "replicas": 1, "updateStrategy": { "type": "OnDelete" } }),
            "OnDelete",
        ),
    ];
    for (kind, spec, code) in cases {
        let lab = Lab::new(&[]);
        lab.workload(kind, spec);
        let object = format!("{}/a", kind.to_lowercase());
        if code == "Paused" {
            lab.kubectl(&["rollout", "pause", "deployment/a"]).expect(0);
        }
        let before = lab.get(&object);
        let restart = format!("kube::restart(\"c\", \"default\", \"{object}\");");
        let ran = lab.run(&restart).expect(2);
        ran.says(code);
        let anyway = ["run", "w.yaml", "--target", "t", "--no-dry-run"];
        let ran = lab.test.windlass(&anyway).expect(1);
        ran.says(code);
        let after = lab.get(&object);
        assert_eq!(
            after["metadata"]["generation"], before["metadata"]["generation"],
            "{code}"
        );
        // A restart by somebody else: the wait says why it will not end. kubectl counts a partition as done, and waits
        // for a paused one for ever.
        if code != "Paused" {
            lab.kubectl(&["rollout", "restart", &object]).expect(0);
        } else {
            lab.kubectl(&["set", "image", "deployment/a", "main=other"])
                .expect(0);
        }
        let wait = format!("kube::wait_rollout(\"c\", \"default\", \"{object}\", \"20s\");");
        let ran = lab.run(&wait).expect(1);
        ran.says(code);
        if code == "OnDelete" {
            let told = lab.kubectl(&["rollout", "status", &object]).expect(1);
            told.says("RollingUpdate");
            // Once a person has deleted the old pods, all is new, and the wait says so.
            lab.kubectl(&["delete", "pod", "a-0"]).expect(0);
            lab.run(&wait).expect(0);
        }
    }
}

#[test]
fn a2_on_delete_is_replaced_pod_by_pod_within_its_budget() {
    let lab = Lab::new(&[]);
    lab.workload(
        "StatefulSet",
        json!({ "replicas": 3, "updateStrategy": { "type": "OnDelete" } }),
    );
    let budget = |most: u32| {
        let budget = json!({ "apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
            "metadata": { "name": "b", "namespace": "default" },
            "spec": { "maxUnavailable": most, "selector": { "matchLabels": { "app": "a" } } } });
        lab.kubectl_with(&["apply", "-f", "-"], &budget.to_string())
            .expect(0);
    };
    budget(0);
    // The judge: what kubectl is told of an eviction.
    let eviction = json!({ "apiVersion": "policy/v1", "kind": "Eviction",
        "metadata": { "name": "a-2", "namespace": "default" } });
    let path = "/api/v1/namespaces/default/pods/a-2/eviction";
    let told = lab.kubectl_with(&["create", "--raw", path, "-f", "-"], &eviction.to_string());
    assert_ne!(told.code, 0, "{}", told.stdout);
    told.says("disruption budget");
    let before = lab.uids();
    let body = "kube::restart(\"c\", \"default\", \"statefulset/a\", #{ on_delete: true });\nkube::replace_pods(\"c\", \"default\", \"statefulset/a\", \"1s\");\nkube::wait_rollout(\"c\", \"default\", \"statefulset/a\", \"20s\");";
    let ran = lab.run(body).expect(1);
    ran.says("DisruptionBudget");
    assert_eq!(lab.uids(), before, "nothing is evicted against the budget");
    budget(1);
    lab.test.windlass(&["resume"]).expect(0);
    let after = lab.uids();
    assert_eq!(after.len(), 3);
    assert!(
        !after.iter().any(|uid| before.contains(uid)),
        "{before:?}, {after:?}"
    );
    let set = lab.get("statefulset/a");
    assert_eq!(set["metadata"]["generation"], 2, "it was restarted once");
    let evictions = lab.test.windlass(&["logs", "--json"]).expect(0).stdout;
    assert!(evictions.matches("kube::evict").count() >= 3, "{evictions}");
    // What was evicted under a uid is not evicted again under another's.
    let other = json!({ "apiVersion": "policy/v1", "kind": "Eviction",
        "metadata": { "name": "a-2", "namespace": "default" },
        "deleteOptions": { "preconditions": { "uid": before[2].trim_matches('"') } } });
    let told = lab.kubectl_with(&["create", "--raw", path, "-f", "-"], &other.to_string());
    told.says("Precondition failed");
    assert_eq!(lab.uids(), after);
}

#[test]
fn a2_rbac_lists_the_eviction() {
    let test = Test::with_shipped_workflows();
    let role = test
        .windlass(&["rbac", "workflows/restart-mesh.yaml"])
        .expect(0);
    role.prints("pods/eviction");
}

/// A way to a server that can be cut.
struct Bridge {
    port: u16,
    is_down: Arc<AtomicBool>,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Bridge {
    fn to(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let bridge = Self {
            port: listener.local_addr().expect("bound").port(),
            is_down: Arc::default(),
            open: Arc::default(),
        };
        let (server, is_down, open) = (
            server.to_owned(),
            bridge.is_down.clone(),
            bridge.open.clone(),
        );
        thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                if is_down.load(Ordering::SeqCst) {
                    continue;
                }
                let Ok(far) = TcpStream::connect(&server) else {
                    continue;
                };
                let copy = |stream: &TcpStream| stream.try_clone().expect("a copy");
                let mut all = open.lock().expect("no panic");
                all.extend([copy(&near), copy(&far)]);
                for (mut from, mut to) in [(copy(&near), copy(&far)), (copy(&far), copy(&near))] {
                    thread::spawn(move || {
                        let _ = std::io::copy(&mut from, &mut to);
                        let _ = to.shutdown(Shutdown::Both);
                    });
                }
            }
        });
        bridge
    }

    fn cut_for(&self, time: Duration) {
        self.is_down.store(true, Ordering::SeqCst);
        for stream in self.open.lock().expect("no panic").drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
        thread::sleep(time);
        self.is_down.store(false, Ordering::SeqCst);
    }
}

#[test]
fn h2_an_outage_of_the_api_server_within_a_wait_is_ridden_out() {
    let lab = Lab::new(&["--pod-delay", "1500ms"]);
    lab.workload("Deployment", json!({ "replicas": 1 }));
    let config = std::fs::read_to_string(&lab.served.kubeconfig).expect("a kubeconfig");
    let from = config.find("https://127.0.0.1:").expect("an address") + "https://".len();
    let server: String = config[from..]
        .chars()
        .take_while(|c| c.is_ascii_digit() || ".:".contains(*c))
        .collect();
    let bridge = Bridge::to(&server);
    lab.test.write(
        "bridged",
        &config.replace(&server, &format!("127.0.0.1:{}", bridge.port)),
    );
    lab.test.write(
        "windlass.toml",
        "[targets.t]\nkube = { c = \"c\" }\nkubeconfig = \"bridged\"\nkube_patience = \"20s\"\n",
    );
    let before = lab.get("deployment/a");
    thread::scope(|scope| {
        let run = scope.spawn(|| {
            lab.run("kube::restart(\"c\", \"default\", \"deployment/a\");\nkube::wait_rollout(\"c\", \"default\", \"deployment/a\", \"30s\");\nkube::get(\"c\", \"default\", \"deployment/a\");")
        });
        until("it is restarted", PATIENCE, || {
            lab.get("deployment/a")["metadata"]["generation"] != before["metadata"]["generation"]
        });
        bridge.cut_for(Duration::from_secs(3));
        run.join().expect("no panic").expect(0);
    });
    // And a write that begins while nothing answers.
    let label = |lab: &Lab| lab.get("deployment/a")["metadata"]["labels"]["x"].clone();
    thread::scope(|scope| {
        let run = scope.spawn(|| {
            lab.run("kube::patch(\"c\", \"default\", \"deployment/a\", #{ metadata: #{ labels: #{ x: \"one\" } } });\ntime::sleep(\"1s\");\nkube::patch(\"c\", \"default\", \"deployment/a\", #{ metadata: #{ labels: #{ x: \"two\" } } });")
        });
        until("the first write", PATIENCE, || label(&lab) == "one");
        bridge.cut_for(Duration::from_secs(3));
        run.join().expect("no panic").expect(0);
    });
    assert_eq!(label(&lab), "two");
}

#[test]
fn h3_a_trust_policy_that_is_set_back_is_no_success() {
    let mesh = Mesh::new(1, &[]);
    let test = &mesh.test;
    let step = |script: &str, with: &str| {
        test.write(
            "workflows/w.yaml",
            &format!("workflow: w\nkube: [mgmt]\nsteps:\n  s:\n    script: steps/{script}.rhai\n    with: {{ cluster: mgmt{with} }}\n"),
        );
        test.windlass(&["run", "workflows/w.yaml", "--target", "t"])
    };
    let set = |value: &str| {
        let patch = format!("{{\"spec\":{{\"config\":{{\"autoRestartPods\":{value}}}}}}}");
        let policy = "roottrustpolicies/root-trust-policy";
        mesh.kubectl(
            "mgmt",
            &[
                "-n",
                "gloo-mesh",
                "patch",
                policy,
                "--type",
                "merge",
                "-p",
                &patch,
            ],
        )
        .expect(0);
    };
    step("root_trust_policy", ", run: \"${{ run.id }}\"").expect(0);
    step("verify_mesh", ", trust_policies: true").expect(0);
    // Set back later: verify sees it.
    set("true");
    let ran = step("verify_mesh", ", trust_policies: true").expect(1);
    ran.says("autoRestartPods");
    // Set back at once, as a schema that drops the field does: the step that writes sees it.
    let schema = r#"[{"op":"replace","path":"/spec/versions/0/schema/openAPIV3Schema","value":{"type":"object","properties":{"spec":{"type":"object","properties":{"config":{"type":"object"}}}}}}]"#;
    mesh.kubectl(
        "mgmt",
        &[
            "patch",
            "crd/roottrustpolicies.admin.gloo.solo.io",
            "--type",
            "json",
            "-p",
            schema,
        ],
    )
    .expect(0);
    set("null");
    let ran = step("root_trust_policy", ", run: \"${{ run.id }}\"").expect(1);
    ran.says("autoRestartPods");
}
