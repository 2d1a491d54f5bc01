//! Answers that do not count: too late, to another question, or to a run that no longer asks.

use std::time::Duration;

use super::{
    Beginning, Story,
    approvals::{ASKS, asks},
    people::Edit,
    program,
};
use crate::decide::Refusal;
use windlass_journal::Verdict;

#[test]
fn an_answer_after_the_deadline_does_not_count_even_if_the_timeout_is_not_recorded() {
    let mut run = asks("timeout: 1h, on_timeout: approve");
    let deadline = run.now + Duration::from_secs(3600);
    // No process drives the run meanwhile.
    run.now = deadline;
    let refused = run.answer("ask", "bob", Verdict::Rejected);
    let verdict = Verdict::Approved;
    assert_eq!(
        refused,
        Err(Refusal::Expired {
            step: "ask".into(),
            deadline,
            verdict
        })
    );
}

#[test]
fn an_answer_to_an_earlier_question_does_not_count() {
    let mut run = Story::of(ASKS);
    let late = run.decision("ask", "bob", &[], Verdict::Approved);
    let same = program(ASKS, &[]);
    run.resumes_with(&Edit {
        redo: &["ask"],
        ..Edit::of(&same)
    });
    run.waits();
    assert_eq!(run.send(&late), Err(Refusal::Changed("ask".into())));
    run.answer("ask", "bob", Verdict::Approved)
        .expect("to this question");
}

#[test]
fn an_answer_to_what_does_not_ask_is_refused_with_the_reason() {
    let mut run = Story::of(ASKS);
    let why = |run: &mut Story, step: &str| {
        let refused = run.answer(step, "bob", Verdict::Approved);
        refused.expect_err("a refusal").to_string()
    };
    assert_eq!(
        why(&mut run, "a"),
        "`a` does not wait for an approval (the run has not reached it, or has no such step)"
    );
    run.answer("ask", "bob", Verdict::Approved)
        .expect("it counts");
    assert_eq!(
        why(&mut run, "ask"),
        "`ask` does not wait for an approval (it is succeeded)"
    );
    run.starts(["a"]);
    run.succeeds("a");
    assert_eq!(
        why(&mut run, "ask"),
        "`ask` no longer waits for an approval: the run has ended"
    );
}

#[test]
fn an_answer_to_a_run_that_is_undone_is_refused() {
    let mut run = Story::of("steps: { a: { run: '()' }, ask: { approval: Go? } }");
    run.starts(["a"]);
    run.calls("a", "http::put", windlass_script::Class::Keyed);
    run.succeeds("a");
    run.is_undone();
    run.starts(["a!undo"]);
    let refused = run.answer("ask", "bob", Verdict::Approved);
    let why = "the run is being undone";
    assert_eq!(
        refused,
        Err(Refusal::Over {
            step: "ask".into(),
            why
        })
    );
}

#[test]
fn an_answer_counts_only_for_the_files_and_params_that_were_shown() {
    let text = "params: { n: int }\nsteps: { ask: { approval: Go? } }";
    let digest = |text: &str, n: u32| {
        let run = Beginning::of(text, &[])
            .params(&format!("{{ n: {n} }}"))
            .go();
        run.decision("ask", "bob", &[], Verdict::Approved).digest
    };
    let shown = digest(text, 1);
    assert_eq!(shown, digest(text, 1));
    assert_ne!(shown, digest(text, 2));
    assert_ne!(shown, digest(&format!("description: other\n{text}"), 1));
}
