//! A root is rotated at a server: planned, started and approved there, while somebody watches who can talk to whom.

use std::process::Command;

use serde_json::Value as Json;

use super::{
    browser::browse,
    server::{ALICE, Served, VERA, with_people},
};
use crate::{
    harness::{Ran, Test},
    mesh::FAST,
};

const PLAN: [&str; 4] = ["plan", "workflows/rotate-root.yaml", "-p", "force=true"];

/// A server's folder with a mesh of one cluster.
fn with_mesh() -> Test {
    let test = with_people(Test::with_shipped_workflows());
    let run = ["run", "workflows/gloo-mesh.yaml"];
    test.windlass(&[&run, FAST.as_slice()].concat()).expect(0);
    test
}

/// A command at a terminal with the shipped workflows and nothing else, about a server.
fn asked(here: &Test, served: &Served, token: &str, arguments: &[&str]) -> Command {
    let mut command = here.command(arguments);
    command
        .env("WINDLASS_SERVER", format!("http://{}", served.address))
        .env("WINDLASS_TOKEN", token);
    command
}

#[test]
fn a_plan_of_a_server_reads_what_a_rotation_replaces_from_its_target() {
    let there = with_mesh();
    let authorities = there.authorities();
    let served = Served::start_over(&there, "workflows");
    let here = Test::with_shipped_workflows();
    let of_server = |token: &str, more: &[&str]| {
        let mut command = asked(&here, &served, token, &[&PLAN[..], more].concat());
        Ran::from_output(command.output().expect("windlass starts"))
    };
    // Where the mesh is, a terminal plans the same.
    for more in [&[][..], &["--json"][..], &["--no-dry-run"][..]] {
        let local = there.windlass(&[&PLAN[..], more].concat()).expect(0);
        let remote = of_server(ALICE, more).expect(0);
        assert_eq!(local.stdout, remote.stdout, "{more:?}");
    }
    let plan: Json = of_server(ALICE, &["--json"]).expect(0).json();
    let phases = plan["phases"].as_array().expect("phases");
    assert_eq!(phases.len(), 6);
    for phase in phases {
        let rows = phase["replaces"].as_array();
        assert!(rows.is_some_and(|rows| !rows.is_empty()), "{phase:#}");
    }
    let blind: Json = of_server(ALICE, &["--json", "--no-dry-run"])
        .expect(0)
        .json();
    assert_eq!(blind["phases"][0]["replaces"], Json::Null, "{blind:#}");
    // Who may not start it does not see it.
    let denied = of_server(VERA, &[]).expect(2).stderr;
    assert!(denied.contains("needs the role `operator`"), "{denied}");
    // Of certificates it asks once, whatever the number of runs; the server reads what has changed.
    let local: Json = there
        .windlass(&["certs", "--json", "--all"])
        .expect(0)
        .json();
    let mut command = asked(&here, &served, VERA, &["certs", "--json", "--all"]);
    let output = command.output().expect("windlass starts");
    let remote: Json = Ran::from_output(output).expect(0).json();
    let serials = |json: &Json| {
        let all = json["certificates"].as_array().expect("certificates");
        let all = all.iter().map(|one| one["serial"].to_string());
        all.collect::<Vec<_>>()
    };
    assert_eq!(serials(&local), serials(&remote));
    assert!(serials(&remote).len() > 4, "{remote:#}");
    let said = served.stop();
    assert_eq!(said.matches("/api/v1/sightings").count(), 1, "{said}");
    assert!(!said.contains("/api/v1/runs/{run}/events"), "{said}");
    // Nothing was started, and nothing made.
    let list = there.windlass(&["runs", "--json"]).expect(0).json();
    assert_eq!(list.as_array().map(Vec::len), Some(1), "{list:#}");
    assert_eq!(there.authorities(), authorities);
}

#[test]
fn a_root_is_rotated_on_the_page_while_the_matrix_is_watched() {
    let test = with_mesh();
    let served = Served::start_over(&test, "workflows");
    browse(&test, &served, "rotate.mjs", &[]);
}
