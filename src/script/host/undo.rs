//! What reverses a call that was made: each host module knows it for its own.

use super::{exec, file, http, kube, pca};
use crate::{
    outside::Clients,
    script::effects::{Call, EffectKey, Look},
    value::Value,
};

/// An effect as the journal holds it.
#[derive(Clone, Copy, Debug)]
pub struct Done<'a> {
    pub function: &'a str,
    /// Its own, where it may have been cut off; nothing in a plan.
    pub key: Option<&'a EffectKey>,
    /// For people: secrets masked, long texts cut.
    pub arguments: &'a serde_json::Value,
    /// What was there before, as the call recorded it.
    pub before: &'a Value,
    /// `None` if nobody knows whether it was done.
    pub result: Option<&'a Value>,
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

/// How to find out what became of a call that nobody knows the end of.
pub enum Finding {
    /// What was there before it is enough for its reversal.
    NotNeeded,
    By(Look),
    /// Its reversal needs its result, and too little was recorded to look for it.
    Impossible,
}

/// Says how to find out what became of a call, as far as its reversal needs that. Nothing new is done.
pub fn finding(function: &str, before: &Value, clients: &Clients) -> Finding {
    match function.split_once("::") {
        Some(("pca", function)) => pca::finding(function, before, &clients.pca),
        _ => Finding::NotNeeded,
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
