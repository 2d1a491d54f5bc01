//! The operations of the service: one file for each family.
//!
//! Each reads the authority, asks [`rule`](crate::rule) whether its state and the input allow it, does
//! the cryptography, and writes once. What it decided on is read again inside the write. IssueCertificate does not wait for its
//! write: the [`reply`] comes with the commit.

mod call;
mod certificate;
mod create;
mod csr;
mod delete;
mod describe;
mod dispatch;
mod import;
mod issue;
mod list;
mod page;
mod permission;
mod policy;
mod reply;
mod report;
mod revoke;
mod sign;
mod tag;
mod update;

pub(crate) use call::Caller;
pub(crate) use dispatch::{is_short, perform};
pub(crate) use issue::ISSUE;
pub(crate) use reply::Reply;
