use rusqlite::{Row, params};

use super::{
    book::{FORGET_WAITING, TriggerBook, TriggerKey},
    planted::Planted,
};
use windlass_compile::Occasion;
use windlass_ground::Timestamp;
use windlass_runs::RunsError;

/// The table of the triggers that workflow files had when they could last be read.
pub(super) const REMEMBERED: &str = "CREATE TABLE IF NOT EXISTS trigger_files (
    workflow TEXT NOT NULL, trigger TEXT NOT NULL, name TEXT NOT NULL, target TEXT NOT NULL,
    hook TEXT, trouble TEXT, PRIMARY KEY (workflow, trigger)
) STRICT;";

/// A trigger as its workflow's file had it when it could last be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remembered {
    pub key: TriggerKey,
    /// The `name` in the workflow's file.
    pub name: String,
    pub target: String,
    /// The hook whose requests start it.
    pub hook: Option<String>,
    /// The reason why it starts nothing, as far as people have been told.
    pub trouble: Option<String>,
}

impl Remembered {
    pub(super) fn of(one: &Planted) -> Self {
        Self {
            key: one.key(),
            name: one.program.name.clone(),
            target: one.trigger.target.clone(),
            hook: match &one.trigger.occasion {
                Occasion::Webhook(hook) => Some(hook.clone()),
                _ => None,
            },
            trouble: None,
        }
    }

    fn read(row: &Row) -> rusqlite::Result<Self> {
        Ok(Self {
            key: TriggerKey {
                workflow: row.get(0)?,
                trigger: row.get(1)?,
            },
            name: row.get(2)?,
            target: row.get(3)?,
            hook: row.get(4)?,
            trouble: row.get(5)?,
        })
    }
}

impl TriggerBook {
    /// Remembers triggers whose files can be read.
    pub fn remember(&self, planted: &[Planted]) -> Result<(), RunsError> {
        let known = self.remembered()?;
        let found = planted.iter().map(Remembered::of);
        let mut database = self.database();
        let all = database.transaction()?;
        for one in found.filter(|one| !known.contains(one)) {
            all.execute(
                "INSERT OR REPLACE INTO trigger_files (workflow, trigger, name, target, hook) VALUES (?, ?, ?, ?, ?)",
                params![one.key.workflow, one.key.trigger, one.name, one.target, one.hook],
            )?;
        }
        Ok(all.commit()?)
    }

    /// Lists the remembered triggers, by name.
    pub fn remembered(&self) -> Result<Vec<Remembered>, RunsError> {
        let database = self.database();
        let mut statement = database.prepare_cached(
            "SELECT workflow, trigger, name, target, hook, trouble FROM trigger_files ORDER BY workflow, trigger",
        )?;
        let rows = statement.query_map([], Remembered::read)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Records that people have been told why a trigger starts nothing.
    pub fn told(&self, key: &TriggerKey, trouble: &str) -> Result<(), RunsError> {
        self.database().execute(
            "UPDATE trigger_files SET trouble = ?3 WHERE workflow = ?1 AND trigger = ?2",
            params![key.workflow, key.trigger, trouble],
        )?;
        Ok(())
    }

    /// Forgets a trigger that no file has any more: if a file has it again, nothing from before then is due. A pause stays in force.
    pub fn forget(&self, key: &TriggerKey) -> Result<(), RunsError> {
        let mut database = self.database();
        let all = database.transaction()?;
        let forget_waiting = format!("{FORGET_WAITING} AND workflow = ? AND trigger = ?");
        for sql in [
            "DELETE FROM trigger_files WHERE workflow = ? AND trigger = ?",
            "UPDATE triggers SET definition = '' WHERE workflow = ? AND trigger = ?",
            &forget_waiting,
        ] {
            all.execute(sql, [&key.workflow, &key.trigger])?;
        }
        Ok(all.commit()?)
    }

    /// Leaves out the starts that were due before `at`. A certificate that is due then is due still. Returns how many triggers there are.
    pub fn leave_missed(&self, at: Timestamp) -> Result<usize, RunsError> {
        let mut database = self.database();
        let all = database.transaction()?;
        let count = all.execute("UPDATE triggers SET reached = max(reached, ?)", [at])?;
        all.execute(FORGET_WAITING, [])?;
        all.commit()?;
        Ok(count)
    }
}
