//! Mistakes, as they are typed.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};

use super::{client::Client, told_by_compile, told_by_server};
use crate::{
    harness::Test,
    mistakes::{BESIDE, STEP, WORKFLOWS},
};

/// The places and codes that `windlass validate` prints: `╭─[w.yaml:4:5]` below the code.
fn places_in(stderr: &str) -> BTreeSet<(String, u64, u64, String)> {
    let (mut places, mut code) = (BTreeSet::new(), String::new());
    for line in stderr.lines() {
        let is_code = |word: &str| {
            !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c == '-')
        };
        if is_code(line.trim()) && !line.starts_with("   ") {
            line.trim().clone_into(&mut code);
        }
        if let Some((_, place)) = line.split_once("─[") {
            let mut parts = place.trim_end_matches(']').rsplitn(3, ':');
            let column = parts
                .next()
                .and_then(|part| part.parse().ok())
                .expect("a column");
            let line = parts
                .next()
                .and_then(|part| part.parse().ok())
                .expect("a line");
            places.insert((
                parts.next().expect("a file").to_owned(),
                line,
                column,
                code.clone(),
            ));
        }
    }
    places
}

/// Where each mistake is that is shown.
fn main_places(client: &Client, folder: &str) -> BTreeSet<(String, u64, u64, String)> {
    let shown = client.all_known().filter_map(|(file, found)| {
        let start = &found["range"]["start"];
        let number = |name: &str| start[name].as_u64().expect("a number") + 1;
        let code = found["code"].as_str().expect("a code").to_owned();
        let file = file.strip_prefix(folder)?.to_owned();
        Some((file, number("line"), number("character"), code))
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
        let language = if workflow.is_empty() {
            "windlass"
        } else {
            "yaml"
        };
        client.open_as(&main, language, workflow);
        client.settle(&main);
        let shown: BTreeSet<_> = told_by_server(&client)
            .into_iter()
            .filter(|told| told.0.starts_with(&folder))
            .collect();
        test.write(&main, workflow);
        let expected = told_by_compile(&test, &folder, "w.yaml");
        assert_eq!(shown, expected, "{name}");
        let ran = test.windlass(&["validate", &main]);
        let printed = places_in(&ran.stderr);
        if !shown.is_empty() {
            assert_eq!(
                main_places(&client, &folder),
                printed,
                "{name}: {}",
                ran.stderr
            );
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
    let column = workflow
        .lines()
        .nth(3)
        .expect("a line")
        .find("steps.a.gone")
        .expect("the place")
        - 2;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["code"], "unknown-output");
    // 😀 has four bytes and two units.
    assert_eq!(
        found[0]["range"]["start"],
        json!({ "line": 3, "character": column })
    );
    assert_eq!(
        found[0]["range"]["end"],
        json!({ "line": 3, "character": column + 12 })
    );
    // The script is opened and gives the output now, unsaved; the workflow is checked again.
    let longer = STEP.replace(
        "greeting: \"string\"",
        "greeting: \"string\", gone: \"bool\"",
    );
    client.open("step.rhai", &longer);
    client.settle("step.rhai");
    assert_eq!(client.known("w.yaml"), [Json::Null; 0]);
    // A mistake in the script is shown in the script.
    client.change(
        "step.rhai",
        &longer.replace("hello ${inputs.name}", "hello ${inputs.nam}"),
    );
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
        .file(
            "w.yaml",
            "workflow: w\nsteps:\n  a: { script: steps/s.rhai }\n",
        )
        .file(
            "steps/s.rhai",
            "import \"../lib/x\" as x;\nfn run(inputs) { x::f(1) }\n",
        )
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
    assert_eq!(
        client.diagnostics("new.rhai")[0]["code"],
        "unknown-function"
    );
}

#[test]
fn other_documents_are_left_alone() {
    let test = Test::new();
    let mut client = Client::start(&test);
    let others = [
        ("", "yaml"),
        (
            "name: CI\non: push\njobs:\n  a: { steps: [{ run: ls }] }\n",
            "yaml",
        ),
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
        for action in client
            .request("textDocument/codeAction", params)
            .as_array()
            .expect("a list")
        {
            assert_eq!(action["kind"], "quickfix");
            let edit = &action["edit"]["changes"][client.uri("w.yaml")][0];
            edits.push((
                edit["range"]["start"]["character"]
                    .as_u64()
                    .expect("a number"),
                edit.clone(),
            ));
        }
    }
    edits.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    edits.dedup();
    for (_, edit) in edits {
        let at = |end: &str| edit["range"][end]["character"].as_u64().expect("a number") as usize;
        lines[3].replace_range(
            at("start")..at("end"),
            edit["newText"].as_str().expect("a text"),
        );
    }
    assert_eq!(
        lines[3],
        "  b: { script: step.rhai, with: { name: \"${{ steps.a.greeting }}\" } }"
    );
    client.change("w.yaml", &lines.join("\n"));
    assert_eq!(client.diagnostics("w.yaml"), [Json::Null; 0]);
    // The code leads to its page.
    let link = found[0]["codeDescription"]["href"]
        .as_str()
        .expect("a link");
    let page =
        std::fs::read_to_string(link.strip_prefix("file://").expect("a file")).expect("a page");
    assert!(
        page.starts_with(&format!(
            "# `{}`",
            found[0]["code"].as_str().expect("a code")
        )),
        "{page}"
    );
}

#[test]
fn bytes_are_counted_where_the_client_wants_them() {
    let test = Test::new();
    let mut client = Client::start_with(
        &test,
        json!({ "general": { "positionEncodings": ["utf-8", "utf-16"] } }),
    );
    assert_eq!(client.capabilities["positionEncoding"], "utf-8");
    client.open(
        "w.yaml",
        "workflow: \"😀\"\nsteps: { a: { run: '()', when: \"${{ '😀' == params.x }}\" } }\n",
    );
    let found = client.diagnostics("w.yaml");
    assert_eq!(found[0]["range"]["start"]["character"], 46);
    client.replace("w.yaml", (1, 46), (1, 54), "'x'");
    assert_eq!(client.diagnostics("w.yaml"), [Json::Null; 0]);
}

#[test]
fn what_is_not_known_is_refused_politely() {
    let test = Test::new();
    let mut client = Client::start(&test);
    let refused = client
        .ask("textDocument/colour", json!({}))
        .expect_err("no such request");
    assert_eq!(refused["code"], -32601);
    let refused = client
        .ask("textDocument/hover", json!({ "position": 1 }))
        .expect_err("no place");
    assert_eq!(refused["code"], -32602);
    // A document that is not open, and notifications that nobody knows.
    client.notify("textDocument/unheardOf", json!({}));
    assert_eq!(client.at("hover", "gone.yaml", (0, 0)), Json::Null);
    assert_eq!(client.at("completion", "gone.yaml", (5, 5)), Json::Null);
    assert_eq!(client.stop(), Some(0));
}

#[test]
fn a_workflow_below_another_is_checked_as_a_part_of_it() {
    let inner = "workflow: inner\nsteps:\n  a: { script: ../steps/s.rhai, with: { name: x } }\n";
    let test = Test::new()
        .file(
            "w.yaml",
            "workflow: w\nsteps:\n  a: { workflow: sub/inner.yaml }\n",
        )
        .file("sub/inner.yaml", inner)
        .file("steps/s.rhai", STEP);
    let mut client = Client::start(&test);
    // By itself, its script would lie outside of its folder.
    client.open("sub/inner.yaml", inner);
    assert_eq!(client.diagnostics("sub/inner.yaml"), [Json::Null; 0]);
    client.change("sub/inner.yaml", &inner.replace("name: x", "nmae: x"));
    let codes: BTreeSet<_> = client
        .diagnostics("sub/inner.yaml")
        .iter()
        .map(|found| found["code"].to_string())
        .collect();
    assert_eq!(
        codes.into_iter().collect::<Vec<_>>(),
        ["\"missing-input\"", "\"unknown-input\""]
    );
}

#[test]
fn a_file_that_changes_on_the_disk_is_read_again() {
    let workflow = "workflow: w\nsteps:\n  a: { script: step.rhai, with: { name: x } }\n";
    let test = Test::new().file("w.yaml", workflow);
    let watches =
        json!({ "workspace": { "didChangeWatchedFiles": { "dynamicRegistration": true } } });
    let mut client = Client::start_with(&test, watches);
    client.open("w.yaml", workflow);
    assert_eq!(client.diagnostics("w.yaml")[0]["code"], "unreadable-file");
    test.write("step.rhai", STEP);
    let change = json!({ "uri": client.uri("step.rhai"), "type": 1 });
    client.notify(
        "workspace/didChangeWatchedFiles",
        json!({ "changes": [change] }),
    );
    client.settle("w.yaml");
    assert_eq!(client.known("w.yaml"), [Json::Null; 0]);
    // A client that watches nothing says at least when it saves.
    test.write("step.rhai", &STEP.replace("name", "title"));
    client.notify(
        "textDocument/didSave",
        json!({ "textDocument": { "uri": client.uri("w.yaml") } }),
    );
    client.settle("w.yaml");
    assert_eq!(
        client.known("w.yaml").len(),
        2,
        "an input that is missing, and one that is none"
    );
}
