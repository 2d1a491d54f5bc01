//! The language server, as an editor sees it.

mod client;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use serde_json::{Value as Json, json};
use windlass::compile::{Edge, Folder, compile};

use crate::{
    harness::Test,
    mistakes::{BESIDE, STEP, WORKFLOWS},
};
use client::Client;

const GLOO_MESH: &str = "workflows/gloo-mesh.yaml";

/// A mistake as an author is told of it: file, line, column, code, message with its hint.
type Told = (String, u64, u64, String, String);

fn told_by_server(client: &Client) -> BTreeSet<Told> {
    let told = client.all_known().map(|(file, found)| {
        let start = &found["range"]["start"];
        let text = |name: &str| found[name].as_str().unwrap_or_default().to_owned();
        let number = |name: &str| start[name].as_u64().expect("a number") + 1;
        (file.to_owned(), number("line"), number("character"), text("code"), text("message"))
    });
    told.collect()
}

/// What `compile` says of the saved files: columns count UTF-16 here, as in an editor.
fn told_by_compile(test: &Test, folder: &str, main: &str) -> BTreeSet<Told> {
    let compiled = compile(main, &mut Folder::new(test.path(folder)));
    let mistakes = compiled.err().map_or_else(Vec::new, |mistakes| mistakes.0);
    let told = mistakes.iter().map(|mistake| {
        let file = format!("{folder}{}", mistake.file());
        let text = std::fs::read_to_string(test.path(&file)).unwrap_or_default();
        let at = mistake.places().next().expect("a place").0.start;
        let before = &text[..at];
        let line = before.matches('\n').count() + 1;
        let column = before[before.rfind('\n').map_or(0, |i| i + 1)..].encode_utf16().count() + 1;
        let message = match &mistake.help {
            Some(hint) => format!("{}\nhint: {hint}", mistake.message),
            None => mistake.message.clone(),
        };
        (file, line as u64, column as u64, mistake.code.to_owned(), message)
    });
    told.collect()
}

/// The places and codes that `windlass validate` prints: `╭─[w.yaml:4:5]` below the code.
fn places_in(stderr: &str) -> BTreeSet<(String, u64, u64, String)> {
    let (mut places, mut code) = (BTreeSet::new(), String::new());
    for line in stderr.lines() {
        let is_code = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c == '-');
        if is_code(line.trim()) && !line.starts_with("   ") {
            line.trim().clone_into(&mut code);
        }
        if let Some((_, place)) = line.split_once("─[") {
            let mut parts = place.trim_end_matches(']').rsplitn(3, ':');
            let column = parts.next().and_then(|part| part.parse().ok()).expect("a column");
            let line = parts.next().and_then(|part| part.parse().ok()).expect("a line");
            places.insert((parts.next().expect("a file").to_owned(), line, column, code.clone()));
        }
    }
    places
}

/// Where each mistake is that is shown, or the first of the places that belong to it: so `validate` prints them.
fn first_places(client: &Client, folder: &str) -> BTreeSet<(String, u64, u64, String)> {
    let shown = client.all_known().filter_map(|(file, found)| {
        let related = found["relatedInformation"].as_array().into_iter().flatten();
        let ranges = related.map(|related| &related["location"]["range"]).chain([&found["range"]]);
        let places = ranges.map(|range| {
            let number = |name: &str| range["start"][name].as_u64().expect("a number") + 1;
            (number("line"), number("character"))
        });
        let (line, column) = places.min().expect("a place");
        let code = found["code"].as_str().expect("a code").to_owned();
        Some((file.strip_prefix(folder)?.to_owned(), line, column, code))
    });
    shown.collect()
}

