//! Plans of edits: items, questions, skipped steps and nested workflows.

use super::{Beginning, Story, id, people::Edit, planned::fates, program, yaml};
use crate::decide::{FateKind, Unplannable};
use windlass_journal::{Event, Outcome, Status, Verdict};
use windlass_script::Class;

use FateKind::{Again, GoesOn, Kept, New, Removed, Replayed, Skipped};

/// A list whose items are params.
const EACH: &str = "params: { items: \"list(any)\" }
steps: { each: { run: '()', for_each: \"${{ params.items }}\", with: { n: \"${{ item }}\" } } }
";

#[test]
fn a_list_that_grows_keeps_the_items_that_are_done() {
    let mut run = Beginning::of(EACH, &[]).params("{ items: [x, y] }").go();
    run.starts(["each[x]", "each[y]"]);
    run.succeeds("each[x]");
    run.succeeds("each[y]");
    let same = run.program.clone();
    let edit = Edit {
        params: "{ items: [w, x] }",
        ..Edit::of(&same)
    };
    fates(
        &run,
        &edit,
        [
            ("each[w]", New, "has not run yet"),
            ("each[x]", Kept, "unchanged"),
            ("each[y]", Removed, "no longer an item"),
        ],
    );
    run.resumes_with(&edit);
    run.starts(["each[w]"]);
    run.succeeds("each[w]");
    run.ends(Outcome::Succeeded);
    assert_eq!(run.instance("each").outputs, yaml("{ w: {}, x: {} }"));
}

#[test]
fn items_that_can_not_be_worked_out_refuse_the_plan() {
    let mut run = Beginning::of(EACH, &[]).params("{ items: [x, y] }").go();
    run.starts(["each[x]", "each[y]"]);
    run.succeeds("each[x]");
    run.succeeds("each[y]");
    let same = run.program.clone();
    let edit = Edit {
        params: "{ items: [x, y, y] }",
        ..Edit::of(&same)
    };
    let refused = run.plan(&edit).expect_err("an item twice").to_string();
    assert!(refused.starts_with("`each` would fail: "), "{refused}");
}

#[test]
fn items_are_replayed_though_their_list_could_not_be_worked_out_meanwhile() {
    let text = |list: &str| {
        let each =
            "{ run: '()', for_each: \"${{ steps.list.items }}\", with: { n: \"${{ item }}\" } }";
        format!("steps:\n  list: {{ run: '#{{ items: {list} }}' }}\n  each: {each}\n")
    };
    let mut run = Story::of(&text("[1]"));
    run.starts(["list"]);
    run.gives("list", "{ items: [x, y] }");
    run.starts(["each[x]", "each[y]"]);
    for item in ["each[x]", "each[y]"] {
        run.calls(item, "http::post", Class::Keyed);
        run.succeeds(item);
    }
    run.ends(Outcome::Succeeded);
    run.resumes_with(&Edit::of(&program(&text("[2]"), &[])));
    run.starts(["list"]);
    run.gives("list", "{ items: [x, y, y] }");
    run.ends(Outcome::Failed);
    assert_eq!(run.error("each").code, "duplicate-item");
    run.resumes_with(&Edit::of(&program(&text("[3]"), &[])));
    run.starts(["list"]);
    run.gives("list", "{ items: [x, y, z] }");
    run.starts(["each[x]", "each[y]", "each[z]"]);
    // They replay what they did.
    assert_eq!(run.instance("each[x]").round, 0);
    assert_eq!(run.instance("each[x]").effects.len(), 1);
}

#[test]
fn items_without_names_can_only_be_added_at_the_end() {
    let mut run = Beginning::of(EACH, &[])
        .params("{ items: [[1], [2]] }")
        .go();
    run.starts(["each[0]", "each[1]"]);
    run.succeeds("each[0]");
    run.succeeds("each[1]");
    let plan = |params: &str| {
        run.plan(&Edit {
            params,
            ..Edit::of(&run.program)
        })
    };
    let refused = plan("{ items: [[1], [3]] }").expect_err("item 1 is another one");
    let step = "each".to_owned();
    assert_eq!(refused, Unplannable::Unnamed { step, position: 1 });
    let plan = plan("{ items: [[1], [2], [3]] }").expect("one more");
    let kinds: Vec<_> = plan.fates.iter().map(|fate| fate.kind).collect();
    assert_eq!(kinds, [Kept, Kept, New]);
}

#[test]
fn a_step_that_runs_for_each_item_now_starts_over() {
    let mut run = Story::of("steps: { a: { run: '()' } }");
    run.starts(["a"]);
    run.succeeds("a");
    let each = program("steps: { a: { run: '()', for_each: [x] } }", &[]);
    let fate = [("a", Again, "it now runs once for each item")];
    fates(&run, &Edit::of(&each), fate);
    run.resumes_with(&Edit::of(&each));
    run.starts(["a[x]"]);
    run.succeeds("a[x]");
    let once = program("steps: { a: { run: '()' } }", &[]);
    let fate = [("a", Again, "it now runs only once, not for each item")];
    fates(&run, &Edit::of(&once), fate);
}

#[test]
fn an_answer_is_kept_as_long_as_its_question_is_about_the_same() {
    let text = "params: { n: int }
steps: { ask: { approval: \"Restart ${{ params.n }}?\" } }
";
    let mut run = Beginning::of(text, &[]).params("{ n: 1 }").go();
    let same = run.program.clone();
    fates(&run, &Edit::of(&same), [("ask", GoesOn, "still waits")]);
    run.answer("ask", "bob", Verdict::Approved)
        .expect("it counts");
    fates(&run, &Edit::of(&same), [("ask", Kept, "approved")]);
    let edit = Edit {
        params: "{ n: 2 }",
        ..Edit::of(&same)
    };
    fates(
        &run,
        &edit,
        [("ask", Again, "the subject of the approval has changed")],
    );
    run.resumes_with(&edit);
    run.waits();
    assert_eq!(run.asks, 1);
}

#[test]
fn a_question_that_was_asked_again_still_waits_also_if_an_earlier_version_asked_it() {
    let mut run = Story::of("steps: { ask: { approval: Go? } }");
    let first = run.history.last().expect("the question").0.clone();
    let same = run.program.clone();
    run.resumes_with(&Edit {
        redo: &["ask"],
        ..Edit::of(&same)
    });
    let waits = [("ask", GoesOn, "still waits")];
    fates(&run, &Edit::of(&same), waits);

    // Earlier versions gave each of its questions the digest of the first.
    let Event::ApprovalAsked(mut asked) = first else {
        panic!("{first:?}");
    };
    asked.attempt = run.instance("ask").attempt + 1;
    run.apply(Event::StepReset { step: id("ask") });
    run.apply(Event::ApprovalAsked(asked));
    fates(&run, &Edit::of(&same), waits);
}

#[test]
fn a_rejection_is_kept_unless_it_is_redone() {
    let mut run = Story::of("steps: { ask: { approval: Go? } }");
    run.answer("ask", "bob", Verdict::Rejected)
        .expect("it counts");
    let same = run.program.clone();
    fates(
        &run,
        &Edit::of(&same),
        [("ask", Kept, "rejected; only --redo asks again")],
    );
    let edit = Edit {
        redo: &["ask"],
        ..Edit::of(&same)
    };
    fates(&run, &edit, [("ask", Again, "asked for with --redo")]);
}

#[test]
fn a_skipped_step_is_looked_at_again_if_its_condition_holds_now() {
    let text = "params: { on: bool }
steps: { a: { run: '()', when: \"${{ params.on }}\" }, b: { run: '()', needs: [a] } }
";
    let mut run = Beginning::of(text, &[]).params("{ on: false }").go();
    run.ends(Outcome::Succeeded);
    let same = run.program.clone();
    let skipped = [("a", Kept, "stays skipped"), ("b", Kept, "stays skipped")];
    fates(&run, &Edit::of(&same), skipped);
    let edit = Edit {
        params: "{ on: true }",
        ..Edit::of(&same)
    };
    let again = "was skipped; its condition is evaluated again";
    let with_a = "was skipped with the steps before it, which are not skipped now";
    fates(&run, &edit, [("a", New, again), ("b", New, with_a)]);
    run.resumes_with(&edit);
    run.starts(["a"]);
}

/// What was skipped with the steps before it runs if an edit takes these dependencies away.
#[test]
fn a_step_that_was_skipped_with_others_runs_if_it_no_longer_depends_on_them() {
    let text = "steps: { a: { run: '()', when: \"${{ false }}\" }, o: { run: '()' }, b: { run: '()', needs: [a] } }";
    let mut run = Beginning::of(text, &[]).go();
    run.starts(["o"]);
    run.succeeds("o");
    run.ends(Outcome::Succeeded);
    let runs = [
        "steps: { o: { run: '()' }, b: { run: '()' } }",
        "steps: { a: { run: '()', when: \"${{ false }}\" }, o: { run: '()' }, b: { run: '()', needs: [a, o] } }",
    ];
    for edited in runs {
        let edited = program(edited, &[]);
        let edit = Edit::of(&edited);
        let plan = run.plan(&edit).expect("a plan");
        let fate = plan.fates.iter().find(|fate| fate.step == id("b"));
        assert_eq!(fate.expect("a fate").kind, New);
    }
    let edited = program(runs[1], &[]);
    run.resumes_with(&Edit::of(&edited));
    run.starts(["b"]);
}

#[test]
fn a_step_under_finally_that_was_skipped_with_others_stays_so() {
    let text = "steps: { a: { run: '()' } }
finally: { f1: { run: '()', when: \"${{ false }}\" }, f2: { run: '()', needs: [f1] } }";
    let mut run = Beginning::of(text, &[]).go();
    run.starts(["a"]);
    run.succeeds("a");
    run.ends(Outcome::Succeeded);
    let plan = run.plan(&Edit::of(&run.program)).expect("a plan");
    assert!(plan.events.is_empty(), "{:?}", plan.events);
}

#[test]
fn a_condition_that_reads_only_params_is_known_whatever_runs_before() {
    let text = "params: { on: bool, n: int }
steps:
  a: { run: '()', with: { n: \"${{ params.n }}\" } }
  b: { run: '()', needs: [a], when: \"${{ params.on }}\" }
";
    let mut run = Beginning::of(text, &[]).params("{ on: false, n: 1 }").go();
    run.starts(["a"]);
    run.succeeds("a");
    run.ends(Outcome::Succeeded);
    let same = run.program.clone();
    let to = |params| Edit {
        params,
        ..Edit::of(&same)
    };
    let changed = "its input `n` has changed (params.n)";
    fates(
        &run,
        &to("{ on: false, n: 2 }"),
        [("a", Again, changed), ("b", Kept, "stays skipped")],
    );
    let again = "was skipped; its condition is evaluated again";
    fates(
        &run,
        &to("{ on: true, n: 2 }"),
        [("a", Again, changed), ("b", New, again)],
    );
    run.resumes_with(&to("{ on: true, n: 2 }"));
    run.starts(["a"]);
    run.succeeds("a");
    run.starts(["b"]);
    run.calls("b", "test::make", Class::Unsure);
    run.succeeds("b");
    run.ends(Outcome::Succeeded);
    // What runs before it does not hide that it will be skipped.
    let done = "its condition is false now; what it did stays done: test::make ×1";
    fates(
        &run,
        &to("{ on: false, n: 3 }"),
        [("a", Again, changed), ("b", Skipped, done)],
    );
}

#[test]
fn a_step_whose_condition_is_false_now_is_skipped_and_keeps_its_calls() {
    let text = "params: { on: bool }
steps:
  a: { run: '#{ n: 2 }', when: \"${{ params.on }}\" }
  b: { run: '()', with: { n: \"${{ steps.a?.n ?? 0 }}\" } }
  c: { run: '()', needs: [a, b] }
outputs: { n: \"${{ steps.a?.n ?? 0 }}\" }
";
    let mut run = Beginning::of(text, &[]).params("{ on: true }").go();
    run.starts(["a"]);
    run.calls("a", "test::make", Class::Unsure);
    run.gives("a", "{ n: 2 }");
    run.starts(["b"]);
    run.succeeds("b");
    run.starts(["c"]);
    run.succeeds("c");
    let same = run.program.clone();
    let on = |on| Edit {
        params: if on { "{ on: true }" } else { "{ on: false }" },
        ..Edit::of(&same)
    };
    let expected = [
        (
            "a",
            Skipped,
            "its condition is false now; what it did stays done: test::make ×1",
        ),
        ("b", Skipped, "`a` before it is skipped now"),
        ("c", Skipped, "`a`, `b` before it are skipped now"),
    ];
    fates(&run, &on(false), expected);
    run.resumes_with(&on(false));
    run.skips("a", "`params.on` is false");
    run.skips("b", "a was skipped");
    run.skips("c", "a, b were skipped");
    run.ends(Outcome::Succeeded);
    // An undo reverses it, and it does not make its calls again.
    assert_eq!(run.instance("a").effects.len(), 1);
    let again = "was skipped; its condition is evaluated again";
    let plan = run.plan(&on(true)).expect("a plan");
    assert_eq!(plan.fates[0].reason, again);
    assert_eq!(plan.fates[0].kind, Replayed);
}

#[test]
fn a_list_that_is_skipped_stays_so_with_its_items_until_its_condition_is_true() {
    let text = "params: { on: bool, n: { type: int, default: 1 } }
steps:
  each: { run: '()', when: \"${{ params.on }}\", for_each: \"${{ ['x', 'y'] }}\" }
";
    let mut run = Beginning::of(text, &[]).params("{ on: true }").go();
    run.starts(["each[x]", "each[y]"]);
    run.calls("each[x]", "http::put", Class::Keyed);
    run.succeeds("each[x]");
    run.succeeds("each[y]");
    run.ends(Outcome::Succeeded);
    let same = run.program.clone();
    let edit = |params| Edit {
        params,
        ..Edit::of(&same)
    };
    run.resumes_with(&edit("{ on: false }"));
    run.ends(Outcome::Succeeded);
    let expected = [("each", Kept, "stays skipped")];
    fates(&run, &edit("{ on: false, n: 2 }"), expected);
    let again = "was skipped; its condition is evaluated again";
    let expected = [
        ("each", Replayed, again),
        ("each[x]", Kept, "unchanged"),
        ("each[y]", Kept, "unchanged"),
    ];
    fates(&run, &edit("{ on: true }"), expected);
    run.resumes_with(&edit("{ on: true }"));
    run.ends(Outcome::Succeeded);
    assert_eq!(run.instance("each").outputs, yaml("{ x: {}, y: {} }"));
}

/// Items that have made no call begin anew, with the inputs of now.
#[test]
fn a_list_that_was_skipped_and_made_no_call_has_the_outputs_of_its_new_inputs() {
    let text = "params: { on: bool, n: int }
steps:
  each: { run: '#{}', when: \"${{ params.on }}\", for_each: \"${{ ['x'] }}\", with: { n: \"${{ params.n }}\" } }
";
    let mut run = Beginning::of(text, &[]).params("{ on: true, n: 1 }").go();
    run.starts(["each[x]"]);
    run.gives("each[x]", "{ n: 1 }");
    run.ends(Outcome::Succeeded);
    let same = run.program.clone();
    for params in ["{ on: false, n: 1 }", "{ on: true, n: 2 }"] {
        run.resumes_with(&Edit {
            params,
            ..Edit::of(&same)
        });
    }
    run.starts(["each[x]"]);
    assert_eq!(run.instance("each[x]").inputs, yaml("{ n: 2 }"));
    run.gives("each[x]", "{ n: 2 }");
    run.ends(Outcome::Succeeded);
    assert_eq!(run.instance("each").outputs, yaml("{ x: { n: 2 } }"));
}

/// A question that is not asked stops no step, in a run and in its plan.
#[test]
fn a_step_behind_a_question_that_is_skipped_is_not() {
    let text = "params: { on: bool }
steps:
  a: { run: '()', when: \"${{ params.on }}\" }
  ask: { approval: Go?, needs: [a] }
  b: { run: '()', needs: [ask] }
";
    let mut run = Beginning::of(text, &[]).params("{ on: true }").go();
    run.starts(["a"]);
    run.succeeds("a");
    run.waits();
    run.answer("ask", "bob", Verdict::Approved).expect("counts");
    run.starts(["b"]);
    run.succeeds("b");
    let same = run.program.clone();
    let edit = Edit {
        params: "{ on: false }",
        ..Edit::of(&same)
    };
    let expected = [
        ("a", Skipped, "its condition is false now"),
        ("ask", Skipped, "`a` before it is skipped now"),
        ("b", Replayed, "`ask` before it is skipped now"),
    ];
    fates(&run, &edit, expected);
    run.resumes_with(&edit);
    run.skips("ask", "a was skipped");
    run.starts(["b"]);
}

#[test]
fn a_change_inside_of_a_nested_workflow_keeps_what_is_beside_it() {
    let text = "steps: { sub: { workflow: inner.yaml }, b: { run: '()', needs: [sub] } }";
    let inner = "workflow: inner\nsteps: { x: { run: '()' }, y: { run: '()' } }";
    let mut run = Beginning::of(text, &[("inner.yaml", inner)]).go();
    run.starts(["sub/x", "sub/y"]);
    run.succeeds("sub/x");
    run.succeeds("sub/y");
    run.starts(["b"]);
    run.succeeds("b");
    let edited = inner.replacen("'()'", "'1; ()'", 1);
    let edited = program(text, &[("inner.yaml", &edited)]);
    fates(
        &run,
        &Edit::of(&edited),
        [
            ("sub/x", Replayed, "its script (inner.yaml) has changed"),
            ("sub/y", Kept, "unchanged"),
            ("b", Replayed, "`sub` before it runs again"),
        ],
    );
    run.resumes_with(&Edit::of(&edited));
    run.starts(["sub/x"]);
    assert_eq!(run.status("sub/y"), Status::Succeeded);
}

#[test]
fn a_list_that_shrinks_takes_the_item_out_of_the_outputs() {
    let mut run = Beginning::of(EACH, &[]).params("{ items: [x, y] }").go();
    run.starts(["each[x]", "each[y]"]);
    run.succeeds("each[x]");
    run.succeeds("each[y]");
    let same = run.program.clone();
    run.resumes_with(&Edit {
        params: "{ items: [x] }",
        ..Edit::of(&same)
    });
    run.ends(Outcome::Succeeded);
    assert_eq!(run.instance("each").outputs, yaml("{ x: {} }"));
}

#[test]
fn items_that_are_not_known_yet_are_looked_at_when_the_step_runs() {
    let text = "params: { n: int }
steps:
  a: { run: '#{ items: [] }', with: { n: \"${{ params.n }}\" } }
  each: { run: '()', for_each: \"${{ steps.a.items }}\" }
";
    let mut run = Beginning::of(text, &[]).params("{ n: 1 }").go();
    run.starts(["a"]);
    run.gives("a", "{ items: [x] }");
    run.starts(["each[x]"]);
    run.fails("each[x]");
    let changed = text.replace("steps.a.items", "steps.b.items");
    let changed = changed.replace(
        "  each",
        "  b: { run: '#{ items: [] }', needs: [a] }\n  each",
    );
    let changed = program(&changed, &[]);
    fates(
        &run,
        &Edit::of(&changed),
        [
            ("a", Kept, "unchanged"),
            ("b", New, "new in the workflow"),
            ("each", Replayed, "its items are not known before it runs"),
        ],
    );
}

#[test]
fn other_outputs_of_a_nested_workflow_are_evaluated_without_running_its_steps() {
    let text = "steps: { sub: { workflow: inner.yaml } }";
    let inner =
        "workflow: inner\nsteps: { x: { run: '#{ n: 1 }' } }\noutputs: { n: \"${{ steps.x.n }}\" }";
    let mut run = Beginning::of(text, &[("inner.yaml", inner)]).go();
    run.starts(["sub/x"]);
    run.gives("sub/x", "{ n: 1 }");
    let edited = inner.replace("steps.x.n }}", "steps.x.n + 1 }}");
    let edited = program(text, &[("inner.yaml", &edited)]);
    fates(
        &run,
        &Edit::of(&edited),
        [
            ("sub", Replayed, "the outputs of its workflow have changed"),
            ("sub/x", Kept, "unchanged"),
        ],
    );
    run.resumes_with(&Edit::of(&edited));
    run.ends(Outcome::Succeeded);
    assert_eq!(run.instance("sub").outputs, yaml("{ n: 2 }"));
}

#[test]
fn a_nested_workflow_that_failed_and_is_tolerated_is_kept_until_something_in_it_changes() {
    let text = "steps: { sub: { workflow: inner.yaml, on_error: continue } }";
    let inner = "workflow: inner\nsteps: { x: { run: '()' } }";
    let mut run = Beginning::of(text, &[("inner.yaml", inner)]).go();
    run.starts(["sub/x"]);
    run.fails("sub/x");
    run.ends(Outcome::Succeeded);
    let same = run.program.clone();
    let kept = "it failed, and the run continued without it";
    fates(&run, &Edit::of(&same), [("sub", Kept, kept)]);
    let edited = program(text, &[("inner.yaml", &inner.replace("'()'", "'1; ()'"))]);
    let changed = "its script (inner.yaml) has changed; begins";
    fates(&run, &Edit::of(&edited), [("sub/x", GoesOn, changed)]);
}

#[test]
fn an_item_with_another_key_is_told_to_make_its_calls_again() {
    let keyed = EACH.replace("run: '()'", "run: '()', key: \"${{ item.name }}\"");
    let mut run = Beginning::of(&keyed, &[])
        .params("{ items: [{ name: x, id: 1 }, { name: y, id: 2 }] }")
        .go();
    run.starts(["each[x]", "each[y]"]);
    run.calls("each[x]", "http::put", Class::Keyed);
    run.succeeds("each[x]");
    run.succeeds("each[y]");
    let edited = program(&keyed.replace("item.name", "item.id"), &[]);
    let edit = Edit {
        params: "{ items: [{ name: x, id: 1 }, { name: y, id: 2 }] }",
        ..Edit::of(&edited)
    };
    fates(
        &run,
        &edit,
        [
            (
                "each[1]",
                New,
                "a new item, with the value of `each[x]`, which is removed: if only its key has changed, keep the key",
            ),
            ("each[2]", New, "has not run yet"),
            (
                "each[x]",
                Removed,
                "no longer an item; what it did stays done: http::put ×1",
            ),
            ("each[y]", Removed, "no longer an item"),
        ],
    );
    let plan = run.plan(&edit).expect("a plan");
    assert_eq!(plan.fates[0].repeats, ["http::put ×1"]);
}
