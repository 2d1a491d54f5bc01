//! Runbooks that have nothing to do with certificates: `http`, `exec`, and the shipped examples.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::IntoResponse,
    routing::{get, post, put},
};
use serde_json::{Value, json};

use crate::{
    crash,
    harness::{Test, until},
};

/// A load balancer, the agents of its hosts, and the admin API of a database.
#[derive(Default)]
struct World {
    log: Vec<String>,
    pool: BTreeMap<String, String>,
    versions: BTreeMap<String, String>,
    passwords: BTreeMap<String, String>,
    keys: BTreeSet<String>,
    /// Answers with an error although the request was granted.
    loses_answers: usize,
    refuses_new_passwords: bool,
}

type Shared = Arc<Mutex<World>>;

struct Site {
    world: Shared,
    url: String,
    _runtime: tokio::runtime::Runtime,
}

impl Site {
    fn open() -> Self {
        let world = Shared::default();
        let password = ("app".into(), "the-old-one".into());
        lock(&world).passwords.extend([password]);
        let app = Router::new()
            .route("/hosts/{host}", put(set_state))
            .route("/{host}/patch", post(patch))
            .route("/{host}/health", get(health))
            .route("/users/{user}/password", put(set_password))
            .route("/login", post(login))
            .with_state(world.clone());
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"));
        let listener = listener.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        runtime.spawn(async move { axum::serve(listener, app).await });
        Self {
            world,
            url,
            _runtime: runtime,
        }
    }

    fn world(&self) -> std::sync::MutexGuard<'_, World> {
        self.world.lock().expect("unpoisoned")
    }
}

fn lock(world: &Shared) -> std::sync::MutexGuard<'_, World> {
    world.lock().expect("unpoisoned")
}

fn read(body: &str) -> Value {
    serde_json::from_str(body).expect("JSON")
}

async fn set_state(
    State(world): State<Shared>,
    Path(host): Path<String>,
    body: String,
) -> StatusCode {
    let body = read(&body);
    let mut world = lock(&world);
    let state = body["state"].as_str().expect("a state").to_owned();
    world.log.push(format!("{host} {state}"));
    world.pool.insert(host, state);
    let drained = world
        .pool
        .values()
        .filter(|state| *state == "drained")
        .count();
    assert!(drained <= 1, "{:?}", world.log);
    StatusCode::NO_CONTENT
}

async fn patch(
    State(world): State<Shared>,
    Path(host): Path<String>,
    headers: HeaderMap,
    body: String,
) -> StatusCode {
    let body = read(&body);
    let mut world = lock(&world);
    let key = headers["idempotency-key"]
        .to_str()
        .expect("a text")
        .to_owned();
    if world.keys.insert(key) {
        let version = body["version"].as_str().expect("a version").to_owned();
        world.log.push(format!("{host} patched to {version}"));
        world.versions.insert(host, version);
    }
    if world.loses_answers > 0 {
        world.loses_answers -= 1;
        return StatusCode::BAD_GATEWAY;
    }
    StatusCode::OK
}

async fn health(State(world): State<Shared>, Path(host): Path<String>) -> impl IntoResponse {
    let version = lock(&world).versions.get(&host).cloned();
    let health = json!({ "healthy": true, "version": version.unwrap_or_else(|| "1".into()) });
    ([("content-type", "application/json")], health.to_string())
}

async fn set_password(
    State(world): State<Shared>,
    Path(user): Path<String>,
    body: String,
) -> StatusCode {
    let body = read(&body);
    let password = body["password"].as_str().expect("a password").to_owned();
    lock(&world).passwords.insert(user, password);
    StatusCode::NO_CONTENT
}

async fn login(State(world): State<Shared>, body: String) -> StatusCode {
    let body = read(&body);
    let world = lock(&world);
    let known = world.passwords.get(body["user"].as_str().expect("a user"));
    let is_new = known.is_some_and(|password| password != "the-old-one");
    let is_refused = world.refuses_new_passwords && is_new;
    if known.map(String::as_str) == body["password"].as_str() && !is_refused {
        StatusCode::OK
    } else {
        StatusCode::UNAUTHORIZED
    }
}

