//! Rotations of a mesh that gloo-mesh.yaml made, on rehearsal clusters, seen with kubectl.

use serde_json::{Value as Json, json};

use crate::{
    harness::{Ran, Test},
    mesh::FAST,
    mesh::Mesh,
};

pub const CLUSTERS: &str = "clusters=[cluster-1, cluster-2]";
/// Where certificates are, and what says who signs.
const OBJECTS: [(&str, &str, &str); 9] = [
    ("mgmt", "gloo-mesh", "secret/relay-root-tls-secret"),
    ("mgmt", "gloo-mesh", "secret/relay-server-tls-secret"),
    ("mgmt", "gloo-mesh", "roottrustpolicy/root-trust-policy"),
    ("cluster-1", "gloo-mesh", "secret/relay-root-tls-secret"),
    ("cluster-1", "gloo-mesh", "secret/relay-client-tls-secret"),
    ("cluster-1", "istio-system", "secret/cacerts"),
    ("cluster-2", "gloo-mesh", "secret/relay-root-tls-secret"),
    ("cluster-2", "gloo-mesh", "secret/relay-client-tls-secret"),
    ("cluster-2", "istio-system", "secret/cacerts"),
];

/// Two clusters with the PKI of day one.
fn made(istio_ca: &str) -> Mesh {
    made_with(istio_ca, &[])
}

pub fn made_with(istio_ca: &str, options: &[&str]) -> Mesh {
    let mesh = Mesh::new(2, options);
    let istio_ca = format!("istio_ca={istio_ca}");
    let run = ["run", "workflows/gloo-mesh.yaml", "-p", CLUSTERS];
    let run = [&run, FAST.as_slice(), &["-p", &istio_ca]].concat();
    mesh.test.windlass(&run).expect(0);
    mesh
}

/// Runs a rotation with keys that are made fast.
pub fn rotate(mesh: &Mesh, file: &str, more: &[&str]) -> Ran {
    let workflow = mesh.test.read(&format!("workflows/{file}"));
    let file = format!("workflows/{file}");
    let mut run = vec!["run", &file, "-p", CLUSTERS];
    for pair in FAST.chunks(2) {
        let name = pair[1].split('=').next().unwrap_or_default();
        if workflow.contains(&format!("\n  {name}:")) {
            run.extend(pair);
        }
    }
    run.extend(more);
    mesh.test.windlass(&run)
}

/// What the mesh's objects hold.
fn held(mesh: &Mesh) -> Vec<Json> {
    OBJECTS
        .iter()
        .map(|(context, namespace, object)| {
            let get = [
                "get",
                object,
                "-n",
                namespace,
                "-o",
                "json",
                "--ignore-not-found",
            ];
            let found = mesh.kubectl(context, &get).expect(0).stdout;
            let found: Json = serde_json::from_str(&found).unwrap_or_default();
            json!({ "data": found["data"], "spec": found["spec"] })
        })
        .collect()
}

fn pem(mesh: &Mesh, (context, namespace, secret): (&str, &str, &str), key: &str) -> String {
    let found = mesh.get(context, namespace, secret);
    let data = found["data"][key].as_str().unwrap_or_default();
    let bytes = data_encoding::BASE64.decode(data.as_bytes());
    String::from_utf8(bytes.expect("base64")).expect("PEM")
}

fn certificates(text: &str) -> usize {
    text.matches("BEGIN CERTIFICATE").count()
}

/// openssl takes what a side shows under what the other side trusts.
fn verifies(mesh: &Mesh, shown: &str, trusted: &str, purpose: &str) {
    mesh.test.write("shown.pem", shown);
    mesh.test.write("trusted.pem", trusted);
    let verify = [
        "verify",
        "-x509_strict",
        "-purpose",
        purpose,
        "-CAfile",
        "trusted.pem",
        "-untrusted",
        "shown.pem",
        "shown.pem",
    ];
    mesh.test.openssl(&verify).expect(0);
}

fn relay_verifies(mesh: &Mesh) {
    let (server, agent) = (OBJECTS[1], OBJECTS[4]);
    let shows = |side| pem(mesh, side, "tls.crt");
    let trusts = |side| pem(mesh, side, "ca.crt");
    verifies(mesh, &shows(server), &trusts(agent), "sslserver");
    verifies(mesh, &shows(agent), &trusts(server), "sslclient");
}

