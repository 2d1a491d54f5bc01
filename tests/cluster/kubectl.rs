//! The real kubectl, with the kubeconfig that `windlass kube serve` writes.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use serde_json::{Value as Json, json};

use super::{lab::workload, served::Clusters};
use crate::authority::lab::has;
use crate::harness::{Ends, Ran, Test, fed};

/// `windlass kube serve` in a separate folder, and kubectl for it.
struct Kubectl {
    test: Test,
    served: Clusters,
}

impl Kubectl {
    /// Returns `None` if there is no kubectl.
    fn new(clusters: &[&str], options: &[&str]) -> Option<Self> {
        let how = "apt-get install kubernetes-client, or https://kubernetes.io/docs/tasks/tools/";
        if !has("kubectl", &["version", "--client"], how) {
            return None;
        }
        let test = Test::new();
        let names: Vec<_> = clusters.iter().map(|name| (*name).to_owned()).collect();
        let served = Clusters::serve(&test, &names, options);
        Some(Self { test, served })
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("kubectl");
        command
            .env_remove("KUBERNETES_MASTER")
            .env("KUBECONFIG", &self.served.kubeconfig)
            .env("HOME", self.test.path("."))
            .current_dir(self.test.path("."))
            .args(arguments);
        command
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        Ran::from_output(self.command(arguments).output().unwrap())
    }

    /// Returns the minor version of kubectl: Debian has 1.20, which lacks some commands.
    fn minor(&self) -> u32 {
        let version = self
            .run(&["version", "--client", "-o", "json"])
            .expect(0)
            .json();
        let minor = version["clientVersion"]["minor"].as_str().unwrap();
        minor.trim_end_matches('+').parse().unwrap()
    }

    /// Returns what kubectl prints, which must succeed.
    #[track_caller]
    fn says(&self, arguments: &[&str]) -> String {
        let ran = self.run(arguments).expect(0);
        format!("{}{}", ran.stdout, ran.stderr)
    }

    fn json(&self, arguments: &[&str]) -> Json {
        let printed = self.run(&[arguments, &["-o", "json"]].concat()).expect(0);
        printed.json()
    }

    /// Runs kubectl with an object on stdin.
    #[track_caller]
    fn with(&self, arguments: &[&str], object: &Json) -> Ran {
        let mut command = self.command(&[arguments, &["-f", "-"]].concat());
        fed(&mut command, &object.to_string())
    }
}

#[test]
fn the_seeded_clusters_are_ready_and_separate() {
    let Some(kubectl) = Kubectl::new(&["mgmt", "cluster-1"], &[]) else {
        return;
    };
    let pods = kubectl.says(&["get", "pods", "-A"]);
    assert!(
        pods.contains("gloo-mesh-mgmt-server-") && pods.contains("1/1"),
        "{pods}"
    );
    let policy = kubectl.json(&[
        "-n",
        "gloo-mesh",
        "get",
        "roottrustpolicies",
        "root-trust-policy",
    ]);
    assert_eq!(policy["spec"]["config"]["autoRestartPods"], true);
    let names = kubectl.says(&[
        "--context",
        "cluster-1",
        "get",
        "deployments,daemonsets",
        "-A",
        "-o",
        "name",
    ]);
    let mut names: Vec<_> = names.lines().collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "daemonset.apps/ztunnel",
            "deployment.apps/gloo-mesh-agent",
            "deployment.apps/istio-ingressgateway",
            "deployment.apps/istiod",
            "deployment.apps/productpage",
            "deployment.apps/ratings",
            "deployment.apps/reviews",
        ]
    );
    let wide = kubectl.says(&[
        "--context",
        "cluster-1",
        "get",
        "deploy",
        "-A",
        "-o",
        "wide",
    ]);
    assert!(wide.contains("docker.io/istio/pilot:1.30"), "{wide}");
    for deployment in ["productpage", "reviews"] {
        let status = [
            "--context",
            "cluster-1",
            "-n",
            "bookinfo",
            "rollout",
            "status",
            "--watch=false",
        ];
        let said = kubectl.says(&[&status[..], &["deployment", deployment]].concat());
        assert!(said.contains("successfully rolled out"), "{said}");
    }
}

