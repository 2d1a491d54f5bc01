//! CRLs: which ones certificates refer to, and how many certificates each has.

use rusqlite::{Connection, OptionalExtension, params};

use crate::failure::Failure;

/// The partition under which the complete CRL is stored.
const COMPLETE: &str = "";

/// Returns a partition with room for another certificate, or `None` if there is none.
pub(crate) fn with_room(
    connection: &Connection,
    authority: &str,
    largest: i64,
) -> Result<Option<String>, Failure> {
    Ok(connection
        .prepare_cached(
            "SELECT partition FROM list WHERE authority = ?1 AND partition <> '' AND certificates < ?2
             ORDER BY partition LIMIT 1",
        )?
        .query_row(params![authority, largest], |row| row.get(0))
        .optional()?)
}

/// Returns the CRLs that the certificates of an authority refer to; `None` is the complete CRL.
pub(crate) fn all(
    connection: &Connection,
    authority: &str,
) -> Result<Vec<Option<String>>, Failure> {
    let found = connection
        .prepare_cached("SELECT partition FROM list WHERE authority = ?1 ORDER BY partition")?
        .query_map([authority], |row| row.get(0))?
        .collect::<rusqlite::Result<Vec<String>>>()?;
    let named = |partition: String| (partition != COMPLETE).then_some(partition);
    Ok(found.into_iter().map(named).collect())
}

/// Records that another certificate refers to a partition, or to the complete CRL. Returns true if it is the first.
pub(crate) fn bind(
    connection: &Connection,
    authority: &str,
    partition: Option<&str>,
) -> Result<bool, Failure> {
    let bound: i64 = connection
        .prepare_cached(
            "INSERT INTO list VALUES (?1, ?2, 1)
             ON CONFLICT DO UPDATE SET certificates = certificates + 1 RETURNING certificates",
        )?
        .query_row([authority, partition.unwrap_or(COMPLETE)], |row| row.get(0))?;
    Ok(bound == 1)
}
