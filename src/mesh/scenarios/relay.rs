//! The relay changes its root, and Gloo Mesh issues from a secret (MESH 7.3).

use serde_json::Value as Json;

use super::{TWO, breaks};
use crate::lab::{Authority, Lab, shown};

const SERVER: &str = "gloo-mesh-mgmt-server.gloo-mesh";
const THREE: [&str; 3] = ["mgmt", "cluster-1", "cluster-2"];

/// Writes the relay's secrets to all clusters, under one CA and with these roots.
fn relay(lab: &Lab, authority: &Authority, roots: &[&Authority]) {
    server_secret(lab, authority, roots);
    for cluster in TWO {
        client_secret(lab, cluster, authority, roots);
    }
}

fn pem(roots: &[&Authority]) -> String {
    roots.iter().map(|root| root.certificate.as_str()).collect()
}

fn tls(leaf: (String, String), roots: &[&Authority]) -> Vec<(&'static str, String)> {
    vec![
        ("tls.crt", leaf.0),
        ("tls.key", leaf.1),
        ("ca.crt", pem(roots)),
    ]
}

fn server_secret(lab: &Lab, authority: &Authority, roots: &[&Authority]) {
    let files = tls(authority.leaf(&[SERVER]), roots);
    lab.secret("mgmt", "gloo-mesh", "relay-server-tls-secret", &files);
}

fn client_secret(lab: &Lab, cluster: &str, authority: &Authority, roots: &[&Authority]) {
    let files = tls(authority.leaf(&[cluster]), roots);
    lab.secret(cluster, "gloo-mesh", "relay-client-tls-secret", &files);
}

fn restart_server(lab: &mut Lab) {
    lab.restart(
        "mgmt",
        "deployments.apps",
        "gloo-mesh",
        "gloo-mesh-mgmt-server",
    );
    lab.settle("mgmt");
}

fn restart_agents(lab: &mut Lab) {
    for cluster in TWO {
        lab.restart(cluster, "deployments.apps", "gloo-mesh", "gloo-mesh-agent");
        lab.settle(cluster);
    }
}

fn relay_errors(lab: &mut Lab) -> Vec<String> {
    let seen = lab.look();
    let of = seen.all.iter().filter(|one| one.port == 9900);
    of.filter_map(|one| one.error.clone()).collect()
}

/// Returns a relay under root A whose agents are connected.
fn relayed() -> (Lab, Authority) {
    let mut lab = Lab::new(&THREE, "");
    assert_eq!(relay_errors(&mut lab).len(), 2, "no certificates yet");
    let a = Authority::root("A");
    relay(&lab, &a, &[&a]);
    restart_server(&mut lab);
    restart_agents(&mut lab);
    assert_eq!(relay_errors(&mut lab), [""; 0]);
    (lab, a)
}

/// MESH 7.3.
#[test]
fn the_relay_changes_its_root_in_five_steps() {
    let (mut lab, a) = relayed();
    let b = Authority::root("B");
    for cluster in TWO {
        client_secret(&lab, cluster, &a, &[&a, &b]);
    }
    restart_agents(&mut lab);
    assert_eq!(relay_errors(&mut lab), [""; 0]);
    server_secret(&lab, &a, &[&a, &b]);
    restart_server(&mut lab);
    assert_eq!(relay_errors(&mut lab), [""; 0]);
    // The server reloads its certificate.
    server_secret(&lab, &b, &[&a, &b]);
    lab.until("B is served", |lab, _| {
        lab.trusts("mgmt")
            .iter()
            .any(|one| one["status"]["shows"][0]["issuer"] == "B")
    });
    assert_eq!(relay_errors(&mut lab), [""; 0]);
    for cluster in TWO {
        client_secret(&lab, cluster, &b, &[&a, &b]);
    }
    restart_agents(&mut lab);
    assert_eq!(relay_errors(&mut lab), [""; 0]);
    for cluster in TWO {
        client_secret(&lab, cluster, &b, &[&b]);
    }
    restart_agents(&mut lab);
    server_secret(&lab, &b, &[&b]);
    restart_server(&mut lab);
    assert_eq!(relay_errors(&mut lab), [""; 0]);
}

#[test]
fn wrong_order_the_relay_server_moves_before_its_agents_trust_it() {
    let (mut lab, a) = relayed();
    let b = Authority::root("B");
    server_secret(&lab, &b, &[&a, &b]);
    breaks(
        &mut lab,
        "server leaf too early",
        &["client: x509: certificate signed by unknown authority"],
    );
}

#[test]
fn wrong_order_an_agent_moves_before_the_server_trusts_it() {
    let (mut lab, a) = relayed();
    let b = Authority::root("B");
    client_secret(&lab, "cluster-1", &b, &[&a, &b]);
    // Without a restart, nothing changes.
    assert_eq!(relay_errors(&mut lab), [""; 0]);
    restart_agents(&mut lab);
    breaks(
        &mut lab,
        "client leaf too early",
        &["server: x509: certificate signed by unknown authority"],
    );
}

#[test]
fn an_agent_must_have_the_name_of_its_cluster() {
    let (mut lab, a) = relayed();
    let files = tls(a.leaf(&["cluster-2"]), &[&a]);
    lab.secret("cluster-1", "gloo-mesh", "relay-client-tls-secret", &files);
    restart_agents(&mut lab);
    breaks(
        &mut lab,
        "another cluster's name",
        &["has no DNS name cluster-1"],
    );
}

fn policy(lab: &Lab, config: Json) {
    let name = "root-trust-policy";
    let resource = "roottrustpolicies.admin.gloo.solo.io";
    let mut found = lab.find("mgmt", resource, "gloo-mesh", name).unwrap();
    found["spec"]["config"] = config;
    lab.put("mgmt", resource, found);
}

