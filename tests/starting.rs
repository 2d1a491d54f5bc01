//! `windlass new` and `windlass try`.

use crate::{
    harness::{Ran, Test, status},
    mock::Mock,
};

#[test]
fn each_template_is_valid_and_passes_its_tests() {
    for template in ["plain", "rotation", "rolling-change", "approval", "api"] {
        let test = Test::new();
        let ran = test
            .windlass(&["new", "my-thing", "--template", template])
            .expect(0);
        ran.says("created my-thing.yaml");
        ran.says("to test it: windlass test my-thing.test.yaml");
        test.windlass(&["validate", "my-thing.yaml"]).expect(0);
        test.windlass(&["test"]).expect(0);
    }
}

#[test]
fn a_new_step_has_its_script_and_a_test() {
    let test = Test::new();
    let ran = test.windlass(&["new", "step", "greet"]).expect(0);
    for said in [
        "created steps/greet.rhai",
        "created steps/greet.test.yaml",
        "created windlass-test.schema.json",
        "to test it: windlass test steps/greet.test.yaml",
        "  greet:\n    script: steps/greet.rhai\n    with: { name: world }",
    ] {
        ran.says(said);
    }
    test.windlass(&["test"]).expect(0);
    // What it says to add works as it is.
    let (_, step) = ran.stderr.split_once("workflow:\n\n").expect("the step");
    test.write("w.yaml", &format!("workflow: w\nsteps:\n{step}"));
    test.windlass(&["run", "w.yaml"]).expect(0);
    assert_eq!(test.read("out/greet.txt"), "hello world\n");
    for name in ["two-words", "A", "1", "../x"] {
        let ran = test.windlass(&["new", "step", "--", name]).expect(2);
        assert!(
            ran.stderr.contains("is not a valid step name"),
            "{name}: {}",
            ran.stderr
        );
    }
}

#[test]
fn what_exists_already_is_said() {
    let test = Test::new();
    test.windlass(&["new", "hello"]).expect(0);
    let ran = test.windlass(&["new", "hello"]).expect(0);
    ran.says("nothing to write: hello.test.yaml, hello.yaml, steps/hello.rhai already exist with the same content");
}

#[test]
fn a_folder_without_tests_names_what_makes_one() {
    let test = Test::new().file("empty/x", "");
    let ran = test.windlass(&["test", "empty"]).expect(2);
    ran.says("windlass new NAME");
}

/// A name that YAML reads as another type is written as a text, and none leaves the folder.
#[test]
fn a_new_workflow_has_a_name_that_is_one() {
    for name in ["123", "null", "true", "1e3", "0x1f"] {
        let test = Test::new();
        test.windlass(&["new", name]).expect(0);
        test.windlass(&["validate", &format!("{name}.yaml")])
            .expect(0);
        test.windlass(&["test", &format!("{name}.test.yaml")])
            .expect(0);
    }
    let test = Test::new();
    for name in ["../esc ape", "a/b", ""] {
        let ran = test
            .windlass(&["new", "--from", "rotate-db-password", "--", name])
            .expect(2);
        ran.says("is not a valid workflow name");
    }
    test.windlass(&["new", "--from", "rotate-db-password", "--", "1e3"])
        .expect(0);
    test.windlass(&["validate", "1e3.yaml"]).expect(0);
}

#[test]
fn a_new_workflow_runs() {
    let test = Test::new();
    test.windlass(&["new", "hello"]).expect(0);
    test.windlass(&["run", "hello.yaml", "-p", "name=you"])
        .expect(0);
    assert_eq!(test.read("out/hello.txt"), "hello you\n");
}

#[test]
fn the_rotation_template_works_on_its_own_mock() {
    let test = Test::new();
    test.windlass(&["new", "rotate", "--template", "rotation"])
        .expect(0);
    let mock = Mock::serve(&test, "rotate.http.yaml");
    let api = format!("api={}", mock.url);
    test.windlass(&[
        "run",
        "rotate.yaml",
        "-p",
        &api,
        "-p",
        "owner=app",
        "-p",
        "current=the-old-one",
    ])
    .expect(0);
    assert_eq!(test.read("out/app").len(), 32);
}