#[test]
fn what_is_not_due_is_left_alone_and_a_rotation_says_so() {
    let mesh = made("gloo");
    let before = held(&mesh);
    for file in [
        "rotate-leaf.yaml",
        "rotate-relay-ca.yaml",
        "rotate-issuing-ca.yaml",
    ] {
        let ran = rotate(&mesh, file, &[]).expect(0);
        assert!(ran.stderr.contains("due"), "{file}: {}", ran.stderr);
        let audit = mesh.test.windlass(&["audit", "--json"]).expect(0).json();
        assert_eq!(audit["calls"], json!({}), "{file}: {audit:#}");
    }
    let ran = rotate(&mesh, "rotate-root.yaml", &[]).expect(0);
    ran.says("it is not due");
    assert_eq!(held(&mesh), before);
    // All of a certificate's life is a share of it.
    rotate(&mesh, "rotate-leaf.yaml", &["-p", "renew_before=1.0"]).expect(0);
    assert_ne!(held(&mesh), before);
}

#[test]
fn leaves_are_renewed_the_canary_first_and_an_undo_brings_them_back() {
    let mesh = made("gloo");
    let before = held(&mesh);
    let all = ["-p", "force=true", "-p", "order=[cluster-2]"];
    let ran = rotate(&mesh, "rotate-leaf.yaml", &all).expect(0);
    let at = |step: &str| {
        ran.stderr
            .find(step)
            .unwrap_or_else(|| panic!("{step}: {}", ran.stderr))
    };
    assert!(at("✓ server ") < at("✓ agents[cluster-2] "));
    assert!(at("✓ agents[cluster-2] ") < at("agents[cluster-1]"));
    let after = held(&mesh);
    for (index, (.., object)) in OBJECTS.iter().enumerate() {
        let (was, is) = (&before[index]["data"], &after[index]["data"]);
        assert_eq!(was["ca.crt"], is["ca.crt"], "{object}");
        let is_leaf = object.contains("server") || object.contains("client");
        assert_eq!(was["tls.crt"] != is["tls.crt"], is_leaf, "{object}");
    }
    relay_verifies(&mesh);
    mesh.test.windlass(&["undo", "--yes"]).expect(0);
    assert_eq!(held(&mesh), before);
}

#[test]
fn the_relay_gets_another_ca_under_the_same_root() {
    let mesh = made("gloo");
    let before = held(&mesh);
    rotate(&mesh, "rotate-relay-ca.yaml", &["-p", "force=true"]).expect(0);
    relay_verifies(&mesh);
    let issuer = ["x509", "-in", "shown.pem", "-noout", "-issuer"];
    let issuer = mesh.test.openssl(&issuer).expect(0).stdout;
    assert!(issuer.contains("Relay Intermediate CA G2"), "{issuer}");
    mesh.test.windlass(&["undo", "--yes"]).expect(0);
    assert_eq!(held(&mesh), before);
}

#[test]
fn an_issuing_ca_is_rotated_and_what_is_trusted_stays_the_same_to_the_byte() {
    for istio_ca in ["gloo", "cacerts"] {
        let mesh = made(istio_ca);
        let before = held(&mesh);
        let roots = |mesh: &Mesh| match istio_ca {
            "gloo" => {
                let policy = mesh.get("mgmt", "gloo-mesh", "roottrustpolicy/root-trust-policy");
                let name = policy["spec"]["config"]["mgmtServerCa"]["secretRef"]["name"].clone();
                let secret = format!("secret/{}", name.as_str().unwrap_or_default());
                let at = ("mgmt", "gloo-mesh", secret.as_str());
                (pem(mesh, at, "root-cert.pem"), pem(mesh, at, "ca-cert.pem"))
            }
            _ => (
                pem(mesh, OBJECTS[5], "root-cert.pem"),
                pem(mesh, OBJECTS[5], "ca-cert.pem"),
            ),
        };
        let (root, own) = roots(&mesh);
        rotate(&mesh, "rotate-issuing-ca.yaml", &["-p", "force=true"]).expect(0);
        let (same, other) = roots(&mesh);
        assert_eq!(root, same, "{istio_ca}");
        assert_ne!(own, other, "{istio_ca}");
        mesh.test.write("root.pem", &root);
        mesh.test.write("ca.pem", &other);
        let verify = ["verify", "-x509_strict", "-CAfile", "root.pem", "ca.pem"];
        mesh.test.openssl(&verify).expect(0);
        mesh.test.windlass(&["undo", "--yes"]).expect(0);
        let after = held(&mesh);
        for (index, (context, .., object)) in OBJECTS.iter().enumerate() {
            // Gloo Mesh issues anew, under the former CA.
            if istio_ca == "gloo" && object.contains("cacerts") {
                let key = "root-cert.pem";
                assert_eq!(after[index]["data"][key], before[index]["data"][key]);
                let shown = pem(&mesh, OBJECTS[index], "cert-chain.pem");
                assert!(shown.contains(own.trim()), "{context}");
                continue;
            }
            assert_eq!(
                after[index], before[index],
                "{istio_ca}: {context} {object}"
            );
        }
    }
}

