//! What lists and tables say of runs, and what they refuse to say.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    process::{Command, Stdio},
    time::Duration,
};

use crate::harness::{Ran, Test, status, until};

const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn a9_a_folder_that_may_not_be_read_is_not_empty() {
    // What even root can't pass: a path through itself, and one through a file.
    let test = Test::new().file("file", "");
    symlink("loop", test.path("loop")).expect("linked");
    for state in ["loop", "file", "loop/.windlass"] {
        for command in [
            &["runs"][..],
            &["runs", "--json"],
            &["show"],
            &["logs"],
            &["outputs"],
            &["audit"],
            &["resume"],
        ] {
            let ran = test
                .windlass(&[command, &["--state", state]].concat())
                .expect(2);
            assert!(
                !ran.stderr.contains("there are no runs"),
                "{state}: {}",
                ran.stderr
            );
            assert!(
                ran.stderr.contains("can't use the state folder"),
                "{state}: {}",
                ran.stderr
            );
        }
    }
    // A journal that is a folder, and locks that are none.
    fs::create_dir_all(test.path("odd/journal.db")).expect("made");
    test.windlass(&["runs", "--state", "odd"]).expect(2);
    test.windlass(&["runs", "--state", "nothing"]).expect(0);
    // Whether something drives a run can't be told without its lock.
    let test = Test::new().file("w.yaml", "workflow: w\nsteps: { ask: { approval: Go? } }\n");
    test.windlass(&["run", "w.yaml"]).expect(3);
    fs::remove_dir_all(test.path(".windlass/locks")).expect("removed");
    symlink("locks", test.path(".windlass/locks")).expect("linked");
    test.windlass(&["runs"]).expect(2);
    test.windlass(&["show"]).expect(2);
}

#[test]
fn a9_permission_denied_is_said() {
    let test = Test::new().file("w.yaml", "workflow: w\nsteps: { a: { run: '#{}' } }\n");
    test.windlass(&["run", "w.yaml"]).expect(0);
    let folder = test.path(".windlass");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o000)).expect("closed");
    let ran = as_nobody(&test, &["runs"]);
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).expect("opened");
    let ran = ran.expect(2);
    ran.says("Permission denied");
}

/// Runs a command as somebody whom modes bind. Root hands a copy of the program to `nobody`.
fn as_nobody(test: &Test, arguments: &[&str]) -> Ran {
    let own = test.command(arguments);
    if rustix::process::getuid().as_raw() != 0 {
        return test.windlass(arguments);
    }
    let place = test.path("bin");
    fs::create_dir_all(&place).expect("made");
    fs::hard_link(own.get_program(), place.join("windlass"))
        .or_else(|_| fs::copy(own.get_program(), place.join("windlass")).map(|_| ()))
        .expect("copied");
    fs::set_permissions(test.path(""), fs::Permissions::from_mode(0o755)).expect("opened");
    let output = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(place.join("windlass"))
        .args(arguments)
        .current_dir(test.path(""))
        .env("NO_COLOR", "1")
        .output();
    Ran::from_output(output.expect("setpriv is installed (util-linux)"))
}

#[test]
fn e2_a_run_that_waits_in_its_process_is_listed_as_waiting() {
    let test = Test::new().file("w.yaml", "workflow: w\nsteps: { ask: { approval: Go? } }\n");
    let mut child = test.start(&["run", "w.yaml", "--wait"]);
    let listed = || test.windlass(&["runs", "--json"]).json()[0]["status"] == "waiting";
    until("the question", PATIENCE, listed);
    test.windlass(&["cancel"]).expect(0);
    child.wait().expect("ended");
    assert_eq!(
        test.windlass(&["runs", "--json"]).json()[0]["status"],
        "cancelled"
    );
}