#[test]
fn every_mistake_is_shown_as_validate_shows_it() {
    let mut count = 0;
    let test = Test::new().file("step.rhai", STEP);
    let mut client = Client::start(&test);
    for ((name, workflow), beside) in WORKFLOWS.iter().zip(BESIDE) {
        // Each in a folder of its own; the workflow is only in the editor, and saved afterwards.
        let folder = format!("{name}/");
        test.write(&format!("{folder}step.rhai"), STEP);
        for (file, text) in *beside {
            test.write(&format!("{folder}{file}"), text);
        }
        let main = format!("{folder}w.yaml");
        let language = if workflow.is_empty() { "windlass" } else { "yaml" };
        client.open_as(&main, language, workflow);
        client.settle(&main);
        let shown: BTreeSet<_> = told_by_server(&client).into_iter().filter(|told| told.0.starts_with(&folder)).collect();
        test.write(&main, workflow);
        let expected = told_by_compile(&test, &folder, "w.yaml");
        assert_eq!(shown, expected, "{name}");
        let ran = test.windlass(&["validate", &main]);
        let printed = places_in(&ran.stderr);
        if !shown.is_empty() {
            assert_eq!(first_places(&client, &folder), printed, "{name}: {}", ran.stderr);
        }
        count += shown.len();
        client.close(&main);
    }
    println!("{count} mistakes of {} workflows", WORKFLOWS.len());
    assert!(count > 100, "only {count} mistakes");
    assert_eq!(client.stop(), Some(0));
}

#[test]
fn an_open_script_counts_as_it_is_in_the_editor() {
    let workflow = "workflow: w\nsteps:\n  a: { script: step.rhai, with: { name: x } }\n  b: { run: '()', when: \"${{ steps.a.greeting == '😀' && steps.a.gone }}\" }\n";
    let test = Test::new().file("w.yaml", workflow).file("step.rhai", STEP);
    let mut client = Client::start(&test);
    client.open("w.yaml", workflow);
    let found = client.diagnostics("w.yaml");
    let column = workflow.lines().nth(3).expect("a line").find("steps.a.gone").expect("the place") - 2;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["code"], "unknown-output");
    // 😀 has four bytes and two units.
    assert_eq!(found[0]["range"]["start"], json!({ "line": 3, "character": column }));
    assert_eq!(found[0]["range"]["end"], json!({ "line": 3, "character": column + 12 }));
    // The script is opened and gives the output now, unsaved; the workflow is checked again.
    let longer = STEP.replace("greeting: \"string\"", "greeting: \"string\", gone: \"bool\"");
    client.open("step.rhai", &longer);
    client.settle("step.rhai");
    assert_eq!(client.known("w.yaml"), [Json::Null; 0]);
    // A mistake in the script is shown in the script.
    client.change("step.rhai", &longer.replace("hello ${inputs.name}", "hello ${inputs.nam}"));
    let found = client.diagnostics("step.rhai");
    assert_eq!(found[0]["code"], "unknown-input");
    // What is closed without being saved is as it was.
    client.close("step.rhai");
    client.change("w.yaml", workflow);
    client.settle("w.yaml");
    assert_eq!(client.known("w.yaml")[0]["code"], "unknown-output");
    assert_eq!(client.known("step.rhai"), [Json::Null; 0]);
}

#[test]
fn a_script_alone_is_checked_by_the_workflows_that_use_it() {
    let test = Test::new()
        .file("w.yaml", "workflow: w\nsteps:\n  a: { script: steps/s.rhai }\n")
        .file("steps/s.rhai", "import \"../lib/x\" as x;\nfn run(inputs) { x::f(1) }\n")
        .file("lib/x.rhai", "fn f(x) { gone(x) }\n")
        .file("other.rhai", "let x = some_other_program(1);\n");
    let mut client = Client::start(&test);
    client.open("lib/x.rhai", "fn f(x) { gone(x) }\n");
    let found = client.diagnostics("lib/x.rhai");
    assert_eq!(found[0]["code"], "unknown-function");
    client.open("other.rhai", "let x = some_other_program(1);\n");
    assert_eq!(client.diagnostics("other.rhai"), [Json::Null; 0]);
    // A script that nobody uses yet is checked by itself.
    client.open("new.rhai", "fn run(inputs) { pca::descibe(1) }\n");
    assert_eq!(client.diagnostics("new.rhai")[0]["code"], "unknown-function");
}

#[test]
fn other_documents_are_left_alone() {
    let test = Test::new();
    let mut client = Client::start(&test);
    let others = [
        ("", "yaml"),
        ("name: CI\non: push\njobs:\n  a: { steps: [{ run: ls }] }\n", "yaml"),
        ("apiVersion: v1\nkind: Pod\n", "yaml"),
        ("- workflow: w\n", "yaml"),
        ("a: {{ .Values.x }}\n", "yaml"),
    ];
    for (i, (text, language)) in others.iter().enumerate() {
        let file = format!("{i}.yaml");
        client.open_as(&file, language, text);
        assert_eq!(client.diagnostics(&file), [Json::Null; 0], "{text}");
        // It becomes one as soon as it says so, and stops to be one.
        client.change(&file, "workflow: w\n");
        assert_eq!(client.diagnostics(&file)[0]["code"], "missing-key");
        client.change(&file, text);
        assert_eq!(client.diagnostics(&file), [Json::Null; 0], "{text}");
    }
}

