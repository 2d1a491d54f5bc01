//! What people see around a run: closed pipes, questions, empty places, hints.

use std::{
    fs::File,
    io::{Read, Write},
    process::Stdio,
};

use crate::harness::{Ran, Test};

const HELLO: &str = "workflow: hello
params: { name: { type: string, default: world } }
steps:
  greet:
    run: |
      file::write(\"hello.txt\", \"hello \" + inputs.name)
    with: { name: \"${{ params.name }}\" }
outputs: { name: \"${{ params.name }}\" }
";

fn hello() -> Test {
    let test = Test::new().file("hello.yaml", HELLO);
    test.windlass(&["run", "hello.yaml"]).expect(0);
    test
}

/// A pipe that nobody reads.
fn closed() -> Stdio {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    writer.into()
}

/// Runs a command at a terminal, with what a person types there.
pub fn at_a_terminal(test: &Test, command: &str, typed: &str) -> Ran {
    in_dialogue(test, command, &[("", typed)])
}

/// As [`at_a_terminal`], of a person who types each text once another one was printed.
pub fn in_dialogue(test: &Test, command: &str, dialogue: &[(&str, &str)]) -> Ran {
    let line = format!("{} {command}", env!("CARGO_BIN_EXE_windlass"));
    let mut script = std::process::Command::new("script");
    let mut child = script
        .args(["-qec", &line, "/dev/null"])
        .current_dir(test.path("."))
        .env("NO_COLOR", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script is installed (apt-get install bsdutils)");
    let mut stdin = child.stdin.take().expect("piped");
    let mut stdout = child.stdout.take().expect("piped");
    let mut printed = Vec::new();
    for (awaited, typed) in dialogue {
        while !String::from_utf8_lossy(&printed).contains(awaited) {
            let mut some = [0; 4096];
            let count = stdout.read(&mut some).expect("readable");
            let so_far = String::from_utf8_lossy(&printed);
            assert!(count > 0, "it ended without {awaited}: {so_far}");
            printed.extend_from_slice(&some[..count]);
        }
        stdin.write_all(typed.as_bytes()).expect("typed");
    }
    stdout.read_to_end(&mut printed).expect("readable");
    let mut output = child.wait_with_output().expect("ended");
    output.stdout = printed;
    Ran::from_output(output)
}

#[test]
fn a_closed_stderr_stops_nothing() {
    let test = Test::new().file("hello.yaml", HELLO);
    for arguments in [
        ["validate", "hello.yaml"],
        ["run", "hello.yaml"],
        ["undo", "--yes"],
    ] {
        let ended = test.command(&arguments).stderr(closed()).status();
        assert_eq!(ended.expect("started").code(), Some(0), "{arguments:?}");
    }
    assert_eq!(test.shown()["status"], "undone");
    let refused = test.command(&["undo", "--yes"]).stderr(closed()).status();
    assert_eq!(refused.expect("started").code(), Some(2));
}

#[test]
fn a_closed_stdout_is_no_failure() {
    let test = hello();
    for command in ["runs", "show", "logs", "outputs", "audit"] {
        let ended = test.command(&[command]).stdout(closed()).status();
        assert_eq!(ended.expect("started").code(), Some(0), "{command}");
    }
}

#[test]
fn the_exit_code_is_the_runs_own() {
    let test = Test::new().file("hello.yaml", HELLO);
    let full = File::create("/dev/full").expect("Linux has it");
    let mut run = test.command(&["run", "hello.yaml", "--json"]);
    let ran = Ran::from_output(run.stdout(full).output().expect("started")).expect(0);
    ran.says("can't write to stdout");
    assert_eq!(test.shown()["status"], "succeeded");
}

#[test]
fn a_question_names_the_run_and_a_no_changes_nothing() {
    let test = hello();
    let id = test.shown()["run"].as_str().expect("an id").to_owned();
    let asked = at_a_terminal(&test, "undo", "n\n").expect(2).stdout;
    let question = format!("Undo run {id} (hello on target local, succeeded, ");
    for part in [&*question, " ago)? [y/N]", "nothing was changed"] {
        assert!(asked.contains(part), "no {part:?} in\n{asked}");
    }
    assert_eq!(test.shown()["status"], "succeeded");
    let edited = "resume --edited -p name=you";
    let asked = at_a_terminal(&test, edited, "n\n").expect(2).stdout;
    let question = format!("Apply this plan to run {id} (hello on target local, succeeded, ");
    for part in [&*question, "nothing was changed"] {
        assert!(asked.contains(part), "no {part:?} in\n{asked}");
    }
    at_a_terminal(&test, "undo", "y\n").expect(0);
    assert_eq!(test.shown()["status"], "undone");
}

#[test]
fn an_empty_place_says_so_and_stays_empty() {
    let test = Test::new();
    let listed = test.windlass(&["runs"]).expect(0);
    assert!(listed.stderr.contains("no runs in .windlass yet"));
    for command in ["show", "undo", "logs", "audit", "resume", "cancel"] {
        let ran = test.windlass(&[command]).expect(2);
        assert!(
            ran.stderr.contains("there are no runs in .windlass yet")
                && ran.stderr.contains("windlass run FILE"),
            "{command}: {}",
            ran.stderr
        );
    }
    assert!(!test.path(".windlass").exists(), "a look leaves nothing");
}

#[test]
fn what_has_ended_is_not_asked_for_more() {
    let test = hello();
    let missing = test.windlass(&["outputs", "-", "nope"]).expect(2).stderr;
    assert!(missing.contains("its outputs are name"), "{missing}");
    test.windlass(&["undo", "--yes"]).expect(0);
    let over = test.windlass(&["cancel"]).expect(2).stderr;
    assert!(over.contains("it was undone"), "{over}");
    let id = test.shown()["run"].as_str().expect("an id").to_owned();
    let over = test.windlass(&["resume", &id]).expect(2).stderr;
    assert!(
        over.contains("has been undone") && !over.contains("windlass undo"),
        "{over}"
    );
}

#[test]
fn only_what_did_something_can_be_taken_back() {
    let test = Test::new().file(
        "w.yaml",
        "workflow: w\nparams: { writes: { type: bool, default: false } }\nsteps:\n  one:\n    run: 'if inputs.writes { file::write(\"x\", \"\"); } throw \"no\"'\n    with: { writes: \"${{ params.writes }}\" }\n",
    );
    let ran = test.windlass(&["run", "w.yaml"]).expect(1).stderr;
    assert!(
        ran.contains("To continue: windlass resume") && !ran.contains("To undo"),
        "{ran}"
    );
    let ran = test.windlass(&["run", "w.yaml", "-p", "writes=true"]);
    let ran = ran.expect(1).stderr;
    assert!(ran.contains("To undo: windlass undo"), "{ran}");
}

#[test]
fn params_are_shown_one_a_line() {
    let test = hello();
    let shown = test.windlass(&["show"]).expect(0).stdout;
    assert!(shown.contains("\nparams\n  name: world\n"), "{shown}");
}

#[test]
fn a_missing_kubeconfig_is_told_once() {
    let test = Test::new()
        .file(
            "w.yaml",
            "workflow: w\nkube: [a, b]\nsteps: { s: { run: 'kube::get(\"a\", \"\", \"namespace/x\")' } }\n",
        )
        .file("windlass.toml", "[targets.t]\nkube = { a = \"one\", b = \"two\" }\n");
    let mut run = test.command(&["run", "w.yaml", "--target", "t"]);
    let run = run.env_remove("KUBECONFIG").env("HOME", test.path("home"));
    let ran = Ran::from_output(run.output().expect("started")).expect(2);
    assert_eq!(
        ran.stderr.matches("NoKubeconfig").count(),
        1,
        "{}",
        ran.stderr
    );
    for part in ["home/.kube/config", "(one, two)", "set KUBECONFIG"] {
        ran.says(part);
    }
}

#[test]
fn a_configuration_is_refused_in_words() {
    let test = Test::new()
        .file("hello.yaml", HELLO)
        .file("windlass.toml", "[targets.t]\npca = \"eu-west-1\"\n");
    let ran = test.windlass(&["run", "hello.yaml", "--target", "t"]);
    let ran = ran.expect(2).stderr;
    assert!(
        ran.contains("expected a table such as") && !ran.contains("struct"),
        "{ran}"
    );
}

#[test]
fn an_output_folder_that_can_not_be_used_fails_the_write() {
    let test = Test::new()
        .file("hello.yaml", HELLO)
        .file("occupied", "a file");
    let ran = test.windlass(&["run", "hello.yaml", "--out", "occupied"]);
    let ran = ran.expect(1).stderr;
    assert!(
        ran.contains("write hello.txt: ") && !ran.contains("read hello.txt"),
        "{ran}"
    );
}

#[test]
fn a_workflow_that_asks_for_nothing_needs_no_permission() {
    let test = Test::new().file("hello.yaml", HELLO);
    for command in ["iam", "rbac"] {
        let ran = test.windlass(&[command, "hello.yaml"]).expect(0);
        assert_eq!(ran.stdout, "");
        ran.says("so it needs no permissions");
    }
}

/// The README's mistakes, made in the file that is shipped, are shown as the README shows them.
#[test]
fn the_readme_shows_what_an_author_sees() {
    let test = Test::with_shipped_workflows();
    let mut text = test.read("workflows/gloo-mesh.yaml");
    for (right, wrong) in [
        (
            "      template: RootCACertificate/V1",
            "      tempalte: RootCACertificate/V1",
        ),
        (
            "      extended_key_usage: [clientAuth]",
            "      extended_key_usge: [clientAuth]",
        ),
    ] {
        assert_eq!(text.matches(right).count(), 1, "{right}");
        text = text.replace(right, wrong);
    }
    test.write("workflows/gloo-mesh.yaml", &text);
    let ran = test
        .windlass(&["run", "workflows/gloo-mesh.yaml"])
        .expect(2);
    let transcript: Vec<_> = ran.stderr.lines().map(str::trim_end).collect();
    let transcript = transcript.join("\n");
    let readme = include_str!("../README.md");
    assert!(
        readme.contains(&format!(
            "$ windlass run workflows/gloo-mesh.yaml\n{}\n```",
            transcript.trim_end()
        )),
        "the README should say\n{transcript}"
    );
}
