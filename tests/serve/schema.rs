//! The API against its own description, by schemathesis: requests made from it, good and bad, in a number that is fixed.

use std::process::Command;

use serde_json::json;

use super::server::{ALICE, Served, with_people};
use crate::harness::{Ran, Test, skip};

/// Without it the test is skipped, but for CI, which installs it.
fn is_installed() -> bool {
    let is_there = Command::new("schemathesis")
        .arg("--version")
        .output()
        .is_ok();
    if !is_there {
        skip("schemathesis", "pip install -r tests/requirements.txt");
    }
    is_there
}

#[test]
fn the_api_does_what_its_document_says() {
    if !is_installed() {
        return;
    }
    let flow = "workflow: w\nparams: { n: { type: int, default: 1 } }\nsteps: { a: { run: \"1\" }, ask: { approval: Go on?, needs: [a] } }\n";
    let test = with_people(Test::new().file("w.yaml", flow));
    let served = Served::start(&test);
    let run = served.run(ALICE, &json!({ "workflow": "w" }));
    served.wait(&run, "waiting");
    let output = Command::new("schemathesis")
        .args([
            "run",
            &format!("http://{}/api/v1/openapi.json", served.address),
        ])
        .args(["-H", &format!("Authorization: Bearer {}", served.owner)])
        // Streams do not end.
        .args(["--exclude-path-regex", "stream$"])
        .args([
            "--checks",
            "not_a_server_error,content_type_conformance,response_schema_conformance",
        ])
        .args([
            "--phases",
            "examples,coverage,fuzzing",
            "--max-examples",
            "2",
            "--seed",
            "7",
            "--no-color",
        ])
        .args(["--generation-database", "none", "--request-timeout", "20"])
        .current_dir(test.path(""))
        .output();
    let ran = Ran::from_output(output.expect("it starts"));
    println!(
        "{}",
        ran.stdout
            .lines()
            .rev()
            .take(25)
            .collect::<Vec<_>>()
            .join("\n")
    );
    ran.expect(0);
    served.get(ALICE, "/readyz").expect(200);
}
