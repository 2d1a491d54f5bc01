//! Lists runs and locks from their tables, in the order and number that a page shows.

use rusqlite::{OptionalExtension, params};

use super::{
    error::JournalError,
    id::RunId,
    lock::RunLock,
    store::{Journal, RunRow},
};
use windlass_ground::Timestamp;
use windlass_world::value::Digest;

/// Sorts after every id: ids consist of digits, `-` and lower-case letters.
const AFTER_ALL: &str = "~";

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
    /// Runs with this outcome; runs that have not ended are always included.
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
                   AND (?6 IS NULL OR status IS NULL OR status = ?6)
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
        for (run, _) in runs.iter_mut().filter(|(run, _)| run.outcome.is_none()) {
            run.is_owned = RunLock::is_taken(self.state_folder(), &run.id)?;
        }
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
