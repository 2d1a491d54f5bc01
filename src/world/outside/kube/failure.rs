//! Maps errors of an API server to [`FailureClass`]es.

use kube::{
    Error,
    core::{Status, response::StatusCause},
};

use super::login::Denied;
use crate::{
    outside::{
        answer::{Client, LOST, MANIFEST_REFUSED, NOT_SENT, proof, proof_of_status},
        transport::Transport,
    },
    value::{Failure, FailureClass, MASK, Proof, causes},
};

/// The cause with which an eviction is rejected, and the code of that failure (policy/v1 `DisruptionBudgetCause`).
const DISRUPTION_BUDGET: &str = "DisruptionBudget";

/// The data of a request for its failures.
#[derive(Clone, Debug)]
pub(super) struct About {
    /// The operation, in the API's terms: `patch deployment/istiod in istio-system`.
    pub operation: String,
    /// The role of the cluster.
    pub cluster: String,
    /// Whether it may have changed something even if its answer was lost.
    pub changes: bool,
    /// Whether repeating it leaves the same state, although it changes something.
    pub is_repeatable: bool,
    /// Whether it is about a Secret, whose values may occur in the API server's messages.
    pub is_secret: bool,
}

impl About {
    /// Marks the request as one that may be sent again if its answer was lost.
    pub fn repeatable(self) -> Self {
        Self {
            is_repeatable: true,
            ..self
        }
    }

    pub fn failure(&self, class: FailureClass, code: &str, message: impl Into<String>) -> Failure {
        Failure::new(class, self.name(), code, message)
    }

    /// Returns a failure without a complete answer.
    pub fn lost(&self, class: FailureClass, code: &str, message: impl Into<String>) -> Failure {
        let failure = self.failure(class, code, message);
        self.proving(failure, proof(Client::Kubernetes, "*", LOST))
    }

    /// Adds to a failure what it proves: a request that changes something may have done so even if it failed.
    fn proving(&self, failure: Failure, proof: Proof) -> Failure {
        if self.changes {
            failure.proving(proof)
        } else {
            failure
        }
    }

    pub fn name(&self) -> String {
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
            // Without a connection, nothing was sent.
            let is_unsent = text.contains("error trying to connect") || text.contains("client error (Connect)");
            let failure = if is_unsent { about.proving(
                about.failure(FailureClass::Unavailable, Transport::code_of(&*e), text),
                proof(Client::Kubernetes, "*", NOT_SENT),
            ) } else { about.lost(FailureClass::Unavailable, "ConnectionLost", text) };
            failure.with_hint("is the API server of this context up, and reachable from here?")
        }
        Error::ReadEvents(e) => about.failure(FailureClass::Unavailable, "ConnectionLost", causes(&e)),
        Error::SerdeError(e) => about.lost(FailureClass::Unavailable, "BadResponse", causes(&e)),
        other => about.failure(FailureClass::Rejected, "BadRequest", causes(&other)),
    }
}

/// Returns the failure for a request without a login.
pub(super) fn unauthenticated(about: &About, denied: Denied) -> Failure {
    let failure = about.failure(FailureClass::Denied, "Unauthenticated", denied.why);
    failure.with_hint(denied.hint.unwrap_or_else(|| {
        "does `kubectl` work with this context? (exec plugins such as `aws eks get-token` need their program and a login)".into()
    }))
}

pub(super) fn of_status(about: &About, status: &Status) -> Failure {
    let mut message = status.message.clone();
    for cause in causes_of(status).filter(|cause| cause.reason == "UnexpectedServerResponse") {
        if !message.contains(&cause.message) {
            message = format!("{message}: {}", cause.message);
        }
    }
    if about.is_secret {
        message = without_values(&message);
    }
    let code = match status.reason.as_str() {
        _ if is_caused_by(status, DISRUPTION_BUDGET) => DISRUPTION_BUDGET.to_owned(),
        "" => format!("HTTP{}", status.code),
        reason => reason.to_owned(),
    };
    let is_of_the_manifest = status.code == 500 && is_of_the_manifest(status);
    let class = match status.code {
        500 if is_of_the_manifest => FailureClass::Rejected,
        // The limit is on unavailable pods, not on requests: an immediate retry changes nothing.
        429 if code == DISRUPTION_BUDGET => FailureClass::Conflict,
        status => FailureClass::of_status(status),
    };
    let failure = about.proving(
        about.failure(class, &code, message),
        if is_of_the_manifest {
            proof(Client::Kubernetes, "*", MANIFEST_REFUSED)
        } else {
            proof_of_status(Client::Kubernetes, "*", status.code)
        },
    );
    match hint(status) {
        Some(hint) => failure.with_hint(hint),
        None => failure,
    }
}

/// Says whether a 500 is about the request: a server-side apply with fields of types that differ from the schema fails in this way,
/// before anything is stored.
fn is_of_the_manifest(status: &Status) -> bool {
    let said = |text: &str| status.message.contains(text);
    said("smd typed")
        || said("failed to create typed patch object")
        || said("failed to convert new object")
}

