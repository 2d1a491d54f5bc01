//! What is known to fail is refused before anything is made, and what proves nothing is no proof.

use serde_json::json;

use crate::{
    barriers::hurry,
    harness::Ran,
    mesh::{FAST, Mesh},
    rotation::{CLUSTERS, made_with, rotate},
};

/// Writes an issuing CA below which no CA may stand into the Secret that the root trust policy names.
const SHORT: &str = r##"const INPUTS = #{ ca: "string" };
fn run(inputs) {
    let policy = kube::get("mgmt", "gloo-mesh", "roottrustpolicies.admin.gloo.solo.io/root-trust-policy");
    let root = pca::certificate_authority_certificate(inputs.ca).certificate;
    let key = key::generate("EC_prime256v1");
    let arn = pca::issue_certificate(inputs.ca, #{
        csr: csr::create(key, #{ subject: #{ common_name: "Issuing CA" } }),
        template: "SubordinateCACertificate_PathLen0/V1",
        validity: "300d",
        signing_algorithm: "SHA256WITHECDSA",
    });
    let own = pca::wait_until_issued(inputs.ca, arn).certificate;
    kube::apply_secret("mgmt", "gloo-mesh", policy.spec.config.mgmtServerCa.secretRef.name, #{
        "ca-cert.pem": own,
        "ca-key.pem": key,
        "cert-chain.pem": own + root,
        "root-cert.pem": root,
    }, #{ force: true });
    #{}
}
"##;
const SHORT_WORKFLOW: &str = "workflow: short
params: { ca: string }
kube: [mgmt]
steps: { written: { script: short.rhai, with: { ca: \"${{ params.ca }}\" } } }
";

/// Runs a rotation, and fails unless it stops with these words; gives how often it changed something, by function.
#[track_caller]
fn stops(mesh: &Mesh, file: &str, more: &[&str], words: &str) -> serde_json::Value {
    let more: Vec<_> = more.iter().flat_map(|one| ["-p", one]).collect();
    says(&rotate(mesh, file, &more).expect(1), words);
    mesh.test.windlass(&["audit", "--json"]).expect(0).json()["calls"].clone()
}

/// Holds that a failed run says this, however its lines are broken.
#[track_caller]
fn says(ran: &Ran, words: &str) {
    let said = ran.stderr.replace('│', " ");
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains(words), "`{words}` is not in: {said}");
}

#[test]
fn what_would_fail_halfway_is_refused_before_anything_is_made() {
    let mesh = made_with("gloo", &[]);
    let outputs = mesh.test.windlass(&["outputs", "--json"]).expect(0).json();
    let arn = |name: &str| outputs[name].as_str().expect("an ARN").to_owned();
    let (root, relay) = (arn("root_ca_arn"), arn("relay_ca_arn"));
    let root_param = format!("relay_ca_arn={root}");
    let relay_param = format!("root_ca_arn={relay}");
    let retired = format!("ca_arn={root}");
    let child = format!("is ACTIVE: retire it first, with -p ca_arn={relay}");
    let unknown = "server_dns_names=[wrong.example]";
    let name = "valid for wrong.example, not for gloo-mesh-mgmt-server.gloo-mesh";
    let day = "is not a whole number of days";
    for (file, params, words) in [
        ("rotate-leaf.yaml", &["force=true", unknown][..], name),
        ("rotate-relay-ca.yaml", &["force=true", unknown], name),
        ("gloo-mesh.yaml", &["force=true", unknown], name),
        (
            "rotate-leaf.yaml",
            &["force=true", &root_param],
            "the mesh uses another relay CA than CN=Gloo Mesh Root CA",
        ),
        (
            "rotate-root.yaml",
            &["force=true", &relay_param],
            "the mesh uses another root CA than",
        ),
        (
            "rotate-root.yaml",
            &["force=true", "leaf_validity=36h"],
            day,
        ),
        (
            "rotate-root.yaml",
            &["force=true", "root_validity=36h"],
            day,
        ),
        (
            "rotate-root.yaml",
            &["force=true", "client_validity=3000d"],
            "is not shorter than that of the relay CA above it",
        ),
        (
            "rotate-root.yaml",
            &["force=true", "istio_ca=cacerts"],
            "is written by Gloo Mesh",
        ),
        (
            "rotate-leaf.yaml",
            &["force=true", "clusters=[]"],
            "clusters is empty",
        ),
        (
            "gloo-mesh.yaml",
            &["force=true", "relay_validity=30d", "root_validity=100d"],
            "param client_validity: a certificate of ",
        ),
        ("retire-ca.yaml", &[&retired, "audit_bucket=b"], &child),
    ] {
        let calls = stops(&mesh, file, params, words);
        assert_eq!(calls, json!({}), "{file} {params:?}");
    }
}

#[test]
fn a_server_without_a_replica_proves_no_certificate() {
    let mesh = made_with("gloo", &[]);
    let file = "workflows/relay-server.yaml";
    hurry(&mesh, file, "attempts: 2, backoff: 100ms..100ms");
    let scale = |replicas: &str| {
        let server = ["-n", "gloo-mesh", "deployment/gloo-mesh-mgmt-server"];
        let scale = [["scale", replicas].as_slice(), &server].concat();
        mesh.kubectl("mgmt", &scale).expect(0);
        let status = [["rollout", "status"].as_slice(), &server].concat();
        mesh.kubectl("mgmt", &status).expect(0);
    };
    scale("--replicas=0");
    let none = "no replica of deployment/gloo-mesh-mgmt-server in gloo-mesh of mgmt is ready";
    stops(
        &mesh,
        "rotate-leaf.yaml",
        &["force=true", "clients=false"],
        none,
    );
    scale("--replicas=1");
    let ran = mesh.test.windlass(&["resume"]).expect(0);
    let restarted = "deployment/gloo-mesh-agent in gloo-mesh of cluster-1 is restarted";
    ran.says(restarted);
}

/// What a role that leads to another cluster of the mesh shows: the certificate of that one's agent.
#[test]
fn a_cluster_does_not_join_under_the_name_of_another() {
    let mesh = Mesh::new(3, &[]);
    let run = ["run", "workflows/gloo-mesh.yaml", "-p", CLUSTERS];
    let run = [&run, FAST.as_slice()].concat();
    mesh.test.windlass(&run).expect(0);
    let held = |cluster: &str| mesh.get(cluster, "gloo-mesh", "secret/relay-client-tls-secret");
    let theirs = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": { "name": "relay-client-tls-secret", "namespace": "gloo-mesh" },
        "data": held("cluster-2")["data"],
    });
    mesh.test.write("theirs.json", &theirs.to_string());
    let file = mesh.test.path("theirs.json").display().to_string();
    mesh.kubectl("cluster-3", &["apply", "-f", &file]).expect(0);
    let joins = ["cluster=cluster-3", "members=[cluster-1]"];
    let joins = joins.map(|one| ["-p", one]).concat();
    let add = ["run", "workflows/add-cluster.yaml"];
    let add = [add.as_slice(), &joins, &FAST[2..]].concat();
    let refused = mesh.test.windlass(&add).expect(1);
    says(&refused, "whose agent would get the name cluster-3");
    let audit = mesh.test.windlass(&["audit", "--json"]).expect(0).json();
    assert_eq!(audit["calls"], json!({}), "{audit:#}");
    assert_eq!(held("cluster-3")["data"], theirs["data"]);
    // Nor under one whose agent is connected from elsewhere, as far as secrets say it.
    let secret = ["secret", "relay-client-tls-secret", "-n", "gloo-mesh"];
    let delete = [["delete"].as_slice(), &secret].concat();
    mesh.kubectl("cluster-3", &delete).expect(0);
    mesh.kubectl("cluster-2", &delete).expect(0);
    let again = ["cluster=cluster-2", "members=[cluster-1]"];
    let again = again.map(|one| ["-p", one]).concat();
    let again = [["run", "workflows/add-cluster.yaml"].as_slice(), &again].concat();
    let refused = mesh.test.windlass(&again).expect(1);
    says(&refused, "has no certificate for it");
    mesh.test.windlass(&add).expect(0);
}

