use std::{
    fs::{self, OpenOptions, Permissions},
    io,
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
    sync::{Mutex, OnceLock},
    thread,
    time::{Duration, Instant},
};

use rusqlite::{Connection, ErrorCode, TransactionBehavior, config::DbConfig};

use crate::{disk, mutex::lock};

/// How long a statement waits for another process that holds the file. Transactions take milliseconds; a longer wait means
/// that a process keeps the file locked.
const BUSY: Duration = Duration::from_secs(60);
/// How long to wait before the switch to the write-ahead log is tried again. The switch takes about a millisecond.
const AGAIN: Duration = Duration::from_millis(5);

/// What a committed transaction survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// A crash or power loss of the machine: a commit waits for the disk.
    Machine,
    /// A crash of the process, at any moment. If the machine crashes, the last commits may be lost.
    Process,
}

/// Opens an SQLite database with a write-ahead log, and creates it if it does not exist. Only its owner can read it.
///
/// Its transactions wait at their start for other writers, unless they say that they only read (`Deferred`). One that begins as a reader can't wait for them later: SQLite refuses its
/// first write immediately if another connection has written since (`SQLITE_BUSY_SNAPSHOT`).
///
/// # Errors
/// The file can't be opened or written, or another process has held it for a minute.
pub fn open_database(path: &Path, durability: Durability) -> rusqlite::Result<Connection> {
    create_private(path);
    let mut connection = Connection::open(path)?;
    connection.busy_timeout(BUSY)?;
    connection.set_transaction_behavior(TransactionBehavior::Immediate);
    configure(&connection)?;
    let synchronous = match durability {
        Durability::Machine => "FULL",
        Durability::Process => "NORMAL",
    };
    connection.pragma_update(None, "synchronous", synchronous)?;
    // Without it, SQLite prepares a statement again whenever a parameter of its WHERE clause changes, in case the statistics
    // of the tables favour another plan (`SQLITE_ENABLE_STAT4`). These databases have no such statistics.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// Sets what a database keeps in its file: pages of deleted rows can be freed in small steps (this takes effect in a new database only),
/// and there is a write-ahead log.
fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    write_ahead(connection)
}

/// Creates an empty database that only its owner can read, or removes the access of others from an existing file. SQLite gives
/// its log files the mode of the database, so this covers them, too. Errors are ignored here: SQLite then fails to open the
/// file, and reports a better reason.
///
/// A new database is written as a whole and synced once. SQLite itself waits for the disk eight times to configure one.
///
/// An existing file is never opened here: when any descriptor of a file is closed, the process loses all its locks on that
/// file (POSIX), including those of an SQLite connection. Another process could then assume that it is the last user, and
/// delete the log that this process still writes to. (Newer versions of SQLite also check the locks of the `-shm` file;
/// older ones do not.)
fn create_private(path: &Path) {
    // Nobody opens the file before the descriptor that wrote it is closed.
    static CREATING: Mutex<()> = Mutex::new(());
    let _one = lock(&CREATING);
    if path.exists() {
        let _ = fs::set_permissions(path, Permissions::from_mode(0o600));
        return;
    }
    let made = empty(disk::parent(path)).and_then(|content| disk::write_new_private(path, content));
    if made.is_err() {
        let mut private = OpenOptions::new();
        let _ = private.create_new(true).write(true).mode(0o600).open(path);
    }
}

/// Returns the content of an empty, configured database, which is made in a temporary folder within `folder` the first time.
fn empty(folder: &Path) -> io::Result<&'static [u8]> {
    static EMPTY: OnceLock<Vec<u8>> = OnceLock::new();
    if let Some(known) = EMPTY.get() {
        return Ok(known);
    }
    let folder = tempfile::Builder::new()
        .prefix(".")
        .suffix(".draft")
        .tempdir_in(folder)?;
    let path = folder.path().join("empty.db");
    let made = Connection::open(&path).and_then(|connection| {
        connection.pragma_update(None, "synchronous", "OFF")?;
        configure(&connection)?;
        connection.close().map_err(|(_, error)| error)
    });
    made.map_err(io::Error::other)?;
    let content = fs::read(path)?;
    Ok(EMPTY.get_or_init(|| content))
}

/// Runs a statement without parameters, such as `BEGIN IMMEDIATE`. The connection prepares it only once.
///
/// # Errors
/// SQLite can't prepare or run the statement.
pub fn run_statement(connection: &Connection, statement: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(statement)?.execute([]).map(drop)
}

/// Switches a new database to a write-ahead log. The busy timeout does not cover two processes that do this at the same
/// time: each holds what the other needs, so one of them has to try again.
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

    // Reads the locks from Linux itself, since the effect depends on the SQLite version of the other process: a newer
    // version keeps the log, an older one deletes it.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_second_connection_leaves_the_lock_of_the_first() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.db");
        let is_listed = || {
            let inode = format!(":{}", path.metadata().expect("there").ino());
            let mine = process::id().to_string();
            let locks = fs::read_to_string("/proc/locks").expect("the locks");
            locks.lines().any(|lock| {
                let fields: Vec<_> = lock.split_whitespace().collect();
                fields.contains(&mine.as_str()) && fields.iter().any(|it| it.ends_with(&inode))
            })
        };
        // Linux leaves out lines while other processes change the list.
        let locked = || (0..100).any(|_| is_listed());
        let first = open_database(&path, Durability::Process).expect("open");
        first
            .execute_batch("CREATE TABLE t (x INTEGER) STRICT")
            .expect("made");
        assert!(locked(), "a database that is open is locked");
        let _second = open_database(&path, Durability::Process).expect("open");
        assert!(locked(), "the first connection has lost its lock");
    }

    #[test]
    fn a_transaction_that_has_read_can_write() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.db");
        let open = || open_database(&path, Durability::Process).expect("open");
        let (mut first, second) = (open(), open());
        let add = "INSERT INTO t VALUES (1)";
        first
            .execute_batch("CREATE TABLE t (x INTEGER) STRICT")
            .expect("made");
        let transaction = first.transaction().expect("begun");
        let count: i64 = transaction
            .query_row("SELECT count(*) FROM t", [], |row| row.get(0))
            .expect("read");
        assert_eq!(count, 0);
        second.busy_timeout(Duration::ZERO).expect("set");
        let refused = second.execute(add, []).expect_err("another writes");
        assert_eq!(
            refused.sqlite_error_code(),
            Some(ErrorCode::DatabaseBusy),
            "{refused}"
        );
        transaction.execute(add, []).expect("written");
        transaction.commit().expect("committed");
        second.execute(add, []).expect("written");
    }

    #[test]
    fn several_threads_can_create_the_same_database_at_once() {
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
