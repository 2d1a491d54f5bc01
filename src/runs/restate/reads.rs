//! Caches the events of recently used runs, so that only new events are read.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{drivers::lock, error::RunsError};
use windlass_engine::{
    execute::DriveError,
    journal::{Record, RunId, State},
};
use windlass_ground::Timestamp;
use windlass_restate::{ReadPosition, Remote};

/// How many runs are kept: those that people look at, and those that have not ended, which are read repeatedly.
const KEPT: usize = 1024;
/// How many runs are read at once.
const AT_ONCE: usize = 8;
/// How long the answer to whether a run is driven stays valid, unless the request is for that run alone.
const DRIVEN: Duration = Duration::from_secs(3);
/// A run in which nothing has happened for a while is read less often: after this share of that time, up to a limit.
const SHARE: u32 = 10;
const LONGEST: Duration = Duration::from_secs(5);

pub(super) struct RunReads {
    remote: Arc<Remote>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    runs: BTreeMap<RunId, (u64, Arc<Mutex<RunRead>>)>,
    /// The number of lookups.
    looks: u64,
}

/// A run, as far as it has been read.
#[derive(Default)]
pub(super) struct RunRead {
    position: ReadPosition,
    pub records: Vec<Record>,
    pub state: Arc<State>,
    /// Whether it was driven, and when that was checked.
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

    /// Says whether the run should be read again.
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
            kept: Mutex::default(),
        }
    }

    /// Reads the new events of a run, and passes the run to `look`.
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
        let kept = lock(&self.kept).runs.get(id).map(|(_, read)| read.clone());
        if let Some(read) = kept {
            let mut read = lock(&read);
            if read.state.ended_at != ended_at {
                read.read_at = None;
            }
        }
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
        let before = (read.records.len(), read.is_driven());
        if read.driven.is_none_or(|(_, at)| at.elapsed() > DRIVEN) {
            read.driven = Some((self.remote.driver(id)?.is_some(), Instant::now()));
        }
        match self.read(id, &mut read) {
            // A run that can't be read does not stop the others; a person who opens it sees the error.
            Err(error) if matches!(error.code, "journal" | "no-such-run") => Ok(false),
            read => read,
        }?;
        Ok(before != (read.records.len(), read.is_driven()))
    }

    /// Reads the new events of a run; returns whether there are any.
    fn read(&self, id: &RunId, read: &mut RunRead) -> Result<bool, RunsError> {
        match self.read_on(id, read) {
            Ok(_) if read.records.is_empty() => {
                self.forget(id);
                Err(missing(id))
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
        let new = self.remote.read_on(id, &mut read.position)?;
        for record in &new {
            let applied = Arc::make_mut(&mut read.state).apply(&record.event, record.at);
            applied.map_err(DriveError::from)?;
        }
        let has_new = !new.is_empty();
        read.records.extend(new);
        read.read_at = Some(Instant::now());
        if has_new {
            read.changed_at = read.read_at;
        }
        Ok(has_new)
    }

    fn entry(&self, id: &RunId) -> Arc<Mutex<RunRead>> {
        let mut kept = lock(&self.kept);
        kept.looks += 1;
        let looks = kept.looks;
        if let Some((last, read)) = kept.runs.get_mut(id) {
            *last = looks;
            return read.clone();
        }
        if kept.runs.len() >= KEPT {
            let oldest = kept.runs.iter().min_by_key(|(_, (last, _))| *last);
            if let Some(oldest) = oldest.map(|(id, _)| id.clone()) {
                kept.runs.remove(&oldest);
            }
        }
        let read = Arc::default();
        kept.runs.insert(id.clone(), (looks, Arc::clone(&read)));
        read
    }

    /// Discards the cached data of a run.
    pub fn forget(&self, id: &RunId) {
        lock(&self.kept).runs.remove(id);
    }
}

pub(super) fn missing(id: &RunId) -> RunsError {
    RunsError::missing("no-such-run", format!("no run `{id}`"))
}
