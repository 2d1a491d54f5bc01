//! Waits, and messages of scripts.

use std::time::Duration;

use super::{Bench, NOW};
use windlass_ground::lock;
use windlass_journal::Event;
use windlass_script::{Class, Effects, Interruption, Level, Stop};
use windlass_world::value::{MASK, Secret, Value};

const SECOND: Duration = Duration::from_secs(1);

/// Returns how long the attempt has waited.
fn waited(bench: &Bench) -> Duration {
    lock(&bench.ledger.waits).iter().sum()
}

#[test]
fn a_short_sleep_is_not_recorded_and_not_repeated_in_a_replay() {
    let short = Duration::from_millis(999);
    let first = Bench::new();
    first.gate.sleep(short).expect("it waits");
    first.gives(first.call(Class::Read, "x"));
    assert_eq!(
        (waited(&first), first.entries()),
        (short, vec!["0 test::make".to_owned()])
    );
    let second = first.again();
    second.gate.sleep(short).expect("no wait");
    assert_eq!(waited(&second), Duration::ZERO);
}

#[test]
fn a_long_sleep_is_recorded_when_it_begins_and_when_it_ends() {
    let first = Bench::new();
    first.gate.sleep(10 * SECOND).expect("it waits");
    assert_eq!(waited(&first), 10 * SECOND);
    assert_eq!(first.entries(), ["0 time::sleep: intent", "0 time::sleep"]);
    let second = first.again();
    second.gate.sleep(10 * SECOND).expect("no wait");
    assert_eq!(
        (waited(&second), second.entries().len()),
        (Duration::ZERO, 0)
    );
}

#[test]
fn a_sleep_that_was_interrupted_lasts_only_for_the_rest() {
    for (ago, rest) in [(0, 10), (7, 3), (10, 0), (3600, 0)] {
        let first = Bench::new();
        first.gate.sleep(10 * SECOND).expect("it waits");
        let mut records = first.records_in_doubt();
        records[0].at = NOW - ago * SECOND;
        let second = Bench::with(records, |_| {});
        second.gate.sleep(10 * SECOND).expect("it waits");
        assert_eq!(waited(&second), rest * SECOND, "begun {ago} s ago");
        assert_eq!(second.entries(), ["0 time::sleep"]);
    }
}

#[test]
fn a_sleep_of_another_length_than_the_recorded_one_stops_the_script() {
    let first = Bench::new();
    first.gate.sleep(10 * SECOND).expect("it waits");
    let second = first.again();
    let stopped = second.gate.sleep(11 * SECOND);
    let Err(Interruption::Stopped(Stop::Diverged {
        position: 0,
        recorded,
        made,
    })) = stopped
    else {
        panic!("{stopped:?}");
    };
    assert_eq!(
        (&*recorded, &*made),
        ("time::sleep(10000)", "time::sleep(11000)")
    );
}

/// Returns the messages that are kept.
fn said(bench: &Bench) -> Vec<String> {
    let events = bench.gate.take_events().into_iter();
    let logged = events.filter_map(|(event, _)| match event {
        Event::Logged(logged) => Some(logged.message),
        _ => None,
    });
    logged.collect()
}

#[test]
fn a_message_is_said_once_although_the_script_runs_again() {
    let first = Bench::new();
    first.gate.note(Level::Info, "before".into());
    first.gives(first.call(Class::Read, "x"));
    let second = first.again();
    second.gate.note(Level::Info, "before".into());
    second.gives(second.call(Class::Read, "x"));
    second.gate.note(Level::Info, "after".into());
    assert_eq!(said(&second), ["after"]);
}

#[test]
fn a_message_holds_no_secret() {
    let bench = Bench::new();
    bench
        .gate
        .redactor
        .learn(&Value::Secret(Secret::new("correct horse battery")));
    bench
        .gate
        .note(Level::Warn, "the key is correct horse battery".into());
    assert_eq!(said(&bench), [format!("the key is {MASK}")]);
}

#[test]
fn messages_are_kept_up_to_a_limit_with_one_notice_at_its_end() {
    let (many, large) = (Bench::new(), Bench::new());
    for n in 0..10_010 {
        many.gate.note(Level::Info, n.to_string());
    }
    let kept = said(&many);
    assert_eq!((kept.len(), &*kept[9_999]), (10_001, "9999"));
    assert!(
        kept[10_000].starts_with("further messages"),
        "{}",
        kept[10_000]
    );

    let half = "x".repeat(1 << 19);
    for _ in 0..5 {
        large.gate.note(Level::Info, half.clone());
    }
    let kept = said(&large);
    assert_eq!(kept.len(), 3);
    assert!(kept[2].starts_with("further messages"), "{}", kept[2]);
}

#[test]
fn a_secret_that_was_an_argument_is_known_from_then_on() {
    let bench = Bench::new();
    let mut call = bench.call(Class::Read, "x");
    call.arguments = Value::Secret(Secret::new("correct horse battery"));
    bench.gives(call);
    let message = "sent correct horse battery".to_owned();
    bench.gate.note(Level::Info, message);
    assert_eq!(said(&bench), [format!("sent {MASK}")]);
}
