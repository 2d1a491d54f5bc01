//! The commands of docs/rotation.md, each as it stands there, in one clean folder.

use std::process::Command;

use crate::harness::{Ran, Test};

#[test]
fn a_year_of_a_mesh_runs_as_it_is_told() {
    let test = Test::with_shipped_workflows();
    let page = include_str!("../docs/rotation.md");
    let commands: Vec<_> = page
        .lines()
        .filter_map(|line| line.strip_prefix("    "))
        .collect();
    assert!(commands.len() > 10, "{commands:?}");
    let windlass = std::path::Path::new(env!("CARGO_BIN_EXE_windlass"));
    let folder = windlass.parent().expect("a folder").display().to_string();
    let path = std::env::var("PATH").unwrap_or_default();
    for line in commands {
        let mut shell = Command::new("sh");
        shell
            .args(["-ec", line])
            .env("PATH", format!("{folder}:{path}"))
            .current_dir(test.path("."));
        let ran = Ran::from_output(shell.output().expect("sh"));
        assert_eq!(ran.code, 0, "{line}\n{}{}", ran.stdout, ran.stderr);
        if line == "windlass mesh" {
            ran.prints(" 0 failed");
        }
    }
    let certificates = test.windlass(&["certs"]).expect(0).stdout;
    assert!(
        certificates.contains("Gloo Mesh Root CA G2"),
        "{certificates}"
    );
    // The CA of day one has a successor, and the root of day one is no more.
    assert!(!certificates.contains("orphaned"), "{certificates}");
    let all = test
        .windlass(&["certs", "--all", "--json"])
        .expect(0)
        .json();
    let all = all["certificates"].as_array().expect("a list");
    let root = all
        .iter()
        .find(|one| one["subject"] == "CN=Gloo Mesh Root CA,OU=Demo");
    assert_eq!(root.expect("day one's root")["status"], "deleted");
}
