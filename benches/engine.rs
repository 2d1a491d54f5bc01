//! What the engine costs. Run it with `cargo bench --bench engine`; it prints medians and ratios:
//!
//! - beside the disk: a chain of 200 and a fan-out of 1,000 durable no-op steps, in the same process and on the same
//!   disk as a bare SQLite loop that commits as many records;
//! - as it grows: the CPU time for each step of chains of 200, 2,000 and 20,000 and of fan-outs of 1,000, 10,000 and
//!   100,000 no-op steps; of the largest, the memory of the process that runs it, what `show`, `runs` and `logs` take,
//!   and what a resume of its second half takes.
//!
//! `cargo bench --bench engine -- disk` (or `growth`) does one of the two.

#[expect(dead_code, reason = "each benchmark takes what it measures")]
mod workload;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rusqlite::{Connection, params};
use tokio::runtime::Runtime;
use windlass::{journal::Journal, script::STACK_BYTES};
use workload::{
    CHAIN, FAN_OUT, Workload, chain_file, fan_out_file, program, resume, run, run_until,
};

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

    let wants = |what: &str| std::env::args().all(|argument| argument != what);
    if wants("growth") {
        beside_the_disk(&folder, &runtime);
    }
    if wants("disk") {
        as_it_grows(&folder, &runtime);
    }
    let _ = fs::remove_dir_all(&folder);
}

fn beside_the_disk(folder: &Path, runtime: &Runtime) {
    let work = Workload::new(folder);
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
}

/// Steps that a size is measured with at least: the clock of a process ticks every 10 ms.
const LEAST_STEPS: usize = 20_000;
const HUGE: usize = 100_000;

fn as_it_grows(folder: &Path, runtime: &Runtime) {
    println!("CPU time for each no-op step");
    let mut each: BTreeMap<(&str, usize), f64> = BTreeMap::new();
    let sizes = [200, 2_000, 20_000].map(|size| ("chain", size, chain_file(size)));
    let fan_outs = [1_000, 10_000, HUGE].map(|size| ("fan-out", size, fan_out_file(size)));
    for (what, size, text) in sizes.into_iter().chain(fan_outs) {
        let program = program(folder, &format!("{what}-{size}"), &text);
        let rounds = (LEAST_STEPS / size).max(1);
        let before = cpu_time();
        for round in 0..rounds {
            let state = folder.join(format!("{what}-{size}-{round}"));
            let journal = Journal::open(&state).expect("a journal");
            runtime.block_on(run(&journal, &program));
        }
        let steps = (rounds * size) as f64;
        let time = (cpu_time() - before).as_secs_f64() * 1e6 / steps;
        println!("  {what} of {size:6}  {time:6.0} µs");
        each.insert((what, size), time);
    }
    println!(
        "the longest chain / the shortest: {:.2}",
        each[&("chain", 20_000)] / each[&("chain", 200)]
    );
    println!(
        "the largest fan-out / the smallest: {:.2}",
        each[&("fan-out", HUGE)] / each[&("fan-out", 1_000)]
    );

    let program = program(folder, "half", &fan_out_file(HUGE));
    let state = folder.join("half");
    let journal = Journal::open(&state).expect("a journal");
    let before = cpu_time();
    let (id, _) = runtime.block_on(run_until(&journal, &program, HUGE / 2));
    let first = cpu_time() - before;
    let before = cpu_time();
    runtime.block_on(resume(&journal, &program, &id));
    let second = cpu_time() - before;
    println!(
        "a fan-out of {HUGE}, cancelled after half of it: {first:.1?}; its resume: {second:.1?}, {:.2} of it",
        second.as_secs_f64() / first.as_secs_f64()
    );

    fs::write(folder.join("huge.yaml"), fan_out_file(HUGE)).expect("written");
    let windlass = |arguments: &[&str]| Shell::run(folder, arguments);
    let ran = windlass(&["run", "huge.yaml"]);
    println!(
        "windlass run of a fan-out of {HUGE}: {:.1?}, {} MiB at most",
        ran.took,
        ran.kilobytes >> 10
    );
    for arguments in [&["show"] as &[_], &["show", "--json"], &["runs"], &["logs"]] {
        let shown = windlass(arguments);
        println!(
            "windlass {:12} of it: {:.2?}, {} MiB at most",
            arguments.join(" "),
            shown.took,
            shown.kilobytes >> 10
        );
    }
}

/// What a command took.
struct Shell {
    took: Duration,
    /// The most memory that it had.
    kilobytes: u64,
}

impl Shell {
    fn run(folder: &Path, arguments: &[&str]) -> Self {
        let start = Instant::now();
        let mut command = Command::new(env!("CARGO_BIN_EXE_windlass"))
            .args(arguments)
            .current_dir(folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("windlass starts");
        let status = format!("/proc/{}/status", command.id());
        let mut kilobytes = 0;
        loop {
            let text = fs::read_to_string(&status).unwrap_or_default();
            let line = text.lines().find(|line| line.starts_with("VmHWM:"));
            let known = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
            kilobytes = known.unwrap_or(kilobytes);
            if let Some(status) = command.try_wait().expect("waited for") {
                assert!(status.success(), "windlass {arguments:?}: {status}");
                let took = start.elapsed();
                return Self { took, kilobytes };
            }
            thread::sleep(Duration::from_millis(2));
        }
    }
}

/// The CPU time of this process so far.
fn cpu_time() -> Duration {
    const TICK: Duration = Duration::from_millis(10);
    let text = fs::read_to_string("/proc/self/stat").expect("a Linux machine");
    // The name before them, in parentheses, may hold blanks.
    let (_, fields) = text.rsplit_once(')').expect("a name");
    let mut fields = fields.split_whitespace().skip(11);
    let mut ticks = || fields.next().and_then(|field| field.parse::<u32>().ok());
    TICK * (ticks().expect("user time") + ticks().expect("system time"))
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
