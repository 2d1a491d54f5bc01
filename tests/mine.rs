//! What is mine to undo: an undo takes back what its run left, and nothing that is no longer so.

use serde_json::Value as Json;

use crate::{cluster::served::Clusters, crash::on_the_server, harness::Test, mesh::FAST};

struct World {
    test: Test,
    served: Clusters,
}

impl World {
    fn new() -> Self {
        let test = Test::with_shipped_workflows();
        let names = ["mgmt".to_owned(), "cluster-1".to_owned()];
        let served = Clusters::serve(&test, &names, &[]);
        Self { test, served }
    }

    /// Runs a workflow and gives the run's id.
    fn run(&self, arguments: &[&str]) -> String {
        self.test
            .windlass(&[&["run"], arguments].concat())
            .expect(0);
        let id = self.test.shown()["run"].clone();
        id.as_str().expect("an id").to_owned()
    }

    fn kubectl(&self, context: &str, arguments: &[&str]) -> String {
        self.served
            .kubectl(&self.test, context, arguments)
            .expect(0)
            .stdout
    }

    fn data(&self, context: &str, namespace: &str, secret: &str) -> String {
        self.kubectl(
            context,
            &[
                "get",
                "--ignore-not-found",
                "secret",
                secret,
                "-n",
                namespace,
                "-o",
                "jsonpath={.data}",
            ],
        )
    }

    /// The secrets of the mesh.
    fn secrets(&self) -> Vec<String> {
        [
            ("mgmt", "gloo-mesh", "relay-root-tls-secret"),
            ("mgmt", "gloo-mesh", "relay-server-tls-secret"),
            ("cluster-1", "gloo-mesh", "relay-root-tls-secret"),
            ("cluster-1", "gloo-mesh", "relay-client-tls-secret"),
            ("cluster-1", "istio-system", "cacerts"),
        ]
        .map(|(context, namespace, secret)| self.data(context, namespace, secret))
        .into()
    }
}

fn kinds(plan: &Json, what: &str) -> Vec<String> {
    let items = plan.as_array().expect("a list").iter();
    items
        .filter(|item| {
            item["what"]
                .as_str()
                .is_some_and(|text| text.contains(what))
        })
        .map(|item| item["kind"].as_str().expect("a kind").to_owned())
        .collect()
}

#[test]
fn a1_an_undo_leaves_the_secrets_of_a_newer_run() {
    let world = World::new();
    let mesh = ["workflows/gloo-mesh.yaml", "-p", "istio_ca=cacerts"];
    let mesh = [&mesh, FAST.as_slice()].concat();
    let first = world.run(&mesh);
    world.run(&[mesh.as_slice(), &["-p", "force=true"]].concat());
    let of_second = world.secrets();
    let root = world.test.read("out/root-ca.pem");

    let plan = world
        .test
        .windlass(&["undo", &first, "--plan", "--json"])
        .expect(2)
        .json();
    let written = ["secret/", "root-ca.pem", "relay-int.pem"];
    for what in written {
        let kinds = kinds(&plan, what);
        assert!(
            !kinds.is_empty() && kinds.iter().all(|kind| kind == "left"),
            "{what}: {kinds:?}"
        );
    }
    let undone = world
        .test
        .windlass(&["undo", &first, "--yes", "--force"])
        .expect(0);
    undone.says("left as it is");
    assert_eq!(world.secrets(), of_second);
    assert_eq!(world.test.read("out/root-ca.pem"), root);

    // Log, table and audit say what the plan said.
    let logs = world.test.windlass(&["logs", &first]).expect(0).stdout;
    assert!(
        logs.contains("left as it is: it has been changed since the step ran: data."),
        "{logs}"
    );
    let shown = world.test.windlass(&["show", &first]).expect(0).stdout;
    for step in ["root_file", "mgmt_secrets", "istio_secrets"] {
        let row = shown.lines().find(|row| row.contains(step)).expect("a row");
        assert!(row.contains(", stays"), "{row}");
    }
    let root_ca = shown
        .lines()
        .find(|row| row.contains("root_ca "))
        .expect("a row");
    assert!(root_ca.contains("undone"), "{root_ca}");
    let audit = world
        .test
        .windlass(&["audit", &first, "--json"])
        .expect(0)
        .json();
    // The trust policy as well: the newer run has noted that it needs it.
    for function in ["kube::delete", "kube::restore", "file::restore"] {
        assert_eq!(audit["calls"][function], Json::Null, "{function}");
    }
    // The newer run goes back to what it found, which the older one had left.
    let refused = world.test.windlass(&["undo", "--yes"]).expect(2);
    refused.says("has been undone since");
    world.test.windlass(&["undo", "--yes", "--force"]).expect(0);
    assert!(world.test.path("out/root-ca.pem").exists());
}

