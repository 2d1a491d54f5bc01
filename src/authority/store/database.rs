//! Opens the database. Reads use a pool of connections, writes go through the writer.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use rusqlite::Connection;
use windlass_ground::{Durability, StoreError, lock, open_database, open_store, run_statement};

use crate::failure::Failure;
use crate::store::schema;
use crate::store::writer::{Coming, Writer};

/// Pages of 4 KiB that the write-ahead log may have before they are copied into the database: four times SQLite's own limit, so
/// that a page which many transactions change is copied less often. The log then takes some 16 MB.
const CHECKPOINT: u32 = 4000;

const NAME: &str = "authority.db";

/// The state of a folder.
pub(crate) struct Store {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    writer: Writer,
}

/// Returns whether a folder has a state.
pub(crate) fn is_there(folder: &Path) -> bool {
    folder.join(NAME).exists()
}

impl Store {
    /// Opens the folder's database, and creates both if they do not exist.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let connection = open_store(
            folder,
            NAME,
            Durability::Machine,
            schema::VERSION,
            schema::upgrade,
        )?;
        let path = folder.join(NAME);
        configure(&connection).map_err(|error| StoreError::Database(path.clone(), error))?;
        Ok(Self {
            path,
            idle: Mutex::new(Vec::new()),
            writer: Writer::start(connection),
        })
    }

    /// Reads the state. Blocks: never call it on an async thread.
    pub fn read<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let idle = self.lock().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => connect(&self.path)?,
        };
        // One transaction, so that several statements see the same state.
        run_statement(&connection, "BEGIN DEFERRED")?;
        let result = work(&connection);
        run_statement(&connection, "ROLLBACK")?;
        self.lock().push(connection);
        result
    }

    /// Writes to the state, and returns once the write is on the disk. All of `work` is undone if it fails. Blocks like
    /// [`read`](Self::read).
    pub fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        self.writer.write(work)
    }

    /// Writes as [`write`](Self::write) does, without waiting: `done` is called after the commit, and must not wait for anything.
    ///
    /// `work` should check before it changes anything: if it fails after that, other writes may fail with it.
    pub fn submit<T: 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
        done: impl FnOnce(Result<T, Failure>) + Send + 'static,
    ) {
        self.writer.submit(work, done);
    }

    /// Announces a write that is being prepared, until what this returns is dropped: others wait for it a little, to share a
    /// commit.
    pub fn coming(&self) -> Coming {
        self.writer.coming()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        lock(&self.idle)
    }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = open_database(path, Durability::Machine)?;
    configure(&connection)?;
    Ok(connection)
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "foreign_keys", true)?;
    // The key of a deleted authority must not remain readable in free pages.
    connection.pragma_update(None, "secure_delete", true)?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT)
}