#[test]
fn client_side_and_server_side_apply_work() {
    let Some(kubectl) = Kubectl::new(&["a"], &[]) else {
        return;
    };
    let mut web = workload("Deployment", "web", json!({ "replicas": 2 }));
    assert!(
        kubectl
            .with(&["apply"], &web)
            .expect(0)
            .stdout
            .contains("created")
    );
    assert!(
        kubectl
            .with(&["apply"], &web)
            .expect(0)
            .stdout
            .contains("unchanged")
    );
    web["spec"]["template"]["spec"]["containers"][0]["image"] = "web:2".into();
    if kubectl.minor() >= 24 {
        let diff = kubectl.with(&["diff"], &web).expect(1).stdout;
        assert!(
            diff.contains("+        image: web:2") || diff.contains("+      - image: web:2"),
            "{diff}"
        );
    }
    assert!(
        kubectl
            .with(&["apply"], &web)
            .expect(0)
            .stdout
            .contains("configured")
    );
    let mut removed = web.clone();
    removed["spec"].as_object_mut().unwrap().remove("replicas");
    kubectl.with(&["apply"], &removed).expect(0);
    assert_eq!(
        kubectl.json(&["get", "deploy", "web"])["spec"]["replicas"],
        1
    );

    web["spec"]["template"]["spec"]["containers"][0]["image"] = "web:3".into();
    let server_side = ["apply", "--server-side", "--field-manager=other"];
    let refused = kubectl.with(&server_side, &web).expect(1).stderr;
    assert!(
        refused.contains("conflicts with \"kubectl-client-side-apply\""),
        "{refused}"
    );
    let forced = [&server_side[..], &["--force-conflicts"]].concat();
    let said = kubectl.with(&forced, &web).expect(0).stdout;
    assert!(said.contains("serverside-applied"), "{said}");
    if kubectl.minor() < 25 {
        return;
    }
    let misspelt = workload("Deployment", "other", json!({ "replica": 1 }));
    let refused = kubectl.with(&["apply"], &misspelt).expect(1).stderr;
    assert!(
        refused.contains("unknown field \"spec.replica\""),
        "{refused}"
    );
}

