//! What the engine costs beside the disk: a chain of 200 and a fan-out of 1,000 durable no-op
//! steps, in the same process and on the same disk as a bare SQLite loop that commits as many
//! records. Run it with `cargo bench --bench engine`; it prints medians and ratios.

#[expect(dead_code, reason = "each benchmark takes what it measures")]
mod workload;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rusqlite::{Connection, params};
use windlass::{journal::Journal, script::STACK_BYTES};
use workload::{CHAIN, FAN_OUT, Workload, run};

const ROUNDS: usize = 9;

fn main() {
    // `cargo test --benches` only wants to know that it builds.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("engine");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder for the benchmark");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_stack_size(STACK_BYTES)
        .enable_all()
        .build()
        .expect("a runtime");

    let work = Workload::new(&folder);
    let (chain, fan_out) = (work.named("chain"), work.named("fan-out"));
    let mut times: BTreeMap<&str, Vec<Duration>> = BTreeMap::new();
    for round in 0..ROUNDS {
        let state = folder.join(format!("state-{round}"));
        let mut time = |what, f: &mut dyn FnMut()| {
            let start = Instant::now();
            f();
            times.entry(what).or_default().push(start.elapsed());
        };
        let journal = Journal::open(&state).expect("a journal");
        time("chain", &mut || runtime.block_on(run(&journal, chain)));
        time("chain, bare", &mut || {
            bare(&state.join("bare-chain.db"), CHAIN, 1)
        });
        time("fan-out", &mut || runtime.block_on(run(&journal, fan_out)));
        time("fan-out, bare", &mut || {
            bare(&state.join("bare-fan-out.db"), FAN_OUT, 1)
        });
        time("fan-out, bare in batches of 64", &mut || {
            bare(&state.join("batches.db"), FAN_OUT, 64)
        });
    }
    let medians: BTreeMap<&str, Duration> = times
        .into_iter()
        .map(|(what, mut times)| {
            times.sort();
            (what, times[times.len() / 2])
        })
        .collect();
    println!("medians of {ROUNDS} rounds, in turn on the same disk");
    let show = |what: &str, per: usize| {
        let time = medians[what];
        let each = time.as_secs_f64() * 1e6 / per as f64;
        println!(
            "  {what:32} {:8.1} ms   {each:6.0} µs each",
            time.as_secs_f64() * 1e3
        );
    };
    show("chain", CHAIN);
    show("chain, bare", CHAIN);
    show("fan-out", FAN_OUT);
    show("fan-out, bare", FAN_OUT);
    show("fan-out, bare in batches of 64", FAN_OUT);
    let ratio = |a: &str, b: &str| medians[a].as_secs_f64() / medians[b].as_secs_f64();
    println!(
        "chain of {CHAIN} / bare loop: {:.2}",
        ratio("chain", "chain, bare")
    );
    println!(
        "fan-out of {FAN_OUT} / bare loop: {:.2}",
        ratio("fan-out", "fan-out, bare")
    );
    println!(
        "fan-out of {FAN_OUT} / bare loop in batches of 64: {:.2}",
        ratio("fan-out", "fan-out, bare in batches of 64")
    );
    let _ = fs::remove_dir_all(&folder);
}

/// A loop that does nothing but make records of the same size durable.
fn bare(path: &Path, records: usize, batch: usize) {
    let database = Connection::open(path).expect("opened");
    database
        .pragma_update(None, "journal_mode", "WAL")
        .expect("WAL");
    database
        .pragma_update(None, "synchronous", "FULL")
        .expect("FULL");
    database
        .execute_batch("CREATE TABLE events (run TEXT, seq INTEGER, body TEXT, digest BLOB, PRIMARY KEY (run, seq)) WITHOUT ROWID")
        .expect("a table");
    let body = "x".repeat(100);
    let mut insert = database
        .prepare("INSERT INTO events VALUES ('20261123-223401482-k3f9ma', ?, ?, ?)")
        .expect("prepared");
    for start in (0..records).step_by(batch) {
        database.execute_batch("BEGIN IMMEDIATE").expect("begun");
        for seq in start..records.min(start + batch) {
            insert
                .execute(params![seq as i64, body, [0_u8; 32]])
                .expect("inserted");
        }
        database.execute_batch("COMMIT").expect("committed");
    }
}
