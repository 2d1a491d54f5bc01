//! What starts by itself: by the clock, by certificates, by signed requests.

use std::{fs, os::unix::fs::PermissionsExt, thread, time::Duration};

use aws_lc_rs::hmac;
use rusqlite::Connection;
use serde_json::{Value as Json, json};

use super::server::{ALICE, Served, VERA, until, with_people};
use crate::harness::Test;

const SECRET: &str = "a secret of a hook";
const DAY: i64 = 86_400_000;
/// The certificate is signed a while after its run has started.
const TWENTY_DAYS: std::ops::RangeInclusive<i64> = 20 * DAY - 60_000..=20 * DAY + 600_000;

const NIGHTLY: &str = "workflow: nightly
params: { n: { type: int, default: 1 } }
triggers:
  - { schedule: \"0 3 * * *\", time_zone: Europe/Berlin, params: { n: 7 } }
steps:
  a: { with: { n: \"${{ params.n }}\" }, run: \"#{ n: inputs.n }\" }
outputs: { n: \"${{ steps.a.n }}\" }
";

const HOOKED: &str = "workflow: hooked
params:
  reference: string
  event: { type: string, default: none }
triggers:
  - webhook: deploys
    params: { reference: \"${{ body.ref }}\", event: \"${{ headers['x-github-event'] ?? 'none' }}\" }
steps:
  a: { with: { r: \"${{ params.reference }} by ${{ params.event }}\" }, run: \"#{ r: inputs.r }\" }
outputs: { r: \"${{ steps.a.r }}\" }
";

const RECEIVER: &str = "[[notify.receivers]]\nname = \"a\"\nwebhook = { url = \"http://127.0.0.1:1/\" }\n[hooks.deploys]\nsecret_file = \"deploys.secret\"\n";

fn triggers(test: &Test) -> Vec<Json> {
    let listed = test.windlass(&["triggers", "--json"]).expect(0).json();
    listed["triggers"].as_array().expect("a list").clone()
}

fn runs(test: &Test) -> Vec<Json> {
    let listed = test.windlass(&["runs", "--json"]).expect(0).json();
    listed.as_array().expect("a list").clone()
}

/// Lets nobody have looked at the schedules for some days.
fn forget(test: &Test, days: i64) {
    let database = Connection::open(test.path(".windlass/serve.db")).expect("opened");
    let changed = database.execute("UPDATE triggers SET reached = reached - ?", [days * DAY]);
    assert!(
        changed.expect("written") > 0,
        "no server has looked at a trigger"
    );
}

/// Waits until the server has looked at every trigger for the first time.
fn looked_at(test: &Test, count: i64) {
    until("it looks", || {
        let database = Connection::open(test.path(".windlass/serve.db")).ok()?;
        let found = database.query_row("SELECT count(*) FROM triggers", [], |row| {
            row.get::<_, i64>(0)
        });
        (found.ok()? == count).then_some(())
    });
}

fn started(test: &Test) -> Json {
    until("a start", || triggers(test).first()?.get("last").cloned())
}

fn signed(body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let tag = hmac::sign(&key, body.as_bytes());
    format!("sha256={}", data_encoding::HEXLOWER.encode(tag.as_ref()))
}

#[test]
fn a_start_that_was_missed_is_made_up_once() {
    let none = NIGHTLY
        .replace("params: { n: 7 } }", "params: { n: 7 }, catch_up: none }")
        .replace("nightly", "skipped");
    let test = Test::new()
        .file("nightly.yaml", NIGHTLY)
        .file("skipped.yaml", &none);
    let served = Served::start(&test);
    looked_at(&test, 2);
    assert_eq!(runs(&test).len(), 0, "nothing before the first look is due");
    served.kill();
    forget(&test, 5);
    let served = Served::start(&test);
    let last = started(&test);
    assert_eq!(last["is_made_up"], true);
    let run = last["run"].as_str().expect("a run").to_owned();
    served.wait(&run, "succeeded");
    let events = test.events();
    assert_eq!(events[0]["requester"], "trigger nightly/schedule");
    assert_eq!(events[0]["params"]["n"], 7);
    assert!(
        events[0]["via"]["how"]
            .as_str()
            .expect("text")
            .starts_with("due at ")
    );
    served.kill();
    let served = Served::start(&test);
    let shown = served
        .get(&served.owner, "/api/v1/triggers")
        .expect(200)
        .json();
    assert_eq!(shown["triggers"][0]["last"]["run"], run.as_str());
    assert_eq!(
        shown["triggers"][0]["next"]
            .as_array()
            .expect("a list")
            .len(),
        5
    );
    assert_eq!(
        shown["triggers"][1]["last"],
        Json::Null,
        "it makes nothing up"
    );
    assert_eq!(runs(&test).len(), 1);
    let table = test.windlass(&["triggers"]).expect(0).stdout;
    assert!(
        table.contains("nightly/schedule   0 3 * * * (Europe/Berlin)"),
        "{table}"
    );
    let metrics = served.get(&served.owner, "/metrics").expect(200).body;
    for line in [
        "windlass_trigger_next_start_timestamp_seconds{workflow=\"nightly\",trigger=\"schedule\"} 1",
        "windlass_trigger_paused{workflow=\"nightly\",trigger=\"schedule\"} 0",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
}

/// What was due while no file had a trigger is not started when a file has it again.
#[test]
fn a_trigger_that_was_gone_makes_nothing_up() {
    let other = NIGHTLY.replace("nightly", "other");
    let test = Test::new()
        .file("nightly.yaml", NIGHTLY)
        .file("other.yaml", &other);
    let served = Served::start(&test);
    looked_at(&test, 2);
    served.kill();
    fs::remove_file(test.path("nightly.yaml")).expect("removed");
    Served::start(&test).kill();
    forget(&test, 5);
    test.write("nightly.yaml", NIGHTLY);
    let served = Served::start(&test);
    // All triggers are looked at before anything is started.
    let started = until("a start", || runs(&test).first().cloned());
    assert_eq!(started["workflow"], "other");
    served.wait(started["run"].as_str().expect("an id"), "succeeded");
    assert_eq!(runs(&test).len(), 1);
}

/// The lost server may have made the starts since the backup.
#[test]
fn a_restored_server_makes_nothing_up() {
    let test = Test::new().file("nightly.yaml", NIGHTLY);
    let served = Served::start(&test);
    looked_at(&test, 1);
    served.kill();
    let reached = |state: &str| {
        let database = Connection::open(test.path(state).join("serve.db")).expect("opened");
        let found = database.query_row("SELECT reached FROM triggers", [], |row| {
            row.get::<_, i64>(0)
        });
        found.expect("read")
    };
    let before = reached(".windlass");
    forget(&test, 5);
    test.windlass(&["backup", "b.tar"]).expect(0);
    let restored = test
        .windlass(&["--state", "elsewhere", "restore", "b.tar"])
        .expect(0);
    restored.says("starts that were due since the backup are not made late");
    assert!(reached("elsewhere") >= before);
}

#[test]
fn kill_nine_around_a_start_neither_loses_nor_doubles_it() {
    let test = Test::new().file("nightly.yaml", NIGHTLY);
    let served = Served::start(&test);
    looked_at(&test, 1);
    served.kill();
    let (mut kills, rounds) = (0, 4);
    for round in 0..rounds {
        forget(&test, 3);
        let database = Connection::open(test.path(".windlass/serve.db")).expect("opened");
        // As if those starts had never been due: each round is another day of the clock.
        database
            .execute("DELETE FROM trigger_starts", [])
            .expect("written");
        database.execute("DELETE FROM starts", []).expect("written");
        let before = runs(&test).len();
        // Killed at ever later moments, until one server lives long enough.
        for pause in [0, 5, 12, 25, 60].map(|ms| ms + round * 3) {
            let served = Served::start(&test);
            thread::sleep(Duration::from_millis(pause));
            served.kill();
            kills += 1;
        }
        let served = Served::start(&test);
        let last = started(&test);
        served.wait(last["run"].as_str().expect("a run"), "succeeded");
        assert_eq!(runs(&test).len(), before + 1, "round {round}");
        served.kill();
    }
    println!("{kills} kills around {rounds} starts: lost 0, doubled 0");
}

#[test]
fn what_has_the_lock_is_waited_for() {
    let asks = "workflow: asks\nlock: mesh\nsteps: { answer: { approval: Go on? } }\n";
    let locked = NIGHTLY.replace("workflow: nightly\n", "workflow: nightly\nlock: mesh\n");
    let test = with_people(
        Test::new()
            .file("nightly.yaml", &locked)
            .file("asks.yaml", asks),
    );
    let served = Served::start(&test);
    looked_at(&test, 1);
    served.kill();
    forget(&test, 2);
    let other = {
        // A run at a terminal waits for an answer, and has the lock.
        test.windlass(&["run", "asks.yaml"]).expect(3);
        test.shown()["run"].as_str().expect("an id").to_owned()
    };
    let served = Served::start(&test);
    let why = until("it waits", || {
        let why = triggers(&test)[0]["waits"]["why"].as_str()?.to_owned();
        Some(why)
    });
    assert_eq!(why, format!("run {other} has the lock `mesh`"));
    assert_eq!(runs(&test).len(), 1);
    test.windlass(&["cancel", &other]).expect(0);
    let last = started(&test);
    served.wait(last["run"].as_str().expect("a run"), "succeeded");
}

#[test]
fn a_run_that_nobody_drives_holds_up_a_start_and_people_are_told() {
    let slow =
        "workflow: slow\nlock: mesh\nsteps: { a: { run: \"time::sleep(\\\"1h\\\"); #{}\" } }\n";
    let locked = NIGHTLY.replace("workflow: nightly\n", "workflow: nightly\nlock: mesh\n");
    let test = with_people(
        Test::new()
            .file("nightly.yaml", &locked)
            .private("deploys.secret", SECRET)
            .file("slow.yaml", slow),
    );
    test.write("windlass.toml", RECEIVER);
    let served = Served::start(&test);
    looked_at(&test, 1);
    served.kill();
    forget(&test, 2);
    let mut other = test
        .command(&["run", "slow.yaml"])
        .spawn()
        .expect("started");
    let holder = until("it has the lock", || {
        let runs = runs(&test);
        let run = runs.first()?["run"].as_str()?.to_owned();
        let events = test.windlass(&["logs", "--json", &run]).stdout;
        events.contains("lock_taken").then_some(run)
    });
    other.kill().expect("killed");
    other.wait().expect("gone");
    let served = Served::start(&test);
    let why = until("it waits", || {
        let why = triggers(&test)[0]["waits"]["why"].as_str()?.to_owned();
        Some(why)
    });
    let wanted = format!("run {holder} has the lock `mesh`, and is interrupted");
    assert!(why.starts_with(&wanted), "{why}");
    assert_eq!(
        runs(&test).len(),
        1,
        "nothing is started that would only wait"
    );
    let told = told(&served);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains(&wanted), "{told:?}");
    test.windlass(&["cancel", &holder]).expect(0);
    let last = started(&test);
    served.wait(last["run"].as_str().expect("a run"), "succeeded");
}

/// The texts of all notifications, the newest first.
fn told(served: &Served) -> Vec<String> {
    let told = served
        .get(&served.owner, "/api/v1/notifications")
        .expect(200);
    let told = told.json()["notifications"]
        .as_array()
        .expect("a list")
        .clone();
    let text = |one: &Json| format!("{}: {}", one["title"], one["text"]);
    told.iter().map(text).collect()
}

#[test]
fn triggers_without_a_target_or_hook_are_told_of_before_they_are_due() {
    let file = "workflow: c\ntriggers:\n  - { schedule: \"0 12 * * *\", target: nope, name: nt }\n  - { webhook: nohook }\nsteps: { x: { run: () } }\n";
    let test = Test::new()
        .file("c.yaml", file)
        .private("deploys.secret", SECRET)
        .file("windlass.toml", RECEIVER);
    let listed = test.windlass(&["triggers"]).expect(0);
    listed.says("warning: c/nt starts nothing: windlass.toml has no target `nope`");
    listed.says("starts nothing: windlass.toml has no hook `nohook`");
    for _ in 0..2 {
        let served = Served::start(&test);
        let told = told(&served);
        assert_eq!(told.len(), 2, "what was told is not told again: {told:?}");
        assert!(
            told.iter()
                .any(|text| text.contains("windlass.toml has no target `nope`")),
            "{told:?}"
        );
        let shown = served
            .get(&served.owner, "/api/v1/triggers")
            .expect(200)
            .json();
        let problems = shown["problems"].to_string();
        assert!(problems.contains("no hook `nohook`"), "{shown}");
        let metrics = served.get(&served.owner, "/metrics").expect(200).body;
        let line = "windlass_trigger_broken{workflow=\"c\",trigger=\"nt\"}";
        let values: Vec<_> = metrics
            .lines()
            .filter(|found| found.starts_with(line))
            .collect();
        assert_eq!(values, [format!("{line} 1")]);
        let said = served.stop();
        assert!(said.contains("a trigger starts nothing"), "{said}");
    }
}

#[test]
fn triggers_whose_workflow_can_not_be_read_are_told_of() {
    let other = HOOKED.replace("workflow: hooked", "workflow: other");
    let test = Test::new()
        .file("hooked.yaml", HOOKED)
        .file("nightly.yaml", NIGHTLY)
        .file("other.yaml", &other)
        .private("deploys.secret", SECRET)
        .file("windlass.toml", RECEIVER);
    let served = Served::start(&test);
    looked_at(&test, 3);
    served.stop();
    test.write("nightly.yaml", &format!("{NIGHTLY}bad: [\n"));
    test.write("other.yaml", &other.replace("steps:", "stepz:"));
    let served = Served::start(&test);
    let first = told(&served);
    assert_eq!(first.len(), 2, "{first:?}");
    let nightly = first
        .iter()
        .find(|text| text.contains("nightly could not be started"));
    let nightly = nightly.unwrap_or_else(|| panic!("{first:?}"));
    assert!(
        nightly.contains("nightly.yaml:"),
        "the place is named: {nightly}"
    );
    let shown = served
        .get(&served.owner, "/api/v1/triggers")
        .expect(200)
        .json();
    assert!(
        shown["problems"].to_string().contains("other.yaml:"),
        "{shown}"
    );
    let metrics = served.get(&served.owner, "/metrics").expect(200).body;
    let line = "windlass_trigger_broken{workflow=\"nightly\",trigger=\"schedule\"} 1";
    assert!(metrics.contains(line), "{metrics}");
    // The sender of a hook learns that a workflow was not started, and can repeat the delivery.
    let body = json!({ "ref": "refs/heads/main" }).to_string();
    let signature = signed(&body);
    let headers = [
        ("Content-Type", "application/json"),
        ("X-Hub-Signature-256", signature.as_str()),
        ("X-GitHub-Delivery", "72d3162e"),
    ];
    let answer = served
        .send("POST", "/hooks/deploys", &headers, &body)
        .expect(422)
        .json();
    assert_eq!(answer["starts"][0]["workflow"], "hooked");
    assert!(answer["starts"][0]["run"].is_string(), "{answer}");
    assert_eq!(answer["starts"][1]["workflow"], "other");
    assert!(
        answer["starts"][1]["problem"]
            .to_string()
            .contains("mistakes"),
        "{answer}"
    );
    let said = served.stop();
    assert!(said.contains("a trigger starts nothing"), "{said}");
    test.write("other.yaml", &other);
    std::fs::remove_file(test.path("nightly.yaml")).expect("removed");
    let served = Served::start(&test);
    let again = served
        .send("POST", "/hooks/deploys", &headers, &body)
        .expect(200)
        .json();
    assert!(again["starts"][1]["run"].is_string(), "{again}");
    let second = told(&served);
    assert_eq!(
        second.len(),
        3,
        "what was told is not told again: {second:?}"
    );
    assert!(second[0].contains("is gone"), "{second:?}");
    // An empty header names no delivery.
    let unnamed = [headers[0], headers[1], ("X-GitHub-Delivery", "")];
    for _ in 0..2 {
        let answer = served
            .send("POST", "/hooks/deploys", &unnamed, &body)
            .expect(200)
            .json();
        assert_eq!(answer["starts"][0]["is_repeated"], false);
    }
}

#[test]
fn a_start_that_fails_is_shown_and_told() {
    let text = NIGHTLY.replace("params: { n: 7 } }", "target: nowhere, params: { n: 7 } }");
    let test = Test::new().file("nightly.yaml", &text).file(
        "windlass.toml",
        "[[notify.receivers]]\nname = \"a\"\nwebhook = { url = \"http://127.0.0.1:1/\" }\n",
    );
    let served = Served::start(&test);
    looked_at(&test, 1);
    served.kill();
    forget(&test, 2);
    let served = Served::start(&test);
    let why = until("it fails", || {
        let why = triggers(&test)[0]["waits"]["why"].as_str()?.to_owned();
        Some(why)
    });
    assert_eq!(why, "there is no target `nowhere`");
    let told = served
        .get(&served.owner, "/api/v1/notifications")
        .expect(200)
        .json();
    let told = &told["notifications"][0];
    assert_eq!(
        told["title"],
        "nightly could not be started by its trigger schedule"
    );
    assert!(
        told["text"].as_str().expect("text").contains(&why),
        "{told:#}"
    );
    let metrics = served.get(&served.owner, "/metrics").expect(200).body;
    assert!(
        metrics.contains("windlass_trigger_waits{workflow=\"nightly\",trigger=\"schedule\"} 1"),
        "{metrics}"
    );
    assert_eq!(runs(&test).len(), 0);
}

#[test]
fn a_paused_trigger_starts_nothing_and_makes_nothing_up() {
    let test = with_people(Test::new().file("nightly.yaml", NIGHTLY));
    let wrong = test
        .windlass(&["triggers", "pause", "nightly/schedul"])
        .expect(2);
    wrong.says("did you mean `nightly/schedule`?");
    test.windlass(&["triggers", "pause", "nightly"]).expect(2);
    let served = Served::start(&test);
    looked_at(&test, 1);
    let path = |verb: &str| format!("/api/v1/triggers/nightly/schedule/{verb}");
    served.post(VERA, &path("pause"), &json!({})).expect(403);
    served.post(ALICE, &path("pause"), &json!({})).expect(202);
    assert_eq!(triggers(&test)[0]["paused_by"], "alice");
    assert_eq!(triggers(&test)[0]["next"], json!([]));
    served
        .post(ALICE, "/api/v1/triggers/nightly/x/pause", &json!({}))
        .expect(404);
    served.kill();
    forget(&test, 4);
    let served = Served::start(&test);
    // It looks, and lets what was due pass.
    until("it passes", || {
        let database = Connection::open(test.path(".windlass/serve.db")).ok()?;
        let reached: i64 = database
            .query_row("SELECT reached FROM triggers", [], |row| row.get(0))
            .ok()?;
        (reached > triggers(&test)[0]["paused_at"].as_i64()?).then_some(())
    });
    test.windlass(&["triggers", "resume", "nightly/schedule"])
        .expect(0);
    assert_eq!(
        triggers(&test)[0]["next"].as_array().expect("a list").len(),
        5
    );
    let cookie = served.log_in(&served.owner);
    let page = served.page(&cookie, "/triggers").expect(200).body;
    assert!(
        page.contains("Europe/Berlin") && page.contains("Pause nightly/schedule"),
        "{page}"
    );
    served
        .submit(&cookie, "/triggers/nightly/schedule/pause", &[])
        .expect(303);
    assert_eq!(triggers(&test)[0]["paused_by"], "tester");
    assert_eq!(runs(&test).len(), 0);
}

#[test]
fn a_signed_request_starts_a_run_once() {
    let test = Test::new()
        .file("hooked.yaml", HOOKED)
        .file("nightly.yaml", NIGHTLY)
        .private("deploys.secret", &format!("{SECRET}\n"))
        .file("windlass.toml", "[hooks.deploys]\nsecret_file = \"deploys.secret\"\n[hooks.unused]\nsecret_file = \"deploys.secret\"\n");
    let served = Served::start(&test);
    let body = json!({ "ref": "refs/heads/main" }).to_string();
    let post = |name: &str, body: &str, signature: &str, more: &[(&str, &str)]| {
        let mut headers = vec![
            ("Content-Type", "application/json"),
            ("X-Hub-Signature-256", signature),
        ];
        headers.extend(more);
        served.send("POST", &format!("/hooks/{name}"), &headers, body)
    };
    let good = signed(&body);
    // Whoever does not know the secret does not learn which hooks there are.
    let unsigned = post("deploys", &body, "", &[]).expect(401).body;
    for answer in [
        post("nothing", &body, &good, &[]),
        post("deploys", &body.replace("main", "evil"), &good, &[]),
        post("deploys", &body, &signed("other"), &[]),
        post("..%2fdeploys", &body, &good, &[]),
    ] {
        assert_eq!(answer.expect(401).body, unsigned);
    }
    post("unused", &body, &good, &[]).expect(404);
    assert_eq!(
        post("deploys", "{", &signed("{"), &[]).expect(400).json()["code"],
        "bad-request"
    );
    post("deploys", &body, &good, &[("X-GitHub-Event", "ping")]).expect(200);
    assert_eq!(runs(&test).len(), 0);

    let delivery = [
        ("X-GitHub-Delivery", "72d3162e"),
        ("X-GitHub-Event", "push"),
    ];
    let first = post("deploys", &body, &good, &delivery).expect(200).json();
    let run = first["starts"][0]["run"]
        .as_str()
        .unwrap_or_else(|| panic!("{first}"))
        .to_owned();
    served.wait(&run, "succeeded");
    assert_eq!(
        test.windlass(&["outputs", "--json", &run]).expect(0).json(),
        json!({ "r": "refs/heads/main by push" })
    );
    let again = post("deploys", &body, &good, &delivery).expect(200).json();
    assert_eq!(
        (
            &again["starts"][0]["run"],
            &again["starts"][0]["is_repeated"]
        ),
        (&json!(run), &json!(true))
    );
    // Nobody without the secret learns what is wrong with it.
    let secret = test.path("deploys.secret");
    let set_mode = |mode| {
        fs::set_permissions(&secret, fs::Permissions::from_mode(mode)).expect("changed");
    };
    set_mode(0o644);
    let broken = post("deploys", &body, "", &[]).expect(503).body;
    assert!(
        !broken.contains("secret has mode") && !broken.contains("chmod"),
        "{broken}"
    );
    until("the reason in the log", || {
        served.said().contains("chmod 600").then_some(())
    });
    set_mode(0o600);
    let events = test.events();
    assert_eq!(events[0]["requester"], "trigger hooked/deploys");
    assert_eq!(
        events[0]["via"],
        json!({ "how": "signed request to hook deploys", "from": "127.0.0.1" })
    );
    // A body that does not fit starts nothing, and says why.
    let wrong = json!({ "ref": 7 }).to_string();
    let answer = post("deploys", &wrong, &signed(&wrong), &[])
        .expect(422)
        .json();
    let problem = answer["starts"][0]["problem"].as_str().expect("a problem");
    assert!(
        problem.contains("the param `reference` does not fit"),
        "{problem}"
    );
    // Nor does what it lacks become a default.
    let answer = post("deploys", "{}", &signed("{}"), &[]).expect(422).json();
    let problem = answer["starts"][0]["problem"].as_str().expect("a problem");
    assert!(problem.contains("the value is null"), "{problem}");
    test.windlass(&["triggers", "pause", "hooked/deploys"])
        .expect(0);
    let answer = post("deploys", &body, &good, &[]).expect(422).json();
    assert_eq!(
        answer["starts"][0]["problem"],
        "the trigger hooked/deploys is paused"
    );
    // A delivery that is sent again is the same one, also if the trigger has other params now, which count with the next request.
    served
        .post(
            &served.owner,
            "/api/v1/triggers/hooked/deploys/resume",
            &json!({}),
        )
        .expect(202);
    test.write(
        "hooked.yaml",
        &HOOKED.replace("${{ body.ref }}", "to ${{ body.ref }}"),
    );
    until("the file is read", || {
        let again = post("deploys", &body, &good, &delivery).expect(200).json();
        assert_eq!(again["starts"][0]["is_repeated"], true, "{again}");
        let note = again["starts"][0]["note"].as_str().map(str::to_owned);
        note.filter(|note| note.contains("with other params"))
    });
    // A file that is replaced may be away for a moment: the sender is asked to come back.
    let file = test.path("hooked.yaml");
    let aside = test.path("hooked.aside");
    fs::rename(&file, &aside).expect("moved");
    until("the file is missed", || {
        (post("deploys", &body, &good, &delivery).status == 503).then_some(())
    });
    fs::rename(&aside, &file).expect("moved back");
    until("the file is read again", || {
        (post("deploys", &body, &good, &delivery).status == 200).then_some(())
    });
    assert_eq!(runs(&test).len(), 1);
    assert_eq!(triggers(&test)[0]["last"]["run"], run.as_str());
}

#[test]
fn a_certificate_that_is_due_is_renewed_once() {
    let mut test = Test::with_shipped_workflows();
    let text = test.read("workflows/authority.yaml");
    let params = "{ type: ROOT, name: root, subject: { common_name: Root }, validity: 30d, key_algorithm: EC_prime256v1, signing_algorithm: SHA256WITHECDSA, template: RootCACertificate/V1 }";
    test.write(
        "workflows/authority.yaml",
        &text.replace(
            "\nsteps:\n",
            &format!("\ntriggers:\n  - when_due: 10d\n    params: {params}\n\nsteps:\n"),
        ),
    );
    let run: Vec<_> = [
        "type=ROOT",
        "name=root",
        "subject={common_name: Root}",
        "validity=30d",
        "key_algorithm=EC_prime256v1",
        "signing_algorithm=SHA256WITHECDSA",
        "template=RootCACertificate/V1",
    ]
    .iter()
    .flat_map(|param| ["-p", param])
    .collect();
    test.windlass(&[&["run", "workflows/authority.yaml"], run.as_slice()].concat())
        .expect(0);
    let listed = || {
        let listed = test
            .windlass(&["triggers", "--workflows", "workflows", "--json"])
            .expect(0)
            .json();
        listed["triggers"][0].clone()
    };
    let next = listed()["next"][0].as_i64().expect("it is due some day");
    let made = test.shown()["started_at"].as_i64().expect("a time");
    assert!(TWENTY_DAYS.contains(&(next - made)), "{}", next - made);
    assert_eq!(listed()["covers"], 1);
    // A workflow that renews what another one issued says so; otherwise it covers nothing.
    let other = |issued_by: &str| {
        let text = format!(
            "workflow: other\ntriggers: [{{ when_due: 10d{issued_by} }}]\nsteps:\n  a: {{ run: \"#{{}}\" }}\n"
        );
        test.write("others/other.yaml", &text);
        let shown = ["triggers", "--workflows", "others"];
        let said = test.windlass(&shown).expect(0).stdout;
        let json = test.windlass(&[&shown[..], &["--json"]].concat());
        (said, json.expect(0).json()["triggers"][0].clone())
    };
    let (said, shown) = other("");
    assert!(said.contains("covers no certificate in use"), "{said}");
    assert_eq!(shown["covers"], 0);
    let (_, shown) = other(", issued_by: [nothing, authority]");
    assert_eq!(
        (&shown["covers"], &shown["next"][0]),
        (&json!(1), &json!(next))
    );
    test.set("LD_PRELOAD", "/usr/$LIB/faketime/libfaketime.so.1");
    test.set("FAKETIME", "+21d");
    let (mut served, url) = Served::start_with(
        &test,
        &[
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--workflows",
            "workflows",
        ],
    );
    served.address = url
        .trim()
        .trim_start_matches("http://")
        .split('/')
        .next()
        .expect("an address")
        .to_owned();
    served.owner = test.read(".windlass/serve.token").trim().to_owned();
    let last = until("a start", || {
        let shown = served.get(&served.owner, "/api/v1/triggers").json();
        shown["triggers"][0].get("last").cloned()
    });
    served.wait(last["run"].as_str().expect("a run"), "succeeded");
    assert_eq!(last["due"], next, "it is due when it was said to be");
    // The new one is due ten days before its own end.
    let after = until("the new one is seen", || {
        let shown = test
            .windlass(&["triggers", "--workflows", "workflows", "--json"])
            .expect(0)
            .json();
        shown["triggers"][0]["next"][0].as_i64()
    });
    assert!(TWENTY_DAYS.contains(&(after - last["at"].as_i64().expect("a time"))));
    assert_eq!(runs(&test).len(), 2);
}

#[test]
fn mistakes_in_triggers_are_shown_with_their_places() {
    let text = "workflow: w
params: { n: int, names: { type: list(string), default: [] } }
triggers:
  - { schedule: \"0 3 * * SUN\", time_zone: Europe/Berln, params: { n: 1 } }
  - { schedule: \"61 * * * *\", params: { n: 1 } }
  - { schedule: \"0 0 31 2 *\", params: { n: 1 } }
  - { when_due: soon, params: { n: 1 } }
  - { schedule: \"@hourly\", issued_by: [w], params: { n: 1 } }
  - { name: none, when_due: 30d, issued_by: [], params: { n: 1 } }
  - { params: { n: 1 } }
  - { schedule: \"@daily\", when_due: 30d, params: { n: 1 } }
  - { schedule: \"@daily\", params: { n: \"${{ body.n }}\" } }
  - { webhook: a/b, params: { n: 1 } }
  - { webhook: hook, params: { n: \"${{ params.n }}\" } }
  - { webhook: other, time_zone: UTC, params: { nam: [], n: x } }
  - { webhook: other, name: other2 }
  - { schedule: \"@daily\", name: other2, params: { n: 1 }, catch_up: twice }
steps: { a: { run: \"1\" } }
";
    let test = Test::new().file("w.yaml", text);
    let said = test.windlass(&["validate", "w.yaml"]).expect(2).stderr;
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    for wanted in [
        "`Europe/Berln` is not a time zone",
        "did you mean `Europe/Berlin`?",
        "`61 * * * *` is not a valid cron pattern",
        "`0 0 31 2 *` never occurs",
        "`when_due`:",
        "`issued_by` is empty",
        "the trigger has no `schedule`, `when_due` or `webhook`",
        "the trigger has both `schedule` and `when_due`",
        "this expression can't read anything",
        "`a/b` is not a valid webhook name",
        "a trigger has no key `time_zone`",
        "the workflow has no param `nam`",
        "the param `n` does not fit",
        "the trigger has no value for the param `n`",
        "two triggers are named `other2`",
        "`catch_up` must be `once` or `none`",
        "w.yaml:4:",
        "w.yaml:15:",
    ] {
        assert!(said.contains(wanted), "{wanted}: {said}");
    }
}
