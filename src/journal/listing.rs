//! Lists and finds runs and locks in their tables.

use rusqlite::{OptionalExtension, params};
use serde::{Deserialize, Serialize};

use super::{error::JournalError, id::RunId, lock::RunLock, store::Journal};
use windlass_ground::Timestamp;
use windlass_world::value::Digest;

/// Sorts after every id: ids consist of digits, `-` and lower-case letters.
const AFTER_ALL: &str = "~";

/// A run in a list.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunRow {
    pub id: RunId,
    pub workflow: String,
    pub file: String,
    pub target: String,
    pub started_at: Timestamp,
    /// Who started it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requester: Option<String>,
    pub ended_at: Option<Timestamp>,
    /// `None` if it has not ended.
    pub outcome: Option<String>,
    /// Whether a process drives it now.
    pub is_owned: bool,
}

impl RunRow {
    /// The columns that [`RunRow::read`] reads.
    const COLUMNS: &str = "id, workflow, file, target, started_at, ended_at, status, requester";

    /// Reads a row that begins with [`RunRow::COLUMNS`]. Whether a process drives the run is not in it.
    fn read(row: &rusqlite::Row) -> rusqlite::Result<Self> {
        Ok(Self {
            id: RunId::stored(row.get(0)?),
            workflow: row.get(1)?,
            file: row.get(2)?,
            target: row.get(3)?,
            started_at: row.get(4)?,
            ended_at: row.get(5)?,
            outcome: row.get(6)?,
            requester: row.get(7)?,
            is_owned: false,
        })
    }

    /// Says whether the run has ended: one that was suspended at a question has a status, too.
    pub fn has_ended(&self) -> bool {
        self.ended_at.is_some()
    }

    /// Returns its status, as shown to users: a run that has not ended and that no process drives was interrupted.
    pub fn status(&self) -> &str {
        match (&self.outcome, self.is_owned) {
            (Some(outcome), _) => outcome,
            (None, true) => "running",
            (None, false) => "interrupted",
        }
    }
}

/// Selects rows of the list of runs.
#[derive(Clone, Debug, Default)]
pub struct RunsWanted {
    /// Runs that started before this one.
    pub before: Option<RunId>,
    pub workflow: Option<String>,
    pub target: Option<String>,
    pub requester: Option<String>,
    /// A part of an id, or of the name of a workflow or target.
    pub text: Option<String>,
    /// Runs with this outcome; runs that have not ended, or wait for a person, are always included.
    pub outcome: Option<String>,
    pub limit: usize,
}

/// A lock that is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldLock {
    pub name: String,
    pub run: RunId,
    pub since: Timestamp,
}

impl Journal {
    /// Lists the runs that have events but no row, so that [`Journal::runs`] does not list them: something else than Windlass has
    /// deleted their rows.
    pub fn unlisted(&self) -> Result<Vec<RunId>, JournalError> {
        let database = self.inner.database();
        // One search for each run, instead of a look at each event.
        let mut next = database.prepare_cached("SELECT min(run) FROM events WHERE run > ?")?;
        let mut listed =
            database.prepare_cached("SELECT EXISTS (SELECT 1 FROM runs WHERE id = ?)")?;
        let (mut unlisted, mut last) = (Vec::new(), String::new());
        while let Some(run) = next.query_row([&last], |row| row.get::<_, Option<String>>(0))? {
            if !listed.query_row([&run], |row| row.get::<_, bool>(0))? {
                unlisted.push(RunId::stored(run.clone()));
            }
            last = run;
        }
        Ok(unlisted)
    }

    /// Lists the runs, the newest first.
    pub fn runs(&self) -> Result<Vec<RunRow>, JournalError> {
        let mut runs = {
            let database = self.inner.database();
            let columns = RunRow::COLUMNS;
            let mut statement =
                database.prepare_cached(&format!("SELECT {columns} FROM runs ORDER BY id DESC"))?;
            let rows = statement.query_map([], RunRow::read)?;
            rows.collect::<Result<Vec<_>, _>>()?
        };
        self.mark_owned(&mut runs)?;
        Ok(runs)
    }

