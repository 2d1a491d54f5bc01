//! The tables. All moments are milliseconds since the epoch; JSON columns hold the service's own shapes.

use rusqlite::Connection;

/// The version in `user_version`; a folder written by a newer server is not opened.
pub(crate) const VERSION: i64 = 2;

const TABLES: &str = "
CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;

CREATE TABLE authority (
    arn              TEXT PRIMARY KEY,
    account          TEXT NOT NULL,
    region           TEXT NOT NULL,
    kind             TEXT NOT NULL,     -- ROOT or SUBORDINATE
    usage_mode       TEXT NOT NULL,
    key_standard     TEXT NOT NULL,
    configuration    TEXT NOT NULL,     -- CertificateAuthorityConfiguration
    revocation       TEXT NOT NULL,     -- RevocationConfiguration
    created_at       INTEGER NOT NULL,
    changed_at       INTEGER NOT NULL,
    ready_at         INTEGER NOT NULL,  -- CREATING until then
    status           TEXT NOT NULL,     -- never CREATING or EXPIRED: those come from the clock
    failure_reason   TEXT,
    status_before    TEXT,              -- what a restore goes back to
    restorable_until INTEGER,
    csr              BLOB NOT NULL,
    private_key      BLOB NOT NULL,     -- PKCS #8
    generation       INTEGER NOT NULL,  -- of the identity in use; 0 before the first import
    settled_at       INTEGER NOT NULL   -- issues from then on
) STRICT, WITHOUT ROWID;

CREATE INDEX authority_by_age ON authority (account, region, created_at, arn);

CREATE TABLE identity (                 -- the certificates that an authority had, one per import
    authority   TEXT NOT NULL REFERENCES authority (arn) ON DELETE CASCADE,
    generation  INTEGER NOT NULL,
    certificate BLOB NOT NULL,
    chain       TEXT,                   -- PEM; NULL for a root
    serial      TEXT NOT NULL,
    not_before  INTEGER NOT NULL,
    not_after   INTEGER NOT NULL,
    PRIMARY KEY (authority, generation)
) STRICT, WITHOUT ROWID;

CREATE TABLE certificate (
    authority  TEXT NOT NULL REFERENCES authority (arn) ON DELETE CASCADE,
    serial     TEXT NOT NULL,
    body       BLOB NOT NULL,
    generation INTEGER NOT NULL,        -- the identity that signed; 0 for a root's own
    template   TEXT NOT NULL,
    requester  TEXT NOT NULL,           -- the account that asked for it
    partition  TEXT,                    -- of the CRL, where the CRL is partitioned
    issued_at  INTEGER NOT NULL,
    ready_at   INTEGER NOT NULL,        -- in progress until then
    not_after  INTEGER NOT NULL,
    failure    TEXT,                    -- accepted, and failed later
    PRIMARY KEY (authority, serial)
) STRICT, WITHOUT ROWID;

CREATE TABLE list (                     -- the CRLs that certificates name
    authority    TEXT NOT NULL REFERENCES authority (arn) ON DELETE CASCADE,
    partition    TEXT NOT NULL,         -- empty for the complete list
    certificates INTEGER NOT NULL,      -- bound to it, revoked or not
    PRIMARY KEY (authority, partition)
) STRICT, WITHOUT ROWID;

CREATE TABLE revocation (
    authority  TEXT NOT NULL REFERENCES authority (arn) ON DELETE CASCADE,
    serial     TEXT NOT NULL,
    reason     TEXT NOT NULL,
    revoked_at INTEGER NOT NULL,
    PRIMARY KEY (authority, serial)
) STRICT, WITHOUT ROWID;

CREATE TABLE token (                    -- idempotency
    operation  TEXT NOT NULL,
    scope      TEXT NOT NULL,           -- the authority, or account and region
    token      TEXT NOT NULL,
    parameters BLOB NOT NULL,           -- their digest, or empty where the token alone counts
    answer     TEXT NOT NULL,
    used_at    INTEGER NOT NULL,
    PRIMARY KEY (operation, scope, token, parameters)
) STRICT, WITHOUT ROWID;

CREATE INDEX token_by_age ON token (used_at);

CREATE TABLE tag (
    authority TEXT NOT NULL REFERENCES authority (arn) ON DELETE CASCADE,
    key       TEXT NOT NULL,
    value     TEXT,
    PRIMARY KEY (authority, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE permission (
    authority      TEXT NOT NULL REFERENCES authority (arn) ON DELETE CASCADE,
    principal      TEXT NOT NULL,
    source_account TEXT NOT NULL,
    actions        TEXT NOT NULL,       -- JSON list
    created_at     INTEGER NOT NULL,
    PRIMARY KEY (authority, principal, source_account)
) STRICT, WITHOUT ROWID;

CREATE TABLE policy (
    authority TEXT PRIMARY KEY REFERENCES authority (arn) ON DELETE CASCADE,
    document  TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE report (
    authority  TEXT NOT NULL REFERENCES authority (arn) ON DELETE CASCADE,
    id         TEXT NOT NULL,
    bucket     TEXT NOT NULL,
    key        TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    ready_at   INTEGER NOT NULL,
    failed     INTEGER NOT NULL,
    PRIMARY KEY (authority, id)
) STRICT, WITHOUT ROWID;
";

/// From version 1, which had sixteen partitions for every authority that has any.
const FROM_1: &str = "
CREATE TABLE list (
    authority    TEXT NOT NULL REFERENCES authority (arn) ON DELETE CASCADE,
    partition    TEXT NOT NULL,
    certificates INTEGER NOT NULL,
    PRIMARY KEY (authority, partition)
) STRICT, WITHOUT ROWID;

INSERT INTO list SELECT authority, coalesce(partition, ''), count(*) FROM certificate
    WHERE generation > 0 GROUP BY authority, partition;
";

/// Brings an empty or older database to this version.
pub(crate) fn upgrade(connection: &Connection, found: i64) -> rusqlite::Result<()> {
    if found > 0 {
        return connection.execute_batch(FROM_1);
    }
    connection.execute_batch(TABLES)?;
    connection.execute(
        "INSERT INTO meta (name, value) VALUES ('page-token-key', randomblob(32))",
        [],
    )?;
    Ok(())
}