/// Stopped for an approval between the phases, where both roots are trusted and certificates are of the old one.
#[test]
fn a_root_is_replaced_in_phases_and_each_is_taken_back() {
    let mesh = made("cacerts");
    let before = held(&mesh);
    let all = ["-p", "force=true", "-p", "approve=true"];
    let next = |step: &str, code: i32| {
        let run = mesh.test.shown()["run"].as_str().expect("an id").to_owned();
        mesh.test.windlass(&["approve", &run, step]).expect(0);
        mesh.test.windlass(&["resume"]).expect(code)
    };
    let trusted = |key, side| certificates(&pem(&mesh, side, key));
    rotate(&mesh, "rotate-root.yaml", &all).expect(3);
    assert_eq!(
        held(&mesh),
        before,
        "nothing is made before somebody approves"
    );
    next("approved", 3);
    for side in [OBJECTS[0], OBJECTS[1], OBJECTS[3], OBJECTS[4]] {
        assert_eq!(trusted("ca.crt", side), 2, "{side:?}");
    }
    let bundle = pem(&mesh, OBJECTS[5], "root-cert.pem");
    assert!(
        bundle.starts_with(&mesh.test.read("out/root-ca.pem")),
        "appended"
    );
    let trust = held(&mesh);
    assert_eq!(
        trust[5]["data"]["ca-cert.pem"],
        before[5]["data"]["ca-cert.pem"]
    );
    assert_eq!(trust[4]["data"]["tls.crt"], before[4]["data"]["tls.crt"]);
    next("sign_approved", 3);
    assert_eq!(trusted("root-cert.pem", OBJECTS[5]), 2);
    relay_verifies(&mesh);
    assert_eq!(
        pem(&mesh, OBJECTS[5], "root-cert.pem"),
        bundle,
        "the same to the byte"
    );
    next("remove_approved", 0);
    for side in [OBJECTS[0], OBJECTS[1], OBJECTS[3], OBJECTS[4]] {
        assert_eq!(trusted("ca.crt", side), 1, "{side:?}");
    }
    assert_eq!(
        pem(&mesh, OBJECTS[5], "root-cert.pem"),
        mesh.test.read("out/root-ca-G2.pem")
    );
    relay_verifies(&mesh);
    mesh.test.windlass(&["undo", "--yes"]).expect(0);
    assert_eq!(held(&mesh), before);
}

#[test]
fn a_mesh_that_would_lose_handshakes_is_refused_before_anything_is_made() {
    let mesh = made("gloo");
    let before = held(&mesh);
    for (versions, why) in [
        (
            ["1.30.0", "1.24.5", "2.6.0"],
            "trusts only the first of two roots",
        ),
        (
            ["1.30.0", "1.29.1", "2.6.0"],
            "reads the root of its CA only as it starts",
        ),
        (
            ["1.24.4", "1.30.0", "2.6.0"],
            "gives proxies only the last of two roots",
        ),
        (["1.30.0", "1.30.0", "2.2.9"], "upgrade to 2.3 or later"),
        (["latest", "1.30.0", "2.6.0"], "-p istio_version="),
    ] {
        let [istio, ztunnel, gloo] = versions;
        let istio = format!("istio_version={istio}");
        let ztunnel = format!("ztunnel_version={ztunnel}");
        let gloo = format!("gloo_version={gloo}");
        let of = [
            "-p",
            &istio,
            "-p",
            &ztunnel,
            "-p",
            &gloo,
            "-p",
            "force=true",
        ];
        let ran = rotate(&mesh, "rotate-root.yaml", &of).expect(1);
        assert!(ran.stderr.contains(why), "{versions:?}: {}", ran.stderr);
        let audit = mesh.test.windlass(&["audit", "--json"]).expect(0).json();
        assert_eq!(audit["calls"], json!({}), "{versions:?}");
    }
    assert_eq!(held(&mesh), before);
}

