//! Into the mesh: the whole of gloo-mesh.yaml on rehearsal clusters, seen with kubectl.

use serde_json::{Value as Json, json};

use crate::{
    client::Served,
    cluster::served::Clusters,
    harness::{Ran, Test, status},
};

/// Keys that are made fast.
pub const FAST: [&str; 6] = [
    "-p",
    "ca_key_algorithm=EC_prime256v1",
    "-p",
    "ca_signing_algorithm=SHA256WITHECDSA",
    "-p",
    "key_algorithm=EC_prime256v1",
];
/// Makes the secret of another manager.
const THEIRS: [&str; 7] = [
    "create",
    "secret",
    "generic",
    "cacerts",
    "-n",
    "istio-system",
    "--from-literal=ca-cert.pem=theirs",
];
const RESTARTED_AT: &str = "kubectl.kubernetes.io/restartedAt";

/// A folder with the shipped workflows, whose rehearsal clusters are open to kubectl.
pub struct Mesh {
    pub test: Test,
    served: Clusters,
}

impl Mesh {
    /// Serves `mgmt` and `cluster-1`… as the target `t`, and to kubectl.
    pub fn new(clusters: usize, options: &[&str]) -> Self {
        let test = Test::with_shipped_workflows();
        let workload = (1..=clusters).map(|n| format!("cluster-{n}"));
        let names: Vec<_> = std::iter::once("mgmt".to_owned()).chain(workload).collect();
        let served = Clusters::serve(&test, &names, options);
        test.write(
            "windlass.toml",
            &format!("[targets.t]\n{}", served.of_target()),
        );
        Self { test, served }
    }

    pub fn kubectl(&self, context: &str, arguments: &[&str]) -> Ran {
        self.served.kubectl(&self.test, context, arguments)
    }

    pub fn get(&self, context: &str, namespace: &str, object: &str) -> Json {
        self.kubectl(context, &["get", object, "-n", namespace, "-o", "json"])
            .expect(0)
            .json()
    }

    /// When a workload was restarted, and how often its template has changed since it was made.
    fn restarts(&self, context: &str, namespace: &str, workload: &str) -> (Option<String>, i64) {
        let found = self.get(context, namespace, workload);
        let at = &found["spec"]["template"]["metadata"]["annotations"][RESTARTED_AT];
        let generation = found["metadata"]["generation"]
            .as_i64()
            .expect("a generation");
        (at.as_str().map(str::to_owned), generation - 1)
    }

    fn clusters(&self) -> String {
        let names: Vec<_> = (1..)
            .map(|n| format!("cluster-{n}"))
            .take_while(|n| self.has(n))
            .collect();
        format!("clusters=[{}]", names.join(", "))
    }

    fn has(&self, name: &str) -> bool {
        self.test
            .read("windlass.toml")
            .contains(&format!("{name} ="))
    }

    /// The second half alone, on the target `t`.
    fn restart_mesh(&self) -> Ran {
        let clusters = self.clusters();
        let run = [
            "run",
            "workflows/restart-mesh.yaml",
            "--target",
            "t",
            "-p",
            &clusters,
        ];
        self.test
            .windlass(&[&run, ["-p", "approve=false"].as_slice()].concat())
    }
}

/// What a cluster runs that belongs to the mesh, in the order in which it restarts.
const WORKLOADS: [(&str, &str); 6] = [
    ("gloo-mesh", "deployment/gloo-mesh-agent"),
    ("istio-system", "deployment/istiod"),
    ("istio-system", "daemonset/ztunnel"),
    ("istio-ingress", "deployment/istio-ingressgateway"),
    ("bookinfo", "deployment/productpage"),
    ("bookinfo", "deployment/reviews"),
];