fn patch_arguments(site: &Site) -> Vec<String> {
    let url = &site.url;
    [
        "run",
        "workflows/drain-patch-verify.yaml",
        "-p",
        "hosts=[a, b, c]",
        "-p",
        &format!("balancer={url}"),
        "-p",
        &format!("agent={url}"),
        "-p",
        "version=2",
    ]
    .map(str::to_owned)
    .into()
}

fn go(test: &Test, arguments: &[String], code: i32) -> crate::harness::Ran {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    test.windlass(&arguments).expect(code)
}

#[test]
fn a_pool_is_patched_host_by_host_and_back() {
    let (test, site) = (Test::with_shipped_workflows(), Site::open());
    site.world().loses_answers = 1;
    go(&test, &patch_arguments(&site), 0);
    let wanted: Vec<String> = ["a", "b", "c"]
        .iter()
        .flat_map(|host| ["drained", "patched to 2", "active"].map(|what| format!("{host} {what}")))
        .collect();
    assert_eq!(site.world().log, wanted);
    site.world().log.clear();
    test.windlass(&["undo", "--yes"]).expect(0);
    let undone: Vec<String> = ["c", "b", "a"]
        .iter()
        .flat_map(|host| ["drained", "patched to 1", "active"].map(|what| format!("{host} {what}")))
        .collect();
    assert_eq!(site.world().log, undone);
}

#[test]
fn a_pool_is_patched_when_somebody_else_says_so() {
    let (test, site) = (Test::with_shipped_workflows(), Site::open());
    let mut arguments = patch_arguments(&site);
    arguments.extend(["-p".into(), "approvers=[alice]".into()]);
    go(&test, &arguments, 3);
    assert!(site.world().log.is_empty());
    let run = test.windlass(&["runs", "--json"]).expect(0).json()[0]["run"].clone();
    let mut command = test.command(&["approve", run.as_str().expect("an id"), "begin"]);
    assert!(
        command
            .env("USER", "alice")
            .status()
            .expect("started")
            .success()
    );
    test.windlass(&["resume"]).expect(0);
    assert_eq!(site.world().log.len(), 9);
}

fn password_arguments(site: &Site) -> Vec<String> {
    [
        "run",
        "workflows/rotate-db-password.yaml",
        "-p",
        &format!("admin={}", site.url),
        "-p",
        "user=app",
        "-p",
        "current=the-old-one",
    ]
    .map(str::to_owned)
    .into()
}

#[test]
fn a_password_is_rotated_and_never_shown() {
    let (test, site) = (Test::with_shipped_workflows(), Site::open());
    let ran = go(&test, &password_arguments(&site), 0);
    let new = site.world().passwords["app"].clone();
    assert_eq!((new.len(), test.read("out/db-password")), (32, new.clone()));
    let logs = test.windlass(&["logs"]).expect(0).stdout;
    assert!(!logs.contains(&new) && !ran.stderr.contains(&new) && !logs.contains("the-old-one"));
    test.windlass(&["undo", "--yes"]).expect(0);
    assert_eq!(site.world().passwords["app"], "the-old-one");
}

#[test]
fn a_password_that_does_not_work_is_put_back() {
    let (test, site) = (Test::with_shipped_workflows(), Site::open());
    site.world().refuses_new_passwords = true;
    go(&test, &password_arguments(&site), 1);
    assert_eq!(site.world().passwords["app"], "the-old-one");
    assert!(!test.path("out/db-password").exists());
}

fn inline(body: &str) -> Test {
    let body = body.replace('\n', "\n      ");
    Test::new()
        .file("windlass.toml", "[targets.t]\nexec = [\"sh\", \"sleep\", \"env\"]\nhttp = { allow = [\"127.0.0.1\"] }\n")
        .file("w.yaml", &format!("workflow: w\nsteps:\n  a:\n    run: |\n      {body}\noutputs: {{ a: \"${{{{ steps.a }}}}\" }}\n"))
}

fn outputs(body: &str) -> Value {
    inline(body).outputs_of(&["w.yaml", "--target", "t"])["a"].clone()
}

