//! Audit reports and their locations.

use rusqlite::{Connection, OptionalExtension, params};

use crate::clock::Moment;
use crate::failure::Failure;

/// An audit report.
#[derive(Debug, Clone)]
pub(crate) struct Report {
    pub id: String,
    pub bucket: String,
    pub key: String,
    pub created_at: Moment,
    /// The status is CREATING until this time.
    pub ready_at: Moment,
    pub failed: bool,
}

/// Adds a report.
pub(crate) fn insert(
    connection: &Connection,
    authority: &str,
    report: &Report,
) -> Result<(), Failure> {
    connection.execute(
        "INSERT INTO report VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            authority,
            report.id,
            report.bucket,
            report.key,
            report.created_at,
            report.ready_at,
            report.failed,
        ],
    )?;
    Ok(())
}

/// Finds the report with an id.
pub(crate) fn find(
    connection: &Connection,
    authority: &str,
    id: &str,
) -> Result<Option<Report>, Failure> {
    Ok(connection
        .query_row(
            "SELECT id, bucket, key, created_at, ready_at, failed FROM report WHERE authority = ?1 AND id = ?2",
            [authority, id],
            |row| {
                Ok(Report {
                    id: row.get(0)?,
                    bucket: row.get(1)?,
                    key: row.get(2)?,
                    created_at: row.get(3)?,
                    ready_at: row.get(4)?,
                    failed: row.get(5)?,
                })
            },
        )
        .optional()?)
}

/// Returns when the last report was requested.
pub(crate) fn last(connection: &Connection, authority: &str) -> Result<Option<Moment>, Failure> {
    Ok(connection.query_row(
        "SELECT max(created_at) FROM report WHERE authority = ?1",
        [authority],
        |row| row.get(0),
    )?)
}
