use serde_json::{Value as Json, json};

use crate::{access::Attributes, resource::Resource};

/// Marks a failure that is not a `Status`.
const NO_SUCH_PATH: &str = "404 page not found";

/// An error, sent as a `Status` body (meta/v1). The messages are those of the API server.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub code: u16,
    reason: &'static str,
    message: String,
    details: Option<Json>,
}

/// What is wrong with one field of an object.
#[derive(Clone, Debug)]
pub(crate) struct Cause {
    reason: &'static str,
    field: String,
    message: String,
}

impl Cause {
    pub fn invalid(field: impl Into<String>, value: &Json, why: &str) -> Self {
        let shown = match value {
            Json::Object(_) | Json::Array(_) => value.to_string(),
            Json::String(text) => format!("{text:?}"),
            other => other.to_string(),
        };
        Self {
            reason: "FieldValueInvalid",
            field: field.into(),
            message: format!("Invalid value: {shown}: {why}"),
        }
    }

    pub fn required(field: impl Into<String>, why: &str) -> Self {
        let message = match why {
            "" => "Required value".to_owned(),
            why => format!("Required value: {why}"),
        };
        Self {
            reason: "FieldValueRequired",
            field: field.into(),
            message,
        }
    }

    pub fn unsupported(field: impl Into<String>, value: &Json, allowed: &[&str]) -> Self {
        let allowed: Vec<_> = allowed.iter().map(|a| format!("{a:?}")).collect();
        Self {
            reason: "FieldValueNotSupported",
            field: field.into(),
            message: format!(
                "Unsupported value: {value}: supported values: {}",
                allowed.join(", ")
            ),
        }
    }

    pub fn forbidden(field: impl Into<String>, why: &str) -> Self {
        Self {
            reason: "FieldValueForbidden",
            field: field.into(),
            message: format!("Forbidden: {why}"),
        }
    }

    pub fn not_found(field: impl Into<String>, value: &Json) -> Self {
        Self {
            reason: "FieldValueNotFound",
            field: field.into(),
            message: format!("Not found: {value}"),
        }
    }

    pub fn duplicate(field: impl Into<String>, value: &Json) -> Self {
        Self {
            reason: "FieldValueDuplicate",
            field: field.into(),
            message: format!("Duplicate value: {value}"),
        }
    }

    pub fn too_long(field: impl Into<String>, most: usize) -> Self {
        Self {
            reason: "FieldValueTooLong",
            field: field.into(),
            message: format!("Too long: may not be more than {most} bytes"),
        }
    }

    /// Returns the cause for a value whose type differs from the schema's.
    pub fn type_invalid(field: impl Into<String>, value: &Json, why: &str) -> Self {
        Self {
            reason: "FieldValueTypeInvalid",
            ..Self::invalid(field, value, why)
        }
    }

    pub fn conflict(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            reason: "FieldManagerConflict",
            field: field.into(),
            message: message.into(),
        }
    }

    pub fn line(&self) -> String {
        format!("{}: {}", self.field, self.message)
    }

    fn json(&self) -> Json {
        json!({ "reason": self.reason, "message": self.message, "field": self.field })
    }
}

