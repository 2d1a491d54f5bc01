//! The interface between the driver and what makes a run durable: the embedded journal or Restate.

use std::{pin::Pin, time::Duration};

use super::{
    attempt::{Finished, Task},
    circle::Waiting,
    driver::DriveError,
    stops::Stops,
};
use windlass_ground::Timestamp;
use windlass_journal::{Claim, Event, InstanceId, Message, RunId};
use windlass_script::{Call, Stop};
use windlass_world::value::Redactor;

/// Makes a run durable and runs its steps.
///
/// Only the driver calls it, one call after another. When the driver is replayed, the answers of a substrate must be the same:
/// the time, and the order in which attempts end.
pub trait Substrate: Send {
    fn run_id(&self) -> &RunId;

    /// Returns the current time.
    fn now(&mut self) -> Timestamp;

    /// Reads the clock once, if [`Substrate::now`] does not: a drive may begin long after it was ordered.
    fn catch_up(&mut self) -> impl Future<Output = Result<(), DriveError>> + Send;

    /// Returns a number from 0 to 1 that spreads retries.
    fn jitter(&mut self) -> f64;

    /// Takes over events: after [`Substrate::settle`] has returned, they survive a crash, with all events before them. Whatever
    /// an attempt makes durable becomes durable only together with all events that were taken over before it. Data that belongs to an
    /// event (the run's status in lists, its locks) changes at the same time.
    fn append(
        &mut self,
        batch: Vec<(Event, Timestamp)>,
    ) -> impl Future<Output = Result<(), DriveError>> + Send;

    /// Makes all events that were taken over durable, before they are shown or relied on.
    fn settle(&mut self) -> impl Future<Output = Result<(), DriveError>> + Send;

    /// Says whether people have waited long enough to see the events that were taken over.
    fn is_overdue(&self) -> bool;

    /// Starts one attempt; [`Substrate::wait`] returns how it ended.
    fn start(&mut self, task: Task) -> impl Future<Output = Result<(), DriveError>> + Send;

    /// Says whether the records of an attempt are already among the run's events when the attempt ends.
    fn has_recorded(&self) -> bool;

    /// Asks running attempts to stop, except those of steps under `finally`.
    fn cancel_attempts(&mut self) -> impl Future<Output = Result<(), DriveError>> + Send;

    /// Waits until something happens or is due. Does not block a thread.
    fn wait(
        &mut self,
        wait: Wait,
    ) -> impl Future<Output = Result<Vec<Happened>, DriveError>> + Send;

    /// Tries to get a lock, for one step or for the run. It is held until an event releases it, even while no process drives
    /// the run.
    fn claim(
        &mut self,
        lock: &str,
        step: Option<&InstanceId>,
    ) -> impl Future<Output = Result<Claim, DriveError>> + Send;

    /// Returns the messages that have arrived while the driver had no time to wait, each with the time when it was sent. If
    /// `is_urgent`, no message may be left for later.
    fn messages(&mut self, is_urgent: bool) -> Result<Vec<(Message, Timestamp)>, DriveError>;

    /// Returns the status of another run, as a list shows it.
    fn status_of(&mut self, run: &RunId) -> Result<String, DriveError>;

    /// Returns the locks for which another run waits, as far as this substrate knows.
    fn waits_of(&mut self, run: &RunId) -> Result<Vec<Waiting>, DriveError>;
}

/// What a driver waits for, besides attempts and messages.
#[derive(Clone, Copy, Debug)]
pub struct Wait {
    pub wake_at: Option<Timestamp>,
    pub wants_locks: bool,
}

/// An event that a driver waited for. If there are none, something is due, or a lock may be free.
pub enum Happened {
    Finished(Finished),
    /// A message, with the time when it was sent.
    Message(Message, Timestamp),
    /// The driver of the run asks it to stop.
    Cancelled,
}

/// Records what one attempt of a step does.
///
/// A substrate that restarts a dead attempt runs its script again from the top and returns the entries that it made; other
/// substrates pass the entries to the next attempt as its records.
pub trait Ledger: Send + Sync {
    /// Makes an entry. After this has returned, the result of `making` survives a crash if the entry, or any later entry, is urgent
    /// ([`Made::is_urgent`]); a later life of this attempt gets the same result without making the entry again.
    fn enter(&self, name: &str, making: Making) -> Result<Entry, Stop>;

    /// Waits this long, counted across lives.
    fn wait(&self, duration: Duration) -> Result<(), Stop>;

    /// Says whether a call must be announced by its own entry before it is made: a call that can't safely be repeated, or that an
    /// undo must know of.
    fn announces(&self, call: &Call) -> bool;

    /// Returns the current time; a later life of the attempt gets the same one.
    fn now(&self) -> Timestamp;

    /// Returns the clock of this machine, for decisions inside an entry.
    fn clock(&self) -> fn() -> Timestamp;

    /// Returns what ends a call that is in progress.
    fn stops(&self) -> Stops;

    /// Makes the entries so far durable, because their results are about to be shown.
    fn settle(&self) -> Result<(), Stop>;

    /// Runs work that waits for a network or a disk and is not recorded, such as reading a secret.
    fn waits<'a>(&self, wait: Box<dyn FnOnce() + 'a>) {
        wait();
    }

    /// Keeps a message for people; it may be lost when the process dies.
    fn note(&self, event: Event) -> (Event, Timestamp);
}

/// Does the work that an entry records.
pub type Making = Pin<Box<dyn Future<Output = Made> + Send>>;

/// The result of an entry.
#[derive(Debug, Default)]
pub struct Made {
    pub events: Vec<Event>,
    /// The reason why the script must end here.
    pub stop: Option<Stop>,
    /// Whether it must be durable at once: it announces something that is sent next, or its content can't be found out a second
    /// time. Other entries may be lost with all that follow them, and are made again.
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

    /// Returns the result as it may be recorded, without secrets of the run in the other side's messages about this call.
    pub fn redacted(self, function: &str, redactor: &Redactor) -> Self {
        // A value that a call returns as a secret may also occur in its texts.
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
    /// An earlier life of the attempt made this entry: the call after it may have been made.
    pub is_old: bool,
}
