//! Rotations of a mesh on Restate: as embedded, and no handshake fails meanwhile.

use serde_json::Value as Json;

use super::{server::Server, world::Site, world::World, world::rotation};
use crate::{crash::Outcome, keeping::Watcher, mesh::FAST};

const ROTATIONS: [&str; 2] = ["rotate-issuing-ca.yaml", "rotate-root.yaml"];

/// How a run left its site, and how often it changed something, by function.
type Left = (Outcome, Json);

fn left(site: &Site) -> Left {
    let audit = site.test.windlass(&["audit", "--json"]).expect(0).json();
    (
        Outcome::of(&site.test).without_effects(),
        audit["calls"].clone(),
    )
}

/// Gives a site the PKI of day one, rotates it, undoes the last rotation, and watches; what it was after each.
fn rotated(site: &Site, istio_ca: &str) -> Vec<Left> {
    let clusters = ["-p", "clusters=[a, b]"];
    let istio_ca = format!("istio_ca={istio_ca}");
    let made = [rotation(), vec!["-p", &istio_ca], clusters.into()].concat();
    site.test.windlass(&made).expect(0);
    let mut outcomes = vec![left(site)];
    let watcher = Watcher::on(&site.test.path(".windlass/kube"));
    for file in ROTATIONS {
        let path = format!("workflows/{file}");
        let text = site.test.read(&path);
        let mut run = vec![
            "run",
            &path,
            "--target",
            "t",
            "-p",
            "force=true",
            "-p",
            "approve=false",
        ];
        run.extend(clusters);
        let delays = ["-p", "mount_delay=1s", "-p", "leaf_life=0s"];
        for pair in FAST.chunks(2).chain(delays.chunks(2)) {
            let name = pair[1].split('=').next().unwrap_or_default();
            if text.contains(&format!("\n  {name}:")) {
                run.extend(pair);
            }
        }
        site.test.windlass(&run).expect(0);
        outcomes.push(left(site));
    }
    site.test.windlass(&["undo", "--yes"]).expect(0);
    outcomes.push(left(site));
    let seen = watcher.finish();
    println!(
        "{istio_ca}: {} looks, {} handshakes, {} failed",
        seen.looks,
        seen.tried,
        seen.failed.len()
    );
    assert!(seen.failed.is_empty(), "{:#?}", seen.failed);
    assert!(seen.looks > 20, "only {} looks", seen.looks);
    outcomes
}

fn equals_embedded(istio_ca: &str) {
    let clusters = ["a".to_owned(), "b".to_owned()];
    let embedded = rotated(&Site::of(&clusters), istio_ca);
    let world = World::at(Site::of(&clusters), |folder| vec![Server::start(folder)], 2);
    assert_eq!(rotated(&world, istio_ca), embedded, "{istio_ca}");
    world.test.windlass(&["audit"]).expect(0);
}

#[test]
#[ignore = "takes minutes: --run-ignored all -E 'test(restate::rotations)'"]
fn rotations_on_two_workers_equal_embedded_where_gloo_issues() {
    equals_embedded("gloo");
}

#[test]
#[ignore = "takes minutes: --run-ignored all -E 'test(restate::rotations)'"]
fn rotations_on_two_workers_equal_embedded_where_clusters_have_cas_of_their_own() {
    equals_embedded("cacerts");
}
