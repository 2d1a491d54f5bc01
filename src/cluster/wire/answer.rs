use axum::body::Body;
use axum::http::{HeaderValue, Response};
use serde_json::Value as Json;

use super::Failure;
use crate::{api::Watch, forward::Forward};

/// The response to a request.
pub(crate) enum Answer {
    Object(u16, Json),
    /// An object, and warnings for the client that wrote it (RFC 7234, warn code 299).
    Warned(u16, Json, Vec<String>),
    /// Discovery in one document, which clients recognise by its media type.
    Discovery(Json),
    /// A body that is not JSON, with its media type.
    Plain(&'static str, &'static str),
    Watch(Box<Watch>),
    Forward(Box<Forward>),
    /// The API server's response for a path that it does not serve, which is not a `Status`.
    NoSuchPath,
    /// Closes the connection without a response.
    Cut,
}

impl Answer {
    pub fn response(self) -> Response<Body> {
        match self {
            Self::Object(code, object) => json(code, &object),
            Self::Warned(code, object, warnings) => {
                let mut response = json(code, &object);
                for warning in warnings {
                    let quoted = warning.replace('\\', "\\\\").replace('"', "\\\"");
                    if let Ok(value) = format!("299 - \"{quoted}\"").parse() {
                        response.headers_mut().append("warning", value);
                    }
                }
                response
            }
            Self::Discovery(document) => {
                let mut response = json(200, &document);
                let kind = HeaderValue::from_static(
                    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
                );
                response.headers_mut().insert("content-type", kind);
                response
            }
            Self::Plain(kind, body) => {
                let mut response = Response::new(Body::from(body));
                let kind = HeaderValue::from_static(kind);
                response.headers_mut().insert("content-type", kind);
                response
            }
            Self::NoSuchPath => Response::builder()
                .status(404)
                .header("content-type", "text/plain; charset=utf-8")
                .header("x-content-type-options", "nosniff")
                .body(Body::from("404 page not found\n"))
                .unwrap_or_default(),
            Self::Watch(watch) => json_with(200, Body::from_stream(watch.events())),
            Self::Forward(forward) => forward.response(),
            Self::Cut => json_with(200, Body::from_stream(cut())),
        }
    }
}

impl From<Failure> for Answer {
    fn from(failure: Failure) -> Self {
        if failure.is_page() {
            Self::NoSuchPath
        } else {
            Self::Object(failure.code, failure.status())
        }
    }
}

/// Returns a body that fails before its first byte, so that the server closes the connection.
fn cut() -> impl futures_util::Stream<Item = Result<Vec<u8>, std::io::Error>> + Send {
    futures_util::stream::once(async { Err(std::io::ErrorKind::ConnectionAborted.into()) })
}

fn json(code: u16, object: &Json) -> Response<Body> {
    let mut response = json_with(code, Body::from(object.to_string()));
    if code == 429 {
        let second = HeaderValue::from_static("1");
        response.headers_mut().insert("retry-after", second);
    }
    response
}

fn json_with(code: u16, body: Body) -> Response<Body> {
    Response::builder()
        .status(code)
        .header("content-type", "application/json")
        .header("cache-control", "no-cache, private")
        .body(body)
        .unwrap_or_default()
}
