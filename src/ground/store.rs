use std::{
    io,
    path::{Path, PathBuf},
};

use rusqlite::Connection;

use crate::{
    database::{Durability, open_database},
    disk::create_folders,
};

/// Why the database of a server can't be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The folder can't be made or written.
    #[error("can't use the folder {}", .0.display())]
    Folder(PathBuf, #[source] io::Error),
    /// The database in it can't be opened.
    #[error("can't open the database {}", .0.display())]
    Database(PathBuf, #[source] rusqlite::Error),
    /// The database was written by another version.
    #[error("the database {} has version {found}, and this program knows version {known}", .path.display())]
    Version {
        /// The database.
        path: PathBuf,
        /// What it says it is.
        found: i64,
        /// What this program writes.
        known: i64,
    },
}

/// Opens the database `name` of a folder for its owner alone, and makes both if they aren't there. `upgrade` brings a database of an
/// older version to the one that this program knows; a new database has version 0.
///
/// # Errors
/// A folder or database that can't be used, or one of a newer version.
pub fn open_store(
    folder: &Path,
    name: &str,
    durability: Durability,
    known: i64,
    upgrade: impl FnOnce(&Connection, i64) -> rusqlite::Result<()>,
) -> Result<Connection, StoreError> {
    create_folders(folder, 0o700).map_err(|error| StoreError::Folder(folder.to_owned(), error))?;
    let path = folder.join(name);
    let opened = open_database(&path, durability).and_then(|mut connection| {
        let found = prepare(&mut connection, known, upgrade)?;
        Ok((connection, found))
    });
    match opened {
        Err(error) => Err(StoreError::Database(path, error)),
        Ok((connection, found)) if found == known => Ok(connection),
        Ok((_, found)) => Err(StoreError::Version { path, found, known }),
    }
}

/// Returns the version that the database has then.
fn prepare(
    connection: &mut Connection,
    known: i64,
    upgrade: impl FnOnce(&Connection, i64) -> rusqlite::Result<()>,
) -> rusqlite::Result<i64> {
    let transaction = connection.transaction()?;
    let found: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if !(0..known).contains(&found) {
        return Ok(found);
    }
    upgrade(&transaction, found)?;
    transaction.pragma_update(None, "user_version", known)?;
    transaction.commit()?;
    Ok(known)
}
