//! Traces of a run whose steps several workers run.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use super::{
    balancer::Balancer,
    world::{World, until},
};
use crate::telemetry::collector::{Collector, Seen};

const STEPS: usize = 6;

/// A web server that keeps the `traceparent` of each request, by its path. It answers `/wait` once it is let go on.
struct Asked {
    url: String,
    parents: Arc<Mutex<BTreeMap<String, Vec<String>>>>,
    goes_on: Arc<AtomicBool>,
}

impl Asked {
    fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let (parents, goes_on) = (Arc::<Mutex<_>>::default(), Arc::<AtomicBool>::default());
        let (kept, go) = (parents.clone(), goes_on.clone());
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (kept, go) = (kept.clone(), go.clone());
                thread::spawn(move || answer(client, &kept, &go));
            }
        });
        Self {
            url,
            parents,
            goes_on,
        }
    }

    fn parents(&self) -> BTreeMap<String, Vec<String>> {
        self.parents.lock().expect("not poisoned").clone()
    }
}

fn answer(
    mut client: TcpStream,
    kept: &Mutex<BTreeMap<String, Vec<String>>>,
    goes_on: &AtomicBool,
) -> Option<()> {
    let mut lines = BufReader::new(client.try_clone().ok()?).lines();
    let first = lines.next()?.ok()?;
    let path = first.split(' ').nth(1)?.to_owned();
    let mut parent = String::new();
    while let Some(Ok(line)) = lines.next()
        && !line.is_empty()
    {
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("traceparent: ") {
            value.clone_into(&mut parent);
        }
    }
    let mut all = kept.lock().expect("not poisoned");
    all.entry(path.clone()).or_default().push(parent);
    drop(all);
    while path == "/wait" && !goes_on.load(Ordering::Relaxed) {
        thread::sleep(Duration::from_millis(10));
    }
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
    client.write_all(answer.as_bytes()).ok()
}

#[test]
fn a_run_on_several_workers_is_one_trace_also_after_one_of_them_was_killed() {
    let (collector, asked) = (Collector::start(), Asked::open());
    let world = World::new(0);
    let environment = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.as_str()),
        ("OTEL_BSP_SCHEDULE_DELAY", "20"),
    ];
    let addresses = (0..2).map(|_| world.add_worker(&[], &environment));
    let balancer = Balancer::start(addresses.collect());
    world.register_at(&balancer.address);
    let url = &asked.url;
    let items: Vec<_> = (0..STEPS).map(|i| i.to_string()).collect();
    world.test.write(
        "ask.yaml",
        &format!(
            "workflow: ask
steps:
  first: {{ run: 'http::get(\"{url}/first\"); #{{}}' }}
  each:
    needs: [first]
    for_each: ${{{{ [{}] }}}}
    with: {{ i: '${{{{ item }}}}' }}
    run: 'http::get(`{url}/each/${{inputs.i}}`); #{{}}'
  wait: {{ needs: [each], run: 'http::get(\"{url}/wait\"); #{{}}' }}
  last: {{ needs: [wait], run: 'http::get(\"{url}/last\"); #{{}}' }}
",
            items.join(", ")
        ),
    );
    let mut run = world.start(&["run", "ask.yaml", "--target", "t"]);
    until("the third step asks", || {
        asked.parents().contains_key("/wait")
    });
    // Spans of what has ended are sent; the worker that drives the run, or one that runs the step, goes.
    collector.wait(|spans| {
        let ended = spans.iter().filter(|span| span.name == "http::get");
        ended.map(|span| &span.id).collect::<BTreeSet<_>>().len() > STEPS
    });
    // It is killed as it is dropped.
    drop(world.workers.lock().expect("no panic").remove(0));
    asked.goes_on.store(true, Ordering::Relaxed);
    assert_eq!(run.wait().expect("ended").code(), Some(0));
    let spans = collector.wait(|spans| {
        let has = |name: &str| spans.iter().any(|span| span.name == name);
        has("last") && has("run ask")
    });

    let traces: BTreeSet<_> = spans.iter().map(|span| &span.trace).collect();
    assert_eq!(traces.len(), 1, "{spans:#?}");
    let trace = spans[0].trace.clone();
    let by_id: BTreeMap<&str, &Seen> = spans.iter().map(|span| (span.id.as_str(), span)).collect();
    println!(
        "{} spans arrived, {} of them once",
        spans.len(),
        by_id.len()
    );
    // What a driver that was moved sends again is the same span.
    for span in &spans {
        let same = by_id[span.id.as_str()];
        assert_eq!(
            (&span.name, &span.parent, span.from, span.to),
            (&same.name, &same.parent, same.from, same.to)
        );
    }
    let calls: Vec<_> = by_id.values().filter(|s| s.name == "http::get").collect();
    for (path, parents) in asked.parents() {
        for parent in parents {
            let id = parent
                .strip_prefix(&format!("00-{trace}-"))
                .and_then(|rest| rest.strip_suffix("-01"))
                .unwrap_or_else(|| panic!("{path}: {parent:?} is not of {trace}"));
            let call = calls.iter().find(|call| call.id == id);
            // A call that died with its worker is made again under the same id.
            let call = call.unwrap_or_else(|| panic!("{path}: no span {id} in {spans:#?}"));
            assert!(call.attributes["url.full"].ends_with(&path), "{call:?}");
            let attempt = by_id[call.parent.as_str()];
            let name = path.split('/').nth(1).expect("a name");
            assert_eq!(attempt.name, name, "{attempt:?}");
        }
    }
    let run = by_id.values().find(|span| span.name == "run ask");
    let run = run.expect("the run's span");
    assert_eq!((run.parent.as_str(), run.error.as_ref()), ("", None));
    for name in ["first", "wait", "last"] {
        let step = by_id.values().find(|span| span.name == name);
        assert_eq!(step.expect(name).parent, run.id, "{name}");
    }
}