fn is_caused_by(status: &Status, reason: &str) -> bool {
    causes_of(status).any(|cause| cause.reason == reason)
}

fn causes_of(status: &Status) -> impl Iterator<Item = &StatusCause> {
    status.details.iter().flat_map(|details| &details.causes)
}

fn hint(status: &Status) -> Option<&'static str> {
    match status.code {
        401 => Some(
            "the credentials of this context are not accepted: log in again, then resume the run",
        ),
        403 if is_of_a_policy(&status.message) => None,
        403 => Some("`windlass rbac FILE` prints the ClusterRole that the workflow needs"),
        422 if status.message.contains("field is immutable") => Some(
            "this field can't be changed: delete the object (`kubectl delete`), then resume the run, which creates it again",
        ),
        409 if is_caused_by(status, "FieldManagerConflict") => Some(
            "another manager owns these fields: leave them to it, or take them over with `force: true`",
        ),
        _ => None,
    }
}

/// Says whether a 403 is not about the caller's permissions: an admission policy, a webhook or a quota rejects the object for
/// any caller.
fn is_of_a_policy(message: &str) -> bool {
    let says = |text: &str| message.contains(text);
    // The authorizer's message, with any names.
    let is_of_rights = says("cannot ") && (says(" in API group ") || says(" path "));
    !is_of_rights
        && (says("is forbidden: ") || says("denied the request") || says("denied request"))
}

/// Removes quoted values from a message: of `Invalid value: "…": why` only the reason is kept, and of
/// `got &value.valueUnstructured{Value:…}` only what was expected.
fn without_values(message: &str) -> String {
    const UNSTRUCTURED: &str = "{Value:";
    let message = match message.split_once(UNSTRUCTURED) {
        Some((head, rest)) if rest.contains('}') => format!("{head}{UNSTRUCTURED}{MASK}}}"),
        Some((head, _)) => format!("{head}{UNSTRUCTURED}{MASK}"),
        None => message.to_owned(),
    };
    const QUOTE: &str = "Invalid value: ";
    let Some(at) = message.find(QUOTE) else {
        return message;
    };
    let (head, rest) = message.split_at(at);
    let why = rest.rsplit_once(": ").map_or("", |(_, why)| why);
    if why.contains(['"', '{', '[']) {
        format!("{head}Invalid value: {MASK}")
    } else {
        format!("{head}Invalid value: {MASK}: {why}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(code: u16, message: &str, is_secret: bool) -> Failure {
        let about = About {
            operation: "apply secret/x".into(),
            cluster: "mgmt".into(),
            is_repeatable: false,
            changes: true,
            is_secret,
        };
        of_status(&about, &Status::failure(message, "").with_code(code))
    }

    #[test]
    fn what_is_wrong_with_a_patch_is_said() {
        let said = "the server rejected our request due to an error in our request";
        let status: Status = serde_json::from_value(serde_json::json!({
            "status": "Failure", "code": 422, "reason": "Invalid", "message": said,
            "details": { "causes": [{ "reason": "UnexpectedServerResponse", "message": "no value at /data/x" }] },
        }))
        .unwrap();
        let about = About {
            operation: "patch configmap/x".into(),
            cluster: "mgmt".into(),
            is_repeatable: false,
            changes: true,
            is_secret: false,
        };
        let failure = of_status(&about, &status);
        assert!(
            failure
                .message
                .ends_with(&format!("{said}: no value at /data/x"))
        );
        assert_eq!(failure.class, FailureClass::Rejected);
    }

    #[test]
    fn h5_a_number_in_a_secret_is_a_mistake_and_is_not_shown() {
        let said = "failed to create manager for existing fields: failed to convert new object (ns/x; /v1, Kind=Secret) to smd typed: .data.pin: expected string, got &value.valueUnstructured{Value:4711}";
        let failure = of(500, said, true);
        assert_eq!(failure.class, FailureClass::Rejected);
        assert!(!failure.is_unknown, "nothing was stored");
        assert!(!failure.message.contains("4711"), "{}", failure.message);
        assert!(
            failure.message.contains(".data.pin: expected string"),
            "{}",
            failure.message
        );
        let other = of(500, "etcdserver: request timed out", true);
        assert_eq!(
            (other.class, other.is_unknown),
            (FailureClass::Unavailable, true)
        );
    }

    #[test]
    fn h5_only_missing_rights_get_the_hint_about_rbac() {
        let rights = r#"secrets "x" is forbidden: User "a" cannot patch resource "secrets" in API group "" in the namespace "n""#;
        assert!(
            of(403, rights, false)
                .hint
                .is_some_and(|hint| hint.contains("rbac"))
        );
        for policy in [
            r#"secrets "x" is forbidden: exceeded quota: q, requested: secrets=1, used: secrets=1, limited: secrets=1"#,
            r#"secrets "x" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no"#,
            r#"admission webhook "w.example.com" denied the request: no"#,
        ] {
            assert_eq!(of(403, policy, false).hint, None, "{policy}");
        }
    }

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
