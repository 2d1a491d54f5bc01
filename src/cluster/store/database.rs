use std::{path::Path, sync::Mutex};

use rusqlite::Connection;
use windlass_ground::{Durability, StoreError, lock, open_store};

use super::transaction::Transaction;
use crate::wire::Failure;

const VERSION: i64 = 3;

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
/// What version 3 adds: the owners of objects that are not their controllers, and the objects that a controller may adopt.
const OWNERS: &str = "
    CREATE TABLE dependent (
        owner TEXT NOT NULL, resource TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
        PRIMARY KEY (owner, resource, namespace, name)) WITHOUT ROWID;
    INSERT OR IGNORE INTO dependent
        SELECT reference.value ->> 'uid', object.resource, object.namespace, object.name
        FROM object, json_each(object.json, '$.metadata.ownerReferences') AS reference
        WHERE reference.value ->> 'uid' IS NOT NULL AND reference.value ->> 'uid' IS NOT object.owner;
    CREATE INDEX object_orphan ON object (resource, namespace)
        WHERE owner IS NULL
        AND resource IN ('controllerrevisions.apps', 'pods', 'replicasets.apps');
";

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
        // A write that was answered survives a crash of the server; the last writes may be lost if the machine crashes,
        // which is enough for a rehearsal.
        let connection = open_store(folder, "cluster.db", Durability::Process, VERSION, upgrade)?;
        Ok(Self {
            connection: Mutex::new(connection),
            window,
            watched,
        })
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
        let connection = lock(&self.connection);
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

/// Brings an empty or older database to this version.
fn upgrade(connection: &Connection, found: i64) -> rusqlite::Result<()> {
    if found == 0 {
        connection.execute_batch(SCHEMA)?;
    }
    if found < 2 {
        connection.execute_batch(KEPT)?;
    }
    connection.execute_batch(OWNERS)
}
