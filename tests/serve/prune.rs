//! Old runs of a server, runs that are selected in its list, and filters that people save.

use serde_json::{Value as Json, json};

use super::server::{ALICE, BOB, Served, until, with_people};
use crate::harness::{Test, sha256};

const OK: &str = "workflow: ok\nsteps: { a: { run: \"#{}\" } }\n";
const FAILS: &str = "workflow: fails\nsteps: { a: { run: \"throw `no`\" } }\n";
const ASKS: &str = "workflow: asks\nsteps: { a: { approval: Go on? } }\n";
/// Operates `ok` and nothing else.
const CAROL: &str = "carol-0123456789abcdef0123456789abcdef";

fn with_files() -> Test {
    let test = with_people(
        Test::new()
            .file("ok.yaml", OK)
            .file("fails.yaml", FAILS)
            .file("asks.yaml", ASKS),
    );
    let people = test.read("windlass.toml");
    let carol = format!(
        "[[serve.tokens]]\nname = \"carol\"\nsha256 = \"{}\"\n\
         [[serve.grants]]\nto = [\"carol\"]\nroles = [\"operator\"]\nworkflows = [\"ok\", \"fails\"]\n",
        sha256(CAROL.as_bytes())
    );
    test.write("windlass.toml", &format!("{people}{carol}"));
    test
}

#[test]
fn an_admin_deletes_old_runs_by_the_api_the_page_and_a_terminal_elsewhere() {
    let mut test = with_files();
    let served = Served::start(&test);
    let owner = served.owner.clone();
    let begin = || served.start_once(&owner, "once", &json!({ "workflow": "ok" }));
    let first = begin().expect(201).json()["run"].clone();
    let first = first.as_str().expect("an id").to_owned();
    served.wait(&first, "succeeded");
    let asks = served.run(&owner, &json!({ "workflow": "asks" }));
    served.wait(&asks, "waiting");

    let prune = |token: &str, body: Json| served.post(token, "/api/v1/prune", &body);
    let dry = json!({ "keep": "0s", "dry_run": true });
    for token in [ALICE, BOB, CAROL] {
        let denied = prune(token, dry.clone()).expect(403).json();
        assert_eq!(denied["needs"], "admin");
    }
    prune(&owner, json!({ "keep": "soon" })).expect(400);
    let listed = prune(&owner, dry).expect(200).json();
    assert_eq!(
        listed["runs"].as_array().map(Vec::len),
        Some(1),
        "{listed:#}"
    );
    assert_eq!(listed["runs"][0]["run"], first);
    let young = prune(&owner, json!({ "keep": "1h" })).expect(200).json();
    assert_eq!(young["deleted"], json!([]));
    let done = prune(&owner, json!({ "keep": "0s" })).expect(200).json();
    assert_eq!(done["deleted"], json!([first]));
    let gone = served
        .get(&owner, &format!("/api/v1/runs/{first}"))
        .expect(404);
    assert!(gone.body.contains("was deleted at"), "{}", gone.body);
    let left = served.get(&owner, "/api/v1/pruned").expect(200).json();
    assert_eq!(left["pruned"][0]["run"], first);
    // A start that is sent again is not made again.
    let again = begin().expect(200).json();
    assert_eq!(
        (&again["run"], &again["is_repeated"]),
        (&json!(first), &json!(true))
    );

    let second = served.run(&owner, &json!({ "workflow": "ok" }));
    served.wait(&second, "succeeded");
    let cookie = served.log_in(&owner);
    let shown = served.page(&cookie, "/prune?keep=0s").expect(200).body;
    assert!(shown.contains(&second) && !shown.contains(&asks), "{shown}");
    let at = shown
        .split("name=\"at\" value=\"")
        .nth(1)
        .expect("a moment");
    let at = at.split('"').next().expect("a number").to_owned();
    // What ends after the list was made is not deleted.
    let third = served.run(&owner, &json!({ "workflow": "ok" }));
    served.wait(&third, "succeeded");
    let fields = [
        ("keep", "0s"),
        ("keep_last", ""),
        ("workflow", ""),
        ("failed", ""),
        ("at", &at),
    ];
    let done = served.submit(&cookie, "/prune", &fields).expect(200).body;
    assert!(done.contains("1 run deleted."), "{done}");
    served
        .get(&owner, &format!("/api/v1/runs/{second}"))
        .expect(404);
    served
        .get(&owner, &format!("/api/v1/runs/{third}"))
        .expect(200);
    let alice = served.log_in(ALICE);
    served.page(&alice, "/prune").expect(403);
    served.submit(&alice, "/prune", &fields).expect(403);

    test.set("WINDLASS_SERVER", &format!("http://{}", served.address));
    test.set("WINDLASS_TOKEN", &owner);
    let done = test.windlass(&["prune", "--keep", "0s", "--yes"]).expect(0);
    done.prints(&third);
    done.says("deleted 1 run");
    let here = test.windlass(&["backup", "b.tar"]).expect(2);
    here.says("[not-remote]");
    let rows = served.get(&owner, "/api/v1/runs").expect(200).json();
    assert_eq!(rows["runs"].as_array().map(Vec::len), Some(1), "{rows:#}");
    assert_eq!(rows["runs"][0]["run"], asks);
}

