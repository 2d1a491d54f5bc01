//! Issued certificates, and which of them were revoked.

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
            "INSERT INTO certificate (authority, serial, body, generation, template, requester, partition,
                 issued_at, ready_at, not_after, failure)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
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

/// Records that a certificate is revoked. Returns false if it already is.
pub(crate) fn revoke(
    connection: &Connection,
    authority: &str,
    certificate: &Certificate,
    reason: &str,
    at: Moment,
) -> Result<bool, Failure> {
    let added = connection.execute(
        "INSERT OR IGNORE INTO revocation (authority, serial, reason, revoked_at, partition, not_after)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![
            authority,
            certificate.serial,
            reason,
            at,
            certificate.partition,
            certificate.not_after,
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
            "SELECT serial, reason, revoked_at FROM revocation
             WHERE authority = ?1 AND (?2 IS NULL OR partition = ?2) AND not_after >= ?3 ORDER BY serial",
        )?
        .query_map(params![authority, partition, since], read_revocation)?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(found)
}

/// Hands out every certificate of an authority with its revocation, in the order of issuing. Only their places are
/// kept in memory.
pub(crate) fn each(
    connection: &Connection,
    authority: &str,
    mut take: impl FnMut(&Certificate, Option<&Revocation>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    // The index of serial numbers has these alone; the certificates are then read from the first page to the last.
    let mut order = connection
        .prepare_cached("SELECT id FROM certificate WHERE authority = ?1 ORDER BY serial")?
        .query_map([authority], |row| row.get(0))?
        .collect::<rusqlite::Result<Vec<i64>>>()?;
    order.sort_unstable();
    let mut of_id = connection.prepare_cached(
        "SELECT c.serial, body, generation, template, requester, c.partition, issued_at, ready_at, c.not_after, failure,
             reason, revoked_at
         FROM certificate c LEFT JOIN revocation r ON r.authority = c.authority AND r.serial = c.serial WHERE id = ?1",
    )?;
    for id in order {
        let (certificate, revoked) = of_id.query_row([id], |row| {
            let certificate = read(row)?;
            let revoked: Option<(String, Moment)> = match row.get(10)? {
                None => None,
                Some(reason) => Some((reason, row.get(11)?)),
            };
            Ok((certificate, revoked))
        })?;
        if certificate.failure.is_none() {
            let revocation = revoked.map(|(reason, revoked_at)| Revocation {
                serial: certificate.serial.clone(),
                reason,
                revoked_at,
            });
            take(&certificate, revocation.as_ref())?;
        }
    }
    Ok(())
}

/// How many certificates an authority has issued up to the last one that anybody has.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Issued {
    pub certificates: i64,
    last: i64,
}

impl Issued {
    /// Counts those that were issued since, too: a million take long to count.
    ///
    /// A number may be given again after the certificates of an authority were deleted, and then this must begin anew.
    pub fn until_now(self, connection: &Connection, authority: &str) -> Result<Self, Failure> {
        let statement = match self.last {
            0 => {
                "SELECT count(*), coalesce(max(id), 0) FROM certificate WHERE authority = ?1 AND id > ?2"
            }
            // Without its plus, SQLite would look through all certificates of the authority.
            _ => {
                "SELECT count(*), coalesce(max(id), ?2) FROM certificate WHERE +authority = ?1 AND id > ?2"
            }
        };
        let (more, last): (i64, i64) = connection
            .prepare_cached(statement)?
            .query_row(params![authority, self.last], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
        Ok(Self {
            certificates: self.certificates + more,
            last,
        })
    }
}

/// How many certificates an authority has revoked.
pub(crate) fn count_revoked(connection: &Connection, authority: &str) -> Result<i64, Failure> {
    Ok(connection
        .prepare_cached("SELECT count(*) FROM revocation WHERE authority = ?1")?
        .query_row([authority], |row| row.get(0))?)
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
