//! Requests of servers to Restate, besides those of the command line.

use std::collections::BTreeMap;

use super::{
    error::RemoteError,
    index::ALL,
    keyed::{KeyedOrder, KeyedStart},
    remote::Remote,
    servers::{DeliveryClaim, DeliveryEnd, DeliveryTurn, TriggerChange, TriggerMark},
    wire::Done,
};
use windlass_ground::Timestamp;
use windlass_journal::{Record, RunId};
use windlass_world::value::Digest;

/// The position up to which the events of a run have been read.
#[derive(Clone, Copy, Debug)]
pub struct ReadPosition {
    /// The next page of the run's state.
    pub(super) page: u64,
    /// The number of the next event.
    pub(super) next: u64,
    /// The digest of the event before.
    pub(super) digest: Digest,
}

impl Default for ReadPosition {
    fn default() -> Self {
        Self {
            page: 0,
            next: 0,
            digest: Digest::ZERO,
        }
    }
}

impl ReadPosition {
    /// Returns the number of the next event.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Returns the digest of the event before; [`Digest::ZERO`] before the first one.
    pub fn digest(&self) -> Digest {
        self.digest
    }
}

/// Events of a run that the engine gives at once.
pub struct ReadPiece {
    pub records: Vec<Record>,
    /// How long they are, as they are stored.
    pub bytes: usize,
    /// Whether no more follow.
    pub is_last: bool,
}

/// What became of an order that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TakenUp {
    /// Its invocation drives the run, or has done so.
    Yes,
    /// Another order came first, so this one does nothing.
    TooLate,
    /// No worker has begun it.
    NotYet,
}

impl Remote {
    /// Starts a run unless the key has one; returns the start that belongs to the key.
    ///
    /// # Errors
    /// An error of Restate.
    pub fn begin_once(&self, key: Digest, order: &KeyedOrder) -> Result<KeyedStart, RemoteError> {
        self.ask(&format!("WindlassStart/{key}/begin"), order)
    }

    /// Returns the start that belongs to a key, if the key has been used.
    ///
    /// # Errors
    /// An error of Restate.
    pub fn start_of(&self, key: Digest) -> Result<Option<KeyedStart>, RemoteError> {
        self.ask(&format!("WindlassStart/{key}/known"), &())
    }

    /// Returns the progress of an order that [`Remote::send`] sent to a run.
    ///
    /// # Errors
    /// An error of Restate.
    pub fn taken_up(&self, run: &RunId, invocation: &str) -> Result<TakenUp, RemoteError> {
        let driver = self.driving(run)?.driver;
        if driver.as_deref() == Some(invocation) {
            return Ok(TakenUp::Yes);
        }
        if !self.is_alive(invocation)? {
            return Ok(match self.done(invocation)? {
                Some(Done::Void) => TakenUp::TooLate,
                Some(Done::Done) | None => TakenUp::Yes,
            });
        }
        match driver {
            // It waits behind an order that changes the run, and will be void then.
            Some(other) if self.is_alive(&other)? => Ok(TakenUp::TooLate),
            _ => Ok(TakenUp::NotYet),
        }
    }

    /// Returns the result of an invocation that is over, if Restate still has it.
    fn done(&self, invocation: &str) -> Result<Option<Done>, RemoteError> {
        let url = format!(
            "{}/restate/invocation/{invocation}/output",
            self.address.url
        );
        match self.answer::<Done>(self.client.get(&url), &url) {
            Ok(done) => Ok(Some(done)),
            Err(RemoteError::Refused { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads the events of a run after a position, and moves the position.
    ///
    /// # Errors
    /// An error of Restate, or a broken chain.
    pub fn read_on(
        &self,
        run: &RunId,
        from: &mut ReadPosition,
    ) -> Result<Vec<Record>, RemoteError> {
        let mut records = Vec::new();
        loop {
            let piece = self.read_piece(run, from)?;
            records.extend(piece.records);
            if piece.is_last {
                return Ok(records);
            }
        }
    }

    /// Reads events of a run behind a position, 8 MiB or so at most, and moves it.
    ///
    /// # Errors
    /// As [`Remote::read_on`].
    pub fn read_piece(
        &self,
        run: &RunId,
        from: &mut ReadPosition,
    ) -> Result<ReadPiece, RemoteError> {
        let pages = self.some_pages(run, from.page)?;
        let bytes = pages.links.iter().map(|link| link.body.len()).sum();
        let records = self.open(run, from.next, from.digest, pages.links)?;
        from.page = pages.next;
        if let Some(last) = records.last() {
            (from.next, from.digest) = (last.seq + 1, last.digest);
        }
        Ok(ReadPiece {
            records,
            bytes,
            is_last: pages.is_last,
        })
    }

    /// Returns the time since which servers send notifications.
    ///
    /// # Errors
    /// An error of Restate.
    pub fn notifies_since(&self, now: Timestamp) -> Result<Timestamp, RemoteError> {
        self.ask(&format!("WindlassServers/{ALL}/since"), &now)
    }

    /// Returns how far each trigger has been checked, by its name.
    ///
    /// # Errors
    /// An error of Restate.
    pub fn triggers(&self) -> Result<BTreeMap<String, TriggerMark>, RemoteError> {
        self.ask(&format!("WindlassServers/{ALL}/triggers"), &())
    }

    /// Updates the record of a trigger.
    ///
    /// # Errors
    /// An error of Restate.
    pub fn mark_trigger(&self, name: &str, change: &TriggerChange) -> Result<(), RemoteError> {
        self.ask(&format!("WindlassServers/{ALL}/mark"), &(name, change))
    }

    /// Asks whether this server may send a notification.
    ///
    /// # Errors
    /// An error of Restate.
    pub fn claim_delivery(
        &self,
        delivery: Digest,
        claim: &DeliveryClaim,
    ) -> Result<DeliveryTurn, RemoteError> {
        self.ask(&format!("WindlassDelivery/{delivery}/claim"), claim)
    }

    /// Records the result of an attempt to send a notification.
    ///
    /// # Errors
    /// An error of Restate.
    pub fn end_delivery(&self, delivery: Digest, end: &DeliveryEnd) -> Result<(), RemoteError> {
        self.ask(&format!("WindlassDelivery/{delivery}/end"), end)
    }
}
