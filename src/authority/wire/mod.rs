//! Reads requests into operations, and writes responses.
//!
//! - [`request`]: the operation of a request, its protocol, input and caller;
//! - [`model`]: the service model, reduced from botocore's (Apache-2.0) to names, shapes and limits: `model.json`;
//! - [`validate`] and [`pattern`]: check an input against the model, with AWS's message for every violation;
//! - [`cbor`]: the binary form of JSON that smithy-rpc-v2-cbor uses;
//! - [`signature`]: SigV4, which authenticates the caller;
//! - [`answer`]: the HTTP response for a result or an error.
//!
//! Operations receive and return JSON values in the form of AWS JSON 1.1, whichever protocol is used.

pub(crate) mod answer;
mod cbor;
pub(crate) mod model;
mod pattern;
pub(crate) mod request;
pub(crate) mod signature;
mod validate;

/// The two protocols of AWS clients for this service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// `POST /` with the operation in `X-Amz-Target`.
    Json,
    /// `POST /service/ACMPrivateCA/operation/NAME` with `Smithy-Protocol: rpc-v2-cbor`.
    Cbor,
}
