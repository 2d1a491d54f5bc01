//! Opens stored events while more of them are read; for a long run, on several threads.

use std::{
    collections::VecDeque,
    thread::{self, Scope, ScopedJoinHandle},
};

use super::{
    error::JournalError,
    event::Event,
    evidence::{Link, open_links},
    id::RunId,
    store::Record,
};
use windlass_world::value::Digest;

/// How many events a thread opens at once: enough to pay for starting a thread (some 20 µs), and few enough to save memory.
const EVENTS: usize = 1024;
const BYTES: usize = 1 << 20;

/// Checks, parses and opens events in batches, and passes on their records in order.
///
/// The first event of a batch is linked to the digest that is stored with the event before it; that digest itself is checked with the batch
/// that contains it.
pub(super) struct Opening<'scope, 'env, O> {
    scope: &'scope Scope<'scope, 'env>,
    run: &'env RunId,
    open: &'env O,
    /// The number of the first waiting event, and the digest of the event before it.
    first: u64,
    before: Digest,
    waiting: Vec<Link>,
    bytes: usize,
    /// The threads that are running, oldest first.
    at_work: VecDeque<ScopedJoinHandle<'scope, Result<Vec<Record>, JournalError>>>,
    threads: usize,
}

impl<'scope, 'env, O> Opening<'scope, 'env, O>
where
    O: Fn(&str, Event<serde_json::Value>) -> Result<Event, JournalError> + Sync,
{
    /// Begins with the event number `first`, given the digest of the event before it, as in [`open_links`].
    pub fn new(
        scope: &'scope Scope<'scope, 'env>,
        run: &'env RunId,
        first: u64,
        before: Digest,
        open: &'env O,
    ) -> Self {
        Self {
            scope,
            run,
            open,
            first,
            before,
            waiting: Vec::new(),
            bytes: 0,
            at_work: VecDeque::new(),
            threads: thread::available_parallelism().map_or(1, usize::from),
        }
    }

    /// Takes the next event, and passes opened events to `each` if enough threads are running.
    ///
    /// # Errors
    /// The same as of [`open_links`], or an error of `each`.
    pub fn take(
        &mut self,
        link: Link,
        each: &mut impl FnMut(Record) -> Result<(), JournalError>,
    ) -> Result<(), JournalError> {
        self.bytes += link.body.len();
        self.waiting.push(link);
        if self.waiting.len() < EVENTS && self.bytes < BYTES {
            return Ok(());
        }
        let (run, open, first, before) = (self.run, self.open, self.first, self.before);
        let links = self.batch();
        let work = move || open_links(run, first, before, links, open);
        self.at_work.push_back(self.scope.spawn(work));
        if self.at_work.len() > self.threads {
            self.give(each)?;
        }
        Ok(())
    }

    /// Passes all remaining events to `each`.
    ///
    /// # Errors
    /// The same as of [`Opening::take`].
    pub fn finish(
        mut self,
        each: &mut impl FnMut(Record) -> Result<(), JournalError>,
    ) -> Result<(), JournalError> {
        while !self.at_work.is_empty() {
            self.give(each)?;
        }
        let (first, before) = (self.first, self.before);
        open_links(self.run, first, before, self.batch(), self.open)?
            .into_iter()
            .try_for_each(each)
    }

    /// Takes the waiting events as a batch; the next batch is linked to its end.
    fn batch(&mut self) -> Vec<Link> {
        let links = std::mem::take(&mut self.waiting);
        self.bytes = 0;
        if let Some(last) = links.last() {
            self.first += links.len() as u64;
            self.before = last.digest;
        }
        links
    }

    /// Passes the oldest running batch to `each` when it is ready.
    fn give(
        &mut self,
        each: &mut impl FnMut(Record) -> Result<(), JournalError>,
    ) -> Result<(), JournalError> {
        let Some(oldest) = self.at_work.pop_front() else {
            return Ok(());
        };
        let records = oldest
            .join()
            .unwrap_or_else(|e| std::panic::resume_unwind(e))?;
        records.into_iter().try_for_each(each)
    }
}
