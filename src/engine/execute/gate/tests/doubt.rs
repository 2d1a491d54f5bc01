//! Calls that may have been made already: the process died inside of them, or their answer was lost.

use std::time::Duration;

use super::{Bench, NOW};
use windlass_journal::{EffectState, Event};
use windlass_script::{Call, Class, Stop};
use windlass_world::value::{Failure, FailureClass, Proof, Secret, Value};

/// The next attempt after one that died inside a call of this class.
fn in_doubt(class: Class) -> Bench {
    let first = Bench::new();
    first.gives(first.call(class, "x"));
    Bench::with(first.records_in_doubt(), |_| {})
}

/// Expects that a person is asked about call 0.
#[track_caller]
fn asks(stop: Stop) {
    let Stop::InDoubt {
        position: 0, call, ..
    } = stop
    else {
        panic!("{stop:?}");
    };
    assert_eq!(call, "test::make(\"x\")");
}

#[test]
fn a_call_with_a_key_is_repeated_under_its_key_and_not_announced_again() {
    let first = Bench::new();
    first.gives(first.call(Class::Keyed, "x"));
    let second = Bench::with(first.records_in_doubt(), |_| {});
    assert_eq!(second.gives(second.call(Class::Keyed, "x")), "x".into());
    assert_eq!(second.keys(), first.keys());
    assert_eq!(second.entries(), ["0 test::make"]);
}

#[test]
fn a_repeated_call_does_what_it_says_to_do_then() {
    let bench = in_doubt(Class::Keyed);
    let call = bench.call(Class::Keyed, "x");
    let call = call.or_again(|_| async { Ok("it was gone".into()) });
    assert_eq!(bench.gives(call), "it was gone".into());
    assert_eq!(bench.made(), 0);
}

#[test]
fn the_refusal_of_a_repeated_call_leaves_open_whether_the_first_was_done() {
    let no = Failure::new(FailureClass::Rejected, "test::make", "No", "it exists");
    for (proof, is_unknown) in [(Proof::NotDone, true), (Proof::Done, false)] {
        let bench = in_doubt(Class::Keyed);
        let answer = Err(no.clone().proving(proof));
        let failure = bench.fails(bench.answered(Class::Keyed, "x", answer));
        assert_eq!(failure.is_unknown, is_unknown, "{proof:?}");
    }
}

#[test]
fn what_a_call_would_have_made_is_looked_for_first() {
    let bench = in_doubt(Class::Found);
    let call = bench.call(Class::Found, "x");
    let call = call.or_find(|_| async { Ok(Some("found".into())) });
    assert_eq!((bench.gives(call), bench.made()), ("found".into(), 0));

    let bench = in_doubt(Class::Found);
    let call = bench
        .call(Class::Found, "x")
        .or_find(|_| async { Ok(None) });
    assert_eq!((bench.gives(call), bench.made()), ("x".into(), 1));

    let bench = in_doubt(Class::Found);
    let down = Failure::new(FailureClass::Unavailable, "test::make", "Down", "no answer");
    let answer = Err(down.clone());
    let call = bench.call(Class::Found, "x").or_find(|_| async { answer });
    assert_eq!((bench.fails(call), bench.made()), (down, 0));
}

#[test]
fn another_call_than_the_one_in_doubt_does_not_hide_the_doubt() {
    let bench = in_doubt(Class::Unsure);
    asks(bench.stops(bench.call(Class::Unsure, "y")));
    assert_eq!(bench.made(), 0);
}

#[test]
fn only_a_person_knows_of_a_call_without_a_key_that_can_not_be_looked_up() {
    let bench = in_doubt(Class::Unsure);
    asks(bench.stops(bench.call(Class::Unsure, "x")));
    assert_eq!(bench.made(), 0);
}

#[test]
fn a_key_that_the_other_side_has_forgotten_is_of_no_use() {
    let hour = Duration::from_secs(3600);
    let at = |at| {
        let mut records: Vec<EffectState> = in_doubt(Class::Keyed).gate.recorded;
        records[0].at = at;
        let bench = Bench::with(records, |_| {});
        let mut call = bench.call(Class::Keyed, "x");
        call.key_lives = Some(hour);
        (bench, call)
    };
    let (bench, call) = at(NOW - hour);
    assert_eq!(bench.gives(call), "x".into());
    let (bench, call) = at(NOW - hour - Duration::from_millis(1));
    asks(bench.stops(call));
    // If the clock was set back, nobody knows how old the call is.
    let (bench, call) = at(NOW + Duration::from_millis(1));
    asks(bench.stops(call));
    assert_eq!(bench.made(), 0);
}

