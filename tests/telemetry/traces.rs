//! Spans of runs, as a collector receives them.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use super::collector::{Collector, Seen};
use crate::{
    harness::Test,
    serve::server::{ALICE, Served, with_people},
};

fn traced(mut test: Test, collector: &Collector) -> Test {
    test.set("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url);
    test.set("OTEL_BSP_SCHEDULE_DELAY", "50");
    test
}

fn one<'a>(spans: &'a [Seen], name: &str, attempt: Option<&str>) -> &'a Seen {
    let found: Vec<_> = spans
        .iter()
        .filter(|span| span.name == name)
        .filter(|span| {
            attempt.is_none()
                || span
                    .attributes
                    .get("windlass.step.attempt")
                    .map(String::as_str)
                    == attempt
        })
        .collect();
    assert_eq!(found.len(), 1, "{name} {attempt:?} in {spans:#?}");
    found[0]
}

/// Answers 503 once, then 200, and keeps the `traceparent` of each request.
fn flaky() -> (String, thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let serving = thread::spawn(move || {
        let answers = ["503 Service Unavailable", "200 OK"];
        let parents = answers.map(|status| {
            let (mut stream, _) = listener.accept().expect("a client");
            let mut lines = BufReader::new(stream.try_clone().expect("a copy")).lines();
            let mut parent = String::new();
            while let Some(Ok(line)) = lines.next()
                && !line.is_empty()
            {
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("traceparent: ") {
                    value.clone_into(&mut parent);
                }
            }
            let answer =
                format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}");
            stream.write_all(answer.as_bytes()).expect("answered");
            let _ = stream.read(&mut [0]);
            parent
        });
        parents.into()
    });
    (url, serving)
}

