//! What reverses a call that was made: each host module knows it for its own.

use super::{exec, file, http, kube, pca};
use crate::{outside::Clients, script::effects::Call, value::Value};

/// An effect as the journal holds it.
#[derive(Clone, Copy, Debug)]
pub struct Done<'a> {
    pub function: &'a str,
    /// For people: secrets masked, long texts cut.
    pub arguments: &'a serde_json::Value,
    /// What was there before, as the call recorded it.
    pub before: &'a Value,
    pub result: &'a Value,
}

/// What can be done about an effect.
pub enum Reversal {
    /// It left nothing outside.
    Nothing,
    /// One call, which is no harm if it is made again.
    By { what: String, call: Call },
    /// Says what stays.
    Never(String),
}

impl Reversal {
    pub(super) fn never(what: impl Into<String>) -> Self {
        Self::Never(what.into())
    }
}

/// Finds what reverses an effect.
pub fn reversal(done: Done, clients: &Clients) -> Reversal {
    match done.function.split_once("::") {
        Some(("pca", function)) => pca::reversal(function, done, &clients.pca),
        Some(("kube", function)) => kube::reversal(function, done, &clients.kube),
        Some(("exec", _)) => exec::reversal(done, &clients.programs, &clients.files),
        Some(("http", _)) => http::reversal(done, &clients.http),
        Some(("file", function)) => file::reversal(function, done, &clients.files),
        Some(("time" | "random" | "key" | "log", _)) => Reversal::Nothing,
        _ => Reversal::Never(format!("{} can't be reversed", done.function)),
    }
}
