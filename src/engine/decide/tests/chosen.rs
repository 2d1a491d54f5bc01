//! Runs of a part of a workflow: `--only` and `--until`.

use std::collections::BTreeSet;

use super::{Beginning, Story, program, yaml};
use crate::decide::{approval_left_out, reads_of, steps_until};
use windlass_journal::Outcome;

const TEXT: &str = "steps:
  a: { run: '#{ n: 1 }' }
  b: { run: '()', needs: [a] }
  c: { run: '()', needs: [b] }
  other: { run: '()' }
finally: { tell: { run: '()' } }
outputs: { n: \"${{ steps.a.n }}\", fixed: 1 }
";

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn chosen(steps: &[&str]) -> Story {
    Beginning::of(TEXT, &[]).chosen(names(steps)).go()
}

#[test]
fn only_the_chosen_steps_run_and_finally() {
    let mut run = chosen(&["b", "c"]);
    // `a` was left out: that does not skip `b`.
    run.starts(["b"]);
    run.skips("a", "it was not selected");
    run.skips("other", "it was not selected");
    run.succeeds("b");
    run.starts(["c"]);
    run.succeeds("c");
    run.starts(["tell"]);
    run.succeeds("tell");
    run.ends(Outcome::Succeeded);
    // An output that reads a step that was left out does not exist.
    assert_eq!(run.state.outputs, yaml("{ fixed: 1 }"));
}

#[test]
fn until_is_all_that_a_step_depends_on_and_itself() {
    let workflow = program(TEXT, &[]).workflow;
    assert_eq!(steps_until(&workflow, "b"), Some(names(&["a", "b"])));
    assert_eq!(steps_until(&workflow, "c"), Some(names(&["a", "b", "c"])));
    assert_eq!(steps_until(&workflow, "nothing"), None);
}

#[test]
fn a_chosen_step_is_still_skipped_by_its_condition() {
    let text = "steps:
  a: { run: '()', when: \"${{ 1 > 2 }}\" }
  b: { run: '()', needs: [a] }
";
    let mut run = Beginning::of(text, &[]).chosen(["a", "b"]).go();
    run.ends(Outcome::Succeeded);
    run.skips("a", "`1 > 2` is false");
    run.skips("b", "a was skipped");
}

#[test]
fn the_choice_is_one_of_the_steps_of_the_workflow_itself() {
    let text = "steps: { sub: { workflow: inner.yaml }, x: { run: '()' } }";
    let inner = "workflow: inner\nsteps: { x: { run: '()' }, y: { run: '()' } }";
    let run = Beginning::of(text, &[("inner.yaml", inner)]);
    let mut run = run.chosen(["sub"]).go();
    run.starts(["sub/x", "sub/y"]);
}

#[test]
fn an_approval_that_would_be_left_out_is_found_wherever_it_is() {
    let text = "steps:
  ask: { approval: Go? }
  sub: { workflow: inner.yaml, needs: [ask] }
  a: { run: '()', needs: [sub] }
  b: { run: '()' }
";
    let inner = "workflow: inner\nsteps: { ask: { approval: Really? } }";
    let workflow = program(text, &[("inner.yaml", inner)]).workflow;
    let left_out = |step: &str, chosen: &[&str]| approval_left_out(&workflow, step, &names(chosen));
    assert_eq!(left_out("a", &["a", "ask"]).as_deref(), Some("sub"));
    assert_eq!(left_out("a", &["a", "sub"]).as_deref(), Some("ask"));
    assert_eq!(left_out("a", &["a", "sub", "ask"]), None);
    assert_eq!(left_out("b", &["b"]), None);
    // The step itself is chosen by its name.
    assert_eq!(left_out("ask", &[]), None);
}

#[test]
fn what_a_step_reads_is_found_in_all_of_its_expressions() {
    let text = "steps:
  a: { run: '#{ n: 1 }' }
  b: { run: '#{ n: 1 }' }
  c: { run: '#{ n: [] }' }
  d: { run: '()', needs: [a], when: \"${{ steps.b.n > 0 }}\", for_each: \"${{ steps.c.n }}\" }
";
    let workflow = program(text, &[]).workflow;
    let step = workflow.step_named("d").expect("a step");
    assert_eq!(reads_of(step), names(&["b", "c"]));
}
