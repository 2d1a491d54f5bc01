//! Bytes on the wire, read into operations and written from answers.
//!
//! - [`request`]: which operation a request names, in which protocol, with which input and from whom;
//! - [`model`]: the service model, cut from botocore's (Apache-2.0) to names, shapes and limits: `model.json`;
//! - [`validate`] and [`pattern`]: an input against the model, with AWS's own words for every violation;
//! - [`cbor`]: the binary form of JSON that smithy-rpc-v2-cbor uses;
//! - [`signature`]: SigV4, who asks;
//! - [`answer`]: an answer or an error as the HTTP response of its protocol.
//!
//! Between the protocols and the operations everything is a JSON value in the form of AWS JSON 1.1.

pub(crate) mod answer;
mod cbor;
pub(crate) mod model;
mod pattern;
pub(crate) mod request;
pub(crate) mod signature;
mod validate;

/// The two ways in which AWS clients speak to this service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// `POST /` with the operation in `X-Amz-Target`.
    Json,
    /// `POST /service/ACMPrivateCA/operation/NAME` with `Smithy-Protocol: rpc-v2-cbor`.
    Cbor,
}
