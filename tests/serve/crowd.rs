//! Ten people at once, two hundred runs, and a server that is killed under them twenty times.

use std::{
    collections::BTreeSet,
    io::{Read, Write},
    net::TcpStream,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value as Json, json};

use super::server::{BOB, PATIENCE, Served, VERA, bearer, with_people};
use crate::harness::{Test, sha256, until};

const PEOPLE: usize = 10;
/// How many runs each of them starts.
const EACH: usize = 20;
const KILLS: usize = 20;

const WORK: &str = "workflow: work
params: { n: int }
steps:
  a: { run: 'file::write(\"a.txt\", \"x\"); #{}' }
  b: { needs: [a], run: 'file::write(\"b.txt\", \"x\"); time::sleep(\"1s\"); #{}' }
  c: { needs: [b], run: 'file::write(\"c.txt\", \"x\"); #{}' }
outputs: { n: \"${{ params.n }}\" }
";
const ASKS: &str = "workflow: asks
params: { n: int }
steps:
  gate: { approval: \"Go on?\" }
  after: { needs: [gate], run: 'file::write(\"c.txt\", \"x\"); #{}' }
outputs: { n: \"${{ params.n }}\" }
";

/// Where the server is now, and what people have been promised.
#[derive(Default)]
struct Shared {
    address: Mutex<String>,
    started: Mutex<Vec<(usize, String)>>,
    count: AtomicUsize,
    broken: AtomicUsize,
}

impl Shared {
    /// Sends a request until it is answered, wherever the server is by then.
    fn ask(&self, token: &str, method: &str, path: &str, key: &str, body: &Json) -> (u16, Json) {
        let until = Instant::now() + PATIENCE;
        loop {
            let address = self.address.lock().expect("whole").clone();
            if let Some(answer) = send(&address, token, (method, path), key, body) {
                return answer;
            }
            self.broken.fetch_add(1, Ordering::Relaxed);
            assert!(Instant::now() < until, "{method} {path} is not answered");
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// `None` where the connection broke.
fn send(
    address: &str,
    token: &str,
    (method, path): (&str, &str),
    key: &str,
    body: &Json,
) -> Option<(u16, Json)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let body = body.to_string();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: {}\r\nContent-Type: application/json\r\n\
         Idempotency-Key: {key}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        bearer(token),
        body.len()
    );
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.parse::<usize>().ok())?
    });
    match length {
        // It was killed while it answered.
        Some(length) if body.len() < length => None,
        _ => Some((status, serde_json::from_str(body).unwrap_or(Json::Null))),
    }
}

fn token(person: usize) -> String {
    format!("person-{person}-0123456789abcdef0123456789abcdef")
}

fn works(shared: &Shared, person: usize) {
    for i in 0..EACH {
        let n = person * EACH + i;
        let workflow = if i == 0 { "asks" } else { "work" };
        let body = json!({ "workflow": workflow, "params": { "n": n } });
        let key = format!("start-{n}");
        let (status, answer) = shared.ask(&token(person), "POST", "/api/v1/runs", &key, &body);
        assert!([200, 201].contains(&status), "{status} {answer}");
        let run = answer["run"].as_str().expect("an id").to_owned();
        shared.started.lock().expect("whole").push((n, run.clone()));
        shared.count.fetch_add(1, Ordering::Relaxed);
        if i == 0 {
            approve(shared, &run);
        }
    }
}

/// Approves until the answer is known to be recorded.
fn approve(shared: &Shared, run: &str) {
    let path = format!("/api/v1/runs/{run}/approve");
    let until = Instant::now() + PATIENCE;
    loop {
        let (status, answer) = shared.ask(BOB, "POST", &path, "none", &json!({ "step": "gate" }));
        if status == 202 {
            return;
        }
        // It does not ask yet, or an answer that was lost has been recorded.
        let shown = shared.ask(
            VERA,
            "GET",
            &format!("/api/v1/runs/{run}"),
            "none",
            &Json::Null,
        );
        let steps = shown.1["steps"].as_array().cloned().unwrap_or_default();
        let gate = steps.iter().find(|step| step["step"] == "gate");
        if gate.is_some_and(|gate| gate["status"] == "succeeded") {
            return;
        }
        assert!(Instant::now() < until, "{status} {answer}");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn ten_people_lose_no_run_and_no_answer_while_their_server_is_killed() {
    let test = with_people(Test::new().file("work.yaml", WORK).file("asks.yaml", ASKS));
    let people: String = (0..PEOPLE)
        .map(|person| {
            format!(
                "[[serve.tokens]]\nname = \"person-{person}\"\nsha256 = \"{}\"\nroles = [\"operator\"]\n",
                sha256(token(person).as_bytes())
            )
        })
        .collect();
    test.write(
        "windlass.toml",
        &format!("{}{people}", test.read("windlass.toml")),
    );
    let mut served = Served::start(&test);
    let shared = Arc::<Shared>::default();
    *shared.address.lock().expect("whole") = served.address.clone();
    let began = Instant::now();
    let crowd: Vec<_> = (0..PEOPLE)
        .map(|person| {
            let shared = shared.clone();
            thread::spawn(move || works(&shared, person))
        })
        .collect();
    for kill in 0..KILLS {
        // So that each meets starts that are being answered, and runs that are running.
        let enough = (kill + 1) * (PEOPLE * EACH - PEOPLE) / KILLS;
        until("runs are started", PATIENCE, || {
            shared.count.load(Ordering::Relaxed) >= enough
        });
        served.kill();
        served = Served::start(&test);
        *shared.address.lock().expect("whole") = served.address.clone();
    }
    for person in crowd {
        person.join().expect("each has what they asked for");
    }
    let started = shared.started.lock().expect("whole").clone();
    let until = Instant::now() + PATIENCE * 2;
    let done = loop {
        let page = served
            .get(VERA, "/api/v1/runs?status=succeeded&limit=200")
            .expect(200)
            .json();
        let done = page["runs"].as_array().expect("runs").clone();
        if done.len() >= PEOPLE * EACH {
            break done;
        }
        assert!(Instant::now() < until, "{} of them have ended", done.len());
        thread::sleep(Duration::from_millis(100));
    };
    let listed: BTreeSet<_> = done
        .iter()
        .map(|run| run["run"].as_str().expect("an id").to_owned())
        .collect();
    let promised: BTreeSet<_> = started.iter().map(|(_, run)| run.clone()).collect();
    let all = served
        .get(VERA, "/api/v1/runs?limit=200")
        .expect(200)
        .json();
    assert_eq!(all["next"], Json::Null, "no run was started twice");
    println!(
        "{PEOPLE} people, {} runs, {KILLS} kills in {:?}: {} connections broke, {} runs lost",
        promised.len(),
        began.elapsed(),
        shared.broken.load(Ordering::Relaxed),
        promised.difference(&listed).count()
    );
    assert_eq!(listed, promised);
    for (n, run) in started.iter().step_by(17) {
        let outputs = served
            .get(VERA, &format!("/api/v1/runs/{run}/outputs"))
            .expect(200)
            .json();
        assert_eq!(outputs["n"], *n);
        assert!(test.path(&format!("out/{run}/c.txt")).exists(), "{run}");
    }
}
