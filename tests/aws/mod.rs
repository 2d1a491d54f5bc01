//! The standard ways of AWS, with the real command and the embedded CA at their end.
//!
//! - [`caller`]: a user's machine with no AWS configuration but the one that a test gives it;
//! - [`portal`]: where logins and roles become credentials (SSO and STS);
//! - [`tunnel`]: a proxy on the way to AWS's own host names, with TLS at its end;
//! - [`credentials`]: SSO profiles, assumed roles, web identity, processes;
//! - [`account`]: whose credentials count, beside the aws CLI;
//! - [`unreachable`]: what is said of a server that can't be met;
//! - [`endpoint`]: which host is asked, and whose certificate is believed.

mod account;
mod caller;
mod credentials;
mod endpoint;
mod portal;
pub mod tunnel;
mod unreachable;
