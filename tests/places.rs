//! A failure says where it happened: the step, the file, the line, the column, the calls that led there.

use serde_json::json;

use crate::harness::Test;

/// A module whose only function makes a call that fails.
const LIBRARY: &str = "fn deep(name) {
    file::read(name)
}

fn of(name) {
    deep(name)
}
";

const SCRIPT: &str = "import \"lib/read\" as lib;

fn run(inputs) {
    let text = lib::of(\"gone.txt\");
    #{ text: text }
}
";

fn test(workflow: &str) -> Test {
    Test::new()
        .file("w.yaml", workflow)
        .file("lib/read.rhai", LIBRARY)
        .file("step.rhai", SCRIPT)
}

/// What a run that fails shows, and the error of its JSON.
fn failed(test: &Test) -> (String, serde_json::Value) {
    let stderr = test.windlass(&["run", "w.yaml"]).expect(1).stderr;
    (stderr, test.shown()["error"].clone())
}

#[test]
fn e1_a_failed_call_has_its_place_and_its_chain() {
    let test = test("workflow: w\nsteps:\n  load: { script: step.rhai }\n");
    let (stderr, error) = failed(&test);
    assert!(stderr.contains("outside-failure in step load"), "{stderr}");
    assert!(stderr.contains("[lib/read.rhai:2:"), "{stderr}");
    assert!(
        stderr.contains("in `deep`, called at lib/read.rhai:6:5"),
        "{stderr}"
    );
    assert!(
        stderr.contains("in `of`, called at step.rhai:4:"),
        "{stderr}"
    );
    assert_eq!(error["step"], "load", "{error:#}");
    assert_eq!(error["code"], "outside-failure");
    assert_eq!(error["place"]["file"], "lib/read.rhai");
    assert_eq!(error["place"]["line"], 2);
    assert_eq!(error["chain"].as_array().map(Vec::len), Some(2));
    assert_eq!(error["failure"]["class"], "rejected");
    let message = error["message"].as_str().expect("a text");
    assert!(message.contains("gone.txt"), "{message}");
}

#[test]
fn e1_every_kind_of_host_call_has_its_place() {
    let bodies = [
        ("base64::decode(\"?\")", 7),
        ("key::generate(\"RSA_\" + 1)", 7),
        ("json::parse(\"{\")", 7),
        (
            "let x = 1; kube::get(\"nowhere\", \"\", \"po\" + \"d\")",
            18,
        ),
        ("exec::run(\"nothing\", [])", 7),
    ];
    for (body, column) in bodies {
        let test = test(&format!(
            "workflow: w\nsteps:\n  a:\n    run: |\n      {body}\n"
        ));
        let (stderr, error) = failed(&test);
        assert_eq!(error["place"]["line"], 5, "{body}: {stderr}{error:#}");
        assert!(
            error["place"]["column"].as_i64() >= Some(column),
            "{body}: {error:#}"
        );
    }
}

#[test]
fn e1_an_expression_that_fails_has_its_place() {
    let test = test(
        "workflow: w
steps:
  a: { run: '#{ n: 1 }' }
  b:
    run: ()
    with:
      x: \"say ${{ 1 + steps.a.n / 0 }}\"
",
    );
    let (stderr, error) = failed(&test);
    assert!(stderr.contains("expression-failed in step b"), "{stderr}");
    assert_eq!(error["place"]["line"], 7, "{error:#}");
    assert_eq!(error["place"]["column"], 33, "{error:#}");
    let message = error["message"].as_str().expect("a text");
    assert!(!message.contains("line"), "{message}");
}

#[test]
fn e1_a_condition_that_is_none_has_its_place() {
    let test = test(
        "workflow: w\nsteps:\n  a: { run: '#{ n: 1 }' }\n  b: { run: (), when: \"${{ steps.a.n }}\" }\n",
    );
    let (_, error) = failed(&test);
    assert_eq!(
        error["place"],
        json!({ "file": "w.yaml", "line": 4, "column": 28 })
    );
}

#[test]
fn e1_a_call_that_stops_the_step_has_its_place() {
    let test = test(
        "workflow: w
steps:
  slow:
    timeout: 1s
    run: |
      let wait = \"5m\";
      time::sleep(wait);
",
    );
    let (_, error) = failed(&test);
    assert_eq!(error["code"], "timed-out", "{error:#}");
    assert_eq!(
        error["place"],
        json!({ "file": "w.yaml", "line": 7, "column": 13 })
    );
}

#[test]
fn e1_a_failed_undo_has_its_place() {
    let test = test("workflow: w\nsteps:\n  a: { script: undone.rhai }\n").file(
        "undone.rhai",
        "fn run(inputs) { #{} }\n\nfn undo(inputs, outputs) {\n    file::read(\"gone.txt\")\n}\n",
    );
    test.windlass(&["run", "w.yaml"]).expect(0);
    let stderr = test.windlass(&["undo", "--yes"]).expect(1).stderr;
    assert!(stderr.contains("[undone.rhai:4:"), "{stderr}");
    assert!(stderr.contains("in step a!undo"), "{stderr}");
    let error = test.shown()["errors"].clone();
    let of_step = error
        .as_array()
        .expect("a list")
        .iter()
        .find(|e| e["step"] == "a!undo");
    assert_eq!(of_step.expect("an error")["place"]["line"], 4, "{error:#}");
}
