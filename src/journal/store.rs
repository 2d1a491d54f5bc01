use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use time::OffsetDateTime;

use super::{
    error::JournalError,
    event::{Event, Outcome},
    id::RunId,
    lock::RunLock,
    seal::Seal,
    state::State,
};
use crate::value::Digest;

/// The format of the database; raise it with every change, and keep reading the older ones.
const VERSION: i64 = 1;
/// Another process commits within milliseconds; a minute means that something holds the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(60);

/// The journal of every run of a state folder.
#[derive(Clone)]
pub struct Journal {
    inner: Arc<Inner>,
}

struct Inner {
    state: PathBuf,
    seal: Seal,
    database: Mutex<Connection>,
    /// Rows in the order of their chain, not yet committed.
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    rows: Vec<Row>,
    /// How many rows were ever queued, and how many of them are durable.
    queued: u64,
    durable: u64,
    is_broken: bool,
}

struct Row {
    run: RunId,
    seq: u64,
    at: i64,
    body: String,
    digest: Digest,
    ends_as: Option<&'static str>,
}

/// One event of a run, as it was recorded.
#[derive(Clone, Debug)]
pub struct Record {
    pub seq: u64,
    /// Milliseconds since 1970.
    pub at: i64,
    pub event: Event,
    pub digest: Digest,
}

/// A run in a list.
#[derive(Clone, Debug)]
pub struct RunRow {
    pub id: RunId,
    pub workflow: String,
    pub file: String,
    pub target: String,
    /// Milliseconds since 1970.
    pub started_at: i64,
    pub ended_at: Option<i64>,
    /// `None` if it has not ended.
    pub outcome: Option<String>,
    /// Whether a process drives it now.
    pub is_owned: bool,
}

impl RunRow {
    /// What a person calls its state; a run that nobody drives and that has not ended was
    /// interrupted.
    pub fn status(&self) -> &str {
        match (&self.outcome, self.is_owned) {
            (Some(outcome), _) => outcome,
            (None, true) => "running",
            (None, false) => "interrupted",
        }
    }
}

/// What a new run begins with.
pub struct NewRun<'a> {
    pub id: RunId,
    /// Its [`Event::RunStarted`].
    pub event: Event,
    pub files: &'a BTreeMap<String, Arc<str>>,
    pub at: i64,
}

