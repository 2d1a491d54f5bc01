//! The host module `kube`: every function, against a rehearsal cluster, through the binary.

use serde_json::{Value as Json, json};

use crate::{certs::later, harness::Test, mesh::Mesh};

/// Calls every function of the module.
const EVERYTHING: &str = r#"
fn run(inputs) {
    let c = "mgmt";
    let ns = "default";
    kube::apply(c, #{ apiVersion: "v1", kind: "ConfigMap", metadata: #{ name: "a", namespace: ns }, data: #{ x: "1" } });
    let got = kube::get(c, ns, "configmap/a");
    got.data.y = "2";
    // What was read and changed may be applied as it is.
    kube::apply(c, got, #{ force: true });
    kube::patch(c, ns, "cm/a", #{ data: #{ x: "3" } });
    kube::patch(c, ns, "cm/a", [#{ op: "replace", path: "/data/y", value: "4" }], #{ type: "json" });
    let seen = kube::wait_until(c, ns, "configmaps/a", |found| found != () && found.data.y == "4", "10s");
    let missing = kube::wait_until(c, ns, "configmaps/none", |found| found == (), "10s");
    kube::apply_secret(c, ns, "s", #{ a: "text" }, #{ labels: #{ app: "x" } });
    let same = kube::secret_differences(c, ns, "s", #{ a: "text" });
    let other = kube::secret_differences(c, ns, "s", #{ a: "other", b: "more" });
    let listed = kube::list(c, "", "secrets", #{ labels: "app=x" });
    let policies = kube::list(c, "gloo-mesh", "roottrustpolicies.admin.gloo.solo.io");
    let workloads = kube::workloads(c, "gloo-mesh", ());
    let server = "deployment/gloo-mesh-mgmt-server";
    let before = kube::pods(c, "gloo-mesh", server);
    let at = kube::restart(c, "gloo-mesh", server);
    // A rolling update replaces its pods by itself.
    let evicted = kube::replace_pods(c, "gloo-mesh", server, "1m", #{ restarted: at });
    kube::wait_rollout(c, "gloo-mesh", server, "1m", #{ restarted: at });
    kube::wait_rollouts(c, [#{ namespace: "gloo-mesh", workload: server, restarted: at }], "1m");
    let after = kube::pods(c, "gloo-mesh", server);
    let events = kube::events(c, "gloo-mesh", `pod/${after[0].name}`);
    // The management server has no certificate yet, and nothing listens on the other port.
    let deaf = [
        code(|| kube::tls_chain(c, "gloo-mesh", after[0].name, 9900)),
        code(|| kube::http_get(c, "gloo-mesh", after[0].name, 9092, "/metrics")),
    ];
    kube::delete(c, ns, "configmap/a");
    kube::delete(c, ns, "configmap/a");
    let gone = kube::find(c, ns, "configmap/a");
    #{
        x: seen.data.x, missing: missing == (), same: same, other: other, listed: listed.len(),
        policies: policies.len(), workloads: workloads.map(|w| w.workload),
        replaced: before[0].name != after[0].name && after[0].ready,
        restarted: kube::get(c, "gloo-mesh", server).spec.template.metadata.annotations["kubectl.kubernetes.io/restartedAt"] == at,
        evicted: evicted, events: events.some(|e| e.reason == "Started"), gone: gone == (), deaf: deaf,
    }
}
fn code(act) { try { act.call(); } catch (e) { return e.code; } "" }
"#;

#[test]
fn every_function_works_on_a_rehearsal_cluster() {
    let test = Test::new().file("all.rhai", EVERYTHING).file(
        "w.yaml",
        "workflow: w\nkube: [mgmt]\nsteps: { all: { script: all.rhai } }\noutputs: { all: \"${{ steps.all }}\" }\n",
    );
    let outputs = test.outputs_of(&["w.yaml"]);
    assert_eq!(
        outputs["all"],
        serde_json::json!({
            "x": "3", "missing": true, "same": [], "other": ["a", "b"], "listed": 1, "policies": 1,
            "workloads": ["deployment/gloo-mesh-mgmt-server"], "replaced": true, "restarted": true,
            "evicted": 0, "events": true, "gone": true, "deaf": ["NotForwarded", "NotForwarded"],
        })
    );
    test.windlass(&["undo", "--yes"]).expect(0);
}

#[test]
fn every_function_is_called_here() {
    for row in windlass::script::functions().filter(|row| row.module() == "kube") {
        let call = format!("{}(", row.name);
        assert!(EVERYTHING.contains(&call), "{} is not called", row.name);
    }
}

/// Two secrets, an undo, and another one: our own patches are no other manager's.
#[test]
fn a_rotation_after_an_undone_one_owns_its_fields() {
    let test = Test::new().file(
        "w.yaml",
        "workflow: w\nkube: [mgmt]\nparams: { v: string }\nsteps:\n  s:\n    with: { v: \"${{ params.v }}\" }\n    run: |\n      kube::apply_secret(\"mgmt\", \"default\", \"s\", #{ a: inputs.v });\n      #{}\n",
    );
    test.windlass(&["run", "w.yaml", "-p", "v=one"]).expect(0);
    test.windlass(&["run", "w.yaml", "-p", "v=two"]).expect(0);
    test.windlass(&["undo", "--yes"]).expect(0);
    test.windlass(&["run", "w.yaml", "-p", "v=three"]).expect(0);
}

#[test]
fn a_cluster_that_the_workflow_does_not_name_is_not_there() {
    let test = Test::new().file(
        "w.yaml",
        "workflow: w\nkube: [mgmt]\nsteps:\n  s:\n    run: |\n      kube::list(\"../../escaped\", \"\", \"pods\");\n      #{}\n",
    );
    let ran = test.windlass(&["run", "w.yaml"]).expect(1);
    ran.says("speaks to no Kubernetes cluster");
    ran.says("`kube:` names mgmt");
    test.write(
        "w.yaml",
        "workflow: w\nkube: [../x]\nsteps: { s: { run: '#{}' } }\n",
    );
    let ran = test.windlass(&["run", "w.yaml"]).expect(2);
    ran.says("is not a valid cluster name");
}

#[test]
fn what_has_no_rollout_is_not_waited_for() {
    let test = Test::new();
    for call in [
        "wait_rollout(\"mgmt\", \"default\", \"service/kubernetes\", \"5m\")",
        "pods(\"mgmt\", \"default\", \"service/kubernetes\")",
    ] {
        test.write("w.yaml", &format!("workflow: w\nkube: [mgmt]\nsteps:\n  s:\n    run: |\n      kube::{call};\n      #{{}}\n"));
        let ran = test.windlass(&["run", "w.yaml"]).expect(1);
        ran.says("NoWorkload");
    }
}

/// The manifests of docs/distributed.md, as a reader applies them.
#[test]
fn the_manifests_of_many_machines_are_taken_by_a_cluster() {
    let page = include_str!("../docs/distributed.md");
    let blocks = page.split("```yaml\n").skip(1);
    let blocks = blocks.filter(|block| block.starts_with("apiVersion"));
    let blocks: Vec<_> = blocks
        .filter_map(|block| block.split("```").next())
        .collect();
    let manifests = &blocks.join("---\n");
    let mesh = crate::mesh::Mesh::new(1, &[]);
    mesh.test.write("many.yaml", manifests);
    let file = mesh.test.path("many.yaml").display().to_string();
    let create = ["create", "namespace", "windlass"];
    mesh.kubectl("mgmt", &create).expect(0);
    for way in [
        &["apply"][..],
        &["apply", "--server-side", "--force-conflicts"],
    ] {
        let apply = [way, &["-n", "windlass", "-f", &file]].concat();
        mesh.kubectl("mgmt", &apply).expect(0);
    }
    let secret = |name: &str, more: &[&str]| {
        let create = ["create", "secret", "generic", name, "-n", "windlass"];
        mesh.kubectl("mgmt", &[&create, more].concat()).expect(0);
    };
    for name in ["restate-identity", "windlass-identity", "windlass-tls"] {
        secret(name, &[]);
    }
    secret("windlass-worker-tls", &["--from-literal=ca.crt=a"]);
    for create in [
        ["serviceaccount", "windlass-worker"],
        ["configmap", "windlass-config"],
        ["configmap", "windlass-workflows"],
    ] {
        let create = [&["create", "-n", "windlass"], &create[..]].concat();
        mesh.kubectl("mgmt", &create).expect(0);
    }
    for workload in [
        "statefulset/restate",
        "deployment/windlass-worker-v1",
        "deployment/windlass",
    ] {
        let status = [
            "rollout",
            "status",
            workload,
            "-n",
            "windlass",
            "--timeout",
            "30s",
        ];
        mesh.kubectl("mgmt", &status).expect(0);
    }
    let service = mesh.get("mgmt", "windlass", "service/restate");
    assert_eq!(service["spec"]["ports"][0]["targetPort"], 8080);
    assert!(
        service["spec"]["clusterIP"]
            .as_str()
            .is_some_and(|ip| ip.starts_with("10.96."))
    );
}

/// An object with finalizers is there until they are removed, and what is written to it goes with it.
#[test]
fn what_is_still_being_deleted_is_not_gone() {
    let mesh = Mesh::new(0, &[]);
    let object = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "data": { "a": "precious" },
        "metadata": { "name": "kept", "namespace": "default", "finalizers": ["example.com/kept"] },
    });
    mesh.test.write("kept.json", &object.to_string());
    let file = mesh.test.path("kept.json").display().to_string();
    mesh.kubectl("mgmt", &["create", "-f", &file]).expect(0);
    let workflow = |body: &str| {
        let text = format!("workflow: w\nkube: [mgmt]\nsteps:\n  s:\n    run: |\n      {body}\n");
        mesh.test.write("w.yaml", &text);
    };
    let run = ["run", "w.yaml", "--target", "t"];
    let delete = |timeout: &str| {
        workflow(&format!(
            r##"kube::delete("mgmt", "default", "configmap/kept", #{{ timeout: "{timeout}" }})"##
        ));
    };
    delete("1s");
    let ran = mesh.test.windlass(&run).expect(1);
    ran.says("it is still being deleted; it has the finalizers example.com/kept");
    // The API server has accepted it, so an undo would create the object again.
    let plan = mesh.test.windlass(&["undo", "--plan"]).expect(0);
    plan.prints("create configmap/kept in default of mgmt again");
    workflow(
        r#"kube::apply("mgmt", #{ apiVersion: "v1", kind: "ConfigMap", metadata: #{ name: "kept", namespace: "default" }, data: #{ b: "new" } })"#,
    );
    // Its dry run finds it before anything is changed.
    let ran = mesh.test.windlass(&run).expect(2);
    ran.says("it is still being deleted");
    // An undo creates it again when it is gone.
    delete("0s");
    mesh.test.windlass(&run).expect(0);
    let mut undo = mesh.test.start(&["undo", "--yes"]);
    let freed = r#"{"metadata":{"finalizers":null}}"#;
    let free = [
        "patch",
        "configmap/kept",
        "-n",
        "default",
        "--type",
        "merge",
        "-p",
        freed,
    ];
    mesh.kubectl("mgmt", &free).expect(0);
    assert!(undo.wait().expect("ended").success());
    let found = mesh.get("mgmt", "default", "configmap/kept");
    assert_eq!(found["data"]["a"], "precious");
    assert_eq!(found["metadata"]["deletionTimestamp"], Json::Null);
}

/// An undo that put back what has expired meanwhile would cut off what works.
#[test]
fn an_undo_restores_no_certificate_that_has_expired() {
    let mesh = Mesh::new(0, &[]);
    let leaf = [
        "-days",
        "1",
        "-addext",
        "basicConstraints=critical,CA:FALSE",
    ];
    mesh.test.certify("/CN=old", ("old.key", "old.crt"), &leaf);
    let file = format!(
        "--from-file=tls.crt={}",
        mesh.test.path("old.crt").display()
    );
    let create = ["create", "secret", "generic", "tls", "-n", "default", &file];
    mesh.kubectl("mgmt", &create).expect(0);
    let step = r##"kube::apply_secret("mgmt", "default", "tls", #{ "tls.crt": "new" }, #{ force: true })"##;
    let workflow = format!("workflow: w\nkube: [mgmt]\nsteps:\n  s:\n    run: |\n      {step}\n");
    mesh.test.write("w.yaml", &workflow);
    let run = ["run", "w.yaml", "--target", "t"];
    mesh.test.windlass(&run).expect(0);
    mesh.test
        .windlass(&["undo", "--plan"])
        .expect(0)
        .prints("to be reversed, in this order (1)");
    let planned = later(&mesh.test, "+2d", &["undo", "--plan"]).expect(0);
    planned.prints("what it had in tls.crt expired on");
    later(&mesh.test, "+2d", &["undo", "--yes"]).expect(0);
    let found = mesh.get("mgmt", "default", "secret/tls");
    assert_eq!(found["data"]["tls.crt"], "bmV3");
}
