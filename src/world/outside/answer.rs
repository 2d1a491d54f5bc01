//! What an answer proves about a call that changes something: one table for all clients.
//!
//! Only an answer that *proves* that nothing was done counts as "not done". Answers that are not in the table are
//! [`Proof::Unknown`]: AWS may answer 503 after it has created a CA, a gateway may answer 502 after its server has written, a
//! program may exit with 1 after half of its work.

use crate::value::Proof;

/// The kind of the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Client {
    Aws,
    /// An AWS service whose error codes are not all known here.
    AwsService,
    Http,
    Kubernetes,
    Program,
    File,
}

/// Nothing was sent: no connection, no credentials, a request that can't be built.
pub(super) const NOT_SENT: &str = "not sent";
/// Something may have been sent, and no complete answer was received.
pub(super) const LOST: &str = "lost";
/// The API server answered 500 because it could not read a manifest.
pub(super) const MANIFEST_REFUSED: &str = "manifest refused";
/// The program could not be started.
pub(super) const NOT_STARTED: &str = "not started";
/// The program ran, and ended with an unexpected exit code, by a signal, or by a timeout.
pub(super) const ENDED: &str = "ended";
/// The file system returned an error before the file got its name.
pub(super) const NOT_NAMED: &str = "not named";
/// The file has its name, but a folder could not be synced.
pub(super) const NAMED: &str = "named";

/// A row: what an answer proves.
#[derive(Clone, Copy, Debug)]
struct Row {
    client: Client,
    /// An AWS operation or an HTTP method; `*` for any.
    operation: &'static str,
    /// An AWS error code; a status, or a class of statuses such as `4xx`; one of the words above.
    answer: &'static str,
    proof: Proof,
}

const fn row(client: Client, operation: &'static str, answer: &'static str, proof: Proof) -> Row {
    Row {
        client,
        operation,
        answer,
        proof,
    }
}

use Client::{Aws, AwsService, File, Http, Kubernetes, Program};
use Proof::{Done, NotDone, Unknown};

/// The first row that matches applies. If none does, it is not known.
static TABLE: [Row; 61] = [
    // Nothing has left this machine.
    row(Aws, "*", NOT_SENT, NotDone),
    row(Http, "*", NOT_SENT, NotDone),
    row(Kubernetes, "*", NOT_SENT, NotDone),
    // AWS Private CA API Reference, RevokeCertificate: "Your request has already been completed."
    row(
        Aws,
        "RevokeCertificate",
        "RequestAlreadyProcessedException",
        Done,
    ),
    // AWS Private CA API Reference, "Common Errors" and the errors of each operation: the request was rejected because of its
    // sender ...
    row(Aws, "*", "AccessDenied", NotDone),
    row(Aws, "*", "AccessDeniedException", NotDone),
    row(Aws, "*", "ExpiredToken", NotDone),
    row(Aws, "*", "ExpiredTokenException", NotDone),
    row(Aws, "*", "IncompleteSignature", NotDone),
    row(Aws, "*", "IncompleteSignatureException", NotDone),
    row(Aws, "*", "InvalidClientTokenId", NotDone),
    row(Aws, "*", "InvalidSignatureException", NotDone),
    row(Aws, "*", "MissingAuthenticationToken", NotDone),
    row(Aws, "*", "MissingAuthenticationTokenException", NotDone),
    row(Aws, "*", "NotAuthorized", NotDone),
    row(Aws, "*", "OptInRequired", NotDone),
    row(Aws, "*", "RequestExpired", NotDone),
    row(Aws, "*", "SignatureDoesNotMatch", NotDone),
    row(Aws, "*", "UnrecognizedClientException", NotDone),
    // ... before it began, because there were too many ...
    row(Aws, "*", "RequestLimitExceeded", NotDone),
    row(Aws, "*", "Throttling", NotDone),
    row(Aws, "*", "ThrottlingException", NotDone),
    row(Aws, "*", "TooManyRequestsException", NotDone),
    // ... or because of its contents.
    row(Aws, "*", "CertificateMismatchException", NotDone),
    row(Aws, "*", "ConcurrentModificationException", NotDone),
    row(Aws, "*", "InvalidAction", NotDone),
    row(Aws, "*", "InvalidArgsException", NotDone),
    row(Aws, "*", "InvalidArnException", NotDone),
    row(Aws, "*", "InvalidNextTokenException", NotDone),
    row(Aws, "*", "InvalidPolicyException", NotDone),
    row(Aws, "*", "InvalidRequestException", NotDone),
    row(Aws, "*", "InvalidStateException", NotDone),
    row(Aws, "*", "InvalidTagException", NotDone),
    row(Aws, "*", "LimitExceededException", NotDone),
    row(Aws, "*", "LockoutPreventedException", NotDone),
    row(Aws, "*", "MalformedCSRException", NotDone),
    row(Aws, "*", "MalformedCertificateException", NotDone),
    row(Aws, "*", "PermissionAlreadyExistsException", NotDone),
    row(Aws, "*", "ResourceNotFoundException", NotDone),
    row(Aws, "*", "SerializationException", NotDone),
    row(Aws, "*", "TooManyTagsException", NotDone),
    row(Aws, "*", "UnknownOperationException", NotDone),
    row(Aws, "*", "ValidationException", NotDone),
    // Smithy, "error trait": an error is the client's (4xx) or the server's (5xx); "Common Error Types" of AWS's services:
    // RequestTimeout is a 4xx that may come after the work, and RequestInProgress means that a call is still running.
    row(AwsService, "*", "RequestInProgressException", Unknown),
    row(AwsService, "*", "RequestTimeout", Unknown),
    row(AwsService, "*", "RequestTimeoutException", Unknown),
    row(AwsService, "*", "408", Unknown),
    // Amazon S3 API Reference, "Error responses": the request must be sent to another endpoint.
    row(AwsService, "*", "301", NotDone),
    row(AwsService, "*", "307", NotDone),
    row(AwsService, "*", "4xx", NotDone),
    // RFC 9110, 15.3: "the client's request was successfully received, understood, and accepted"; 15.4.4: 303 is
    // the answer to a request that was carried out.
    row(Http, "*", "2xx", Done),
    row(Http, "*", "303", Done),
    // RFC 9110, 15.5: "the client seems to have erred"; proxies also answer 408 for a slow server, and 499 is nginx's
    // status for a client that has closed the connection.
    row(Http, "*", "408", Unknown),
    row(Http, "*", "499", Unknown),
    row(Http, "*", "4xx", NotDone),
    // Kubernetes API conventions, "HTTP Status codes": a 4xx request is rejected before it is stored, 429 before it began; 500,
    // 503 and 504 may come after.
    row(Kubernetes, "*", MANIFEST_REFUSED, NotDone),
    row(Kubernetes, "*", "408", Unknown),
    row(Kubernetes, "*", "4xx", NotDone),
    // execve(2): no program ran. An exit code does not show what the program did before.
    row(Program, "*", NOT_STARTED, NotDone),
    // rename(2): a file that did not get its name is unchanged.
    row(File, "*", NOT_NAMED, NotDone),
    row(File, "*", NAMED, Unknown),
];

