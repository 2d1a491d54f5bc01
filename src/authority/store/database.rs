//! Opens the database; reads on a pool of connections, writes through the writer.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use rusqlite::Connection;
use windlass_ground::{Durability, open_database, run_statement};

use crate::failure::Failure;
use crate::store::schema;
use crate::store::writer::{Coming, Writer};

/// Pages of 4 KiB that the write-ahead log may have before they are copied into the database: four times SQLite's own limit.
/// Under load, each page is changed by many transactions, and copied once; a log of 16 MB is read in 20 ms after a crash.
const CHECKPOINT: u32 = 4000;

/// Why the state can't be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error("the folder {} can't be used", .0.display())]
    Folder(PathBuf, #[source] std::io::Error),
    #[error("the database {} can't be opened", .0.display())]
    Database(PathBuf, #[source] rusqlite::Error),
    #[error(
        "the database {} has version {found}, and this program knows version {known}: use the program that wrote it, or another folder",
        .path.display()
    )]
    Version {
        path: PathBuf,
        found: i64,
        known: i64,
    },
}

/// The state of one folder.
pub(crate) struct Store {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    writer: Writer,
}

impl Store {
    /// Opens the folder's database, and makes both if they aren't there.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let unusable = |error| StoreError::Folder(folder.to_owned(), error);
        windlass_ground::disk::create_folders(folder, 0o700).map_err(unusable)?;
        let path = folder.join("authority.db");
        let failed = |error| StoreError::Database(path.clone(), error);
        let mut connection = connect(&path).map_err(failed)?;
        if let Err(found) = schema::prepare(&mut connection).map_err(failed)? {
            let known = schema::VERSION;
            return Err(StoreError::Version { path, found, known });
        }
        Ok(Self {
            path,
            idle: Mutex::new(Vec::new()),
            writer: Writer::start(connection),
        })
    }

    /// Reads. Blocks: never call it on an async thread.
    pub fn read<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let idle = self.lock().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => connect(&self.path)?,
        };
        // One transaction, so that several statements see one state.
        run_statement(&connection, "BEGIN DEFERRED")?;
        let result = work(&connection);
        run_statement(&connection, "ROLLBACK")?;
        self.lock().push(connection);
        result
    }

    /// Writes, and returns once the write is on the disk. All of `work` happens or nothing. Blocks like [`read`](Self::read).
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
        self.idle
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = open_database(path, Durability::Machine)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // A deleted authority's key must not stay readable in free pages.
    connection.pragma_update(None, "secure_delete", true)?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT)?;
    Ok(connection)
}
