//! A run that stops anywhere goes on from there.

use std::{
    fs,
    process::Child,
    thread,
    time::{Duration, Instant},
};

use crate::harness::{Test, status, until};

/// Waits until the newest run's journal holds something, without guessing how long that takes.
fn wait_for(test: &Test, what: &str) {
    until(what, Duration::from_secs(60), || {
        let logs = test.windlass(&["logs"]);
        logs.code == 0 && logs.stdout.contains(what)
    });
}

/// What `kill -9` does.
fn kill(mut child: Child) {
    child.kill().expect("killed");
    child.wait().expect("gone");
}

fn interrupt(child: &Child) {
    let pid = child.id().to_string();
    let killed = std::process::Command::new("kill")
        .args(["-INT", &pid])
        .status();
    assert!(killed.expect("kill is installed").success());
}

const THREE_STEPS: &str = "workflow: w
steps:
  first: { run: 'file::write(\"first.txt\", random::hex(8))' }
  second: { run: 'file::write(\"second-a.txt\", random::hex(8)); file::read(\"go.txt\"); file::write(\"second-b.txt\", \"x\")', needs: [first] }
  third: { run: 'file::write(\"third.txt\", \"x\")', needs: [second] }
";

#[test]
fn a_failed_run_goes_on_and_does_nothing_twice() {
    let test = Test::new().file("w.yaml", THREE_STEPS);
    test.windlass(&["run", "w.yaml"]).expect(1);
    let (first, second) = (test.read("out/first.txt"), test.read("out/second-a.txt"));
    test.write("out/go.txt", "go");
    // The run goes on with the files that it began with.
    test.write("w.yaml", "this is no workflow any more");
    test.windlass(&["resume"]).expect(0);
    assert_eq!(
        (test.read("out/first.txt"), test.read("out/second-a.txt")),
        (first, second)
    );
    assert!(test.path("out/third.txt").exists() && test.path("out/second-b.txt").exists());
    let writes = |name: &str| {
        test.events()
            .iter()
            .filter(|e| e["event"] == "effect_intended" && e["call"]["arguments"]["name"] == name)
            .count()
    };
    assert_eq!(
        ["first.txt", "second-a.txt", "second-b.txt", "third.txt"].map(writes),
        [1, 1, 1, 1]
    );
    let again = test.windlass(&["resume"]).expect(2);
    again.says("every run here has succeeded");
}

#[test]
fn a_killed_run_goes_on() {
    let test = Test::new().file(
        "w.yaml",
        "workflow: w
steps:
  slow: { run: 'let kept = random::hex(8); time::sleep(\"2s\"); file::write(\"kept.txt\", kept)' }
",
    );
    let run = test.start(&["run", "w.yaml"]);
    wait_for(&test, "time::sleep");
    let owned = test.windlass(&["resume"]).expect(2);
    owned.says("is being driven by process");
    kill(run);
    let listed = test.windlass(&["runs", "--json"]).expect(0).json();
    assert_eq!(listed[0]["status"], "interrupted");
    let shown = test.windlass(&["show"]).expect(0).stdout;
    assert!(
        shown.contains("was interrupted") && !shown.contains("running"),
        "{shown}"
    );
    assert!(shown.contains("To continue: windlass resume "), "{shown}");
    let kept = test.events().iter().find_map(|e| {
        (e["call"]["function"] == "random::hex").then(|| e["outcome"]["done"].clone())
    });
    test.windlass(&["resume"]).expect(0);
    assert_eq!(Some(test.read("out/kept.txt").into()), kept);
}

