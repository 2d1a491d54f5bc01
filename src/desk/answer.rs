use std::collections::BTreeMap;

use axum::{
    body::{Body, Bytes},
    extract::{FromRequestParts, Request},
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header, request::Parts};
use serde::Serialize;
use utoipa::ToSchema;

use super::{access::Access, server::Desk};
use windlass_ground::{BodyError, receive_body};
use windlass_report as report;
use windlass_runs::{Kind, Runs, RunsError};
use windlass_targets::Role;
use windlass_world::value::format_duration;

/// Why a request failed, in the form of RFC 9457 (Problem Details for HTTP APIs).
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Problem {
    /// `urn:windlass:error:CODE`; `windlass explain CODE` prints its page.
    #[serde(rename = "type")]
    pub kind: String,
    pub title: String,
    pub status: u16,
    pub code: String,
    pub detail: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The role that is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub needs: Option<Role>,
    /// What is wrong with each param, by its name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, String>,
    /// The mistakes in a workflow, each as text with an excerpt of the file.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mistakes: Vec<String>,
}

impl Problem {
    pub fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:windlass:error:{code}"),
            title: status.canonical_reason().unwrap_or("Error").into(),
            status: status.as_u16(),
            code: code.into(),
            detail: detail.into(),
            hint: None,
            needs: None,
            params: BTreeMap::new(),
            mistakes: Vec::new(),
        }
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Reports a malformed request.
    pub fn bad(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", detail)
    }

    /// Reports that the client lacks a role for all workflows and targets.
    pub fn denied(access: &Access, needs: Role) -> Self {
        let part = if access.has(needs) {
            " for all workflows and targets"
        } else {
            ""
        };
        Self::denied_as(access, needs, part)
    }

    /// Reports that the client lacks a role for a workflow on a target. The workflow and target are named only if the client has roles
    /// for some of them.
    pub fn denied_on(access: &Access, needs: Role, workflow: &str, target: &str) -> Self {
        let part = if access.granted.is_empty() {
            String::new()
        } else {
            format!(" for workflow `{workflow}` on target `{target}`")
        };
        Self::denied_as(access, needs, &part)
    }

    fn denied_as(access: &Access, needs: Role, part: &str) -> Self {
        let (name, has) = (&access.person.name, access.describe());
        let detail = format!("this needs the role `{needs}`{part}; {name} has {has}");
        Self {
            needs: Some(needs),
            ..Self::new(StatusCode::FORBIDDEN, "not-permitted", detail)
        }
    }

    /// Reports that the request is not authenticated.
    pub fn unauthenticated() -> Self {
        let detail = "this needs a token";
        Self::new(StatusCode::UNAUTHORIZED, "not-authenticated", detail)
            .hint("send it as `Authorization: Bearer TOKEN`, or log in with a browser")
    }
}

impl From<RunsError> for Problem {
    fn from(error: RunsError) -> Self {
        let status = match error.kind {
            Kind::Missing => StatusCode::NOT_FOUND,
            Kind::Conflict => StatusCode::CONFLICT,
            Kind::Wrong => StatusCode::UNPROCESSABLE_ENTITY,
            Kind::Denied => StatusCode::FORBIDDEN,
            Kind::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Kind::Broken => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let mistakes = error.mistakes.iter().flat_map(|mistakes| &mistakes.0);
        Self {
            hint: error.hint,
            params: error.params.into_iter().collect(),
            mistakes: mistakes.map(|mistake| report::render(mistake)).collect(),
            ..Self::new(status, error.code, error.message)
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let text = serde_json::to_string(&self).unwrap_or_default();
        let mut response = Response::new(Body::from(text));
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        let kind = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, kind);
        if self.status == 401 {
            let how = HeaderValue::from_static("Bearer realm=\"windlass\"");
            headers.insert(header::WWW_AUTHENTICATE, how);
        }
        // `admit` turns it into a page if a browser sent the request.
        response.extensions_mut().insert(self);
        response
    }
}

impl Desk {
    /// Calls the service of runs on a thread that may block.
    pub async fn ask<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&dyn Runs) -> Result<T, RunsError> + Send + 'static,
    ) -> Result<T, Problem> {
        let runs = self.runs.clone();
        let asked = tokio::task::spawn_blocking(move || ask(&*runs)).await;
        match asked {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(Problem::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "system",
                "the request could not be answered; this is a bug in windlass",
            )),
        }
    }
}

impl Desk {
    /// Reads the body of a request.
    ///
    /// # Errors
    /// Fails for a body of more than `most` bytes, and for one that does not arrive in time.
    pub async fn body(&self, request: Request, most: usize) -> Result<Bytes, Problem> {
        let body = receive_body(request.into_body(), most, self.client_timeout).await;
        body.map_err(|why| match why {
            BodyError::TooLarge => {
                let detail = format!("the body is larger than {} MiB", most >> 20);
                Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "bad-request", detail)
            }
            BodyError::Broken => Problem::bad("the body did not arrive as a whole"),
            BodyError::TooSlow => {
                let limit = format_duration(self.client_timeout);
                let detail = format!("the body did not arrive within {limit}");
                Problem::new(StatusCode::REQUEST_TIMEOUT, "bad-request", detail)
                    .hint("`client_timeout` in [serve] of windlass.toml sets this limit")
            }
        })
    }
}

impl FromRequestParts<Desk> for Access {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Desk) -> Result<Self, Problem> {
        let access = parts.extensions.get::<Self>().cloned();
        access.ok_or_else(Problem::unauthenticated)
    }
}

/// Returns a file with a name under which it can be saved. `how` is `attachment` if a browser saves it, `inline` if it shows it.
pub fn file(how: &str, name: &str, kind: &'static str, content: String) -> Response {
    let how = HeaderValue::from_str(&format!("{how}; filename=\"{name}\""));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (
            header::CONTENT_DISPOSITION,
            how.unwrap_or(HeaderValue::from_static("attachment")),
        ),
    ];
    (headers, content).into_response()
}
