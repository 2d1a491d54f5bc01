use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
    thread,
};

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::{
    chain::chain_start,
    error::JournalError,
    event::Event,
    id::{InstanceId, RunId},
    lock::RunLock,
    message::Message,
    placed::{JOURNAL, Placed},
    reading::{Opening, Stored},
    schema,
    seal::Seal,
    state::State,
    writer::{Head, Queue, RunJournal},
};
use windlass_ground::{Durability, Timestamp, lock, open_database, private};
use windlass_world::value::{Digest, Value};

/// The journal of every run of a state folder.
#[derive(Clone)]
pub struct Journal {
    pub(super) inner: Arc<Inner>,
}

/// The data that all handles of one journal share.
pub(super) struct Inner {
    pub state: PathBuf,
    pub seal: Seal,
    /// The file of `database`.
    pub placed: Placed,
    database: Mutex<Connection>,
    queue: Mutex<Queue>,
}

impl Inner {
    pub fn database(&self) -> MutexGuard<'_, Connection> {
        lock(&self.database)
    }

    pub fn queue(&self) -> MutexGuard<'_, Queue> {
        lock(&self.queue)
    }
}

/// One event of a run, as it was recorded.
#[derive(Clone, Debug)]
pub struct Record {
    pub seq: u64,
    pub at: Timestamp,
    pub event: Event,
    pub digest: Digest,
}

/// The data with which a new run begins.
pub struct NewRun<'a> {
    pub id: RunId,
    /// Its [`Event::RunStarted`].
    pub event: Event,
    pub files: &'a BTreeMap<String, Arc<str>>,
    pub at: Timestamp,
}

impl Journal {
    /// Opens the journal of a state folder; creates both if they do not exist.
    ///
    /// # Errors
    /// A folder that can't be used, a database of another version, or a damaged one.
    pub fn open(state: &Path) -> Result<Self, JournalError> {
        private::create_state_folder(state).map_err(|source| JournalError::Folder {
            path: state.into(),
            source,
        })?;
        private::check_state_folder(state)?;
        refuse_lost(state)?;
        let path = state.join(JOURNAL);
        let mut database = open_database(&path, Durability::Machine)?;
        schema::prepare(&mut database)?;
        let placed = Placed::at(path.clone());
        let placed = placed.map_err(|source| JournalError::Folder { path, source })?;
        Ok(Self {
            inner: Arc::new(Inner {
                state: state.into(),
                seal: Seal::new(state),
                placed,
                database: Mutex::new(database),
                queue: Mutex::default(),
            }),
        })
    }

    pub fn state_folder(&self) -> &Path {
        &self.inner.state
    }

    /// Records a new run. After this has returned, the run survives a crash, with the files that it began with.
    pub fn begin(&self, new: NewRun) -> Result<RunJournal, JournalError> {
        let lock = RunLock::take(&self.inner.state, &new.id)?;
        let head = Head {
            next_seq: 0,
            digest: chain_start(&new.id),
        };
        let run = RunJournal::new(self.clone(), new.id, head, 0, lock);
        run.begin(new.event, new.at, new.files)?;
        Ok(run)
    }

    /// Takes over a run that no process drives.
    pub fn adopt(&self, run: &RunId) -> Result<(RunJournal, State), JournalError> {
        self.adopt_with(run, true)
    }

    /// Like [`Journal::adopt`], to record something without driving the run: without the identity, its secrets are masks.
    pub fn adopt_masked(&self, run: &RunId) -> Result<(RunJournal, State), JournalError> {
        self.adopt_with(run, false)
    }

    fn adopt_with(
        &self,
        run: &RunId,
        needs_secrets: bool,
    ) -> Result<(RunJournal, State), JournalError> {
        let lock = RunLock::take(&self.inner.state, run)?;
        let newest: Option<i64> = self.inner.database().query_row(
            "SELECT max(id) FROM messages WHERE run = ?",
            [run.as_str()],
            |row| row.get(0),
        )?;
        let newest = newest.unwrap_or(0);
        let (state, head) = self.folded(run, needs_secrets)?;
        let adopted = RunJournal::new(self.clone(), run.clone(), head, newest, lock);
        Ok((adopted, state))
    }

