//! Sorts what an API server answers into [`FailureClass`]es.

use http::StatusCode;
use kube::{Error, core::Status};

use crate::{
    outside::answer::{Client, LOST, NOT_SENT, proof, proof_of_status},
    value::{Failure, FailureClass, MASK, Proof},
};

/// The cause that an eviction is refused for, and the code of that failure (policy/v1 `DisruptionBudgetCause`).
const DISRUPTION_BUDGET: &str = "DisruptionBudget";

/// What a request is about, for its failures.
#[derive(Clone, Debug)]
pub(super) struct About {
    /// As the API names it: `patch deployment/istiod in istio-system`.
    pub operation: String,
    /// The role of the cluster.
    pub cluster: String,
    /// Whether it may have changed something though its answer was lost.
    pub changes: bool,
    /// Whether making it twice leaves the same as once, though it changes something.
    pub is_repeatable: bool,
    /// Whether it is about a Secret, whose values the API server's messages may quote.
    pub is_secret: bool,
}

impl About {
    /// The same, for a request that may be sent again though its answer was lost.
    pub fn repeatable(self) -> Self {
        Self {
            is_repeatable: true,
            ..self
        }
    }

    pub fn failure(&self, class: FailureClass, code: &str, message: impl Into<String>) -> Failure {
        Failure::new(class, self.name(), code, message)
    }

    /// A failure with no whole answer.
    pub fn lost(&self, class: FailureClass, code: &str, message: impl Into<String>) -> Failure {
        let failure = self.failure(class, code, message);
        self.proving(failure, proof(Client::Kubernetes, "*", LOST))
    }

    /// A request that changes something may have done so although it failed.
    fn proving(&self, failure: Failure, proof: Proof) -> Failure {
        match self.changes {
            true => failure.proving(proof),
            false => failure,
        }
    }

    fn name(&self) -> String {
        format!("{} ({})", self.operation, self.cluster)
    }
}

pub(super) fn classify(about: &About, error: Error) -> Failure {
    match error {
        Error::Api(status) => of_status(about, &status),
        Error::Auth(e) => about
            .failure(FailureClass::Denied, "Unauthenticated", causes(&e))
            .with_hint("does `kubectl` work with this context? (exec plugins such as `aws eks get-token` need their program and a login)"),
        Error::HyperError(e) => about.lost(FailureClass::Unavailable, "ConnectionLost", causes(&e)),
        Error::Service(e) => {
            let text = causes(&*e);
            // Nothing was sent where there was no connection.
            let is_unsent = text.contains("error trying to connect") || text.contains("client error (Connect)");
            let failure = match is_unsent {
                true => about.proving(
                    about.failure(FailureClass::Unavailable, "Unreachable", text),
                    proof(Client::Kubernetes, "*", NOT_SENT),
                ),
                false => about.lost(FailureClass::Unavailable, "ConnectionLost", text),
            };
            failure.with_hint("is the API server of this context up, and reachable from here?")
        }
        Error::ReadEvents(e) => about.failure(FailureClass::Unavailable, "ConnectionLost", causes(&e)),
        Error::SerdeError(e) => about.lost(FailureClass::Unavailable, "BadResponse", causes(&e)),
        other => about.failure(FailureClass::Rejected, "BadRequest", causes(&other)),
    }
}

/// An answer whose body is no `Status`: of an API server that starts, is overloaded or does not know the path, and of
/// proxies before it.
pub(super) fn plain_status(code: StatusCode, body: &[u8]) -> Status {
    let reason = match code {
        StatusCode::UNAUTHORIZED => "Unauthorized",
        StatusCode::FORBIDDEN => "Forbidden",
        StatusCode::NOT_FOUND => "NotFound",
        StatusCode::TOO_MANY_REQUESTS => "TooManyRequests",
        StatusCode::SERVICE_UNAVAILABLE => "ServiceUnavailable",
        _ => "",
    };
    let message = String::from_utf8_lossy(body);
    Status::failure(message.trim(), reason).with_code(code.as_u16())
}

pub(super) fn of_status(about: &About, status: &Status) -> Failure {
    let message = match about.is_secret {
        true => without_values(&status.message),
        false => status.message.clone(),
    };
    let code = match status.reason.as_str() {
        _ if is_caused_by(status, DISRUPTION_BUDGET) => DISRUPTION_BUDGET.to_owned(),
        "" => format!("HTTP{}", status.code),
        reason => reason.to_owned(),
    };
    let class = match status.code {
        401 | 403 => FailureClass::Denied,
        408 | 504 => FailureClass::Timeout,
        409 => FailureClass::Conflict,
        // Too many pods are down, not too many requests: to ask again at once changes nothing.
        429 if code == DISRUPTION_BUDGET => FailureClass::Conflict,
        429 => FailureClass::Throttled,
        500.. => FailureClass::Unavailable,
        _ => FailureClass::Rejected,
    };
    let failure = about.proving(
        about.failure(class, &code, message),
        proof_of_status(Client::Kubernetes, "*", status.code),
    );
    match hint(status) {
        Some(hint) => failure.with_hint(hint),
        None => failure,
    }
}

fn is_caused_by(status: &Status, reason: &str) -> bool {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    causes.into_iter().any(|cause| cause.reason == reason)
}

fn hint(status: &Status) -> Option<&'static str> {
    match status.code {
        401 => Some(
            "the credentials of this context are not accepted: log in again, then resume the run",
        ),
        403 => Some("`windlass rbac FILE` prints the ClusterRole that the workflow needs"),
        409 if is_caused_by(status, "FieldManagerConflict") => Some(
            "another manager owns these fields: leave them to it, or take them over with `force: true`",
        ),
        _ => None,
    }
}

/// A message without the values that it quotes: `Invalid value: "…": why` keeps the reason alone.
fn without_values(message: &str) -> String {
    const QUOTE: &str = "Invalid value: ";
    let Some(at) = message.find(QUOTE) else {
        return message.to_owned();
    };
    let (head, rest) = message.split_at(at);
    let why = rest.rsplit_once(": ").map_or("", |(_, why)| why);
    match why.contains(['"', '{', '[']) {
        true => format!("{head}Invalid value: {MASK}"),
        false => format!("{head}Invalid value: {MASK}: {why}"),
    }
}

/// The whole story of an error, each part once.
pub(super) fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_about_a_secret_quotes_no_value() {
        let message = "patch: Invalid value: \"map[data:map[a:c2VjcmV0]]\": cannot unmarshal number into Go value";
        let shown = without_values(message);
        assert!(!shown.contains("c2VjcmV0"), "{shown}");
        assert!(
            shown.ends_with("cannot unmarshal number into Go value"),
            "{shown}"
        );
        assert!(!without_values("x: Invalid value: \"c2VjcmV0: {\"").contains("c2VjcmV0"));
        assert_eq!(
            without_values("secrets \"a\" not found"),
            "secrets \"a\" not found"
        );
    }
}
