//! The order of steps, and how many attempts run at once.

use std::time::Duration;

use super::{Beginning, Story, yaml};
use windlass_journal::{Outcome, Status};

#[test]
fn a_step_begins_when_all_that_it_needs_has_ended() {
    let mut run = Story::of(
        "steps:
  a: { run: '()' }
  b: { run: '()' }
  c: { run: '()', needs: [a, b] }
  d: { run: '()', needs: [a] }
",
    );
    run.starts(["a", "b"]);
    run.succeeds("b");
    run.starts([]);
    run.succeeds("a");
    run.starts(["c", "d"]);
    run.succeeds("d");
    run.waits();
    run.succeeds("c");
    run.ends(Outcome::Succeeded);
}

#[test]
fn the_order_of_the_file_decides_only_between_steps_that_are_ready() {
    let mut run = Story::of(
        "steps:
  last: { run: '()', needs: [first] }
  first: { run: '()' }
  other: { run: '()' }
",
    );
    run.starts(["first", "other"]);
    run.succeeds("first");
    run.starts(["last"]);
}

#[test]
fn a_step_that_reads_another_begins_after_it_with_what_it_gave() {
    let mut run = Story::of(
        "steps:
  b: { run: '()', with: { n: \"${{ steps.a.n + 1 }}\", text: \"n is ${{ steps.a.n }}\" } }
  a: { run: '#{ n: 1 }' }
outputs: { sum: \"${{ steps.a.n + 10 }}\" }
",
    );
    run.starts(["a"]);
    run.gives("a", "{ n: 1 }");
    run.starts(["b"]);
    assert_eq!(run.instance("b").inputs, yaml("{ n: 2, text: n is 1 }"));
    run.succeeds("b");
    run.ends(Outcome::Succeeded);
    assert_eq!(run.state.outputs, yaml("{ sum: 11 }"));
}

#[test]
fn no_more_attempts_run_at_once_than_are_allowed() {
    let text = "steps:
  a: { run: '()' }
  b: { run: '()' }
  c: { run: '()' }
  d: { run: '()', needs: [a] }
";
    let mut run = Beginning::of(text, &[]).at_most(2).go();
    run.starts(["a", "b"]);
    run.succeeds("a");
    // The order of the file: `c` has waited as long, and is ready.
    run.starts(["c"]);
    run.succeeds("c");
    run.starts(["d"]);
    run.succeeds("b");
    run.succeeds("d");
    run.ends(Outcome::Succeeded);
}

#[test]
fn a_step_that_waits_for_its_retry_leaves_its_place_to_others() {
    let text = "steps:
  a: { run: '()', retry: { attempts: 2 } }
  b: { run: '()' }
";
    let mut run = Beginning::of(text, &[]).at_most(1).go();
    run.starts(["a"]);
    run.fails_for("a", Duration::from_secs(1));
    run.starts(["b"]);
    run.passes(Duration::from_secs(1));
    run.waits();
    run.succeeds("b");
    run.starts(["a"]);
}

#[test]
fn questions_and_nested_workflows_take_no_place() {
    let text = "steps:
  ask: { approval: Go? }
  inner: { workflow: inner.yaml }
  a: { run: '()' }
";
    let inner = [("inner.yaml", "workflow: inner\nsteps: { x: { run: '()' } }")];
    let mut run = Beginning::of(text, &inner).at_most(1).go();
    run.starts(["a"]);
    assert_eq!(run.status("ask"), Status::Waiting);
    assert_eq!(run.status("inner"), Status::Running);
    run.succeeds("a");
    run.starts(["inner/x"]);
}

#[test]
fn a_run_whose_outputs_can_not_be_evaluated_fails() {
    let mut run = Story::of(
        "steps:
  a: { run: '#{ n: 1 }' }
outputs: { n: \"${{ steps.a.n / 0 }}\" }
",
    );
    run.starts(["a"]);
    run.gives("a", "{ n: 1 }");
    run.ends(Outcome::Failed);
    let error = run.state.error.expect("the reason");
    assert_eq!(error.code, "expression-failed");
    assert_eq!(error.place.expect("a place").line, 4);
}
