use std::{
    fs::{OpenOptions, Permissions},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use rusqlite::{Connection, ErrorCode, config::DbConfig};

/// How long a statement waits for another process on the same file. Transactions last milliseconds; a wait of this length
/// means that something holds the file.
const BUSY: Duration = Duration::from_secs(60);
/// How soon the switch to the write-ahead log is tried again: it takes about a millisecond.
const AGAIN: Duration = Duration::from_millis(5);

/// What a commit survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// The end of the machine: a commit waits for the disk.
    Machine,
    /// The end of the process, at any moment. A lost machine may forget the last commits.
    Process,
}

/// Opens an SQLite database with a write-ahead log, making it if it is not there, readable by its owner only.
///
/// # Errors
/// A file that can't be opened or written, or that another process has held for a minute.
pub fn open_database(path: &Path, durability: Durability) -> rusqlite::Result<Connection> {
    // SQLite gives its log files the mode of the database, so this covers them all. What fails here fails there as well, with
    // a better reason.
    let _ = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
        .and_then(|file| file.set_permissions(Permissions::from_mode(0o600)));
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY)?;
    // Counts for a new database only: it can give the pages of what is deleted back in small steps.
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    write_ahead(&connection)?;
    let synchronous = match durability {
        Durability::Machine => "FULL",
        Durability::Process => "NORMAL",
    };
    connection.pragma_update(None, "synchronous", synchronous)?;
    // Without it, SQLite prepares a statement anew whenever a parameter of its WHERE changes, in case statistics of the
    // tables favour another plan (`SQLITE_ENABLE_STAT4`). There are no such statistics here.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// Runs a statement without parameters, such as `BEGIN IMMEDIATE`, which the connection prepares once.
///
/// # Errors
/// What SQLite says.
pub fn run_statement(connection: &Connection, statement: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(statement)?.execute([]).map(drop)
}

/// Switches a new database to its write-ahead log. The busy timeout does not cover two processes that do it at once: each
/// holds what the other needs, so one of them tries again.
fn write_ahead(connection: &Connection) -> rusqlite::Result<()> {
    let end = Instant::now() + BUSY;
    loop {
        match connection.pragma_update(None, "journal_mode", "WAL") {
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                    && Instant::now() < end =>
            {
                thread::sleep(AGAIN);
            }
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_may_make_the_same_database_at_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("new.db");
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let database = open_database(&path, Durability::Process).expect("open");
                    let mode: String = database
                        .pragma_query_value(None, "journal_mode", |row| row.get(0))
                        .expect("a mode");
                    assert_eq!(mode, "wal");
                    let vacuum: i64 = database
                        .pragma_query_value(None, "auto_vacuum", |row| row.get(0))
                        .expect("a mode");
                    assert_eq!(vacuum, 2, "incremental");
                });
            }
        });
        let mode = path.metadata().expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
