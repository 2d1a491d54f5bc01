//! Processes of several PID namespaces, as containers are, that share a state folder.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::harness::{Ends, Test};

const SECRET: &str = "workflow: w
params: { s: secret }
steps:
  a:
    with: { s: '${{ params.s }}' }
    run: |
      file::write_secret(`made-${random::hex(4)}.txt`, inputs.s);
";

const SLOW: &str = "workflow: slow
steps:
  a: { run: 'time::sleep(\"10m\")' }
";

/// A way into a new PID namespace, in which the first process has the id 1; `None` where this machine allows none.
fn unshare() -> Option<&'static [&'static str]> {
    const AS_ROOT: &[&str] = &["--pid", "--fork", "--mount-proc", "--kill-child"];
    const AS_ANYBODY: &[&str] = &[
        "--user",
        "--map-root-user",
        "--pid",
        "--fork",
        "--mount-proc",
        "--kill-child",
    ];
    let works = |options: &&&[&str]| {
        let tried = Command::new("unshare").args(**options).arg("true").output();
        tried.is_ok_and(|tried| tried.status.success())
    };
    let found = [AS_ROOT, AS_ANYBODY];
    let found = found.iter().find(works).copied();
    if found.is_none() {
        eprintln!(
            "skipped: this machine makes no PID namespaces (`unshare --pid --fork --mount-proc true` fails)"
        );
    }
    found
}

/// The command in a namespace of its own.
fn contained(test: &Test, options: &[&str], arguments: &[&str]) -> Command {
    let inner = test.command(arguments);
    let mut command = Command::new("unshare");
    command
        .args(options)
        .arg(inner.get_program())
        .args(inner.get_args())
        .current_dir(test.path(""));
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

#[test]
fn g9_the_owner_of_a_run_is_known_across_namespaces() {
    let Some(options) = unshare() else { return };
    let test = Test::new().file("w.yaml", SLOW);
    let mut command = contained(&test, options, &["run", "w.yaml"]);
    let run = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let run = Ends(run.expect("unshare starts"));
    let listed = || test.windlass(&["runs", "--json"]).expect(0).json()[0]["status"].clone();
    let until = |status: &str| {
        let since = Instant::now();
        while listed() != status {
            assert!(
                since.elapsed() < Duration::from_secs(30),
                "{status}: {}",
                listed()
            );
            thread::sleep(Duration::from_millis(50));
        }
    };
    until("running");
    // Here, process 1 is somebody else, whom nobody should be told to stop.
    for mut command in [
        test.command(&["resume"]),
        contained(&test, options, &["resume"]),
    ] {
        let refused = command.output().expect("it starts");
        let told = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(2), "{told}");
        assert!(
            told.contains("driven by a process of another container"),
            "{told}"
        );
        assert!(!told.contains("process 1"), "{told}");
    }
    drop(run);
    until("interrupted");
}

/// Each of them is process 1, and makes the folder.
#[test]
fn g9_processes_with_one_id_make_one_state_folder() {
    let Some(options) = unshare() else { return };
    let test = Test::new().file("w.yaml", SECRET);
    let runs: Vec<_> = (0..6)
        .map(|_| {
            let mut run = contained(&test, options, &["run", "w.yaml", "-p", "s=hush-hush"]);
            let run = run.stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
            run.expect("unshare starts")
        })
        .collect();
    for run in runs {
        let ended = run.wait_with_output().expect("it ends");
        let told = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.code(), Some(0), "{told}");
    }
    // One identity opens the secrets of all.
    let listed = test.windlass(&["runs", "--json"]).expect(0).json();
    let listed = listed.as_array().expect("runs");
    assert_eq!(listed.len(), 6);
    for run in listed {
        let id = run["run"].as_str().or(run["id"].as_str()).expect("an id");
        test.windlass(&["undo", id, "--yes"]).expect(0);
    }
    let left = fs::read_dir(test.path("out")).expect("a folder").count();
    assert_eq!(left, 0, "every run knew what it had written");
}

#[test]
fn g9_servers_with_one_id_keep_one_key() {
    let Some(options) = unshare() else { return };
    let test = Test::new();
    let serve = ["pca", "serve", "--port", "0", "--dir", "pca"];
    let servers: Vec<_> = (0..4)
        .map(|_| {
            let mut server = contained(&test, options, &serve);
            let server = server.stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
            Ends(server.expect("unshare starts"))
        })
        .collect();
    let mut statuses = BTreeSet::new();
    for mut server in servers {
        let mut line = String::new();
        let stdout = server.0.stdout.take().expect("piped");
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("its address");
        let asked = Command::new("aws")
            .args([
                "acm-pca",
                "list-certificate-authorities",
                "--region",
                "us-east-1",
            ])
            .args(["--endpoint-url", line.trim()])
            .env("AWS_SHARED_CREDENTIALS_FILE", test.path("pca/credentials"))
            .output()
            .expect("the aws CLI is installed (pip install -r tests/requirements.txt)");
        let told = String::from_utf8_lossy(&asked.stderr).into_owned();
        statuses.insert((asked.status.code(), told));
    }
    assert_eq!(statuses, BTreeSet::from([(Some(0), String::new())]));
    // No draft stays.
    let names = fs::read_dir(test.path("pca")).expect("a folder");
    let names = names.map(|entry| {
        entry
            .expect("an entry")
            .file_name()
            .to_string_lossy()
            .into_owned()
    });
    let drafts: Vec<_> = names
        .filter(|name| name.starts_with(".credentials"))
        .collect();
    assert!(drafts.is_empty(), "{drafts:?}");
}
