//! The tables. All times are in milliseconds since 1970; JSON columns have the shapes of the service model.

use rusqlite::{Connection, params};

use crate::store::token;

/// The version in `user_version`. A folder written by a newer server can't be opened.
pub(crate) const VERSION: i64 = 4;

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

CREATE TABLE list (                     -- the CRLs that certificates name
    authority    TEXT NOT NULL REFERENCES authority (arn) ON DELETE CASCADE,
    partition    TEXT NOT NULL,         -- empty for the complete list
    certificates INTEGER NOT NULL,      -- bound to it, revoked or not
    PRIMARY KEY (authority, partition)
) STRICT, WITHOUT ROWID;

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

/// The tables that a certificate is written to, as they are since version 3.
///
/// Certificates lie in the order of issuing, so that a new one changes the last page, and those of one report lie together;
/// serial numbers grow with time, so that the index grows at its end, too.
const ISSUING: &str = "
CREATE TABLE certificate (
    id         INTEGER PRIMARY KEY,     -- in the order of issuing
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
    UNIQUE (authority, serial)
) STRICT;

CREATE TABLE token (                    -- idempotency
    period  INTEGER NOT NULL,           -- of use, so that old ones lie together
    digest  BLOB NOT NULL,              -- of operation, scope, token and parameters
    answer  TEXT NOT NULL,
    used_at INTEGER NOT NULL,
    PRIMARY KEY (period, digest)
) STRICT, WITHOUT ROWID;

CREATE TABLE revision (                 -- one row: a number that grows whenever one of these tables changes
    authorities INTEGER NOT NULL
) STRICT;

INSERT INTO revision VALUES (0);
";

/// The revoked certificates, as they are since version 4.
///
/// A list is made from this table alone: to find each of its certificates among a million others takes longer.
const REVOKING: &str = "
CREATE TABLE revocation (
    authority  TEXT NOT NULL REFERENCES authority (arn) ON DELETE CASCADE,
    serial     TEXT NOT NULL,
    reason     TEXT NOT NULL,
    revoked_at INTEGER NOT NULL,
    partition  TEXT,                    -- as in certificate
    not_after  INTEGER NOT NULL,        -- as in certificate
    PRIMARY KEY (authority, serial)
) STRICT, WITHOUT ROWID;
";

/// The tables whose rows are cached in memory until the revision changes.
const REVISED: [&str; 3] = ["authority", "identity", "policy"];

/// The migration from version 1, which had sixteen partitions for every authority with partitions.
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
    if found == 0 {
        for tables in [TABLES, ISSUING, REVOKING] {
            connection.execute_batch(tables)?;
        }
        connection.execute(
            "INSERT INTO meta (name, value) VALUES ('page-token-key', randomblob(32))",
            [],
        )?;
        return watch(connection);
    }
    if found < 2 {
        connection.execute_batch(FROM_1)?;
    }
    if found < 3 {
        from_2(connection)?;
    }
    from_3(connection)
}

/// Adds triggers that increase the revision with each change, also one by another server.
fn watch(connection: &Connection) -> rusqlite::Result<()> {
    for table in REVISED {
        for change in ["INSERT", "UPDATE", "DELETE"] {
            connection.execute_batch(&format!(
                "CREATE TRIGGER {table}_{change} AFTER {change} ON {table}
                 BEGIN UPDATE revision SET authorities = authorities + 1; END;"
            ))?;
        }
    }
    Ok(())
}

/// From version 2, where certificates lay in the order of their random serial numbers, and tokens were written out.
fn from_2(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(
        "ALTER TABLE certificate RENAME TO certificate_2;
         ALTER TABLE token RENAME TO token_2;
         DROP INDEX token_by_age;",
    )?;
    connection.execute_batch(ISSUING)?;
    connection.execute_batch(
        "INSERT INTO certificate (authority, serial, body, generation, template, requester, partition,
             issued_at, ready_at, not_after, failure)
         SELECT authority, serial, body, generation, template, requester, partition,
             issued_at, ready_at, not_after, failure FROM certificate_2 ORDER BY issued_at, serial;
         DROP TABLE certificate_2;",
    )?;
    let mut old = connection
        .prepare("SELECT operation, scope, token, parameters, answer, used_at FROM token_2")?;
    let mut rows = old.query([])?;
    while let Some(row) = rows.next()? {
        let (operation, scope, name): (String, String, String) =
            (row.get(0)?, row.get(1)?, row.get(2)?);
        let (parameters, answer, used_at): (Vec<u8>, String, i64) =
            (row.get(3)?, row.get(4)?, row.get(5)?);
        let answer = match operation.as_str() {
            // The authority is known from the request.
            "IssueCertificate" => answer.rsplit('/').next().unwrap_or_default(),
            _ => &answer,
        };
        connection.execute(
            "INSERT INTO token (period, digest, answer, used_at) VALUES (?1, ?2, ?3, ?4)",
            params![
                token::period(used_at),
                token::digest(&operation, &scope, &name, &parameters),
                answer,
                used_at
            ],
        )?;
    }
    drop(rows);
    drop(old);
    connection.execute_batch("DROP TABLE token_2;")?;
    watch(connection)
}