#[test]
fn a_hint_that_is_a_replacement_is_a_quick_fix() {
    let workflow = "workflow: w\nsteps:\n  a: { script: step.rhai, with: { name: x } }\n  b: { script: step.rhai, with: { nmae: \"${{ steps.a.greting }}\" } }\n";
    let test = Test::new().file("step.rhai", STEP);
    let mut client = Client::start(&test);
    client.open("w.yaml", workflow);
    let found = client.diagnostics("w.yaml");
    let mut lines: Vec<_> = workflow.lines().map(str::to_owned).collect();
    // From the last to the first, so that no place moves.
    let mut edits = Vec::new();
    for found in &found {
        let params = json!({ "textDocument": { "uri": client.uri("w.yaml") }, "range": found["range"], "context": { "diagnostics": [] } });
        for action in client.request("textDocument/codeAction", params).as_array().expect("a list") {
            assert_eq!(action["kind"], "quickfix");
            let edit = &action["edit"]["changes"][client.uri("w.yaml")][0];
            edits.push((edit["range"]["start"]["character"].as_u64().expect("a number"), edit.clone()));
        }
    }
    edits.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    edits.dedup();
    for (_, edit) in edits {
        let at = |end: &str| edit["range"][end]["character"].as_u64().expect("a number") as usize;
        lines[3].replace_range(at("start")..at("end"), edit["newText"].as_str().expect("a text"));
    }
    assert_eq!(lines[3], "  b: { script: step.rhai, with: { name: \"${{ steps.a.greeting }}\" } }");
    client.change("w.yaml", &lines.join("\n"));
    assert_eq!(client.diagnostics("w.yaml"), [Json::Null; 0]);
    // The code leads to its page.
    let link = found[0]["codeDescription"]["href"].as_str().expect("a link");
    let page = std::fs::read_to_string(link.strip_prefix("file://").expect("a file")).expect("a page");
    assert!(page.starts_with(&format!("# `{}`", found[0]["code"].as_str().expect("a code"))), "{page}");
}

#[test]
fn bytes_are_counted_where_the_client_wants_them() {
    let test = Test::new();
    let mut client = Client::start_with(&test, json!({ "general": { "positionEncodings": ["utf-8", "utf-16"] } }));
    assert_eq!(client.capabilities["positionEncoding"], "utf-8");
    client.open("w.yaml", "workflow: \"😀\"\nsteps: { a: { run: '()', when: \"${{ '😀' == params.x }}\" } }\n");
    let found = client.diagnostics("w.yaml");
    assert_eq!(found[0]["range"]["start"]["character"], 46);
    client.replace("w.yaml", (1, 46), (1, 54), "'x'");
    assert_eq!(client.diagnostics("w.yaml"), [Json::Null; 0]);
}

/// Numbers from a seed: xorshift.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % most as u64) as usize
    }
}

/// What people type into workflows, and what breaks them.
const TYPED: [&str; 16] = [
    "${{ steps.", "x", "  ", "\n", "\n  - ", ": ", "{", "}", "\"", "'", "#", "params.clusters }}", "é😀", "when: true", "|\n    ", "[a, ",
];

