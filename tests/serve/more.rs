//! Resuming with changes, doubts, evidence, comparison, what waits, logs.

use std::{
    io::{Read, Write},
    net::TcpListener,
    sync::Arc,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Instant,
};

use serde_json::{Value as Json, json};

use super::server::{ALICE, BOB, Served, VERA, bearer, with_people};
use crate::harness::Test;

const BROKEN: &str = "workflow: fix
params: { n: { type: int, default: 1 } }
steps:
  first:
    run: \"file::write(\\\"first.txt\\\", \\\"x\\\"); #{ n: 1 }\"
  second:
    needs: [first]
    with: { n: \"${{ params.n }}\" }
    run: \"throw \\\"broken\\\"\"
outputs: { n: \"${{ steps.second.n }}\" }
";

fn count(events: &[Json], kind: &str, step: &str) -> usize {
    let of = |event: &&Json| event["event"] == kind && event["step"] == step;
    events.iter().filter(of).count()
}

#[test]
fn a_failed_run_is_resumed_with_mended_files_and_the_plan_that_was_shown() {
    let test = with_people(Test::new().file("fix.yaml", BROKEN));
    let served = Served::start(&test);
    let run = served.run(ALICE, &json!({ "workflow": "fix" }));
    served.wait(&run, "failed");
    let at = |what: &str| format!("/api/v1/runs/{run}/{what}");
    // Nothing has changed: what failed continues.
    let plan = served
        .post(ALICE, &at("revision"), &json!({}))
        .expect(200)
        .json();
    assert_eq!(plan["files"], json!([]));
    // The other door says the same, and that params belong to new files.
    let alone = json!({ "params": { "n": 2 } });
    assert_eq!(
        served.post(ALICE, &at("revise"), &alone).expect(422).json()["code"],
        "params"
    );
    test.write(
        "fix.yaml",
        &BROKEN.replace("throw \\\"broken\\\"", "#{ n: inputs.n }"),
    );
    let changes = json!({ "takes_files": true, "params": { "n": 7 } });
    let plan = served
        .post(ALICE, &at("revision"), &changes)
        .expect(200)
        .json();
    assert_eq!(plan["files"], json!(["fix.yaml"]), "{plan:#}");
    let fates: Vec<_> = plan["plan"]
        .as_array()
        .expect("steps")
        .iter()
        .map(|fate| &fate["fate"])
        .collect();
    assert_eq!(fates, ["kept", "new"], "{plan:#}");
    assert_eq!(test.shown()["status"], "failed", "a plan changes nothing");
    // Between the plan and the button somebody saves the file once more: the plan was of another one.
    let digest = plan["digest"].as_str().expect("a digest").to_owned();
    test.write(
        "fix.yaml",
        &BROKEN.replace("throw \\\"broken\\\"", "#{ n: inputs.n + 1 }"),
    );
    let bound = json!({ "takes_files": true, "params": { "n": 7 }, "digest": digest });
    assert_eq!(
        served.post(ALICE, &at("revise"), &bound).expect(409).json()["code"],
        "plan-changed"
    );
    assert_eq!(test.shown()["status"], "failed");
    // A viewer may neither look at a plan nor resume.
    served.post(VERA, &at("revision"), &changes).expect(403);
    let plan = served
        .post(ALICE, &at("revision"), &changes)
        .expect(200)
        .json();
    let bound = json!({ "takes_files": true, "params": { "n": 7 }, "digest": plan["digest"] });
    served.post(ALICE, &at("revise"), &bound).expect(202);
    let shown = served.wait(&run, "succeeded");
    assert_eq!(shown["outputs"], json!({ "n": 8 }));
    let events = test.events();
    assert_eq!(
        count(&events, "step_started", "first"),
        1,
        "what was done is kept"
    );
    let edited = events
        .iter()
        .find(|event| event["event"] == "run_edited")
        .expect("edited");
    assert_eq!(edited["requester"], "alice");
    test.windlass(&["audit"]).expect(0);
    // And a single step once more, though the run has succeeded.
    let redo = json!({ "redo": ["second"] });
    served.post(ALICE, &at("revise"), &redo).expect(202);
    served.wait(&run, "succeeded");
    assert_eq!(count(&test.events(), "step_started", "second"), 3);
    let wrong = json!({ "redo": ["third"] });
    assert_eq!(
        served.post(ALICE, &at("revise"), &wrong).expect(422).json()["code"],
        "unknown-step"
    );
}

#[test]
fn only_files_of_the_library_are_taken() {
    let test = with_people(Test::new().file(
        "served/w.yaml",
        "workflow: w\nsteps: { a: { run: \"1\" } }\n",
    ))
    .file("elsewhere/fix.yaml", BROKEN);
    test.windlass(&["run", "elsewhere/fix.yaml"]).expect(1);
    let (mut served, url) = Served::start_with(
        &test,
        &["serve", "--listen", "127.0.0.1:0", "--workflows", "served"],
    );
    let address = url
        .trim()
        .strip_prefix("http://")
        .and_then(|rest| rest.split('/').next());
    address.expect("an address").clone_into(&mut served.address);
    let page = served.get(VERA, "/api/v1/runs").expect(200).json();
    let run = page["runs"][0]["run"].as_str().expect("a run").to_owned();
    let changes = json!({ "takes_files": true });
    let refused = served.post(ALICE, &format!("/api/v1/runs/{run}/revision"), &changes);
    assert_eq!(refused.expect(409).json()["code"], "unknown-workflow");
}

/// Takes requests, counts them, and ends the connection without an answer as often as it is told.
fn silent(times: usize) -> (std::net::SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let _ = stream.read(&mut [0; 4096]);
            if counted.fetch_add(1, Ordering::SeqCst) >= times {
                let _ = stream.write_all(
                    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
                );
            }
        }
    });
    (address, count)
}

