//! Idempotency: which requests were answered, and how.

use aws_lc_rs::digest;
use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;
use serde_json::Value;

use crate::clock::Moment;
use crate::failure::Failure;
use crate::options::Idempotency;

/// How long AWS remembers a token, in milliseconds.
const REMEMBERED: Moment = 5 * 60 * 1000;

/// What identifies a repeated request.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    operation: &'static str,
    scope: String,
    token: String,
    parameters: Vec<u8>,
}

impl Token {
    /// Returns the token of a request's input, or `None` if it has none.
    pub fn of(
        operation: &'static str,
        scope: &str,
        input: &Value,
        idempotency: Idempotency,
    ) -> Option<Self> {
        let token = input.get("IdempotencyToken")?.as_str()?;
        let parameters = match idempotency {
            Idempotency::TokenOnly => Vec::new(),
            Idempotency::TokenAndParameters => {
                let mut canonical = Vec::new();
                write(input, &mut canonical);
                digest::digest(&digest::SHA256, &canonical)
                    .as_ref()
                    .to_vec()
            }
        };
        Some(Self {
            operation,
            scope: scope.to_owned(),
            token: token.to_owned(),
            parameters,
        })
    }

    /// Returns the response that the same request got within the last five minutes.
    pub fn answer(&self, connection: &Connection, now: Moment) -> Result<Option<String>, Failure> {
        Ok(connection
            .prepare_cached(
                "SELECT answer FROM token WHERE operation = ?1 AND scope = ?2 AND token = ?3
                 AND parameters = ?4 AND used_at > ?5",
            )?
            .query_row(
                params![
                    self.operation,
                    self.scope,
                    self.token,
                    self.parameters,
                    now - REMEMBERED
                ],
                |row| row.get(0),
            )
            .optional()?)
    }

    /// Stores a response, and deletes those that are too old.
    pub fn remember(
        &self,
        connection: &Connection,
        answer: &str,
        now: Moment,
    ) -> Result<(), Failure> {
        connection
            .prepare_cached("DELETE FROM token WHERE used_at <= ?1")?
            .execute([now - REMEMBERED])?;
        connection
            .prepare_cached("INSERT OR REPLACE INTO token VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
            .execute(params![
                self.operation,
                self.scope,
                self.token,
                self.parameters,
                answer,
                now
            ])?;
        Ok(())
    }
}

/// Writes the input with its members sorted, since a client may send them in any order.
fn write(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(name, _)| *name);
            out.push(b'{');
            for (name, value) in members {
                scalar(name, out);
                write(value, out);
            }
            out.push(b'}');
        }
        Value::Array(items) => {
            out.push(b'[');
            for item in items {
                write(item, out);
                out.push(b',');
            }
            out.push(b']');
        }
        value => scalar(value, out),
    }
}

fn scalar(value: &impl Serialize, out: &mut Vec<u8>) {
    serde_json::to_writer(out, value)
        .expect("a scalar is valid JSON, and writing to memory does not fail");
}
