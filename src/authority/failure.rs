//! Errors of the API: a name, an HTTP status and a message.

use std::fmt;

/// An error as it is sent to the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub(crate) struct Failure {
    pub code: Code,
    pub message: String,
}

/// The error names in the service model, and those that every AWS service has in addition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    AccessDenied,
    CertificateMismatch,
    IncompleteSignature,
    InternalFailure,
    InvalidArgs,
    InvalidArn,
    InvalidNextToken,
    InvalidPolicy,
    InvalidRequest,
    InvalidSignature,
    InvalidState,
    InvalidTag,
    LimitExceeded,
    MalformedCertificate,
    MalformedCsr,
    MissingAuthenticationToken,
    PermissionAlreadyExists,
    RequestAlreadyProcessed,
    RequestFailed,
    RequestInProgress,
    ResourceNotFound,
    Serialization,
    ServiceUnavailable,
    Throttling,
    TooManyTags,
    UnknownOperation,
    UnrecognizedClient,
    Validation,
    ConcurrentModification,
    LockoutPrevented,
}

impl Code {
    const ALL: [(Code, &str); 30] = [
        (Code::AccessDenied, "AccessDeniedException"),
        (Code::CertificateMismatch, "CertificateMismatchException"),
        (Code::IncompleteSignature, "IncompleteSignatureException"),
        (Code::InternalFailure, "InternalFailure"),
        (Code::InvalidArgs, "InvalidArgsException"),
        (Code::InvalidArn, "InvalidArnException"),
        (Code::InvalidNextToken, "InvalidNextTokenException"),
        (Code::InvalidPolicy, "InvalidPolicyException"),
        (Code::InvalidRequest, "InvalidRequestException"),
        (Code::InvalidSignature, "InvalidSignatureException"),
        (Code::InvalidState, "InvalidStateException"),
        (Code::InvalidTag, "InvalidTagException"),
        (Code::LimitExceeded, "LimitExceededException"),
        (Code::MalformedCertificate, "MalformedCertificateException"),
        (Code::MalformedCsr, "MalformedCSRException"),
        (
            Code::MissingAuthenticationToken,
            "MissingAuthenticationTokenException",
        ),
        (
            Code::PermissionAlreadyExists,
            "PermissionAlreadyExistsException",
        ),
        (
            Code::RequestAlreadyProcessed,
            "RequestAlreadyProcessedException",
        ),
        (Code::RequestFailed, "RequestFailedException"),
        (Code::RequestInProgress, "RequestInProgressException"),
        (Code::ResourceNotFound, "ResourceNotFoundException"),
        (Code::Serialization, "SerializationException"),
        (Code::ServiceUnavailable, "ServiceUnavailableException"),
        (Code::Throttling, "ThrottlingException"),
        (Code::TooManyTags, "TooManyTagsException"),
        (Code::UnknownOperation, "UnknownOperationException"),
        (Code::UnrecognizedClient, "UnrecognizedClientException"),
        (Code::Validation, "ValidationException"),
        (
            Code::ConcurrentModification,
            "ConcurrentModificationException",
        ),
        (Code::LockoutPrevented, "LockoutPreventedException"),
    ];

    /// Returns the name that clients match on.
    pub fn name(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(code, _)| *code == self)
            .map_or("InternalFailure", |(_, name)| name)
    }

    /// Returns the code with an AWS error name, or `None` if this service does not have it.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .find(|(_, known)| *known == name)
            .map(|(code, _)| *code)
    }

    /// Returns the HTTP status: AWS's JSON services answer every client error with 400.
    pub fn status(self) -> u16 {
        match self {
            Self::InternalFailure => 500,
            Self::ServiceUnavailable => 503,
            _ => 400,
        }
    }

    /// Makes an error with this message.
    pub fn says(self, message: impl Into<String>) -> Failure {
        Failure {
            code: self,
            message: message.into(),
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Code::InternalFailure.says(format!("the state can't be read or written: {error}"))
    }
}
