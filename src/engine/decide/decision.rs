use std::{collections::BTreeMap, time::Duration};

use crate::{
    compile::Step,
    journal::{Event, InstanceId, State, StepFailed, StepStarted},
};
use windlass_ground::Timestamp;
use windlass_world::value::{StepError, Value};

/// What a decision depends on beside the workflow and the state.
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
    /// To be appended and applied, in this order; then [`super::next`] is asked again.
    pub events: Vec<Event>,
    /// Attempts to be started once the events are durable.
    pub starts: Vec<Start<'w>>,
    /// When to ask again although nothing happened.
    pub wake_at: Option<Timestamp>,
    /// Locks that are missing; an [`Event::LockTaken`] gives one.
    pub wants: Vec<Want>,
    /// How many questions wait for a person.
    pub asks: usize,
    /// How many steps failed and are tried again by themselves.
    pub retries: usize,
}

/// A lock that something waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Want {
    /// Any one of these will do.
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
    /// Whether it stands under `finally`, so that a cancel of the run leaves it alone.
    pub is_finally: bool,
}

/// What expressions look at.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub state: &'a State,
    pub run_id: &'a str,
}

/// What a look at a part of the run found that no event of that part announces.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    pub asks: usize,
    pub retries: usize,
    /// When to look again.
    pub wake_at: Option<Timestamp>,
    /// Something in it waits only for a free slot.
    pub lacks_room: bool,
    /// Something in it lacks a lock.
    pub wants: bool,
}

impl Seen {
    /// Whether it waits for a person or a moment.
    pub fn is_open(&self) -> bool {
        self.asks > 0 || self.retries > 0 || self.wake_at.is_some()
    }
}

/// What is being put together while the scopes are visited.
pub(super) struct Decision<'a, 'w> {
    pub state: &'a State,
    pub moment: Moment<'a>,
    pub next: Next<'w>,
    /// Attempts that run, with those that are started now.
    pub running: usize,
    /// Of the part that is looked at.
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

    /// Whether a retry at `at` is not due yet. A pause that is longer than the longest there is
    /// can only come of a clock that was set back; it is over then.
    pub fn is_early(&self, at: Timestamp, longest: Duration) -> bool {
        let left = at.since(self.moment.now);
        !left.is_zero() && left <= longest
    }

    pub fn has_room(&self) -> bool {
        self.running < self.moment.max_parallel
    }

    pub fn start(&mut self, start: Start<'w>, is_retry: bool) {
        self.running += 1;
        self.next.events.push(Event::StepStarted(StepStarted {
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
