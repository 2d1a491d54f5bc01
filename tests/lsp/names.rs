//! Completion, hover, definitions, references, renames, symbols and edges, on the shipped workflows.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};
use windlass::compile::{Edge, Folder, compile};

use super::{GLOO_MESH, client::Client, place, place_of};
use crate::harness::Test;

/// Opens a file with a text in place of another, and asks what may stand at its end: `^`, or else behind it.
fn completed(client: &mut Client, file: &str, original: &str, old: &str, new: &str) -> Vec<String> {
    let at = original
        .find(old)
        .unwrap_or_else(|| panic!("no {old} in {file}"));
    let cursor = at + new.find('^').unwrap_or(new.len());
    let text = original.replacen(old, &new.replace('^', ""), 1);
    client.change(file, &text);
    let items = client.at("completion", file, place(&text, cursor));
    let items = items.as_array().unwrap_or_else(|| panic!("{items}"));
    let mut labels: Vec<_> = items
        .iter()
        .map(|item| item["label"].as_str().expect("a label").to_owned())
        .collect();
    labels.sort();
    labels
}

#[test]
fn what_may_stand_there_is_offered() {
    let test = Test::with_shipped_workflows();
    let text = test.read(GLOO_MESH);
    let mut client = Client::start(&test);
    client.open(GLOO_MESH, &text);
    let mut offered = |old: &str, new: &str| completed(&mut client, GLOO_MESH, &text, old, new);
    let has = |offered: &[String], wanted: &[&str]| {
        for wanted in wanted {
            assert!(
                offered.iter().any(|label| label == wanted),
                "{wanted} is not in {offered:?}"
            );
        }
    };
    // Outputs, in an expression that has no end yet: the file is not valid YAML.
    assert_eq!(
        offered("ca: ${{ steps.root_ca.arn }}", "ca: \"${{ steps.root_ca."),
        ["arn", "csr"]
    );
    // Of each item, and not of the map of them.
    has(
        &offered("steps.relay_client[item].key", "steps.relay_client[item].^"),
        &["certificate", "key"],
    );
    assert!(offered("steps.relay_client[item].key", "steps.relay_client.").is_empty());
    has(
        &offered("csr: ${{ steps.root_ca.csr", "csr: ${{ steps.^"),
        &["root_ca", "relay_ca"],
    );
    has(
        &offered("${{ params.root_validity }}", "${{ params."),
        &["root_validity", "clusters"],
    );
    assert_eq!(
        offered("${{ params.root_validity }}", "${{ ^"),
        ["params", "run", "steps", "target"]
    );
    assert_eq!(
        offered("${{ target.kube }}", "${{ target."),
        ["kube", "name"]
    );
    // Inputs of a script, without those that are given.
    let inputs = offered("      name: root-ca\n", "      \n      ^");
    assert_eq!(inputs, ["chain", "name"]);
    // Values: of a template, through the workflow in between; of keys of the file.
    has(
        &offered("template: RootCACertificate/V1", "template: R^"),
        &["RootCACertificate/V1", "EndEntityCertificate/V1"],
    );
    has(
        &offered("template: EndEntityClientAuthCertificate/V1", "template: ^"),
        &["RootCACertificate/V1"],
    );
    has(
        &offered(
            "subject: ${{ params.root_subject }}\n      key_algorithm: ${{ params.ca_key_algorithm }}",
            "subject: ${{ params.root_subject }}\n      key_algorithm: ^",
        ),
        &["EC_prime256v1", "RSA_2048"],
    );
    has(
        &offered("needs: [trust_policy]", "needs: [tr"),
        &["trust_policy", "root_ca"],
    );
    has(
        &offered("max_parallel: 8", "on_error: ^"),
        &["continue", "fail"],
    );
    has(
        &offered("type: list(string)", "type: "),
        &["duration", "map(string)"],
    );
    has(
        &offered("script: steps/download.rhai", "script: steps/"),
        &["download.rhai", "sign_csr.rhai"],
    );
    has(
        &offered("workflow: certificate.yaml", "workflow: "),
        &["certificate.yaml", "restart-cluster.yaml"],
    );
    // Keys, of a file that is broken at this very line.
    let keys = offered("    max_parallel: 8\n", "    ti^\n");
    has(&keys, &["timeout", "retry", "needs"]);
    assert!(
        !keys.contains(&"with".to_owned()) && !keys.contains(&"script".to_owned()),
        "{keys:?}"
    );
    has(
        &offered("    timeout: 5m\n", "    retry:\n      ^\n"),
        &["attempts", "backoff", "on"],
    );
    has(
        &offered("\noutputs:\n", "\non^\noutputs:\n"),
        &["on_failure", "concurrency"],
    );
    // A script, half written.
    let script = test.read("workflows/steps/create_ca.rhai");
    let file = "workflows/steps/create_ca.rhai";
    client.open(file, &script);
    let mut offered = |old: &str, new: &str| completed(&mut client, file, &script, old, new);
    has(
        &offered("pca::wait_until_csr_ready(arn);", "pca::wait"),
        &["wait_until_csr_ready", "describe_certificate_authority"],
    );
    assert_eq!(
        offered("        tags: inputs.tags,\n", "        ^\n"),
        ["tags"],
        "options that are not given"
    );
    has(
        &offered("type: inputs.type,", "type: \"R^"),
        &["ROOT", "SUBORDINATE"],
    );
    has(
        &offered("type: inputs.type,", "type: inputs.^"),
        &["subject", "tags", "type"],
    );
    has(
        &offered("subject: inputs.subject,", "subject: #{ ^"),
        &["common_name", "organization"],
    );
    has(
        &offered("tags: \"map(string) = {}\"", "tags: \"^"),
        &["map(string)", "string"],
    );
    has(
        &offered("let arn = pca", "let x = ke"),
        &["key", "kube", "inputs"],
    );
    // An empty file begins somewhere.
    client.open("new.yaml", "");
    assert_eq!(
        completed(&mut client, "new.yaml", "", "", "wo"),
        ["workflow"]
    );
    assert_eq!(client.stop(), Some(0));
}

