//! A run's events in a form that can be verified without its secrets.

use serde::{Deserialize, Serialize};

use super::{
    chain::{format_of, link, link_redacted, redact, start},
    error::JournalError,
    event::Event,
    id::RunId,
    state::State,
    store::{Journal, Record},
};
use windlass_ground::Timestamp;
use windlass_world::value::{Digest, Value};

/// One event of a run, as it is digested: each secret is replaced by the digest of its ciphertext.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    pub seq: u64,
    pub at: Timestamp,
    /// JSON, byte for byte as it was digested.
    pub body: String,
    pub digest: Digest,
}

impl Link {
    /// Links an event to the one with the digest `previous`.
    pub fn after(previous: Digest, seq: u64, at: Timestamp, body: String) -> Self {
        Self {
            digest: link(previous, seq, at, &body),
            seq,
            at,
            body,
        }
    }

    /// Returns the event without its secrets.
    pub fn redacted(self) -> Self {
        Self {
            body: redact(&self.body).into_owned(),
            ..self
        }
    }
}

impl Journal {
    /// Reads a run's events without its secrets. Nothing is verified yet.
    ///
    /// # Errors
    /// Events that are missing at the end, or an error of the database.
    pub fn evidence(&self, run: &RunId) -> Result<Vec<Link>, JournalError> {
        let mut links = Vec::new();
        self.links(run, 0, |stored| {
            links.push(stored.to_link().redacted());
            Ok(())
        })?;
        Ok(links)
    }
}

/// Checks the chain of stored events from number `first` on, given the digest of the event before (which is ignored
/// if `first` is 0), and opens each with `open`, which also gets its text.
///
/// # Errors
/// The first event that was changed, or that can't be read.
pub fn open_links(
    run: &RunId,
    first: u64,
    before: Digest,
    links: impl IntoIterator<Item = Link>,
    mut open: impl FnMut(&str, Event<serde_json::Value>) -> Result<Event, JournalError>,
) -> Result<Vec<Record>, JournalError> {
    let mut chain = Chain::new(run, first, before);
    let links = links.into_iter();
    links.map(|link| chain.open(&link, &mut open)).collect()
}

/// Checks a chain event by event, so that a long run need not be in memory as a whole.
pub(super) struct Chain<'a> {
    run: &'a RunId,
    expected: u64,
    previous: Digest,
}

impl<'a> Chain<'a> {
    /// Begins a chain, as in [`open_links`].
    pub fn new(run: &'a RunId, first: u64, before: Digest) -> Self {
        Self {
            run,
            expected: first,
            previous: before,
        }
    }

    /// Checks and opens the next event.
    pub fn open(
        &mut self,
        stored: &Link,
        open: &mut impl FnMut(&str, Event<serde_json::Value>) -> Result<Event, JournalError>,
    ) -> Result<Record, JournalError> {
        let expected = self.expected;
        if expected == 0 {
            let format = format_of(self.run, stored.digest, |start| {
                link(start, 0, stored.at, &stored.body)
            });
            self.previous = start(format, self.run);
        }
        let digest = link(self.previous, expected, stored.at, &stored.body);
        if stored.seq != expected || digest != stored.digest {
            return Err(JournalError::BrokenChain {
                run: self.run.clone(),
                seq: expected,
            });
        }
        let sealed = Event::from_stored(&stored.body).map_err(|e| JournalError::Unreadable {
            run: self.run.clone(),
            seq: expected,
            why: e.to_string(),
        })?;
        (self.expected, self.previous) = (expected + 1, digest);
        Ok(Record {
            seq: expected,
            at: stored.at,
            event: open(&stored.body, sealed)?,
            digest,
        })
    }
}

/// A run whose chain holds from its first event to its last.
pub struct Verified {
    /// The state after the last event.
    pub state: State,
    pub records: Vec<Record>,
    /// The format of its chain.
    pub chain: u32,
}

/// Verifies a chain from its first event to its last, and that each event can follow the ones before it.
///
/// # Errors
/// There are no events, or an event was changed, can't be read, or can't follow.
pub fn verify(run: &RunId, links: &[Link]) -> Result<Verified, JournalError> {
    let broken = |seq| JournalError::BrokenChain {
        run: run.clone(),
        seq,
    };
    let first = links.first().ok_or_else(|| broken(0))?;
    let chain = format_of(run, first.digest, |start| {
        link_redacted(start, 0, first.at, &first.body)
    });
    let mut previous = start(chain, run);
    let mut state = State::default();
    let mut records = Vec::with_capacity(links.len());
    for (seq, link) in (0..).zip(links) {
        let digest = link_redacted(previous, seq, link.at, &link.body);
        if link.seq != seq || link.digest != digest {
            return Err(broken(seq));
        }
        let unreadable = |why: String| JournalError::Unreadable {
            run: run.clone(),
            seq,
            why,
        };
        let event = Event::from_stored(&link.body).map_err(|e| unreadable(e.to_string()))?;
        let event = event.try_map(|json| Ok::<_, JournalError>(Value::from_json(json)))?;
        state
            .apply(&event, link.at)
            .map_err(|source| JournalError::Illegal {
                run: run.clone(),
                seq,
                source,
            })?;
        records.push(Record {
            seq,
            at: link.at,
            event,
            digest,
        });
        previous = digest;
    }
    Ok(Verified {
        state,
        records,
        chain,
    })
}
