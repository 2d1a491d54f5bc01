//! What an undo visits, and in which order.

use super::{Beginning, Story, people::Edit, program, undone::chain};
use crate::decide::undo_order;
use windlass_journal::Outcome;
use windlass_script::Class;

/// A script with its own undo.
const OWN_UNDO: (&str, &str) = (
    "s.rhai",
    "fn run(inputs) { #{} }\nfn undo(inputs, outputs) { }\n",
);

fn order(run: &Story) -> Vec<String> {
    let order = undo_order(&run.program.workflow, &run.state);
    order.iter().map(ToString::to_string).collect()
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
    run.fails_with("a", windlass_journal::ATTEMPT_KILLED);
    assert_eq!(order(&run), ["a"]);
}

#[test]
fn a_step_that_is_to_run_again_and_has_not_keeps_its_place() {
    let text = "steps: { a: { run: '()' }, b: { run: '()', lock: mesh } }";
    let mut run = Beginning::of(text, &[]).at_most(1).go();
    for step in ["a", "b"] {
        run.starts([step]);
        run.calls(step, "http::put", Class::Keyed);
        run.succeeds(step);
    }
    run.elsewhere.insert("mesh".into());
    let same = run.program.clone();
    run.resumes_with(&Edit {
        redo: &["b"],
        ..Edit::of(&same)
    });
    run.waits();
    assert_eq!(order(&run), ["b", "a"]);
}
