//! What a terminal asks a server beside running and looking: plans, several answers at once, other files, comparisons.

use std::fs;

use serde_json::json;

use super::{
    remote::{Two, hold_equal},
    server::{ALICE, BOB, VERA},
};
use crate::{
    harness::{Ran, status},
    site::Site,
};

const PLAN: [&str; 4] = ["plan", "flow.yaml", "-p", "token=t0ps3cret"];

#[test]
fn a_plan_of_a_server_is_the_plan_of_this_machine() {
    let two = Two::new();
    hold_equal(&two, &PLAN, 0);
    hold_equal(&two, &[&PLAN[..], &["--json"]].concat(), 0);
    hold_equal(
        &two,
        &["plan", "flow.yaml", "-p", "token=x", "-p", "names=1"],
        2,
    );
    hold_equal(&two, &["plan", "flow.yaml"], 2);
    // Nothing was started, and the secret is not in what the server answered.
    let owner = two.served.owner.clone();
    let list = two.windlass(&owner, &["runs", "--json"]).expect(0).json();
    assert_eq!(list, json!([]));
    let planned = two.windlass(ALICE, &PLAN).expect(0);
    assert!(!planned.stdout.contains("t0ps3cret"), "{}", planned.stdout);
    let denied = two.windlass(VERA, &PLAN).expect(2).stderr;
    assert!(denied.contains("needs the role `operator`"), "{denied}");
    // What the server would not start, it does not plan either.
    two.here.write(
        "steps/last.rhai",
        "const OUTPUTS = #{ n: \"int\" };\nfn run(inputs) { #{ n: 8 } }\n",
    );
    let denied = two.windlass(ALICE, &PLAN).expect(2).stderr;
    assert!(denied.contains("`admin`"), "{denied}");
    two.windlass(&owner, &PLAN).expect(0);
    let unknown = two
        .windlass(&owner, &[&PLAN[..], &["--target", "nowhere"]].concat())
        .expect(2)
        .stderr;
    assert!(unknown.contains("nowhere"), "{unknown}");
}

