//! Appends events: the single writer of a run, and the commits that all writers of a process share.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

use super::{
    chain::link,
    crash::crash_point,
    error::JournalError,
    event::{Event, Outcome},
    id::RunId,
    lock::RunLock,
    message::Message,
    payload::{LockReleased, RunEnded, RunStarted},
    store::{Journal, insert_files},
};
use windlass_ground::{Timestamp, lock};
use windlass_world::value::Digest;

/// Rows in the order of their chains, not yet committed.
#[derive(Default)]
pub(super) struct Queue {
    rows: Vec<Row>,
    /// The number of rows that were ever queued, and the number that is durable.
    queued: u64,
    durable: u64,
    /// The last row that is more than a message for people.
    last_weighty: u64,
    /// The number of commits that failed. Rows are lost in each, and the events that would follow them in their chains can't be written: a
    /// [`RunJournal`] of an earlier generation writes nothing more.
    generation: u64,
}

impl Queue {
    /// Drops what can't be committed.
    fn fail(&mut self) {
        self.generation += 1;
        self.rows.clear();
        self.durable = self.queued;
    }
}

struct Row {
    run: RunId,
    seq: u64,
    at: Timestamp,
    body: String,
    digest: Digest,
    beside: Beside,
}

/// The data that changes together with an event, in the same transaction.
enum Beside {
    Nothing,
    /// The run itself, with the files that it begins with: a run never exists without its first event.
    Begun {
        workflow: String,
        file: String,
        target: String,
        requester: String,
        files: BTreeMap<String, Arc<str>>,
    },
    /// The status that lists show; `has_ended` releases the run's locks.
    Status {
        shown: Option<&'static str>,
        has_ended: bool,
    },
    Released {
        lock: String,
        holder: String,
    },
}

impl Beside {
    fn of(event: &Event) -> Self {
        let status = |shown, has_ended| Self::Status { shown, has_ended };
        match event {
            Event::RunEnded(RunEnded { outcome, .. }) => {
                status(Some(Outcome::as_str(*outcome)), true)
            }
            Event::RunSuspended => status(Some("waiting"), false),
            Event::RunResumed(_) | Event::UndoStarted(_) => status(None, false),
            Event::LockReleased(LockReleased { lock, step }) => Self::Released {
                lock: lock.clone(),
                holder: holder(step.as_ref().map(|step| step.as_str())),
            },
            _ => Self::Nothing,
        }
    }
}

fn holder(step: Option<&str>) -> String {
    step.unwrap_or_default().to_owned()
}

/// The only writer of one run.
pub struct RunJournal {
    journal: Journal,
    run: RunId,
    head: Mutex<Head>,
    /// The generation of the queue when the head was read.
    generation: u64,
    /// The newest message when this process took over the run.
    taken_at: i64,
    lock: RunLock,
}

/// The end of a run's chain.
pub(super) struct Head {
    pub next_seq: u64,
    pub digest: Digest,
}

/// The answer to a request for a lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Claim {
    Taken,
    /// Another run, or another step of this one, holds it.
    Held {
        run: RunId,
        step: Option<String>,
    },
}

impl RunJournal {
    pub(super) fn new(
        journal: Journal,
        run: RunId,
        head: Head,
        taken_at: i64,
        lock: RunLock,
    ) -> Self {
        let generation = journal.inner.queue().generation;
        Self {
            generation,
            journal,
            run,
            head: Mutex::new(head),
            taken_at,
            lock,
        }
    }

    pub fn id(&self) -> &RunId {
        &self.run
    }

    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Records the run: its first event, an [`Event::RunStarted`], and the files that it begins with.
    pub(super) fn begin(
        &self,
        event: Event,
        at: Timestamp,
        files: &BTreeMap<String, Arc<str>>,
    ) -> Result<(), JournalError> {
        let Event::RunStarted(RunStarted {
            workflow,
            file,
            target,
            requester,
            ..
        }) = &event
        else {
            unreachable!("a run begins with a RunStarted")
        };
        let begun = Beside::Begun {
            workflow: workflow.clone(),
            file: file.clone(),
            target: target.clone(),
            requester: requester.clone(),
            files: files.clone(),
        };
        let ticket = self.queue(vec![(event, at, begun)])?;
        self.commit(ticket)
    }

