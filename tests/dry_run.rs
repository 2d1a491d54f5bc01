//! What the clusters would refuse of a run is found before it begins.

use serde_json::{Value as Json, json};

use crate::{
    harness::Test,
    mesh::{FAST, Mesh},
};

/// A step that makes something outside the clusters, and steps after it that write what somebody else owns.
const WORKFLOW: &str = r#"
workflow: w
kube: "${{ ['mgmt'] + params.clusters }}"
params:
  clusters: { type: list(string), default: [cluster-1] }
  force: { type: bool, default: false }
steps:
  first:
    run: |
      file::write("made.txt", "x");
      #{}
  settings:
    needs: [first]
    for_each: ${{ params.clusters }}
    with: { cluster: "${{ item }}", force: "${{ params.force }}" }
    run: |
      kube::apply(inputs.cluster, #{
          apiVersion: "v1", kind: "ConfigMap", metadata: #{ name: "new", namespace: "default" }, data: #{ a: "ours" },
      });
      kube::apply(inputs.cluster, #{
          apiVersion: "v1", kind: "ConfigMap", metadata: #{ name: "settings", namespace: "default" }, data: #{ a: "ours" },
      }, #{ force: inputs.force });
      #{}
"#;

/// A ConfigMap as kubectl's `apply --server-side` makes it.
fn theirs(mesh: &Mesh, context: &str) {
    let object = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": { "name": "settings", "namespace": "default" }, "data": { "a": "theirs" },
    });
    mesh.test.write("theirs.json", &object.to_string());
    let file = mesh.test.path("theirs.json").display().to_string();
    mesh.kubectl(context, &["apply", "--server-side", "-f", &file])
        .expect(0);
}

#[test]
fn who_asks_for_a_dry_run_is_shown_the_plan_and_not_the_opposite() {
    let asked = Test::new()
        .windlass(&["run", "x.yaml", "--dry-run"])
        .expect(2);
    asked.says("unexpected argument '--dry-run'");
    asked.says("`windlass plan FILE`");
    assert!(!asked.stderr.contains("--no-dry-run"), "{}", asked.stderr);
    let other = Test::new().windlass(&["runs", "--dry-run"]).expect(2);
    assert!(!other.stderr.contains("windlass plan"), "{}", other.stderr);
}

#[test]
fn c9_a_field_of_another_manager_is_found_before_a_run_begins() {
    let mesh = Mesh::new(2, &[]);
    mesh.test.write("w.yaml", WORKFLOW);
    theirs(&mesh, "cluster-2");
    let on = [
        "w.yaml",
        "--target",
        "t",
        "-p",
        "clusters=[cluster-1, cluster-2]",
    ];
    let command = |name: &'static str, more: &[&str]| {
        let all = [&[name], on.as_slice(), more].concat();
        mesh.test.windlass(&all)
    };

    let plan = command("plan", &[]).expect(2);
    for part in [
        "these steps would fail:",
        "settings[cluster-2]",
        "kubectl",
        "force: true",
    ] {
        plan.prints(part);
    }
    assert!(
        !plan.stdout.contains("settings[cluster-1]"),
        "{}",
        plan.stdout
    );
    let json = command("plan", &["--json"]).expect(2).json();
    let steps = json["steps"].as_array().expect("steps").iter();
    let refused: Vec<_> = steps.map(|step| &step["refused"]).collect();
    assert_eq!(refused[0], &json!([]));
    assert_eq!(refused[1][0]["instance"], "settings[cluster-2]");
    assert_eq!(refused[1][0]["sure"], true);
    assert!(
        refused[1].as_array().is_some_and(|all| all.len() == 1),
        "{refused:?}"
    );

    let ran = command("run", &[]).expect(2);
    for part in [
        "nothing was started",
        "settings[cluster-2]",
        "w.yaml:",
        "Conflict",
        "[refused]",
    ] {
        ran.says(part);
    }
    assert!(!mesh.test.path("out").exists(), "nothing was made");
    assert_eq!(
        mesh.test.windlass(&["runs", "--json"]).expect(0).json(),
        json!([])
    );
    let names = |context| {
        let found = mesh.kubectl(
            context,
            &["get", "configmap", "-n", "default", "-o", "name"],
        );
        found.expect(0).stdout
    };
    assert!(
        !names("cluster-1").contains("configmap/new"),
        "a dry run stores nothing"
    );

    // Taken over, it is no conflict; asked not to look, the run meets it halfway.
    command("plan", &["-p", "force=true"]).expect(0);
    command("run", &["--no-dry-run"]).expect(1);
    assert!(mesh.test.path("out/made.txt").exists());
    command("run", &["-p", "force=true"]).expect(0);
    let settings = mesh.get("cluster-2", "default", "configmap/settings");
    assert_eq!(settings["data"]["a"], "ours");
}

