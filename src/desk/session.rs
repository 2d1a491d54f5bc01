use std::{
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use rusqlite::{Connection, OptionalExtension, params};

use super::access::random_token;
use crate::{
    ground::{Durability, open_database},
    value::Digest,
};

/// How long a session lives at most, and without a request: milliseconds.
const LONGEST: i64 = 7 * 24 * HOUR;
const IDLE: i64 = 12 * HOUR;
const HOUR: i64 = 3_600_000;
/// The last use is written at most this often.
const TOUCH: i64 = 60_000;

/// Who is logged in with a browser: a table in `STATE/serve.db`, so that a restart logs nobody out. A session is kept by
/// the digest of its cookie, and is good as long as the token that it was made with.
pub struct Sessions {
    database: Mutex<Connection>,
}

impl Sessions {
    pub fn open(state: &Path) -> rusqlite::Result<Self> {
        let database = open_database(&state.join("serve.db"), Durability::Machine)?;
        database.execute_batch(
            "CREATE TABLE IF NOT EXISTS sessions (
                 cookie BLOB PRIMARY KEY, token BLOB NOT NULL, began INTEGER NOT NULL, used INTEGER NOT NULL
             ) STRICT;",
        )?;
        Ok(Self {
            database: Mutex::new(database),
        })
    }

    /// Begins a session for who has the token of this digest, at a moment (milliseconds since 1970). Gives its cookie;
    /// `None` where the system gives no randomness.
    pub fn begin(&self, token: Digest, at: i64) -> rusqlite::Result<Option<String>> {
        let Some(cookie) = random_token() else {
            return Ok(None);
        };
        let database = self.database();
        database.execute(
            "DELETE FROM sessions WHERE began < ? OR used < ?",
            params![at - LONGEST, at - IDLE],
        )?;
        database.execute(
            "INSERT INTO sessions (cookie, token, began, used) VALUES (?, ?, ?, ?)",
            params![digest(&cookie).as_bytes(), token.as_bytes(), at, at],
        )?;
        Ok(Some(cookie))
    }

    /// Returns the digest of the token that a session was made with, if it lives.
    pub fn find(&self, cookie: &str, at: i64) -> rusqlite::Result<Option<Digest>> {
        let (database, cookie) = (self.database(), digest(cookie));
        let found = database
            .query_row(
                "SELECT token, began, used FROM sessions WHERE cookie = ?",
                [cookie.as_bytes()],
                |row| Ok((Digest::from_bytes(row.get(0)?), row.get(1)?, row.get(2)?)),
            )
            .optional()?;
        let Some((token, began, used)): Option<(Digest, i64, i64)> = found else {
            return Ok(None);
        };
        if at - began >= LONGEST || at - used >= IDLE {
            return Ok(None);
        }
        if at - used >= TOUCH {
            database.execute(
                "UPDATE sessions SET used = ? WHERE cookie = ?",
                params![at, cookie.as_bytes()],
            )?;
        }
        Ok(Some(token))
    }

    pub fn end(&self, cookie: &str) -> rusqlite::Result<()> {
        let cookie = digest(cookie);
        self.database()
            .execute("DELETE FROM sessions WHERE cookie = ?", [cookie.as_bytes()])?;
        Ok(())
    }

    fn database(&self) -> MutexGuard<'_, Connection> {
        self.database.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn digest(cookie: &str) -> Digest {
    Digest::of_content(cookie.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_ends() {
        let state = tempfile::tempdir().expect("a temporary folder");
        let sessions = Sessions::open(state.path()).expect("opened");
        let token = digest("token");
        let begin = || sessions.begin(token, 0).expect("kept").expect("random");
        let cookie = begin();
        let at = |sessions: &Sessions, cookie: &str, at| sessions.find(cookie, at).expect("read");
        assert_eq!(at(&sessions, &cookie, HOUR), Some(token));
        assert_eq!(
            at(&sessions, &cookie, 12 * HOUR),
            Some(token),
            "it was used"
        );
        assert_eq!(at(&sessions, &cookie, 24 * HOUR + 1), None, "it was not");
        assert_eq!(at(&sessions, "another", 0), None);
        let again = Sessions::open(state.path()).expect("opened");
        let busy = begin();
        for hour in 0..7 * 24 {
            assert_eq!(at(&again, &busy, hour * HOUR), Some(token), "{hour}");
        }
        assert_eq!(at(&again, &busy, LONGEST), None, "seven days are enough");
        let ended = begin();
        sessions.end(&ended).expect("ended");
        assert_eq!(at(&sessions, &ended, 0), None);
    }
}
