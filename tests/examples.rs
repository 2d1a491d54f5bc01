//! The runbooks in `examples/`.

use std::path::{Path, PathBuf};

use crate::{
    harness::{Test, status},
    mock::{Mock, example},
};

#[test]
fn each_example_passes_its_tests_and_they_reach_every_step() {
    let test = Test::new();
    let folder = example("");
    let ran = test
        .windlass(&["test", &folder, "--json", "--coverage"])
        .expect(0);
    let coverage = ran.json()["coverage"].clone();
    let workflows = coverage.as_array().expect("a list");
    assert_eq!(workflows.len(), 5);
    for workflow in workflows {
        for part in ["steps", "branches", "lines"] {
            let missed = workflow[part]["missed"].as_array().expect("a list");
            assert!(
                missed.is_empty(),
                "{part} of {}: {missed:?}",
                workflow["workflow"]
            );
        }
    }
}

/// Every file of a mock in the tree can be served.
#[test]
fn each_mock_file_is_valid() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for folder in ["examples", "templates"] {
        walk(&root.join(folder), &mut found);
    }
    for path in &found {
        let read = windlass::compile::read_mock(path);
        assert!(read.is_ok(), "{}: {:?}", path.display(), read.err());
    }
    assert!(found.len() >= 8, "{found:?}");
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => walk(&path, found),
            false if path.to_string_lossy().ends_with(".http.yaml") => found.push(path),
            false => {}
        }
    }
}

fn run(test: &Test, workflow: &str, params: &[String], code: i32) -> crate::harness::Ran {
    let workflow = example(workflow);
    let mut arguments = vec!["run", &*workflow];
    params
        .iter()
        .for_each(|param| arguments.extend(["-p", param]));
    test.windlass(&arguments).expect(code)
}

#[test]
fn blue_green_is_tried_on_its_mock() {
    let test = Test::new();
    let mock = Mock::serve(&test, &example("blue-green/blue-green.http.yaml"));
    let params = |version: &str| {
        [
            format!("api={}", mock.url),
            "service=shop".into(),
            format!("version={version}"),
            "watch=0s".into(),
        ]
    };
    run(&test, "blue-green/blue-green.yaml", &params("2"), 0);
    assert_eq!(
        mock.ask("GET", "/services/shop", "").1,
        "{\"live\":\"green\"}"
    );
    run(&test, "blue-green/blue-green.yaml", &params("3"), 0);
    assert_eq!(
        mock.ask("GET", "/services/shop", "").1,
        "{\"live\":\"blue\"}"
    );
    test.windlass(&["undo", "--yes"]).expect(0);
    assert_eq!(
        mock.ask("GET", "/services/shop", "").1,
        "{\"live\":\"green\"}"
    );
    assert_eq!(mock.ask("GET", "/deployments/shop-blue", "").0, 404);
}

#[test]
fn a_failover_is_tried_on_its_mock() {
    let test = Test::new();
    let mock = Mock::serve(
        &test,
        &example("database-failover/database-failover.http.yaml"),
    );
    let params = |candidate: &str| {
        [
            format!("api={}", mock.url),
            format!("candidate={candidate}"),
        ]
    };
    run(
        &test,
        "database-failover/database-failover.yaml",
        &params("db-2"),
        0,
    );
    let ran = run(
        &test,
        "database-failover/database-failover.yaml",
        &params("db-2"),
        1,
    );
    ran.says("db-2 is the primary already");
    run(
        &test,
        "database-failover/database-failover.yaml",
        &params("db-3"),
        0,
    );
    test.windlass(&["undo", "--yes"]).expect(0);
    assert!(
        mock.ask("GET", "/cluster", "")
            .1
            .contains("{\"name\":\"db-2\",\"role\":\"leader\"")
    );
}

#[test]
fn evidence_is_collected_from_a_mock_and_a_rehearsal_cluster() {
    let test = Test::new();
    let mock = Mock::serve(
        &test,
        &example("incident-evidence/incident-evidence.http.yaml"),
    );
    let params = [
        "incident=INC-1".into(),
        format!("logs={}", mock.url),
        "services=[shop]".into(),
        "namespaces=[istio-system]".into(),
    ];
    run(
        &test,
        "incident-evidence/incident-evidence.yaml",
        &params,
        0,
    );
    assert_eq!(status(&test.shown(), "manifest"), "succeeded");
    assert!(
        test.read("out/INC-1/logs-shop.txt")
            .contains("checkout failed")
    );
    assert!(
        test.read("out/INC-1/kubernetes-istio-system.json")
            .contains("deployment/istiod")
    );
    let manifest: serde_json::Value =
        serde_json::from_str(&test.read("out/INC-1/manifest.json")).expect("JSON");
    let digest = crate::harness::sha256(test.read("out/INC-1/logs-shop.txt").as_bytes());
    assert_eq!(manifest["sha256"]["logs-shop.txt"], digest);
}
