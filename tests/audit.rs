//! `windlass audit`: what is in the journal is what was written.

use std::fs;

use crate::harness::Test;

fn copy_of_v1() -> Test {
    let test = Test::new();
    let from = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/journal-v1");
    fs::create_dir(test.path(".windlass")).expect("made");
    for name in ["journal.db", "identity.txt"] {
        let target = test.path(".windlass").join(name);
        fs::copy(format!("{from}/{name}"), &target).expect("copied");
        // As it was made; a checkout gives it to everybody.
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(target, private).expect("private");
    }
    test
}

#[test]
fn a_journal_of_version_1_is_read() {
    let test = copy_of_v1();
    let runs = test.windlass(&["runs", "--json"]).expect(0).json();
    assert_eq!(runs[0]["status"], "succeeded");
    let outputs = test.windlass(&["outputs", "--json"]).expect(0).json();
    assert!(
        outputs["at"]
            .as_str()
            .is_some_and(|at| at.starts_with("2026-")),
        "{outputs}"
    );
    test.windlass(&["show"]).expect(0);
    test.windlass(&["audit"]).expect(0);
}

#[test]
fn a_bundle_is_verified_elsewhere() {
    let test = Test::with_shipped_workflows();
    test.windlass(&["run", "workflows/gloo-mesh.yaml"])
        .expect(0);
    let head = test
        .windlass(&["audit", "--bundle", "e.json", "--json"])
        .expect(0)
        .json();
    let said = test.windlass(&["audit", "--bundle", "e.json"]).expect(0);
    said.says("wrote e.json. ");
    let text = test.read("e.json");
    assert!(!text.contains("PRIVATE KEY"));
    let elsewhere = Test::new().file("e.json", &text);
    let found = elsewhere
        .windlass(&["audit", "--verify", "e.json", "--json"])
        .expect(0);
    assert_eq!(found.json()["head"], head["head"]);
    for (from, to) in [
        (
            "\\\"requester\\\":\\\"tester\\\"",
            "\\\"requester\\\":\\\"nobody\\\"",
        ),
        ("workflow: gloo-mesh", "workflow: gloo-mash"),
    ] {
        assert!(text.contains(from), "{from}");
        elsewhere.write("e.json", &text.replacen(from, to, 1));
        let refused = elsewhere.windlass(&["audit", "--verify", "e.json"]);
        let why = refused.expect(2).stderr;
        assert!(
            why.contains("e.json is not as `windlass audit` wrote it") && !why.contains("backup"),
            "{why}"
        );
    }
}

#[test]
fn a_flipped_byte_is_found() {
    let test = Test::new().file(
        "w.yaml",
        "workflow: w
steps:
  a: { run: 'let k = key::generate(\"EC_prime256v1\"); file::write_secret(\"k\", k); #{ k: k }' }
",
    );
    test.windlass(&["run", "w.yaml"]).expect(0);
    let honest = test.windlass(&["audit", "--json"]).expect(0).stdout;
    let path = test.path(".windlass/journal.db");
    let whole = fs::read(&path).expect("read");
    let (mut found, mut harmless) = (0, 0);
    for at in (0..whole.len()).step_by(89) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x20;
        for leftover in ["journal.db-wal", "journal.db-shm"] {
            let _ = fs::remove_file(test.path(".windlass").join(leftover));
        }
        fs::write(&path, &damaged).expect("written");
        let ran = test.windlass(&["audit", "--json"]);
        match ran.code {
            // An unused byte of a page, or one of a list's own copy: what happened reads the same.
            0 => {
                assert_eq!(ran.stdout, honest, "byte {at} changed the story");
                harmless += 1;
            }
            2 => found += 1,
            code => panic!("byte {at}: exit {code}: {}", ran.stderr),
        }
    }
    println!("flipped bytes: {found} found, {harmless} without meaning");
    assert!(found > 10);
}