    /// Records events, each with the time when it happened. After this has returned, they survive a crash, with all events
    /// that were appended before them.
    ///
    /// Concurrent callers share one sync of the disk.
    ///
    /// # Errors
    /// Then nothing is recorded, and this journal of the run can't record anything more.
    pub fn append(&self, events: Vec<(Event, Timestamp)>) -> Result<(), JournalError> {
        let ticket = self.queue(with_beside(events))?;
        self.commit(ticket)
    }

    /// Records events with the next [`RunJournal::append`] or [`RunJournal::settle`]; a crash before it loses them.
    ///
    /// # Errors
    /// A secret that can't be sealed, or an earlier write that failed.
    pub fn append_lazily(&self, events: Vec<(Event, Timestamp)>) -> Result<(), JournalError> {
        self.queue(with_beside(events)).map(|_| ())
    }

    /// Makes all lazily recorded events durable.
    ///
    /// # Errors
    /// As [`RunJournal::append`].
    pub fn settle(&self) -> Result<(), JournalError> {
        let ticket = self.journal.inner.queue().queued;
        self.commit(ticket)
    }

    /// Like [`RunJournal::settle`], but does nothing if only messages for people were recorded: these may be lost.
    ///
    /// # Errors
    /// As [`RunJournal::append`].
    pub fn settle_weighty(&self) -> Result<(), JournalError> {
        let ticket = self.journal.inner.queue().last_weighty;
        self.commit(ticket)
    }

    /// Whether [`RunJournal::settle_weighty`] has nothing to do.
    pub fn is_settled(&self) -> bool {
        let queue = self.journal.inner.queue();
        // A failed one says so when it is asked to settle.
        queue.durable >= queue.last_weighty && queue.generation == self.generation
    }

    /// Freezes another edition of the run's files; an [`Event::RunEdited`] must name it.
    ///
    /// # Errors
    /// What the database says.
    pub fn freeze(
        &self,
        edition: u32,
        files: &BTreeMap<String, Arc<str>>,
    ) -> Result<(), JournalError> {
        let mut database = self.journal.inner.database();
        let transaction = database.transaction()?;
        // A crash left an edition that no event names.
        transaction.execute(
            "DELETE FROM run_files WHERE run = ? AND edition = ?",
            params![self.run.as_str(), edition],
        )?;
        insert_files(&transaction, &self.run, edition, files)?;
        Ok(transaction.commit()?)
    }

