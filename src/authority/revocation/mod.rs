//! How an authority publishes that certificates are revoked.
//!
//! - [`configuration`]: the `RevocationConfiguration`, checked and completed;
//! - [`address`]: the addresses of CRLs and responders, as in certificates;
//! - [`publish`]: complete and partitioned CRLs, written to the bucket's folder and served over HTTP;
//! - [`responder`]: the responses to OCSP requests.
//!
//! Addresses have the format of AWS's, so a certificate is the same as AWS's. Both kinds of CNAME may name this server
//! (`127.0.0.1:PORT`): it answers on every path that it writes into certificates.

mod address;
mod configuration;
mod publish;
mod responder;

pub(crate) use address::{distribution_point, most_certificates, partition, publishes, responder};
pub(crate) use configuration::{complete, off};
pub(crate) use publish::{publish, publish_all, publish_revocation, serve};
pub(crate) use responder::respond;