#[test]
fn a_policy_with_another_signer_is_not_taken_over_unasked() {
    let mesh = Mesh::new(1, &[]);
    let run = ["run", "workflows/gloo-mesh.yaml", "-p", "force=false"];
    let ran = mesh.test.windlass(&run).expect(1);
    for part in [
        "has generated, not secretRef gloo-mesh/gloo-mesh-issuing-ca",
        "take_over=true",
    ] {
        ran.says(part);
    }
    let audit = mesh.test.windlass(&["audit", "--json"]).expect(0).json();
    assert_eq!(audit["calls"], json!({}), "{audit:#}");
    // In a mesh that nothing uses yet, that is enough.
    let taken = [
        "run",
        "workflows/gloo-mesh.yaml",
        "-p",
        "force=false",
        "-p",
        "take_over=true",
    ];
    mesh.test.windlass(&taken).expect(0);
}

#[test]
fn a_plan_has_a_table_for_each_phase() {
    let mesh = Mesh::new(1, &[]);
    let plan = mesh
        .test
        .windlass(&["plan", "workflows/rotate-root.yaml"])
        .expect(0)
        .stdout;
    let phases = [
        "prepare",
        "trust",
        "issue_server",
        "issue_agents",
        "sign",
        "remove",
    ];
    let places: Vec<_> = phases
        .iter()
        .map(|phase| plan.find(&format!("Phase {phase}: ")))
        .collect();
    assert!(
        places.iter().all(Option::is_some) && places.is_sorted(),
        "{plan}"
    );
    assert_eq!(
        plan.matches("    After it: ").count(),
        phases.len(),
        "{plan}"
    );
    assert_eq!(plan.matches("    Undo: ").count(), phases.len(), "{plan}");
}

#[test]
fn a_phase_that_could_begin_too_early_is_refused() {
    let mesh = Mesh::new(1, &[]);
    let text = mesh.test.read("workflows/rotate-root.yaml");
    let early = text.replace(
        "    needs: [settled, sign_approved]\n",
        "    needs: [approved]\n",
    );
    assert_ne!(text, early);
    mesh.test.write("workflows/rotate-root.yaml", &early);
    let refused = mesh
        .test
        .windlass(&["validate", "workflows/rotate-root.yaml"])
        .expect(2)
        .stderr;
    assert!(refused.contains("phase-order"), "{refused}");
    assert!(refused.contains("could start before"), "{refused}");
}

#[test]
fn a_step_under_finally_is_in_the_last_phase() {
    let validate = |phase: &str| {
        let text = format!(
            "workflow: w\nphases: {{ first: {{ description: One. }}, second: {{ description: Two. }} }}\nsteps:\n  a: {{ run: (), phase: first }}\n  b: {{ run: (), needs: [a], phase: second }}\nfinally:\n  tidy: {{ run: (), phase: {phase} }}\n"
        );
        Test::new()
            .file("w.yaml", &text)
            .windlass(&["validate", "w.yaml"])
    };
    validate("second").expect(0);
    let refused = validate("first").expect(2);
    refused.says("phase-order");
    refused.says("is under `finally`, so it runs after `b`");
}

