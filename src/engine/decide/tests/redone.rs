//! Plans of `--redo`, and of what starts over or stays for another reason than an edit.

use super::{
    Beginning, Story,
    people::Edit,
    planned::{fates, played},
    program, yaml,
};
use crate::decide::{FateKind, Unplannable};
use windlass_journal::Outcome;
use windlass_script::Class;

use FateKind::{Again, GoesOn, Kept, New, Replayed};

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

/// What is inside of a step that starts over has no fate of its own, and may be asked for all the same.
#[test]
fn an_item_of_what_starts_over_may_be_asked_for_too() {
    let text = "steps:
  list: { run: '#{ names: [] }' }
  work: { for_each: \"${{ steps.list.names }}\", run: '()' }
";
    let mut run = Story::of(text);
    run.starts(["list"]);
    run.gives("list", "{ names: [x, y] }");
    run.starts(["work[x]", "work[y]"]);
    run.succeeds("work[x]");
    run.succeeds("work[y]");
    run.ends(Outcome::Succeeded);
    for redo in [&["list", "work[x]"], &["work", "work[x]"]] {
        let edit = Edit {
            redo,
            ..Edit::of(&run.program)
        };
        assert!(run.plan(&edit).is_ok(), "{redo:?}");
    }
    let fewer = program("steps: { list: { run: '#{ names: [] }' } }", &[]);
    let edit = Edit {
        redo: &["work[x]"],
        ..Edit::of(&fewer)
    };
    let gone = Some(Unplannable::Gone("work[x]".into()));
    assert_eq!(run.plan(&edit).err(), gone);
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
    let edited = program("steps: { a: { run: '1; ()' } }", &[]);
    fates(&run, &Edit::of(&edited), [("a", Again, reason)]);
    // The same script stops at the same place.
    let stops = format!("{reason}, and stops there again: --redo starts it over");
    fates(&run, &Edit::of(&run.program), [("a", GoesOn, &stops)]);
}

#[test]
fn a_step_that_was_to_run_again_and_has_not_makes_its_calls_again() {
    let mut run = Story::of(
        "steps:
  a: { run: '()' }
  b: { run: '()', needs: [a] }
",
    );
    run.starts(["a"]);
    run.calls("a", "http::put", Class::Keyed);
    run.succeeds("a");
    run.starts(["b"]);
    run.calls("b", "http::put", Class::Keyed);
    run.calls("b", "http::post", Class::Unsure);
    run.succeeds("b");
    run.ends(Outcome::Succeeded);
    let same = run.program.clone();
    run.resumes_with(&Edit {
        redo: &["a"],
        ..Edit::of(&same)
    });
    run.starts(["a"]);
    run.fails("a");
    run.ends(Outcome::Failed);
    let plan = run.plan(&Edit::of(&same)).expect("a plan");
    let b = &plan.fates[1];
    assert_eq!((b.kind, b.reason.as_str()), (New, "has not run again yet"));
    assert_eq!(b.repeats, ["http::post ×1", "http::put ×1"]);
    // The newest round of `b` has made one of its two calls.
    run.resumes();
    run.starts(["a"]);
    run.succeeds("a");
    run.starts(["b"]);
    run.calls("b", "http::put", Class::Keyed);
    run.fails("b");
    run.ends(Outcome::Failed);
    let plan = run.plan(&Edit {
        redo: &["b"],
        ..Edit::of(&same)
    });
    let plan = plan.expect("a plan");
    assert_eq!(plan.fates[1].repeats, ["http::post ×1", "http::put ×1"]);
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

#[test]
fn a_step_that_was_left_out_and_not_reached_is_kept() {
    let text = "steps: { a: { run: '()' }, b: { run: '()', needs: [a] } }";
    let mut run = Beginning::of(text, &[]).chosen(["a"]).go();
    run.starts(["a"]);
    run.fails("a");
    run.ends(Outcome::Failed);
    let expected = [("a", GoesOn, "begins"), ("b", Kept, "was not selected")];
    fates(&run, &Edit::of(&run.program), expected);
}

#[test]
fn finally_is_kept_if_the_run_went_as_it_was_told() {
    let mut run = Story::of(
        "steps: { a: { run: '()' } }
finally: { tell: { run: '()', with: { how: \"${{ run.status }}\" } } }
",
    );
    run.starts(["a"]);
    run.succeeds("a");
    run.starts(["tell"]);
    run.succeeds("tell");
    run.ends(Outcome::Succeeded);
    let expected = [("a", Kept, "unchanged"), ("tell", Kept, "unchanged")];
    fates(&run, &Edit::of(&run.program), expected);
}

#[test]
fn finally_starts_over_if_outputs_failed_even_if_it_does_not_read_that() {
    let text = "steps: { a: { run: '#{ n: 1 }' } }
finally: { tell: { run: '()' } }
outputs: { n: \"${{ steps.a.n / 0 }}\" }
";
    let mut run = Story::of(text);
    run.starts(["a"]);
    run.gives("a", "{ n: 4 }");
    run.starts(["tell"]);
    run.succeeds("tell");
    run.ends(Outcome::Failed);
    let reason = "it is under `finally`, and steps before it run";
    let expected = [("a", Kept, "unchanged"), ("tell", Again, reason)];
    fates(&run, &Edit::of(&run.program), expected);
}

#[test]
fn a_finally_that_a_success_has_skipped_stays_skipped() {
    let mut run = Story::of(
        "steps: { a: { run: '()' } }
finally: { warn: { run: '()', when: \"${{ run.status != 'succeeded' }}\" } }
",
    );
    run.starts(["a"]);
    run.succeeds("a");
    run.ends(Outcome::Succeeded);
    let expected = [("a", Kept, "unchanged"), ("warn", Kept, "stays skipped")];
    fates(&run, &Edit::of(&run.program), expected);
}
