//! A private key is nowhere but in its file.

use std::{fs, path::Path};

use crate::harness::Test;

#[test]
fn no_private_key_is_in_the_journal_or_in_anything_printed() {
    let test = Test::with_shipped_workflows();
    let ran = test
        .windlass(&["run", "workflows/gloo-mesh.yaml", "--json"])
        .expect(0);
    let mut printed = format!("{}{}", ran.stdout, ran.stderr);
    for arguments in [
        &["show"][..],
        &["show", "--json"],
        &["logs"],
        &["logs", "--json"],
        &["outputs", "--json"],
    ] {
        let ran = test.windlass(arguments).expect(0);
        printed.push_str(&ran.stdout);
        printed.push_str(&ran.stderr);
    }
    let key = test.read("out/relay-server-tls.key");
    let line = key.lines().nth(3).expect("a line of the key");
    for (name, content) in [
        ("output", Vec::from(printed)),
        ("journal", journal(&test.path(".windlass"))),
    ] {
        assert!(!holds(&content, line), "the {name} holds the key");
        assert!(!holds(&content, "PRIVATE KEY"), "the {name} holds a key");
    }
}

/// The database with its write-ahead log, as an attacker would read it.
fn journal(state: &Path) -> Vec<u8> {
    let file = |name| fs::read(state.join(name)).unwrap_or_default();
    [file("journal.db"), file("journal.db-wal")].concat()
}

fn holds(content: &[u8], text: &str) -> bool {
    content
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

#[test]
fn what_is_made_from_a_secret_is_a_secret() {
    let test = Test::new()
        .file(
            "w.yaml",
            "workflow: w
params: { token: secret }
steps:
  a: { script: a.rhai, with: { token: \"${{ params.token }}\", text: \"Bearer ${{ params.token }}\" } }
outputs:
  joined: ${{ steps.a.joined }}
  encoded: ${{ steps.a.encoded }}
  shown: ${{ steps.a.shown }}
",
        )
        .file(
            "a.rhai",
            "const INPUTS = #{ token: \"secret\", text: \"secret\" };
fn run(inputs) {
    log::info(inputs.token);
    log::info(`token ${inputs.token}`);
    file::write_secret(\"joined.txt\", \"<\" + inputs.text + \">\");
    #{
        joined: \"a\" + inputs.token + \"b\",
        encoded: base64::encode(inputs.token),
        shown: json::stringify(#{ token: inputs.token }) + inputs.token.to_string() + `${inputs.token == inputs.text}`,
    }
}
",
        );
    let ran = test
        .windlass(&["run", "w.yaml", "-p", "token=hunter2"])
        .expect(0);
    let outputs = test.windlass(&["outputs", "--json"]).expect(0);
    let logs = test.windlass(&["logs", "--json"]).expect(0);
    for text in [&ran.stderr, &outputs.stdout, &logs.stdout] {
        assert!(
            !text.contains("hunter2") && !text.contains("aHVudGVyMg"),
            "{text}"
        );
    }
    let outputs = outputs.json();
    assert_eq!(
        (&outputs["joined"], &outputs["encoded"]),
        (&"‹secret›".into(), &"‹secret›".into())
    );
    assert_eq!(outputs["shown"], "{\"token\":\"‹secret›\"}‹secret›‹secret›");
    assert_eq!(test.read("out/joined.txt"), "<Bearer hunter2>");
    assert!(!holds(&journal(&test.path(".windlass")), "hunter2"));
}

#[test]
fn a_secret_is_not_written_where_everyone_reads() {
    let test = Test::new()
        .file("w.yaml", "workflow: w\nsteps:\n  a: { run: 'file::write(\"k.pem\", key::generate(\"EC_prime256v1\"))' }\n");
    let ran = test.windlass(&["run", "w.yaml"]).expect(1);
    assert!(
        ran.stderr.contains("use `file::write_secret`"),
        "{}",
        ran.stderr
    );
    assert!(!test.path("out/k.pem").exists());
}

#[test]
fn without_the_identity_a_run_can_be_read_and_not_resumed() {
    let test = Test::new().file(
        "w.yaml",
        "workflow: w
steps:
  a: { script: a.rhai }
  b: { run: 'file::write_secret(\"k.pem\", inputs.key); throw \"stop\"', with: { key: \"${{ steps.a.key }}\" } }
",
    )
    .file("a.rhai", "fn run(inputs) { #{ key: key::generate(\"EC_prime256v1\") } }\n");
    test.windlass(&["run", "w.yaml"]).expect(1);
    fs::remove_file(test.path(".windlass/identity.txt")).expect("removed");
    test.windlass(&["show"]).expect(0);
    let ran = test.windlass(&["resume"]).expect(2);
    assert!(ran.stderr.contains("identity"), "{}", ran.stderr);
}

/// A key of the user's that looks like the mark of an encrypted value is none.
#[test]
fn a_run_without_secrets_needs_no_identity() {
    let test = Test::new().file(
        "w.yaml",
        "workflow: w
steps:
  a: { run: 'try { http::post(\"http://127.0.0.1:1/\", #{ json: #{ \"$secret\": \"x\" } }); } catch {} file::read(\"go.txt\")' }
",
    );
    test.windlass(&["run", "w.yaml"]).expect(1);
    assert!(!test.path(".windlass/identity.txt").exists());
    test.write("out/go.txt", "");
    test.windlass(&["resume"]).expect(0);
}
