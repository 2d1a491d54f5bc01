//! `windlass plan` of a rotation: what each phase replaces, read from the mesh that is there, before anything is done.

use serde_json::Value as Json;

use crate::{
    harness::Test,
    mesh::{FAST, Mesh},
    rotation::{CLUSTERS, made_with},
};

/// The part of a plan before what it calls, without what differs from mesh to mesh.
fn planned(test: &mut Test, columns: &str, file: &str, more: &[&str]) -> String {
    test.set("COLUMNS", columns);
    let file = format!("workflows/{file}");
    let plan = [&["plan", &file], more].concat();
    let text = test.windlass(&plan).expect(0).stdout;
    let (above, _) = text.split_once("\n  Changes\n").unwrap_or((&text, ""));
    let of_phases = above.split("\n\n").filter(|part| part.contains("Phase "));
    for line in of_phases.flat_map(str::lines) {
        let width = line.chars().count();
        // A word that is longer than a line, such as an ARN, has a line of its own.
        let is_a_word = line.split_whitespace().count() == 1;
        assert!(
            is_a_word || width <= columns.parse().expect("a number"),
            "{width}: {line}"
        );
    }
    masked(above)
}

/// Serial numbers, days and identifiers are other ones each time.
fn masked(text: &str) -> String {
    let mut masked = String::new();
    let mut rest = text;
    while let Some(at) = ["serial ", "until ", "certificate-authority/", "issuing-ca-"]
        .into_iter()
        .filter_map(|mark| Some(rest.find(mark)? + mark.len()))
        .min()
    {
        let (before, after) = rest.split_at(at);
        let is_id = |c: char| c.is_ascii_hexdigit() || c == '-' || c == ':';
        masked.push_str(before);
        masked.push('•');
        rest = after.trim_start_matches(is_id);
    }
    masked + rest
}

fn plan_json(mesh: &Mesh, file: &str, more: &[&str]) -> Json {
    let file = format!("workflows/{file}");
    let plan = [&["plan", &file, "--json"], more].concat();
    mesh.test.windlass(&plan).expect(0).json()
}

fn phase<'a>(plan: &'a Json, name: &str) -> &'a [Json] {
    let phases = plan["phases"].as_array().expect("phases");
    let phase = phases.iter().find(|phase| phase["name"] == name);
    let replaces = &phase.expect("the phase")["replaces"];
    replaces.as_array().expect("it is known")
}

/// What a mesh of one cluster is made with.
fn small(istio_ca: &str) -> Test {
    let test = Test::with_shipped_workflows();
    let istio_ca = format!("istio_ca={istio_ca}");
    let run = ["run", "workflows/gloo-mesh.yaml", "-p", &istio_ca];
    test.windlass(&[&run, FAST.as_slice()].concat()).expect(0);
    test
}

#[test]
fn a_plan_says_what_a_rotation_replaces_by_what() {
    let mut test = small("gloo");
    let all = ["-p", "force=true"];
    insta::assert_snapshot!(
        "rotate_root_at_120",
        planned(&mut test, "120", "rotate-root.yaml", &all)
    );
    insta::assert_snapshot!(
        "rotate_root_at_80",
        planned(&mut test, "80", "rotate-root.yaml", &all)
    );
    insta::assert_snapshot!(
        "rotate_issuing_ca_at_80",
        planned(&mut test, "80", "rotate-issuing-ca.yaml", &all)
    );
    let leaves = ["-p", "cluster=cluster-1"];
    let leaving = planned(&mut test, "80", "retire-cluster.yaml", &leaves);
    // What is revoked is named by whole serial numbers.
    let (removed, revoked) = leaving.split_once("  Phase revoke: ").expect("the phase");
    insta::assert_snapshot!("retire_cluster_at_80", removed);
    assert!(revoked.contains(": revoked\n"), "{revoked}");
    insta::assert_snapshot!(
        "rotate_leaf_that_is_not_due",
        planned(&mut test, "80", "rotate-leaf.yaml", &[])
    );
}

#[test]
fn a_plan_says_what_a_rotation_replaces_where_clusters_have_cas_of_their_own() {
    let mut test = small("cacerts");
    let all = ["-p", "force=true"];
    for (name, file) in [
        ("cacerts_rotate_root", "rotate-root.yaml"),
        ("cacerts_rotate_issuing_ca", "rotate-issuing-ca.yaml"),
        ("rotate_relay_ca", "rotate-relay-ca.yaml"),
        ("rotate_leaf", "rotate-leaf.yaml"),
    ] {
        insta::assert_snapshot!(name, planned(&mut test, "100", file, &all));
    }
}

