//! A root rotation over many clusters: what it costs, and that no cluster begins a phase before all have proved the one
//! before. `WINDLASS_MESH_WIDE=50` says how many.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    time::Instant,
};

use windlass::{
    journal::{Event, Journal, Outcome},
    mesh::handshakes,
};

use super::{eye::Eye, site::{Site, phases}};

const CLUSTERS: usize = 4;

#[test]
fn no_cluster_begins_a_phase_before_all_have_proved_the_one_before() {
    let count = env::var("WINDLASS_MESH_WIDE");
    let count: usize = count.map_or(CLUSTERS, |text| text.parse().expect("a number"));
    let names: Vec<_> = (1..=count).map(|n| format!("cluster-{n}")).collect();
    let clusters = format!("clusters=[{}]", names.join(", "));
    let site = Site::new(&names, "istio=1.30");
    let asleep = || Eye::asleep(&site.clusters());
    let since = Instant::now();
    site.run("gloo-mesh.yaml", &[&clusters, "istio_ca=cacerts"], &asleep())
        .expect(Outcome::Succeeded);
    println!("{count} clusters, day one: {:.1?}, at most {}", since.elapsed(), memory());
    let since = Instant::now();
    let ran = site
        .run("rotate-root.yaml", &[&clusters, "force=true"], &asleep())
        .expect(Outcome::Succeeded);
    println!("{count} clusters, a new root: {:.1?}, at most {}", since.elapsed(), memory());
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
    ran.seen.expect_whole("the end");

    let phases = phases("rotate-root.yaml");
    let journal = Journal::open(&site.path().join(".windlass")).expect("the journal");
    let mut done: BTreeMap<usize, usize> = BTreeMap::new();
    let mut clusters: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
    let mut newest = 0;
    let mut open = BTreeSet::new();
    for record in journal.load(&ran.id).expect("events") {
        let Event::EffectIntended { step, .. } = &record.event else {
            match &record.event {
                Event::StepStarted { step, .. } => drop(open.insert(step.clone())),
                Event::StepSucceeded { step, .. } | Event::StepSkipped { step, .. } => {
                    open.remove(step);
                }
                _ => {}
            }
            continue;
        };
        let outermost = step.segments().next().expect("a segment");
        let Some(phase) = phases.get(outermost.name) else { continue };
        assert!(*phase >= newest, "{step} changes something of phase {phase}, after {newest}");
        // Whatever began in a phase before has ended, in every cluster.
        for other in &open {
            let before = other.segments().next().and_then(|one| phases.get(one.name));
            assert!(before.is_none_or(|before| before >= phase), "{step} before the end of {other}");
        }
        newest = *phase;
        *done.entry(*phase).or_default() += 1;
        if let Some(item) = outermost.item {
            let name = item.rsplit('[').next().unwrap_or_default().trim_end_matches(']');
            clusters.entry(*phase).or_default().insert(name.to_owned());
        }
    }
    println!("effects of each phase: {:?}", done.values().collect::<Vec<_>>());
    assert_eq!(done.len(), 6, "{done:?}");
    // Trust, signing and removal are in every cluster.
    for phase in [1, 4, 5] {
        assert_eq!(clusters[&phase].len(), count, "phase {phase}: {clusters:?}");
    }
}

/// The most memory that this process has had.
fn memory() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    peak.unwrap_or("unknown").trim().to_owned()
}
