//! Authorities: their rows, and the certificates they had.

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::clock::Moment;
use crate::failure::{Code, Failure};
use crate::rule::status::{self, Deed, Status};
use crate::rule::validity::Span;
use crate::x509::key::KeyAlgorithm;

/// An authority without its key.
#[derive(Debug, Clone)]
pub(crate) struct Authority {
    pub arn: String,
    pub account: String,
    pub region: String,
    pub root: bool,
    pub usage_mode: String,
    pub key_standard: String,
    pub configuration: Value,
    pub revocation: Value,
    pub created_at: Moment,
    pub changed_at: Moment,
    pub ready_at: Moment,
    pub stored: Status,
    pub failure_reason: Option<String>,
    pub before: Option<Status>,
    pub restorable_until: Option<Moment>,
    pub generation: i64,
    pub settled_at: Moment,
    pub identity: Option<Identity>,
}

/// The certificate with which an authority signs.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub certificate: Vec<u8>,
    pub chain: Option<String>,
    pub serial: String,
    pub span: Span,
}

/// The key of a new authority, and the CSR for its certificate.
pub(crate) struct Secrets {
    pub csr: Vec<u8>,
    pub private_key: Zeroizing<Vec<u8>>,
}

impl Authority {
    /// Returns the status at a point in time.
    pub fn status(&self, now: Moment) -> Status {
        let end = self
            .identity
            .as_ref()
            .map(|identity| identity.span.not_after);
        self.stored.at(now, self.ready_at, end)
    }

    /// Whether it is not deleted, or can still be restored.
    pub fn is_there(&self, now: Moment) -> bool {
        self.restorable_until.is_none_or(|until| now < until)
    }

    /// Refuses what the status does not allow.
    pub fn check(&self, deed: Deed, now: Moment) -> Result<(), Failure> {
        status::check(self.status(now), deed)
    }

    /// Returns the algorithm of its key.
    pub fn key_algorithm(&self) -> Result<KeyAlgorithm, Failure> {
        self.configured("KeyAlgorithm")
            .and_then(KeyAlgorithm::named)
            .ok_or_else(|| Code::InternalFailure.says("the stored key algorithm is unknown"))
    }

    /// Returns a member of its configuration.
    pub fn configured(&self, member: &str) -> Option<&str> {
        self.configuration.get(member)?.as_str()
    }
}

const COLUMNS: &str = "a.arn, a.account, a.region, a.kind, a.usage_mode, a.key_standard, a.configuration, a.revocation,
    a.created_at, a.changed_at, a.ready_at, a.status, a.failure_reason, a.status_before, a.restorable_until,
    a.generation, a.settled_at, i.certificate, i.chain, i.serial, i.not_before, i.not_after
    FROM authority a LEFT JOIN identity i ON i.authority = a.arn AND i.generation = a.generation";

/// Finds the authority with an ARN. An authority whose restoration period has ended no longer exists.
pub(crate) fn find(connection: &Connection, arn: &str, now: Moment) -> Result<Authority, Failure> {
    connection
        .prepare_cached(&format!("SELECT {COLUMNS} WHERE a.arn = ?1"))?
        .query_row([arn], read)
        .optional()?
        .filter(|authority| authority.is_there(now))
        .ok_or_else(|| unknown(arn))
}

/// Returns the error for an ARN that no authority has.
pub(crate) fn unknown(arn: &str) -> Failure {
    Code::ResourceNotFound.says(format!("Could not find certificate authority {arn}"))
}

/// A number that grows whenever an authority, one of its identities or its policy changes, by whichever server: what was read
/// of them at the same number is still so.
pub(crate) fn revision(connection: &Connection) -> Result<i64, Failure> {
    Ok(connection
        .prepare_cached("SELECT authorities FROM revision")?
        .query_row([], |row| row.get(0))?)
}

/// Returns some authorities of an account and region, the oldest first, from those after `after` (creation time and ARN).
pub(crate) fn page(
    connection: &Connection,
    account: &str,
    region: &str,
    after: Option<(Moment, String)>,
    count: usize,
    now: Moment,
) -> Result<Vec<Authority>, Failure> {
    let (created_at, arn) = after.unwrap_or((i64::MIN, String::new()));
    let found = connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} WHERE a.account = ?1 AND a.region = ?2 AND (a.created_at, a.arn) > (?3, ?4)
             AND (a.restorable_until IS NULL OR a.restorable_until > ?5)
             ORDER BY a.created_at, a.arn LIMIT ?6"
        ))?
        .query_map(
            params![account, region, created_at, arn, now, count as i64],
            read,
        )?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(found)
}

/// Returns every authority of the folder that is not deleted, the oldest first.
pub(crate) fn all(connection: &Connection, now: Moment) -> Result<Vec<Authority>, Failure> {
    let found = connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} WHERE a.restorable_until IS NULL OR a.restorable_until > ?1
             ORDER BY a.created_at, a.arn"
        ))?
        .query_map([now], read)?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(found)
}

