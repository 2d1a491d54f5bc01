use std::{
    collections::BTreeSet,
    fmt,
    path::Path,
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::remembered::REMEMBERED;
use windlass_ground::{Durability, Timestamp, lock, open_database};
use windlass_runs::{RunsError, SeenStart, SeenTrigger};

/// How long the outcome of a start is remembered: longer than the validity of a certificate that is renewed.
const KEPT: Duration = Duration::from_hours(800 * 24);

/// Deletes the starts that wait, with those that they replaced. What was replaced before the last start was made is what that start was for.
pub(super) const FORGET_WAITING: &str = "DELETE FROM trigger_starts AS old WHERE (state = 'waiting' OR state = 'replaced' AND at > coalesce(
    (SELECT max(made.at) FROM trigger_starts AS made
     WHERE made.workflow = old.workflow AND made.trigger = old.trigger AND made.state = 'started'), 0))";

/// The name of a trigger: `WORKFLOW/TRIGGER`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TriggerKey {
    /// The name of the workflow's file.
    pub workflow: String,
    pub trigger: String,
}

impl TriggerKey {
    /// Parses `WORKFLOW/TRIGGER`.
    pub fn parse(text: &str) -> Option<Self> {
        let (workflow, trigger) = text.split_once('/')?;
        let is_whole = !workflow.is_empty() && !trigger.is_empty() && !trigger.contains('/');
        is_whole.then(|| Self {
            workflow: workflow.to_owned(),
            trigger: trigger.to_owned(),
        })
    }
}

impl fmt::Display for TriggerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.workflow, self.trigger)
    }
}

/// Records the starts that were due, and their outcomes. Each method returns after its changes are on disk.
pub struct TriggerBook {
    database: Mutex<Connection>,
}

/// The record of a trigger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The trigger's definition when it was last checked.
    pub definition: String,
    /// The time up to which its schedule has been checked.
    pub reached: Timestamp,
    pub paused: Option<Paused>,
}

/// Who paused a trigger, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paused {
    pub by: String,
    pub at: Timestamp,
}

/// A start that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    pub key: TriggerKey,
    /// When it was due.
    pub due: Timestamp,
    /// Whether no server ran at that time, so that it is made later.
    pub is_late: bool,
    /// How many earlier missed starts it replaces.
    pub missed: u32,
    pub attempts: u32,
    /// When the next attempt to start it is made.
    pub next_at: Timestamp,
    /// The reason why it has not been made.
    pub why: Option<String>,
}

/// A start that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    pub due: Timestamp,
    pub at: Timestamp,
    pub is_late: bool,
    /// `None` if an earlier process started it, and the workflow has changed since.
    pub run: Option<String>,
}

impl TriggerBook {
    /// Opens the book of an existing state folder.
    pub fn open(state: &Path) -> Result<Self, RunsError> {
        let database = open_database(&state.join("serve.db"), Durability::Machine)?;
        Self::of(database)
    }

    /// Creates a book in memory, for a place where no server has run.
    ///
    /// # Errors
    /// There is no memory.
    pub fn empty() -> Result<Self, RunsError> {
        Self::of(Connection::open_in_memory()?)
    }

    /// Says whether a state folder has a book.
    pub fn is_in(state: &Path) -> bool {
        state.join("serve.db").exists()
    }

