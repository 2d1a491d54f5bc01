//! What people said, and what a plan said, holds when a run is continued.

use std::{process::Child, time::Duration};

use crate::harness::{Test, status, until};

const PATIENCE: Duration = Duration::from_secs(30);

/// Starts a run, and kills it as soon as a step has this status.
fn killed(test: &Test, arguments: &[&str], step: &str, wanted: &str) {
    let mut child = test.start(arguments);
    until_status(test, step, wanted);
    kill(&mut child);
}

fn kill(child: &mut Child) {
    child.kill().expect("killed");
    child.wait().expect("gone");
}

fn until_status(test: &Test, step: &str, wanted: &str) {
    until(&format!("{step} is {wanted}"), PATIENCE, || {
        let shown = test.command(&["show", "--json"]).output().expect("shown");
        let shown = serde_json::from_slice(&shown.stdout).unwrap_or_default();
        has_step(&shown, step) && status(&shown, step) == wanted
    });
}

fn has_step(shown: &serde_json::Value, step: &str) -> bool {
    let steps = shown["steps"].as_array().into_iter().flatten();
    steps.into_iter().any(|shown| shown["step"] == step)
}

fn approve(test: &Test, step: &str) {
    let run = test.shown()["run"].as_str().expect("an id").to_owned();
    test.windlass(&["approve", &run, step]).expect(0);
}

#[test]
fn a_question_that_is_asked_again_needs_another_answer() {
    let test = Test::new().file(
        "w.yaml",
        "workflow: w\nsteps:\n  ask: { approval: \"Really?\" }\n  slow: { needs: [ask], run: 'time::sleep(\"60s\")' }\n",
    );
    let mut run = test.start(&["run", "w.yaml", "--wait"]);
    until_status(&test, "ask", "waiting");
    approve(&test, "ask");
    until_status(&test, "slow", "running");
    kill(&mut run);
    test.windlass(&["resume", "--redo", "ask", "--yes"])
        .expect(3);
    // Nobody has answered since.
    test.windlass(&["resume"]).expect(3).says("Really?");
    assert_eq!(status(&test.shown(), "ask"), "waiting");
}

/// A run whose undo has failed at `one`, after a person said to leave what `two` did. It would succeed now.
fn undone_but_two() -> Test {
    let test = Test::new().file(
        "w.yaml",
        "workflow: w\nsteps:\n  one: { run: 'file::write(\"one.txt\", \"1\")' }\n  two: { needs: [one], run: 'file::write(\"two.txt\", \"2\")' }\n",
    );
    test.windlass(&["run", "w.yaml"]).expect(0);
    std::fs::remove_file(test.path("out/one.txt")).expect("removed");
    std::fs::create_dir(test.path("out/one.txt")).expect("a folder");
    test.windlass(&["undo", "--yes", "--answer", "two=leave"])
        .expect(1);
    std::fs::remove_dir(test.path("out/one.txt")).expect("removed");
    test.write("out/one.txt", "1");
    test
}

#[test]
fn what_is_to_be_left_stays_when_the_undo_is_continued() {
    let test = undone_but_two();
    test.windlass(&["undo", "--yes"]).expect(0);
    assert!(!test.path("out/one.txt").exists());
    assert_eq!(test.read("out/two.txt"), "2");
    let events = test.events();
    let left = events
        .iter()
        .filter(|event| event["step"] == "two!undo")
        .count();
    assert_eq!(left, 1, "{events:?}");
}

#[test]
fn an_answer_to_leave_something_can_be_taken_back() {
    let test = undone_but_two();
    test.windlass(&["undo", "--yes", "--answer", "two=again"])
        .expect(0);
    assert!(!test.path("out/two.txt").exists());
}

const LOCKS: &str = "workflow: w
steps:
  n: { workflow: in.yaml }
  a: { lock: mesh, run: 'time::sleep(\"60s\")' }
finally:
  tidy: { lock: mesh, run: 'file::write(\"tidy.txt\", \"done\")' }
  clean: { lock: inner, run: 'file::write(\"clean.txt\", \"done\")' }
";

#[test]
fn a_cancelled_step_gives_its_lock_to_what_tidies_up() {
    for is_driven in [true, false] {
        let test = Test::new().file("w.yaml", LOCKS).file(
            "in.yaml",
            "workflow: in\nlock: inner\nsteps:\n  b: { run: 'time::sleep(\"60s\")' }\n",
        );
        let mut run = test.start(&["run", "w.yaml"]);
        until_status(&test, "a", "running");
        until_status(&test, "n/b", "running");
        if !is_driven {
            kill(&mut run);
        }
        test.windlass(&["cancel"]).expect(0);
        run.wait().expect("ended");
        let shown = test.shown();
        assert_eq!(shown["status"], "cancelled", "{is_driven}");
        for step in ["tidy", "clean"] {
            assert_eq!(status(&shown, step), "succeeded", "{is_driven} {step}");
        }
    }
}