#[test]
fn random_edits_end_in_the_diagnostics_of_the_saved_text() {
    let test = Test::with_shipped_workflows();
    let original = test.read(GLOO_MESH);
    let mut client = Client::start(&test);
    client.open(GLOO_MESH, &original);
    assert_eq!(client.diagnostics(GLOO_MESH), [Json::Null; 0]);
    let mut dice = Dice(20_261_127);
    let (mut text, mut with_mistakes) = (original.clone(), 0);
    for edit in 0..100 {
        // A few edits on top of each other, and from the beginning again: else nothing would ever be valid.
        if edit % 4 == 0 {
            text.clone_from(&original);
            client.change(GLOO_MESH, &text);
        }
        let mut at = dice.below(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        if dice.below(2) == 0 {
            // Within a word, which leaves most of the file as it is.
            at += text[at..].find(char::is_alphanumeric).unwrap_or(0);
            let length = text[at..].find(|c: char| !c.is_alphanumeric()).unwrap_or(0);
            type_over(&mut client, &mut text, at..at + length.min(1), "q");
        } else {
            let typed = TYPED[dice.below(TYPED.len())];
            for (i, c) in typed.char_indices() {
                type_over(&mut client, &mut text, at + i..at + i, &c.to_string());
            }
            if dice.below(3) == 0 {
                let end = text[at..].char_indices().nth(dice.below(40)).map_or(text.len(), |(i, _)| at + i);
                type_over(&mut client, &mut text, at..end, "");
            }
        }
        if edit % 4 == 3 {
            client.settle(GLOO_MESH);
            test.write(GLOO_MESH, &text);
            let shown = told_by_server(&client);
            assert_eq!(shown, told_by_compile(&test, "workflows/", "gloo-mesh.yaml"), "after {edit} edits:\n{text}");
            with_mistakes += usize::from(!shown.is_empty());
            test.write(GLOO_MESH, &original);
        }
    }
    assert!(with_mistakes > 10, "only {with_mistakes} of 25 texts had mistakes");
    assert_eq!(client.stop(), Some(0));
}

fn type_over(client: &mut Client, text: &mut String, range: std::ops::Range<usize>, new: &str) {
    client.replace(GLOO_MESH, place(text, range.start), place(text, range.end), new);
    text.replace_range(range, new);
}

/// Prints how long a diagnostic of the largest workflow takes, from the key to the squiggle.
#[test]
fn a_diagnostic_comes_while_somebody_types() {
    let test = Test::with_shipped_workflows();
    let text = test.read(GLOO_MESH);
    let mut client = Client::start(&test);
    client.open(GLOO_MESH, &text);
    client.diagnostics(GLOO_MESH);
    let line = text.lines().position(|line| line.contains("steps.root_ca.arn")).expect("a read");
    let column = text.lines().nth(line).and_then(|line| line.find("root_ca")).expect("a read");
    let mut times = Vec::new();
    for _ in 0..10 {
        for (to, new) in [(column, "x"), (column + 1, "")] {
            let start = Instant::now();
            client.replace(GLOO_MESH, (line, column), (line, to), new);
            let found = client.diagnostics(GLOO_MESH);
            times.push(start.elapsed());
            assert_eq!(found.len(), new.len(), "{found:?}");
        }
    }
    times.sort();
    println!("a diagnostic of {GLOO_MESH}: median {:?}, longest {:?}", times[times.len() / 2], times[times.len() - 1]);
}

/// Where a text stands in a file, and where it ends: a line and a character.
#[track_caller]
fn place_of(text: &str, wanted: &str) -> ((usize, usize), (usize, usize)) {
    let at = text.find(wanted).unwrap_or_else(|| panic!("no {wanted} in it"));
    (place(text, at), place(text, at + wanted.len()))
}

fn place(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..at];
    let line = before.matches('\n').count();
    (line, before[before.rfind('\n').map_or(0, |i| i + 1)..].encode_utf16().count())
}

