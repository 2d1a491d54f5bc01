//! What the engine costs. Run it with `cargo bench --bench engine`; it prints medians and ratios:
//!
//! - beside the disk: a chain of 200 and a fan-out of 1,000 durable no-op steps, in the same process and on the same
//!   disk as a bare SQLite loop that commits as many records;
//! - beside a loop of calls: a chain of 200 steps with one call of a local server each, which has to be durable before it
//!   is sent, beside a loop that makes the same calls, reads their answers and commits a record after each;
//! - as it grows: the CPU time for each step of chains of 200, 2,000 and 20,000 and of fan-outs of 1,000, 10,000 and
//!   100,000 steps that do nothing, and the same of steps that make one such call (`growth-of-calls`);
//! - of a run of 100,000 steps (`huge`): the memory of the process that runs it, what `show`, `runs` and `logs` take, and
//!   what a resume of its second half takes.
//!
//! `cargo bench --bench engine -- disk` (or `calls`, `growth`, `growth-of-calls`, `huge`) does one of them.

#[expect(dead_code, reason = "each benchmark takes what it measures")]
mod workload;

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rusqlite::{Connection, params};
use tokio::runtime::Runtime;
use windlass::{journal::Journal, script::STACK_BYTES};
use workload::{
    CHAIN, FAN_OUT, Workload, calling_script, chain_file, chain_of, fan_out_file, fan_out_of,
    program, resume, run, run_until,
};

const ROUNDS: usize = 9;

fn main() {
    // `cargo test --benches` only wants to know that it builds.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let is_named = |part: &str| std::env::args().any(|argument| argument == part);
    if is_named(SERVER) {
        return answer_calls();
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

    let parts = ["disk", "calls", "growth", "growth-of-calls", "huge"];
    let does = |part: &str| is_named(part) || !parts.iter().any(|part| is_named(part));
    if does("disk") {
        beside_the_disk(&folder, &runtime);
    }
    let server = Server::start();
    if does("calls") {
        beside_a_loop_of_calls(&folder, &runtime, &server.url);
    }
    if does("growth") {
        println!("CPU time for each step that does nothing");
        cpu_of_each(&folder, &runtime, [&chain_file, &fan_out_file]);
    }
    if does("growth-of-calls") {
        println!("CPU time for each step with one call");
        let script = calling_script(&folder, &server.url);
        let chain = |steps| chain_of(steps, script);
        let fan_out = |items| fan_out_of(items, script);
        cpu_of_each(&folder, &runtime, [&chain, &fan_out]);
    }
    if does("huge") {
        of_a_huge_run(&folder, &runtime);
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

fn beside_a_loop_of_calls(folder: &Path, runtime: &Runtime, url: &str) {
    let script = calling_script(folder, url);
    let program = program(folder, "calls", &chain_of(CHAIN, script));
    let client = reqwest::Client::new();
    let (mut steps, mut loops) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let state = folder.join(format!("calls-{round}"));
        let journal = Journal::open(&state).expect("a journal");
        let start = Instant::now();
        runtime.block_on(run(&journal, &program));
        steps.push(start.elapsed());
        let database = open_bare(&state.join("bare.db"));
        let start = Instant::now();
        runtime.block_on(async {
            for i in 0..CHAIN {
                let call = client.put(format!("{url}/{i}"));
                let answer = call.send().await.expect("answered");
                let answer = answer.error_for_status().expect("well");
                answer.bytes().await.expect("an answer");
                insert(&database, i, i + 1);
            }
        });
        loops.push(start.elapsed());
    }
    let median = |times: &mut Vec<Duration>| {
        times.sort();
        times[times.len() / 2]
    };
    let (steps, loops) = (median(&mut steps), median(&mut loops));
    println!(
        "chain of {CHAIN} steps with a call each: {steps:.1?}; a loop of the same calls with a commit each: {loops:.1?}; {:.2} of it",
        steps.as_secs_f64() / loops.as_secs_f64()
    );
}

/// The argument that makes this program the server that the calls go to.
const SERVER: &str = "--answer-calls";

/// A server in a process of its own, so that its CPU time is not counted.
struct Server {
    process: Child,
    url: String,
}

impl Server {
    fn start() -> Self {
        let mut process = Command::new(std::env::current_exe().expect("this program"))
            .arg(SERVER)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a server");
        let output = process.stdout.take().expect("its output");
        let mut url = String::new();
        BufReader::new(output)
            .read_line(&mut url)
            .expect("its address");
        Self {
            process,
            url: url.trim().into(),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Answers every request with an empty JSON object, until the input ends.
fn answer_calls() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    thread::spawn(|| {
        let _ = std::io::stdin().read_line(&mut String::new());
        std::process::exit(0);
    });
    runtime.block_on(async {
        let app = axum::Router::new().fallback(|| async { axum::Json(serde_json::json!({})) });
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await;
        let listener = listener.expect("a port");
        println!("http://{}", listener.local_addr().expect("an address"));
        axum::serve(listener, app).await.expect("served");
    });
}

/// Steps that a size is measured with at least: the clock of a process ticks every 10 ms.
const LEAST_STEPS: usize = 20_000;
const HUGE: usize = 100_000;

/// Makes the file of a workflow of so many steps.
type Maker<'a> = &'a dyn Fn(usize) -> String;

fn cpu_of_each(folder: &Path, runtime: &Runtime, [chain, fan_out]: [Maker; 2]) {
    let mut each: BTreeMap<(&str, usize), f64> = BTreeMap::new();
    let sizes = [200, 2_000, 20_000].map(|size| ("chain", size, chain(size)));
    let fan_outs = [1_000, 10_000, HUGE].map(|size| ("fan-out", size, fan_out(size)));
    for (what, size, text) in sizes.into_iter().chain(fan_outs) {
        let program = program(folder, &format!("{what}-{size}"), &text);
        let rounds = (LEAST_STEPS / size).max(1);
        let before = cpu_time();
        for round in 0..rounds {
            let state = folder.join(format!("{what}-{size}-{round}"));
            let journal = Journal::open(&state).expect("a journal");
            runtime.block_on(run(&journal, &program));
            drop(journal);
            fs::remove_dir_all(&state).expect("removed");
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
}

fn of_a_huge_run(folder: &Path, runtime: &Runtime) {
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
    let database = open_bare(path);
    for start in (0..records).step_by(batch) {
        insert(&database, start, records.min(start + batch));
    }
}

fn open_bare(path: &Path) -> Connection {
    let database = Connection::open(path).expect("opened");
    for (name, value) in [("journal_mode", "WAL"), ("synchronous", "FULL")] {
        database.pragma_update(None, name, value).expect("set");
    }
    database
        .execute_batch("CREATE TABLE events (run TEXT, seq INTEGER, body TEXT, digest BLOB, PRIMARY KEY (run, seq)) WITHOUT ROWID")
        .expect("a table");
    database
}

/// Commits the records with the numbers from `start` up to `end`.
fn insert(database: &Connection, start: usize, end: usize) {
    let body = "x".repeat(100);
    let mut insert = database
        .prepare_cached("INSERT INTO events VALUES ('20261123-223401482-k3f9ma', ?, ?, ?)")
        .expect("prepared");
    database.execute_batch("BEGIN IMMEDIATE").expect("begun");
    for seq in start..end {
        insert
            .execute(params![seq as i64, body, [0_u8; 32]])
            .expect("inserted");
    }
    database.execute_batch("COMMIT").expect("committed");
}
