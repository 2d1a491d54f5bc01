//! The same workflow gives the same on both substrates.

use super::world::World;
use crate::crash::{ARGUMENTS, Outcome};

/// Clusters of the rotation.
const CLUSTERS: usize = 25;

#[test]
fn gloo_mesh_for_25_clusters_on_three_workers_equals_embedded() {
    let clusters: Vec<_> = (1..=CLUSTERS).map(|n| format!("cluster-{n}")).collect();
    let clusters = format!("clusters=[{}]", clusters.join(", "));
    let mut arguments = vec!["run", "workflows/gloo-mesh.yaml", "--target", "t"];
    arguments.extend(ARGUMENTS);
    // The last one counts.
    arguments.extend(["-p", &clusters]);

    let (embedded, _served, _witness) = World::embedded();
    embedded.windlass(&arguments).expect(0);
    let world = World::new(3);
    world.test.windlass(&arguments).expect(0);
    assert_eq!(Outcome::of(&world.test), Outcome::of(&embedded));
    world.test.windlass(&["audit"]).expect(0);
}
