use std::time::Duration;

use crate::journal::{CallRecord, EffectOutcome, Event, InstanceId, Position, State};
use windlass_ground::Timestamp;

/// Which call of a run one is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallId {
    pub step: InstanceId,
    /// As [`Instance::round`](crate::journal::Instance::round).
    pub round: u32,
    /// As [`Instance::attempt`](crate::journal::Instance::attempt).
    pub attempt: u32,
    pub position: Position,
}

/// A call that has been made.
#[derive(Debug)]
pub struct Called<'a> {
    pub id: &'a CallId,
    pub record: &'a CallRecord,
    pub began: Timestamp,
    pub took: Duration,
    /// Without the run's secrets, as it is recorded.
    pub outcome: &'a EffectOutcome,
}

/// Is told what happens in a run, as it happens. Must not block.
pub trait Observer: Send + Sync {
    /// These events have become durable; `state` is the run with them.
    fn happened(&self, events: &[Event], state: &State);

    /// Receives the same with the moment of each event.
    fn happened_at(&self, events: &[Event], _moments: &[Timestamp], state: &State) {
        self.happened(events, state);
    }

    /// A running step begins a call.
    fn doing(&self, step: &InstanceId, what: &str);

    /// The run waits for a lock that another run holds.
    fn waits_for(&self, lock: &str, holder: &str);

    /// Something that is not the run's own keeps a part of it from going on.
    fn held_up(&self, why: &str);

    /// A script says something.
    fn said(&self, step: &InstanceId, message: &str);

    /// Receives each call that this process has made. One that a script is given from the records is not made again, and
    /// not reported again.
    fn called(&self, _: &Called) {}

    /// Returns the W3C `traceparent` that a call takes to the other side; `None` where calls are not traced.
    fn traceparent(&self, _: &CallId) -> Option<String> {
        None
    }
}

/// Ignores all events.
pub struct Silent;

impl Observer for Silent {
    fn happened(&self, _: &[Event], _: &State) {}
    fn doing(&self, _: &InstanceId, _: &str) {}
    fn waits_for(&self, _: &str, _: &str) {}
    fn held_up(&self, _: &str) {}
    fn said(&self, _: &InstanceId, _: &str) {}
}