#[test]
fn programs_run_without_a_shell() {
    let body = "let r = exec::run(\"sh\", [\"-c\", \"cat; echo $1 >&2; exit 3\", \"sh\", \"a b; $HOME\"], #{ stdin: \"in\", expect: [3] });
#{ out: r.stdout, err: r.stderr, code: r.code }";
    assert_eq!(
        outputs(body),
        json!({ "out": "in", "err": "a b; $HOME\n", "code": 3 })
    );
    let body = "#{ env: exec::run(\"env\", [], #{ env: #{ A: \"b\" }, read: true }).stdout }";
    let env = outputs(body)["env"].as_str().expect("a text").to_owned();
    assert!(
        env.contains("A=b\n") && env.contains("WINDLASS_EFFECT_KEY="),
        "{env}"
    );
    assert!(!env.contains("NO_COLOR"), "{env}");
}

#[test]
fn programs_are_refused_limited_and_killed() {
    let refused = inline("exec::run(\"rm\", [\"-rf\", \"/\"]);")
        .windlass(&["run", "w.yaml", "--target", "t"]);
    assert!(refused.expect(1).stderr.contains("exec = [\"rm\"]"));
    let loud =
        inline("exec::run(\"sh\", [\"-c\", \"head -c 1000000 /dev/zero\"], #{ read: true });");
    loud.windlass(&["run", "w.yaml", "--target", "t"]).expect(0);
    loud.windlass(&["logs"])
        .expect(0)
        .prints("only the end of what it printed was kept");
    let slow = inline(
        "exec::run(\"sh\", [\"-c\", \"sleep 77 & sleep 78\"], #{ timeout: \"100ms\", read: true });",
    );
    slow.windlass(&["run", "w.yaml", "--target", "t"]).expect(1);
    let left = std::process::Command::new("pgrep")
        .args(["-f", "sleep 7[78]"])
        .output();
    assert!(left.expect("pgrep").stdout.is_empty(), "a child was left");
}

#[test]
fn a_call_in_doubt_asks() {
    let test = inline(
        "exec::run(\"sh\", [\"-c\", \"echo x >> ran; kill -9 $PPID\"]);
#{ done: true }",
    );
    let run = test.windlass(&["run", "w.yaml", "--target", "t"]);
    assert_eq!(run.code, -1, "{}", run.stderr);
    let asked = test.windlass(&["resume"]).expect(1);
    assert!(
        asked.stderr.contains("[in-doubt]") || asked.stderr.contains("in-doubt"),
        "{}",
        asked.stderr
    );
    asked.says("--answer");
    assert_eq!(test.read("out/ran"), "x\n");
    test.windlass(&["resume", "--answer", "b=done"]).expect(2);
    test.windlass(&[
        "resume",
        "--answer",
        "a=done:{ code: 0, stdout: '', stderr: '' }",
    ])
    .expect(0);
    assert_eq!(test.read("out/ran"), "x\n");
}

#[test]
fn a_cancel_kills_a_program() {
    let test = inline("exec::run(\"sleep\", [\"76\"]);");
    let mut child = test.start(&["run", "w.yaml", "--target", "t"]);
    until("it starts", std::time::Duration::from_secs(20), || {
        test.windlass(&["logs"]).stdout.contains("exec::run")
    });
    test.windlass(&["cancel"]).expect(0);
    assert_eq!(child.wait().expect("ended").code(), Some(130));
    let left = std::process::Command::new("pgrep")
        .args(["-f", "sleep 76"])
        .output();
    assert!(
        left.expect("pgrep").stdout.is_empty(),
        "the program was left"
    );
}

#[test]
fn requests_keep_to_the_rules() {
    let site = Site::open();
    let url = &site.url;
    let body = format!(
        "let r = http::get(\"{url}/x/health\"); #{{ status: r.status, version: r.json.version }}"
    );
    assert_eq!(outputs(&body), json!({ "status": 200, "version": "1" }));
    let body = format!(
        "let r = http::get(\"{url}/nothing\", #{{ expect: [404] }}); #{{ status: r.status }}"
    );
    assert_eq!(outputs(&body)["status"], 404);
    let failing = inline(&format!("http::get(\"{url}/nothing\");"));
    let failing = failing
        .windlass(&["run", "w.yaml", "--target", "t"])
        .expect(1);
    failing.says("HTTP404");
    let elsewhere = inline("http::get(\"http://example.com/\");");
    let elsewhere = elsewhere
        .windlass(&["run", "w.yaml", "--target", "t"])
        .expect(1);
    elsewhere.says("does not allow the host");
    let caught = format!(
        "try {{ http::get(\"{url}/nothing\"); }} catch (e) {{ return #{{ class: e.class, code: e.code }}; }}"
    );
    assert_eq!(
        outputs(&caught),
        json!({ "class": "rejected", "code": "HTTP404" })
    );
}

