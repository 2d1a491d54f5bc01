//! Sorts what AWS answers into [`FailureClass`]es, once for the whole program.

use aws_sdk_acmpca::{
    error::{DisplayErrorContext, ProvideErrorMetadata, SdkError},
    operation::RequestId,
};

use crate::{
    outside::answer::{Client, LOST, NOT_SENT, proof},
    value::{Failure, FailureClass, Proof},
};

/// What the SDK says where whoever gives credentials could not be asked just now. Everything else is
/// the same at the next attempt: somebody has to log in.
const PASSING: [&str; 5] = [
    "timed out",
    "timeout",
    "hrottl",
    "InternalFailure",
    "ServiceUnavailable",
];

/// How the SDK says that nobody gave it credentials.
const NO_CREDENTIALS: [&str; 2] = ["loading credentials", "no credentials found"];

/// How hyper says that there was no connection, so that nothing can have been sent.
const NO_CONNECTION: &str = "client error (Connect)";

/// What an attempt of the SDK's proves that got no answer of AWS, from all that the error says.
pub(super) fn proof_of_loss(chain: &str) -> Proof {
    proof(
        Client::Aws,
        "*",
        if chain.contains(NO_CONNECTION) {
            NOT_SENT
        } else {
            LOST
        },
    )
}

/// `resource` is the ARN that the call was about, or `*`.
///
/// `is_earlier_in_doubt` says whether an earlier attempt of the SDK's may have done it: then a refusal of the last one
/// proves nothing.
pub(super) fn classify<E, R>(
    operation: &'static str,
    resource: &str,
    error: SdkError<E, R>,
    is_earlier_in_doubt: bool,
) -> Failure
where
    E: ProvideErrorMetadata + RequestId + std::error::Error + 'static,
    R: std::fmt::Debug,
{
    let failure = of_last_attempt(operation, resource, error);
    match is_earlier_in_doubt && !failure.is_done {
        true => failure.proving(Proof::Unknown),
        false => failure,
    }
}

fn of_last_attempt<E, R>(operation: &'static str, resource: &str, error: SdkError<E, R>) -> Failure
where
    E: ProvideErrorMetadata + RequestId + std::error::Error + 'static,
    R: std::fmt::Debug,
{
    // The SDK's chain says what really happened (refused, DNS, TLS); its head is only "dispatch failure".
    let chain = DisplayErrorContext(&error).to_string();
    let shown = chain.split(" (").next().unwrap_or(&chain);
    let trouble = |class, code: &str| Failure::new(class, operation, code, shown.to_owned());
    match &error {
        SdkError::ServiceError(service) => {
            let inner = service.err();
            let code = inner.code().unwrap_or("Unknown");
            let message = inner.message().unwrap_or("no message").to_owned();
            let mut failure = Failure::new(class_of(code), operation, code, message);
            failure.request_id = inner.request_id().map(Into::into);
            failure.hint = hint(operation, resource, code);
            failure.proving(proof(Client::Aws, operation, code))
        }
        SdkError::TimeoutError(_) => trouble(FailureClass::Timeout, "Timeout").or_done(),
        SdkError::DispatchFailure(dispatch) if dispatch.is_timeout() => {
            trouble(FailureClass::Timeout, "Timeout").proving(proof_of_loss(&chain))
        }
        // Nothing was sent, so nothing can have been done. The SDK marks it by its words alone.
        SdkError::DispatchFailure(_) if NO_CREDENTIALS.iter().any(|w| chain.contains(w)) => {
            let login = chain.contains("SSO") || chain.contains("UnauthorizedException");
            let class = match PASSING.iter().any(|word| chain.contains(word)) {
                true => FailureClass::Unavailable,
                false => FailureClass::Denied,
            };
            trouble(class, "NoCredentials").with_hint(if login {
                "log in again (`aws sso login`), then resume the run"
            } else {
                "there are no AWS credentials: log in (`aws sso login`, `aws configure`), or name a profile in the \
                 target (`pca = { profile = \"NAME\" }`); `aws sts get-caller-identity` shows whether it worked"
            })
        }
        SdkError::DispatchFailure(_) => trouble(FailureClass::Unavailable, "Unreachable")
            .proving(proof_of_loss(&chain))
            .with_hint("is the target's endpoint right, and is it reachable from here?"),
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
