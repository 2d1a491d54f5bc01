//! Calls any AWS service, with one signed request for each call.
//!
//! - [`AwsTarget`] holds the credentials and servers, [`AwsClient`] makes the calls;
//! - `model` holds what botocore publishes about the services: protocol, names, shapes, which members are sensitive or
//!   carry an idempotency token; a service without a model can be described, if its protocol is JSON;
//! - `rule` knows which operations only read, and which IAM action allows each;
//! - `pages` joins a result that comes in pages;
//! - `check` checks params against the model, `write` builds a request from them, `read` reads a value from an answer;
//! - `host` knows the servers of a region, `sign` signs (SigV4), `failure` classifies errors.

mod check;
mod client;
mod failure;
mod host;
mod model;
mod pages;
mod read;
mod rule;
mod sign;
mod timestamp;
mod write;
mod xml;

pub use check::{Misfit, Unfit, sealed_result};
pub use client::{AwsCall, AwsClient, AwsTarget};
pub use host::EndpointName;
pub use model::{Described, Protocol, Service, service, services};
pub use rule::{actions, is_read};
pub use write::encode;
