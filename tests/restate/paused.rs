//! What a worker can't do is tried again, then paused by the engine; whoever watches is told why.

use std::{fs, process::Stdio};

use super::world::{World, until};
use crate::harness::status;

const ONE: &str = "workflow: one
steps:
  a: { run: 'file::write(\"a.txt\", \"x\")' }
";

/// A step that needs a secret, and others that don't.
const MIXED: &str = "workflow: mixed
steps:
  make: { run: '#{ key: key::generate(\"EC_prime256v1\") }' }
  sure: { approval: \"Go on?\", needs: [make] }
  keep:
    needs: [sure]
    with: { key: \"${{ steps.make.key }}\" }
    run: 'file::write_secret(\"key.pem\", inputs.key)'
  plain: { run: 'file::write(\"plain.txt\", \"x\")', needs: [sure] }
  after: { run: 'file::write(\"after.txt\", \"x\")', needs: [plain] }
  last: { run: 'file::write(\"last.txt\", \"x\")', needs: [keep, after] }
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
    let why = "paused by the engine: step a: the target can't be opened: there is no target `t`";
    let ran = world
        .test
        .windlass(&["run", "one.yaml", "--target", "t"])
        .expect(3);
    assert!(ran.stderr.contains(why), "{}", ran.stderr);
    assert!(ran.stderr.contains("windlass resume"), "{}", ran.stderr);
    let shown = world.test.windlass(&["show"]).expect(0).stdout;
    assert!(shown.contains(why), "{shown}");
    mend(&world);
    // It follows the run that goes on.
    world.test.windlass(&["resume"]).expect(0);
    assert_eq!(world.test.read("out/a.txt"), "x");
    world.test.windlass(&["audit"]).expect(0);
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
    let mut run = world.test.command(&["run", "half.yaml", "--target", "t"]);
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
        shown.stdout.contains("paused by the engine: step a: ")
    });
    world.test.windlass(&["cancel"]).expect(0);
    assert_eq!(run.wait().expect("ended").code(), Some(130));
    mend(&world);
    world.test.windlass(&["undo", "--yes"]).expect(0);
    assert!(!world.test.path("out/first.txt").exists());
}

#[test]
fn its_siblings_go_on() {
    let world = World::new(1);
    world.test.write("mixed.yaml", MIXED);
    world
        .test
        .windlass(&["run", "mixed.yaml", "--target", "t"])
        .expect(3);
    // What is new goes to the newest deployment: to a worker without the identity that secrets are sealed to.
    let options = ["--state", "elsewhere", "--retries", "2"];
    let address = world.add_worker(&options, &[]);
    world.register_at(&address);
    let run = world.test.shown()["run"]
        .as_str()
        .expect("an id")
        .to_owned();
    world.test.windlass(&["approve", &run, "sure"]).expect(0);
    until("the sibling's successor is done", || {
        status(&world.test.shown(), "after") == "succeeded"
    });
    until("the other one is paused", || {
        world.servers.lock().expect("no panic")[0].count("paused") == 1
    });
    let shown = world.test.windlass(&["show"]).expect(0).stdout;
    assert!(
        shown.contains("paused by the engine: step keep: "),
        "{shown}"
    );
    assert!(!world.test.path("out/key.pem").exists());
    fs::copy(
        world.test.path(".windlass/identity.txt"),
        world.test.path("elsewhere/identity.txt"),
    )
    .expect("copied");
    world.workers.lock().expect("no panic")[1].replace();
    world.test.windlass(&["resume"]).expect(0);
    assert!(world.test.read("out/key.pem").contains("PRIVATE KEY"));
    assert_eq!(world.test.shown()["status"], "succeeded");
    // Nothing that was finished is repeated.
    let started = |step: &str| {
        let events = world.test.events();
        let starts = events
            .iter()
            .filter(|e| e["event"] == "step_started" && e["step"] == step);
        starts.count()
    };
    for step in ["make", "keep", "plain", "after", "last"] {
        assert_eq!(started(step), 1, "{step}");
    }
}
