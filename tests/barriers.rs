//! What changes while a rotation waits for an approval stops it before the next phase begins, and once it is put right, the
//! rotation ends.

use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::{
    harness::until,
    keeping::Watcher,
    mesh::Mesh,
    rotation::{made_with, rotate},
};

type Place = (&'static str, &'static str, &'static str);

const CACERTS: Place = ("cluster-1", "istio-system", "secret/cacerts");
const AGENT: Place = ("cluster-1", "gloo-mesh", "secret/relay-client-tls-secret");
const ISTIOD: &str = "deployment/istiod";
/// Between two looks at the handshakes.
const PAUSE: Duration = Duration::from_millis(100);
/// No test waits longer for what must happen.
const PATIENCE: Duration = Duration::from_secs(60);

/// A Secret as it is, to be put back later.
fn saved(mesh: &Mesh, (context, namespace, secret): Place) -> Json {
    let found = mesh.get(context, namespace, secret);
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": found["metadata"]["name"],
            "namespace": namespace,
            "labels": found["metadata"]["labels"],
        },
        "type": found["type"],
        "data": found["data"],
    })
}

/// Puts a Secret back as a person does.
fn put(mesh: &Mesh, context: &str, object: &Json) {
    mesh.test.write("put.json", &object.to_string());
    let file = mesh.test.path("put.json").display().to_string();
    let apply = ["apply", "--server-side", "--force-conflicts", "-f", &file];
    mesh.kubectl(context, &apply).expect(0);
}

/// Restarts istiod of the first cluster, and waits until it is replaced.
pub fn restart_istiod(mesh: &Mesh) {
    let of = ["-n", "istio-system", ISTIOD];
    for verb in ["restart", "status"] {
        let rollout = [["rollout", verb].as_slice(), &of].concat();
        mesh.kubectl("cluster-1", &rollout).expect(0);
    }
}

/// Waits until every handshake of the mesh succeeds.
fn settle(mesh: &Mesh) {
    until("the mesh settles", PATIENCE, || {
        mesh.test.windlass(&["mesh", "--json"]).code == 0
    });
}

/// How often something was changed so far, by function.
fn changes(mesh: &Mesh) -> Json {
    mesh.test.windlass(&["audit", "--json"]).expect(0).json()["calls"].clone()
}

/// Resumes, and fails unless the run stops at this step, with these words, and has changed nothing.
fn stops(mesh: &Mesh, step: &str, words: &[&str]) {
    let before = changes(mesh);
    let ran = mesh.test.windlass(&["resume"]).expect(1);
    let said = ran.stderr.replace('│', " ");
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    for word in words.iter().chain([&step]) {
        assert!(said.contains(word), "`{word}` is not in: {said}");
    }
    assert_eq!(changes(mesh), before, "{step}: {said}");
}

/// Lets the proofs of a workflow be tried as `retry` says, instead of as long as a real mesh takes.
pub fn hurry(mesh: &Mesh, file: &str, retry: &str) {
    let text = mesh.test.read(file);
    let quick = text.replace("attempts: 12, backoff: 1s..30s", retry);
    assert_ne!(text, quick);
    mesh.test.write(file, &quick);
}

/// Two clusters whose root is replaced, with proofs that are tried less often than on a real mesh.
fn begun() -> Mesh {
    let mesh = made_with("cacerts", &[]);
    let file = "workflows/rotate-root.yaml";
    hurry(&mesh, file, "attempts: 8, backoff: 300ms..300ms");
    let all = ["force=true", "approve=true", "take_over=true"];
    let all: Vec<_> = all.iter().flat_map(|one| ["-p", one]).collect();
    rotate(&mesh, "rotate-root.yaml", &all).expect(3);
    mesh
}

fn approve(mesh: &Mesh, step: &str) {
    let run = mesh.test.shown()["run"].as_str().expect("an id").to_owned();
    mesh.test.windlass(&["approve", &run, step]).expect(0);
}

#[test]
fn what_is_put_back_while_a_phase_waits_stops_the_next_one() {
    let mesh = begun();
    let watcher = Watcher::pausing(&mesh.test.path(".windlass/kube"), PAUSE);
    let (old_ca, old_leaf) = (saved(&mesh, CACERTS), saved(&mesh, AGENT));
    approve(&mesh, "approved");
    mesh.test.windlass(&["resume"]).expect(3);

    // One cluster, then one agent, trusts the old root only while it is asked whether certificates may move.
    let (both, both_agent) = (saved(&mesh, CACERTS), saved(&mesh, AGENT));
    put(&mesh, "cluster-1", &old_ca);
    restart_istiod(&mesh);
    approve(&mesh, "sign_approved");
    let lacks = "secret cacerts in istio-system of cluster-1: its root-cert.pem lacks CN=Gloo Mesh Root CA G2";
    stops(&mesh, "still_trusted", &[lacks]);
    put(&mesh, "cluster-1", &both);
    put(&mesh, "cluster-1", &old_leaf);
    restart_istiod(&mesh);
    settle(&mesh);
    let lacks = "secret relay-client-tls-secret in gloo-mesh of cluster-1";
    stops(
        &mesh,
        "relay_still_trusts",
        &[lacks, "CN=Gloo Mesh Root CA G2"],
    );
    put(&mesh, "cluster-1", &both_agent);
    mesh.test.windlass(&["resume"]).expect(3);

    // The CA of one cluster is gone, then an agent shows the old root, while it is asked whether the old one may go.
    let (new_ca, new_leaf) = (saved(&mesh, CACERTS), saved(&mesh, AGENT));
    let delete = ["delete", "secret", "cacerts", "-n", "istio-system"];
    mesh.kubectl("cluster-1", &delete).expect(0);
    approve(&mesh, "remove_approved");
    // istiod still shows what it has loaded: nothing but the secret itself says that it is gone.
    let gone = "secret cacerts in istio-system of cluster-1 is not there";
    stops(&mesh, "still_moved", &[gone]);
    restart_istiod(&mesh);
    stops(&mesh, "still_moved", &[gone]);
    put(&mesh, "cluster-1", &new_ca);
    restart_istiod(&mesh);
    settle(&mesh);
    put(&mesh, "cluster-1", &old_leaf);
    let shows = "secret relay-client-tls-secret in gloo-mesh of cluster-1";
    let what = "was put back as it was before this run, which has renewed it";
    stops(&mesh, "others_still_moved", &[shows, what]);
    put(&mesh, "cluster-1", &new_leaf);
    mesh.test.windlass(&["resume"]).expect(0);

    let seen = watcher.finish();
    let elsewhere = |failed: &&String| !failed.contains("cluster-1/");
    let elsewhere: Vec<_> = seen.failed.iter().filter(elsewhere).collect();
    assert!(elsewhere.is_empty(), "{elsewhere:#?}");
    // A swap of the CA of one cluster under its workloads is seen, so the watcher was not blind.
    assert!(!seen.failed.is_empty(), "{} looks", seen.looks);
    assert_eq!(mesh.test.windlass(&["mesh", "--json"]).code, 0);
}
