//! The embedded CA: an AWS Private CA server that keeps its state in a folder.
//!
//! It speaks the real protocol on real X.509, so that the ordinary AWS SDK, the aws CLI or boto3 can't tell it from the
//! service; where AWS is not documented it is stricter, never laxer. It knows nothing of workflows.
//!
//! # Layout
//!
//! In the order of a request:
//!
//! 1. `server` listens, by its `options`, and `handler` routes: an operation, an OCSP question or a CRL; `service` is
//!    what all requests share, which `opening` opens. The `wire` reads an operation in either protocol, with its SigV4 signature and the service
//!    model's limits.
//! 2. `fault` and `throttle` may stop it, on purpose; `failure` has AWS's errors by name.
//! 3. `operation` answers, on one of a few `workers`: one file per family of operations, each a few reads, a decision and one write.
//! 4. `rule` decides what AWS allows: statuses, templates, validity, ARNs, who may call. Pure, no clock and no I/O;
//!    `ancestry` tells it what the certificates above an authority say.
//! 5. `x509` makes and reads DER: keys, names, requests, certificates, chains, CRLs, OCSP.
//! 6. `revocation` publishes what was revoked: CRLs in the folder of a `bucket` and over HTTP, and OCSP.
//! 7. `store` keeps all of it in one SQLite database: what was answered survives `kill -9`, and several servers may serve
//!    the same folder at once. `clock` is the time, which tests move.
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
mod opening;
mod operation;
mod options;
mod revocation;
mod rule;
mod server;
mod service;
mod store;
mod throttle;
mod wire;
mod workers;
mod x509;

pub use clock::Clock;
pub use fault::{Fault, FaultError};
pub use options::{AccessKey, Delays, Idempotency, OptionError, Options, Quotas};
pub use server::{Server, StartError};
pub use throttle::per_second;
