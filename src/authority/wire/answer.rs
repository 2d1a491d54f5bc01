//! Writes a result or an error as an HTTP response in the request's protocol.

use axum::body::Body;
use axum::http::{Response, StatusCode};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::wire::model::MODEL;
use crate::wire::{Protocol, cbor};

/// Returns the response to a request, with the id that identifies the request for the client and in the log.
pub(crate) fn response(
    protocol: Protocol,
    operation: Option<&str>,
    result: Result<Value, Failure>,
    id: &str,
) -> Response<Body> {
    let output = operation
        .and_then(|operation| MODEL.operations.get(operation))
        .and_then(|operation| operation.output.as_deref());
    let (status, body, code) = match &result {
        Ok(value) => (200, success(protocol, output, value), None),
        Err(failure) => {
            let code = failure.code.name();
            (failure.code.status(), error(protocol, failure), Some(code))
        }
    };
    let mut response = Response::builder()
        .status(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR))
        .header("x-amzn-requestid", id);
    response = match protocol {
        Protocol::Json => response.header("content-type", "application/x-amz-json-1.1"),
        Protocol::Cbor => response
            .header("content-type", "application/cbor")
            .header("smithy-protocol", "rpc-v2-cbor"),
    };
    if let Some(code) = code {
        response = response.header("x-amzn-errortype", code);
    }
    response.body(Body::from(body)).unwrap_or_default()
}

/// Returns the body of a success. If the operation has no output, JSON has an empty body, and CBOR an empty map.
fn success(protocol: Protocol, output: Option<&str>, value: &Value) -> Vec<u8> {
    match (protocol, output) {
        (Protocol::Json, None) => Vec::new(),
        (Protocol::Json, Some(_)) => value.to_string().into_bytes(),
        (Protocol::Cbor, None) => cbor::write(None, &json!({})),
        (Protocol::Cbor, Some(shape)) => cbor::write(Some(MODEL.shape(shape)), value),
    }
}

fn error(protocol: Protocol, failure: &Failure) -> Vec<u8> {
    let name = failure.code.name();
    match protocol {
        Protocol::Json => json!({ "__type": name, "message": failure.message })
            .to_string()
            .into_bytes(),
        Protocol::Cbor => {
            let name = format!("com.amazonaws.acmpca#{name}");
            cbor::write(None, &json!({ "__type": name, "message": failure.message }))
        }
    }
}
