//! No worker answers: what is stopped by Ctrl-C, what a list shows, and what a worker that stops leaves behind.

use std::{
    fs::File,
    process::{Child, Stdio},
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
