//! Pages of lists. A token contains where the next page begins, and can't be forged.

use aws_lc_rs::hmac;
use rusqlite::Connection;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::failure::{Code, Failure};
use crate::operation::call::{Call, OfAuthority};
use crate::rule::status::Deed;

/// The members of every paged input.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Paging {
    pub max_results: Option<usize>,
    pub next_token: Option<String>,
}

const TAG: usize = 32;

impl Paging {
    /// Returns the size of the page, and the position after which it begins.
    pub fn start(
        &self,
        call: &Call,
        connection: &Connection,
        scope: &str,
        most: usize,
    ) -> Result<(usize, Option<String>), Failure> {
        let count = self.max_results.unwrap_or(most).min(most);
        let Some(token) = &self.next_token else {
            return Ok((count, None));
        };
        let invalid = || Code::InvalidNextToken.says("The token is not valid");
        let bytes = data_encoding::BASE64URL_NOPAD
            .decode(token.as_bytes())
            .map_err(|_| invalid())?;
        let (tag, position) = bytes.split_at_checked(TAG).ok_or_else(invalid)?;
        let key = key(connection)?;
        hmac::verify(&key, &sealed(call, scope, position), tag).map_err(|_| invalid())?;
        let position = String::from_utf8(position.to_vec()).map_err(|_| invalid())?;
        Ok((count, Some(position)))
    }
}

/// Answers with a page of what an authority has, as `member`. `read` gives up to so many items after a position, `position` says where
/// one stands.
pub(crate) fn of_authority<T>(
    call: &Call,
    (member, most): (&str, usize),
    read: impl FnOnce(&Connection, &str, &str, usize) -> Result<Vec<T>, Failure>,
    position: impl Fn(&T) -> String,
    shape: impl Fn(&str, T) -> Value,
) -> Result<Value, Failure> {
    let input: OfAuthority = call.read()?;
    let paging: Paging = call.read()?;
    let arn = &input.certificate_authority_arn;
    let (found, next) = call.service.store.read(|connection| {
        let authority = call.authority(connection, arn)?;
        authority.check(Deed::Manage, call.now)?;
        let (count, after) = paging.start(call, connection, arn, most)?;
        let mut found = read(connection, arn, &after.unwrap_or_default(), count + 1)?;
        let next = cut(call, connection, arn, &mut found, count, position)?;
        Ok((found, next))
    })?;
    let shapes = found.into_iter().map(|one| shape(arn, one)).collect();
    Ok(answer(member, shapes, next))
}

/// Makes the answer of a list, with the token of its next page.
pub(crate) fn answer(member: &str, shapes: Vec<Value>, next: Option<String>) -> Value {
    let mut answer = json!({ member: shapes });
    if let Some(token) = next {
        answer["NextToken"] = token.into();
    }
    answer
}

/// Cuts a list that was read with one item too many, and makes the token for the next page.
pub(crate) fn cut<T>(
    call: &Call,
    connection: &Connection,
    scope: &str,
    items: &mut Vec<T>,
    count: usize,
    position: impl Fn(&T) -> String,
) -> Result<Option<String>, Failure> {
    if items.len() <= count {
        return Ok(None);
    }
    items.truncate(count);
    let Some(position) = items.last().map(position) else {
        return Ok(None);
    };
    let tag = hmac::sign(&key(connection)?, &sealed(call, scope, position.as_bytes()));
    let token = [tag.as_ref(), position.as_bytes()].concat();
    Ok(Some(data_encoding::BASE64URL_NOPAD.encode(&token)))
}

/// Computes the tag of a token, which is valid for one operation of one caller on one list.
fn sealed(call: &Call, scope: &str, position: &[u8]) -> Vec<u8> {
    let mut bytes = format!(
        "{}\n{}\n{}\n{scope}\n",
        call.operation, call.caller.account, call.caller.region
    )
    .into_bytes();
    bytes.extend_from_slice(position);
    bytes
}

fn key(connection: &Connection) -> Result<hmac::Key, Failure> {
    let secret: Vec<u8> = connection.query_row(
        "SELECT value FROM meta WHERE name = 'page-token-key'",
        [],
        |row| row.get(0),
    )?;
    Ok(hmac::Key::new(hmac::HMAC_SHA256, &secret))
}
