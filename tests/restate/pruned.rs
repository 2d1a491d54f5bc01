//! Old runs that Restate keeps are deleted, and what they say of certificates stays.

use serde_json::json;

use super::{
    server::Server,
    world::{Worker, join},
};
use crate::{
    harness::Test,
    keep::{ISSUE, ROOT},
    prune::certificates,
    serve::server::{ALICE, Served, with_people},
};

const CERTIFIED: &str = "workflow: certified
steps:
  root: { script: root.rhai }
  issue: { script: issue.rhai, with: { ca: \"${{ steps.root.ca }}\", csr: \"${{ steps.root.csr }}\" } }
outputs: { arn: \"${{ steps.issue.arn }}\" }
";
const FAILS: &str = "workflow: fails\nsteps: { a: { run: 'throw \"no\"' } }\n";

#[test]
fn old_runs_of_an_engine_are_deleted_at_a_terminal_and_by_a_server() {
    let mut test = with_people(Test::new())
        .file("root.rhai", ROOT)
        .file("issue.rhai", ISSUE)
        .file("certified.yaml", CERTIFIED)
        .file("fails.yaml", FAILS);
    let server = Server::start(&test.path("restate"));
    join(&mut test, &server);
    let worker = Worker::of(&test, &["--out", "out"], &[]);
    server.register(&worker.address);
    test.windlass(&["run", "certified.yaml"]).expect(0);
    test.windlass(&["run", "fails.yaml"]).expect(1);
    let runs = |test: &Test| test.windlass(&["runs", "--json"]).expect(0).json();
    let (listed, before) = (runs(&test), certificates(&test));
    assert_eq!(listed.as_array().map(Vec::len), Some(2));
    let certified = listed[1]["run"].as_str().expect("an id").to_owned();

    let dry = test
        .windlass(&["prune", "--keep", "0s", "--dry-run"])
        .expect(0);
    assert!(
        dry.stdout.contains(&certified) && !dry.stdout.contains("fails"),
        "{}",
        dry.stdout
    );
    let prune = ["prune", "--keep", "0s", "--bundles", "evidence", "--yes"];
    let done = test.windlass(&prune).expect(0);
    done.says("deleted 1 run");
    let listed = runs(&test);
    assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed:#}");
    let gone = test.windlass(&["show", &certified]).expect(2).stderr;
    assert!(gone.contains("[no-such-run]"), "{gone}");
    let bundle = format!("evidence/{certified}.json");
    test.windlass(&["audit", "--verify", &bundle]).expect(0);
    assert_eq!(certificates(&test), before, "the certificates stay");
    // Again: nothing is left to delete.
    let none = test.windlass(&prune).expect(0).stderr;
    assert!(none.contains("no run is old enough"), "{none}");

    // A server deletes as well, and says what is left.
    let served = Served::start(&test);
    let body = json!({ "keep": "0s", "failed": true, "dry_run": false });
    served.post(ALICE, "/api/v1/prune", &body).expect(403);
    let done = served
        .post(&served.owner, "/api/v1/prune", &body)
        .expect(200)
        .json();
    println!("{done}");
    let pruned = served
        .get(&served.owner, "/api/v1/pruned")
        .expect(200)
        .json();
    let left: Vec<_> = pruned["pruned"]
        .as_array()
        .expect("a list")
        .iter()
        .collect();
    assert_eq!(left.len(), 2, "{pruned:#}");
    assert_eq!(left[0]["run"], json!(certified));
    assert_eq!(runs(&test), json!([]));
    let list = served.get(&served.owner, "/api/v1/runs").expect(200).json();
    assert_eq!(list["runs"], json!([]), "the server has heard of it");
}