    fn of(database: Connection) -> Result<Self, RunsError> {
        database.execute_batch(REMEMBERED)?;
        database.execute_batch(
            "CREATE TABLE IF NOT EXISTS triggers (
                 workflow TEXT NOT NULL, trigger TEXT NOT NULL, definition TEXT NOT NULL, reached INTEGER NOT NULL,
                 paused_by TEXT, paused_at INTEGER, PRIMARY KEY (workflow, trigger)
             ) STRICT;
             CREATE TABLE IF NOT EXISTS trigger_starts (
                 workflow TEXT NOT NULL, trigger TEXT NOT NULL, due INTEGER NOT NULL, state TEXT NOT NULL,
                 at INTEGER NOT NULL, is_late INTEGER NOT NULL, missed INTEGER NOT NULL,
                 attempts INTEGER NOT NULL DEFAULT 0, next_at INTEGER NOT NULL DEFAULT 0, run TEXT, why TEXT,
                 PRIMARY KEY (workflow, trigger, due)
             ) STRICT;
             CREATE INDEX IF NOT EXISTS trigger_starts_waiting ON trigger_starts (state) WHERE state = 'waiting';",
        )?;
        Ok(Self {
            database: Mutex::new(database),
        })
    }

    pub fn known(&self, key: &TriggerKey) -> Result<Option<Known>, RunsError> {
        let known = self
            .database()
            .query_row(
                "SELECT definition, reached, paused_by, paused_at FROM triggers WHERE workflow = ? AND trigger = ?",
                [&key.workflow, &key.trigger],
                |row| {
                    let by: Option<String> = row.get(2)?;
                    let at: Option<Timestamp> = row.get(3)?;
                    Ok(Known {
                        definition: row.get(0)?,
                        reached: row.get(1)?,
                        paused: by.zip(at).map(|(by, at)| Paused { by, at }),
                    })
                },
            )
            .optional()?;
        Ok(known)
    }

    /// Begins to check a trigger, or a new definition of it: nothing before `at` is due. A pause stays in force.
    pub fn begin(
        &self,
        key: &TriggerKey,
        definition: &str,
        at: Timestamp,
    ) -> Result<(), RunsError> {
        self.database().execute(
            "INSERT INTO triggers (workflow, trigger, definition, reached) VALUES (?, ?, ?, ?)
             ON CONFLICT DO UPDATE SET definition = excluded.definition, reached = excluded.reached",
            params![key.workflow, key.trigger, definition, at],
        )?;
        Ok(())
    }

    /// Adopts what other servers have recorded about a trigger. Returns whether they have made a start that this book lacked.
    pub fn adopt(&self, key: &TriggerKey, mark: &SeenTrigger) -> Result<bool, RunsError> {
        let (by, at) = mark.paused.clone().unzip();
        self.database().execute(
            "INSERT INTO triggers (workflow, trigger, definition, reached, paused_by, paused_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT DO UPDATE SET reached = CASE WHEN definition = ?3 THEN max(reached, ?4) ELSE ?4 END,
                 definition = ?3, paused_by = ?5, paused_at = ?6",
            params![key.workflow, key.trigger, mark.definition, mark.reached, by, at],
        )?;
        if let Some(SeenStart {
            due,
            at,
            is_late,
            run,
        }) = &mark.last
        {
            let added = self.database().execute(
                "INSERT INTO trigger_starts (workflow, trigger, due, state, at, is_late, missed, run)
                 VALUES (?, ?, ?, 'started', ?, ?, 0, ?) ON CONFLICT DO NOTHING",
                params![key.workflow, key.trigger, due, at, is_late, run],
            )?;
            return Ok(added > 0);
        }
        Ok(false)
    }

    /// Records up to when a schedule has been checked, and drops waiting starts, which are no longer wanted.
    pub fn pass(&self, key: &TriggerKey, reached: Timestamp) -> Result<(), RunsError> {
        let mut database = self.database();
        let all = database.transaction()?;
        all.execute(
            "UPDATE triggers SET reached = max(reached, ?3) WHERE workflow = ?1 AND trigger = ?2",
            params![key.workflow, key.trigger, reached],
        )?;
        all.execute(
            "UPDATE trigger_starts SET state = 'skipped', why = 'paused' WHERE workflow = ? AND trigger = ? AND state = 'waiting'",
            [&key.workflow, &key.trigger],
        )?;
        Ok(all.commit()?)
    }

    /// Drops the waiting start of a trigger as if its certificates had not become due yet.
    pub fn forget_waiting(&self, key: &TriggerKey) -> Result<(), RunsError> {
        let sql = format!("{FORGET_WAITING} AND workflow = ? AND trigger = ?");
        self.database()
            .execute(&sql, [&key.workflow, &key.trigger])?;
        Ok(())
    }

    /// Corrects what was recorded while the clock was ahead: up to when a trigger has been checked, and when its starts were made.
    pub fn turn_back(&self, key: &TriggerKey, now: Timestamp) -> Result<(), RunsError> {
        let mut database = self.database();
        let all = database.transaction()?;
        all.execute(
            "UPDATE triggers SET reached = min(reached, ?3) WHERE workflow = ?1 AND trigger = ?2",
            params![key.workflow, key.trigger, now],
        )?;
        all.execute(
            "UPDATE trigger_starts SET at = min(at, ?3) WHERE workflow = ?1 AND trigger = ?2",
            params![key.workflow, key.trigger, now],
        )?;
        Ok(all.commit()?)
    }

    /// Stops a trigger from starting anything.
    pub fn pause(&self, key: &TriggerKey, by: &str, at: Timestamp) -> Result<(), RunsError> {
        self.database().execute(
            "INSERT INTO triggers (workflow, trigger, definition, reached, paused_by, paused_at) VALUES (?1, ?2, '', ?4, ?3, ?4)
             ON CONFLICT DO UPDATE SET paused_by = coalesce(paused_by, excluded.paused_by), paused_at = coalesce(paused_at, excluded.paused_at)",
            params![key.workflow, key.trigger, by, at],
        )?;
        Ok(())
    }

    /// Lets a trigger start its workflow again; starts that were due while it was paused are not made later.
    pub fn resume(&self, key: &TriggerKey, at: Timestamp) -> Result<(), RunsError> {
        self.database().execute(
            "UPDATE triggers SET reached = max(reached, ?3), paused_by = NULL, paused_at = NULL
             WHERE workflow = ?1 AND trigger = ?2 AND paused_by IS NOT NULL",
            params![key.workflow, key.trigger, at],
        )?;
        Ok(())
    }

    /// Records that a start is due, that it replaces a start that still waits, and up to when the schedule has been checked.
    /// Starts that have been handled already do not change.
    pub fn want(&self, due: &Due, also: &[Timestamp], at: Timestamp) -> Result<(), RunsError> {
        self.came_due(due, also, at, "waiting", None)
    }

    /// Records that a start was missed and is not made later.
    pub fn skip(&self, due: &Due, at: Timestamp) -> Result<(), RunsError> {
        self.came_due(
            due,
            &[],
            at,
            "skipped",
            Some("missed because no server ran"),
        )
    }

    fn came_due(
        &self,
        due: &Due,
        also: &[Timestamp],
        at: Timestamp,
        state: &str,
        why: Option<&str>,
    ) -> Result<(), RunsError> {
        let TriggerKey { workflow, trigger } = &due.key;
        let mut database = self.database();
        let all = database.transaction()?;
        // One that is skipped replaces nothing: otherwise neither would be made. One that replaces another takes over what that one
        // waits for, of which people have been told.
        let mut before: Option<(u32, Option<String>)> = None;
        if state == "waiting" {
            before = all
                .query_row(
                    "SELECT attempts, why FROM trigger_starts WHERE workflow = ? AND trigger = ? AND state = 'waiting' AND due <> ?",
                    params![workflow, trigger, due.due],
                    |row| Ok((row.get(0)?, row.get(1)?)),
                )
                .optional()?;
            all.execute(
                "UPDATE trigger_starts SET state = 'replaced' WHERE workflow = ? AND trigger = ? AND state = 'waiting' AND due <> ?",
                params![workflow, trigger, due.due],
            )?;
        }
        let mut insert = all.prepare(
            "INSERT INTO trigger_starts (workflow, trigger, due, state, at, is_late, missed, why)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        )?;
        for other in also {
            insert.execute(params![
                workflow,
                trigger,
                other,
                "replaced",
                at,
                due.is_late,
                0,
                None::<&str>
            ])?;
        }
        insert.execute(params![
            workflow,
            trigger,
            due.due,
            state,
            at,
            due.is_late,
            due.missed,
            why
        ])?;
        drop(insert);
        if let Some((attempts, why)) = before {
            all.execute(
                "UPDATE trigger_starts SET attempts = ?, why = ? WHERE workflow = ? AND trigger = ? AND due = ? AND state = 'waiting' AND attempts = 0",
                params![attempts, why, workflow, trigger, due.due],
            )?;
        }
        all.execute(
            "UPDATE triggers SET reached = max(reached, ?3) WHERE workflow = ?1 AND trigger = ?2",
            params![workflow, trigger, due.due],
        )?;
        all.execute(
            "DELETE FROM trigger_starts WHERE workflow = ? AND trigger = ? AND due < ? AND state <> 'waiting'",
            params![workflow, trigger, at - KEPT],
        )?;
        Ok(all.commit()?)
    }

    /// Lists the waiting starts, oldest first.
    pub fn waiting(&self) -> Result<Vec<Due>, RunsError> {
        let database = self.database();
        let mut statement = database.prepare_cached(
            "SELECT workflow, trigger, due, is_late, missed, attempts, next_at, why FROM trigger_starts
             WHERE state = 'waiting' ORDER BY due, workflow, trigger",
        )?;
        let rows = statement.query_map([], due_of)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Records the run that was started.
    pub fn started(&self, due: &Due, run: Option<&str>, at: Timestamp) -> Result<(), RunsError> {
        self.database().execute(
            "UPDATE trigger_starts SET state = 'started', run = ?, at = ?, why = NULL
             WHERE workflow = ? AND trigger = ? AND due = ?",
            params![run, at, due.key.workflow, due.key.trigger, due.due],
        )?;
        Ok(())
    }

    /// Records why a start failed, and when it is retried.
    pub fn waits(
        &self,
        due: &Due,
        why: &str,
        attempts: u32,
        next_at: Timestamp,
    ) -> Result<(), RunsError> {
        self.database().execute(
            "UPDATE trigger_starts SET why = ?, attempts = ?, next_at = ? WHERE workflow = ? AND trigger = ? AND due = ?",
            params![why, attempts, next_at, due.key.workflow, due.key.trigger, due.due],
        )?;
        Ok(())
    }

    /// Returns the last start of a trigger.
    pub fn last(&self, key: &TriggerKey) -> Result<Option<Made>, RunsError> {
        let last = self
            .database()
            .query_row(
                "SELECT due, at, is_late, run FROM trigger_starts
                 WHERE workflow = ? AND trigger = ? AND state = 'started' ORDER BY at DESC, due DESC LIMIT 1",
                [&key.workflow, &key.trigger],
                |row| {
                    Ok(Made {
                        due: row.get(0)?,
                        at: row.get(1)?,
                        is_late: row.get(2)?,
                        run: row.get(3)?,
                    })
                },
            )
            .optional()?;
        Ok(last)
    }

    /// Records a start for a request.
    pub fn asked(&self, key: &TriggerKey, run: &str, at: Timestamp) -> Result<(), RunsError> {
        self.database().execute(
            "INSERT INTO trigger_starts (workflow, trigger, due, state, at, is_late, missed, run)
             VALUES (?1, ?2, ?3, 'started', ?3, 0, 0, ?4) ON CONFLICT DO UPDATE SET run = excluded.run",
            params![key.workflow, key.trigger, at, run],
        )?;
        Ok(())
    }

    /// Returns the times at which starts of a trigger were due and have been handled, or are waiting.
    pub fn seen(&self, key: &TriggerKey) -> Result<BTreeSet<Timestamp>, RunsError> {
        let database = self.database();
        let mut statement = database
            .prepare_cached("SELECT due FROM trigger_starts WHERE workflow = ? AND trigger = ?")?;
        let rows = statement.query_map([&key.workflow, &key.trigger], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    pub(super) fn database(&self) -> MutexGuard<'_, Connection> {
        lock(&self.database)
    }
}

fn due_of(row: &Row) -> rusqlite::Result<Due> {
    Ok(Due {
        key: TriggerKey {
            workflow: row.get(0)?,
            trigger: row.get(1)?,
        },
        due: row.get(2)?,
        is_late: row.get(3)?,
        missed: row.get(4)?,
        attempts: row.get(5)?,
        next_at: row.get(6)?,
        why: row.get(7)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skipped_start_leaves_the_one_that_waits() {
        let book = TriggerBook::empty().expect("memory");
        let key = TriggerKey::parse("w/schedule").expect("a key");
        let due = |seconds| Due {
            key: key.clone(),
            due: Timestamp::from_secs(seconds),
            is_late: true,
            missed: 0,
            attempts: 0,
            next_at: Timestamp::EPOCH,
            why: None,
        };
        let waiting = || {
            let waiting = book.waiting().expect("read").into_iter();
            waiting.map(|due| due.due.as_secs()).collect::<Vec<_>>()
        };
        let now = Timestamp::from_secs(9);
        book.want(&due(1), &[], now).expect("written");
        book.skip(&due(2), now).expect("written");
        assert_eq!(waiting(), [1]);
        book.want(&due(3), &[], now).expect("written");
        assert_eq!(waiting(), [3]);
    }
}
