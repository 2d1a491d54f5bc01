//! What a server lets its clients take: connections, time, memory.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use serde_json::json;
use windlass::{
    journal::{Event, Journal, Logged, NewRun, RunId},
    script::Level,
};

use super::{
    door::certify,
    server::{ALICE, Events, PATIENCE, Served, VERA, bearer, with_people},
};
use crate::harness::{Test, number_of};

const FLOW: &str = "workflow: w\nsteps: { a: { run: \"#{}\" } }\n";

/// How long the run is whose events are streamed, and each of its lines. `WINDLASS_LONG_RUN` says another length.
const EVENTS: u64 = 8_000;
const LINE: usize = 4000;

/// A server with these lines in its table `[serve]`.
fn limited(lines: &str) -> (Test, Served) {
    let test = with_people(Test::new().file("w.yaml", FLOW));
    let people = test.read("windlass.toml");
    test.write("windlass.toml", &format!("[serve]\n{lines}\n{people}"));
    let served = Served::start(&test);
    (test, served)
}

/// Reads until the server closes the connection; gives what came, and how long that took.
fn until_closed(stream: &mut TcpStream) -> (String, Duration) {
    let began = Instant::now();
    stream.set_read_timeout(Some(PATIENCE)).expect("set");
    let mut text = Vec::new();
    // A reset is an end as well.
    let _ = stream.read_to_end(&mut text);
    (String::from_utf8_lossy(&text).into_owned(), began.elapsed())
}

#[test]
fn connections_above_the_limit_are_told_so_and_served_again_later() {
    let (_test, served) = limited("max_connections = 3");
    let held: Vec<_> = (0..3)
        .map(|_| TcpStream::connect(&served.address).expect("connected"))
        .collect();
    // The server takes connections in the order in which they come.
    let mut next = TcpStream::connect(&served.address).expect("connected");
    write!(
        next,
        "GET /api/v1/runs HTTP/1.1\r\nHost: {}\r\n\r\n",
        served.address
    )
    .expect("sent");
    let (answer, _) = until_closed(&mut next);
    assert!(
        answer.starts_with("HTTP/1.1 503") && answer.contains("try again later"),
        "{answer}"
    );
    let mut other = TcpStream::connect(&served.address).expect("connected");
    let (answer, _) = until_closed(&mut other);
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    drop(held);
    let until = Instant::now() + PATIENCE;
    while !served.said().contains("below its limit again") {
        let mut stream = TcpStream::connect(&served.address).expect("connected");
        let request = format!(
            "GET /healthz HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
            served.address
        );
        // A connection that is refused may be closed before this is sent.
        let _ = stream.write_all(request.as_bytes());
        let (answer, _) = until_closed(&mut stream);
        assert!(Instant::now() < until, "it is not served again: {answer}");
    }
    served.get(VERA, "/api/v1/runs").expect(200);
    let said = served.stop();
    let full = said.matches("the limit of connections is reached").count();
    assert_eq!(full, 1, "{said}");
    assert!(said.contains("limit=3"), "{said}");
}

#[test]
fn a_slow_client_is_cut_off_wherever_it_is_slow() {
    let (_test, served) = limited("client_timeout = \"1s\"");
    let mut silent = TcpStream::connect(&served.address).expect("connected");
    let mut dripping = TcpStream::connect(&served.address).expect("connected");
    write!(dripping, "GET / HTTP/1.1\r\nHost: x").expect("sent");
    let mut slow = TcpStream::connect(&served.address).expect("connected");
    write!(
        slow,
        "POST /api/v1/runs HTTP/1.1\r\nHost: {}\r\nAuthorization: {}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{{",
        served.address,
        bearer(ALICE)
    )
    .expect("sent");
    // Nothing of a head, half a head, half a body.
    for (what, stream, word) in [
        ("no head", &mut silent, ""),
        ("half a head", &mut dripping, ""),
        ("half a body", &mut slow, "408"),
    ] {
        let (answer, took) = until_closed(stream);
        println!("{what}: closed after {took:?}");
        assert!(answer.contains(word), "{what}: {answer}");
        assert!(took < PATIENCE, "{what}: {took:?}");
    }
    assert!(served.get(VERA, "/api/v1/runs").status == 200);
}

#[test]
fn limits_that_make_no_sense_are_refused() {
    for (line, word) in [
        ("max_connections = 0", "nonzero"),
        ("client_timeout = \"10ms\"", "at least one second"),
        ("client_timeout = \"soon\"", "duration"),
    ] {
        let test = Test::new().file("windlass.toml", &format!("[serve]\n{line}\n"));
        let said = test
            .windlass(&["serve", "--listen", "127.0.0.1:0"])
            .expect(2)
            .stderr;
        assert!(said.contains(word), "{line}: {said}");
    }
}