#[test]
fn a_read_is_simply_made_again() {
    let bench = in_doubt(Class::Read);
    assert_eq!(bench.gives(bench.call(Class::Read, "x")), "x".into());
    assert_eq!(bench.made(), 1);
}

#[test]
fn every_call_of_an_attempt_may_have_been_made_if_its_records_were_lost() {
    for (class, made) in [(Class::Keyed, 1), (Class::Found, 0), (Class::Unsure, 0)] {
        let mut bench = Bench::new();
        bench.gate.is_suspect = true;
        let call = bench.call(class, "x");
        let call = call.or_find(|_| async { Ok(Some(Value::Null)) });
        let done = windlass_script::Effects::perform(&bench.gate, call);
        assert_eq!(done.is_err(), class == Class::Unsure, "{class:?}");
        assert_eq!(bench.made(), made, "{class:?}");
    }
}

#[test]
fn a_call_that_an_earlier_life_of_the_attempt_announced_may_have_been_made() {
    let old = "0 test::make: intent".to_owned();
    let bench = Bench::with(Vec::new(), |ledger| ledger.old.extend([old]));
    asks(bench.stops(bench.call(Class::Unsure, "x")));
    assert_eq!(bench.made(), 0);
}

#[test]
fn a_call_that_was_done_but_ended_its_attempt_is_not_repeated_without_asking() {
    let refused = Failure::new(FailureClass::Rejected, "test::make", "Odd", "what is this?");
    let refused = refused.proving(Proof::Done);
    let of = |class| {
        let first = Bench::new();
        first.fails(first.answered(class, "x", Err(refused.clone())));
        let mut records = first.records();
        records[0].ended_attempt = true;
        Bench::with(records, |_| {})
    };
    let bench = of(Class::Unsure);
    let stop = bench.stops(bench.call(Class::Unsure, "x"));
    let Stop::InDoubt {
        refused: Some(found),
        ..
    } = stop
    else {
        panic!("{stop:?}");
    };
    assert_eq!((found, bench.made()), (refused.clone(), 0));
    // With a key, the other side knows that it is the same call.
    let bench = of(Class::Keyed);
    assert_eq!(bench.gives(bench.call(Class::Keyed, "x")), "x".into());
}

const SECRET: &str = "correct horse battery";

/// An attempt that knows a secret of the run.
fn knowing(bench: Bench) -> Bench {
    bench
        .gate
        .redactor
        .learn(&Value::Secret(Secret::new(SECRET)));
    bench
}

/// A call that reads this state before it is made.
fn reading(call: Call, state: Result<Value, Failure>) -> Call {
    Call {
        before: Some(Box::new(move || Box::pin(async move { state }))),
        replaces: Some(Box::new(|first, again| first != again)),
        ..call
    }
}

#[test]
fn what_others_changed_before_a_repetition_is_recorded_without_secrets() {
    let state = |what: &str| Ok(Value::from(format!("{what}: {SECRET}")));
    let first = knowing(Bench::new());
    first.gives(reading(first.call(Class::Keyed, "x"), state("was")));
    let records = first.records_in_doubt();
    for (what, is_recorded) in [("was", false), ("other", true)] {
        let second = knowing(Bench::with(records.clone(), |_| {}));
        second.gives(reading(second.call(Class::Keyed, "x"), state(what)));
        let events = second.gate.take_events();
        let is_intent = |(event, _): &&(Event, _)| matches!(event, Event::EffectIntended(_));
        let intents = events.iter().filter(is_intent).count();
        assert_eq!(intents, usize::from(is_recorded), "{what}: {events:?}");
        assert!(!format!("{events:?}").contains("horse"), "{events:?}");
    }
    let down = format!("no answer for {SECRET}");
    let down = Failure::new(FailureClass::Unavailable, "test::look", "Down", down);
    let second = knowing(Bench::with(records, |_| {}));
    second.fails(reading(second.call(Class::Keyed, "x"), Err(down)));
    let events = second.gate.take_events();
    assert!(!format!("{events:?}").contains("horse"), "{events:?}");
    assert_eq!(second.made(), 0);
}
