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

/// Bytes and numbers that JSON has no word for cross the engine as they are.
#[test]
fn a8_every_value_crosses_the_engine() {
    let world = World::new(1);
    world.test.write(
        "bytes.yaml",
        "workflow: bytes
steps:
  a: { run: 'let b = base64::decode_bytes(\"AP/+\"); file::write(\"b\", b); #{ bytes: b, read: file::read_bytes(\"b\"), huge: 1e300 * 1e300 }' }
  b: { with: { bytes: \"${{ steps.a.read }}\", huge: \"${{ steps.a.huge }}\" }, run: 'file::write(\"c\", inputs.bytes); #{ is_huge: `${inputs.huge}` == \"inf\", same: file::read_bytes(\"c\") == inputs.bytes }' }
outputs: { all: \"${{ steps.b }}\" }
",
    );
    let run = ["run", "bytes.yaml", "--target", "t"];
    world.test.windlass(&run).expect(0);
    let all = world.test.windlass(&["outputs", "--json"]).expect(0).json();
    assert_eq!(
        all["all"],
        serde_json::json!({ "is_huge": true, "same": true })
    );
    let written = std::fs::read(world.test.path("out/c")).expect("written");
    assert_eq!(written, [0, 0xff, 0xfe]);
    world.test.windlass(&["audit"]).expect(0);
}
