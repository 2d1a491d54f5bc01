//! Plans of edits and of `--redo`: what becomes of each step, and why.

use super::{Beginning, Story, people::Edit, program, yaml};
use crate::{
    decide::{FateKind, Unplannable},
    journal::Outcome,
};
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
fn played() -> Story {
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
fn a_redo_starts_a_step_over_with_all_that_depends_on_it() {
    let mut run = played();
    let same = run.program.clone();
    let edit = Edit {
        redo: &["b"],
        ..Edit::of(&same)
    };
    fates(
        &run,
        &edit,
        [
            ("a", Kept, "unchanged"),
            ("b", Again, "asked for with --redo"),
            ("c", Again, "`b` before it runs again"),
            ("d", Kept, "unchanged"),
        ],
    );
    run.resumes_with(&edit);
    run.starts(["b"]);
    run.succeeds("b");
    run.starts(["c"]);
}

#[test]
fn a_redo_of_a_step_that_changed_nothing_only_replays_what_comes_after_it() {
    let mut run = Story::of(
        "steps:
  check: { run: '()' }
  a: { run: '()', needs: [check] }
",
    );
    run.starts(["check"]);
    run.calls("check", "http::get", Class::Read);
    run.succeeds("check");
    run.starts(["a"]);
    run.calls("a", "http::put", Class::Keyed);
    run.succeeds("a");
    fates(
        &run,
        &Edit {
            redo: &["check"],
            ..Edit::of(&run.program)
        },
        [
            ("check", Again, "asked for with --redo"),
            ("a", Replayed, "`check` before it runs again"),
        ],
    );
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
fn finally_starts_over_if_steps_before_it_run() {
    let mut run = Story::of("steps: { a: { run: '()' } }\nfinally: { tell: { run: '()' } }");
    run.starts(["a"]);
    run.succeeds("a");
    run.starts(["tell"]);
    run.calls("tell", "http::post", Class::Unsure);
    run.succeeds("tell");
    let edit = Edit {
        redo: &["a"],
        ..Edit::of(&run.program)
    };
    let reason = "it is under `finally`, and steps before it run";
    let expected = [
        ("a", Again, "asked for with --redo"),
        ("tell", Again, reason),
    ];
    fates(&run, &edit, expected);
    let plan = run.plan(&edit).expect("a plan");
    assert_eq!(plan.fates[1].repeats, ["http::post ×1"]);
}

#[test]
fn a_step_that_starts_over_says_which_call_it_may_make_twice() {
    let mut run = Story::of("steps: { a: { run: '()' } }");
    run.starts(["a"]);
    run.announces("a", "http::post", Class::Unsure);
    run.fails("a");
    let same = run.program.clone();
    let in_doubt = "begins; http::post is in doubt: it needs --answer";
    fates(&run, &Edit::of(&same), [("a", GoesOn, in_doubt)]);
    let twice = "asked for with --redo; http::post is in doubt: it may have been made, and would be made another time";
    let edit = Edit {
        redo: &["a"],
        ..Edit::of(&same)
    };
    fates(&run, &edit, [("a", Again, twice)]);
}

#[test]
fn what_never_ran_or_was_not_chosen_can_not_run_again() {
    let mut run = Beginning::of("steps: { a: { run: '()' }, b: { run: '()' } }", &[])
        .chosen(["a"])
        .go();
    run.starts(["a"]);
    run.succeeds("a");
    let redo = |step: &str| {
        run.plan(&Edit {
            redo: &[step],
            ..Edit::of(&run.program)
        })
    };
    assert_eq!(
        redo("c").err(),
        Some(Unplannable::NothingToRedo("c".into()))
    );
    assert_eq!(redo("b").err(), Some(Unplannable::NotSelected("b".into())));
    assert!(redo("a").is_ok());
}

#[test]
fn a_failure_that_the_run_tolerated_is_kept() {
    let mut run = Story::of("steps: { a: { run: '()', on_error: continue }, b: { run: '()' } }");
    run.starts(["a", "b"]);
    run.fails("a");
    run.fails("b");
    let kept = "it failed, and the run continued without it";
    let expected = [("a", Kept, kept), ("b", GoesOn, "begins")];
    fates(&run, &Edit::of(&run.program), expected);
}

#[test]
fn a_script_that_no_longer_makes_its_calls_starts_over() {
    let mut run = Story::of("steps: { a: { run: '()' } }");
    run.starts(["a"]);
    run.calls("a", "http::put", Class::Keyed);
    run.fails_with("a", "diverged");
    let reason = "its script no longer makes the recorded calls";
    fates(&run, &Edit::of(&run.program), [("a", Again, reason)]);
}

#[test]
fn finally_starts_over_if_it_was_told_of_outputs_that_could_not_be_evaluated() {
    let text = "steps: { a: { run: '#{ n: 1 }' } }
finally: { tell: { run: '()', with: { how: \"${{ run.status }}\" } } }
outputs: { n: \"${{ steps.a.n / 0 }}\" }
";
    let mut run = Story::of(text);
    run.starts(["a"]);
    run.gives("a", "{ n: 4 }");
    run.starts(["tell"]);
    run.succeeds("tell");
    run.ends(Outcome::Failed);
    let edited = program(&text.replace("/ 0", "/ 2"), &[]);
    run.resumes_with(&Edit::of(&edited));
    run.starts(["tell"]);
    assert_eq!(run.instance("tell").inputs, yaml("{ how: succeeded }"));
    run.succeeds("tell");
    run.ends(Outcome::Succeeded);
    assert_eq!(run.state.outputs, yaml("{ n: 2 }"));
}
