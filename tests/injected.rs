//! Gateways in namespaces of the mesh, where sidecars are injected, and ztunnels beside istiod's namespace: each restarts
//! once in a phase, and the barriers see it.

use serde_json::json;

use crate::{
    mesh::{FAST, Mesh},
    rotation::{CLUSTERS, made_with, rotate},
};

const INGRESS: [&str; 4] = [
    "label",
    "namespace",
    "istio-ingress",
    "istio-injection=enabled",
];

/// Moves ztunnel to the namespace where Istio's guide for GKE has it.
fn move_ztunnel(mesh: &Mesh) {
    let mut ztunnel = mesh.get("cluster-1", "istio-system", "daemonset/ztunnel");
    ztunnel["metadata"] = json!({ "name": "ztunnel", "namespace": "kube-system" });
    ztunnel["status"].take();
    let delete = ["delete", "daemonset", "ztunnel", "-n", "istio-system"];
    mesh.kubectl("cluster-1", &delete).expect(0);
    let account = ["create", "serviceaccount", "ztunnel", "-n", "kube-system"];
    mesh.kubectl("cluster-1", &account).expect(0);
    mesh.test.write("ztunnel.json", &ztunnel.to_string());
    let file = mesh.test.path("ztunnel.json").display().to_string();
    mesh.kubectl("cluster-1", &["apply", "-f", &file]).expect(0);
    let status = [
        "rollout",
        "status",
        "daemonset/ztunnel",
        "-n",
        "kube-system",
    ];
    mesh.kubectl("cluster-1", &status).expect(0);
}

#[test]
fn a_new_root_passes_gateways_that_are_apps_and_ztunnels_that_are_elsewhere() {
    let mesh = Mesh::new(2, &[]);
    mesh.kubectl("cluster-1", &INGRESS).expect(0);
    move_ztunnel(&mesh);
    let run = ["run", "workflows/gloo-mesh.yaml", "-p", CLUSTERS];
    mesh.test
        .windlass(&[&run, FAST.as_slice()].concat())
        .expect(0);
    let made = rotate(
        &mesh,
        "rotate-root.yaml",
        &["-p", "force=true", "--until", "trusted"],
    );
    let said = made.expect(0).stderr;
    for part in [
        "daemonset/ztunnel in kube-system of cluster-1 is restarted",
        "deployment/istio-ingressgateway in istio-ingress of cluster-1 is restarted",
    ] {
        assert_eq!(said.matches(part).count(), 1, "{part}: {said}");
    }
    mesh.test.windlass(&["mesh"]).expect(0);
}

/// What Gloo Mesh issues under after an approval that took its time is looked at once more.
#[test]
fn a_ca_that_signs_again_is_not_deleted() {
    let mesh = made_with("gloo", &[]);
    let file = "workflows/rotate-issuing-ca.yaml";
    let quick = mesh.test.read(file).replace("timeout: 1m", "timeout: 5s");
    mesh.test.write(file, &quick);
    let named = |mesh: &Mesh| {
        let policy = mesh.get("mgmt", "gloo-mesh", "roottrustpolicy/root-trust-policy");
        policy["spec"]["config"]["mgmtServerCa"]["secretRef"]["name"]
            .as_str()
            .expect("a name")
            .to_owned()
    };
    let name = |secret: &str| {
        let patch = json!({ "spec": { "config": { "mgmtServerCa": { "secretRef": { "name": secret } } } } });
        let policy = [
            "patch",
            "roottrustpolicy",
            "root-trust-policy",
            "-n",
            "gloo-mesh",
        ];
        mesh.kubectl(
            "mgmt",
            &[
                policy.as_slice(),
                &["--type", "merge", "-p", &patch.to_string()],
            ]
            .concat(),
        )
        .expect(0);
    };
    let former = named(&mesh);
    let all = ["force=true", "approve=true", "leaf_life=1s"];
    let all: Vec<_> = all.iter().flat_map(|one| ["-p", one]).collect();
    rotate(&mesh, "rotate-issuing-ca.yaml", &all).expect(3);
    let run = mesh.test.shown()["run"].as_str().expect("an id").to_owned();
    mesh.test.windlass(&["approve", &run, "approved"]).expect(0);
    mesh.test.windlass(&["resume"]).expect(3);
    let new = named(&mesh);
    assert_ne!(new, former);

    // Somebody's GitOps has the policy as it was, and Gloo Mesh may or may not have issued by it.
    name(&former);
    mesh.test
        .windlass(&["approve", &run, "remove_approved"])
        .expect(0);
    let said = mesh.test.windlass(&["resume"]).expect(1).stderr;
    assert!(
        said.contains("still_issued") || said.contains("policy_still_signs"),
        "{said}"
    );
    mesh.get("mgmt", "gloo-mesh", &format!("secret/{former}"));

    name(&new);
    mesh.test.windlass(&["resume"]).expect(0);
    let left = ["get", "secret", &former, "-n", "gloo-mesh"];
    mesh.kubectl("mgmt", &left).expect(1);
    mesh.test.windlass(&["mesh"]).expect(0);
}

