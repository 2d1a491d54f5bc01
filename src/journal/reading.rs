//! Opens stored events while more of them are read; for a long run, on several threads.

use std::{
    collections::VecDeque,
    thread::{self, Scope, ScopedJoinHandle},
};

use super::{
    error::JournalError,
    event::Event,
    evidence::{Chain, Link},
    id::RunId,
    store::Record,
};
use windlass_ground::Timestamp;
use windlass_world::value::Digest;

/// How many events a thread opens at once: enough to pay for starting a thread (some 20 µs), and few enough to save memory.
const EVENTS: usize = 1024;
const BYTES: usize = 1 << 20;
/// The largest text whose memory is used again, in bytes: few events are larger.
const LARGE: usize = 4 << 10;

/// An event as it is stored, which the database lends.
pub(super) struct Stored<'a> {
    pub seq: u64,
    pub at: Timestamp,
    pub body: &'a str,
    pub digest: Digest,
}

impl Stored<'_> {
    pub fn to_link(&self) -> Link {
        self.with(self.body.to_owned())
    }

    fn with(&self, body: String) -> Link {
        Link {
            seq: self.seq,
            at: self.at,
            body,
            digest: self.digest,
        }
    }
}

/// Checks, parses and opens events in batches, and passes on their records in order.
///
/// Threads that free what others allocated wait for one another. So the links of a batch are used again by the thread that filled them,
/// and the records that were passed on are dropped by the next thread.
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
    /// Links that have been opened.
    used: Vec<Link>,
    /// Records that have been passed on and are needed no more.
    spent: Vec<Record>,
    /// The threads that are running, oldest first.
    at_work: VecDeque<ScopedJoinHandle<'scope, Result<Batch, JournalError>>>,
    threads: usize,
}

/// Events that a thread has opened.
struct Batch {
    records: Vec<Record>,
    links: Vec<Link>,
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
            used: Vec::new(),
            spent: Vec::new(),
            at_work: VecDeque::new(),
            threads: thread::available_parallelism().map_or(1, usize::from),
        }
    }

    /// Takes the next event, and passes opened events to `each` if enough threads are running. `each` returns those that it does not keep.
    ///
    /// # Errors
    /// An event that was changed or can't be read, or an error of `each`.
    pub fn take(
        &mut self,
        stored: &Stored,
        each: &mut impl FnMut(Vec<Record>) -> Result<Vec<Record>, JournalError>,
    ) -> Result<(), JournalError> {
        self.bytes += stored.body.len();
        let used = self.used.pop().map(|used| used.body);
        let used = used.filter(|body| body.capacity() <= LARGE);
        let mut body = used.unwrap_or_default();
        body.clear();
        body.push_str(stored.body);
        self.waiting.push(stored.with(body));
        if self.waiting.len() < EVENTS && self.bytes < BYTES {
            return Ok(());
        }
        let (run, open, first, before) = (self.run, self.open, self.first, self.before);
        let links = self.batch();
        let spent = std::mem::take(&mut self.spent);
        let work = move || {
            drop(spent);
            open_batch(run, first, before, links, open)
        };
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
        each: &mut impl FnMut(Vec<Record>) -> Result<Vec<Record>, JournalError>,
    ) -> Result<(), JournalError> {
        while !self.at_work.is_empty() {
            self.give(each)?;
        }
        let (first, before) = (self.first, self.before);
        let last = open_batch(self.run, first, before, self.batch(), self.open)?;
        each(last.records).map(|_| ())
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
        each: &mut impl FnMut(Vec<Record>) -> Result<Vec<Record>, JournalError>,
    ) -> Result<(), JournalError> {
        let Some(oldest) = self.at_work.pop_front() else {
            return Ok(());
        };
        let Batch { records, links } = oldest
            .join()
            .unwrap_or_else(|e| std::panic::resume_unwind(e))?;
        self.spent.extend(each(records)?);
        self.used.extend(links);
        Ok(())
    }
}

fn open_batch(
    run: &RunId,
    first: u64,
    before: Digest,
    links: Vec<Link>,
    open: &impl Fn(&str, Event<serde_json::Value>) -> Result<Event, JournalError>,
) -> Result<Batch, JournalError> {
    let mut chain = Chain::new(run, first, before);
    let records = links
        .iter()
        .map(|link| chain.open(link, &mut |body, sealed| open(body, sealed)));
    Ok(Batch {
        records: records.collect::<Result<_, _>>()?,
        links,
    })
}