/// A cluster joins, an old CA is retired once nothing uses it, and the cluster leaves again.
#[test]
fn clusters_and_cas_come_and_go() {
    let mesh = made("cacerts");
    let run = |file: &str, more: &[&str]| {
        let file = format!("workflows/{file}");
        mesh.test.windlass(&[&["run", &file], more].concat())
    };
    let joins = [
        "-p",
        "cluster=cluster-3",
        "-p",
        "members=[cluster-1, cluster-2]",
    ];
    run("add-cluster.yaml", &[joins.as_slice(), &FAST[2..]].concat()).expect(0);
    // Trusted by those who were there, and trusting them.
    let file = |name: &str| mesh.test.read(&format!("out/relay-client-tls-{name}.pem"));
    let shown = format!("{}{}", file("cluster-3"), file("cluster-3-chain"));
    verifies(
        &mesh,
        &shown,
        &pem(&mesh, OBJECTS[1], "ca.crt"),
        "sslclient",
    );
    let former_leaf = file("cluster-1");
    let all = "clusters=[cluster-1, cluster-2, cluster-3]";
    let apart = ["-p", "left_out=[cluster-3]", "-p", "force=true"];
    rotate(&mesh, "rotate-relay-ca.yaml", &apart).expect(0);
    let outputs = mesh.test.windlass(&["outputs", "--json"]).expect(0).json();
    let former = format!(
        "ca_arn={}",
        outputs["former_relay_ca_arn"].as_str().unwrap_or_default()
    );
    let retire = ["-p", all, "-p", &former, "-p", "audit_bucket=my-bucket"];
    // The third cluster was left out of the rotation, and still shows the old CA.
    let refused = run("retire-ca.yaml", &retire).expect(1);
    refused.says("cluster-3 still has");
    let again = ["-p", all, "-p", "server=false", "-p", "force=true"];
    run("rotate-leaf.yaml", &[again.as_slice(), &FAST[2..]].concat()).expect(0);
    // A certificate of the CA that is shown without the CA's own is found, too.
    mesh.test.write("old.pem", &former_leaf);
    let old = format!(
        "--from-file=tls.crt={}",
        mesh.test.path("old.pem").display()
    );
    let other = [
        "create",
        "secret",
        "generic",
        "other",
        "-n",
        "gloo-mesh",
        &old,
    ];
    mesh.kubectl("cluster-1", &other).expect(0);
    let refused = run("retire-ca.yaml", &retire).expect(1);
    refused.says("secret other in gloo-mesh of cluster-1 still shows");
    mesh.kubectl(
        "cluster-1",
        &["delete", "secret", "other", "-n", "gloo-mesh"],
    )
    .expect(0);
    run("retire-ca.yaml", &retire).expect(0);
    let audit = mesh.test.windlass(&["audit", "--json"]).expect(0).json();
    assert_eq!(
        audit["calls"]["pca::delete_certificate_authority"], 1,
        "{audit:#}"
    );
    let leaves = run("retire-cluster.yaml", &["-p", "cluster=cluster-3"]).expect(0);
    leaves.says("2 certificates to revoke");
    // Its certificates stay revoked when it comes back, and are renewed before they are due.
    let undone = mesh.test.windlass(&["undo", "--yes"]).expect(0);
    undone.says("renew it with workflows/rotate-leaf.yaml");
    let renewed = |file: &str, output: &str| {
        run(file, &[&["-p", all], &FAST[2..]].concat()).expect(0);
        let outputs = mesh.test.windlass(&["outputs", "--json"]).expect(0).json();
        outputs[output].clone()
    };
    let only = serde_json::json!(["cluster-3"]);
    assert_eq!(renewed("rotate-leaf.yaml", "agents"), only);
    assert_eq!(renewed("rotate-issuing-ca.yaml", "rotated"), true);
    let none = serde_json::json!([]);
    assert_eq!(renewed("rotate-leaf.yaml", "agents"), none);
    assert_eq!(renewed("rotate-issuing-ca.yaml", "rotated"), false);
}

/// The undo of a rotation waits for the clusters that it knows, so it does not begin to give back a CA that another one has.
#[test]
fn a_cluster_that_joined_since_leaves_before_the_issuing_ca_goes_back() {
    let mesh = made("gloo");
    rotate(&mesh, "rotate-issuing-ca.yaml", &["-p", "force=true"]).expect(0);
    let run = mesh.test.shown()["run"].as_str().expect("an id").to_owned();
    let joins = ["cluster=cluster-3", "members=[cluster-1, cluster-2]"];
    let joins = joins.map(|one| ["-p", one]).concat();
    let file = ["run", "workflows/add-cluster.yaml"];
    let added = [file.as_slice(), &joins, &FAST[2..]].concat();
    mesh.test.windlass(&added).expect(0);
    let policy =
        || mesh.get("mgmt", "gloo-mesh", "roottrustpolicy/root-trust-policy")["spec"].clone();
    let before = policy();
    let undo = ["undo", &run, "--yes"];
    let refused = mesh.test.windlass(&undo).expect(1);
    refused.says("cluster-3 has joined the mesh since");
    assert_eq!(policy(), before);
    mesh.test
        .windlass(&["undo", "add-cluster", "--yes"])
        .expect(0);
    mesh.test.windlass(&undo).expect(0);
    assert_ne!(policy(), before);
}

