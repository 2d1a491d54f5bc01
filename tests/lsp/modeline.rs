//! The server that most editors have for YAML, without any setting: the first line of a file is all that it needs.

use std::{path::Path, process::Command};

use serde_json::{Value as Json, json};

use super::{client::Client, peers::installed};
use crate::{
    harness::{Test, copy},
    modelines::files_below,
};

#[test]
fn the_first_line_of_a_file_is_all_that_the_yaml_server_of_others_needs() {
    let how = "npm install --prefix target/npm yaml-language-server";
    let Some(server) = installed("yaml-language-server", how) else {
        return;
    };
    let test = Test::with_shipped_workflows();
    copy(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("examples"),
        &test.path("examples"),
    );
    for template in ["plain", "rotation", "rolling-change", "approval", "api"] {
        let mut command = test.command(&["new", "mine", "--template", template]);
        let folder = test.path(&format!("made/{template}"));
        std::fs::create_dir_all(&folder).expect("a folder");
        let ran = command.current_dir(folder).output().expect("it starts");
        assert!(ran.status.success(), "{ran:?}");
    }
    let mut client = client(server, &test);
    let mut looked_at = 0;
    for folder in ["workflows", "examples", "made"] {
        for path in files_below(&test.path(folder)) {
            let file = path.strip_prefix(test.path("")).expect("in the folder");
            let file = file.display().to_string();
            // Tests of the shipped workflows are long, and checked elsewhere.
            if folder == "workflows" && file.ends_with(".test.yaml") {
                continue;
            }
            let original = test.read(&file);
            client.open(&file, &format!("{original}\nnonsense: 1\n"));
            let mut found = client.heard_of(&file);
            while found.is_empty() {
                found = client.heard_of(&file);
            }
            let messages = json!(found).to_string();
            assert!(messages.contains("nonsense"), "{file}: {messages}");
            client.change(&file, &original);
            while client.heard_of(&file) != [Json::Null; 0] {}
            looked_at += 1;
        }
    }
    assert!(looked_at >= 40, "{looked_at}");
}

fn client(server: std::path::PathBuf, test: &Test) -> Client {
    let yaml = json!({ "validate": true, "schemaStore": { "enable": false } });
    let settings = json!({ "yaml": yaml, "http": {}, "[yaml]": {}, "editor": {}, "files": {} });
    let mut command = Command::new(server);
    command.arg("--stdio");
    let capabilities = json!({
        "workspace": { "configuration": true, "didChangeConfiguration": { "dynamicRegistration": true } },
        "textDocument": { "publishDiagnostics": {} },
    });
    let mut client = Client::of(command, test, capabilities, settings.clone());
    client.notify(
        "workspace/didChangeConfiguration",
        json!({ "settings": settings }),
    );
    client
}