#[test]
fn the_first_command_takes_certificates_into_every_cluster() {
    // On the local target, where the clusters are embedded; kubectl looks at them afterwards.
    let mesh = Mesh::new(2, &[]);
    let run = [
        "run",
        "workflows/gloo-mesh.yaml",
        "-p",
        "clusters=[cluster-1, cluster-2]",
    ];
    let ran = mesh
        .test
        .windlass(&[&run, FAST.as_slice()].concat())
        .expect(0);
    ran.says("restarts");

    let file = |name: &str| mesh.test.read(&format!("out/{name}"));
    let holds = |context: &str, namespace: &str, secret: &str, key: &str| {
        let found = mesh.get(context, namespace, &format!("secret/{secret}"));
        let data = found["data"][key]
            .as_str()
            .unwrap_or_else(|| panic!("{secret} has no {key}"));
        let bytes = data_encoding::BASE64
            .decode(data.as_bytes())
            .expect("base64");
        String::from_utf8(bytes).expect("PEM")
    };
    let server = "relay-server-tls-secret";
    assert_eq!(
        holds("mgmt", "gloo-mesh", server, "tls.key"),
        file("relay-server-tls.key")
    );
    assert_eq!(
        holds("mgmt", "gloo-mesh", "relay-root-tls-secret", "ca.crt"),
        file("root-ca.pem")
    );
    for cluster in ["cluster-1", "cluster-2"] {
        let client = "relay-client-tls-secret";
        let name = format!("relay-client-tls-{cluster}");
        assert_eq!(
            holds(cluster, "gloo-mesh", client, "tls.key"),
            file(&format!("{name}.key"))
        );
        let certificate = holds(cluster, "gloo-mesh", client, "tls.crt");
        assert_eq!(
            certificate,
            format!("{}{}", file(&format!("{name}.pem")), file("relay-int.pem"))
        );
        mesh.test.write("shown.pem", &certificate);
        mesh.test
            .write("root.pem", &holds(cluster, "gloo-mesh", client, "ca.crt"));
        let chain = [
            "-CAfile",
            "root.pem",
            "-untrusted",
            "shown.pem",
            "shown.pem",
        ];
        let verify = ["verify", "-x509_strict", "-purpose", "sslclient"];
        mesh.test
            .openssl(&[&verify, chain.as_slice()].concat())
            .expect(0);
    }
    // The CA under which Gloo Mesh issues, with all four keys, and the policy that names it.
    let policy = mesh.get("mgmt", "gloo-mesh", "roottrustpolicy/root-trust-policy");
    let named = &policy["spec"]["config"]["mgmtServerCa"];
    let issuing = named["secretRef"]["name"].as_str().expect("a name");
    assert!(issuing.starts_with("gloo-mesh-issuing-ca-"), "{policy}");
    let root = file("root-ca.pem");
    let own = file("gloo-mesh-intermediate.pem");
    for (key, content) in [
        ("root-cert.pem", root.clone()),
        ("ca-cert.pem", own.clone()),
        ("ca-key.pem", file("gloo-mesh-intermediate.key")),
        ("cert-chain.pem", format!("{own}{root}")),
    ] {
        assert_eq!(holds("mgmt", "gloo-mesh", issuing, key), content, "{key}");
    }

    // The policy's other fields are as they were.
    assert_eq!(policy["spec"]["config"]["autoRestartPods"], false);
    let config = &policy["spec"]["config"];
    let alone = json!({ "secretRef": { "name": issuing, "namespace": "gloo-mesh" } });
    assert_eq!(config["mgmtServerCa"], alone, "{policy}");
    assert_eq!(config["intermediateCertOptions"]["ttlDays"], 1, "{policy}");

    // Each once, in their order: the server, the agents, then the rest cluster by cluster.
    let mut moments = vec![mesh.restarts("mgmt", "gloo-mesh", "deployment/gloo-mesh-mgmt-server")];
    let clusters = ["cluster-1", "cluster-2"];
    let (namespace, agent) = WORKLOADS[0];
    let mut agents = clusters.map(|cluster| mesh.restarts(cluster, namespace, agent));
    agents.sort();
    moments.extend(agents);
    for cluster in clusters {
        let rest = WORKLOADS[1..].iter();
        moments.extend(rest.map(|(namespace, w)| mesh.restarts(cluster, namespace, w)));
    }
    assert!(
        moments
            .iter()
            .all(|(at, times)| at.is_some() && *times == 1),
        "{moments:?}"
    );
    assert!(moments.is_sorted_by(|a, b| a.0 < b.0), "{moments:?}");
    for (namespace, workload) in WORKLOADS {
        let status = [
            "rollout",
            "status",
            workload,
            "-n",
            namespace,
            "--timeout",
            "5s",
        ];
        mesh.kubectl("cluster-1", &status).expect(0);
    }
    // What is not in the mesh stays as it is.
    let others = mesh.kubectl(
        "cluster-1",
        &["get", "deployments", "-n", "kube-system", "-o", "name"],
    );
    for workload in others.stdout.lines() {
        assert_eq!(
            mesh.restarts("cluster-1", "kube-system", workload).1,
            0,
            "{workload}"
        );
    }
}

