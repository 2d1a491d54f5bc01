//! A rotation that leaves a cluster of the mesh out is refused before anything is made, unless it was told so.

use serde_json::json;

use crate::{
    harness::Ran,
    mesh::{FAST, Mesh},
    rotation::made_with,
};

/// As a params file says it that is older than cluster-2.
const OLDER: &str = "clusters=[cluster-1]";

fn run(mesh: &Mesh, file: &str, more: &[&str]) -> Ran {
    let path = format!("workflows/{file}");
    let text = mesh.test.read(&path);
    let mut run = vec!["run", &path];
    for pair in FAST.chunks(2) {
        let name = pair[1].split('=').next().unwrap_or_default();
        if text.contains(&format!("\n  {name}:")) {
            run.extend(pair);
        }
    }
    for one in more {
        run.extend(["-p", one]);
    }
    mesh.test.windlass(&run)
}

/// Runs it, and fails unless it was refused with these words and nothing was changed.
fn refused(mesh: &Mesh, file: &str, more: &[&str], words: &[&str]) {
    // Without the frame around an error, whose lines are broken where they would be too wide.
    let said = run(mesh, file, more).expect(1).stderr.replace('│', " ");
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    for word in words {
        assert!(said.contains(word), "{file}: `{word}` is not in: {said}");
    }
    let audit = mesh.test.windlass(&["audit", "--json"]).expect(0).json();
    assert_eq!(audit["calls"], json!({}), "{file}: {audit:#}");
}

fn register(mesh: &Mesh, cluster: &str) {
    let registration = json!({
        "apiVersion": "admin.gloo.solo.io/v2",
        "kind": "KubernetesCluster",
        "metadata": { "name": cluster, "namespace": "gloo-mesh" },
        "spec": { "clusterDomain": "cluster.local" },
    });
    mesh.test
        .write("registration.json", &registration.to_string());
    let file = mesh.test.path("registration.json").display().to_string();
    mesh.kubectl("mgmt", &["apply", "-f", &file]).expect(0);
}

fn registered(mesh: &Mesh) -> String {
    let get = ["get", "kubernetesclusters", "-n", "gloo-mesh", "-o", "name"];
    mesh.kubectl("mgmt", &get).expect(0).stdout
}

#[test]
fn a_cluster_that_is_left_out_refuses_a_rotation_before_anything_is_made() {
    let mesh = made_with("gloo", &[]);
    let outputs = mesh.test.windlass(&["outputs", "--json"]).expect(0).json();
    let ca = outputs["relay_ca_arn"].as_str().expect("an ARN");
    let ca = format!("ca_arn={ca}");
    let is = "cluster-2 (registered; its agent is connected)";
    let add = "-p clusters='[cluster-1, cluster-2]'";
    let say = "-p left_out='[cluster-2]'";
    for (file, harm) in [
        ("rotate-root.yaml", "and so lose the mesh"),
        ("rotate-relay-ca.yaml", "lose the mesh when it is retired"),
        (
            "rotate-issuing-ca.yaml",
            "Gloo Mesh would give them a new CA",
        ),
        ("gloo-mesh.yaml", "they would keep the old PKI"),
    ] {
        refused(&mesh, file, &[OLDER, "force=true"], &[is, harm, add, say]);
    }
    let retire = [OLDER, &ca, "audit_bucket=my-bucket"];
    refused(
        &mesh,
        "retire-ca.yaml",
        &retire,
        &[is, "would not be looked at", add],
    );
    let both = [OLDER, "force=true", "left_out=[cluster-1]"];
    refused(
        &mesh,
        "rotate-root.yaml",
        &both,
        &["is in clusters and in left_out"],
    );
    // A leaf of one cluster alone does no harm.
    let leaf = [OLDER, "force=true", "server=false"];
    let ran = run(&mesh, "rotate-leaf.yaml", &leaf).expect(0);
    let warned = ran.stderr.contains("clusters leaves out cluster-2");
    assert!(warned, "{}", ran.stderr);
    // What is left out on request is said, and the rest of the mesh is rotated.
    let some = [OLDER, "force=true", "left_out=[cluster-2]"];
    let ran = run(&mesh, "rotate-relay-ca.yaml", &some).expect(0);
    let said = "left out, as asked: cluster-2 (registered; its agent is connected)";
    ran.says(said);
    // An API server that can't say who is registered does not hide an agent that is connected.
    let kind = ["delete", "crd", "kubernetesclusters.admin.gloo.solo.io"];
    mesh.kubectl("mgmt", &kind).expect(0);
    let is = "cluster-2 (its agent is connected)";
    refused(
        &mesh,
        "rotate-root.yaml",
        &[OLDER, "force=true"],
        &[is, add, "if one has left the mesh for good: stop its agent"],
    );
}

