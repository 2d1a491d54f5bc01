use std::{
    path::Path,
    sync::{Mutex, MutexGuard},
};

use rusqlite::{Connection, OptionalExtension, params};

use super::error::RunsError;
use windlass_ground::{Durability, lock, open_database};
use windlass_journal::RunId;
use windlass_world::value::Digest;

/// The longest idempotency key, in bytes.
pub const MAX_KEY: usize = 255;

/// Records which runs this service drives, and which start belongs to a key. Each method returns after its changes are on disk.
pub struct Book {
    database: Mutex<Connection>,
}

/// The start that belongs to a key.
#[derive(Debug, PartialEq, Eq)]
pub struct Start {
    pub run: RunId,
    /// The digest of the request.
    pub request: Digest,
}

impl Book {
    /// Opens the book of an existing state folder.
    pub fn open(state: &Path) -> Result<Self, RunsError> {
        let database = open_database(&state.join("serve.db"), Durability::Machine)?;
        database.execute_batch(
            "CREATE TABLE IF NOT EXISTS starts (
                 key BLOB PRIMARY KEY, request BLOB NOT NULL, run TEXT NOT NULL
             ) STRICT;
             CREATE TABLE IF NOT EXISTS driven (run TEXT PRIMARY KEY) STRICT;",
        )?;
        Ok(Self {
            database: Mutex::new(database),
        })
    }

    /// Assigns a run to a key, unless the key has one. The recorded request becomes this one: a run that never began has no other request.
    pub fn claim(&self, key: Digest, request: Digest, run: &RunId) -> Result<(), RunsError> {
        self.database().execute(
            "INSERT INTO starts (key, request, run) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET request = excluded.request",
            params![key.as_bytes(), request.as_bytes(), run.as_str()],
        )?;
        Ok(())
    }

    /// Returns the start that belongs to a key, if the key has been used.
    pub fn known(&self, key: Digest) -> Result<Option<Start>, RunsError> {
        let found = self
            .database()
            .query_row(
                "SELECT run, request FROM starts WHERE key = ?",
                [key.as_bytes()],
                |row| {
                    Ok(Start {
                        run: RunId::stored(row.get(0)?),
                        request: Digest::from_bytes(row.get(1)?),
                    })
                },
            )
            .optional()?;
        Ok(found)
    }

    /// Records that this service drives a run until [`Book::done`].
    pub fn drives(&self, run: &RunId) -> Result<(), RunsError> {
        self.database().execute(
            "INSERT INTO driven (run) VALUES (?) ON CONFLICT DO NOTHING",
            [run.as_str()],
        )?;
        Ok(())
    }

    /// Records that a run no longer needs a driver.
    pub fn done(&self, run: &RunId) -> Result<(), RunsError> {
        self.database()
            .execute("DELETE FROM driven WHERE run = ?", [run.as_str()])?;
        Ok(())
    }

    /// Returns the runs that this service was driving when it ended.
    pub fn driven(&self) -> Result<Vec<RunId>, RunsError> {
        let database = self.database();
        let mut statement = database.prepare("SELECT run FROM driven ORDER BY run")?;
        let rows = statement.query_map([], |row| row.get(0).map(RunId::stored))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn database(&self) -> MutexGuard<'_, Connection> {
        lock(&self.database)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_one_run() {
        let state = tempfile::tempdir().expect("a temporary folder");
        let run = |name: &str| RunId::stored(name.into());
        let (key, request) = (Digest::of_content(b"key"), Digest::of_content(b"request"));
        let claim = |name| {
            let book = Book::open(state.path()).expect("opened");
            book.claim(key, request, &run(name)).expect("claimed");
            book.known(key).expect("read").expect("known")
        };
        assert_eq!(claim("a").run, run("a"));
        assert_eq!(claim("b").run, run("a"), "also after a restart");
        let book = Book::open(state.path()).expect("opened");
        book.drives(&run("a")).expect("kept");
        assert_eq!(book.driven().expect("read"), [run("a")]);
        book.done(&run("a")).expect("kept");
        assert_eq!(book.driven().expect("read"), []);
    }
}