#[test]
fn an_undo_takes_the_secrets_back_and_says_what_stays() {
    let mesh = Mesh::new(1, &[]);
    mesh.kubectl("cluster-1", &THEIRS).expect(0);
    let run = [
        "run",
        "workflows/gloo-mesh.yaml",
        "-p",
        "force=true",
        "-p",
        "istio_ca=cacerts",
    ];
    mesh.test
        .windlass(&[&run, FAST.as_slice()].concat())
        .expect(0);
    let plan = mesh.test.windlass(&["undo", "--plan"]).expect(0).stdout;
    assert!(
        plan.contains("delete secret/relay-client-tls-secret in gloo-mesh of cluster-1"),
        "{plan}"
    );
    assert!(
        plan.contains("restore secret/cacerts in istio-system of cluster-1"),
        "{plan}"
    );
    assert!(
        plan.contains("deployment/istiod in istio-system of cluster-1 stays restarted"),
        "{plan}"
    );
    mesh.test.windlass(&["undo", "--yes"]).expect(0);
    for (context, secret) in [
        ("mgmt", "relay-root-tls-secret"),
        ("mgmt", "relay-server-tls-secret"),
        ("cluster-1", "relay-root-tls-secret"),
        ("cluster-1", "relay-client-tls-secret"),
    ] {
        mesh.kubectl(context, &["get", "secret", secret, "-n", "gloo-mesh"])
            .expect(1);
    }
    let cacerts = mesh.get("cluster-1", "istio-system", "secret/cacerts");
    assert_eq!(
        cacerts["data"],
        serde_json::json!({ "ca-cert.pem": "dGhlaXJz" })
    );
    let policy = mesh.get("mgmt", "gloo-mesh", "roottrustpolicy/root-trust-policy");
    assert_eq!(policy["spec"]["config"]["autoRestartPods"], true);
    // The plan, the audit and the summary say the same.
    let planned = plan.matches("revoke certificate").count();
    let audit = mesh.test.windlass(&["audit", "--json"]).expect(0).json();
    assert_eq!(audit["calls"]["pca::revoke_certificate"], planned, "{plan}");
    let shown = mesh.test.windlass(&["show"]).expect(0).stdout;
    for row in shown.lines().filter(|row| row.contains("✓")) {
        let step = row.split_whitespace().nth(1).unwrap_or_default();
        match step {
            "istiod" | "management_server" => assert!(row.contains("succeeded, stays"), "{row}"),
            "root_ca" | "mgmt_secrets" => assert!(row.contains("succeeded, undone"), "{row}"),
            _ => {}
        }
    }
}

/// A mesh to which an edit of its run added a cluster.
fn with_a_second_cluster() -> Test {
    let test = Test::with_shipped_workflows();
    let run = ["run", "workflows/gloo-mesh.yaml"];
    test.windlass(&[&run, FAST.as_slice()].concat()).expect(0);
    let edit = ["resume", "--edited", "--yes", "-p"];
    let joined = [&edit, ["clusters=[cluster-1, cluster-2]"].as_slice()].concat();
    test.windlass(&joined).expect(0);
    test
}

/// A run's edit opens the clusters that it names, and an undo those that it named before.
#[test]
fn clusters_come_and_go_with_an_edit() {
    let test = with_a_second_cluster();
    let edit = ["resume", "--edited", "--yes", "-p"];
    // A cluster that is left out would keep the old PKI, so that has to be said.
    let fewer = [
        &edit,
        ["clusters=[cluster-2]", "-p", "force=true"].as_slice(),
    ]
    .concat();
    let refused = test.windlass(&fewer).expect(1);
    let why = "clusters leaves out cluster-1 (registered; its agent is connected)";
    refused.says(why);
    let fewer = [&fewer, ["-p", "left_out=[cluster-1]"].as_slice()].concat();
    test.windlass(&fewer).expect(0);
    let shown = test.shown();
    assert_eq!(status(&shown, "relay_secrets[cluster-2]"), "succeeded");
    undo_all(&test, &[]);
}