#[test]
fn a_step_that_an_edit_renames_gives_its_lock_to_the_new_one() {
    let file = "workflow: w\nsteps:\n  a: { lock: mesh, run: 'time::sleep(\"60s\")' }\n";
    let test = Test::new().file("w.yaml", file);
    killed(&test, &["run", "w.yaml"], "a", "running");
    test.write("w.yaml", &file.replace("a:", "b:").replace("60s", "0s"));
    test.windlass(&["resume", "--edited", "--yes"]).expect(0);
    assert_eq!(status(&test.shown(), "b"), "succeeded");
}

#[test]
fn a_plan_shows_what_runs_under_finally() {
    let test = Test::new().file(
        "w.yaml",
        "workflow: w\nparams: { on: { type: bool, default: false } }\nsteps:\n  a: { when: \"${{ params.on }}\", run: '#{ y: \"1\" }' }\nfinally:\n  f: { with: { x: \"${{ steps.a?.y ?? 'none' }}\" }, run: 'file::write(\"f.txt\", inputs.x)' }\n",
    );
    let plan = test
        .windlass(&["plan", "w.yaml", "--json"])
        .expect(0)
        .json();
    let steps = plan["steps"].as_array().expect("steps");
    let step = |name: &str| steps.iter().find(|step| step["step"] == name).cloned();
    assert_eq!(step("a").expect("a")["runs"], false);
    assert_eq!(step("f").expect("f")["runs"], true);
    test.windlass(&["run", "w.yaml"]).expect(0);
    assert_eq!(test.read("out/f.txt"), "none");
}

#[test]
fn a_resume_plan_says_that_what_is_under_finally_runs_again() {
    let test = Test::new().file(
        "w.yaml",
        "workflow: w\nsteps:\n  a: { run: 'throw \"not yet\"' }\nfinally:\n  tidy: { run: 'file::write(\"tidy.txt\", random::hex(4))' }\n",
    );
    test.windlass(&["run", "w.yaml"]).expect(1);
    let first = test.read("out/tidy.txt");
    test.write(
        "w.yaml",
        &test.read("w.yaml").replace("throw \"not yet\"", "()"),
    );
    let plan = ["resume", "--edited", "--plan", "--json"];
    let plan = test.windlass(&plan).expect(0).json();
    let fates = plan.as_array().or(plan["steps"].as_array()).expect("fates");
    let tidy = fates.iter().find(|fate| fate["step"] == "tidy");
    let tidy = tidy.expect("its fate");
    assert_eq!(tidy["fate"], "again", "{plan}");
    assert_eq!(tidy["repeats"][0], "file::write ×1", "{plan}");
    test.windlass(&["resume", "--edited", "--yes"]).expect(0);
    assert_ne!(test.read("out/tidy.txt"), first);
}

#[test]
fn a_step_without_its_condition_runs() {
    let file = "workflow: w\nparams: { on: { type: bool, default: false } }\nsteps:\n  a: { when: \"${{ params.on }}\", run: 'file::write(\"a.txt\", \"a\")' }\n";
    let test = Test::new().file("w.yaml", file);
    test.windlass(&["run", "w.yaml"]).expect(0);
    test.write("w.yaml", &file.replace("when: \"${{ params.on }}\", ", ""));
    test.windlass(&["resume", "--edited", "--yes"]).expect(0);
    assert_eq!(test.read("out/a.txt"), "a");
}

const ASKS_AT_THE_END: &str = "workflow: w
steps:
  a: { run: 'time::sleep(\"60s\")' }
