use crate::journal::{Event, InstanceId, State};

/// Is told what happens in a run, as it happens. Must not block.
pub trait Observer: Send + Sync {
    /// These events have become durable; `state` is the run with them.
    fn happened(&self, events: &[Event], state: &State);

    /// A running step begins a call.
    fn doing(&self, step: &InstanceId, what: &str);

    /// The run waits for a lock that another run holds.
    fn waits_for(&self, lock: &str, holder: &str);

    /// Something that is not the run's own keeps a part of it from going on.
    fn held_up(&self, why: &str);

    /// A script says something.
    fn said(&self, step: &InstanceId, message: &str);
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
