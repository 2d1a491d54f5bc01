//! `windlass mcp`, as a client of the Python SDK of the Model Context Protocol sees it.

use std::{collections::BTreeMap, path::Path, process::Command};

use serde_json::{Value as Json, json};

use crate::{
    harness::{Test, fed},
    serve::server::{ALICE, Served, with_people},
};

const QUICK: &str = "workflow: quick
description: Writes a file
params: { n: { type: int, default: 1, description: How many }, fails: { type: bool, default: false } }
steps:
  only:
    with: { n: \"${{ params.n }}\" }
    run: |
      file::write(\"a.txt\", `${inputs.n}`);
      #{ n: inputs.n }
  check:
    needs: [only]
    fresh: true
    with: { fails: \"${{ params.fails }}\" }
    run: |
      if inputs.fails && !file::exists(\"fixed.txt\") { throw \"it is broken\"; }
      #{}
outputs: { n: \"${{ steps.only.n }}\" }
";

/// What an assistant saw.
struct Session(Json);

impl Session {
    /// Starts `windlass mcp` with these arguments, and calls tools one after another.
    fn of(test: &Test, arguments: &[&str], environment: &[(&str, &str)], calls: Json) -> Self {
        let program = env!("CARGO_BIN_EXE_windlass");
        let command: Vec<_> = [&[program, "mcp"], arguments].concat();
        let mut variables = BTreeMap::from([("USER", "tester"), ("NO_COLOR", "1")]);
        variables.extend(environment.iter().copied());
        let asked = json!({
            "command": command,
            "env": variables,
            "cwd": test.path(""),
            "calls": calls,
        });
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/assistant/client.py");
        let ran = fed(Command::new("python3").arg(script), &asked.to_string());
        let said = serde_json::from_str(&ran.stdout);
        Self(said.unwrap_or_else(|e| panic!("{e}: {}{}", ran.stdout, ran.stderr)))
    }

    fn tools(&self) -> Vec<&str> {
        let tools = self.0["tools"].as_array().expect("tools");
        tools
            .iter()
            .map(|tool| tool["name"].as_str().expect("a name"))
            .collect()
    }

    /// What a call gave.
    #[track_caller]
    fn answer(&self, number: usize) -> &Json {
        let result = &self.0["results"][number];
        assert_eq!(result["isError"], false, "{result:#}");
        &result["structuredContent"]
    }

    /// Why a call failed: its code, and what an assistant reads.
    #[track_caller]
    fn failure(&self, number: usize) -> (&str, &str) {
        let result = &self.0["results"][number];
        assert_eq!(result["isError"], true, "{result:#}");
        let code = result["structuredContent"]["code"].as_str();
        let text = result["content"][0]["text"].as_str();
        (code.expect("a code"), text.expect("a text"))
    }
}

fn call(tool: &str, arguments: Json) -> Json {
    json!({ "tool": tool, "arguments": arguments })
}

#[test]
fn an_assistant_looks_and_may_do_nothing_else() {
    let test = Test::new()
        .file("quick.yaml", QUICK)
        .file("broken.yaml", "workflow: broken\nsteps: { a: { rn: x } }\n");
    test.windlass(&["run", "quick.yaml", "-p", "n=7"]).expect(0);
    let run = test.shown()["run"].as_str().expect("an id").to_owned();
    let session = Session::of(
        &test,
        &[],
        &[],
        json!([
            call("list_workflows", json!({})),
            call("list_runs", json!({ "status": "succeeded" })),
            call("show_run", json!({ "run": run })),
            call("log_run", json!({ "run": run, "step": "only" })),
            call(
                "plan_run",
                json!({ "workflow": "quick", "params": { "n": 3 } })
            ),
            call("explain", json!({ "topic": "in-doubt" })),
            call("list_certificates", json!({})),
            call("validate_workflow", json!({ "workflow": "quick" })),
            call("validate_workflow", json!({ "workflow": "broken" })),
            call(
                "validate_workflow",
                json!({ "text": "workflow: draft\nsteps: { a: { run: 'let x = ; x' } }\n" })
            ),
            call("show_run", json!({ "run": "../../etc/passwd" })),
            call("show_run", json!({ "runn": run })),
            call(
                "plan_run",
                json!({ "workflow": "quick", "params": { "n": "many" } })
            ),
            call("explain", json!({ "topic": "in-dout" })),
            call("start_run", json!({ "workflow": "quick" })),
            call("approve", json!({ "run": run })),
            call(
                "validate_workflow",
                json!({ "text": "x".repeat((1 << 20) + 1) })
            ),
            // Those of an old run are still accepted.
            call(
                "validate_workflow",
                json!({ "text": "workflow: draft\nparams: { t: secret }\nsteps: { a: { approval: 'use ${{ params.t }}?' }, b: { script: b.rhai } }\n" })
            ),
        ]),
    );
    assert_eq!(session.0["about"]["serverInfo"]["name"], "windlass");
    let tools = [
        "list_workflows",
        "list_runs",
        "show_run",
        "log_run",
        "validate_workflow",
        "plan_run",
        "explain",
        "list_certificates",
    ];
    assert_eq!(session.tools(), tools);
    for tool in session.0["tools"].as_array().expect("tools") {
        assert_eq!(tool["annotations"]["readOnlyHint"], true, "{tool:#}");
        assert_eq!(
            tool["inputSchema"]["additionalProperties"], false,
            "{tool:#}"
        );
    }
    let listed = &session.answer(0)["workflows"];
    let quick = listed
        .as_array()
        .expect("workflows")
        .iter()
        .find(|one| one["workflow"] == "quick");
    let quick = quick.expect("quick is listed");
    assert_eq!(
        quick["params"][1],
        json!({ "name": "n", "type": "int", "default": 1, "description": "How many" })
    );
    assert_eq!(session.answer(0)["targets"], json!(["local"]));
    assert_eq!(session.answer(1)["runs"][0]["run"], run.as_str());
    assert_eq!(session.answer(2)["status"], "succeeded");
    assert_eq!(session.answer(2)["outputs"], json!({ "n": 7 }));
    let log = session.answer(3)["lines"].as_array().expect("lines");
    assert!(
        !log.is_empty() && log.iter().all(|line| line["step"] == "only"),
        "{log:#?}"
    );
    assert!(
        session.answer(4)["steps"].to_string().contains("only"),
        "{:#}",
        session.answer(4)
    );
    assert!(
        session.answer(5)["pages"][0]
            .as_str()
            .is_some_and(|page| page.starts_with("# `in-doubt`"))
    );
    assert!(session.answer(6).is_object());
    assert_eq!(session.answer(7)["is_valid"], true);
    let (code, text) = session.failure(8);
    assert!(
        code == "invalid-workflow" && text.contains("broken.yaml:2"),
        "{code} {text}"
    );
    let (code, text) = session.failure(9);
    assert!(
        code == "invalid-workflow" && text.contains("draft.yaml"),
        "{code} {text}"
    );
    assert!(!text.contains('\u{1b}'), "{text:?}");
    assert_eq!(session.failure(10).0, "no-such-run");
    let (code, text) = session.failure(11);
    assert!(
        code == "bad-request" && text.contains("runn"),
        "{code} {text}"
    );
    let (code, text) = session.failure(12);
    assert!(code == "params" && text.contains('n'), "{code} {text}");
    let (code, text) = session.failure(13);
    assert!(
        code == "unknown-topic" && text.contains("hint: did you mean in-doubt?"),
        "{code} {text}"
    );
    // What is not allowed is not there, nor is what is never allowed.
    for (number, wanted) in [
        (14, "the tool `start_run` is not allowed"),
        (15, "there is no tool `approve`"),
    ] {
        let refused = session.0["results"][number]["refused"].as_str();
        assert!(
            refused.is_some_and(|why| why.contains(wanted)),
            "{:#}",
            session.0["results"][number]
        );
    }
    let (code, text) = session.failure(16);
    assert!(
        code == "bad-request" && text.contains("larger than 1 MiB"),
        "{code}"
    );
    let (code, text) = session.failure(17);
    assert_eq!(code, "invalid-workflow");
    for wanted in ["draft.yaml:3", "is not among the files"] {
        assert!(text.contains(wanted), "{text}");
    }
    let runs = test.windlass(&["runs", "--json"]).expect(0).json();
    assert_eq!(runs.as_array().map(Vec::len), Some(1));
}

#[test]
fn an_assistant_starts_and_resumes_what_it_is_allowed_to() {
    let test = Test::new().file("quick.yaml", QUICK);
    let until = |status: &str| json!({ "tool": "show_run", "arguments": { "run": "$RUN" }, "until": status });
    let session = Session::of(
        &test,
        &["--allow", "start"],
        &[],
        json!([
            call(
                "start_run",
                json!({ "workflow": "quick", "params": { "fails": true }, "key": "one" })
            ),
            until("failed"),
            call(
                "start_run",
                json!({ "workflow": "quick", "params": { "fails": true }, "key": "one" })
            ),
            call("resume_run", json!({ "run": "$RUN" })),
        ]),
    );
    assert!(session.tools().contains(&"start_run") && !session.tools().contains(&"resume_run"));
    let run = session.answer(0)["run"].as_str().expect("an id").to_owned();
    assert_eq!(
        session.answer(2),
        &json!({ "run": run, "is_repeated": true })
    );
    assert!(
        session.0["results"][3]["refused"].is_string(),
        "{:#}",
        session.0["results"][3]
    );
    let started = &test.events()[0];
    assert_eq!(
        (&started["requester"], &started["via"]["how"]),
        (&json!("tester"), &json!("assistant"))
    );
    test.write(&format!("out/{run}/fixed.txt"), "x");
    let session = Session::of(
        &test,
        &["--allow", "start,resume"],
        &[],
        json!([
            call("resume_run", json!({ "run": run })),
            until("succeeded"),
            call("resume_run", json!({ "run": run })),
        ]),
    );
    session.answer(1);
    assert_ne!(session.failure(2).0, "system");
    test.windlass(&["audit"]).expect(0);
}

#[test]
fn an_assistant_works_through_a_server() {
    let test = with_people(Test::new().file("quick.yaml", QUICK));
    let served = Served::start(&test);
    let url = format!("http://{}", served.address);
    let elsewhere = Test::new();
    let environment = [("WINDLASS_SERVER", url.as_str()), ("WINDLASS_TOKEN", ALICE)];
    let session = Session::of(
        &elsewhere,
        &["--allow", "start"],
        &environment,
        json!([
            call("list_workflows", json!({})),
            call("start_run", json!({ "workflow": "quick" })),
            json!({ "tool": "show_run", "arguments": { "run": "$RUN" }, "until": "succeeded" }),
            call("plan_run", json!({ "workflow": "quick" })),
            call("list_runs", json!({ "status": "nonsense" })),
            json!({ "tool": "log_run", "arguments": { "run": "$RUN", "step": "nosuch" } }),
            call(
                "start_run",
                json!({ "workflow": "quick", "params": { "x": [u64::MAX] } })
            ),
        ]),
    );
    assert_eq!(session.answer(0)["workflows"][0]["workflow"], "quick");
    assert_eq!(session.failure(4).0, "bad-request");
    assert_eq!(session.failure(5).0, "unknown-step");
    assert_eq!(session.failure(6).0, "params");
    let run = session.answer(1)["run"].as_str().expect("an id");
    served.wait(run, "succeeded");
    // The server says who it was: the token's owner.
    let started = &test.events()[0];
    assert_eq!(started["requester"], "alice");
    assert_eq!(
        started["via"]["how"],
        "token alice, header, by an assistant"
    );
    let plan = session.answer(3);
    assert_eq!(plan["notes"], json!([]));
    assert_ne!(plan["steps"], json!([]), "{plan:#}");
}

#[test]
fn an_assistant_that_acts_is_alone_and_one_that_looks_is_not() {
    let test = with_people(Test::new().file("quick.yaml", QUICK));
    let _served = Served::start(&test);
    let session = Session::of(&test, &[], &[], json!([call("list_runs", json!({}))]));
    assert_eq!(session.answer(0)["runs"], json!([]));
    let refused = test.windlass(&["mcp", "--allow", "start"]).expect(2);
    refused.says("serves the runs in");
}
