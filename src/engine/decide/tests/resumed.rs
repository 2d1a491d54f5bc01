//! Plain resumes: what is kept, and what starts over.

use std::time::Duration;

use super::{Beginning, Story};
use crate::decide::{ended_by_rejection, wanted_locks};
use windlass_journal::{Outcome, Status, Verdict};
use windlass_script::Class;

#[test]
fn what_succeeded_is_kept_and_what_failed_runs_again_with_what_follows() {
    let mut run = Story::of(
        "steps:
  a: { run: '()' }
  b: { run: '()', needs: [a] }
  c: { run: '()', needs: [b] }
",
    );
    run.starts(["a"]);
    run.succeeds("a");
    run.starts(["b"]);
    run.calls("b", "http::put", Class::Keyed);
    run.fails("b");
    run.ends(Outcome::Failed);
    run.resumes();
    run.starts(["b"]);
    // Its calls are replayed: it is the same round.
    assert_eq!((run.instance("b").attempt, run.instance("b").round), (2, 0));
    assert_eq!(run.instance("b").effects.len(), 1);
    run.succeeds("b");
    run.starts(["c"]);
}

#[test]
fn a_run_whose_process_died_goes_on_with_the_attempts_that_ran() {
    let mut run = Story::of(
        "steps:
  a: { run: '()' }
  b: { run: '()' }
  each: { run: '()', for_each: [x, y] }
",
    );
    run.starts(["a", "b", "each[x]", "each[y]"]);
    run.succeeds("a");
    run.succeeds("each[x]");
    run.dies();
    run.resumes();
    run.starts(["b", "each[y]"]);
}

#[test]
fn a_tolerated_failure_stays_and_a_failed_item_of_the_others_runs_again() {
    let mut run = Story::of(
        "steps:
  tolerated: { run: '()', on_error: continue }
  each: { run: '()', for_each: [x, y] }
",
    );
    run.starts(["tolerated", "each[x]", "each[y]"]);
    run.fails("tolerated");
    run.succeeds("each[x]");
    run.fails("each[y]");
    run.ends(Outcome::Failed);
    run.resumes();
    run.starts(["each[y]"]);
    run.succeeds("each[y]");
    run.ends(Outcome::Succeeded);
    assert_eq!(run.status("tolerated"), Status::Failed);
}

#[test]
fn a_rejected_question_stays_rejected() {
    let mut run = Story::of("steps: { ask: { approval: Go? }, a: { run: '()', needs: [ask] } }");
    run.answer("ask", "bob", Verdict::Rejected)
        .expect("it counts");
    run.ends(Outcome::Failed);
    let ended = ended_by_rejection(&run.program.workflow, &run.state);
    assert_eq!(ended.expect("a question").as_str(), "ask");
    run.resumes();
    run.ends(Outcome::Failed);
}

#[test]
fn a_run_that_also_failed_otherwise_was_not_ended_by_a_rejection() {
    let mut run = Story::of("steps: { ask: { approval: Go? }, a: { run: '()' } }");
    run.starts(["a"]);
    run.answer("ask", "bob", Verdict::Rejected)
        .expect("it counts");
    run.fails("a");
    run.ends(Outcome::Failed);
    assert_eq!(ended_by_rejection(&run.program.workflow, &run.state), None);
}

#[test]
fn a_question_waits_on_with_its_deadline() {
    let mut run = Story::of("steps: { ask: { approval: Go?, timeout: 1h } }");
    let deadline = run.wakes_at;
    let shown = run.decision("ask", "bob", &[], Verdict::Approved);
    run.dies();
    run.now += Duration::from_secs(60);
    run.resumes();
    assert_eq!((run.asks, run.wakes_at), (1, deadline));
    run.send(&shown).expect("it is the same question");
}

const FINALLY: &str = "steps:
  a: { run: '()' }
finally:
  tell: { run: '()' }
  close: { run: '()', needs: [tell] }
";

#[test]
fn finally_runs_again_after_a_step_that_runs_again() {
    let mut run = Story::of(FINALLY);
    run.starts(["a"]);
    run.fails("a");
    for step in ["tell", "close"] {
        run.starts([step]);
        run.succeeds(step);
    }
    run.ends(Outcome::Failed);
    run.resumes();
    run.starts(["a"]);
    run.succeeds("a");
    run.starts(["tell"]);
    assert_eq!(run.instance("tell").round, 1);
}

#[test]
fn a_run_that_was_interrupted_in_its_finally_continues_there() {
    let mut run = Story::of(FINALLY);
    run.starts(["a"]);
    run.fails("a");
    run.starts(["tell"]);
    run.succeeds("tell");
    run.starts(["close"]);
    run.dies();
    run.resumes();
    run.starts(["close"]);
    run.succeeds("close");
    run.ends(Outcome::Failed);
    // Another resume tries the step again.
    run.resumes();
    run.starts(["a"]);
}

