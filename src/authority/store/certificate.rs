//! Issued certificates and their revocations.

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::clock::Moment;
use crate::failure::Failure;

/// An issued certificate.
#[derive(Debug, Clone)]
pub(crate) struct Certificate {
    pub serial: String,
    pub body: Vec<u8>,
    /// The generation of the authority's identity that signed it; 0 for a root's own certificate.
    pub generation: i64,
    pub template: String,
    pub requester: String,
    pub partition: Option<String>,
    pub issued_at: Moment,
    pub ready_at: Moment,
    pub not_after: Moment,
    pub failure: Option<String>,
}

/// A revoked certificate.
#[derive(Debug, Clone)]
pub(crate) struct Revocation {
    pub serial: String,
    pub reason: String,
    pub revoked_at: Moment,
}

/// Adds a certificate.
pub(crate) fn insert(
    connection: &Connection,
    authority: &str,
    certificate: &Certificate,
) -> Result<(), Failure> {
    connection
        .prepare_cached(
            "INSERT INTO certificate VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )?
        .execute(params![
            authority,
            certificate.serial,
            certificate.body,
            certificate.generation,
            certificate.template,
            certificate.requester,
            certificate.partition,
            certificate.issued_at,
            certificate.ready_at,
            certificate.not_after,
            certificate.failure,
        ])?;
    Ok(())
}

/// Finds the certificate with a serial number of 32 hexadecimal digits.
pub(crate) fn find(
    connection: &Connection,
    authority: &str,
    serial: &str,
) -> Result<Option<Certificate>, Failure> {
    Ok(connection
        .prepare_cached(&format!("{SELECT} WHERE authority = ?1 AND serial = ?2"))?
        .query_row([authority, serial], read)
        .optional()?)
}

/// Records a revocation. Returns false if the certificate is already revoked.
pub(crate) fn revoke(
    connection: &Connection,
    authority: &str,
    revocation: &Revocation,
) -> Result<bool, Failure> {
    let added = connection.execute(
        "INSERT OR IGNORE INTO revocation VALUES (?1, ?2, ?3, ?4)",
        params![
            authority,
            revocation.serial,
            revocation.reason,
            revocation.revoked_at
        ],
    )?;
    Ok(added == 1)
}

/// Returns the revocation of a certificate, if it is revoked.
pub(crate) fn revocation(
    connection: &Connection,
    authority: &str,
    serial: &str,
) -> Result<Option<Revocation>, Failure> {
    Ok(connection
        .prepare_cached(
            "SELECT serial, reason, revoked_at FROM revocation WHERE authority = ?1 AND serial = ?2",
        )?
        .query_row([authority, serial], read_revocation)
        .optional()?)
}

/// Returns the revoked certificates that had not expired at a point in time, ordered by serial number: of one partition, or
/// all.
pub(crate) fn revoked(
    connection: &Connection,
    authority: &str,
    partition: Option<&str>,
    since: Moment,
) -> Result<Vec<Revocation>, Failure> {
    let found = connection
        .prepare_cached(
            "SELECT r.serial, r.reason, r.revoked_at FROM revocation r JOIN certificate c USING (authority, serial)
             WHERE r.authority = ?1 AND (?2 IS NULL OR c.partition = ?2) AND c.not_after >= ?3 ORDER BY r.serial",
        )?
        .query_map(params![authority, partition, since], read_revocation)?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(found)
}

/// Passes every certificate of an authority with its revocation to a function, in the order of issuing. Only the serial
/// numbers are kept in memory.
pub(crate) fn each(
    connection: &Connection,
    authority: &str,
    mut take: impl FnMut(&Certificate, Option<&Revocation>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut order = connection
        .prepare_cached(
            "SELECT issued_at, serial FROM certificate WHERE authority = ?1 AND failure IS NULL",
        )?
        .query_map([authority], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<Vec<(Moment, String)>>>()?;
    order.sort_unstable();
    for (_, serial) in order {
        if let Some(certificate) = find(connection, authority, &serial)? {
            let revocation = revocation(connection, authority, &serial)?;
            take(&certificate, revocation.as_ref())?;
        }
    }
    Ok(())
}

/// Returns how many certificates an authority has issued, and how many it has revoked.
pub(crate) fn counts(connection: &Connection, authority: &str) -> Result<(i64, i64), Failure> {
    let count = |table: &str| {
        connection.query_row(
            &format!("SELECT count(*) FROM {table} WHERE authority = ?1"),
            [authority],
            |row| row.get(0),
        )
    };
    Ok((count("certificate")?, count("revocation")?))
}

fn read_revocation(row: &Row<'_>) -> rusqlite::Result<Revocation> {
    Ok(Revocation {
        serial: row.get(0)?,
        reason: row.get(1)?,
        revoked_at: row.get(2)?,
    })
}

const SELECT: &str = "SELECT serial, body, generation, template, requester, partition, issued_at, ready_at, not_after, failure FROM certificate";

fn read(row: &Row<'_>) -> rusqlite::Result<Certificate> {
    Ok(Certificate {
        serial: row.get(0)?,
        body: row.get(1)?,
        generation: row.get(2)?,
        template: row.get(3)?,
        requester: row.get(4)?,
        partition: row.get(5)?,
        issued_at: row.get(6)?,
        ready_at: row.get(7)?,
        not_after: row.get(8)?,
        failure: row.get(9)?,
    })
}