fn signing_secret(lab: &Lab, name: &str, signer: &Authority, root: &Authority) {
    let files = signer.cacerts(&[root], &[root]);
    lab.secret("mgmt", "gloo-mesh", name, &files);
}

fn cacerts_root(lab: &Lab, cluster: &str) -> String {
    let found = lab.find(cluster, "secrets", "istio-system", "cacerts");
    let files = found
        .as_ref()
        .map(crate::pods::secret_files)
        .unwrap_or_default();
    let names: Vec<_> = crate::x509::parsed(files.get("root-cert.pem").map_or("", String::as_str))
        .iter()
        .map(|root| crate::x509::short_name(&root.tbs_certificate.subject))
        .collect();
    names.join(",")
}

/// Passive roots, then another signer, then the removal of the old root (docs.solo.io, page "istio/managed/cert-rotation").
#[test]
fn gloo_mesh_issues_from_a_secret_and_rotates_with_passive_cas() {
    let mut lab = Lab::new(&THREE, "");
    let (a, b) = (Authority::root("A"), Authority::root("B"));
    signing_secret(&lab, "signer-a", &a.below("issuing A"), &a);
    signing_secret(&lab, "signer-b", &b.below("issuing B"), &b);
    let secret =
        |name: &str| serde_json::json!({ "secretRef": { "name": name, "namespace": "gloo-mesh" } });
    policy(
        &lab,
        serde_json::json!({ "mgmtServerCa": secret("signer-a"), "autoRestartPods": false }),
    );
    relay(&lab, &a, &[&a]);
    restart_server(&mut lab);
    restart_agents(&mut lab);
    let issued = |lab: &mut Lab, roots: &str| {
        lab.until("cacerts is issued", |lab, _| {
            TWO.iter()
                .all(|cluster| cacerts_root(lab, cluster) == roots)
        });
    };
    issued(&mut lab, "A");
    for cluster in TWO {
        lab.restart_istiod(cluster);
        lab.roll(cluster);
    }
    assert_eq!(lab.look().failed().count(), 0, "{}", shown(&lab.look()));
    for (config, roots) in [
        (
            serde_json::json!({ "mgmtServerCa": secret("signer-a"), "passiveCertificateAuthorities": [secret("signer-b")] }),
            "A,B",
        ),
        (
            serde_json::json!({ "mgmtServerCa": secret("signer-b"), "passiveCertificateAuthorities": [secret("signer-a")] }),
            "B,A",
        ),
        (
            serde_json::json!({ "mgmtServerCa": secret("signer-b") }),
            "B",
        ),
    ] {
        policy(&lab, config);
        issued(&mut lab, roots);
        for cluster in TWO {
            lab.restart_istiod(cluster);
            assert_eq!(
                lab.look().failed().count(),
                0,
                "{roots}: {}",
                shown(&lab.look())
            );
            lab.roll(cluster);
            assert_eq!(
                lab.look().failed().count(),
                0,
                "{roots}: {}",
                shown(&lab.look())
            );
        }
    }
}

#[test]
fn gloo_mesh_leaves_a_foreign_secret_alone_and_says_so() {
    let (mut lab, a) = relayed();
    lab.cacerts("cluster-1", &a.below("mine").cacerts(&[], &[&a]));
    signing_secret(&lab, "signer", &a.below("issuing"), &a);
    policy(
        &lab,
        serde_json::json!({ "mgmtServerCa": { "secretRef": { "name": "signer" } } }),
    );
    let state = |lab: &Lab, cluster: &str| {
        let name = format!("istiod-istio-system-{cluster}");
        let found = lab.find(cluster, crate::gloo::ISSUED, "gloo-mesh", &name);
        found.map_or(Json::Null, |found| found["status"].clone())
    };
    // The generated root was first; its secret in cluster-2 belongs to Gloo Mesh itself.
    lab.until("cluster-2 has it", |lab, _| {
        state(lab, "cluster-2")["state"] == "FINISHED"
    });
    lab.until("cluster-1 refuses", |lab, _| {
        state(lab, "cluster-1")["state"] == "FAILED"
    });
    let why = state(&lab, "cluster-1")["error"].to_string();
    assert!(why.contains("is not managed by Gloo Mesh"), "{why}");
}

/// Gloo Mesh issues a lost CA again as soon as it is gone, for a cluster that it knows and whose agent is connected.
#[test]
fn a_deleted_ca_comes_back_until_its_cluster_is_deregistered() {
    let (mut lab, a) = relayed();
    signing_secret(&lab, "signer", &a.below("issuing"), &a);
    policy(
        &lab,
        serde_json::json!({ "mgmtServerCa": { "secretRef": { "name": "signer" } }, "autoRestartPods": false }),
    );
    let is_issued = |lab: &Lab, cluster: &str| cacerts_root(lab, cluster) == "A";
    lab.until("both are issued", |lab, _| {
        TWO.iter().all(|cluster| is_issued(lab, cluster))
    });
    lab.delete("cluster-1", "secrets", "istio-system", "cacerts");
    lab.until("it comes back", |lab, _| is_issued(lab, "cluster-1"));

    let registrations = "kubernetesclusters.admin.gloo.solo.io";
    lab.delete("mgmt", registrations, "gloo-mesh", "cluster-1");
    lab.delete("cluster-1", "secrets", "istio-system", "cacerts");
    // What happens in the other cluster meanwhile says that there was time enough.
    lab.delete("cluster-2", "secrets", "istio-system", "cacerts");
    lab.until("the other one comes back", |lab, _| {
        is_issued(lab, "cluster-2")
    });
    assert!(!is_issued(&lab, "cluster-1"));
}