#[test]
fn three_kinds_of_patches_and_other_commands_work() {
    let Some(kubectl) = Kubectl::new(&["a"], &[]) else {
        return;
    };
    kubectl.says(&["create", "configmap", "c", "--from-literal=a=1"]);
    kubectl.says(&["patch", "configmap", "c", "-p", r#"{"data":{"b":"2"}}"#]);
    kubectl.says(&[
        "patch",
        "configmap",
        "c",
        "--type=merge",
        "-p",
        r#"{"data":{"a":null}}"#,
    ]);
    kubectl.says(&[
        "patch",
        "configmap",
        "c",
        "--type=json",
        "-p",
        r#"[{"op":"add","path":"/data/c","value":"3"}]"#,
    ]);
    assert_eq!(
        kubectl.json(&["get", "configmap", "c"])["data"],
        json!({ "b": "2", "c": "3" })
    );
    kubectl.says(&["label", "configmap", "c", "x=y"]);
    kubectl.says(&["annotate", "configmap", "c", "x=y"]);
    let listed = kubectl.says(&["get", "configmaps", "-l", "x=y", "-o", "name"]);
    assert_eq!(listed.trim(), "configmap/c");

    kubectl.says(&["create", "secret", "generic", "s", "--from-literal=k=v"]);
    assert_eq!(kubectl.json(&["get", "secret", "s"])["data"]["k"], "dg==");
    let described = kubectl.says(&["describe", "secret", "s"]);
    assert!(described.contains("k:  1 bytes"), "{described}");
    let refused = kubectl
        .run(&["create", "secret", "generic", "s"])
        .expect(1)
        .stderr;
    assert!(
        refused.contains("secrets \"s\" already exists"),
        "{refused}"
    );
    kubectl.says(&["delete", "secret", "s"]);
    let refused = kubectl.run(&["get", "secret", "s"]).expect(1).stderr;
    assert!(refused.contains("secrets \"s\" not found"), "{refused}");
    kubectl.says(&["create", "namespace", "n"]);
    kubectl.says(&["delete", "namespace", "n", "--timeout=10s"]);
    if kubectl.minor() < 24 {
        return;
    }
    let explained = kubectl.says(&["explain", "deployment.spec.strategy"]);
    assert!(explained.contains("DeploymentStrategy"), "{explained}");
}

#[test]
fn rollouts_can_be_restarted_and_undone() {
    let Some(kubectl) = Kubectl::new(&["cluster-1"], &[]) else {
        return;
    };
    let set = workload(
        "StatefulSet",
        "set",
        json!({ "replicas": 2, "serviceName": "set" }),
    );
    kubectl.with(&["apply"], &set).expect(0);
    for (namespace, what) in [
        ("istio-system", "deployment/istiod"),
        ("istio-system", "daemonset/ztunnel"),
        ("default", "statefulset/set"),
    ] {
        let on = |verbs: &[&str]| {
            kubectl.says(&[&["-n", namespace, "rollout"], verbs, &[what]].concat())
        };
        on(&["status", "--timeout=20s"]);
        on(&["restart"]);
        let said = on(&["status", "--timeout=20s"]);
        assert!(
            said.contains("successfully rolled out") || said.contains("roll"),
            "{said}"
        );
        let history = on(&["history"]);
        assert!(history.contains("\n2 "), "{history}");
        on(&["undo"]);
        on(&["status", "--timeout=20s"]);
        let (kind, name) = what.split_once('/').unwrap();
        let template = &kubectl.json(&["-n", namespace, "get", kind, name])["spec"]["template"];
        let restarted = template.pointer("/metadata/annotations");
        assert_eq!(restarted, None, "the restart is undone");
    }
}

#[test]
fn a_stuck_rollout_shows_its_reason_and_can_continue() {
    let Some(kubectl) = Kubectl::new(&["cluster-1"], &[]) else {
        return;
    };
    let on = |arguments: &[&str]| kubectl.run(&[&["-n", "istio-system"], arguments].concat());
    let stuck = format!("{}=ImagePullBackOff", windlass::cluster::STUCK);
    on(&["annotate", "deployment", "istiod", &stuck]).expect(0);
    on(&["rollout", "restart", "deployment/istiod"]).expect(0);
    on(&["rollout", "status", "deployment/istiod", "--timeout=1s"]).expect(1);
    let pods = on(&["get", "pods"]).expect(0).stdout;
    assert!(
        pods.contains("0/1") && pods.contains("ImagePullBackOff"),
        "{pods}"
    );
    let described = on(&["describe", "pods", "-l", "app=istiod"])
        .expect(0)
        .stdout;
    assert!(
        described.contains("Back-off pulling image \"docker.io/istio/pilot:1.30\""),
        "{described}"
    );
    let stuck = format!("{}-", windlass::cluster::STUCK);
    on(&["annotate", "deployment", "istiod", &stuck]).expect(0);
    on(&["rollout", "status", "deployment/istiod", "--timeout=20s"]).expect(0);
}

#[test]
fn a_rollout_waits_for_the_new_name_of_a_secret() {
    let Some(kubectl) = Kubectl::new(&["a"], &[]) else {
        return;
    };
    kubectl.says(&["create", "secret", "generic", "old", "--from-literal=k=v"]);
    let mut web = workload("Deployment", "web", json!({ "replicas": 1 }));
    let volumes = |name: &str| json!([{ "name": "tls", "secret": { "secretName": name } }]);
    web["spec"]["template"]["spec"]["volumes"] = volumes("old");
    kubectl.with(&["apply"], &web).expect(0);
    let status = |patience: &str| {
        kubectl.run(&["rollout", "status", "deployment/web", "--timeout", patience])
    };
    status("20s").expect(0);
    web["spec"]["template"]["spec"]["volumes"] = volumes("new");
    kubectl.with(&["apply"], &web).expect(0);
    status("2s").expect(1);
    let described = kubectl.says(&["describe", "pods", "-l", "app=web"]);
    let why = "MountVolume.SetUp failed for volume \"tls\" : secret \"new\" not found";
    assert!(described.contains(why), "{described}");
    let pods = kubectl.says(&["get", "pods"]);
    assert!(
        pods.contains("ContainerCreating") && pods.contains("Running"),
        "{pods}"
    );
    kubectl.says(&["create", "secret", "generic", "new", "--from-literal=k=v"]);
    status("20s").expect(0);
}

#[test]
fn finalizers_hold_a_namespace_and_orphans_are_adopted() {
    let Some(kubectl) = Kubectl::new(&["a"], &[]) else {
        return;
    };
    kubectl.says(&["create", "namespace", "n"]);
    kubectl.says(&["-n", "n", "create", "configmap", "c"]);
    let finalizers = |to: &str| {
        let patch = format!(r#"{{"metadata":{{"finalizers":{to}}}}}"#);
        kubectl.says(&[
            "-n",
            "n",
            "patch",
            "configmap",
            "c",
            "--type=merge",
            "-p",
            &patch,
        ]);
    };
    finalizers(r#"["x.io/f"]"#);
    let delete = ["delete", "namespace", "n"];
    kubectl
        .run(&[&delete[..], &["--timeout=1s"]].concat())
        .expect(1);
    let shown = kubectl.says(&["get", "namespace", "n"]);
    assert!(shown.contains("Terminating"), "{shown}");
    let refused = kubectl.run(&["-n", "n", "create", "configmap", "d"]);
    let refused = refused.expect(1).stderr;
    let why = "unable to create new content in namespace n because it is being terminated";
    assert!(refused.contains(why), "{refused}");
    finalizers("null");
    kubectl.says(&["wait", "--for=delete", "namespace/n", "--timeout=10s"]);

    let web = workload("Deployment", "web", json!({ "replicas": 2 }));
    let pods = || kubectl.says(&["get", "pods", "-o", "name"]);
    kubectl.with(&["apply"], &web).expect(0);
    let status = ["rollout", "status", "deployment/web", "--timeout=20s"];
    kubectl.says(&status);
    let before = pods();
    let orphan = if kubectl.minor() < 20 {
        "false"
    } else {
        "orphan"
    };
    kubectl.says(&[
        "delete",
        "deployment",
        "web",
        &format!("--cascade={orphan}"),
    ]);
    kubectl.with(&["apply"], &web).expect(0);
    kubectl.says(&status);
    assert_eq!(pods(), before);
}

#[test]
fn watch_and_wait_react_to_changes() {
    let Some(kubectl) = Kubectl::new(&["a"], &["--pod-delay", "300ms"]) else {
        return;
    };
    let web = workload("Deployment", "web", json!({ "replicas": 1 }));
    let mut command = kubectl.command(&["get", "deployments", "-w", "--no-headers"]);
    let mut watcher = command.stdout(Stdio::piped()).spawn().unwrap();
    kubectl.with(&["apply"], &web).expect(0);
    kubectl.says(&[
        "wait",
        "--for=condition=Available",
        "deployment/web",
        "--timeout=20s",
    ]);
    let lines = BufReader::new(watcher.stdout.take().unwrap()).lines();
    let up = lines
        .map_while(Result::ok)
        .find(|line| line.contains("1/1"));
    watcher.kill().unwrap();
    watcher.wait().unwrap();
    assert!(up.is_some());
    kubectl.says(&["scale", "deployment", "web", "--replicas=3"]);
    kubectl.says(&["rollout", "status", "deployment/web", "--timeout=20s"]);
    let described = kubectl.says(&["describe", "deployment", "web"]);
    assert!(
        described.contains("3 available") && described.contains("ScalingReplicaSet"),
        "{described}"
    );
}

#[test]
fn accounts_and_tokens_have_their_permissions() {
    let Some(kubectl) = Kubectl::new(&["a"], &[]) else {
        return;
    };
    assert_eq!(kubectl.says(&["auth", "can-i", "*", "*"]).trim(), "yes");
    kubectl.says(&["create", "serviceaccount", "bob"]);
    kubectl.says(&[
        "create",
        "role",
        "reader",
        "--verb=get,list",
        "--resource=configmaps",
    ]);
    kubectl.says(&[
        "create",
        "rolebinding",
        "bob",
        "--role=reader",
        "--serviceaccount=default:bob",
    ]);
    let bob = "--as=system:serviceaccount:default:bob";
    let may = |verb: &str| {
        kubectl
            .run(&["auth", "can-i", verb, "configmaps", bob])
            .stdout
    };
    assert_eq!((may("list").trim(), may("delete").trim()), ("yes", "no"));
    if kubectl.minor() < 24 {
        return;
    }
    let token = kubectl.says(&["create", "token", "bob"]);
    let as_bob = |arguments: &[&str]| {
        let token = format!("--token={}", token.trim());
        // The administrator's token must not be sent as well.
        let config = std::fs::read_to_string(&kubectl.served.kubeconfig).unwrap();
        let start = config.find("user: {").unwrap();
        let end = start + config[start..].find('}').unwrap();
        let config = format!("{}user: {{{}", &config[..start], &config[end..]);
        kubectl.test.write("bob", &config);
        let mut command = kubectl.command(&[&[token.as_str()], arguments].concat());
        command.env("KUBECONFIG", kubectl.test.path("bob"));
        Ran::from_output(command.output().unwrap())
    };
    as_bob(&["get", "configmaps"]).expect(0);
    // An apply that creates needs `create` as well as `patch`.
    let patch = [
        "create",
        "role",
        "patcher",
        "--verb=get,patch",
        "--resource=configmaps",
    ];
    kubectl.says(&patch);
    let bind = [
        "create",
        "rolebinding",
        "bob2",
        "--role=patcher",
        "--serviceaccount=default:bob",
    ];
    kubectl.says(&bind);
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: new1 }\ndata: { a: b }\n";
    kubectl.test.write("map.yaml", map);
    let file = kubectl.test.path("map.yaml");
    let file = file.to_str().unwrap();
    let apply = ["apply", "--server-side", "-f", file];
    let refused = as_bob(&apply).expect(1).stderr;
    assert!(
        refused.contains("cannot create resource \"configmaps\""),
        "{refused}"
    );
    kubectl.says(&apply);
    as_bob(&["apply", "--server-side", "--force-conflicts", "-f", file]).expect(0);
    let refused = as_bob(&["get", "secrets"]).expect(1).stderr;
    assert!(
        refused.contains(
            "User \"system:serviceaccount:default:bob\" cannot list resource \"secrets\""
        ),
        "{refused}"
    );
    assert_eq!(
        as_bob(&["auth", "can-i", "list", "configmaps"])
            .expect(0)
            .stdout
            .trim(),
        "yes"
    );
    assert_eq!(
        as_bob(&["auth", "can-i", "delete", "configmaps"])
            .expect(1)
            .stdout
            .trim(),
        "no"
    );
}

/// `kubectl` has the contexts of a user's own clusters there.
#[test]
fn a_kubeconfig_of_other_clusters_is_not_replaced() {
    let test = Test::new();
    let serve = |file: &str| {
        let arguments = ["kube", "serve", "--clusters", "a", "--kubeconfig", file];
        test.command(&arguments)
    };
    let own = "apiVersion: v1\nkind: Config\nclusters:\n- { name: prod, cluster: { server: 'https://prod.example:6443' } }\n";
    test.write("own", own);
    let refused = Ran::from_output(serve("own").output().expect("started")).expect(2);
    refused.says("not a kubeconfig of rehearsal clusters");
    assert_eq!(test.read("own"), own);
    // Its own file is another matter.
    for _ in 0..2 {
        let (_server, path) = Ends::listening(&mut serve("new"));
        assert_eq!(path.trim(), "new");
    }
}