#[test]
fn a_server_deletes_old_runs_once_their_evidence_is_written() {
    let test = with_files();
    let people = test.read("windlass.toml");
    test.write(
        "windlass.toml",
        &format!("[retention]\nkeep = \"0s\"\nkeep_last = 1\nbundles = \"proof\"\n{people}"),
    );
    let mut runs = Vec::new();
    for _ in 0..2 {
        test.windlass(&["run", "ok.yaml"]).expect(0);
        runs.push(test.shown()["run"].as_str().expect("an id").to_owned());
    }
    let served = Served::start(&test);
    let path = format!("/api/v1/runs/{}", runs[0]);
    until("it is gone", || {
        (served.get(&served.owner, &path).status == 404).then_some(())
    });
    let bundle = format!("proof/{}.json", runs[0]);
    test.windlass(&["audit", "--verify", &bundle]).expect(0);
    served
        .get(&served.owner, &format!("/api/v1/runs/{}", runs[1]))
        .expect(200);
}

#[test]
fn several_runs_are_resumed_or_cancelled_each_by_its_own_grant() {
    let test = with_files();
    let served = Served::start(&test);
    let start = |workflow: &str| served.run(&served.owner, &json!({ "workflow": workflow }));
    let (failed, asks, other) = (start("fails"), start("asks"), start("asks"));
    served.wait(&failed, "failed");
    served.wait(&asks, "waiting");
    served.wait(&other, "waiting");
    let carol = served.log_in(CAROL);
    let send = |cookie: &str, verb: &str, runs: &[&str]| {
        let mut fields = vec![("do", verb)];
        fields.extend(runs.iter().map(|run| ("run", *run)));
        served.submit(cookie, "/runs/bulk", &fields)
    };
    // One is hers, one is not; neither keeps the other from being judged.
    let done = send(&carol, "resume", &[&asks, &failed]).expect(200).body;
    assert!(done.contains("1 of 2 runs resumed."), "{done}");
    assert!(done.contains("no run `"), "{done}");
    served.wait(&failed, "failed");
    let done = send(&carol, "cancel", &[&asks]).expect(200).body;
    assert!(done.contains("0 of 1 runs will stop."), "{done}");
    assert_eq!(served.wait(&asks, "waiting")["status"], "waiting");

    let alice = served.log_in(ALICE);
    let shown = served.page(&alice, "/").expect(200).body;
    assert!(
        shown.contains(&format!("value=\"{asks}\" form=\"bulk\"")),
        "{shown}"
    );
    let done = send(&alice, "cancel", &[&asks, &other, &failed])
        .expect(200)
        .body;
    assert!(done.contains("2 of 3 runs will stop."), "{done}");
    served.wait(&asks, "cancelled");
    let shown = served.wait(&other, "cancelled");
    assert_eq!(shown["status"], "cancelled");
    send(&alice, "undo", &[&asks]).expect(400);
    send(&alice, "cancel", &["../../x"]).expect(404);
    send(&served.log_in(BOB), "cancel", &[&asks]).expect(403);
}

#[test]
fn a_filter_is_saved_under_a_name_for_one_person() {
    let test = with_files();
    let served = Served::start(&test);
    let (alice, bob) = (served.log_in(ALICE), served.log_in(BOB));
    let save = |cookie: &str, what: &str, name: &str, query: &str| {
        let fields = [("do", what), ("name", name), ("query", query)];
        served.submit(cookie, "/views", &fields)
    };
    let list = |cookie: &str, path: &str| served.page(cookie, path).expect(200).body;
    assert!(!list(&alice, "/").contains("Saved views"));
    assert!(list(&alice, "/?status=failed").contains("Save this filter"));
    let saved = save(
        &alice,
        "save",
        "My <failures>",
        "status=failed&before=x&evil=1",
    )
    .expect(303);
    assert_eq!(saved.header("location"), Some("/?status=failed"));
    let shown = list(&alice, "/");
    let link = "href=\"/?status=failed\"";
    assert!(
        shown.contains(link) && shown.contains("My &lt;failures&gt;"),
        "{shown}"
    );
    assert!(list(&alice, "/?status=failed").contains("Delete this view"));
    assert!(!list(&bob, "/").contains("failures"), "it is alice's");
    save(&alice, "save", " ", "status=failed").expect(400);
    // It is the person's, wherever they log in, and also after a restart.
    served.kill();
    let served = Served::start(&test);
    let again = served.log_in(ALICE);
    assert!(
        served
            .page(&again, "/")
            .expect(200)
            .body
            .contains("failures")
    );
    let fields = [("do", "delete"), ("name", "My <failures>"), ("query", "")];
    served.submit(&again, "/views", &fields).expect(303);
    assert!(
        !served
            .page(&again, "/")
            .expect(200)
            .body
            .contains("failures")
    );
}
