//! What is made from the tables of host functions and file keys: pages, schema, definitions, permissions.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::Command,
};

use serde_json::{Value as Json, json};

use crate::harness::{Test, fed};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// `WINDLASS_UPDATE=1` writes the page.
#[test]
fn the_reference_is_up_to_date() {
    let path = root().join("docs/reference.md");
    let made = windlass::report::reference();
    if std::env::var_os("WINDLASS_UPDATE").is_some() {
        std::fs::write(&path, &made).expect("written");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = made
        .lines()
        .zip(written.lines())
        .find(|(made, written)| made != written);
    assert!(
        made == written,
        "docs/reference.md is out of date, at {differs:?}; run this test with WINDLASS_UPDATE=1"
    );
}

/// Every function that the guide names, whole or as another name of a module that it names before, is there.
#[test]
fn the_guide_names_no_function_that_is_not_there() {
    let pages = std::fs::read_dir(root().join("docs/guide")).expect("the guide");
    let pages = pages.map(|page| std::fs::read_to_string(page.expect("a page").path()));
    let guide: String = pages.map(|text| text.expect("a text")).collect();
    let known: BTreeSet<_> = windlass::script::functions().map(|row| row.name).collect();
    let modules: BTreeSet<_> = windlass::script::functions()
        .map(|row| row.module())
        .collect();
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut named = 0;
    for (at, _) in guide.match_indices("::") {
        let module = guide[..at]
            .rsplit(|c| !is_word(c))
            .next()
            .unwrap_or_default();
        let name = guide[at + 2..]
            .split(|c| !is_word(c))
            .next()
            .unwrap_or_default();
        if modules.contains(module) && !name.is_empty() {
            let function = format!("{module}::{name}");
            assert!(
                known.contains(function.as_str()),
                "the guide names {function}"
            );
            named += 1;
        }
    }
    assert!(
        named > 60,
        "the reader of the guide finds only {named} functions"
    );
}

#[test]
fn explain_says_what_was_probably_meant() {
    let test = Test::new();
    for (word, hint) in [
        ("pca::issue", "did you mean `pca::issue_certificate`?"),
        ("resume", "it is a command: `windlass help resume`"),
        ("retri", "did you mean `retry`?"),
        ("xyzzy", "`windlass explain` lists all topics"),
    ] {
        let ran = test.windlass(&["explain", word]).expect(2);
        assert!(ran.stderr.contains(hint), "{word}: {}", ran.stderr);
    }
    // A key that holds others says what each of them is.
    let retry = test.windlass(&["explain", "retry"]).expect(0).stdout;
    assert!(
        retry.contains("attempts") && retry.contains("throttled"),
        "{retry}"
    );
}

#[test]
fn explain_shows_functions_keys_and_codes() {
    let test = Test::new();
    for topic in [
        "pca::issue_certificate",
        "kube::apply_secret",
        "retry",
        "unknown-option",
    ] {
        let shown = test.windlass(&["explain", topic]).expect(0).stdout;
        insta::assert_snapshot!(format!("explain_{}", topic.replace("::", "_")), shown);
    }
    // A word that is several things shows all of them.
    for (topic, said) in [
        ("run.status", "under `finally` only"),
        ("steps.x.status", "The status of a step can't be read"),
        ("bytes", "In JSON and YAML it is base64"),
        ("secret", "The value of a param may be a reference"),
        ("timestamp", "a time is a `string` in RFC 3339"),
    ] {
        let shown = test.windlass(&["explain", topic]).expect(0).stdout;
        let shown = shown.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(shown.contains(said), "{topic}: {shown}");
    }
    let timeout = test.windlass(&["explain", "workflow"]).expect(0).stdout;
    assert!(
        timeout.contains("of a workflow") && timeout.contains("of a step"),
        "{timeout}"
    );
    assert!(
        test.windlass(&["explain", "kube"])
            .expect(0)
            .stdout
            .contains("kube::restart(")
    );
    let all = test.windlass(&["explain"]).expect(0).stdout;
    assert!(
        all.contains("issue_certificate") && all.contains("for_each") && all.contains("in-doubt")
    );
    let unknown = test
        .windlass(&["explain", "pca::isue_certificate"])
        .expect(2)
        .stderr;
    assert!(
        unknown.contains("did you mean `pca::issue_certificate`?"),
        "{unknown}"
    );
}

/// No word of the terminal pages is longer than they are wide, however narrow.
#[test]
fn every_topic_fits_the_terminal() {
    let test = Test::new();
    let mut command = test.command(&["explain", "http::put"]);
    let shown = command.env("COLUMNS", "60").output().expect("it runs");
    let shown = String::from_utf8(shown.stdout).expect("text");
    let prose = shown.lines().filter(|line| line.starts_with("      "));
    for line in prose {
        assert!(line.chars().count() <= 60, "{line}");
    }
}

#[test]
fn definitions_hold_every_function() {
    let test = Test::new();
    test.windlass(&["definitions", "defs"]).expect(0);
    for row in windlass::script::functions() {
        let file = test.read(&format!("defs/{}.d.rhai", row.module()));
        assert!(
            file.contains(&format!("\nmodule {};\n", row.module())),
            "{file}"
        );
        let name = row.name.split("::").nth(1).expect("a name");
        let lines = file
            .lines()
            .filter(|line| line.starts_with(&format!("fn {name}(")));
        let variants = 1 + row.takes.len() - row.least_arguments();
        assert_eq!(lines.count(), variants, "{}", row.name);
    }
    let tls = test.read("defs/kube.d.rhai");
    assert!(
        tls.contains("fn delete(cluster: String, namespace: String, object: String);\n"),
        "{tls}"
    );
}

/// Holds documents against the schema with Python's `jsonschema`; gives the names of those that are refused, and why.
fn refused(documents: &BTreeMap<String, Json>) -> BTreeMap<String, String> {
    refused_by(&["schema"], documents)
}

fn refused_by(schema: &[&str], documents: &BTreeMap<String, Json>) -> BTreeMap<String, String> {
    const PROGRAM: &str = r"
import json, sys
from jsonschema import Draft202012Validator
given = json.load(sys.stdin)
Draft202012Validator.check_schema(given['schema'])
validator = Draft202012Validator(given['schema'])
found = {name: [e.message for e in validator.iter_errors(document)] for name, document in given['documents'].items()}
json.dump({name: errors[0] for name, errors in found.items() if errors}, sys.stdout)
";
    let schema: Json = Test::new().windlass(schema).expect(0).json();
    let given = json!({ "schema": schema, "documents": documents });
    let mut python = Command::new("python3");
    let ran = fed(python.args(["-c", PROGRAM]), &given.to_string());
    assert_eq!(
        ran.code, 0,
        "is jsonschema installed? pip install -r tests/requirements.txt"
    );
    serde_json::from_str(&ran.stdout).expect("JSON")
}

fn document(yaml: &str) -> Option<Json> {
    windlass::compile::parse_value(yaml)
        .ok()
        .map(|value| value.to_json())
}

#[test]
fn the_schema_takes_every_shipped_workflow() {
    let mut documents = BTreeMap::new();
    for entry in std::fs::read_dir(root().join("workflows")).expect("workflows") {
        let path = entry.expect("a file").path();
        let is_test = path.to_string_lossy().ends_with(".test.yaml");
        if path.extension().is_some_and(|end| end == "yaml") && !is_test {
            let text = std::fs::read_to_string(&path).expect("readable");
            let name = path.display().to_string();
            documents.insert(name.clone(), document(&text).expect(&name));
        }
    }
    assert!(documents.len() >= 7);
    assert_eq!(refused(&documents), BTreeMap::new());
}

/// The schema of test files takes all that are shipped, and refuses a key that is misspelt at any depth.
#[test]
fn the_schema_takes_every_test_file() {
    let mut documents = BTreeMap::new();
    for folder in ["workflows", "examples"] {
        let files = windlass::testing::find(&[root().join(folder)]).expect("test files");
        for path in files {
            let text = std::fs::read_to_string(&path).expect("readable");
            let name = path.display().to_string();
            documents.insert(name.clone(), document(&text).expect(&name));
        }
    }
    assert!(documents.len() >= 19, "{}", documents.len());
    assert_eq!(
        refused_by(&["schema", "--test"], &documents),
        BTreeMap::new()
    );
    let wrong = [
        "{ workflow: w.yaml, test: {} }",
        "{ tests: {} }",
        "{ workflow: w.yaml, script: s.rhai, tests: {} }",
        "{ workflow: w.yaml, tests: { a: { parms: {} } } }",
        "{ workflow: w.yaml, tests: { a: { kill: sometimes } } }",
        "{ workflow: w.yaml, tests: { a: { before: [{ params: {} }] } } }",
        "{ workflow: w.yaml, tests: { a: { given: [{ \"http::get\": {}, give: {} }] } } }",
        "{ workflow: w.yaml, tests: { a: { given: [{ \"http::get\": {}, fails: { class: odd } }] } } }",
        "{ workflow: w.yaml, tests: { a: { expect: { status: ok } } } }",
        "{ workflow: w.yaml, tests: { a: { expect: { certificates: { a.pem: { day: 1 } } } } } }",
        "{ workflow: w.yaml, tests: { a: { expect: { handshakes: some } } } }",
    ];
    let documents: BTreeMap<_, _> = wrong
        .iter()
        .map(|text| ((*text).to_owned(), document(text).expect(text)))
        .collect();
    let refused = refused_by(&["schema", "--test"], &documents);
    for text in wrong {
        assert!(refused.contains_key(text), "{text}");
    }
}

/// Every key of the tables is taken as its example says, and refused with a value of no form.
#[test]
fn the_schema_takes_every_example() {
    let mut documents = BTreeMap::new();
    for section in windlass::compile::SECTIONS {
        for key in section.keys {
            let entry = document(key.example).unwrap_or_else(|| panic!("{}", key.example));
            let entry = entry.as_object().expect("a map").clone();
            assert_eq!(entry.keys().collect::<Vec<_>>(), [key.name]);
            let mut map = serde_json::Map::new();
            let base = match section.name {
                "workflow" => json!({ "workflow": "w", "steps": { "a": { "run": "()" } } }),
                "step" if ["script", "run", "workflow", "approval"].contains(&key.name) => {
                    json!({})
                }
                "step" if key.only_with.is_some() => json!({ "approval": "?" }),
                "step" => json!({ "run": "()" }),
                "param" => json!({ "type": "string" }),
                "trigger" if ["schedule", "when_due", "webhook"].contains(&key.name) => json!({}),
                "trigger" if key.only_with == Some("when_due") => json!({ "when_due": "30d" }),
                "trigger" => json!({ "schedule": "@daily" }),
                _ => json!({}),
            };
            map.extend(base.as_object().expect("a map").clone());
            map.extend(entry);
            let whole = |map: Json| match section.name {
                "workflow" => map,
                "step" => json!({ "workflow": "w", "steps": { "a": map } }),
                "param" => {
                    json!({ "workflow": "w", "params": { "p": map }, "steps": { "a": { "run": "()" } } })
                }
                "trigger" => {
                    json!({ "workflow": "w", "triggers": [map], "steps": { "a": { "run": "()" } } })
                }
                "phase" => {
                    json!({ "workflow": "w", "phases": { "p": map }, "steps": { "a": { "run": "()" } } })
                }
                _ => json!({ "workflow": "w", "steps": { "a": { "run": "()", "retry": map } } }),
            };
            let name = format!("{}.{}", section.name, key.name);
            documents.insert(name.clone(), whole(Json::Object(map.clone())));
            map.insert(format!("{}x", key.name), json!(1));
            documents.insert(format!("{name} misspelt"), whole(Json::Object(map)));
        }
    }
    let refused = refused(&documents);
    for name in documents.keys() {
        assert_eq!(
            refused.contains_key(name),
            name.ends_with(" misspelt"),
            "{name}: {:?}",
            refused.get(name)
        );
    }
}

/// The schema refuses what `validate` refuses for its shape, and nothing that `validate` refuses for other reasons.
#[test]
fn the_schema_refuses_mistakes_of_shape() {
    /// Codes that are always of shape.
    const OF_SHAPE: [&str; 4] = ["unknown-key", "missing-key", "two-actions", "unknown-type"];
    /// Mistakes of shape whose codes may also be of values.
    const ALSO: [&str; 4] = [
        "a_bad_step_name",
        "a_bad_retry",
        "e8_a_list_of_steps",
        "conditions_that_are_texts",
    ];
    let mut documents = BTreeMap::new();
    let mut of_shape = BTreeSet::new();
    for (name, text) in crate::mistakes::WORKFLOWS {
        let Some(document) = document(text).filter(|document| !document.is_null()) else {
            continue;
        };
        let test = Test::new()
            .file("w.yaml", text)
            .file("step.rhai", crate::mistakes::STEP);
        let shown = test.windlass(&["validate", "w.yaml"]).stderr;
        if shown.lines().any(|line| OF_SHAPE.contains(&line)) || ALSO.contains(name) {
            of_shape.insert((*name).to_owned());
        }
        documents.insert((*name).to_owned(), document);
    }
    assert!(of_shape.len() >= 10, "{of_shape:?}");
    let refused = refused(&documents);
    let names: BTreeSet<_> = refused.keys().cloned().collect();
    assert_eq!(names, of_shape, "{refused:#?}");
}

/// A policy names the templates, tags and CAs that the files and params tell.
#[test]
fn iam_names_what_is_known() {
    let test = Test::with_shipped_workflows();
    let iam = ["iam", "workflows/gloo-mesh.yaml"];
    // Tags that a param gives may be any.
    let open = test.windlass(&iam).expect(0).json();
    let sids = open["Statement"].as_array().expect("statements").iter();
    assert!(sids.clone().all(|one| one["Sid"] != "Create"), "{open:#}");
    let tags = [
        "-p",
        "root_tags={Name: root}",
        "-p",
        "relay_tags={Name: relay}",
    ];
    let policy = test
        .windlass(&[iam.as_slice(), &tags].concat())
        .expect(0)
        .json();
    let statements = policy["Statement"].as_array().expect("statements");
    let of = |sid: &str| statements.iter().find(|one| one["Sid"] == sid);
    let issue = of("Issue").expect("its templates are known");
    let templates = &issue["Condition"]["StringLike"]["acm-pca:TemplateArn"];
    let templates: Vec<_> = templates
        .as_array()
        .expect("templates")
        .iter()
        .filter_map(Json::as_str)
        .collect();
    assert!(
        templates.contains(&"arn:*:acm-pca:::template/RootCACertificate/V1"),
        "{templates:?}"
    );
    assert!(
        templates
            .iter()
            .all(|arn| arn.starts_with("arn:*:acm-pca:::template/")),
        "{templates:?}"
    );
    let elsewhere = statements.iter().filter(|one| one["Sid"] != "Issue");
    for one in elsewhere {
        let actions = one["Action"].as_array().expect("actions");
        assert!(
            !actions.contains(&json!("acm-pca:IssueCertificate")),
            "{policy:#}"
        );
    }
    let create = of("Create").expect("its tags are known");
    assert_eq!(
        create["Condition"]["Null"]["aws:RequestTag/windlass:effect"],
        "false"
    );
    let keys = create["Condition"]["ForAllValues:StringEquals"]["aws:TagKeys"]
        .as_array()
        .expect("keys");
    assert!(keys.contains(&json!("Name")), "{create:#}");
    let names = &create["Condition"]["StringEqualsIfExists"]["aws:RequestTag/Name"];
    assert_eq!(names, &json!(["relay", "root"]));

    let test = Test::new()
        .file("sign.rhai", "const INPUTS = #{ ca: \"string\", template: \"string = EndEntityCertificate/V1\" };\nfn run(inputs) {\n    pca::issue_certificate(inputs.ca, #{ csr: \"x\", validity: \"1d\", template: inputs.template });\n    #{}\n}\n")
        .file("w.yaml", "workflow: w\nparams: { ca: string }\nsteps:\n  a: { script: sign.rhai, with: { ca: \"${{ params.ca }}\" } }\n");
    let arn = "arn:aws:acm-pca:us-east-1:123456789012:certificate-authority/11111111-2222-3333-4444-555555555555";
    let issue = |arguments: &[&str]| {
        let policy = test
            .windlass(&[&["iam", "w.yaml", "--without-undo"], arguments].concat())
            .expect(0)
            .json();
        policy["Statement"][0].clone()
    };
    assert_eq!(
        issue(&[])["Resource"],
        "arn:aws:acm-pca:*:*:certificate-authority/*"
    );
    let known = issue(&["-p", &format!("ca={arn}")]);
    assert_eq!(known["Resource"], arn);
    assert_eq!(
        known["Condition"]["StringLike"]["acm-pca:TemplateArn"],
        json!(["arn:*:acm-pca:::template/EndEntityCertificate/V1"])
    );
    let wrong = test
        .windlass(&["iam", "w.yaml", "-p", "cx=1"])
        .expect(2)
        .stderr;
    assert!(wrong.contains("no param `cx`"), "{wrong}");
}

/// What a policy can't cover is said, and is never taken for nothing.
#[test]
fn iam_says_what_it_does_not_know() {
    for (body, with_undo, said) in [
        (
            "secret::read(inputs.n)",
            true,
            "1 of the calls of secret::read",
        ),
        (
            "let u = #{ operation: \"DeleteObject\" }; aws::request(\"s3\", \"PutObject\", #{ Bucket: \"b\", Key: \"k\" }, #{ undo: u })",
            true,
            "the reversal of 1 of the calls of aws::request",
        ),
        (
            "let o = #{}; aws::request(\"sns\", \"CreateTopic\", #{ Name: \"x\" }, o)",
            true,
            "the reversal of 1 of the calls of aws::request",
        ),
        (
            "let s = \"s3\"; aws::request(s, \"GetObject\", #{})",
            false,
            "1 of the calls of aws::request: their service",
        ),
    ] {
        let text = format!(
            "workflow: w\nparams: {{ n: string }}\nsteps:\n  a:\n    with: {{ n: \"${{{{ params.n }}}}\" }}\n    run: |\n      {body};\n"
        );
        let test = Test::new().file("w.yaml", &text);
        let more: &[&str] = if with_undo { &[] } else { &["--without-undo"] };
        let ran = test
            .windlass(&[&["iam", "w.yaml"], more].concat())
            .expect(0);
        assert!(ran.stderr.contains(said), "{body}: {}", ran.stderr);
        assert!(
            !ran.stderr.contains("needs no permissions"),
            "{}",
            ran.stderr
        );
    }
    let known = "workflow: w\nsteps:\n  a:\n    run: |\n      secret::read(`ssm:/app/${1}`);\n      aws::request(\"s3\", \"PutObject\", #{ Bucket: \"b\", Key: \"k\" }, #{ undo: #{ operation: \"DeleteObject\", params: #{ Bucket: \"b\", Key: \"k\" } } });\n";
    let ran = Test::new()
        .file("w.yaml", known)
        .windlass(&["iam", "w.yaml"])
        .expect(0);
    assert_eq!(ran.stderr, "");
}

/// What may have any template, or any tag, is not limited to those that are known.
#[test]
fn iam_limits_nothing_that_is_not_known() {
    let body = |more: &str| {
        format!(
            "workflow: w\nsteps:\n  a:\n    run: |\n      let ca = pca::create_certificate_authority(#{{ type: \"ROOT\", tags: #{{ Name: \"x\" }} }});\n      pca::issue_certificate(ca, #{{ csr: \"x\", validity: \"1d\", template: \"RootCACertificate/V1\" }});\n{more}      #{{}}\n    with: {{ x: y }}\n"
        )
    };
    let sids = |text: &str| {
        let test = Test::new().file("w.yaml", text);
        let policy = test
            .windlass(&["iam", "w.yaml", "--without-undo"])
            .expect(0)
            .json();
        let statements = policy["Statement"].as_array().expect("statements").iter();
        let sids: Vec<_> = statements
            .map(|one| one["Sid"].as_str().unwrap_or_default().to_owned())
            .collect();
        sids.join(" ")
    };
    assert_eq!(
        sids(&body("")),
        "Create Account CertificateAuthorities Issue Tags"
    );
    for (more, expected) in [
        // AWS chooses the template, and has no key to ask about.
        (
            "      pca::issue_certificate(ca, #{ csr: \"x\", validity: \"1d\" });\n",
            "Create Account CertificateAuthorities Tags",
        ),
        (
            "      let options = #{}; pca::issue_certificate(ca, options);\n",
            "Create Account CertificateAuthorities Tags",
        ),
        // A script that changes its inputs may have any.
        (
            "      inputs.t = \"x\"; pca::issue_certificate(ca, #{ csr: \"x\", validity: \"1d\", template: inputs.t });\n",
            "Create Account CertificateAuthorities Tags",
        ),
        (
            "      let tags = #{}; pca::tag_certificate_authority(ca, tags);\n",
            "Account CertificateAuthorities Issue",
        ),
    ] {
        assert_eq!(sids(&body(more)), expected, "{more}");
    }
}
