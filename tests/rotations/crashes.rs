//! A rotation whose process dies at any moment is resumed or undone, and no handshake fails: while it lies dead, on the
//! way, or afterwards. `WINDLASS_CRASH_STRIDE=n` tries every n-th moment of every rotation; without it a few of one.

use std::{collections::BTreeSet, env, fs, time::Duration};

use super::{
    effects::{APART, CLUSTERS, made},
    eye::Eye,
    rows::ROWS,
    undone::held,
};
use crate::{
    crash::crash,
    harness::{Test, copy, number_of},
    keeping::Watcher,
    mesh::FAST,
};

/// Between the moments that are tried by default: prime, so that over time it falls on every kind of moment.
const STRIDE: u64 = 997;

/// A mesh of day one, to be copied: to make it takes longer than a rotation.
struct Mould {
    folder: tempfile::TempDir,
}

impl Mould {
    fn of(istio_ca: &str) -> Self {
        let row = ROWS.iter().find(|row| row.options == "istio=1.30");
        let site = made(*row.expect("a row"), istio_ca);
        let folder = tempfile::tempdir().expect("a folder");
        copy(site.path(), folder.path());
        // The guest of the other proofs is not in this mesh.
        fs::remove_dir_all(folder.path().join(".windlass/kube/cluster-3")).expect("removed");
        Self { folder }
    }

    fn copied(&self) -> Test {
        let test = Test::with_shipped_workflows();
        copy(self.folder.path(), &test.path(""));
        test
    }
}

/// Looks at a mesh while another process works on it; gives what failed.
fn while_watched(test: &Test, work: impl FnOnce()) -> BTreeSet<String> {
    let watcher = Watcher::pausing(&test.path(".windlass/kube"), Duration::from_millis(50));
    work();
    watcher.finish().failed
}

/// Kills a rotation at moments, resumes it at every other one, and undoes it at those between.
fn dies(istio_ca: &str, file: &str) {
    let stride = number_of("WINDLASS_CRASH_STRIDE", STRIDE);
    let mould = Mould::of(istio_ca);
    let workflow = format!("workflows/{file}");
    let text = mould.copied().read(&workflow);
    let mut run = vec!["run", &workflow, "-p", CLUSTERS, "-p", APART];
    run.extend(["-p", "force=true"]);
    for pair in FAST
        .chunks(2)
        .chain([["-p", "mount_delay=200ms"].as_slice()])
    {
        let name = pair[1].split('=').next().unwrap_or_default();
        if text.contains(&format!("\n  {name}:")) {
            run.extend(pair);
        }
    }
    let (mut resumed, mut undone) = (0, 0);
    let mut at = 1 + stride / 2;
    loop {
        let test = mould.copied();
        let before = held(&test.path(""));
        let mut is_dead = false;
        let mut failed = while_watched(&test, || is_dead = crash(&test, &run, at));
        if !is_dead {
            break;
        }
        let eye = Eye::on(&test.path(".windlass/kube"));
        eye.look_until_rest("its death");
        let is_to_resume = resumed <= undone;
        failed.extend(while_watched(&test, || {
            if is_to_resume {
                // 2: it had ended already.
                drop(test.windlass(&["resume"]).expect_one_of(&[0, 2]))
            } else {
                drop(test.windlass(&["undo", "--yes"]).expect(0))
            }
        }));
        let seen = eye
            .finish("the end")
            .expect_whole(&format!("killed at {at}"));
        assert!(seen.handshakes > 50, "{seen}");
        assert!(failed.is_empty(), "killed at {at}: {failed:#?}");
        let after = held(&test.path(""));
        if is_to_resume {
            resumed += 1;
            assert_ne!(after, before, "killed at {at}");
            assert_eq!(test.shown()["status"], "succeeded", "killed at {at}");
        } else {
            undone += 1;
            assert_eq!(after, before, "killed at {at}");
        }
        at += stride;
    }
    println!(
        "{file}, {istio_ca}: killed at {} of {at} moments; {resumed} resumed, {undone} undone, 0 handshakes failed",
        resumed + undone
    );
    assert!(resumed > 0, "{file}: no run was killed");
}

/// Tries one rotation; with `WINDLASS_CRASH_STRIDE`, each of these.
fn some_die(istio_ca: &str, files: &[&str]) {
    let is_all = env::var_os("WINDLASS_CRASH_STRIDE").is_some();
    for file in files.iter().take(if is_all { files.len() } else { 1 }) {
        dies(istio_ca, file);
    }
}

#[test]
#[ignore = "takes minutes: --run-ignored all -E 'test(rotations::crashes)', at every n-th moment of each rotation with WINDLASS_CRASH_STRIDE=n"]
fn a_rotation_that_dies_keeps_a_mesh_whole_in_which_gloo_issues() {
    let files = [
        "rotate-root.yaml",
        "rotate-issuing-ca.yaml",
        "rotate-relay-ca.yaml",
    ];
    some_die("gloo", &files);
}

#[test]
#[ignore = "takes minutes: --run-ignored all -E 'test(rotations::crashes)', at every n-th moment of each rotation with WINDLASS_CRASH_STRIDE=n"]
fn a_rotation_that_dies_keeps_a_mesh_whole_whose_clusters_have_cas_of_their_own() {
    some_die("cacerts", &["rotate-root.yaml", "rotate-issuing-ca.yaml"]);
}
