use std::{
    fs::{self, OpenOptions, Permissions},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
    sync::{Mutex, PoisonError},
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
    make_private(path);
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

/// Makes an empty file that only its owner can read, and closes it to others where there is one already. SQLite gives its log
/// files the mode of the database, so this covers them all. What fails here fails when SQLite opens the file, with a better reason.
///
/// A file that is there is never opened: when any descriptor of a file is closed, the process loses all its locks on that file
/// (POSIX), also those of a connection that has it open. Another process may then take itself for the last one, and delete the
/// log that this one goes on writing to (SQLite has come to look at the locks of its `-shm` file too; older ones do not).
fn make_private(path: &Path) {
    static MAKING: Mutex<()> = Mutex::new(());
    let _one = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    let _ = OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(path);
    let _ = fs::set_permissions(path, Permissions::from_mode(0o600));
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
    #[cfg(target_os = "linux")]
    use std::{os::unix::fs::MetadataExt as _, process};

    use super::*;

    // Asks Linux for the locks: a newer SQLite in the other process leaves the log even so, an older one deletes it.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_second_connection_leaves_the_lock_of_the_first() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.db");
        let locked = || {
            let inode = format!(":{}", path.metadata().expect("there").ino());
            let mine = process::id().to_string();
            let locks = fs::read_to_string("/proc/locks").expect("the locks");
            locks.lines().any(|lock| {
                let fields: Vec<_> = lock.split_whitespace().collect();
                fields.contains(&mine.as_str()) && fields.iter().any(|it| it.ends_with(&inode))
            })
        };
        let first = open_database(&path, Durability::Process).expect("open");
        first
            .execute_batch("CREATE TABLE t (x INTEGER) STRICT")
            .expect("made");
        assert!(locked(), "a database that is open is locked");
        let _second = open_database(&path, Durability::Process).expect("open");
        assert!(locked(), "the lock is lost");
    }

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
