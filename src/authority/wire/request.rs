//! Reads the operation and the input of a request.

use axum::http::{HeaderMap, Method};
use serde_json::Value;

use crate::failure::{Code, Failure};
use crate::wire::model::MODEL;
use crate::wire::{Protocol, cbor, validate};

const TARGET: &str = "ACMPrivateCA.";
const PATH: &str = "/service/ACMPrivateCA/operation/";

/// An operation and its input, which satisfies the model's limits.
#[derive(Debug)]
pub(crate) struct Request {
    pub operation: &'static str,
    pub input: Value,
}

/// Returns the protocol of a request, so that errors can be sent in it, or `None` if the request is not for this service.
pub(crate) fn protocol(method: &Method, path: &str, headers: &HeaderMap) -> Option<Protocol> {
    if method != Method::POST {
        return None;
    }
    // The header also keeps web pages out: a browser sends it only after a preflight request, which is never allowed.
    if path.starts_with(PATH)
        && headers
            .get("smithy-protocol")
            .is_some_and(|name| name == "rpc-v2-cbor")
    {
        return Some(Protocol::Cbor);
    }
    (path == "/" && headers.contains_key("x-amz-target")).then_some(Protocol::Json)
}

/// Returns the name of the operation.
pub(crate) fn operation(
    protocol: Protocol,
    path: &str,
    headers: &HeaderMap,
) -> Result<&'static str, Failure> {
    let named = match protocol {
        Protocol::Json => headers
            .get("x-amz-target")
            .and_then(|target| target.to_str().ok())
            .and_then(|target| target.strip_prefix(TARGET)),
        Protocol::Cbor => path.strip_prefix(PATH),
    };
    named
        .and_then(|name| MODEL.operations.get_key_value(name))
        .map(|(name, _)| name.as_str())
        .ok_or_else(|| Code::UnknownOperation.says("The requested operation is not known"))
}

/// Reads and checks the input.
pub(crate) fn read(
    protocol: Protocol,
    operation: &'static str,
    body: &[u8],
) -> Result<Request, Failure> {
    let unreadable =
        || Code::Serialization.says("The body of the request can't be read as its content type");
    let input = match protocol {
        _ if body.is_empty() => Value::Object(serde_json::Map::new()),
        Protocol::Json => serde_json::from_slice(body).map_err(|_| unreadable())?,
        Protocol::Cbor => cbor::read(body).ok_or_else(unreadable)?,
    };
    let shape = &MODEL.operations[operation].input;
    validate::check(shape, &input)?;
    let input = validate::known(shape, input);
    Ok(Request { operation, input })
}