/// Opens a file with a text in place of another, and asks what may stand at its end: `^`, or else behind it.
fn completed(client: &mut Client, file: &str, original: &str, old: &str, new: &str) -> Vec<String> {
    let at = original.find(old).unwrap_or_else(|| panic!("no {old} in {file}"));
    let cursor = at + new.find('^').unwrap_or(new.len());
    let text = original.replacen(old, &new.replace('^', ""), 1);
    client.change(file, &text);
    let items = client.at("completion", file, place(&text, cursor));
    let items = items.as_array().unwrap_or_else(|| panic!("{items}"));
    let mut labels: Vec<_> = items.iter().map(|item| item["label"].as_str().expect("a label").to_owned()).collect();
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
            assert!(offered.iter().any(|label| label == wanted), "{wanted} is not in {offered:?}");
        }
    };
    // Outputs, in an expression that has no end yet: the file is not valid YAML.
    assert_eq!(offered("ca: ${{ steps.root_ca.arn }}", "ca: \"${{ steps.root_ca."), ["arn", "csr"]);
    // Of each item, and not of the map of them.
    has(&offered("steps.relay_client[item].key", "steps.relay_client[item].^"), &["certificate", "key"]);
    assert!(offered("steps.relay_client[item].key", "steps.relay_client.").is_empty());
    has(&offered("csr: ${{ steps.root_ca.csr", "csr: ${{ steps.^"), &["root_ca", "relay_ca"]);
    has(&offered("${{ params.root_validity }}", "${{ params."), &["root_validity", "clusters"]);
    assert_eq!(offered("${{ params.root_validity }}", "${{ ^"), ["params", "run", "steps", "target"]);
    assert_eq!(offered("${{ target.kube }}", "${{ target."), ["kube", "name"]);
    // Inputs of a script, without those that are given.
    let inputs = offered("      name: root-ca\n", "      \n      ^");
    assert_eq!(inputs, ["chain", "name"]);
    // Values: of a template, through the workflow in between; of keys of the file.
    has(&offered("template: RootCACertificate/V1", "template: R^"), &["RootCACertificate/V1", "EndEntityCertificate/V1"]);
    has(&offered("template: EndEntityClientAuthCertificate/V1", "template: ^"), &["RootCACertificate/V1"]);
    has(&offered("key_algorithm: ${{ params.ca_key_algorithm }}", "key_algorithm: "), &["EC_prime256v1", "RSA_2048"]);
    has(&offered("needs: [trust_policy]", "needs: [tr"), &["trust_policy", "root_ca"]);
    has(&offered("max_parallel: 8", "on_error: ^"), &["continue", "fail"]);
    has(&offered("type: list(string)", "type: "), &["duration", "map(string)"]);
    has(&offered("script: steps/download.rhai", "script: steps/"), &["download.rhai", "sign_csr.rhai"]);
    has(&offered("workflow: certificate.yaml", "workflow: "), &["certificate.yaml", "restart-cluster.yaml"]);
    // Keys, of a file that is broken at this very line.
    let keys = offered("    max_parallel: 8\n", "    ti^\n");
    has(&keys, &["timeout", "retry", "needs"]);
    assert!(!keys.contains(&"with".to_owned()) && !keys.contains(&"script".to_owned()), "{keys:?}");
    has(&offered("    timeout: 5m\n", "    retry:\n      ^\n"), &["attempts", "backoff", "on"]);
    has(&offered("\noutputs:\n", "\non^\noutputs:\n"), &["on_failure", "concurrency"]);
    // A script, half written.
    let script = test.read("workflows/steps/create_ca.rhai");
    let file = "workflows/steps/create_ca.rhai";
    client.open(file, &script);
    let mut offered = |old: &str, new: &str| completed(&mut client, file, &script, old, new);
    has(&offered("pca::wait_until_csr_ready(arn);", "pca::wait"), &["wait_until_csr_ready", "describe"]);
    assert_eq!(
        offered("        tags: inputs.tags,\n", "        ^\n"),
        ["tags"],
        "options that are not given"
    );
    has(&offered("type: inputs.type,", "type: \"R^"), &["ROOT", "SUBORDINATE"]);
    has(&offered("type: inputs.type,", "type: inputs.^"), &["subject", "tags", "type"]);
    has(&offered("subject: inputs.subject,", "subject: #{ ^"), &["common_name", "organization"]);
    has(&offered("tags: \"map(string) = {}\"", "tags: \"^"), &["map(string)", "string"]);
    has(&offered("let arn = pca", "let x = ke"), &["key", "kube", "inputs"]);
    // An empty file begins somewhere.
    client.open("new.yaml", "");
    assert_eq!(completed(&mut client, "new.yaml", "", "", "wo"), ["workflow"]);
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
        hover["contents"]["value"].as_str().unwrap_or_else(|| panic!("{wanted}: {hover}")).to_owned()
    };
    let mut says = |file: &str, text: &str, wanted: &str, expected: &[&str]| {
        let about = about(file, text, wanted);
        for expected in expected {
            assert!(about.contains(expected), "{wanted}: no {expected} in {about}");
        }
    };
    says(GLOO_MESH, &text, "retry", &["Tries again after failures."]);
    says(GLOO_MESH, &text, "root_cert", &["steps/sign_csr.rhai", "`ca` (string)", "Runs after `root_ca`"]);
    says(GLOO_MESH, &text, "ca: ${{ steps.root_ca.arn", &["arn: string", "create_ca.rhai"]);
    says(GLOO_MESH, &text, "${{ params.root_subject", &["root_subject: map(string) = {"]);
    says(GLOO_MESH, &text, "${{ params", &["the workflow's params"]);
    says(GLOO_MESH, &text, "      csr", &["csr: string", "An input of `sign_csr.rhai`"]);
    says(GLOO_MESH, &text, "script: steps/create_ca.rhai", &["Creates a certificate authority", "`tags` (map(string) = {})"]);
    says(GLOO_MESH, &text, "workflow: certificate.yaml\n    for_each", &["Runs the step once for each item"]);
    says(script_file, &script, "pca::create_certificate_authority", &["acm-pca:CreateCertificateAuthority", "#{ type,", "undo"]);
    says(script_file, &script, "let arn = pca", &["wait_until_csr_ready"]);
    says(script_file, &script, "        signing_algorithm", &["what fits the key", "pca::create_certificate_authority"]);
    says(script_file, &script, "type: inputs.type", &["type: string", "ROOT or SUBORDINATE"]);
    // While the file does not parse.
    let broken = text.replacen("    timeout: 5m\n", "    timeout: 5m\n   bad: [\n", 1);
    client.change(GLOO_MESH, &broken);
    let mut about = |wanted: &str| {
        let (line, character) = place_of(&broken, wanted).1;
        client.at("hover", GLOO_MESH, (line, character - 1))["contents"]["value"].clone()
    };
    assert!(about("csr: ${{ steps.relay_ca.csr").as_str().expect("a text").contains("csr: string"));
}

