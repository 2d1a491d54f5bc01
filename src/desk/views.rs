//! Saved views: filters of the list of runs that people saved under a name.

use std::{
    path::Path,
    sync::{Mutex, MutexGuard},
};

use rusqlite::{Connection, params};

use windlass_ground::{Durability, lock, open_database};

/// The largest number of views of a person, and the longest name and query, in bytes.
const MOST: usize = 50;
const LONGEST: usize = 80;
const LONGEST_QUERY: usize = 2000;

/// Stores the views of each person. The server stores them, not the browser, so that a person has them on every machine, and they work
/// without scripts.
pub struct Views {
    database: Mutex<Connection>,
}

/// A filter with a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedView {
    pub name: String,
    /// The query of the address, without `?`.
    pub query: String,
}

impl Views {
    /// Opens the views of a state folder, which must exist.
    ///
    /// # Errors
    /// Returns SQLite's error.
    pub fn open(state: &Path) -> rusqlite::Result<Self> {
        Self::of(open_database(&state.join("serve.db"), Durability::Machine)?)
    }

    fn of(database: Connection) -> rusqlite::Result<Self> {
        database.execute_batch(
            "CREATE TABLE IF NOT EXISTS views (
                 person TEXT NOT NULL, name TEXT NOT NULL, query TEXT NOT NULL, PRIMARY KEY (person, name)
             ) STRICT;",
        )?;
        Ok(Self {
            database: Mutex::new(database),
        })
    }

    /// Lists the views of a person, by name.
    ///
    /// # Errors
    /// Returns SQLite's error.
    pub fn list(&self, person: &str) -> rusqlite::Result<Vec<SavedView>> {
        let database = self.database();
        let mut statement = database
            .prepare_cached("SELECT name, query FROM views WHERE person = ? ORDER BY name")?;
        let rows = statement.query_map([person], |row| {
            Ok(SavedView {
                name: row.get(0)?,
                query: row.get(1)?,
            })
        })?;
        rows.collect()
    }

    /// Saves a view, and replaces one with the same name. Returns `Ok(Err(why))` if the view is not valid.
    ///
    /// # Errors
    /// Returns SQLite's error.
    pub fn save(&self, person: &str, view: &SavedView) -> rusqlite::Result<Result<(), String>> {
        if view.name.is_empty() || view.name.len() > LONGEST {
            return Ok(Err(format!(
                "the name of a view must have 1 to {LONGEST} bytes"
            )));
        }
        if view.query.len() > LONGEST_QUERY {
            return Ok(Err("this filter is too long to be saved".into()));
        }
        let known = self.list(person)?;
        if known.len() >= MOST && known.iter().all(|one| one.name != view.name) {
            return Ok(Err(format!(
                "you already have {MOST} views; delete one of them first"
            )));
        }
        self.database().execute(
            "INSERT INTO views (person, name, query) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET query = excluded.query",
            params![person, view.name, view.query],
        )?;
        Ok(Ok(()))
    }

    /// Deletes a view, if the person has it.
    ///
    /// # Errors
    /// Returns SQLite's error.
    pub fn delete(&self, person: &str, name: &str) -> rusqlite::Result<()> {
        self.database().execute(
            "DELETE FROM views WHERE person = ? AND name = ?",
            [person, name],
        )?;
        Ok(())
    }

    fn database(&self) -> MutexGuard<'_, Connection> {
        lock(&self.database)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_person_has_views_of_their_own() {
        let views = Views::of(Connection::open_in_memory().expect("a database")).expect("made");
        let view = |name: &str, query: &str| SavedView {
            name: name.into(),
            query: query.into(),
        };
        let save = |person, name: &str| {
            let saved = views.save(person, &view(name, "status=failed"));
            saved.expect("written")
        };
        assert_eq!(save("alice", "failed"), Ok(()));
        assert!(save("alice", "").is_err() && save("alice", &"x".repeat(81)).is_err());
        let newer = views.save("alice", &view("failed", "status=waiting"));
        assert_eq!(newer.expect("written"), Ok(()));
        let list = |person| views.list(person).expect("read");
        assert_eq!(list("alice"), [view("failed", "status=waiting")]);
        assert_eq!(list("bob"), []);
        views.delete("bob", "failed").expect("written");
        assert_eq!(list("alice").len(), 1);
        for at in 1..MOST {
            assert_eq!(save("alice", &at.to_string()), Ok(()));
        }
        assert!(save("alice", "one more").is_err());
        assert_eq!(save("alice", "failed"), Ok(()), "it has its place already");
        views.delete("alice", "failed").expect("written");
        assert_eq!(save("alice", "one more"), Ok(()));
    }
}
