//! A cache of runs that were read recently, so that only new events are read. It keeps the fold of each run and the
//! places of its events in pieces; [`Pieces`] keeps the events themselves, as far as there is room.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use super::pieces::Pieces;
use crate::{error::RunsError, folds::Cursor, recent::Recent};
use windlass_engine::execute::DriveError;
use windlass_ground::{Timestamp, lock};
use windlass_journal::{Event, LockTaken, Record, RunId, State};
use windlass_restate::{ReadPosition, Remote};
use windlass_world::value::Digest;

/// The number of runs that are kept: those that people view, and those that have not ended, which are read repeatedly.
const KEPT: usize = 1024;
/// How many runs are read at once.
const AT_ONCE: usize = 8;
/// How long the answer to whether a run is driven stays valid, unless the request is for that run alone.
const DRIVEN: Duration = Duration::from_secs(3);
/// A run in which nothing has happened for a while is read less often: after this share of that time, up to a limit.
const SHARE: u32 = 10;
const LONGEST: Duration = Duration::from_secs(5);

/// How many bytes of events are kept of all runs together, as they are stored.
const BYTES: usize = 16 << 20;
/// Consecutive events are combined up to this many bytes.
const PIECE: usize = 1 << 20;
/// How many events are copied at once for a reader of many.
const PAGE: usize = 1000;

pub(super) struct RunReads {
    remote: Arc<Remote>,
    kept: Recent<RunRead>,
    pieces: Pieces,
}

/// Whether the reader of a run must see its newest events.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Freshness {
    Now,
    /// As it was read last, as for [`RunReads::look_lately`].
    Lately,
}

/// A run, as far as it has been read.
#[derive(Default)]
pub(super) struct RunRead {
    /// The end of what was read.
    position: ReadPosition,
    /// Where each piece begins.
    marks: Vec<ReadPosition>,
    /// How long the last piece is.
    last: usize,
    pub state: Arc<State>,
    /// When it took each lock last.
    pub locked: BTreeMap<String, Timestamp>,
    /// Whether something drove it, and when that was asked.
    driven: Option<(bool, Instant)>,
    /// When it was last read; `None` if that is known to be outdated.
    read_at: Option<Instant>,
    /// When new events were last read.
    changed_at: Option<Instant>,
}

impl RunRead {
    /// Says whether the run is driven, as far as is known.
    pub fn is_driven(&self) -> bool {
        self.driven.is_none_or(|(is_driven, _)| is_driven)
    }

    /// Returns which piece an event is in, or would be in.
    fn piece_of(&self, seq: u64) -> usize {
        let after = self.marks.partition_point(|mark| mark.next() <= seq);
        after.saturating_sub(1)
    }

    /// Says whether it is time to read the run again.
    fn is_old(&self) -> bool {
        let quiet = self.changed_at.map_or(Duration::ZERO, |at| at.elapsed());
        let pause = (quiet / SHARE).min(LONGEST);
        self.read_at.is_none_or(|at| at.elapsed() >= pause)
    }
}

impl RunReads {
    pub fn new(remote: Arc<Remote>) -> Self {
        Self {
            remote,
            kept: Recent::new(KEPT),
            pieces: Pieces::new(BYTES),
        }
    }

    /// Passes the events of a run after a cursor to `each`, at most `most` of them, and moves the cursor; returns
    /// whether more follow.
    ///
    /// # Errors
    /// As [`RunReads::look`], and where the event before the cursor is another one than was read.
    pub fn tell(
        &self,
        id: &RunId,
        cursor: &mut Cursor,
        most: usize,
        freshness: Freshness,
        each: &mut dyn FnMut(Record),
    ) -> Result<bool, RunsError> {
        let entry = self.entry(id);
        let mut read = lock(&entry);
        if freshness == Freshness::Now || read.read_at.is_none() {
            self.read(id, &mut read)?;
        }
        let end = read.position.next();
        drop(read);
        let mut left = most;
        loop {
            let events = self.behind(id, &lock(&entry), cursor, left.min(PAGE))?;
            if events.is_empty() && cursor.parts().0 < end {
                return Err(RunsError::no_run(id));
            }
            left -= events.len();
            for record in events {
                *cursor = Cursor::behind(&record);
                each(record);
            }
            let next = cursor.parts().0;
            if next >= end || left == 0 {
                return Ok(next < end);
            }
        }
    }

    /// Returns a cursor before the event with a number; `None` where there is no event before it.
    ///
    /// # Errors
    /// As [`RunReads::look`].
    pub fn cursor(&self, id: &RunId, seq: u64) -> Result<Option<Cursor>, RunsError> {
        let entry = self.entry(id);
        let mut read = lock(&entry);
        self.read(id, &mut read)?;
        if seq == 0 || seq > read.position.next() {
            Ok(None)
        } else {
            Ok(Some(Cursor::at(seq, self.digest_before(id, &read, seq)?)))
        }
    }