/// A second rotation of the root would make another generation of CAs beside that of the first, which has failed.
#[test]
fn a_rotation_does_not_begin_before_that_of_the_root_has_ended() {
    for istio_ca in ["gloo", "cacerts"] {
        let mesh = made_with(istio_ca, &[]);
        let agent = ["deployment/gloo-mesh-agent", "-n", "gloo-mesh"];
        let patience = |seconds: u32| {
            let patch = json!({ "spec": { "progressDeadlineSeconds": seconds } }).to_string();
            let patch = [["patch"].as_slice(), &agent, &["-p", &patch]].concat();
            mesh.kubectl("cluster-2", &patch).expect(0);
        };
        patience(3);
        let annotate = |note: &str| {
            let annotate = [["annotate"].as_slice(), &agent, &[note]].concat();
            mesh.kubectl("cluster-2", &annotate).expect(0);
        };
        annotate("rehearsal.windlass.dev/stuck=ImagePullBackOff");
        rotate(&mesh, "rotate-root.yaml", &["-p", "force=true"]).expect(1);
        let run = mesh.test.shown()["run"].as_str().expect("an id").to_owned();
        annotate("rehearsal.windlass.dev/stuck-");
        patience(600);
        let unended = "a rotation of the root has not ended";
        let mut files = vec!["rotate-root.yaml", "rotate-relay-ca.yaml"];
        if istio_ca == "gloo" {
            files.push("rotate-issuing-ca.yaml");
        }
        for file in files {
            let calls = stops(&mesh, file, &["force=true"], unended);
            assert_eq!(calls, json!({}), "{file}");
        }
        let joins = ["cluster=cluster-3", "members=[cluster-1, cluster-2]"];
        let joins = joins.map(|one| ["-p", one]).concat();
        let add = [["run", "workflows/add-cluster.yaml"].as_slice(), &joins].concat();
        says(&mesh.test.windlass(&add).expect(1), unended);
        // The run itself goes on, and the next rotation begins with one root again. A rehearsal cluster is registered as soon as it
        // is there.
        let joined = mesh.test.windlass(&["resume", &run]).expect(1);
        says(
            &joined,
            "kubectl delete kubernetescluster cluster-3 -n gloo-mesh",
        );
        let delete = [
            "delete",
            "kubernetescluster",
            "cluster-3",
            "-n",
            "gloo-mesh",
        ];
        mesh.kubectl("mgmt", &delete).expect(0);
        mesh.test.windlass(&["resume", &run]).expect(0);
        let without = ["-p", "force=true", "-p", "left_out=[cluster-3]"];
        rotate(&mesh, "rotate-relay-ca.yaml", &without).expect(0);
    }
}

