//! `approval:` steps: a run waits for people.

use std::{
    process::{Child, Stdio},
    time::Duration,
};

use crate::harness::{Ran, Test, status, until};

const ASKS: &str = "workflow: w
params: { n: { type: int, default: 3 } }
steps:
  go_live:
    approval: Restart ${{ params.n }} clusters?
  act:
    needs: [go_live]
    with: { by: \"${{ steps.go_live.approved_by }}\", why: \"${{ steps.go_live.comment }}\" }
    run: |
      file::write(\"by.txt\", `${inputs.by}: ${inputs.why}`)
";

fn asks(keys: &str) -> Test {
    let question = "approval: Restart ${{ params.n }} clusters?\n";
    Test::new().file(
        "w.yaml",
        &ASKS.replace(question, &format!("{question}{keys}")),
    )
}

fn answer(test: &Test, who: &str, verdict: &str, more: &[&str]) -> Ran {
    let run = test.windlass(&["runs", "--json"]).expect(0).json()[0]["run"].clone();
    let run = run.as_str().expect("an id").to_owned();
    let mut command = test.command(&[verdict, &run, "go_live"]);
    let output = command.args(more).env("USER", who).output();
    Ran::from_output(output.expect("windlass starts"))
}

/// Starts a run that waits for its answer.
fn asking(test: &Test) -> Child {
    let child = test.start(&["run", "w.yaml", "--wait"]);
    until("it asks", Duration::from_secs(20), || {
        let runs = test.windlass(&["runs", "--json"]).stdout;
        runs.contains("\"waiting\"")
    });
    child
}

#[test]
fn a_run_stops_until_somebody_approves() {
    let test = asks("");
    let ran = test.windlass(&["run", "w.yaml"]).expect(3);
    ran.says("Restart 3 clusters?");
    ran.says("windlass approve ");
    let runs = test.windlass(&["runs", "--json"]).expect(0).json();
    assert_eq!(runs[0]["status"], "waiting");
    // Nobody said anything yet.
    test.windlass(&["resume"]).expect(3);
    answer(&test, "alice", "approve", &["-m", "looks good"]).expect(0);
    answer(&test, "bob", "approve", &[]).expect(2);
    let runs = test.windlass(&["runs", "--json"]).expect(0).json();
    assert_eq!(runs[0]["status"], "approved");
    let shown = test.windlass(&["show"]).expect(0).stdout;
    assert!(
        shown.contains("approved. To continue: windlass resume "),
        "{shown}"
    );
    test.windlass(&["resume"]).expect(0);
    assert_eq!(test.read("out/by.txt"), "alice: looks good");
    let shown = test.windlass(&["show"]).expect(0).stdout;
    assert!(shown.contains("approved by alice"), "{shown}");
    let audit = test.windlass(&["audit", "--json"]).expect(0).json();
    assert_eq!(audit["approvals"][0]["approver"], "alice");
    assert_eq!(audit["approvals"][0]["comment"], "looks good");
}

#[test]
fn a_waiting_process_goes_on_by_itself() {
    let test = asks("");
    let mut child = asking(&test);
    answer(&test, "alice", "approve", &[]).expect(0);
    let code = child.wait().expect("ended").code();
    assert_eq!(code, Some(0));
    assert_eq!(test.read("out/by.txt"), "alice: ");
}

#[test]
fn a4_a_rejection_fails_the_step_and_only_a_redo_asks_again() {
    let test = asks("");
    test.windlass(&["run", "w.yaml"]).expect(3);
    answer(&test, "alice", "reject", &["-m", "not today"]).expect(0);
    let runs = test.windlass(&["runs", "--json"]).expect(0).json();
    assert_eq!(runs[0]["status"], "rejected");
    let ran = test.windlass(&["resume"]).expect(1);
    ran.says("rejected by alice: not today");
    let again = test.windlass(&["resume"]).expect(2);
    again.says("--redo go_live");
    let plan = test.windlass(&["resume", "--edited", "--plan"]).expect(0);
    plan.prints("rejected; only --redo");
    let asked = test
        .windlass(&["resume", "--redo", "go_live", "--yes"])
        .expect(3);
    asked.says("Restart 3 clusters?");
    answer(&test, "alice", "approve", &[]).expect(0);
    test.windlass(&["resume"]).expect(0);
    // Every answer is in the audit, not only the newest.
    let audit = test.windlass(&["audit", "--json"]).expect(0).json();
    let verdicts = audit["approvals"].as_array().expect("a list");
    let verdicts: Vec<_> = verdicts.iter().map(|a| &a["verdict"]).collect();
    assert_eq!(verdicts, ["rejected", "approved"]);
}

#[test]
fn a4_what_follows_a_rejection_runs_without_the_process_that_asked() {
    for (on_failure, status) in [("stop", "failed"), ("undo", "undone")] {
        let text = format!(
            "workflow: w
on_failure: {on_failure}
steps:
  before: {{ run: 'file::write(\"before.txt\", \"x\")' }}
  go_live: {{ needs: [before], approval: Go? }}
  act: {{ needs: [go_live], run: 'file::write(\"act.txt\", \"x\")' }}
finally:
  tidy: {{ run: 'file::write(\"tidy.txt\", \"x\")' }}
"
        );
        let test = Test::new().file("w.yaml", &text);
        test.windlass(&["run", "w.yaml"]).expect(3);
        answer(&test, "alice", "reject", &[]).expect(0);
        test.windlass(&["resume"]).expect(1);
        assert_eq!(test.shown()["status"], status);
        assert_eq!(test.path("out/tidy.txt").exists(), on_failure == "stop");
        assert_eq!(test.path("out/before.txt").exists(), on_failure == "stop");
        assert!(!test.path("out/act.txt").exists());
        let asked = test
            .events()
            .iter()
            .filter(|e| e["event"] == "approval_asked")
            .count();
        assert_eq!(asked, 1);
    }
}

/// A run whose question has expired, with nothing that drives it.
fn expired(keys: &str) -> Test {
    let test = asks(keys);
    test.windlass(&["run", "w.yaml"]).expect(3);
    until("it expires", Duration::from_secs(20), || {
        test.windlass(&["runs", "--json"]).json()[0]["status"] == "expired"
    });
    test
}

#[test]
fn a3_an_expired_question_takes_no_answer() {
    for (on_timeout, code) in [("reject", 1), ("approve", 0)] {
        let test = expired(&format!(
            "    timeout: 300ms\n    on_timeout: {on_timeout}\n"
        ));
        for verdict in ["approve", "reject"] {
            let late = answer(&test, "alice", verdict, &[]).expect(2);
            late.says("[approval-expired]");
            let counts = format!("counts as {on_timeout}");
            late.says(&counts);
        }
        let shown = test.windlass(&["show"]).expect(0).stdout;
        assert!(
            shown.contains("has expired") && !shown.contains("windlass approve"),
            "{shown}"
        );
        test.windlass(&["resume"]).expect(code);
        assert_eq!(test.path("out/by.txt").exists(), on_timeout == "approve");
        // The verdict is that of the deadline, whenever it was recorded.
        let audit = test.windlass(&["audit", "--json"]).expect(0).json();
        let asked = &audit["approvals"][0];
        assert_eq!(asked["answered_at"], asked["deadline"]);
        assert_eq!(asked["approver"], "timeout");
    }
}

#[test]
fn a11_who_edits_a_run_can_not_approve_it() {
    let test = asks("    not_requester: true\n");
    test.windlass(&["run", "w.yaml"]).expect(3);
    let edit = ["resume", "--edited", "--yes", "-p", "n=5"];
    let output = test.command(&edit).env("USER", "mallory").output();
    Ran::from_output(output.expect("windlass starts")).expect(3);
    for who in ["mallory", "tester"] {
        let own = answer(&test, who, "approve", &[]).expect(2);
        own.says("by someone else");
    }
    answer(&test, "alice", "approve", &[]).expect(0);
    // Whoever only resumes changes nothing.
    let output = test.command(&["resume"]).env("USER", "bob").output();
    Ran::from_output(output.expect("windlass starts")).expect(0);
}

#[test]
fn a11_another_secret_is_asked_about_again() {
    let text = "workflow: w
params: { pin: { type: secret } }
steps:
  go_live: { approval: Go? }
  stop: { needs: [go_live], approval: Really? }
";
    let test = Test::new().file("w.yaml", text);
    test.windlass(&["run", "w.yaml", "-p", "pin=first"])
        .expect(3);
    answer(&test, "alice", "approve", &[]).expect(0);
    let edited = |pin: &str| {
        let pin = format!("pin={pin}");
        let plan = test.windlass(&["resume", "--edited", "--plan", "-p", &pin]);
        plan.expect(0).stdout
    };
    assert!(edited("first").contains("approved"), "{}", edited("first"));
    let changed = edited("second");
    assert!(
        changed.contains("the subject of the approval has changed"),
        "{changed}"
    );
    let journal = test.windlass(&["logs", "--json"]).expect(0).stdout;
    assert!(
        !journal.contains("first") && journal.contains("\"secrets\":\""),
        "{journal}"
    );
}

#[test]
fn only_approvers_count() {
    let test = asks("    approvers: [alice, carol]\n    not_requester: true\n");
    test.windlass(&["run", "w.yaml"]).expect(3);
    let bob = answer(&test, "bob", "approve", &[]).expect(2);
    bob.says("alice, carol");
    answer(&test, "carol", "approve", &[]).expect(0);
    test.windlass(&["resume"]).expect(0);

    let test = asks("    not_requester: true\n");
    test.windlass(&["run", "w.yaml"]).expect(3);
    let own = answer(&test, "tester", "approve", &[]).expect(2);
    own.says("must be approved by someone else");
}

#[test]
fn time_may_answer() {
    for (on_timeout, code, outcome) in [("approve", 0, "succeeded"), ("reject", 1, "failed")] {
        let test = asks(&format!("    timeout: 1s\n    on_timeout: {on_timeout}\n"));
        test.windlass(&["run", "w.yaml", "--wait"]).expect(code);
        assert_eq!(status(&test.shown(), "go_live"), outcome);
    }
}

#[test]
fn what_was_approved_is_what_runs() {
    let test = asks("");
    test.windlass(&["run", "w.yaml"]).expect(3);
    answer(&test, "alice", "approve", &[]).expect(0);
    let more = ["resume", "--edited", "--yes", "-p", "n=5"];
    let ran = test.windlass(&more).expect(3);
    ran.says("the subject of the approval has changed");
    ran.says("Restart 5 clusters?");
    answer(&test, "alice", "approve", &[]).expect(0);
    test.windlass(&["resume"]).expect(0);
}

#[test]
fn a_question_can_be_asked_for_each_item() {
    let test = Test::new().file(
        "w.yaml",
        "workflow: w
steps:
  go_live:
    for_each: [a, b]
    approval: Restart ${{ item }}?
  act: { needs: [go_live], run: 'file::write(\"x\", \"y\")' }
",
    );
    test.windlass(&["run", "w.yaml"]).expect(3);
    let run = test.windlass(&["runs", "--json"]).expect(0).json()[0]["run"].clone();
    let run = run.as_str().expect("an id");
    test.windlass(&["approve", run, "go_live[a]"]).expect(0);
    test.windlass(&["resume"]).expect(3);
    test.windlass(&["approve", run, "go_live[b]"]).expect(0);
    test.windlass(&["resume"]).expect(0);
}

/// The record stays readable: what can't follow is refused before it is written.
#[test]
fn an_undone_run_asks_nothing_any_more() {
    let flow = "workflow: w
steps:
  before: { run: \"file::write(`a.txt`, `a`); #{}\" }
  go_live: { approval: \"Go on?\", needs: [before] }
";
    let test = Test::new().file("w.yaml", flow);
    test.windlass(&["run", "w.yaml"]).expect(3);
    test.windlass(&["undo", "--yes"]).expect(0);
    for verdict in ["approve", "reject"] {
        let ran = answer(&test, "alice", verdict, &[]).expect(2);
        ran.says("`go_live` no longer waits for an approval: the run was undone");
    }
    test.windlass(&["show"]).expect(0);
    test.windlass(&["audit"]).expect(0);
    test.windlass(&["certs"]).expect(0);
}

/// What a file says itself is found by `validate`; what params say, before the run begins.
#[test]
fn a_question_that_nobody_could_answer_starts_nothing() {
    let test = Test::new().file(
        "w.yaml",
        "workflow: w
params: { who: { type: list(string), default: [] }, q: { type: string, default: ok } }
steps:
  a: { approval: \"${{ params.q }}\", approvers: \"${{ params.who }}\" }
",
    );
    let nobody = test.windlass(&["run", "w.yaml"]).expect(2);
    nobody.says("`approvers` is empty, so nobody could answer");
    nobody.says("w.yaml:4");
    let run = ["run", "w.yaml", "-p", "who=[alice]", "-p", "q="];
    test.windlass(&run)
        .expect(2)
        .says("`approval` must not be empty");
    let run = ["run", "w.yaml", "-p", "who=['']"];
    test.windlass(&run)
        .expect(2)
        .says("`approvers` contains an empty name");
    assert_eq!(
        test.windlass(&["runs", "--json"]).json(),
        serde_json::json!([])
    );
}

/// Who answers second is told so, even if the process that drives the run has not looked yet.
#[test]
fn an_answer_that_comes_too_late_is_refused() {
    let test = asks("");
    let mut child = asking(&test);
    answer(&test, "alice", "approve", &[]).expect(0);
    let late = answer(&test, "bob", "reject", &[]).expect(2);
    late.says("[not-waiting]");
    assert_eq!(child.wait().expect("ended").code(), Some(0));
}

/// Of several answers at once, one counts, and only who gave it is told so.
#[test]
fn of_several_answers_at_once_one_counts() {
    let test = asks("");
    test.windlass(&["run", "w.yaml"]).expect(3);
    let run = test.shown()["run"].as_str().expect("an id").to_owned();
    let all: Vec<_> = [
        ("alice", "approve"),
        ("bob", "reject"),
        ("carol", "approve"),
        ("dave", "reject"),
    ]
    .into_iter()
    .map(|(who, verdict)| {
        let mut command = test.command(&[verdict, &run, "go_live"]);
        let child = command.env("USER", who).stderr(Stdio::piped()).spawn();
        (who, child.expect("started"))
    })
    .collect();
    let counted: Vec<_> = all
        .into_iter()
        .filter_map(|(who, child)| {
            let output = child.wait_with_output().expect("ended");
            output.status.success().then_some(who)
        })
        .collect();
    let audit = test.windlass(&["audit", "--json"]).expect(0).json();
    assert_eq!(
        counted,
        [audit["approvals"][0]["approver"].as_str().expect("a name")]
    );
}

#[test]
fn an_answer_to_a_step_that_is_not_there_says_so() {
    let test = asks("");
    test.windlass(&["run", "w.yaml"]).expect(3);
    let refused = test.windlass(&["approve", "w", "nothing"]).expect(2);
    refused.says("the run has not reached it, or has no such step");
}

#[test]
fn a_rejection_does_not_hide_what_else_failed() {
    let file = "workflow: w\nsteps:\n  go_live: { on_error: continue, approval: \"Go?\" }\n  act: { needs: [go_live], run: 'throw \"real\"' }\n";
    let test = Test::new().file("w.yaml", file);
    test.windlass(&["run", "w.yaml"]).expect(3);
    answer(&test, "alice", "reject", &[]).expect(0);
    let ran = test.windlass(&["resume"]).expect(1);
    ran.says("To ask again: windlass resume");
    ran.says("To continue: windlass resume");
    // Without another failure, the same rejection would end it again.
    test.write("w.yaml", &file.replace("on_error: continue, ", ""));
    test.windlass(&["run", "w.yaml"]).expect(3);
    answer(&test, "alice", "reject", &[]).expect(0);
    let ran = test.windlass(&["resume"]).expect(1);
    ran.says("To ask again: windlass resume");
    assert!(!ran.stderr.contains("To continue"), "{}", ran.stderr);
}

#[test]
fn the_time_of_a_question_is_not_shown_as_work() {
    let test = Test::new().file("w.yaml", "workflow: w\nsteps: { ask: { approval: Go? } }\n");
    test.windlass(&["run", "w.yaml"]).expect(3);
    let run = test.shown()["run"].as_str().expect("an id").to_owned();
    test.windlass(&["approve", &run, "ask"]).expect(0);
    test.windlass(&["resume", &run]).expect(0);
    test.windlass(&["show", &run])
        .expect(0)
        .prints("   waited ");
}