const ORDERS: &str = "workflow: orders
params: { url: string }
steps:
  a: { with: { url: \"${{ params.url }}\" }, run: 'http::post(inputs.url + \"/a\"); #{}' }
  b: { with: { url: \"${{ params.url }}\" }, run: 'http::post(inputs.url + \"/b\"); #{}' }
";

/// Two orders of which the answers say nothing.
fn doubtful(two: &Two, site: &Site) -> String {
    for test in [&two.here, &two.there] {
        test.write("orders.yaml", ORDERS);
    }
    let owner = two.served.owner.clone();
    let url = format!("url={}", site.address());
    two.windlass(&owner, &["run", "orders.yaml", "-p", &url])
        .expect(1);
    let list = two.windlass(&owner, &["runs", "--json"]).expect(0).json();
    list[0]["run"].as_str().expect("an id").to_owned()
}

fn sorted(mut all: Vec<String>) -> Vec<String> {
    all.sort();
    all
}

#[test]
fn several_doubts_are_answered_at_once() {
    let two = Two::new();
    let site = Site::open(&[500, 500]);
    let run = doubtful(&two, &site);
    let owner = two.served.owner.clone();
    let resume = |token: &str, more: &[&str]| -> Ran {
        two.windlass(token, &[&["resume", run.as_str()], more].concat())
    };
    let asked = resume(&owner, &[]).expect(1).stderr;
    assert!(asked.contains("in-doubt"), "{asked}");
    let both = ["--answer", "a=done:{status: 201}", "--answer", "b=again"];
    // An operator may resume, and not say what became of a call.
    let denied = resume(ALICE, &both).expect(2).stderr;
    assert!(denied.contains("needs the role `admin`"), "{denied}");
    let with_changes = [&both[..], &["--redo", "b", "--yes"]].concat();
    let denied = resume(ALICE, &with_changes).expect(2).stderr;
    assert!(denied.contains("needs the role `admin`"), "{denied}");
    let twice = ["--answer", "a=done", "--answer", "a=again"];
    let refused = resume(&owner, &twice).expect(2).stderr;
    assert!(
        refused.contains("nothing in `a` is in doubt") && refused.contains("[bad-answer]"),
        "{refused}"
    );
    assert_eq!(site.requests().len(), 2, "nothing was done by that");
    resume(&owner, &both).expect(0);
    assert_eq!(
        sorted(site.requests()),
        ["POST /a", "POST /b", "POST /b"],
        "a is not repeated"
    );
}

#[test]
fn a_doubt_is_answered_with_a_change_and_with_an_undo() {
    let two = Two::new();
    let site = Site::open(&[500, 500]);
    let run = doubtful(&two, &site);
    let owner = two.served.owner.clone();
    two.windlass(&owner, &["resume", &run]).expect(1);
    let more = ORDERS.replace("steps:", "steps:\n  c: { run: \"#{}\" }");
    for test in [&two.here, &two.there] {
        test.write("orders.yaml", &more);
    }
    let edited = [
        "resume", &run, "--edited", "--yes", "--answer", "a=done", "--answer", "b=done",
    ];
    two.windlass(&owner, &edited).expect(0);
    let shown = two
        .windlass(&owner, &["show", &run, "--json"])
        .expect(0)
        .json();
    assert_eq!(shown["status"], "succeeded", "{shown:#}");
    assert_eq!(site.requests().len(), 2);

    // The answer to what an undo asks for is lost.
    let site = Site::open(&[500]);
    let script = format!(
        "fn run(inputs) {{ #{{}} }}\nfn undo(inputs, outputs) {{ http::post(\"{}/back\"); }}\n",
        site.address()
    );
    two.here.write("back.rhai", &script);
    two.here.write(
        "back.yaml",
        "workflow: back\nsteps:\n  s: { script: back.rhai }\n",
    );
    two.windlass(&owner, &["run", "back.yaml"]).expect(0);
    two.windlass(&owner, &["undo", "back", "--yes"]).expect(1);
    let asked = two.windlass(&owner, &["undo", "back", "--yes"]).expect(1);
    asked.says("in-doubt");
    let wrong = ["undo", "back", "--yes", "--answer", "t=done"];
    let wrong = two.windlass(&owner, &wrong).expect(2).stderr;
    assert!(wrong.contains("[bad-answer]"), "{wrong}");
    let plan = ["undo", "back", "--plan", "--answer", "s=done"];
    two.windlass(&owner, &plan).expect(0);
    let said = ["undo", "back", "--yes", "--answer", "s=done"];
    two.windlass(&owner, &said).expect(0);
    assert_eq!(site.requests().len(), 1, "it is not made again");
}

#[test]
fn a_run_of_files_that_a_terminal_sent_continues_with_them_as_they_are_now() {
    let two = Two::new();
    let owner = two.served.owner.clone();
    let mine = "workflow: mine\nsteps:\n  good: { run: \"#{}\" }\n  bad: { needs: [good], run: 'throw \"no\"' }\n";
    two.here.write("mine.yaml", mine);
    two.windlass(&owner, &["run", "mine.yaml"]).expect(1);
    two.here
        .write("mine.yaml", &mine.replace("throw \"no\"", "#{}"));
    let plan = two
        .windlass(&owner, &["resume", "mine", "--edited", "--plan"])
        .expect(0)
        .stdout;
    assert!(plan.contains("bad"), "{plan}");
    // Who may not send such files may not resume with them.
    let denied = two
        .windlass(ALICE, &["resume", "mine", "--edited", "--yes"])
        .expect(2)
        .stderr;
    assert!(denied.contains("`admin`"), "{denied}");
    two.windlass(&owner, &["resume", "mine", "--edited", "--yes"])
        .expect(0);
    fs::remove_file(two.here.path("mine.yaml")).expect("removed");
    let gone = two
        .windlass(&owner, &["resume", "mine", "--edited", "--yes"])
        .expect(2)
        .stderr;
    assert!(
        gone.contains("mine.yaml") && gone.contains("were sent from a terminal"),
        "{gone}"
    );
}

#[test]
fn several_questions_are_answered_together_or_none_of_them() {
    let two = Two::new();
    let ask = "workflow: two\nsteps:\n  one: { approval: \"First?\" }\n  other: { approval: \"Second?\" }\n  after: { needs: [one, other], run: \"#{}\" }\n";
    for test in [&two.here, &two.there] {
        test.write("two.yaml", ask);
    }
    let owner = two.served.owner.clone();
    // On this machine nothing drives a run that waits.
    two.here.windlass(&["run", "two.yaml"]).expect(3);
    let wrong = two
        .here
        .windlass(&["approve", "two", "one", "after"])
        .expect(2);
    wrong.says("`after` does not wait");
    let twice = two
        .here
        .windlass(&["approve", "two", "one", "one"])
        .expect(2);
    twice.says("named twice");
    let shown = two
        .here
        .windlass(&["show", "two", "--json"])
        .expect(0)
        .json();
    assert_eq!(status(&shown, "one"), "waiting", "{shown:#}");
    let said = two
        .here
        .windlass(&["approve", "two", "one", "other"])
        .expect(0);
    assert!(
        said.stderr.contains("First?") && said.stderr.contains("Second?"),
        "{}",
        said.stderr
    );
    two.here.windlass(&["resume", "two"]).expect(0);
    // The server continues by itself.
    two.windlass(&owner, &["run", "two.yaml"]).expect(3);
    let list = two.windlass(VERA, &["runs", "--json"]).expect(0).json();
    let run = list[0]["run"].as_str().expect("an id").to_owned();
    two.windlass(BOB, &["approve", &run, "one", "other"])
        .expect(0);
    two.served.wait(&run, "succeeded");
}

#[test]
fn two_runs_are_compared_here_and_on_a_server() {
    let two = Two::new();
    let none = ["compare", "flow"];
    hold_equal(&two, &["run", "flow.yaml", "-p", "token=x"], 0);
    let alone = two.here.windlass(&none).expect(2).stderr;
    assert!(
        alone.contains("no run of flow on target local before"),
        "{alone}"
    );
    hold_equal(
        &two,
        &["run", "flow.yaml", "-p", "token=y", "-p", "names=[a]"],
        0,
    );
    hold_equal(&two, &none, 0);
    let json = two
        .here
        .windlass(&["compare", "flow", "--json"])
        .expect(0)
        .json();
    assert_eq!(json["params"][0]["name"], "names", "{json:#}");
    assert_eq!(json["steps"][0]["step"], "each[b]", "{json:#}");
    let said = two.here.windlass(&none).expect(0).stdout;
    assert!(
        said.contains("compared with")
            && said.contains("[\"a\",\"b\"]")
            && said.contains("each[b]")
            && !said.contains("token"),
        "{said}"
    );
    // The same run: nothing differs.
    let list = two.here.windlass(&["runs", "--json"]).expect(0).json();
    let run = list[0]["run"].as_str().expect("an id").to_owned();
    let same = two.here.windlass(&["compare", &run, &run]).expect(0).stdout;
    assert!(same.contains("no differences"), "{same}");
    // Another file.
    let changed = two.here.read("flow.yaml").replace("hello", "goodbye");
    for test in [&two.here, &two.there] {
        test.write("flow.yaml", &changed);
    }
    hold_equal(
        &two,
        &["run", "flow.yaml", "-p", "token=y", "-p", "names=[a]"],
        0,
    );
    hold_equal(&two, &none, 0);
    let said = two.here.windlass(&none).expect(0).stdout;
    assert!(
        said.contains("--- before/flow.yaml") && said.contains("+      log::info(\"goodbye"),
        "{said}"
    );
}
