//! Deletes runs that have ended. One row of each is kept.

use rusqlite::{OptionalExtension, Row, params};

use super::{error::JournalError, id::RunId, lock::RunLock, store::Journal};
use windlass_ground::Timestamp;
use windlass_world::value::Digest;

/// Created when the first run is deleted. For each deleted run it keeps what a list showed, the end of its chain (so that an evidence
/// bundle can still be checked against it), and the certificates that it saw (`seen`, JSON of the inventory, without secrets).
const TABLE: &str = "
    CREATE TABLE IF NOT EXISTS pruned (
        run TEXT PRIMARY KEY, workflow TEXT NOT NULL, target TEXT NOT NULL, requester TEXT, started_at INTEGER NOT NULL,
        ended_at INTEGER, status TEXT, events INTEGER, head BLOB, pruned_at INTEGER NOT NULL, pruned_by TEXT NOT NULL, seen TEXT
    ) WITHOUT ROWID;";

/// How many pages a step of [`Journal::free_pages`] frees: other writers wait for at most one step.
const STEP: u32 = 512;

/// The remains of a deleted run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pruned {
    pub run: RunId,
    /// When it was deleted.
    pub at: Timestamp,
    /// Who deleted it.
    pub by: String,
    /// The number of its events, and the digest of the last one.
    pub events: u64,
    pub head: Digest,
    /// The inventory's data of the run.
    pub seen: Option<String>,
}