/// What an undo recommends, a restart of the mesh, changes nothing that the undo of a rotation needs.
#[test]
fn a_rotation_is_undone_after_the_mesh_has_restarted() {
    let mesh = made("gloo");
    let before = held(&mesh);
    rotate(&mesh, "rotate-issuing-ca.yaml", &["-p", "force=true"]).expect(0);
    let run = mesh.test.shown()["run"].as_str().expect("an id").to_owned();
    let restart = ["run", "workflows/restart-mesh.yaml", "-p", CLUSTERS];
    mesh.test.windlass(&restart).expect(0);
    mesh.test.windlass(&["undo", &run, "--yes"]).expect(0);
    assert_eq!(held(&mesh)[2], before[2], "the root trust policy");
}

/// Killed between and inside of calls, a rotation is resumed to the same end, and restarts nothing twice.
#[test]
fn a_rotation_that_is_killed_is_resumed() {
    let mesh = made("cacerts");
    let template = |mesh: &Mesh| {
        let agent = mesh.get("cluster-1", "gloo-mesh", "deployment/gloo-mesh-agent");
        agent["metadata"]["generation"].as_i64().unwrap_or_default()
    };
    let mut killed = 0;
    for at in [9, 30, 51, 72] {
        let before = template(&mesh);
        let file = "workflows/rotate-leaf.yaml";
        let run = ["run", file, "-p", CLUSTERS, "-p", "force=true"];
        let mut command = mesh.test.command(&[&run, &FAST[2..]].concat());
        command.env("WINDLASS_CRASH_AT", at.to_string());
        let ran = Ran::from_output(command.output().expect("windlass starts"));
        if ran.code != 0 {
            killed += 1;
            mesh.test.windlass(&["resume"]).expect(0);
        }
        relay_verifies(&mesh);
        // Once as the proof of the server's new certificate, and once for its own.
        assert_eq!(template(&mesh), before + 2, "killed at {at}");
    }
    assert!(killed >= 2, "only {killed} runs were killed");
}

/// The telemetry gateway has a certificate of the same root, which the workflow knows nothing about.
#[test]
fn what_somebody_else_renews_refuses_a_new_root_and_stops_the_removal() {
    let mesh = made("cacerts");
    let name = "gloo-telemetry-gateway-tls-secret";
    let renewed = |mesh: &Mesh| {
        let server = mesh.get("mgmt", "gloo-mesh", "secret/relay-server-tls-secret");
        let secret = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": { "name": name, "namespace": "gloo-mesh" },
            "data": { "tls.crt": server["data"]["tls.crt"], "tls.key": server["data"]["tls.key"] },
        });
        mesh.test.write("gateway.json", &secret.to_string());
        let file = mesh.test.path("gateway.json").display().to_string();
        mesh.kubectl("mgmt", &["apply", "-f", &file]).expect(0);
    };
    renewed(&mesh);
    let before = held(&mesh);
    let refused = rotate(&mesh, "rotate-root.yaml", &["-p", "force=true"]).expect(1);
    refused.says(name);
    refused.says("renewed_elsewhere");
    let audit = mesh.test.windlass(&["audit", "--json"]).expect(0).json();
    assert_eq!(audit["calls"], json!({}), "{audit:#}");
    assert_eq!(held(&mesh), before);

    let elsewhere = format!("renewed_elsewhere=[{name}]");
    let all = ["-p", "force=true", "-p", &elsewhere];
    let stopped = rotate(&mesh, "rotate-root.yaml", &all).expect(1);
    stopped.says("others_moved");
    let trusted = || certificates(&pem(&mesh, OBJECTS[5], "root-cert.pem"));
    assert_eq!(trusted(), 2, "the old root is trusted still");
    // By now the server shows the new root, and so does this copy.
    renewed(&mesh);
    mesh.test.windlass(&["resume"]).expect(0);
    assert_eq!(trusted(), 1);
}
