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
    let mut times = Times::default();
    let journal = Journal::open(&folder.join("state")).expect("a journal");
    for _ in 0..ROUNDS {
        for (name, program) in work.programs() {
            let start = Instant::now();
            runtime.block_on(workload::run(&journal, program));
            let key = format!("{name}, embedded");
            times.add(&key, start.elapsed(), [Duration::ZERO; 2]);
        }
    }
    for workers in [1, 2, 4] {
        measure(&folder, workers, &work, &mut times);
    }
    print(&times);
    let _ = fs::remove_dir_all(&folder);
}

/// Measures both ways on one server, in turn.
fn measure(folder: &Path, workers: usize, work: &Workload, times: &mut Times) {
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
            let used = |workers: &Workers| [cpu(&server.child), cpu(&workers.children)];
            let mut add = |way: &str, workers_of: &Workers, work: &dyn Fn() -> Duration| {
                let before = used(workers_of);
                let time = work();
                let after = used(workers_of);
                if round > 0 {
                    let key = format!("{name}, {workers} workers, {way}");
                    times.add(&key, time, [after[0] - before[0], after[1] - before[1]]);
                }
            };
            add("windlass", &windlass, &|| run(&remote, program));
            add("direct", &direct, &|| {
                let start = Instant::now();
                direct::run(&server.ingress_url(), name);
                start.elapsed()
            });
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

/// What each kind of work took, by its name.
#[derive(Default)]
struct Times(BTreeMap<String, Took>);

#[derive(Default)]
struct Took {
    times: Vec<Duration>,
    /// Processor time of the server and of the workers, of all rounds together.
    cpu: [Duration; 2],
}

impl Times {
    fn add(&mut self, key: &str, time: Duration, cpu: [Duration; 2]) {
        let took = self.0.entry(key.to_owned()).or_default();
        took.times.push(time);
        took.cpu = [took.cpu[0] + cpu[0], took.cpu[1] + cpu[1]];
    }

    fn median(&self, key: &str) -> Duration {
        let mut times = self.0[key].times.clone();
        times.sort();
        times[times.len() / 2]
    }
}

/// The processor time that processes have used.
fn cpu<'c>(children: impl IntoIterator<Item = &'c Child>) -> Duration {
    let ticks = children.into_iter().map(|child| {
        let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).expect("a process");
        let fields = stat.rsplit(')').next().expect("fields").split_whitespace();
        // User and system time, in ticks of a hundredth of a second.
        let ticks = fields
            .skip(11)
            .take(2)
            .map(|field| field.parse::<u64>().expect("a number"));
        ticks.sum::<u64>()
    });
    Duration::from_millis(ticks.sum::<u64>() * 10)
}

fn print(times: &Times) {
    println!("medians of {ROUNDS} rounds, in turn on the same machine");
    for name in workload::NAMES {
        let per = match name {
            "chain" => CHAIN,
            "fan-out" => FAN_OUT,
            _ => EFFECTS,
        };
        let each = |time: Duration, parts: usize| time.as_secs_f64() * 1e3 / parts as f64;
        let show = |what: &str, key: &str| {
            let time = times.median(key);
            let [server, workers] = times.0[key].cpu.map(|cpu| each(cpu, per * ROUNDS));
            println!(
                "  {name:8} {what:24} {:8.0} ms   {:6.2} ms each   CPU each: server {server:.2} ms, workers {workers:.2} ms",
                each(time, 1),
                each(time, per),
            );
        };
        show("embedded", &format!("{name}, embedded"));
        for workers in [1, 2, 4] {
            let of = |way: &str| format!("{name}, {workers} workers, {way}");
            show(&format!("{workers} workers, direct"), &of("direct"));
            show(&format!("{workers} workers, windlass"), &of("windlass"));
            let time = |way: &str| times.median(&of(way)).as_secs_f64();
            println!(
                "  {name:8} {workers} workers: windlass / direct {:.2}",
                time("windlass") / time("direct")
            );
        }
    }
}
