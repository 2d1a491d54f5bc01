//! The embedded CA from the view of its users: the aws CLI, boto3, openssl and plain HTTP.
//!
//! - [`lab`]: a server in this process, a client for its protocol, and the tools that check its output;
//! - [`mission`]: the team's bash script, with the real aws CLI;
//! - [`boto`]: every operation with boto3, whose own model checks the shapes, in JSON and in CBOR;
//! - [`template`]: every template with every passthrough, compared with a table;
//! - [`partition`]: partitioned CRLs;
//! - [`constraint`]: name constraints, checked with openssl;
//! - [`china`]: SM2, and other partitions of AWS;
//! - [`odd`]: requests that would result in an invalid certificate;
//! - [`revocation`]: CRLs and OCSP, checked with openssl;
//! - [`sdk`]: the Rust SDK, as the client of a workflow uses it;
//! - [`state`]: statuses, periods, tokens and delays, with a manual clock;
//! - [`access`]: SigV4, sharing between accounts, quotas and faults;
//! - [`crash`]: `kill -9`, and several servers with the same folder;
//! - [`fuzz`]: malformed input is refused;
//! - [`load`]: the number of certificates per second.

#![allow(
    clippy::unwrap_used,
    reason = "a helper of tests fails as tests do, and clippy only lets tests themselves"
)]

mod access;
mod boto;
mod china;
mod constraint;
mod crash;
mod fuzz;
pub mod lab;
mod load;
mod mission;
mod odd;
mod partition;
mod revocation;
mod sdk;
mod state;
mod template;