impl Journal {
    /// Opens the journal of a state folder, making both if they are not there.
    ///
    /// # Errors
    /// A folder that can't be used, a database of another version, a damaged one.
    pub fn open(state: &Path) -> Result<Self, JournalError> {
        make_folder(state).map_err(|source| JournalError::Folder {
            path: state.into(),
            source,
        })?;
        let path = state.join("journal.db");
        let database = Connection::open(&path)?;
        database.busy_timeout(BUSY_TIMEOUT)?;
        let found: i64 = database.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if found > VERSION {
            return Err(JournalError::Version {
                found,
                known: VERSION,
            });
        }
        database.pragma_update(None, "journal_mode", "WAL")?;
        database.pragma_update(None, "synchronous", "FULL")?;
        // What a run prints is not secret, but it is nobody else's business.
        let _ = fs::set_permissions(&path, fs::Permissions::from_mode(0o600));
        if found == 0 {
            database.execute_batch(&format!(
                "BEGIN IMMEDIATE;
                 CREATE TABLE IF NOT EXISTS runs (
                     id TEXT PRIMARY KEY, workflow TEXT NOT NULL, file TEXT NOT NULL, target TEXT NOT NULL,
                     started_at INTEGER NOT NULL, ended_at INTEGER, status TEXT
                 ) WITHOUT ROWID;
                 CREATE TABLE IF NOT EXISTS events (
                     run TEXT NOT NULL, seq INTEGER NOT NULL, at INTEGER NOT NULL,
                     body TEXT NOT NULL, digest BLOB NOT NULL, PRIMARY KEY (run, seq)
                 ) WITHOUT ROWID;
                 CREATE TABLE IF NOT EXISTS files (digest BLOB PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID;
                 CREATE TABLE IF NOT EXISTS run_files (
                     run TEXT NOT NULL, path TEXT NOT NULL, digest BLOB NOT NULL, PRIMARY KEY (run, path)
                 ) WITHOUT ROWID;
                 PRAGMA user_version = {VERSION};
                 COMMIT;"
            ))?;
        }
        Ok(Self {
            inner: Arc::new(Inner {
                state: state.into(),
                seal: Seal::new(state),
                database: Mutex::new(database),
                queue: Mutex::default(),
            }),
        })
    }

    pub fn state_folder(&self) -> &Path {
        &self.inner.state
    }

    /// Records a new run. Once this returns, the run is found again after a crash, with the
    /// files it began with.
    pub fn begin(&self, new: NewRun) -> Result<RunJournal, JournalError> {
        let lock = RunLock::take(&self.inner.state, &new.id)?;
        let Event::RunStarted {
            workflow,
            file,
            target,
            ..
        } = &new.event
        else {
            unreachable!("NewRun::event is a RunStarted")
        };
        {
            let mut database = self.inner.database();
            let transaction = database.transaction_with_behavior(TransactionBehavior::Immediate)?;
            transaction.execute(
                "INSERT INTO runs (id, workflow, file, target, started_at) VALUES (?, ?, ?, ?, ?)",
                params![new.id.as_str(), workflow, file, target, new.at],
            )?;
            for (path, text) in new.files {
                let digest = Digest::of_content(text.as_bytes());
                transaction.execute(
                    "INSERT OR IGNORE INTO files (digest, text) VALUES (?, ?)",
                    params![digest.as_bytes(), &**text],
                )?;
                transaction.execute(
                    "INSERT INTO run_files (run, path, digest) VALUES (?, ?, ?)",
                    params![new.id.as_str(), path, digest.as_bytes()],
                )?;
            }
            transaction.commit()?;
        }
        let run = RunJournal {
            journal: self.clone(),
            run: new.id,
            head: Mutex::new(Head {
                next_seq: 0,
                digest: Digest::ZERO,
            }),
            _lock: lock,
        };
        run.append(vec![(new.event, new.at)])?;
        Ok(run)
    }

    /// Takes over a run that no process drives.
    pub fn adopt(&self, run: &RunId) -> Result<(RunJournal, State), JournalError> {
        let lock = RunLock::take(&self.inner.state, run)?;
        let records = self.read(run, 0, Digest::ZERO, true)?;
        let state = fold(run, &records)?;
        let head = records.last().map_or(
            Head {
                next_seq: 0,
                digest: Digest::ZERO,
            },
            |last| Head {
                next_seq: last.seq + 1,
                digest: last.digest,
            },
        );
        let adopted = RunJournal {
            journal: self.clone(),
            run: run.clone(),
            head: Mutex::new(head),
            _lock: lock,
        };
        Ok((adopted, state))
    }

    /// Reads a run's events and checks their chain.
    pub fn load(&self, run: &RunId) -> Result<Vec<Record>, JournalError> {
        self.read(run, 0, Digest::ZERO, false)
    }

    /// Reads a run's events from number `seq` on, given the digest of the one before.
    pub fn load_from(
        &self,
        run: &RunId,
        seq: u64,
        before: Digest,
    ) -> Result<Vec<Record>, JournalError> {
        self.read(run, seq, before, false)
    }

    fn read(
        &self,
        run: &RunId,
        seq: u64,
        before: Digest,
        needs_secrets: bool,
    ) -> Result<Vec<Record>, JournalError> {
        let rows: Vec<(u64, i64, String, [u8; 32])> = {
            let database = self.inner.database();
            let mut statement = database.prepare_cached(
                "SELECT seq, at, body, digest FROM events WHERE run = ? AND seq >= ? ORDER BY seq",
            )?;
            let rows = statement.query_map(params![run.as_str(), seq], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
            })?;
            rows.collect::<Result<_, _>>()?
        };
        let mut previous = before;
        let mut records = Vec::with_capacity(rows.len());
        for (expected, (seq, at, body, stored)) in (seq..).zip(rows) {
            let digest = link(previous, expected, at, &body);
            if seq != expected || digest.as_bytes() != &stored {
                return Err(JournalError::BrokenChain {
                    run: run.clone(),
                    seq: expected,
                });
            }
            if needs_secrets {
                self.inner.seal.require(&body)?;
            }
            let sealed: Event<serde_json::Value> =
                serde_json::from_str(&body).map_err(|e| JournalError::Unreadable {
                    run: run.clone(),
                    seq,
                    why: e.to_string(),
                })?;
            let event = sealed.try_map(|json| self.inner.seal.open(json))?;
            records.push(Record {
                seq,
                at,
                event,
                digest,
            });
            previous = digest;
        }
        Ok(records)
    }

