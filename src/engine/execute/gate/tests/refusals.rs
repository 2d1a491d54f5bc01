//! Calls that are not made, and results that are too large.

use std::sync::atomic::Ordering;

use super::Bench;
use windlass_script::{Call, Class, Stop, WRONG_ARGUMENTS};
use windlass_world::value::{Failure, FailureClass, MASK, Value};

#[test]
fn a_fresh_step_may_only_read() {
    let mut bench = Bench::new();
    bench.gate.is_fresh = true;
    for class in [Class::Keyed, Class::Found, Class::Unsure] {
        let failure = bench.fails(bench.call(class, "x"));
        assert_eq!(failure.code, "FreshStep");
        assert!(failure.hint.is_some());
    }
    bench.gives(bench.call(Class::Read, "x"));
    // What was refused is not among the calls.
    assert_eq!(bench.entries(), ["0 test::make"]);
}

#[test]
fn the_mask_of_a_secret_is_never_sent() {
    let nested = Value::map([("a", Value::List(vec![format!("-{MASK}-").into()]))]);
    for argument in [MASK.into(), nested, Value::map([(MASK, Value::Null)])] {
        let bench = Bench::new();
        let mut call = bench.call(Class::Keyed, "x");
        call.arguments = argument;
        assert_eq!(bench.fails(call).code, WRONG_ARGUMENTS);
        assert_eq!((bench.made(), bench.entries().len()), (0, 0));
    }
}

/// A call that is refused.
fn refusing(bench: &Bench, argument: &str) -> Call {
    let mut call = bench.call(Class::Keyed, argument);
    let refusal = Failure::new(FailureClass::Rejected, "test::make", "No", "not any more");
    call.refusal = Some(refusal);
    call
}

#[test]
fn a_call_that_is_refused_now_is_still_replayed_if_it_was_made() {
    let first = Bench::new();
    first.gives(first.call(Class::Keyed, "x"));
    let second = first.again();
    assert_eq!(second.gives(refusing(&second, "x")), "x".into());
    assert_eq!(second.fails(refusing(&second, "x")).code, "No");
    assert_eq!(second.made(), 0);
}

#[test]
fn a_refused_call_has_no_position() {
    let work = |bench: &Bench| {
        assert_eq!(bench.fails(refusing(bench, "x")).code, "No");
        assert_eq!(bench.gives(bench.call(Class::Keyed, "y")), "y".into());
        assert_eq!(bench.fails(refusing(bench, "y")).code, "No");
        bench.gives(bench.call(Class::Unsure, "z"));
    };
    let first = Bench::new();
    work(&first);
    assert_eq!(first.made(), 2);
    // The fold accepts the events, and a replay makes the same calls.
    let second = first.again();
    work(&second);
    assert_eq!(second.made(), 0);
}

#[test]
fn a_cancelled_attempt_makes_no_other_call() {
    for class in [Class::Read, Class::Keyed, Class::Unsure] {
        let bench = Bench::with(Vec::new(), |ledger| {
            ledger.stops.cancelled.store(true, Ordering::Relaxed);
        });
        assert_eq!(bench.stops(bench.call(class, "x")), Stop::Cancelled);
        assert_eq!(bench.made(), 0);
        // Nothing was announced that an undo would have to look for.
        assert_eq!(bench.records().len(), 0);
    }
}

#[test]
fn a_cancelled_attempt_still_replays_what_it_has() {
    let first = Bench::new();
    first.gives(first.call(Class::Keyed, "x"));
    let second = Bench::with(first.records(), |ledger| {
        ledger.stops.cancelled.store(true, Ordering::Relaxed);
    });
    assert_eq!(second.gives(second.call(Class::Keyed, "x")), "x".into());
}

const MIB: usize = 1 << 20;

/// A text of so many bytes in the journal, where it has quotes.
fn text(bytes: usize) -> Result<Value, Failure> {
    Ok("x".repeat(bytes - 2).into())
}

#[test]
fn a_result_of_more_than_a_mebibyte_ends_the_attempt() {
    let bench = Bench::new();
    bench.gives(bench.answered(Class::Read, "x", text(MIB)));
    let stop = bench.stops(bench.answered(Class::Read, "x", text(MIB + 1)));
    let call = "test::make".to_owned();
    assert_eq!(
        stop,
        Stop::TooLarge {
            call,
            bytes: MIB + 1
        }
    );
}

#[test]
fn a_change_whose_result_is_too_large_stays_announced() {
    let bench = Bench::new();
    bench.stops(bench.answered(Class::Keyed, "x", text(MIB + 1)));
    let records = bench.records();
    assert!(records[0].is_unknown(), "{records:?}");
}

#[test]
fn the_results_of_a_step_have_a_limit_together_which_counts_replayed_ones() {
    let first = Bench::new();
    first.gives(first.answered(Class::Read, "x", text(MIB)));
    let second = Bench::with(vec![first.records().remove(0); 15], |_| {});
    for _ in 0..15 {
        second.gives(second.answered(Class::Read, "x", text(MIB)));
    }
    second.gives(second.answered(Class::Read, "x", text(MIB)));
    let stop = second.stops(second.answered(Class::Read, "x", text(2)));
    let (call, step_bytes) = ("test::make".to_owned(), 16 * MIB + 2);
    assert_eq!(stop, Stop::TooMuch { call, step_bytes });
}
