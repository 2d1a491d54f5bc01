//! Rotations in the right order and in wrong orders (MESH 7); `relay` has those of the relay and of Gloo Mesh's CAs.

mod relay;

use serde_json::Value as Json;

use super::{
    lab::{Authority, Lab, now, shown},
    matrix::Handshake,
};

const TWO: [&str; 2] = ["cluster-1", "cluster-2"];

fn is_cross(from: &str, to: &str) -> bool {
    from.split('/').next() != to.split('/').next()
}

/// Says whether every player of a cluster that presents a leaf presents one below this root, and trusts exactly these.
fn has_moved(lab: &Lab, cluster: &str, issuer: &str, roots: &[&str]) -> bool {
    let all = lab.trusts(cluster);
    all.iter().all(|one| {
        let is_proxy = ["sidecar", "gateway", "ztunnel"].contains(&role(one));
        let status = &one["status"];
        let trusts = status["trusts"].as_array();
        let mut trusts: Vec<_> = trusts
            .into_iter()
            .flatten()
            .filter_map(|root| root["subject"].as_str())
            .collect();
        trusts.sort_unstable();
        trusts.dedup();
        let has_leaf = status["shows"][0].is_object();
        !is_proxy || !has_leaf || status["shows"][0]["issuer"] == issuer && trusts == roots
    })
}

fn role(one: &Json) -> &str {
    one["spec"]["role"].as_str().unwrap_or_default()
}