    /// Marks the runs that a process drives, of those that have not ended.
    fn mark_owned<'r>(
        &self,
        runs: impl IntoIterator<Item = &'r mut RunRow>,
    ) -> Result<(), JournalError> {
        for run in runs.into_iter().filter(|run| run.outcome.is_none()) {
            run.is_owned = RunLock::is_taken(&self.inner.state, &run.id)?;
        }
        Ok(())
    }

    /// Returns the run's status as a list shows it.
    ///
    /// # Errors
    /// What the database says.
    pub fn status_of(&self, run: &RunId) -> Result<String, JournalError> {
        let row = {
            let database = self.inner.database();
            let columns = RunRow::COLUMNS;
            let mut statement =
                database.prepare_cached(&format!("SELECT {columns} FROM runs WHERE id = ?"))?;
            statement
                .query_row([run.as_str()], RunRow::read)
                .optional()?
        };
        let Some(mut row) = row else {
            return Ok("unknown".into());
        };
        self.mark_owned([&mut row])?;
        Ok(row.status().to_owned())
    }

    /// Lists the runs, each with a text that changes whenever the run gets an event.
    ///
    /// # Errors
    /// What the database says.
    pub fn stamps(&self) -> Result<Vec<(RunId, String)>, JournalError> {
        let database = self.inner.database();
        let mut statement = database.prepare_cached("SELECT id, events, head FROM runs")?;
        let rows = statement.query_map([], |row| {
            let (events, head): (u64, [u8; 32]) = (row.get(1)?, row.get(2)?);
            let head = Digest::from_bytes(head);
            Ok((RunId::stored(row.get(0)?), format!("{events} {head}")))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Finds the run that a user means by an unambiguous part of its id, or the newest one.
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
            [] => {
                drop(statement);
                drop(database);
                let run = RunId::stored(part.to_owned());
                Err(self
                    .refuse_pruned(&run)?
                    .unwrap_or(JournalError::NoRun(part.into())))
            }
            [first, ..] if found.len() == 1 || first == part => Ok(RunId::stored(first.clone())),
            several => Err(JournalError::Ambiguous(part.into(), several.join(", "))),
        }
    }

    /// Lists runs, newest first, each with a text that changes whenever the run gets an event. The cost depends on the number of returned runs,
    /// apart from a scan of the rows that a filter excludes.
    ///
    /// # Errors
    /// An error of the database, or of locks that can't be checked.
    pub fn list_runs(&self, wanted: &RunsWanted) -> Result<Vec<(RunRow, String)>, JournalError> {
        let mut runs = {
            let database = self.inner.database();
            let mut statement = database.prepare_cached(&format!(
                "SELECT {}, events, head FROM runs
                 WHERE id < ?1 AND (?2 IS NULL OR workflow = ?2) AND (?3 IS NULL OR target = ?3)
                   AND (?4 IS NULL OR ifnull(requester, '') = ?4)
                   AND (?5 IS NULL OR instr(id, ?5) OR instr(workflow, ?5) OR instr(target, ?5))
                   AND (?6 IS NULL OR status IS NULL OR status IN (?6, 'waiting'))
                 ORDER BY id DESC LIMIT ?7",
                RunRow::COLUMNS
            ))?;
            let before = wanted.before.as_ref().map_or(AFTER_ALL, RunId::as_str);
            let limit = i64::try_from(wanted.limit).unwrap_or(i64::MAX);
            let rows = statement.query_map(
                params![
                    before,
                    wanted.workflow,
                    wanted.target,
                    wanted.requester,
                    wanted.text,
                    wanted.outcome,
                    limit
                ],
                |row| {
                    let (events, head): (Option<u64>, Option<[u8; 32]>) =
                        (row.get(8)?, row.get(9)?);
                    let head = Digest::from_bytes(head.unwrap_or_default());
                    let run = RunRow::read(row)?;
                    Ok((run, format!("{} {head}", events.unwrap_or_default())))
                },
            )?;
            rows.collect::<Result<Vec<_>, _>>()?
        };
        self.mark_owned(runs.iter_mut().map(|(run, _)| run))?;
        Ok(runs)
    }

    /// Returns the digest of a stored event, if there is one.
    ///
    /// # Errors
    /// What the database says.
    pub fn digest_of(&self, run: &RunId, seq: u64) -> Result<Option<Digest>, JournalError> {
        let database = self.inner.database();
        let found = database.query_row(
            "SELECT digest FROM events WHERE run = ? AND seq = ?",
            params![run.as_str(), seq],
            |row| row.get(0).map(Digest::from_bytes),
        );
        Ok(found.optional()?)
    }

    /// Lists the locks that are held, by name.
    ///
    /// # Errors
    /// What the database says.
    pub fn held_locks(&self) -> Result<Vec<HeldLock>, JournalError> {
        let database = self.inner.database();
        let mut statement =
            database.prepare_cached("SELECT name, run, since FROM locks ORDER BY name")?;
        let rows = statement.query_map([], |row| {
            Ok(HeldLock {
                name: row.get(0)?,
                run: RunId::stored(row.get(1)?),
                since: row.get(2)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