finally:
  ask: { approval: \"Tidy up?\" }
  tidy: { needs: [ask], run: 'file::write(\"tidy.txt\", \"x\")' }
";

#[test]
fn a_cancelled_run_stays_cancelled_until_it_has_ended() {
    let test = Test::new().file("w.yaml", ASKS_AT_THE_END);
    let mut run = test.start(&["run", "w.yaml"]);
    until_status(&test, "a", "running");
    test.windlass(&["cancel"]).expect(0);
    assert_eq!(run.wait().expect("ended").code(), Some(3));
    // It only waits, whoever asks it to stop.
    test.windlass(&["cancel"]).expect(3);
    approve(&test, "ask");
    test.windlass(&["resume"]).expect(130);
    let shown = test.shown();
    assert_eq!(shown["status"], "cancelled");
    assert_eq!(status(&shown, "tidy"), "succeeded");
    assert_ne!(status(&shown, "a"), "succeeded");
    assert_eq!(test.read("out/tidy.txt"), "x");
    let asked = test.events();
    let asked = asked.iter().filter(|e| e["event"] == "approval_asked");
    assert_eq!(asked.count(), 1);
}

#[test]
fn other_inputs_are_said_where_a_script_makes_other_calls() {
    let test = Test::new().file(
        "w.yaml",
        "workflow: w\nparams: { items: { type: list(string), default: [p, q] } }\nsteps:\n  each: { for_each: \"${{ params.items }}\", with: { item: \"${{ item }}\" }, run: '#{ name: inputs.item }' }\n  sum: { with: { all: \"${{ steps.each }}\" }, run: 'file::write(\"sum.txt\", json::stringify(inputs.all))' }\n",
    );
    test.windlass(&["run", "w.yaml"]).expect(0);
    let edited = ["resume", "--edited", "-p", "items=[q, r]", "--yes"];
    let ran = test.windlass(&edited).expect(1);
    ran.says("its input `all` has changed since it made these calls");
    ran.says("--redo sum");
    test.windlass(&["resume", "--redo", "sum", "--yes"])
        .expect(0);
    assert!(test.read("out/sum.txt").contains('r'));
}

#[test]
fn a_run_of_some_steps_keeps_its_choice_when_it_is_edited() {
    let file = "workflow: w\nsteps:\n  a: { run: 'file::write(\"a.txt\", \"a\")' }\n  b: { needs: [a], run: 'throw \"x\"' }\n  z: { run: 'file::write(\"z.txt\", \"z\")' }\n";
    let test = Test::new().file("w.yaml", file);
    test.windlass(&["run", "w.yaml", "--until", "b"]).expect(1);
    let refused = test.windlass(&["resume", "--redo", "z", "--yes"]);
    refused.expect(2).says("`z` was not selected");
    let fixed = file.replace("throw \"x\"", "file::write(\"b.txt\", \"b\")");
    let asks = "  ok: { needs: [a], approval: \"Really?\" }\n  b: { needs: [ok],";
    test.write("w.yaml", &fixed.replace("  b: { needs: [a],", asks));
    for arguments in [
        ["resume", "--edited", "--plan"],
        ["resume", "--edited", "--yes"],
    ] {
        let refused = test.windlass(&arguments).expect(2);
        refused.says("`b` can't run without the approval in `ok` before it");
    }
    test.write("w.yaml", &fixed.replace("  b:", "  c:"));
    let refused = test.windlass(&["resume", "--edited", "--yes"]);
    refused.expect(2).says("the workflow has no step `b`");
    assert!(!test.path("out/b.txt").exists());
    // A step that is not among them is said to be left out.
    test.write("w.yaml", &format!("{fixed}  y: {{ run: '()' }}\n"));
    let plan = test.windlass(&["resume", "--edited", "--plan"]).expect(0);
    plan.prints("was not selected");
    test.windlass(&["resume", "--edited", "--yes"]).expect(0);
    assert_eq!(test.read("out/b.txt"), "b");
}

#[test]
fn an_edit_of_what_may_fail_is_carried_out_as_planned() {
    let file = "workflow: w\nsteps:\n  a: { on_error: continue, run: 'throw \"broken\"' }\n";
    let test = Test::new().file("w.yaml", file);
    test.windlass(&["run", "w.yaml"]).expect(0);
    let fixed = file.replace("on_error: continue, ", "");
    test.write(
        "w.yaml",
        &fixed.replace("throw \"broken\"", "file::write(\"a.txt\", \"a\")"),
    );
    test.windlass(&["resume", "--edited", "--yes"]).expect(0);
    assert_eq!(test.read("out/a.txt"), "a");

    let test = Test::new().file("w.yaml", &fixed);
    test.windlass(&["run", "w.yaml"]).expect(1);
    test.write("w.yaml", file);
    test.windlass(&["resume", "--edited", "--yes"]).expect(0);
    let events = test.events();
    let begun = events
        .iter()
        .filter(|event| event["event"] == "step_started");
    assert_eq!(begun.count(), 1, "the plan says that it is kept");
}

#[test]
fn a_comment_that_quotes_a_secret_is_redacted() {
    let test = Test::new().file(
        "w.yaml",
        "workflow: w\nparams: { pw: secret }\nsteps:\n  ask: { approval: \"Really?\" }\n  end: { needs: [ask], with: { pw: \"${{ params.pw }}\" }, run: '()' }\n",
    );
    test.windlass(&["run", "w.yaml", "-p", "pw=hunter22secret"])
        .expect(3);
    let run = test.shown()["run"].as_str().expect("an id").to_owned();
    let comment = "the password is hunter22secret";
    test.windlass(&["approve", &run, "ask", "-m", comment])
        .expect(0);
    let events = serde_json::to_string(&test.events()).expect("text");
    assert!(events.contains("the password is"), "{events}");
    assert!(!events.contains("hunter22secret"), "{events}");
}

#[test]
fn an_item_that_an_edit_takes_away_gives_its_lock_to_the_others() {
    let file = "workflow: w\nparams: { items: { type: list(string), default: [a, b] } }\nsteps:\n  each:\n    for_each: ${{ params.items }}\n    lock: mesh\n    with: { item: \"${{ item }}\" }\n    run: 'if inputs.item == \"a\" { time::sleep(\"60s\"); }'\n";
    let test = Test::new().file("w.yaml", file);
    killed(&test, &["run", "w.yaml"], "each[a]", "running");
    let edited = ["resume", "--edited", "-p", "items=[b]", "--yes"];
    test.windlass(&edited).expect(0);
    assert_eq!(status(&test.shown(), "each[b]"), "succeeded");
}
