use std::{collections::BTreeMap, path::Path};

use rusqlite::{Connection, params};

use super::sighting::Sightings;
use windlass_ground::{Durability, open_database};

/// The version of the cached data. Increase it whenever the same events give other sightings; then all runs are read again.
const VERSION: i64 = 5;

/// The file within the state folder. It can be deleted; then all runs are read again.
const FILE: &str = "inventory.db";

/// A cache of the sightings of each run, so that a run is read again only after it has new events.
pub struct Cache {
    database: Connection,
}

impl Cache {
    /// Opens the cache of a state folder. Returns `None` if it can't be opened; then every run is read.
    pub fn open(state: &Path) -> Option<Self> {
        let database = open_database(&state.join(FILE), Durability::Process).ok()?;
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

    /// Returns the cached sightings of each run, with the stamp that the run had.
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

    /// Removes runs from the cache. Errors are ignored, because rows that stay only take space.
    pub fn forget<'a>(&mut self, runs: impl IntoIterator<Item = &'a str>) {
        let write = || -> rusqlite::Result<()> {
            let transaction = self.database.transaction()?;
            for run in runs {
                transaction.execute("DELETE FROM runs WHERE run = ?", [run])?;
            }
            transaction.commit()
        };
        let _ = write();
    }

    /// Stores the sightings of runs, each with its stamp. Runs that can't be stored are read again next time.
    pub fn keep<'a>(&mut self, runs: impl IntoIterator<Item = (&'a str, &'a str, &'a Sightings)>) {
        let write = || -> rusqlite::Result<()> {
            let transaction = self.database.transaction()?;
            for (run, stamp, seen) in runs {
                let seen = serde_json::to_string(seen).unwrap_or_default();
                transaction.execute(
                    "INSERT OR REPLACE INTO runs (run, stamp, seen) VALUES (?, ?, ?)",
                    params![run, stamp, seen],
                )?;
            }
            transaction.commit()
        };
        // An error is ignored: the next time, the runs are read again.
        let _ = write();
    }
}
