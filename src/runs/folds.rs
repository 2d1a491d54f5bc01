use std::sync::Arc;

use super::{error::RunsError, recent::Recent};
use windlass_engine::execute::DriveError;
use windlass_ground::lock;
use windlass_journal::{Journal, Record, RunId, State};
use windlass_world::value::Digest;

/// How many states are kept: those of runs that people look at, and of runs that wait for people.
const KEPT: usize = 256;

/// The position of a reader in a run's events.
#[derive(Clone, Copy, Debug)]
pub struct Cursor {
    /// The number of the next event.
    pub next: u64,
    digest: Digest,
}

impl Default for Cursor {
    fn default() -> Self {
        Self {
            next: 0,
            digest: Digest::ZERO,
        }
    }
}

impl Cursor {
    /// Returns the position before event `next`, given the digest of the event before it.
    pub fn at(next: u64, digest: Digest) -> Self {
        Self { next, digest }
    }

    /// Returns the position after an event that was read elsewhere.
    pub(super) fn behind(record: &Record) -> Self {
        Self {
            next: record.seq + 1,
            digest: record.digest,
        }
    }

    /// Returns the number of the next event, and the digest of the one before it.
    pub fn parts(&self) -> (u64, Digest) {
        (self.next, self.digest)
    }

    /// Reads the events after the cursor, and moves it. Checks the chain.
    pub fn advance(
        &mut self,
        journal: &Journal,
        run: &RunId,
        mut each: impl FnMut(Record),
    ) -> Result<(), RunsError> {
        let mut at = *self;
        journal.walk(run, at.next, at.digest, |record| {
            at = Self {
                next: record.seq + 1,
                digest: record.digest,
            };
            each(record);
            Ok(())
        })?;
        *self = at;
        Ok(())
    }
}

impl Cursor {
    /// Like [`Cursor::advance`], for at most `most` events; returns whether more follow.
    pub fn advance_some(
        &mut self,
        journal: &Journal,
        run: &RunId,
        most: usize,
        each: &mut dyn FnMut(Record),
    ) -> Result<bool, RunsError> {
        let mut at = *self;
        let has_more = journal.walk_some(run, at.next, at.digest, most, |record| {
            at = Self::behind(&record);
            each(record);
        })?;
        *self = at;
        Ok(has_more)
    }
}

/// Caches the states of recently used runs, so that only new events are read.
pub struct Folds {
    kept: Recent<Fold>,
}

impl Default for Folds {
    fn default() -> Self {
        Self {
            kept: Recent::new(KEPT),
        }
    }
}

#[derive(Default)]
struct Fold {
    cursor: Cursor,
    state: Arc<State>,
}

impl Folds {
    /// Returns the current state of a run, according to its journal.
    ///
    /// # Errors
    /// An error of the journal; a run that does not exist.
    pub fn state_of(&self, journal: &Journal, run: &RunId) -> Result<Arc<State>, RunsError> {
        let fold = self.kept.get(run, |_| ());
        let mut fold = lock(&fold);
        let Fold { cursor, state } = &mut *fold;
        let mut illegal = None;
        let before = *cursor;
        let read = cursor.advance(journal, run, |record| {
            let applied = Arc::make_mut(state).apply(&record.event, record.at);
            illegal = applied.err().or(illegal.take());
        });
        if read.is_err() || illegal.is_some() {
            // The events that were applied can't be removed from the state.
            *fold = Fold::default();
            self.kept.forget(run);
            read?;
            return match illegal {
                Some(error) => Err(DriveError::from(error).into()),
                None => Err(RunsError::no_run(run)),
            };
        }
        if before.next == 0 && cursor.next == 0 {
            self.kept.forget(run);
            return Err(RunsError::no_run(run));
        }
        Ok(state.clone())
    }
}
