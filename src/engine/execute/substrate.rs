//! What a run stands on: the words that fit a journal of our own as well as an engine of others.

use std::{pin::Pin, time::Duration};

use super::{
    attempt::{Finished, Task},
    driver::DriveError,
    stops::Stops,
};
use crate::journal::{Claim, Event, InstanceId, Message, RunId};
use windlass_ground::Timestamp;
use windlass_script::{Call, Stop};
use windlass_world::value::Redactor;

/// Makes a run durable and its steps run.
///
/// The driver is the only one that speaks to it, and asks one thing after another. What a substrate
/// answers must be the same when the driver is replayed: the moment, the order in which attempts end.
pub trait Substrate: Send {
    fn run_id(&self) -> &RunId;

    /// The moment now.
    fn now(&mut self) -> Timestamp;

    /// A number from 0 to 1 that spreads retries.
    fn jitter(&mut self) -> f64;

    /// Takes events over: once [`Substrate::settle`] returns, they are found again after a crash, with all that
    /// came before. Whatever an attempt makes durable is durable only with all that was taken over before it.
    /// What goes with an event (the run's status in lists, its locks) goes at the same time.
    fn append(
        &mut self,
        batch: Vec<(Event, Timestamp)>,
    ) -> impl Future<Output = Result<(), DriveError>> + Send;

    /// Makes all that was taken over durable, before it is shown or relied on.
    fn settle(&mut self) -> impl Future<Output = Result<(), DriveError>> + Send;

    /// Whether people have waited long enough to see what was taken over.
    fn is_overdue(&self) -> bool;

    /// Starts one attempt; [`Substrate::wait`] says how it ended.
    fn start(&mut self, task: Task) -> impl Future<Output = Result<(), DriveError>> + Send;

    /// Whether what an attempt recorded is among the run's events already when it ends.
    fn has_recorded(&self) -> bool;

    /// Asks running attempts to stop, except those of steps that stand under `finally`.
    fn cancel_attempts(&mut self) -> impl Future<Output = Result<(), DriveError>> + Send;

    /// Waits until something happened or is due. Holds no thread.
    fn wait(
        &mut self,
        wait: Wait,
    ) -> impl Future<Output = Result<Vec<Happened>, DriveError>> + Send;

    /// Tries to get a lock, for one step or for the run. It is held, also while no process drives the
    /// run, until an event gives it up.
    fn claim(
        &mut self,
        lock: &str,
        step: Option<&InstanceId>,
    ) -> impl Future<Output = Result<Claim, DriveError>> + Send;

    /// What came from others while the driver had no time to wait.
    /// Each with when it was sent.
    /// `is_urgent` if none may be left for later.
    fn messages(&mut self, is_urgent: bool) -> Result<Vec<(Message, Timestamp)>, DriveError>;

    /// What a list shows as the status of another run.
    fn status_of(&mut self, run: &RunId) -> Result<String, DriveError>;
}

/// What a driver waits for, beside attempts and messages.
#[derive(Clone, Copy, Debug)]
pub struct Wait {
    pub wake_at: Option<Timestamp>,
    pub wants_locks: bool,
}

/// What a driver waited for. None of them: something is due, or a lock may be free.
pub enum Happened {
    Finished(Finished),
    /// With when it was sent.
    Message(Message, Timestamp),
    /// The driver of the run asks it to stop.
    Cancelled,
}

/// Remembers what one attempt of a step did.
///
/// A substrate that brings a dead attempt back to life runs its script again from the top and hands out
/// the entries that it made; one that does not gives them to the next attempt, as its records.
pub trait Ledger: Send + Sync {
    /// Makes an entry. Once this returns, what `making` gave is found again after a crash, if it is urgent
    /// ([`Made::is_urgent`]) or anything that was entered after it is; a later life of this attempt is given the same
    /// without making it.
    fn enter(&self, name: &str, making: Making) -> Result<Entry, Stop>;

    /// Waits this long, also across lives.
    fn wait(&self, duration: Duration) -> Result<(), Stop>;

    /// Whether a call must be announced by an entry of its own before it is made: what it can't do
    /// again without harm, or what an undo must know of.
    fn announces(&self, call: &Call) -> bool;

    /// The moment now, as a later life of the attempt would say it.
    fn now(&self) -> Timestamp;

    /// The clock of this machine: for what is decided inside an entry.
    fn clock(&self) -> fn() -> Timestamp;

    /// What ends a call that is being made now.
    fn stops(&self) -> Stops;

    /// Makes what was entered so far durable: its result is about to be shown.
    fn settle(&self) -> Result<(), Stop>;

    /// Does something that waits for the outside and is no entry.
    fn waits<'a>(&self, wait: Box<dyn FnOnce() + 'a>) {
        wait();
    }

    /// Keeps a message for people; it may be lost when the process dies.
    fn note(&self, event: Event) -> (Event, Timestamp);
}

/// Does what an entry records.
pub type Making = Pin<Box<dyn Future<Output = Made> + Send>>;

/// What came of an entry.
#[derive(Debug, Default)]
pub struct Made {
    pub events: Vec<Event>,
    /// Why the script must end here.
    pub stop: Option<Stop>,
    /// Whether it must be durable at once: something that it announces leaves next, or what it says can't be found out
    /// a second time. Anything else may be lost with all that came after it, and is worked out again.
    pub is_urgent: bool,
}

impl Made {
    pub fn stopped(stop: Stop) -> Self {
        Self {
            stop: Some(stop),
            ..Self::default()
        }
    }

    pub fn urgent(self) -> Self {
        Self {
            is_urgent: true,
            ..self
        }
    }

    /// The same as it may be recorded: secrets of the run are taken out of what the other side said about this call.
    pub fn redacted(self, function: &str, redactor: &Redactor) -> Self {
        // What a call gives as a secret it may also give as a text.
        for event in &self.events {
            event.teach(function, redactor);
        }
        let events = self.events.into_iter();
        Self {
            events: events.map(|event| event.redacted(redactor)).collect(),
            stop: self.stop,
            is_urgent: self.is_urgent,
        }
    }
}

impl From<Event> for Made {
    fn from(event: Event) -> Self {
        Self {
            events: vec![event],
            ..Self::default()
        }
    }
}

/// An entry that is durable.
#[derive(Debug)]
pub struct Entry {
    pub events: Vec<(Event, Timestamp)>,
    pub stop: Option<Stop>,
    /// An earlier life of the attempt made it: what it was about to do then may have been done.
    pub is_old: bool,
}
