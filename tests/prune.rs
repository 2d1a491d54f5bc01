//! Runs that are deleted, and what stays of them.

use std::fs;

use rusqlite::Connection;
use serde_json::Value as Json;

use crate::{
    harness::Test,
    keep::{ISSUE, ROOT},
};

const LEAF: &str = "workflow: leaf
steps:
  a: { script: root.rhai }
  b: { script: issue.rhai, with: { ca: \"${{ steps.a.ca }}\", csr: \"${{ steps.a.csr }}\" }, needs: [a] }
  c:
    needs: [b]
    with: { pem: \"${{ steps.b.certificate }}\" }
    run: 'file::write(\"leaf.pem\", inputs.pem); #{}'
";
const FAILS: &str = "workflow: fails\nsteps: { a: { run: \"throw `no`\" } }\n";
const ASKS: &str = "workflow: asks\nsteps: { a: { approval: Go on? } }\n";
/// Leaves a journal of some size.
const LARGE: &str = "workflow: large
steps: { a: { run: \"let t = \\\"\\\"; for i in 0..20000 { t += `line ${i} `; } #{ t: t }\" } }
outputs: { t: \"${{ steps.a.t }}\" }
";

fn test() -> Test {
    Test::new()
        .file("root.rhai", ROOT)
        .file("issue.rhai", ISSUE)
        .file("leaf.yaml", LEAF)
        .file("fails.yaml", FAILS)
        .file("asks.yaml", ASKS)
        .file("large.yaml", LARGE)
}

/// The workflows of the runs that there are, the newest first.
fn listed(test: &Test) -> Vec<String> {
    let runs = test.windlass(&["runs", "--json"]).expect(0).json();
    let runs = runs.as_array().expect("a list").iter();
    runs.map(|run| run["workflow"].as_str().expect("a name").to_owned())
        .collect()
}

/// The certificates that are known, without what depends on when they are looked at.
pub fn certificates(test: &Test) -> Json {
    let mut shown = test
        .windlass(&["certs", "--all", "--json"])
        .expect(0)
        .json();
    strip_time(&mut shown);
    shown
}

/// Takes out what depends on when it is looked at.
fn strip_time(json: &mut Json) {
    match json {
        Json::Object(map) => {
            map.retain(|key, _| {
                !["left_seconds", "days_left", "left", "at"].contains(&key.as_str())
            });
            map.values_mut().for_each(strip_time);
        }
        Json::Array(list) => list.iter_mut().for_each(strip_time),
        _ => {}
    }
}

#[test]
fn old_runs_are_deleted_and_no_certificate_is_forgotten() {
    let test = test();
    test.windlass(&["run", "leaf.yaml"]).expect(0);
    let leaf = test.shown()["run"].as_str().expect("an id").to_owned();
    test.windlass(&["run", "fails.yaml"]).expect(1);
    test.windlass(&["run", "asks.yaml"]).expect(3);
    test.windlass(&["run", "large.yaml"]).expect(0);
    test.windlass(&["run", "large.yaml"]).expect(0);
    let all = ["large", "large", "asks", "fails", "leaf"];
    let before = certificates(&test);
    let count = before["certificates"].as_array().map_or(0, Vec::len);
    assert!(count >= 2, "{before:#}");

    // It says what it would do, and does nothing without a yes.
    let dry = test
        .windlass(&["prune", "--keep", "0s", "--dry-run"])
        .expect(0);
    dry.says("3 runs would be deleted");
    dry.prints(&leaf);
    let asked = test.windlass(&["prune", "--keep", "0s"]).expect(2);
    asked.says("[not-confirmed]");
    let unsaid = test.windlass(&["prune"]).expect(2);
    unsaid.says("--keep 90d");
    let young = test
        .windlass(&["prune", "--keep", "90d", "--yes"])
        .expect(0);
    young.says("no run is old enough");
    assert_eq!(listed(&test), all);

    let size = || {
        fs::metadata(test.path(".windlass/journal.db"))
            .expect("there")
            .len()
    };
    let full = size();
    let done = test
        .windlass(&[
            "prune",
            "--keep",
            "0s",
            "--keep-last",
            "1",
            "--yes",
            "--bundles",
            "proof",
        ])
        .expect(0);
    done.says("deleted 1 run");
    assert_eq!(listed(&test), ["large", "asks", "fails", "leaf"]);
    let done = test
        .windlass(&["prune", "--keep", "0s", "--yes", "--bundles", "proof"])
        .expect(0);
    done.says("deleted 2 runs");
    assert_eq!(listed(&test), ["asks", "fails"]);
    println!("the journal had {full} bytes and has {}", size());
    assert!(size() < full / 2, "{full} → {}", size());

    assert_eq!(certificates(&test), before, "the inventory has changed");
    assert!(!test.path(&format!(".windlass/locks/{leaf}")).exists());
    let gone = test.windlass(&["show", &leaf]).expect(2);
    gone.says("was deleted at");
    let bundle = format!("proof/{leaf}.json");
    let proof = test
        .windlass(&["audit", "--verify", &bundle, "--json"])
        .expect(0)
        .json();
    assert_eq!(proof["run"], leaf.as_str());
    // What is left of it ends where the bundle does.
    let database = Connection::open(test.path(".windlass/journal.db")).expect("there");
    let (events, by): (u64, String) = database
        .query_row(
            "SELECT events, pruned_by FROM pruned WHERE run = ?",
            [&leaf],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .expect("a row");
    assert!(test.read(&bundle).contains(&format!("events: {events}")));
    assert_eq!(by, "tester");
    for table in ["events", "run_files"] {
        let sql = format!("SELECT count(DISTINCT run) FROM {table}");
        let runs: u64 = database
            .query_row(&sql, [], |row| row.get(0))
            .expect("read");
        assert_eq!(runs, 2, "{table}");
    }

    // What failed can be resumed, so only --failed deletes it; what waits is never deleted.
    let done = test
        .windlass(&["prune", "--keep", "0s", "--failed", "--yes"])
        .expect(0);
    done.says("deleted 1 run");
    assert_eq!(listed(&test), ["asks"]);
    test.windlass(&["audit"]).expect(0);
    assert_eq!(certificates(&test), before);
}

#[test]
fn a_journal_of_an_earlier_version_gives_its_pages_back_too() {
    let test = test().file("windlass.toml", "[retention]\nkeep = \"0s\"\n");
    test.windlass(&["run", "large.yaml"]).expect(0);
    let path = test.path(".windlass/journal.db");
    let number = |pragma: &str| -> i64 {
        let database = Connection::open(&path).expect("there");
        database
            .pragma_query_value(None, pragma, |row| row.get(0))
            .expect("a number")
    };
    assert_eq!(number("auto_vacuum"), 2);
    let database = Connection::open(&path).expect("there");
    database
        .execute_batch("PRAGMA journal_mode = DELETE; PRAGMA auto_vacuum = NONE; VACUUM; PRAGMA journal_mode = WAL")
        .expect("rewritten");
    drop(database);
    assert_eq!(number("auto_vacuum"), 0);
    let full = fs::metadata(&path).expect("there").len();
    test.windlass(&["prune", "--yes"]).expect(0);
    assert_eq!((number("freelist_count"), number("auto_vacuum")), (0, 2));
    assert!(fs::metadata(&path).expect("there").len() < full / 2);
}
