//! Questions: who may answer, until when, and what follows.

use std::time::Duration;

use super::{Beginning, REQUESTER, Story, id, yaml};
use crate::decide::Refusal;
use windlass_journal::{Outcome, Status, Verdict};

pub const ASKS: &str = "steps:
  ask: { approval: Go? }
  a: { run: '()', with: { who: \"${{ steps.ask.approved_by }}\" } }
";

/// A question, with keys beside it.
pub fn asks(keys: &str) -> Story {
    Story::of(&format!(
        "steps: {{ ask: {{ approval: Go?, {keys} }}, a: {{ run: '()', needs: [ask] }} }}"
    ))
}

#[test]
fn a_run_waits_for_an_answer_and_knows_whose_it_was() {
    let mut run = Story::of(ASKS);
    run.waits();
    assert_eq!((run.status("ask"), run.asks), (Status::Waiting, 1));
    run.answer("ask", "bob", Verdict::Approved)
        .expect("it counts");
    run.starts(["a"]);
    assert_eq!(run.instance("a").inputs, yaml("{ who: bob }"));
    assert_eq!(run.asks, 0);
}

#[test]
fn a_rejection_fails_the_step_and_what_depends_on_it_never_runs() {
    let mut run = Story::of(ASKS);
    run.answer("ask", "bob", Verdict::Rejected)
        .expect("it counts");
    run.ends(Outcome::Failed);
    assert_eq!(run.error("ask").code, "approval-rejected");
    assert_eq!(run.error("ask").message, "rejected by bob");
}

#[test]
fn only_an_approver_by_name_or_by_group_may_answer() {
    let mut run = asks("approvers: [alice, 'group:ops']");
    let refused = run.answer_in_groups("ask", "bob", &["dev"], Verdict::Rejected);
    assert_eq!(
        refused,
        Err(Refusal::NotApprover {
            step: "ask".into(),
            approver: "bob".into(),
            approvers: "alice, group:ops".into(),
        })
    );
    // A name that looks like a group is none.
    assert!(run.answer("ask", "group:ops", Verdict::Approved).is_err());
    run.waits();
    run.answer_in_groups("ask", "bob", &["dev", "ops"], Verdict::Approved)
        .expect("ops");
    run.starts(["a"]);

    let mut run = asks("approvers: [alice, 'group:ops']");
    run.answer("ask", "alice", Verdict::Approved)
        .expect("alice");
    run.starts(["a"]);
}

#[test]
fn approvers_that_are_no_list_fail_the_step_before_anyone_is_asked() {
    let text = "params: { who: any }
steps: { ask: { approval: Go?, approvers: \"${{ params.who }}\" } }
";
    for (who, message) in [
        ("bob", "`approvers` must be a list of names, not a string"),
        ("[]", "`approvers` is empty, so nobody could answer"),
    ] {
        let run = Beginning::of(text, &[]);
        let mut run = run.params(&format!("{{ who: {who} }}")).go();
        run.ends(Outcome::Failed);
        assert_eq!(run.error("ask").message, message);
    }
}

#[test]
fn what_is_asked_is_cut_as_it_is_shown_and_stays_approved() {
    let text = "params: { what: string }
steps: { ask: { approval: \"${{ params.what }}\" } }
";
    let long = "é".repeat(4_321);
    let mut run = Beginning::of(text, &[])
        .params(&format!("{{ what: {long} }}"))
        .go();
    run.waits();
    let asked = run.instance("ask").approval.clone().expect("asked").message;
    let rest = "é…\n(321 more characters are not shown, and not approved)";
    assert!(asked.ends_with(rest), "{asked}");
    assert_eq!(asked.matches('é').count(), 4_000);
}

#[test]
fn four_eyes_leave_out_who_started_the_run_and_who_changed_it() {
    let is_requester = |approver: &str| {
        Err(Refusal::IsRequester {
            step: "ask".into(),
            approver: approver.into(),
        })
    };
    let mut run = asks("not_requester: true");
    assert_eq!(
        run.answer("ask", REQUESTER, Verdict::Approved),
        is_requester(REQUESTER)
    );
    run.state.requesters.insert("eve".into());
    assert_eq!(
        run.answer("ask", "eve", Verdict::Rejected),
        is_requester("eve")
    );
    run.answer("ask", "bob", Verdict::Approved)
        .expect("someone else");
    run.starts(["a"]);

    let mut run = asks("not_requester: false");
    run.answer("ask", REQUESTER, Verdict::Approved)
        .expect("anyone");
}

#[test]
fn a_question_expires_and_then_its_timeout_answers() {
    let hour = Duration::from_secs(3600);
    for (keys, verdict, status) in [
        ("timeout: 1h", Verdict::Rejected, Status::Failed),
        (
            "timeout: 1h, on_timeout: approve",
            Verdict::Approved,
            Status::Succeeded,
        ),
    ] {
        let mut run = asks(keys);
        assert_eq!(run.wakes_at, Some(run.now + hour));
        run.passes(hour - Duration::from_millis(1));
        run.waits();
        run.passes(Duration::from_millis(1));
        assert_eq!(run.status("ask"), status);
        let answer = run
            .instance("ask")
            .approval
            .as_ref()
            .and_then(|asked| asked.answer.clone());
        let answer = answer.expect("an answer");
        assert_eq!((answer.verdict, &*answer.approver), (verdict, "timeout"));
    }
}

#[test]
fn each_item_has_its_own_question_and_approvers() {
    let mut run = Story::of(
        "steps:
  ask:
    approval: \"Restart ${{ item.name }}?\"
    for_each: [{ name: x, owner: alice }, { name: y, owner: bob }]
    key: \"${{ item.name }}\"
    approvers: [\"${{ item.owner }}\"]
",
    );
    run.waits();
    assert_eq!(run.asks, 2);
    let question = run
        .state
        .instance(&id("ask[y]"))
        .and_then(|asked| asked.approval.clone());
    assert_eq!(question.expect("a question").message, "Restart y?");
    assert!(run.answer("ask[y]", "alice", Verdict::Approved).is_err());
    run.answer("ask[y]", "bob", Verdict::Approved)
        .expect("the owner");
    run.answer("ask[x]", "alice", Verdict::Approved)
        .expect("the owner");
    run.ends(Outcome::Succeeded);
}