/// What a plan said is there before the run is what the mesh holds, and what it said will be there is there after it.
#[test]
fn what_a_plan_said_comes_true() {
    let mesh = made_with("cacerts", &[]);
    let all = ["-p", CLUSTERS, "-p", "force=true"];
    let plan = plan_json(&mesh, "rotate-leaf.yaml", &all);
    let held = |row: &Json| {
        let cluster = row["cluster"].as_str().expect("a cluster");
        let object = row["object"].as_str().expect("an object");
        let (secret, key) = object.split_once(" in gloo-mesh (").expect("a secret");
        let key = key.trim_end_matches(')');
        let found = mesh.get(cluster, "gloo-mesh", secret);
        let text = found["data"][key].as_str().expect("it has the key");
        let pem = data_encoding::BASE64.decode(text.as_bytes());
        mesh.test.write(
            "held.pem",
            &String::from_utf8(pem.expect("base64")).expect("PEM"),
        );
        let show = [
            "x509", "-in", "held.pem", "-noout", "-serial", "-subject", "-issuer", "-nameopt",
            "RFC2253",
        ];
        mesh.test.openssl(&show).expect(0).stdout
    };
    let rows = [phase(&plan, "issue_server"), phase(&plan, "issue_clients")].concat();
    assert_eq!(rows.len(), 3, "{plan:#}");
    let text = |part: &Json, name: &str| part[name].as_str().unwrap_or_default().to_owned();
    for row in &rows {
        let now = held(row);
        let serial = text(&row["now"][0], "serial").replace(':', "");
        let serial = serial.trim_start_matches('0').to_uppercase();
        assert!(now.contains(&serial), "{now}\n{row:#}");
    }
    mesh.test
        .windlass(&[["run", "workflows/rotate-leaf.yaml"].as_slice(), &all].concat())
        .expect(0);
    for row in &rows {
        let then = held(row);
        let wanted = [
            format!("subject={}\n", text(&row["then"][0], "subject")),
            format!("issuer={}\n", text(&row["then"][0], "issuer")),
        ];
        assert!(
            wanted.iter().all(|part| then.contains(part)),
            "{then}\n{row:#}"
        );
        let serial = text(&row["now"][0], "serial").replace(':', "");
        let serial = serial.trim_start_matches('0').to_uppercase();
        assert!(!then.contains(&serial), "{then}\n{row:#}");
    }
}

/// A plan knows which steps run, and where, from what the steps before them read.
#[test]
fn a_plan_knows_which_steps_run_where_there_is_a_mesh() {
    let test = small("gloo");
    let json = |more: &[&str]| {
        let plan = ["plan", "workflows/rotate-root.yaml", "--json"];
        test.windlass(&[plan.as_slice(), more].concat())
            .expect(0)
            .json()
    };
    let authorities = test.authorities();
    let due = json(&["-p", "force=true"]);
    let step = |plan: &Json, name: &str| {
        let steps = plan["steps"].as_array().expect("steps").clone();
        let found = steps.into_iter().find(|step| step["step"] == name);
        found.expect("the step")
    };
    assert_eq!(step(&due, "gloo_signs")["runs"], true);
    assert_eq!(step(&due, "clusters_sign")["runs"], false);
    assert_eq!(
        step(&due, "agents")["names"],
        serde_json::json!(["cluster-1"])
    );
    // Each read above was made; nothing that a run would make was.
    let not_due = json(&[]);
    assert_eq!(step(&not_due, "new_root")["runs"], false);
    assert_eq!(test.authorities(), authorities);
    let runs = test.windlass(&["runs", "--json"]).expect(0).json();
    assert_eq!(runs.as_array().map(Vec::len), Some(1), "{runs:#}");
    // Without a look at the target nothing of it is known.
    let blind = json(&["-p", "force=true", "--no-dry-run"]);
    assert_eq!(step(&blind, "gloo_signs")["runs"], Json::Null);
    assert_eq!(blind["phases"][0]["replaces"], Json::Null);
}

#[test]
fn a_plan_in_an_empty_folder_makes_no_server() {
    let test = Test::with_shipped_workflows();
    let plan = ["plan", "workflows/rotate-root.yaml"];
    let text = test.windlass(&plan).expect(0).stdout;
    let unknown = "Replaces: not known until the run has read the current state";
    assert_eq!(text.matches(unknown).count(), 6, "{text}");
    assert!(!test.path(".windlass").exists());
}

#[test]
fn rows_that_are_none_are_refused() {
    let test = Test::new().file(
        "w.yaml",
        "workflow: w\nphases: { p: { replaces: [{ object: x, then: [{ name: y }] }] } }\nsteps:\n  a: { phase: p, run: \"log::info('x')\" }\n",
    );
    let said = test.windlass(&["plan", "w.yaml"]).expect(2).stderr;
    assert!(
        said.contains("`replaces` of the phase p, row 1: expected a string or a certificate"),
        "{said}"
    );
    let unknown = "workflow: w\nphases: { p: { replaces: \"${{ steps.b.x }}\" } }\nsteps:\n  a: { phase: p, run: \"log::info('x')\" }\n";
    test.write("w.yaml", unknown);
    let said = test.windlass(&["validate", "w.yaml"]).expect(2).stderr;
    assert!(said.contains("there is no step `b`"), "{said}");
}

/// A plan says what the run would refuse, and nothing is done.
#[test]
fn a_plan_says_that_a_rotation_would_be_refused() {
    let mesh = made_with("gloo", &[]);
    let plan = [
        "plan",
        "workflows/rotate-root.yaml",
        "-p",
        "force=true",
        "-p",
        "clusters=[cluster-1]",
    ];
    let planned = mesh.test.windlass(&plan).expect(2).stdout;
    let (_, refused) = planned
        .split_once("\nthese steps would fail:\n")
        .expect("it is said");
    assert!(refused.contains("all_clusters"), "{refused}");
    assert!(refused.contains("cluster-2"), "{refused}");
}