/// From version 3, where only the certificate said when a revoked one expires, and which list has it.
fn from_3(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch("ALTER TABLE revocation RENAME TO revocation_3;")?;
    connection.execute_batch(REVOKING)?;
    connection.execute_batch(
        "INSERT INTO revocation
         SELECT r.authority, r.serial, r.reason, r.revoked_at, c.partition, c.not_after
         FROM revocation_3 r JOIN certificate c USING (authority, serial);
         DROP TABLE revocation_3;",
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use windlass_ground::{Durability, open_database};

    use super::*;
    use crate::options::Idempotency;
    use crate::store::authority;
    use crate::store::certificate::{self, Revocation};
    use crate::store::token::Token;

    const AUTHORITY: &str = "arn:aws:acm-pca:us-east-1:123456789012:certificate-authority/4f10371d-51f1-41a3-8d6f-b382192b2a8f";
    const CSR: &str = "-----BEGIN CERTIFICATE REQUEST-----
MIHVMH0CAQAwGzEZMBcGA1UEAwwQbGVhZi5leGFtcGxlLmNvbTBZMBMGByqGSM49
AgEGCCqGSM49AwEHA0IABPuK4/mvp7JJ3P+0OuGFSPoT7Q+i9uzRdm5fwosaqLAV
Znc7ga/nlIKG+aLNcWpZquawf4SVoeE3hcOnnB36vTagADAKBggqhkjOPQQDAgNI
ADBFAiAB2e/vjgbBauFS5xmKGi+VDrMCpWxaeXbV/c3bflsAAAIhALtse70zYDB8
fbDQx+FDx+LdutmXvvqY0VgjmCFBqjWM
-----END CERTIFICATE REQUEST-----
";
    const MINUTE: i64 = 60_000;

    /// A folder of version 2, with a request that was made a few minutes before it was opened.
    #[test]
    fn version_2_keeps_its_certificates_in_order_and_its_tokens() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("authority.db");
        let fixture = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../tests/fixtures/authority-v2/authority.db"
        );
        std::fs::copy(fixture, &path).unwrap();
        let connection = open_database(&path, Durability::Process).unwrap();
        upgrade(&connection, 2).unwrap();

        let issued: Vec<(String, i64)> = connection
            .prepare("SELECT serial, issued_at FROM certificate ORDER BY id")
            .and_then(|mut all| {
                all.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                    .collect()
            })
            .unwrap();
        let (serials, times): (Vec<_>, Vec<_>) = issued.into_iter().unzip();
        assert_eq!(
            serials,
            [
                "5f45d56d02b9c254eb1bb7dabdeb8741",
                "54b7c6b4e61a70cd18264ebb9341dcb2",
                "4da21b2e857cb72f49762900e52b1bad",
                "7cffc5fb7b3661ee3f50037127a77bbd",
            ]
        );
        let scope = format!("123456789012/{AUTHORITY}");
        let token = |days: u32| {
            let input = json!({
                "CertificateAuthorityArn": AUTHORITY,
                "Csr": data_encoding::BASE64.encode(CSR.as_bytes()),
                "SigningAlgorithm": "SHA256WITHECDSA",
                "Validity": { "Type": "DAYS", "Value": days },
                "IdempotencyToken": "token-1",
            });
            Token::of(
                "IssueCertificate",
                &scope,
                &input,
                Idempotency::TokenAndParameters,
            )
            .unwrap()
        };
        let answer = |days, now| token(days).answer(&connection, now).unwrap();
        assert_eq!(
            answer(31, times[2] + 4 * MINUTE).as_ref(),
            Some(&serials[2])
        );
        assert_eq!(answer(31, times[2] + 6 * MINUTE), None);
        assert_eq!(answer(32, times[2] + 4 * MINUTE), None);

        // A revoked certificate is listed until it expires.
        let not_after = certificate::find(&connection, AUTHORITY, &serials[3])
            .unwrap()
            .map_or(0, |revoked| revoked.not_after);
        let listed = |since| certificate::revoked(&connection, AUTHORITY, None, since).unwrap();
        let serial = |listed: &[Revocation]| listed.first().map(|one| one.serial.clone());
        assert_eq!(serial(&listed(not_after)).as_ref(), Some(&serials[3]));
        assert_eq!(serial(&listed(not_after + 1)), None);
    }

    #[test]
    fn the_revision_grows_with_whatever_decides_about_an_authority() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("authority.db");
        let connection = open_database(&path, Durability::Process).unwrap();
        upgrade(&connection, 0).unwrap();
        let mut before = authority::revision(&connection).unwrap();
        for change in [
            "INSERT INTO authority VALUES ('a', '', '', '', '', '', '', '', 0, 0, 0, '', NULL, NULL, NULL, x'', x'', 0, 0)",
            "INSERT INTO identity VALUES ('a', 1, x'', NULL, '', 0, 0)",
            "INSERT INTO policy VALUES ('a', '')",
            "INSERT OR REPLACE INTO policy VALUES ('a', 'b')",
            "DELETE FROM policy",
            "UPDATE authority SET status = 'DISABLED'",
            "DELETE FROM authority",
        ] {
            connection.execute_batch(change).unwrap();
            let after = authority::revision(&connection).unwrap();
            assert!(after > before, "{change}");
            before = after;
        }
        let other = "INSERT INTO meta VALUES ('a', x'00')";
        connection.execute_batch(other).unwrap();
        assert_eq!(authority::revision(&connection).unwrap(), before);
    }
}