#[test]
fn names_are_explained() {
    let test = Test::with_shipped_workflows();
    let text = test.read(GLOO_MESH);
    let mut client = Client::start(&test);
    client.open(GLOO_MESH, &text);
    let script_file = "workflows/steps/create_ca.rhai";
    let script = test.read(script_file);
    client.open(script_file, &script);
    let mut about = |file: &str, text: &str, wanted: &str| {
        // The last letter, so that `steps.root_ca.arn` asks about `arn`.
        let (line, character) = place_of(text, wanted).1;
        let hover = client.at("hover", file, (line, character - 1));
        hover["contents"]["value"]
            .as_str()
            .unwrap_or_else(|| panic!("{wanted}: {hover}"))
            .to_owned()
    };
    let mut says = |file: &str, text: &str, wanted: &str, expected: &[&str]| {
        let about = about(file, text, wanted);
        for expected in expected {
            assert!(
                about.contains(expected),
                "{wanted}: no {expected} in {about}"
            );
        }
    };
    says(
        GLOO_MESH,
        &text,
        "retry",
        &["Retries the step after a failure."],
    );
    says(
        GLOO_MESH,
        &text,
        "root_cert",
        &[
            "steps/sign_csr.rhai",
            "`ca` (string)",
            "Runs after `root_ca`",
        ],
    );
    says(
        GLOO_MESH,
        &text,
        "ca: ${{ steps.root_ca.arn",
        &["arn: string", "create_ca.rhai"],
    );
    says(
        GLOO_MESH,
        &text,
        "${{ params.root_subject",
        &["root_subject: map(string) = {"],
    );
    says(GLOO_MESH, &text, "${{ params", &["The params of the run."]);
    says(
        GLOO_MESH,
        &text,
        "      csr",
        &["csr: string", "An input of `sign_csr.rhai`"],
    );
    says(
        GLOO_MESH,
        &text,
        "script: steps/create_ca.rhai",
        &[
            "Creates a certificate authority",
            "`tags` (map(string) = {})",
        ],
    );
    says(
        GLOO_MESH,
        &text,
        "workflow: certificate.yaml\n    for_each",
        &["Runs the step once for each item"],
    );
    says(
        script_file,
        &script,
        "pca::create_certificate_authority",
        &["acm-pca:CreateCertificateAuthority", "#{ type,", "undo"],
    );
    says(
        script_file,
        &script,
        "let arn = pca",
        &["wait_until_csr_ready"],
    );
    says(
        script_file,
        &script,
        "        signing_algorithm",
        &[
            "by default one that fits the key",
            "pca::create_certificate_authority",
        ],
    );
    says(
        script_file,
        &script,
        "type: inputs.type",
        &["type: string", "ROOT or SUBORDINATE"],
    );
    // While the file does not parse.
    let broken = text.replacen("    timeout: 5m\n", "    timeout: 5m\n   bad: [\n", 1);
    client.change(GLOO_MESH, &broken);
    let mut about = |wanted: &str| {
        let (line, character) = place_of(&broken, wanted).1;
        client.at("hover", GLOO_MESH, (line, character - 1))["contents"]["value"].clone()
    };
    assert!(
        about("csr: ${{ steps.relay_ca.csr")
            .as_str()
            .expect("a text")
            .contains("csr: string")
    );
}