#[test]
fn c9_what_a_step_before_may_change_is_only_warned_of() {
    let mesh = Mesh::new(1, &[]);
    // It deletes first what it then writes anew.
    let workflow = WORKFLOW.replace(
        "file::write(\"made.txt\", \"x\");",
        "kube::delete(\"cluster-1\", \"default\", \"configmap/settings\");",
    );
    mesh.test.write("w.yaml", &workflow);
    theirs(&mesh, "cluster-1");
    let plan = ["plan", "w.yaml", "--target", "t"];
    let plan = mesh.test.windlass(&plan).expect(0).stdout;
    assert!(
        plan.contains("but earlier steps may prevent that"),
        "{plan}"
    );
    assert!(plan.contains("settings[cluster-1]"), "{plan}");
    let ran = mesh
        .test
        .windlass(&["run", "w.yaml", "--target", "t"])
        .expect(0);
    ran.says("warning: settings[cluster-1]");
}

/// What is written twice, what is made in a namespace of its own, and what waits, is left to the run.
#[test]
fn c9_what_depends_on_a_change_of_its_own_is_not_judged() {
    let mesh = Mesh::new(1, &[]);
    let body = r#"
      kube::apply("cluster-1", #{ apiVersion: "v1", kind: "Namespace", metadata: #{ name: "fresh" } });
      kube::apply_secret("cluster-1", "fresh", "s", #{ a: "b" });
      kube::patch("cluster-1", "fresh", "secret/s", #{ metadata: #{ labels: #{ x: "y" } } });
      kube::restart("cluster-1", "istio-system", "deployment/istiod");
      kube::wait_rollout("cluster-1", "istio-system", "deployment/istiod", "1m");
      #{}
"#;
    let workflow = format!("workflow: w\nkube: [cluster-1]\nsteps:\n  s:\n    run: |{body}");
    mesh.test.write("w.yaml", &workflow);
    let plan = mesh
        .test
        .windlass(&["plan", "w.yaml", "--target", "t"])
        .expect(0)
        .stdout;
    assert!(!plan.contains("would fail"), "{plan}");
    let generation = || -> Json {
        let istiod = mesh.get("cluster-1", "istio-system", "deployment/istiod");
        istiod["metadata"]["generation"].clone()
    };
    assert_eq!(generation(), 1, "a plan restarts nothing");
    mesh.test
        .windlass(&["run", "w.yaml", "--target", "t"])
        .expect(0);
    assert_eq!(generation(), 2);
}

/// The certificates are not known beforehand, so the workflow asks with values that stand for them.
#[test]
fn c9_the_mesh_finds_secrets_of_another_manager_before_it_makes_a_ca() {
    let mesh = Mesh::new(1, &[]);
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": { "name": "cacerts", "namespace": "istio-system" },
        "data": { "ca-cert.pem": "dGhlaXJz" },
    });
    mesh.test.write("secret.json", &secret.to_string());
    let file = mesh.test.path("secret.json").display().to_string();
    mesh.kubectl("cluster-1", &["apply", "--server-side", "-f", &file])
        .expect(0);
    let written_here = ["run", "workflows/gloo-mesh.yaml", "-p", "istio_ca=cacerts"];
    let run = [&written_here, FAST.as_slice()].concat();
    let ran = mesh.test.windlass(&run).expect(1);
    for part in [
        "secret cacerts in istio-system of cluster-1",
        "kubectl",
        "-p take_over=true",
    ] {
        ran.says(part);
    }
    let audit = mesh.test.windlass(&["audit", "--json"]).expect(0).json();
    assert_eq!(audit["calls"], json!({}), "{audit:#}");
    // On a target, the plan finds it.
    let plan = ["plan", "workflows/gloo-mesh.yaml", "--target", "t"];
    let plan = [plan.as_slice(), &["-p", "istio_ca=cacerts"]].concat();
    let plan = mesh.test.windlass(&plan).expect(2).stdout;
    assert!(plan.contains("secrets_fit"), "{plan}");
    let forced = [run.as_slice(), &["-p", "force=true"]].concat();
    mesh.test.windlass(&forced).expect(0);
}

/// A script that only tries what it would write is run for a plan, as one that only reads.
#[test]
fn a_plan_says_what_a_step_finds_that_only_tries_to_write() {
    let mesh = Mesh::new(0, &[]);
    let workflow = r##"workflow: w
kube: [mgmt]
steps:
  fits:
    run: |
      try {
          kube::apply("mgmt", #{
              apiVersion: "v1", kind: "ConfigMap", metadata: #{ name: "settings", namespace: "default" }, data: #{ a: "ours" },
          }, #{ dry_run: true });
      } catch (refused) {
          throw `it belongs to others: ${refused.message}`;
      }
  writes: { needs: [fits], run: 'file::write("x", "y")' }
"##;
    mesh.test.write("w.yaml", workflow);
    let plan = || mesh.test.windlass(&["plan", "w.yaml", "--target", "t"]);
    plan().expect(0);
    theirs(&mesh, "mgmt");
    let found = plan().expect(2);
    found.prints("it belongs to others");
}