#[test]
fn a1_what_a_person_applied_since_stays() {
    let world = World::new();
    let mesh = ["workflows/gloo-mesh.yaml", "-p", "istio_ca=cacerts"];
    let mesh = [&mesh, FAST.as_slice()].concat();
    world.run(&mesh);
    let theirs = r#"{"data":{"ca-cert.pem":"dGhlaXJz"}}"#;
    let patch = [
        "patch",
        "secret",
        "cacerts",
        "-n",
        "istio-system",
        "--type",
        "merge",
        "-p",
        theirs,
    ];
    world.kubectl("cluster-1", &patch);
    // An object that is made anew is another one, whatever it holds.
    let copy = world.kubectl(
        "mgmt",
        &[
            "get",
            "secret",
            "relay-root-tls-secret",
            "-n",
            "gloo-mesh",
            "-o",
            "yaml",
        ],
    );
    world.test.write("copy.yaml", &copy);
    let path = world.test.path("copy.yaml").display().to_string();
    world.kubectl(
        "mgmt",
        &[
            "delete",
            "secret",
            "relay-root-tls-secret",
            "-n",
            "gloo-mesh",
        ],
    );
    world.kubectl("mgmt", &["create", "-f", &path]);

    world.test.windlass(&["undo", "--yes"]).expect(0);
    assert!(
        world
            .data("cluster-1", "istio-system", "cacerts")
            .contains("dGhlaXJz")
    );
    assert_ne!(world.data("mgmt", "gloo-mesh", "relay-root-tls-secret"), "");
    assert_eq!(
        world.data("mgmt", "gloo-mesh", "relay-server-tls-secret"),
        ""
    );
}

/// A person added a root to a Secret that a run made: what is in it is in use, and stays valid.
#[test]
fn what_uses_a_certificate_keeps_it_and_its_ca() {
    let world = World::new();
    let mesh = ["workflows/gloo-mesh.yaml", "-p", "istio_ca=cacerts"];
    world.run(&[&mesh, FAST.as_slice()].concat());
    let patch = [
        "patch",
        "secret",
        "relay-client-tls-secret",
        "-n",
        "gloo-mesh",
        "--type",
        "merge",
        "-p",
        r#"{"data":{"ca.crt":"dGhlaXJz"}}"#,
    ];
    world.kubectl("cluster-1", &patch);

    let test = &world.test;
    let plan = test
        .windlass(&["undo", "--plan", "--json"])
        .expect(0)
        .json();
    let of_revocations = kinds(&plan, "revoke certificate");
    let planned = |kind: &str| of_revocations.iter().filter(|it| *it == kind).count();
    // The client's certificate and that of the relay CA; the server's and Istio's are taken back.
    assert_eq!((planned("left"), planned("reversed")), (2, 2), "{plan}");
    assert_eq!(kinds(&plan, "disable and delete"), ["left", "left"]);
    let undone = test.windlass(&["undo", "--yes"]).expect(0);
    undone.says(
        "secret/relay-client-tls-secret in gloo-mesh of cluster-1, which is left as it is, uses it",
    );

    let states = on_the_server(test, "SELECT status FROM authority");
    assert_eq!(states, ["ACTIVE", "ACTIVE"]);
    let revoked = on_the_server(test, "SELECT serial FROM revocation");
    assert_eq!(revoked.len(), 2, "{revoked:?}");
    let certs = test.windlass(&["certs"]).expect(0).stdout;
    assert!(!certs.contains("revoked"), "{certs}");
}