/// Where an answer leads: `FILE:LINE:CHARACTER`, both from 0.
fn places(client: &Client, answer: &Json) -> Vec<String> {
    let root = client.uri("");
    let places = answer
        .as_array()
        .unwrap_or_else(|| panic!("{answer}"))
        .iter()
        .map(|location| {
            let file = location["uri"]
                .as_str()
                .expect("a URI")
                .strip_prefix(&root)
                .expect("inside");
            let start = &location["range"]["start"];
            format!("{file}:{}:{}", start["line"], start["character"])
        });
    places.collect()
}

#[test]
fn a_name_leads_to_where_it_is_declared() {
    let test = Test::with_shipped_workflows()
        .file("workflows/lib/naming.rhai", "// Names a thing.\nfn of(x) { x }\n")
        .file("workflows/steps/named.rhai", "import \"../lib/naming\" as naming;\nfn run(inputs) { naming::of(own()) }\nfn own() { 1 }\n");
    let text = test.read(GLOO_MESH);
    let mut client = Client::start(&test);
    client.open(GLOO_MESH, &text);
    let named = test.read("workflows/steps/named.rhai");
    client.open("workflows/steps/named.rhai", &named);
    // From the last letter of one text to the beginning of another.
    let mut leads = |file: &str, text: &str, from: &str, (target, to): (&str, &str)| {
        let (line, character) = place_of(text, from).1;
        let answer = client.at("definition", file, (line, character - 1));
        let (line, character) = place_of(&test.read(target), to).0;
        assert_eq!(
            places(&client, &answer),
            [format!("{target}:{line}:{character}")],
            "{from}"
        );
    };
    let create = "workflows/steps/create_ca.rhai";
    let sign = "workflows/steps/sign_csr.rhai";
    leads(
        GLOO_MESH,
        &text,
        "script: steps/create_ca.rhai",
        (create, "//! Creates"),
    );
    leads(
        GLOO_MESH,
        &text,
        "workflow: certificate.yaml",
        (
            "workflows/certificate.yaml",
            &test.read("workflows/certificate.yaml")[..9],
        ),
    );
    leads(
        GLOO_MESH,
        &text,
        "ca: ${{ steps.root_ca",
        (GLOO_MESH, "root_ca:\n"),
    );
    leads(
        GLOO_MESH,
        &text,
        "ca: ${{ steps.root_ca.arn",
        (create, "arn: \"string\", csr"),
    );
    leads(
        GLOO_MESH,
        &text,
        "${{ params.root_subject",
        (GLOO_MESH, "root_subject:"),
    );
    leads(GLOO_MESH, &text, "      csr", (sign, "csr: \"string\""));
    leads(
        GLOO_MESH,
        &text,
        "needs: [secrets_fit",
        (GLOO_MESH, "secrets_fit:"),
    );
    let named_file = "workflows/steps/named.rhai";
    leads(
        named_file,
        &named,
        "import \"../lib/naming",
        ("workflows/lib/naming.rhai", "// Names"),
    );
    leads(
        named_file,
        &named,
        "naming::of",
        ("workflows/lib/naming.rhai", "of(x)"),
    );
    leads(named_file, &named, "(own", (named_file, "own() {"));
    // References: all that read it, in both files.
    let mut params = client.place(GLOO_MESH, place_of(&text, "  root_ca:").1);
    params["position"]["character"] = json!(4);
    params["context"] = json!({ "includeDeclaration": true });
    let answer = client.request("textDocument/references", params);
    let (reads, needs) = ("steps.root_ca.", "needs: [root_ca]");
    assert_eq!(
        places(&client, &answer).len(),
        1 + text.matches(reads).count() + text.matches(needs).count()
    );
    let script = test.read(sign);
    client.open(sign, &script);
    let mut params = client.place(sign, place_of(&script, "    validity: \"").0);
    params["position"]["character"] = json!(6);
    params["context"] = json!({ "includeDeclaration": false });
    let answer = client.request("textDocument/references", params);
    let found = places(&client, &answer);
    let files: BTreeSet<_> = found
        .iter()
        .map(|place| place.split(':').next().expect("a file"))
        .collect();
    assert_eq!(
        files.into_iter().collect::<Vec<_>>(),
        [
            "workflows/authority.yaml",
            "workflows/certificate.yaml",
            GLOO_MESH,
            sign
        ]
    );
}

