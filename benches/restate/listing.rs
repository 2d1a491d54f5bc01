//! 10,000 runs in one engine: what they cost it, and how long a list of them takes.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use windlass::{
    compile::Program,
    ground::Timestamp,
    restate::{ListedPart, Remote},
};

use crate::{Workers, address_of, order, server::Server, worker, workload};

const RUNS: usize = 10_000;
/// How many runs are sent at once.
const AT_ONCE: usize = 8;
/// How many runs may be under way: as many as a server would drive for people.
const UNDER_WAY: usize = 200;
/// After how many starts that is looked at.
const LOOKS: usize = 20;
const ROUNDS: usize = 9;

pub fn measure(folder: &Path) {
    let text = "workflow: one\nsteps:\n  a: { run: \"#{ at: time::now() }\" }\n";
    let program = workload::program(folder, "one", text);
    let data = folder.join("server");
    let server = Server::start(&data);
    let state = folder.join("worker-state");
    let workers = Workers::start(1, || worker(&state));
    let remote = Remote::new(address_of(&server), &state).expect("a client");
    let url = format!("http://{}", workers.balancer.address);
    remote.register(&url, true).expect("registered");
    println!("runs of one step with one effect, on one server with one worker");
    for (from, to) in [(0, RUNS / 10), (RUNS / 10, RUNS)] {
        let start = Instant::now();
        have_driven(&server, &state, &program, from..to);
        let seconds = start.elapsed().as_secs_f64();
        let each = (to - from) as f64 / seconds;
        println!(
            "  {to:6} runs: {each:4.0} a second; the server has {:.0} MB of memory and {:.0} MB on disk",
            memory_mb(&server),
            size_mb(&data),
        );
        for arguments in [
            &["runs"][..],
            &["runs", "--json"],
            &["runs", "--limit", "20"],
        ] {
            let time = median(|| list(&server, arguments, to));
            println!(
                "         windlass {:16} {:4.0} ms",
                arguments.join(" "),
                ms(time)
            );
        }
    }
}

/// Has runs driven, so many at once.
fn have_driven(server: &Server, state: &Path, program: &Program, range: std::ops::Range<usize>) {
    let next = AtomicUsize::new(range.start);
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                let remote = Remote::new(address_of(server), state).expect("a client");
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= range.end {
                        return;
                    }
                    let (id, order) = order(&remote, program);
                    remote.send(&id, &order).expect("sent");
                    while number.is_multiple_of(LOOKS) && open(&remote) > UNDER_WAY {
                        thread::sleep(Duration::from_millis(50));
                    }
                }
            });
        }
    });
    let remote = Remote::new(address_of(server), state).expect("a client");
    while open(&remote) > 0 || (remote.count_runs().expect("counted") as usize) < range.end {
        thread::sleep(Duration::from_millis(50));
    }
}

/// How many runs have not ended.
fn open(remote: &Remote) -> usize {
    let part = ListedPart {
        since: Some(Timestamp::MAX),
        ..ListedPart::default()
    };
    remote.some_runs(&part).expect("listed").len()
}

/// Lists the runs as a whole process.
fn list(server: &Server, arguments: &[&str], runs: usize) -> Duration {
    let start = Instant::now();
    let output = Command::new(env!("CARGO_BIN_EXE_windlass"))
        .args(["--on", "restate"])
        .args(arguments)
        .env("WINDLASS_RESTATE", server.ingress_url())
        .env("WINDLASS_RESTATE_ADMIN", server.admin_url())
        .stderr(Stdio::inherit())
        .output()
        .expect("windlass starts");
    let time = start.elapsed();
    let listed = String::from_utf8_lossy(&output.stdout)
        .matches("succeeded")
        .count();
    let wanted = if arguments.contains(&"--limit") {
        20
    } else {
        runs
    };
    assert_eq!(listed, wanted, "runs are missing from the list");
    time
}

fn median(mut once: impl FnMut() -> Duration) -> Duration {
    let mut times: Vec<_> = (0..ROUNDS).map(|_| once()).collect();
    times.sort();
    times[ROUNDS / 2]
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn memory_mb(server: &Server) -> f64 {
    let id = server.child.as_ref().expect("a process").id();
    let status = fs::read_to_string(format!("/proc/{id}/status")).expect("its status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kilobytes.expect("its memory") / 1024.0
}

fn size_mb(folder: &Path) -> f64 {
    fn bytes(folder: &Path) -> u64 {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let sizes = entries.map(|entry| match entry.metadata() {
            Ok(data) if data.is_dir() => bytes(&entry.path()),
            Ok(data) => data.len(),
            Err(_) => 0,
        });
        sizes.sum()
    }
    bytes(folder) as f64 / f64::from(1 << 20)
}
