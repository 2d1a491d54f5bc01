//! The embedded CA: an AWS Private CA server that keeps its state in a folder.
//!
//! It implements the real protocol and issues real X.509 certificates, so that AWS SDKs, the aws CLI and boto3 see no
//! difference from the service. Where AWS is not documented, it is stricter, never more permissive. The crate does not
//! depend on workflows.
//!
//! # The path of a request
//!
//! 1. `server` listens and `handler` routes the request: an operation, an OCSP request or a CRL. `wire` reads operations in
//!    either protocol, and checks the SigV4 signature and the limits of the service model.
//! 2. `fault` and `throttle` may make the request fail on purpose.
//! 3. `operation` carries it out, with one file for each family of operations: a few reads, a decision and one write.
//! 4. `rule` decides what AWS allows: statuses, templates, validity, ARNs, and callers. Pure functions, without clock and I/O.
//! 5. `x509` writes and reads DER: keys, names, requests, certificates, chains, CRLs, OCSP.
//! 6. `revocation` publishes revocations: CRLs in the bucket's folder and over HTTP, and OCSP.
//! 7. `store` keeps everything in one SQLite database. What was answered survives `kill -9`, and several servers may serve
//!    the same folder at the same time.
//!
//! # The folder
//!
//! `authority.db` (mode 0600, like its write-ahead log) contains authorities, their keys, certificates, tokens, tags,
//! policies, permissions and revocations. `buckets/NAME/` serves as the S3 bucket NAME: CRLs and audit reports.

mod ancestry;
mod bucket;
mod clock;
mod failure;
mod fault;
mod handler;
mod operation;
mod options;
mod revocation;
mod rule;
mod server;
mod service;
mod store;
mod throttle;
mod wire;
mod x509;

pub use clock::Clock;
pub use fault::{Fault, FaultError};
pub use options::{AccessKey, Delays, Idempotency, NoRandomness, OptionError, Options, Quotas};
pub use server::{Server, StartError};
pub use throttle::per_second;
