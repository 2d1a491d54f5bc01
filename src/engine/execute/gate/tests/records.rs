//! What is announced and recorded, and how it is replayed.

use super::Bench;
use windlass_ground::lock;
use windlass_journal::{EffectOutcome, Event};
use windlass_script::{Call, Class, Effects, Stop};
use windlass_world::value::{Failure, FailureClass, MASK, Secret, Value};

fn refused() -> Failure {
    Failure::new(
        FailureClass::Rejected,
        "test::make",
        "No",
        "it is not allowed",
    )
}

#[test]
fn a_read_is_recorded_with_its_result_and_not_announced() {
    let bench = Bench::new();
    assert_eq!(bench.gives(bench.call(Class::Read, "x")), "x".into());
    assert_eq!(bench.entries(), ["0 test::make"]);
    assert_eq!(bench.made(), 1);
}

#[test]
fn a_change_is_announced_durably_before_it_is_made() {
    for (class, entries) in [
        (Class::Keyed, ["0 test::make: intent!", "0 test::make"]),
        (Class::Found, ["0 test::make: intent!", "0 test::make"]),
        // Nothing else would show whether it was made.
        (Class::Unsure, ["0 test::make: intent!", "0 test::make!"]),
    ] {
        let bench = Bench::new();
        let ledger = bench.ledger.clone();
        let call = Call::new("test::make", class, Value::Null, move |_| async move {
            assert_eq!(lock(&ledger.entries).len(), 1, "the intent comes first");
            Ok(Value::Null)
        });
        bench.gives(call);
        assert_eq!(bench.entries(), entries);
    }
}

#[test]
fn a_recorded_result_is_given_again_without_a_call() {
    let first = Bench::new();
    for class in [Class::Read, Class::Keyed, Class::Unsure] {
        first.gives(first.call(class, "x"));
    }
    let second = first.again();
    for class in [Class::Read, Class::Keyed, Class::Unsure] {
        assert!(second.gate.is_replaying());
        // The call would give something else now.
        let call = second.answered(class, "x", Ok("y".into()));
        assert_eq!(second.gives(call), "x".into());
    }
    assert!(!second.gate.is_replaying());
    assert_eq!((second.made(), second.entries().len()), (0, 0));
    second.gives(second.call(Class::Read, "z"));
    assert_eq!(second.entries(), ["3 test::make"]);
}

#[test]
fn a_failure_that_the_script_caught_is_given_again() {
    let first = Bench::new();
    first.fails(first.answered(Class::Keyed, "x", Err(refused())));
    let second = first.again();
    assert_eq!(second.fails(second.call(Class::Keyed, "x")), refused());
    assert_eq!(second.made(), 0);
}

#[test]
fn a_script_that_makes_another_call_than_the_recorded_one_is_stopped() {
    let first = Bench::new();
    first.gives(first.call(Class::Read, "x"));
    first.gives(first.call(Class::Read, "y"));
    let second = first.again();
    second.gives(second.call(Class::Read, "x"));
    let stop = second.stops(second.call(Class::Read, "z"));
    let expected = Stop::Diverged {
        position: 1,
        recorded: "test::make(\"y\")".into(),
        made: "test::make(\"z\")".into(),
    };
    assert_eq!(stop, expected);
    assert_eq!(second.made(), 0);
}

#[test]
fn each_position_has_its_own_key_which_stays_the_same() {
    let keys = |bench: &Bench| {
        bench.gives(bench.call(Class::Keyed, "x"));
        bench.gives(bench.call(Class::Keyed, "x"));
        bench.keys()
    };
    let first = keys(&Bench::new());
    assert_ne!(first[0], first[1]);
    assert_eq!(first[0].len(), 32);
    assert_eq!(keys(&Bench::new()), first);
    // Another round of the step does all of it anew, and so does another step.
    let mut round = Bench::new();
    round.gate.round = 1;
    let mut step = Bench::new();
    step.gate.instance = "b".parse().expect("an id");
    for other in [round, step] {
        assert!(keys(&other).iter().all(|key| !first.contains(key)));
    }
}

#[test]
fn the_state_before_a_change_is_recorded_with_its_intent() {
    let bench = Bench::new();
    let call = bench.call(Class::Keyed, "x");
    bench.gives(call.remembering(|| async { Ok("former".into()) }));
    assert_eq!(bench.records()[0].before, Some("former".into()));
}

#[test]
fn a_change_whose_state_before_can_not_be_read_is_not_made() {
    let bench = Bench::new();
    let call = bench.call(Class::Unsure, "x");
    let failure = bench.fails(call.remembering(|| async { Err(refused().or_done()) }));
    assert!(!failure.may_be_done());
    assert_eq!(
        (bench.made(), bench.entries()),
        (0, vec!["0 test::make: intent".to_owned()])
    );
    assert!(matches!(
        bench.records()[0].outcome,
        Some(EffectOutcome::Failed(_))
    ));
}

#[test]
fn secrets_are_masked_in_what_is_recorded_and_in_what_the_other_side_quotes() {
    let bench = Bench::new();
    let secret = || Secret::new("correct horse battery");
    let failure = Failure::new(
        FailureClass::Rejected,
        "test::make",
        "No",
        "`correct horse battery` is wrong",
    );
    let call = Call::new(
        "test::make",
        Class::Read,
        Value::Secret(secret()),
        |_| async { Err(failure) },
    );
    assert_eq!(bench.fails(call).message, format!("`{MASK}` is wrong"));
    let events = bench.gate.take_events();
    let [(Event::EffectEnded(ended), _)] = &events[..] else {
        panic!("{events:?}");
    };
    let call = ended.call.as_ref().expect("the call");
    assert_eq!(call.arguments, MASK);
    assert!(!format!("{events:?}").contains("horse"), "{events:?}");
}
