//! No worker answers: what is stopped by Ctrl-C, what a list shows, and what a worker that stops leaves behind.

use std::{
    fs::File,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use super::world::{World, until};

const ONE: &str = "workflow: one
steps:
  a: { run: 'file::write(\"a.txt\", \"x\")' }
";

const OTHER: &str = "workflow: other
steps:
  a: { run: 'file::write(\"other.txt\", \"x\")' }
";

const ASKS: &str = "workflow: asks
steps:
  sure: { approval: \"Go on?\" }
";

/// A program that takes long, unless it is told to end.
const SLOW: &str = "workflow: slow
on_failure: undo
steps:
  a:
    run: 'exec::run(\"sh\", [\"-c\", \"echo x >> starts; [ -e go ] || exec sleep 600\"], #{ read: true })'
";

/// Starts a command whose stderr goes to the file `said`.
fn start(world: &World, arguments: &[&str]) -> Child {
    let said = File::create(world.test.path("said")).expect("created");
    let mut command = world.test.command(arguments);
    let command = command.stdout(Stdio::null()).stderr(said);
    command.spawn().expect("windlass starts")
}

#[track_caller]
fn until_said(world: &World, what: &str) {
    until(what, || world.test.read("said").contains(what));
}

fn interrupt(child: &Child) {
    kill_process(Pid::from_child(child), Signal::INT).expect("sent");
}

/// Starts a run that asks a question, and waits until it does.
fn asking(world: &World) -> Child {
    world.test.write("asks.yaml", ASKS);
    let run = start(world, &["run", "asks.yaml", "--target", "t", "--wait"]);
    until("the run asks", || {
        let listed = world.test.windlass(&["runs"]).expect(0);
        listed.stdout.contains("waiting")
    });
    run
}

fn stop_worker(world: &World) {
    world.workers.lock().expect("no panic")[0].stop();
}

fn start_worker(world: &World) {
    world.workers.lock().expect("no panic")[0].start();
}

#[test]
fn a_run_that_no_worker_takes_up_is_withdrawn_by_ctrl_c() {
    let world = World::new(1);
    world.test.write("one.yaml", ONE);
    world.test.write("other.yaml", OTHER);
    stop_worker(&world);
    let mut run = start(&world, &["run", "one.yaml", "--target", "t"]);
    until_said(&world, "no worker does what it is asked");
    interrupt(&run);
    assert_eq!(run.wait().expect("ended").code(), Some(130));
    assert!(world.test.read("said").contains("is withdrawn"));
    start_worker(&world);
    let other = ["run", "other.yaml", "--target", "t"];
    world.test.windlass(&other).expect(0);
    let listed = world.test.windlass(&["runs", "--json"]).expect(0).json();
    assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed}");
    assert!(!world.test.path("out/a.txt").exists());
}

#[test]
fn a_run_is_listed_and_cancelled_while_workers_are_away() {
    let world = World::new(1);
    let mut run = asking(&world);
    stop_worker(&world);
    let listed = world.test.windlass(&["runs"]).expect(0);
    listed.prints("asks");
    listed.says("warning: the status of runs that have not ended may be out of date: no worker");
    until_said(&world, "no worker does what it is asked");
    interrupt(&run);
    until_said(&world, "the run is cancelled when a worker answers");
    start_worker(&world);
    assert_eq!(run.wait().expect("ended").code(), Some(130));
    assert_eq!(world.test.shown()["status"], "cancelled");
}

#[test]
fn certificates_are_not_known_while_workers_are_away() {
    let world = World::new(1);
    let mut runs: Vec<_> = (0..3).map(|_| asking(&world)).collect();
    stop_worker(&world);
    let since = Instant::now();
    let certs = world.test.windlass(&["certs"]).expect(2);
    certs.says("no worker does what it is asked");
    // Not once for each run.
    assert_eq!(
        certs.stderr.matches("no worker").count(),
        1,
        "{}",
        certs.stderr
    );
    assert!(since.elapsed() < Duration::from_secs(30));
    for run in &mut runs {
        run.kill().expect("killed");
        run.wait().expect("ended");
    }
}

#[test]
fn the_wrong_port_is_named() {
    let mut world = World::new(0);
    world.test.write("one.yaml", ONE);
    let (ingress, admin) = {
        let servers = world.servers.lock().expect("no panic");
        (servers[0].ingress_url(), servers[0].admin_url())
    };
    world.site.test.set("WINDLASS_RESTATE", &admin);
    let run = world.test.windlass(&["run", "one.yaml", "--target", "t"]);
    assert_ne!(run.code, 0);
    run.says(&format!(
        "{admin} is the admin API of a Restate server, not its ingress"
    ));
    run.says(&format!("the server gives its address as {ingress}"));
    world.site.test.set("WINDLASS_RESTATE", &ingress);
    world.site.test.set("WINDLASS_RESTATE_ADMIN", &ingress);
    let runs = world.test.windlass(&["runs"]);
    assert_ne!(runs.code, 0);
    runs.says(&format!(
        "{ingress} is the ingress of a Restate server, not its admin API"
    ));
    runs.says("WINDLASS_RESTATE_ADMIN");
}

#[test]
fn secrets_of_this_machine_are_sent_and_its_folders_are_not() {
    let world = World::new(1);
    let text = "workflow: w
params: { pw: secret }
steps:
  a:
    with: { pw: \"${{ params.pw }}\" }
    run: 'file::write_secret(\"pw.txt\", inputs.pw)'
";
    world.test.write("w.yaml", text);
    let run = [
        "run",
        "w.yaml",
        "--target",
        "t",
        "-p",
        "pw=env:OF_THE_TERMINAL",
    ];
    world
        .test
        .windlass(&run)
        .expect(2)
        .says("the variable OF_THE_TERMINAL is not set");
    let mut command = world.test.command(&run);
    let ran = command
        .env("OF_THE_TERMINAL", "hunter2-hunter2")
        .output()
        .expect("ran");
    assert!(
        ran.status.success(),
        "{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    assert_eq!(world.test.read("out/pw.txt"), "hunter2-hunter2");
    let elsewhere = [
        "run", "w.yaml", "--target", "t", "-p", "pw=x", "--out", "mine",
    ];
    let refused = world.test.windlass(&elsewhere).expect(2);
    refused.says("workers write to their own folder");
}

#[test]
fn a_cancel_that_never_arrives_is_reported() {
    let world = World::new(1);
    let mut run = asking(&world);
    let id = world.test.shown()["run"]
        .as_str()
        .expect("an id")
        .to_owned();
    world.servers.lock().expect("no panic")[0].kill();
    interrupt(&run);
    assert_eq!(run.wait().expect("ended").code(), Some(1));
    let said = world.test.read("said");
    assert!(
        said.contains(&format!("run {id} is not cancelled: can't reach Restate")),
        "{said}"
    );
    let cancel = format!("`windlass cancel {id} --on restate`");
    assert!(said.contains(&cancel), "{said}");
}

#[test]
fn a_worker_that_stops_does_not_report_the_programs_that_it_ends() {
    let world = World::new(1);
    world.allow_shell();
    world.test.write("slow.yaml", SLOW);
    let mut run = start(&world, &["run", "slow.yaml", "--target", "t"]);
    let starts = || {
        let is_there = world.test.path("out/starts").exists();
        is_there.then(|| world.test.read("out/starts").lines().count())
    };
    until("the program runs", || starts() == Some(1));
    stop_worker(&world);
    world.test.write("out/go", "");
    start_worker(&world);
    let code = run.wait().expect("ended").code();
    assert_eq!(code, Some(0), "{}", world.test.read("said"));
    assert_eq!(starts(), Some(2));
}
