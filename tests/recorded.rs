//! `windlass test --record`: the tests that it writes are accepted and pass as they are.

use std::time::Duration;

use crate::{
    crash::ARGUMENTS,
    harness::{Ran, Test, contains, until},
    mock::{Mock, example},
};

fn run(test: &Test, workflow: &str, arguments: &[&str]) {
    test.windlass(&[&["run", workflow], arguments].concat())
        .expect(0);
}

/// Writes the test of a workflow's newest run, and returns it.
fn record(test: &Test, workflow: &str) -> String {
    let text = test
        .windlass(&["test", "--record", workflow])
        .expect(0)
        .stdout;
    test.write(&format!("{workflow}.test.yaml"), &text);
    text
}

fn play(test: &Test, workflow: &str) -> Ran {
    test.windlass(&["test", &format!("{workflow}.test.yaml")])
}

#[test]
fn runs_on_the_embedded_servers_become_tests_on_them() {
    let test = Test::new();
    run(&test, "gloo-mesh", &ARGUMENTS);
    let text = record(&test, "gloo-mesh");
    contains(
        &text,
        &[
            "workflow: \"gloo-mesh\"\n",
            "target: local\n",
            "      outputs: { ",
            "relay_ca_arn: \"*\"",
        ],
    );
    assert!(!text.contains("kube::"), "{text}");
    play(&test, "gloo-mesh").expect(0);

    let relay_ca = test.windlass(&["outputs", "gloo-mesh", "relay_ca_arn"]);
    let relay_ca = format!("relay_ca_arn={}", relay_ca.expect(0).stdout.trim());
    run(
        &test,
        "rotate-leaf",
        &[
            &ARGUMENTS[..2],
            &ARGUMENTS[6..],
            &["-p", "force=true", "-p", &relay_ca],
        ]
        .concat(),
    );
    let text = record(&test, "rotate-leaf");
    contains(
        &text,
        &[
            "before:\n      - workflow: \"gloo-mesh\"\n",
            "relay_ca_arn: \"${{ before.relay_ca_arn }}\"",
        ],
    );
    play(&test, "rotate-leaf").expect(0);

    // What a user undid is undone by its test.
    test.windlass(&["undo", "rotate-leaf", "--yes"]).expect(0);
    contains(
        &record(&test, "rotate-leaf"),
        &["undo: true", "status: undone"],
    );
    play(&test, "rotate-leaf").expect(0);
}

#[test]
fn a_run_of_a_runbook_becomes_a_test_of_the_shipped_one() {
    let test = Test::new();
    let mock = Mock::serve(&test, &example("rotate-db-password.http.yaml"));
    let admin = format!("admin={}", mock.url);
    let params = ["-p", &admin, "-p", "user=app", "-p", "current=the-old-one"];
    run(&test, "rotate-db-password", &params);
    let text = record(&test, "rotate-db-password");
    assert!(!text.contains("target: local"), "{text}");
    play(&test, "rotate-db-password").expect(0);

    // The undo makes calls that what the run called would match, too.
    let undo = ["undo", "rotate-db-password", "--yes"];
    test.windlass(&undo).expect(0);
    contains(
        &record(&test, "rotate-db-password"),
        &["undo: true", "times: 1"],
    );
    play(&test, "rotate-db-password").expect(0);
}

#[test]
fn a_question_that_expired_expires_in_the_test() {
    let test = Test::new().file(
        "w.yaml",
        "workflow: w\nsteps:\n  ask: { approval: Now?, timeout: 1s, on_timeout: approve }\n",
    );
    test.windlass(&["run", "w.yaml"]).expect(3);
    until("the question expires", Duration::from_secs(20), || {
        let runs = test.windlass(&["runs", "--json"]).expect(0).json();
        runs[0]["status"] == "expired"
    });
    test.windlass(&["resume"]).expect(0);
    contains(&record(&test, "w"), &["\"ask\": { answer: none }"]);
    play(&test, "w").expect(0);
}

const APART: &str = "[targets.apart]\nmesh = {}\n";

#[test]
fn calls_of_clusters_elsewhere_are_answered_as_they_were() {
    let test = Test::new().file("windlass.toml", APART);
    run(
        &test,
        "gloo-mesh",
        &[
            &ARGUMENTS[..],
            &[
                "-p",
                "approve=false",
                "-p",
                "force=true",
                "--target",
                "apart",
            ],
        ]
        .concat(),
    );
    let text = record(&test, "gloo-mesh");
    contains(
        &text,
        &[
            "- kube::find: { cluster: \"mgmt\", namespace: \"gloo-mesh\", object: \"secret/relay-root-tls-secret\" }",
        ],
    );
    // The keys that it makes are others each time, so it can't pass; but nothing in it is a mistake.
    let ran = play(&test, "gloo-mesh").expect(1);
    contains(&ran.stderr, &["1 test run: 0 passed, 1 failed"]);

    run(
        &test,
        "restart-mesh",
        &[
            "-p",
            "clusters=[a]",
            "-p",
            "approve=false",
            "--target",
            "apart",
        ],
    );
    record(&test, "restart-mesh");
    // What it proves comes out of Secrets, which a recorded test does not have.
    let ran = play(&test, "restart-mesh").expect(1);
    contains(&ran.stderr, &["1 test run: 0 passed, 1 failed"]);
}