/// A pod with a proxy that nothing restarts keeps istiod's own root: a new mesh is not whole, and says which pod it is.
#[test]
fn a_new_mesh_names_what_did_not_restart() {
    let mesh = Mesh::new(1, &["--mesh", "renew=12h"]);
    crate::unrestarted::apart(&mesh);
    // The proof waits some minutes for pods that are late; this one does not restart at all.
    let file = "workflows/gloo-mesh.yaml";
    let patient = mesh.test.read(file);
    let hasty = patient.replace("attempts: 12,", "attempts: 4,");
    assert_ne!(hasty, patient);
    mesh.test.write(file, &hasty);
    let make = ["run", file];
    let said = mesh
        .test
        .windlass(&[&make, FAST.as_slice()].concat())
        .expect(1)
        .stderr;
    let said = said
        .replace('│', " ")
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    for part in [
        "verify_istio[cluster-1]",
        "nightly-",
        "restart it, then resume",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    mesh.kubectl(
        "cluster-1",
        &["rollout", "restart", "deployment/nightly", "-n", "jobs"],
    )
    .expect(0);
    mesh.kubectl(
        "cluster-1",
        &["rollout", "status", "deployment/nightly", "-n", "jobs"],
    )
    .expect(0);
    mesh.test.windlass(&["resume"]).expect(0);
    mesh.test.windlass(&["mesh"]).expect(0);
}

/// Where this workflow writes the CAs, nothing but the agents themselves says that they are connected.
#[test]
fn a_new_mesh_and_a_cluster_that_joins_need_agents_that_connect() {
    let mesh = Mesh::new(1, &[]);
    let agent = ["delete", "deployment", "gloo-mesh-agent", "-n", "gloo-mesh"];
    let saved = mesh.get("cluster-1", "gloo-mesh", "deployment/gloo-mesh-agent");
    mesh.kubectl("cluster-1", &agent).expect(0);
    let file = "workflows/gloo-mesh.yaml";
    let quick = mesh.test.read(file).replace(
        "attempts: 8, backoff: 1s..30s",
        "attempts: 3, backoff: 100ms..1s",
    );
    mesh.test.write(file, &quick);
    let make = ["run", file, "-p", "istio_ca=cacerts"];
    let said = mesh
        .test
        .windlass(&[&make, FAST.as_slice()].concat())
        .expect(1)
        .stderr;
    let said = said
        .replace('│', " ")
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    assert!(
        said.contains("there is no deployment gloo-mesh-agent in gloo-mesh of cluster-1"),
        "{said}"
    );
    let mut saved = saved;
    saved["metadata"] = json!({ "name": "gloo-mesh-agent", "namespace": "gloo-mesh", "labels": saved["metadata"]["labels"] });
    saved["status"].take();
    mesh.test.write("agent.json", &saved.to_string());
    let file = mesh.test.path("agent.json").display().to_string();
    mesh.kubectl("cluster-1", &["apply", "-f", &file]).expect(0);
    mesh.test.windlass(&["resume"]).expect(0);
    mesh.test.windlass(&["mesh"]).expect(0);
}
