//! Cancelled runs.

use std::time::Duration;

use super::{Beginning, Story, yaml};
use windlass_journal::{Outcome, Status, Verdict};

#[test]
fn after_a_cancel_only_finally_begins_and_knows_of_it() {
    let mut run = Story::of(
        "steps:
  a: { run: '()' }
  b: { run: '()', needs: [a] }
finally:
  tell: { run: '()', with: { how: \"${{ run.status }}\" } }
  close: { run: '()', needs: [tell] }
",
    );
    run.starts(["a"]);
    run.is_cancelled();
    // The attempt is asked to stop, and waited for.
    run.waits();
    run.stops("a");
    run.starts(["tell"]);
    assert_eq!(run.instance("tell").inputs, yaml("{ how: cancelled }"));
    run.succeeds("tell");
    run.starts(["close"]);
    run.succeeds("close");
    run.ends(Outcome::Cancelled);
    assert_eq!(run.status("b"), Status::Pending);
}

#[test]
fn what_succeeds_in_spite_of_a_cancel_stays_done_and_nothing_follows() {
    let mut run = Story::of("steps: { a: { run: '()' }, b: { run: '()', needs: [a] } }");
    run.starts(["a"]);
    run.is_cancelled();
    run.succeeds("a");
    run.ends(Outcome::Cancelled);
    assert_eq!(run.status("a"), Status::Succeeded);
}

#[test]
fn a_cancel_ends_the_wait_for_a_person_and_for_a_retry() {
    let mut run = Story::of(
        "steps:
  ask: { approval: Go? }
  a: { run: '()', retry: { attempts: 2 } }
",
    );
    run.starts(["a"]);
    run.fails_for("a", Duration::from_secs(1));
    run.is_cancelled();
    run.ends(Outcome::Cancelled);
    assert_eq!(
        (run.status("ask"), run.status("a")),
        (Status::Pending, Status::Pending)
    );
}

#[test]
fn a_cancel_ends_nested_workflows_and_items_from_the_inside() {
    let text = "steps: { sub: { workflow: inner.yaml, for_each: [p, q], max_parallel: 1 } }";
    let inner = "workflow: inner
steps: { x: { run: '()' } }
finally: { tell: { run: '()' } }
";
    let mut run = Beginning::of(text, &[("inner.yaml", inner)]).go();
    run.starts(["sub[p]/x"]);
    run.is_cancelled();
    run.stops("sub[p]/x");
    run.starts(["sub[p]/tell"]);
    run.succeeds("sub[p]/tell");
    run.ends(Outcome::Cancelled);
    assert_eq!(run.status("sub[q]"), Status::Pending);
    assert_eq!(run.status("sub"), Status::Pending);
}

#[test]
fn a_question_in_finally_is_asked_in_spite_of_a_cancel() {
    let mut run = Story::of(
        "steps: { a: { run: '()' } }
finally: { ask: { approval: Clean up? }, clean: { run: '()', needs: [ask] } }
",
    );
    run.starts(["a"]);
    run.is_cancelled();
    run.stops("a");
    run.waits();
    run.answer("ask", "bob", Verdict::Approved)
        .expect("it counts");
    run.starts(["clean"]);
    run.succeeds("clean");
    run.ends(Outcome::Cancelled);
}

#[test]
fn a_cancelled_run_does_not_undo_itself() {
    let mut run = Story::of("on_failure: undo\nsteps: { a: { run: '()' }, b: { run: '()' } }");
    run.starts(["a", "b"]);
    run.calls("a", "http::put", windlass_script::Class::Keyed);
    run.succeeds("a");
    run.is_cancelled();
    run.fails("b");
    run.ends(Outcome::Cancelled);
}

#[test]
fn a_cancelled_run_runs_what_was_left_out_when_it_is_resumed() {
    let mut run = Story::of(
        "steps: { a: { run: '()' }, b: { run: '()', needs: [a] } }
finally: { tell: { run: '()' } }
",
    );
    run.starts(["a"]);
    run.is_cancelled();
    run.stops("a");
    run.starts(["tell"]);
    run.succeeds("tell");
    run.ends(Outcome::Cancelled);
    run.resumes();
    run.starts(["a"]);
    run.succeeds("a");
    run.starts(["b"]);
    run.succeeds("b");
    // It has told of the cancel, not of this.
    run.starts(["tell"]);
    run.succeeds("tell");
    run.ends(Outcome::Succeeded);
}

#[test]
fn a_run_that_waits_for_its_lock_ends_at_once_when_it_is_cancelled() {
    let mut run = Beginning::of("lock: mesh\nsteps: { a: { run: '()' } }", &[]);
    run.elsewhere.insert("mesh".into());
    let mut run = run.go();
    run.waits();
    run.is_cancelled();
    run.ends(Outcome::Cancelled);
}

#[test]
fn a_nested_workflow_whose_last_step_ends_after_a_cancel_has_not_succeeded() {
    let text = "steps: { sub: { workflow: inner.yaml } }";
    let inner = "workflow: inner\nsteps: { x: { run: '()' } }";
    let mut run = Beginning::of(text, &[("inner.yaml", inner)]).go();
    run.starts(["sub/x"]);
    run.is_cancelled();
    run.succeeds("sub/x");
    run.ends(Outcome::Cancelled);
    assert_eq!(run.status("sub"), Status::Pending);
    // A resume has nothing left to do but that.
    run.resumes();
    run.ends(Outcome::Succeeded);
}

#[test]
fn a_step_under_finally_keeps_its_lock_for_its_retry_in_spite_of_a_cancel() {
    let mut run = Story::of(
        "steps: { a: { run: '()' } }
finally: { tell: { run: '()', lock: mesh, retry: { attempts: 2 } } }
",
    );
    run.starts(["a"]);
    run.is_cancelled();
    run.stops("a");
    run.starts(["tell"]);
    run.fails_for("tell", Duration::from_secs(1));
    run.waits();
    assert_eq!(run.held(), ["mesh"]);
}
