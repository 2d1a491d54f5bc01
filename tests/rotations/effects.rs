//! After every single effect of a rotation all pairs shake hands.

use std::time::Instant;

use windlass::journal::Outcome;

use super::{
    eye::{Eye, Seen},
    rows::{Row, chosen},
    site::Site,
    wide::keeps_barriers,
};

pub const CLUSTERS: &str = "clusters=[cluster-1, cluster-2]";
/// The cluster that joins and leaves.
const GUEST: &str = "cluster-3";
/// It is registered, but shares nothing with the mesh that a rotation could break.
pub const APART: &str = "left_out=[cluster-3]";
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
fn prove(site: &Site, row: Row, istio_ca: &str) -> Seen {
    let eye = || Eye::on(&site.clusters()).without(GUEST);
    let about = |what: &str| format!("{}, {istio_ca}: {what}", row.options);
    let all = [CLUSTERS, APART, "force=true"];
    let mut seen = eye().finish("day one").expect_whole(&about("day one"));
    let mut newest = None;
    for file in ROTATIONS {
        let ran = site.run(file, &all, &eye());
        seen = seen.and(ran.seen.clone().expect_whole(&about(file)));
        match row.refusal(istio_ca).filter(|_| file.contains("root")) {
            None => {
                let id = ran.expect(Outcome::Succeeded).id;
                keeps_barriers(site, file, &id, 2);
                newest = Some((file, id));
            }
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

/// Gives the mesh another PKI in one go, without an overlap, and sees what that breaks.
fn swap(site: &Site, istio_ca: &str) {
    let eye = Eye::on(&site.clusters()).without(GUEST);
    let istio_ca = format!("istio_ca={istio_ca}");
    let ran = site.run(
        "gloo-mesh.yaml",
        &[CLUSTERS, APART, &istio_ca, "force=true"],
        &eye,
    );
    let mut failed = ran.seen.failed.keys();
    let breaks =
        failed.find(|line| line.contains("istiod kube::restart") && line.contains(":1500"));
    assert!(breaks.is_some(), "{:#?}", ran.seen.failed);
}

#[test]
fn after_every_effect_all_pairs_shake_hands() {
    let rows = chosen(&[("istio=1.30", "gloo")]);
    assert!(!rows.is_empty(), "no row is chosen");
    let mut all = Seen::default();
    for (row, istio_ca) in &rows {
        let since = Instant::now();
        let site = made(*row, istio_ca);
        let seen = prove(&site, *row, istio_ca);
        println!(
            "{}, {istio_ca}: {seen}, {:.1?}",
            row.options,
            since.elapsed()
        );
        assert!(seen.effects > 20, "only {} effects", seen.effects);
        // One eye for right and wrong orders: what can't fail is no proof.
        if all.effects == 0 {
            swap(&site, istio_ca);
        }
        all = all.and(seen);
    }
    println!("{} rows: {all}", rows.len());
}
