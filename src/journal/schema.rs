//! Creates the tables of the journal, and upgrades older ones.

use rusqlite::{Connection, Transaction, params};

use super::{chain, error::JournalError, id::RunId};
use windlass_ground::Timestamp;
use windlass_world::value::Digest;

/// Increases with every change of the tables or of their contents.
///
/// 1: the first version. 2: the chain represents secrets by their digests; a run's files have editions; messages and
/// locks. 3: the chain begins with the run's id; a run records how many events it has, the digest of the last one, and
/// who started it.
const VERSION: i64 = 3;

const TABLES: &str = "
    CREATE TABLE runs (
        id TEXT PRIMARY KEY, workflow TEXT NOT NULL, file TEXT NOT NULL, target TEXT NOT NULL,
        started_at INTEGER NOT NULL, ended_at INTEGER, status TEXT
    ) WITHOUT ROWID;
    CREATE TABLE events (
        run TEXT NOT NULL, seq INTEGER NOT NULL, at INTEGER NOT NULL,
        body TEXT NOT NULL, digest BLOB NOT NULL, PRIMARY KEY (run, seq)
    ) WITHOUT ROWID;
    CREATE TABLE files (digest BLOB PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID;";

/// What version 2 added or changed.
const TABLES_OF_2: &str = "
    CREATE TABLE run_files (
        run TEXT NOT NULL, edition INTEGER NOT NULL, path TEXT NOT NULL, digest BLOB NOT NULL,
        PRIMARY KEY (run, edition, path)
    ) WITHOUT ROWID;
    CREATE TABLE messages (
        id INTEGER PRIMARY KEY AUTOINCREMENT, run TEXT NOT NULL, at INTEGER NOT NULL, body TEXT NOT NULL
    );
    CREATE TABLE locks (
        name TEXT PRIMARY KEY, run TEXT NOT NULL, holder TEXT NOT NULL, since INTEGER NOT NULL
    ) WITHOUT ROWID;";

/// What version 3 added.
const COLUMNS_OF_3: &str = "
    ALTER TABLE runs ADD COLUMN requester TEXT;
    ALTER TABLE runs ADD COLUMN events INTEGER;
    ALTER TABLE runs ADD COLUMN head BLOB;";

/// Creates the tables, or upgrades those of an older version, all or nothing.
///
/// # Errors
/// A newer version, a chain that is broken already, or an error of SQLite.
pub(super) fn prepare(database: &mut Connection) -> Result<(), JournalError> {
    if version(database)? == VERSION {
        return Ok(());
    }
    let transaction = database.transaction()?;
    // Another process may have upgraded it meanwhile.
    match version(&transaction)? {
        VERSION => return Ok(()),
        0 => {
            transaction.execute_batch(TABLES)?;
            transaction.execute_batch(TABLES_OF_2)?;
            transaction.execute_batch(COLUMNS_OF_3)?;
        }
        1 => {
            from_1(&transaction)?;
            // In version 1, bodies were digested unchanged.
            from_2(&transaction, chain::link_redacted)?;
        }
        2 => from_2(&transaction, chain::link)?,
        found => {
            return Err(JournalError::Version {
                found,
                known: VERSION,
            });
        }
    }
    transaction.pragma_update(None, "user_version", VERSION)?;
    Ok(transaction.commit()?)
}

fn version(database: &Connection) -> Result<i64, JournalError> {
    Ok(database.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

fn from_1(transaction: &Transaction) -> Result<(), JournalError> {
    transaction.execute_batch("ALTER TABLE run_files RENAME TO run_files_1;")?;
    transaction.execute_batch(TABLES_OF_2)?;
    transaction.execute_batch(
        "INSERT INTO run_files (run, edition, path, digest) SELECT run, 0, path, digest FROM run_files_1;
         DROP TABLE run_files_1;",
    )?;
    Ok(())
}

/// Links every run again, with its id; `link` is how its events have been linked so far.
fn from_2(
    transaction: &Transaction,
    link: fn(Digest, u64, Timestamp, &str) -> Digest,
) -> Result<(), JournalError> {
    transaction.execute_batch(COLUMNS_OF_3)?;
    let rows: Vec<(String, u64, Timestamp, String, [u8; 32])> = {
        let mut statement = transaction
            .prepare("SELECT run, seq, at, body, digest FROM events ORDER BY run, seq")?;
        let rows = statement.query_map([], |row| {
            Ok((
                row.get(0)?,
                row.get(1)?,
                row.get(2)?,
                row.get(3)?,
                row.get(4)?,
            ))
        })?;
        rows.collect::<Result<_, _>>()?
    };
    let (mut old, mut new) = (Digest::ZERO, Digest::ZERO);
    for (run, seq, at, body, stored) in rows {
        let id = RunId::stored(run.clone());
        if seq == 0 {
            (old, new) = (chain::start(2, &id), chain::chain_start(&id));
        }
        old = link(old, seq, at, &body);
        if old.as_bytes() != &stored {
            return Err(JournalError::BrokenChain { run: id, seq });
        }
        new = chain::link(new, seq, at, &body);
        transaction.execute(
            "UPDATE events SET digest = ? WHERE run = ? AND seq = ?",
            params![new.as_bytes(), run, seq],
        )?;
        transaction.execute(
            "UPDATE runs SET events = ?, head = ? WHERE id = ?",
            params![seq + 1, new.as_bytes(), run],
        )?;
        if seq == 0 {
            transaction.execute(
                "UPDATE runs SET requester = ? WHERE id = ?",
                params![requester(&body), run],
            )?;
        }
    }
    Ok(())
}

/// Returns who started a run, from the text of its first event.
fn requester(body: &str) -> Option<String> {
    let first: serde_json::Value = serde_json::from_str(body).ok()?;
    Some(first["requester"].as_str()?.to_owned())
}
