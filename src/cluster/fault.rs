//! Faults for rehearsals: errors that an API server may return at any time, injected on purpose.

use std::str::FromStr;

use crate::{object::random, wire::Verb};
use windlass_ground::{chance_of, drawn};

/// A fault to inject: `VERB:RESOURCE:STATUS:PERCENT%[:after]`, such as `patch:deployments:500:10%`.
///
/// The verb and the resource may be `*`. The status is 429, 500, 503 or 504, or `cut`, which closes the connection without a
/// response. With `:after`, the request is carried out before it fails, so a client must not assume that nothing happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    verb: String,
    resource: String,
    effect: Effect,
    chance: f64,
    after: bool,
}

/// Why the text of a fault is not valid.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum FaultError {
    /// The text does not have the required parts.
    #[error(
        "a fault has the form VERB:RESOURCE:STATUS:PERCENT%, such as patch:deployments:500:10%"
    )]
    Form,
    /// The verb is not one of Kubernetes.
    #[error(
        "{0} is not a verb; use get, list, watch, create, update, patch, delete, deletecollection or *"
    )]
    Verb(String),
    /// The status can't be injected.
    #[error("{0} is not a status for a fault; use 429, 500, 503, 504 or cut")]
    Status(String),
    /// The percentage is not a number from 0 to 100.
    #[error("{0} is not a percentage from 0% to 100%")]
    Percentage(String),
}

/// How the request fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Status(u16),
    Cut,
}

/// A fault that applies to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Strike {
    pub effect: Effect,
    /// Whether the request is carried out before it fails.
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

/// Returns the first fault that applies to a request. `drawn` returns random numbers from 0 (included) to 1 (excluded).
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

/// Returns a random number from 0 (included) to 1 (excluded).
pub(crate) fn draw() -> f64 {
    drawn(random())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_parsed_and_each_mistake_has_its_error() {
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
