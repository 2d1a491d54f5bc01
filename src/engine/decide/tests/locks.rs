//! Locks: which steps wait for one, and when it is acquired and released.

use std::time::Duration;

use super::{Beginning, Story, people::Edit, program};
use windlass_journal::{Outcome, Status};

#[test]
fn a_step_waits_for_its_lock_and_holds_it_until_it_ends() {
    let run = "steps:
  a: { run: '()', lock: mesh }
  b: { run: '()' }
";
    let mut run = held_elsewhere(run, "mesh");
    run.starts(["b"]);
    assert_eq!(run.wanted(), ["mesh"]);
    run.is_released("mesh");
    run.starts(["a"]);
    assert_eq!(run.held(), ["mesh"]);
    run.succeeds("a");
    assert!(run.held().is_empty());
}

#[test]
fn steps_with_the_same_lock_run_one_after_another() {
    let mut run = Story::of(
        "steps:
  a: { run: '()', lock: mesh }
  b: { run: '()', lock: mesh }
",
    );
    run.starts(["a"]);
    assert_eq!(run.wanted(), ["mesh"]);
    run.succeeds("a");
    run.starts(["b"]);
}

#[test]
fn a_failed_step_gives_up_its_lock_and_one_that_is_retried_keeps_it() {
    let mut run = Story::of(
        "steps:
  a: { run: '()', lock: mesh, retry: { attempts: 2 } }
  b: { run: '()' }
",
    );
    run.starts(["b", "a"]);
    run.fails_for("a", Duration::from_secs(1));
    assert_eq!(run.held(), ["mesh"]);
    run.passes(Duration::from_secs(1));
    run.starts(["a"]);
    run.fails("a");
    assert!(run.held().is_empty());
}

