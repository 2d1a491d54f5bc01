//! The same workflow gives the same on both substrates.

use std::path::Path;

use super::server::Server;
use super::world::{Site, World, rotation};
use crate::crash::Outcome;

/// Clusters of the rotation.
const CLUSTERS: usize = 25;

#[test]
fn gloo_mesh_for_25_clusters_on_three_workers_equals_embedded() {
    let clusters: Vec<_> = (1..=CLUSTERS).map(|n| format!("cluster-{n}")).collect();
    let of_run = format!("clusters=[{}]", clusters.join(", "));
    // The last one counts.
    let arguments = [rotation(), vec!["-p", &of_run]].concat();

    let embedded = Site::of(&clusters);
    embedded.test.windlass(&arguments).expect(0);
    let start = |folder: &Path| vec![Server::start(folder)];
    let world = World::at(Site::of(&clusters), start, 3);
    world.test.windlass(&arguments).expect(0);
    assert_eq!(Outcome::of(&world.test), Outcome::of(&embedded.test));
    world.test.windlass(&["audit"]).expect(0);
}
