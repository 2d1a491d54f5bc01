//! Idempotency: which request was answered, and how.

use aws_lc_rs::digest::{Context, SHA256};
use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;
use serde_json::Value;

use crate::clock::Moment;
use crate::failure::Failure;
use crate::options::Idempotency;

/// How long AWS remembers a token, in milliseconds.
const REMEMBERED: Moment = 5 * 60 * 1000;

/// One token in so many looks for those that are too old, and how many then go: a few at a time, and faster than they come.
const SWEEPS: u8 = 16;
const SWEPT: i64 = 64;

/// How far the clock may be set back without a token being overlooked.
const SET_BACK: Moment = 10 * 1000;

/// What identifies a repeated request.
#[derive(Debug, Clone)]
pub(crate) struct Token([u8; DIGEST]);

/// Half of a SHA-256, so that many fit on a page; only an account's own requests could be made to collide.
const DIGEST: usize = 16;

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
                aws_lc_rs::digest::digest(&SHA256, &canonical)
                    .as_ref()
                    .to_vec()
            }
        };
        Some(Self(self::digest(operation, scope, token, &parameters)))
    }

    /// Returns the response that the same request got within the last five minutes.
    pub fn answer(&self, connection: &Connection, now: Moment) -> Result<Option<String>, Failure> {
        let mut statement = connection.prepare_cached(
            "SELECT answer FROM token WHERE period = ?1 AND digest = ?2 AND used_at > ?3",
        )?;
        for period in period(now - REMEMBERED)..=period(now + SET_BACK) {
            let answer = statement
                .query_row(params![period, self.0, now - REMEMBERED], |row| row.get(0))
                .optional()?;
            if answer.is_some() {
                return Ok(answer);
            }
        }
        Ok(None)
    }

    /// Remembers an answer, and forgets some of what is too old.
    pub fn remember(
        &self,
        connection: &Connection,
        answer: &str,
        now: Moment,
    ) -> Result<(), Failure> {
        let period = period(now);
        connection
            .prepare_cached("INSERT OR REPLACE INTO token VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![period, self.0, answer, now])?;
        if self.0[0].is_multiple_of(SWEEPS) {
            connection
                .prepare_cached(
                    "DELETE FROM token WHERE (period, digest) IN
                     (SELECT period, digest FROM token WHERE period < ?1 LIMIT ?2)",
                )?
                .execute([period - 1, SWEPT])?;
        }
        Ok(())
    }
}

/// The time that a token was used at, in steps of how long it is remembered.
pub(super) fn period(used_at: Moment) -> i64 {
    used_at.div_euclid(REMEMBERED)
}

/// Names a token together with all that must be the same.
pub(super) fn digest(operation: &str, scope: &str, token: &str, parameters: &[u8]) -> [u8; DIGEST] {
    let mut context = Context::new(&SHA256);
    for part in [
        operation.as_bytes(),
        scope.as_bytes(),
        token.as_bytes(),
        parameters,
    ] {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut digest = [0; DIGEST];
    digest.copy_from_slice(&context.finish().as_ref()[..DIGEST]);
    digest
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
    serde_json::to_writer(out, value).expect("a scalar is JSON, and memory takes it");
}
