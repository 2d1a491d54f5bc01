//! `lock:` and `concurrency:`, across processes.

use std::time::{Duration, Instant};

use crate::harness::{Test, until};

const LOCKED: &str = "workflow: w
params: { mesh: { type: string, default: m }, name: string, pause: { type: string, default: 2500ms } }
lock: mesh-${{ params.mesh }}
steps:
  wait: { with: { pause: \"${{ params.pause }}\" }, run: 'time::sleep(inputs.pause)' }
  note:
    needs: [wait]
    with: { name: \"${{ params.name }}\" }
    run: file::write(`${inputs.name}.txt`, time::now())
";

fn wait_for(test: &Test, what: &str, is_so: impl Fn(&Test) -> bool) {
    until(what, Duration::from_secs(30), || is_so(test));
}

fn runs(test: &Test) -> usize {
    let runs = test.windlass(&["runs", "--json"]).json();
    runs.as_array().map_or(0, Vec::len)
}

fn is_locked(test: &Test) -> bool {
    let logs = test.command(&["logs"]).output().expect("logs");
    String::from_utf8_lossy(&logs.stdout).contains("holds the lock mesh-m")
}

#[test]
fn one_run_at_a_time_holds_a_lock() {
    let test = Test::new().file("w.yaml", LOCKED);
    let mut first = test.start(&["run", "w.yaml", "-p", "name=first"]);
    wait_for(&test, "the lock", is_locked);
    // Another mesh is nobody's business.
    test.windlass(&[
        "run",
        "w.yaml",
        "-p",
        "name=other",
        "-p",
        "mesh=n",
        "-p",
        "pause=1ms",
    ])
    .expect(0);
    let second = test
        .windlass(&["run", "w.yaml", "-p", "name=second"])
        .expect(0);
    assert_eq!(first.wait().expect("ended").code(), Some(0));
    // Both slept and wrote one after the other, or the second found the first one's end.
    let (first, second_at) = (test.read("out/first.txt"), test.read("out/second.txt"));
    assert!(first < second_at, "{first} {second_at}: {}", second.stderr);
}

#[test]
fn a_run_that_died_keeps_its_lock_until_it_ends() {
    let test = Test::new().file("w.yaml", LOCKED);
    let mut first = test.start(&["run", "w.yaml", "-p", "name=first"]);
    wait_for(&test, "the lock", is_locked);
    first.kill().expect("killed");
    first.wait().expect("gone");
    let run = test.windlass(&["runs", "--json"]).expect(0).json()[0]["run"].clone();
    let run = run.as_str().expect("an id").to_owned();
    let messages = std::fs::File::create(test.path("second.log")).expect("a file");
    let mut command = test.command(&["run", "w.yaml", "-p", "name=second"]);
    let mut second = command.stderr(messages).spawn().expect("started");
    let held = format!("waits for `mesh-m`, which is held by run {run} (interrupted)");
    wait_for(&test, "waiting for the lock", |test| {
        test.read("second.log").contains(&held)
    });
    let shown = test.windlass(&["show"]).expect(0);
    shown.prints(&format!(
        "waits for the lock `mesh-m`, which is held by run {run} (interrupted)"
    ));
    shown.prints(&format!("windlass resume {run}"));
    test.windlass(&["cancel", &run]).expect(0);
    assert_eq!(
        second.wait().expect("ended").code(),
        Some(0),
        "{}",
        test.read("second.log")
    );
}

#[test]
fn steps_of_one_run_can_share_a_lock() {
    let test = Test::new().file(
        "w.yaml",
        "workflow: w
steps:
  work:
    for_each: [a, b, c, d]
    lock: the-one
    with: { name: \"${{ item }}\" }
    run: |
      let began = time::now();
      time::sleep(\"50ms\");
      #{ began: began, ended: time::now() }
",
    );
    test.windlass(&["run", "w.yaml"]).expect(0);
    let events = test.events();
    let mut inside = 0;
    for event in &events {
        match event["event"].as_str() {
            Some("step_started") if event["step"] != "work" => inside += 1,
            Some("step_succeeded") if event["step"] != "work" => inside -= 1,
            _ => {}
        }
        assert!(inside <= 1, "two held it: {event}");
    }
}

#[test]
fn concurrency_limits_the_runs_of_a_workflow() {
    let text = LOCKED.replace("lock: mesh-${{ params.mesh }}", "concurrency: 1");
    let test = Test::new().file("w.yaml", &text);
    let mut first = test.start(&["run", "w.yaml", "-p", "name=first"]);
    wait_for(&test, "the slot", |test| {
        let logs = test.command(&["logs"]).output().expect("logs");
        String::from_utf8_lossy(&logs.stdout).contains("slot 1 of workflow w")
    });
    let second = test
        .windlass(&["run", "w.yaml", "-p", "name=second"])
        .expect(0);
    assert_eq!(first.wait().expect("ended").code(), Some(0));
    second.says("one of 1 runs of w");
}

#[test]
fn a_run_is_cancelled_from_another_terminal() {
    let test = Test::new().file(
        "w.yaml",
        "workflow: w
steps:
  slow: { run: 'time::sleep(\"60s\")' }
finally:
  tidy: { run: 'file::write(\"tidy.txt\", \"done\")' }
",
    );
    let mut child = test.start(&["run", "w.yaml"]);
    wait_for(&test, "the sleep", |test| {
        let logs = test.command(&["logs"]).output().expect("logs");
        String::from_utf8_lossy(&logs.stdout).contains("time::sleep")
    });
    test.windlass(&["cancel"]).expect(0);
    assert_eq!(child.wait().expect("ended").code(), Some(130));
    assert_eq!(test.read("out/tidy.txt"), "done");
    assert_eq!(test.shown()["status"], "cancelled");
    test.windlass(&["cancel"]).expect(2);
}

#[test]
fn an_undo_waits_for_the_lock_too() {
    let test = Test::new().file("w.yaml", LOCKED);
    test.windlass(&["run", "w.yaml", "-p", "name=first", "-p", "pause=1ms"])
        .expect(0);
    let first = test.windlass(&["runs", "--json"]).expect(0).json()[0]["run"].clone();
    let mut second = test.start(&["run", "w.yaml", "-p", "name=second"]);
    wait_for(&test, "the lock", |test| runs(test) == 2 && is_locked(test));
    let undo = test
        .windlass(&["undo", first.as_str().expect("an id"), "--yes"])
        .expect(0);
    undo.says("waits for `mesh-m`");
    assert_eq!(second.wait().expect("ended").code(), Some(0));
    assert!(!test.path("out/first.txt").exists() && test.path("out/second.txt").exists());
}

/// There is nothing to protect.
#[test]
fn an_undo_of_a_run_that_did_nothing_waits_for_no_lock() {
    let test = Test::new().file("w.yaml", LOCKED);
    let mut holder = test.start(&["run", "w.yaml", "-p", "name=first", "-p", "pause=1h"]);
    wait_for(&test, "the lock", is_locked);
    let mut second = test.start(&["run", "w.yaml", "-p", "name=second"]);
    wait_for(&test, "the second run", |test| runs(test) == 2);
    second.kill().expect("killed");
    second.wait().expect("gone");
    assert_eq!(ends(&test, &["undo", "--yes"]), Some(0));
    assert!(holder.try_wait().expect("asked").is_none());
    holder.kill().expect("killed");
    holder.wait().expect("gone");
}

#[test]
fn a_run_that_never_got_its_lock_does_nothing() {
    let text = format!("{LOCKED}finally:\n  tidy: {{ run: 'file::write(\"tidy.txt\", \"x\")' }}\n");
    let test = Test::new().file("w.yaml", LOCKED).file("tidy.yaml", &text);
    let mut first = test.start(&["run", "w.yaml", "-p", "name=first"]);
    wait_for(&test, "the lock", is_locked);
    let mut second = test.start(&["run", "tidy.yaml", "-p", "name=second"]);
    wait_for(&test, "the second run", |test| {
        let runs = test.windlass(&["runs", "--json"]).json();
        runs.as_array()
            .is_some_and(|runs| runs.len() == 2 && runs[0]["status"] == "running")
    });
    test.windlass(&["cancel"]).expect(0);
    assert_eq!(second.wait().expect("ended").code(), Some(130));
    assert_eq!(first.wait().expect("ended").code(), Some(0));
    assert!(
        !test.path("out/tidy.txt").exists(),
        "it tidied up what was not its own"
    );
}

/// Waits for the end of a command that once never came.
fn ends(test: &Test, arguments: &[&str]) -> Option<i32> {
    let mut child = test.start(arguments);
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(status) = child.try_wait().expect("asked") {
            return status.code();
        }
        if Instant::now() > deadline {
            child.kill().expect("killed");
            child.wait().expect("gone");
            panic!("it waits for itself");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_run_does_not_wait_for_its_own_lock() {
    let inner = "workflow: inner\nlock: mesh\nsteps:\n  a: { run: '()', lock: mesh }\n";
    let test = Test::new().file("inner.yaml", inner).file(
        "w.yaml",
        "workflow: w
lock: mesh
steps:
  step: { run: '()', lock: mesh }
  nested: { workflow: inner.yaml }
  each: { workflow: inner.yaml, for_each: [a, b], lock: mesh }
",
    );
    assert_eq!(ends(&test, &["run", "w.yaml"]), Some(0));
    // Without the run's own, those of the steps exclude each other.
    let alone = test.read("w.yaml").replacen("lock: mesh\n", "", 1);
    test.write("w.yaml", &alone);
    assert_eq!(ends(&test, &["run", "w.yaml"]), Some(0));
}

/// The run that waits second says so: the first one could still go on when it began to wait.
#[test]
fn runs_that_hold_each_others_lock_are_told() {
    let text = |outer: &str, inner: &str| {
        format!(
            "workflow: w
lock: {outer}
steps:
  a:
    run: |
      loop {{
        try {{ file::read(\"go.txt\"); break }} catch {{ time::sleep(\"50ms\") }}
      }}
  b: {{ needs: [a], lock: {inner}, run: '()' }}
"
        )
    };
    let test = Test::new()
        .file("one.yaml", &text("x", "y"))
        .file("two.yaml", &text("y", "x"));
    let start = |name: &str| {
        let messages = std::fs::File::create(test.path(&format!("{name}.log"))).expect("a file");
        let mut command = test.command(&["run", &format!("{name}.yaml")]);
        command.stderr(messages).spawn().expect("started")
    };
    let holds = |lock: &'static str| {
        move |test: &Test| {
            let logs = test.command(&["logs"]).output().expect("logs");
            String::from_utf8_lossy(&logs.stdout).contains(&format!("holds the lock {lock}"))
        }
    };
    let mut one = start("one");
    wait_for(&test, "the first lock", holds("x"));
    let mut two = start("two");
    wait_for(&test, "the second lock", holds("y"));
    test.write("out/go.txt", "");
    wait_for(&test, "both waiting", |test| {
        test.read("one.log").contains("waits for `y`")
            && test.read("two.log").contains("waits for `x`")
    });
    let told = format!("{}\n{}", test.read("one.log"), test.read("two.log"));
    assert!(
        told.contains("held by this run: they wait for each other"),
        "{told}"
    );
    test.windlass(&["cancel", &newest(&test)]).expect(0);
    assert_eq!(two.wait().expect("ended").code(), Some(130));
    assert_eq!(one.wait().expect("ended").code(), Some(0));
}

#[test]
fn steps_that_hold_each_others_lock_are_told() {
    let inner = |lock: &str| {
        format!(
            "workflow: i\nsteps:\n  a: {{ run: 'time::sleep(\"300ms\")' }}\n  b: {{ needs: [a], lock: {lock}, run: '()' }}\n"
        )
    };
    let test = Test::new()
        .file("x.yaml", &inner("x"))
        .file("y.yaml", &inner("y"))
        .file("w.yaml", "workflow: w\nsteps:\n  one: { lock: x, workflow: y.yaml }\n  two: { lock: y, workflow: x.yaml }\n");
    let messages = std::fs::File::create(test.path("w.log")).expect("a file");
    let mut command = test.command(&["run", "w.yaml"]);
    let mut run = command.stderr(messages).spawn().expect("started");
    wait_for(&test, "what is told", |test| {
        test.read("w.log").contains("they wait for each other")
    });
    test.windlass(&["cancel"]).expect(0);
    assert_eq!(run.wait().expect("ended").code(), Some(130));
}

const HOLDER: &str = "workflow: holder
steps:
  hold: { lock: the-one, run: 'time::sleep(\"2500ms\"); file::write(\"held.txt\", time::now())' }
";

fn holds(test: &Test) -> bool {
    let logs = test.command(&["logs"]).output().expect("logs");
    String::from_utf8_lossy(&logs.stdout).contains("holds the lock the-one")
}

fn newest(test: &Test) -> String {
    let run = test.windlass(&["runs", "--json"]).expect(0).json()[0]["run"].clone();
    run.as_str().expect("an id").to_owned()
}

#[test]
fn a_nested_workflow_takes_its_steps_lock_again_after_a_resume() {
    let test = Test::new()
        .file("holder.yaml", HOLDER)
        .file(
            "inner.yaml",
            "workflow: inner\nsteps:\n  wait: { run: 'file::read(\"go.txt\"); file::write(\"went.txt\", time::now())' }\n",
        )
        .file(
            "w.yaml",
            "workflow: w\nsteps:\n  nested: { workflow: inner.yaml, lock: the-one }\n",
        );
    test.windlass(&["run", "w.yaml"]).expect(1);
    let run = newest(&test);
    test.write("out/go.txt", "");
    let mut holder = test.start(&["run", "holder.yaml"]);
    wait_for(&test, "the lock", |test| newest(test) != run && holds(test));
    let resumed = test.windlass(&["resume", &run]).expect(0);
    resumed.says("waits for `the-one`");
    assert_eq!(holder.wait().expect("ended").code(), Some(0));
    assert!(test.read("out/went.txt") > test.read("out/held.txt"));
}

#[test]
fn an_undo_waits_for_the_locks_of_steps() {
    let inner =
        "workflow: inner\nlock: the-one\nsteps:\n  a: { run: 'file::write(\"a.txt\", \"x\")' }\n";
    let steps = [
        "nested: { workflow: inner.yaml }",
        "nested: { workflow: plain.yaml, lock: the-one }",
        "a: { for_each: [the-one], lock: \"${{ item }}\", run: 'file::write(\"a.txt\", \"x\")' }",
    ];
    for step in steps {
        let test = Test::new()
            .file("holder.yaml", HOLDER)
            .file("inner.yaml", inner)
            .file("plain.yaml", &inner.replace("lock: the-one\n", ""))
            .file("w.yaml", &format!("workflow: w\nsteps:\n  {step}\n"));
        test.windlass(&["run", "w.yaml"]).expect(0);
        let run = newest(&test);
        let mut holder = test.start(&["run", "holder.yaml"]);
        wait_for(&test, "the lock", |test| newest(test) != run && holds(test));
        let undo = test.windlass(&["undo", &run, "--yes"]).expect(0);
        assert!(
            undo.stderr.contains("waits for `the-one`"),
            "{step}: {}",
            undo.stderr
        );
        assert_eq!(holder.wait().expect("ended").code(), Some(0));
        assert!(!test.path("out/a.txt").exists());
    }
}

#[test]
fn an_item_takes_its_lock_when_its_turn_comes() {
    let test = Test::new().file(
        "w.yaml",
        "workflow: w
steps:
  each: { for_each: [a, b, c], max_parallel: 1, lock: \"host-${{ item }}\", run: 'time::sleep(\"5ms\")' }
",
    );
    test.windlass(&["run", "w.yaml"]).expect(0);
    let (mut held, mut most) = (0, 0);
    for event in test.events() {
        match event["event"].as_str() {
            Some("lock_taken") => held += 1,
            Some("lock_released") => held -= 1,
            _ => {}
        }
        most = most.max(held);
    }
    assert_eq!(most, 1);
}
