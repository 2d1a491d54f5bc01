//! What an undo gives back is given to whom it was, and what a newer run needs stays.

use serde_json::{Value as Json, json};

use crate::mesh::Mesh;

const POLICY: &str = "roottrustpolicies/root-trust-policy";

/// The field and the note of the root trust policy.
fn policy(mesh: &Mesh) -> (Json, Json) {
    let found = mesh.get("mgmt", "gloo-mesh", POLICY);
    let note = &found["metadata"]["annotations"]["windlass.dev/run"];
    (
        found["spec"]["config"]["autoRestartPods"].clone(),
        note.clone(),
    )
}

#[test]
fn a1_a_trust_policy_that_a_newer_run_needs_stays() {
    let mesh = Mesh::new(0, &[]);
    let test = &mesh.test;
    test.write(
        "workflows/w.yaml",
        "workflow: w\nkube: [mgmt]\nsteps:\n  s:\n    script: steps/root_trust_policy.rhai\n    with: { run: \"${{ run.id }}\" }\n",
    );
    let run = || {
        test.windlass(&["run", "workflows/w.yaml", "--target", "t"])
            .expect(0);
        test.shown()["run"].as_str().expect("an id").to_owned()
    };
    let before = policy(&mesh);
    assert_eq!(before.1, Json::Null);
    let older = run();
    assert_eq!(policy(&mesh), (json!(false), json!(older)));
    let newer = run();
    // The value is the same, and the older run's undo leaves it all the same.
    let plan = test.windlass(&["undo", &older, "--plan"]).expect(2).stdout;
    assert!(plan.contains("changed since"), "{plan}");
    test.windlass(&["undo", &older, "--yes", "--force"])
        .expect(0);
    assert_eq!(policy(&mesh), (json!(false), json!(newer)));
    // The newer one takes back what it did, which is the note alone.
    test.windlass(&["undo", &newer, "--yes"])
        .expect(2)
        .says("has been undone since");
    test.windlass(&["undo", &newer, "--yes", "--force"])
        .expect(0);
    assert_eq!(policy(&mesh), (json!(false), json!(older)));
    // A run alone takes back all.
    let patch = format!(
        "[{{\"op\":\"replace\",\"path\":\"/spec/config/autoRestartPods\",\"value\":{}}},{{\"op\":\"remove\",\"path\":\"/metadata/annotations\"}}]",
        before.0
    );
    let patch = [
        "patch",
        POLICY,
        "-n",
        "gloo-mesh",
        "--type",
        "json",
        "-p",
        &patch,
    ];
    mesh.kubectl("mgmt", &patch).expect(0);
    assert_eq!(policy(&mesh), before);
    let alone = run();
    test.windlass(&["undo", &alone, "--yes"]).expect(0);
    assert_eq!(policy(&mesh), before);
}

const SETTINGS: &str = r#"workflow: w
kube: [mgmt]
steps:
  s:
    run: |
      kube::apply("mgmt", #{
          apiVersion: "v1", kind: "ConfigMap", metadata: #{ name: "settings", namespace: "default" }, data: #{ a: "ours", b: "ours", c: "ours" },
      }, #{ force: true });
"#;

const DELETED: &str = r#"workflow: w
kube: [mgmt]
steps:
  s: { run: 'kube::delete("mgmt", "default", "configmap/settings")' }
"#;

/// Who owns which keys of the ConfigMap, sorted.
fn owners(mesh: &Mesh) -> Vec<String> {
    let options = [
        "get",
        "configmap/settings",
        "-n",
        "default",
        "-o",
        "json",
        "--show-managed-fields",
    ];
    let found = mesh.kubectl("mgmt", &options).expect(0).json();
    let entries = found["metadata"]["managedFields"]
        .as_array()
        .expect("owners")
        .iter();
    let mut owners: Vec<_> = entries
        .filter_map(|entry| {
            let data = entry["fieldsV1"]["f:data"].as_object()?;
            let keys: Vec<_> = data
                .keys()
                .filter(|key| *key != ".")
                .map(String::as_str)
                .collect();
            (!keys.is_empty()).then(|| {
                format!(
                    "{} {} {}",
                    entry["manager"],
                    entry["operation"],
                    keys.join(" ")
                )
            })
        })
        .collect();
    owners.sort();
    owners
}

