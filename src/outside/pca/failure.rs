//! Sorts what AWS answers into [`FailureClass`]es, once for the whole program.

use aws_sdk_acmpca::{
    error::{DisplayErrorContext, ProvideErrorMetadata, SdkError},
    operation::RequestId,
};

use crate::value::{Failure, FailureClass};

/// `resource` is the ARN that the call was about, or `*`.
pub(super) fn classify<E, R>(
    operation: &'static str,
    resource: &str,
    error: SdkError<E, R>,
) -> Failure
where
    E: ProvideErrorMetadata + RequestId + std::error::Error + 'static,
    R: std::fmt::Debug,
{
    let trouble = |class, code: &str| {
        // The SDK's chain says what really happened (refused, DNS, TLS); its head is only "dispatch failure".
        let message = DisplayErrorContext(&error).to_string();
        let message = message.split(" (").next().unwrap_or(&message).to_owned();
        Failure::new(class, operation, code, message)
    };
    match &error {
        SdkError::ServiceError(service) => {
            let inner = service.err();
            let code = inner.code().unwrap_or("Unknown");
            let message = inner.message().unwrap_or("no message").to_owned();
            let mut failure = Failure::new(class_of(code), operation, code, message);
            failure.request_id = inner.request_id().map(Into::into);
            failure.hint = hint(operation, resource, code);
            failure.is_unknown = code.starts_with("Internal") || code.starts_with("RequestTimeout");
            failure
        }
        SdkError::TimeoutError(_) => trouble(FailureClass::Timeout, "Timeout").or_done(),
        SdkError::DispatchFailure(dispatch) if dispatch.is_timeout() => {
            trouble(FailureClass::Timeout, "Timeout").or_done()
        }
        SdkError::DispatchFailure(_) => trouble(FailureClass::Unavailable, "Unreachable")
            .or_done()
            .with_hint("is the target's endpoint right, and are there AWS credentials? (`aws sts get-caller-identity`)"),
        SdkError::ResponseError(_) => trouble(FailureClass::Unavailable, "BadResponse").or_done(),
        _ => trouble(FailureClass::Rejected, "BadRequest"),
    }
}

fn class_of(code: &str) -> FailureClass {
    match code {
        "ThrottlingException"
        | "Throttling"
        | "TooManyRequestsException"
        | "RequestLimitExceeded" => FailureClass::Throttled,
        "RequestInProgressException"
        | "ConcurrentModificationException"
        | "InvalidStateException" => FailureClass::Conflict,
        "InternalFailure"
        | "InternalServerException"
        | "ServiceUnavailable"
        | "ServiceUnavailableException"
        | "RequestFailedException" => FailureClass::Unavailable,
        "RequestTimeout" | "RequestTimeoutException" => FailureClass::Timeout,
        "AccessDeniedException"
        | "AccessDenied"
        | "UnrecognizedClientException"
        | "ExpiredTokenException"
        | "InvalidSignatureException"
        | "MissingAuthenticationToken"
        | "IncompleteSignature"
        | "InvalidClientTokenId" => FailureClass::Denied,
        _ => FailureClass::Rejected,
    }
}

fn hint(operation: &str, resource: &str, code: &str) -> Option<String> {
    Some(match code {
        "AccessDeniedException" | "AccessDenied" => {
            format!("the caller needs the IAM action `acm-pca:{operation}` on {resource}")
        }
        "LimitExceededException" if operation == "CreateCertificateAuthority" => {
            "the quota \"Number of private certificate authorities\" (200 per region) is used up: \
             delete one, or ask AWS for more"
                .into()
        }
        "LimitExceededException" => {
            "a quota of AWS Private CA is used up: see Service Quotas".into()
        }
        "ExpiredTokenException" => "log in again (`aws sso login`), then resume the run".into(),
        _ => return None,
    })
}
