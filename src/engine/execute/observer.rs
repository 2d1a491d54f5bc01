use std::time::Duration;

use windlass_ground::Timestamp;
use windlass_journal::{CallRecord, EffectOutcome, Event, InstanceId, Position, State};

/// Identifies a call of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallId {
    pub step: InstanceId,
    /// As [`Instance::round`](windlass_journal::Instance::round).
    pub round: u32,
    /// As [`Instance::attempt`](windlass_journal::Instance::attempt).
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
    /// The outcome as it is recorded, without the run's secrets.
    pub outcome: &'a EffectOutcome,
}

/// Receives run events as they happen. Must not block.
pub trait Observer: Send + Sync {
    /// Receives events that have become durable; `state` is the run after them.
    fn happened(&self, events: &[Event], state: &State);

    /// Receives the same events with their times.
    fn happened_at(&self, events: &[Event], _moments: &[Timestamp], state: &State) {
        self.happened(events, state);
    }

    /// Receives the start of a call of a running step.
    fn doing(&self, step: &InstanceId, what: &str);

    /// Receives that the run waits for a lock that another run holds.
    fn waits_for(&self, lock: &str, holder: &str);

    /// Receives a problem outside of the run that blocks a part of it.
    fn held_up(&self, why: &str);

    /// Receives a message of a script.
    fn said(&self, step: &InstanceId, message: &str);

    /// Receives each call that this process has made. A call whose result a script gets from the records is not made again, and
    /// not reported again.
    fn called(&self, _: &Called) {}

    /// Returns the W3C `traceparent` that a call sends to the other side; `None` if calls are not traced.
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
