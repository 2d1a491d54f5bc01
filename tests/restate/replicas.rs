//! Several `windlass serve` over one engine: what one of them was asked, the others know, and nothing is done twice.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::{Value as Json, json};

use super::{
    server::Server,
    world::{Worker, join, until},
};
use crate::{
    harness::Test,
    serve::server::{ALICE, BOB, Served, VERA, bearer, with_people},
};

const ASKS: &str = "workflow: asks
params: { n: { type: int, default: 1 }, password: secret? }
lock: shared
steps:
  first: { run: \"file::write(\\\"first.txt\\\", \\\"x\\\")\" }
  go_live: { approval: \"Restart ${{ params.n }}?\", needs: [first], not_requester: true }
  after:
    needs: [go_live]
    with: { by: \"${{ steps.go_live.approved_by }}\" }
    run: \"#{ by: inputs.by }\"
outputs: { by: \"${{ steps.after.by }}\" }
";

const MARKS: &str = "workflow: marks
params: { n: int }
steps:
  mark:
    for_each: ${{ [1, 2, 3, 4] }}
    with: { line: \"${{ params.n }}-${{ item }}\" }
    run: |
      exec::run(\"sh\", [\"-c\", `echo ${inputs.line} >> marks; sleep 0.1`]);
";

const BROKEN: &str = "workflow: broken\nsteps: { a: { run: 'throw \"no\"' } }\n";

const NIGHTLY: &str = "workflow: nightly
triggers: [{ schedule: \"0 3 * * *\" }]
steps: { a: { run: \"#{}\" } }
";

/// An engine with a worker, for servers that share its identity of sealed secrets.
pub(super) struct Site {
    pub test: Test,
    _worker: Worker,
    _server: Server,
    ingress: u16,
}

impl Site {
    pub fn new(files: &[(&str, &str)], config: &str) -> Self {
        let mut test = with_people(Test::new());
        for (name, text) in files {
            test.write(name, text);
        }
        let people = test.read("windlass.toml");
        test.write("windlass.toml", &format!("{people}{config}"));
        let server = Server::start(&test.path("restate"));
        join(&mut test, &server);
        let worker = Worker::of(&test, &["--out", "out"], &[]);
        server.register(&worker.address);
        Self {
            test,
            ingress: server.ingress,
            _worker: worker,
            _server: server,
        }
    }

    /// Starts a server with a state folder of its own.
    pub fn replica(&self, name: &str) -> Served {
        replica(&self.test, name)
    }

    /// Asks the engine as a server would.
    fn ask(&self, path: &str, body: &Json) {
        let body = body.to_string();
        let mut stream = TcpStream::connect(("127.0.0.1", self.ingress)).expect("connected");
        let request = format!(
            "POST /{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("answered");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}

/// Starts a server with a state folder of its own, and the identity of the worker.
pub(super) fn replica(test: &Test, name: &str) -> Served {
    let path = |name: &str| test.path(&format!("{name}/identity.txt"));
    fs::create_dir(test.path(name)).expect("made");
    fs::copy(path(".windlass"), path(name)).expect("copied with its mode");
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--state", name];
    let (mut served, url) = Served::start_with(test, &arguments);
    let address = url.trim().strip_prefix("http://");
    let (address, _) = address
        .and_then(|rest| rest.split_once("/?token="))
        .unwrap_or_else(|| panic!("no address: {url:?}"));
    address.clone_into(&mut served.address);
    let token = test.read(&format!("{name}/serve.token"));
    token.trim().clone_into(&mut served.owner);
    served
}

/// Starts a run with a key.
fn start(served: &Served, token: &str, key: &str, body: &Json) -> Json {
    let answer = served.start_once(token, key, body);
    let json = answer.json();
    let status = if json["is_repeated"] == true {
        200
    } else {
        201
    };
    answer.expect(status);
    json
}

fn runs(served: &Served) -> Vec<Json> {
    let listed = served.get(VERA, "/api/v1/runs").expect(200).json();
    listed["runs"].as_array().expect("a list").clone()
}

fn ids(served: &Served) -> BTreeSet<String> {
    let runs = runs(served).into_iter();
    runs.map(|run| run["run"].as_str().expect("an id").to_owned())
        .collect()
}

#[test]
fn what_one_server_was_asked_the_others_know() {
    let site = Site::new(&[("asks.yaml", ASKS), ("broken.yaml", BROKEN)], "");
    let (a, b) = (site.replica("a"), site.replica("b"));
    let body = json!({ "workflow": "asks", "params": { "n": 3, "password": "hunter2" } });
    let started = start(&a, ALICE, "one", &body);
    let run = started["run"].as_str().expect("an id").to_owned();
    assert!(ids(&b).contains(&run), "B lists it at once");
    // The same key is the same run, wherever it arrives, also when many requests arrive together.
    thread::scope(|scope| {
        for served in [&a, &b, &b, &a] {
            let (run, body) = (&run, &body);
            scope.spawn(move || {
                let again = start(served, ALICE, "one", body);
                assert_eq!(
                    (&again["run"], &again["is_repeated"]),
                    (&json!(run), &json!(true))
                );
            });
        }
    });
    let other = json!({ "workflow": "asks", "params": { "n": 4 } });
    let refused = b.start_once(ALICE, "one", &other);
    assert_eq!(refused.expect(409).json()["code"], "idempotency-key");
    let new: BTreeSet<_> = thread::scope(|scope| {
        let starts: Vec<_> = [&a, &b, &a, &b]
            .map(|served| {
                scope.spawn(|| start(served, ALICE, "two", &json!({ "workflow": "broken" })))
            })
            .into_iter()
            .collect();
        let started = starts
            .into_iter()
            .map(|start| start.join().expect("started"));
        started
            .map(|new| new["run"].as_str().expect("an id").to_owned())
            .collect()
    });
    assert_eq!(new.len(), 1, "{new:?}");
    assert_eq!(ids(&a).len(), 2);

    // What A shows, bob approves at B.
    let path = |verb: &str| format!("/api/v1/runs/{run}{verb}");
    let shown = a.wait(&run, "waiting");
    let cookie = b.log_in(BOB);
    let page = b.page(&cookie, &format!("/runs/{run}")).expect(200).body;
    assert!(page.contains("Restart 3?"), "{page}");
    assert!(!page.contains("hunter2"));
    let approval = json!({ "step": "go_live", "digest": shown["asks"][0]["digest"] });
    assert_eq!(
        b.post(ALICE, &path("/approve"), &approval)
            .expect(403)
            .json()["needs"],
        "approver"
    );
    b.post(BOB, &path("/approve"), &approval).expect(202);
    let ended = a.wait(&run, "succeeded");
    assert_eq!(ended["outputs"]["by"], "bob");
    assert_eq!(site.test.read("out/first.txt"), "x");
    let audit = b.get(VERA, &path("/audit")).expect(200).json();
    assert_eq!(audit["approvals"][0]["approver"], "bob", "{audit:#}");
    // Both tell the same events, in pieces too.
    let events = |served: &Served, query: &str| served.get(VERA, &path(query)).expect(200).json();
    let all = events(&a, "/events");
    assert_eq!(all, events(&b, "/events"));
    let count = all["events"].as_array().expect("a list").len();
    let rest = events(&b, "/events?after=2");
    assert_eq!(rest["events"].as_array().expect("a list").len(), count - 3);

    // Undone at A, shown at B; a run that failed is on B's list with its error, and resumed there.
    let plan = a.get(&a.owner, &path("/undo")).expect(200).json();
    assert!(plan.to_string().contains("first.txt"), "{plan:#}");
    a.post(&a.owner, &path("/undo"), &json!({})).expect(202);
    b.wait(&run, "undone");
    assert!(!site.test.path("out/first.txt").exists());
    let failed = new.first().expect("one");
    b.wait(failed, "failed");
    let listed = runs(&b);
    let row = listed.iter().find(|row| row["run"] == **failed);
    assert_eq!(row.expect("listed")["error"], "no");
    b.post(ALICE, &format!("/api/v1/runs/{failed}/resume"), &json!({}))
        .expect(202);
    until("it failed again", || {
        let shown = a
            .get(VERA, &format!("/api/v1/runs/{failed}/events"))
            .expect(200);
        shown.body.matches("\"run_ended\"").count() == 2
    });

    // A run that waits for a lock says so at B, and is cancelled there.
    let holder = a.run(ALICE, &json!({ "workflow": "asks" }));
    b.wait(&holder, "waiting");
    let behind = a.run(ALICE, &json!({ "workflow": "asks" }));
    until("B says what it waits for", || {
        let shown = b
            .get(VERA, &format!("/api/v1/runs/{behind}"))
            .expect(200)
            .body;
        shown.contains(&holder.to_string())
    });
    let waiting = b.page(&cookie, "/waiting").expect(200).body;
    assert!(waiting.contains("shared"), "{waiting}");
    for run in [&behind, &holder] {
        b.post(ALICE, &format!("/api/v1/runs/{run}/cancel"), &json!({}))
            .expect(202);
        a.wait(run, "cancelled");
    }
    let events = a
        .get(VERA, &format!("/api/v1/runs/{holder}/events"))
        .expect(200)
        .body;
    assert!(
        events.contains("token alice"),
        "how they were authenticated: {events}"
    );
}

#[test]
fn a_server_that_is_killed_loses_and_doubles_nothing() {
    let config = "[targets.t]\nexec = [\"sh\"]\n";
    let site = Site::new(&[("marks.yaml", MARKS)], config);
    let (a, b) = (site.replica("a"), site.replica("b"));
    let body = |n: u32| json!({ "workflow": "marks", "target": "t", "params": { "n": n } });
    // Five starts are answered; the others are on their way when A is killed.
    for n in 0..5 {
        start(&a, ALICE, &format!("run {n}"), &body(n));
    }
    let bearer = bearer(ALICE);
    let sent: Vec<_> = (5..10)
        .map(|n| {
            let key = format!("run {n}");
            let headers = [
                ("Authorization", bearer.as_str()),
                ("Content-Type", "application/json"),
                ("Idempotency-Key", key.as_str()),
            ];
            a.open("POST", "/api/v1/runs", &headers, &body(n).to_string())
        })
        .collect();
    a.kill();
    drop(sent);
    for n in 0..10 {
        let again = start(&b, ALICE, &format!("run {n}"), &body(n));
        assert!(n > 4 || again["is_repeated"] == true, "{again}");
    }
    let started = ids(&b);
    assert_eq!(started.len(), 10);
    for run in &started {
        b.wait(run, "succeeded");
    }
    let marks = site.test.read("out/marks");
    let mut marks: Vec<_> = marks.lines().collect();
    marks.sort_unstable();
    assert_eq!(marks.len(), 40, "{marks:?}");
    marks.dedup();
    assert_eq!(marks.len(), 40, "nothing is done twice");
    // Another one in its place knows all of it.
    let again = site.replica("c");
    assert_eq!(ids(&again), started);
    println!("runs of a server that was killed: 10, ended: 10, effects done: 40, done twice: 0");
}

#[test]
fn a_trigger_starts_one_run_and_a_notice_is_sent_once() {
    let notified = Receiver::start();
    let config = format!(
        "[[notify.receivers]]\nname = \"log\"\non = [\"succeeded\"]\nwebhook = {{ url = \"http://{}/\" }}\n",
        notified.address
    );
    let site = Site::new(&[("nightly.yaml", NIGHTLY)], &config);
    // A server that is gone looked at the trigger five days ago.
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a time");
    let ago = i64::try_from(now.as_millis()).expect("a time") - 5 * 86_400_000;
    let begun = json!({ "begun": { "definition": "0 3 * * * (UTC)", "at": ago } });
    site.ask(
        "WindlassServers/all/mark",
        &json!(["nightly/schedule", begun]),
    );
    site.ask("WindlassServers/all/since", &json!(ago));
    let (a, b) = (site.replica("a"), site.replica("b"));
    let last = |served: &Served| {
        let shown = served.get(VERA, "/api/v1/triggers").expect(200).json();
        shown["triggers"][0]["last"]["run"]
            .as_str()
            .map(str::to_owned)
    };
    until("both have started what is due", || {
        last(&a).is_some() && last(&b).is_some()
    });
    assert_eq!(last(&a), last(&b));
    let run = last(&a).expect("a run");
    assert_eq!(ids(&b), BTreeSet::from([run.clone()]), "one run");
    b.wait(&run, "succeeded");
    let sent = |served: &Served| {
        let told = served
            .get(&served.owner, "/api/v1/notifications")
            .expect(200)
            .json();
        told["queues"][0]["sent"] == 1 && told["queues"][0]["queued"] == 0
    };
    until("both know that it was sent", || sent(&a) && sent(&b));
    assert_eq!(notified.got().len(), 1, "{:?}", notified.got());
    assert!(notified.got()[0].contains(&run));

    // A server that comes later, with an empty folder, makes up for nothing and sends nothing again.
    let c = site.replica("c");
    until("C knows that it was sent", || sent(&c));
    // Who pauses it at A pauses it for all.
    let pause = "/api/v1/triggers/nightly/schedule/pause";
    a.post(ALICE, pause, &json!({})).expect(202);
    until("B and C are paused", || {
        [&b, &c].iter().all(|served| {
            let shown = served.get(VERA, "/api/v1/triggers").expect(200).json();
            shown["triggers"][0]["paused_by"] == "alice"
        })
    });
    let key = "nightly/schedule";
    let listed = site.test.windlass(&["triggers", "--json"]).expect(0).json();
    assert_eq!(listed["triggers"][0]["paused_by"], "alice");
    site.test.windlass(&["triggers", "resume", key]).expect(0);
    until("it starts again", || {
        let shown = b.get(VERA, "/api/v1/triggers").expect(200).json();
        shown["triggers"][0]["paused_by"].is_null()
    });
    assert_eq!(ids(&c).len(), 1);
    assert_eq!(notified.got().len(), 1);
    let said = c.stop();
    assert!(said.contains("Restate drives the runs on"), "{said}");
}

#[test]
fn a_state_folder_is_one_servers_and_an_engine_that_is_away_is_named() {
    let site = Site::new(&[("broken.yaml", BROKEN)], "");
    let a = site.replica("a");
    let second = ["serve", "--listen", "127.0.0.1:0", "--state", "a"];
    let refused = site.test.windlass(&second).expect(2);
    refused.says("serves the runs in");
    a.get(VERA, "/readyz").expect(200);
    let Site { test, _server, .. } = site;
    drop(_server);
    until("A is not ready", || a.get(VERA, "/readyz").status == 503);
    let failed = a.get(VERA, "/api/v1/runs").expect(503).json();
    assert_eq!(failed["code"], "engine");
    let third = ["serve", "--listen", "127.0.0.1:0", "--state", "other"];
    let refused = test.windlass(&third).expect(2);
    refused.says("can't reach Restate");
    assert!(fs::exists(test.path("windlass.toml")).expect("a folder"));
}

/// Accepts every request, and keeps its body.
struct Receiver {
    address: String,
    got: Arc<Mutex<Vec<String>>>,
}

impl Receiver {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let got = Arc::<Mutex<Vec<String>>>::default();
        let kept = got.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if let Some(body) = accepted(stream) {
                    kept.lock().expect("whole").push(body);
                }
            }
        });
        Self { address, got }
    }

    fn got(&self) -> Vec<String> {
        self.got.lock().expect("whole").clone()
    }
}

fn accepted(mut stream: TcpStream) -> Option<String> {
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    let mut lines = BufReader::new(stream.try_clone().ok()?);
    let (mut line, mut length) = (String::new(), 0);
    while lines.read_line(&mut line).ok()? > 2 {
        let header = line.to_ascii_lowercase();
        if let Some(text) = header.strip_prefix("content-length: ") {
            length = text.trim().parse().ok()?;
        }
        line.clear();
    }
    let mut body = vec![0; length];
    lines.read_exact(&mut body).ok()?;
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
    stream.write_all(answer).ok()?;
    String::from_utf8(body).ok()
}
