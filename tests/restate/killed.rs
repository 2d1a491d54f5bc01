//! Somebody kills invocations in the engine itself: what they recorded is lost, and nothing is done twice for it.

use serde_json::Value as Json;

use super::world::{World, until};

const MARKS: &str = "workflow: marks
steps:
  a:
    run: |
      exec::run(\"sh\", [\"-c\", \"echo A >> marks\"]);
      exec::run(\"sh\", [\"-c\", \"echo B >> marks\"]);
      time::sleep(\"10m\");
";

/// The run whose step has left its marks, and sleeps. The second one is what kills it.
fn killed(service: &str, handler: &str) -> World {
    let world = World::new(1);
    world.allow_shell();
    world.test.write("marks.yaml", MARKS);
    let mut run = world.start(&["run", "marks.yaml", "--target", "t"]);
    until("the marks are there", || marks(&world) == "A\nB\n");
    world.kill(service, handler);
    assert_eq!(run.wait().expect("ended").code(), Some(1));
    world
}

fn marks(world: &World) -> String {
    let path = world.test.path("out/marks");
    std::fs::read_to_string(path).unwrap_or_default()
}

/// Answers about the first call, and about the second; each is asked about once, and none is made again.
fn answer_both(world: &World) {
    let asked = |arguments: &[&str], call: &str| {
        let ran = world.test.windlass(arguments).expect(1);
        let wanted = format!("call {call}, exec::run");
        ran.says(&wanted);
    };
    asked(&["resume"], "0");
    asked(&["resume", "--answer", "a=done"], "1");
    let text = MARKS.replace("time::sleep(\"10m\");", "");
    world.test.write("marks.yaml", &text);
    let last = ["resume", "--edited", "--answer", "a=done", "--yes"];
    world.test.windlass(&last).expect(0);
    assert_eq!(marks(world), "A\nB\n");
}

#[test]
fn the_next_attempt_asks_about_every_call() {
    answer_both(&killed("WindlassStep", "attempt"));
}

#[test]
fn a_killed_driver_takes_its_attempts_along() {
    answer_both(&killed("WindlassRun", "drive"));
}

/// Once a call is known not to have been made, nor were those after it.
#[test]
fn what_was_not_done_ends_the_questions() {
    let world = killed("WindlassStep", "attempt");
    world.test.windlass(&["resume"]).expect(1);
    let text = MARKS.replace("time::sleep(\"10m\");", "");
    world.test.write("marks.yaml", &text);
    let again = ["resume", "--edited", "--answer", "a=again", "--yes"];
    world.test.windlass(&again).expect(0);
    assert_eq!(marks(&world), "A\nB\nA\nB\n");
}

#[test]
fn an_undo_does_not_pass_over_it() {
    let world = killed("WindlassStep", "attempt");
    let plan = world.test.windlass(&["undo", "--plan"]).expect(0).stdout;
    assert!(
        plan.contains("find out what a killed attempt did"),
        "{plan}"
    );
    let ran = world.test.windlass(&["undo", "--yes"]).expect(1);
    ran.says("undo-unknown");
    let ran = world
        .test
        .windlass(&["undo", "--answer", "a=done", "--yes"])
        .expect(2);
    ran.says("bad-answer");
    let last = ["undo", "--answer", "a=again", "--yes"];
    world.test.windlass(&last).expect(0);
    assert_eq!(world.test.shown()["status"], "undone");
}

/// A cancel lets a call end that is being made, and its result counts.
#[test]
fn a_call_that_ends_after_a_cancel_is_not_in_doubt() {
    let world = World::new(1);
    world.allow_shell();
    world.test.write(
        "slow.yaml",
        "workflow: slow
steps:
  a:
    run: |
      exec::run(\"sh\", [\"-c\", \"echo begun >> marks; until [ -e go ]; do sleep 0.05; done; echo done >> marks\"]);
  b: { run: 'file::write(\"b.txt\", \"x\")', needs: [a] }
",
    );
    let mut run = world.start(&["run", "slow.yaml", "--target", "t"]);
    until("the call has begun", || marks(&world) == "begun\n");
    world.test.windlass(&["cancel"]).expect(0);
    until("the attempt is cancelled", || {
        let servers = world.servers.lock().expect("no panic");
        servers[0].has_signal("WindlassStep")
    });
    world.test.write("out/go", "");
    assert_eq!(run.wait().expect("ended").code(), Some(130));
    world.test.windlass(&["resume"]).expect(0);
    assert_eq!(marks(&world), "begun\ndone\n");
}

/// A wait that was cut off goes on where it was, and nothing is recorded as later than it was.
#[test]
fn a_sleep_that_was_cancelled_is_slept_to_its_end() {
    let world = World::new(1);
    let text =
        "workflow: w\nsteps:\n  s: { run: 'time::sleep(\"12s\"); file::write(\"awake\", \"\")' }\n";
    world.test.write("w.yaml", text);
    let began = std::time::Instant::now();
    let mut run = world.start(&["run", "w.yaml", "--target", "t"]);
    until("it sleeps", || {
        let log = world.test.windlass(&["logs"]).stdout;
        log.contains("s started")
    });
    world.test.windlass(&["cancel"]).expect(0);
    assert_eq!(run.wait().expect("ended").code(), Some(130));
    let now = jiff::Timestamp::now().as_millisecond();
    let log = world.test.windlass(&["logs", "--json"]).expect(0).stdout;
    for event in log.lines() {
        let event: Json = serde_json::from_str(event).expect("JSON");
        assert!(
            event["at"].as_i64().expect("a time") <= now,
            "{event} at {now}"
        );
    }
    world.test.windlass(&["resume"]).expect(0);
    let slept = began.elapsed();
    assert!(slept.as_secs() >= 12, "it slept {slept:?}");
    assert!(world.test.path("out/awake").exists());
}