    /// Requests a lock. It is held, even while no process drives the run, until the run ends or an
    /// [`Event::LockReleased`] is appended. Requesting a lock that the run already holds changes nothing.
    ///
    /// # Errors
    /// What the database says.
    pub fn claim(
        &self,
        lock: &str,
        step: Option<&str>,
        at: Timestamp,
    ) -> Result<Claim, JournalError> {
        self.check_place()?;
        let database = self.journal.inner.database();
        let holder = holder(step);
        database.execute(
            "INSERT OR IGNORE INTO locks (name, run, holder, since) VALUES (?, ?, ?, ?)",
            params![lock, self.run.as_str(), holder, at],
        )?;
        let (run, held_by): (String, String) = database.query_row(
            "SELECT run, holder FROM locks WHERE name = ?",
            [lock],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        Ok(if run == self.run.as_str() && held_by == holder {
            Claim::Taken
        } else {
            Claim::Held {
                run: RunId::stored(run),
                step: (!held_by.is_empty()).then_some(held_by),
            }
        })
    }

    /// Lists the messages with a higher number than `after`, oldest first, each with its number and the time when it was
    /// stored.
    ///
    /// # Errors
    /// What the database says.
    pub fn messages(&self, after: i64) -> Result<Vec<(i64, Timestamp, Message)>, JournalError> {
        let database = self.journal.inner.database();
        let mut statement = database.prepare_cached(
            "SELECT id, at, body FROM messages WHERE run = ? AND id > ? ORDER BY id",
        )?;
        let rows = statement.query_map(params![self.run.as_str(), after], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get::<_, String>(2)?))
        })?;
        let mut messages = Vec::new();
        for row in rows {
            let (id, at, body) = row?;
            // A message from a newer windlass is ignored: it is for a newer windlass.
            if let Ok(message) = serde_json::from_str(&body) {
                messages.push((id, at, message));
            }
        }
        Ok(messages)
    }

    /// Says whether a message was stored before this process took over the run: it is for an earlier process.
    pub fn is_for_another(&self, message: i64) -> bool {
        message <= self.taken_at
    }

    /// Makes everything up to `ticket` durable. The first caller commits all queued rows; the others find the work
    /// done when they get the database.
    fn commit(&self, ticket: u64) -> Result<(), JournalError> {
        let is_done = |queue: &Queue| {
            if queue.generation == self.generation {
                Ok(queue.durable >= ticket)
            } else {
                Err(JournalError::Broken)
            }
        };
        let inner = &self.journal.inner;
        if is_done(&inner.queue())? {
            return Ok(());
        }
        let mut database = inner.database();
        let rows = {
            let mut queue = inner.queue();
            if is_done(&queue)? {
                return Ok(());
            }
            std::mem::take(&mut queue.rows)
        };
        let count = rows.len() as u64;
        crash_point();
        let written = self.check_place();
        let written = written.and_then(|()| Ok(write(&mut database, &rows)?));
        crash_point();
        let mut queue = inner.queue();
        match written {
            Ok(()) => queue.durable += count,
            Err(_) => queue.fail(),
        }
        written
    }

    /// # Errors
    /// What is written would be lost, or another process may drive the run.
    fn check_place(&self) -> Result<(), JournalError> {
        self.journal.inner.placed.check()?;
        self.lock.check()
    }

    fn queue(&self, events: Vec<(Event, Timestamp, Beside)>) -> Result<u64, JournalError> {
        let mut bodies = Vec::with_capacity(events.len());
        for (event, at, beside) in events {
            let is_weighty = !matches!(event, Event::Logged(_));
            let sealed = event.try_map(|value| self.journal.inner.seal.close(value))?;
            let body = serde_json::to_string(&sealed).map_err(|e| JournalError::Unreadable {
                run: self.run.clone(),
                seq: 0,
                why: e.to_string(),
            })?;
            bodies.push((body, at, beside, is_weighty));
        }
        let mut head = lock(&self.head);
        let mut queue = self.journal.inner.queue();
        if queue.generation != self.generation {
            return Err(JournalError::Broken);
        }
        for (body, at, beside, is_weighty) in bodies {
            let digest = link(head.digest, head.next_seq, at, &body);
            queue.rows.push(Row {
                run: self.run.clone(),
                seq: head.next_seq,
                at,
                body,
                digest,
                beside,
            });
            queue.queued += 1;
            if is_weighty {
                queue.last_weighty = queue.queued;
            }
            *head = Head {
                next_seq: head.next_seq + 1,
                digest,
            };
        }
        Ok(queue.queued)
    }
}

fn with_beside(events: Vec<(Event, Timestamp)>) -> Vec<(Event, Timestamp, Beside)> {
    let with = |(event, at)| {
        let beside = Beside::of(&event);
        (event, at, beside)
    };
    events.into_iter().map(with).collect()
}

fn write(database: &mut Connection, rows: &[Row]) -> rusqlite::Result<()> {
    let transaction = database.transaction()?;
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
            match &row.beside {
                Beside::Nothing => {}
                Beside::Begun {
                    workflow,
                    file,
                    target,
                    requester,
                    files,
                } => {
                    transaction.execute(
                        "INSERT INTO runs (id, workflow, file, target, requester, started_at) VALUES (?, ?, ?, ?, ?, ?)",
                        params![row.run.as_str(), workflow, file, target, requester, row.at],
                    )?;
                    insert_files(&transaction, &row.run, 0, files)?;
                }
                Beside::Status { shown, has_ended } => {
                    transaction.execute(
                        "UPDATE runs SET status = ?, ended_at = ? WHERE id = ?",
                        params![shown, has_ended.then_some(row.at), row.run.as_str()],
                    )?;
                    if *has_ended {
                        for table in ["locks", "messages"] {
                            let delete = format!("DELETE FROM {table} WHERE run = ?");
                            transaction.execute(&delete, [row.run.as_str()])?;
                        }
                    }
                }
                Beside::Released { lock, holder } => {
                    transaction.execute(
                        "DELETE FROM locks WHERE name = ? AND run = ? AND holder = ?",
                        params![lock, row.run.as_str(), holder],
                    )?;
                }
            }
        }
        // After the rows, because the first of them creates the run.
        let mut ends: BTreeMap<&str, &Row> = BTreeMap::new();
        ends.extend(rows.iter().map(|row| (row.run.as_str(), row)));
        let mut end =
            transaction.prepare_cached("UPDATE runs SET events = ?, head = ? WHERE id = ?")?;
        for (run, row) in ends {
            end.execute(params![row.seq + 1, row.digest.as_bytes(), run])?;
        }
    }
    transaction.commit()
}
