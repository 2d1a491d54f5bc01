//! A private key is nowhere but in its file.

use std::{
    fs,
    path::Path,
    sync::{Arc, Mutex},
};

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
  is_same: ${{ steps.a.is_same }}
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
        is_same: inputs.token == inputs.text,
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
    assert_eq!(
        (&outputs["shown"], &outputs["is_same"]),
        (&"‹secret›".into(), &false.into())
    );
    assert_eq!(test.read("out/joined.txt"), "<Bearer hunter2>");
    assert!(!holds(&journal(&test.path(".windlass")), "hunter2"));
}

#[test]
fn a_secret_is_not_written_where_everyone_reads() {
    let test = Test::new()
        .file("w.yaml", "workflow: w\nsteps:\n  a: { run: 'file::write(\"k.pem\", key::generate(\"EC_prime256v1\"))' }\n");
    let ran = test.windlass(&["run", "w.yaml"]).expect(1);
    ran.says("use `file::write_secret`");
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
    ran.says("identity");
}

/// A server that quotes what it is sent, and sends `/elsewhere` on to another name of itself.
struct Echo {
    port: u16,
    /// The header `x-vault-token` of each request, where it had one.
    tokens: Arc<Mutex<Vec<String>>>,
    _runtime: tokio::runtime::Runtime,
}

