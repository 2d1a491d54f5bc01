//! AWS Private CA, through the ordinary `aws-sdk-acmpca` client.
//!
//! - [`PcaTarget`] says where it is, [`PcaClient::connect`] goes there;
//! - the calls of [`PcaClient`] are the operations a rotation needs, one request each;
//! - `profile` holds the credentials to what the aws CLI does, `account` says whose they are;
//! - `trust` says whose certificates are believed on the way, `socks` goes by a SOCKS5 proxy;
//! - `failure` classifies what AWS answers, `attempts` what the SDK was answered before, `rate` keeps below what it allows.

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
