//! Where files are looked for, and what is read as one.

use std::{
    fs,
    os::unix::fs::symlink,
    process::Command,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::harness::{Ran, Test, fed};

const NAMING: &str = "fn of(x) { `<${x}>` }\n";

#[test]
fn e6_an_import_is_found_from_the_file_that_says_it() {
    let test = Test::new()
        .file("w.yaml", "workflow: w\nsteps:\n  a: { workflow: team/inner.yaml }\noutputs: { x: \"${{ steps.a.x }}\" }\n")
        .file("team/inner.yaml", "workflow: inner\nsteps:\n  a: { script: steps/a.rhai }\n  b: { run: 'import \"lib/naming\" as n; #{ x: n::of(\"b\") }' }\noutputs: { x: \"${{ steps.a.x + steps.b.x }}\" }\n")
        .file("team/steps/a.rhai", "import \"../lib/deep\" as deep;\nfn run(inputs) { #{ x: deep::of(\"a\") } }\n")
        .file("team/lib/deep.rhai", "import \"naming\" as naming;\nfn of(x) { naming::of(x) }\n")
        .file("team/lib/naming.rhai", NAMING);
    assert_eq!(test.outputs_of(&["w.yaml"]), json!({ "x": "<a><b>" }));
    // The same files, from the copies that the run keeps.
    test.windlass(&["resume", "--redo", "a", "--yes"]).expect(0);
}

#[test]
fn e6_an_import_of_the_old_rule_is_told_the_new_one() {
    let test = Test::new()
        .file(
            "w.yaml",
            "workflow: w\nsteps:\n  a: { script: steps/a.rhai }\n",
        )
        .file(
            "steps/a.rhai",
            "import \"lib/naming\" as naming;\nfn run(inputs) { #{} }\n",
        )
        .file("lib/naming.rhai", NAMING);
    let stderr = test.windlass(&["validate", "w.yaml"]).expect(2).stderr;
    assert!(stderr.contains("`import \"../lib/naming\"`"), "{stderr}");
    test.write(
        "steps/a.rhai",
        "import \"../../lib/naming\" as naming;\nfn run(inputs) { #{} }\n",
    );
    let stderr = test.windlass(&["validate", "w.yaml"]).expect(2).stderr;
    assert!(stderr.contains("outside the workflow's folder"), "{stderr}");
}

#[test]
fn e7_a_link_to_a_workflow_is_the_workflow() {
    let test = Test::new()
        .file("there/w.yaml", "workflow: w\nsteps:\n  a: { script: step.rhai }\noutputs: { x: \"${{ steps.a.x }}\" }\n")
        .file("there/step.rhai", "\u{feff}fn run(inputs) { #{ x: 1 } }\n");
    symlink("there/w.yaml", test.path("link.yaml")).expect("linked");
    assert_eq!(test.outputs_of(&["link.yaml"]), json!({ "x": 1 }));
    // As Kubernetes mounts a ConfigMap.
    fs::create_dir_all(test.path("mount/..data")).expect("a folder");
    for name in ["w.yaml", "step.rhai"] {
        fs::copy(
            test.path("there").join(name),
            test.path("mount/..data").join(name),
        )
        .expect("copied");
        symlink(format!("..data/{name}"), test.path("mount").join(name)).expect("linked");
    }
    assert_eq!(test.outputs_of(&["mount/w.yaml"]), json!({ "x": 1 }));
    // A script that leads out of the folder is still refused.
    fs::remove_file(test.path("there/step.rhai")).expect("removed");
    symlink("../mount/step.rhai", test.path("there/step.rhai")).expect("linked");
    let stderr = test
        .windlass(&["validate", "there/w.yaml"])
        .expect(2)
        .stderr;
    assert!(stderr.contains("outside the workflow's folder"), "{stderr}");
}

/// Runs windlass with a text on its stdin.
fn given(test: &Test, arguments: &[&str], text: &str) -> Ran {
    fed(&mut test.command(arguments), text)
}

#[test]
fn e7_stdin_is_a_workflow_or_params() {
    let test = Test::new()
        .file("step.rhai", "fn run(inputs) { #{ x: 1 } }\n")
        .file("p.yaml", "workflow: p\nparams: { n: int, s: string? }\nsteps:\n  a: { run: () }\noutputs: { n: \"${{ params.n }}\", s: \"${{ params.s }}\" }\n");
    let workflow = "\u{feff}workflow: w\nsteps:\n  a:\t{ script: step.rhai }\noutputs: { x: \"${{ steps.a.x }}\" }\n";
    for file in ["-", "/dev/stdin"] {
        given(&test, &["run", file], workflow).expect(0);
        assert_eq!(
            test.windlass(&["outputs", "--json"]).expect(0).json()["x"],
            1
        );
        given(&test, &["run", "p.yaml", "--params", file], "{\"n\": 3}").expect(0);
        assert_eq!(
            test.windlass(&["outputs", "--json"]).expect(0).json()["n"],
            3
        );
    }
    let refused = given(
        &test,
        &["run", "p.yaml", "--params", "-"],
        &"- ".repeat(36_000),
    )
    .expect(2);
    refused.says("too deeply or too large");
    let refused = given(
        &test,
        &["run", "p.yaml", "--params", "-"],
        "n: 1\n---\nn: 2\n",
    )
    .expect(2);
    refused.says("line 3, column 1");
    let refused = given(
        &test,
        &["run", "p.yaml", "--params", "-"],
        "n: 9223372036854775808\n",
    )
    .expect(2);
    refused.says("does not fit into 64 bits");
}

#[test]
fn e7_a_pipe_as_a_script_is_refused_at_once() {
    let test = Test::new().file(
        "w.yaml",
        "workflow: w\nsteps:\n  a: { script: pipe.rhai }\n",
    );
    let made = Command::new("mkfifo")
        .arg(test.path("pipe.rhai"))
        .status()
        .expect("mkfifo");
    assert!(made.success());
    let begun = Instant::now();
    let stderr = test.windlass(&["validate", "w.yaml"]).expect(2).stderr;
    assert!(stderr.contains("it is not a regular file"), "{stderr}");
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[test]
fn f_params_come_from_the_environment() {
    let test = Test::new()
        .file("w.yaml", "workflow: w\nparams: { n: int, s: { type: string, default: d }, l: { type: list, default: [] } }\nsteps:\n  a: { run: () }\noutputs: { all: \"${{ `${params.n} ${params.s} ${params.l.len()}` }}\" }\n")
        .file("params.yaml", "s: file\n");
    let run = |arguments: &[&str]| {
        let mut command = test.command(&[&["run", "w.yaml"], arguments].concat());
        command
            .env("WINDLASS_PARAM_n", "1")
            .env("WINDLASS_PARAM_S", "1.10")
            .env("WINDLASS_PARAM_l", "[a, b]")
            .env("WINDLASS_PARAM_other", "x");
        Ran::from_output(command.output().expect("windlass starts")).expect(0);
        test.windlass(&["outputs", "--json"]).expect(0).json()["all"].clone()
    };
    assert_eq!(run(&[]), "1 1.10 2");
    assert_eq!(run(&["--params", "params.yaml", "-p", "n=2"]), "2 file 2");
}

#[test]
fn f_blocks_of_the_authors_own_are_merged() {
    let test = Test::new().file(
        "w.yaml",
        "workflow: w
x-patient: &patient
  retry: { attempts: 2, backoff: 1s..1s }
  timeout: 5m
steps:
  a: { <<: *patient, run: '#{ x: 1 }', timeout: 1m }
  b: { <<: *patient, x-note: mine, run: () }
outputs: { x: '${{ steps.a.x }}' }
",
    );
    assert_eq!(test.outputs_of(&["w.yaml"]), json!({ "x": 1 }));
}

#[test]
fn e3_logs_and_audit_say_what_was_written_and_undone() {
    let test = Test::new().file(
        "w.yaml",
        "workflow: w\nsteps:\n  a: { run: 'file::write(\"one.txt\", \"1\")' }\n  b: { run: 'file::write(\"two.txt\", \"2\")' }\n",
    );
    test.windlass(&["run", "w.yaml"]).expect(0);
    test.windlass(&["undo", "--yes"]).expect(0);
    let run = test.windlass(&["runs", "--json"]).expect(0).json()[0]["run"].clone();
    let run = run.as_str().expect("an id");
    let logs = test.windlass(&["logs", run, "a"]).expect(0).stdout;
    assert!(logs.contains("a #0 file::write one.txt …"), "{logs}");
    assert!(logs.contains("a #0 file::write one.txt → "), "{logs}");
    assert!(logs.contains("a!undo #0 file::restore one.txt"), "{logs}");
    assert!(!logs.contains("two.txt"), "{logs}");
    let audit = test.windlass(&["audit"]).expect(0).stdout;
    assert!(audit.contains("a #0  file::write one.txt  done"), "{audit}");
    assert!(
        audit.contains("b!undo #0  file::restore two.txt  done"),
        "{audit}"
    );
    let audit = test.windlass(&["audit", "--json"]).expect(0).json();
    assert_eq!(audit["calls"]["file::write"], 2, "{audit:#}");
    assert_eq!(audit["objects"][0]["object"], "one.txt", "{audit:#}");
}
