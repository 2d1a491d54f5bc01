//! What is known before a run begins: its plan, what is certain to fail, and what can be tried.

use super::{Beginning, yaml};
use crate::decide::{Does, Foreseen, preview, replaced, trials, troubles};
use windlass_journal::{Event, State, StepStarted, StepSucceeded};

use Foreseen::{Known, Later};

/// A step of a plan: its id, whether it runs, and its items.
type Row = (String, Foreseen<bool>, Option<Foreseen<usize>>);

fn row(step: &str, runs: Foreseen<bool>, items: Option<Foreseen<usize>>) -> Row {
    (step.into(), runs, items)
}

fn rows(beginning: &Beginning, state: &State) -> Vec<Row> {
    let previews = preview(&beginning.program.workflow, state, "run-1");
    let previews = previews.into_iter();
    previews
        .map(|preview| (preview.step.to_string(), preview.runs, preview.items))
        .collect()
}

const TEXT: &str = "params: { on: bool, hosts: list(string) }
steps:
  a: { run: '#{ n: [] }', when: \"${{ params.on }}\" }
  after_a: { run: '()', needs: [a] }
  b: { run: '#{ n: [] }' }
  c: { run: '()', when: \"${{ steps.b.n.len() > 0 }}\", for_each: \"${{ steps.b.n }}\" }
  each: { run: '()', for_each: \"${{ params.hosts }}\", needs: [after_a, b] }
";

#[test]
fn a_plan_says_which_steps_run_and_for_how_many_items_as_far_as_that_is_known() {
    let beginning = Beginning::of(TEXT, &[]).params("{ on: false, hosts: [x, y] }");
    assert_eq!(
        rows(&beginning, &beginning.state()),
        [
            row("a", Known(false), None),
            row("after_a", Known(false), None),
            row("b", Known(true), None),
            row("c", Later, Some(Later)),
            row("each", Known(true), Some(Known(2))),
        ]
    );
}

#[test]
fn a_plan_uses_what_steps_that_only_read_have_given() {
    let beginning = Beginning::of(TEXT, &[]).params("{ on: true, hosts: [] }");
    let mut state = beginning.state();
    let step = "b".parse().expect("an id");
    let began = StepStarted {
        step,
        attempt: 1,
        inputs: None,
        items: None,
        is_scope: false,
        is_fresh: false,
        reads_again_from: None,
    };
    let ended = StepSucceeded {
        step: began.step.clone(),
        outputs: yaml("{ n: [1, 2, 3] }"),
    };
    for event in [Event::StepStarted(began), Event::StepSucceeded(ended)] {
        state
            .apply(&event, windlass_ground::Timestamp::EPOCH)
            .expect("legal");
    }
    let rows = rows(&beginning, &state);
    assert_eq!(rows[0], row("a", Known(true), None));
    assert_eq!(rows[3], row("c", Known(true), Some(Known(3))));
}

#[test]
fn a_plan_shows_questions_names_of_items_and_nested_steps() {
    let text = "params: { hosts: list(string) }
steps:
  ask: { approval: \"Restart ${{ params.hosts.len() }}?\" }
  later: { approval: \"Run ${{ run.id }}?\" }
  sub: { workflow: inner.yaml, for_each: \"${{ params.hosts }}\", when: \"${{ 1 > 2 }}\" }
";
    let inner = "workflow: inner\nsteps: { x: { run: '()' } }";
    let beginning = Beginning::of(text, &[("inner.yaml", inner)]).params("{ hosts: [p, q] }");
    let state = beginning.state();
    let found = preview(&beginning.program.workflow, &state, "run-1");
    assert_eq!(found[0].does, Does::Asks(Some("Restart 2?".into())));
    assert_eq!(found[1].does, Does::Asks(None));
    assert_eq!(
        (&found[2].does, &*found[2].names),
        (
            &Does::Workflow("inner.yaml"),
            &["p".to_owned(), "q".to_owned()][..]
        )
    );
    // It is in a step that does not run.
    assert_eq!(
        (found[3].step.as_str(), found[3].runs),
        ("sub/x", Known(false))
    );
}

#[test]
fn a_plan_says_what_a_phase_replaces_if_it_is_known() {
    let text = "params: { root: string }
phases:
  one: { replaces: \"${{ params.root }}\" }
  two: { replaces: \"${{ steps.a.n }}\" }
steps: { a: { run: '#{ n: 1 }', phase: one }, b: { run: '()', phase: two, needs: [a] } }
";
    let beginning = Beginning::of(text, &[]).params("{ root: old }");
    let found = replaced(&beginning.program.workflow, &beginning.state(), "run-1");
    assert_eq!(
        found.into_iter().collect::<Vec<_>>(),
        [("one".into(), yaml("old"))]
    );
}

/// The steps that are certain to fail, with the message.
fn troubled(text: &str, files: &[(&str, &str)], params: &str) -> Vec<(Option<String>, String)> {
    let beginning = Beginning::of(text, files).params(params);
    let found = troubles(&beginning.program.workflow, &beginning.state()).into_iter();
    found
        .map(|trouble| (trouble.step.map(|id| id.to_string()), trouble.error.message))
        .collect()
}

#[test]
fn a_step_that_is_certain_to_fail_is_found_before_the_run() {
    let text = "params: { n: any }
steps:
  a: { run: '()', when: \"${{ params.n }}\" }
  each: { run: '()', for_each: \"${{ params.n }}\" }
  b: { script: s.rhai, with: { n: \"${{ params.n }}\" } }
";
    let script = "const INPUTS = #{ n: \"int\" };\nfn run(inputs) { #{} }\n";
    let found = troubled(text, &[("s.rhai", script)], "{ n: x }");
    let steps: Vec<_> = found.iter().map(|(step, _)| step.as_deref()).collect();
    assert_eq!(steps, [Some("a"), Some("each"), Some("b")], "{found:?}");
    assert_eq!(found[0].1, "`when` must be a bool, not a string");
    assert_eq!(
        found[1].1,
        "`for_each` must be a list or a map, not a string"
    );
    assert!(
        found[2].1.starts_with("the input `n` does not fit"),
        "{}",
        found[2].1
    );
}

#[test]
fn a_question_that_can_not_be_asked_or_answered_is_found_before_the_run() {
    let text = "params: { q: any, who: any }
steps:
  a: { run: '()' }
  ask: { approval: \"${{ params.q }}\", approvers: \"${{ params.who }}\", needs: [a] }
";
    for (params, message) in [
        ("{ q: '', who: [a] }", "`approval` must not be empty"),
        (
            "{ q: null, who: [a] }",
            "`approval` must be a string, not nothing",
        ),
        (
            "{ q: Go?, who: [] }",
            "`approvers` is empty, so nobody could answer",
        ),
        (
            "{ q: Go?, who: null }",
            "`approvers` must be a list of names, not nothing",
        ),
        (
            "{ q: Go?, who: [a, ' '] }",
            "`approvers` contains an empty name",
        ),
        (
            "{ q: Go?, who: ['group:'] }",
            "`approvers` contains an empty name",
        ),
    ] {
        let found = troubled(text, &[], params);
        assert_eq!(found, [(Some("ask".into()), message.into())], "{params}");
    }
    assert!(troubled(text, &[], "{ q: Go?, who: [a] }").is_empty());
    let unknown = text.replace("params.who", "steps.a.who");
    assert!(troubled(&unknown, &[], "{ q: Go?, who: [] }").is_empty());
}

#[test]
fn what_may_not_be_reached_or_is_tolerated_is_no_trouble() {
    let text = "params: { n: any }
steps:
  a: { run: '#{ ok: true }' }
  maybe: { run: '()', when: \"${{ steps.a.ok }}\" }
  after: { run: '()', needs: [maybe], for_each: \"${{ params.n }}\" }
  never: { run: '()', when: \"${{ 1 > 2 }}\", for_each: \"${{ params.n }}\" }
  tolerated: { run: '()', on_error: continue, for_each: \"${{ params.n }}\" }
";
    assert_eq!(troubled(text, &[], "{ n: 1 }"), []);
}

#[test]
fn trouble_inside_of_a_nested_workflow_is_told_once_for_all_items() {
    let text = "params: { n: any }
steps: { sub: { workflow: inner.yaml, for_each: [p, q], with: { n: \"${{ params.n }}\" } } }
";
    let inner = "workflow: inner
params: { n: any }
lock: \"${{ params.n }}\"
steps: { x: { run: '()', when: \"${{ params.n }}\" } }
";
    let found = troubled(text, &[("inner.yaml", inner)], "{ n: 1 }");
    let steps: Vec<_> = found.iter().map(|(step, _)| step.as_deref()).collect();
    assert_eq!(steps, [Some("sub"), Some("sub/x")], "{found:?}");
    assert_eq!(found[0].1, "`lock` must be a string, not an int");
}

#[test]
fn what_is_certain_to_be_reached_with_known_inputs_can_be_tried() {
    let text = "params: { n: int, on: bool }
steps:
  a: { run: '#{ x: 1 }', with: { n: \"${{ params.n }}\", id: \"${{ run.id }}\" } }
  reads: { run: '()', with: { x: \"${{ steps.a.x }}\" } }
  each: { run: '()', for_each: [p, q], with: { item: \"${{ item }}\" } }
  not: { run: '()', when: \"${{ params.on }}\" }
  ask: { approval: Go? }
  after: { run: '()', needs: [ask], on_error: continue }
finally: { tell: { run: '()' } }
";
    let beginning = Beginning::of(text, &[]).params("{ n: 1, on: false }");
    let found = trials(&beginning.program.workflow, &beginning.state());
    let steps: Vec<_> = found
        .iter()
        .map(|trial| (trial.step.as_str(), trial.is_needed))
        .collect();
    let expected = [
        ("a", true),
        ("each[p]", true),
        ("each[q]", true),
        ("after", false),
    ];
    assert_eq!(steps, expected);
    assert_eq!(found[0].inputs.get("n"), Some(&yaml("1")));
    assert_eq!(found[0].inputs.get("id"), Some(&yaml("RUN")));
}

/// A question that is not asked, and a step after it.
const NOT_ASKED: &str = "steps:
  ask: { approval: Go?, when: \"${{ 1 > 2 }}\" }
  a: { run: 'http::get(\"https://example.com\"); ()', needs: [ask] }
  b: { run: '()', needs: [a] }
";

#[test]
fn a_question_that_is_not_asked_does_not_stop_what_a_plan_shows_after_it() {
    let beginning = Beginning::of(NOT_ASKED, &[]);
    let rows = rows(&beginning, &beginning.state());
    assert_eq!(rows[0], row("ask", Known(false), None));
    assert_eq!(rows[1], row("a", Known(true), None));
}

#[test]
fn a_trial_knows_which_calls_the_steps_before_it_may_make() {
    let beginning = Beginning::of(NOT_ASKED, &[]);
    let found = trials(&beginning.program.workflow, &beginning.state());
    let steps: Vec<_> = found.iter().map(|trial| trial.step.as_str()).collect();
    assert_eq!(steps, ["a", "b"]);
    assert_eq!((found[0].before.len(), found[1].before.len()), (0, 1));
}
