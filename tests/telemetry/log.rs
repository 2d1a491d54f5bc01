//! Logs of servers.

use std::{
    io::Write,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value as Json, json};

use crate::{
    harness::Test,
    serve::server::{ALICE, Served, VERA, bearer, with_people},
};

const QUICK: &str = "workflow: quick
params: { token: { type: secret?, default: null }, fails: { type: bool, default: false } }
steps:
  only:
    with: { token: \"${{ params.token }}\", fails: \"${{ params.fails }}\" }
    run: |
      if inputs.fails { throw \"no\"; }
      #{ n: 1 }
";

/// Waits until a line of the log is as wanted.
fn line(served: &Served, wanted: impl Fn(&Json) -> bool) -> Json {
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        let found = lines(&served.said()).into_iter().find(|line| wanted(line));
        if let Some(found) = found {
            return found;
        }
        assert!(Instant::now() < until, "{}", served.said());
        thread::sleep(Duration::from_millis(20));
    }
}

/// The lines that are JSON: what is for people at a terminal is not.
fn lines(said: &str) -> Vec<Json> {
    said.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

fn start(test: &Test, arguments: &[&str]) -> Served {
    let all = [&["serve", "--listen", "127.0.0.1:0"], arguments].concat();
    let (mut served, url) = Served::start_with(test, &all);
    let (address, _) = url
        .trim()
        .strip_prefix("http://")
        .and_then(|rest| rest.split_once('/'))
        .expect("an address");
    address.clone_into(&mut served.address);
    served
}

#[test]
fn a_server_logs_each_request_by_its_route_and_no_secret() {
    let test = with_people(Test::new().file("quick.yaml", QUICK));
    let served = start(&test, &["--log-format", "json"]);
    let params = json!({ "token": "top-secret-value", "fails": true });
    let run = served.run(ALICE, &json!({ "workflow": "quick", "params": params }));
    let path = format!("/api/v1/runs/{run}");
    served.get(VERA, &path).expect(200);
    served
        .post(VERA, &format!("{path}/cancel"), &json!({}))
        .expect(403);
    served.send(
        "GET",
        "/nothing?token=secret-in-query",
        &[("Authorization", &bearer(VERA))],
        "",
    );
    served.send("GET", "/healthz", &[], "");

    let is = |method: &'static str, route: &'static str| {
        move |line: &Json| line["method"] == method && line["route"] == route
    };
    let started = line(&served, is("POST", "/api/v1/runs"));
    assert_eq!(
        (&started["status"], &started["who"]),
        (&json!(201), &json!("alice"))
    );
    assert_eq!(started["level"], "INFO");
    assert!(
        started["ms"].is_u64() && started["timestamp"].is_string(),
        "{started}"
    );
    let looked = line(&served, is("GET", "/api/v1/runs/{run}"));
    assert_eq!(
        (&looked["status"], &looked["who"]),
        (&json!(200), &json!("vera"))
    );
    let refused = line(&served, is("POST", "/api/v1/runs/{run}/cancel"));
    assert_eq!(refused["status"], 403);
    let unknown = line(&served, is("GET", "unknown"));
    assert_eq!(unknown["status"], 404);
    let ended = line(&served, |line| line["message"] == "the run has ended");
    assert_eq!(
        (&ended["level"], &ended["run"]),
        (&json!("WARN"), &json!(run))
    );
    assert_eq!(ended["outcome"], "failed");

    let said = served.stop();
    for secret in ["top-secret-value", "secret-in-query", ALICE, VERA] {
        assert!(!said.contains(secret), "{secret}: {said}");
    }
    // Probes come all the time, and are worth a line only when something is wrong.
    assert!(!said.contains("/healthz"), "{said}");
    // What is for people at a terminal is there as before.
    assert!(said.contains("open this address in a browser"), "{said}");
}

#[test]
fn the_filter_and_the_format_are_as_asked() {
    let mut test = with_people(Test::new().file("quick.yaml", QUICK));
    let served = start(&test, &["--log-level", "info,windlass::requests=off"]);
    served.get(VERA, "/api/v1/runs").expect(200);
    let run = served.run(ALICE, &json!({ "workflow": "quick" }));
    let until = Instant::now() + Duration::from_secs(30);
    while !served.said().contains("the run has ended") {
        assert!(Instant::now() < until, "{}", served.said());
        thread::sleep(Duration::from_millis(20));
    }
    let said = served.stop();
    assert!(!said.contains("/api/v1/runs"), "{said}");
    let ended = said.lines().find(|line| line.contains("the run has ended"));
    let ended = ended.expect("a line");
    assert!(ended.contains(" INFO ") && ended.contains(&run), "{ended}");
    assert!(ended.contains("outcome=\"succeeded\""), "{ended}");

    test.set("WINDLASS_LOG", "off");
    let served = start(&test, &[]);
    served.get(VERA, "/api/v1/runs").expect(200);
    let said = served.stop();
    assert!(!said.contains("INFO"), "{said}");
    test.set("WINDLASS_LOG", "loud");
    let refused = test
        .windlass(&["serve", "--listen", "127.0.0.1:0"])
        .expect(2);
    refused.says("`loud` is not a level");
    // A run at a terminal logs nothing unless it is asked to.
    let refused = test.windlass(&["run", "quick.yaml"]).expect(2);
    refused.says("[log-filter]");
    test.set("WINDLASS_LOG", "");
    let ran = test.windlass(&["run", "quick.yaml"]).expect(0);
    assert!(!ran.stderr.contains("INFO"), "{}", ran.stderr);
}

#[test]
fn what_fails_and_is_tried_again_is_logged() {
    let hook = "[[notify.receivers]]\nname = \"log\"\non = [\"failed\"]\nwebhook = { url = \"http://127.0.0.1:1/s3cret-path\" }\n";
    let test = with_people(Test::new().file("quick.yaml", QUICK));
    let mut config = std::fs::OpenOptions::new()
        .append(true)
        .open(test.path("windlass.toml"))
        .expect("the configuration");
    config.write_all(hook.as_bytes()).expect("written");
    let served = start(&test, &["--log-format", "json"]);
    served.run(
        ALICE,
        &json!({ "workflow": "quick", "params": { "fails": true } }),
    );
    let failed = line(&served, |line| line["receiver"] == "log");
    assert_eq!(failed["level"], "WARN");
    assert_eq!(
        failed["message"],
        "failed to send a notification; it will be retried"
    );
    assert!(
        failed["why"].as_str().is_some_and(|why| !why.is_empty()),
        "{failed}"
    );
    served.stop();
}

#[test]
fn the_rehearsal_servers_log_what_is_asked_of_them() {
    let test = Test::new();
    let arguments = [
        "pca",
        "serve",
        "--port",
        "0",
        "--insecure",
        "--log-level",
        "info",
        "--log-format",
        "json",
    ];
    let (served, url) = Served::start_with(&test, &arguments);
    let mut served = served;
    url.trim()
        .trim_start_matches("http://")
        .clone_into(&mut served.address);
    let headers = [
        ("Content-Type", "application/x-amz-json-1.1"),
        ("X-Amz-Target", "ACMPrivateCA.ListCertificateAuthorities"),
        (
            "Authorization",
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261127/us-east-1/acm-pca/aws4_request, SignedHeaders=host, Signature=00",
        ),
    ];
    let answer = served.send("POST", "/", &headers, "{}");
    assert_eq!(answer.status, 200, "{}", answer.body);
    let asked = line(&served, |line| {
        line["route"] == "ListCertificateAuthorities"
    });
    assert_eq!(
        (&asked["status"], &asked["who"]),
        (&json!(200), &json!("AKIDEXAMPLE"))
    );
    let said = served.stop();
    assert!(!said.contains("Signature"), "{said}");
}
