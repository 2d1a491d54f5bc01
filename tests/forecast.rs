//! `windlass plan`: what a run would change, how many calls that is, and what it costs.

use serde_json::json;

use crate::harness::Test;

const MAIN: &str = "workflow: w
params:
  names: list(string)
  more: { type: 'list(string)', default: [] }
steps:
  ca:
    script: ca.rhai
    with: { name: Root }
  leaf:
    workflow: leaf.yaml
    for_each: ${{ params.names }}
    with: { ca: \"${{ steps.ca.arn }}\", validity: 30d }
  later:
    for_each: ${{ steps.ca.all }}
    run: |
      file::write(\"later\", \"x\")
  skipped:
    when: ${{ params.names.len() > 9 }}
    run: |
      file::remove(\"x\");
";
const LEAF: &str = "workflow: leaf
params: { ca: string, validity: duration }
steps:
  sign:
    script: sign.rhai
    with: { ca: \"${{ params.ca }}\", validity: \"${{ params.validity }}\" }
";
const CA: &str = "const INPUTS = #{ name: \"string\", kind: \"string = ROOT\" };
const OUTPUTS = #{ arn: \"string\", all: \"list\" };
fn run(inputs) {
    let ca = pca::create_certificate_authority(#{ type: inputs.kind, subject: #{ common_name: inputs.name }, tags: #{ Name: \"x\" } });
    #{ arn: ca, all: [ca] }
}
";
const SIGN: &str = "const INPUTS = #{ ca: \"string\", validity: \"duration\" };
fn run(inputs) {
    let arn = pca::issue_certificate(inputs.ca, #{ csr: \"c\" + \"d\", template: \"EndEntityCertificate/V1\", validity: inputs.validity });
    pca::wait_until_issued(inputs.ca, arn);
    #{}
}
";

fn planned() -> Test {
    Test::new()
        .file("w.yaml", MAIN)
        .file("leaf.yaml", LEAF)
        .file("ca.rhai", CA)
        .file("sign.rhai", SIGN)
}

#[test]
fn a_plan_says_what_each_call_changes_and_what_it_costs() {
    let plan = ["plan", "w.yaml", "-p", "names=[a, b, c]"];
    insta::assert_snapshot!(planned().windlass(&plan).expect(0).stdout);
}

#[test]
fn a_plan_for_programs_has_changes_calls_and_costs() {
    let test = planned();
    let plan = ["plan", "w.yaml", "-p", "names=[a, b, c]", "--json"];
    let json = test.windlass(&plan).expect(0).json();
    let changes = json["changes"].as_array().expect("a list");
    let of = |function: &str| {
        let mut found = changes
            .iter()
            .filter(|change| change["function"] == function);
        found.next().expect("it is there").clone()
    };
    let create = of("pca::create_certificate_authority");
    assert_eq!(create["does"], "creates");
    assert_eq!(
        create["arguments"],
        json!({ "type": "ROOT", "subject": { "common_name": "Root" }, "tags": { "Name": "x" } })
    );
    let issue = of("pca::issue_certificate");
    assert_eq!(issue["count"], 3);
    assert_eq!(issue["step"], "leaf/sign");
    assert_eq!(issue["arguments"]["validity"], "30d");
    assert_eq!(issue["known_later"], json!(["ca", "csr"]));
    assert!(
        changes
            .iter()
            .all(|change| change["function"] != "file::remove"),
        "{changes:?}"
    );
    let calls = json["calls"].as_array().expect("a list");
    let call = |function: &str| {
        calls
            .iter()
            .find(|call| call["function"] == function)
            .expect("it is there")
    };
    assert_eq!(call("pca::issue_certificate")["aws_a_second"], 25);
    assert_eq!(call("pca::create_certificate_authority")["aws_a_second"], 1);
    assert_eq!(call("file::write")["at_least"], true);
    let cost = &json["cost"];
    assert_eq!(cost["usd_a_month"], 400.0);
    assert_eq!(cost["usd_once"], 2.25);
    assert_eq!(
        cost["prices"][1],
        json!({
            "mode": "short-lived", "usd_a_month": 50.0, "certificates": [{ "up_to": null, "usd": 0.058 }],
        })
    );
    assert!(
        cost["source"]
            .as_str()
            .is_some_and(|source| source.contains("2025-07-01"))
    );
    assert!(!test.path(".windlass").exists(), "a plan leaves nothing");
}

/// A secret among the params is known, and not shown.
#[test]
fn a_plan_shows_no_secret() {
    let test = Test::new().file(
        "w.yaml",
        "workflow: w\nparams: { p: secret, u: string }\nsteps:\n  s:\n    with: { p: \"${{ params.p }}\", u: \"${{ params.u }}\" }\n    \
         run: |\n      http::put(inputs.u, #{ json: #{ password: inputs.p } });\n",
    );
    for option in [&["--json"][..], &[]] {
        let plan = [
            &[
                "plan",
                "w.yaml",
                "-p",
                "p=hunter2hunter2",
                "-p",
                "u=https://a.example",
            ],
            option,
        ]
        .concat();
        let ran = test.windlass(&plan).expect(0);
        assert!(!ran.stdout.contains("hunter2"), "{}", ran.stdout);
        ran.prints("https://a.example");
    }
}

const UNDONE: &str = "import \"lib\" as lib;
const INPUTS = #{ name: \"string\" };
const OUTPUTS = #{ url: \"string\" };
fn run(inputs) {
    lib::say(inputs.name);
    http::put(\"https://a.example\", #{ json: #{ name: inputs.name } });
    #{ url: \"https://a.example/1\" }
}
fn undo(inputs, outputs) {
    lib::say(inputs.name);
    http::delete(outputs.url);
    exec::run(\"restore\", [inputs.name]);
}
";

/// What an undo would do is no part of the run, nor is what a library has for others.
#[test]
fn a_plan_tells_what_an_undo_calls_from_what_the_run_calls() {
    let test = Test::new()
        .file("w.yaml", "workflow: w\nparams: { on: bool }\nsteps:\n  s: { script: s.rhai, with: { name: app } }\n  t: { script: s.rhai, with: { name: other }, when: '${{ params.on }}' }\n")
        .file("s.rhai", UNDONE)
        .file("lib.rhai", "fn say(name) { file::write(\"said\", name) }\nfn unused() { file::remove(\"x\") }\n");
    let plan = ["plan", "w.yaml", "-p", "on=false"];
    let shown = test.windlass(&plan).expect(0).stdout;
    let (run, undo) = shown
        .split_once("Changes of `fn undo` in its scripts")
        .expect("an undo");
    for (part, has, lacks) in [
        (run, ["http::put", "file::write"], "http::delete"),
        (undo, ["http::delete", "exec::run"], "http::put"),
    ] {
        for call in has {
            assert!(part.contains(call), "no {call} in {part}");
        }
        assert!(
            !part.contains(lacks) && !part.contains("file::remove"),
            "{part}"
        );
    }
    assert!(!run.contains("exec::run"), "{run}");
    let json = test
        .windlass(&[&plan[..], &["--json"]].concat())
        .expect(0)
        .json();
    let of = |part: &str| -> Vec<_> {
        let changes = json[part].as_array().expect("a list").iter();
        let named = changes.map(|change| (change["step"].clone(), change["function"].clone()));
        named.collect()
    };
    let of_s = |function: &str| (json!("s"), json!(function));
    assert_eq!(of("changes"), ["file::write", "http::put"].map(of_s));
    assert_eq!(
        of("undo"),
        ["exec::run", "file::write", "http::delete"].map(of_s)
    );
    assert_eq!(json["undo"][0]["arguments"]["arguments"], json!(["app"]));
    assert_eq!(json["undo"][2]["known_later"], json!(["url"]));
    // What is granted covers both.
    let table = &json["calls"].as_array().expect("a list");
    assert!(
        table.iter().all(|call| call["function"] != "exec::run"),
        "{table:?}"
    );
}
