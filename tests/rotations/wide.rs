//! A root rotation over many clusters: what it costs, and that no cluster begins a phase before all have proved the one
//! before. `WINDLASS_MESH_WIDE` says how many clusters.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    time::Instant,
};

use windlass::{
    journal::{
        EffectIntended, Event, Journal, Outcome, RunId, StepSkipped, StepStarted, StepSucceeded,
    },
    mesh::handshakes,
};

use super::{
    eye::Eye,
    site::{Site, phases},
};
use crate::harness::number_of;

const CLUSTERS: usize = 50;

#[test]
#[ignore = "50 clusters take minutes: --run-ignored all"]
fn a_new_root_for_many_clusters() {
    let count = number_of("WINDLASS_MESH_WIDE", CLUSTERS);
    let names: Vec<_> = (1..=count).map(|n| format!("cluster-{n}")).collect();
    let clusters = format!("clusters=[{}]", names.join(", "));
    let site = Site::new(&names, "istio=1.30");
    let asleep = || Eye::asleep(&site.clusters());
    let (since, before) = (Instant::now(), processor());
    let made = ["istio_ca=cacerts", &clusters];
    site.run("gloo-mesh.yaml", &made, &asleep())
        .expect(Outcome::Succeeded);
    report(count, "day one", since, before);
    let (since, before) = (Instant::now(), processor());
    let ran = site
        .run("rotate-root.yaml", &[&clusters, "force=true"], &asleep())
        .expect(Outcome::Succeeded);
    report(count, "a new root", since, before);
    let since = Instant::now();
    let all = handshakes(&site.clusters()).expect("the clusters");
    println!(
        "{} handshakes, {} made, {} failed: {:.1?}",
        all.all.len(),
        all.classes,
        all.failed().count(),
        since.elapsed()
    );
    assert_eq!(all.failed().count(), 0);
    let id = ran.id.clone();
    ran.seen.expect_whole("the end");
    keeps_barriers(&site, "rotate-root.yaml", &id, count);
}

/// Fails if something was changed in a phase before every step of the phases before had ended, in every cluster. Of
/// rotate-root.yaml, also if a cluster was left out of a phase.
pub fn keeps_barriers(site: &Site, file: &str, run: &RunId, count: usize) {
    let phases = phases(file);
    let journal = Journal::open(&site.path().join(".windlass")).expect("the journal");
    let mut effects: BTreeMap<usize, usize> = BTreeMap::new();
    let mut clusters: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
    let mut open = BTreeSet::new();
    let mut newest = 0;
    for record in journal.load(run).expect("events") {
        let step = match record.event {
            Event::StepStarted(StepStarted { step, .. }) => {
                open.insert(step);
                continue;
            }
            Event::StepSucceeded(StepSucceeded { step, .. })
            | Event::StepSkipped(StepSkipped { step, .. }) => {
                open.remove(&step);
                continue;
            }
            Event::EffectIntended(EffectIntended { step, .. }) => step,
            _ => continue,
        };
        let outermost = step.segments().next().expect("a segment");
        let Some(phase) = phases.get(outermost.name) else {
            continue;
        };
        assert!(
            *phase >= newest,
            "{step} is of phase {phase}, after {newest}"
        );
        for other in &open {
            let its = other.segments().next().and_then(|one| phases.get(one.name));
            assert!(
                its.is_none_or(|its| its >= phase),
                "{step} before the end of {other}"
            );
        }
        newest = *phase;
        *effects.entry(*phase).or_default() += 1;
        if let Some(item) = outermost.item {
            let name = item.rsplit('[').next().unwrap_or_default();
            let name = name.trim_end_matches(']').to_owned();
            clusters.entry(*phase).or_default().insert(name);
        }
    }
    if file != "rotate-root.yaml" {
        return;
    }
    let of_each: Vec<_> = effects.values().collect();
    println!("{count} clusters, effects of each phase of a new root: {of_each:?}");
    assert_eq!(effects.len(), 6, "{effects:?}");
    // Trust and removal are in every cluster; who signs is changed in the management cluster where Gloo Mesh issues.
    for phase in [1, 4, 5] {
        assert_eq!(clusters[&phase].len(), count, "phase {phase}: {clusters:?}");
    }
}

fn report(count: usize, what: &str, since: Instant, before: f64) {
    println!(
        "{count} clusters, {what}: {:.1?}, {:.1} s of processor time, at most {}",
        since.elapsed(),
        processor() - before,
        memory()
    );
}

/// The most memory that this process has had.
fn memory() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    peak.unwrap_or("unknown").trim().to_owned()
}

/// The processor time of this process so far, in seconds.
fn processor() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = stat.rsplit(')').next().unwrap_or_default();
    let fields: Vec<_> = after.split_whitespace().collect();
    let ticks = |at: usize| fields[at].parse::<f64>().unwrap_or_default();
    // The kernel's clock has a hundred ticks a second wherever this runs.
    (ticks(11) + ticks(12)) / 100.0
}