/// Applies an edit to the saved files.
fn apply(test: &Test, client: &Client, edit: &Json) -> usize {
    let root = client.uri("");
    let mut count = 0;
    for (uri, edits) in edit["changes"]
        .as_object()
        .unwrap_or_else(|| panic!("{edit}"))
    {
        let file = uri.strip_prefix(&root).expect("inside");
        let mut text = test.read(file);
        let offset = |text: &str, position: &Json| {
            let (line, character) = (
                position["line"].as_u64().expect("a line"),
                position["character"].as_u64().expect("a character"),
            );
            let start: usize = text
                .split_inclusive('\n')
                .take(line as usize)
                .map(str::len)
                .sum();
            let mut units = 0;
            let inside = text[start..].char_indices().find(|(_, c)| {
                let is_here = units >= character as usize;
                units += c.len_utf16();
                is_here
            });
            start + inside.map_or(0, |(at, _)| at)
        };
        let mut edits: Vec<_> = edits.as_array().expect("a list").clone();
        edits.sort_by_key(|edit| std::cmp::Reverse(offset(&text, &edit["range"]["start"])));
        for edit in edits {
            let range =
                offset(&text, &edit["range"]["start"])..offset(&text, &edit["range"]["end"]);
            text.replace_range(range, edit["newText"].as_str().expect("a text"));
            count += 1;
        }
        test.write(file, &text);
    }
    count
}

#[test]
fn a_rename_changes_every_place_in_every_file() {
    let test = Test::with_shipped_workflows();
    let all = [
        "certificate",
        "drain-patch-verify",
        "gloo-mesh",
        "patch-host",
        "restart-cluster",
        "restart-mesh",
        "rotate-db-password",
    ];
    let files: Vec<_> = all
        .iter()
        .map(|name| format!("workflows/{name}.yaml"))
        .collect();
    let certificate = "workflows/certificate.yaml";
    let sign = "workflows/steps/sign_csr.rhai";
    let renames = [
        // A step, a param of the file itself, one that others give, an input and an output of a script.
        (GLOO_MESH, "  root_ca:", 4, "root_authority"),
        (GLOO_MESH, "  clusters:", 4, "workloads"),
        (certificate, "  ca:", 3, "authority"),
        (sign, "    validity: \"", 6, "lifetime"),
        (sign, " certificate: \"string\"", 3, "signed"),
    ];
    for (file, wanted, column, new) in renames {
        let text = test.read(file);
        let mut client = Client::start(&test);
        client.open(file, &text);
        let (line, start) = place_of(&text, wanted).0;
        let place = client.place(file, (line, start + column));
        let prepared = client.request("textDocument/prepareRename", place.clone());
        let old = prepared["placeholder"].as_str().expect("a name").to_owned();
        let mut params = place.clone();
        params["newName"] = json!(new);
        let edit = client.request("textDocument/rename", params.clone());
        assert!(apply(&test, &client, &edit) > 2, "{old}: {edit}");
        // Names that can't be are refused, with the reason.
        for bad in ["not-a-word", "match", ""] {
            params["newName"] = json!(bad);
            let refused = client
                .ask("textDocument/rename", params.clone())
                .expect_err(bad);
            assert!(!refused["message"].as_str().expect("a reason").is_empty());
        }
        let mut arguments = vec!["validate"];
        arguments.extend(files.iter().map(String::as_str));
        test.windlass(&arguments).expect(0);
        assert!(test.read(file).contains(new));
        assert_eq!(client.stop(), Some(0));
    }
}

