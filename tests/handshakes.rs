//! Who can talk to whom in a rehearsal mesh, through the binary.

use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use crate::{
    barriers::restart_istiod,
    harness::Test,
    mesh::{FAST, Mesh},
    rotation::made_with,
};

fn handshakes(mesh: &Mesh, code: i32) -> Vec<Json> {
    let seen = mesh.test.windlass(&["mesh", "--json"]).expect(code).json();
    seen["handshakes"].as_array().expect("a list").clone()
}

/// After the first command everybody can talk to everybody.
#[test]
fn after_the_first_command_all_pairs_shake_hands() {
    let mesh = Mesh::new(2, &[]);
    let before = handshakes(&mesh, 1);
    assert!(
        before
            .iter()
            .any(|one| one["ok"] == false && one["port"] == 9900),
        "agents have no certificates yet"
    );
    let run = [
        "run",
        "workflows/gloo-mesh.yaml",
        "-p",
        "clusters=[cluster-1, cluster-2]",
    ];
    mesh.test
        .windlass(&[&run, FAST.as_slice()].concat())
        .expect(0);
    let all = handshakes(&mesh, 0);
    assert!(
        all.iter()
            .all(|one| one["ok"] == true && one["error"].is_null()),
        "{all:#?}"
    );
    for (from, to, port) in [
        (
            "cluster-1/bookinfo/reviews",
            "cluster-2/bookinfo/productpage",
            15006,
        ),
        (
            "cluster-2/ratings/ratings",
            "cluster-1/ratings/ratings",
            15008,
        ),
        (
            "cluster-1/bookinfo/reviews",
            "cluster-2/ratings/ratings",
            15008,
        ),
        (
            "cluster-1/istio-ingress/istio-ingressgateway",
            "cluster-1/bookinfo/reviews",
            15006,
        ),
        (
            "cluster-1/istio-system/ztunnel/ca",
            "cluster-1/istio-system/istiod",
            15012,
        ),
        (
            "cluster-2/kube-apiserver/istio-sidecar-injector",
            "cluster-2/istio-system/istiod",
            15017,
        ),
        (
            "cluster-2/gloo-mesh/gloo-mesh-agent",
            "mgmt/gloo-mesh/gloo-mesh-mgmt-server",
            9900,
        ),
    ] {
        let is_there = all
            .iter()
            .any(|one| one["from"] == from && one["to"] == to && one["port"] == port);
        assert!(is_there, "{from} -> {to}:{port}: {all:#?}");
    }
    println!("handshakes: {}, failed: 0", all.len());

    // The same, asked of the clusters of another target.
    let there = mesh
        .test
        .windlass(&["mesh", "--target", "t"])
        .expect(0)
        .stdout;
    assert!(there.contains("handshakes, 0 failed"), "{there}");
    let trust = mesh
        .kubectl("cluster-1", &["get", "meshtrust", "-A"])
        .expect(0)
        .stdout;
    assert!(
        trust.contains("sidecar") && trust.contains("Gloo Mesh Root CA"),
        "{trust}"
    );

    // A server that is away is not left out.
    for (cluster, namespace, name) in [
        ("mgmt", "gloo-mesh", "gloo-mesh-mgmt-server"),
        ("cluster-2", "istio-system", "istiod"),
    ] {
        let deployment = format!("deployment/{name}");
        let scale = ["scale", &deployment, "-n", namespace, "--replicas=0"];
        mesh.kubectl(cluster, &scale).expect(0);
        let app = format!("app={name}");
        let gone = [
            "wait",
            "--for=delete",
            "pod",
            "-n",
            namespace,
            "-l",
            &app,
            "--timeout=20s",
        ];
        mesh.kubectl(cluster, &gone).expect(0);
    }
    let seen = handshakes(&mesh, 1);
    assert_eq!(seen.len(), all.len(), "{seen:#?}");
    let away: Vec<_> = seen.iter().filter(|one| one["ok"] == false).collect();
    for one in &away {
        assert_eq!(one["error"], "no ready pod", "{one:#}");
    }
    for port in [9900, 15012, 15017] {
        assert!(away.iter().any(|one| one["port"] == port), "{away:#?}");
    }
}

#[test]
fn a_mesh_that_is_not_there_is_an_error() {
    let test = Test::new();
    for arguments in [["mesh"].as_slice(), &["mesh", "--json"]] {
        let ran = test.windlass(arguments).expect(2);
        assert_eq!(ran.stdout, "");
        assert!(
            ran.stderr.contains("local has no rehearsal clusters") && ran.stderr.contains("hint:"),
            "{}",
            ran.stderr
        );
    }
    assert!(!test.path(".windlass").exists(), "a look makes no folder");
}

