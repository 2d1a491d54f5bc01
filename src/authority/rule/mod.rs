//! What AWS allows: pure decisions, with no clock and no I/O.
//!
//! - [`api`]: what `ApiPassthrough` asks for, as extensions;
//! - [`arn`]: the names of authorities and certificates;
//! - [`passthrough`]: which subject and extensions a certificate gets, of template, API, CSR and configuration;
//! - [`policy`]: what an owner shares with other accounts;
//! - [`status`]: what an authority may do in each of its states;
//! - [`template`]: the certificate templates by name;
//! - [`validity`]: from when until when.

pub(crate) mod api;
pub(crate) mod arn;
pub(crate) mod passthrough;
pub(crate) mod policy;
pub(crate) mod status;
pub(crate) mod template;
pub(crate) mod validity;