/// A read or an output that is not seen would have another meaning afterwards, without an error.
#[test]
fn a_rename_that_can_t_see_all_places_is_refused() {
    let script = "const INPUTS = #{ ca: \"string\", b: \"string?\" };\nconst OUTPUTS = #{ arn: \"string\" };\nfn helper(inputs) { inputs.ca }\nfn run(inputs) {\n    if inputs.ca == \"\" { return #{ arn: \"none\" }; }\n    #{ arn: helper(inputs) }\n}\n";
    let workflow = "workflow: w\nparams: { who: string }\ntriggers:\n  - { schedule: \"@daily\", params: { who: z } }\nsteps:\n  a: { script: s.rhai, with: { ca: \"${{ params.who }}\" } }\n  b: { with: { x: 1 }, run: \"log::info(inputs); #{ y: 2 }\" }\n";
    let test = Test::new().file("s.rhai", script).file("w.yaml", workflow);
    let mut client = Client::start(&test);
    client.open("s.rhai", script);
    client.open("w.yaml", workflow);
    for (file, text, wanted, reason) in [
        ("s.rhai", script, "ca: \"string", "passes its inputs on"),
        ("s.rhai", script, "arn: \"string", "ends at a `return`"),
        ("w.yaml", workflow, "x: 1", "passes its inputs on"),
    ] {
        let (line, column) = place_of(text, wanted).0;
        let mut params = client.place(file, (line, column + 1));
        params["newName"] = json!("other");
        let refused = client.ask("textDocument/rename", params).expect_err(wanted);
        let message = refused["message"].as_str().expect("a reason");
        assert!(message.contains(reason), "{wanted}: {message}");
    }
    let (line, column) = place_of(workflow, "who: string").0;
    let mut params = client.place("w.yaml", (line, column + 1));
    params["newName"] = json!("whom");
    let edit = client.request("textDocument/rename", params);
    assert_eq!(apply(&test, &client, &edit), 3, "{edit}");
    test.windlass(&["validate", "w.yaml"]).expect(0);
    assert_eq!(client.stop(), Some(0));
}

/// An item of a step is named in brackets or behind a dot, or its brackets are computed.
#[test]
fn a_rename_of_an_output_follows_reads_of_items() {
    let script = "const OUTPUTS = #{ arn: \"string\", parts: \"list\" };\nfn run(inputs) {\n    #{ arn: \"x\", parts: [1] }\n}\n";
    let workflow = "workflow: w\nparams: { n: { type: int, default: 0 } }\nsteps:\n  each: { for_each: [a, b], script: s.rhai }\n  one: { script: s.rhai }\n  c:\n    for_each: [a]\n    with:\n      named: \"${{ steps.each['a'].arn }}\"\n      dotted: \"${{ steps.each.a.arn }}\"\n      computed: \"${{ steps.each[item].arn }}\"\n      part: \"${{ steps.one.parts[params.n] }} ${{ steps.each.a.parts[params.n] }}\"\n    run: ()\n";
    let test = Test::new().file("s.rhai", script).file("w.yaml", workflow);
    for (wanted, new, count) in [
        ("arn: \"string", "address", 5),
        ("parts: \"list", "pieces", 4),
    ] {
        let text = test.read("s.rhai");
        let mut client = Client::start(&test);
        client.open("s.rhai", &text);
        client.open("w.yaml", &test.read("w.yaml"));
        let (line, column) = place_of(&text, wanted).0;
        let mut params = client.place("s.rhai", (line, column + 1));
        params["newName"] = json!(new);
        let edit = client.request("textDocument/rename", params);
        assert_eq!(apply(&test, &client, &edit), count, "{edit}");
        test.windlass(&["validate", "w.yaml"]).expect(0);
        assert_eq!(client.stop(), Some(0));
    }
}

