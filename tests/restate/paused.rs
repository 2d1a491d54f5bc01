//! What a worker can't do is tried again, then paused by Restate; and `run` and `show` say why.

use std::{fs, process::Stdio};

use super::{
    replicas::replica,
    world::{World, until},
};
use crate::{harness::status, serve::server::Served};

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
    let next = "To continue, after you have fixed this: windlass resume";
    assert!(shown.contains(next), "{shown}");
    assert!(shown.contains("To cancel: windlass cancel"), "{shown}");
    let listed = world.test.windlass(&["runs"]).expect(0);
    listed.says(why);
    listed.says("to continue, after you have fixed this: windlass resume");
    mend(&world);
    // It follows the run that goes on.
    world.test.windlass(&["resume"]).expect(0);
    assert_eq!(world.test.read("out/a.txt"), "x");
    world.test.windlass(&["audit"]).expect(0);
}

/// Waits until a metric of a server has a value.
fn until_metric(served: &Served, line: &str) {
    until(line, || {
        let metrics = served.get(&served.owner, "/metrics").expect(200).body;
        metrics.lines().any(|found| found == line)
    });
}

#[test]
fn what_is_tried_again_later_is_tried_now() {
    let world = World::new(0);
    world.test.write("one.yaml", ONE);
    world.test.write("worker.toml", "");
    let address = world.add_worker(&["--config", "worker.toml"], &[]);
    world.register_at(&address);
    let mut run = world.start(&["run", "one.yaml", "--target", "t"]);
    let shown = || world.test.windlass(&["show"]).stdout;
    until("the attempt is tried again", || {
        shown().contains("Restate tries again: step a: the target can't be opened")
    });
    until("the way on is shown", || {
        shown().contains("To try again now: windlass resume")
    });
    let said = || world.test.read("said");
    let resume = || {
        let file = fs::File::create(world.test.path("said")).expect("created");
        let mut command = world.test.command(&["resume"]);
        command.stderr(file).spawn().expect("windlass starts")
    };
    let mut resumed = resume();
    until("it is tried again now", || {
        // While it is tried again by itself, there is nothing to hasten.
        if resumed.try_wait().expect("a status").is_some() {
            resumed = resume();
        }
        said().contains("Restate tries 1 part of the run again now")
    });
    mend(&world);
    assert!(resumed.wait().expect("ended").success(), "{}", said());
    assert!(run.wait().expect("ended").success());
    assert_eq!(world.test.read("out/a.txt"), "x");
}

/// No worker takes it up, until Restate pauses it: it has no event, and is in no list.
#[test]
fn a_run_that_was_paused_before_it_began_is_found() {
    let world = World::new(0);
    world.test.write("one.yaml", ONE);
    let address = world.add_worker(&["--retries", "2"], &[]);
    world.register_at(&address);
    world.workers.lock().expect("no panic")[0].stop();
    let begin = || {
        let ran = world
            .test
            .windlass(&["run", "one.yaml", "--target", "t"])
            .expect(3);
        ran.says("paused by Restate: ");
        ran.says("one has not ended");
        let (_, id) = ran.stderr.split_once("run ").expect("an id");
        id.split(' ').next().expect("an id").to_owned()
    };
    let (first, second) = (begin(), begin());
    for part in [&*first, &first[first.len() - 6..]] {
        let shown = world.test.windlass(&["show", part]).expect(2);
        shown.says(&format!("run {first} has not begun: paused by Restate: "));
        shown.says(&format!("windlass resume {first}"));
    }
    world.test.windlass(&["show"]).expect(2).says(&second);
    let listed = world.test.windlass(&["runs"]).expect(0);
    listed.says(&format!("run {first}: paused by Restate: "));
    let part = &second[second.len() - 6..];
    let cancelled = world.test.windlass(&["cancel", part]).expect(0);
    cancelled.says(&format!("run {second} is withdrawn"));

    world.workers.lock().expect("no panic")[0].start();
    let served = replica(&world.test, "desk");
    until_metric(&served, "windlass_runs_paused 1");
    let path = format!("/api/v1/runs/{first}");
    let shown = served.get(&served.owner, &path).expect(503).json();
    let why = format!("run {first} has not begun: paused by Restate: ");
    assert!(shown.to_string().contains(&why), "{shown}");
    let resumed = served.post(
        &served.owner,
        &format!("{path}/resume"),
        &serde_json::json!({}),
    );
    assert_eq!(resumed.status / 100, 2, "{}", resumed.body);
    until("the run has ended", || {
        let listed = world.test.windlass(&["runs", "--json"]).expect(0).json();
        listed[0]["run"] == *first && listed[0]["status"] == "succeeded"
    });
    until_metric(&served, "windlass_runs_paused 0");
    let listed = world.test.windlass(&["runs", "--json"]).expect(0).json();
    assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed}");
}

#[test]
fn it_can_be_resumed_on_the_page() {
    let world = without_target();
    world.test.write("one.yaml", ONE);
    let run = ["run", "one.yaml", "--target", "t"];
    world.test.windlass(&run).expect(3);
    let config = world.test.read("windlass.toml");
    let receiver =
        "[[notify.receivers]]\nname = \"log\"\nwebhook = { url = \"http://127.0.0.1:9/x\" }\n";
    world
        .test
        .write("windlass.toml", &format!("{config}{receiver}"));
    let id = world.test.shown()["run"]
        .as_str()
        .expect("an id")
        .to_owned();
    let served = replica(&world.test, "desk");
    let path = format!("/api/v1/runs/{id}");
    let detail = || served.get(&served.owner, &path).expect(200).json();
    let paused = detail();
    assert_eq!(paused["is_paused"], true, "{paused}");
    assert_eq!(paused["allowed"]["resume"]["ok"], true, "{paused}");
    until_metric(&served, "windlass_runs_paused 1");
    until("it is notified", || {
        let path = "/api/v1/notifications";
        let notified = served.get(&served.owner, path).expect(200).body;
        notified.contains("one on t can't continue until it is resumed")
            && notified.contains("there is no target `t`")
    });
    assert_eq!(paused["allowed"]["edit"]["ok"], false, "{paused}");
    mend(&world);
    let resume = format!("{path}/resume");
    let answer = served.post(&served.owner, &resume, &serde_json::json!({}));
    assert_eq!(answer.status / 100, 2, "{}", answer.json());
    until("the run has ended", || detail()["status"] == "succeeded");
    assert_eq!(detail()["allowed"]["resume"]["ok"], false);
    until_metric(&served, "windlass_runs_paused 0");
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
