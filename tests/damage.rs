//! A damaged journal, a full disk, a folder that can't be written, two processes: a clear error
//! and nothing lost, or it just works.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    process::{Command, Stdio},
    time::Duration,
};

use crate::harness::{Ran, Test, until};

const STEPS: &str = "workflow: w
steps:
  one: { run: 'file::write(\"one.txt\", random::hex(8))' }
  two: { needs: [one], run: 'file::read(\"go.txt\"); file::write(\"two.txt\", \"x\")' }
";

fn half_done() -> Test {
    let test = Test::new().file("w.yaml", STEPS);
    test.windlass(&["run", "w.yaml"]).expect(1);
    test.write("out/go.txt", "go");
    test
}

/// No panic, no half a sentence: an error with its code and what to do.
#[track_caller]
fn check_is_clear(ran: &Ran) {
    assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
    let says = ran.stderr.contains("error:") || ran.stderr.contains("failed");
    assert!(ran.code == 0 || says, "exit {}: {}", ran.code, ran.stderr);
}

#[test]
fn a_journal_cut_off_anywhere_is_found_or_read() {
    let test = half_done();
    let path = test.path(".windlass/journal.db");
    let whole = fs::read(&path).expect("read");
    let first = test.read("out/one.txt");
    let (mut refused, mut read) = (0, 0);
    for length in (0..whole.len()).step_by(997) {
        for leftover in ["journal.db-wal", "journal.db-shm"] {
            let _ = fs::remove_file(test.path(".windlass").join(leftover));
        }
        fs::write(&path, &whole[..length]).expect("written");
        let ran = test.windlass(&["resume"]);
        check_is_clear(&ran);
        assert_eq!(
            test.read("out/one.txt"),
            first,
            "cut at {length}: done again"
        );
        match ran.code {
            0 => read += 1,
            _ => refused += 1,
        }
    }
    println!("journals cut off: {refused} refused, {read} read");
    fs::write(&path, &whole).expect("written");
    test.windlass(&["resume"]).expect(0);
    assert_eq!(test.read("out/one.txt"), first);
}

#[test]
fn a_full_disk_loses_nothing() {
    // A limit on the size of files is what a full disk looks like to a program.
    let test = Test::with_shipped_workflows();
    let mut failed = 0;
    for kilobytes in [4, 40, 64, 100, 160, 220, 300] {
        let script = format!("ulimit -f {kilobytes}; trap '' XFSZ; exec \"$0\" \"$@\"");
        let program = test.command(&[]).get_program().to_owned();
        let output = Command::new("bash")
            .args(["-c", &script])
            .arg(program)
            .args(["run", "workflows/gloo-mesh.yaml"])
            .current_dir(test.path("."))
            .output();
        let ran = Ran::from_output(output.expect("bash"));
        check_is_clear(&ran);
        if ran.code == 0 {
            break;
        }
        failed += 1;
        if test.windlass(&["logs"]).stdout.contains("run started") {
            test.windlass(&["resume"]).expect_one_of(&[0, 2]);
            assert_eq!(test.authorities(), 2, "with {kilobytes} KiB");
        }
        for folder in [".windlass", "out"] {
            let _ = fs::remove_dir_all(test.path(folder));
        }
    }
    assert!(failed > 2, "the limit never bit");
}

#[test]
fn a_folder_that_can_not_be_written_is_named() {
    let test = half_done();
    let folder = test.path(".windlass");
    let set = |mode| fs::set_permissions(&folder, fs::Permissions::from_mode(mode)).expect("set");
    set(0o500);
    // Root writes everywhere; then there is nothing to see.
    let is_root = fs::write(folder.join("probe"), "").is_ok();
    let ran = test.windlass(&["resume"]);
    set(0o700);
    check_is_clear(&ran);
    assert!(
        is_root || ran.code == 2,
        "exit {}: {}",
        ran.code,
        ran.stderr
    );
    test.windlass(&["resume"]).expect_one_of(&[0, 2]);

    let test = Test::new()
        .file("w.yaml", STEPS)
        .file("state", "a file is no folder");
    let ran = test
        .windlass(&["run", "w.yaml", "--state", "state"])
        .expect(2);
    check_is_clear(&ran);
    let ran = test
        .windlass(&["run", "w.yaml", "--out", "state/out", "--state", "other"])
        .expect(1);
    check_is_clear(&ran);
}

