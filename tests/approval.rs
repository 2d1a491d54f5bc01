//! `approval:` steps: a run waits for people.

use std::time::{Duration, Instant};

use crate::harness::{Ran, Test, status};

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

#[test]
fn a_run_stops_until_somebody_approves() {
    let test = asks("");
    let ran = test.windlass(&["run", "w.yaml"]).expect(3);
    assert!(ran.stderr.contains("Restart 3 clusters?"), "{}", ran.stderr);
    assert!(ran.stderr.contains("windlass approve "), "{}", ran.stderr);
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
    let mut child = test.start(&["run", "w.yaml", "--wait"]);
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let runs = test.command(&["runs", "--json"]).output().expect("runs");
        if String::from_utf8_lossy(&runs.stdout).contains("\"running\"")
            && test.events().iter().any(|e| e["event"] == "approval_asked")
        {
            break;
        }
        assert!(Instant::now() < deadline, "it never asked");
        std::thread::sleep(Duration::from_millis(20));
    }
    answer(&test, "alice", "approve", &[]).expect(0);
    let code = child.wait().expect("ended").code();
    assert_eq!(code, Some(0));
    assert_eq!(test.read("out/by.txt"), "alice: ");
}

#[test]
fn a_rejection_fails_the_step_and_a_resume_asks_again() {
    let test = asks("");
    test.windlass(&["run", "w.yaml"]).expect(3);
    answer(&test, "alice", "reject", &["-m", "not today"]).expect(0);
    let ran = test.windlass(&["resume"]).expect(3);
    assert!(ran.stderr.contains("Restart 3 clusters?"), "{}", ran.stderr);
    let events = test.events();
    let verdicts: Vec<_> = events
        .iter()
        .filter_map(|e| e["verdict"].as_str())
        .collect();
    assert_eq!(verdicts, ["rejected"]);
    answer(&test, "alice", "approve", &[]).expect(0);
    test.windlass(&["resume"]).expect(0);
}

#[test]
fn only_approvers_count() {
    let test = asks("    approvers: [alice, carol]\n    not_requester: true\n");
    test.windlass(&["run", "w.yaml"]).expect(3);
    let bob = answer(&test, "bob", "approve", &[]).expect(2);
    assert!(bob.stderr.contains("alice, carol"), "{}", bob.stderr);
    answer(&test, "carol", "approve", &[]).expect(0);
    test.windlass(&["resume"]).expect(0);

    let test = asks("    not_requester: true\n");
    test.windlass(&["run", "w.yaml"]).expect(3);
    let own = answer(&test, "tester", "approve", &[]).expect(2);
    assert!(
        own.stderr.contains("another pair of eyes"),
        "{}",
        own.stderr
    );
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
    assert!(
        ran.stderr.contains("what was to be approved has changed"),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("Restart 5 clusters?"), "{}", ran.stderr);
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