    /// Returns the events after a cursor, at most `most` of them.
    fn behind(
        &self,
        id: &RunId,
        read: &RunRead,
        cursor: &Cursor,
        most: usize,
    ) -> Result<Vec<Record>, RunsError> {
        let (next, digest) = cursor.parts();
        let end = read.position.next();
        if next > end || (next > 0 && self.digest_before(id, read, next)? != digest) {
            let message = format!(
                "the events of run {id} before number {next} are not the ones that were read before"
            );
            return Err(RunsError::broken("journal", message));
        }
        let mut found = Vec::new();
        if next == end {
            return Ok(found);
        }
        let mut at = read.piece_of(next);
        while found.len() < most
            && let Some(mark) = read.marks.get(at)
        {
            let from = (next + found.len() as u64 - mark.next()) as usize;
            let piece = self.piece(id, read, at)?;
            let rest = piece.get(from..).unwrap_or_default();
            found.extend_from_slice(&rest[..rest.len().min(most - found.len())]);
            at += 1;
        }
        Ok(found)
    }

    /// Returns the digest of the event before number `next`, which is not the first one.
    fn digest_before(&self, id: &RunId, read: &RunRead, next: u64) -> Result<Digest, RunsError> {
        let is_mark = |mark: &&ReadPosition| mark.next() == next;
        let ends = read.marks.get(read.piece_of(next)).into_iter();
        if let Some(mark) = ends.chain([&read.position]).find(is_mark) {
            return Ok(mark.digest());
        }
        let at = read.piece_of(next - 1);
        let first = read.marks.get(at).map_or(0, ReadPosition::next);
        let piece = self.piece(id, read, at)?;
        let before = piece.get((next - 1 - first) as usize);
        before
            .map(|record| record.digest)
            .ok_or_else(|| RunsError::no_run(id))
    }

    /// Returns a piece of a run's events, from memory or else from the engine.
    fn piece(&self, id: &RunId, read: &RunRead, at: usize) -> Result<Arc<Vec<Record>>, RunsError> {
        let Some(mark) = read.marks.get(at) else {
            return Ok(Arc::default());
        };
        let end = read.marks.get(at + 1).unwrap_or(&read.position).next();
        let length = (end - mark.next()) as usize;
        let kept = self.pieces.find(id, mark.next());
        // The reader from before the run was dropped may have kept fewer of its events.
        if let Some(piece) = kept.filter(|piece| piece.len() >= length) {
            return Ok(piece);
        }
        let (mut position, mut records, mut bytes) = (*mark, Vec::new(), 0);
        while position.next() < end {
            let piece = self.remote.read_piece(id, &mut position)?;
            if piece.records.is_empty() {
                return Err(RunsError::no_run(id));
            }
            records.extend(piece.records);
            bytes += piece.bytes;
        }
        records.truncate(length);
        let records = Arc::new(records);
        self.pieces.keep(id, mark.next(), records.clone(), bytes);
        Ok(records)
    }

    /// Reads the new events of a run, and passes the whole run to `look`.
    ///
    /// # Errors
    /// An error of Restate, a broken chain, or a run that does not exist.
    pub fn look<T>(&self, id: &RunId, look: impl FnOnce(&RunRead) -> T) -> Result<T, RunsError> {
        let read = self.entry(id);
        let mut read = lock(&read);
        self.read(id, &mut read)?;
        Ok(look(&read))
    }

    /// Like [`RunReads::look`], after checking whether the run is driven.
    ///
    /// # Errors
    /// The same as of [`RunReads::look`].
    pub fn look_whole<T>(
        &self,
        id: &RunId,
        look: impl FnOnce(&RunRead) -> T,
    ) -> Result<T, RunsError> {
        let read = self.entry(id);
        let mut read = lock(&read);
        // This comes first: a driver that has ended has stored the end of its run.
        read.driven = Some((self.remote.driver(id)?.is_some(), Instant::now()));
        self.read(id, &mut read)?;
        Ok(look(&read))
    }

    /// Passes a run to `look` as it was last read, which is recent if the run has not ended. Reads it if it has not been read yet, or if
    /// [`RunReads::hears`] has received something newer.
    ///
    /// # Errors
    /// The same as of [`RunReads::look`].
    pub fn look_lately<T>(
        &self,
        id: &RunId,
        look: impl FnOnce(&RunRead) -> T,
    ) -> Result<T, RunsError> {
        let read = self.entry(id);
        let mut read = lock(&read);
        if read.read_at.is_none() {
            self.read(id, &mut read)?;
        }
        Ok(look(&read))
    }

    /// Records when a run ended, according to the list of runs: its cached events may be older.
    pub fn hears(&self, id: &RunId, ended_at: Option<Timestamp>) {
        if let Some(read) = self.kept.peek(id) {
            let mut read = lock(&read);
            if read.state.ended_at != ended_at {
                read.read_at = None;
            }
        }
    }

