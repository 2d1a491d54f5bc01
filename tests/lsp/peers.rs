//! Programs of others: a real client, and the server that most editors have for YAML.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value as Json, json};

use super::{GLOO_MESH, client::Client, place_of};
use crate::{
    harness::{self, Test},
    mistakes::STEP,
};

/// A program of the machine, or of `target/npm`. Without it the test is skipped, but for CI, which installs it.
pub(super) fn installed(program: &str, how: &str) -> Option<PathBuf> {
    harness::installed(program, "target/npm/node_modules/.bin", how)
}

#[test]
fn neovim_works_with_it() {
    let Some(neovim) = installed("nvim", "apt-get install neovim") else {
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
    assert!(
        test.path("seen.json").exists(),
        "{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    let seen: Json = serde_json::from_str(&test.read("seen.json")).expect("JSON");
    let line = workflow.lines().nth(3).expect("a line");
    // Neovim counts columns in bytes.
    let column = line.find("steps.rot_ca").expect("the place");
    assert_eq!(seen["opened"], json!([format!("3:{column} unknown-step")]));
    assert_eq!(seen["corrected"], 0);
    assert_eq!(seen["offered"], json!(["greeting"]));
    assert!(
        seen["hover"]
            .as_str()
            .expect("a text")
            .contains("step.rhai"),
        "{seen}"
    );
    let renamed = workflow
        .replace("rot_ca", "root_ca")
        .replace("root_ca", "trust_root");
    let lines: Vec<_> = renamed.lines().collect();
    assert_eq!(seen["renamed"], json!(lines));
}

/// Starts the YAML server, with a schema for these files of `workflows/`.
fn yaml_server(server: PathBuf, test: &Test, schema: &[&str], files: &str) -> Client {
    test.write("schema.json", &test.windlass(schema).expect(0).stdout);
    let schema = format!(
        "file://{}",
        test.path("schema.json")
            .canonicalize()
            .expect("it is there")
            .display()
    );
    let mut schemas = serde_json::Map::new();
    // The whole path: a pattern does not match within the hidden folder that a test has.
    let workflows = test.path("workflows").canonicalize().expect("a folder");
    schemas.insert(schema, json!(format!("{}/{files}", workflows.display())));
    let yaml = json!({ "schemas": schemas, "validate": true, "schemaStore": { "enable": false }, "completion": true, "hover": true });
    let settings = json!({ "yaml": yaml, "http": {}, "[yaml]": {}, "editor": {}, "files": {} });
    let mut command = Command::new(server);
    command.arg("--stdio");
    let capabilities = json!({ "workspace": { "configuration": true, "didChangeConfiguration": { "dynamicRegistration": true } }, "textDocument": { "publishDiagnostics": {}, "hover": { "contentFormat": ["markdown"] } } });
    let mut client = Client::of(command, test, capabilities, settings.clone());
    client.notify(
        "workspace/didChangeConfiguration",
        json!({ "settings": settings }),
    );
    client
}

/// The schema of test files, too: each that is shipped is all right to it, and a misspelt key is not.
#[test]
fn the_schema_of_tests_serves_the_yaml_server_of_others() {
    let how = "npm install --prefix target/npm yaml-language-server";
    let Some(server) = installed("yaml-language-server", how) else {
        return;
    };
    let test = Test::with_shipped_workflows();
    let mut client = yaml_server(server, &test, &["schema", "--test"], "**/*.test.yaml");
    let first = "workflows/patch-host.test.yaml";
    let original = test.read(first);
    client.open(first, &original.replacen("expect:", "exepct:", 1));
    let mut found = client.heard_of(first);
    while found.is_empty() {
        found = client.heard_of(first);
    }
    assert!(
        found[0]["message"].to_string().contains("exepct"),
        "{found:?}"
    );
    client.change(first, &original);
    while !client.heard_of(first).is_empty() {}
    let files = windlass::testing::find(&[test.path("workflows")]).expect("test files");
    assert!(files.len() >= 17, "{files:?}");
    for path in files {
        let file = path
            .strip_prefix(test.path(""))
            .expect("in the folder")
            .display()
            .to_string();
        if file != first {
            client.open(&file, &test.read(&file));
            assert_eq!(client.heard_of(&file), [Json::Null; 0], "{file}");
        }
    }
}

/// The schema that `windlass schema` prints, in the hands of the YAML server that most editors have.
#[test]
fn the_schema_serves_the_yaml_server_of_others() {
    let how = "npm install --prefix target/npm yaml-language-server";
    let Some(server) = installed("yaml-language-server", how) else {
        return;
    };
    let test = Test::with_shipped_workflows();
    let mut client = yaml_server(server, &test, &["schema"], "*.yaml");
    // It does look: a key that is none, and a value that is none.
    let original = test.read(GLOO_MESH);
    let text = original
        .replacen("    timeout: 5m", "    timeuot: 5m", 1)
        .replacen("fresh: true", "fresh: 3", 1);
    client.open(GLOO_MESH, &text);
    let mut found = client.heard_of(GLOO_MESH);
    while found.is_empty() {
        found = client.heard_of(GLOO_MESH);
    }
    let messages: Vec<_> = found
        .iter()
        .map(|found| found["message"].to_string())
        .collect();
    assert!(
        messages.iter().any(|message| message.contains("timeuot")),
        "{messages:?}"
    );
    assert!(
        messages.iter().any(|message| message.contains("boolean")),
        "{messages:?}"
    );
    // What is shipped is all right to it.
    client.change(GLOO_MESH, &original);
    while !client.heard_of(GLOO_MESH).is_empty() {}
    for name in [
        "certificate",
        "drain-patch-verify",
        "patch-host",
        "restart-cluster",
        "restart-mesh",
        "rotate-db-password",
    ] {
        let file = format!("workflows/{name}.yaml");
        client.open(&file, &test.read(&file));
        assert_eq!(client.heard_of(&file), [Json::Null; 0], "{name}");
    }
    let (line, character) = place_of(&original, "retry").0;
    let hover = client.at("hover", GLOO_MESH, (line, character + 1));
    assert!(
        hover["contents"]["value"]
            .to_string()
            .contains("Retries the step after a failure"),
        "{hover}"
    );
}
