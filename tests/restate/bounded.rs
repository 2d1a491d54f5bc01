//! A server over an engine keeps some of the events that it has read, and reads the others again.

use serde_json::{Value as Json, json};

use super::replicas::Site;
use crate::harness::number_of;
use crate::serve::{
    limits::memory,
    server::{ALICE, Served, VERA},
};

/// How many files a run reads, and how many lines its log has beside. `WINDLASS_LONG_RUN` says another number of lines.
const READS: usize = 45;
const FILE: usize = 900_000;
const LINES: usize = 200;
const LINE: usize = 2000;
/// How many lines one script says.
const AT_ONCE: usize = 200;

/// A workflow of these reads and lines.
fn long(lines: usize) -> String {
    let numbers = |count: usize| {
        let numbers: Vec<_> = (0..count).map(|n| n.to_string()).collect();
        numbers.join(", ")
    };
    format!(
        "workflow: long
steps:
  read:
    for_each: [{}]
    max_parallel: 4
    run: 'file::read(\"big.txt\"); #{{}}'
  say:
    for_each: [{}]
    max_parallel: 4
    run: 'for i in 0..{AT_ONCE} {{ log::info(\"{}\"); }} #{{}}'
",
        numbers(READS),
        numbers(lines / AT_ONCE),
        "x".repeat(LINE)
    )
}

/// Reads events of a run over the API, `most` or so; gives how many there are, and how long they are.
fn read(served: &Served, run: &str, most: u64) -> (u64, usize) {
    let (mut next, mut bytes) = (0, 0);
    loop {
        let after = match next {
            0 => String::new(),
            next => format!("&after={}", next - 1),
        };
        let path = format!("/api/v1/runs/{run}/events?limit=20{after}");
        let answer = served.get(VERA, &path).expect(200);
        bytes += answer.body.len();
        let page = answer.json();
        for event in page["events"].as_array().expect("events") {
            assert_eq!(event["seq"], json!(next));
            next += 1;
        }
        if page["has_more"] == json!(false) || next >= most {
            return (next, bytes);
        }
    }
}

#[test]
fn events_that_do_not_fit_into_memory_are_read_again() {
    let lines = number_of("WINDLASS_LONG_RUN", LINES);
    let site = Site::new(&[("long.yaml", &long(lines))], "");
    site.test.write("out/big.txt", &"x".repeat(FILE));
    let served = site.replica("a");
    let before = memory(&served);
    let run = served.run(ALICE, &json!({ "workflow": "long" }));
    let shown = served.wait(&run, "succeeded");
    assert_eq!(shown["status"], "succeeded");
    let (events, bytes) = read(&served, &run, u64::MAX);
    assert!(events as usize > 2 * READS + lines, "{events} events");
    // The first ones had to make room for the last ones.
    assert!(bytes > 36 << 20, "{bytes} bytes");
    assert_eq!(read(&served, &run, 50).0 / 20, 3);
    let end: Json = served
        .get(
            VERA,
            &format!("/api/v1/runs/{run}/events?after={}", events - 2),
        )
        .expect(200)
        .json();
    assert_eq!(end["events"][0]["seq"], json!(events - 1));
    let took = memory(&served).saturating_sub(before) / 1024;
    println!(
        "a run of {events} events, {} MiB: the server has {took} MiB more than before",
        bytes >> 20
    );
}