impl Echo {
    fn open() -> Self {
        let tokens = Arc::<Mutex<Vec<String>>>::default();
        let seen = tokens.clone();
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"));
        let listener = listener.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let app = axum::Router::new().fallback(move |request: axum::extract::Request| {
            let seen = seen.clone();
            async move {
                if let Some(token) = request.headers().get("x-vault-token") {
                    let token = token.to_str().expect("a text").to_owned();
                    seen.lock().expect("unpoisoned").push(token);
                }
                let path = request.uri().path().to_owned();
                let body = axum::body::to_bytes(request.into_body(), 1 << 20).await;
                let body = String::from_utf8_lossy(&body.expect("a body")).into_owned();
                match path.as_str() {
                    "/elsewhere" => (
                        axum::http::StatusCode::FOUND,
                        [("location", format!("http://localhost:{port}/"))],
                        String::new(),
                    ),
                    "/token" => (
                        axum::http::StatusCode::OK,
                        [("content-type", "application/json".to_owned())],
                        r#"{"id":4711,"token":"tr0ub4dor"}"#.to_owned(),
                    ),
                    _ => (
                        axum::http::StatusCode::BAD_REQUEST,
                        [("x-none", String::new())],
                        format!("cannot parse: {body}"),
                    ),
                }
            }
        });
        runtime.spawn(async move { axum::serve(listener, app).await });
        Self {
            port,
            tokens,
            _runtime: runtime,
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

/// Runs a body on a target that allows 127.0.0.1, and gives all that was printed and recorded.
fn run_and_look(test: &Test, body: &str, arguments: &[&str]) -> (i32, String) {
    let body = body
        .lines()
        .map(|line| format!("      {line}\n"))
        .collect::<String>();
    test.write(
        "w.yaml",
        &format!("workflow: w\nparams: {{ token: {{ type: secret, default: null }} }}\nsteps:\n  s:\n    with: {{ token: \"${{{{ params.token }}}}\" }}\n    run: |\n{body}outputs: {{ all: \"${{{{ steps.s }}}}\" }}\n")
            .replace("{ type: secret, default: null }", "secret?"),
    );
    test.write(
        "windlass.toml",
        "[targets.t]\nhttp = { allow = [\"127.0.0.1\"] }\n",
    );
    let run = ["run", "w.yaml", "--target", "t", "--json"];
    let ran = test.windlass(&[&run, arguments].concat());
    let logs = test.windlass(&["logs", "--json"]).stdout;
    test.windlass(&["audit", "--bundle", "bundle.json"])
        .expect(0);
    let printed = format!(
        "{}{}{logs}{}",
        ran.stdout,
        ran.stderr,
        test.read("bundle.json")
    );
    let journal = journal(&test.path(".windlass"));
    (
        ran.code,
        format!("{printed}{}", String::from_utf8_lossy(&journal)),
    )
}

#[test]
fn what_the_other_side_quotes_of_a_secret_is_masked() {
    let (echo, test) = (Echo::open(), Test::new());
    let body = format!(
        "http::post(\"{}\", #{{ json: #{{ password: inputs.token }} }})",
        echo.url("/")
    );
    let (code, all) = run_and_look(&test, &body, &["-p", "token=tr0ub4dor"]);
    assert_eq!(code, 1);
    assert!(all.contains("cannot parse"), "{all}");
    assert!(!all.contains("tr0ub4dor"), "{all}");
}

#[test]
fn b1_a_secret_is_hidden_before_an_answer_is_cut() {
    let (echo, test) = (Echo::open(), Test::new());
    for padding in [150, 165, 172] {
        let body = format!(
            "let p = \"\"; p.pad({padding}, \"x\");\nhttp::post(\"{}\", #{{ json: #{{ password: p + inputs.token }} }})",
            echo.url("/")
        );
        let (code, all) = run_and_look(&test, &body, &["-p", "token=tr0ub4dor-Zebra-9"]);
        assert_eq!(code, 1);
        assert!(all.contains("cannot parse"), "{all}");
        assert!(!all.contains("tr0ub4"), "{padding}: {all}");
    }
}

#[test]
fn g4_a_result_that_quotes_a_secret_is_one() {
    let (echo, test) = (Echo::open(), Test::new());
    let body = format!(
        "let got = http::post(\"{}\", #{{ form: #{{ p: `user:${{inputs.token}}` }}, expect: [400] }});\nlog::info(got.body);\n#{{ body: got.body, status: got.status }}",
        echo.url("/")
    );
    let (code, all) = run_and_look(&test, &body, &["-p", "token=tr0ub4dor&3 +é"]);
    assert_eq!(code, 0, "{all}");
    assert!(
        all.contains("\"body\": \"‹secret›\"") && all.contains("\"status\": 400"),
        "{all}"
    );
    assert!(!all.contains("tr0ub4dor"), "{all}");
}

#[test]
fn a_redirect_takes_no_header_to_another_host() {
    let (echo, test) = (Echo::open(), Test::new());
    let body = format!(
        "http::get(\"{}\", #{{ headers: #{{ \"X-Vault-Token\": inputs.token }} }})",
        echo.url("/elsewhere")
    );
    let (code, all) = run_and_look(&test, &body, &["-p", "token=tr0ub4dor"]);
    assert_eq!(code, 1);
    assert!(
        all.contains("redirected to `localhost`, which the target does not allow"),
        "{all}"
    );
    assert_eq!(
        *echo.tokens.lock().expect("unpoisoned"),
        ["tr0ub4dor"],
        "asked once, here"
    );
}

#[test]
fn an_answer_can_be_a_secret() {
    let (echo, test) = (Echo::open(), Test::new());
    let url = echo.url("/token");
    let body = format!(
        "let got = http::get(\"{url}\", #{{ secret_output: true }});\nfile::write_secret(\"t\", got.json.token);\n#{{ body: got.body }}"
    );
    let (code, all) = run_and_look(&test, &body, &[]);
    assert_eq!((code, test.read("out/t").as_str()), (0, "tr0ub4dor"));
    assert!(!all.contains("tr0ub4dor"), "{all}");
}

/// Where the token is in another place than the script says, all of the answer is a secret.
#[test]
fn parts_of_an_answer_can_be_secrets() {
    for (part, is_plain) in [("json.token", true), ("json.access_token", false)] {
        let (echo, test) = (Echo::open(), Test::new());
        let url = echo.url("/token");
        let body = format!(
            "let got = http::get(\"{url}\", #{{ secret_output: [\"{part}\"] }});\nfile::write_secret(\"t\", got.json.token);\nlog::info(`number ${{got.json.id}}`);\n#{{ all: got.json }}"
        );
        let (code, all) = run_and_look(&test, &body, &[]);
        assert_eq!((code, test.read("out/t").as_str()), (0, "tr0ub4dor"));
        assert!(!all.contains("tr0ub4dor"), "{all}");
        assert_eq!(all.contains("number 4711"), is_plain, "{part}: {all}");
    }
    let body = "http::get(\"https://a.example\", #{ secret_output: [\"token\"] })";
    let (code, all) = run_and_look(&Test::new(), body, &[]);
    assert_eq!(code, 1);
    assert!(
        all.contains("`secret_output` names the path `token`, which the result does not have"),
        "{all}"
    );
}

/// Neither its digest, by which a weak one could be guessed, nor what is read back of it.
#[test]
fn a_secret_file_tells_nothing() {
    let test = Test::new();
    let body = "file::write_secret(\"pin\", inputs.token);\nlet read = file::read(\"pin\");\nlog::info(read);\n#{ read: read }";
    let (code, all) = run_and_look(&test, body, &["-p", "token=1234567"]);
    assert_eq!(code, 0);
    assert_eq!(test.read("out/pin"), "1234567");
    let digest = crate::harness::sha256(b"1234567");
    assert!(!all.contains("1234567") && !all.contains(&digest), "{all}");
    test.windlass(&["undo", "--yes"]).expect(0);
    assert!(!test.path("out/pin").exists());
}

#[test]
fn a_param_of_the_wrong_type_is_not_quoted_where_a_secret_is_meant() {
    let test = Test::new().file(
        "w.yaml",
        "workflow: w\nparams: { pw: secret?, all: { type: list(secret), default: [] } }\nsteps: { s: { run: '#{}', with: { a: \"${{ params.pw }}\" } } }\n",
    );
    test.windlass(&["run", "w.yaml", "-p", "pw=hunter3", "-p", "all=[hunter4]"])
        .expect(0);
    let shown = test.windlass(&["show", "--json"]).expect(0).stdout;
    assert!(!shown.contains("hunter"), "{shown}");
    let ran = test
        .windlass(&["run", "w.yaml", "-p", "all=[1717]"])
        .expect(2);
    assert!(
        ran.stderr.contains("secret") && !ran.stderr.contains("1717"),
        "{}",
        ran.stderr
    );
}

/// A Secret in Kubernetes, whichever way it is written. The texts are put together in the script, because its own
/// text is in the journal.
#[test]
fn what_goes_into_a_secret_of_kubernetes_is_in_no_record() {
    let test = Test::new().file(
        "w.yaml",
        "workflow: w
kube: [mgmt]
steps:
  s:
    run: |
      let secret = #{ apiVersion: \"v1\", kind: \"Secret\", metadata: #{ name: \"a\", namespace: \"default\" }, stringData: #{ pw: \"battery-\" + \"staple\" } };
      kube::apply(\"mgmt\", secret);
      kube::patch(\"mgmt\", \"default\", \"secret/a\", #{ stringData: #{ pw: \"correct-\" + \"horse\" } });
      let found = kube::get(\"mgmt\", \"default\", \"secret/a\");
      log::info(found.data);
      try { kube::patch(\"mgmt\", \"default\", \"secret/a\", #{ stringData: #{ pw: #{ deep: \"hunter-\" + \"two\" } } }); } catch (e) { log::warn(e.message); }
      kube::delete(\"mgmt\", \"default\", \"secret/a\");
      #{ found: found }
outputs: { found: \"${{ steps.s.found }}\" }
",
    );
    let ran = test.windlass(&["run", "w.yaml", "--json"]).expect(0);
    let undone = test.windlass(&["undo", "--yes"]).expect(0);
    let logs = test.windlass(&["logs", "--json"]).stdout;
    let journal = journal(&test.path(".windlass"));
    let all = format!(
        "{}{}{}{logs}{}",
        ran.stdout,
        ran.stderr,
        undone.stderr,
        String::from_utf8_lossy(&journal)
    );
    for text in ["battery-staple", "correct-horse", "hunter-two"] {
        let base64 = data_encoding::BASE64.encode(text.as_bytes());
        assert!(
            !all.contains(text) && !all.contains(&base64),
            "{text}: {all}"
        );
    }
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

/// A keystore: what a program or a server says about it, in any form, is in no journal and on no terminal.
#[test]
fn a_secret_that_is_not_text_is_nowhere() {
    let test = Test::new()
        .file("windlass.toml", "[targets.t]\nexec = [\"sh\", \"od\"]\n")
        .file(
            "w.yaml",
            r#"workflow: w
params: { key: secret }
steps:
  a:
    with: { key: "${{ params.key }}" }
    run: |
      let hex = exec::run("od", ["-An", "-v", "-tx1"], #{ stdin: inputs.key }).stdout;
      log::info("hex: " + hex);
      let raw = exec::run("sh", ["-c", "cat; echo end"], #{ stdin: inputs.key });
      #{ raw: type_of(raw.stdout_bytes), hex: type_of(hex) }
  b:
    needs: [a]
    with: { key: "${{ params.key }}" }
    run: |
      exec::run("sh", ["-c", "od -An -v -to1 | sed 's/ /\\\\/g' >&2; exit 3"], #{ stdin: inputs.key });
"#,
        );
    let key: Vec<u8> = (0..40).map(|i| (i * 89 + 131) as u8).collect();
    fs::write(test.path("key.bin"), &key).expect("written");
    test.chmod("key.bin", 0o600);
    let ran = test
        .windlass(&["run", "w.yaml", "--target", "t", "-p", "key=file:key.bin"])
        .expect(1);
    let mut said = format!("{}{}", ran.stdout, ran.stderr).into_bytes();
    for arguments in [
        &["logs", "--full"][..],
        &["show", "--json"],
        &["logs", "--json"],
    ] {
        let ran = test.windlass(arguments).expect(0);
        said.extend(ran.stdout.into_bytes());
    }
    let journal = journal(&test.path(".windlass"));
    let parts = |form: fn(&u8) -> String, mark: &str| {
        let forms: Vec<_> = key[..12].iter().map(form).collect();
        forms.join(mark)
    };
    let base64 = data_encoding::BASE64.encode(&key);
    for form in [
        parts(|byte| format!("{byte:02x}"), " "),
        parts(|byte| format!("{byte:02x}"), ""),
        parts(|byte| format!("\\{byte:03o}"), ""),
        parts(|byte| format!("\\\\{byte:03o}"), ""),
        base64[..20].to_owned(),
    ] {
        assert!(!holds(&said, &form), "{form} was shown");
        assert!(!holds(&journal, &form), "{form} is in the journal");
    }
    let raw = journal.windows(12).any(|window| window == &key[..12]);
    assert!(!raw, "the key itself is in the journal");
}

#[test]
fn a_value_of_the_wrong_shape_is_not_quoted_where_secrets_are_expected() {
    let test = Test::new().file(
        "w.yaml",
        "workflow: w\nparams: { toks: \"list(secret)\", m: \"map(secret)?\" }\nsteps: { a: { run: \"#{}\" } }\n",
    );
    for value in [
        "toks=leak-me-9",
        "toks={ a: leak-me-9 }",
        "toks=!leak-me-9 [a]",
        "toks=[leak-me-9, !leak-me-9 a]",
        "toks=!!int leak-me-9",
        "toks=[*leak-me-9]",
        "m=[leak-me-9]",
    ] {
        let ran = test
            .windlass(&["run", "w.yaml", "-p", "toks=[x]", "-p", value])
            .expect(2);
        assert!(!ran.stderr.contains("leak-me"), "{value}: {}", ran.stderr);
    }
    test.write("p.yaml", "toks: !leak-me-9 [a]\n");
    let ran = test
        .windlass(&["run", "w.yaml", "--params", "p.yaml"])
        .expect(2);
    assert!(!ran.stderr.contains("leak-me"), "{}", ran.stderr);
    // What is shown instead of a secret is none.
    for value in [
        "toks=[\"‹secret›\", b]",
        "toks=[\"‹secret from ssm:/a›\"]",
        "m={ a: \"x ‹secret›\" }",
    ] {
        test.windlass(&["run", "w.yaml", "-p", "toks=[x]", "-p", value])
            .expect(2)
            .says("what is shown in place of a secret");
    }
}
