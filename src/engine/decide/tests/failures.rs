//! What follows a step that failed, and `finally`.

use super::{Beginning, Story, yaml};
use windlass_journal::{ATTEMPT_KILLED, Outcome, Status};
use windlass_script::Class;

#[test]
fn what_depends_on_a_failed_step_never_runs_and_the_rest_goes_on() {
    let mut run = Story::of(
        "steps:
  a: { run: '()' }
  after_a: { run: '()', needs: [a] }
  b: { run: '()' }
  after_b: { run: '()', needs: [b] }
",
    );
    run.starts(["a", "b"]);
    run.fails("a");
    run.waits();
    run.succeeds("b");
    run.starts(["after_b"]);
    run.succeeds("after_b");
    run.ends(Outcome::Failed);
    assert_eq!(run.status("after_a"), Status::Pending);
    // The step has the reason.
    assert_eq!(run.state.error, None);
}

#[test]
fn a_run_goes_on_after_a_failure_that_it_tolerates() {
    let mut run = Story::of(
        "steps:
  a: { run: '#{ n: 1 }', on_error: continue }
  b: { run: '()', with: { n: \"${{ steps.a?.n ?? 0 }}\" } }
",
    );
    run.starts(["a"]);
    run.fails("a");
    run.starts(["b"]);
    assert_eq!(run.instance("b").inputs, yaml("{ n: 0 }"));
    run.succeeds("b");
    run.ends(Outcome::Succeeded);
    assert_eq!(run.status("a"), Status::Failed);
}

#[test]
fn a_step_that_reads_what_a_failed_one_did_not_give_fails_with_a_hint() {
    let mut run = Story::of(
        "steps:
  a: { run: '#{ n: 1 }', on_error: continue }
  b: { run: '()', with: { n: \"${{ steps.a.n + 1 }}\" } }
",
    );
    run.starts(["a"]);
    run.fails("a");
    run.ends(Outcome::Failed);
    assert_eq!(run.error("b").code, "expression-failed");
    let hint = run.error("b").hint.as_deref();
    assert!(
        hint.is_some_and(|hint| hint.contains("steps.NAME?.OUTPUT")),
        "{hint:?}"
    );
}

#[test]
fn an_index_that_is_no_string_fails_with_a_hint_about_keys() {
    let text = "params: { i: int }
steps:
  a: { for_each: [x, y], run: '#{ n: 1 }' }
  b: { run: '()', with: { n: \"${{ steps.a[params.i] }}\" } }
";
    let mut run = Beginning::of(text, &[]).params("{ i: 1 }").go();
    run.starts(["a[x]", "a[y]"]);
    for item in ["a[x]", "a[y]"] {
        run.gives(item, "{ n: 1 }");
    }
    run.ends(Outcome::Failed);
    let hint = run.error("b").hint.as_deref();
    assert!(
        hint.is_some_and(|hint| hint.contains("strings") && hint.contains(".to_string()")),
        "{hint:?}"
    );
}

const FINALLY: &str = "steps:
  a: { run: '()' }
  b: { run: '()', needs: [a] }
finally:
  tell: { run: '()', with: { how: \"${{ run.status }}\" } }
  close: { run: '()', needs: [tell] }
";

#[test]
fn finally_runs_after_all_others_and_reads_how_the_run_went() {
    let mut run = Story::of(FINALLY);
    run.starts(["a"]);
    run.succeeds("a");
    run.starts(["b"]);
    run.succeeds("b");
    run.starts(["tell"]);
    assert_eq!(run.instance("tell").inputs, yaml("{ how: succeeded }"));
    run.succeeds("tell");
    run.starts(["close"]);
    run.succeeds("close");
    run.ends(Outcome::Succeeded);
}

#[test]
fn finally_runs_after_a_failure_and_the_run_has_failed_all_the_same() {
    let mut run = Story::of(FINALLY);
    run.starts(["a"]);
    run.fails("a");
    run.starts(["tell"]);
    assert_eq!(run.instance("tell").inputs, yaml("{ how: failed }"));
    run.succeeds("tell");
    run.starts(["close"]);
    run.succeeds("close");
    run.ends(Outcome::Failed);
}

#[test]
fn a_failure_in_finally_fails_the_run_and_stops_what_needs_it() {
    let mut run = Story::of(FINALLY);
    run.starts(["a"]);
    run.succeeds("a");
    run.starts(["b"]);
    run.succeeds("b");
    run.starts(["tell"]);
    run.fails("tell");
    run.ends(Outcome::Failed);
}

#[test]
fn finally_is_told_of_a_failure_that_only_the_outputs_will_have() {
    let mut run = Story::of(
        "steps: { a: { run: '#{ n: 1 }' } }
finally: { tell: { run: '()', with: { how: \"${{ run.status }}\" } } }
outputs: { n: \"${{ steps.a.n / 0 }}\" }
",
    );
    run.starts(["a"]);
    run.gives("a", "{ n: 1 }");
    run.starts(["tell"]);
    assert_eq!(run.instance("tell").inputs, yaml("{ how: failed }"));
}

#[test]
fn a_tolerated_failure_of_all_items_is_tolerated_once() {
    let mut run = Story::of(
        "steps:
  each: { run: '()', for_each: [x, y], on_error: continue }
  after: { run: '()', needs: [each] }
",
    );
    run.starts(["each[x]", "each[y]"]);
    run.fails("each[x]");
    run.fails("each[y]");
    run.starts(["after"]);
    assert_eq!(run.error("each").message, "2 of 2 failed: x, y");
}

#[test]
fn a_run_that_undoes_itself_begins_to_after_its_finally() {
    let text = format!("on_failure: undo\n{FINALLY}");
    let mut run = Beginning::of(&text, &[]).go();
    run.starts(["a"]);
    run.calls("a", "http::put", windlass_script::Class::Keyed);
    run.succeeds("a");
    run.starts(["b"]);
    run.fails("b");
    run.starts(["tell"]);
    run.succeeds("tell");
    run.starts(["close"]);
    run.succeeds("close");
    run.starts(["a!undo"]);
    run.succeeds("a!undo");
    run.ends(Outcome::Undone);
}

/// A step whose process died inside a call has not failed.
#[test]
fn a_step_in_doubt_is_not_tolerated_and_starts_no_undo() {
    let text = "on_failure: undo
steps:
  a: { run: '()' }
  b: { run: '()', needs: [a], on_error: continue }
  c: { run: '()', needs: [b] }
";
    let mut run = Story::of(text);
    run.starts(["a"]);
    run.calls("a", "http::put", Class::Keyed);
    run.succeeds("a");
    run.starts(["b"]);
    run.announces("b", "http::post", Class::Unsure);
    run.fails_with("b", "in-doubt");
    run.ends(Outcome::Failed);
    assert!(!run.state.is_undoing);
    // The answer is given before the run is resumed.
    run.resumes();
    run.starts(["b"]);
    run.fails("b");
    run.starts(["c"]);
    run.fails("c");
    run.starts(["b!undo"]);
}

#[test]
fn a_nested_step_in_doubt_is_not_tolerated_from_outside() {
    let inner = "workflow: inner\nsteps: { x: { for_each: [p, q], run: '()' } }\n";
    let text = "steps:
  sub: { workflow: inner.yaml, on_error: continue }
  after: { run: '()', needs: [sub] }
";
    for (code, follows) in [("script-threw", true), ("in-doubt", false)] {
        let mut run = Beginning::of(text, &[("inner.yaml", inner)]).go();
        run.starts(["sub/x[p]", "sub/x[q]"]);
        run.succeeds("sub/x[p]");
        run.announces("sub/x[q]", "http::post", Class::Unsure);
        run.fails_with("sub/x[q]", code);
        if follows {
            run.starts(["after"]);
        } else {
            run.ends(Outcome::Failed);
        }
    }
}

/// What an attempt did is unknown if its records were lost.
#[test]
fn a_lost_attempt_is_not_tolerated_and_starts_no_undo() {
    let text = "on_failure: undo
steps:
  a: { run: '()' }
  b: { run: '()', needs: [a], on_error: continue }
  c: { run: '()', needs: [b] }
";
    let mut run = Story::of(text);
    run.starts(["a"]);
    run.calls("a", "http::put", Class::Keyed);
    run.succeeds("a");
    run.starts(["b"]);
    run.fails_with("b", ATTEMPT_KILLED);
    run.ends(Outcome::Failed);
    assert!(!run.state.is_undoing);
}