    /// Records that a run is no longer among those that have not ended; returns whether its cached events say otherwise.
    pub fn hears_of_end(&self, id: &RunId) -> bool {
        self.kept.peek(id).is_some_and(|read| {
            let mut read = lock(&read);
            let is_open = read.state.outcome.is_none();
            if is_open {
                read.read_at = None;
            }
            is_open
        })
    }

    /// Reads the new events of runs that have not ended; returns whether there are any.
    ///
    /// # Errors
    /// An error of Restate.
    pub fn look_at_all(&self, open: &[RunId]) -> Result<bool, RunsError> {
        let (next, has_changed) = (AtomicUsize::new(0), AtomicBool::new(false));
        let look = || -> Result<(), RunsError> {
            while let Some(id) = open.get(next.fetch_add(1, Ordering::Relaxed)) {
                if self.has_changed(id)? {
                    has_changed.store(true, Ordering::Relaxed);
                }
            }
            Ok(())
        };
        let looks = thread::scope(|scope| {
            let threads = (0..AT_ONCE.min(open.len())).map(|_| scope.spawn(look));
            let threads: Vec<_> = threads.collect();
            let ended = threads.into_iter().map(|thread| thread.join());
            ended.collect::<Vec<_>>()
        });
        for look in looks.into_iter().flatten() {
            look?;
        }
        Ok(has_changed.into_inner())
    }

    fn has_changed(&self, id: &RunId) -> Result<bool, RunsError> {
        let read = self.entry(id);
        let mut read = lock(&read);
        if !read.is_old() {
            return Ok(false);
        }
        let before = (read.position.next(), read.is_driven());
        if read.driven.is_none_or(|(_, at)| at.elapsed() > DRIVEN) {
            read.driven = Some((self.remote.driver(id)?.is_some(), Instant::now()));
        }
        match self.read(id, &mut read) {
            // A run that can't be read does not stop the others; a person who opens it sees the error.
            Err(error) if matches!(error.code, "journal" | "no-such-run") => Ok(false),
            read => read,
        }?;
        Ok(before != (read.position.next(), read.is_driven()))
    }

    /// Reads the new events of a run; returns whether there are any.
    fn read(&self, id: &RunId, read: &mut RunRead) -> Result<bool, RunsError> {
        match self.read_on(id, read) {
            Ok(_) if read.position.next() == 0 => {
                self.forget(id);
                Err(RunsError::no_run(id))
            }
            Err(error) => {
                // The events that were applied can't be removed from the state.
                *read = RunRead::default();
                self.forget(id);
                Err(error)
            }
            read => read,
        }
    }

    fn read_on(&self, id: &RunId, read: &mut RunRead) -> Result<bool, RunsError> {
        let before = read.position.next();
        loop {
            let start = read.position;
            let piece = self.remote.read_piece(id, &mut read.position)?;
            for record in &piece.records {
                let applied = Arc::make_mut(&mut read.state).apply(&record.event, record.at);
                applied.map_err(DriveError::from)?;
                if let Event::LockTaken(LockTaken { lock, .. }) = &record.event {
                    read.locked.insert(lock.clone(), record.at);
                }
            }
            if !piece.records.is_empty() {
                self.keep(id, read, start, piece.records, piece.bytes);
            }
            if piece.is_last {
                break;
            }
        }
        let has_new = read.position.next() > before;
        read.read_at = Some(Instant::now());
        if has_new {
            read.changed_at = read.read_at;
        }
        Ok(has_new)
    }

    /// Keeps events that were read on from `start`, with the piece before them where that is short.
    fn keep(
        &self,
        id: &RunId,
        read: &mut RunRead,
        start: ReadPosition,
        new: Vec<Record>,
        bytes: usize,
    ) {
        let last = read.marks.last().filter(|_| read.last + bytes <= PIECE);
        let grows = last.and_then(|mark| Some((*mark, self.pieces.take(id, mark.next())?)));
        let (mark, mut records, length) = match grows {
            Some((mark, records)) if records.len() as u64 == start.next() - mark.next() => {
                (mark, records, read.last + bytes)
            }
            _ => {
                read.marks.push(start);
                (start, Arc::default(), bytes)
            }
        };
        read.last = length;
        Arc::make_mut(&mut records).extend(new);
        self.pieces.keep(id, mark.next(), records, length);
    }

    fn entry(&self, id: &RunId) -> Arc<Mutex<RunRead>> {
        self.kept.get(id, |forgotten| self.pieces.forget(forgotten))
    }

    /// Discards the cached data of a run.
    pub fn forget(&self, id: &RunId) {
        self.kept.forget(id);
        self.pieces.forget(id);
    }
}
