//! How an authority tells that certificates are revoked.
//!
//! - [`configuration`]: the `RevocationConfiguration`, checked and completed;
//! - [`address`]: where lists lie and where the responder is, as the certificates say it;
//! - [`publish`]: complete and partitioned lists, written into the bucket's folder and served over HTTP;
//! - [`responder`]: the answers to OCSP questions.
//!
//! Addresses have the form of AWS's, so a certificate is what AWS would have made. Both kinds of CNAME may name this
//! server (`127.0.0.1:PORT`): it answers under every path that it writes into certificates.

mod address;
mod configuration;
mod publish;
mod responder;

pub(crate) use address::{distribution_point, most_certificates, partition, publishes, responder};
pub(crate) use configuration::{complete, off};
pub(crate) use publish::{publish, publish_all, publish_revocation, serve};
pub(crate) use responder::respond;
