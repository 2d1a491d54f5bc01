//! Copies of databases while other connections write to them.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, backup::Backup};

/// How long to wait for another connection that writes to a database before giving up.
const BUSY: Duration = Duration::from_secs(60);

/// A database as it was at one point in time. Other connections can go on writing to it.
pub struct Snapshot {
    reader: Connection,
    pub path: PathBuf,
}

/// Takes snapshots of databases with a write-ahead log, all at the same point in time.
///
/// Nothing can be written to any of the databases while the snapshots are taken. This takes milliseconds, whatever their
/// size.
///
/// # Errors
/// A file is not such a database, or another connection has been writing to it for a minute.
pub fn snapshots(paths: &[PathBuf]) -> rusqlite::Result<Vec<Snapshot>> {
    let mut writers = Vec::with_capacity(paths.len());
    for path in paths {
        let writer = open(path)?;
        writer.execute_batch("BEGIN IMMEDIATE")?;
        writers.push(writer);
    }
    let mut taken = Vec::with_capacity(paths.len());
    for path in paths {
        let reader = open(path)?;
        // A transaction keeps the state that its first read sees.
        reader.execute_batch("BEGIN; SELECT count(*) FROM sqlite_schema")?;
        taken.push(Snapshot {
            reader,
            path: path.clone(),
        });
    }
    // Closing a connection rolls its transaction back.
    drop(writers);
    Ok(taken)
}

impl Snapshot {
    /// Writes the snapshot to a new file, without syncing it.
    ///
    /// # Errors
    /// SQLite can't read the snapshot or write the file.
    pub fn copy_to(&self, path: &Path) -> rusqlite::Result<()> {
        let mut copy = Connection::open(path)?;
        copy.pragma_update(None, "synchronous", "OFF")?;
        let backup = Backup::new(&self.reader, &mut copy)?;
        // Copies all pages in one step: this only reads the snapshot, so it does not block writers.
        backup.run_to_completion(i32::MAX, Duration::ZERO, None)?;
        drop(backup);
        copy.close().map_err(|(_, error)| error)
    }
}

fn open(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    connection.busy_timeout(BUSY)?;
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicBool, Ordering},
        thread,
    };

    use super::*;
    use crate::{Durability, open_database};

    #[test]
    fn snapshots_of_several_databases_show_the_same_point_in_time() {
        let folder = tempfile::tempdir().expect("a folder");
        let paths = ["first.db", "second.db"].map(|name| folder.path().join(name));
        let databases = paths.clone().map(|path| {
            let database = open_database(&path, Durability::Process).expect("opened");
            let table = "CREATE TABLE t (n INTEGER); INSERT INTO t VALUES (0)";
            database.execute_batch(table).expect("made");
            database
        });
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            let is_over = &is_over;
            scope.spawn(move || {
                // The first database is always ahead of the second, by at most one.
                while !is_over.load(Ordering::Relaxed) {
                    for database in &databases {
                        database
                            .execute("UPDATE t SET n = n + 1", [])
                            .expect("written");
                    }
                }
            });
            for round in 0..20 {
                let taken = snapshots(&paths).expect("taken");
                // The snapshots must not change, whatever is written before they are copied.
                thread::sleep(Duration::from_millis(5));
                let numbers: Vec<i64> = taken
                    .iter()
                    .enumerate()
                    .map(|(at, snapshot)| {
                        let copy = folder.path().join(format!("{round}-{at}"));
                        snapshot.copy_to(&copy).expect("copied");
                        let copy = Connection::open(&copy).expect("a database");
                        copy.query_row("SELECT n FROM t", [], |row| row.get(0))
                            .expect("a number")
                    })
                    .collect();
                let ahead = numbers[0] - numbers[1];
                assert!((0..=1).contains(&ahead), "{numbers:?}");
            }
            is_over.store(true, Ordering::Relaxed);
        });
    }

    #[test]
    fn a_file_that_is_not_a_database_is_an_error() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("text.db");
        std::fs::write(&path, "not a database, but long enough to be looked at").expect("written");
        assert!(snapshots(&[path]).is_err());
        assert!(snapshots(&[folder.path().join("absent.db")]).is_err());
    }
}