/// Nothing revokes the certificate of a root, so its use keeps the CA itself.
#[test]
fn what_uses_the_certificate_of_a_root_keeps_its_ca() {
    let world = World::new();
    world.test.write(
        "w.yaml",
        "workflow: w
kube: [mgmt]
steps:
  root:
    workflow: workflows/authority.yaml
    with: { type: ROOT, name: root, subject: { common_name: Root }, validity: 30d, key_algorithm: EC_prime256v1, signing_algorithm: SHA256WITHECDSA, template: RootCACertificate/V1 }
  trust:
    with: { root: \"${{ steps.root.certificate }}\" }
    run: |
      kube::apply_secret(\"mgmt\", \"default\", \"trust\", #{ \"ca.crt\": inputs.root });
",
    );
    world.run(&["w.yaml"]);
    let patch = [
        "patch",
        "secret",
        "trust",
        "-n",
        "default",
        "--type",
        "merge",
        "-p",
        r#"{"data":{"theirs":"eA=="}}"#,
    ];
    world.kubectl("mgmt", &patch);
    let test = &world.test;
    let plan = test.windlass(&["undo", "--plan", "--json"]);
    let plan = plan.expect(0).json();
    assert_eq!(kinds(&plan, "disable and delete"), ["left"], "{plan}");
    let undone = test.windlass(&["undo", "--yes"]).expect(0);
    undone.says("secret/trust in default of mgmt, which is left as it is, uses it");
    let states = on_the_server(test, "SELECT status FROM authority");
    assert_eq!(states, ["ACTIVE"]);
}

/// Two effects on one object: the plan of the earlier one is judged by what the later one's leaves.
#[test]
fn a1_effects_on_one_thing_are_planned_together() {
    let world = World::new();
    world.test.write(
        "w.yaml",
        "workflow: w
kube: [mgmt]
steps:
  s:
    run: |
      kube::apply(\"mgmt\", #{ apiVersion: \"v1\", kind: \"ConfigMap\", metadata: #{ name: \"a\", namespace: \"default\" }, data: #{ x: \"1\" } });
      kube::patch(\"mgmt\", \"default\", \"configmap/a\", #{ data: #{ x: \"2\" } });
      file::write(\"f\", \"1\");
      file::write(\"f\", \"2\");
",
    );
    world.run(&["w.yaml"]);
    let plan = world
        .test
        .windlass(&["undo", "--plan", "--json"])
        .expect(0)
        .json();
    let all = kinds(&plan, "");
    assert_eq!(all, ["reversed"; 4], "{plan}");
    world.test.windlass(&["undo", "--yes"]).expect(0);
    assert_eq!(
        world.kubectl(
            "mgmt",
            &["get", "configmap", "a", "-o", "name", "--ignore-not-found"]
        ),
        ""
    );
    assert!(!world.test.path("out/f").exists());

    // What is back already needs nothing.
    world.run(&["w.yaml"]);
    world.kubectl("mgmt", &["delete", "configmap", "a"]);
    std::fs::remove_file(world.test.path("out/f")).expect("removed");
    let plan = world.test.windlass(&["undo", "--plan"]).expect(0).stdout;
    assert!(plan.contains("nothing to reverse:"), "{plan}");
    world.test.windlass(&["undo", "--yes"]).expect(0);
}

const AUTHORITY: &str = r#"workflow: w
params: { ca: { type: string, default: "" }, name: { type: string }, actions: { type: list(string) } }
steps:
  ca:
    when: ${{ params.ca == "" }}
    run: |
      let ca = pca::create_certificate_authority(#{ type: "ROOT", subject: #{ common_name: "A" }, key_algorithm: "EC_prime256v1", signing_algorithm: "SHA256WITHECDSA" });
      pca::wait_until_csr_ready(ca);
      let own = pca::issue_certificate(ca, #{ csr: pca::certificate_authority_csr(ca), template: "RootCACertificate/V1", validity: "30d", signing_algorithm: "SHA256WITHECDSA" });
      pca::import_certificate_authority_certificate(ca, #{ certificate: pca::wait_until_issued(ca, own).certificate });
      pca::wait_until_active(ca);
      #{ arn: ca }
  change:
    with: { ca: "${{ if params.ca == '' { steps.ca.arn } else { params.ca } }}", name: "${{ params.name }}", actions: "${{ params.actions }}" }
    run: |
      pca::tag_certificate_authority(inputs.ca, #{ Name: inputs.name });
      pca::delete_permission(inputs.ca, #{ principal: "acm.amazonaws.com" });
      pca::create_permission(inputs.ca, #{ principal: "acm.amazonaws.com", actions: inputs.actions });
outputs: { arn: "${{ steps.ca?.arn ?? '' }}" }
"#;

#[test]
fn a1_tags_and_permissions_of_a_newer_run_stay() {
    let test = Test::new();
    let create = AUTHORITY.replace(
        "      pca::delete_permission(inputs.ca, #{ principal: \"acm.amazonaws.com\" });\n",
        "",
    );
    test.write("first.yaml", &create);
    let first = [
        "run",
        "first.yaml",
        "-p",
        "name=one",
        "-p",
        "actions=[IssueCertificate]",
    ];
    test.windlass(&first).expect(0);
    let arn = test.windlass(&["outputs", "--json"]).expect(0).json()["arn"].clone();
    let first = test.shown()["run"].as_str().expect("an id").to_owned();
    let ca = format!("ca={}", arn.as_str().expect("an ARN"));
    let second = [
        "run",
        "w.yaml",
        "-p",
        &ca,
        "-p",
        "name=two",
        "-p",
        "actions=[GetCertificate, IssueCertificate]",
    ];
    let head = AUTHORITY.split_once("steps:").expect("a head").0;
    let change = AUTHORITY.split_once("  change:").expect("a step").1;
    let change = change
        .replace(
            "if params.ca == '' { steps.ca.arn } else { params.ca }",
            "params.ca",
        )
        .split_once("outputs:")
        .expect("outputs")
        .0
        .to_owned();
    test.write("w.yaml", &format!("{head}steps:\n  change:{change}"));
    test.windlass(&second).expect(0);
    let plan = test
        .windlass(&["undo", &first, "--plan", "--json"])
        .expect(2)
        .json();
    assert_eq!(kinds(&plan, "tags of"), ["left"], "{plan}");
    assert_eq!(kinds(&plan, "permission of"), ["left"], "{plan}");
    // The newer run puts back what it found.
    test.windlass(&["undo", "--yes"]).expect(0);
    let plan = test
        .windlass(&["undo", &first, "--plan", "--json"])
        .expect(0)
        .json();
    assert_eq!(kinds(&plan, "tags of"), ["reversed"], "{plan}");
    assert_eq!(kinds(&plan, "permission of"), ["reversed"], "{plan}");
}

#[test]
fn a1_a_permission_that_grants_something_else_is_no_success() {
    let test = Test::new().file("w.yaml", AUTHORITY);
    let twice = AUTHORITY.replace("pca::delete_permission(inputs.ca, #{ principal: \"acm.amazonaws.com\" });", "pca::create_permission(inputs.ca, #{ principal: \"acm.amazonaws.com\", actions: [\"GetCertificate\"] });");
    test.write("w.yaml", &twice);
    let run = [
        "run",
        "w.yaml",
        "-p",
        "name=one",
        "-p",
        "actions=[IssueCertificate]",
    ];
    let refused = test.windlass(&run).expect(1);
    refused.says("has another permission (GetCertificate)");
}
