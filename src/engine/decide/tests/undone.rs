//! Undos: one step after another, and what ends them.

use std::time::Duration;

use super::{Beginning, Story, people::Edit, program};
use windlass_journal::{Outcome, Status};
use windlass_script::Class;

/// Plays three steps one after another; all of them change something.
pub fn chain() -> Story {
    let mut run = Story::of(
        "steps:
  a: { run: '()' }
  b: { run: '()', needs: [a] }
  c: { run: '()', needs: [b] }
",
    );
    for step in ["a", "b", "c"] {
        run.starts([step]);
        run.calls(step, "http::put", Class::Keyed);
        run.succeeds(step);
    }
    run.ends(Outcome::Succeeded);
    run
}

#[test]
fn steps_are_undone_one_at_a_time_the_last_one_first() {
    let mut run = chain();
    run.is_undone();
    for step in ["c!undo", "b!undo", "a!undo"] {
        run.starts([step]);
        run.succeeds(step);
    }
    run.ends(Outcome::Undone);
}

#[test]
fn a_run_without_changes_is_undone_at_once() {
    let mut run = Story::of("steps: { a: { run: '()' } }");
    run.starts(["a"]);
    run.succeeds("a");
    run.is_undone();
    run.ends(Outcome::Undone);
}

#[test]
fn an_undo_that_fails_stops_there_and_another_one_continues() {
    let mut run = chain();
    run.is_undone();
    run.starts(["c!undo"]);
    run.succeeds("c!undo");
    run.starts(["b!undo"]);
    run.fails("b!undo");
    run.ends(Outcome::UndoFailed);
    let error = run.state.error.clone().expect("the reason");
    assert_eq!(
        error.message,
        "could not reverse what `b` did; what 1 step before did is not reversed yet"
    );
    assert!(error.hint.is_some());
    run.is_undone();
    run.starts(["b!undo"]);
    run.succeeds("b!undo");
    run.starts(["a!undo"]);
    run.succeeds("a!undo");
    run.ends(Outcome::Undone);
}

/// A run, too, may end with some of them done.
#[test]
fn an_undo_that_fails_for_an_item_continues_with_the_others() {
    let text = "steps:
  a: { run: '()' }
  each: { workflow: inner.yaml, for_each: [x, y, z], needs: [a], max_parallel: 1 }
";
    let inner = "workflow: inner
steps: { one: { run: '()' }, two: { run: '()', needs: [one] } }";
    let mut run = Beginning::of(text, &[("inner.yaml", inner)]).go();
    let steps =
        ["x", "y", "z"].map(|item| ["one", "two"].map(|step| format!("each[{item}]/{step}")));
    let steps = steps.concat();
    for step in std::iter::once("a").chain(steps.iter().map(String::as_str)) {
        run.starts([step]);
        run.calls(step, "http::put", Class::Keyed);
        run.succeeds(step);
    }
    run.is_undone();
    run.starts(["each[z]/two!undo"]);
    run.fails("each[z]/two!undo");
    // Neither what `each[z]/two` may need, nor what all items do.
    for step in ["y]/two", "y]/one", "x]/two", "x]/one"] {
        let undo = format!("each[{step}!undo");
        run.starts([undo.as_str()]);
        run.succeeds(&undo);
    }
    run.ends(Outcome::UndoFailed);
    let error = run.state.error.clone().expect("the reason");
    assert_eq!(
        error.message,
        "could not reverse what `each[z]/two` did; what 2 steps before did is not reversed yet"
    );
    run.is_undone();
    for step in ["each[z]/two!undo", "each[z]/one!undo", "a!undo"] {
        run.starts([step]);
        run.succeeds(step);
    }
    run.ends(Outcome::Undone);
}

#[test]
fn an_undo_is_retried_after_its_pause() {
    let mut run = chain();
    run.is_undone();
    run.starts(["c!undo"]);
    run.fails_for("c!undo", Duration::from_secs(2));
    run.waits();
    assert_eq!(run.wakes_at, Some(run.now + Duration::from_secs(2)));
    run.passes(Duration::from_secs(2));
    run.starts(["c!undo"]);
}

#[test]
fn a_cancel_ends_an_undo_after_the_step_that_is_being_undone() {
    let mut run = chain();
    run.is_undone();
    run.starts(["c!undo"]);
    run.is_cancelled();
    run.waits();
    run.succeeds("c!undo");
    run.ends(Outcome::UndoFailed);
    let error = run.state.error.as_ref().expect("the reason");
    assert_eq!(error.message, "cancelled before everything was undone");
}

#[test]
fn an_undo_takes_the_lock_that_the_step_had_and_keeps_it() {
    let mut run = Story::of(
        "steps:
  a: { run: '()', lock: mesh }
  b: { run: '()', needs: [a] }
",
    );
    for step in ["a", "b"] {
        run.starts([step]);
        run.calls(step, "http::put", Class::Keyed);
        run.succeeds(step);
    }
    run.elsewhere.insert("mesh".into());
    run.is_undone();
    run.starts(["b!undo"]);
    run.succeeds("b!undo");
    run.waits();
    assert_eq!(run.wanted(), ["mesh"]);
    run.is_released("mesh");
    run.starts(["a!undo"]);
    assert_eq!(run.held(), ["mesh"]);
    run.succeeds("a!undo");
    run.ends(Outcome::Undone);
    assert!(run.held().is_empty());
}

#[test]
fn a_step_that_is_no_longer_in_the_workflow_is_undone_nevertheless() {
    let mut run = Story::of("steps: { a: { run: '()' }, b: { run: '()' } }");
    run.starts(["a", "b"]);
    run.calls("a", "http::put", Class::Keyed);
    run.succeeds("a");
    run.fails("b");
    let without = program("steps: { b: { run: '()' } }", &[]);
    run.resumes_with(&Edit::of(&without));
    run.starts(["b"]);
    run.succeeds("b");
    run.is_undone();
    run.starts(["a!undo"]);
    run.succeeds("a!undo");
    run.ends(Outcome::Undone);
    assert_eq!(run.status("a"), Status::Succeeded);
}

#[test]
fn an_undo_of_a_nested_step_takes_the_locks_around_it() {
    let text = "steps: { sub: { workflow: inner.yaml, lock: ring } }";
    let inner = "workflow: inner\nlock: mesh\nsteps: { x: { run: '()', lock: leaf } }";
    let mut run = Beginning::of(text, &[("inner.yaml", inner)]).go();
    run.starts(["sub/x"]);
    run.calls("sub/x", "http::put", Class::Keyed);
    run.succeeds("sub/x");
    run.is_undone();
    run.starts(["sub/x!undo"]);
    assert_eq!(run.held(), ["leaf", "mesh", "ring"]);
}

#[test]
fn an_undo_takes_the_lock_of_the_workflow_if_there_is_something_to_undo() {
    let text = "lock: mesh\nsteps: { a: { run: '()' } }";
    for (class, waits) in [(Class::Keyed, true), (Class::Read, false)] {
        let mut run = Story::of(text);
        run.starts(["a"]);
        run.calls("a", "http::call", class);
        run.succeeds("a");
        run.elsewhere.insert("mesh".into());
        run.is_undone();
        run.starts([]);
        assert_eq!(run.state.outcome.is_none(), waits, "{class:?}");
    }
}
