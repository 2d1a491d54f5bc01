//! Workflows within a workflow.

use super::{Beginning, Story, yaml};
use windlass_journal::{Outcome, Status};

const INNER: &str = "workflow: inner
params: { name: string, times: { type: int, default: 2 } }
steps:
  x: { run: '#{ n: 1 }', with: { name: \"${{ params.name }}\" } }
  y: { run: '()', needs: [x] }
outputs: { n: \"${{ steps.x.n * params.times }}\" }
";

fn nested(text: &str) -> Story {
    Beginning::of(text, &[("inner.yaml", INNER)]).go()
}

#[test]
fn the_steps_of_a_nested_workflow_run_inside_of_its_step() {
    let mut run = nested(
        "steps:
  sub: { workflow: inner.yaml, with: { name: N } }
  after: { run: '()', with: { n: \"${{ steps.sub.n }}\" } }
",
    );
    run.starts(["sub/x"]);
    assert_eq!(run.instance("sub/x").inputs, yaml("{ name: N }"));
    run.gives("sub/x", "{ n: 21 }");
    run.starts(["sub/y"]);
    run.succeeds("sub/y");
    run.starts(["after"]);
    assert_eq!(run.instance("after").inputs, yaml("{ n: 42 }"));
}

#[test]
fn a_nested_workflow_runs_for_each_item() {
    let mut run = nested(
        "steps:
  sub: { workflow: inner.yaml, for_each: [p, q], with: { name: \"${{ item }}\" } }
",
    );
    run.starts(["sub[p]/x", "sub[q]/x"]);
    assert_eq!(run.instance("sub[q]/x").inputs, yaml("{ name: q }"));
    for item in ["p", "q"] {
        run.gives(&format!("sub[{item}]/x"), "{ n: 1 }");
        run.starts([&*format!("sub[{item}]/y")]);
        run.succeeds(&format!("sub[{item}]/y"));
    }
    run.ends(Outcome::Succeeded);
    let outputs = yaml("{ p: { n: 2 }, q: { n: 2 } }");
    assert_eq!(run.instance("sub").outputs, outputs);
}

#[test]
fn a_failure_inside_fails_the_step_and_names_what_failed() {
    let mut run = nested("steps: { sub: { workflow: inner.yaml, with: { name: N } } }");
    run.starts(["sub/x"]);
    run.fails("sub/x");
    run.ends(Outcome::Failed);
    assert_eq!(run.error("sub").code, "steps-failed");
    assert_eq!(run.error("sub").message, "failed steps: x");
}

#[test]
fn a_failure_inside_is_tolerated_by_the_step_around_it() {
    let mut run = nested(
        "steps:
  sub: { workflow: inner.yaml, with: { name: N }, on_error: continue }
  after: { run: '()', needs: [sub] }
",
    );
    run.starts(["sub/x"]);
    run.fails("sub/x");
    run.starts(["after"]);
    run.succeeds("after");
    run.ends(Outcome::Succeeded);
}

#[test]
fn params_that_do_not_fit_fail_the_step_where_they_are_written() {
    let text = "params: { name: any }
steps:
  sub: { workflow: inner.yaml, with: { name: \"${{ params.name }}\" } }
";
    let run = Beginning::of(text, &[("inner.yaml", INNER)]);
    let mut run = run.params("{ name: [1] }").go();
    run.ends(Outcome::Failed);
    assert_eq!(run.error("sub").code, "wrong-type");
    assert_eq!(
        run.error("sub").place.as_ref().map(|place| place.line),
        Some(4)
    );
}

#[test]
fn a_nested_workflow_has_a_finally_of_its_own() {
    let text = "steps: { sub: { workflow: inner.yaml }, after: { run: '()', needs: [sub] } }";
    let inner = "workflow: inner
steps: { x: { run: '()' } }
finally: { tell: { run: '()', with: { how: \"${{ run.status }}\" } } }
";
    let mut run = Beginning::of(text, &[("inner.yaml", inner)]).go();
    run.starts(["sub/x"]);
    run.fails("sub/x");
    run.starts(["sub/tell"]);
    assert_eq!(run.instance("sub/tell").inputs, yaml("{ how: failed }"));
    run.succeeds("sub/tell");
    run.ends(Outcome::Failed);
    assert_eq!(run.status("after"), Status::Pending);
}

#[test]
fn the_limit_of_a_run_counts_what_is_inside_of_nested_workflows() {
    let text = "steps: { sub: { workflow: inner.yaml, for_each: [p, q, r] } }";
    let inner = "workflow: inner\nsteps: { x: { run: '()' }, y: { run: '()' } }";
    let run = Beginning::of(text, &[("inner.yaml", inner)]);
    let mut run = run.at_most(3).go();
    run.starts(["sub[p]/x", "sub[p]/y", "sub[q]/x"]);
    run.succeeds("sub[p]/x");
    run.starts(["sub[q]/y"]);
    run.succeeds("sub[p]/y");
    run.starts(["sub[r]/x"]);
}