#[test]
fn an_issuing_ca_without_room_below_it_is_replaced_first() {
    let mesh = made_with("gloo", &[]);
    let outputs = mesh.test.windlass(&["outputs", "--json"]).expect(0).json();
    let root = format!("ca={}", outputs["root_ca_arn"].as_str().expect("an ARN"));
    mesh.test.write("short.rhai", SHORT);
    mesh.test.write("short.yaml", SHORT_WORKFLOW);
    let write = ["run", "short.yaml", "-p", &root];
    mesh.test.windlass(&write).expect(0);
    let calls = stops(
        &mesh,
        "rotate-root.yaml",
        &["force=true"],
        "has the path length 0",
    );
    assert_eq!(calls, json!({}));
    // It is due, whatever is left of its life, and does not come back.
    rotate(&mesh, "rotate-issuing-ca.yaml", &[]).expect(0);
    mesh.test.windlass(&["mesh"]).expect(0);
    let undone = mesh.test.windlass(&["undo", "--yes"]).expect(1);
    says(&undone, "so nothing below it verifies");
    mesh.test.windlass(&["mesh"]).expect(0);
}

/// A CA that somebody has disabled signs nothing more. It is replaced all the same, and so is its root.
#[test]
fn a_ca_that_was_disabled_is_replaced() {
    let mesh = made_with("gloo", &[]);
    let outputs = mesh.test.windlass(&["outputs", "--json"]).expect(0).json();
    let step = "{ script: workflows/steps/disable_ca.rhai, with: { ca: \"${{ params.ca }}\" } }";
    let workflow = format!("workflow: off\nparams: {{ ca: string }}\nsteps: {{ off: {step} }}\n");
    mesh.test.write("off.yaml", &workflow);
    for name in ["relay_ca_arn", "root_ca_arn"] {
        let ca = format!("ca={}", outputs[name].as_str().expect("an ARN"));
        let disable = ["run", "off.yaml", "-p", &ca];
        mesh.test.windlass(&disable).expect(0);
    }
    let way_out = "or replace it with workflows/rotate-relay-ca.yaml -p force=true";
    let calls = stops(&mesh, "rotate-leaf.yaml", &["force=true"], way_out);
    assert_eq!(calls, json!({}));
    // It would be signed by the root, which is replaced with all that is below it.
    let way_out = "or replace it with workflows/rotate-root.yaml -p force=true";
    let calls = stops(&mesh, "rotate-relay-ca.yaml", &["force=true"], way_out);
    assert_eq!(calls, json!({}));
    rotate(&mesh, "rotate-root.yaml", &["-p", "force=true"]).expect(0);
    mesh.test.windlass(&["mesh"]).expect(0);
    rotate(&mesh, "rotate-leaf.yaml", &["-p", "force=true"]).expect(0);
}

/// The secrets of a cluster that left are of no use in a mesh that has another root since.
#[test]
fn a_cluster_does_not_come_back_with_a_root_that_is_gone() {
    let mesh = made_with("gloo", &[]);
    let leave = [
        "run",
        "workflows/retire-cluster.yaml",
        "-p",
        "cluster=cluster-2",
    ];
    mesh.test.windlass(&leave).expect(0);
    let run = mesh.test.shown()["run"].as_str().expect("an id").to_owned();
    let root = [
        "run",
        "workflows/rotate-root.yaml",
        "-p",
        "clusters=[cluster-1]",
    ];
    let root = [&root, FAST.as_slice(), &["-p", "force=true"]].concat();
    mesh.test.windlass(&root).expect(0);
    let refused = mesh.test.windlass(&["undo", &run, "--yes"]).expect(1);
    says(
        &refused,
        "the mesh does not accept any more what cluster-2 had",
    );
    let secret = [
        "get",
        "secret",
        "relay-client-tls-secret",
        "-n",
        "gloo-mesh",
    ];
    mesh.kubectl("cluster-2", &secret).expect(1);
    let joins = ["cluster=cluster-2", "members=[cluster-1]"];
    let joins = joins.map(|one| ["-p", one]).concat();
    let add = [
        ["run", "workflows/add-cluster.yaml"].as_slice(),
        &joins,
        &FAST[2..],
    ]
    .concat();
    mesh.test.windlass(&add).expect(0);
    mesh.test.windlass(&["mesh"]).expect(0);
}