/// What a person says of a call is as secret as what the call itself would have given.
#[test]
fn what_became_of_a_call_is_kept_as_a_secret_where_its_answer_is_one() {
    let (address, _) = silent(1);
    let flow = format!(
        "workflow: order\nsteps:\n  order:\n    run: |\n      let made = http::post(\"http://{address}/orders\", #{{ body: \"x\", secret_output: true }});\n      file::write_secret(\"t\", made.body);\n"
    );
    let test = with_people(Test::new().file("order.yaml", &flow));
    let served = Served::start(&test);
    let owner = served.owner.clone();
    let run = served.run(&owner, &json!({ "workflow": "order" }));
    served.wait(&run, "failed");
    let value = json!({ "status": 201, "body": "hunter2-hunter2" });
    let said = json!({ "step": "order", "done": true, "value": value });
    served
        .post(&owner, &format!("/api/v1/runs/{run}/doubt"), &said)
        .expect(202);
    served.wait(&run, "succeeded");
    assert_eq!(test.read(&format!("out/{run}/t")), "hunter2-hunter2");
    let events = served.get(&owner, &format!("/api/v1/runs/{run}/events"));
    assert!(events.body.contains("effect_answered"), "{}", events.body);
    let page = served.page(&served.log_in(&owner), &format!("/runs/{run}"));
    let mut kept = super::server::contents(&test.path(".windlass"));
    kept.extend([events.body.into_bytes(), page.body.into_bytes()]);
    let secret = b"hunter2-hunter2";
    let leaks = |text: &Vec<u8>| text.windows(secret.len()).any(|part| part == secret);
    assert!(!kept.iter().any(leaks), "it is stored in plain text");
}

