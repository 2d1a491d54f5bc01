//! What a terminal sends to a server, and how it keeps its logins.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    process::{Command, Stdio},
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};

use serde_json::{Value as Json, json};

use super::server::{Served, with_people};
use crate::{
    harness::{Ran, Test},
    web::{Request, Web},
};

const LEAK: &str = "workflow: leak
params: { token: secret }
steps:
  a:
    with: { token: '${{ params.token }}' }
    run: file::write_secret(\"t\", \"<\" + inputs.token + \">\")
";

const NIGHTLY: &str = "workflow: nightly
triggers:
  - { schedule: \"0 3 * * *\" }
steps: { a: { run: \"#{}\" } }
";

fn command(test: &Test, served: &Served, arguments: &[&str]) -> Command {
    let mut command = test.command(arguments);
    command
        .env("WINDLASS_SERVER", format!("http://{}", served.address))
        .env("WINDLASS_TOKEN", &served.owner)
        .env("A_SECRET", "hunter2");
    command
}

fn windlass(test: &Test, served: &Served, arguments: &[&str]) -> Ran {
    let output = command(test, served, arguments).output();
    Ran::from_output(output.expect("windlass starts"))
}

#[test]
fn what_a_reference_names_is_sent_and_never_its_text() {
    let there = with_people(Test::new().file("leak.yaml", LEAK));
    let served = Served::start(&there);
    let here = Test::new()
        .file("leak.yaml", LEAK)
        .file("s.txt", "hunter3\n");
    for (token, wanted) in [
        ("env:A_SECRET", "<hunter2>"),
        ("file:s.txt", "<hunter3>"),
        ("text:env:A_SECRET", "<env:A_SECRET>"),
    ] {
        let param = format!("token={token}");
        windlass(&here, &served, &["run", "leak.yaml", "-p", &param]).expect(0);
        let runs = served.get(&served.owner, "/api/v1/runs").expect(200).json();
        let run = runs["runs"][0]["run"].as_str().expect("a run").to_owned();
        assert_eq!(there.read(&format!("out/{run}/t")), wanted, "{token}");
    }
    for token in ["ssm:/a/b", "secretsmanager:a", "vault:kv/a#b"] {
        let param = format!("token={token}");
        let ran = windlass(&here, &served, &["run", "leak.yaml", "-p", &param]).expect(2);
        assert!(
            ran.stderr.contains("[not-remote]")
                && ran.stderr.contains("does not accept references"),
            "{}",
            ran.stderr
        );
    }
    let ran = windlass(
        &here,
        &served,
        &["run", "leak.yaml", "-p", "token=env:NO_SUCH_VARIABLE"],
    );
    assert!(
        ran.expect(2).stderr.contains("NO_SUCH_VARIABLE is not set"),
        "it is read here"
    );
    let runs = served.get(&served.owner, "/api/v1/runs").expect(200).json();
    assert_eq!(runs["runs"].as_array().map(Vec::len), Some(3), "{runs:#}");
}

#[test]
fn triggers_are_paused_where_they_are() {
    let there = with_people(Test::new().file("nightly.yaml", NIGHTLY));
    let served = Served::start(&there);
    let here = Test::new();
    let paused_by = || {
        let answer = served.get(&served.owner, "/api/v1/triggers").expect(200);
        answer.json()["triggers"][0]["paused_by"].clone()
    };
    let listed = windlass(&here, &served, &["triggers"]).expect(0).stdout;
    assert!(listed.contains("nightly/schedule"), "{listed}");
    let pause = ["triggers", "pause", "nightly/schedule"];
    windlass(&here, &served, &pause).expect(0);
    assert!(paused_by().is_string(), "the server's trigger is paused");
    let listed = windlass(&here, &served, &["triggers", "--json"]).expect(0);
    assert!(listed.json()["triggers"][0]["paused_by"].is_string());
    let resume = ["triggers", "resume", "nightly/schedule"];
    windlass(&here, &served, &resume).expect(0);
    assert_eq!(paused_by(), Json::Null);
    let unknown = ["triggers", "pause", "weekly/schedule"];
    let ran = windlass(&here, &served, &unknown).expect(2);
    ran.says("[unknown-trigger]");
    assert!(
        !here.path(".windlass").exists(),
        "nothing happened on this machine"
    );
    // What a server can't be asked for is refused, also where nobody thought of it.
    for arguments in [
        &["triggers", "--workflows", "x"][..],
        &["shell"],
        &["backup", "b.tar"],
    ] {
        let ran = windlass(&here, &served, arguments).expect(2);
        assert!(
            ran.stderr.contains("[not-remote]"),
            "{arguments:?}: {}",
            ran.stderr
        );
    }
    windlass(&here, &served, &["explain", "not-remote"]).expect(0);
}

/// A server and its provider in one. A refresh token counts once, as RFC 9700, 4.14.2 wants it.
fn provider() -> Web {
    let state = Arc::new((Mutex::new(0), Condvar::new()));
    Web::open(move |request| {
        let host = request.head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("host").then(|| value.trim())
        });
        let url = format!("http://{}", host.unwrap_or_default());
        let (status, body) = match request.path() {
            "/api/v1/login" => (200, json!({ "issuer": url, "client_id": "c" })),
            "/.well-known/openid-configuration" => (
                200,
                json!({
                    "issuer": url,
                    "device_authorization_endpoint": format!("{url}/device"),
                    "token_endpoint": format!("{url}/token"),
                }),
            ),
            "/device" => (
                200,
                json!({
                    "device_code": "d",
                    "user_code": "AB\u{1b}[2JCD",
                    "verification_uri": format!("{url}/\u{1b}]0;x\u{7}"),
                    "expires_in": u64::MAX,
                    "interval": 0,
                }),
            ),
            "/token" => token(request, &state),
            "/api/v1/whoami" => (200, json!({ "name": "alice", "version": "1" })),
            _ => (200, json!({ "runs": [] })),
        };
        let body = body.to_string();
        let head = format!(
            "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        format!("{head}{body}").into_bytes()
    })
}

fn token(request: &Request, state: &(Mutex<u32>, Condvar)) -> (u16, Json) {
    let fields: BTreeMap<String, String> =
        form_urlencoded::parse(&request.body).into_owned().collect();
    let Some(given) = fields.get("refresh_token") else {
        return (200, json!({ "id_token": "a.b.c", "refresh_token": "r0" }));
    };
    let (count, came) = state;
    let mut count = count.lock().expect("a count");
    *count += 1;
    came.notify_all();
    if given != "r0" || *count > 1 {
        return (400, json!({ "error": "invalid_grant" }));
    }
    // Gives another command the time to renew as well; one that waits for the first does not.
    let waited = came.wait_timeout_while(count, Duration::from_secs(1), |count| *count < 2);
    drop(waited.expect("a count"));
    (200, json!({ "id_token": "d.e.f", "refresh_token": "r1" }))
}

#[test]
fn two_commands_renew_a_login_once() {
    let provider = provider();
    let test = Test::new();
    let entry = json!({
        "token": "old",
        "expires_at": 1,
        "renewal": { "issuer": provider.url(""), "client_id": "c", "refresh_token": "r0" },
    });
    let kept = json!({ "servers": { provider.url(""): entry, "https://other.example": { "token": "t" } } });
    test.write("config/windlass/credentials.json", &kept.to_string());
    let file = test.path("config/windlass/credentials.json");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("set");
    let start = || {
        let mut command = test.command(&["runs"]);
        command
            .env("XDG_CONFIG_HOME", test.path("config"))
            .env("WINDLASS_SERVER", provider.url(""))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.spawn().expect("windlass starts")
    };
    let commands = [start(), start(), start()];
    for command in commands {
        let output = command.wait_with_output().expect("it ends");
        Ran::from_output(output).expect(0);
    }
    let asked = provider.seen();
    let renewals = asked.iter().filter(|asked| asked.path() == "/token");
    assert_eq!(renewals.count(), 1);
    let kept: Json =
        serde_json::from_str(&test.read("config/windlass/credentials.json")).expect("JSON");
    let entry = &kept["servers"][provider.url("")];
    assert_eq!(entry["token"], "d.e.f");
    assert_eq!(entry["renewal"]["refresh_token"], "r1");
    assert_eq!(kept["servers"]["https://other.example"]["token"], "t");
}

#[test]
fn a_login_takes_what_a_provider_says_with_care() {
    let provider = provider();
    let test = Test::new();
    let mut command = test.command(&["login"]);
    command
        .env("XDG_CONFIG_HOME", test.path("config"))
        .env("WINDLASS_SERVER", provider.url(""));
    let ran = Ran::from_output(command.output().expect("windlass starts")).expect(0);
    ran.says("enter the code AB");
    assert!(
        !ran.stderr.contains(['\u{1b}', '\u{7}']),
        "{:?}",
        ran.stderr
    );
}
