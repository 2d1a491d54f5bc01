//! Faults for rehearsals: errors that AWS may give at any time, given here on purpose.

use std::str::FromStr;

use crate::failure::Code;
use crate::wire::model::MODEL;
use windlass_ground::{chance_of, drawn};

/// One fault: `OPERATION:ERROR:PERCENT%[:after]`, such as `IssueCertificate:ThrottlingException:10%`.
///
/// The operation `*` is all of them. With `:after` the request is carried out and its answer lost: the error that
/// a client must not take for "nothing happened". `RequestFailedException` on an operation that AWS finishes behind its
/// answer (IssueCertificate, CreateCertificateAuthority, CreateCertificateAuthorityAuditReport) is accepted, and fails later.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    operation: String,
    code: Code,
    chance: f64,
    after: bool,
}

/// Why a fault can't be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum FaultError {
    /// It doesn't have its three parts.
    #[error(
        "a fault has the form OPERATION:ERROR:PERCENT%, such as IssueCertificate:ThrottlingException:10%"
    )]
    Form,
    /// The operation isn't one of AWS Private CA.
    #[error("{0} is not an operation of AWS Private CA")]
    Operation(String),
    /// The error isn't one of AWS Private CA.
    #[error("{0} is not an error of AWS Private CA")]
    Error(String),
    /// The percentage isn't a number from 0 to 100.
    #[error("{0} is not a percentage from 0% to 100%")]
    Percentage(String),
}

/// What a fault does to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Refuse it.
    Refuse(Code),
    /// Carry it out, and answer with an error all the same.
    LoseAnswer(Code),
    /// Accept it, and let it fail behind the answer.
    FailLater,
}

/// What AWS does behind its answer.
const ASYNCHRONOUS: [&str; 3] = [
    "IssueCertificate",
    "CreateCertificateAuthority",
    "CreateCertificateAuthorityAuditReport",
];

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let parts: Vec<&str> = text.split(':').collect();
        let (operation, error, percentage, after) = match parts.as_slice() {
            [operation, error, percentage] => (operation, error, percentage, false),
            [operation, error, percentage, "after"] => (operation, error, percentage, true),
            _ => return Err(FaultError::Form),
        };
        if *operation != "*" && !MODEL.operations.contains_key(*operation) {
            return Err(FaultError::Operation((*operation).to_owned()));
        }
        let code = Code::named(error).ok_or_else(|| FaultError::Error((*error).to_owned()))?;
        let chance = chance_of(percentage)
            .ok_or_else(|| FaultError::Percentage((*percentage).to_owned()))?;
        Ok(Self {
            operation: (*operation).to_owned(),
            code,
            chance,
            after,
        })
    }
}

/// The effect on one request of the first fault that strikes; `drawn` gives numbers from 0 up to 1.
pub(crate) fn strike(
    faults: &[Fault],
    operation: &str,
    mut drawn: impl FnMut() -> f64,
) -> Option<Effect> {
    let fault = faults.iter().find(|fault| {
        (fault.operation == "*" || fault.operation == operation) && drawn() < fault.chance
    })?;
    Some(match fault.code {
        Code::RequestFailed if ASYNCHRONOUS.contains(&operation) => Effect::FailLater,
        code if fault.after => Effect::LoseAnswer(code),
        code => Effect::Refuse(code),
    })
}

/// A number from 0 up to 1; 1, which strikes nothing, if there is no randomness.
pub(crate) fn draw() -> f64 {
    let mut bytes = [0; 4];
    match aws_lc_rs::rand::fill(&mut bytes) {
        Ok(()) => drawn(bytes),
        Err(_) => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_read_with_its_mistakes_named() {
        let fault: Fault = "IssueCertificate:ThrottlingException:10%".parse().unwrap();
        let faults = [fault];
        let struck = strike(&faults, "IssueCertificate", || 0.09);
        assert_eq!(struck, Some(Effect::Refuse(Code::Throttling)));
        assert_eq!(strike(&faults, "IssueCertificate", || 0.1), None);
        assert_eq!(strike(&faults, "GetCertificate", || 0.0), None);
        let of = |text: &str| text.parse::<Fault>().unwrap_err();
        assert_eq!(of("IssueCertificate"), FaultError::Form);
        assert_eq!(
            of("Issue:ThrottlingException:1%"),
            FaultError::Operation("Issue".into())
        );
        assert_eq!(of("*:Oops:1%"), FaultError::Error("Oops".into()));
        assert_eq!(
            of("*:ThrottlingException:101%"),
            FaultError::Percentage("101%".into())
        );
    }

    #[test]
    fn what_aws_does_later_fails_later() {
        let faults = ["*:RequestFailedException:100%".parse().unwrap()];
        assert_eq!(
            strike(&faults, "IssueCertificate", || 0.0),
            Some(Effect::FailLater)
        );
        assert_eq!(
            strike(&faults, "GetPolicy", || 0.0),
            Some(Effect::Refuse(Code::RequestFailed))
        );
    }
}
