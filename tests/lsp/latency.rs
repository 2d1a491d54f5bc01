//! How long a diagnostic takes, from the key to the squiggle.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use serde_json::json;

use super::{GLOO_MESH, client::Client};
use crate::harness::Test;

/// The most that a release build may take (CONTRIBUTING.md).
const MEDIAN: Duration = Duration::from_millis(50);

/// Types into `gloo-mesh.yaml` a hundred times, and prints how long it takes until the diagnostics of each edit are there.
/// `WINDLASS_LSP` names the program that is measured, such as `target/release/windlass`; its median is held against what is
/// promised. Without it, this build's is printed.
#[test]
#[ignore = "a measurement: cargo nextest run --run-ignored only latency_of_diagnostics --no-capture"]
fn latency_of_diagnostics() {
    let test = Test::with_shipped_workflows();
    let text = test.read(GLOO_MESH);
    let named = std::env::var_os("WINDLASS_LSP");
    let mut client = match &named {
        Some(program) => {
            let program = std::path::absolute(program).expect("a path");
            let mut command = Command::new(program);
            command
                .arg("lsp")
                .env("XDG_CACHE_HOME", test.path(".cache"));
            let capabilities = json!({ "general": { "positionEncodings": ["utf-16"] } });
            Client::of(command, &test, capabilities, serde_json::Value::Null)
        }
        None => Client::start(&test),
    };
    let start = Instant::now();
    client.open(GLOO_MESH, &text);
    client.diagnostics(GLOO_MESH);
    let opened = start.elapsed();
    let (line, column) = text
        .lines()
        .enumerate()
        .find_map(|(at, line)| Some((at, line.find("root_ca.arn")?)))
        .expect("a read");
    let times = client.timed(GLOO_MESH, (line, column), 50);
    let at = |percent: usize| times[(times.len() * percent / 100).min(times.len() - 1)];
    println!(
        "{GLOO_MESH}: first diagnostics after {opened:.1?}; of an edit: median {:.1?}, 95th percentile {:.1?}, longest {:.1?}",
        at(50),
        at(95),
        at(100)
    );
    if named.is_some() {
        assert!(at(50) <= MEDIAN, "the median is {:?}", at(50));
    }
}