#[test]
fn a_run_its_attempts_and_their_calls_are_spans() {
    let collector = Collector::start();
    let (url, serving) = flaky();
    let workflow = format!(
        "workflow: ask
params: {{ token: {{ type: secret }} }}
steps:
  write: {{ run: 'file::write(\"a.txt\", \"x\"); #{{}}' }}
  fetch:
    needs: [write]
    retry: {{ attempts: 2, backoff: 10ms..20ms }}
    with: {{ token: '${{{{ params.token }}}}' }}
    run: |
      http::get(`{url}/status?token=abc`, #{{ headers: #{{ \"x-token\": inputs.token }} }});
      #{{}}
"
    );
    let mut test = traced(Test::new().file("ask.yaml", &workflow), &collector);
    test.set("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=blue");
    test.set(
        "OTEL_RESOURCE_ATTRIBUTES",
        "deployment.environment.name=test",
    );
    let ran = test
        .windlass(&["run", "ask.yaml", "-p", "token=top-secret-value"])
        .expect(0);
    assert!(!ran.stderr.contains("warning"), "{}", ran.stderr);
    let spans = collector.wait(|spans| spans.iter().any(|span| span.name == "run ask"));
    let parents = serving.join().expect("served");

    // What sent them, by the standard variables.
    let (resource, tenant) = collector.sender("x-tenant");
    assert_eq!(resource["service.name"], "windlass");
    assert_eq!(resource["deployment.environment.name"], "test");
    assert_eq!(tenant.as_deref(), Some("blue"));

    let run = one(&spans, "run ask", None);
    assert_eq!(run.parent, "");
    assert_eq!(run.error, None);
    assert_eq!(run.attributes["windlass.outcome"], "succeeded");
    let write = one(&spans, "write", None);
    let failed = one(&spans, "fetch", Some("1"));
    let fetched = one(&spans, "fetch", Some("2"));
    for span in [write, failed, fetched] {
        assert_eq!(span.parent, run.id, "{span:?}");
        assert!(
            run.from <= span.from && span.to <= run.to,
            "{span:?} in {run:?}"
        );
    }
    assert_eq!(write.error, None);
    let why = failed.error.as_deref().expect("the first attempt failed");
    assert!(why.contains("HTTP503") || why.contains("503"), "{why}");
    assert!(failed.attributes.contains_key("error.type"), "{failed:?}");
    assert_eq!(fetched.error, None);
    assert_eq!(fetched.links, std::slice::from_ref(&failed.id));
    assert!(failed.to <= fetched.from, "{failed:?} {fetched:?}");

    let wrote = one(&spans, "file::write", None);
    assert_eq!(wrote.parent, write.id);
    assert_eq!(wrote.kind, 1, "internal");
    let asked: Vec<_> = spans
        .iter()
        .filter(|span| span.name == "http::get")
        .collect();
    assert_eq!(asked.len(), 2, "{spans:#?}");
    for (span, (attempt, status)) in asked.iter().zip([(failed, "503"), (fetched, "200")]) {
        assert_eq!(span.parent, attempt.id);
        assert_eq!(span.kind, 3, "a client");
        assert_eq!(span.attributes["http.request.method"], "GET");
        assert_eq!(span.attributes["http.response.status_code"], status);
        assert_eq!(span.attributes["url.full"], format!("{url}/status"));
        assert_eq!(span.attributes["server.address"], "127.0.0.1");
        // To the millisecond, the clock of the journal.
        assert!(
            span.from + 2_000_000 >= attempt.from,
            "{span:?} {attempt:?}"
        );
        assert!(span.to <= attempt.to + 2_000_000, "{span:?} {attempt:?}");
    }
    // The other side is told which span it answers.
    let expected: Vec<_> = asked
        .iter()
        .map(|span| format!("00-{}-{}-01", run.trace, span.id))
        .collect();
    assert_eq!(parents, expected);
    let ids: std::collections::BTreeSet<_> = spans.iter().map(|span| &span.id).collect();
    assert_eq!(ids.len(), spans.len());
    assert!(
        spans.iter().all(|span| span.trace == run.trace),
        "{spans:#?}"
    );
    let told = format!("{spans:?}");
    assert!(
        !told.contains("top-secret-value") && !told.contains("token=abc"),
        "{told}"
    );
}

#[test]
fn a_run_that_was_killed_goes_on_in_the_same_trace() {
    let collector = Collector::start();
    let test = Test::new().file(
        "slow.yaml",
        "workflow: slow
steps:
  first: { run: 'file::write(\"first.txt\", \"x\"); #{}' }
  second:
    needs: [first]
    run: |
      file::write(\"begun.txt\", \"x\");
      while !file::exists(\"go.txt\") { time::sleep(\"50ms\"); }
      #{}
",
    );
    let test = traced(test, &collector);
    let mut child = test.start(&["run", "slow.yaml"]);
    let before = collector.wait(|spans| {
        let written = spans
            .iter()
            .filter(|span| span.name == "file::write")
            .count();
        written == 2 && spans.iter().any(|span| span.name == "first")
    });
    child.kill().expect("killed");
    child.wait().expect("gone");
    assert!(
        before.iter().all(|span| span.name != "run slow"),
        "{before:#?}"
    );
    fs::write(test.path("out/go.txt"), "x").expect("written");
    test.windlass(&["resume"]).expect(0);
    let spans = collector.wait(|spans| spans.iter().any(|span| span.name == "run slow"));
    let run = one(&spans, "run slow", None);
    assert!(
        spans.iter().all(|span| span.trace == run.trace),
        "{spans:#?}"
    );
    let first = one(&spans, "first", None);
    let second = one(&spans, "second", None);
    assert_eq!((&first.parent, &second.parent), (&run.id, &run.id));
    assert_eq!(second.attributes["windlass.step.attempt"], "2");
    assert_eq!(second.links.len(), 1);
    // The call of the attempt that was killed names it as its parent, as the link of the new one does.
    let lost = before.iter().filter(|span| span.name == "file::write");
    let lost = lost
        .map(|span| &span.parent)
        .find(|parent| **parent != first.id);
    assert_eq!(lost, Some(&second.links[0]));
    assert!(run.from <= first.from && run.to >= second.to, "{run:?}");
}

#[test]
fn a_server_sends_the_traces_of_its_runs_and_none_when_it_is_told_so() {
    let collector = Collector::start();
    let workflow =
        "workflow: quick\nsteps:\n  only: { run: 'file::write(\"a.txt\", \"x\"); #{}' }\n";
    let mut test = traced(
        with_people(Test::new().file("quick.yaml", workflow)),
        &collector,
    );
    let served = Served::start(&test);
    served.run(ALICE, &json!({ "workflow": "quick" }));
    let spans = collector.wait(|spans| spans.iter().any(|span| span.name == "run quick"));
    let run = one(&spans, "run quick", None);
    assert_eq!(run.attributes["windlass.requester"], "alice");
    assert_eq!(one(&spans, "only", None).parent, run.id);
    served.stop();
    let sent = spans.len();
    test.set("OTEL_SDK_DISABLED", "true");
    test.windlass(&["run", "quick.yaml"]).expect(0);
    assert_eq!(collector.wait(|_| true).len(), sent);
}

#[test]
fn a_run_goes_on_where_traces_cannot_be_sent() {
    let workflow = "workflow: quick\nsteps:\n  only: { run: '#{ n: 1 }' }\n";
    let mut test = Test::new().file("quick.yaml", workflow);
    test.set("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1");
    test.set("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
    let ran = test.windlass(&["run", "quick.yaml"]).expect(0);
    let warning = "warning: traces are not sent: OTEL_EXPORTER_OTLP_PROTOCOL is `grpc`, and only `http/protobuf` is supported";
    ran.says(warning);
    // A collector that is not there holds up nothing.
    test.set("OTEL_EXPORTER_OTLP_PROTOCOL", "");
    let began = Instant::now();
    let ran = test.windlass(&["run", "quick.yaml"]).expect(0);
    assert!(began.elapsed() < Duration::from_secs(20));
    assert!(!ran.stderr.contains("warning"), "{}", ran.stderr);
}
