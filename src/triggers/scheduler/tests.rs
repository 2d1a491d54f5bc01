use std::cell::{Cell, RefCell};

use windlass_compile::{Frozen, compile};
use windlass_runs::WorkflowName;

use super::{super::starter::Life, *};

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
/// 2026-11-29T00:00:00Z.
const MIDNIGHT: Timestamp = Timestamp::from_secs(1_795_910_400);

/// A starter that notes what it starts, unless the lock is held.
#[derive(Default)]
struct Noted {
    runs: RefCell<Vec<Timestamp>>,
    lives: RefCell<Vec<Life>>,
    is_held: Cell<bool>,
    has_failed: Cell<bool>,
}

impl Starter for &Noted {
    fn held_by(&self, _: &Planted, _: Timestamp) -> Result<Option<Held>, RunsError> {
        Ok(self.is_held.get().then(|| Held {
            why: "run x has the lock".into(),
            is_stuck: false,
        }))
    }

    fn start(&self, _: &Planted, due: Timestamp) -> Result<Option<String>, RunsError> {
        self.runs.borrow_mut().push(due);
        Ok(Some("run".into()))
    }

    fn lives(&self, _: &Planted) -> Vec<Life> {
        self.lives.borrow().clone()
    }

    fn has_succeeded(&self, _: &str) -> bool {
        !self.has_failed.get()
    }

    fn failed(&self, _: &Planted, _: Timestamp, error: &RunsError) {
        panic!("{error}");
    }
}

fn planted(trigger: &str) -> Vec<Planted> {
    let text = format!("workflow: w\ntriggers:\n  - {trigger}\nsteps: {{ a: {{ run: \"1\" }} }}\n");
    let mut files = Frozen(BTreeMap::from([("w.yaml".to_owned(), Arc::from(text))]));
    let program = compile("w.yaml", &mut files).expect("it compiles");
    vec![Planted {
        workflow: WorkflowName::parse("w").expect("a name"),
        trigger: program.workflow.triggers[0].clone(),
        program: program.workflow,
    }]
}

#[test]
fn a_clock_that_was_ahead_stops_no_schedule() {
    let (planted, starter) = (planted("{ schedule: \"0 * * * *\" }"), Noted::default());
    let book = Arc::new(TriggerBook::empty().expect("a book"));
    let scheduler = Scheduler::new(book.clone(), &starter);
    let tick = |at| scheduler.tick(&planted, at).expect("a book");
    tick(MIDNIGHT);
    tick(MIDNIGHT + HOUR);
    // For a moment, the clock is 400 days ahead: one early start.
    tick(MIDNIGHT + 400 * DAY);
    tick(MIDNIGHT + HOUR + Duration::from_secs(9));
    tick(MIDNIGHT + 2 * HOUR);
    tick(MIDNIGHT + 3 * HOUR);
    let expected = [HOUR, 400 * DAY, 2 * HOUR, 3 * HOUR].map(|after| MIDNIGHT + after);
    assert_eq!(*starter.runs.borrow(), expected);
    let last = book.last(&planted[0].key()).expect("a book");
    assert_eq!(last.expect("a start").due, MIDNIGHT + 3 * HOUR);
}

#[test]
fn a_start_that_waits_is_tried_again_after_a_clock_was_ahead() {
    let (planted, starter) = (planted("{ schedule: \"0 * * * *\" }"), Noted::default());
    let book = Arc::new(TriggerBook::empty().expect("a book"));
    let scheduler = Scheduler::new(book, &starter);
    let tick = |at| scheduler.tick(&planted, at).expect("a book");
    tick(MIDNIGHT);
    starter.is_held.set(true);
    tick(MIDNIGHT + 400 * DAY);
    starter.is_held.set(false);
    tick(MIDNIGHT + Duration::from_secs(9));
    assert_eq!(*starter.runs.borrow(), [MIDNIGHT + 400 * DAY]);
}

