//! `runs`, `show`, `logs`, `outputs`, for people and for programs.

use crate::harness::Test;

const WORKFLOW: &str = "workflow: hello
params: { name: { type: string, default: world } }
steps:
  greet:
    run: |
      log::info(`greeting ${inputs.name}`);
      file::write(\"hello.txt\", \"hello \" + inputs.name)
    with: { name: \"${{ params.name }}\" }
outputs: { name: \"${{ params.name }}\", length: \"${{ params.name.len() }}\" }
";

#[test]
fn runs_are_listed_and_found_by_a_part_of_their_id() {
    let test = Test::new().file("hello.yaml", WORKFLOW);
    assert_eq!(
        test.windlass(&["runs", "--json"]).expect(0).json(),
        serde_json::json!([])
    );
    test.windlass(&["run", "hello.yaml"]).expect(0);
    test.windlass(&["run", "hello.yaml", "-p", "name=you"])
        .expect(0);
    let runs = test.windlass(&["runs", "--json"]).expect(0).json();
    let ids: Vec<&str> = runs
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["run"].as_str().unwrap())
        .collect();
    assert!(ids.len() == 2 && ids[0] > ids[1], "{ids:?}");
    let tail = |id: &str| id.rsplit('-').next().unwrap().to_owned();
    let outputs = |part: &str, name: &str| test.windlass(&["outputs", part, name]).expect(0).stdout;
    assert_eq!(outputs(&tail(ids[1]), "name"), "world\n");
    assert_eq!(outputs(ids[0], "name"), "you\n");
    assert_eq!(outputs(ids[0], "length"), "3\n");
    assert_eq!(
        test.windlass(&["outputs"]).expect(0).stdout,
        "length = 3\nname = you\n"
    );
    let missing = test.windlass(&["show", "nothing-like-it"]).expect(2);
    missing.says("there is no run `nothing-like-it`");
    let ambiguous = test.windlass(&["show", &ids[0][..8]]).expect(2);
    ambiguous.says("matches several runs");
}

#[test]
fn the_name_of_a_workflow_goes_before_a_part_of_an_id() {
    let file = |name: &str| format!("workflow: {name}\nsteps:\n  a: {{ run: '()' }}\n");
    let test = Test::new().file("other.yaml", &file("other"));
    // The end of an id that can be a name.
    let name = loop {
        test.windlass(&["run", "other.yaml"]).expect(0);
        let run = test.shown()["run"].as_str().expect("an id").to_owned();
        if let Some(at) = run.find(|c: char| c.is_ascii_alphabetic()) {
            break run[at..].to_owned();
        }
    };
    test.windlass(&["show", &name])
        .expect(0)
        .prints("other.yaml");
    test.write("named.yaml", &file(&name));
    test.windlass(&["run", "named.yaml"]).expect(0);
    test.windlass(&["run", "other.yaml"]).expect(0);
    test.windlass(&["show", &name])
        .expect(0)
        .prints("named.yaml");
}

#[test]
fn an_optional_param_is_null_as_yaml_writes_it() {
    let test = Test::new().file(
        "w.yaml",
        "workflow: w
params: { a: \"string?\", b: \"duration?\", c: { type: string, default: x } }
steps: { s: { run: '()' } }
outputs: { a: \"${{ params.a ?? 'none' }}\", b: \"${{ params.b ?? 'none' }}\", c: \"${{ params.c }}\" }
",
    );
    let run = ["run", "w.yaml", "-p", "a=null", "-p", "b=~", "-p", "c=null"];
    test.windlass(&run).expect(0);
    assert_eq!(
        test.windlass(&["outputs"]).expect(0).stdout,
        "a = none\nb = none\nc = null\n"
    );
}

#[test]
fn logs_show_each_event_and_can_be_narrowed_to_a_step() {
    let test = Test::new().file("hello.yaml", WORKFLOW);
    test.windlass(&["run", "hello.yaml"]).expect(0);
    let logs = test.windlass(&["logs"]).expect(0).stdout;
    for part in [
        "run started: hello",
        "greet: greeting world",
        "file::write",
        "greet succeeded",
        "run succeeded",
    ] {
        assert!(logs.contains(part), "no {part:?} in\n{logs}");
    }
    let id = test.shown()["run"].as_str().unwrap().to_owned();
    let step = test.windlass(&["logs", &id, "greet"]).expect(0).stdout;
    assert!(
        !step.contains("run started") && step.contains("greet started"),
        "{step}"
    );
    // The run has ended, so following it ends too.
    assert_eq!(test.windlass(&["logs", &id, "-f"]).expect(0).stdout, logs);
}

#[test]
fn run_prints_json_on_stdout_only_when_asked() {
    let test = Test::new().file("hello.yaml", WORKFLOW);
    assert_eq!(test.windlass(&["run", "hello.yaml"]).expect(0).stdout, "");
    let json = test
        .windlass(&["run", "hello.yaml", "--json"])
        .expect(0)
        .json();
    assert_eq!(json["outputs"]["length"], 5);
    assert_eq!(json["steps"][0]["status"], "succeeded");
}

#[test]
fn params_come_from_a_file_and_the_command_line_goes_before_it() {
    let test = Test::new()
        .file("hello.yaml", WORKFLOW)
        .file("params.yaml", "name: 1.10\n")
        .file("text.yaml", "name: file\n");
    test.windlass(&["run", "hello.yaml", "--params", "params.yaml"])
        .expect(2);
    let of = |arguments: &[&str]| {
        test.outputs_of(&[&["hello.yaml"], arguments].concat())["name"].clone()
    };
    assert_eq!(of(&["--params", "text.yaml"]), "file");
    assert_eq!(of(&["--params", "text.yaml", "-p", "name=1.10"]), "1.10");
}

#[test]
fn a_state_folder_that_can_not_be_used_is_named() {
    let test = Test::new()
        .file("hello.yaml", WORKFLOW)
        .file("occupied", "a file");
    let ran = test
        .windlass(&["--state", "occupied", "run", "hello.yaml"])
        .expect(2);
    ran.says("can't use the state folder occupied");
    test.write(
        "damaged/journal.db",
        "this is no database, whatever its name says; it is text",
    );
    let ran = test
        .windlass(&["--state", "damaged", "run", "hello.yaml"])
        .expect(2);
    ran.says("not a database");
}
