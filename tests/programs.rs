//! Programs that scripts start, as real shells and users mistreat them.

use std::{
    fs,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::harness::{Ends, Ran, Test, until};

const CONFIG: &str = "[targets.t]\nexec = [\"sh\", \"env\", \"printf\"]\n";

fn write(test: &Test, body: &str, config: &str) {
    let body: String = body.lines().map(|line| format!("      {line}\n")).collect();
    test.write(
        "w.yaml",
        &format!("workflow: w\nsteps:\n  s:\n    run: |\n{body}outputs: {{ all: \"${{{{ steps.s }}}}\" }}\n"),
    );
    test.write("windlass.toml", config);
}

fn run(test: &Test, body: &str) -> Ran {
    write(test, body, CONFIG);
    test.windlass(&["run", "w.yaml", "--target", "t"])
}

fn outputs(test: &Test, body: &str) -> Value {
    run(test, body).expect(0);
    all(test)
}

fn all(test: &Test) -> Value {
    test.windlass(&["outputs", "--json"]).expect(0).json()["all"].clone()
}

/// Starts a run whose program writes `out/begun`, and waits for that.
fn begin(test: &Test, body: &str) -> Child {
    write(test, body, CONFIG);
    let child = test.start(&["run", "w.yaml", "--target", "t"]);
    wait_for(test, "out/begun");
    child
}

#[track_caller]
fn wait_for(test: &Test, name: &str) {
    until(name, Duration::from_secs(30), || test.path(name).exists());
}

fn send(signal: &str, child: &Child) {
    let sent = Command::new("kill")
        .args([signal, &child.id().to_string()])
        .status();
    assert!(sent.is_ok_and(|status| status.success()), "kill {signal}");
}

#[test]
fn a8_what_a_program_prints_is_exact() {
    let test = Test::new();
    let body = "let r = exec::run(\"printf\", [\"a\\\\377\"]);\nlet t = exec::run(\"printf\", [\"grün\"]);\n#{ bytes: r.stdout_bytes, text: t.stdout, stderr: r.stderr, base64: base64::encode(t.stdout_bytes) }";
    assert_eq!(
        outputs(&test, body),
        json!({ "bytes": "Yf8=", "text": "grün", "stderr": "", "base64": "Z3LDvG4=" })
    );
    let refused = run(&test, "exec::run(\"printf\", [\"a\\\\377\"]).stdout").expect(1);
    refused.says("`stdout` is not valid UTF-8");
    let body = "let b = base64::decode_bytes(\"AP8K\");\n#{ same: exec::run(\"sh\", [\"-c\", \"cat\"], #{ stdin: b }).stdout_bytes == b }";
    assert_eq!(outputs(&test, body), json!({ "same": true }));
}

/// The child that it left holds stdout open for longer than any of this takes.
#[test]
fn d1_a_program_is_done_when_it_ends() {
    let test = Test::new();
    let began = Instant::now();
    let body = "#{ out: exec::run(\"sh\", [\"-c\", \"sleep 33 & echo $! > pid; echo done\"], #{ timeout: \"20s\" }).stdout }";
    let found = outputs(&test, body);
    let took = began.elapsed();
    let pid = test.read("out/pid");
    let alive = Command::new("kill").args(["-9", pid.trim()]).status();
    assert!(
        alive.is_ok_and(|status| status.success()),
        "the child was left alone"
    );
    assert_eq!(found, json!({ "out": "done\n" }));
    assert!(took < Duration::from_secs(15), "{took:?}");
}

#[test]
fn d1_a_program_that_prints_too_much_has_done_its_work() {
    let test = Test::new();
    let body = "let r = exec::run(\"sh\", [\"-c\", \"head -c 3000000 /dev/zero | tr '\\\\0' x; echo; echo end; echo > finished\"]);\n#{ cut: r.truncated, ends: r.stdout.ends_with(\"x\\nend\\n\"), large: r.stdout.len() > 400000, err: r.stderr }";
    assert_eq!(
        outputs(&test, body),
        json!({ "cut": true, "ends": true, "large": true, "err": "" })
    );
    assert!(test.path("out/finished").exists());
    let logs = test.windlass(&["logs"]).expect(0).stdout;
    assert!(
        logs.contains("only the end of what it printed was kept"),
        "{logs}"
    );
    // What is not text takes six times as much in the journal.
    let body = "let r = exec::run(\"sh\", [\"-c\", \"head -c 400000 /dev/zero\"]);\nlet s = exec::run(\"printf\", [\"a\"]);\n#{ cut: r.truncated, whole: s.truncated, some: r.stdout.len() > 50000 }";
    assert_eq!(
        outputs(&test, body),
        json!({ "cut": true, "whole": false, "some": true })
    );
}

/// One that only reads is run again without a question.
#[test]
fn d1_a_failure_of_a_program_that_reads_offers_no_answer() {
    let test = Test::new();
    let hint = "says `idempotent: true`";
    let ran = run(
        &test,
        "exec::run(\"sh\", [\"-c\", \"exit 3\"], #{ read: true })",
    )
    .expect(1);
    assert!(!ran.stderr.contains("idempotent"), "{}", ran.stderr);
    let ran = run(&test, "exec::run(\"sh\", [\"-c\", \"exit 3\"])").expect(1);
    ran.says(hint);
}

#[test]
fn d2_a_timeout_asks_first() {
    let test = Test::new();
    let polite = "exec::run(\"sh\", [\"-c\", \"trap 'echo bye > bye; exit 0' TERM; echo working >&2; while :; do sleep 0.05; done\"], #{ timeout: \"300ms\", read: true })";
    let ran = run(&test, polite).expect(1);
    assert_eq!(test.read("out/bye"), "bye\n");
    ran.says("it took longer than 0.30s, and was ended by SIGTERM");
    ran.says("working");
    let began = Instant::now();
    let stubborn = "exec::run(\"sh\", [\"-c\", \"trap '' TERM; sleep 34\"], #{ timeout: \"100ms\", grace: \"200ms\", read: true })";
    let ran = run(&test, stubborn).expect(1);
    ran.says("was killed");
    assert!(began.elapsed() < Duration::from_secs(20));
    assert!(nothing_runs("sleep 34"));
}

#[test]
fn d2_a_cancel_asks_first() {
    let test = Test::new();
    let body = "exec::run(\"sh\", [\"-c\", \"trap 'echo bye > bye; exit 0' TERM; echo > begun; while :; do sleep 0.05; done\"])";
    let mut child = begin(&test, body);
    test.windlass(&["cancel"]).expect(0);
    assert_eq!(child.wait().expect("ended").code(), Some(130));
    assert_eq!(test.read("out/bye"), "bye\n");
}

#[test]
fn d2_so_does_the_timeout_of_the_step() {
    let test = Test::new();
    write(&test, "", CONFIG);
    test.write("s.rhai", "fn run(inputs) { exec::run(\"sh\", [\"-c\", \"trap 'echo bye > bye; exit 0' TERM; while :; do sleep 0.05; done\"]); }\n");
    test.write(
        "w.yaml",
        "workflow: w\nsteps: { s: { script: s.rhai, timeout: 300ms } }\n",
    );
    let ran = test.windlass(&["run", "w.yaml", "--target", "t"]).expect(1);
    ran.says("timed-out");
    assert_eq!(test.read("out/bye"), "bye\n");
}

#[test]
fn d3_a_terminal_that_closes_cancels() {
    let test = Test::new();
    let body = "exec::run(\"sh\", [\"-c\", \"trap 'echo bye > bye; exit 0' TERM; echo > begun; while :; do sleep 0.05; done\"])";
    let mut child = begin(&test, body);
    // Shells pass it on, and the kernel sends it, too.
    send("-HUP", &child);
    send("-HUP", &child);
    assert_eq!(child.wait().expect("ended").code(), Some(130));
    assert_eq!(test.read("out/bye"), "bye\n");
}

#[test]
fn d3_under_nohup_it_goes_on() {
    let test = Test::new();
    write(
        &test,
        "exec::run(\"sh\", [\"-c\", \"echo > begun; until [ -e go ]; do sleep 0.05; done\"])",
        CONFIG,
    );
    let ours = test.command(&["run", "w.yaml", "--target", "t"]);
    let mut nohup = Command::new("nohup");
    nohup.arg(ours.get_program()).args(ours.get_args());
    nohup
        .current_dir(test.path(""))
        .envs(ours.get_envs().filter_map(|(k, v)| Some((k, v?))));
    let mut child = nohup
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("nohup");
    wait_for(&test, "out/begun");
    send("-HUP", &child);
    test.write("out/go", "");
    assert_eq!(child.wait().expect("ended").code(), Some(0));
}

#[test]
fn d3_a_second_signal_leaves_no_program_behind() {
    let test = Test::new();
    let body = "exec::run(\"sh\", [\"-c\", \"trap '' TERM; echo > begun; sleep 35\"])";
    let mut child = begin(&test, body);
    send("-TERM", &child);
    let deadline = Instant::now() + Duration::from_secs(30);
    // The first one must have been heard, or the two are one.
    while child.try_wait().expect("a child").is_none() && Instant::now() < deadline {
        send("-INT", &child);
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(child.wait().expect("ended").code(), Some(130));
    assert!(nothing_runs("sleep 35"));
}

#[test]
fn d3_servers_stop_as_well() {
    let test = Test::new();
    for serve in [
        ["pca", "serve", "--port", "0"].as_slice(),
        &["kube", "serve", "--clusters", "mgmt"],
    ] {
        let (mut server, _) = Ends::listening(test.command(serve).stderr(Stdio::null()));
        send("-HUP", &server.0);
        let ended = server.0.wait().expect("ended");
        assert_eq!(ended.code(), Some(0), "{serve:?}");
    }
}

/// An exit code does not say whether the next run of the program will fail as well.
#[test]
fn a_program_that_may_run_again_is_retried() {
    for (option, runs) in [("read", 3), ("idempotent", 3), ("timeout", 1)] {
        let test = Test::new();
        let value = if option == "timeout" {
            "\"9s\""
        } else {
            "true"
        };
        test.write("windlass.toml", CONFIG);
        let call = format!(
            "exec::run(\"sh\", [\"-c\", \"echo >> runs; exit 1\"], #{{ {option}: {value} }})"
        );
        test.write(
            "w.yaml",
            &format!("workflow: w\nsteps:\n  s:\n    retry: {{ attempts: 3, backoff: 1ms }}\n    run: |\n      {call}\n"),
        );
        let ran = test.windlass(&["run", "w.yaml", "--target", "t"]).expect(1);
        assert_eq!(test.read("out/runs").len(), runs, "{option}");
        let hint = ran.stderr.contains("a program that may be run again");
        assert_eq!(hint, runs == 1, "{option}: {}", ran.stderr);
    }
}

/// `kill -9` ends a run's process, and not the program that it has started.
#[test]
fn a_program_that_outlived_its_run_is_waited_for() {
    let script = "echo begin >> log; touch begun; sleep 2; echo end >> log";
    for (options, log, code) in [
        ("#{ idempotent: true }", "begin\nend\nbegin\nend\n", 0),
        // A person is asked when it has done its work.
        ("#{}", "begin\nend\n", 1),
    ] {
        let test = Test::new();
        let body = format!("exec::run(\"sh\", [\"-c\", \"{script}\"], {options});");
        let mut child = begin(&test, &body);
        child.kill().expect("killed");
        child.wait().expect("ended");
        let ran = test.windlass(&["resume"]).expect(code);
        assert_eq!(test.read("out/log"), log, "{options}");
        ran.says("waits for sh (process ");
        ran.says("which an earlier process of this run started");
    }
}

/// Arguments that a target does not allow: the script may catch that, and the run continues and can be resumed.
#[test]
fn a_refused_call_that_is_caught_leaves_no_gap() {
    let test = Test::new();
    let body = "try { exec::run(\"sh\", [], #{ env: #{ \"A=B\": \"x\" } }); } catch (e) { log::warn(e.message) }\nlet r = exec::run(\"printf\", [\"one\"]);\n#{ r: r.stdout }";
    assert_eq!(outputs(&test, body), json!({ "r": "one" }));
    test.windlass(&["show"]).expect(0);
    test.windlass(&["audit"]).expect(0);
}

#[test]
fn d4_a_failure_keeps_the_end_of_both_streams() {
    let test = Test::new();
    let script = "for i in $(seq 1 400); do echo out $i; echo err $i >&2; done; exit 3";
    let ran = run(&test, &format!("exec::run(\"sh\", [\"-c\", \"{script}\"])")).expect(1);
    assert!(
        ran.stderr.contains("Exit3") && ran.stderr.contains("err 400"),
        "{}",
        ran.stderr
    );
    assert!(!ran.stderr.contains("out 7"), "{}", ran.stderr);
    let brief = test.windlass(&["logs"]).expect(0).stdout;
    assert!(
        brief.contains("err 400") && !brief.contains("out 7\n"),
        "{brief}"
    );
    let full = test.windlass(&["logs", "--full"]).expect(0).stdout;
    for line in ["out 1\n", "out 400\n", "err 1\n", "err 400\n"] {
        assert!(full.contains(line), "{line}: {full}");
    }
}

#[test]
fn d5_the_target_widens_the_environment_and_names_files() {
    let test = Test::new();
    let config = "[targets.t]\nexec = { env = { env = [\"SSH_AUTH_SOCK\", \"NOT_THERE\"] }, mine = { path = \"/bin/sh\" }, gone = { path = \"/nowhere/gone\" } }\n";
    write(
        &test,
        "#{ env: exec::run(\"env\", []).stdout, mine: exec::run(\"mine\", [\"-c\", \"echo $SSH_AUTH_SOCK.\"]).stdout }",
        config,
    );
    let mut command = test.command(&["run", "w.yaml", "--target", "t"]);
    command.env("SSH_AUTH_SOCK", "/tmp/agent");
    Ran::from_output(command.output().expect("started")).expect(0);
    let found = all(&test);
    assert!(
        found["env"]
            .as_str()
            .is_some_and(|env| env.contains("SSH_AUTH_SOCK=/tmp/agent\n")),
        "{found}"
    );
    assert_eq!(
        found["mine"], ".\n",
        "only the program that it is for gets it"
    );
    write(&test, "exec::run(\"gone\", [])", config);
    let ran = test.windlass(&["run", "w.yaml", "--target", "t"]).expect(1);
    ran.says("no such program was found");
    write(
        &test,
        "#{}",
        "[targets.t]\nexec = { a = { env = [\"A=B\"] } }\n",
    );
    let ran = test.windlass(&["run", "w.yaml", "--target", "t"]).expect(2);
    ran.says("is not the name of a variable");
}

#[test]
fn g6_the_environment_can_not_undo_the_list_of_programs() {
    let test = Test::new();
    for name in [
        "PATH",
        "LD_PRELOAD",
        "DYLD_INSERT_LIBRARIES",
        "BASH_ENV",
        "ENV",
        "PYTHONPATH",
        "GIT_SSH",
        "TAR_OPTIONS",
        "IFS",
        "",
        "A=B",
    ] {
        let ran = run(
            &test,
            &format!("exec::run(\"env\", [], #{{ env: #{{ \"{name}\": \"x\" }} }})"),
        )
        .expect(1);
        assert!(
            ran.stderr.contains("wrong-arguments"),
            "{name}: {}",
            ran.stderr
        );
    }
    // A target may name what scripts set.
    let named = "[targets.t]\nexec = { env = { set = [\"AWS_*\", \"TAR_OPTIONS\"] } }\n";
    let set = |name: &str| {
        let body = format!(
            "#{{ out: exec::run(\"env\", [], #{{ env: #{{ \"{name}\": \"x\" }} }}).stdout }}"
        );
        write(&test, &body, named);
        test.windlass(&["run", "w.yaml", "--target", "t"])
    };
    for name in ["AWS_REGION", "TAR_OPTIONS"] {
        set(name).expect(0);
        let out = all(&test)["out"].as_str().expect("a text").to_owned();
        assert!(out.contains(&format!("{name}=x\n")), "{out}");
    }
    set("TOKEN").expect(1).says("only `AWS_*`, `TAR_OPTIONS`");
    set("AWS_CONFIG_FILE")
        .expect(1)
        .says("may change what code a program runs");
    // A file of the script's own does not stand for a program, wherever `PATH` leads.
    fs::create_dir_all(test.path("out")).expect("made");
    test.write("out/env", "#!/bin/sh\necho fooled\n");
    Command::new("chmod")
        .arg("+x")
        .arg(test.path("out/env"))
        .status()
        .expect("chmod");
    write(
        &test,
        "#{ out: exec::run(\"env\", [], #{ env: #{ N: 5, B: true } }).stdout }",
        CONFIG,
    );
    let mut command = test.command(&["run", "w.yaml", "--target", "t"]);
    let path = format!(".::{}", std::env::var("PATH").expect("a PATH"));
    Ran::from_output(command.env("PATH", path).output().expect("started")).expect(0);
    let found = all(&test);
    let out = found["out"].as_str().expect("a text");
    assert!(!out.contains("fooled"), "{out}");
    assert!(
        out.contains("N=5\n") && out.contains("B=true\n"),
        "E9: numbers and bools are texts: {out}"
    );
}

fn nothing_runs(command: &str) -> bool {
    let found = Command::new("pgrep").args(["-f", command]).output();
    found.expect("pgrep").stdout.is_empty()
}