/// Undoes the newest run or the named one; afterwards no certificate of a run is in use anywhere.
fn undo_all(test: &Test, run: &[&str]) {
    let undone = test.windlass(&[&["undo", "--yes"], run].concat()).expect(0);
    for left in ["is not what it was", "another object", "stays as it is"] {
        assert!(!undone.stderr.contains(left), "{}", undone.stderr);
    }
    let listed = test.windlass(&["certs", "--json"]).expect(0).json();
    for certificate in listed["certificates"].as_array().expect("a list") {
        assert_eq!(certificate["made_by"], Json::Null, "{certificate}");
        // Istio's or Gloo Mesh's own.
        let own = ["O=cluster.local", "O=gloo-mesh"].map(Json::from);
        assert!(own.contains(&certificate["issuer"]), "{certificate}");
    }
}

#[test]
fn a_cluster_that_an_edit_adds_is_undone_with_the_others() {
    undo_all(&with_a_second_cluster(), &[]);
}

/// Gloo Mesh issues for a cluster as soon as its agent is connected: under the run's CA, if an edit adds it to a run that has set the policy.
#[test]
fn an_undo_waits_for_a_cluster_that_had_its_ca_before_the_run_looked() {
    let test = Test::with_shipped_workflows();
    let run = ["run", "workflows/gloo-mesh.yaml"];
    test.windlass(&[&run, FAST.as_slice()].concat()).expect(0);
    let text = test.read("workflows/gloo-mesh.yaml");
    let issued = "  issued:
    needs: [connected]
    script: steps/prove_cacerts.rhai
    for_each: ${{ params.clusters }}
    with:
      cluster: ${{ item }}
      namespace: ${{ params.istio_namespace }}
      signer: ${{ steps.istio_issuing.certificate }}
      roots: [\"${{ steps.root_cert.certificate }}\"]
      is_issued: true

  issuer_back:
";
    let later = text.replacen("  issuer_back:\n", issued, 1).replacen(
        "    needs: [connected]\n    script: steps/istio_back.rhai",
        "    needs: [connected, issued]\n    script: steps/istio_back.rhai",
        1,
    );
    assert_ne!(text, later);
    test.write("workflows/gloo-mesh.yaml", &later);
    test.windlass(&[
        "resume",
        "--edited",
        "--yes",
        "-p",
        "clusters=[cluster-1, cluster-2]",
    ])
    .expect(0);
    let log = test.windlass(&["logs"]).expect(0).stdout;
    assert!(log.contains("did not sign before this run"), "{log}");
    undo_all(&test, &[]);
}

/// What a later run deletes and its undo creates again, the undo of the run that made it deletes.
#[test]
fn the_undos_of_two_runs_leave_nothing() {
    let test = Test::with_shipped_workflows();
    let run = |file: &str, more: &[&str]| {
        let file = format!("workflows/{file}.yaml");
        let ran = test.windlass(&[&["run", &file], more, &FAST].concat());
        ran.expect(0);
    };
    run("gloo-mesh", &[]);
    run("rotate-root", &["-p", "force=true"]);
    test.windlass(&["undo", "--yes"]).expect(0);
    run("add-cluster", &["-p", "cluster=cluster-2"]);
    // The new cluster's certificates are of a CA that this undo would delete.
    let refused = test.windlass(&["undo", "gloo-mesh", "--yes"]).expect(2);
    refused.says("[newer-run]");
    refused.says("issued certificates by a CA that this one created");
    test.windlass(&["undo", "--yes"]).expect(0);
    undo_all(&test, &["gloo-mesh"]);
}

#[test]
fn a_secret_of_another_manager_is_not_taken_over_unasked() {
    let mesh = Mesh::new(1, &[]);
    mesh.kubectl("cluster-1", &THEIRS).expect(0);
    let run = ["run", "workflows/gloo-mesh.yaml", "-p", "istio_ca=cacerts"];
    let ran = mesh
        .test
        .windlass(&[&run, FAST.as_slice()].concat())
        .expect(1);
    ran.says("kubectl");
    ran.says("take_over=true");
    assert_eq!(status(&mesh.test.shown(), "restarts"), "pending");
    // Once the operator has decided, it goes on.
    let edited = ["resume", "--edited", "-p", "take_over=true", "--yes"];
    mesh.test.windlass(&edited).expect(0);
}

#[test]
fn c9_a_secret_of_another_type_is_found_before_anything_is_made() {
    let mesh = Mesh::new(2, &[]);
    let secret = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": { "name": "relay-client-tls-secret", "namespace": "gloo-mesh" },
        "type": "kubernetes.io/tls",
        "stringData": { "tls.crt": "theirs", "tls.key": "theirs" },
    });
    mesh.test.write("secret.json", &secret.to_string());
    let file = mesh.test.path("secret.json").display().to_string();
    mesh.kubectl("cluster-2", &["create", "-f", &file])
        .expect(0);
    let run = ["run", "workflows/gloo-mesh.yaml"];
    let run = [
        &run,
        FAST.as_slice(),
        &["-p", "clusters=[cluster-1, cluster-2]"],
    ]
    .concat();
    let ran = mesh.test.windlass(&run).expect(1);
    for part in [
        "secret relay-client-tls-secret in gloo-mesh of cluster-2",
        "kubernetes.io/tls",
        "kubectl delete secret",
    ] {
        ran.says(part);
    }
    let audit = mesh.test.windlass(&["audit", "--json"]).expect(0).json();
    assert_eq!(audit["calls"], json!({}), "{audit:#}");
    let delete = [
        "delete",
        "secret",
        "relay-client-tls-secret",
        "-n",
        "gloo-mesh",
    ];
    mesh.kubectl("cluster-2", &delete).expect(0);
    mesh.test.windlass(&["resume"]).expect(0);
}