#[test]
fn a_cluster_that_is_gone_for_good_is_left_out_by_name_or_deregistered() {
    let mesh = made_with("cacerts", &[]);
    assert_eq!(registered(&mesh).lines().count(), 2);
    register(&mesh, "gone");
    let all = ["clusters=[cluster-1, cluster-2]", "force=true"];
    let is = [
        "gone (registered; its agent is not connected)",
        "kubectl delete kubernetescluster gone -n gloo-mesh",
    ];
    refused(&mesh, "rotate-relay-ca.yaml", &all, &is);
    // Where clusters have CAs of their own, each is rotated for itself.
    run(&mesh, "rotate-issuing-ca.yaml", &[OLDER, "force=true"]).expect(0);
    // A resumed run looks again, and goes on from there.
    refused(&mesh, "rotate-relay-ca.yaml", &all, &is);
    let delete = ["delete", "kubernetescluster", "gone", "-n", "gloo-mesh"];
    mesh.kubectl("mgmt", &delete).expect(0);
    mesh.test.windlass(&["resume"]).expect(0);

    run(&mesh, "retire-cluster.yaml", &["cluster=cluster-2"]).expect(0);
    assert!(!registered(&mesh).contains("cluster-2"));
    let stop = ["delete", "deployment", "gloo-mesh-agent", "-n", "gloo-mesh"];
    mesh.kubectl("cluster-2", &stop).expect(0);
    run(
        &mesh,
        "rotate-root.yaml",
        &[OLDER, "force=true", "approve=true"],
    )
    .expect(3);
}

/// A rotation may wait for days, and who joins meanwhile knows nothing of it.
#[test]
fn a_cluster_that_joins_during_a_rotation_stops_it_and_one_that_joined_since_its_undo() {
    let mesh = made_with("gloo", &[]);
    let all = ["clusters=[cluster-1, cluster-2]", "force=true"];
    let wanted = [all.as_slice(), &["approve=true"]].concat();
    run(&mesh, "rotate-root.yaml", &wanted).expect(3);
    let id = mesh.test.shown()["run"].as_str().expect("an id").to_owned();
    let continues = || mesh.test.windlass(&["resume", &id]);
    let approves = |step: &str| {
        let answer = ["approve", &id, step];
        mesh.test.windlass(&answer).expect(0);
    };
    let joined = |stopped: Ran, words: &str| {
        let said = stopped.expect(1).stderr.replace('│', " ");
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        let who = "newcomer (registered; its agent is not connected)";
        assert!(said.contains(who) && said.contains(words), "{said}");
        let delete = ["delete", "kubernetescluster", "newcomer", "-n", "gloo-mesh"];
        mesh.kubectl("mgmt", &delete).expect(0);
    };
    approves("approved");
    continues().expect(3);
    register(&mesh, "newcomer");
    approves("sign_approved");
    joined(
        continues(),
        "would refuse what the others show from here on",
    );
    continues().expect(3);
    register(&mesh, "newcomer");
    approves("remove_approved");
    joined(continues(), "would be refused once it goes");
    continues().expect(0);
    register(&mesh, "newcomer");
    let undo = ["undo", &id, "--yes"];
    joined(
        mesh.test.windlass(&undo),
        "would lose the mesh. Nothing more is put back",
    );
    mesh.test.windlass(&undo).expect(0);
    mesh.test.windlass(&["mesh"]).expect(0);
}
