//! Faults for rehearsals: errors that AWS may return at any time, injected on purpose.

use std::str::FromStr;

use crate::failure::Code;
use crate::wire::model::MODEL;
use windlass_ground::{chance_of, drawn, random_bytes};

/// A fault to inject: `OPERATION:ERROR:PERCENT%[:after]`, such as `IssueCertificate:ThrottlingException:10%`.
///
/// The operation `*` stands for all operations. With `:after`, the request is carried out before it fails, so a client must
/// not assume that nothing happened. `RequestFailedException` on an operation that AWS completes asynchronously
/// (IssueCertificate, CreateCertificateAuthority, CreateCertificateAuthorityAuditReport) lets AWS accept the request, and
/// fails it later.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    operation: String,
    code: Code,
    chance: f64,
    after: bool,
}

/// Why the text of a fault is not valid.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum FaultError {
    /// The text does not have the required parts.
    #[error(
        "a fault has the form OPERATION:ERROR:PERCENT%, such as IssueCertificate:ThrottlingException:10%"
    )]
    Form,
    /// The operation is not one of AWS Private CA.
    #[error("{0} is not an operation of AWS Private CA")]
    Operation(String),
    /// The error is not one of AWS Private CA.
    #[error("{0} is not an error of AWS Private CA")]
    Error(String),
    /// The percentage is not a number from 0 to 100.
    #[error("{0} is not a percentage from 0% to 100%")]
    Percentage(String),
}

/// The effect of a fault on a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// The request is refused.
    Refuse(Code),
    /// The request is carried out, but answered with an error.
    LoseAnswer(Code),
    /// The request is accepted, and fails after the response.
    FailLater,
}

/// The operations that AWS completes after the response.
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

/// Returns the effect of the first fault that applies to a request. `drawn` returns random numbers from 0 (included) to 1
/// (excluded).
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

/// Returns a random number from 0 (included) to 1 (excluded). Returns 1 if there are no random bytes; then no fault applies.
pub(crate) fn draw() -> f64 {
    let mut bytes = [0; 4];
    match random_bytes(&mut bytes) {
        Ok(()) => drawn(bytes),
        Err(_) => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_parsed_and_each_mistake_has_its_error() {
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
    fn an_asynchronous_operation_fails_after_it_was_accepted() {
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
