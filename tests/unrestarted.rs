//! What a rotation does not restart gets its roots late: virtual machines, and pods such as those of jobs. It is waited
//! for.

use std::time::Duration;

use serde_json::json;

use crate::{keeping::Watcher, mesh::FAST, mesh::Mesh};

/// Between two looks at the handshakes.
const PAUSE: Duration = Duration::from_millis(100);

/// A pod with a proxy that is in no namespace and has no label by which a rotation finds what it restarts.
pub fn apart(mesh: &Mesh) {
    let labels = json!({ "app": "nightly" });
    let containers = json!([{ "name": "job", "image": "busybox" }, { "name": "istio-proxy", "image": "docker.io/istio/proxyv2:1.30" }]);
    let workload = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": { "name": "nightly", "namespace": "jobs" },
        "spec": {
            "selector": { "matchLabels": labels },
            "template": { "metadata": { "labels": labels }, "spec": { "containers": containers } },
        },
    });
    mesh.kubectl("cluster-1", &["create", "namespace", "jobs"])
        .expect(0);
    mesh.test.write("nightly.json", &workload.to_string());
    let file = mesh.test.path("nightly.json").display().to_string();
    mesh.kubectl("cluster-1", &["apply", "-f", &file]).expect(0);
    let status = ["rollout", "status", "deployment/nightly", "-n", "jobs"];
    mesh.kubectl("cluster-1", &status).expect(0);
}

/// Istio's kind of workloads outside of Kubernetes, as far as it is read here.
fn virtual_machine(mesh: &Mesh) {
    let kind = json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": { "name": "workloadentries.networking.istio.io" },
        "spec": {
            "group": "networking.istio.io",
            "scope": "Namespaced",
            "names": { "plural": "workloadentries", "singular": "workloadentry", "kind": "WorkloadEntry", "listKind": "WorkloadEntryList" },
            "versions": [{
                "name": "v1",
                "served": true,
                "storage": true,
                "schema": { "openAPIV3Schema": { "type": "object", "x-kubernetes-preserve-unknown-fields": true } },
            }],
        },
    });
    let entry = json!({
        "apiVersion": "networking.istio.io/v1",
        "kind": "WorkloadEntry",
        "metadata": { "name": "vm-1", "namespace": "bookinfo" },
        "spec": { "address": "10.0.0.7", "serviceAccount": "vm" },
    });
    for (name, object) in [("kind.json", kind), ("entry.json", entry)] {
        mesh.test.write(name, &object.to_string());
        let file = mesh.test.path(name).display().to_string();
        mesh.kubectl("cluster-1", &["apply", "-f", &file]).expect(0);
    }
}

#[test]
fn a_new_root_waits_for_what_does_not_restart() {
    let mesh = Mesh::new(1, &["--mesh", "istio=1.30,renew=12s"]);
    let make = ["run", "workflows/gloo-mesh.yaml", "-p", "istio_ca=cacerts"];
    mesh.test
        .windlass(&[&make, FAST.as_slice()].concat())
        .expect(0);
    virtual_machine(&mesh);
    apart(&mesh);
    let watcher = Watcher::pausing(&mesh.test.path(".windlass/kube"), PAUSE);
    let run = [
        "run",
        "workflows/rotate-root.yaml",
        "-p",
        "force=true",
        "--until",
        "trusted",
    ];
    let waits = ["-p", "renewal_wait=100ms", "-p", "leaf_life=60s"];
    let ran = mesh
        .test
        .windlass(&[&run, FAST.as_slice(), &waits].concat());
    let said = ran.expect(0).stderr;
    for part in [
        "waits 100ms until what does not restart here has renewed its certificate: workloadentry vm-1 in bookinfo of cluster-1",
        "since they did not restart: nightly-",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let seen = watcher.finish();
    assert!(seen.failed.is_empty(), "{:#?}", seen.failed);
}
