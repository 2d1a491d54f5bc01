//! Rotations of a mesh on Restate: as embedded, and no handshake fails meanwhile.

use serde_json::Value as Json;

use super::{server::Server, world::Site, world::World, world::rotation};
use crate::{crash::Outcome, keeping::Watcher, mesh::FAST};

const ROTATIONS: [&str; 2] = ["rotate-issuing-ca.yaml", "rotate-root.yaml"];
/// The last step of each phase of a new root but the last one, which ends with the run.
const ENDS: [&str; 5] = ["no_bounces", "settled", "server", "agents", "others_moved"];

/// How a run left its site, and how often it changed something, by function.
type Left = (Outcome, Json);

fn left(site: &Site) -> Left {
    let audit = site.test.windlass(&["audit", "--json"]).expect(0).json();
    (
        Outcome::of(&site.test).without_effects(),
        audit["calls"].clone(),
    )
}

/// Gives a site the PKI of day one.
fn make(site: &Site, clusters: &str, istio_ca: &str) -> Left {
    let istio_ca = format!("istio_ca={istio_ca}");
    let more = ["-p", &istio_ca, "-p", clusters];
    site.test
        .windlass(&[rotation().as_slice(), &more].concat())
        .expect(0);
    left(site)
}

/// Rotates something that is not due, with nobody asked and no time between the phases.
fn rotate(site: &Site, file: &str, clusters: &str, more: &[&str]) -> Left {
    let path = format!("workflows/{file}");
    let text = site.test.read(&path);
    let mut run = vec!["run", &path, "--target", "t", "-p", clusters];
    run.extend(["-p", "force=true", "-p", "approve=false"]);
    let delays = ["-p", "mount_delay=1s", "-p", "leaf_life=0s"];
    for pair in FAST.chunks(2).chain(delays.chunks(2)) {
        let name = pair[1].split('=').next().unwrap_or_default();
        if text.contains(&format!("\n  {name}:")) {
            run.extend(pair);
        }
    }
    run.extend(more);
    site.test.windlass(&run).expect(0);
    left(site)
}

fn undo(site: &Site) -> Left {
    site.test.windlass(&["undo", "--yes"]).expect(0);
    left(site)
}

/// Works on a site while every pair shakes hands again and again.
fn watched(site: &Site, about: &str, work: impl FnOnce() -> Vec<Left>) -> Vec<Left> {
    let watcher = Watcher::on(&site.test.path(".windlass/kube"));
    let lefts = work();
    watcher.finish().expect_whole(about, 20);
    lefts
}

/// Does the same on a mesh of a site alone and on one of a site with Restate, and holds what each run left equal.
fn equals_embedded(names: &[&str], istio_ca: &str, work: impl Fn(&Site, &str) -> Vec<Left>) {
    let clusters = format!("clusters=[{}]", names.join(", "));
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let done = |site: &Site, about: &str| {
        let made = make(site, &clusters, istio_ca);
        let about = format!("{istio_ca} {about}");
        let mut lefts = vec![made];
        lefts.extend(watched(site, &about, || work(site, &clusters)));
        lefts
    };
    let embedded = done(&Site::of(&names), "embedded");
    let site = Site::of(&names);
    let world = World::at(site, |folder| vec![Server::start(folder)], names.len());
    assert_eq!(done(&world, "on Restate"), embedded, "{istio_ca}");
    world.test.windlass(&["audit"]).expect(0);
}

/// All rotations of Istio's CAs, and the last one undone.
fn rotated(site: &Site, clusters: &str) -> Vec<Left> {
    let mut lefts: Vec<_> = ROTATIONS
        .map(|file| rotate(site, file, clusters, &[]))
        .into();
    lefts.push(undo(site));
    lefts
}

#[test]
#[ignore = "takes minutes: --run-ignored all -E 'test(restate::rotations)'"]
fn rotations_on_two_workers_equal_embedded_where_gloo_issues() {
    equals_embedded(&["a", "b"], "gloo", rotated);
}

#[test]
#[ignore = "takes minutes: --run-ignored all -E 'test(restate::rotations)'"]
fn rotations_on_two_workers_equal_embedded_where_clusters_have_cas_of_their_own() {
    equals_embedded(&["a", "b"], "cacerts", rotated);
}

/// As much of a new root as this step needs, and the way back.
fn undone_from(site: &Site, clusters: &str, until: &str) -> [Left; 2] {
    let there = rotate(site, "rotate-root.yaml", clusters, &["--until", until]);
    [there, undo(site)]
}

/// A short form for every run of the tests: the phase in which most changes, and its undo.
#[test]
fn a_new_root_is_trusted_and_undone_as_embedded_where_a_cluster_has_a_ca_of_its_own() {
    equals_embedded(&["a"], "cacerts", |site, clusters| {
        undone_from(site, clusters, "settled").into()
    });
}

#[test]
#[ignore = "takes minutes: --run-ignored all -E 'test(restate::rotations)'"]
fn a_new_root_is_undone_from_each_phase_as_embedded_where_clusters_have_cas_of_their_own() {
    equals_embedded(&["a", "b"], "cacerts", |site, clusters| {
        let undone = ENDS.iter().map(|end| undone_from(site, clusters, end));
        undone.flatten().collect()
    });
}
