//! Policies and permissions of authorities.

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::clock::Moment;
use crate::failure::Failure;

/// A permission that the owner of an authority gives to a service.
#[derive(Debug, Clone)]
pub(crate) struct Permission {
    pub principal: String,
    pub source_account: String,
    /// A JSON list.
    pub actions: String,
    pub created_at: Moment,
}

/// Returns the policy of an authority, as its owner wrote it.
pub(crate) fn policy(connection: &Connection, authority: &str) -> Result<Option<String>, Failure> {
    Ok(connection
        .prepare_cached("SELECT document FROM policy WHERE authority = ?1")?
        .query_row([authority], |row| row.get(0))
        .optional()?)
}

/// Returns every policy, with its authority.
pub(crate) fn policies(connection: &Connection) -> Result<Vec<(String, String)>, Failure> {
    let found = connection
        .prepare_cached("SELECT authority, document FROM policy ORDER BY authority")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(found)
}

/// Sets the policy of an authority, in place of an earlier one.
pub(crate) fn put_policy(
    connection: &Connection,
    authority: &str,
    document: &str,
) -> Result<(), Failure> {
    connection.execute(
        "INSERT OR REPLACE INTO policy VALUES (?1, ?2)",
        [authority, document],
    )?;
    Ok(())
}

/// Removes the policy. Returns false if there is none.
pub(crate) fn remove_policy(connection: &Connection, authority: &str) -> Result<bool, Failure> {
    Ok(connection.execute("DELETE FROM policy WHERE authority = ?1", [authority])? == 1)
}

/// Adds a permission. Returns false if the principal already has one.
pub(crate) fn permit(
    connection: &Connection,
    authority: &str,
    permission: &Permission,
) -> Result<bool, Failure> {
    let added = connection.execute(
        "INSERT OR IGNORE INTO permission VALUES (?1, ?2, ?3, ?4, ?5)",
        params![
            authority,
            permission.principal,
            permission.source_account,
            permission.actions,
            permission.created_at,
        ],
    )?;
    Ok(added == 1)
}

/// Removes a permission. Returns false if there is none.
pub(crate) fn forbid(
    connection: &Connection,
    authority: &str,
    principal: &str,
    source_account: &str,
) -> Result<bool, Failure> {
    let removed = connection.execute(
        "DELETE FROM permission WHERE authority = ?1 AND principal = ?2 AND source_account = ?3",
        [authority, principal, source_account],
    )?;
    Ok(removed == 1)
}

/// Returns some permissions, from those after `after` (principal and account).
pub(crate) fn permissions(
    connection: &Connection,
    authority: &str,
    after: (&str, &str),
    count: usize,
) -> Result<Vec<Permission>, Failure> {
    let found = connection
        .prepare_cached(
            "SELECT principal, source_account, actions, created_at FROM permission
             WHERE authority = ?1 AND (principal, source_account) > (?2, ?3)
             ORDER BY principal, source_account LIMIT ?4",
        )?
        .query_map(params![authority, after.0, after.1, count as i64], read)?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(found)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Permission> {
    Ok(Permission {
        principal: row.get(0)?,
        source_account: row.get(1)?,
        actions: row.get(2)?,
        created_at: row.get(3)?,
    })
}
