//! An attempt's ledger on Restate: each entry is one action.
//!
//! The script runs on its own thread and sends requests over a channel; only the handler may call Restate, and it
//! serves one request after another.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc as blocking,
    },
    time::{Duration, Instant},
};

use tokio::sync::mpsc;

use super::wire::EntryParcel;
use windlass_engine::execute::{Entry, Finished, Ledger, Making, Stops};
use windlass_ground::{Timestamp, lock};
use windlass_journal::{Event, Vault};
use windlass_script::{Call, Class, Stop};

/// A request of a script's thread to the handler.
pub(super) enum Ask {
    Enter {
        name: String,
        making: Making,
        /// The answer; `None` if the attempt was cancelled.
        answer: blocking::Sender<Option<EntryParcel>>,
    },
    Wait {
        duration: Duration,
        answer: blocking::Sender<bool>,
    },
    Finished(Finished),
}

/// The script's end of the channel.
pub(super) struct Actions {
    asks: mpsc::UnboundedSender<Ask>,
    vault: std::sync::Arc<Vault>,
    /// The number of this life of the attempt.
    life: u64,
    timeout: Option<Duration>,
    clock: fn() -> Timestamp,
    /// The time, as far as the entries show it.
    moment: Mutex<Moment>,
    /// A cancelled attempt makes no more entries.
    is_cancelled: AtomicBool,
}

#[derive(Clone, Copy)]
struct Moment {
    now: Timestamp,
    /// The time of the first entry, when the step's timeout begins, in every life.
    began: Option<Timestamp>,
    /// How long it has waited before the first entry: an attempt that continues with a recorded wait makes none.
    waited: Duration,
}

impl Moment {
    /// Returns how much of a timeout has passed at a time.
    fn passed(&self, at: Timestamp) -> Duration {
        let since = self.began.map_or(Duration::ZERO, |began| at.since(began));
        since + self.waited
    }
}

impl Actions {
    pub fn new(
        asks: mpsc::UnboundedSender<Ask>,
        vault: std::sync::Arc<Vault>,
        life: u64,
        (sent_at, timeout): (Timestamp, Option<Duration>),
        clock: fn() -> Timestamp,
    ) -> Self {
        Self {
            asks,
            vault,
            life,
            timeout,
            clock,
            moment: Mutex::new(Moment {
                now: sent_at,
                began: None,
                waited: Duration::ZERO,
            }),
            is_cancelled: AtomicBool::new(false),
        }
    }

    fn moment(&self) -> std::sync::MutexGuard<'_, Moment> {
        lock(&self.moment)
    }

    /// Sends a request, and waits for the answer. If the handler is gone, a newer life has replaced it, and this script as well.
    fn ask<T>(&self, ask: impl FnOnce(blocking::Sender<T>) -> Ask) -> Result<T, Stop> {
        if self.is_cancelled.load(Ordering::Relaxed) {
            return Err(Stop::Cancelled);
        }
        let (sender, receiver) = blocking::channel();
        self.asks.send(ask(sender)).map_err(|_| Stop::Cancelled)?;
        receiver.recv().map_err(|_| Stop::Cancelled)
    }

    fn cancelled(&self) -> Stop {
        self.is_cancelled.store(true, Ordering::Relaxed);
        Stop::Cancelled
    }
}

impl Ledger for Actions {
    fn enter(&self, name: &str, making: Making) -> Result<Entry, Stop> {
        let parcel = self.ask(|answer| Ask::Enter {
            name: name.into(),
            making,
            answer,
        })?;
        let parcel = parcel.ok_or_else(|| self.cancelled())?;
        {
            let mut moment = self.moment();
            moment.now = moment.now.max(parcel.at);
            moment.began.get_or_insert(parcel.at);
        }
        let events = parcel.events.into_iter();
        let events = events
            .map(|event| Ok((self.vault.open_event(event)?, parcel.at)))
            .collect::<Result<_, windlass_journal::JournalError>>()
            .map_err(|e| Stop::Journal(e.to_string()))?;
        Ok(Entry {
            events,
            stop: parcel.stop,
            is_old: parcel.life != self.life,
        })
    }

    fn wait(&self, duration: Duration) -> Result<(), Stop> {
        let passed = {
            let moment = self.moment();
            moment.passed(moment.now)
        };
        let (duration, passes) = match self.timeout {
            Some(timeout) if timeout.saturating_sub(passed) < duration => {
                (timeout.saturating_sub(passed), Some(timeout))
            }
            _ => (duration, None),
        };
        if !self.ask(|answer| Ask::Wait { duration, answer })? {
            return Err(self.cancelled());
        }
        {
            let mut moment = self.moment();
            moment.now += duration;
            if moment.began.is_none() {
                moment.waited += duration;
            }
        }
        match passes {
            Some(timeout) => Err(Stop::TimedOut(timeout)),
            None => Ok(()),
        }
    }

    fn announces(&self, call: &Call) -> bool {
        // Restate repeats an action of a dead worker. If that is safe, the call needs no separate announcement.
        match call.class {
            Class::Read => false,
            Class::Keyed => call.before.is_some() || call.again.is_some(),
            Class::Found | Class::Unsure => true,
        }
    }

    fn now(&self) -> Timestamp {
        self.moment().now
    }

    fn clock(&self) -> fn() -> Timestamp {
        self.clock
    }

    fn stops(&self) -> Stops {
        let moment = *self.moment();
        Stops {
            deadline: self.timeout.map(|timeout| {
                let passed = moment.passed((self.clock)());
                let left = timeout.saturating_sub(passed);
                (Instant::now() + left, timeout)
            }),
            ..Stops::default()
        }
    }

    fn settle(&self) -> Result<(), Stop> {
        // Each entry is an action, which is durable.
        Ok(())
    }

    fn note(&self, event: Event) -> (Event, Timestamp) {
        (event, self.now())
    }
}