#[test]
fn one_of_two_processes_resumes() {
    let text = STEPS.replace("file::read", "time::sleep(\"1500ms\"); file::read");
    let test = Test::new().file("w.yaml", &text);
    test.windlass(&["run", "w.yaml"]).expect(1);
    test.write("out/go.txt", "go");
    let run = test.windlass(&["runs", "--json"]).expect(0).json()[0]["run"].clone();
    let run = run.as_str().expect("an id").to_owned();
    let children: Vec<_> = (0..2)
        .map(|_| {
            let mut command = test.command(&["resume", &run]);
            command
                .stderr(std::process::Stdio::piped())
                .spawn()
                .expect("started")
        })
        .collect();
    let ends: Vec<_> = children
        .into_iter()
        .map(|child| Ran::from_output(child.wait_with_output().expect("ended")))
        .collect();
    let mut codes: Vec<_> = ends.iter().map(|ran| ran.code).collect();
    codes.sort_unstable();
    assert_eq!(codes, [0, 2]);
    let refused = ends.iter().find(|ran| ran.code == 2).expect("one");
    let says = refused.stderr.contains("[run-owned]") || refused.stderr.contains("has succeeded");
    assert!(says, "{}", refused.stderr);
    let writes = test
        .events()
        .iter()
        .filter(|e| e["call"]["function"] == "file::write")
        .count();
    assert_eq!(writes, 2);
}

/// SQLite and a lock would go on with files that nobody finds any more.
#[test]
fn a_run_stops_when_its_state_folder_is_moved_away() {
    for moved in ["", "/journal.db", "/locks"] {
        let text = "workflow: w
steps:
  one: { run: 'file::write(\"one.txt\", \"x\"); time::sleep(\"5ms\"); for i in 0..1000 { if file::exists(\"go.txt\") { break; } time::sleep(\"20ms\"); }' }
  two: { needs: [one], run: 'file::write(\"two.txt\", \"x\")' }
";
        let test = Test::new().file("w.yaml", text);
        let mut command = test.command(&["run", "w.yaml"]);
        let child = command.stderr(Stdio::piped()).spawn().expect("started");
        until("the run begins", Duration::from_secs(30), || {
            test.path("out/one.txt").exists()
        });
        let (from, to) = (test.path(&format!(".windlass{moved}")), test.path("away"));
        fs::rename(&from, &to).expect("moved");
        test.write("out/go.txt", "go");
        let ran = Ran::from_output(child.wait_with_output().expect("ended"));
        check_is_clear(&ran);
        assert_ne!(ran.code, 0, "{moved}");
        ran.says("was moved, deleted or replaced while it was in use");
        assert!(!test.path("out/two.txt").exists(), "{moved}: not recorded");
        // With the folder back, it continues.
        let _ = fs::remove_dir_all(&from);
        fs::rename(&to, &from).expect("moved back");
        test.windlass(&["resume"]).expect(0);
        assert!(test.path("out/two.txt").exists(), "{moved}");
    }
}

/// To begin another journal would hide that runs are lost, and a backup of it would replace a good one.
#[test]
fn a_journal_that_is_gone_is_not_an_empty_one() {
    let test = half_done();
    let path = test.path(".windlass/journal.db");
    let whole = fs::read(&path).expect("read");
    for is_empty in [true, false] {
        if is_empty {
            fs::write(&path, "").expect("emptied");
        } else {
            fs::remove_file(&path).expect("removed");
        }
        for command in [&["runs"] as &[_], &["run", "w.yaml"], &["backup", "b.tar"]] {
            let refused = test.windlass(command).expect(2);
            refused.says("journal.db is missing or empty, but there were runs");
        }
        assert!(!test.path("b.tar").exists());
    }
    fs::write(&path, &whole).expect("written");
    test.windlass(&["resume"]).expect(0);
}

/// A run is recorded with its first event, or not at all.
#[test]
fn a_run_that_died_before_it_began_is_not_there() {
    let test = half_done();
    let older = test.windlass(&["runs", "--json"]).expect(0).json();
    for at in 1..4 {
        let mut command = test.command(&["run", "w.yaml"]);
        let output = command.env("WINDLASS_CRASH_AT", at.to_string()).output();
        assert_eq!(output.expect("started").status.code(), None, "it lived on");
        let runs = test.windlass(&["runs", "--json"]).expect(0).json();
        if runs.as_array().map(Vec::len) > Some(1) {
            // The first moment after the commit: the run is there, and it is whole.
            assert!(at > 1);
            test.windlass(&["audit"]).expect(0);
            return;
        }
        assert_eq!(runs, older, "after a death at {at}");
        test.windlass(&["audit"]).expect(0);
    }
    panic!("no run was ever recorded");
}
