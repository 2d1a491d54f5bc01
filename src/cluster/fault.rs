//! Faults for rehearsals: errors that an API server may give at any time, given here on purpose.

use std::str::FromStr;

use crate::{object::random, wire::Verb};
use windlass_ground::{chance_of, drawn};

/// One fault: `VERB:RESOURCE:STATUS:PERCENT%[:after]`, such as `patch:deployments:500:10%`.
///
/// Verb and resource may be `*`. The status is one of 429, 500, 503 and 504, or `cut`: the connection ends without an
/// answer. With `:after` the request is carried out and its answer lost: the error that a client must not take for
/// "nothing happened".
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    verb: String,
    resource: String,
    effect: Effect,
    chance: f64,
    after: bool,
}

/// Why a fault can't be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum FaultError {
    /// It doesn't have its four parts.
    #[error(
        "a fault has the form VERB:RESOURCE:STATUS:PERCENT%, such as patch:deployments:500:10%"
    )]
    Form,
    /// The verb isn't one of Kubernetes.
    #[error(
        "{0} is not a verb; those are get, list, watch, create, update, patch, delete, deletecollection and *"
    )]
    Verb(String),
    /// The status can't be given.
    #[error("{0} is not a status that can be given; those are 429, 500, 503, 504 and cut")]
    Status(String),
    /// The percentage isn't a number from 0 to 100.
    #[error("{0} is not a percentage from 0% to 100%")]
    Percentage(String),
}

/// How a request fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Status(u16),
    Cut,
}

/// A fault that strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Strike {
    pub effect: Effect,
    /// Whether the request is carried out all the same.
    pub after: bool,
}

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let parts: Vec<&str> = text.split(':').collect();
        let (verb, resource, status, percentage, after) = match parts.as_slice() {
            [verb, resource, status, percentage] => (verb, resource, status, percentage, false),
            [verb, resource, status, percentage, "after"] => {
                (verb, resource, status, percentage, true)
            }
            _ => return Err(FaultError::Form),
        };
        if *verb != "*" && verb.parse::<Verb>().is_err() {
            return Err(FaultError::Verb((*verb).to_owned()));
        }
        let effect = match *status {
            "429" => Effect::Status(429),
            "500" => Effect::Status(500),
            "503" => Effect::Status(503),
            "504" => Effect::Status(504),
            "cut" => Effect::Cut,
            other => return Err(FaultError::Status(other.to_owned())),
        };
        let chance = chance_of(percentage)
            .ok_or_else(|| FaultError::Percentage((*percentage).to_owned()))?;
        Ok(Self {
            verb: (*verb).to_owned(),
            resource: (*resource).to_owned(),
            effect,
            chance,
            after,
        })
    }
}

/// The first fault that strikes a request; `drawn` gives numbers from 0 up to 1.
pub(crate) fn strike(
    faults: &[Fault],
    verb: Verb,
    resource: &str,
    mut drawn: impl FnMut() -> f64,
) -> Option<Strike> {
    let is = |pattern: &str, name: &str| pattern == "*" || pattern == name;
    let fault = faults.iter().find(|fault| {
        is(&fault.verb, verb.as_str()) && is(&fault.resource, resource) && drawn() < fault.chance
    })?;
    Some(Strike {
        effect: fault.effect,
        after: fault.after,
    })
}

/// A number from 0 up to 1.
pub(crate) fn draw() -> f64 {
    drawn(random())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_read_with_its_mistakes_named() {
        let faults = ["patch:deployments:500:10%:after".parse().unwrap()];
        let struck = |verb, resource, drawn| strike(&faults, verb, resource, || drawn);
        let strike = Strike {
            effect: Effect::Status(500),
            after: true,
        };
        assert_eq!(struck(Verb::Patch, "deployments", 0.09), Some(strike));
        assert_eq!(struck(Verb::Patch, "deployments", 0.1), None);
        assert_eq!(struck(Verb::Get, "deployments", 0.0), None);
        assert_eq!(struck(Verb::Patch, "secrets", 0.0), None);
        let of = |text: &str| text.parse::<Fault>().unwrap_err();
        assert_eq!(of("patch:deployments:500"), FaultError::Form);
        assert_eq!(of("go:*:500:1%"), FaultError::Verb("go".into()));
        assert_eq!(of("*:*:200:1%"), FaultError::Status("200".into()));
        assert_eq!(of("*:*:cut:101%"), FaultError::Percentage("101%".into()));
    }
}
