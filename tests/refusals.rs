//! Tests of workflows that expect an answer to a question not to count.

use crate::harness::Test;

const WORKFLOW: &str = "workflow: w\nsteps:\n  ask: { approval: \"Sure?\", approvers: [alice] }\n";

fn tested(by: &str, expect: &str) -> Test {
    Test::new().file("w.yaml", WORKFLOW).file(
        "w.test.yaml",
        &format!("workflow: w.yaml\ntests:\n  it asks:\n    approvals: {{ ask: {{ by: {by} }} }}\n    expect: {expect}\n"),
    )
}

#[test]
fn a_test_says_which_answer_must_not_count() {
    for (by, expect, code, said) in [
        ("alice", "{}", 0, ""),
        (
            "carol",
            "{ status: waiting }",
            1,
            "an answer to a question was not accepted: carol may not approve or reject `ask`",
        ),
        (
            "carol",
            "{ status: waiting, refused: \"*approvers are alice\" }",
            0,
            "",
        ),
        (
            "carol",
            "{ status: waiting, refused: \"*too late*\" }",
            1,
            "an answer to a question was not accepted",
        ),
        (
            "alice",
            "{ refused: \"*approvers are alice\" }",
            1,
            "every answer to a question was accepted, but `*approvers are alice` was expected",
        ),
    ] {
        let ran = tested(by, expect).windlass(&["test"]).expect(code);
        assert!(ran.stderr.contains(said), "{by} {expect}: {}", ran.stderr);
    }
}
