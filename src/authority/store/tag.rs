//! Tags of authorities.

use rusqlite::{Connection, params};

use crate::failure::Failure;

/// A tag: a key and an optional value.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Tag {
    pub key: String,
    pub value: Option<String>,
}

/// Adds a tag, or replaces its value.
pub(crate) fn put(connection: &Connection, authority: &str, tag: &Tag) -> Result<(), Failure> {
    connection.execute(
        "INSERT OR REPLACE INTO tag VALUES (?1, ?2, ?3)",
        params![authority, tag.key, tag.value],
    )?;
    Ok(())
}

/// Removes a tag. If `tag` has a value, it is removed only if the values are equal.
pub(crate) fn remove(connection: &Connection, authority: &str, tag: &Tag) -> Result<(), Failure> {
    connection.execute(
        "DELETE FROM tag WHERE authority = ?1 AND key = ?2 AND (?3 IS NULL OR value IS ?3)",
        params![authority, tag.key, tag.value],
    )?;
    Ok(())
}

/// Returns how many tags an authority has.
pub(crate) fn count(connection: &Connection, authority: &str) -> Result<usize, Failure> {
    let count: i64 = connection.query_row(
        "SELECT count(*) FROM tag WHERE authority = ?1",
        [authority],
        |row| row.get(0),
    )?;
    Ok(usize::try_from(count).unwrap_or_default())
}

/// Returns some tags ordered by key, from those after `after`.
pub(crate) fn page(
    connection: &Connection,
    authority: &str,
    after: &str,
    count: usize,
) -> Result<Vec<Tag>, Failure> {
    let found = connection
        .prepare_cached(
            "SELECT key, value FROM tag WHERE authority = ?1 AND key > ?2 ORDER BY key LIMIT ?3",
        )?
        .query_map(params![authority, after, count as i64], |row| {
            Ok(Tag {
                key: row.get(0)?,
                value: row.get(1)?,
            })
        })?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(found)
}