/// Returns how many authorities an account has in a region. A deleted authority counts until its restoration period ends.
pub(crate) fn count(
    connection: &Connection,
    account: &str,
    region: &str,
    now: Moment,
) -> Result<i64, Failure> {
    Ok(connection.query_row(
        "SELECT count(*) FROM authority WHERE account = ?1 AND region = ?2
         AND (restorable_until IS NULL OR restorable_until > ?3)",
        params![account, region, now],
        |row| row.get(0),
    )?)
}

/// Adds an authority.
pub(crate) fn insert(
    connection: &Connection,
    authority: &Authority,
    secrets: &Secrets,
) -> Result<(), Failure> {
    connection.execute(
        "INSERT INTO authority VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, NULL, NULL, ?14, ?15, 0, 0)",
        params![
            authority.arn,
            authority.account,
            authority.region,
            if authority.root { "ROOT" } else { "SUBORDINATE" },
            authority.usage_mode,
            authority.key_standard,
            authority.configuration.to_string(),
            authority.revocation.to_string(),
            authority.created_at,
            authority.changed_at,
            authority.ready_at,
            authority.stored.name(),
            authority.failure_reason,
            secrets.csr,
            secrets.private_key.as_slice(),
        ],
    )?;
    Ok(())
}

/// Writes the members of an authority that may change.
pub(crate) fn update(connection: &Connection, authority: &Authority) -> Result<(), Failure> {
    connection.execute(
        "UPDATE authority SET revocation = ?2, changed_at = ?3, status = ?4, status_before = ?5,
         restorable_until = ?6, generation = ?7, settled_at = ?8 WHERE arn = ?1",
        params![
            authority.arn,
            authority.revocation.to_string(),
            authority.changed_at,
            authority.stored.name(),
            authority.before.map(Status::name),
            authority.restorable_until,
            authority.generation,
            authority.settled_at,
        ],
    )?;
    Ok(())
}

/// Adds the certificate of a generation.
pub(crate) fn identify(
    connection: &Connection,
    arn: &str,
    generation: i64,
    identity: &Identity,
) -> Result<(), Failure> {
    connection.execute(
        "INSERT INTO identity VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            arn,
            generation,
            identity.certificate,
            identity.chain,
            identity.serial,
            identity.span.not_before,
            identity.span.not_after,
        ],
    )?;
    Ok(())
}

/// Returns the certificate of a generation with its chain.
pub(crate) fn identity(
    connection: &Connection,
    arn: &str,
    generation: i64,
) -> Result<(Vec<u8>, Option<String>), Failure> {
    Ok(connection
        .prepare_cached(
            "SELECT certificate, chain FROM identity WHERE authority = ?1 AND generation = ?2",
        )?
        .query_row(params![arn, generation], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?)
}

/// Returns the CSR for an authority's certificate, in DER.
pub(crate) fn csr(connection: &Connection, arn: &str) -> Result<Vec<u8>, Failure> {
    Ok(
        connection.query_row("SELECT csr FROM authority WHERE arn = ?1", [arn], |row| {
            row.get(0)
        })?,
    )
}

/// Returns an authority's key in PKCS #8.
pub(crate) fn private_key(
    connection: &Connection,
    arn: &str,
) -> Result<Zeroizing<Vec<u8>>, Failure> {
    Ok(connection.query_row(
        "SELECT private_key FROM authority WHERE arn = ?1",
        [arn],
        |row| row.get(0).map(Zeroizing::new),
    )?)
}

/// Deletes authorities whose restoration period has ended, with their keys.
pub(crate) fn purge(connection: &Connection, now: Moment) -> Result<(), Failure> {
    connection.execute("DELETE FROM authority WHERE restorable_until <= ?1", [now])?;
    Ok(())
}

fn read(row: &Row<'_>) -> rusqlite::Result<Authority> {
    let status = |text: String| text.parse().unwrap_or(Status::Failed);
    let json = |text: String| serde_json::from_str(&text).unwrap_or(Value::Null);
    let identity = match row.get::<_, Option<Vec<u8>>>(17)? {
        None => None,
        Some(certificate) => Some(Identity {
            certificate,
            chain: row.get(18)?,
            serial: row.get(19)?,
            span: Span {
                not_before: row.get(20)?,
                not_after: row.get(21)?,
            },
        }),
    };
    Ok(Authority {
        arn: row.get(0)?,
        account: row.get(1)?,
        region: row.get(2)?,
        root: row.get::<_, String>(3)? == "ROOT",
        usage_mode: row.get(4)?,
        key_standard: row.get(5)?,
        configuration: json(row.get(6)?),
        revocation: json(row.get(7)?),
        created_at: row.get(8)?,
        changed_at: row.get(9)?,
        ready_at: row.get(10)?,
        stored: status(row.get(11)?),
        failure_reason: row.get(12)?,
        before: row.get::<_, Option<String>>(13)?.map(status),
        restorable_until: row.get(14)?,
        generation: row.get(15)?,
        settled_at: row.get(16)?,
        identity,
    })
}
