//! What AWS allows: pure decisions, without clock and I/O.
//!
//! - [`api`]: the extensions that `ApiPassthrough` requests;
//! - [`arn`]: the ARNs of authorities and certificates;
//! - [`passthrough`]: which subject and extensions a certificate gets from the template, the API, the CSR and the
//!   configuration;
//! - [`policy`]: what an owner shares with other accounts;
//! - [`status`]: what an authority may do in each of its states;
//! - [`template`]: the certificate templates by name;
//! - [`validity`]: the validity period.

pub(crate) mod api;
pub(crate) mod arn;
pub(crate) mod passthrough;
pub(crate) mod policy;
pub(crate) mod status;
pub(crate) mod template;
pub(crate) mod validity;