#[test]
fn a_file_has_its_parts_and_edges() {
    let test = Test::with_shipped_workflows();
    let text = test.read(GLOO_MESH);
    let mut client = Client::start(&test);
    client.open(GLOO_MESH, &text);
    let document = json!({ "textDocument": { "uri": client.uri(GLOO_MESH) } });
    let symbols = client.request("textDocument/documentSymbol", document);
    let names = |parts: &Json| {
        let parts = parts.as_array().expect("a list").iter();
        parts
            .map(|part| part["name"].as_str().expect("a name").to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&symbols), ["params", "steps", "outputs"]);
    let compiled = compile("gloo-mesh.yaml", &mut Folder::new(test.path("workflows")));
    let Ok(program) = compiled else {
        panic!("it is valid")
    };
    let workflow = program.workflow;
    assert_eq!(
        names(&symbols[1]["children"]).len(),
        workflow.steps().count()
    );
    // The edges are those that the compiler finds.
    let lines = text.lines().count();
    let range =
        json!({ "start": { "line": 0, "character": 0 }, "end": { "line": lines, "character": 0 } });
    let params = json!({ "textDocument": { "uri": client.uri(GLOO_MESH) }, "range": range });
    let hints = client.request("textDocument/inlayHint", params);
    let shown = hints.as_array().expect("a list").iter().map(|hint| {
        let line = hint["position"]["line"].as_u64().expect("a line") as usize;
        let step = text
            .lines()
            .nth(line)
            .expect("a line")
            .trim()
            .trim_end_matches(':')
            .to_owned();
        let names = hint["label"]
            .as_str()
            .expect("a label")
            .trim_start_matches("← ");
        (
            step,
            names
                .split(", ")
                .map(str::to_owned)
                .collect::<BTreeSet<_>>(),
        )
    });
    let found = workflow.steps().filter_map(|(index, step)| {
        let read = workflow
            .dependencies(index)
            .filter(|(_, edge)| *edge == Edge::Data);
        let read: BTreeSet<_> = read.map(|(step, _)| step.name.to_string()).collect();
        (!read.is_empty()).then(|| (step.name.to_string(), read))
    });
    assert_eq!(
        shown.collect::<BTreeSet<_>>(),
        found.collect::<BTreeSet<_>>()
    );
    let script = "workflows/steps/create_ca.rhai";
    client.open(script, &test.read(script));
    let document = json!({ "textDocument": { "uri": client.uri(script) } });
    let symbols = client.request("textDocument/documentSymbol", document);
    assert_eq!(names(&symbols), ["INPUTS", "OUTPUTS", "run"]);
}

#[test]
fn an_inline_body_is_a_script_with_the_inputs_of_its_step() {
    let text = "workflow: w\nsteps:\n  a:\n    with: { arn: x, days: 1 }\n    run: |\n      let found = pca::describe_certificate_authority(inputs.arn);\n      #{ state: found.status }\n  b: { run: \"log::info(inputs.y)\", with: { y: \"${{ steps.a.state }}\" } }\n";
    let test = Test::new();
    let mut client = Client::start(&test);
    client.open("w.yaml", text);
    assert_eq!(client.diagnostics("w.yaml"), [Json::Null; 0]);
    let mut offered = |old: &str, new: &str| completed(&mut client, "w.yaml", text, old, new);
    assert_eq!(offered("inputs.arn", "inputs.^"), ["arn", "days"]);
    assert!(offered("      let found", "      le^").contains(&"kube".to_owned()));
    assert_eq!(offered("log::info(inputs.y)", "log::w^"), ["info", "warn"]);
    assert_eq!(offered("steps.a.state", "steps.a.^"), ["state"]);
    client.change("w.yaml", text);
    let mut ask = |method: &str, wanted: &str| {
        let (line, character) = place_of(text, wanted).1;
        client.at(method, "w.yaml", (line, character - 1))
    };
    let about = ask("hover", "pca::describe_certificate_authority");
    assert!(
        about
            .to_string()
            .contains("acm-pca:DescribeCertificateAuthority"),
        "{about}"
    );
    let (input, output) = (
        ask("definition", "inputs.arn"),
        ask("definition", "steps.a.state"),
    );
    let shown = |wanted: &str| {
        let (line, character) = place_of(text, wanted).0;
        format!("w.yaml:{line}:{character}")
    };
    assert_eq!(places(&client, &input), [shown("arn: x")]);
    assert_eq!(places(&client, &output), [shown("state: found")]);
}

#[test]
fn services_of_aws_and_their_operations_are_offered() {
    const FILE: &str = "workflows/steps/aws.rhai";
    const TEXT: &str = "fn run(inputs) {\n    aws::request(\"sts\", \"X\");\n    #{}\n}\n";
    let test = Test::with_shipped_workflows().file(FILE, TEXT);
    let mut client = Client::start(&test);
    client.open(FILE, TEXT);
    let mut offered = |new: &str| {
        completed(
            &mut client,
            FILE,
            TEXT,
            "aws::request(\"sts\", \"X\");",
            new,
        )
    };
    let services = offered("aws::request(\"^\", \"X\");");
    assert!(
        services.contains(&"secretsmanager".to_owned()),
        "{services:?}"
    );
    let operations = offered("aws::request(\"sts\", \"^\");");
    assert!(
        operations.contains(&"AssumeRole".to_owned()),
        "{operations:?}"
    );
    assert!(
        !operations.contains(&"GetSecretValue".to_owned()),
        "{operations:?}"
    );
}
