//! A run's events as somebody without its secrets can verify them.

use rusqlite::params;
use serde::{Deserialize, Serialize};

use super::{
    chain::{link, link_redacted, redact},
    error::JournalError,
    event::Event,
    id::RunId,
    state::State,
    store::{Journal, Record},
};
use crate::value::{Digest, Value};

/// One event of a run as it counts in the chain: each secret is the digest of its ciphertext.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    pub seq: u64,
    /// Milliseconds since 1970.
    pub at: i64,
    /// JSON, byte for byte as it was digested.
    pub body: String,
    pub digest: Digest,
}

impl Link {
    /// Chains an event to the one with the digest `previous`.
    pub fn after(previous: Digest, seq: u64, at: i64, body: String) -> Self {
        Self {
            digest: link(previous, seq, at, &body),
            seq,
            at,
            body,
        }
    }

    /// The same without its secrets.
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
    /// What the database says.
    pub fn evidence(&self, run: &RunId) -> Result<Vec<Link>, JournalError> {
        let database = self.inner.database();
        let mut statement = database.prepare_cached(
            "SELECT seq, at, body, digest FROM events WHERE run = ? ORDER BY seq",
        )?;
        let rows = statement.query_map(params![run.as_str()], |row| {
            Ok(Link {
                seq: row.get(0)?,
                at: row.get(1)?,
                body: redact(&row.get::<_, String>(2)?).into_owned(),
                digest: Digest::from_bytes(row.get(3)?),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

/// Checks the chain of stored events from number `first` on, given the digest of the one before, and
/// opens each with `open`, which is given its text as well.
///
/// # Errors
/// The first event that is not what was written, or can't be read.
pub fn open_links(
    run: &RunId,
    first: u64,
    before: Digest,
    links: impl IntoIterator<Item = Link>,
    mut open: impl FnMut(&str, Event<serde_json::Value>) -> Result<Event, JournalError>,
) -> Result<Vec<Record>, JournalError> {
    let mut previous = before;
    let mut records = Vec::new();
    for (expected, stored) in (first..).zip(links) {
        let digest = link(previous, expected, stored.at, &stored.body);
        if stored.seq != expected || digest != stored.digest {
            return Err(JournalError::BrokenChain {
                run: run.clone(),
                seq: expected,
            });
        }
        let sealed = serde_json::from_str(&stored.body).map_err(|e| JournalError::Unreadable {
            run: run.clone(),
            seq: expected,
            why: e.to_string(),
        })?;
        records.push(Record {
            seq: expected,
            at: stored.at,
            event: open(&stored.body, sealed)?,
            digest,
        });
        previous = digest;
    }
    Ok(records)
}

/// Verifies a chain from its first event to its last, and that each event can follow the ones
/// before it. Returns the run as it then stands, and the events.
///
/// # Errors
/// The first event that is not what was written, can't be read, or can't follow.
pub fn verify(run: &RunId, links: &[Link]) -> Result<(State, Vec<Record>), JournalError> {
    let mut previous = Digest::ZERO;
    let mut state = State::default();
    let mut records = Vec::with_capacity(links.len());
    for (seq, link) in (0..).zip(links) {
        let digest = link_redacted(previous, seq, link.at, &link.body);
        if link.seq != seq || link.digest != digest {
            let run = run.clone();
            return Err(JournalError::BrokenChain { run, seq });
        }
        let unreadable = |why: String| JournalError::Unreadable {
            run: run.clone(),
            seq,
            why,
        };
        let event: Event<serde_json::Value> =
            serde_json::from_str(&link.body).map_err(|e| unreadable(e.to_string()))?;
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
    Ok((state, records))
}
