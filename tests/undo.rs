//! `windlass undo`: what a run did is reversed, from what the journal says.

use std::fs;

use crate::{
    harness::{Test, status},
    mesh::Mesh,
    site::Site,
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
fn the_undo_of_a_run_that_did_nothing_names_the_one_before() {
    let flow = "workflow: w\nparams: { ok: bool }\nsteps:\n  a: { with: { ok: \"${{ params.ok }}\" }, run: \"if !inputs.ok { throw 1 } file::write(`a`, `x`);\" }\n";
    let test = Test::new().file("w.yaml", flow);
    test.windlass(&["run", "w.yaml", "-p", "ok=true"]).expect(0);
    test.windlass(&["run", "w.yaml", "-p", "ok=false"])
        .expect(1);
    let runs = test.windlass(&["runs", "--json"]).expect(0).json();
    let first = runs[1]["run"].as_str().expect("an id").to_owned();
    let undone = test.windlass(&["undo", "--yes"]).expect(0);
    undone.says(&format!(
        "the run of w before it has not been undone; to undo that one: windlass undo {first}"
    ));
    assert!(test.path("out/a").exists());
    let undone = test.windlass(&["undo", &first, "--yes"]).expect(0);
    assert!(!undone.stderr.contains("before it"), "{}", undone.stderr);
}

/// A step that begins, fails, and is continued after another one changed the same file: the other one's change is the later one.
#[test]
fn what_was_continued_is_taken_back_after_what_others_changed_meanwhile() {
    let flow = r#"workflow: w
steps:
  s:
    for_each: ["x", "y"]
    max_parallel: 1
    with: { x: "${{ item }}" }
    run: |
      file::write("X", file::read("X") + "|" + inputs.x);
      if inputs.x == "x" { file::read("go-on"); }
      file::write("done-" + inputs.x, "1");
"#;
    let test = Test::new().file("w.yaml", flow).file("out/X", "orig");
    test.windlass(&["run", "w.yaml"]).expect(1);
    assert_eq!(test.read("out/X"), "orig|x|y");
    test.write("out/go-on", "");
    test.windlass(&["resume"]).expect(0);
    let undone = test.windlass(&["undo", "--yes"]).expect(0);
    assert_eq!(test.read("out/X"), "orig", "{}", undone.stderr);
    assert!(!test.path("out/done-x").exists() && !test.path("out/done-y").exists());
}

/// The item that begins first writes last: `y` waits for nothing, `x` for what `y` has written.
#[test]
fn what_wrote_first_is_taken_back_last_whichever_began_first() {
    let flow = r#"workflow: w
steps:
  s:
    for_each: ["x", "y"]
    with: { x: "${{ item }}" }
    run: |
      while inputs.x == "x" && !file::exists("done-y") { time::sleep("20ms"); }
      file::write("X", file::read("X") + "|" + inputs.x);
      file::write("done-" + inputs.x, "1");
"#;
    let test = Test::new().file("w.yaml", flow).file("out/X", "orig");
    test.windlass(&["run", "w.yaml"]).expect(0);
    assert_eq!(test.read("out/X"), "orig|y|x");
    let undone = test.windlass(&["undo", "--yes"]).expect(0);
    assert_eq!(test.read("out/X"), "orig", "{}", undone.stderr);
}

const SAYS_HOW: &str = r#"const INPUTS = #{ x: "string" };
fn run(inputs) { file::write("s-" + inputs.x, "hi"); #{ n: 1 } }
"#;
const UNDO: &str = r#"fn undo(inputs, outputs) { file::write("undone-" + inputs.x, "undone"); }
"#;

#[test]
fn a_step_that_became_a_loop_is_undone_once_for_each_time_that_it_ran() {
    let flow = |more: &str| format!("workflow: w\nsteps:\n  s: {{ {more}, script: s.rhai }}\n");
    let test = Test::new()
        .file("w.yaml", &flow("with: { x: one }"))
        .file("s.rhai", &format!("{SAYS_HOW}{UNDO}"));
    test.windlass(&["run", "w.yaml"]).expect(0);
    let each = "for_each: [\"a\", \"b\"], with: { x: \"${{ item }}\" }";
    test.write("w.yaml", &flow(each));
    test.windlass(&["resume", "--edited", "--yes"]).expect(0);
    let plan = test.windlass(&["undo", "--plan"]).expect(0).stdout;
    assert_eq!(plan.matches("run `fn undo`").count(), 3, "{plan}");
    test.windlass(&["undo", "--yes"]).expect(0);
    for item in ["one", "a", "b"] {
        assert!(test.path(&format!("out/undone-{item}")).exists(), "{item}");
    }
}

#[test]
fn what_a_script_did_before_it_said_how_is_undone_by_its_calls() {
    let test = Test::new()
        .file(
            "w.yaml",
            "workflow: w\nparams: { x: string }\nsteps:\n  s: { with: { x: \"${{ params.x }}\" }, script: s.rhai }\n",
        )
        .file("s.rhai", SAYS_HOW);
    test.windlass(&["run", "w.yaml", "-p", "x=one"]).expect(0);
    test.write("s.rhai", &format!("{SAYS_HOW}{UNDO}"));
    test.windlass(&["resume", "--edited", "--yes", "-p", "x=two"])
        .expect(0);
    let plan = test.windlass(&["undo", "--plan"]).expect(0).stdout;
    assert_eq!(plan.matches("run `fn undo`").count(), 1, "{plan}");
    test.windlass(&["undo", "--yes"]).expect(0);
    assert!(!test.path("out/s-one").exists(), "its call is reversed");
    assert!(test.path("out/undone-two").exists());
    assert!(!test.path("out/undone-one").exists());
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
    // The plan says it, too, unless the undo is to be forced.
    let planned = mesh.test.windlass(&["undo", &older, "--plan"]).expect(2);
    planned.prints("it has been changed since the step ran: data.x");
    planned.says("[newer-run]");
    let forced = ["undo", &older, "--plan", "--force"];
    mesh.test.windlass(&forced).expect(0);
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

/// A step whose undo fails each time must not keep the steps before it.
#[test]
fn what_can_not_be_reversed_is_left_if_a_person_says_so() {
    let test = Test::new().file("w.yaml", TWO_FILES);
    test.windlass(&["run", "w.yaml"]).expect(0);
    fs::remove_file(test.path("out/second.txt")).expect("removed");
    fs::create_dir(test.path("out/second.txt")).expect("made");
    let failed = test.windlass(&["undo", "--yes"]).expect(1);
    failed.says("--answer 'second=leave'");
    assert!(test.path("out/deep/first.txt").exists());
    for wrong in ["third=leave", "second!x=leave"] {
        let refused = test.windlass(&["undo", "--yes", "--answer", wrong]);
        refused.expect(2).says("[bad-answer]");
    }
    let plan = test.windlass(&["undo", "--plan", "--answer", "second=leave"]);
    let plan = plan.expect(0).stdout;
    let left = "second: remove second.txt (";
    assert!(
        plan.contains(left) && plan.contains("leaves what it did as it is"),
        "{plan}"
    );
    let undone = test.windlass(&["undo", "--yes", "--answer", "second=leave"]);
    undone.expect(0).says("leaves what it did as it is");
    assert!(!test.path("out/deep/first.txt").exists());
    let shown = test.windlass(&["show"]).expect(0).stdout;
    assert!(shown.contains(left), "{shown}");
    assert_eq!(test.shown()["status"], "undone");
    let audit = test.windlass(&["audit"]).expect(0);
    audit.prints("answered by tester: what second did is left as it is");
    audit.prints("ended: undone; left as it is: second");
    let audit = test.windlass(&["audit", "--json"]).expect(0).json();
    let history = audit["history"].as_array().expect("a list");
    let answer = history.iter().find(|entry| entry["what"] == "left");
    let answer = answer.expect("the answer");
    assert_eq!(
        (&answer["step"], &answer["by"]),
        (&"second".into(), &"tester".into())
    );
    assert_eq!(
        history.last().expect("the end")["left"],
        serde_json::json!(["second"])
    );
}

#[test]
fn an_answer_that_leaves_a_step_is_one_of_an_undo() {
    let test = Test::new().file("w.yaml", "workflow: w\nsteps:\n  a: { run: 'throw 1' }\n");
    test.windlass(&["run", "w.yaml"]).expect(1);
    let refused = test.windlass(&["resume", "--answer", "a=leave"]).expect(2);
    refused.says("`leave` is an answer of an undo");
}

/// Also by `on_failure: undo`, which shows no plan.
#[test]
fn the_end_of_an_undo_says_what_stays() {
    let site = Site::open(&[]);
    let text = format!(
        "workflow: w
on_failure: undo
steps:
  place: {{ run: 'http::post(\"{}/orders\")' }}
  check: {{ needs: [place], run: 'throw \"no\"' }}
",
        site.address()
    );
    let test = Test::new().file("w.yaml", &text);
    let ran = test.windlass(&["run", "w.yaml"]).expect(1);
    ran.says("can't be reversed, and stays:");
    ran.says("place: http::post has no `undo`");
    let shown = test.windlass(&["show"]).expect(0).stdout;
    assert!(shown.contains("place: http::post has no `undo`"), "{shown}");
}

#[test]
fn a_plan_says_when_an_undo_of_a_script_is_not_used() {
    let site = Site::open(&[]);
    let script = format!(
        "fn run(inputs) {{ http::post(\"{}/orders\"); throw \"no\" }}\nfn undo(inputs, outputs) {{ file::write(\"undone\", \"\") }}\n",
        site.address()
    );
    let test = Test::new()
        .file("w.yaml", "workflow: w\nsteps:\n  a: { script: a.rhai }\n")
        .file("a.rhai", &script);
    test.windlass(&["run", "w.yaml"]).expect(1);
    let plan = test.windlass(&["undo", "--plan"]).expect(0).stdout;
    assert!(
        plan.contains("`fn undo` is run only for a step that has succeeded"),
        "{plan}"
    );
}

#[test]
fn a_delete_that_finds_nothing_is_an_undo() {
    let site = Site::open(&[200, 404]);
    let step = format!(
        "workflow: w\nsteps:\n  a: {{ run: 'http::post(\"{0}/x\", #{{ undo: #{{ method: \"DELETE\", url: \"{0}/x/1\" }} }})' }}\n",
        site.address()
    );
    let test = Test::new().file("w.yaml", &step);
    test.windlass(&["run", "w.yaml"]).expect(0);
    test.windlass(&["undo", "--yes"]).expect(0);
    assert_eq!(site.requests(), ["POST /x", "DELETE /x/1"]);
    let log = test.windlass(&["logs"]).expect(0).stdout;
    assert!(
        log.contains("nothing to reverse: it is gone: HTTP404"),
        "{log}"
    );
}

/// Whatever others have put into it would be deleted as well.
#[test]
fn a_namespace_stays() {
    let mesh = Mesh::new(1, &[]);
    let text = "workflow: w
kube: [cluster-1]
steps:
  a:
    run: |
      kube::apply(\"cluster-1\", #{ apiVersion: \"v1\", kind: \"Namespace\", metadata: #{ name: \"team\" } });
";
    mesh.test.write("w.yaml", text);
    let ran = mesh.test.windlass(&["run", "w.yaml", "--target", "t"]);
    ran.expect(0);
    let undone = mesh.test.windlass(&["undo", "--yes"]).expect(0);
    undone.says("namespace/team of cluster-1 stays");
    mesh.kubectl("cluster-1", &["get", "namespace", "team"])
        .expect(0);
}

#[test]
fn a_file_that_a_newer_run_wrote_is_not_undone_before_that_run() {
    let text = "workflow: w\nsteps:\n  a: { run: 'file::write(\"f.txt\", \"same\")' }\n";
    let test = Test::new().file("w.yaml", text);
    let run = || {
        test.windlass(&["run", "w.yaml"]).expect(0);
        test.shown()["run"].as_str().expect("an id").to_owned()
    };
    let (older, newer) = (run(), run());
    let refused = test.windlass(&["undo", &older, "--yes"]).expect(2);
    refused.says("[newer-run]");
    refused.says("file f.txt");
    // Another folder has other files.
    test.windlass(&["run", "w.yaml", "--out", "other"])
        .expect(0);
    test.windlass(&["undo", &newer, "--yes"]).expect(0);
    test.windlass(&["undo", &older, "--yes"]).expect(0);
    assert!(!test.path("out/f.txt").exists() && test.path("other/f.txt").exists());
}

/// One of them does it, and the others are told that it is done, or being done.
#[test]
fn several_undos_at_once_are_one() {
    let test = Test::new().file("w.yaml", TWO_FILES);
    test.windlass(&["run", "w.yaml"]).expect(0);
    let all: Vec<_> = (0..4)
        .map(|_| {
            let mut command = test.command(&["undo", "--yes"]);
            command
                .stderr(std::process::Stdio::piped())
                .spawn()
                .expect("started")
        })
        .collect();
    let ended: Vec<_> = all
        .into_iter()
        .map(|one| one.wait_with_output().expect("ended"))
        .collect();
    let told = |output: &std::process::Output| String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(ended.iter().filter(|one| one.status.success()).count(), 1);
    for one in ended.iter().filter(|one| !one.status.success()) {
        let text = told(one);
        assert!(
            text.contains("[run-owned]") || text.contains("[nothing-to-undo]"),
            "{text}"
        );
    }
}

/// The restart by the run itself is never reversed, and changes nothing of what the run created.
#[test]
fn a_workload_that_the_run_created_and_restarted_is_deleted() {
    let mesh = Mesh::new(1, &[]);
    let file = "workflow: w
kube: [cluster-1]
steps:
  deploy:
    run: |
      let template = #{ metadata: #{ labels: #{ app: \"web\" } }, spec: #{ containers: [#{ name: \"c\", image: \"nginx:1.0\" }] } };
      kube::apply(\"cluster-1\", #{
          apiVersion: \"apps/v1\", kind: \"Deployment\", metadata: #{ name: \"web\", namespace: \"default\" },
          spec: #{ replicas: 1, selector: #{ matchLabels: #{ app: \"web\" } }, template: template },
      });
  restart: { needs: [deploy], run: 'kube::restart(\"cluster-1\", \"default\", \"deployment/web\");' }
";
    mesh.test.write("w.yaml", file);
    let run = ["run", "w.yaml", "--target", "t"];
    mesh.test.windlass(&run).expect(0);
    mesh.test.windlass(&["undo", "--yes"]).expect(0);
    let gone = ["get", "deployment", "web", "-n", "default"];
    mesh.kubectl("cluster-1", &gone).expect(1);
}

/// The other items are undone, but the step as a whole is not.
#[test]
fn a_step_with_an_item_that_could_not_be_undone_is_undone_in_part() {
    let text = "workflow: w
steps:
  a:
    for_each: [p, q, r]
    run: 'let i = inputs.i; exec::run(\"touch\", [i], #{ undo: [if i == \"q\" { \"false\" } else { \"true\" }] });'
    with: { i: \"${{ item }}\" }
";
    let test = Test::new().file("w.yaml", text).file(
        "windlass.toml",
        "[targets.t]\nexec = [\"touch\", \"true\", \"false\"]\n",
    );
    test.windlass(&["run", "w.yaml", "--target", "t"]).expect(0);
    let ran = test.windlass(&["undo", "--yes"]).expect(1);
    ran.says("a[p]!undo");
    ran.says("succeeded (3 items), undone in part");
}
