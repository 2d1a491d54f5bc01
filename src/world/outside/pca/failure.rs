//! Maps errors of AWS to [`FailureClass`]es, once for the whole program.

use aws_sdk_acmpca::{
    error::{DisplayErrorContext, ProvideErrorMetadata, SdkError},
    operation::RequestId,
};

use crate::{
    outside::{
        answer::{Client, LOST, NOT_SENT, proof},
        transport::Transport,
    },
    value::{Failure, FailureClass, Proof, causes},
};

/// The SDK's messages if a provider of credentials could not be reached. Other errors would be the same at the next attempt: a user
/// must log in.
const PASSING: [&str; 5] = [
    "timed out",
    "timeout",
    "hrottl",
    "InternalFailure",
    "ServiceUnavailable",
];

/// The SDK's messages if no provider returned credentials.
const NO_CREDENTIALS: [&str; 2] = ["loading credentials", "no credentials found"];

/// hyper's message if there was no connection, so that nothing was sent.
const NO_CONNECTION: &str = "client error (Connect)";

/// Returns what an attempt without an answer of AWS proves, according to the error's chain.
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

/// `resource` is the ARN of the call, or `*`.
///
/// `is_earlier_in_doubt` says whether an earlier attempt of the SDK may have succeeded: then a rejection of the last one proves
/// nothing.
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
    if is_earlier_in_doubt && !failure.is_done {
        failure.proving(Proof::Unknown)
    } else {
        failure
    }
}

fn of_last_attempt<E, R>(operation: &'static str, resource: &str, error: SdkError<E, R>) -> Failure
where
    E: ProvideErrorMetadata + RequestId + std::error::Error + 'static,
    R: std::fmt::Debug,
{
    let lost = proof_of_loss(&DisplayErrorContext(&error).to_string());
    let chain = chain_of(&error);
    let trouble = |class, code: &str| Failure::new(class, operation, code, chain.clone());
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
            trouble(FailureClass::Timeout, "Timeout").proving(lost)
        }
        // Nothing was sent, so nothing was done. The SDK only shows this in its message.
        SdkError::DispatchFailure(_) if NO_CREDENTIALS.iter().any(|w| chain.contains(w)) => {
            no_credentials(operation, chain)
        }
        _ if NO_REGION.iter().any(|words| chain.contains(words)) => {
            trouble(FailureClass::Rejected, "NoRegion").with_hint(
                "no region is named: in the target (`pca = { region = \"us-east-1\" }`), in AWS_REGION, or in the profile",
            )
        }
        SdkError::DispatchFailure(dispatch) => {
            let reason = dispatch.as_connector_error().and_then(|e| Transport::of(e));
            unreachable(operation, chain, reason).proving(lost)
        }
        SdkError::ResponseError(_) => trouble(FailureClass::Unavailable, "BadResponse").or_done(),
        _ => trouble(FailureClass::Rejected, "BadRequest"),
    }
}

/// Returns the failure for a call without credentials, which was not sent. `chain` says which providers were tried.
pub(in super::super) fn no_credentials(operation: &str, chain: String) -> Failure {
    let login = chain.contains("SSO") || chain.contains("UnauthorizedException");
    let class = if PASSING.iter().any(|word| chain.contains(word)) {
        FailureClass::Unavailable
    } else {
        FailureClass::Denied
    };
    Failure::new(class, operation, "NoCredentials", chain).with_hint(if login {
        "log in again (`aws sso login`), then resume the run"
    } else {
        "there are no AWS credentials: log in (`aws sso login`, `aws configure`), or name a profile in the \
         target (`pca = { profile = \"NAME\" }`); `aws sts get-caller-identity` shows whether it worked"
    })
}

/// The SDK's messages if it does not know which host to use.
const NO_REGION: [&str; 2] = ["Missing Region", "region must be set"];

/// Returns all causes of an error, outermost first, without the SDK's own prefixes.
fn chain_of<E, R>(error: &SdkError<E, R>) -> String
where
    E: std::error::Error + 'static,
    R: std::fmt::Debug,
{
    if let SdkError::DispatchFailure(dispatch) = error
        && let Some(connector) = dispatch.as_connector_error()
    {
        return causes(connector);
    }
    let chain = DisplayErrorContext(error).to_string();
    // The rest repeats the same in Rust's debug format.
    let end = chain
        .match_indices(" (")
        .find(|(at, _)| chain[at + 2..].starts_with(|c: char| c.is_ascii_uppercase()))
        .map_or(chain.len(), |(at, _)| at);
    chain[..end].to_owned()
}

/// Returns the failure for a server that could not be reached.
pub(in super::super) fn unreachable(
    operation: &str,
    chain: String,
    reason: Option<Transport>,
) -> Failure {
    let class = reason.map_or(FailureClass::Unavailable, Transport::class);
    let code = reason.map_or("Unreachable", Transport::code);
    Failure::new(class, operation, code, chain).with_hint(match reason {
        Some(Transport::Untrusted) => {
            "the server's certificate is signed by no CA that is trusted: if the CA is your company's, name a file of it in \
             `ca_bundle` of the target or in AWS_CA_BUNDLE"
        }
        Some(Transport::WrongName) => {
            "the certificate is another server's: `endpoint` must name the host as the certificate does"
        }
        Some(Transport::OutOfDate) => {
            "the server's certificate is out of date, or the clock of this machine is wrong"
        }
        Some(Transport::BadCertificate) => {
            "the server's certificate can't be accepted; `openssl s_client -connect HOST:PORT` shows it"
        }
        Some(Transport::NotTls) => {
            "the server speaks no TLS there: does `endpoint` begin with https:// where http:// is meant?"
        }
        Some(Transport::Refused) => {
            "nothing listens there: is the port of `endpoint` right, and is the server running?"
        }
        Some(Transport::UnknownHost) => {
            "no such host is known: is the host of `endpoint`, or the region, written right?"
        }
        None => "is the target's endpoint right, and is it reachable from here?",
    })
}

/// Returns the class of an AWS error code.
pub(in super::super) fn class_of(code: &str) -> FailureClass {
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