    /// Reads a run's events and folds them.
    pub fn state_of(&self, run: &RunId) -> Result<State, JournalError> {
        fold(run, &self.load(run)?)
    }

    /// Reads the files that a run froze.
    pub fn files(&self, run: &RunId) -> Result<BTreeMap<String, Arc<str>>, JournalError> {
        let database = self.inner.database();
        let mut statement = database.prepare_cached(
            "SELECT path, text FROM run_files JOIN files USING (digest) WHERE run = ?",
        )?;
        let rows = statement.query_map([run.as_str()], |row| {
            Ok((
                row.get::<_, String>(0)?,
                Arc::from(row.get::<_, String>(1)?),
            ))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Lists the runs, the newest first.
    pub fn runs(&self) -> Result<Vec<RunRow>, JournalError> {
        let mut runs = {
            let database = self.inner.database();
            let mut statement = database.prepare_cached(
                "SELECT id, workflow, file, target, started_at, ended_at, status FROM runs ORDER BY id DESC",
            )?;
            let rows = statement.query_map([], |row| {
                Ok(RunRow {
                    id: RunId::stored(row.get(0)?),
                    workflow: row.get(1)?,
                    file: row.get(2)?,
                    target: row.get(3)?,
                    started_at: row.get(4)?,
                    ended_at: row.get(5)?,
                    outcome: row.get(6)?,
                    is_owned: false,
                })
            })?;
            rows.collect::<Result<Vec<_>, _>>()?
        };
        for run in runs.iter_mut().filter(|run| run.outcome.is_none()) {
            run.is_owned = RunLock::is_taken(&self.inner.state, &run.id);
        }
        Ok(runs)
    }

    /// Finds the run that a user means by any unambiguous part of its id, or the newest one.
    pub fn find(&self, part: Option<&str>) -> Result<RunId, JournalError> {
        let database = self.inner.database();
        let Some(part) = part else {
            let newest: Option<String> = database
                .query_row("SELECT max(id) FROM runs", [], |row| row.get(0))
                .optional()?
                .flatten();
            return newest
                .map(RunId::stored)
                .ok_or_else(|| JournalError::NoRun("newest".into()));
        };
        let mut statement = database.prepare_cached(
            "SELECT id FROM runs WHERE instr(id, ?1) > 0 ORDER BY id = ?1 DESC, id LIMIT 5",
        )?;
        let found: Vec<String> = statement
            .query_map([part], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        match found.as_slice() {
            [] => Err(JournalError::NoRun(part.into())),
            [first, ..] if found.len() == 1 || first == part => Ok(RunId::stored(first.clone())),
            several => Err(JournalError::Ambiguous(part.into(), several.join(", "))),
        }
    }
}

fn fold(run: &RunId, records: &[Record]) -> Result<State, JournalError> {
    State::fold(records.iter().map(|record| (&record.event, record.at))).map_err(|(i, source)| {
        JournalError::Illegal {
            run: run.clone(),
            seq: records[i].seq,
            source,
        }
    })
}

/// The only writer of one run.
pub struct RunJournal {
    journal: Journal,
    run: RunId,
    head: Mutex<Head>,
    _lock: RunLock,
}

struct Head {
    next_seq: u64,
    digest: Digest,
}

impl RunJournal {
    pub fn id(&self) -> &RunId {
        &self.run
    }

    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Records events, each with when it happened (milliseconds since 1970). Once this returns, they
    /// are found again after a crash, with all events appended before them.
    ///
    /// Callers at the same time share one sync of the disk.
    ///
    /// # Errors
    /// Nothing is recorded then, and nothing more can be by this process.
    pub fn append(&self, events: Vec<(Event, i64)>) -> Result<(), JournalError> {
        let ticket = self.queue(events)?;
        self.journal.inner.commit(ticket)
    }

    /// Records events with the next [`RunJournal::append`]; a crash before it loses them.
    pub fn append_lazily(&self, events: Vec<(Event, i64)>) -> Result<(), JournalError> {
        self.queue(events).map(|_| ())
    }

    fn queue(&self, events: Vec<(Event, i64)>) -> Result<u64, JournalError> {
        let mut bodies = Vec::with_capacity(events.len());
        for (event, at) in events {
            let ends_as = match &event {
                Event::RunEnded { outcome, .. } => Some(Outcome::as_str(*outcome)),
                Event::RunResumed { .. } => Some(""),
                _ => None,
            };
            let sealed = event.try_map(|value| self.journal.inner.seal.close(value))?;
            let body = serde_json::to_string(&sealed).map_err(|e| JournalError::Unreadable {
                run: self.run.clone(),
                seq: 0,
                why: e.to_string(),
            })?;
            bodies.push((body, at, ends_as));
        }
        let mut head = self.head.lock().unwrap_or_else(PoisonError::into_inner);
        let mut queue = self.journal.inner.queue();
        for (body, at, ends_as) in bodies {
            let digest = link(head.digest, head.next_seq, at, &body);
            queue.rows.push(Row {
                run: self.run.clone(),
                seq: head.next_seq,
                at,
                body,
                digest,
                ends_as,
            });
            queue.queued += 1;
            *head = Head {
                next_seq: head.next_seq + 1,
                digest,
            };
        }
        Ok(queue.queued)
    }
}

impl Inner {
    fn database(&self) -> MutexGuard<'_, Connection> {
        self.database.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes everything up to `ticket` durable. Whoever comes first commits for all who queued;
    /// the others find it done when they get the database.
    fn commit(&self, ticket: u64) -> Result<(), JournalError> {
        let mut database = self.database();
        let rows = {
            let mut queue = self.queue();
            if queue.is_broken {
                return Err(JournalError::Broken);
            }
            if queue.durable >= ticket {
                return Ok(());
            }
            std::mem::take(&mut queue.rows)
        };
        let count = rows.len() as u64;
        let written = write(&mut database, &rows);
        let mut queue = self.queue();
        match written {
            Ok(()) => {
                queue.durable += count;
                Ok(())
            }
            Err(e) => {
                queue.is_broken = true;
                Err(e.into())
            }
        }
    }
}

fn write(database: &mut Connection, rows: &[Row]) -> rusqlite::Result<()> {
    let transaction = database.transaction_with_behavior(TransactionBehavior::Immediate)?;
    {
        let mut insert = transaction.prepare_cached(
            "INSERT INTO events (run, seq, at, body, digest) VALUES (?, ?, ?, ?, ?)",
        )?;
        for row in rows {
            insert.execute(params![
                row.run.as_str(),
                row.seq,
                row.at,
                row.body,
                row.digest.as_bytes()
            ])?;
            if let Some(status) = row.ends_as {
                let ended = (!status.is_empty()).then_some((status, row.at));
                transaction.execute(
                    "UPDATE runs SET status = ?, ended_at = ? WHERE id = ?",
                    params![ended.map(|e| e.0), ended.map(|e| e.1), row.run.as_str()],
                )?;
            }
        }
    }
    transaction.commit()
}

fn link(previous: Digest, seq: u64, at: i64, body: &str) -> Digest {
    Digest::of(&[
        previous.as_bytes(),
        &seq.to_be_bytes(),
        &at.to_be_bytes(),
        body.as_bytes(),
    ])
}

/// Makes the state folder, for its owner only, and keeps it out of version control.
fn make_folder(state: &Path) -> std::io::Result<()> {
    if state.is_dir() {
        return Ok(());
    }
    if let Some(parent) = state.parent() {
        fs::create_dir_all(parent)?;
    }
    match fs::DirBuilder::new().mode(0o700).create(state) {
        Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => return Err(e),
        _ => {}
    }
    fs::write(state.join(".gitignore"), "*\n")
}

/// The current time as the journal counts it: milliseconds since 1970.
pub fn milliseconds(at: OffsetDateTime) -> i64 {
    (at.unix_timestamp_nanos() / 1_000_000) as i64
}