#[test]
fn nothing_is_written_over() {
    let test = Test::new().file("steps/hello.rhai", "mine");
    let ran = test.windlass(&["new", "hello"]).expect(2);
    ran.says("nothing was written: steps/hello.rhai already exists [exists]");
    assert!(!test.path("hello.yaml").exists());
    assert_eq!(test.read("steps/hello.rhai"), "mine");
    for name in ["a/b", "", "../x", "a b", "-x"] {
        let ran = test
            .windlass(&["new", "--template", "plain", "--", name])
            .expect(2);
        assert!(
            ran.stderr.contains("is not a valid workflow name"),
            "{name}: {}",
            ran.stderr
        );
    }
}

#[test]
fn a_shipped_workflow_is_copied_with_all_that_it_uses() {
    let test = Test::new();
    test.windlass(&["new", "--from", "rotate-db-password"])
        .expect(0);
    test.windlass(&["test", "--filter", "old password"])
        .expect(0);
    test.windlass(&["new", "patch-pool", "--from", "drain-patch-verify"])
        .expect(0);
    for file in [
        "patch-pool.yaml",
        "patch-host.yaml",
        "steps/patch_host.rhai",
        "patch-pool.test.yaml",
    ] {
        assert!(test.path(file).exists(), "{file}");
    }
    test.windlass(&["test", "--filter", "one after another"])
        .expect(0);
    let ran = test.windlass(&["new", "--from", "gloo-mess"]).expect(2);
    ran.says("did you mean `gloo-mesh`?");
    let other = Test::new();
    other.windlass(&["new", "--from", "gloo-mesh"]).expect(0);
    other.windlass(&["validate", "gloo-mesh.yaml"]).expect(0);
    // Its tests begin with a run of another workflow, and one of its scripts has tests of its own.
    let rotation = Test::new();
    rotation
        .windlass(&["new", "--from", "rotate-leaf"])
        .expect(0);
    assert!(rotation.path("gloo-mesh.yaml").exists());
    rotation
        .windlass(&["test", "--filter", "a CA that is not ACTIVE"])
        .expect(0);
}

#[test]
fn a_shipped_workflow_runs_by_its_name() {
    let test = Test::new();
    let ran = test
        .windlass(&["run", "gloo-mesh", "--until", "root_file"])
        .expect(0);
    ran.says("to copy and change it: windlass new --from gloo-mesh");
    assert!(test.path("out/root-ca.pem").exists());
    assert!(!test.path("gloo-mesh.yaml").exists());
    assert_eq!(test.shown()["file"], "gloo-mesh");
    test.windlass(&["validate", "gloo-mesh", "restart-mesh"])
        .expect(0);

    // The same workflow as it is now, asked for from another folder.
    std::fs::create_dir(test.path("elsewhere")).expect("made");
    let edited = |test: &Test| {
        let mut command =
            test.command(&["--state", "../.windlass", "resume", "--edited", "--plan"]);
        command.current_dir(test.path("elsewhere"));
        let ran = Ran::from_output(command.output().expect("windlass starts")).expect(0);
        format!("{}{}", ran.stdout, ran.stderr)
    };
    let told = edited(&test);
    assert!(!told.contains("replayed"), "{told}");

    // A copy that the user made and changed goes before the one in the program.
    test.windlass(&["new", "--from", "gloo-mesh"]).expect(0);
    let script = test.read("steps/download.rhai");
    test.write("steps/download.rhai", &format!("// mine\n{script}"));
    let told = edited(&test);
    assert!(told.contains("replayed"), "{told}");
    test.write("gloo-mesh.yaml", "workflow: mine\nstep: {}\n");
    let ran = test.windlass(&["run", "gloo-mesh"]).expect(2);
    ran.says("unknown-key");
}

#[test]
fn a_workflow_is_named_without_its_ending() {
    let test = Test::new();
    test.windlass(&["new", "hello"]).expect(0);
    test.windlass(&["run", "hello", "-p", "name=you"]).expect(0);
    assert_eq!(test.read("out/hello.txt"), "hello you\n");
    // A folder is no workflow.
    std::fs::create_dir(test.path("restart-mesh")).expect("made");
    test.windlass(&["validate", "restart-mesh"]).expect(0);
}

