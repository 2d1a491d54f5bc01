//! What the second substrate costs: the same work by Windlass on Restate, written directly against the SDK,
//! and by Windlass embedded, in turn on one machine. Run it with `cargo bench --bench restate`. With `-- list`, it measures instead how
//! long a list of 10,000 runs takes, and what they cost the server.
//!
//! The work: a chain of 200 steps and a fan-out of 1,000 that do nothing, over 1, 2 and 4 workers, and 200
//! effects in one step. What is written directly keeps a record of each step in its state, as Windlass does.

#[path = "restate/advised.rs"]
mod advised;
#[path = "../tests/restate/balancer.rs"]
mod balancer;
#[path = "restate/direct.rs"]
mod direct;
#[path = "restate/listing.rs"]
mod listing;
#[path = "../tests/restate/server.rs"]
#[expect(dead_code, reason = "the tests do more with servers")]
mod server;
#[expect(dead_code, reason = "each benchmark takes what it measures")]
mod workload;

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use balancer::Balancer;
use server::Server;
use windlass::{
    compile::Program,
    journal::{Journal, RunId},
    restate::{Address, Done, Order, Remote},
    script::STACK_BYTES,
};
use workload::{CHAIN, EFFECTS, FAN_OUT, Workload};

const ROUNDS: usize = 9;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    // `cargo test --benches` only wants to know that it builds.
    if arguments.iter().any(|argument| argument == "--test") {
        return;
    }
    if arguments.get(1).is_some_and(|a| a == "--direct-worker") {
        return direct::serve();
    }
    // For `benches/beside-engines`.
    if arguments.get(1).is_some_and(|a| a == "--advised-service") {
        return advised::serve(arguments.get(2).expect("an address"));
    }
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("restate");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder for the benchmark");
    let work = Workload::new(&folder);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_stack_size(STACK_BYTES)
        .enable_all()
        .build()
        .expect("a runtime");
    if arguments.iter().any(|argument| argument == "list") {
        listing::measure(&folder);
        let _ = fs::remove_dir_all(&folder);
        return;
    }
    let mut times: BTreeMap<String, Vec<Duration>> = BTreeMap::new();
    let journal = Journal::open(&folder.join("state")).expect("a journal");
    for _ in 0..ROUNDS {
        for (name, program) in work.programs() {
            let start = Instant::now();
            runtime.block_on(workload::run(&journal, program));
            let key = format!("{name}, embedded");
            times.entry(key).or_default().push(start.elapsed());
        }
    }
    for workers in [1, 2, 4] {
        measure(&folder, workers, &work, &mut times);
    }
    print(times);
    let _ = fs::remove_dir_all(&folder);
}

/// Measures both ways on one server, in turn.
fn measure(
    folder: &Path,
    workers: usize,
    work: &Workload,
    times: &mut BTreeMap<String, Vec<Duration>>,
) {
    let server = Server::start(&folder.join(format!("server-{workers}")));
    let state = folder.join("worker-state");
    let remote = Remote::new(address_of(&server), &state).expect("a client");
    let windlass = Workers::start(workers, || worker(&state));
    let direct = Workers::start(workers, || {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.arg("--direct-worker");
        command
    });
    for workers in [&windlass, &direct] {
        let url = format!("http://{}", workers.balancer.address);
        remote.register(&url, true).expect("registered");
    }
    // The first of each warms connections and caches.
    for round in 0..=ROUNDS {
        for (name, program) in work.programs() {
            let windlass = run(&remote, program);
            let start = Instant::now();
            direct::run(&server.ingress_url(), name);
            let direct = start.elapsed();
            if round > 0 {
                let mut add = |way: &str, time| {
                    let key = format!("{name}, {workers} workers, {way}");
                    times.entry(key).or_default().push(time);
                };
                add("windlass", windlass);
                add("direct", direct);
            }
        }
    }
}

/// Has the work done and returns how long that took, without the look at how it ended.
fn run(remote: &Remote, program: &Program) -> Duration {
    let start = Instant::now();
    let (id, order) = order(remote, program);
    assert_eq!(remote.record(&id, &order).expect("driven"), Done::Done);
    let time = start.elapsed();
    let state = remote.state_of(&id).expect("a state");
    assert_eq!(state.outcome, Some(windlass::journal::Outcome::Succeeded));
    time
}

/// A new run of a program, and the order that begins it.
fn order(remote: &Remote, program: &Program) -> (RunId, Order) {
    let (id, event, at) = workload::started(program);
    let files = program.files.iter();
    let order = Order {
        at,
        expects: 0,
        after_letter: 0,
        events: remote.seal(vec![event]).expect("sealed"),
        files: Some((0, files.map(|(k, v)| (k.clone(), v.to_string())).collect())),
        max_parallel: 64,
        is_only_record: false,
        lock_timeout: None,
    };
    (id, order)
}

fn address_of(server: &Server) -> Address {
    Address {
        url: server.ingress_url(),
        admin: server.admin_url(),
        headers: BTreeMap::new(),
        ca: None,
    }
}

/// The command that serves as a worker, with this folder for its identity.
fn worker(state: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_windlass"));
    command.args(["worker", "--listen", "127.0.0.1:0", "--state"]);
    command.arg(state);
    command
}

/// Worker processes behind one address.
struct Workers {
    children: Vec<Child>,
    balancer: Balancer,
}

impl Workers {
    fn start(count: usize, command: impl Fn() -> Command) -> Self {
        let mut addresses = Vec::new();
        let children = (0..count).map(|_| {
            let mut command = command();
            command.stdout(Stdio::piped()).stderr(Stdio::null());
            let mut child = command.spawn().expect("a worker starts");
            let mut line = String::new();
            BufReader::new(child.stdout.take().expect("piped"))
                .read_line(&mut line)
                .expect("its address");
            addresses.push(line.trim().trim_start_matches("http://").to_owned());
            child
        });
        let children = children.collect();
        Self {
            children,
            balancer: Balancer::start(addresses),
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn print(times: BTreeMap<String, Vec<Duration>>) {
    let medians: BTreeMap<String, Duration> = times
        .into_iter()
        .map(|(what, mut times)| {
            times.sort();
            (what, times[times.len() / 2])
        })
        .collect();
    println!("medians of {ROUNDS} rounds, in turn on the same machine");
    for name in workload::NAMES {
        let per = match name {
            "chain" => CHAIN,
            "fan-out" => FAN_OUT,
            _ => EFFECTS,
        };
        let show = |what: &str, time: Duration| {
            let each = time.as_secs_f64() * 1e3 / per as f64;
            let all = time.as_secs_f64() * 1e3;
            println!("  {name:8} {what:24} {all:8.0} ms   {each:6.2} ms each");
        };
        show("embedded", medians[&format!("{name}, embedded")]);
        for workers in [1, 2, 4] {
            let of = |way: &str| medians[&format!("{name}, {workers} workers, {way}")];
            show(&format!("{workers} workers, direct"), of("direct"));
            show(&format!("{workers} workers, windlass"), of("windlass"));
            let ratio = of("windlass").as_secs_f64() / of("direct").as_secs_f64();
            println!("  {name:8} {workers} workers: windlass / direct {ratio:.2}");
        }
    }
}