/// A stuck rollout in the second of five clusters.
#[test]
fn a_stuck_rollout_stops_the_run_there_and_a_resume_goes_on_there() {
    let mesh = Mesh::new(5, &[]);
    let stuck = "rehearsal.windlass.dev/stuck=ImagePullBackOff";
    let istiod = ["deployment/istiod", "-n", "istio-system"];
    let annotate = [&["annotate"], istiod.as_slice(), &[stuck]].concat();
    mesh.kubectl("cluster-2", &annotate).expect(0);
    let deadline = ["-p", r#"{"spec":{"progressDeadlineSeconds":2}}"#];
    let patch = [&["patch"], istiod.as_slice(), &deadline].concat();
    mesh.kubectl("cluster-2", &patch).expect(0);

    let ran = mesh.restart_mesh().expect(1);
    let pods = mesh.kubectl(
        "cluster-2",
        &[
            "get",
            "pods",
            "-n",
            "istio-system",
            "-l",
            "app=istiod",
            "-o",
            "name",
        ],
    );
    let names: Vec<_> = pods
        .stdout
        .lines()
        .map(|l| l.trim_start_matches("pod/"))
        .collect();
    assert!(
        names.iter().any(|name| ran.stderr.contains(name)),
        "{names:?}: {}",
        ran.stderr
    );
    ran.says("ImagePullBackOff");
    let shown = mesh.test.shown();
    assert_eq!(status(&shown, "restarts[cluster-1]"), "succeeded");
    assert_eq!(status(&shown, "restarts[cluster-2]/istiod"), "failed");
    let of = |cluster: &str| WORKLOADS.map(|(namespace, w)| mesh.restarts(cluster, namespace, w));
    for cluster in ["cluster-3", "cluster-4", "cluster-5"] {
        assert!(
            of(cluster)
                .iter()
                .all(|(at, times)| at.is_none() && *times == 0),
            "{cluster}"
        );
    }
    // Taking the annotation away counts as a change too, so the moment alone is compared.
    let istiod_at = || {
        mesh.restarts("cluster-2", "istio-system", "deployment/istiod")
            .0
    };
    let (first, at) = (of("cluster-1"), istiod_at());

    // Resumed too early it fails again, and restarts nothing.
    mesh.test.windlass(&["resume"]).expect(1);
    assert_eq!(istiod_at(), at);
    let fix = [
        &["annotate"],
        istiod.as_slice(),
        &["rehearsal.windlass.dev/stuck-"],
    ]
    .concat();
    mesh.kubectl("cluster-2", &fix).expect(0);
    mesh.test.windlass(&["resume"]).expect(0);
    assert_eq!(of("cluster-1"), first);
    assert_eq!(istiod_at(), at);
    for cluster in ["cluster-3", "cluster-4", "cluster-5"] {
        assert!(
            of(cluster)
                .iter()
                .all(|(at, times)| at.is_some() && *times == 1),
            "{cluster}"
        );
    }
}

/// The answer of every other patch is lost once it was done: nothing is restarted twice.
#[test]
fn a_lost_answer_to_a_patch_does_not_restart_again() {
    let mesh = Mesh::new(2, &["--fault", "patch:*:500:50%:after"]);
    let mut code = mesh.restart_mesh().code;
    let mut resumes = 0;
    while code == 1 {
        resumes += 1;
        assert!(resumes < 200, "{}", mesh.test.windlass(&["show"]).stdout);
        code = mesh.test.windlass(&["resume"]).expect_one_of(&[0, 1]).code;
    }
    assert_eq!(code, 0);
    for cluster in ["cluster-1", "cluster-2"] {
        for (namespace, workload) in WORKLOADS {
            let (_, times) = mesh.restarts(cluster, namespace, workload);
            assert_eq!(times, 1, "{workload} of {cluster} after {resumes} resumes");
        }
    }
    println!("resumes after lost answers: {resumes}; workloads restarted twice: 0");
}

#[test]
fn a_target_without_clusters_skips_the_second_half_and_says_so() {
    let mesh = Mesh::new(1, &[]);
    let authority = Served::start(&mesh.test, &[]);
    let pca = format!(
        "pca = {{ endpoint = \"http://{}\", region = \"us-east-1\" }}\n",
        authority.address()
    );
    mesh.test.write(
        "windlass.toml",
        &format!(
            "[targets.none]\n{pca}[targets.half]\n{pca}kube = {{ mgmt = \"mgmt\", cluster-1 = \"cluster-1\" }}\n\
             [targets.wrong]\n{pca}kubeconfig = {:?}\nkube = {{ mgmt = \"mgmt\", cluster-1 = \"nowhere\" }}\n",
            mesh.served.kubeconfig
        ),
    );
    let run = |target: &str, clusters: &str| {
        let run = [
            "run",
            "workflows/gloo-mesh.yaml",
            "--target",
            target,
            "-p",
            clusters,
        ];
        let mut command = mesh.test.command(&[&run, FAST.as_slice()].concat());
        command
            .env("AWS_ACCESS_KEY_ID", "123456789012")
            .env("AWS_SECRET_ACCESS_KEY", "x");
        Ran::from_output(command.output().expect("windlass starts"))
    };
    // Refused before anything is there.
    let half = run("half", "clusters=[cluster-1, cluster-2]").expect(2);
    half.says("has no context for `cluster-2`");
    let wrong = run("wrong", "clusters=[cluster-1]").expect(2);
    wrong.says("no context `nowhere`");
    assert!(!mesh.test.path("out").exists());
    let none = run("none", "clusters=[cluster-1]").expect(0);
    none.says("names no Kubernetes clusters");
    let shown = mesh.test.shown();
    assert_eq!(status(&shown, "relay_client"), "succeeded");
    for step in [
        "trust_policy",
        "mgmt_secrets",
        "go_live",
        "restarts",
        "verify",
        "verify_mgmt",
    ] {
        assert_eq!(status(&shown, step), "skipped", "{step}");
    }
}

#[test]
fn somebody_approves_the_restarts_of_a_real_target() {
    let mesh = Mesh::new(1, &[]);
    let run = ["run", "workflows/restart-mesh.yaml", "--target", "t"];
    mesh.test.windlass(&run).expect(3);
    assert_eq!(
        mesh.restarts("cluster-1", "istio-system", "deployment/istiod")
            .1,
        0
    );
    let id = mesh.test.shown()["run"].as_str().expect("an id").to_owned();
    mesh.test.windlass(&["approve", &id, "go_live"]).expect(0);
    mesh.test.windlass(&["resume"]).expect(0);
    assert_eq!(
        mesh.restarts("cluster-1", "istio-system", "deployment/istiod")
            .1,
        1
    );
}

/// A role that names single objects is enough for a run and its undo, and for nothing else of the kind.
#[test]
fn the_cluster_role_names_what_is_named() {
    let mesh = Mesh::new(1, &[]);
    let workflow = "workflow: named\nkube: [cluster-1]\nsteps:\n  a:\n    run: |\n      kube::apply_secret(\"cluster-1\", \"istio-system\", \"made\", #{ a: \"b\" });\n      kube::patch(\"cluster-1\", \"istio-system\", \"secret/made\", #{ metadata: #{ labels: #{ x: \"y\" } } });\n      kube::restart(\"cluster-1\", \"istio-system\", \"deployment/istiod\");\n      kube::wait_rollout(\"cluster-1\", \"istio-system\", \"deployment/istiod\", \"1m\");\n      kube::wait_until(\"cluster-1\", \"istio-system\", \"secret/made\", |s| s != (), \"1m\");\n      #{}\n";
    mesh.test.write("named.yaml", workflow);
    let role = mesh.test.windlass(&["rbac", "named.yaml"]).expect(0).stdout;
    assert!(role.contains("resourceNames: [\"istiod\"]"), "{role}");
    assert!(role.contains("resourceNames: [\"made\"]"), "{role}");
    mesh.test.write("role.yaml", &role);
    let path = mesh.test.path("role.yaml").display().to_string();
    let kubectl = |arguments: &[&str]| mesh.kubectl("cluster-1", arguments).expect(0).stdout;
    kubectl(&["create", "serviceaccount", "windlass", "-n", "default"]);
    kubectl(&["apply", "-f", &path]);
    kubectl(&[
        "create",
        "clusterrolebinding",
        "windlass",
        "--clusterrole=windlass-named",
        "--serviceaccount=default:windlass",
    ]);
    let token = kubectl(&["create", "token", "windlass", "-n", "default"]);
    kubectl(&["config", "set-credentials", "sa", "--token", token.trim()]);
    kubectl(&[
        "config",
        "set-context",
        "sa",
        "--cluster",
        "cluster-1",
        "--user",
        "sa",
    ]);
    mesh.test.write(
        "windlass.toml",
        &format!(
            "[targets.sa]\nkubeconfig = {:?}\nkube = {{ cluster-1 = \"sa\" }}\n",
            mesh.served.kubeconfig
        ),
    );
    // It asks for the very names, not for all of them.
    let asked = mesh
        .test
        .windlass(&["validate", "named.yaml", "--target", "sa"]);
    asked.expect(0);
    mesh.test
        .windlass(&["run", "named.yaml", "--target", "sa"])
        .expect(0);
    mesh.test.windlass(&["undo", "--yes"]).expect(0);
    let other = workflow
        .replace("secret/made\\\"", "secret/other")
        .replace("\"made\"", "\"other\"");
    assert_ne!(other, workflow);
    mesh.test.write("named.yaml", &other);
    let refused = mesh
        .test
        .windlass(&["run", "named.yaml", "--target", "sa"])
        .expect(2);
    refused.says("Forbidden");
}

/// A kind of a manifest has another plural than its name with an `s`, and a cluster says which.
#[test]
fn a_preflight_asks_for_the_kind_of_a_manifest() {
    let mesh = Mesh::new(1, &[]);
    let workflow = |version: &str, kind: &str| {
        format!(
            "workflow: \"a: b #c\"\nkube: [cluster-1]\nsteps:\n  a:\n    run: |\n      kube::apply(\"cluster-1\", #{{ apiVersion: \"{version}\", kind: \"{kind}\", metadata: #{{ name: \"x\", namespace: \"default\" }} }});\n"
        )
    };
    let role = |kind: &str| {
        mesh.test
            .write("kind.yaml", &workflow("networking.istio.io/v1", kind));
        mesh.test.windlass(&["rbac", "kind.yaml"]).expect(0).stdout
    };
    assert!(role("VirtualGateway").contains("[\"virtualgateways\"]"));
    assert!(role("Prometheus").contains("[\"prometheuses\"]"));
    let gateway = role("Gateway");
    assert!(gateway.contains("[\"gateways\"]"), "{gateway}");
    assert!(gateway.contains("  name: windlass-a--b--c\n"), "{gateway}");
    let kubectl = |arguments: &[&str]| mesh.kubectl("cluster-1", arguments).expect(0).stdout;
    kubectl(&["create", "serviceaccount", "bot", "-n", "default"]);
    let token = kubectl(&["create", "token", "bot", "-n", "default"]);
    kubectl(&["config", "set-credentials", "bot", "--token", token.trim()]);
    let context = ["--cluster", "cluster-1", "--user", "bot"];
    kubectl(&[&["config", "set-context", "bot"], &context[..]].concat());
    mesh.test.write(
        "windlass.toml",
        &format!(
            "[targets.bot]\nkubeconfig = {:?}\nkube = {{ cluster-1 = \"bot\" }}\n",
            mesh.served.kubeconfig
        ),
    );
    let validate = ["validate", "kind.yaml", "--target", "bot"];
    let ran = mesh.test.windlass(&validate).expect(0);
    ran.says("it does not serve gateway.networking.istio.io");
    assert!(!ran.stderr.contains("everything"), "{}", ran.stderr);
    mesh.test.write("crd.yaml", "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: { name: gateways.networking.istio.io }\nspec:\n  group: networking.istio.io\n  scope: Namespaced\n  names: { kind: Gateway, plural: gateways, singular: gateway }\n  versions: [{ name: v1, served: true, storage: true, schema: { openAPIV3Schema: { type: object, x-kubernetes-preserve-unknown-fields: true } } }]\n");
    kubectl(&[
        "apply",
        "-f",
        &mesh.test.path("crd.yaml").display().to_string(),
    ]);
    let ran = mesh.test.windlass(&validate).expect(2);
    ran.says("patch gateways.networking.istio.io");
}

/// `windlass rbac` grants just enough: with it a run succeeds, and without any one rule it does not.
#[test]
fn the_cluster_role_is_what_a_run_needs() {
    let mesh = Mesh::new(1, &[]);
    let role = mesh
        .test
        .windlass(&["rbac", "workflows/restart-mesh.yaml"])
        .expect(0)
        .stdout;
    mesh.test.write("role.yaml", &role);
    let path = mesh.test.path("role.yaml").display().to_string();
    let mut contexts = String::new();
    for context in ["mgmt", "cluster-1"] {
        mesh.kubectl(
            context,
            &["create", "serviceaccount", "windlass", "-n", "default"],
        )
        .expect(0);
        let binding = [
            "create",
            "clusterrolebinding",
            "windlass",
            "--clusterrole=windlass-restart-mesh",
            "--serviceaccount=default:windlass",
        ];
        mesh.kubectl(context, &binding).expect(0);
        let token = mesh
            .kubectl(context, &["create", "token", "windlass", "-n", "default"])
            .expect(0);
        let user = format!("sa-{context}");
        let credentials = [
            "config",
            "set-credentials",
            &user,
            "--token",
            token.stdout.trim(),
        ];
        mesh.kubectl(context, &credentials).expect(0);
        let named = [
            "config",
            "set-context",
            &user,
            "--cluster",
            context,
            "--user",
            &user,
        ];
        mesh.kubectl(context, &named).expect(0);
        contexts.push_str(&format!("{context} = \"{user}\", "));
    }
    mesh.test.write(
        "windlass.toml",
        &format!(
            "[targets.sa]\nkubeconfig = {:?}\nkube = {{ {contexts} }}\n",
            mesh.served.kubeconfig
        ),
    );
    let validate = ["validate", "workflows/restart-mesh.yaml", "--target", "sa"];
    let run = [
        "run",
        "workflows/restart-mesh.yaml",
        "--target",
        "sa",
        "-p",
        "approve=false",
    ];
    // Nothing is granted yet: what is missing is named.
    let refused = mesh.test.windlass(&validate).expect(2);
    for missing in [
        "patch deployments.apps",
        "list namespaces",
        "patch roottrustpolicies.admin.gloo.solo.io",
    ] {
        refused.says(missing);
    }
    mesh.test.windlass(&run).expect(2);
    let anyway = [run.as_slice(), &["--no-dry-run"]].concat();
    mesh.test.windlass(&anyway).expect(1);
    for context in ["mgmt", "cluster-1"] {
        mesh.kubectl(context, &["apply", "-f", &path]).expect(0);
    }
    mesh.test.windlass(&validate).expect(0);
    mesh.test.windlass(&["resume"]).expect(0);
    mesh.test.windlass(&["undo", "--yes"]).expect(0);
    // Without the verb that restarts, it does not.
    mesh.test
        .write("role.yaml", &role.replace(r#""patch", "#, ""));
    for context in ["mgmt", "cluster-1"] {
        mesh.kubectl(context, &["apply", "-f", &path]).expect(0);
    }
    let refused = mesh.test.windlass(&run).expect(2);
    assert!(
        refused.stderr.contains("Forbidden") && refused.stderr.contains("windlass rbac"),
        "{}",
        refused.stderr
    );
}

#[test]
fn a_plan_shows_what_a_run_would_do() {
    let test = Test::with_shipped_workflows();
    let plan = ["plan", "workflows/gloo-mesh.yaml", "-p", "clusters=[a, b]"];
    insta::assert_snapshot!(test.windlass(&plan).expect(0).stdout);
    assert!(!test.path(".windlass").exists(), "a plan leaves nothing");
    let json = test
        .windlass(&["plan", "workflows/gloo-mesh.yaml", "--json"])
        .expect(0)
        .json();
    let steps = json["steps"].as_array().expect("steps");
    let asks = steps
        .iter()
        .find(|s| s["step"] == "go_live")
        .expect("a step");
    assert_eq!(asks["runs"], false);
}
