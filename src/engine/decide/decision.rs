use std::{collections::BTreeMap, time::Duration};

use windlass_compile::Step;
use windlass_ground::Timestamp;
use windlass_journal::{Event, Instance, InstanceId, State, StepFailed, StepStarted};
use windlass_world::value::{StepError, Value};

/// The input of a decision beyond the workflow and the state.
#[derive(Clone, Copy, Debug)]
pub struct Moment<'a> {
    pub run_id: &'a str,
    pub now: Timestamp,
    /// How many step attempts may run at once in the whole run.
    pub max_parallel: usize,
}

/// What may happen next. Empty, with nothing running, only when the run has ended.
#[derive(Debug, Default)]
pub struct Next<'w> {
    /// Events to append and apply, in this order; then [`super::next`] is called again.
    pub events: Vec<Event>,
    /// Attempts to start when the events are durable.
    pub starts: Vec<Start<'w>>,
    /// When to decide again even if nothing happens.
    pub wake_at: Option<Timestamp>,
    /// Locks that are missing; an [`Event::LockTaken`] grants one.
    pub wants: Vec<Want>,
    /// How many questions wait for a person.
    pub asks: usize,
    /// How many failed steps will be retried automatically.
    pub retries: usize,
}

/// A lock that a step or the run waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Want {
    /// The names of the locks; any one of them is enough.
    pub any_of: Vec<String>,
    /// The step that would hold it; `None` for the run.
    pub step: Option<InstanceId>,
}

/// One attempt of one step instance.
#[derive(Debug)]
pub struct Start<'w> {
    pub instance: InstanceId,
    /// `None` for the undo of a step that is no longer in the workflow.
    pub step: Option<&'w Step>,
    pub attempt: u32,
    pub inputs: BTreeMap<String, Value>,
    /// Whether it is under `finally`, so that a cancel of the run does not stop it.
    pub is_finally: bool,
}

/// What expressions can read.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub state: &'a State,
    pub run_id: &'a str,
}

/// The result of a look at a part of the run, beyond what its events show.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    pub asks: usize,
    pub retries: usize,
    /// When to look again.
    pub wake_at: Option<Timestamp>,
    /// Whether something in it only lacks a free slot.
    pub lacks_room: bool,
    /// Whether something in it lacks a lock.
    pub wants: bool,
}

impl Seen {
    /// Says whether it waits for a person or a time.
    pub fn is_open(&self) -> bool {
        self.asks > 0 || self.retries > 0 || self.wake_at.is_some()
    }
}

/// The decision while the scopes are visited.
pub(super) struct Decision<'a, 'w> {
    pub state: &'a State,
    pub moment: Moment<'a>,
    pub next: Next<'w>,
    /// The number of running attempts, including those that are started now.
    pub running: usize,
    /// The result for the current part.
    pub seen: Seen,
}

impl<'w> Decision<'_, 'w> {
    pub fn view(&self) -> View<'_> {
        View {
            state: self.state,
            run_id: self.moment.run_id,
        }
    }

    /// Looks at a part of the run.
    pub fn look(&mut self, look: impl FnOnce(&mut Self)) -> Seen {
        let outer = std::mem::take(&mut self.seen);
        let wants = self.next.wants.len();
        look(self);
        let mut seen = std::mem::replace(&mut self.seen, outer);
        seen.wants = self.next.wants.len() > wants;
        seen
    }

    /// Says whether a retry at `at` is not due yet. A remaining pause that is longer than the longest possible pause
    /// means that the clock was set back; then the retry is due.
    pub fn is_early(&self, at: Timestamp, longest: Duration) -> bool {
        let left = at.since(self.moment.now);
        !left.is_zero() && left <= longest
    }

    pub fn has_room(&self) -> bool {
        self.running < self.moment.max_parallel
    }

    pub fn start(&mut self, start: Start<'w>, is_retry: bool) {
        self.running += 1;
        let instance = self.state.instance(&start.instance);
        self.next.events.push(Event::StepStarted(StepStarted {
            reads_again_from: instance.and_then(Instance::reads_again_from),
            step: start.instance.clone(),
            attempt: start.attempt,
            inputs: (!is_retry).then(|| Value::Map(start.inputs.clone())),
            items: None,
            is_scope: false,
            is_fresh: start.step.is_some_and(|step| step.is_fresh),
        }));
        self.next.starts.push(start);
    }

    pub fn fail(&mut self, step: &InstanceId, error: StepError) {
        self.next.events.push(Event::StepFailed(StepFailed {
            step: step.clone(),
            error,
            retry_at: None,
        }));
    }

    pub fn interrupt(&mut self, step: &InstanceId) {
        let step = step.clone();
        self.next.events.push(Event::StepInterrupted { step });
    }

    pub fn wake_at(&mut self, at: Timestamp) {
        self.seen.wake_at = Some(self.seen.wake_at.map_or(at, |earlier| earlier.min(at)));
    }
}
