//! Times are shown in the zone of the machine, with their offset; `--utc` and `TZ` choose another.

use crate::harness::Test;

const WORKFLOW: &str = "workflow: w
steps:
  a:
    run: |
      log::info(\"hello\");
";

fn in_india() -> Test {
    let mut test = Test::new().file("w.yaml", WORKFLOW);
    // It has one offset all the year.
    test.set("TZ", "Asia/Kolkata");
    test.windlass(&["run", "w.yaml"]).expect(0);
    test
}

#[test]
fn people_see_local_times_with_their_offset() {
    let test = in_india();
    let runs = test.windlass(&["runs"]).expect(0).stdout;
    let heading = runs.lines().next().expect("a heading");
    assert!(heading.trim_end().ends_with("STARTED"), "{runs}");
    assert!(runs.contains(" +05:30"), "{runs}");
    for command in ["show", "audit"] {
        let shown = test.windlass(&[command]).expect(0).stdout;
        assert!(shown.contains(" +05:30 by tester"), "{command}: {shown}");
        assert!(!shown.contains("UTC"), "{command}: {shown}");
    }
    let logs = test.windlass(&["logs"]).expect(0).stdout;
    assert!(
        logs.lines().all(|line| line.contains(" +05:30  ")),
        "{logs}"
    );
    // Where there is no such zone, times are in UTC.
    for zone in ["UTC", "Mars/Olympus", ""] {
        let mut command = test.command(&["runs"]);
        let output = command.env("TZ", zone).output().expect("windlass starts");
        let runs = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(runs.contains("STARTED (UTC)"), "TZ={zone}: {runs}");
    }
}

#[test]
fn utc_is_shown_where_it_is_asked_for() {
    let test = in_india();
    let runs = test.windlass(&["--utc", "runs"]).expect(0).stdout;
    assert!(
        runs.contains("STARTED (UTC)") && !runs.contains("+05:30"),
        "{runs}"
    );
    for command in ["show", "audit"] {
        let shown = test.windlass(&[command, "--utc"]).expect(0).stdout;
        assert!(shown.contains(" UTC by tester"), "{command}: {shown}");
    }
    let logs = test.windlass(&["logs", "--utc"]).expect(0).stdout;
    assert!(!logs.contains("+05:30"), "{logs}");
    // For programs nothing depends on the zone.
    for command in [["runs", "--json"], ["show", "--json"], ["logs", "--json"]] {
        let local = test.windlass(&command).expect(0).stdout;
        let utc = [command.as_slice(), &["--utc"]].concat();
        assert_eq!(local, test.windlass(&utc).expect(0).stdout);
    }
}

#[test]
fn a_day_begins_in_the_zone_in_which_times_are_shown() {
    let test = in_india();
    let started = test.shown()["started_at"].as_i64().expect("milliseconds");
    let day = |zone: &str| {
        let at = jiff::Timestamp::from_millisecond(started).expect("a time");
        let at = at.in_tz(zone).expect("a zone");
        (at.date(), at.date().tomorrow().expect("a day"))
    };
    for zone in ["Asia/Kolkata", "Pacific/Kiritimati", "Pacific/Midway"] {
        let (today, tomorrow) = day(zone);
        for (since, count) in [(today, 1), (tomorrow, 0)] {
            let since = since.to_string();
            let mut command = test.command(&["runs", "--json", "--since", &since]);
            let output = command.env("TZ", zone).output().expect("windlass starts");
            let runs: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
            assert_eq!(runs.as_array().map(Vec::len), Some(count), "{zone} {since}");
        }
    }
}
