//! Retries: when the next attempt begins, and with what.

use std::time::Duration;

use super::Story;
use windlass_journal::{Outcome, Status};

const RETRIED: &str = "steps:
  a: { run: '()', retry: { attempts: 3, backoff: 1s..30s }, with: { n: \"${{ 1 + 1 }}\" } }
";

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_failed_step_begins_again_when_its_pause_is_over_and_not_before() {
    let mut run = Story::of(RETRIED);
    run.starts(["a"]);
    run.fails_for("a", 10 * SECOND);
    run.waits();
    assert_eq!(run.wakes_at, Some(run.now + 10 * SECOND));
    run.passes(9 * SECOND);
    run.waits();
    run.passes(SECOND);
    run.starts(["a"]);
    assert_eq!(run.wakes_at, None);
    assert_eq!(run.instance("a").attempt, 2);
    run.succeeds("a");
    run.ends(Outcome::Succeeded);
}

#[test]
fn a_retry_keeps_the_inputs_of_the_first_attempt() {
    let mut run = Story::of(RETRIED);
    run.starts(["a"]);
    let inputs = run.instance("a").inputs.clone();
    run.fails_for("a", SECOND);
    run.passes(SECOND);
    run.starts(["a"]);
    assert_eq!(run.instance("a").inputs, inputs);
    // They are recorded once.
    assert_eq!(
        format!("{:?}", run.history).matches("inputs: Some").count(),
        1
    );
}

#[test]
fn a_clock_that_was_set_back_does_not_hold_up_a_retry() {
    let mut run = Story::of(RETRIED);
    run.starts(["a"]);
    run.fails_for("a", 30 * SECOND);
    run.now -= 600 * SECOND;
    run.decide();
    run.starts(["a"]);
}

#[test]
fn the_run_wakes_for_the_earliest_of_its_retries() {
    let mut run = Story::of(
        "steps:
  a: { run: '()', retry: { attempts: 2 } }
  b: { run: '()', retry: { attempts: 2 } }
",
    );
    run.starts(["a", "b"]);
    run.fails_for("a", 20 * SECOND);
    run.fails_for("b", 5 * SECOND);
    assert_eq!(run.wakes_at, Some(run.now + 5 * SECOND));
    run.passes(5 * SECOND);
    run.starts(["b"]);
    assert_eq!(run.wakes_at, Some(run.now + 15 * SECOND));
}

#[test]
fn one_item_is_retried_while_the_others_go_on() {
    let mut run = Story::of(
        "steps: { each: { run: '()', for_each: [x, y, z], max_parallel: 2, retry: { attempts: 2 } } }",
    );
    run.starts(["each[x]", "each[y]"]);
    run.fails_for("each[x]", 5 * SECOND);
    // It still counts as one of the two.
    run.waits();
    run.succeeds("each[y]");
    run.starts(["each[z]"]);
    run.passes(5 * SECOND);
    run.starts(["each[x]"]);
    assert_eq!(run.status("each"), Status::Running);
}

#[test]
fn a_step_that_waits_for_its_retry_keeps_those_after_it_waiting() {
    let mut run = Story::of(
        "steps:
  a: { run: '()', retry: { attempts: 2 } }
  b: { run: '()', needs: [a] }
finally: { tell: { run: '()' } }
",
    );
    run.starts(["a"]);
    run.fails_for("a", SECOND);
    run.waits();
    run.passes(SECOND);
    run.starts(["a"]);
    run.fails("a");
    run.starts(["tell"]);
}
