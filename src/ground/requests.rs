//! The log of requests: one line for each, without its headers, query and body, since they may contain secrets.

use std::time::Instant;

use axum::{
    extract::{MatchedPath, Request},
    middleware::Next,
    response::Response,
};

/// Who sent a request. A server that has authenticated the client adds this to the extensions of the response.
#[derive(Clone, Debug)]
pub struct Requester(pub String);

/// What a request asks for, if the pattern of its path does not show it: an operation of AWS, or a verb and a resource of
/// Kubernetes. The server adds this to the extensions of the response.
#[derive(Clone, Debug)]
pub struct Operation(pub String);

/// Routes that are requested all the time; a successful request is logged at the level debug.
const PROBES: [&str; 4] = ["/healthz", "/readyz", "/metrics", "/assets/{name}"];

/// Answers a request and logs it: method, route, status, milliseconds until the head of the response, and who sent it.
///
/// The route is the pattern that the path matched, such as `/runs/{run}`. A server error is a warning; a successful request to
/// `/healthz`, `/readyz`, `/metrics` or an asset has the level debug.
pub async fn log_request(request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let began = Instant::now();
    let answer = next.run(request).await;
    let status = answer.status();
    let extensions = answer.extensions();
    let operation = extensions.get::<Operation>();
    let route = match (operation, &matched) {
        (Some(operation), _) => operation.0.as_str(),
        (None, Some(matched)) => matched.as_str(),
        (None, None) => "unknown",
    };
    let who = extensions.get::<Requester>();
    let who = who.map_or("", |who| who.0.as_str());
    let is_probe = PROBES.contains(&route) && !status.is_client_error();
    let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let status = status.as_u16();
    macro_rules! log {
        ($level:ident) => {
            tracing::$level!(target: "windlass::requests", %method, route, status, ms, who, "request")
        };
    }
    match (status, is_probe) {
        (500.., _) => log!(warn),
        (_, true) => log!(debug),
        (_, false) => log!(info),
    }
    answer
}
