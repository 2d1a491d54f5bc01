//! Completions and manual pages.

use std::{
    fs,
    process::{Command, Output},
};

use crate::harness::{Ran, Test};

const HELLO: &str = "workflow: hello\nsteps:\n  a:\n    run: |\n      log::info(\"x\");\n";

fn ran(command: &mut Command) -> Ran {
    let output: std::io::Result<Output> = command.output();
    Ran::from_output(output.unwrap_or_else(|e| panic!("{command:?}: {e}")))
}

/// What a shell is offered for the last of some words.
fn offered(test: &Test, words: &[&str]) -> Vec<String> {
    let mut command = test.command(&[]);
    command
        .env("WINDLASS_COMPLETE", "bash")
        .env("_CLAP_COMPLETE_INDEX", (words.len() - 1).to_string())
        .env("_CLAP_COMPLETE_COMP_TYPE", "9")
        .env("_CLAP_COMPLETE_SPACE", "true")
        .env("_CLAP_IFS", "\n")
        .args(["--"].iter().chain(words));
    let ran = ran(&mut command).expect(0);
    ran.stdout.lines().map(str::to_owned).collect()
}

#[test]
fn shells_are_offered_commands_runs_and_targets() {
    let test = Test::new().file("hello.yaml", HELLO).file(
        "windlass.toml",
        "[targets.prod]\npca = { region = \"us-east-1\" }\n[targets.stage]\npca = { region = \"us-east-1\" }\n",
    );
    let options = offered(&test, &["windlass", "show", ""]);
    assert!(
        options.iter().all(|option| option.starts_with("--")),
        "{options:?}"
    );
    assert!(
        !test.path(".windlass").exists(),
        "a completion makes nothing"
    );
    test.windlass(&["run", "hello.yaml"]).expect(0);
    test.windlass(&["run", "hello.yaml"]).expect(0);
    let runs = test.windlass(&["runs", "--json"]).expect(0).json();
    let runs: Vec<String> = runs
        .as_array()
        .expect("a list")
        .iter()
        .map(|run| run["run"].as_str().expect("an id").to_owned())
        .collect();
    for command in ["show", "resume", "undo", "audit", "logs"] {
        let mut found = offered(&test, &["windlass", command, "2"]);
        found.sort_by(|a, b| b.cmp(a));
        assert_eq!(found, runs, "{command}");
    }
    assert_eq!(
        offered(&test, &["windlass", "show", &runs[0]]),
        [runs[0].clone()]
    );
    assert_eq!(offered(&test, &["windlass", "ce"]), ["certs"]);
    let mut targets = offered(&test, &["windlass", "run", "hello.yaml", "--target", ""]);
    targets.sort();
    assert_eq!(targets, ["local", "prod", "stage"]);
    assert_eq!(
        offered(&test, &["windlass", "plan", "--target", "pr"]),
        ["prod"]
    );
    assert_eq!(offered(&test, &["windlass", "run", "hel"]), ["hello.yaml"]);
    assert_eq!(
        offered(&test, &["windlass", "certs", "scan", "hel"]),
        ["hello.yaml"]
    );
    assert!(offered(&test, &["windlass", "graph", "hel"]).contains(&"hello.yaml".to_owned()));
    assert_eq!(
        offered(&test, &["windlass", "graph", &runs[0]]),
        [runs[0].clone()]
    );
    assert!(offered(&test, &["windlass", "certs", "--ch"]).contains(&"--check".to_owned()));
}

#[test]
fn shells_are_offered_params_steps_and_topics() {
    let test = Test::new().file(
        "w.yaml",
        "workflow: w\nparams: { size: { type: int, default: 1 }, site: { type: string, default: x } }\n\
         steps: { first: { run: '1' }, second: { needs: [first], run: '1' } }\n",
    );
    let params = offered(&test, &["windlass", "run", "w.yaml", "-p", "si"]);
    assert_eq!(params, ["site=", "size="]);
    let steps = offered(&test, &["windlass", "run", "w.yaml", "--until", ""]);
    assert_eq!(steps, ["first", "second"]);
    assert!(
        offered(&test, &["windlass", "approve", "w", ""])
            .iter()
            .all(|step| step.starts_with('-'))
    );
    test.windlass(&["run", "w.yaml"]).expect(0);
    assert_eq!(
        offered(&test, &["windlass", "resume", "--redo", "se"]),
        ["second"]
    );
    assert_eq!(
        offered(&test, &["windlass", "explain", "unknown-inp"]),
        ["unknown-input"]
    );
    assert_eq!(
        offered(&test, &["windlass", "explain", "file::wr"]),
        ["file::write", "file::write_secret", "file::write_template"]
    );
}

