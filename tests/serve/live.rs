//! Runs from start to end: watched, answered, cut off, killed.

use std::{collections::BTreeSet, thread};

use rusqlite::Connection;
use serde_json::{Value as Json, json};

use super::server::{ALICE, BOB, Events, Served, VERA, bearer, until, with_people};
use crate::harness::Test;

const ASKS: &str = "workflow: asks
params: { n: { type: int, default: 2 } }
steps:
  before: { run: \"file::write(\\\"before.txt\\\", \\\"x\\\"); #{ n: 1 }\" }
  go_live:
    approval: Restart ${{ params.n }} clusters?
    needs: [before]
    not_requester: true
  after:
    needs: [go_live]
    with: { by: \"${{ steps.go_live.approved_by }}\" }
    run: |
      file::write(\"by.txt\", inputs.by);
      #{ by: inputs.by }
outputs: { by: \"${{ steps.after.by }}\" }
";

/// Ten steps that take 60 ms each, and count how often they really wrote.
const CHAIN: &str = "workflow: chain
params: { n: { type: int, default: 10 } }
steps:
  count:
    for_each: ${{ [1, 2, 3, 4, 5, 6, 7, 8, 9, 10] }}
    max_parallel: 1
    with: { i: \"${{ item }}\" }
    run: |
      file::write(`before-${inputs.i}.txt`, \"x\");
      time::sleep(\"60ms\");
      file::write(`after-${inputs.i}.txt`, \"x\");
      #{ i: inputs.i }
outputs: { n: \"${{ params.n }}\" }
";

fn events(sent: &[super::server::Sent]) -> Vec<Json> {
    sent.iter()
        .map(|sent| serde_json::from_str(&sent.data).expect("JSON"))
        .collect()
}

#[test]
fn a_run_is_started_watched_and_approved_by_someone_else() {
    let test = with_people(Test::new().file("asks.yaml", ASKS));
    let served = Served::start(&test);
    let run = served.run(ALICE, &json!({ "workflow": "asks", "params": { "n": 3 } }));
    let mut stream = Events::open(
        &served,
        &format!("/api/v1/runs/{run}/stream"),
        &[("Authorization", &bearer(VERA))],
    );
    let asked = stream
        .by_ref()
        .map(|sent| serde_json::from_str::<Json>(&sent.data).expect("JSON"));
    let asked = asked
        .map(|sent| sent["event"].clone())
        .find(|event| event["event"] == "approval_asked");
    let asked = asked.expect("it asks");
    assert_eq!(asked["message"], "Restart 3 clusters?");
    let path = |verb: &str| format!("/api/v1/runs/{run}/{verb}");
    let shown = served
        .get(BOB, &path("")[..path("").len() - 1])
        .expect(200)
        .json();
    assert_eq!(shown["status"], "waiting");
    assert_eq!(shown["asks"][0]["may_answer"]["ok"], true);
    assert_eq!(shown["asks"][0]["digest"], asked["digest"]);
    assert_eq!(shown["allowed"]["cancel"]["needs"], "operator", "{shown:#}");
    let body = json!({ "step": "go_live", "digest": asked["digest"], "comment": "looks good" });
    // Who may not: by role, by the workflow's own rule, and to another question.
    assert_eq!(
        served
            .post(ALICE, &path("approve"), &body)
            .expect(403)
            .json()["needs"],
        "approver"
    );
    let other = json!({ "step": "go_live", "digest": "0".repeat(64) });
    served.post(BOB, &path("approve"), &other).expect(409);
    served.post(BOB, &path("approve"), &body).expect(202);
    let ended = stream
        .map(|sent| serde_json::from_str::<Json>(&sent.data).expect("JSON"))
        .find(|sent| sent["event"]["event"] == "run_ended");
    assert_eq!(ended.expect("it ends")["event"]["outcome"], "succeeded");
    let outputs = served.get(VERA, &path("outputs")).expect(200).json();
    assert_eq!(outputs, json!({ "by": "bob" }));
    assert_eq!(test.read(&format!("out/{run}/by.txt")), "bob");
    // The journal says who did it, how they were known, and from where.
    let events = test.events();
    let of = |kind: &str| {
        events
            .iter()
            .find(|event| event["event"] == kind)
            .expect(kind)
            .clone()
    };
    let started = of("run_started");
    assert_eq!(
        (&started["requester"], &started["via"]["how"]),
        (&json!("alice"), &json!("token alice, header"))
    );
    let decided = of("approval_decided");
    assert_eq!(
        (&decided["approver"], &decided["comment"]),
        (&json!("bob"), &json!("looks good"))
    );
    assert_eq!(
        decided["via"],
        json!({ "how": "token bob, header", "from": "127.0.0.1" })
    );
    served.post(BOB, &path("approve"), &body).expect(409);
    test.windlass(&["audit"]).expect(0);
}

#[test]
fn who_starts_a_run_does_not_approve_it_by_another_door() {
    let test = with_people(Test::new().file("asks.yaml", ASKS));
    let served = Served::start(&test);
    let owner = served.owner.clone();
    let run = served.run(&owner, &json!({ "workflow": "asks" }));
    let shown = served.wait(&run, "waiting");
    let (step, digest) = (
        "go_live",
        shown["asks"][0]["digest"].as_str().expect("one").to_owned(),
    );
    assert_eq!(shown["asks"][0]["may_answer"]["ok"], false);
    let path = format!("/api/v1/runs/{run}/approve");
    let refused = served
        .post(&owner, &path, &json!({ "step": step, "digest": digest }))
        .expect(403)
        .json();
    assert_eq!(refused["code"], "not-approver");
    let cookie = served.log_in(&owner);
    let fields = [("step", step), ("digest", digest.as_str())];
    served
        .submit(&cookie, &format!("/runs/{run}/approve"), &fields)
        .expect(403);
    served
        .post(
            BOB,
            &format!("/api/v1/runs/{run}/reject"),
            &json!({ "step": step }),
        )
        .expect(202);
    served.wait(&run, "failed");
}

#[test]
fn a_stream_that_is_cut_off_resumes_without_loss() {
    let test = with_people(Test::new().file("chain.yaml", CHAIN));
    let served = Served::start(&test);
    let run = served.run(ALICE, &json!({ "workflow": "chain" }));
    let path = format!("/api/v1/runs/{run}/stream");
    let vera = bearer(VERA);
    let mut seen: Vec<super::server::Sent> = Vec::new();
    // Each connection takes five events and is dropped in the middle of the run.
    while !seen
        .last()
        .is_some_and(|sent| sent.data.contains("run_ended"))
    {
        let last = seen
            .last()
            .and_then(|sent| sent.id)
            .map(|id| id.to_string());
        let mut headers = vec![("Authorization", vera.as_str())];
        headers.extend(last.as_deref().map(|last| ("Last-Event-ID", last)));
        let stream = Events::open(&served, &path, &headers);
        for sent in stream.take(5) {
            let is_last = sent.data.contains("run_ended");
            seen.push(sent);
            if is_last {
                break;
            }
        }
    }
    let ids: Vec<_> = seen.iter().filter_map(|sent| sent.id).collect();
    let all: Vec<u64> = (0..ids.len() as u64).collect();
    assert_eq!(ids, all, "none is lost, and none comes twice");
    let page = served
        .get(VERA, &format!("/api/v1/runs/{run}/events"))
        .expect(200)
        .json();
    assert_eq!(json!(events(&seen)), page["events"]);
    // A position that this journal never had: the stream says so, and begins anew.
    for unknown in ["9999", "x"] {
        let headers = [("Authorization", vera.as_str()), ("Last-Event-ID", unknown)];
        let mut stream = Events::open(&served, &path, &headers);
        assert_eq!(stream.next().expect("one").name, "reset");
        assert_eq!(stream.next().expect("one").id, Some(0));
    }
}

#[test]
fn runs_go_on_after_a_kill_and_every_answered_start_is_there() {
    let test = with_people(
        Test::new()
            .file("chain.yaml", CHAIN)
            .file("asks.yaml", ASKS),
    );
    let mut served = Served::start(&test);
    let waiting = served.run(ALICE, &json!({ "workflow": "asks" }));
    served.wait(&waiting, "waiting");
    let mut started = BTreeSet::new();
    for round in 0..3 {
        for number in 0..4 {
            let key = format!("{round}-{number}");
            let body = json!({ "workflow": "chain", "params": { "n": number } });
            started.insert((key.clone(), number, start(&served, &key, &body)));
        }
        served.kill();
        served = Served::start(&test);
    }
    // The same keys again, after all that: the same runs.
    for (key, number, run) in &started {
        let body = json!({ "workflow": "chain", "params": { "n": number } });
        assert_eq!(&start(&served, key, &body), run);
    }
    for (_, number, run) in &started {
        let shown = served.wait(run, "succeeded");
        assert_eq!(shown["outputs"]["n"], *number);
        assert_eq!(
            std::fs::read_dir(test.path(&format!("out/{run}")))
                .expect("a folder")
                .count(),
            20
        );
    }
    // What waited still does, and its answer counts.
    served
        .post(
            BOB,
            &format!("/api/v1/runs/{waiting}/approve"),
            &json!({ "step": "go_live" }),
        )
        .expect(202);
    served.wait(&waiting, "succeeded");
    let page = served
        .get(VERA, "/api/v1/runs?limit=200")
        .expect(200)
        .json();
    let listed: BTreeSet<_> = page["runs"]
        .as_array()
        .expect("runs")
        .iter()
        .map(|run| run["run"].as_str().expect("an id").to_owned())
        .collect();
    let mut known: BTreeSet<_> = started.into_iter().map(|(_, _, run)| run).collect();
    known.insert(waiting);
    assert_eq!(listed, known, "and no other run");
    for run in known {
        test.windlass(&["audit", &run]).expect(0);
    }
}

fn start(served: &Served, key: &str, body: &Json) -> String {
    let answer = served.start_once(ALICE, key, body);
    assert!([200, 201].contains(&answer.status), "{answer:?}");
    answer.json()["run"].as_str().expect("an id").to_owned()
}

#[test]
fn a_server_that_is_stopped_leaves_its_runs_to_the_next_one() {
    let test = with_people(Test::new().file("chain.yaml", CHAIN));
    let served = Served::start(&test);
    let run = served.run(ALICE, &json!({ "workflow": "chain" }));
    let headers = [("Authorization", bearer(VERA))];
    let headers: Vec<_> = headers
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let stream = Events::open(&served, &format!("/api/v1/runs/{run}/stream"), &headers);
    let said = served.stop();
    assert!(!said.contains("panicked"), "{said}");
    assert!(stream.last().is_some(), "streams end with it");
    let served = Served::start(&test);
    served.wait(&run, "succeeded");
    assert_eq!(
        std::fs::read_dir(test.path(&format!("out/{run}")))
            .expect("a folder")
            .count(),
        20
    );
}

#[test]
fn runs_of_a_terminal_are_seen_and_go_on_once_somebody_answers() {
    let test = with_people(Test::new().file("asks.yaml", ASKS));
    let served = Served::start(&test);
    let headers = [("Authorization", bearer(VERA))];
    let headers: Vec<_> = headers
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let mut list = Events::open(&served, "/api/v1/stream", &headers);
    test.windlass(&["run", "asks.yaml"]).expect(3);
    assert_eq!(list.next().expect("one").name, "changed");
    let page = served
        .get(VERA, "/api/v1/runs?status=waiting")
        .expect(200)
        .json();
    let run = page["runs"][0]["run"].as_str().expect("an id").to_owned();
    // Nobody drives it: the answer is recorded at once, and the server takes the run up.
    let body = json!({ "step": "go_live" });
    served
        .post(BOB, &format!("/api/v1/runs/{run}/approve"), &body)
        .expect(202);
    served.wait(&run, "succeeded");
    assert_eq!(
        test.read("out/by.txt"),
        "bob",
        "in the folder that it began with"
    );
    let kinds: Vec<_> = test
        .events()
        .iter()
        .map(|event| event["event"].as_str().expect("one").to_owned())
        .collect();
    assert!(
        kinds.contains(&"run_suspended".to_owned()) && kinds.contains(&"run_resumed".to_owned()),
        "{kinds:?}"
    );
}

#[test]
fn a_run_says_which_lock_it_waits_for() {
    let flow = ASKS.replace("workflow: asks\n", "workflow: asks\nlock: mesh\n");
    let test = with_people(Test::new().file("asks.yaml", &flow));
    let served = Served::start(&test);
    let holder = served.run(ALICE, &json!({ "workflow": "asks" }));
    served.wait(&holder, "waiting");
    let second = served.run(ALICE, &json!({ "workflow": "asks" }));
    let until = std::time::Instant::now() + super::server::PATIENCE;
    let said = loop {
        let shown = served
            .get(VERA, &format!("/api/v1/runs/{second}"))
            .expect(200)
            .json();
        if let Some(said) = shown["waits_for"].as_str() {
            break said.to_owned();
        }
        assert!(std::time::Instant::now() < until, "{shown:#}");
        thread::sleep(std::time::Duration::from_millis(20));
    };
    assert!(
        said.starts_with(&format!("the lock `mesh`, held by run {holder}")),
        "{said}"
    );
    served
        .post(
            BOB,
            &format!("/api/v1/runs/{holder}/approve"),
            &json!({ "step": "go_live" }),
        )
        .expect(202);
    served.wait(&holder, "succeeded");
    let shown = served.wait(&second, "waiting");
    assert_eq!(shown["waits_for"], Json::Null);
}

#[test]
fn one_key_is_one_run() {
    let test = with_people(Test::new().file("chain.yaml", CHAIN));
    let served = Served::start(&test);
    let body = json!({ "workflow": "chain", "params": { "n": 7 } });
    let runs: BTreeSet<String> = thread::scope(|scope| {
        let all: Vec<_> = (0..12)
            .map(|_| scope.spawn(|| start(&served, "the-key", &body)))
            .collect();
        all.into_iter()
            .map(|one| one.join().expect("answered"))
            .collect()
    });
    assert_eq!(runs.len(), 1, "{runs:?}");
    let other = json!({ "workflow": "chain", "params": { "n": 8 } });
    let send = |key: &str, body: &Json| served.start_once(ALICE, key, body);
    assert_eq!(
        send("the-key", &other).expect(409).json()["code"],
        "idempotency-key"
    );
    assert_eq!(
        send(&"k".repeat(256), &other).expect(422).json()["code"],
        "idempotency-key"
    );
    // Somebody else's key is another one.
    served
        .start_once(&served.owner, "the-key", &other)
        .expect(201);
    // What fails before it begins uses no key up.
    let wrong = json!({ "workflow": "chain", "params": { "n": "x" } });
    let refused = send("second", &wrong).expect(422).json();
    assert_eq!(
        (&refused["code"], refused["params"]["n"].is_string()),
        (&json!("params"), true),
        "{refused:#}"
    );
    send("second", &other).expect(201);
}

#[test]
fn a_run_is_cancelled_resumed_and_undone() {
    let test = with_people(Test::new().file("chain.yaml", CHAIN));
    let served = Served::start(&test);
    let run = served.run(ALICE, &json!({ "workflow": "chain" }));
    let act = |token: &str, verb: &str| {
        served.post(token, &format!("/api/v1/runs/{run}/{verb}"), &json!({}))
    };
    let owner = served.owner.clone();
    assert_eq!(act(&owner, "undo").expect(409).json()["code"], "run-owned");
    act(ALICE, "cancel").expect(202);
    served.wait(&run, "cancelled");
    assert_eq!(
        act(ALICE, "cancel").expect(409).json()["code"],
        "nothing-to-cancel"
    );
    act(ALICE, "resume").expect(202);
    let shown = served.wait(&run, "succeeded");
    assert_eq!(shown["allowed"]["resume"]["ok"], false);
    assert_eq!(
        act(ALICE, "resume").expect(409).json()["code"],
        "nothing-to-resume"
    );
    let plan = served
        .get(&owner, &format!("/api/v1/runs/{run}/undo"))
        .expect(200)
        .json();
    assert_eq!(plan["items"].as_array().map(Vec::len), Some(20), "{plan:#}");
    act(&owner, "undo").expect(202);
    served.wait(&run, "undone");
    assert_eq!(
        std::fs::read_dir(test.path(&format!("out/{run}")))
            .expect("a folder")
            .count(),
        0
    );
    let cancelled = test
        .events()
        .into_iter()
        .find(|event| event["event"] == "run_cancelled")
        .expect("one");
    assert_eq!(cancelled["via"]["how"], "token alice, header");
    let effects = served
        .get(VERA, &format!("/api/v1/runs/{run}/effects?step=count[1]"))
        .expect(200)
        .json();
    assert!(
        effects["effects"][0]["function"] == "file::write",
        "{effects:#}"
    );
}

#[test]
fn runs_are_filtered_and_paged() {
    let flow = "workflow: one\nsteps: { a: { run: \"#{}\" } }\n";
    let fails = "workflow: bad\nsteps: { a: { run: \"throw \\\"no luck\\\"\" } }\n";
    let test = with_people(Test::new().file("one.yaml", flow).file("bad.yaml", fails));
    let served = Served::start(&test);
    let mut runs: Vec<String> = (0..5)
        .map(|_| served.run(ALICE, &json!({ "workflow": "one" })))
        .collect();
    let bad = served.run(&served.owner, &json!({ "workflow": "bad" }));
    runs.iter()
        .for_each(|run| drop(served.wait(run, "succeeded")));
    served.wait(&bad, "failed");
    let list = |query: &str| {
        let page = served
            .get(VERA, &format!("/api/v1/runs?{query}"))
            .expect(200)
            .json();
        let ids: Vec<_> = page["runs"]
            .as_array()
            .expect("runs")
            .iter()
            .map(|run| run["run"].as_str().expect("an id").to_owned())
            .collect();
        (ids, page)
    };
    let (failed, page) = list("status=failed");
    assert_eq!(failed, [bad.as_str()]);
    assert!(
        page["runs"][0]["error"]
            .as_str()
            .is_some_and(|error| error.contains("no luck")),
        "{page:#}"
    );
    assert_eq!(list("requester=tester").0, [bad.as_str()]);
    assert_eq!(list("workflow=one&status=failed").0, [""; 0]);
    assert_eq!(list(&format!("text={}", &bad[9..])).0, [bad.as_str()]);
    runs.reverse();
    let (mut all, mut query) = (Vec::new(), "limit=2&workflow=one".to_owned());
    loop {
        let (ids, page) = list(&query);
        all.extend(ids);
        match page["next"].as_str() {
            Some(next) => query = format!("limit=2&workflow=one&before={next}"),
            None => break,
        }
    }
    assert_eq!(all, runs);
    served.get(VERA, "/api/v1/runs?nonsense=1").expect(400);
    served.get(VERA, "/api/v1/runs?before=1").expect(404);
    let detail = served
        .get(VERA, &format!("/api/v1/runs/{bad}"))
        .expect(200)
        .json();
    assert_eq!(detail["errors"][0]["code"], "script-threw", "{detail:#}");
}

#[test]
fn metrics_are_prometheus() {
    let test = with_people(Test::new().file("chain.yaml", CHAIN));
    let served = Served::start(&test);
    let run = served.run(ALICE, &json!({ "workflow": "chain" }));
    served.wait(&run, "succeeded");
    let text = served.get(VERA, "/metrics").expect(200).body;
    for line in [
        "windlass_runs{workflow=\"chain\",status=\"succeeded\"} 1",
        "windlass_effects_total{function=\"file::write\",result=\"done\"} 20",
        "windlass_runs_ended_total{outcome=\"succeeded\"} 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
    }
    let mut promtool = std::process::Command::new("promtool");
    promtool
        .args(["check", "metrics"])
        .stdin(std::process::Stdio::piped());
    // Not every machine has it, but for CI, which installs it.
    let spawned = promtool.spawn();
    assert!(
        spawned.is_ok() || std::env::var_os("CI").is_none(),
        "promtool is missing: apt-get install prometheus"
    );
    if let Ok(mut child) = spawned {
        use std::io::Write;
        child
            .stdin
            .take()
            .expect("piped")
            .write_all(text.as_bytes())
            .expect("written");
        assert!(child.wait().expect("ended").success());
    }
}

/// The process that was asked dies before the run hears of it; the next one knows.
#[test]
fn a_cancel_that_was_answered_is_not_lost_by_a_kill() {
    let flow = "workflow: flow\nsteps: { gate: { approval: \"Go on?\" } }\n";
    let test = Test::new().file("flow.yaml", flow);
    let mut served = Served::start(&test);
    let mut runs = Vec::new();
    for _ in 0..4 {
        let run = served.run(&served.owner, &json!({ "workflow": "flow" }));
        served.wait(&run, "waiting");
        let path = format!("/api/v1/runs/{run}/cancel");
        let answered = served.post(&served.owner, &path, &json!({}));
        assert_eq!(answered.status, 202, "{}", answered.body);
        served.kill();
        served = Served::start(&test);
        runs.push(run);
    }
    for run in runs {
        served.wait(&run, "cancelled");
    }
}

/// A stream is let through once, and ends with what let it through.
#[test]
fn a_stream_ends_with_its_session() {
    let flow = "workflow: flow\nsteps: { gate: { approval: \"Go on?\" } }\n";
    let test = Test::new().file("flow.yaml", flow);
    let served = Served::start(&test);
    let run = served.run(&served.owner, &json!({ "workflow": "flow" }));
    served.wait(&run, "waiting");
    let cookie = served.log_in(&served.owner);
    let headers = [
        ("Cookie", cookie.as_str()),
        ("Sec-Fetch-Site", "same-origin"),
    ];
    let mut events = Events::open(&served, &format!("/api/v1/runs/{run}/stream"), &headers);
    let begun = events
        .by_ref()
        .find(|sent| sent.data.contains("approval_asked"));
    assert!(begun.is_some());
    let mut changes = Events::open(&served, "/api/v1/stream", &headers);
    served.submit(&cookie, "/logout", &[]).expect(303);
    // Longer than a stream goes on without another look.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let path = format!("/api/v1/runs/{run}/cancel");
    served.post(&served.owner, &path, &json!({})).expect(202);
    assert_eq!(events.next(), None);
    assert_eq!(changes.next(), None);
}

/// One step writes all the time, while another one sleeps: the run is not free before the sleep has ended.
const BESIDE: &str = "workflow: beside
steps:
  writes:
    run: |
      for i in 0..30 { file::write(`${i}.txt`, \"x\"); time::sleep(\"100ms\"); }
  sleeps: { run: 'time::sleep(\"9s\")' }
";

/// The disk was full, or another process wrote for too long.
#[test]
fn a_server_goes_on_after_its_journal_could_not_be_written() {
    let test = with_people(
        Test::new()
            .file("chain.yaml", CHAIN)
            .file("beside.yaml", BESIDE),
    );
    let served = Served::start(&test);
    let driven = served.run(ALICE, &json!({ "workflow": "chain" }));
    let beside = served.run(ALICE, &json!({ "workflow": "beside" }));
    let begun = test.path(&format!("out/{driven}/before-1.txt"));
    until("it has begun", || begun.exists().then_some(()));
    let journal = Connection::open(test.path(".windlass/journal.db")).expect("opened");
    let full = "CREATE TRIGGER full BEFORE INSERT ON events BEGIN SELECT RAISE(ABORT, 'the disk is full'); END";
    journal.execute_batch(full).expect("made");
    served.wait(&driven, "interrupted");
    let start = |status| {
        let body = json!({ "workflow": "chain" });
        served.post(ALICE, "/api/v1/runs", &body).expect(status)
    };
    assert!(start(503).body.contains("the disk is full"));
    // The runs of before continue by themselves, and new ones can be started.
    journal.execute_batch("DROP TRIGGER full").expect("dropped");
    let later = start(201).json()["run"].clone();
    served.wait(later.as_str().expect("an id"), "succeeded");
    for run in [&driven, &beside] {
        served.wait(run, "succeeded");
        test.windlass(&["audit", run]).expect(0);
    }
}

#[test]
fn a_page_that_updates_itself_does_not_keep_a_session_alive() {
    let test = Test::new().file("windlass.toml", "[serve]\nsession_idle = \"3s\"\n");
    let served = Served::start(&test);
    let cookie = served.log_in(&served.owner);
    let headers = [
        ("Cookie", cookie.as_str()),
        ("Sec-Fetch-Site", "same-origin"),
    ];
    let _stream = Events::open(&served, "/api/v1/stream", &headers);
    let update = [headers[0], headers[1], ("X-Windlass-Update", "1")];
    let begun = std::time::Instant::now();
    let mut last = 200;
    while last == 200 {
        std::thread::sleep(std::time::Duration::from_millis(200));
        last = served.send("GET", "/", &update, "").status;
        assert!(begun.elapsed().as_secs() < 30, "the session does not end");
    }
    assert_eq!(last, 401);
    // Somebody who uses it stays logged in.
    let cookie = served.log_in(&served.owner);
    let begun = std::time::Instant::now();
    while begun.elapsed().as_secs() < 5 {
        served.page(&cookie, "/").expect(200);
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
}

#[test]
fn the_rules_for_alerts_name_metrics_that_there_are() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/contrib/alerts.yaml");
    let rules = std::fs::read_to_string(path).expect("the rules");
    let test = with_people(Test::new());
    let served = Served::start(&test);
    let metrics = served.get(VERA, "/metrics").expect(200).body;
    let expressions = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("expr: "));
    let of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let names = expressions.flat_map(|line| line.split(|c| !of_name(c)));
    let names: Vec<_> = names.filter(|name| name.starts_with("windlass_")).collect();
    assert!(names.len() > 4, "{names:?}");
    for name in names {
        let help = format!("# TYPE {name} gauge");
        assert!(
            metrics.lines().any(|line| line == help),
            "{name} in\n{metrics}"
        );
    }
    let checked = std::process::Command::new("promtool")
        .args(["check", "rules", path])
        .output();
    assert!(
        checked.is_ok() || std::env::var_os("CI").is_none(),
        "promtool is missing: apt-get install prometheus"
    );
    if let Ok(checked) = checked {
        let said = String::from_utf8_lossy(&checked.stderr);
        assert!(checked.status.success(), "{said}");
    }
}

#[test]
fn a_run_that_the_server_can_no_longer_drive_is_counted_and_notified() {
    let asks = "workflow: asks\nsteps: { sure: { approval: \"Go on?\" } }\n";
    let test = with_people(Test::new().file("asks.yaml", asks));
    let people = test.read("windlass.toml");
    let receiver =
        "[[notify.receivers]]\nname = \"log\"\nwebhook = { url = \"http://127.0.0.1:9/x\" }\n";
    let with = |target: &str| test.write("windlass.toml", &format!("{people}{receiver}{target}"));
    with("[targets.t]\nexec = [\"sh\"]\n");
    let served = Served::start(&test);
    let run = served.run(ALICE, &json!({ "workflow": "asks", "target": "t" }));
    served.wait(&run, "waiting");
    let has = |served: &Served, line: &str| {
        let metrics = served.get(VERA, "/metrics").expect(200).body;
        metrics.lines().any(|found| found == line)
    };
    assert!(has(&served, "windlass_runs_paused 0"));
    served.stop();
    with("");
    let served = Served::start(&test);
    until("it is counted", || {
        has(&served, "windlass_runs_paused 1").then_some(())
    });
    until("it is notified", || {
        let notified = served
            .get(&served.owner, "/api/v1/notifications")
            .expect(200)
            .body;
        let is_told = notified.contains("asks on t can't continue until it is resumed")
            && notified.contains("there is no target `t`");
        is_told.then_some(())
    });
    let ended = test.windlass(&["cancel", &run]);
    assert_ne!(ended.code, 0, "the target is not known here either");
    with("[targets.t]\nexec = [\"sh\"]\n");
    test.windlass(&["cancel", &run]).expect(0);
    until("it is no longer counted", || {
        has(&served, "windlass_runs_paused 0").then_some(())
    });
}
