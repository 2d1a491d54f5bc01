//! `windlass undo`: what a run did is reversed, from what the journal says.

use std::fs;

use crate::{
    harness::{Test, status},
    mesh::Mesh,
};

const TWO_FILES: &str = "workflow: w
steps:
  first:
    run: file::write(\"deep/first.txt\", \"new\")
  second:
    needs: [first]
    run: file::write(\"second.txt\", \"new\")
";

/// The statuses of all CAs of the local target.
fn authorities(test: &Test) -> Vec<String> {
    let workflow = "workflow: look
steps:
  look: { run: \"#{ all: pca::list_certificate_authorities() }\" }
outputs: { all: \"${{ steps.look.all.map(|ca| ca.status) }}\" }
";
    test.write("look.yaml", workflow);
    let found = test.outputs_of(&["look.yaml"]);
    let all = found["all"].as_array().expect("a list").iter();
    all.map(|s| s.as_str().expect("a status").to_owned())
        .collect()
}

#[test]
fn a_whole_rotation_is_taken_back() {
    let test = Test::with_shipped_workflows();
    test.write("out/root-ca.pem", "what was here before");
    let clusters = "clusters=[a, b]";
    test.windlass(&["run", "workflows/gloo-mesh.yaml", "-p", clusters])
        .expect(0);
    assert_ne!(test.read("out/root-ca.pem"), "what was here before");
    let plan = test.windlass(&["undo", "--plan"]).expect(0).stdout;
    assert!(
        plan.contains("root_ca: disable and delete arn:aws"),
        "{plan}"
    );
    assert!(
        plan.contains("restore the old content of root-ca.pem"),
        "{plan}"
    );
    assert_eq!(authorities(&test), ["ACTIVE", "ACTIVE"]);

    let run = test.windlass(&["runs", "--json"]).expect(0).json()[1]["run"].clone();
    let run = run.as_str().expect("an id");
    let refused = test.windlass(&["undo", run]).expect(2);
    refused.says("[not-confirmed]");
    test.windlass(&["undo", run, "--yes"]).expect(0);
    assert_eq!(authorities(&test), ["DELETED", "DELETED"]);
    assert_eq!(test.read("out/root-ca.pem"), "what was here before");
    let left: Vec<_> = fs::read_dir(test.path("out")).expect("a folder").collect();
    assert_eq!(left.len(), 1, "{left:?}");
    let again = test.windlass(&["undo", run, "--yes"]).expect(2);
    again.says("[nothing-to-undo]");
    test.windlass(&["resume", run]).expect(2);
    test.windlass(&["audit", run]).expect(0);
}

#[test]
fn half_a_step_is_taken_back() {
    let test = Test::new().file(
        "w.yaml",
        "workflow: w
steps:
  ca:
    run: |
      let subject = #{ common_name: \"Half\" };
      let arn = pca::create_certificate_authority(#{ type: \"ROOT\", subject: subject });
      file::write(\"arn.txt\", arn);
      throw \"and here it stops\";
",
    );
    test.windlass(&["run", "w.yaml"]).expect(1);
    test.windlass(&["undo", "--yes"]).expect(0);
    assert_eq!(authorities(&test), ["DELETED"]);
    assert!(!test.path("out/arn.txt").exists());
}

#[test]
fn what_somebody_changed_since_is_left_alone() {
    let test = Test::new().file("w.yaml", TWO_FILES);
    test.windlass(&["run", "w.yaml"]).expect(0);
    test.write("out/second.txt", "mine now");
    test.windlass(&["undo", "--yes"]).expect(0);
    assert_eq!(test.read("out/second.txt"), "mine now");
    assert!(!test.path("out/deep").exists(), "an empty folder stayed");
}

#[test]
fn a_script_may_know_better() {
    let test = Test::new()
        .file(
            "w.yaml",
            "workflow: w
steps:
  a: { script: a.rhai, with: { name: x } }
",
        )
        .file(
            "a.rhai",
            "const INPUTS = #{ name: \"string\" };
const OUTPUTS = #{ path: \"string\" };
fn run(inputs) { #{ path: file::write(`${inputs.name}.txt`, \"done\") } }
fn undo(inputs, outputs) { file::write(\"undone.txt\", `${inputs.name} ${outputs.path.len() > 0}`); }
",
        );
    test.windlass(&["run", "w.yaml"]).expect(0);
    let plan = test.windlass(&["undo", "--plan"]).expect(0).stdout;
    assert!(plan.contains("a: run `fn undo` of a.rhai"), "{plan}");
    test.windlass(&["undo", "--yes"]).expect(0);
    assert_eq!(test.read("out/undone.txt"), "x true");
    assert_eq!(test.read("out/x.txt"), "done");
}

#[test]
fn a_workflow_can_undo_itself() {
    let text = TWO_FILES.replace("steps:", "on_failure: undo\nsteps:")
        + "  third: { needs: [second], run: 'throw \"no\"' }\n";
    let test = Test::new().file("w.yaml", &text);
    let ran = test.windlass(&["run", "w.yaml"]).expect(1);
    ran.says("was undone");
    let shown = test.shown();
    assert_eq!(shown["status"], "undone");
    assert_eq!(status(&shown, "third"), "failed");
    assert!(!test.path("out/second.txt").exists());
}

#[test]
fn an_undo_that_fails_goes_on_later() {
    let test = Test::new().file("w.yaml", TWO_FILES);
    test.windlass(&["run", "w.yaml"]).expect(0);
    // A folder in the file's place can't be removed as a file.
    fs::remove_file(test.path("out/deep/first.txt")).expect("removed");
    fs::create_dir(test.path("out/deep/first.txt")).expect("made");
    let ran = test.windlass(&["undo", "--yes"]).expect(1);
    ran.says("first!undo");
    assert!(
        !test.path("out/second.txt").exists(),
        "the later one is undone"
    );
    assert_eq!(test.shown()["status"], "undo failed");
    fs::remove_dir(test.path("out/deep/first.txt")).expect("removed");
    test.windlass(&["undo", "--yes"]).expect(0);
    assert_eq!(test.shown()["status"], "undone");
}

#[test]
fn what_was_done_twice_is_undone_twice() {
    let test = Test::new().file(
        "w.yaml",
        "workflow: w
steps:
  ca:
    run: |
      let subject = #{ common_name: \"Twice\" };
      #{ arn: pca::create_certificate_authority(#{ type: \"ROOT\", subject: subject }) }
",
    );
    test.windlass(&["run", "w.yaml"]).expect(0);
    test.windlass(&["resume", "--redo", "ca", "--yes"])
        .expect(0);
    assert_eq!(test.authorities(), 2);
    test.windlass(&["undo", "--yes"]).expect(0);
    assert_eq!(authorities(&test), ["DELETED", "DELETED"]);
}

#[test]
fn an_undo_of_its_own_gets_the_defaults_of_its_inputs() {
    let test = Test::new()
        .file("w.yaml", "workflow: w\nsteps:\n  a: { script: a.rhai }\n")
        .file(
            "a.rhai",
            "const INPUTS = #{ name: \"string = x\" };
fn run(inputs) { file::write(inputs.name, \"done\"); #{} }
fn undo(inputs, outputs) { file::remove(inputs.name); }
",
        );
    test.windlass(&["run", "w.yaml"]).expect(0);
    test.windlass(&["undo", "--yes"]).expect(0);
    assert!(!test.path("out/x").exists());
}

/// What a newer run made of the same things may need what an undo of the older one takes away.
#[test]
fn a_run_is_undone_after_the_newer_ones_that_changed_the_same() {
    let mesh = Mesh::new(1, &[]);
    let apply = "workflow: w
params: { name: string, text: string }
kube: [cluster-1]
steps:
  a: { with: { name: \"${{ params.name }}\", text: \"${{ params.text }}\" }, run: 'kube::apply_secret(\"cluster-1\", \"default\", inputs.name, #{ x: inputs.text })' }
";
    mesh.test.write("w.yaml", apply);
    let run = |name: &str, text: &str| {
        let (name, text) = (format!("name={name}"), format!("text={text}"));
        let run = ["run", "w.yaml", "--target", "t", "-p", &name, "-p", &text];
        mesh.test.windlass(&run).expect(0);
        mesh.test.shown()["run"].as_str().expect("an id").to_owned()
    };
    let (older, other, newer) = (run("one", "1"), run("two", "1"), run("one", "2"));
    let refused = mesh.test.windlass(&["undo", &older, "--yes"]).expect(2);
    for part in [
        "[newer-run]".to_owned(),
        format!("run {newer} (w)"),
        "secret/one in default of cluster-1".to_owned(),
        format!("windlass undo {newer}"),
    ] {
        refused.says(&part);
    }
    // Nothing else changed what the other run changed, and after the newer one is undone the older one can be.
    mesh.test.windlass(&["undo", &other, "--yes"]).expect(0);
    mesh.test.windlass(&["undo", &newer, "--yes"]).expect(0);
    mesh.test.windlass(&["undo", &older, "--yes"]).expect(0);
    let gone = ["get", "secret", "one", "-n", "default"];
    mesh.kubectl("cluster-1", &gone).expect(1);
    // Or with a word that says so.
    let (older, _) = (run("one", "1"), run("one", "2"));
    let forced = ["undo", &older, "--yes", "--force"];
    mesh.test.windlass(&forced).expect(0);
    mesh.kubectl("cluster-1", &gone).expect(0);
}

/// What an undo restores may be of a CA that is deleted meanwhile.
#[test]
fn a_run_that_named_a_ca_is_not_undone_after_a_newer_run_deleted_it() {
    let test = Test::new()
        .file(
            "make.yaml",
            "workflow: make
steps:
  ca: { run: '#{ arn: pca::create_certificate_authority(#{ type: \"ROOT\", subject: #{ common_name: \"A\" }, key_algorithm: \"EC_prime256v1\", signing_algorithm: \"SHA256WITHECDSA\" }) }' }
outputs: { arn: \"${{ steps.ca.arn }}\" }
",
        )
        .file(
            "use.yaml",
            "workflow: use
params: { arn: string }
steps:
  note: { with: { arn: \"${{ params.arn }}\" }, run: 'file::write(\"ca.txt\", inputs.arn); #{ ca: inputs.arn }' }
",
        )
        .file(
            "remove.yaml",
            "workflow: remove
params: { arn: string }
steps:
  it: { with: { arn: \"${{ params.arn }}\" }, run: 'pca::delete_certificate_authority(inputs.arn, #{ restore_within_days: 30 })' }
",
        );
    test.windlass(&["run", "make.yaml"]).expect(0);
    let outputs = test.windlass(&["outputs", "--json"]).expect(0).json();
    let arn = format!("arn={}", outputs["arn"].as_str().expect("an ARN"));
    test.windlass(&["run", "use.yaml", "-p", &arn]).expect(0);
    test.windlass(&["run", "remove.yaml", "-p", &arn]).expect(0);
    let refused = test.windlass(&["undo", "use", "--yes"]).expect(2);
    refused.says("[newer-run]");
    refused.says("(remove)");
    assert!(test.path("out/ca.txt").exists());
    test.windlass(&["undo", "remove", "--yes"]).expect(0);
    test.windlass(&["undo", "use", "--yes"]).expect(0);
    assert!(!test.path("out/ca.txt").exists());
}

/// The step's own undo belongs to its success; what a later attempt changed is reversed as it was recorded.
#[test]
fn a_change_after_a_success_is_reversed_though_its_reads_were_made_again() {
    let undo = "fn undo(inputs, outputs) { log::info(\"undone by hand\") }\n";
    let first =
        "fn run(inputs) { file::exists(\"one\"); file::exists(\"y\"); file::exists(\"z\"); #{} }\n";
    let second = "fn run(inputs) { if !file::exists(\"one\") { throw \"no one\" } file::write(\"made.txt\", \"\"); throw \"later\" }\n";
    let test = Test::new()
        .file("w.yaml", "workflow: w\nsteps:\n  a: { script: a.rhai }\n")
        .file("a.rhai", &format!("{first}{undo}"));
    test.windlass(&["run", "w.yaml"]).expect(0);
    test.write("a.rhai", &format!("{second}{undo}"));
    let edited = ["resume", "--edited", "--yes"];
    test.windlass(&edited).expect(1).says("no one");
    test.write("out/one", "");
    test.windlass(&["resume"]).expect(1).says("later");
    assert!(test.path("out/made.txt").exists());
    test.windlass(&["undo", "--yes"]).expect(0);
    assert!(!test.path("out/made.txt").exists());
}