/// The account of a target is held before a run begins, whichever services it asks.
#[test]
fn a_server_finds_another_account_before_a_run() {
    let sts = crate::web::Web::open(|_| {
        let body = "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:iam::111111111111:user/x</Arn>\
            <UserId>x</UserId><Account>111111111111</Account></GetCallerIdentityResult></GetCallerIdentityResponse>";
        let head = format!(
            "HTTP/1.1 200 X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        (head + body).into_bytes()
    });
    let workflow =
        "workflow: w\nsteps: { a: { run: 'aws::request(\"ecs\", \"ListClusters\"); #{}' } }\n";
    let target = format!(
        "[targets.t]\naws = {{ region = \"us-east-1\", account = \"222222222222\", endpoint = \"{}\" }}\n",
        sts.url("")
    );
    let mut test = Test::new()
        .file("w.yaml", workflow)
        .file("windlass.toml", &target);
    for (name, value) in [
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ] {
        test.set(name, value);
    }
    let served = Served::start(&test);
    let wanted = json!({ "workflow": "w", "target": "t" });
    let refused = served.post(&served.owner, "/api/v1/runs", &wanted);
    assert_ne!(refused.status, 201, "{}", refused.body);
    assert!(
        refused.body.contains("111111111111") && refused.body.contains("222222222222"),
        "{}",
        refused.body
    );
    let runs = served.get(&served.owner, "/api/v1/runs").expect(200).json();
    assert_eq!(runs["runs"], json!([]));
}

#[test]
fn who_knows_says_what_became_of_a_call() {
    let (address, count) = silent(1);
    let flow = format!(
        "workflow: order\nsteps:\n  order:\n    run: \"http::post(\\\"http://{address}/orders\\\", #{{ body: \\\"x\\\" }}); #{{}}\"\n"
    );
    let test = with_people(Test::new().file("order.yaml", &flow));
    let served = Served::start(&test);
    let owner = served.owner.clone();
    let run = served.run(ALICE, &json!({ "workflow": "order" }));
    served.wait(&run, "failed");
    let (alice, page) = (served.log_in(ALICE), format!("/runs/{run}"));
    let shown = served.page(&alice, &page).expect(200).body;
    assert!(
        shown.contains("Was this call done?") && shown.contains("http::post"),
        "{shown}"
    );
    assert!(shown.contains("this needs the role `admin`"), "{shown}");
    let at = format!("/api/v1/runs/{run}/doubt");
    served
        .post(ALICE, &at, &json!({ "step": "order", "done": true }))
        .expect(403);
    let other = served.post(&owner, &at, &json!({ "step": "other", "done": true }));
    assert_eq!(other.expect(409).json()["code"], "bad-answer");
    assert_eq!(
        count.load(Ordering::SeqCst),
        1,
        "it is not made again by itself"
    );
    // Not done: it is made again, once.
    let cookie = served.log_in(&owner);
    let shown = served.page(&cookie, &page).expect(200).body;
    let (_, events) = shown.split_once("name=\"events\" value=\"").expect(&shown);
    let events = events.split('"').next().expect("a number");
    let form = |events| [("step", "order"), ("answer", "again"), ("events", events)];
    let doubt = format!("{page}/doubt");
    // A page of an earlier time shows another call.
    let refused = served.submit(&cookie, &doubt, &form("1")).expect(409).body;
    assert!(refused.contains("has changed since"), "{refused}");
    let stale = json!({ "step": "order", "done": true, "events": 1 });
    let refused = served.post(&owner, &at, &stale).expect(409).json();
    assert_eq!(refused["code"], "plan-changed");
    served.submit(&cookie, &doubt, &form(events)).expect(303);
    served.wait(&run, "succeeded");
    assert_eq!(count.load(Ordering::SeqCst), 2);
    let events = test.events();
    let said = events
        .iter()
        .find(|event| event["event"] == "effect_answered");
    assert_eq!(said.expect("it is in the journal")["requester"], "tester");
    // Nothing is in doubt any more.
    served
        .post(&owner, &at, &json!({ "step": "order", "done": true }))
        .expect(409);
}

#[test]
fn evidence_is_verified_here_and_elsewhere() {
    let test = with_people(Test::new().file("fix.yaml", BROKEN));
    let served = Served::start(&test);
    let run = served.run(ALICE, &json!({ "workflow": "fix" }));
    served.wait(&run, "failed");
    let proof = served
        .get(VERA, &format!("/api/v1/runs/{run}/audit"))
        .expect(200)
        .json();
    let there = test.windlass(&["audit", "--json"]).expect(0).json();
    assert_eq!(proof, there, "what the command says");
    let bundle = served
        .get(VERA, &format!("/api/v1/runs/{run}/evidence"))
        .expect(200);
    assert!(bundle.head.contains("attachment"), "{}", bundle.head);
    test.write("bundle.json", &bundle.body);
    test.windlass(&["audit", "--verify", "bundle.json"])
        .expect(0);
    test.write("bundle.json", &bundle.body.replacen("alice", "mallory", 1));
    test.windlass(&["audit", "--verify", "bundle.json"])
        .expect(2);
    let none = served.get(VERA, "/api/v1/runs/20200101-000000000-abcdef/evidence");
    assert_eq!(none.expect(404).json()["code"], "no-such-run");
}

#[test]
fn a_run_is_compared_with_the_last_success() {
    let test = with_people(Test::new().file(
        "fix.yaml",
        &BROKEN.replace("throw \\\"broken\\\"", "#{ n: inputs.n }"),
    ));
    let served = Served::start(&test);
    let first = served.run(ALICE, &json!({ "workflow": "fix" }));
    served.wait(&first, "succeeded");
    let none = served.get(VERA, &format!("/api/v1/runs/{first}/compare"));
    assert_eq!(none.expect(404).json()["code"], "no-such-run");
    test.write("fix.yaml", BROKEN);
    let second = served.run(ALICE, &json!({ "workflow": "fix", "params": { "n": 2 } }));
    served.wait(&second, "failed");
    let compared = served
        .get(VERA, &format!("/api/v1/runs/{second}/compare"))
        .expect(200)
        .json();
    assert_eq!(compared["with"], first);
    assert_eq!(
        compared["params"],
        json!([{ "name": "n", "before": 1, "after": 2 }])
    );
    assert_eq!(compared["files"], json!(["fix.yaml"]));
    assert_eq!(
        (&compared["steps"][0]["step"], &compared["same"]),
        (&json!("second"), &json!(1))
    );
    assert_eq!(compared["steps"][0]["after"]["status"], "failed");
    let vera = served.log_in(VERA);
    let page = served
        .page(&vera, &format!("/runs/{second}/compare"))
        .expect(200)
        .body;
    assert!(
        page.contains("class=\"del\"") && page.contains("class=\"ins\""),
        "{page}"
    );
}

const LOCKED: &str = "workflow: locked
lock: mesh
steps:
  ask: { approval: Go on? }
";
const FLAKY: &str = "workflow: flaky
steps:
  knock:
    retry: { attempts: 3, backoff: 1h }
    run: \"throw \\\"later\\\"\"
";

#[test]
fn what_waits_says_for_whom_and_for_what() {
    let test = with_people(
        Test::new()
            .file("locked.yaml", LOCKED)
            .file("flaky.yaml", FLAKY),
    );
    let served = Served::start(&test);
    let holder = served.run(ALICE, &json!({ "workflow": "locked" }));
    served.wait(&holder, "waiting");
    let second = served.run(ALICE, &json!({ "workflow": "locked" }));
    let flaky = served.run(ALICE, &json!({ "workflow": "flaky" }));
    let waits = |who: &str| served.get(who, "/api/v1/waiting").expect(200).json();
    let until = Instant::now() + super::server::PATIENCE;
    let found = loop {
        let found = waits(BOB);
        let has_queue = found["locks"][0]["waiting"]
            .as_array()
            .is_some_and(|all| all.len() == 1);
        if has_queue && found["timers"].as_array().is_some_and(|all| all.len() == 1) {
            break found;
        }
        assert!(Instant::now() < until, "{found:#}");
        thread::sleep(std::time::Duration::from_millis(20));
    };
    assert_eq!(found["questions"][0]["run"], holder);
    assert_eq!(found["questions"][0]["ask"]["may_answer"]["ok"], true);
    assert_eq!(
        waits(VERA)["questions"][0]["ask"]["may_answer"]["ok"],
        false
    );
    assert_eq!(
        (&found["locks"][0]["lock"], &found["locks"][0]["run"]),
        (&json!("mesh"), &json!(holder))
    );
    assert_eq!(found["locks"][0]["waiting"][0]["run"], second);
    assert_eq!(
        (&found["timers"][0]["run"], &found["timers"][0]["step"]),
        (&json!(flaky), &json!("knock"))
    );
    let bob = served.log_in(BOB);
    let page = served.page(&bob, "/waiting").expect(200).body;
    assert!(
        page.contains("For you") && page.contains("Locks") && page.contains("Retries"),
        "{page}"
    );
    let vera = served.log_in(VERA);
    assert!(
        served
            .page(&vera, "/waiting")
            .body
            .contains("For someone else")
    );
}

#[test]
fn a_log_is_searched_over_all_of_its_lines() {
    let flow = "workflow: talk
steps:
  talk:
    run: |
      for i in 0..700 { log::info(`line ${i} of <many>`); }
      throw \"a <b>bad</b> end\"
";
    let test = with_people(Test::new().file("talk.yaml", flow));
    let served = Served::start(&test);
    let run = served.run(ALICE, &json!({ "workflow": "talk" }));
    served.wait(&run, "failed");
    let vera = served.log_in(VERA);
    let page = |query: &str| {
        served
            .page(&vera, &format!("/runs/{run}/log?{query}"))
            .expect(200)
            .body
    };
    // It opens at the first error.
    let first = page("");
    assert!(
        first.contains("a &lt;b&gt;bad&lt;/b&gt; end") && first.contains("marked"),
        "{first}"
    );
    let found = page("find=line+17+of");
    assert_eq!(found.matches("<li id=\"L").count(), 1, "{found}");
    assert!(found.contains("<mark>line 17 of</mark>"), "{found}");
    assert_eq!(
        page("errors=1").matches("<li id=\"L").count(),
        2,
        "of the step, and of the run"
    );
    assert!(
        page("step=tal").contains("No lines match"),
        "a step is no part of a name"
    );
    let api = |query: &str| {
        served
            .get(VERA, &format!("/api/v1/runs/{run}/log?{query}"))
            .expect(200)
            .json()
    };
    let one = api("find=LINE+699");
    let seq = one["lines"][0]["seq"].as_u64().expect("a number");
    assert!(page(&format!("line={seq}")).contains(&format!("id=\"L{seq}\" class=\"marked\"")));
    assert_eq!(api("limit=5")["has_more"], true);
    let plain = served
        .page(&vera, &format!("/runs/{run}/log.txt"))
        .expect(200);
    assert!(
        plain.head.contains("text/plain") && plain.head.contains("nosniff"),
        "{}",
        plain.head
    );
    assert!(plain.body.lines().count() > 700);
    // The run's own page has the end of it, at once.
    let run_page = served.page(&vera, &format!("/runs/{run}")).expect(200).body;
    assert!(
        run_page.contains("line 699 of") && !run_page.contains("line 17 of"),
        "only the end"
    );
}

#[test]
fn a_list_costs_what_it_shows() {
    let test =
        with_people(Test::new().file("w.yaml", "workflow: w\nsteps: { a: { run: \"1\" } }\n"));
    let served = Served::start(&test);
    let run = served.run(ALICE, &json!({ "workflow": "w" }));
    served.wait(&run, "succeeded");
    let ask = |path: &str| {
        let times = (0..7).map(|_| {
            let began = Instant::now();
            served
                .send("GET", path, &[("Authorization", &bearer(VERA))], "")
                .expect(200);
            began.elapsed()
        });
        times.min().expect("several")
    };
    let few = ask("/api/v1/runs");
    // Two thousand rows more, as another process would leave them.
    let database = rusqlite::Connection::open(test.path(".windlass/journal.db")).expect("opened");
    database
        .execute_batch(
            "INSERT INTO runs (id, workflow, file, target, started_at, ended_at, status, requester, events, head)
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
             SELECT printf('20200101-%09d-aaaaaa', i), workflow, file, target, started_at, ended_at, status, requester, events, head
             FROM n, (SELECT * FROM runs LIMIT 1)",
        )
        .expect("copied");
    let many = ask("/api/v1/runs");
    println!("a list of 2,000 runs: {many:?}, of one: {few:?}");
    let page = served
        .get(VERA, "/api/v1/runs?before=20200101-000000011-aaaaaa")
        .expect(200)
        .json();
    assert_eq!(page["runs"].as_array().map(Vec::len), Some(10));
    assert!(many.as_millis() <= 50 + few.as_millis(), "{many:?}");
    let vera = served.log_in(VERA);
    let began = Instant::now();
    served.page(&vera, "/").expect(200);
    println!("its page: {:?}", began.elapsed());
}
