//! A run that a test plays, in place of the driver.

use std::collections::BTreeSet;

use super::Beginning;
use crate::decide::{Agenda, Moment, Next, Want, next};
use windlass_compile::Program;
use windlass_ground::Timestamp;
use windlass_journal::{
    Event, Instance, InstanceId, LockTaken, Outcome, State, Status, StepStarted,
};
use windlass_world::value::StepError;

/// A run that a test plays.
pub struct Story {
    pub program: Program,
    pub state: State,
    /// All events so far.
    pub history: Vec<(Event, Timestamp)>,
    pub now: Timestamp,
    /// The locks that other runs hold.
    pub elsewhere: BTreeSet<String>,
    /// The locks that it waits for.
    pub wants: Vec<Want>,
    /// When it decides again even if nothing happens.
    pub wakes_at: Option<Timestamp>,
    /// How many questions wait for a person.
    pub asks: usize,
    pub agenda: Agenda,
    max_parallel: usize,
    /// The attempts that started since the test last looked.
    started: Vec<String>,
}

impl Story {
    /// Starts a run of a workflow that needs no other files and no params.
    pub fn of(text: &str) -> Self {
        Beginning::of(text, &[]).go()
    }

    pub fn begin(
        program: Program,
        max_parallel: usize,
        elsewhere: BTreeSet<String>,
        event: Event,
    ) -> Self {
        let mut story = Self {
            program,
            state: State::default(),
            history: Vec::new(),
            now: Timestamp::from_secs(1_000_000),
            elsewhere,
            wants: Vec::new(),
            wakes_at: None,
            asks: 0,
            agenda: Agenda::default(),
            max_parallel,
            started: Vec::new(),
        };
        story.happen(event);
        story
    }

    /// Lets an event happen, and does what is decided then.
    #[track_caller]
    pub fn happen(&mut self, event: Event) {
        self.apply(event);
        self.decide();
    }

    #[track_caller]
    pub fn apply(&mut self, event: Event) {
        let applied = self.state.apply(&event, self.now);
        applied.unwrap_or_else(|e| panic!("{e}: {event:?}"));
        let workflow = &self.program.workflow;
        self.agenda.note(workflow, &event, &self.state);
        self.history.push((event, self.now));
    }

    /// Decides until nothing more follows; takes the locks that are free.
    #[track_caller]
    pub fn decide(&mut self) {
        let workflow = self.program.workflow.clone();
        loop {
            let moment = Moment {
                run_id: "run-1",
                now: self.now,
                max_parallel: self.max_parallel,
            };
            let whole = said(&next(&workflow, &self.state, moment));
            let found = self.agenda.next(&workflow, &self.state, moment);
            assert_eq!(said(&found), whole, "the agenda has missed something");
            self.started
                .extend(found.starts.iter().map(|start| start.instance.to_string()));
            let is_last = found.events.iter().all(starts_attempt);
            found.events.into_iter().for_each(|event| self.apply(event));
            (self.wants, self.wakes_at, self.asks) = (found.wants, found.wake_at, found.asks);
            if is_last && !self.takes_lock() {
                return;
            }
        }
    }

    fn takes_lock(&mut self) -> bool {
        let is_free = |lock: &&String| {
            !self.elsewhere.contains(*lock) && !self.state.locks.contains_key(*lock)
        };
        let mut wants = self.wants.iter();
        let taken = wants.find_map(|want| {
            let lock = want.any_of.iter().find(is_free)?.clone();
            let step = want.step.clone();
            Some(Event::LockTaken(LockTaken { lock, step }))
        });
        taken.map(|taken| self.apply(taken)).is_some()
    }

    /// Expects that exactly these attempts have started since the last look, in this order.
    #[track_caller]
    pub fn starts<const N: usize>(&mut self, attempts: [&str; N]) {
        assert_eq!(self.take_started(), attempts);
    }

    pub fn take_started(&mut self) -> Vec<String> {
        std::mem::take(&mut self.started)
    }

    /// Expects the run to have ended, with nothing more started.
    #[track_caller]
    pub fn ends(&mut self, outcome: Outcome) {
        self.starts([]);
        assert_eq!(self.state.outcome, Some(outcome));
    }

    /// Expects the run to wait: it has not ended, and nothing more has started.
    #[track_caller]
    pub fn waits(&mut self) {
        self.starts([]);
        assert_eq!(self.state.outcome, None);
    }

    #[track_caller]
    pub fn instance(&self, step: &str) -> &Instance {
        let instance = self.state.instance(&id(step));
        instance.unwrap_or_else(|| panic!("{step} has not begun"))
    }

    pub fn status(&self, step: &str) -> Status {
        self.state.status(&id(step))
    }

    #[track_caller]
    pub fn error(&self, step: &str) -> &StepError {
        let error = self.instance(step).error.as_deref();
        error.unwrap_or_else(|| panic!("{step} has no error"))
    }

    /// Expects a step to be skipped, for this reason.
    #[track_caller]
    pub fn skips(&self, step: &str, reason: &str) {
        assert_eq!(self.status(step), Status::Skipped, "{step}");
        assert_eq!(self.instance(step).skip_reason.as_deref(), Some(reason));
    }
}

/// Parses the id of an instance.
pub fn id(text: &str) -> InstanceId {
    text.parse().expect("an id")
}

fn starts_attempt(event: &Event) -> bool {
    let attempt = matches!(
        event,
        Event::StepStarted(StepStarted {
            items: None,
            is_scope: false,
            ..
        })
    );
    attempt
}

/// Returns all that a decision says.
fn said(next: &Next) -> String {
    let starts = next.starts.iter();
    let starts: Vec<_> = starts
        .map(|start| {
            (
                &start.instance,
                start.attempt,
                &start.inputs,
                start.is_finally,
            )
        })
        .collect();
    let Next {
        events,
        wake_at,
        wants,
        asks,
        retries,
        ..
    } = next;
    format!("{events:?}\n{starts:?}\n{wake_at:?} {wants:?} {asks} {retries}")
}
