//! `run --only`, `--until` and `--detach`.

use std::{
    thread,
    time::{Duration, Instant},
};

use crate::harness::{Test, status};

const CHAIN: &str = "workflow: chain
steps:
  one: { run: \"file::write(`one`, `1`); #{ n: 1 }\" }
  two: { run: \"file::write(`two`, `2`); #{ n: inputs.n + 1 }\", with: { n: \"${{ steps.one.n }}\" } }
  side: { run: \"file::write(`side`, `s`); #{}\" }
  three: { needs: [two], run: \"file::write(`three`, `3`); #{}\" }
finally:
  last: { run: \"file::write(`last`, `l`); #{}\" }
outputs: { one: \"${{ steps.one.n }}\", two: \"${{ steps.two.n }}\" }
";

fn files(test: &Test) -> Vec<String> {
    let folder = std::fs::read_dir(test.path("out")).expect("a folder");
    let names = folder.map(|entry| {
        entry
            .expect("an entry")
            .file_name()
            .to_string_lossy()
            .into_owned()
    });
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

#[test]
fn a_run_goes_up_to_a_step() {
    let test = Test::new().file("chain.yaml", CHAIN);
    test.windlass(&["run", "chain.yaml", "--until", "two"])
        .expect(0);
    assert_eq!(files(&test), ["last", "one", "two"]);
    let shown = test.shown();
    assert_eq!(
        (status(&shown, "three"), status(&shown, "side")),
        ("skipped", "skipped")
    );
    let outputs = test.windlass(&["outputs", "--json"]).expect(0).json();
    assert_eq!(outputs, serde_json::json!({ "one": 1, "two": 2 }));
    let one = Test::new().file("chain.yaml", CHAIN);
    one.windlass(&["run", "chain.yaml", "--until", "one"])
        .expect(0);
    assert_eq!(
        one.windlass(&["outputs", "--json"]).expect(0).json(),
        serde_json::json!({ "one": 1 })
    );
}

#[test]
fn a_run_is_of_steps_alone() {
    let test = Test::new().file("chain.yaml", CHAIN);
    test.windlass(&["run", "chain.yaml", "--only", "three", "--only", "side"])
        .expect(0);
    assert_eq!(files(&test), ["last", "side", "three"]);
    let why = test.windlass(&["logs"]).expect(0).stdout;
    assert!(why.contains("it was not selected"), "{why}");
    assert!(why.contains("by tester, of side, three only"), "{why}");
    let ran = test
        .windlass(&["run", "chain.yaml", "--only", "two"])
        .expect(2);
    ran.says("`two` can't run without `one`");
    ran.says("add --only one, or take --until two");
    let ran = test
        .windlass(&["run", "chain.yaml", "--until", "tow"])
        .expect(2);
    ran.says("did you mean `two`?");
    test.windlass(&["run", "chain.yaml", "--only", "two", "--until", "one"])
        .expect(2);
}

/// The approval may be several steps before, or inside of a nested workflow.
#[test]
fn a_choice_does_not_pass_by_an_approval() {
    const GUARDED: &str = "workflow: guarded
steps:
  ask: { approval: \"May it?\" }
  between: { needs: [ask], run: \"#{}\" }
  after: { needs: [between], run: \"file::write(`after`, `a`); #{}\" }
  free: { run: \"file::write(`free`, `f`); #{}\" }
";
    let test = Test::new().file("guarded.yaml", GUARDED);
    for only in [
        vec!["after"],
        vec!["after", "between"],
        vec!["free", "between"],
    ] {
        let mut command = vec!["run", "guarded.yaml"];
        command.extend(only.iter().flat_map(|step| ["--only", step]));
        let ran = test.windlass(&command).expect(2);
        assert!(
            ran.stderr
                .contains("can't run without the approval in `ask`")
                && ran.stderr.contains("add --only ask"),
            "{}",
            ran.stderr
        );
    }
    test.windlass(&["run", "guarded.yaml", "--only", "free"])
        .expect(0);
    assert_eq!(files(&test), ["free"]);
    let outer = "workflow: outer\nsteps:\n  inner: { workflow: guarded.yaml }\n  last: { needs: [inner], run: \"#{}\" }\n";
    let test = test.file("outer.yaml", outer);
    let ran = test
        .windlass(&["run", "outer.yaml", "--only", "last"])
        .expect(2);
    ran.says("the approval in `inner`");
}

/// A resume keeps to what was chosen.
#[test]
fn a_resume_keeps_to_the_steps_that_were_chosen() {
    let text = CHAIN.replace("file::write(`two`, `2`);", "file::read(`go`);");
    let test = Test::new().file("chain.yaml", &text);
    test.windlass(&["run", "chain.yaml", "--until", "two"])
        .expect(1);
    test.write("out/go", "");
    test.windlass(&["resume"]).expect(0);
    assert_eq!(files(&test), ["go", "last", "one"]);
}

#[test]
fn a_detached_run_ends_by_itself() {
    let test = Test::new().file("chain.yaml", CHAIN);
    let ran = test.windlass(&["run", "chain.yaml", "--detach"]).expect(0);
    let id = ran.stdout.trim().to_owned();
    ran.says(&format!("windlass logs {id} -f"));
    let until = Instant::now() + Duration::from_secs(30);
    while test.windlass(&["show", &id, "--json"]).expect(0).json()["status"] != "succeeded" {
        assert!(
            Instant::now() < until,
            "{}",
            test.read(&format!(".windlass/detached/{id}.log"))
        );
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(files(&test), ["last", "one", "side", "three", "two"]);
    // What it printed goes with it.
    let log = test.path(&format!(".windlass/detached/{id}.log"));
    crate::harness::until("the log is deleted", Duration::from_secs(30), || {
        // Its process may still be about to end.
        test.windlass(&["prune", "--keep", "0s", "--yes"]).expect(0);
        !log.exists()
    });
}
