//! No handshake fails while a rotation runs, at any moment of it, by the versions and flags that a mesh may have.

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use windlass::mesh::Matrix;

use crate::{
    mesh::{FAST, Mesh},
    rotation::{CLUSTERS, made_with, rotate},
};

/// Looks at the handshakes of a mesh, again and again, until it is asked what it saw.
pub struct Watcher {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Seen>,
}

#[derive(Default)]
pub struct Seen {
    pub looks: usize,
    pub tried: usize,
    pub failed: BTreeSet<String>,
}

impl Watcher {
    fn of(mesh: &Mesh) -> Self {
        Self::on(&mesh.test.path(".windlass/kube"))
    }

    /// Watches the clusters of a folder.
    pub fn on(folder: &Path) -> Self {
        Self::pausing(folder, Duration::ZERO)
    }

    /// As [`on`](Self::on), with pauses between the looks: a long test leaves the processor to others.
    pub fn pausing(folder: &Path, pause: Duration) -> Self {
        let folder = folder.to_owned();
        let stop = Arc::new(AtomicBool::new(false));
        let is_over = stop.clone();
        let thread = thread::spawn(move || {
            let mut matrix = Matrix::open(&folder).expect("the clusters' folder");
            let mut seen = Seen::default();
            while !is_over.load(Ordering::Relaxed) {
                let now = matrix.look().expect("the clusters");
                seen.looks += 1;
                seen.tried += now.all.len();
                seen.failed.extend(now.failed().map(|one| {
                    let why = one.error.as_deref().unwrap_or_default();
                    format!("{} -> {}:{}: {why}", one.from, one.to, one.port)
                }));
                thread::sleep(pause);
            }
            seen
        });
        Self { stop, thread }
    }

    pub fn finish(self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the watcher")
    }
}

impl Seen {
    /// Holds that no handshake failed, in more looks than this.
    #[track_caller]
    pub fn expect_whole(&self, about: &str, looks: usize) {
        println!(
            "{about}: {} looks, {} handshakes, {} failed",
            self.looks,
            self.tried,
            self.failed.len()
        );
        assert!(self.failed.is_empty(), "{:#?}", self.failed);
        assert!(self.looks > looks, "only {} looks", self.looks);
    }
}

/// Makes a mesh of these options, rotates all that it has, takes the last rotation back, and watches all the while. A mesh
/// on which a root can't be rotated without failed handshakes says so.
fn keeps(options: &str, istio_ca: &str, refusal: Option<&str>) {
    let mesh = made_with(istio_ca, &["--mesh", options]);
    let watcher = Watcher::of(&mesh);
    for file in [
        "rotate-leaf.yaml",
        "rotate-relay-ca.yaml",
        "rotate-issuing-ca.yaml",
        "rotate-root.yaml",
    ] {
        let ran = rotate(&mesh, file, &["-p", "force=true"]);
        match refusal.filter(|_| file.contains("root")) {
            None => drop(ran.expect(0)),
            Some(why) => assert!(ran.expect(1).stderr.contains(why)),
        }
    }
    mesh.test.windlass(&["undo", "--yes"]).expect(0);
    let seen = watcher.finish();
    seen.expect_whole(&format!("{options}, {istio_ca}"), 50);
    mesh.test.windlass(&["mesh"]).expect(0);
}

#[test]
fn the_newest_mesh_whose_ca_is_written_from_here() {
    keeps("istio=1.30", "cacerts", None);
}

/// Roots are taken hot, and pushed to proxies.
#[test]
fn a_mesh_with_several_roots_and_pushes() {
    keeps(
        "istio=1.29,ztunnel=1.30,multi-root=on,xds-agent=on",
        "gloo",
        None,
    );
}

/// istiod reads a changed CA only as it starts.
#[test]
fn an_istiod_that_reads_its_ca_only_as_it_starts() {
    let why = "older than an ambient mesh needs to change its root";
    keeps("istio=1.19,ztunnel=1.30", "cacerts", Some(why));
}

/// The checker of this file sees a swap without an overlap.
#[test]
fn a_straight_swap_is_seen() {
    let mesh = made_with("cacerts", &[]);
    let watcher = Watcher::of(&mesh);
    let run = ["run", "workflows/gloo-mesh.yaml", "-p", CLUSTERS];
    let swap = ["-p", "istio_ca=cacerts", "-p", "force=true"];
    let swap = [&run, FAST.as_slice(), swap.as_slice()].concat();
    mesh.test.windlass(&swap).expect(0);
    let seen = watcher.finish();
    assert!(
        seen.failed
            .iter()
            .any(|why| why.contains("unknown authority") || why.contains("local issuer")),
        "{:#?}",
        seen.failed
    );
}

/// What the images say decides; nothing is made on a mesh that would lose handshakes.
#[test]
fn a_mesh_that_is_too_old_is_refused_by_its_images() {
    for (options, istio_ca, why) in [
        (
            "istio=1.30,ztunnel=1.24.5",
            "cacerts",
            "trusts only the first of two roots",
        ),
        (
            "istio=1.30,ztunnel=1.28.5",
            "cacerts",
            "reads the root of its CA only as it starts",
        ),
        (
            "istio=1.24.4,ztunnel=1.30",
            "cacerts",
            "gives proxies only the last of two roots",
        ),
        ("gloo=2.2", "gloo", "upgrade to 2.3 or later"),
    ] {
        let mesh = made_with(istio_ca, &["--mesh", options]);
        let ran = rotate(&mesh, "rotate-root.yaml", &["-p", "force=true"]).expect(1);
        assert!(ran.stderr.contains(why), "{options}: {}", ran.stderr);
        let audit = mesh.test.windlass(&["audit", "--json"]).expect(0).json();
        assert_eq!(audit["calls"], serde_json::json!({}), "{options}");
        mesh.test.windlass(&["mesh"]).expect(0);
    }
}
