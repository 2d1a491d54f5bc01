//! The embedded CA, as its users see it: the aws CLI, boto3, openssl and plain HTTP.
//!
//! - [`lab`]: a server in this process, a client of its protocol, and the tools that judge it;
//! - [`mission`]: the team's bash script, with the real aws CLI;
//! - [`boto`]: every operation through boto3, whose own model checks the shapes; and the CBOR protocol;
//! - [`template`]: every template with every passthrough against a table;
//! - [`partition`]: CRLs that fall into parts;
//! - [`constraint`]: the names that a chain allows, judged by openssl;
//! - [`china`]: SM2, and other partitions of AWS;
//! - [`odd`]: what looks like a request and would make a bad certificate;
//! - [`revocation`]: CRLs and OCSP, judged by openssl;
//! - [`sdk`]: the Rust SDK, as a workflow's own client uses it;
//! - [`state`]: states, windows, tokens and delays, on a clock that is moved by hand;
//! - [`access`]: SigV4, sharing between accounts, quotas and faults;
//! - [`crash`]: `kill -9`, and several servers on one folder;
//! - [`fuzz`]: what is broken is refused, and nothing falls over;
//! - [`load`]: certificates a second.

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