/// Where nobody issues `cacerts` again, an istiod that restarts without it signs with a CA of its own.
#[test]
fn a_cluster_that_loses_its_ca_loses_the_mesh() {
    let mesh = made_with("cacerts", &[]);
    handshakes(&mesh, 0);
    mesh.kubectl(
        "cluster-1",
        &["delete", "secret", "cacerts", "-n", "istio-system"],
    )
    .expect(0);
    restart_istiod(&mesh);
    // Between the new root's way into the mounted files and the first renewal no workload fails; afterwards the clusters
    // have nothing in common. (What asks istiod itself fails for a moment when it restarts.)
    let between_workloads = |one: &&Json| one["port"] == 15006 || one["port"] == 15008;
    let mut errors = Vec::new();
    let is_refused = |why: &String| {
        [
            "certificate signed by unknown authority",
            "BadSignature",
            "UnknownIssuer",
        ]
        .iter()
        .any(|words| why.contains(words))
    };
    let deadline = Instant::now() + Duration::from_secs(60);
    while !errors.iter().any(is_refused) {
        assert!(
            Instant::now() < deadline,
            "all shake hands still: {errors:#?}"
        );
        let seen = mesh.test.windlass(&["mesh", "--json"]).json();
        errors = seen["handshakes"]
            .as_array()
            .expect("a list")
            .iter()
            .filter(between_workloads)
            .filter_map(|one| one["error"].as_str().map(str::to_owned))
            .collect();
    }
    handshakes(&mesh, 1);
}

/// What players show on their ports is what they hold.
#[test]
fn players_answer_on_their_ports() {
    let mesh = Mesh::new(1, &[]);
    mesh.test.write(
        "w.yaml",
        r#"workflow: w
kube: [mgmt, cluster-1]
steps:
  look:
    run: |
      let pod = |namespace, workload| kube::pods("cluster-1", namespace, workload)[0].name;
      let istiod = pod.call("istio-system", "deployment/istiod");
      let chain = kube::tls_chain("cluster-1", "istio-system", istiod, 15012, #{ server_name: "istiod.istio-system.svc" });
      let metrics = kube::http_get("cluster-1", "istio-system", istiod, 15014, "/metrics");
      let envoy = kube::http_get("cluster-1", "bookinfo", pod.call("bookinfo", "deployment/reviews"), 15000, "/config_dump");
      let tunnel = kube::http_get("cluster-1", "istio-system", pod.call("istio-system", "daemonset/ztunnel"), 15000, "/config_dump");
      let server = kube::pods("mgmt", "gloo-mesh", "deployment/gloo-mesh-mgmt-server")[0].name;
      let relay = kube::http_get("mgmt", "gloo-mesh", server, 9091, "/metrics");
      #{ chain: chain, metrics: metrics, envoy: envoy, tunnel: tunnel, relay: relay }
outputs: { seen: "${{ steps.look }}" }
"#,
    );
    let seen = mesh.test.outputs_of(&["w.yaml", "--target", "t"])["seen"].clone();
    let text = |part: &str| seen[part].to_string();
    assert!(
        text("chain").contains("istiod.istio-system.svc"),
        "{}",
        text("chain")
    );
    assert!(
        text("metrics").contains("citadel_server_root_cert_expiry_timestamp "),
        "{}",
        text("metrics")
    );
    for name in ["default", "ROOTCA", "SecretsConfigDump"] {
        assert!(text("envoy").contains(name), "{}", text("envoy"));
    }
    assert!(
        text("tunnel").contains("certificates"),
        "{}",
        text("tunnel")
    );
    assert!(
        text("relay").contains(r#"relay_push_clients_connected{cluster=\"cluster-1\"} 0"#),
        "{}",
        text("relay")
    );
    assert_ne!(seen, json!(null));
}

/// As the README does it: the run that made the mesh takes one more cluster, and makes nothing else again.
#[test]
fn an_edited_run_takes_one_more_cluster() {
    let mesh = Mesh::new(2, &[]);
    let run = ["run", "workflows/gloo-mesh.yaml"];
    mesh.test
        .windlass(&[&run, FAST.as_slice()].concat())
        .expect(0);
    let root = mesh.test.read("out/root-ca.pem");
    let issuing = mesh.test.read("out/gloo-mesh-intermediate.pem");
    let edited = ["resume", "--edited", "--yes"];
    let more = ["-p", "clusters=[cluster-1, cluster-2]"];
    mesh.test
        .windlass(&[edited.as_slice(), &more].concat())
        .expect(0);
    handshakes(&mesh, 0);
    assert_eq!(mesh.test.read("out/root-ca.pem"), root);
    assert_eq!(mesh.test.read("out/gloo-mesh-intermediate.pem"), issuing);
    let seen = mesh.test.windlass(&["certs", "--json"]).expect(0).json();
    let all = seen["certificates"].as_array().expect("a list");
    let is_of_aws = |one: &&Json| {
        let places = one["places"].as_array();
        let mut places = places.into_iter().flatten();
        places.any(|place| place["kind"] == "authority")
    };
    assert_eq!(all.iter().filter(is_of_aws).count(), 2, "{seen:#}");
}
