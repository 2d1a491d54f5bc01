//! What a person confirms is what was shown: starts and undos are bound to their plans, and answers count together or not at all.

use serde_json::{Value as Json, json};

use super::{
    remote::Two,
    server::{ALICE, BOB, Served, bearer, with_people},
};
use crate::harness::Test;

const PLACES: &str = "workflow: places
params: { names: { type: list(string), default: [east, west] } }
steps: { a: { with: { n: \"${{ params.names }}\" }, run: \"#{ n: inputs.n }\" } }
outputs: { names: \"${{ params.names }}\" }
";

const TWO: &str = "workflow: two
steps:
  aa: { approval: \"A?\", approvers: [bob, alice] }
  bb: { approval: \"B?\", approvers: [APPROVER] }
  cc: { needs: [aa], run: \"file::write(\\\"c.txt\\\", \\\"x\\\"); #{}\" }
";

const FAILS: &str = "workflow: fails
steps:
  one: { run: \"file::write(\\\"one.txt\\\", \\\"x\\\"); #{}\" }
  two: { needs: [one], run: \"throw \\\"no\\\"\" }
";

#[test]
fn a_start_is_bound_to_the_plan_that_was_shown() {
    let test = with_people(Test::new().file("places.yaml", PLACES));
    let served = Served::start(&test);
    let plan = |names: &Json| {
        let body = json!({ "params": { "names": names } });
        let planned = served.post(ALICE, "/api/v1/workflows/places/plan", &body);
        let digest = planned.expect(200).json()["digest"].clone();
        digest.as_str().expect("a digest").to_owned()
    };
    let start = |names: &Json, plan: &str| {
        let body = json!({ "workflow": "places", "params": { "names": names }, "plan": plan });
        served.post(ALICE, "/api/v1/runs", &body)
    };
    let (staging, prod) = (json!(["staging"]), json!(["prod"]));
    let shown = plan(&staging);
    let refused = start(&prod, &shown).expect(409).json();
    assert_eq!(refused["code"], "plan-changed");
    start(&staging, &shown).expect(201);
    test.write("places.yaml", &PLACES.replace("#{ n", "#{ m: 1, n"));
    assert_eq!(
        start(&staging, &shown).expect(409).json()["code"],
        "plan-changed"
    );
    start(&staging, &plan(&staging)).expect(201);
    start(&staging, "0123").expect(400);
    // As on the command line, a null is not the default.
    let body = json!({ "workflow": "places", "params": { "names": null } });
    let refused = served.post(ALICE, "/api/v1/runs", &body).expect(422).json();
    assert_eq!(refused["code"], "params", "{refused}");
    assert!(
        refused.to_string().contains("the value is null"),
        "{refused}"
    );
    // A client that does not send it starts what there is.
    let body = json!({ "workflow": "places", "params": { "names": prod } });
    served.post(ALICE, "/api/v1/runs", &body).expect(201);
}

#[test]
fn an_undo_is_bound_to_the_plan_that_was_shown() {
    let test = with_people(Test::new().file("fails.yaml", FAILS));
    let served = Served::start(&test);
    let owner = served.owner.clone();
    let run = served.run(ALICE, &json!({ "workflow": "fails" }));
    served.wait(&run, "failed");
    let path = format!("/api/v1/runs/{run}/undo");
    let plan = served.get(&owner, &path).expect(200).json();
    let cookie = served.log_in(&owner);
    let page = served
        .page(&cookie, &format!("/runs/{run}/undo"))
        .expect(200)
        .body;
    let events = plan["events"].to_string();
    assert!(
        page.contains(&format!("name=\"events\" value=\"{events}\"")),
        "{page}"
    );
    // Somebody resumes it meanwhile.
    served
        .post(ALICE, &format!("/api/v1/runs/{run}/resume"), &json!({}))
        .expect(202);
    served.wait(&run, "failed");
    let refused = served
        .post(&owner, &path, &json!({ "events": plan["events"] }))
        .expect(409);
    assert_eq!(refused.json()["code"], "plan-changed");
    served
        .submit(
            &cookie,
            &format!("/runs/{run}/undo"),
            &[("events", &events)],
        )
        .expect(409);
    served
        .submit(&cookie, &format!("/runs/{run}/undo"), &[])
        .expect(400);
    let plan = served.get(&owner, &path).expect(200).json();
    served
        .post(&owner, &path, &json!({ "events": plan["events"] }))
        .expect(202);
    served.wait(&run, "undone");
}

#[test]
fn several_answers_count_together_or_not_at_all() {
    let two = Two::new();
    let denied = TWO.replace("APPROVER", "vera");
    for (name, text) in [
        ("denied.yaml", denied),
        ("both.yaml", TWO.replace("APPROVER", "bob")),
    ] {
        two.there.write(name, &text);
    }
    let run = two.served.run(ALICE, &json!({ "workflow": "denied" }));
    two.served.wait(&run, "waiting");
    let refused = two.windlass(BOB, &["approve", &run, "aa", "bb"]).expect(2);
    refused.says("bob may not approve or reject `bb`");
    assert!(
        !refused.stderr.contains("approved `aa`"),
        "{}",
        refused.stderr
    );
    let shown = two.served.wait(&run, "waiting");
    assert_eq!(
        shown["asks"].as_array().expect("a list").len(),
        2,
        "{shown:#}"
    );
    let answers = json!([{ "step": "aa", "digest": "0".repeat(64) }, { "step": "bb" }]);
    let path = format!("/api/v1/runs/{run}/answers");
    let body = json!({ "verdict": "approved", "answers": answers });
    assert_eq!(
        two.served.post(BOB, &path, &body).expect(409).json()["code"],
        "not-waiting"
    );
    two.served.post(ALICE, &path, &body).expect(403);
    let twice = json!({ "verdict": "approved", "answers": [{ "step": "aa" }, { "step": "aa" }] });
    assert_eq!(
        two.served.post(BOB, &path, &twice).expect(409).json()["code"],
        "not-waiting"
    );
    two.served
        .post(BOB, &path, &json!({ "verdict": "approved", "answers": [] }))
        .expect(422);

    let run = two.served.run(ALICE, &json!({ "workflow": "both" }));
    two.served.wait(&run, "waiting");
    let approved = two
        .windlass(BOB, &["approve", &run, "aa", "bb", "-m", "both"])
        .expect(0);
    approved.says("approved `aa`");
    approved.says("approved `bb`");
    two.served.wait(&run, "succeeded");
    let long = json!({ "step": "aa", "comment": "x".repeat(4_001) });
    two.served
        .post(BOB, &format!("/api/v1/runs/{run}/approve"), &long)
        .expect(422);
}

#[test]
fn requests_that_no_run_could_mean_are_refused() {
    let any = "workflow: any\nparams: { x: any }\nsteps: { a: { run: \"#{}\" } }\n";
    let test = with_people(Test::new().file("any.yaml", any));
    let served = Served::start(&test);
    let bearer = bearer(ALICE);
    let send = |number: &str| {
        let body = format!("{{\"workflow\":\"any\",\"params\":{{\"x\":[{number}]}}}}");
        let headers = [
            ("Authorization", bearer.as_str()),
            ("Content-Type", "application/json"),
        ];
        served.send("POST", "/api/v1/runs", &headers, &body)
    };
    for number in [
        "9223372036854775808",
        "-9223372036854775809",
        "123456789012345678901234567890",
    ] {
        let refused = send(number).expect(400).json();
        let detail = refused["detail"].as_str().expect("text");
        assert!(detail.contains(number), "{refused}");
    }
    for number in [
        "9223372036854775807",
        "1e300",
        "\"123456789012345678901234567890\"",
    ] {
        send(number).expect(201);
    }
    for path in ["/api/v1/runs?status=faild", "/api/v1/runs?status=Failed"] {
        assert_eq!(
            served.get(ALICE, path).expect(400).json()["code"],
            "bad-request"
        );
    }
    served
        .get(ALICE, "/api/v1/runs?status=undo%20failed")
        .expect(200);
    let document = served.get(ALICE, "/api/v1/openapi.json").expect(200).body;
    assert!(document.contains("\"undo failed\""));
    // What the router refuses has the form of every other refusal.
    for (method, path, status) in [
        ("GET", "/api/v1/runs/%ff%fe", 400),
        ("PUT", "/api/v1/runs", 405),
        ("GET", "/assets/nothing.js", 404),
    ] {
        let answer = served
            .send(method, path, &[("Authorization", &bearer)], "")
            .expect(status);
        assert!(!answer.body.is_empty(), "{method} {path}");
        if path.starts_with("/api/") {
            assert_eq!(
                answer.header("content-type"),
                Some("application/problem+json")
            );
        }
    }
    let lower = bearer.replace("Bearer", "bearer");
    served
        .send("GET", "/api/v1/whoami", &[("Authorization", &lower)], "")
        .expect(200);
}

#[test]
fn the_most_urgent_question_comes_first() {
    let ask = |name: &str, more: &str| {
        format!("workflow: {name}\nsteps: {{ gate: {{ approval: \"{name}?\"{more} }} }}\n")
    };
    let test = with_people(
        Test::new()
            .file("calm.yaml", &ask("calm", ""))
            .file("late.yaml", &ask("late", ", timeout: 9h"))
            .file("soon.yaml", &ask("soon", ", timeout: 1h")),
    );
    let served = Served::start(&test);
    for workflow in ["calm", "soon", "calm", "late"] {
        let run = served.run(ALICE, &json!({ "workflow": workflow }));
        served.wait(&run, "waiting");
    }
    let waiting = served.get(BOB, "/api/v1/waiting").expect(200).json();
    let questions = waiting["questions"].as_array().expect("a list");
    let names: Vec<_> = questions.iter().map(|one| &one["workflow"]).collect();
    assert_eq!(names, ["soon", "late", "calm", "calm"]);
    assert!(questions[2]["run"].as_str() < questions[3]["run"].as_str());
}
