//! After every single effect of a rotation all pairs shake hands.

use std::time::Instant;

use windlass::journal::Outcome;

use super::{
    eye::{Eye, Seen},
    rows::{Row, chosen},
    site::Site,
};

pub const CLUSTERS: &str = "clusters=[cluster-1, cluster-2]";
/// The cluster that joins and leaves.
const GUEST: &str = "cluster-3";
const ROTATIONS: [&str; 4] = [
    "rotate-leaf.yaml",
    "rotate-relay-ca.yaml",
    "rotate-issuing-ca.yaml",
    "rotate-root.yaml",
];

/// Two clusters with the PKI of day one, and a third one that is not in the mesh yet.
pub fn made(row: Row, istio_ca: &str) -> Site {
    let names: Vec<_> = ["mgmt", "cluster-1", "cluster-2", GUEST]
        .map(str::to_owned)
        .into();
    let site = Site::new(&names, row.options);
    site.plant(&names);
    if !row.is_ambient {
        site.without_ambient(&names[1..]);
    }
    let istio_ca = format!("istio_ca={istio_ca}");
    let eye = Eye::asleep(&site.clusters());
    site.run("gloo-mesh.yaml", &[CLUSTERS, &istio_ca], &eye)
        .expect(Outcome::Succeeded);
    site
}

/// Rotates all that a mesh has, takes the last rotation back, and lets a cluster join and leave.
fn prove(row: Row, istio_ca: &str) -> Seen {
    let site = made(row, istio_ca);
    let eye = || Eye::on(&site.clusters()).without(GUEST);
    let about = |what: &str| format!("{}, {istio_ca}: {what}", row.options);
    let all = [CLUSTERS, "force=true"];
    let mut seen = eye().finish("day one").expect_whole(&about("day one"));
    let mut newest = None;
    for file in ROTATIONS {
        let ran = site.run(file, &all, &eye());
        seen = seen.and(ran.seen.clone().expect_whole(&about(file)));
        match row.refusal(istio_ca).filter(|_| file.contains("root")) {
            None => newest = Some((file, ran.expect(Outcome::Succeeded).id)),
            Some(why) => {
                assert_eq!(ran.outcome, Some(Outcome::Failed), "{}", about(file));
                assert!(ran.errors().concat().contains(why), "{:#?}", ran.errors());
                assert_eq!(ran.seen.effects, 0, "{}", about(file));
            }
        }
    }
    let (file, id) = newest.expect("a rotation");
    let undone = site.undo(file, &id, &eye()).expect(Outcome::Undone);
    seen = seen.and(undone.seen.expect_whole(&about("undo")));

    let joins = ["cluster=cluster-3", "members=[cluster-1, cluster-2]"];
    let joined = site.run("add-cluster.yaml", &joins, &eye());
    seen = seen.and(joined.seen.clone().expect_whole(&about("add-cluster")));
    joined.expect(Outcome::Succeeded);
    let whole = Eye::on(&site.clusters()).finish("add-cluster");
    seen = seen.and(whole.expect_whole(&about("with the third cluster")));
    let left = site.run("retire-cluster.yaml", &joins[..1], &eye());
    seen = seen.and(left.seen.clone().expect_whole(&about("retire-cluster")));
    left.expect(Outcome::Succeeded);
    seen
}

#[test]
fn after_every_effect_all_pairs_shake_hands() {
    let rows = chosen(&[
        ("istio=1.30", "gloo"),
        ("istio=1.29,multi-root=on,xds-agent=on", "cacerts"),
    ]);
    assert!(!rows.is_empty(), "no row is chosen");
    let mut all = Seen::default();
    for (row, istio_ca) in &rows {
        let since = Instant::now();
        let seen = prove(*row, istio_ca);
        println!("{}, {istio_ca}: {seen}, {:.1?}", row.options, since.elapsed());
        assert!(seen.effects > 20, "only {} effects", seen.effects);
        all = all.and(seen);
    }
    println!("{} rows: {all}", rows.len());
}

/// The same eye sees what an order breaks that has no overlap.
#[test]
fn a_straight_swap_is_seen_at_the_effect_that_breaks() {
    let site = made(super::rows::ROWS[18], "cacerts");
    let eye = Eye::on(&site.clusters()).without(GUEST);
    let swap = [CLUSTERS, "istio_ca=cacerts", "force=true"];
    let ran = site.run("gloo-mesh.yaml", &swap, &eye);
    let failed = ran.seen.failed.keys();
    let at: Vec<_> = failed.filter(|line| line.contains("istiod kube::restart")).collect();
    assert!(!at.is_empty(), "{:#?}", ran.seen.failed);
}