#[test]
fn a_file_that_is_not_there_may_be_a_shipped_workflow() {
    let test = Test::new();
    for (given, hint) in [
        ("gloo-mess", "did you mean `gloo-mesh`?"),
        ("workflows/gloo-mesh.yaml", "did you mean `gloo-mesh`?"),
        ("something-else", "the shipped workflows are add-cluster, "),
    ] {
        let ran = test.windlass(&["run", given]).expect(2);
        assert!(ran.stderr.contains(hint), "{given}: {}", ran.stderr);
    }
    let ran = test.windlass(&["run", "something-else.yaml"]).expect(2);
    assert!(!ran.stderr.contains("hint"), "{}", ran.stderr);
}

#[test]
fn a_script_is_tried_as_a_run() {
    let test = Test::new().file(
        "steps/add.rhai",
        "import \"lib/sum\" as lib;\nconst INPUTS = #{ a: \"int\", b: \"int = 2\", names: \"list(string) = []\", note: \"string?\" };\nconst OUTPUTS = #{ sum: \"int\", names: \"list(string)\" };\n\nfn run(inputs) {\n    file::write(\"sum.txt\", lib::sum(inputs.a, inputs.b).to_string());\n    #{ sum: lib::sum(inputs.a, inputs.b), names: inputs.names }\n}\n",
    );
    test.write("steps/lib/sum.rhai", "fn sum(a, b) { a + b }\n");
    test.windlass(&["try", "steps/add.rhai", "-p", "a=40", "-p", "names=[x, y]"])
        .expect(0);
    let outputs = test.windlass(&["outputs", "--json"]).expect(0).json();
    assert_eq!(
        outputs,
        serde_json::json!({ "sum": 42, "names": ["x", "y"] })
    );
    assert_eq!(test.read("out/sum.txt"), "42");
    assert_eq!(status(&test.shown(), "script"), "succeeded");
    let ran = test
        .windlass(&["try", "steps/add.rhai", "-p", "c=1"])
        .expect(2);
    assert!(
        ran.stderr.contains("no param `c`") && ran.stderr.contains("-p a=… (int)"),
        "{}",
        ran.stderr
    );
    test.write(
        "steps/wrong.rhai",
        "fn run(inputs) {\n    file::wrote(\"a\", \"b\")\n}\n",
    );
    let ran = test.windlass(&["try", "steps/wrong.rhai"]).expect(2);
    assert!(
        ran.stderr.contains("wrong.rhai:2:") && ran.stderr.contains("did you mean `write`?"),
        "{}",
        ran.stderr
    );
    let ran = test.windlass(&["try", "steps/none.rhai"]).expect(2);
    ran.says("can't read steps/none.rhai");
}

/// A script that fails is resumed as any run is.
#[test]
fn a_tried_script_is_resumed_and_undone() {
    let test = Test::new().file(
        "s.rhai",
        "fn run(inputs) {\n    file::write(\"first\", \"1\");\n    file::read(\"go\");\n    #{}\n}\n",
    );
    test.windlass(&["try", "s.rhai"]).expect(1);
    test.write("out/go", "");
    test.windlass(&["resume"]).expect(0);
    test.windlass(&["undo", "--yes"]).expect(0);
    assert!(!test.path("out/first").exists());
}

#[test]
fn a_second_copy_shares_what_has_not_changed() {
    let test = Test::new();
    test.windlass(&["new", "--from", "rotate-db-password"])
        .expect(0);
    let ran = test
        .windlass(&["new", "mine", "--from", "rotate-db-password"])
        .expect(0);
    ran.says("created mine.yaml");
    assert!(!ran.stderr.contains("created steps/"), "{}", ran.stderr);
    test.write("steps/set_password.rhai", "mine");
    let ran = test
        .windlass(&["new", "yours", "--from", "rotate-db-password"])
        .expect(2);
    ran.says("steps/set_password.rhai already exists");
    assert!(!test.path("yours.yaml").exists());
}

#[test]
fn a_script_that_is_tried_speaks_to_the_clusters_that_it_names() {
    let test = Test::new().file(
        "look.rhai",
        "const INPUTS = #{ cluster: \"string\" };\nconst OUTPUTS = #{ name: \"string\" };\n\
         fn run(inputs) {\n  kube::get(inputs.cluster, \"\", \"namespace/istio-system\");\n  \
         #{ name: kube::get(\"mgmt\", \"\", \"namespace/gloo-mesh\").metadata.name }\n}\n",
    );
    test.windlass(&["try", "look.rhai", "-p", "cluster=east"])
        .expect(0);
    let outputs = test.windlass(&["outputs", "--json"]).expect(0).json();
    assert_eq!(outputs["name"], "gloo-mesh");
}
