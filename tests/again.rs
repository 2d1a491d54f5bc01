//! What others do between a call in doubt and its repetition is theirs, and an undo leaves it or gives it back.

use std::fs;

use crate::{
    doubt::{died, is_in, one_step, statuses},
    harness::Test,
};

/// The data of the ConfigMap `shared`, or `()`.
const LOOK: &str = "workflow: look
kube: [mgmt]
steps:
  look: { run: '#{ found: kube::find(\"mgmt\", \"default\", \"configmap/shared\")?.data }' }
outputs: { found: \"${{ steps.look.found }}\" }
";

fn applied(data: &str, options: &str) -> String {
    format!(
        "workflow: w
kube: [mgmt]
steps:
  s:
    run: |
      kube::apply(\"mgmt\", #{{ apiVersion: \"v1\", kind: \"ConfigMap\", metadata: #{{ name: \"shared\", namespace: \"default\" }}, data: #{{ {data} }} }}{options})
"
    )
}

fn found(test: &Test) -> serde_json::Value {
    test.outputs_of(&["look.yaml"])["found"].clone()
}

/// The run that was started with `w.yaml`.
fn run_of(test: &Test) -> String {
    let runs = test.windlass(&["runs", "--json"]).expect(0).json();
    let all = runs.as_array().expect("a list").iter();
    let mut own = all.filter(|run| run["workflow"] == "w");
    let first = own.next_back().expect("a run");
    first["run"].as_str().expect("an id").to_owned()
}

#[test]
fn an_object_that_another_made_before_an_apply_was_repeated_gets_its_content_back() {
    let own = applied("a: \"1\"", "");
    let theirs = applied("mine: \"2\"", ", #{ field_manager: \"person\" }");
    let theirs = theirs.replace("workflow: w", "workflow: person");
    let test = died(
        || {
            Test::new()
                .file("w.yaml", &own)
                .file("person.yaml", &theirs)
                .file("look.yaml", LOOK)
        },
        |test| is_in(test, "kube::apply") && found(test).is_null(),
    );
    let run = run_of(&test);
    test.windlass(&["run", "person.yaml"]).expect(0);
    test.windlass(&["resume", &run]).expect(0);
    assert_eq!(found(&test), serde_json::json!({ "a": "1", "mine": "2" }));
    // The other one is newer, and changed the same object.
    test.windlass(&["undo", &run, "--yes", "--force"]).expect(0);
    assert_eq!(found(&test), serde_json::json!({ "mine": "2" }));
    test.windlass(&["audit", &run]).expect(0);
}

#[test]
fn an_object_that_the_apply_made_before_it_was_repeated_is_deleted() {
    let test = died(
        || {
            Test::new()
                .file("w.yaml", &applied("a: \"1\"", ""))
                .file("look.yaml", LOOK)
        },
        |test| is_in(test, "kube::apply") && !found(test).is_null(),
    );
    let run = run_of(&test);
    test.windlass(&["resume", &run]).expect(0);
    test.windlass(&["undo", &run, "--yes"]).expect(0);
    assert!(found(&test).is_null());
}

#[test]
fn a_file_that_another_wrote_before_a_write_was_repeated_gets_its_content_back() {
    for (body, left) in [
        ("file::write(\"x.txt\", \"new\")", Some("new")),
        ("file::remove(\"x.txt\")", None),
    ] {
        let function = body.split('(').next().expect("a name");
        let test = died(
            || {
                Test::new()
                    .file("w.yaml", &one_step(body))
                    .file("out/x.txt", "old")
            },
            |test| {
                is_in(test, function)
                    && fs::read(test.path("out/x.txt")).is_ok_and(|now| now == b"old")
            },
        );
        test.write("out/x.txt", "theirs");
        test.windlass(&["resume"]).expect(0);
        assert_eq!(
            fs::read_to_string(test.path("out/x.txt")).ok().as_deref(),
            left
        );
        test.windlass(&["undo", "--yes"]).expect(0);
        assert_eq!(test.read("out/x.txt"), "theirs");
    }
}

const DEPLOYMENT: &str = "workflow: NAME
kube: [mgmt]
steps:
  s:
    run: |
      kube::apply(\"mgmt\", #{ apiVersion: \"apps/v1\", kind: \"Deployment\", metadata: #{ name: \"web\", namespace: \"default\" },
        spec: #{ selector: #{ matchLabels: #{ app: \"web\" } }, template: #{ metadata: #{ labels: #{ app: \"web\" } },
          spec: #{ containers: [ #{ name: \"web\", image: \"IMAGE\" } ] } } } }, OPTIONS)
";

/// An API server merges lists by their keys and adds defaults, so what an apply left can't be worked out.
#[test]
fn an_apply_of_a_list_whose_answer_was_lost_is_undone() {
    let deployment = |name: &str, image: &str, options: &str| {
        let text = DEPLOYMENT.replace("NAME", name).replace("IMAGE", image);
        text.replace("OPTIONS", options)
    };
    let look = LOOK.replace(
        "configmap/shared\")?.data",
        "deployment/web\")?.spec?.template?.spec?.containers?.map(|c| c.image)",
    );
    assert_ne!(look, LOOK);
    let test = died(
        || {
            let test = Test::new()
                .file("w.yaml", &deployment("w", "web:2", "#{ force: true }"))
                .file(
                    "before.yaml",
                    &deployment("b", "web:1", "#{ field_manager: \"helm\" }"),
                )
                .file("look.yaml", &look);
            test.windlass(&["run", "before.yaml"]).expect(0);
            test
        },
        |test| is_in(test, "kube::apply") && found(test) == serde_json::json!(["web:2"]),
    );
    let run = run_of(&test);
    test.windlass(&["undo", &run, "--yes"]).expect(0);
    assert_eq!(found(&test), serde_json::json!(["web:1"]));
}

const WIDGET: &str = "workflow: w
kube: [mgmt]
steps:
  kind:
    run: |
      let schema = #{ openAPIV3Schema: #{ type: \"object\", \"x-kubernetes-preserve-unknown-fields\": true } };
      kube::apply(\"mgmt\", #{ apiVersion: \"apiextensions.k8s.io/v1\", kind: \"CustomResourceDefinition\", metadata: #{ name: \"widgets.example.com\" },
        spec: #{ group: \"example.com\", scope: \"Namespaced\", names: #{ plural: \"widgets\", singular: \"widget\", kind: \"Widget\" },
          versions: [ #{ name: \"v1\", served: true, storage: true, schema: schema }, #{ name: \"v1beta1\", served: true, storage: false, schema: schema } ] } });
  s:
    needs: [kind]
    retry: { attempts: 20, backoff: 200ms }
    run: |
      kube::apply(\"mgmt\", #{ apiVersion: \"example.com/v1beta1\", kind: \"Widget\", metadata: #{ name: \"w\", namespace: \"default\" }, spec: #{ a: 1 } })
";

/// Its answers have the version that was asked for, and the other one is preferred.
#[test]
fn an_object_in_a_version_that_is_not_preferred_is_undone() {
    let look = LOOK.replace(
        "configmap/shared\")?.data",
        "widget.example.com/w\")?.apiVersion",
    );
    assert_ne!(look, LOOK);
    let test = Test::new().file("w.yaml", WIDGET).file("look.yaml", &look);
    test.windlass(&["run", "w.yaml"]).expect(0);
    let run = run_of(&test);
    assert_eq!(found(&test), "example.com/v1");
    test.windlass(&["undo", &run, "--yes"]).expect(0);
    assert!(found(&test).is_null());
}

const MADE: &str = "workflow: made
steps:
  ca: { run: 'pca::create_certificate_authority(#{ type: \"ROOT\", subject: #{ common_name: \"A\" }, key_algorithm: \"EC_prime256v1\" })' }
  ready: { run: 'pca::wait_until_csr_ready(pca::list_certificate_authorities()[0].arn)', needs: [ca] }
";

fn of_all(name: &str, call: &str) -> String {
    format!("workflow: {name}\nsteps:\n  s: {{ run: 'pca::{call}' }}\n")
}

/// The run did not change the CA, so its undo leaves it.
#[test]
fn a_ca_that_was_as_wanted_already_stays_so() {
    const ARN: &str = "pca::list_certificate_authorities()[0].arn";
    let restore = format!("restore_certificate_authority({ARN})");
    let delete = format!("delete_certificate_authority({ARN}, #{{ restore_within_days: 7 }})");
    let test = Test::new()
        .file("made.yaml", MADE)
        .file("restore.yaml", &of_all("restore", &restore))
        .file("delete.yaml", &of_all("delete", &delete));
    test.windlass(&["run", "made.yaml"]).expect(0);
    let then = |name: &str, wanted: &str, after: &str| {
        test.windlass(&["run", name]).expect(0);
        assert_eq!(statuses(&test), [wanted], "{name}");
        test.windlass(&["undo", "--yes"]).expect_one_of(&[0, 2]);
        assert_eq!(statuses(&test), [after], "the undo of {name}");
    };
    then("restore.yaml", "PENDING_CERTIFICATE", "PENDING_CERTIFICATE");
    then("delete.yaml", "DELETED", "PENDING_CERTIFICATE");
    test.windlass(&["run", "delete.yaml"]).expect(0);
    then("delete.yaml", "DELETED", "DELETED");
    then("restore.yaml", "PENDING_CERTIFICATE", "DELETED");
}

/// Another name for the fields is another owner, whoever runs it.
#[test]
fn an_apply_under_another_name_takes_nothing_without_force() {
    let theirs = applied("a: \"2\"", ", #{ field_manager: \"team-2\" }");
    let test = Test::new()
        .file("w.yaml", &applied("a: \"1\"", ""))
        .file("other.yaml", &theirs)
        .file("look.yaml", LOOK);
    test.windlass(&["run", "w.yaml"]).expect(0);
    test.windlass(&["run", "other.yaml"])
        .expect(1)
        .says("windlass");
    assert_eq!(found(&test), serde_json::json!({ "a": "1" }));
}

/// What was in a namespace is deleted with it, and its undo does not count as whole.
#[test]
fn the_undo_of_a_deleted_namespace_says_what_is_lost() {
    let made = "workflow: made
kube: [mgmt]
steps:
  s:
    run: |
      kube::apply(\"mgmt\", #{ apiVersion: \"v1\", kind: \"Namespace\", metadata: #{ name: \"shop\" } })
";
    let deleted = one_step("kube::delete(\"mgmt\", \"\", \"namespace/shop\")");
    let deleted = deleted.replace("steps:", "kube: [mgmt]\nsteps:");
    let test = Test::new().file("made.yaml", made).file("w.yaml", &deleted);
    test.windlass(&["run", "made.yaml"]).expect(0);
    test.windlass(&["run", "w.yaml"]).expect(0);
    let plan = test.windlass(&["undo", "--plan"]).expect(0).stdout;
    assert!(
        plan.contains("without the objects that were deleted"),
        "{plan}"
    );
    let undone = test.windlass(&["undo", "--yes"]).expect(0);
    undone.says("the objects that were deleted with it are lost");
}