/// Where an answer leads: `FILE:LINE:CHARACTER`, both from 0.
fn places(client: &Client, answer: &Json) -> Vec<String> {
    let root = client.uri("");
    let places = answer.as_array().unwrap_or_else(|| panic!("{answer}")).iter().map(|location| {
        let file = location["uri"].as_str().expect("a URI").strip_prefix(&root).expect("inside");
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
        assert_eq!(places(&client, &answer), [format!("{target}:{line}:{character}")], "{from}");
    };
    let create = "workflows/steps/create_ca.rhai";
    let sign = "workflows/steps/sign_csr.rhai";
    leads(GLOO_MESH, &text, "script: steps/create_ca.rhai", (create, "//! Creates"));
    leads(GLOO_MESH, &text, "workflow: certificate.yaml", ("workflows/certificate.yaml", &test.read("workflows/certificate.yaml")[..9]));
    leads(GLOO_MESH, &text, "ca: ${{ steps.root_ca", (GLOO_MESH, "root_ca:\n"));
    leads(GLOO_MESH, &text, "ca: ${{ steps.root_ca.arn", (create, "arn: \"string\", csr"));
    leads(GLOO_MESH, &text, "${{ params.root_subject", (GLOO_MESH, "root_subject:"));
    leads(GLOO_MESH, &text, "      csr", (sign, "csr: \"string\""));
    leads(GLOO_MESH, &text, "needs: [secrets_fit", (GLOO_MESH, "secrets_fit:"));
    let named_file = "workflows/steps/named.rhai";
    leads(named_file, &named, "import \"../lib/naming", ("workflows/lib/naming.rhai", "// Names"));
    leads(named_file, &named, "naming::of", ("workflows/lib/naming.rhai", "of(x)"));
    leads(named_file, &named, "(own", (named_file, "own() {"));
    // References: all that read it, in both files.
    let mut params = client.place(GLOO_MESH, place_of(&text, "  root_ca:").1);
    params["position"]["character"] = json!(4);
    params["context"] = json!({ "includeDeclaration": true });
    let answer = client.request("textDocument/references", params);
    assert_eq!(places(&client, &answer).len(), 1 + text.matches("steps.root_ca.").count());
    let script = test.read(sign);
    client.open(sign, &script);
    let mut params = client.place(sign, place_of(&script, "    validity: \"").0);
    params["position"]["character"] = json!(6);
    params["context"] = json!({ "includeDeclaration": false });
    let answer = client.request("textDocument/references", params);
    let found = places(&client, &answer);
    let files: BTreeSet<_> = found.iter().map(|place| place.split(':').next().expect("a file")).collect();
    assert_eq!(files.into_iter().collect::<Vec<_>>(), ["workflows/certificate.yaml", GLOO_MESH, sign]);
}

/// Applies an edit to the saved files.
fn apply(test: &Test, client: &Client, edit: &Json) -> usize {
    let root = client.uri("");
    let mut count = 0;
    for (uri, edits) in edit["changes"].as_object().unwrap_or_else(|| panic!("{edit}")) {
        let file = uri.strip_prefix(&root).expect("inside");
        let mut text = test.read(file);
        let offset = |text: &str, position: &Json| {
            let (line, character) = (position["line"].as_u64().expect("a line"), position["character"].as_u64().expect("a character"));
            let start: usize = text.split_inclusive('\n').take(line as usize).map(str::len).sum();
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
            let range = offset(&text, &edit["range"]["start"])..offset(&text, &edit["range"]["end"]);
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
    let all = ["certificate", "drain-patch-verify", "gloo-mesh", "patch-host", "restart-cluster", "restart-mesh", "rotate-db-password"];
    let files: Vec<_> = all.iter().map(|name| format!("workflows/{name}.yaml")).collect();
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
            let refused = client.ask("textDocument/rename", params.clone()).expect_err(bad);
            assert!(!refused["message"].as_str().expect("a reason").is_empty());
        }
        let mut arguments = vec!["validate"];
        arguments.extend(files.iter().map(String::as_str));
        test.windlass(&arguments).expect(0);
        assert!(test.read(file).contains(new));
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
        parts.map(|part| part["name"].as_str().expect("a name").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&symbols), ["params", "steps", "outputs"]);
    let program = compile("gloo-mesh.yaml", &mut Folder::new(test.path("workflows"))).ok().expect("it is valid");
    let workflow = program.workflow;
    assert_eq!(names(&symbols[1]["children"]).len(), workflow.steps().count());
    // The edges are those that the compiler finds.
    let lines = text.lines().count();
    let range = json!({ "start": { "line": 0, "character": 0 }, "end": { "line": lines, "character": 0 } });
    let params = json!({ "textDocument": { "uri": client.uri(GLOO_MESH) }, "range": range });
    let hints = client.request("textDocument/inlayHint", params);
    let shown = hints.as_array().expect("a list").iter().map(|hint| {
        let line = hint["position"]["line"].as_u64().expect("a line") as usize;
        let step = text.lines().nth(line).expect("a line").trim().trim_end_matches(':').to_owned();
        let names = hint["label"].as_str().expect("a label").trim_start_matches("← ");
        (step, names.split(", ").map(str::to_owned).collect::<BTreeSet<_>>())
    });
    let found = workflow.steps().filter_map(|(index, step)| {
        let read = workflow.dependencies(index).filter(|(_, edge)| *edge == Edge::Data);
        let read: BTreeSet<_> = read.map(|(step, _)| step.name.to_string()).collect();
        (!read.is_empty()).then(|| (step.name.to_string(), read))
    });
    assert_eq!(shown.collect::<BTreeSet<_>>(), found.collect::<BTreeSet<_>>());
    let script = "workflows/steps/create_ca.rhai";
    client.open(script, &test.read(script));
    let document = json!({ "textDocument": { "uri": client.uri(script) } });
    let symbols = client.request("textDocument/documentSymbol", document);
    assert_eq!(names(&symbols), ["INPUTS", "OUTPUTS", "run"]);
}

#[test]
fn what_is_not_known_is_refused_politely() {
    let test = Test::new();
    let mut client = Client::start(&test);
    let refused = client.ask("textDocument/colour", json!({})).expect_err("no such request");
    assert_eq!(refused["code"], -32601);
    let refused = client.ask("textDocument/hover", json!({ "position": 1 })).expect_err("no place");
    assert_eq!(refused["code"], -32602);
    // A document that is not open, and notifications that nobody knows.
    client.notify("textDocument/unheardOf", json!({}));
    assert_eq!(client.at("hover", "gone.yaml", (0, 0)), Json::Null);
    assert_eq!(client.at("completion", "gone.yaml", (5, 5)), Json::Null);
    assert_eq!(client.stop(), Some(0));
}

/// A program of the machine, or of `target/npm`, where it is installed.
fn installed(program: &str) -> Option<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/npm/node_modules/.bin");
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&folders).chain([own]);
    folders.map(|folder| folder.join(program)).find(|path| path.is_file())
}