fn log(lab: &Lab, cluster: &str) -> String {
    let all = lab.trusts(cluster);
    let lines = all
        .iter()
        .filter(|one| role(one) == "istiod")
        .flat_map(|one| one["status"]["log"].as_array().into_iter().flatten())
        .filter_map(Json::as_str);
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn before_day_one_each_cluster_is_a_mesh_of_its_own() {
    let mut lab = Lab::new(&TWO, "");
    let seen = lab.look();
    let within = seen.all.iter().filter(|one| !is_cross(&one.from, &one.to));
    for one in within {
        assert_eq!(one.error, None, "{one:?}");
    }
    let across: Vec<_> = seen
        .all
        .iter()
        .filter(|one| is_cross(&one.from, &one.to))
        .collect();
    assert!(!across.is_empty());
    for one in &across {
        let error = one.error.as_deref().expect("different roots");
        assert!(
            [
                "unable to get local issuer",
                "UnknownIssuer",
                "BadSignature"
            ]
            .iter()
            .any(|word| error.contains(word)),
            "{one:?}"
        );
    }
    for port in [15006, 15008, 15012, 15017] {
        assert!(seen.all.iter().any(|one| one.port == port), "{port}");
    }
    // Pods with the same material need no handshakes of their own, and a second check needs none either.
    assert!(
        seen.classes < seen.all.len(),
        "{} of {}",
        seen.classes,
        seen.all.len()
    );
    assert_eq!(lab.look().classes, 0);
}

/// The number of pairs of workloads grows with the square of the clusters; the number of handshakes that are made does not.
#[test]
fn each_chain_passes_each_kind_of_judge_once() {
    let made = |names: &[&str]| {
        let mut lab = Lab::new(names, "");
        lab.plug(&Authority::root("A"));
        let seen = lab.look_anew();
        assert_eq!(seen.failed().count(), 0, "{}", shown(&seen));
        (seen.all.len(), seen.classes)
    };
    let two = made(&TWO);
    let six = made(&["c-1", "c-2", "c-3", "c-4", "c-5", "c-6"]);
    assert!(six.0 > 5 * two.0, "{two:?}, {six:?}");
    // About three times as many; the square would be nine times.
    assert!(six.1 <= 4 * two.1, "{two:?}, {six:?}");
}

/// Multi-root is off, so each change of the roots needs a restart.
#[test]
fn a_root_is_rotated_with_restarts() {
    let mut lab = Lab::new(&TWO, "multi-root=off");
    let (a, b) = (Authority::root("A"), Authority::root("B"));
    lab.plug(&a);
    let olds = TWO.map(|name| a.below(&format!("istio {name}")));
    let news = TWO.map(|name| b.below(&format!("new {name}")));
    for (cluster, old) in TWO.iter().zip(&olds) {
        lab.cacerts(cluster, &old.cacerts(&[], &[&a]));
    }
    // Trust.
    for (cluster, old) in TWO.iter().zip(&olds) {
        lab.cacerts(cluster, &old.cacerts(&[], &[&a, &b]));
        lab.restart_istiod(cluster);
        lab.roll(cluster);
    }
    for (cluster, name) in TWO.iter().zip(["istio cluster-1", "istio cluster-2"]) {
        lab.whole_until("both roots are trusted", |lab| {
            has_moved(lab, cluster, name, &["A", "B"])
        });
    }
    // Certificates: hot, and leaves follow by age.
    for (cluster, new) in TWO.iter().zip(&news) {
        lab.cacerts(cluster, &new.cacerts(&[], &[&a, &b]));
        let name = format!("new {cluster}");
        lab.whole_until("leaves are of the new signer", |lab| {
            has_moved(lab, cluster, &name, &["A", "B"])
        });
        assert!(log(&lab, cluster).contains("Istiod certificates are reloaded"));
    }
    // Removal.
    for (cluster, new) in TWO.iter().zip(&news) {
        lab.cacerts(cluster, &new.cacerts(&[], &[&b]));
        lab.whole_until("the reload is refused", |lab| {
            log(lab, cluster).contains("Multi root is disabled")
        });
        lab.restart_istiod(cluster);
        lab.roll(cluster);
        let name = format!("new {cluster}");
        lab.whole_until("only B is trusted", |lab| {
            has_moved(lab, cluster, &name, &["B"])
        });
    }
}

/// The roots are A, A+B, A+B+B with the other signer, and B; nothing restarts (istio:
/// `tests/integration/security/cacert_rotation`).
#[test]
fn a_root_is_rotated_hot_with_multi_root() {
    let mut lab = Lab::new(&TWO, "multi-root=on,xds-agent=on");
    let (a, b) = (Authority::root("A"), Authority::root("B"));
    lab.plug(&a);
    let olds = TWO.map(|name| a.below(&format!("old {name}")));
    let news = TWO.map(|name| b.below(&format!("new {name}")));
    let phase =
        |lab: &mut Lab, all: &[Authority; 2], roots: &[&Authority], name, trusted: &[&str]| {
            for (cluster, own) in TWO.iter().zip(all) {
                lab.cacerts(cluster, &own.cacerts(&[], roots));
            }
            for cluster in TWO {
                let issuer = format!("{name} {cluster}");
                lab.whole_until("the phase is over", |lab| {
                    has_moved(lab, cluster, &issuer, trusted)
                });
            }
        };
    phase(&mut lab, &olds, &[&a], "old", &["A"]);
    phase(&mut lab, &olds, &[&a, &b], "old", &["A", "B"]);
    phase(&mut lab, &news, &[&a, &b, &b], "new", &["A", "B"]);
    phase(&mut lab, &news, &[&b], "new", &["B"]);
}

/// Checks that a wrong order leads to a failed handshake whose error contains these words.
fn breaks(lab: &mut Lab, what: &str, words: &[&str]) {
    lab.until(what, |_, seen| {
        seen.failed().any(|one| {
            let error = one.error.as_deref().unwrap_or_default();
            words.iter().any(|word| error.contains(word))
        })
    });
}

const UNKNOWN: [&str; 3] = [
    "unknown authority",
    "unable to get local issuer",
    "UnknownIssuer",
];

fn plugged(options: &str) -> (Lab, Authority) {
    let mut lab = Lab::new(&TWO, options);
    let a = Authority::root("A");
    lab.plug(&a);
    (lab, a)
}

#[test]
fn wrong_order_straight_swap() {
    let (mut lab, _) = plugged("");
    let b = Authority::root("B");
    lab.cacerts("cluster-1", &b.below("new").cacerts(&[], &[&b]));
    lab.until("refused hot", |lab, _| {
        log(lab, "cluster-1").contains("Multi root is disabled")
    });
    assert_eq!(lab.look().failed().count(), 0, "{}", shown(&lab.look()));
    lab.restart("cluster-1", "deployments.apps", "istio-system", "istiod");
    breaks(&mut lab, "straight swap", &UNKNOWN);
}

#[test]
fn wrong_order_signer_before_trust_is_everywhere() {
    let (mut lab, a) = plugged("multi-root=on,xds-agent=on");
    let b = Authority::root("B");
    // cluster-2 gets the new trust too late.
    lab.cacerts("cluster-1", &b.below("new").cacerts(&[], &[&a, &b]));
    breaks(&mut lab, "signer before trust", &UNKNOWN);
}

/// istiod accepts the write without a restart, but handshakes fail.
#[test]
fn wrong_order_trust_and_signer_in_one_write() {
    let (mut lab, a) = plugged("multi-root=on,renew=1h");
    let b = Authority::root("B");
    for cluster in TWO {
        lab.cacerts(cluster, &b.below("new").cacerts(&[], &[&a, &b]));
    }
    lab.until("accepted", |lab, _| {
        log(lab, "cluster-1").contains("Updating new ROOT-CA\n")
    });
    lab.restart("cluster-1", "deployments.apps", "bookinfo", "reviews");
    breaks(&mut lab, "both in one write", &UNKNOWN);
}

#[test]
fn wrong_order_removal_before_the_last_old_leaf_died() {
    let (mut lab, a) = plugged("multi-root=on,renew=1h");
    let b = Authority::root("B");
    let new = b.below("new");
    for cluster in TWO {
        let old = a.below("old");
        lab.cacerts(cluster, &old.cacerts(&[], &[&a, &b]));
    }
    for cluster in TWO {
        lab.until("reloaded", |lab, _| {
            log(lab, cluster).contains("Updating new ROOT-CA\n")
        });
        lab.roll(cluster);
    }
    assert_eq!(lab.look().failed().count(), 0, "{}", shown(&lab.look()));
    lab.cacerts("cluster-1", &new.cacerts(&[], &[&b]));
    lab.until("reloaded", |lab, _| {
        log(lab, "cluster-1").matches("are reloaded").count() >= 4
    });
    lab.restart("cluster-1", "deployments.apps", "bookinfo", "reviews");
    breaks(&mut lab, "removal too early", &UNKNOWN);
}

#[test]
fn wrong_order_cacerts_is_deleted() {
    let (mut lab, _) = plugged("");
    lab.delete("cluster-1", "secrets", "istio-system", "cacerts");
    lab.restart("cluster-1", "deployments.apps", "istio-system", "istiod");
    breaks(&mut lab, "cacerts deleted", &UNKNOWN);
}

/// Up to 1.29, the bundle is rejected, so the next signer is not trusted after a restart; 1.30 accepts it.
#[test]
fn wrong_order_a_reordered_bundle() {
    // In the failing case, no leaf is renewed in the meantime: only one workload moves to the new signer.
    for (options, is_taken) in [("istio=1.29,renew=1h", false), ("istio=1.30", true)] {
        let mut lab = Lab::new(&["cluster-1"], &format!("{options},multi-root=on"));
        let (a, b) = (Authority::root("A"), Authority::root("B"));
        let old = a.below("old");
        lab.cacerts("cluster-1", &old.cacerts(&[], &[&a]));
        lab.restart_istiod("cluster-1");
        lab.roll("cluster-1");
        // Two roots, then the same ones in another order with a third one: neither text contains the other.
        lab.cacerts("cluster-1", &old.cacerts(&[], &[&b, &a]));
        let c = Authority::root("C");
        lab.until("B was taken", |lab, _| {
            log(lab, "cluster-1").contains("Updating new ROOT-CA\n")
        });
        lab.cacerts("cluster-1", &old.cacerts(&[], &[&a, &b, &c]));
        let words = if is_taken {
            "Updating new ROOT-CA\n"
        } else {
            "Updating new ROOT-CA not supported"
        };
        let count = if is_taken { 4 } else { 2 };
        lab.until("the second bundle was read", |lab, _| {
            log(lab, "cluster-1").matches(words).count() >= count
        });
        if is_taken {
            lab.whole_until("C is trusted", |lab| {
                has_moved(lab, "cluster-1", "old", &["A", "B", "C"])
            });
        }
        // The next phase starts without a check, and an istiod restarts for another reason.
        let new = c.below("new");
        lab.cacerts("cluster-1", &new.cacerts(&[], &[&a, &b, &c]));
        lab.restart("cluster-1", "deployments.apps", "istio-system", "istiod");
        if is_taken {
            lab.whole_until("C signs", |lab| {
                has_moved(lab, "cluster-1", "new", &["A", "B", "C"])
            });
        } else {
            lab.settle("cluster-1");
            lab.restart("cluster-1", "deployments.apps", "bookinfo", "reviews");
            breaks(&mut lab, "reordered bundle on 1.29", &UNKNOWN);
        }
    }
}

/// Since 1.26, no istiod starts; older versions sign with their own CA without a warning.
#[test]
fn wrong_order_an_incomplete_secret() {
    let (mut lab, a) = plugged("istio=1.29");
    let half: Vec<_> = a
        .below("half")
        .cacerts(&[], &[&a])
        .into_iter()
        .filter(|(name, _)| *name != "cert-chain.pem")
        .collect();
    lab.cacerts("cluster-1", &half);
    lab.restart("cluster-1", "deployments.apps", "istio-system", "istiod");
    lab.until("a pod crashes", |lab, _| {
        let all = lab.clusters["cluster-1"].read(|it| it.list("pods", Some("istio-system")));
        all.unwrap().iter().any(|pod| {
            pod.to_string()
                .contains("incomplete signing CA bundle: missing cert-chain.pem")
        })
    });
    let mut lab = Lab::new(&TWO, "istio=1.25");
    let a = Authority::root("A");
    lab.plug(&a);
    lab.cacerts("cluster-1", &half);
    lab.restart("cluster-1", "deployments.apps", "istio-system", "istiod");
    breaks(&mut lab, "half-filled secret on 1.25", &UNKNOWN);
}

/// istiod loads such a CA without a warning, because its check does not count the leaf (istio: `keycertbundle.go`).
#[test]
fn wrong_order_a_path_length_of_zero_above_an_issuing_ca() {
    let (mut lab, a) = plugged("");
    let issuing = a.below_with("issuing", 0);
    let own = issuing.below("istio");
    lab.cacerts("cluster-1", &own.cacerts(&[&issuing], &[&a]));
    breaks(
        &mut lab,
        "path length 0",
        &[
            "too many intermediates",
            "path length constraint",
            "PathLenConstraintViolated",
        ],
    );
}

#[test]
fn wrong_order_a_chain_without_the_intermediate() {
    let (mut lab, a) = plugged("");
    let issuing = a.below("issuing");
    let own = issuing.below("istio");
    // With the first certificate alone, the CA can't be loaded, so the old one stays; after a restart istiod does not start.
    let mut files = own.cacerts(&[], &[&a]);
    lab.cacerts("cluster-1", &files);
    lab.until("refused", |lab, _| {
        log(lab, "cluster-1").contains("Failed to update new Plug-in CA certs")
    });
    // The chain satisfies the check at load, but does not contain the signer itself.
    for (name, text) in &mut files {
        if *name == "cert-chain.pem" {
            text.clone_from(&issuing.certificate);
        }
    }
    lab.cacerts("cluster-1", &files);
    breaks(&mut lab, "chain without the signer", &UNKNOWN);
}

/// Older versions of istiod issue leaves that end after their signer (istio #59766).
#[test]
fn wrong_order_an_intermediate_that_expires_before_its_leaves() {
    let (mut lab, a) = plugged("istio=1.27,renew=1h");
    let short = a.below_until("short", now() + 4000);
    lab.cacerts("cluster-1", &short.cacerts(&[], &[&a]));
    lab.until("reloaded", |lab, _| {
        log(lab, "cluster-1").contains("are reloaded")
    });
    lab.restart("cluster-1", "deployments.apps", "bookinfo", "reviews");
    breaks(&mut lab, "expired intermediate", &["expired", "Expired"]);
}

/// Older ztunnels read only the first root (ztunnel #1510), and their CA client reads its root file once (ztunnel #1775).
#[test]
fn old_ztunnels_read_one_root_and_lose_their_channel() {
    for (version, breaks) in [("1.24.5", true), ("1.30", false)] {
        let options = format!("istio=1.30,ztunnel={version},multi-root=on,xds-agent=on");
        let (mut lab, a) = plugged(&options);
        let b = Authority::root("B");
        for cluster in TWO {
            lab.cacerts(cluster, &a.below("old").cacerts(&[], &[&a, &b]));
        }
        lab.until("trusted", |lab, _| {
            TWO.iter()
                .all(|cluster| log(lab, cluster).contains("Updating new ROOT-CA\n"))
        });
        for cluster in TWO {
            lab.roll(cluster);
        }
        assert_eq!(lab.look().failed().count(), 0, "{}", shown(&lab.look()));
        for cluster in TWO {
            lab.cacerts(cluster, &b.below("new").cacerts(&[], &[&a, &b, &b]));
        }
        if breaks {
            super::scenarios::breaks(&mut lab, "a ztunnel of 1.24.5", &["UnknownIssuer"]);
        } else {
            for cluster in TWO {
                lab.whole_until("moved", |lab| has_moved(lab, cluster, "new", &["A", "B"]));
            }
        }
    }
}

/// An istiod writes its roots into the webhooks of its own revision, and repairs no others.
#[test]
fn webhooks_of_another_revision_keep_what_they_have() {
    let mut lab = Lab::new(&TWO, "");
    let resource = "validatingwebhookconfigurations.admissionregistration.k8s.io";
    let found = |lab: &Lab| lab.find("cluster-1", resource, "", "istio-validator-istio-system");
    let bundle = |lab: &Lab| {
        let found = found(lab).expect("the webhook");
        found["webhooks"][0]["clientConfig"]["caBundle"].clone()
    };
    lab.settle("cluster-1");
    let own = bundle(&lab);
    assert_ne!(own, "");
    let mut stale = found(&lab).expect("the webhook");
    stale["metadata"]["labels"]["istio.io/rev"] = "1-28".into();
    stale["webhooks"][0]["clientConfig"]["caBundle"] = "".into();
    lab.put("cluster-1", resource, stale.clone());
    lab.restart_istiod("cluster-1");
    assert_eq!(bundle(&lab), "");
    stale["metadata"]["labels"]["istio.io/rev"] = "default".into();
    stale["metadata"]["resourceVersion"].take();
    lab.put("cluster-1", resource, stale);
    lab.until("it is repaired", |lab, _| bundle(lab) == own);
}

/// A ztunnel need not be in istiod's namespace: on GKE it is in `kube-system`.
#[test]
fn a_ztunnel_in_another_namespace_reaches_istiod() {
    let is_of = |one: &Handshake| one.from.contains("kube-system/ztunnel");
    let mut lab = Lab::new(&TWO, "");
    let mut moved = lab
        .find("cluster-1", "daemonsets.apps", "istio-system", "ztunnel")
        .expect("it");
    moved["metadata"] = serde_json::json!({ "name": "ztunnel", "namespace": "kube-system" });
    if let Some(moved) = moved.as_object_mut() {
        moved.remove("status");
    }
    lab.delete("cluster-1", "daemonsets.apps", "istio-system", "ztunnel");
    let account =
        serde_json::json!({ "metadata": { "name": "ztunnel", "namespace": "kube-system" } });
    lab.put("cluster-1", "serviceaccounts", account);
    lab.put("cluster-1", "daemonsets.apps", moved);
    lab.settle("cluster-1");
    let seen = lab.until("it runs", |_, seen| seen.all.iter().any(is_of));
    let failed: Vec<_> = seen.failed().filter(|one| is_of(one)).collect();
    assert!(failed.is_empty(), "{failed:?}");
}
