//! Any service of AWS, one signed request a call.
//!
//! - [`AwsTarget`] says with whose credentials and where, [`AwsClient`] asks;
//! - `model` holds what botocore publishes about the services: protocol, names, shapes, which members are sensitive or
//!   carry an idempotency token; a service that is not among them can be described, if it speaks JSON;
//! - `rule` says which operations only read, and which IAM action allows one;
//! - `pages` joins a result that comes in pages;
//! - `check` holds params against the model, `write` makes a request of them, `read` a value of an answer;
//! - `host` knows the servers of a region, `sign` signs (SigV4), `failure` classifies what AWS answers.

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
pub(super) use write::encode;