    /// Reads a run's events and checks their chain.
    pub fn load(&self, run: &RunId) -> Result<Vec<Record>, JournalError> {
        let mut records = Vec::new();
        self.read((run, 0, Digest::ZERO), None, false, |opened| {
            records.extend(opened);
            Ok(Vec::new())
        })?;
        Ok(records)
    }

    /// Passes on a run's events from number `seq` on, one after another, given the digest of the event before.
    ///
    /// # Errors
    /// Events that can't be read or are not of this chain, or an error of `each`. A journal whose end is cut off is detected after its last event.
    pub fn walk(
        &self,
        run: &RunId,
        seq: u64,
        before: Digest,
        mut each: impl FnMut(Record) -> Result<(), JournalError>,
    ) -> Result<(), JournalError> {
        self.read((run, seq, before), None, false, |opened| {
            opened.into_iter().try_for_each(&mut each)?;
            Ok(Vec::new())
        })
        .map(|_| ())
    }

    /// Like [`Journal::walk`], for at most `most` events, so that a reader need not hold all of a long run in memory. Returns whether more
    /// events follow.
    ///
    /// # Errors
    /// The same as there.
    pub fn walk_some(
        &self,
        run: &RunId,
        seq: u64,
        before: Digest,
        most: usize,
        mut each: impl FnMut(Record),
    ) -> Result<bool, JournalError> {
        self.read((run, seq, before), Some(most), false, |opened| {
            opened.into_iter().for_each(&mut each);
            Ok(Vec::new())
        })
    }

    /// Opens a run's events from a number on, given the digest of the event before. `each` returns those that it does not keep. Returns
    /// whether there are more than `most`.
    fn read(
        &self,
        (run, seq, before): (&RunId, u64, Digest),
        most: Option<usize>,
        needs_secrets: bool,
        mut each: impl FnMut(Vec<Record>) -> Result<Vec<Record>, JournalError>,
    ) -> Result<bool, JournalError> {
        let seal = &self.inner.seal;
        let open = |body: &str, sealed: Event<serde_json::Value>| {
            if needs_secrets {
                seal.require(body)?;
            }
            sealed.try_map(|json| seal.open(json))
        };
        thread::scope(|scope| {
            let mut opening = Opening::new(scope, run, seq, before, &open);
            let has_more =
                self.links_of(run, seq, most, |stored| opening.take(stored, &mut each))?;
            opening.finish(&mut each)?;
            Ok(has_more)
        })
    }

    /// Reads a run's events from number `seq` on as they are stored, and checks that they end where the run's row
    /// says.
    pub(super) fn links(
        &self,
        run: &RunId,
        seq: u64,
        each: impl FnMut(&Stored) -> Result<(), JournalError>,
    ) -> Result<(), JournalError> {
        self.links_of(run, seq, None, each).map(|_| ())
    }

