//! Plans of edits: what becomes of each step, and why.

use super::{Story, people::Edit, program, yaml};
use crate::decide::FateKind;
use windlass_journal::Outcome;
use windlass_script::Class;

use FateKind::{Again, GoesOn, Kept, LooksAgain, New, Removed, Replayed};

/// Expects these fates, in this order.
#[track_caller]
pub fn fates<const N: usize>(run: &Story, edit: &Edit, expected: [(&str, FateKind, &str); N]) {
    let plan = run.plan(edit).expect("a plan");
    let fates = plan.fates.iter();
    let fates: Vec<_> = fates
        .map(|fate| (fate.step.as_str(), fate.kind, fate.reason.as_str()))
        .collect();
    assert_eq!(fates, expected);
}

const TEXT: &str = "params: { n: { type: int, default: 1 } }
steps:
  a: { run: '#{ x: 1 }', with: { n: \"${{ params.n }}\" } }
  b: { run: '()', with: { x: \"${{ steps.a.x }}\" } }
  c: { run: '()', needs: [b] }
  d: { run: '()' }
";

/// Plays all steps of [`TEXT`] but `c`, which fails. `a` and `b` change something.
pub fn played() -> Story {
    let mut run = Story::of(TEXT);
    run.starts(["a", "d"]);
    run.succeeds("d");
    run.calls("a", "http::put", Class::Keyed);
    run.gives("a", "{ x: 1 }");
    run.starts(["b"]);
    run.calls("b", "http::put", Class::Keyed);
    run.succeeds("b");
    run.starts(["c"]);
    run.calls("c", "http::get", Class::Read);
    run.fails("c");
    run.ends(Outcome::Failed);
    run
}

#[test]
fn without_a_change_all_is_kept_and_the_failed_step_continues() {
    let run = played();
    fates(
        &run,
        &Edit::of(&run.program),
        [
            ("a", Kept, "unchanged"),
            ("b", Kept, "unchanged"),
            ("c", GoesOn, "reads again"),
            ("d", Kept, "unchanged"),
        ],
    );
}

#[test]
fn another_param_starts_over_what_reads_it_with_all_that_depends_on_it() {
    let mut run = played();
    let same = run.program.clone();
    let edit = Edit {
        params: "{ n: 2 }",
        ..Edit::of(&same)
    };
    fates(
        &run,
        &edit,
        [
            ("a", Again, "its input `n` has changed (params.n)"),
            ("b", Again, "`a` before it runs again"),
            ("c", Again, "`b` before it runs again"),
            ("d", Kept, "unchanged"),
        ],
    );
    let plan = run.plan(&edit).expect("a plan");
    assert_eq!(plan.fates[0].repeats, ["http::put ×1"]);
    run.resumes_with(&edit);
    run.starts(["a"]);
    assert_eq!(run.instance("a").inputs, yaml("{ n: 2 }"));
    assert_eq!(run.instance("a").round, 1);
}

#[test]
fn a_changed_script_is_replayed_and_what_reads_it_too() {
    let mut run = played();
    let edited = TEXT.replace("run: '#{ x: 1 }'", "run: '#{ x: 2 }'");
    let edited = program(&edited, &[]);
    fates(
        &run,
        &Edit::of(&edited),
        [
            ("a", Replayed, "its script (test.yaml) has changed"),
            ("b", Replayed, "`a` before it runs again"),
            ("c", GoesOn, "`b` before it runs again; reads again"),
            ("d", Kept, "unchanged"),
        ],
    );
    run.resumes_with(&Edit::of(&edited));
    run.starts(["a"]);
    assert_eq!(
        (run.instance("a").round, run.instance("a").effects.len()),
        (0, 1)
    );
}

#[test]
fn a_new_step_runs_and_one_that_is_gone_is_told() {
    let mut run = played();
    let edited = TEXT.replace("  d: { run: '()' }", "  e: { run: '()' }");
    let edited = program(&edited, &[]);
    fates(
        &run,
        &Edit::of(&edited),
        [
            ("a", Kept, "unchanged"),
            ("b", Kept, "unchanged"),
            ("c", GoesOn, "reads again"),
            ("e", New, "new in the workflow"),
            ("d", Removed, "no longer in the workflow"),
        ],
    );
    run.resumes_with(&Edit::of(&edited));
    run.starts(["c", "e"]);
}

#[test]
fn a_fresh_step_looks_again_when_something_before_it_runs() {
    let text = "steps:
  a: { run: '()' }
  verify: { run: '()', fresh: true, needs: [a] }
";
    let mut run = Story::of(text);
    run.starts(["a"]);
    run.calls("a", "http::put", Class::Keyed);
    run.succeeds("a");
    run.starts(["verify"]);
    run.succeeds("verify");
    let kept = [
        ("a", Kept, "unchanged"),
        ("verify", Kept, "no step before it runs again"),
    ];
    fates(&run, &Edit::of(&run.program), kept);
    let edited = program(&text.replacen("'()'", "'1; ()'", 1), &[]);
    fates(
        &run,
        &Edit::of(&edited),
        [
            ("a", Replayed, "its script (test.yaml) has changed"),
            ("verify", LooksAgain, "`a` before it runs again"),
        ],
    );
}

#[test]
fn a_renamed_step_is_told_to_make_its_calls_again() {
    let run = played();
    let edited = TEXT.replace("  a: {", "  first: {");
    let edited = edited.replace("steps.a.x", "steps.first.x");
    let edited = program(&edited, &[]);
    let edit = Edit::of(&edited);
    fates(
        &run,
        &edit,
        [
            (
                "first",
                New,
                "new in the workflow, and does what `a` did, which is removed: if only its name has changed, keep the name",
            ),
            ("b", Replayed, "`first` before it runs"),
            ("c", GoesOn, "`b` before it runs again; reads again"),
            ("d", Kept, "unchanged"),
            (
                "a",
                Removed,
                "no longer in the workflow; what it did stays done: http::put ×1",
            ),
        ],
    );
    let plan = run.plan(&edit).expect("a plan");
    assert_eq!(plan.fates[0].repeats, ["http::put ×1"]);
}
