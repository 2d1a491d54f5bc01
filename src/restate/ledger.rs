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
    /// When this life began.
    since: Timestamp,
    /// The time, as far as the entries show it.
    moment: Mutex<Moment>,
    /// A cancelled attempt makes no more entries.
    is_cancelled: AtomicBool,
}

#[derive(Clone, Copy)]
struct Moment {
    now: Timestamp,
    /// How much of the step's timeout has passed, which begins with the first entry or wait. What passes from one life to the next does not
    /// count: no worker drove the attempt, or the machine was down.
    passed: Duration,
    /// The life that made the last entry.
    life: Option<u64>,
}

impl Moment {
    fn enter(&mut self, at: Timestamp, life: u64) {
        if self.life == Some(life) {
            self.passed += at.since(self.now);
        }
        self.now = self.now.max(at);
        self.life = Some(life);
    }

    fn wait(&mut self, duration: Duration) {
        self.now += duration;
        self.passed += duration;
    }

    /// Returns how much of a timeout has passed at a time of the life that began at `since`.
    fn passed_at(&self, at: Timestamp, since: Timestamp) -> Duration {
        let since = self.life.map(|_| self.now.max(since));
        self.passed + since.map_or(Duration::ZERO, |since| at.since(since))
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
            since: clock(),
            moment: Mutex::new(Moment {
                now: sent_at,
                passed: Duration::ZERO,
                life: None,
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
        self.moment().enter(parcel.at, parcel.life);
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
        let passed = self.moment().passed;
        let (duration, passes) = match self.timeout {
            Some(timeout) if timeout.saturating_sub(passed) < duration => {
                (timeout.saturating_sub(passed), Some(timeout))
            }
            _ => (duration, None),
        };
        if !self.ask(|answer| Ask::Wait { duration, answer })? {
            return Err(self.cancelled());
        }
        self.moment().wait(duration);
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
                let passed = moment.passed_at((self.clock)(), self.since);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_takes_nothing_of_a_timeout() {
        let at = |seconds| Timestamp::from_secs(seconds);
        let mut moment = Moment {
            now: at(100),
            passed: Duration::ZERO,
            life: None,
        };
        assert_eq!(moment.passed_at(at(105), at(100)), Duration::ZERO);
        // The first entry begins it.
        moment.enter(at(105), 1);
        moment.enter(at(107), 1);
        moment.wait(Duration::from_secs(4));
        assert_eq!(moment.passed, Duration::from_secs(6));
        assert_eq!(moment.passed_at(at(112), at(100)), Duration::from_secs(7));
        // The worker dies, and another one takes over an hour later.
        assert_eq!(
            moment.passed_at(at(3_703), at(3_700)),
            Duration::from_secs(9)
        );
        moment.enter(at(3_703), 2);
        moment.enter(at(3_704), 2);
        assert_eq!(moment.passed, Duration::from_secs(7));
    }
}