impl Journal {
    /// Deletes a run that has ended, with its events and the files that no other run uses. `seen` is kept for the inventory. `by` is the person who
    /// deletes it. Does nothing if the run has changed since it was checked: `stamp` is the text of [`Journal::stamps`].
    ///
    /// After this has returned, the run stays deleted even after a crash; before that, all of it exists.
    ///
    /// # Errors
    /// [`JournalError::Owned`], or an error of the database. `Ok(false)` if the run has changed or does not exist.
    pub fn prune(
        &self,
        run: &RunId,
        stamp: &str,
        seen: Option<&str>,
        by: &str,
    ) -> Result<bool, JournalError> {
        // Holding the lock prevents a resume meanwhile.
        let lock = RunLock::take(&self.inner.state, run)?;
        let mut database = self.inner.database();
        let transaction = database.transaction()?;
        transaction.execute_batch(TABLE)?;
        let found: Option<(Option<u64>, Option<[u8; 32]>)> = transaction
            .query_row(
                "SELECT events, head FROM runs WHERE id = ? AND ended_at IS NOT NULL",
                [run.as_str()],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()?;
        let is_same = found.is_some_and(|(events, head)| {
            let head = Digest::from_bytes(head.unwrap_or_default());
            format!("{} {head}", events.unwrap_or_default()) == stamp
        });
        if is_same {
            transaction.execute(
                "INSERT OR REPLACE INTO pruned
                 SELECT id, workflow, target, requester, started_at, ended_at, status, events, head, ?2, ?3, ?4 FROM runs WHERE id = ?1",
                params![run.as_str(), Timestamp::from(time::OffsetDateTime::now_utc()), by, seen],
            )?;
            for (table, column) in [
                ("events", "run"),
                ("messages", "run"),
                ("locks", "run"),
                ("runs", "id"),
            ] {
                let delete = format!("DELETE FROM {table} WHERE {column} = ?");
                transaction.execute(&delete, [run.as_str()])?;
            }
            transaction.execute(
                "DELETE FROM files WHERE digest IN (SELECT digest FROM run_files WHERE run = ?1)
                   AND digest NOT IN (SELECT digest FROM run_files WHERE run <> ?1)",
                [run.as_str()],
            )?;
            transaction.execute("DELETE FROM run_files WHERE run = ?", [run.as_str()])?;
        }
        transaction.commit()?;
        drop(database);
        if is_same {
            lock.remove();
        }
        Ok(is_same)
    }

    /// Lists the remains of deleted runs, by id.
    ///
    /// # Errors
    /// What the database says.
    pub fn pruned(&self) -> Result<Vec<Pruned>, JournalError> {
        let database = self.inner.database();
        if !database.table_exists(None, "pruned")? {
            return Ok(Vec::new());
        }
        let mut statement = database.prepare_cached(
            "SELECT run, pruned_at, events, head, seen, pruned_by FROM pruned ORDER BY run",
        )?;
        let rows = statement.query_map([], |row| {
            Ok(Pruned {
                run: RunId::stored(row.get(0)?),
                at: row.get(1)?,
                events: row.get::<_, Option<u64>>(2)?.unwrap_or_default(),
                head: Digest::from_bytes(row.get::<_, Option<_>>(3)?.unwrap_or_default()),
                seen: row.get(4)?,
                by: row.get(5)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Returns when a run was deleted and by whom, if one with this id was.
    ///
    /// # Errors
    /// What the database says.
    fn deletion(&self, run: &RunId) -> Result<Option<(Timestamp, String)>, JournalError> {
        let database = self.inner.database();
        if !database.table_exists(None, "pruned")? {
            return Ok(None);
        }
        let sql = "SELECT pruned_at, pruned_by FROM pruned WHERE run = ?";
        let read = |row: &Row| Ok((row.get(0)?, row.get(1)?));
        let found = database.query_row(sql, [run.as_str()], read);
        Ok(found.optional()?)
    }

    /// Returns the inventory's data of deleted runs, by id.
    ///
    /// # Errors
    /// What the database says.
    pub fn seen_of_pruned(&self) -> Result<Vec<(RunId, String)>, JournalError> {
        let pruned = self.pruned()?.into_iter();
        Ok(pruned
            .filter_map(|pruned| Some((pruned.run, pruned.seen?)))
            .collect())
    }

    /// Returns an error if a run with this id was deleted.
    ///
    /// # Errors
    /// What the database says.
    pub fn refuse_pruned(&self, run: &RunId) -> Result<Option<JournalError>, JournalError> {
        let pruned = self.deletion(run)?;
        Ok(pruned.map(|(at, by)| {
            let at = at.to_utc().map_or_else(|| "?".into(), |at| at.to_string());
            JournalError::Pruned {
                run: run.clone(),
                at: at.chars().take(19).collect(),
                by,
            }
        }))
    }

    /// Says whether there is a run with this id, with a single index lookup.
    ///
    /// # Errors
    /// What the database says.
    pub fn has(&self, run: &RunId) -> Result<bool, JournalError> {
        let database = self.inner.database();
        let mut statement = database.prepare_cached("SELECT 1 FROM runs WHERE id = ?")?;
        Ok(statement.exists([run.as_str()])?)
    }

    /// Returns the free pages of deleted runs to the disk, in steps, so that others can write in between. Returns how many bytes are still free for
    /// later runs: in a journal of an older Windlass that is all of them, until [`Journal::compact`].
    ///
    /// # Errors
    /// What the database says.
    pub fn free_pages(&self) -> Result<u64, JournalError> {
        loop {
            let database = self.inner.database();
            let free = |what| database.pragma_query_value(None, what, |row| row.get::<_, u64>(0));
            let (left, mode) = (free("freelist_count")?, free("auto_vacuum")?);
            // 2 is INCREMENTAL.
            if left == 0 || mode != 2 {
                return Ok(left * free("page_size")?);
            }
            // A step is done while its rows are read.
            let mut step = database.prepare(&format!("PRAGMA incremental_vacuum({STEP})"))?;
            let mut rows = step.query([])?;
            while rows.next()?.is_some() {}
        }
    }

    /// Rewrites the journal without free pages. Nothing else can write to it meanwhile.
    ///
    /// # Errors
    /// An error of the database, for example because another process is reading.
    pub fn compact(&self) -> Result<(), JournalError> {
        let database = self.inner.database();
        database.execute_batch(
            "PRAGMA auto_vacuum = INCREMENTAL; VACUUM; PRAGMA wal_checkpoint(TRUNCATE);",
        )?;
        Ok(())
    }
}