#[test]
fn neovim_works_with_it() {
    let Some(neovim) = installed("nvim") else {
        println!("skipped: Neovim is not installed (apt-get install neovim)");
        return;
    };
    let workflow = "workflow: w\nsteps:\n  root_ca: { script: step.rhai, with: { name: \"é😀\" } }\n  b: { needs: [root_ca], run: '()', when: \"${{ '😀' != steps.rot_ca.greeting }}\" }\n";
    let test = Test::new().file("w.yaml", workflow).file("step.rhai", STEP);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lsp/neovim.lua");
    let ran = Command::new(neovim)
        .args(["--headless", "-u", "NONE", "-i", "NONE", "-n", "-c"])
        .arg(format!("luafile {}", script.display()))
        .current_dir(test.path(""))
        .env("WINDLASS", env!("CARGO_BIN_EXE_windlass"))
        .env("XDG_CACHE_HOME", test.path(".cache"))
        .env("XDG_STATE_HOME", test.path(".state"))
        .env("XDG_DATA_HOME", test.path(".data"))
        .output()
        .expect("Neovim starts");
    assert!(test.path("seen.json").exists(), "{}", String::from_utf8_lossy(&ran.stderr));
    let seen: Json = serde_json::from_str(&test.read("seen.json")).expect("JSON");
    let line = workflow.lines().nth(3).expect("a line");
    // Neovim counts columns in bytes.
    let column = line.find("steps.rot_ca").expect("the place");
    assert_eq!(seen["opened"], json!([format!("3:{column} unknown-step")]));
    assert_eq!(seen["corrected"], 0);
    assert_eq!(seen["offered"], json!(["greeting"]));
    assert!(seen["hover"].as_str().expect("a text").contains("step.rhai"), "{seen}");
    let renamed = workflow.replace("rot_ca", "root_ca").replace("root_ca", "trust_root");
    let lines: Vec<_> = renamed.lines().collect();
    assert_eq!(seen["renamed"], json!(lines));
}