#[test]
fn browsers_are_told_to_come_by_tls_only_where_that_harms_no_other_server() {
    let test = with_people(Test::new());
    test.write(
        "windlass.toml",
        &format!(
            "[serve]\nhosts = [\"windlass.test\"]\n{}",
            test.read("windlass.toml")
        ),
    );
    certify(&test, "1");
    let (_served, port) = Served::start_with_tls(&test);
    let heads = |host: &str| {
        let output = std::process::Command::new("curl")
            .args(["-sik", "--resolve", &format!("{host}:{port}:127.0.0.1")])
            .arg(format!("https://{host}:{port}/healthz"))
            .output()
            .expect("curl");
        String::from_utf8_lossy(&output.stdout).to_ascii_lowercase()
    };
    let named = heads("windlass.test");
    assert!(
        named.contains("strict-transport-security: max-age=31536000\r\n"),
        "{named}"
    );
    // A browser keeps it for all ports of a name.
    let local = heads("localhost");
    assert!(
        local.contains(" 200") && !local.contains("strict-transport-security"),
        "{local}"
    );
    let (_test, plain) = limited("");
    let plain = plain.get(VERA, "/api/v1/runs").expect(200);
    assert_eq!(plain.header("strict-transport-security"), None);
}

/// The memory of a server that is its own, in KiB.
pub fn memory(served: &Served) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", served.pid())).expect("read");
    let line = status.lines().find(|line| line.starts_with("RssAnon:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.expect("a number").parse().expect("KiB")
}

/// Makes a run that has so many events, and gives its id.
fn long_run(test: &Test, events: u64) -> RunId {
    test.windlass(&["--state", "short", "run", "w.yaml"])
        .expect(0);
    let short = Journal::open(&test.path("short")).expect("a journal");
    let row = short.runs().expect("runs").remove(0);
    let mut records = short.load(&row.id).expect("events").into_iter();
    let first = records.next().expect("its start");
    let begun = records.find(|record| matches!(record.event, Event::StepStarted { .. }));
    let begun = begun.expect("its step").event;
    let step = begun.step().expect("a step").clone();
    let journal = Journal::open(&test.path(".windlass")).expect("a journal");
    let run = journal
        .begin(NewRun {
            id: row.id.clone(),
            event: first.event,
            files: &short.files(&row.id, 0).expect("files"),
            at: first.at,
        })
        .expect("begun");
    run.append(vec![(begun, first.at)]).expect("appended");
    let message = "x".repeat(LINE);
    let mut left = events - 2;
    while left > 0 {
        let some = left.min(5000);
        left -= some;
        let logged = || {
            Event::Logged(Logged {
                step: step.clone(),
                level: Level::Info,
                message: message.clone(),
            })
        };
        let batch = (0..some).map(|_| (logged(), first.at));
        run.append(batch.collect()).expect("appended");
    }
    row.id
}

#[test]
fn a_long_run_is_streamed_page_by_page() {
    let test = with_people(Test::new().file("w.yaml", FLOW));
    let events = number_of("WINDLASS_LONG_RUN", EVENTS);
    let run = long_run(&test, events);
    let served = Served::start(&test);
    let path = format!("/api/v1/runs/{run}/stream");
    // Its state is folded once, and kept.
    served.get(VERA, &format!("/api/v1/runs/{run}")).expect(200);
    let before = memory(&served);
    let headers = bearer(VERA);
    // Nobody reads these: what the server has read for them stays with it.
    let _unread: Vec<_> = (0..8)
        .map(|_| served.open("GET", &path, &[("Authorization", &headers)], ""))
        .collect();
    let mut stream = Events::open(&served, &path, &[("Authorization", &headers)]);
    let began = Instant::now();
    for wanted in 0..events {
        let sent = stream.next().expect("an event");
        assert_eq!((sent.id, sent.name.as_str()), (Some(wanted), "event"));
    }
    let (took, after) = (began.elapsed(), memory(&served));
    let more = after.saturating_sub(before) / 1024;
    println!("{events} events in {took:?}; 9 readers took {more} MiB more than none");
    assert!(more < 64, "{more} MiB");
    let page = served
        .get(
            VERA,
            &format!("/api/v1/runs/{run}/events?after={}", events - 10),
        )
        .expect(200)
        .json();
    assert_eq!(page["events"].as_array().map(Vec::len), Some(9));
    assert_eq!(page["has_more"], json!(false));
    let page = served
        .get(
            VERA,
            &format!("/api/v1/runs/{run}/events?after={}&limit=9", events - 10),
        )
        .expect(200)
        .json();
    assert_eq!(
        page["has_more"],
        json!(false),
        "exactly as many as are left"
    );
    for after in [i64::MAX as u64, u64::MAX] {
        let path = format!("/api/v1/runs/{run}/events?after={after}");
        let page = served.get(VERA, &path).expect(200).json();
        assert_eq!(page["events"], json!([]), "{after}");
    }
}