#[test]
fn ctrl_c_cancels_cleanly_and_says_how_to_resume() {
    let test = Test::new().file(
        "w.yaml",
        "workflow: w
steps:
  a: { run: 'file::write(\"a.txt\", \"x\"); time::sleep(\"1h\")' }
  c: { run: \"()\", needs: [a] }
finally:
  tidy: { run: 'file::write(\"tidy.txt\", inputs.status)', with: { status: \"${{ run.status }}\" } }
",
    );
    let mut command = test.command(&["run", "w.yaml"]);
    let child = command
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("started");
    wait_for(&test, "time::sleep");
    interrupt(&child);
    let output = child.wait_with_output().expect("ended");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{stderr}");
    assert!(
        stderr
            .lines()
            .last()
            .unwrap_or_default()
            .starts_with("To continue: windlass resume"),
        "{stderr}"
    );
    assert_eq!(test.read("out/tidy.txt"), "cancelled");
    let shown = test.shown();
    assert_eq!(
        (status(&shown, "a"), status(&shown, "c")),
        ("interrupted", "pending")
    );
}

#[test]
fn a_cancelled_nested_run_can_be_resumed() {
    let test = Test::new()
        .file(
            "w.yaml",
            "workflow: w
steps:
  each: { workflow: inner.yaml, for_each: [a, b], max_parallel: 1, with: { name: \"${{ item }}\" } }
finally:
  tidy: { run: 'file::write(\"tidy.txt\", inputs.status)', with: { status: \"${{ run.status }}\" } }
",
        )
        .file(
            "inner.yaml",
            "workflow: inner
params: { name: string }
steps:
  one: { run: 'file::write(inputs.name + \"-one.txt\", random::hex(8))', with: { name: \"${{ params.name }}\" } }
  two: { script: wait.rhai, needs: [one] }
",
        )
        .file(
            "wait.rhai",
            "fn run(inputs) { for i in 0..10000 { if is_there() { return #{}; } time::sleep(\"20ms\"); } }
fn is_there() { try { file::read(\"go.txt\"); return true; } catch { } false }
",
        );
    let child = test.start(&["run", "w.yaml"]);
    wait_for(&test, "file::read");
    interrupt(&child);
    assert_eq!(
        child.wait_with_output().expect("ended").status.code(),
        Some(130)
    );
    let one = test.read("out/a-one.txt");
    assert_eq!(test.read("out/tidy.txt"), "cancelled");
    test.write("out/go.txt", "");
    test.windlass(&["resume"]).expect(0);
    assert_eq!(test.read("out/a-one.txt"), one);
    assert!(test.path("out/b-one.txt").exists());
    assert_eq!(test.read("out/tidy.txt"), "succeeded");
}

#[test]
fn finally_runs_again_only_where_something_before_it_does() {
    let test = Test::new().file(
        "w.yaml",
        "workflow: w
steps:
  work: { run: 'file::read(\"go.txt\")' }
finally:
  tell: { run: 'file::write(\"tell-\" + inputs.status + \".txt\", \"x\")', with: { status: \"${{ run.status }}\" } }
  broken: { run: 'file::read(\"mend.txt\")' }
",
    );
    test.windlass(&["run", "w.yaml"]).expect(1);
    assert!(test.path("out/tell-failed.txt").exists());
    test.write("out/go.txt", "");
    test.windlass(&["resume"]).expect(1);
    assert!(test.path("out/tell-succeeded.txt").exists());
    fs::remove_file(test.path("out/tell-succeeded.txt")).expect("removed");
    test.write("out/mend.txt", "");
    test.windlass(&["resume"]).expect(0);
    assert!(
        !test.path("out/tell-succeeded.txt").exists(),
        "a finished finally step was done twice"
    );
}

#[test]
fn a_changed_journal_is_found() {
    let test = Test::new().file("w.yaml", THREE_STEPS);
    test.windlass(&["run", "w.yaml"]).expect(1);
    let database = rusqlite::Connection::open(test.path(".windlass/journal.db")).expect("opened");
    database
        .execute(
            "UPDATE events SET body = replace(body, 'first.txt', 'fir5t.txt') WHERE seq = 3",
            [],
        )
        .expect("changed");
    drop(database);
    let ran = test.windlass(&["resume"]).expect(2);
    ran.says("event 3 of run");
    ran.says("the chain of digests is broken there");
}

/// `kill -9` at ten moments spread at random over the time that a run takes.
#[test]
fn killed_at_ten_random_moments_two_cas_exist_and_never_three() {
    // They restart one after another, so more of them would only make it longer.
    let clusters: Vec<String> = (1..=4).map(|n| format!("c{n}")).collect();
    let param = format!("clusters=[{}]", clusters.join(", "));
    // EC keys, so that the run is made of calls and not of waiting for RSA keys.
    let arguments = [
        "run",
        "workflows/gloo-mesh.yaml",
        "-p",
        &param,
        "-p",
        "key_algorithm=EC_prime256v1",
    ];
    let whole = {
        let test = Test::with_shipped_workflows();
        let start = Instant::now();
        test.windlass(&arguments).expect(0);
        start.elapsed()
    };
    let mut killed_early = 0;
    for round in 0..10 {
        let test = Test::with_shipped_workflows();
        let share = f64::from(rand_byte()) / 255.0;
        let child = test.start(&arguments);
        thread::sleep(whole.mul_f64(share * 0.95));
        kill(child);
        if !test.path(".windlass/journal.db").exists()
            || test.windlass(&["runs", "--json"]).json() == serde_json::json!([])
            || crate::crash::has_no_events(&test)
        {
            // Killed before anything was recorded: nothing may have been done.
            test.windlass(&arguments).expect(0);
            killed_early += 1;
        } else if test.shown()["status"] != "succeeded" {
            test.windlass(&["resume"]).expect(0);
        }
        let cas = test.authorities();
        assert_eq!(cas, 2, "round {round}, killed at {share:.2} of {whole:?}");
        for cluster in &clusters {
            let name = format!("out/relay-client-tls-{cluster}");
            let (chain, leaf) = (format!("{name}-chain.pem"), format!("{name}.pem"));
            test.openssl(&[
                "verify",
                "-CAfile",
                "out/root-ca.pem",
                "-untrusted",
                &chain,
                &leaf,
            ])
            .expect(0);
            let key = test
                .openssl(&["pkey", "-in", &format!("{name}.key"), "-pubout"])
                .expect(0)
                .stdout;
            let certified = test
                .openssl(&["x509", "-in", &leaf, "-noout", "-pubkey"])
                .expect(0)
                .stdout;
            assert_eq!(
                key, certified,
                "round {round}: {cluster} has another key than its certificate"
            );
        }
    }
    println!(
        "10 runs of 4 clusters killed and resumed ({killed_early} before they were recorded): 2 CAs each"
    );
}

fn rand_byte() -> u8 {
    let mut byte = [0];
    aws_lc_rs::rand::fill(&mut byte).expect("randomness");
    byte[0]
}

#[test]
fn a_cancel_leaves_a_nested_workflow_under_finally_alone() {
    let test = Test::new()
        .file(
            "w.yaml",
            "workflow: w
steps:
  work: { run: 'time::sleep(\"1h\")' }
finally:
  tidy: { workflow: tidy.yaml, for_each: [a, b], max_parallel: 1, with: { name: \"${{ item }}\" } }
",
        )
        .file(
            "tidy.yaml",
            "workflow: tidy
params: { name: string }
steps:
  one: { run: 'time::sleep(\"10ms\"); file::write(inputs.name + \"-one.txt\", \"x\")', with: { name: \"${{ params.name }}\" } }
  two: { needs: [one], run: 'file::write(inputs.name + \"-two.txt\", \"x\")', with: { name: \"${{ params.name }}\" } }
finally:
  three: { run: 'file::write(inputs.name + \"-three.txt\", \"x\")', with: { name: \"${{ params.name }}\" } }
",
        );
    let child = test.start(&["run", "w.yaml"]);
    wait_for(&test, "time::sleep");
    interrupt(&child);
    let code = child.wait_with_output().expect("ended").status.code();
    assert_eq!(code, Some(130));
    for name in ["a-one", "a-two", "a-three", "b-one", "b-two", "b-three"] {
        let path = test.path(&format!("out/{name}.txt"));
        assert!(path.exists(), "{name} was not done");
    }
    let shown = test.shown();
    assert_eq!(status(&shown, "tidy"), "succeeded");
}

/// A script that throws because of what it read would throw again if the reads were replayed.
#[test]
fn what_made_a_script_fail_is_read_again() {
    let test = Test::new()
        .file(
            "w.yaml",
            "workflow: w\nsteps:\n  a:\n    run: |\n      let key = key::generate(\"EC_prime256v1\");\n      file::write(\"once.txt\", x509_of(key));\n      if file::exists(\"in-the-way\") { throw \"in the way\" }\n      #{}\n",
        )
        .file("out/in-the-way", "");
    // The body of a step has no functions; the key only shows whether it is the same.
    let text = test.read("w.yaml").replace(
        "x509_of(key)",
        "csr::create(key, #{ subject: #{ common_name: \"a\" } })",
    );
    test.write("w.yaml", &text);
    test.windlass(&["run", "w.yaml"])
        .expect(1)
        .says("in the way");
    let written = test.read("out/once.txt");
    test.windlass(&["resume"]).expect(1).says("in the way");
    let plan = test.windlass(&["resume", "--plan"]).expect(0).stdout;
    // The key, the request and the file.
    assert!(
        plan.contains("continues after 3 recorded calls, and reads again"),
        "{plan}"
    );
    std::fs::remove_file(test.path("out/in-the-way")).expect("removed");
    test.windlass(&["resume"]).expect(0);
    // What it changed is not changed again, and what that depended on is the same.
    assert_eq!(test.read("out/once.txt"), written);
    let writes = test
        .events()
        .into_iter()
        .filter(|e| e["event"] == "effect_intended" && e["call"]["function"] == "file::write");
    assert_eq!(writes.count(), 1);
    test.windlass(&["audit"]).expect(0);
}
