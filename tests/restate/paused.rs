//! What a worker can't do is tried again, then paused by Restate; and `run` and `show` say why.

use std::{fs, process::Stdio};

use super::{
    replicas::replica,
    world::{World, until},
};
use crate::harness::status;

const ONE: &str = "workflow: one
steps:
  a: { run: 'file::write(\"a.txt\", \"x\")' }
";

/// A step that waits, and others that wait for an answer.
const MIXED: &str = "workflow: mixed
steps:
  slow:
    run: |
      file::write(\"first.txt\", \"x\");
      while !file::exists(\"go.txt\") { time::sleep(\"1s\"); }
      file::write(\"second.txt\", \"x\");
  sure: { approval: \"Go on?\" }
  plain: { run: 'file::write(\"plain.txt\", \"x\")', needs: [sure] }
  after: { run: 'file::write(\"after.txt\", \"x\")', needs: [plain] }
  last: { run: 'file::write(\"last.txt\", \"x\")', needs: [slow, after] }
";

/// Writes a file, and then has to be begun anew where the target is not known.
const HALF: &str = "workflow: half
steps:
  a:
    run: |
      file::write(\"first.txt\", \"x\");
      for i in 0..600 {
          time::sleep(\"1s\");
          time::now();
      }
      file::write(\"second.txt\", \"x\");
";

/// A worker that gives up soon, with a configuration of its own that names no target.
fn without_target() -> World {
    let world = World::new(0);
    world.test.write("worker.toml", "");
    let address = world.add_worker(&["--config", "worker.toml", "--retries", "2"], &[]);
    world.register_at(&address);
    world
}

fn mend(world: &World) {
    let config = world.test.read("windlass.toml");
    world.test.write("worker.toml", &config);
}

#[test]
fn it_waits_until_the_worker_is_mended() {
    let world = without_target();
    world.test.write("one.yaml", ONE);
    let why = "paused by Restate: step a: the target can't be opened: there is no target `t`";
    let ran = world
        .test
        .windlass(&["run", "one.yaml", "--target", "t"])
        .expect(3);
    ran.says(why);
    ran.says("windlass resume");
    let shown = world.test.windlass(&["show"]).expect(0).stdout;
    assert!(shown.contains(why), "{shown}");
    mend(&world);
    // It follows the run that goes on.
    world.test.windlass(&["resume"]).expect(0);
    assert_eq!(world.test.read("out/a.txt"), "x");
    world.test.windlass(&["audit"]).expect(0);
}

#[test]
fn it_can_be_resumed_on_the_page() {
    let world = without_target();
    world.test.write("one.yaml", ONE);
    let run = ["run", "one.yaml", "--target", "t"];
    world.test.windlass(&run).expect(3);
    let id = world.test.shown()["run"]
        .as_str()
        .expect("an id")
        .to_owned();
    let served = replica(&world.test, "desk");
    let path = format!("/api/v1/runs/{id}");
    let detail = || served.get(&served.owner, &path).expect(200).json();
    let paused = detail();
    assert_eq!(paused["allowed"]["resume"]["ok"], true, "{paused}");
    assert_eq!(paused["allowed"]["edit"]["ok"], false, "{paused}");
    mend(&world);
    let resume = format!("{path}/resume");
    let answer = served.post(&served.owner, &resume, &serde_json::json!({}));
    assert_eq!(answer.status / 100, 2, "{}", answer.json());
    until("the run has ended", || detail()["status"] == "succeeded");
    assert_eq!(detail()["allowed"]["resume"]["ok"], false);
}

#[test]
fn it_can_be_given_up() {
    let world = without_target();
    world.test.write("one.yaml", ONE);
    world
        .test
        .windlass(&["run", "one.yaml", "--target", "t"])
        .expect(3);
    world.test.windlass(&["cancel"]).expect(0);
    until("the run is cancelled", || {
        world.test.shown()["status"] == "cancelled"
    });
    let left = world.servers.lock().expect("no panic")[0].count("paused");
    assert_eq!(left, 0);
}

/// What an attempt did before it was held up is not lost when it is cancelled: an undo takes it back.
#[test]
fn what_it_did_before_can_be_taken_back() {
    let world = World::new(0);
    world.test.write("half.yaml", HALF);
    let address = world.add_worker(&["--retries", "5"], &[]);
    world.register_at(&address);
    let mut run = world
        .test
        .command(&["run", "half.yaml", "--target", "t", "--wait"]);
    let mut run = run.stderr(Stdio::null()).spawn().expect("windlass starts");
    until("the first file is there", || {
        world.test.path("out/first.txt").exists()
    });
    // Another worker comes in its place, one that does not know the target.
    world.test.write("worker.toml", "");
    let options = ["--out", "out", "--config", "worker.toml"];
    world.workers.lock().expect("no panic")[0].replace_with(&options);
    until("the attempt is paused", || {
        let shown = world.test.windlass(&["show"]);
        shown.stdout.contains("paused by Restate: step a: ")
    });
    world.test.windlass(&["cancel"]).expect(0);
    assert_eq!(run.wait().expect("ended").code(), Some(130));
    mend(&world);
    world.test.windlass(&["undo", "--yes"]).expect(0);
    assert!(!world.test.path("out/first.txt").exists());
}

#[test]
fn its_siblings_go_on() {
    let world = World::new(0);
    world.test.write("mixed.yaml", MIXED);
    let first = world.add_worker(&["--retries", "7"], &[]);
    world.register_at(&first);
    let mut run = world.start(&["run", "mixed.yaml", "--target", "t", "--wait"]);
    until("the first file is there", || {
        world.test.path("out/first.txt").exists()
    });
    // What is new goes to the newest deployment; what goes on stays with one that does not know the target.
    let second = world.add_worker(&[], &[]);
    world.register_at(&second);
    world.test.write("worker.toml", "");
    let options = ["--out", "out", "--config", "worker.toml"];
    world.workers.lock().expect("no panic")[0].replace_with(&options);
    let why = "paused by Restate: step slow: the target can't be opened";
    until("the attempt is paused", || {
        world.test.windlass(&["show"]).stdout.contains(why)
    });
    let id = world.test.shown()["run"]
        .as_str()
        .expect("an id")
        .to_owned();
    world.test.windlass(&["approve", &id, "sure"]).expect(0);
    until("the sibling's successor is done", || {
        status(&world.test.shown(), "after") == "succeeded"
    });
    mend(&world);
    world.test.write("out/go.txt", "");
    world.test.windlass(&["resume"]).expect(0);
    assert!(run.wait().expect("ended").success());
    assert_eq!(world.test.shown()["status"], "succeeded");
    assert!(world.test.path("out/second.txt").exists());
    // Nothing that was finished is repeated.
    let events = world.test.events();
    for step in ["slow", "plain", "after", "last"] {
        let is_start = |e: &&serde_json::Value| e["event"] == "step_started" && e["step"] == step;
        assert_eq!(events.iter().filter(is_start).count(), 1, "{step}");
    }
    let is_write = |e: &&serde_json::Value| {
        e["event"] == "effect_intended" && e["call"]["arguments"].to_string().contains("first.txt")
    };
    assert_eq!(events.iter().filter(is_write).count(), 1);
}

/// Workers that seal secrets to different identities don't share a run.
#[test]
fn a_worker_with_another_identity_refuses_before_it_acts() {
    let world = World::new(1);
    let text = "workflow: w
steps:
  sure: { approval: \"Go on?\" }
  make: { run: 'file::write_secret(\"key.pem\", key::generate(\"EC_prime256v1\"))', needs: [sure] }
";
    world.test.write("w.yaml", text);
    let run = ["run", "w.yaml", "--target", "t"];
    world.test.windlass(&run).expect(3);
    let address = world.add_worker(&["--state", "elsewhere", "--retries", "2"], &[]);
    world.register_at(&address);
    let id = world.test.shown()["run"]
        .as_str()
        .expect("an id")
        .to_owned();
    world.test.windlass(&["approve", &id, "sure"]).expect(0);
    until("the step is refused", || {
        let shown = world.test.windlass(&["show"]).stdout;
        shown.contains("paused by Restate: step make: ")
            && shown.contains("give all workers the same STATE/identity.txt")
    });
    assert!(!world.test.path("out/key.pem").exists());
    fs::copy(
        world.test.path(".windlass/identity.txt"),
        world.test.path("elsewhere/identity.txt"),
    )
    .expect("copied");
    world.workers.lock().expect("no panic")[1].replace();
    world.test.windlass(&["resume"]).expect(0);
    assert!(world.test.read("out/key.pem").contains("PRIVATE KEY"));
}