#[test]
fn shells_are_offered_the_questions_that_wait() {
    let test = Test::new().file(
        "w.yaml",
        "workflow: w\nsteps: { first: { run: '1' }, ask: { approval: Go? }, more: { approval: On? } }\n",
    );
    let step = |words: &[&str]| {
        let all = offered(&test, &[&["windlass"], words].concat());
        let all = all.into_iter().filter(|word| !word.starts_with('-'));
        all.collect::<Vec<_>>()
    };
    assert!(step(&["approve", ""]).is_empty());
    test.windlass(&["run", "w.yaml"]).expect(3);
    let run = test.shown()["run"].as_str().expect("an id").to_owned();
    assert_eq!(step(&["approve", ""]), [&*run]);
    assert_eq!(step(&["reject", &run, ""]), ["ask", "more"]);
    assert_eq!(step(&["approve", &run, "ask", ""]), ["more"]);
    assert_eq!(step(&["cancel", ""]), [&*run]);
    test.windlass(&["cancel", &run]).expect(0);
    assert!(step(&["approve", ""]).is_empty() && step(&["cancel", ""]).is_empty());
}

#[test]
fn completions_are_scripts_of_each_shell() {
    let test = Test::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = test.windlass(&["completions", shell]).expect(0).stdout;
        assert!(script.contains("WINDLASS_COMPLETE"), "{shell}: {script}");
        let checker: &[&str] = match shell {
            "bash" => &["bash", "-n"],
            "zsh" => &["zsh", "-n"],
            "fish" => &["fish", "--no-execute"],
            _ => continue,
        };
        test.write("script", &script);
        let mut command = Command::new(checker[0]);
        command.args(&checker[1..]).arg(test.path("script"));
        match command.output() {
            Err(_) if shell != "bash" => {}
            output => {
                let checked = Ran::from_output(output.expect("bash is installed")).expect(0);
                assert_eq!(checked.stderr, "");
            }
        }
    }
    // As a person has it: bash itself asks.
    let program = env!("CARGO_BIN_EXE_windlass");
    let folder = std::path::Path::new(program).parent().expect("a folder");
    let path = format!(
        "{}:{}",
        folder.display(),
        std::env::var("PATH").unwrap_or_default()
    );
    let ask = "source <(windlass completions bash); COMP_WORDS=(windlass ou); COMP_CWORD=1; COMP_TYPE=9; \
               f=$(complete -p windlass | sed 's/.*-F \\([^ ]*\\).*/\\1/'); $f windlass ou windlass; echo \"${COMPREPLY[@]}\"";
    let mut bash = Command::new("bash");
    bash.args(["-c", ask])
        .env("PATH", path)
        .current_dir(test.path("."));
    assert_eq!(ran(&mut bash).expect(0).stdout.trim(), "outputs");
    let wrong = test.windlass(&["completions", "tcsh"]).expect(2);
    wrong.says("bash, zsh, fish, powershell");
}

#[test]
fn each_command_has_a_manual_page_that_man_reads() {
    let test = Test::new();
    let mut command = test.command(&["man", "pages"]);
    command.env("WINDLASS_STATE", "/a/folder/of/mine");
    ran(&mut command).expect(0);
    let pages: Vec<String> = fs::read_dir(test.path("pages"))
        .expect("pages")
        .map(|page| {
            page.expect("a page")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    for page in [
        "windlass.1",
        "windlass-run.1",
        "windlass-certs.1",
        "windlass-certs-scan.1",
    ] {
        assert!(pages.iter().any(|p| p == page), "{page}: {pages:?}");
    }
    for page in &pages {
        let text = test.read(&format!("pages/{page}"));
        assert!(text.starts_with(".ie"), "{page}: {text}");
        assert!(
            !text.contains("/a/folder/of/mine"),
            "{page} says what this machine has"
        );
        let mut man = Command::new("man");
        man.args(["--warnings", "-l"])
            .arg(test.path(&format!("pages/{page}")));
        man.env("MANWIDTH", "80")
            .env("MANPAGER", "cat")
            .env("LC_ALL", "C.UTF-8");
        let Ok(output) = man.output() else { continue };
        let read = Ran::from_output(output).expect(0);
        assert_eq!(read.stderr, "", "{page}");
        assert!(read.stdout.contains("SYNOPSIS"), "{page}: {}", read.stdout);
    }
}
