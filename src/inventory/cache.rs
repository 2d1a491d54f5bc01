use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt, path::Path, time::Duration};

use rusqlite::{Connection, TransactionBehavior, params};

use super::sighting::Sightings;

/// Goes up whenever the same events give other sightings: what an older Windlass kept is read again.
const VERSION: i64 = 3;

/// The file within the state folder. Deleting it costs time and nothing else.
const FILE: &str = "inventory.db";
/// Another process writes for milliseconds; a look does not wait longer for it.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// What was read of each run, so that it is read again only once the run has more events.
pub struct Cache {
    database: Connection,
}

impl Cache {
    /// Opens the cache of a state folder. `None` where there can be none: then every run is read.
    pub fn open(state: &Path) -> Option<Self> {
        let path = state.join(FILE);
        let database = Connection::open(&path).ok()?;
        // As the journal beside it.
        let _ = fs::set_permissions(&path, fs::Permissions::from_mode(0o600));
        database.busy_timeout(BUSY_TIMEOUT).ok()?;
        let version: i64 = database
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .ok()?;
        if version != VERSION {
            let tables = format!(
                "BEGIN IMMEDIATE; DROP TABLE IF EXISTS runs;
                 CREATE TABLE runs (run TEXT PRIMARY KEY, stamp TEXT NOT NULL, seen TEXT NOT NULL) WITHOUT ROWID;
                 PRAGMA user_version = {VERSION}; COMMIT;"
            );
            database.execute_batch(&tables).ok()?;
        }
        Some(Self { database })
    }

    /// What is known of each run, with the stamp that it had.
    pub fn known(&self) -> BTreeMap<String, (String, Sightings)> {
        let read = || -> rusqlite::Result<Vec<(String, String, String)>> {
            let mut statement = self.database.prepare("SELECT run, stamp, seen FROM runs")?;
            let rows =
                statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
            rows.collect()
        };
        let rows = read().unwrap_or_default();
        let rows = rows.into_iter().filter_map(|(run, stamp, seen)| {
            let seen = serde_json::from_str(&seen).ok()?;
            Some((run, (stamp, seen)))
        });
        rows.collect()
    }

    /// Forgets runs. What stays costs some bytes and nothing else.
    pub fn forget<'a>(&mut self, runs: impl IntoIterator<Item = &'a str>) {
        let write = || -> rusqlite::Result<()> {
            let transaction = self
                .database
                .transaction_with_behavior(TransactionBehavior::Immediate)?;
            for run in runs {
                transaction.execute("DELETE FROM runs WHERE run = ?", [run])?;
            }
            transaction.commit()
        };
        let _ = write();
    }

    /// Keeps what was read of runs, each with its stamp. What can't be kept is read again next time.
    pub fn keep<'a>(&mut self, runs: impl IntoIterator<Item = (&'a str, &'a str, &'a Sightings)>) {
        let write = || -> rusqlite::Result<()> {
            let transaction = self
                .database
                .transaction_with_behavior(TransactionBehavior::Immediate)?;
            for (run, stamp, seen) in runs {
                let seen = serde_json::to_string(seen).unwrap_or_default();
                transaction.execute(
                    "INSERT OR REPLACE INTO runs (run, stamp, seen) VALUES (?, ?, ?)",
                    params![run, stamp, seen],
                )?;
            }
            transaction.commit()
        };
        // There is nothing to do about it: the next look reads the runs again.
        let _ = write();
    }
}
