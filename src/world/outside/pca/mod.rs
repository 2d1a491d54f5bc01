//! AWS Private CA, through the ordinary `aws-sdk-acmpca` client.
//!
//! - [`PcaTarget`] holds the server and the credentials, [`PcaClient::connect`] connects;
//! - the calls of [`PcaClient`] are the operations that a rotation needs, one request each;
//! - `profile` chooses the same credentials as the aws CLI, `account` finds out to whom they belong;
//! - `trust` decides which certificates are trusted, `socks` connects through a SOCKS5 proxy;
//! - `failure` classifies errors of AWS, `attempts` records the answers that the SDK got before, `rate` keeps below AWS's limits.

mod account;
mod attempts;
mod client;
mod connect;
mod failure;
mod iam;
mod manage;
mod passthrough;
mod profile;
mod rate;
mod request;
mod revocation;
mod socks;
mod trust;

pub(super) use account::Account;
pub use account::{AccountId, Identity};
pub use client::{Authority, EFFECT_TAG, PcaClient, SignedCertificate};
pub use connect::{ConnectError, PcaTarget};
pub(super) use connect::{own_endpoint, settings};
pub(super) use failure::{class_of, no_credentials, unreachable};
pub use iam::{OPERATIONS, is_account_wide};
pub use manage::{AuditReport, Permission};
pub use passthrough::{Extension, Passthrough};
pub use rate::{OperationName, Rate};
pub use request::{Issue, NewAuthority, Validity, template_arn};
pub use revocation::{CrlPublication, OcspPublication, Revocation};
