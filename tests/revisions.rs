//! Istio that is installed by a revision: istiod has another name, and namespaces another label.

use std::time::Duration;

use serde_json::Value as Json;

use crate::{keeping::Watcher, mesh::FAST, mesh::Mesh};

/// Between two looks at the handshakes.
const PAUSE: Duration = Duration::from_millis(100);

/// How often the template of a workload was changed since it was made.
fn restarts(mesh: &Mesh, namespace: &str, workload: &str) -> i64 {
    let found: Json = mesh.get("cluster-1", namespace, workload);
    found["metadata"]["generation"]
        .as_i64()
        .expect("a generation")
        - 1
}

#[test]
fn a_root_is_replaced_and_taken_back_where_istiod_has_a_revision() {
    let mesh = Mesh::new(1, &["--mesh", "istio=1.30,revision=1-30"]);
    let players = [
        ("istio-system", "deployment/istiod-1-30"),
        ("bookinfo", "deployment/reviews"),
    ];
    let before = players.map(|(namespace, workload)| restarts(&mesh, namespace, workload));
    let count = || players.map(|(namespace, workload)| restarts(&mesh, namespace, workload));
    assert_eq!(before, [0, 0]);
    let make = ["run", "workflows/gloo-mesh.yaml", "-p", "istio_ca=cacerts"];
    mesh.test
        .windlass(&[&make, FAST.as_slice()].concat())
        .expect(0);
    assert_eq!(count(), [1, 1]);
    let watcher = Watcher::pausing(&mesh.test.path(".windlass/kube"), PAUSE);
    let run = ["run", "workflows/rotate-root.yaml", "-p", "force=true"];
    mesh.test
        .windlass(&[&run, FAST.as_slice()].concat())
        .expect(0);
    let there = count();
    assert!(there.iter().all(|count| *count >= 4), "{there:?}");
    mesh.test.windlass(&["undo", "--yes"]).expect(0);
    let back = count();
    assert!(
        back[0] >= there[0] + 3 && back[1] >= there[1] + 2,
        "{back:?}"
    );
    watcher.finish().expect_whole("two revisions", 20);
}