/// The schema that `windlass schema` prints, in the hands of the YAML server that most editors have.
#[test]
fn the_schema_serves_the_yaml_server_of_others() {
    let Some(server) = installed("yaml-language-server") else {
        println!("skipped: yaml-language-server is not installed (npm install --prefix target/npm yaml-language-server)");
        return;
    };
    let test = Test::with_shipped_workflows();
    test.write("schema.json", &test.windlass(&["schema"]).expect(0).stdout);
    let schema = format!("file://{}", test.path("schema.json").canonicalize().expect("it is there").display());
    let mut schemas = serde_json::Map::new();
    schemas.insert(schema, json!("*.yaml"));
    let yaml = json!({ "schemas": schemas, "validate": true, "schemaStore": { "enable": false }, "completion": true, "hover": true });
    let settings = json!({ "yaml": yaml, "http": {}, "[yaml]": {}, "editor": {}, "files": {} });
    let mut command = Command::new(server);
    command.arg("--stdio");
    let capabilities = json!({ "workspace": { "configuration": true, "didChangeConfiguration": { "dynamicRegistration": true } }, "textDocument": { "publishDiagnostics": {}, "hover": { "contentFormat": ["markdown"] } } });
    let mut client = Client::of(command, &test, capabilities, settings.clone());
    client.notify("workspace/didChangeConfiguration", json!({ "settings": settings }));
    for name in ["certificate", "drain-patch-verify", "gloo-mesh", "patch-host", "restart-cluster", "restart-mesh", "rotate-db-password"] {
        let file = format!("workflows/{name}.yaml");
        client.open(&file, &test.read(&file));
        assert_eq!(client.heard_of(&file), [Json::Null; 0], "{name}");
    }
    // It does look: a key that is none, and a value that is none.
    let text = test.read(GLOO_MESH).replacen("    timeout: 5m", "    timeuot: 5m", 1).replacen("fresh: true", "fresh: 3", 1);
    client.change(GLOO_MESH, &text);
    let found = client.heard_of(GLOO_MESH);
    let messages: Vec<_> = found.iter().map(|found| found["message"].to_string()).collect();
    assert!(messages.iter().any(|message| message.contains("timeuot")), "{messages:?}");
    assert!(messages.iter().any(|message| message.contains("boolean")), "{messages:?}");
    let (line, character) = place_of(&text, "retry").0;
    let hover = client.at("hover", GLOO_MESH, (line, character + 1));
    assert!(hover["contents"]["value"].to_string().contains("Tries again after failures"), "{hover}");
}
