use std::{
    path::Path,
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use data_encoding::HEXLOWER;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

use super::access::random_token;
use windlass_ground::{Durability, Timestamp, lock, open_database};
use windlass_world::value::Digest;

/// How long a session is valid at most, and how long without a request, unless the configuration sets other limits.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);
const IDLE: Duration = Duration::from_secs(12 * 3600);
/// The shortest time between two updates of a session's last use.
const TOUCH: Duration = Duration::from_secs(60);
/// The number of bytes of a cookie's digest that are the id of its session. They identify the session, but nobody can log in with them.
const ID: usize = 8;

/// The sessions of browsers, in a table in `STATE/serve.db`, so that a restart logs nobody out. Only the digest of a session's cookie is
/// stored. A session is valid only while its token or provider is, and while the person's roles stay the same.
pub struct Sessions {
    database: Mutex<Connection>,
    idle: Duration,
    longest: Duration,
}

/// What the person logged in with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum Proof {
    /// The token with this digest.
    Token { sha256: Digest },
    /// The name and groups from the OpenID Connect provider, as of the beginning of the session.
    Provider {
        issuer: String,
        name: String,
        groups: Vec<String>,
    },
}

/// A new session.
pub struct Begins {
    pub proof: Proof,
    pub name: String,
    pub how: String,
    /// The address that the browser came from.
    pub from: String,
    /// The digest of the person's roles: see [`Access::digest`](super::access::Access::digest).
    pub entitled: Digest,
}

/// A valid session.
pub struct Found {
    pub proof: Proof,
    pub entitled: Digest,
}

/// A session in a list.
pub struct Listed {
    pub id: String,
    pub name: String,
    pub how: String,
    pub from: String,
    pub began: Timestamp,
    pub used: Timestamp,
}

impl Listed {
    /// Returns whether a cookie belongs to this session.
    pub fn is_of(&self, cookie: &str) -> bool {
        id_of(digest(cookie).as_bytes()) == self.id
    }
}

impl Sessions {
    /// Opens the sessions of a state folder. `limits` are how long a session is valid without a request, and at most.
    pub fn open(
        state: &Path,
        limits: (Option<Duration>, Option<Duration>),
    ) -> rusqlite::Result<Self> {
        let database = open_database(&state.join("serve.db"), Durability::Machine)?;
        database.execute_batch(
            "CREATE TABLE IF NOT EXISTS logins (
                 cookie BLOB PRIMARY KEY, proof TEXT NOT NULL, name TEXT NOT NULL, how TEXT NOT NULL,
                 came_from TEXT NOT NULL, entitled BLOB NOT NULL, began INTEGER NOT NULL, used INTEGER NOT NULL
             ) STRICT;",
        )?;
        Ok(Self {
            database: Mutex::new(database),
            idle: limits.0.unwrap_or(IDLE),
            longest: limits.1.unwrap_or(LONGEST),
        })
    }

    /// Starts a session, and returns its cookie; `None` if the system has no randomness.
    pub fn begin(&self, begins: &Begins, at: Timestamp) -> rusqlite::Result<Option<String>> {
        let Some(cookie) = random_token() else {
            return Ok(None);
        };
        let database = self.database();
        database.execute(
            "DELETE FROM logins WHERE began <= ? OR used <= ?",
            params![at - self.longest, at - self.idle],
        )?;
        let proof = serde_json::to_string(&begins.proof).unwrap_or_default();
        database.execute(
            "INSERT INTO logins (cookie, proof, name, how, came_from, entitled, began, used)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            params![
                digest(&cookie).as_bytes(),
                proof,
                begins.name,
                begins.how,
                begins.from,
                begins.entitled.as_bytes(),
                at,
                at
            ],
        )?;
        Ok(Some(cookie))
    }

    /// Finds the session of a cookie, if it is still valid.
    pub fn find(&self, cookie: &str, at: Timestamp) -> rusqlite::Result<Option<Found>> {
        let (database, cookie) = (self.database(), digest(cookie));
        let found = database
            .query_row(
                "SELECT proof, entitled, began, used FROM logins WHERE cookie = ?",
                [cookie.as_bytes()],
                |row| {
                    let proof: String = row.get(0)?;
                    let entitled = Digest::from_bytes(row.get(1)?);
                    Ok((proof, entitled, row.get(2)?, row.get(3)?))
                },
            )
            .optional()?;
        type Kept = (String, Digest, Timestamp, Timestamp);
        let Some((proof, entitled, began, used)): Option<Kept> = found else {
            return Ok(None);
        };
        if at.since(began) >= self.longest || at.since(used) >= self.idle {
            return Ok(None);
        }
        // A proof that this version can't read, written by another version, ends the session.
        let Ok(proof) = serde_json::from_str(&proof) else {
            return Ok(None);
        };
        Ok(Some(Found { proof, entitled }))
    }

    /// Notes that a person uses a valid session.
    pub fn touch(&self, cookie: &str, at: Timestamp) -> rusqlite::Result<()> {
        let often = TOUCH.min(self.idle / 2);
        self.database().execute(
            "UPDATE logins SET used = ?1 WHERE cookie = ?2 AND used <= ?3",
            params![at, digest(cookie).as_bytes(), at - often],
        )?;
        Ok(())
    }

    /// Lists the valid sessions, the newest first.
    pub fn list(&self, at: Timestamp) -> rusqlite::Result<Vec<Listed>> {
        let database = self.database();
        let mut statement = database.prepare_cached(
            "SELECT cookie, name, how, came_from, began, used FROM logins WHERE began > ? AND used > ? ORDER BY began DESC",
        )?;
        let listed = |row: &Row| {
            let cookie: [u8; 32] = row.get(0)?;
            Ok(Listed {
                id: id_of(&cookie),
                name: row.get(1)?,
                how: row.get(2)?,
                from: row.get(3)?,
                began: row.get(4)?,
                used: row.get(5)?,
            })
        };
        let rows = statement.query_map(params![at - self.longest, at - self.idle], listed)?;
        rows.collect()
    }

    /// Ends the session of a cookie.
    pub fn end(&self, cookie: &str) -> rusqlite::Result<()> {
        let cookie = digest(cookie);
        self.database()
            .execute("DELETE FROM logins WHERE cookie = ?", [cookie.as_bytes()])?;
        Ok(())
    }

    /// Ends the session with this id.
    pub fn end_id(&self, id: &str) -> rusqlite::Result<()> {
        self.database().execute(
            "DELETE FROM logins WHERE lower(hex(substr(cookie, 1, ?))) = ?",
            params![ID, id],
        )?;
        Ok(())
    }

    fn database(&self) -> MutexGuard<'_, Connection> {
        lock(&self.database)
    }
}