#[test]
fn a_certificate_that_became_due_before_a_trigger_was_gone_is_due_after_it() {
    let (planted, starter) = (planted("{ when_due: 10d }"), Noted::default());
    let ends = |days: u32| Life {
        made_at: MIDNIGHT,
        expires_at: MIDNIGHT + days * DAY,
    };
    let book = Arc::new(TriggerBook::empty().expect("a book"));
    let scheduler = Scheduler::new(book.clone(), &starter);
    let tick = |days: u32| {
        scheduler
            .tick(&planted, MIDNIGHT + days * DAY)
            .expect("a book")
    };
    tick(0);
    // One start waits for both.
    starter.is_held.set(true);
    *starter.lives.borrow_mut() = vec![ends(15), ends(16)];
    tick(7);
    // While a file is away for a moment, the start waits.
    let none = scheduler.tick(&[], MIDNIGHT + 7 * DAY);
    none.expect("a book");
    assert_eq!(book.waiting().expect("a book").len(), 1);
    book.forget(&planted[0].key()).expect("a book");
    assert!(book.waiting().expect("a book").is_empty());
    // The second one is renewed by something else meanwhile.
    *starter.lives.borrow_mut() = vec![ends(15)];
    starter.is_held.set(false);
    tick(8);
    tick(9);
    assert_eq!(*starter.runs.borrow(), [MIDNIGHT + 5 * DAY]);
}

#[test]
fn a_certificate_that_became_due_before_a_pause_is_due_after_it() {
    let planted = planted("{ when_due: 10d }");
    let starter = Noted::default();
    let ends = |days: u32| Life {
        made_at: MIDNIGHT,
        expires_at: MIDNIGHT + days * DAY,
    };
    let book = Arc::new(TriggerBook::empty().expect("a book"));
    let scheduler = Scheduler::new(book.clone(), &starter);
    let tick = |days| {
        scheduler
            .tick(&planted, MIDNIGHT + days * DAY)
            .expect("a book")
    };
    let key = planted[0].key();
    tick(0);
    // The first one is renewed by a run; two others become due while the lock is held.
    *starter.lives.borrow_mut() = vec![ends(15)];
    tick(5);
    assert_eq!(*starter.runs.borrow(), [MIDNIGHT + 5 * DAY]);
    starter.is_held.set(true);
    *starter.lives.borrow_mut() = vec![ends(15), ends(30), ends(31)];
    tick(21);
    book.pause(&key, "ana", MIDNIGHT + 21 * DAY)
        .expect("a book");
    tick(22);
    assert!(book.waiting().expect("a book").is_empty());
    starter.is_held.set(false);
    tick(23);
    assert_eq!(starter.runs.borrow().len(), 1, "paused");
    book.resume(&key, MIDNIGHT + 23 * DAY).expect("a book");
    tick(24);
    starter.has_failed.set(true);
    tick(25);
    let expected = [5, 21].map(|days| MIDNIGHT + days * DAY);
    assert_eq!(*starter.runs.borrow(), expected, "one start for both");
}

/// The workflow may take for due what the trigger does only later: then a run renews nothing, and another one has to.
#[test]
fn a_certificate_that_a_run_has_not_renewed_becomes_due_again() {
    let (planted, starter) = (planted("{ when_due: 16d }"), Noted::default());
    let book = Arc::new(TriggerBook::empty().expect("a book"));
    let scheduler = Scheduler::new(book.clone(), &starter);
    let tick = |days: u32| {
        scheduler
            .tick(&planted, MIDNIGHT + days * DAY)
            .expect("a book")
    };
    tick(0);
    let life = Life {
        made_at: MIDNIGHT,
        expires_at: MIDNIGHT + 32 * DAY,
    };
    *starter.lives.borrow_mut() = vec![life];
    let days = |all: &[u32]| {
        all.iter()
            .map(|days| MIDNIGHT + *days * DAY)
            .collect::<Vec<_>>()
    };
    for day in 1..26 {
        tick(day);
    }
    assert_eq!(*starter.runs.borrow(), days(&[16, 24]));
    // One that has failed has to be resumed.
    starter.has_failed.set(true);
    tick(28);
    assert_eq!(starter.runs.borrow().len(), 2);
    starter.has_failed.set(false);
    tick(29);
    tick(30);
    assert_eq!(*starter.runs.borrow(), days(&[16, 24, 28, 30]));
    // It is renewed.
    starter.lives.borrow_mut().clear();
    tick(31);
    assert_eq!(starter.runs.borrow().len(), 4);
}
