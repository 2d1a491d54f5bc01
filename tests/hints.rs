//! Commands in hints: one line that can be pasted, and that helps.

use std::process::Command;

use crate::harness::{Ran, Test};

/// The commands that a text names, as a shell takes them apart.
fn commands(text: &str) -> Vec<Vec<String>> {
    let of_line = |line: &str| {
        let quoted = line.split('`').skip(1).step_by(2).map(str::to_owned);
        let after_colon = line
            .split_once(": windlass ")
            .map(|(_, rest)| format!("windlass {rest}"));
        quoted.chain(after_colon).collect::<Vec<_>>()
    };
    let found = text.lines().flat_map(of_line);
    let found = found.filter(|command| command.starts_with("windlass "));
    found.filter_map(|command| shlex::split(&command)).collect()
}

/// Pastes a command into a shell.
fn paste(test: &Test, words: &[String]) -> Ran {
    let words: Vec<_> = words.iter().skip(1).map(String::as_str).collect();
    test.windlass(&words)
}

#[test]
fn e4_a_hint_repeats_where_runs_are() {
    let test = Test::new().file("my config.toml", "").file(
        "w.yaml",
        "workflow: w\nsteps:\n  a: { run: file::read('gone') }\n"
            .replace('\'', "\"")
            .as_str(),
    );
    let at = ["--state", "my runs", "--config", "my config.toml"];
    let ran = test
        .windlass(&[&["run", "w.yaml"][..], &at].concat())
        .expect(1);
    let found = commands(&ran.stderr);
    let resume = found
        .iter()
        .find(|words| words[1] == "resume")
        .expect("a command");
    assert_eq!(resume[3..], at, "{}", ran.stderr);
    // It fails again, for the same reason, and not because there is no run.
    let again = paste(&test, resume).expect(1);
    again.says("outside-failure");

    let mut command: Command = test.command(&["show"]);
    command.env("WINDLASS_STATE", "my runs");
    let shown = Ran::from_output(command.output().expect("windlass starts")).expect(0);
    let found = commands(&shown.stdout);
    assert!(
        found
            .iter()
            .any(|words| words[3..] == ["--state", "my runs"]),
        "{}",
        shown.stdout
    );
}

#[test]
fn e4_a_diverged_step_is_begun_anew_by_the_command_that_is_shown() {
    let test = Test::new().file("w.yaml", DIVERGING);
    test.windlass(&["run", "w.yaml"]).expect(1);
    test.write("w.yaml", &DIVERGING.replace("one.txt", "two.txt"));
    let ran = test.windlass(&["resume", "--edited", "--yes"]).expect(1);
    ran.says("diverged in step each[a b]");
    let found = commands(&ran.stderr);
    let redo: Vec<_> = found
        .iter()
        .filter(|words| words.contains(&"--redo".to_owned()))
        .collect();
    assert!(redo.len() >= 2, "{}", ran.stderr);
    for words in redo {
        let step = words
            .iter()
            .position(|word| word == "--redo")
            .map(|at| &words[at + 1]);
        assert_eq!(step.map(String::as_str), Some("each[a b]"));
        let plan = test
            .windlass(&["resume", "--redo", "each[a b]", "--plan"])
            .expect(0);
        plan.prints("again");
    }
}

const DIVERGING: &str = "workflow: w
steps:
  each:
    for_each: [a b]
    run: |
      file::write(\"one.txt\", \"\");
      file::read(\"gone.txt\");
";

#[test]
fn e4_a_wrong_param_is_corrected_by_the_command_that_is_shown() {
    let test = Test::new().file(
        "w.yaml",
        "workflow: w
params: { d: { type: int, default: 0 } }
steps:
  a: { run: '#{ n: 1 }' }
  b: { run: (), with: { x: '${{ steps.a.n / params.d }}' } }
",
    );
    let ran = test.windlass(&["run", "w.yaml"]).expect(1);
    let found = commands(&ran.stderr);
    let edited = found
        .iter()
        .find(|words| words.contains(&"NAME=VALUE".to_owned()));
    let mut edited = edited.unwrap_or_else(|| panic!("{}", ran.stderr)).clone();
    edited.pop();
    edited.extend(["d=1".to_owned(), "--yes".to_owned()]);
    paste(&test, &edited).expect(0);
}

#[test]
fn e4_no_terminal_breaks_a_command() {
    let test = Test::new().file("w.yaml", DIVERGING);
    let long =
        "a/very/long/folder/for/the/runs/of/this/team/that/fills/a/whole/line/of/eighty/columns";
    test.windlass(&["run", "w.yaml", "--state", long]).expect(1);
    test.write("w.yaml", &DIVERGING.replace("one.txt", "two.txt"));
    let ran = test
        .windlass(&["resume", "--edited", "--yes", "--state", long])
        .expect(1);
    let whole = ran.stderr.lines().filter(|line| {
        line.contains("`windlass resume ") && line.contains(&format!("--state {long}`"))
    });
    assert_eq!(whole.count(), 1, "{}", ran.stderr);
}