fn digest(cookie: &str) -> Digest {
    Digest::of_content(cookie.as_bytes())
}

fn id_of(cookie: &[u8; 32]) -> String {
    HEXLOWER.encode(&cookie[..ID])
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    fn ms(at: i64) -> Timestamp {
        Timestamp::from_millis(at)
    }

    fn begin(sessions: &Sessions, at: i64) -> String {
        let begins = Begins {
            proof: Proof::Token {
                sha256: digest("token"),
            },
            name: "alice".into(),
            how: "token alice".into(),
            from: "127.0.0.1".into(),
            entitled: digest("roles"),
        };
        sessions
            .begin(&begins, ms(at))
            .expect("kept")
            .expect("random")
    }

    #[test]
    fn a_session_ends() {
        let state = tempfile::tempdir().expect("a temporary folder");
        let open = || Sessions::open(state.path(), (None, None)).expect("opened");
        let sessions = open();
        let cookie = begin(&sessions, 0);
        let lives = |sessions: &Sessions, cookie: &str, at| {
            let found = sessions.find(cookie, ms(at)).expect("read");
            if found.is_some() {
                sessions.touch(cookie, ms(at)).expect("written");
            }
            found.is_some_and(|found| found.entitled == digest("roles"))
        };
        assert!(lives(&sessions, &cookie, HOUR));
        assert!(lives(&sessions, &cookie, 12 * HOUR), "it was used");
        assert!(!lives(&sessions, &cookie, 24 * HOUR + 1), "it was not");
        assert!(!lives(&sessions, "another", 0));
        let looked_at = begin(&sessions, 0);
        for hour in 1..12 {
            let found = sessions.find(&looked_at, ms(hour * HOUR)).expect("read");
            assert!(found.is_some(), "{hour}");
        }
        assert!(
            !lives(&sessions, &looked_at, 12 * HOUR),
            "a look does not count as use"
        );
        let again = open();
        let busy = begin(&again, 0);
        for hour in 0..7 * 24 {
            assert!(lives(&again, &busy, hour * HOUR), "{hour}");
        }
        assert!(
            !lives(&again, &busy, 7 * 24 * HOUR),
            "seven days are enough"
        );
        let ended = begin(&sessions, 0);
        sessions.end(&ended).expect("ended");
        assert!(!lives(&sessions, &ended, 0));
    }

    #[test]
    fn a_listed_id_ends_a_session_but_does_not_log_in() {
        let state = tempfile::tempdir().expect("a temporary folder");
        let minute = Duration::from_secs(60);
        let limits = (Some(minute), Some(2 * minute));
        let sessions = Sessions::open(state.path(), limits).expect("opened");
        let (one, two) = (begin(&sessions, 0), begin(&sessions, 1));
        let listed = sessions.list(ms(2)).expect("read");
        assert_eq!(listed.len(), 2);
        assert!(listed[0].is_of(&two) && listed[1].is_of(&one));
        assert!(sessions.find(&listed[1].id, ms(2)).expect("read").is_none());
        sessions.end_id(&listed[1].id).expect("ended");
        assert!(sessions.find(&one, ms(2)).expect("read").is_none());
        assert!(sessions.find(&two, ms(2)).expect("read").is_some());
        assert!(
            sessions.find(&two, ms(60_001)).expect("read").is_none(),
            "idle"
        );
        assert!(sessions.list(ms(60_001)).expect("read").is_empty());
    }
}
