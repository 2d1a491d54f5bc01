//! Waits for locks on the engine.

use super::world::{World, until};

const HOLDS: &str = "workflow: holds
lock: mesh
steps:
  a:
    run: |
      exec::run(\"sh\", [\"-c\", \"echo $$ > holds; until [ -e go ]; do sleep 0.05; done\"]);
";

const WANTS: &str = "workflow: wants
lock: mesh
steps:
  a: { run: 'file::write(\"wanted\", \"x\")' }
";

#[test]
fn a_run_waits_for_a_lock_no_longer_than_it_is_told() {
    let world = World::new(1);
    world.allow_shell();
    world.test.write("holds.yaml", HOLDS);
    world.test.write("wants.yaml", WANTS);
    let mut holder = world.start(&["run", "holds.yaml", "--target", "t"]);
    until("the lock is held", || world.test.path("out/holds").exists());
    let holds = world.test.shown()["run"]
        .as_str()
        .expect("an id")
        .to_owned();
    let wants = ["run", "wants.yaml", "--target", "t", "--lock-timeout"];
    let waited = world
        .test
        .windlass(&[&wants, ["500ms"].as_slice()].concat())
        .expect(3);
    for part in [
        format!("the lock `mesh` is still held by run {holds}"),
        format!("windlass cancel {holds} --on restate"),
        "[lock-timeout]".into(),
    ] {
        waited.says(&part);
    }
    assert!(!world.test.path("out/wanted").exists());
    // The engine drives it no longer, so another wait may be begun; one that ends in time is none.
    let shown = world.test.shown();
    let wanted = shown["run"].as_str().expect("an id").to_owned();
    assert_ne!(wanted, holds);
    let again = ["resume", &wanted, "--lock-timeout", "300ms"];
    world.test.windlass(&again).expect(3);
    let patient = world
        .test
        .command(&["resume", &wanted, "--lock-timeout", "2m"]);
    let mut patient = { patient }
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("windlass starts");
    world.test.write("out/go", "");
    assert_eq!(patient.wait().expect("ended").code(), Some(0));
    assert_eq!(holder.wait().expect("ended").code(), Some(0));
    assert!(world.test.path("out/wanted").exists());
}

/// The time of a run goes on while it waits for a lock, and before a worker takes it up.
#[test]
fn a_question_after_a_wait_has_all_its_time() {
    let world = World::new(1);
    world.allow_shell();
    world.test.write("holds.yaml", HOLDS);
    world.test.write(
        "asks.yaml",
        "workflow: asks\nlock: mesh\nsteps:\n  ask: { approval: \"Go?\", timeout: 1m }\n",
    );
    let mut holder = world.start(&["run", "holds.yaml", "--target", "t"]);
    until("the lock is held", || world.test.path("out/holds").exists());
    let mut asks = world.start(&["run", "asks.yaml", "--target", "t", "--wait"]);
    let shown = |what: &str| {
        let runs = world.test.windlass(&["runs", "--json"]).json();
        let mut runs = runs.as_array().into_iter().flatten();
        runs.any(|run| run["workflow"] == "asks" && run["status"] == what)
    };
    until("it waits for the lock", || shown("running"));
    let released = jiff::Timestamp::now().as_millisecond();
    world.test.write("out/go", "");
    assert_eq!(holder.wait().expect("ended").code(), Some(0));
    until("it asks", || shown("waiting"));
    let events = world
        .test
        .windlass(&["logs", "asks", "--json"])
        .expect(0)
        .stdout;
    let asked = events.lines().find(|line| line.contains("approval_asked"));
    let asked: serde_json::Value = serde_json::from_str(asked.expect("a question")).expect("JSON");
    let at = asked["at"].as_i64().expect("a time");
    assert!(
        at >= released,
        "asked at {at}, and the lock was released at {released}"
    );
    world.test.windlass(&["approve", "asks", "ask"]).expect(0);
    assert_eq!(asks.wait().expect("ended").code(), Some(0));
}

#[test]
fn steps_that_hold_each_others_lock_are_told() {
    let world = World::new(1);
    let inner = |lock: &str| {
        format!(
            "workflow: i\nsteps:\n  a: {{ run: 'time::sleep(\"2s\")' }}\n  b: {{ needs: [a], lock: {lock}, run: '()' }}\n"
        )
    };
    world.test.write("x.yaml", &inner("x"));
    world.test.write("y.yaml", &inner("y"));
    let text = "workflow: w\nsteps:\n  one: { lock: x, workflow: y.yaml }\n  two: { lock: y, workflow: x.yaml }\n";
    world.test.write("w.yaml", text);
    let said = std::fs::File::create(world.test.path("w.log")).expect("a file");
    let mut command = world.test.command(&["run", "w.yaml", "--target", "t"]);
    let mut run = command.stderr(said).spawn().expect("windlass starts");
    until("what is told", || {
        let said = world.test.read("w.log");
        said.contains("they wait for each other until one of them is cancelled")
    });
    world.test.windlass(&["cancel"]).expect(0);
    assert_eq!(run.wait().expect("ended").code(), Some(130));
}