#[test]
fn the_name_of_a_lock_may_depend_on_the_item() {
    let run = "steps:
  each: { run: '()', for_each: [x, y, z], lock: \"mesh-${{ item }}\" }
";
    let mut run = held_elsewhere(run, "mesh-y");
    run.starts(["each[x]", "each[z]"]);
    assert_eq!(run.wanted(), ["mesh-y"]);
}

#[test]
fn an_item_that_waits_for_its_lock_counts_among_those_that_run() {
    let run = "steps:
  each: { run: '()', for_each: [x, y], max_parallel: 1, lock: \"mesh-${{ item }}\" }
";
    let mut run = held_elsewhere(run, "mesh-x");
    run.waits();
    assert_eq!(run.wanted(), ["mesh-x"]);
}

#[test]
fn nothing_of_a_workflow_begins_without_its_lock_finally_included() {
    let run = "lock: mesh
steps: { a: { run: '()' } }
finally: { tell: { run: '()' } }
";
    let mut run = held_elsewhere(run, "mesh");
    run.waits();
    run.is_released("mesh");
    run.starts(["a"]);
    run.fails("a");
    run.starts(["tell"]);
    assert_eq!(run.held(), ["mesh"]);
    run.succeeds("tell");
    run.ends(Outcome::Failed);
    assert!(run.held().is_empty());
}

#[test]
fn steps_inside_of_the_holder_do_not_wait_for_it() {
    let text = "steps: { sub: { workflow: inner.yaml, lock: mesh }, b: { run: '()', lock: mesh } }";
    let inner = "workflow: inner\nlock: mesh\nsteps: { x: { run: '()', lock: mesh } }";
    let mut run = Beginning::of(text, &[("inner.yaml", inner)]).go();
    run.starts(["sub/x"]);
    assert_eq!(run.wanted(), ["mesh"]);
    run.succeeds("sub/x");
    run.starts(["b"]);
}

#[test]
fn a_lock_without_a_name_fails_the_step() {
    let text = "params: { name: any }
steps: { a: { run: '()', lock: \"${{ params.name }}\" } }
";
    for (name, message) in [
        ("''", "`lock` must not be empty"),
        ("3", "`lock` must be a string, not an int"),
    ] {
        let run = Beginning::of(text, &[]);
        let mut run = run.params(&format!("{{ name: {name} }}")).go();
        run.ends(Outcome::Failed);
        assert_eq!(run.error("a").message, message);
    }
}

#[test]
fn a_workflow_with_a_concurrency_waits_for_a_place_among_its_runs() {
    let text = "concurrency: 2\nsteps: { a: { run: '()' } }";
    let mut run = Beginning::of(text, &[]).go();
    run.starts(["a"]);
    let held: Vec<String> = run.held().into_iter().map(str::to_owned).collect();

    // The next run gets the second places, and the third run waits.
    let mut second = held_elsewhere_all(text, &held);
    second.starts(["a"]);
    assert_ne!(second.held(), held);
    let all: Vec<String> = second.held().into_iter().map(str::to_owned).collect();
    let mut third = held_elsewhere_all(text, &[held.clone(), all].concat());
    third.waits();
    third.is_released(&held[0]);
    third.waits();
    third.is_released(&held[1]);
    third.starts(["a"]);
}

#[test]
fn a_concurrency_counts_runs_and_not_the_nested_workflows_of_one() {
    let text = "steps: { sub: { workflow: inner.yaml, for_each: [p, q] } }";
    let inner = "workflow: inner\nconcurrency: 1\nsteps: { x: { run: '()' } }";
    let mut run = Beginning::of(text, &[("inner.yaml", inner)]).go();
    run.starts(["sub[p]/x", "sub[q]/x"]);
}

#[test]
fn a_cancelled_run_waits_for_no_lock_and_gives_up_those_of_steps_that_stop() {
    let run = "steps:
  a: { run: '()', lock: mesh }
  b: { run: '()', lock: ring }
finally: { tell: { run: '()' } }
";
    let mut run = held_elsewhere(run, "ring");
    run.starts(["a"]);
    run.is_cancelled();
    run.waits();
    assert!(run.wanted().is_empty());
    run.stops("a");
    run.starts(["tell"]);
    assert!(run.held().is_empty());
    run.succeeds("tell");
    run.ends(Outcome::Cancelled);
    assert_eq!(run.status("b"), Status::Pending);
}

/// Starts a run while another one holds a lock.
fn held_elsewhere(text: &str, lock: &str) -> Story {
    held_elsewhere_all(text, &[lock.to_owned()])
}

fn held_elsewhere_all(text: &str, locks: &[String]) -> Story {
    let mut beginning = Beginning::of(text, &[]);
    beginning.elsewhere.extend(locks.iter().cloned());
    beginning.go()
}

#[test]
fn a_lock_of_an_item_or_a_step_that_an_edit_takes_away_is_released() {
    let text = "params: { items: list(string) }
steps:
  each: { run: '()', for_each: \"${{ params.items }}\", lock: \"mesh-${{ item }}\" }
  a: { run: '()', lock: ring }
";
    let mut run = Beginning::of(text, &[]).params("{ items: [x, y] }").go();
    run.starts(["each[x]", "each[y]", "a"]);
    assert_eq!(run.held(), ["mesh-x", "mesh-y", "ring"]);
    run.dies();
    let without = text.replace("  a: { run: '()', lock: ring }\n", "");
    let without = program(&without, &[]);
    run.resumes_with(&Edit {
        params: "{ items: [x] }",
        ..Edit::of(&without)
    });
    run.starts(["each[x]"]);
    assert_eq!(run.held(), ["mesh-x"]);
}

#[test]
fn a_step_that_an_edit_gives_another_lock_gives_up_the_first() {
    let text = "steps: { a: { run: '()', lock: mesh } }";
    let mut run = Story::of(text);
    run.starts(["a"]);
    run.dies();
    run.elsewhere.insert("ring".into());
    let edited = program(&text.replace("mesh", "ring"), &[]);
    run.resumes_with(&Edit::of(&edited));
    run.waits();
    assert_eq!((run.held(), run.wanted()), (vec![], vec!["ring"]));
}

#[test]
fn a_run_that_was_interrupted_keeps_its_locks() {
    let mut run = Story::of("lock: mesh\nsteps: { a: { run: '()', lock: ring } }");
    run.starts(["a"]);
    run.dies();
    run.resumes();
    run.starts(["a"]);
    assert_eq!(run.held(), ["mesh", "ring"]);
}

#[test]
fn the_next_item_gets_the_lock_of_one_that_an_edit_takes_away() {
    let text = "params: { items: list(string) }
steps: { each: { run: '()', for_each: \"${{ params.items }}\", lock: mesh } }
";
    let mut run = Beginning::of(text, &[]).params("{ items: [x, y] }").go();
    run.starts(["each[x]"]);
    run.dies();
    let same = run.program.clone();
    run.resumes_with(&Edit {
        params: "{ items: [y] }",
        ..Edit::of(&same)
    });
    run.starts(["each[y]"]);
    assert_eq!(run.held(), ["mesh"]);
}
