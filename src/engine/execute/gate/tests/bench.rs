//! An attempt at the gate: a ledger in memory, and an outside that counts what is done.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::runtime::{Builder, Runtime};

use crate::execute::{
    Entry, Ledger, Made, Making, Silent, Stops,
    gate::{Gate, Progress},
};
use windlass_ground::{Timestamp, lock};
use windlass_journal::{
    CallRecord, EffectEnded, EffectIntended, EffectState, Event, InstanceId, RunId,
};
use windlass_script::{Call, Class, Effects, Interruption, Stop};
use windlass_world::value::{Failure, Value};

/// The time of all tests.
pub const NOW: Timestamp = Timestamp::from_secs(1_000_000);

/// A ledger that keeps nothing on disk.
pub struct Notebook {
    runtime: Runtime,
    /// The names of the entries, and whether each had to be durable at once.
    pub entries: Mutex<Vec<(String, bool)>>,
    /// The entries that an earlier life of the attempt made.
    pub old: BTreeSet<String>,
    pub waits: Mutex<Vec<Duration>>,
    pub stops: Stops,
}

impl Ledger for Notebook {
    fn enter(&self, name: &str, making: Making) -> Result<Entry, Stop> {
        let Made {
            events,
            stop,
            is_urgent,
        } = self.runtime.block_on(making);
        lock(&self.entries).push((name.to_owned(), is_urgent));
        Ok(Entry {
            events: events.into_iter().map(|event| (event, NOW)).collect(),
            stop,
            is_old: self.old.contains(name),
        })
    }

    fn wait(&self, duration: Duration) -> Result<(), Stop> {
        lock(&self.waits).push(duration);
        self.stops.check()
    }

    fn announces(&self, call: &Call) -> bool {
        call.class != Class::Read
    }

    fn now(&self) -> Timestamp {
        NOW
    }

    fn clock(&self) -> fn() -> Timestamp {
        || NOW
    }

    fn stops(&self) -> Stops {
        self.stops.clone()
    }

    fn settle(&self) -> Result<(), Stop> {
        Ok(())
    }

    fn note(&self, event: Event) -> (Event, Timestamp) {
        (event, NOW)
    }
}

/// An attempt of a step, and the outside.
pub struct Bench {
    pub gate: Gate,
    pub ledger: Arc<Notebook>,
    /// The keys of the calls that were made outside.
    pub made: Arc<Mutex<Vec<String>>>,
}

impl Bench {
    /// The first attempt of a step.
    pub fn new() -> Self {
        Self::with(Vec::new(), |_| {})
    }

    /// An attempt with these records, on a ledger that is set up before.
    pub fn with(recorded: Vec<EffectState>, set_up: impl FnOnce(&mut Notebook)) -> Self {
        let mut ledger = Notebook {
            runtime: Builder::new_current_thread().build().expect("a runtime"),
            entries: Mutex::default(),
            old: BTreeSet::new(),
            waits: Mutex::default(),
            stops: Stops::default(),
        };
        set_up(&mut ledger);
        let ledger = Arc::new(ledger);
        let gate = Gate {
            run: RunId::stored("20261123-223401482-k3f9ma".into()),
            instance: InstanceId::step(None, "a"),
            round: 0,
            attempt: 1,
            recorded,
            is_suspect: false,
            is_fresh: false,
            ledger: ledger.clone(),
            observer: Arc::new(Silent),
            stage: None,
            redactor: Arc::default(),
            progress: Mutex::<Progress>::default(),
        };
        let made = Arc::default();
        Self { gate, ledger, made }
    }

    /// The next attempt, which has the records of this one.
    pub fn again(&self) -> Self {
        Self::with(self.records(), |_| {})
    }

    /// Returns a call that gives its argument.
    pub fn call(&self, class: Class, argument: &str) -> Call {
        self.answered(class, argument, Ok(argument.into()))
    }

    /// Returns a call with this answer.
    pub fn answered(&self, class: Class, argument: &str, answer: Result<Value, Failure>) -> Call {
        let made = self.made.clone();
        Call::new(
            "test::make",
            class,
            argument.into(),
            move |key| async move {
                lock(&made).push(key.to_string());
                answer
            },
        )
    }

    /// Makes a call that must succeed.
    #[track_caller]
    pub fn gives(&self, call: Call) -> Value {
        self.gate.perform(call).expect("a result")
    }

    /// Makes a call that must fail, as a script sees it.
    #[track_caller]
    pub fn fails(&self, call: Call) -> Failure {
        match self.gate.perform(call) {
            Err(Interruption::Failed(failure)) => failure,
            other => panic!("no failure: {other:?}"),
        }
    }

    /// Makes a call that must end the script.
    #[track_caller]
    pub fn stops(&self, call: Call) -> Stop {
        match self.gate.perform(call) {
            Err(Interruption::Stopped(stop)) => stop,
            other => panic!("not stopped: {other:?}"),
        }
    }

    /// Returns how many calls were made outside.
    pub fn made(&self) -> usize {
        lock(&self.made).len()
    }

    /// Returns the keys of the calls that were made.
    pub fn keys(&self) -> Vec<String> {
        lock(&self.made).clone()
    }

    /// Returns the names of the entries, those that had to be durable at once with a `!`.
    pub fn entries(&self) -> Vec<String> {
        let entries = lock(&self.ledger.entries);
        let mark = |urgent: bool| if urgent { "!" } else { "" };
        let named = entries.iter();
        named
            .map(|(name, urgent)| format!("{name}{}", mark(*urgent)))
            .collect()
    }

    /// Returns the records that the next attempt gets.
    pub fn records(&self) -> Vec<EffectState> {
        let mut effects = self.gate.recorded.clone();
        for (event, at) in self.gate.take_events() {
            match event {
                Event::EffectIntended(EffectIntended { call, before, .. }) => {
                    effects.push(EffectState {
                        before,
                        ..effect(call, at)
                    });
                }
                Event::EffectEnded(EffectEnded {
                    call,
                    position,
                    outcome,
                    ..
                }) => {
                    effects.extend(call.map(|call| effect(call, at)));
                    effects[position.0 as usize].outcome = Some(outcome);
                }
                _ => {}
            }
        }
        effects
    }

    /// Returns these records without the last result: the process died inside the call.
    pub fn records_in_doubt(&self) -> Vec<EffectState> {
        let mut effects = self.records();
        effects.last_mut().expect("a record").outcome = None;
        effects
    }
}

fn effect(call: CallRecord, at: Timestamp) -> EffectState {
    EffectState {
        call,
        at,
        before: None,
        outcome: None,
        ended_attempt: false,
        settled: None,
    }
}