#[test]
fn e2_a_cancelled_step_that_did_something_has_run() {
    let test = Test::new().file(
        "w.yaml",
        "workflow: w
steps:
  slow: { run: 'file::write(\"a.txt\", \"x\"); time::sleep(\"60s\")' }
  after: { needs: [slow], run: '#{}' }
",
    );
    let mut child = test.start(&["run", "w.yaml"]);
    until("the sleep", PATIENCE, || {
        test.windlass(&["logs"]).stdout.contains("time::sleep")
    });
    test.windlass(&["cancel"]).expect(0);
    assert_eq!(child.wait().expect("ended").code(), Some(130));
    let shown = test.windlass(&["show"]).expect(0).stdout;
    let line = |step: &str| {
        shown
            .lines()
            .find(|line| line.contains(step))
            .expect("a line")
            .to_owned()
    };
    assert!(line(" slow").contains("interrupted"), "{shown}");
    assert!(line(" after").contains("not run"), "{shown}");
    assert_eq!(status(&test.shown(), "slow"), "interrupted");
}

#[test]
fn e10_who_started_a_run_is_known_without_user() {
    let test = Test::new().file("w.yaml", "workflow: w\nsteps: { a: { run: '#{}' } }\n");
    let id = Command::new("id").arg("-un").output().expect("id");
    let me = String::from_utf8_lossy(&id.stdout).trim().to_owned();
    for (user, logname, expected) in [
        (None, None, me.as_str()),
        (Some(""), None, me.as_str()),
        (None, Some("lena"), "lena"),
        (Some("ute"), Some("lena"), "ute"),
    ] {
        let mut command = test.command(&["run", "w.yaml", "--json"]);
        command
            .env_remove("USER")
            .env_remove("LOGNAME")
            .stderr(Stdio::null());
        command.envs(user.map(|user| ("USER", user)));
        command.envs(logname.map(|name| ("LOGNAME", name)));
        let ran = Ran::from_output(command.output().expect("windlass starts")).expect(0);
        assert_eq!(ran.json()["requester"], expected);
        let runs = test.windlass(&["runs", "--json"]).expect(0).json();
        assert_eq!(runs[0]["requester"], expected);
    }
}

const LOCKED: &str = "workflow: w
params: { pause: { type: string, default: 1ms } }
lock: mesh
steps:
  wait: { with: { pause: \"${{ params.pause }}\" }, run: 'time::sleep(inputs.pause)' }
";

#[test]
fn a_lock_of_a_run_that_is_driven_is_waited_for() {
    let test = Test::new().file("w.yaml", LOCKED);
    let mut holder = test.start(&["run", "w.yaml", "-p", "pause=8s"]);
    until("the lock", PATIENCE, || {
        test.windlass(&["logs"]).stdout.contains("time::sleep")
    });
    let waiter = test
        .windlass(&["run", "w.yaml", "--lock-timeout", "100ms"])
        .expect(3);
    waiter.says("is being driven, so wait until it ends; to cancel it: `windlass cancel ");
    assert!(
        !waiter.stderr.contains("windlass resume "),
        "{}",
        waiter.stderr
    );
    holder.kill().expect("killed");
    holder.wait().expect("gone");
}

#[test]
fn e12_a_lock_of_a_dead_run_is_no_dead_end() {
    let test = Test::new().file("w.yaml", LOCKED);
    let mut holder = test.start(&["run", "w.yaml", "-p", "pause=3s"]);
    until("the lock", PATIENCE, || {
        test.windlass(&["logs"]).stdout.contains("time::sleep")
    });
    holder.kill().expect("killed");
    holder.wait().expect("gone");
    let first = test.windlass(&["runs", "--json"]).json()[0]["run"].clone();
    let first = first.as_str().expect("an id").to_owned();
    // A variable says which runs these are, and no later command has it.
    let mut command = test.command(&["run", "w.yaml", "--lock-timeout", "100ms"]);
    let folder = test.path(".windlass");
    command.env("WINDLASS_STATE", &folder);
    let waiter = Ran::from_output(command.output().expect("windlass starts")).expect(3);
    let at = format!("--state {}", folder.display());
    for part in [
        format!("to continue that run: `windlass resume {first} {at}`"),
        format!("to cancel it: `windlass cancel {first} {at}`"),
        "[lock-timeout]".into(),
    ] {
        waiter.says(&part);
    }
    // The newest run waits for the other, so the other is what a resume can do something about.
    let resumed = test.windlass(&["resume"]).expect(0);
    resumed.says(&first);
    let runs = test.windlass(&["runs", "--json"]).json();
    assert_eq!(runs[1]["status"], "succeeded");
    assert_eq!(runs[0]["status"], "interrupted");
    test.windlass(&["resume"]).expect(0);
}
