//! Undos: in which order, and what they leave.

use std::time::Duration;

use super::{Beginning, Story, people::Edit, program};
use crate::{
    decide::undo_order,
    journal::{Outcome, Status},
};
use windlass_script::Class;

/// A script with its own undo.
const OWN_UNDO: (&str, &str) = (
    "s.rhai",
    "fn run(inputs) { #{} }\nfn undo(inputs, outputs) { }\n",
);

/// Plays three steps one after another; all of them change something.
fn chain() -> Story {
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

fn order(run: &Story) -> Vec<String> {
    let order = undo_order(&run.program.workflow, &run.state);
    order.iter().map(ToString::to_string).collect()
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
fn what_began_last_is_undone_first() {
    let mut run = Beginning::of(
        "steps: { a: { run: '()' }, b: { run: '()' }, c: { run: '()' } }",
        &[],
    )
    .at_most(1)
    .go();
    for step in ["a", "b", "c"] {
        run.starts([step]);
        run.calls(step, "http::put", Class::Keyed);
        run.succeeds(step);
    }
    assert_eq!(order(&run), ["c", "b", "a"]);
}

#[test]
fn an_undo_leaves_out_what_changed_nothing() {
    let text = "steps:
  reads: { run: '()' }
  says_how: { script: s.rhai }
  changes: { run: '()' }
  fails: { script: s.rhai }
";
    let mut run = Beginning::of(text, &[OWN_UNDO]).go();
    run.starts(["reads", "says_how", "changes", "fails"]);
    run.calls("reads", "http::get", Class::Read);
    run.announces("changes", "http::put", Class::Keyed);
    run.fails("fails");
    run.succeeds("says_how");
    run.succeeds("reads");
    run.fails("changes");
    run.ends(Outcome::Failed);
    // One that failed may have made its call, and a script that says how it is undone has to be asked.
    assert_eq!(order(&run), ["changes", "says_how"]);
}

#[test]
fn items_are_undone_each_and_the_whole_of_them_is_not() {
    let text = "steps: { each: { script: s.rhai, for_each: [x, y] } }";
    let mut run = Beginning::of(text, &[OWN_UNDO]).go();
    run.starts(["each[x]", "each[y]"]);
    run.succeeds("each[y]");
    run.succeeds("each[x]");
    assert_eq!(order(&run), ["each[y]", "each[x]"]);
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
    assert_eq!(error.message, "could not reverse what `b` did");
    assert!(error.hint.is_some());
    run.is_undone();
    run.starts(["b!undo"]);
    run.succeeds("b!undo");
    run.starts(["a!undo"]);
    run.succeeds("a!undo");
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
fn a_step_that_ran_again_is_undone_once_for_all_its_rounds() {
    let mut run = chain();
    let same = run.program.clone();
    run.resumes_with(&Edit {
        redo: &["c"],
        ..Edit::of(&same)
    });
    run.starts(["c"]);
    run.calls("c", "http::put", Class::Keyed);
    run.succeeds("c");
    run.ends(Outcome::Succeeded);
    assert_eq!(order(&run), ["c", "b", "a"]);
    assert_eq!(run.instance("c").rounds().count(), 2);
}

#[test]
fn what_depends_on_a_step_that_ran_again_later_is_undone_before_it() {
    let text = |items: &str| {
        format!(
            "steps:
  a: {{ run: '()' }}
  each: {{ run: '()', for_each: {items}, needs: [a] }}
"
        )
    };
    let (before, after) = (program(&text("[x, y]"), &[]), program(&text("[x]"), &[]));
    let mut run = Story::of(&text("[x, y]"));
    for steps in [&["a"][..], &["each[x]", "each[y]"]] {
        assert_eq!(run.take_started(), steps);
        for step in steps {
            run.calls(step, "http::put", Class::Keyed);
            run.succeeds(step);
        }
    }
    drop(before);
    run.resumes_with(&Edit {
        redo: &["a"],
        ..Edit::of(&after)
    });
    run.starts(["a"]);
    run.calls("a", "http::put", Class::Keyed);
    run.succeeds("a");
    run.starts(["each[x]"]);
    run.calls("each[x]", "http::put", Class::Keyed);
    run.succeeds("each[x]");
    // `each[y]` began before the second round of `a`, but stands on it.
    assert_eq!(order(&run).last().map(String::as_str), Some("a"));
    assert_eq!(order(&run).len(), 3);
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

#[test]
fn steps_under_finally_are_undone_before_all_others() {
    let mut run = Story::of(
        "steps: { a: { run: '()' }, b: { run: '()' } }
finally: { tell: { run: '()' } }
",
    );
    run.starts(["a", "b"]);
    run.calls("a", "http::put", Class::Keyed);
    run.succeeds("a");
    run.fails("b");
    run.starts(["tell"]);
    run.announces("tell", "http::post", Class::Unsure);
    run.fails_with("tell", "in-doubt");
    // It is not started over, because its call is in doubt, and `a` begins after it.
    let same = run.program.clone();
    run.resumes_with(&Edit {
        redo: &["a"],
        ..Edit::of(&same)
    });
    run.starts(["a", "b"]);
    run.calls("a", "http::put", Class::Keyed);
    assert_eq!(order(&run), ["tell", "a"]);
}

#[test]
fn an_attempt_whose_records_were_lost_may_have_changed_something() {
    let mut run = Story::of("steps: { a: { run: '()' } }");
    run.starts(["a"]);
    run.fails_with("a", crate::journal::ATTEMPT_KILLED);
    assert_eq!(order(&run), ["a"]);
}