#[test]
fn a1_fields_that_were_taken_by_force_are_their_owners_again() {
    let mesh = Mesh::new(0, &[]);
    let theirs = |value: &str, manager: &str, key: &str| {
        let object = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": { "name": "settings", "namespace": "default" }, "data": { key: value },
        });
        mesh.test.write("theirs.json", &object.to_string());
        let file = mesh.test.path("theirs.json").display().to_string();
        mesh.kubectl(
            "mgmt",
            &[
                "apply",
                "--server-side",
                "--field-manager",
                manager,
                "-f",
                &file,
            ],
        )
    };
    theirs("1", "argocd", "a").expect(0);
    // Its value is the one that the run applies.
    theirs("ours", "flux", "c").expect(0);
    // Another one, which updates rather than applies.
    let patch = [
        "patch",
        "configmap/settings",
        "-n",
        "default",
        "--field-manager",
        "helm",
    ];
    let patch = [
        patch.as_slice(),
        &["--type", "merge", "-p", r#"{"data":{"b":"1"}}"#],
    ]
    .concat();
    mesh.kubectl("mgmt", &patch).expect(0);
    let before = owners(&mesh);
    assert_eq!(
        before,
        [
            r#""argocd" "Apply" f:a"#,
            r#""flux" "Apply" f:c"#,
            r#""helm" "Update" f:b"#
        ]
    );
    mesh.test.write("w.yaml", SETTINGS);
    mesh.test
        .windlass(&["run", "w.yaml", "--target", "t"])
        .expect(0);
    let own = [r#""flux" "Apply" f:c"#, r#""windlass" "Apply" f:a f:b f:c"#];
    assert_eq!(owners(&mesh), own);
    // Whose field it was meets a conflict now,
    let refused = theirs("2", "argocd", "a");
    refused.says("conflict");
    mesh.test.windlass(&["undo", "--yes"]).expect(0);
    assert_eq!(owners(&mesh), before);
    let data = mesh.get("mgmt", "default", "configmap/settings")["data"].clone();
    assert_eq!(data, json!({ "a": "1", "b": "1", "c": "ours" }));
    // and none after the undo.
    theirs("2", "argocd", "a").expect(0);
    // An object that is created again has its owners, too.
    mesh.test.write("w.yaml", DELETED);
    let run = ["run", "w.yaml", "--target", "t"];
    mesh.test.windlass(&run).expect(0);
    mesh.test.windlass(&["undo", "--yes"]).expect(0);
    assert_eq!(owners(&mesh), before);
}

/// What has its former values already, because the run wrote the same ones or because an earlier undo was interrupted, may still lack
/// its former owners.
#[test]
fn a1_what_has_its_former_values_gets_its_former_owners() {
    let mesh = Mesh::new(0, &[]);
    let object = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": { "name": "settings", "namespace": "default" }, "data": { "c": "ours" },
    });
    mesh.test.write("settings.json", &object.to_string());
    let file = mesh.test.path("settings.json").display().to_string();
    let by = |manager: &str| {
        let apply = ["apply", "--server-side", "--field-manager", manager];
        mesh.kubectl("mgmt", &[&apply[..], &["-f", &file]].concat())
            .expect(0)
    };
    let run = ["run", "w.yaml", "--target", "t"];
    by("flux");
    let before = [r#""flux" "Apply" f:c"#];
    mesh.test.write(
        "w.yaml",
        &SETTINGS.replace("a: \"ours\", b: \"ours\", ", ""),
    );
    mesh.test.windlass(&run).expect(0);
    assert_eq!(owners(&mesh).len(), 2);
    mesh.test.windlass(&["undo", "--yes"]).expect(0);
    assert_eq!(owners(&mesh), before);

    mesh.test.write("w.yaml", DELETED);
    mesh.test.windlass(&run).expect(0);
    by("windlass");
    assert_eq!(owners(&mesh), [r#""windlass" "Apply" f:c"#]);
    mesh.test.windlass(&["undo", "--yes"]).expect(0);
    assert_eq!(owners(&mesh), before);
}