    /// Like [`Journal::links`], for at most `most` events; returns whether more follow.
    fn links_of(
        &self,
        run: &RunId,
        seq: u64,
        most: Option<usize>,
        mut each: impl FnMut(&Stored) -> Result<(), JournalError>,
    ) -> Result<bool, JournalError> {
        // SQLite treats a negative limit as no limit.
        let limit = most.map_or(-1, |most| i64::try_from(most).unwrap_or(-1));
        let database = self.inner.database();
        // A single transaction: another process may append in between. It only reads, so it need not wait for others that write.
        let look = Transaction::new_unchecked(&database, TransactionBehavior::Deferred)?;
        let mut statement = look.prepare_cached(
            "SELECT seq, at, body, digest FROM events WHERE run = ? AND seq >= ? ORDER BY seq LIMIT ?",
        )?;
        let mut rows = statement.query(params![run.as_str(), seq, limit])?;
        let mut last: Option<(u64, Digest)> = None;
        while let Some(row) = rows.next()? {
            let stored = Stored {
                seq: row.get(0)?,
                at: row.get(1)?,
                body: row.get_ref(2)?.as_str().map_err(rusqlite::Error::from)?,
                digest: Digest::from_bytes(row.get(3)?),
            };
            last = Some((stored.seq, stored.digest));
            each(&stored)?;
        }
        let end: Option<(u64, [u8; 32])> = look
            .query_row(
                "SELECT events, head FROM runs WHERE id = ?",
                [run.as_str()],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()?;
        let next = last.map_or(seq, |(last, _)| last + 1);
        let has_all_it_may = most.is_some_and(|most| next - seq == most as u64);
        if has_all_it_may && end.is_some_and(|(events, _)| events > next) {
            return Ok(true);
        }
        let is_whole = match (end, last) {
            (Some((events, head)), Some((_, last))) => events == next && head == *last.as_bytes(),
            (Some((events, _)), None) => events <= seq,
            (None, _) => last.is_none(),
        };
        if is_whole {
            Ok(false)
        } else {
            Err(JournalError::BrokenChain {
                run: run.clone(),
                seq: next,
            })
        }
    }

    /// Reads a run's events and folds them.
    pub fn state_of(&self, run: &RunId) -> Result<State, JournalError> {
        self.folded(run, false).map(|(state, _)| state)
    }

    fn folded(&self, run: &RunId, needs_secrets: bool) -> Result<(State, Head), JournalError> {
        let mut state = State::default();
        let mut head = Head {
            next_seq: 0,
            digest: chain_start(run),
        };
        self.read((run, 0, Digest::ZERO), None, needs_secrets, |opened| {
            for record in &opened {
                apply(run, &mut state, record)?;
            }
            if let Some(last) = opened.last() {
                head = Head {
                    next_seq: last.seq + 1,
                    digest: last.digest,
                };
            }
            Ok(opened)
        })?;
        Ok((state, head))
    }

    /// Reads the files that a run uses: those of this edition
    /// ([`crate::RunInfo::edition`]).
    ///
    /// # Errors
    /// A file that was changed after it was frozen, or an error of the database.
    pub fn files(
        &self,
        run: &RunId,
        edition: u32,
    ) -> Result<BTreeMap<String, Arc<str>>, JournalError> {
        let database = self.inner.database();
        let mut statement = database.prepare_cached(
            "SELECT path, text, digest FROM run_files LEFT JOIN files USING (digest) WHERE run = ? AND edition = ?",
        )?;
        let rows = statement.query_map(params![run.as_str(), edition], |row| {
            Ok((
                row.get::<_, String>(0)?,
                row.get::<_, Option<String>>(1)?,
                row.get::<_, [u8; 32]>(2)?,
            ))
        })?;
        let mut files = BTreeMap::new();
        for row in rows {
            let (path, text, digest) = row?;
            let text = text
                .filter(|text| Digest::of_content(text.as_bytes()).as_bytes() == &digest)
                .ok_or_else(|| JournalError::ChangedFile {
                    run: run.clone(),
                    path: path.clone(),
                })?;
            files.insert(path, text.into());
        }
        Ok(files)
    }

    /// Stores a message for the process that drives a run, or will drive it.
    ///
    /// # Errors
    /// What the database says.
    pub fn post(&self, run: &RunId, message: &Message, at: Timestamp) -> Result<(), JournalError> {
        let body = serde_json::to_string(message).map_err(|e| JournalError::Unreadable {
            run: run.clone(),
            seq: 0,
            why: e.to_string(),
        })?;
        self.inner.database().execute(
            "INSERT INTO messages (run, at, body) VALUES (?, ?, ?)",
            params![run.as_str(), at, body],
        )?;
        Ok(())
    }

    /// Digests the secrets in a value under a key derived from the identity. Returns `None` without secrets.
    ///
    /// # Errors
    /// An identity that can't be used or created.
    pub fn digest_secrets(&self, value: &Value) -> Result<Option<Digest>, JournalError> {
        self.inner.seal.digest_secrets(value)
    }

    /// Says whether a process drives the run right now.
    ///
    /// # Errors
    /// Locks that can't be checked.
    pub fn is_owned(&self, run: &RunId) -> Result<bool, JournalError> {
        RunLock::is_taken(&self.inner.state, run)
    }

    /// Returns the run that holds a lock, and the step; `None` for the run itself.
    ///
    /// # Errors
    /// What the database says.
    pub fn holder_of(
        &self,
        lock: &str,
    ) -> Result<Option<(RunId, Option<InstanceId>)>, JournalError> {
        let database = self.inner.database();
        let held = database.query_row(
            "SELECT run, holder FROM locks WHERE name = ?",
            [lock],
            |row| {
                let step: String = row.get(1)?;
                let step = (!step.is_empty()).then(|| InstanceId::step(None, &step));
                Ok((RunId::stored(row.get(0)?), step))
            },
        );
        Ok(held.optional()?)
    }

    /// Lets SQLite check its pages and indices.
    ///
    /// # Errors
    /// [`JournalError::Damaged`] with the findings.
    pub fn check_pages(&self) -> Result<(), JournalError> {
        let database = self.inner.database();
        let found: String =
            database.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
        match found.as_str() {
            "ok" => Ok(()),
            _ => Err(JournalError::Damaged(found)),
        }
    }

    /// Returns a number that changes whenever another handle of this journal, in any process, has committed. Reads no table.
    ///
    /// # Errors
    /// What the database says.
    pub fn version(&self) -> Result<i64, JournalError> {
        self.inner.placed.check()?;
        let database = self.inner.database();
        let version = database.query_row("PRAGMA data_version", [], |row| row.get(0))?;
        Ok(version)
    }
}

/// Refuses a journal that is gone: to begin another one would hide that runs are lost. It is created as a whole, before the first lock.
///
/// # Errors
/// [`JournalError::Lost`].
pub fn refuse_lost(state: &Path) -> Result<(), JournalError> {
    let has_locks =
        || fs::read_dir(state.join("locks")).is_ok_and(|mut locks| locks.next().is_some());
    // Looked for first: another process may be creating both.
    let has_traces = state.join(format!("{JOURNAL}-wal")).exists() || has_locks();
    let path = state.join(JOURNAL);
    let is_there = fs::metadata(&path).is_ok_and(|found| found.len() > 0);
    if is_there || !has_traces {
        return Ok(());
    }
    Err(JournalError::Lost(path))
}

/// Stores the files of a run, each text once.
pub(super) fn insert_files(
    transaction: &Transaction,
    run: &RunId,
    edition: u32,
    files: &BTreeMap<String, Arc<str>>,
) -> rusqlite::Result<()> {
    for (path, text) in files {
        let digest = Digest::of_content(text.as_bytes());
        transaction.execute(
            "INSERT OR IGNORE INTO files (digest, text) VALUES (?, ?)",
            params![digest.as_bytes(), &**text],
        )?;
        transaction.execute(
            "INSERT INTO run_files (run, edition, path, digest) VALUES (?, ?, ?, ?)",
            params![run.as_str(), edition, path, digest.as_bytes()],
        )?;
    }
    Ok(())
}

/// Folds records into the run's state.
///
/// # Errors
/// The first event that can't follow.
pub fn fold(run: &RunId, records: &[Record]) -> Result<State, JournalError> {
    let mut state = State::default();
    for record in records {
        apply(run, &mut state, record)?;
    }
    Ok(state)
}

/// Applies a record to the run's state.
///
/// # Errors
/// An event that can't follow.
pub fn apply(run: &RunId, state: &mut State, record: &Record) -> Result<(), JournalError> {
    let applied = state.apply(&record.event, record.at);
    applied.map_err(|source| JournalError::Illegal {
        run: run.clone(),
        seq: record.seq,
        source,
    })
}