/// Returns what an answer proves.
pub(super) fn proof(client: Client, operation: &str, answer: &str) -> Proof {
    find(client, operation, answer).map_or(Unknown, |row| row.proof)
}

fn find(client: Client, operation: &str, answer: &str) -> Option<&'static Row> {
    TABLE.iter().find(|row| {
        row.client == client
            && (row.operation == "*" || row.operation == operation)
            && fits(row.answer, answer)
    })
}

/// Like [`proof`], for an error of any AWS service: its code decides, or else its status.
pub(super) fn proof_of_aws(operation: &str, code: &str, status: u16) -> Proof {
    let status = status.to_string();
    let looked = [
        (Aws, code),
        (AwsService, code),
        (AwsService, status.as_str()),
    ];
    let found = looked
        .into_iter()
        .find_map(|(client, answer)| find(client, operation, answer));
    found.map_or(Unknown, |row| row.proof)
}

/// Like [`proof`], for an HTTP status.
pub(super) fn proof_of_status(client: Client, operation: &str, status: u16) -> Proof {
    proof(client, operation, &status.to_string())
}

/// Says whether an answer is the one in a row, or of its class.
fn fits(named: &str, answer: &str) -> bool {
    match named.strip_suffix("xx") {
        Some(class) => {
            answer.len() == 3
                && answer.starts_with(class)
                && answer.bytes().all(|byte| byte.is_ascii_digit())
        }
        None => named == answer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a10_what_is_not_named_is_unknown() {
        for (client, operation, answer, wanted) in [
            (
                Aws,
                "CreateCertificateAuthority",
                "ServiceUnavailableException",
                Unknown,
            ),
            (
                Aws,
                "CreateCertificateAuthority",
                "RequestFailedException",
                Unknown,
            ),
            (Aws, "IssueCertificate", "InternalFailure", Unknown),
            (Aws, "IssueCertificate", "SomethingNewException", Unknown),
            (
                Aws,
                "IssueCertificate",
                "RequestInProgressException",
                Unknown,
            ),
            (Aws, "IssueCertificate", "ThrottlingException", NotDone),
            (Aws, "IssueCertificate", LOST, Unknown),
            (Aws, "IssueCertificate", NOT_SENT, NotDone),
            (
                Aws,
                "RevokeCertificate",
                "RequestAlreadyProcessedException",
                Done,
            ),
            (
                Aws,
                "DeletePolicy",
                "RequestAlreadyProcessedException",
                Unknown,
            ),
            (Http, "POST", "201", Done),
            (Http, "POST", "303", Done),
            (Http, "POST", "302", Unknown),
            (Http, "POST", "404", NotDone),
            (Http, "POST", "408", Unknown),
            (Http, "POST", "429", NotDone),
            (Http, "POST", "503", Unknown),
            (Kubernetes, "patch", "409", NotDone),
            (Kubernetes, "patch", "500", Unknown),
            (Kubernetes, "patch", "504", Unknown),
            (Program, "x", ENDED, Unknown),
            (Program, "x", NOT_STARTED, NotDone),
            (File, "write", NOT_NAMED, NotDone),
            (File, "write", NAMED, Unknown),
        ] {
            assert_eq!(
                proof(client, operation, answer),
                wanted,
                "{client:?} {answer}"
            );
        }
    }

    #[test]
    fn a_row_is_reached() {
        for row in TABLE {
            let example = row.answer.replace("xx", "77");
            let operation = row.operation.replace('*', "X");
            let first = TABLE.iter().find(|other| {
                other.client == row.client
                    && [operation.as_str(), "*"].contains(&other.operation)
                    && fits(other.answer, &example)
            });
            let first = first.expect("the row itself");
            assert_eq!(first.answer, row.answer, "another row comes before it");
        }
    }
}