#[test]
fn only_a_finally_that_failed_runs_again_if_all_before_it_is_done() {
    let mut run = Story::of(FINALLY);
    run.starts(["a"]);
    run.succeeds("a");
    run.starts(["tell"]);
    run.succeeds("tell");
    run.starts(["close"]);
    run.fails("close");
    run.ends(Outcome::Failed);
    run.resumes();
    run.starts(["close"]);
    assert_eq!(run.instance("tell").round, 0);
}

#[test]
fn a_run_that_was_interrupted_while_it_was_cancelled_stays_cancelled() {
    let mut run = Story::of(FINALLY);
    run.starts(["a"]);
    run.is_cancelled();
    run.stops("a");
    run.starts(["tell"]);
    run.dies();
    run.resumes();
    run.starts(["tell"]);
    run.succeeds("tell");
    run.starts(["close"]);
    run.succeeds("close");
    run.ends(Outcome::Cancelled);
}

#[test]
fn a_retry_begins_at_once_when_a_run_is_resumed_and_counts_its_attempts_anew() {
    let mut run = Story::of("steps: { a: { run: '()', retry: { attempts: 2, backoff: 1h } } }");
    run.starts(["a"]);
    run.fails_for("a", Duration::from_secs(3600));
    run.dies();
    run.resumes();
    run.starts(["a"]);
    assert_eq!((run.instance("a").attempt, run.instance("a").tries), (2, 1));
}

#[test]
fn a_resumed_run_needs_its_locks_again() {
    let mut run = Story::of("lock: mesh\nsteps: { a: { run: '()', lock: ring } }");
    run.starts(["a"]);
    run.fails("a");
    run.ends(Outcome::Failed);
    let wanted = |run: &Story| wanted_locks(&run.program.workflow, &run.state, "run-1", run.now);
    assert_eq!(wanted(&run), ["mesh"]);
    run.elsewhere.insert("ring".into());
    run.resumes();
    run.waits();
    assert_eq!((run.held(), run.wanted()), (vec!["mesh"], vec!["ring"]));
    assert_eq!(wanted(&run), ["ring"]);
}

#[test]
fn a_nested_workflow_continues_where_it_was() {
    let text = "steps: { sub: { workflow: inner.yaml } }";
    let inner = "workflow: inner
steps: { x: { run: '()' }, y: { run: '()', needs: [x] } }
finally: { tell: { run: '()' } }
";
    let mut run = Beginning::of(text, &[("inner.yaml", inner)]).go();
    run.starts(["sub/x"]);
    run.succeeds("sub/x");
    run.starts(["sub/y"]);
    run.fails("sub/y");
    run.starts(["sub/tell"]);
    run.succeeds("sub/tell");
    run.ends(Outcome::Failed);
    run.resumes();
    run.starts(["sub/y"]);
    run.succeeds("sub/y");
    run.starts(["sub/tell"]);
    run.succeeds("sub/tell");
    run.ends(Outcome::Succeeded);
}

#[test]
fn a_finally_with_a_call_in_doubt_is_not_started_over() {
    let mut run = Story::of(FINALLY);
    run.starts(["a"]);
    run.fails("a");
    run.starts(["tell"]);
    run.announces("tell", "http::post", Class::Unsure);
    run.fails_with("tell", "in-doubt");
    run.ends(Outcome::Failed);
    run.resumes();
    run.starts(["a"]);
    run.succeeds("a");
    run.starts(["tell"]);
    // Its records are there, so the gate asks a person.
    assert_eq!(
        (
            run.instance("tell").round,
            run.instance("tell").effects.len()
        ),
        (0, 1)
    );
}

#[test]
fn a_tolerated_failure_before_finally_does_not_start_it_over() {
    let text = FINALLY.replace("a: { run: '()' }", "a: { run: '()', on_error: continue }");
    let mut run = Story::of(&text);
    run.starts(["a"]);
    run.fails("a");
    run.starts(["tell"]);
    run.succeeds("tell");
    run.starts(["close"]);
    run.fails("close");
    run.ends(Outcome::Failed);
    run.resumes();
    run.starts(["close"]);
    assert_eq!(run.instance("tell").round, 0);
}

/// The whole of a `for_each` is tolerated, or none of its items: what failed beside an item in doubt runs again, with its `finally`.
#[test]
fn an_item_beside_one_in_doubt_runs_again_as_a_whole() {
    let inner = "workflow: inner
steps: { s: { run: '()' } }
finally: { tidy: { run: '()' } }
";
    let text = "steps: { each: { for_each: [a, b], on_error: continue, workflow: inner.yaml } }";
    let mut run = Beginning::of(text, &[("inner.yaml", inner)]).go();
    run.starts(["each[a]/s", "each[b]/s"]);
    run.fails("each[a]/s");
    run.starts(["each[a]/tidy"]);
    run.succeeds("each[a]/tidy");
    run.announces("each[b]/s", "http::post", Class::Unsure);
    run.fails_with("each[b]/s", "in-doubt");
    run.starts(["each[b]/tidy"]);
    run.succeeds("each[b]/tidy");
    run.ends(Outcome::Failed);
    run.resumes();
    run.starts(["each[a]/s", "each[b]/s"]);
    assert_eq!(run.instance("each[a]/tidy").round, 1);
}
