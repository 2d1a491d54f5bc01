//! The operations of the service: one file for each family.
//!
//! Each operation reads the authority, checks with [`rule`](crate::rule) whether its state and the input allow the request,
//! does the cryptography, and writes once. Everything that the decision depends on is read again within the write.

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
mod report;
mod revoke;
mod sign;
mod tag;
mod update;

pub(crate) use call::Caller;
pub(crate) use dispatch::perform;