impl Failure {
    fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            reason,
            message: message.into(),
            details: None,
        }
    }

    fn about(mut self, resource: &Resource, name: &str) -> Self {
        let mut details = json!({ "kind": resource.plural });
        if !name.is_empty() {
            details["name"] = name.into();
        }
        if !resource.group.is_empty() {
            details["group"] = resource.group.as_str().into();
        }
        self.details = Some(details);
        self
    }

    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    pub fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    pub fn forbidden(resource: &Resource, name: &str, why: &str) -> Self {
        let message = format!("{} {name:?} is forbidden: {why}", resource.key());
        Self::new(403, "Forbidden", message).about(resource, name)
    }

    /// Returns the error for a new object with a version, which the API server does not count as invalid.
    pub fn versioned() -> Self {
        let message = "resourceVersion should not be set on objects to be created";
        Self::new(500, "", message)
    }

    /// Returns the error for a new object in a namespace that is being deleted.
    pub fn namespace_ends(resource: &Resource, name: &str, namespace: &str) -> Self {
        let why = format!(
            "unable to create new content in namespace {namespace} because it is being terminated"
        );
        let mut failure = Self::forbidden(resource, name, &why);
        if let Some(details) = &mut failure.details {
            details["causes"] = json!([{
                "reason": "NamespaceTerminating",
                "message": format!("namespace {namespace} is being terminated"),
                "field": "metadata.namespace",
            }]);
        }
        failure
    }

    /// Returns the error for a new object of a definition that is being deleted.
    pub fn definition_ends() -> Self {
        Self {
            details: Some(json!({})),
            ..Self::new(
                405,
                "MethodNotAllowed",
                "create not allowed while custom resource definition is terminating",
            )
        }
    }

    /// Returns the error for a request that RBAC does not allow.
    pub fn denied(user: &str, wanted: &Attributes, namespace: Option<&str>) -> Self {
        let plural = wanted.resource.split('/').next().unwrap_or_default();
        let key = match wanted.group {
            "" => plural.to_owned(),
            group => format!("{plural}.{group}"),
        };
        let what = match wanted.name {
            "" => key,
            name => format!("{key} {name:?}"),
        };
        let place = match namespace {
            Some(namespace) => format!("in the namespace {namespace:?}"),
            None => "at the cluster scope".to_owned(),
        };
        let message = format!(
            "{what} is forbidden: User {user:?} cannot {} resource {:?} in API group {:?} {place}",
            wanted.verb, wanted.resource, wanted.group
        );
        let mut details = json!({ "kind": plural });
        for (field, value) in [("name", wanted.name), ("group", wanted.group)] {
            if !value.is_empty() {
                details[field] = value.into();
            }
        }
        Self {
            details: Some(details),
            ..Self::new(403, "Forbidden", message)
        }
    }

    pub fn forbidden_path(user: &str, verb: &str, path: &str) -> Self {
        let message = format!("forbidden: User {user:?} cannot {verb} path {path:?}");
        Self {
            details: Some(json!({})),
            ..Self::new(403, "Forbidden", message)
        }
    }

    pub fn may_not_impersonate(user: &str, other: &str) -> Self {
        let message = format!(
            "users {other:?} is forbidden: User {user:?} cannot impersonate resource \"users\" in API group \"\" at the cluster scope"
        );
        Self {
            details: Some(json!({ "name": other, "kind": "users" })),
            ..Self::new(403, "Forbidden", message)
        }
    }

    /// Returns the error for a path that is not served: an unknown group, version, resource or subresource.
    pub fn no_such_path() -> Self {
        Self::new(404, NO_SUCH_PATH, "404 page not found")
    }

    /// Returns whether it is sent as plain text instead of a `Status`.
    pub fn is_page(&self) -> bool {
        self.reason == NO_SUCH_PATH
    }

    pub fn not_found(resource: &Resource, name: &str) -> Self {
        let message = format!("{} {name:?} not found", resource.key());
        Self::new(404, "NotFound", message).about(resource, name)
    }

    pub fn method_not_allowed() -> Self {
        Self {
            details: Some(json!({})),
            ..Self::new(
                405,
                "MethodNotAllowed",
                "the server does not allow this method on the requested resource",
            )
        }
    }

    pub fn not_acceptable(accepted: &[&str]) -> Self {
        let message = format!(
            "only the following media types are accepted: {}",
            accepted.join(", ")
        );
        Self::new(406, "NotAcceptable", message)
    }

    pub fn already_exists(resource: &Resource, name: &str) -> Self {
        let message = format!("{} {name:?} already exists", resource.key());
        Self::new(409, "AlreadyExists", message).about(resource, name)
    }

    pub fn conflict(resource: &Resource, name: &str, why: &str) -> Self {
        let message = format!(
            "Operation cannot be fulfilled on {} {name:?}: {why}",
            resource.key()
        );
        Self::new(409, "Conflict", message).about(resource, name)
    }

    /// Returns the conflict of an apply that changes fields which other managers own.
    pub fn apply_conflict(message: impl Into<String>, causes: &[Cause]) -> Self {
        let causes: Vec<_> = causes.iter().map(Cause::json).collect();
        Self {
            details: Some(json!({ "causes": causes })),
            ..Self::new(409, "Conflict", message)
        }
    }

    pub fn expired(message: &str) -> Self {
        Self::new(410, "Expired", message)
    }

    pub fn too_large() -> Self {
        let message = "Request entity too large: limit is 3145728";
        Self::new(413, "RequestEntityTooLarge", message)
    }

    /// As the API server answers when the time of a request is over (apiserver `filters/timeout.go`).
    pub fn slow_body() -> Self {
        let message = "request did not complete within the allotted timeout";
        Self::new(504, "Timeout", message)
    }

    pub fn too_many_operations(most: usize, found: usize) -> Self {
        let message = format!(
            "Request entity too large: The allowed maximum operations in a JSON patch is {most}, got {found}"
        );
        Self::new(413, "RequestEntityTooLarge", message)
    }

    pub fn unsupported_media_type(accepted: &[&str]) -> Self {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: {}",
            accepted.join(", ")
        );
        Self::new(415, "UnsupportedMediaType", message)
    }

    pub fn invalid(resource: &Resource, name: &str, causes: &[Cause]) -> Self {
        let kind = match resource.group.as_str() {
            "" => resource.kind.clone(),
            group => format!("{}.{group}", resource.kind),
        };
        let lines: Vec<_> = causes.iter().map(Cause::line).collect();
        let lines = match lines.as_slice() {
            [line] => line.clone(),
            lines => format!("[{}]", lines.join(", ")),
        };
        let message = format!("{kind} {name:?} is invalid: {lines}");
        let mut failure = Self::new(422, "Invalid", message).about(resource, name);
        if let Some(details) = &mut failure.details {
            details["kind"] = resource.kind.as_str().into();
            details["causes"] = causes.iter().map(Cause::json).collect();
        }
        failure
    }

    /// Returns the error for invalid parameters of a request.
    pub fn bad_options(kind: &str, why: &str) -> Self {
        Self::new(
            422,
            "Invalid",
            format!("{kind}.meta.k8s.io \"\" is invalid: {why}"),
        )
    }

    /// Returns the error for a patch with fields that the schema does not have.
    pub fn invalid_patch(patch: &Json, why: &str) -> Self {
        let cause = Cause::invalid("patch", &patch.to_string().into(), why);
        Self {
            details: Some(json!({ "causes": [cause.json()] })),
            ..Self::new(
                422,
                "Invalid",
                format!(" \"\" is invalid: {}", cause.line()),
            )
        }
    }

    /// Returns the error for a JSON patch that can't be applied to the object.
    pub fn rejected(why: &str) -> Self {
        let causes = json!([{ "reason": "UnexpectedServerResponse", "message": why }]);
        Self {
            details: Some(json!({ "causes": causes })),
            ..Self::new(
                422,
                "Invalid",
                "the server rejected our request due to an error in our request",
            )
        }
    }

    /// Returns the error for a configuration that can't be applied; the API server sends it without a reason.
    pub fn untyped(message: impl Into<String>) -> Self {
        Self::new(500, "", message)
    }

    pub fn internal(message: impl Into<String>) -> Self {
        let message = format!("Internal error occurred: {}", message.into());
        Self::new(500, "InternalError", message)
    }

    /// Returns the error for an eviction that a PodDisruptionBudget does not allow at present.
    pub fn over_budget(budget: &str, wanted: i64, healthy: i64) -> Self {
        let why = format!(
            "The disruption budget {budget} needs {wanted} healthy pods and has {healthy} currently"
        );
        Self {
            details: Some(json!({ "causes": [{ "reason": "DisruptionBudget", "message": why }] })),
            ..Self::new(
                429,
                "TooManyRequests",
                "Cannot evict pod as it would violate the pod's disruption budget.",
            )
        }
    }

    /// Returns the error for an eviction of a pod that several PodDisruptionBudgets select.
    pub fn many_budgets() -> Self {
        Self::internal(
            "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
        )
    }

    /// Returns the error of a fault that was injected for a rehearsal.
    pub fn on_purpose(code: u16) -> Self {
        let (reason, message) = match code {
            429 => (
                "TooManyRequests",
                "Too many requests, please try again later.",
            ),
            503 => (
                "ServiceUnavailable",
                "the server is currently unable to handle the request",
            ),
            504 => (
                "Timeout",
                "request did not complete within the requested timeout",
            ),
            _ => (
                "InternalError",
                "Internal error occurred: a fault injected for a rehearsal",
            ),
        };
        let mut failure = Self::new(code, reason, message);
        if code == 429 {
            failure.details = Some(json!({ "retryAfterSeconds": 1 }));
        }
        failure
    }

    pub fn status(&self) -> Json {
        let mut status = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "code": self.code,
        });
        if !self.reason.is_empty() {
            status["reason"] = self.reason.into();
        }
        if let Some(details) = &self.details {
            status["details"] = details.clone();
        }
        status
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::internal(error.to_string())
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}
