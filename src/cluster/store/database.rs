use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use rusqlite::Connection;
use windlass_ground::{Durability, open_database};

use super::transaction::Transaction;
use crate::wire::Failure;

const VERSION: i64 = 2;

const SCHEMA: &str = "
    CREATE TABLE object (
        resource TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
        owner TEXT, uid TEXT NOT NULL, json TEXT NOT NULL,
        PRIMARY KEY (resource, namespace, name)) WITHOUT ROWID;
    CREATE INDEX object_owner ON object (owner) WHERE owner IS NOT NULL;
    CREATE TABLE change (
        version INTEGER PRIMARY KEY, resource TEXT NOT NULL, kind TEXT NOT NULL,
        json TEXT NOT NULL, before TEXT);
    CREATE TABLE wake (
        resource TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, at INTEGER NOT NULL,
        PRIMARY KEY (resource, namespace, name)) WITHOUT ROWID;
    CREATE INDEX wake_at ON wake (at);
    CREATE TABLE progress (uid TEXT PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    INSERT INTO setting VALUES ('version', '1'), ('compacted', '0');
";
/// What version 2 adds: the data of controllers from other crates.
const KEPT: &str = "CREATE TABLE kept (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;";

/// Why the state can't be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error("can't use the folder {}", .0.display())]
    Folder(PathBuf, #[source] std::io::Error),
    #[error("can't open the database {}", .0.display())]
    Database(PathBuf, #[source] rusqlite::Error),
    #[error("the database {} has version {found}, but this program needs version {known}", .path.display())]
    Version {
        path: PathBuf,
        found: i64,
        known: i64,
    },
}

/// The state of a folder. Several servers may serve it at the same time.
pub(crate) struct Store {
    connection: Mutex<Connection>,
    /// How many changes are kept for watches.
    window: u32,
    /// The resources whose changes controllers from other crates receive.
    watched: &'static [&'static str],
}

impl Store {
    /// Opens the folder's database, and creates both if they do not exist.
    pub fn open(
        folder: &Path,
        window: u32,
        watched: &'static [&'static str],
    ) -> Result<Self, StoreError> {
        let unusable = |error| StoreError::Folder(folder.to_owned(), error);
        windlass_ground::disk::create_folders(folder, 0o700).map_err(unusable)?;
        let path = folder.join("cluster.db");
        let failed = |error| StoreError::Database(path.clone(), error);
        // A write that was answered survives a crash of the server; the last writes may be lost if the machine crashes,
        // which is enough for a rehearsal.
        let mut connection = open_database(&path, Durability::Process).map_err(failed)?;
        match prepare(&mut connection).map_err(failed)? {
            VERSION => Ok(Self {
                connection: Mutex::new(connection),
                window,
                watched,
            }),
            found => Err(StoreError::Version {
                path,
                found,
                known: VERSION,
            }),
        }
    }

    /// Runs `work` in one transaction, and undoes all of it if it fails. Blocks: never call it on an async thread.
    pub fn write<T>(
        &self,
        work: impl FnOnce(&Transaction) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.transact("BEGIN IMMEDIATE", work)
    }

    /// Works as [`write`](Self::write), but only reads; `work` sees a single state.
    pub fn read<T>(
        &self,
        work: impl FnOnce(&Transaction) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.transact("BEGIN DEFERRED", work)
    }

    fn transact<T>(
        &self,
        begin: &str,
        work: impl FnOnce(&Transaction) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let connection = self
            .connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if !connection.is_autocommit() {
            // A panic left the transaction open.
            connection.execute_batch("ROLLBACK")?;
        }
        connection.execute_batch(begin)?;
        let done = work(&Transaction::new(&connection, self.window, self.watched));
        match &done {
            Ok(_) => connection.execute_batch("COMMIT")?,
            Err(_) => connection.execute_batch("ROLLBACK")?,
        }
        done
    }
}

fn prepare(connection: &mut Connection) -> rusqlite::Result<i64> {
    let transaction =
        connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let found: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if !(0..VERSION).contains(&found) {
        return Ok(found);
    }
    if found == 0 {
        transaction.execute_batch(SCHEMA)?;
    }
    transaction.execute_batch(KEPT)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()?;
    Ok(VERSION)
}