#[test]
fn a_lost_answer_to_a_post_is_not_repeated() {
    let site = Site::open();
    site.world().loses_answers = 9;
    // Without a key nobody knows whether it was done, so `retry` must not do it again.
    let text = format!(
        "workflow: w\nsteps:\n  a:\n    retry: {{ attempts: 3, backoff: 1ms }}\n    run: |\n      http::post(\"{}/x/patch\", #{{ json: #{{ version: \"2\" }}, headers: #{{ \"idempotency-key\": random::hex(4) }} }});\n",
        site.url
    );
    let test = Test::new().file("w.yaml", &text);
    let ran = test.windlass(&["run", "w.yaml"]).expect(1);
    ran.says("HTTP502");
    assert_eq!(site.world().log, ["x patched to 2"]);
    let asked = test.windlass(&["resume"]).expect(1);
    asked.says("in-doubt");
    assert_eq!(site.world().log, ["x patched to 2"]);
}

#[test]
fn texts_go_in_and_out() {
    let body = "let t = toml::parse(\"a = 1\\n[b]\\nc = [1, 2]\");
let y = yaml::parse(yaml::stringify(t));
#{ same: y == t, c: t.b.c, toml: toml::stringify(#{ a: 1 }), hash: hash::sha256(\"abc\").sub_string(0, 8),
   mac: hash::hmac_sha256(\"key\", \"text\").len(), url: base64::encode_url(\"??>\"),
   later: time::add(\"2026-01-31T00:00:00Z\", \"1d\"), day: time::format(\"2026-01-31T00:00:00Z\", \"[day]\"),
   apart: time::seconds_between(\"2026-01-31T00:00:00Z\", \"2026-01-31T00:01:00Z\"),
   uuid: random::uuid().len(), die: random::int(3, 3), one: random::choice([7]),
   secret: hash::sha256(random::password(12)) }";
    let found = outputs(body);
    let wanted = json!({ "same": true, "c": [1, 2], "toml": "a = 1\n", "hash": "ba7816bf", "mac": 64, "url": "Pz8-",
        "later": "2026-02-01T00:00:00Z", "day": "31", "apart": 60, "uuid": 36, "die": 3, "one": 7, "secret": "‹secret›" });
    assert_eq!(found, wanted);
}

#[test]
fn files_are_made_from_templates_and_removed() {
    let test = inline("file::write_template(\"a.conf\", \"x = {{ x }}; p = {{p}}\", #{ x: 1, p: random::password(8) });
file::write(\"b/c.txt\", \"c\");
let before = file::list();
file::remove(\"b/c.txt\");
#{ before: before, there: file::exists(\"b/c.txt\") }");
    let found = test.outputs_of(&["w.yaml", "--target", "t"])["a"].clone();
    assert_eq!(
        found,
        json!({ "before": ["a.conf", "b/c.txt"], "there": false })
    );
    let mode = std::fs::metadata(test.path("out/a.conf"))
        .expect("there")
        .permissions();
    assert_eq!(
        std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777,
        0o600
    );
    test.windlass(&["undo", "--yes"]).expect(0);
    assert!(!test.path("out/a.conf").exists());
}

/// What the outside holds after a run, whatever happened on the way.
fn outside(site: &Site) -> (BTreeMap<String, String>, BTreeMap<String, String>, usize) {
    let world = site.world();
    (world.pool.clone(), world.versions.clone(), world.keys.len())
}

#[test]
fn a_runbook_that_died_anywhere_ends_the_same() {
    let (whole, site) = (Test::with_shipped_workflows(), Site::open());
    go(&whole, &patch_arguments(&site), 0);
    let wanted = outside(&site);
    let (moments, tried) = crash::at_every_moment(|at| {
        let (test, site) = (Test::with_shipped_workflows(), Site::open());
        let arguments = patch_arguments(&site);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        if !crash::crash(&test, &arguments, at) {
            return false;
        }
        if crash::has_no_events(&test) {
            test.windlass(&arguments).expect(0)
        } else {
            // 2: it had succeeded already.
            test.windlass(&["resume"]).expect_one_of(&[0, 2])
        };
        assert_eq!(outside(&site), wanted, "after a crash at {at}");
        crash::check_journal(&test, at);
        test.windlass(&["undo", "--yes"]).expect(0);
        let world = site.world();
        let is_back =
            world.versions.values().all(|v| v == "1") && world.pool.values().all(|s| s == "active");
        assert!(is_back, "undone after a crash at {at}: {:?}", world.log);
        true
    });
    println!("crash points tried: {tried} of {moments} (drain-patch-verify)");
}

#[test]
fn a_password_rotation_that_died_anywhere_leaves_one_that_works() {
    let (moments, tried) = crash::at_every_moment(|at| {
        let (test, site) = (Test::with_shipped_workflows(), Site::open());
        let arguments = password_arguments(&site);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        if !crash::crash(&test, &arguments, at) {
            return false;
        }
        let undoes = at.is_multiple_of(2);
        match (crash::has_no_events(&test), undoes) {
            (true, _) => test.windlass(&arguments).expect(0),
            (false, true) => test.windlass(&["undo", "--yes"]).expect(0),
            (false, false) => test.windlass(&["resume"]).expect_one_of(&[0, 2]),
        };
        let now = site.world().passwords.get("app").cloned();
        if undoes && test.shown()["status"] == "undone" {
            assert!(
                now.as_deref() == Some("the-old-one"),
                "after a crash at {at}"
            )
        } else {
            assert_eq!(
                Some(test.read("out/db-password")),
                now,
                "after a crash at {at}"
            )
        }
        true
    });
    println!("crash points tried: {tried} of {moments} (rotate-db-password)");
}

/// A server that wants a client certificate, with certificates that windlass made itself.
#[test]
fn a_client_certificate_opens_the_door() {
    let test = Test::with_shipped_workflows();
    // Agents know it by the other name, and have to connect.
    let names = "server_dns_names=[localhost, '*.gloo-mesh']";
    let cacerts = ["-p", "istio_ca=cacerts"];
    let run = ["run", "workflows/gloo-mesh.yaml", "-p", names];
    test.windlass(&[&run, cacerts.as_slice()].concat())
        .expect(0);
    let mut server = std::process::Command::new("openssl")
        .args([
            "s_server",
            "-accept",
            "localhost:0",
            "-www",
            "-Verify",
            "3",
            "-verify_return_error",
        ])
        .args([
            "-cert",
            "relay-server-tls.pem",
            "-key",
            "relay-server-tls.key",
        ])
        .args([
            "-cert_chain",
            "relay-server-tls-chain.pem",
            "-CAfile",
            "root-ca.pem",
        ])
        .current_dir(test.path("out"))
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("openssl is installed (apt-get install openssl)");
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(
        server.stdout.take().expect("piped"),
    ));
    let port = lines.by_ref().map_while(Result::ok).find_map(|line| {
        line.strip_prefix("ACCEPT ")?
            .rsplit(':')
            .next()
            .map(str::to_owned)
    });
    let port = port.expect("the server listens");
    // It goes on printing, and must be read.
    std::thread::spawn(move || lines.for_each(drop));
    let call = |options: &str| {
        let body = format!(
            "let r = http::get(\"https://localhost:{port}/\", #{{ {options} ca: file::read(\"root-ca.pem\") }});\n      file::write(\"page.html\", r.body);"
        );
        test.write("call.yaml", &format!("workflow: call\nparams: {{ key: secret }}\nsteps:\n  a:\n    with: {{ key: \"${{{{ params.key }}}}\" }}\n    run: |\n      {body}\n"));
        let key = test.read("out/relay-client-tls-cluster-1.key");
        test.write("key.json", &json!({ "key": key }).to_string());
        test.windlass(&["run", "call.yaml", "--params", "key.json"])
    };
    let refused = call("");
    let chain = "client_certificate: file::read(\"relay-client-tls-cluster-1.pem\") + file::read(\"relay-client-tls-cluster-1-chain.pem\"), client_key: inputs.key,";
    let opened = call(chain);
    server.kill().expect("stopped");
    server.wait().expect("gone");
    assert_eq!(refused.code, 1, "{}", refused.stderr);
    opened.expect(0);
    assert!(test.read("out/page.html").contains("cluster-1"));
    let logs = test.windlass(&["logs"]).expect(0).stdout;
    assert!(!logs.contains("PRIVATE KEY"), "{logs}");
}
