//! Steps with `when`, and what follows those that are skipped.

use super::{Beginning, Story, yaml};
use windlass_journal::{Outcome, Status};

#[test]
fn a_step_whose_condition_is_false_is_skipped_with_what_depends_only_on_it() {
    let text = "params: { region: string }
steps:
  a: { run: '()', when: \"${{ params.region == 'eu' }}\" }
  b: { run: '()', needs: [a] }
  c: { run: '()', needs: [b] }
";
    let mut run = Beginning::of(text, &[]).params("{ region: us }").go();
    run.ends(Outcome::Succeeded);
    run.skips("a", "`params.region == 'eu'` is false");
    run.skips("b", "a was skipped");
    run.skips("c", "b was skipped");

    let mut run = Beginning::of(text, &[]).params("{ region: eu }").go();
    run.starts(["a"]);
}

#[test]
fn a_step_runs_if_one_of_those_before_it_was_not_skipped() {
    let mut run = Story::of(
        "steps:
  a: { run: '()', when: \"${{ 1 > 2 }}\" }
  b: { run: '()' }
  c: { run: '()', needs: [a, b] }
",
    );
    run.starts(["b"]);
    run.succeeds("b");
    run.starts(["c"]);
}

#[test]
fn a_step_after_several_skipped_ones_names_them() {
    let mut run = Story::of(
        "steps:
  b: { run: '()', when: \"${{ 1 > 2 }}\" }
  a: { run: '()', when: \"${{ 1 > 2 }}\" }
  c: { run: '()', needs: [b, a] }
",
    );
    run.ends(Outcome::Succeeded);
    run.skips("c", "a, b were skipped");
}

#[test]
fn a_condition_is_evaluated_when_the_step_would_begin() {
    let mut run = Story::of(
        "steps:
  a: { run: '#{ ok: true }' }
  b: { run: '()', when: \"${{ steps.a.ok }}\" }
",
    );
    run.starts(["a"]);
    run.gives("a", "{ ok: false }");
    run.ends(Outcome::Succeeded);
    run.skips("b", "`steps.a.ok` is false");
}

#[test]
fn a_condition_skips_a_step_with_all_its_items() {
    let mut run =
        Story::of("steps: { each: { run: '()', for_each: [x, y], when: \"${{ 1 > 2 }}\" } }");
    run.ends(Outcome::Succeeded);
    assert_eq!(run.status("each"), Status::Skipped);
    assert_eq!(run.status("each[x]"), Status::Pending);
}

#[test]
fn what_a_skipped_step_did_not_give_reads_as_nothing() {
    let mut run = Story::of(
        "steps:
  a: { run: '#{ n: 1 }', when: \"${{ 1 > 2 }}\" }
  b: { run: '()' }
  c: { run: '()', needs: [b], with: { n: \"${{ steps.a?.n ?? 7 }}\" } }
",
    );
    run.starts(["b"]);
    run.succeeds("b");
    run.starts(["c"]);
    assert_eq!(run.instance("c").inputs, yaml("{ n: 7 }"));
}

#[test]
fn a_condition_that_is_no_bool_fails_the_step_with_a_hint() {
    let text = "params: { region: any }
steps: { a: { run: '()', when: \"${{ params.region }}\" } }
";
    let mut run = Beginning::of(text, &[]).params("{ region: eu }").go();
    run.ends(Outcome::Failed);
    assert_eq!(run.error("a").code, "wrong-type");
    assert_eq!(
        run.error("a").message,
        "`when` must be a bool, not a string"
    );
    assert!(run.error("a").hint.is_some());
}

#[test]
fn a_question_that_is_not_asked_does_not_stop_what_comes_after_it() {
    let mut run = Story::of(
        "steps:
  ask: { approval: Go?, when: \"${{ 1 > 2 }}\" }
  a: { run: '()', needs: [ask] }
",
    );
    run.starts(["a"]);
    run.skips("ask", "`1 > 2` is false");
}
